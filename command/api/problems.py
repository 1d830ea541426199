"""Errors as RFC 9457 problem details: what happened, which input, what to do next."""

from __future__ import annotations

from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from command.api.incident_json import entry_shown
from command.documents.typeface import TypefaceMissing
from command.i18n import text
from command.operations.alert_desk import AlertProblem, BadAct, SilenceGone
from command.operations.console_keys import BadKeys, KeyTaken
from command.operations.incidents import (
    BadIncident,
    IncidentChanged,
    IncidentConflict,
    IncidentNotFound,
    IncidentProblem,
)
from command.operations.people import Forbidden, StoreUnavailable, current_language
from command.operations.responses import ResponseConflict
from command.operations.territory import OutsideAreas
from command.operations.triage import AlreadyAcknowledged, BadComment, UnknownAlert
from maps.coastline import CoastlineUnavailable

_log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"


def problem(status: int, detail: str, **members: object) -> JSONResponse:
    """A problem document of this status; `members` are extra fields that a client may use."""
    title = HTTPStatus(status).phrase
    return JSONResponse(
        {"type": "about:blank", "title": title, "status": status, "detail": detail, **members},
        status_code=status,
        media_type=MEDIA_TYPE,
    )


def add_problem_handlers(web: FastAPI) -> None:
    """Every error of this application leaves as a problem document."""
    statuses: dict[type[Exception], int] = {
        UnknownAlert: 404,
        AlreadyAcknowledged: 409,
        BadComment: 422,
        BadAct: 422,
        SilenceGone: 404,
        ResponseConflict: 409,
        KeyTaken: 409,
        BadKeys: 422,
        IncidentNotFound: 404,
        IncidentConflict: 409,
        BadIncident: 422,
        Forbidden: 403,
        StoreUnavailable: 503,
    }
    for kind, status in statuses.items():

        def known(_: Request, exc: Exception, status: int = status) -> JSONResponse:
            members = {"code": exc.key} if isinstance(exc, IncidentProblem | AlertProblem | BadKeys) else {}
            return problem(status, str(exc), **members)

        web.add_exception_handler(kind, known)

    def changed(_: Request, exc: Exception) -> JSONResponse:
        if not isinstance(exc, IncidentChanged):
            raise exc
        incident, language = exc.incident, current_language()
        entries = [entry_shown(incident.number, event, language).model_dump(mode="json") for event in exc.events]
        answer = problem(412, str(exc), code=exc.key, revision=incident.revision, changes=entries)
        answer.headers["ETag"] = f'"{incident.revision}"'
        return answer

    def no_document(_: Request, exc: Exception) -> JSONResponse:
        _log.error("document_not_made", reason=str(exc))
        return problem(503, text(current_language(), "document.unavailable"))

    def http_error(_: Request, exc: Exception) -> JSONResponse:
        status, detail = (exc.status_code, exc.detail) if isinstance(exc, HTTPException) else (500, "")
        return problem(status, detail or HTTPStatus(status).description)

    def bad_input(_: Request, exc: Exception) -> JSONResponse:
        found = exc.errors() if isinstance(exc, RequestValidationError) else []
        where = [{"at": ".".join(str(x) for x in e["loc"]), "message": e["msg"]} for e in found]
        first = "; ".join(f"{e['at']}: {e['message']}" for e in where[:3])
        return problem(422, f"the request has a value that cannot be used: {first}", errors=where)

    def outside(_: Request, exc: Exception) -> JSONResponse:
        if not isinstance(exc, OutsideAreas):
            raise exc
        words = exc.explain(current_language())
        return problem(403, words, code="outside_areas", your_areas=exc.theirs, lies_in=exc.lies_in)

    web.add_exception_handler(OutsideAreas, outside)
    web.add_exception_handler(IncidentChanged, changed)
    web.add_exception_handler(TypefaceMissing, no_document)
    web.add_exception_handler(CoastlineUnavailable, no_document)
    web.add_exception_handler(HTTPException, http_error)
    web.add_exception_handler(RequestValidationError, bad_input)
