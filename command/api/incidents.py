"""Incidents over REST: lists and GeoJSON, one with its log, and every act on it.

An act that could undo another's sends the ETag it saw as If-Match and is refused with 412 and what changed since.
Every act takes an Idempotency-Key: sent twice, it is done once and answered twice the same.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
import uuid
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, HTTPException, Query, Request, Response

from command.api.incident_json import (
    LOG_PAGE,
    CitedSent,
    Comment,
    Edit,
    IncidentFeatures,
    IncidentPage,
    IncidentShown,
    IncidentWithLog,
    LogPage,
    Merging,
    Opening,
    Order,
    Participant,
    SeverityWord,
    Splitting,
    Step,
    TaskStep,
    Unlinking,
    incident_feature,
    incident_shown,
    incident_with_log,
    log_page,
)
from command.domain.alert import Severity
from command.domain.clock import EARLIEST_US, LATEST_US
from command.domain.incident import OPEN_STATES, Incident, IncidentState, IncidentType
from command.domain.incident_acts import NAME_LIMIT
from command.i18n import text
from command.operations.access import needs
from command.operations.console import Console
from command.operations.incident_document import incident_pdf
from command.operations.incident_files import MEDIA_TYPES
from command.operations.incidents import BadIncident, Doing, Done, IncidentFilter
from command.operations.people import Permission, current_language, current_person

_ETAG: Final = re.compile(r'"([0-9]{1,9})"')
_MOST_IN_PAGE: Final = 200


async def _doing(
    request: Request,
    if_match: Annotated[str | None, Header(alias="If-Match", max_length=40)] = None,
    idempotency_key: Annotated[
        str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")
    ] = None,
) -> Doing:
    revision = None
    language = current_language()
    if if_match is not None and if_match != "*":
        tag = _ETAG.fullmatch(if_match.strip())
        if tag is None:
            raise HTTPException(422, text(language, "incident.error.if_match"))
        revision = int(tag[1])
    digest = hashlib.sha256(f"{request.method} {request.url.path}?{request.url.query}\n".encode())
    digest.update(await request.body())
    return Doing(
        person=current_person(),
        language=language,
        revision=revision,
        key=idempotency_key,
        request_sha256=digest.digest(),
    )


async def _doing_what_could_undo(request: Request, doing: Annotated[Doing, Depends(_doing)]) -> Doing:
    if "if-match" not in request.headers:
        raise HTTPException(428, text(doing.language, "incident.error.if_match_needed"))
    return doing


Adds = Annotated[Doing, Depends(_doing)]
"""If-Match is minded where it is sent."""
Changes = Annotated[Doing, Depends(_doing_what_could_undo)]
"""If-Match has to be sent."""


def _wanted(
    state: Annotated[list[IncidentState] | None, Query()] = None,
    is_open: Annotated[bool | None, Query(alias="open")] = None,
    type: Annotated[list[IncidentType] | None, Query()] = None,  # noqa: A002 - the parameter's name
    severity: Annotated[list[SeverityWord] | None, Query()] = None,
    owner: Annotated[str | None, Query(max_length=256)] = None,
    alert: uuid.UUID | None = None,
    track: uuid.UUID | None = None,
    area: Annotated[str | None, Query(max_length=60)] = None,
) -> IncidentFilter:
    states = set(state) if state else set(IncidentState)
    if is_open is not None:
        states &= OPEN_STATES if is_open else set(IncidentState) - OPEN_STATES
    return IncidentFilter(
        states=states,
        types=type,
        severities=None if severity is None else [Severity.from_word(word) for word in severity],
        owner=owner,
        alert_id=alert,
        track_id=track,
        area=area,
    )


Wanted = Annotated[IncidentFilter, Depends(_wanted)]
Limit = Annotated[int, Query(ge=1, le=_MOST_IN_PAGE)]
Cursor = Annotated[str | None, Query(max_length=200)]


def incidents_router(console: Console) -> APIRouter:
    """/api/incidents, /api/incidents.geojson and /api/incidents/{id} with its log, PDF, acts and attachments."""
    router = APIRouter(prefix="/api", tags=["incidents"])
    _add_reading(router, console)
    _add_acts(router, console)
    _add_merging_and_splitting(router, console)
    _add_attachments(router, console)
    return router


async def _done(
    console: Console, response: Response, act: Callable[..., Done], *args: Any, **given: Any
) -> IncidentShown:
    """Do it, and answer with the incident after it and its ETag."""
    result = await asyncio.to_thread(act, *args, **given)
    response.headers["ETag"] = f'"{result.incident.revision}"'
    if result.came_before:
        response.headers["Idempotency-Replayed"] = "true"
    return incident_shown(console, result.incident, current_language())


async def _made(
    console: Console, response: Response, act: Callable[..., Done], *args: Any, **given: Any
) -> IncidentShown:
    """The same, of an act after which another incident is looked at: where that one is."""
    shown = await _done(console, response, act, *args, **given)
    response.headers["Location"] = f"/api/incidents/{shown.incident_id}"
    return shown


def _add_reading(router: APIRouter, console: Console) -> None:
    desk = console.desk

    async def page(wanted: IncidentFilter, limit: int, cursor: str | None) -> tuple[Sequence[Incident], str | None]:
        after = _after(cursor, current_language())
        found = await asyncio.to_thread(desk.find, wanted, limit=limit + 1, after=after)
        return found[:limit], _cursor(found[limit - 1]) if len(found) > limit else None

    @router.get("/incidents")
    @needs(Permission.READ_INCIDENTS)
    async def list_incidents(wanted: Wanted, limit: Limit = 50, cursor: Cursor = None) -> IncidentPage:
        found, following = await page(wanted, limit, cursor)
        language = current_language()
        return IncidentPage(incidents=[incident_shown(console, i, language) for i in found], next=following)

    @router.get("/incidents.geojson")
    @needs(Permission.READ_INCIDENTS)
    async def incidents_as_geojson(wanted: Wanted, limit: Limit = 200, cursor: Cursor = None) -> IncidentFeatures:
        found, following = await page(wanted, limit, cursor)
        language = current_language()
        features = [incident_feature(console, incident, language) for incident in found]
        return IncidentFeatures(type="FeatureCollection", features=features, next=following)

    @router.get(
        "/incidents/{incident_id}.pdf",
        response_class=Response,
        responses={200: {"description": "The incident as a document.", "content": {"application/pdf": {}}}},
    )
    @needs(Permission.READ_INCIDENTS)
    async def incident_as_pdf(incident_id: uuid.UUID, language: Literal["ja", "en"] | None = None) -> Response:
        person = current_person()
        name, pdf = await asyncio.to_thread(
            incident_pdf, console, incident_id, person=person, language=language or current_language()
        )
        disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(pdf, media_type="application/pdf", headers=disposition)

    @router.get("/incidents/{incident_id}")
    @needs(Permission.READ_INCIDENTS)
    async def one_incident(response: Response, incident_id: uuid.UUID) -> IncidentWithLog:
        language = current_language()
        incident = await asyncio.to_thread(desk.get, incident_id, language=language)
        log = await asyncio.to_thread(desk.log, incident_id, limit=LOG_PAGE + 1, language=language)
        response.headers["ETag"] = f'"{incident.revision}"'
        return incident_with_log(console, incident, log, language)

    @router.get("/incidents/{incident_id}/log")
    @needs(Permission.READ_INCIDENTS)
    async def log_of_incident(
        incident_id: uuid.UUID,
        limit: Annotated[int, Query(ge=1, le=500)] = LOG_PAGE,
        before: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
    ) -> LogPage:
        language = current_language()
        log = await asyncio.to_thread(desk.log, incident_id, limit=limit + 1, language=language, before_event=before)
        return log_page(log, limit, language)


def _add_acts(router: APIRouter, console: Console) -> None:
    desk = console.desk

    @router.post("/incidents", status_code=201)
    @needs(Permission.MANAGE_INCIDENTS)
    async def open_incident(response: Response, doing: Adds, sent: Opening) -> IncidentShown:
        return await _made(
            console,
            response,
            desk.open,
            doing,
            type=sent.type,
            title=sent.title,
            severity=Severity.from_word(sent.severity),
            owner=sent.owner if "owner" in sent.model_fields_set else doing.person.user.login,
            place=sent.place,
            position=None if sent.position is None else sent.position.position(),
            cited=sent.cited(),
        )

    @router.patch("/incidents/{incident_id}")
    @needs(Permission.MANAGE_INCIDENTS)
    async def edit_incident(response: Response, doing: Changes, incident_id: uuid.UUID, sent: Edit) -> IncidentShown:
        fields = {name: getattr(sent, name) for name in sent.model_fields_set}
        if "severity" in fields:
            fields["severity"] = Severity.from_word(fields["severity"])
        if fields.get("position") is not None:
            fields["position"] = fields["position"].position()
        return await _done(console, response, desk.edit, doing, incident_id, **fields)

    @router.post("/incidents/{incident_id}/state")
    @needs(Permission.MANAGE_INCIDENTS)
    async def move_incident(response: Response, doing: Changes, incident_id: uuid.UUID, sent: Step) -> IncidentShown:
        return await _done(console, response, desk.move, doing, incident_id, sent.state, reason=sent.reason)

    @router.post("/incidents/{incident_id}/comments")
    @needs(Permission.COMMENT_ON_INCIDENTS)
    async def comment_on_incident(
        response: Response, doing: Adds, incident_id: uuid.UUID, sent: Comment
    ) -> IncidentShown:
        return await _done(console, response, desk.comment, doing, incident_id, sent.text)

    @router.post("/incidents/{incident_id}/tasks")
    @needs(Permission.MANAGE_INCIDENTS)
    async def give_task(response: Response, doing: Adds, incident_id: uuid.UUID, sent: Order) -> IncidentShown:
        return await _done(
            console, response, desk.give_task, doing, incident_id, title=sent.title, assignee=sent.assignee
        )

    @router.post("/incidents/{incident_id}/tasks/{task_id}/state")
    @needs(Permission.MOVE_OWN_TASKS)
    async def move_task(
        response: Response, doing: Changes, incident_id: uuid.UUID, task_id: uuid.UUID, sent: TaskStep
    ) -> IncidentShown:
        return await _done(
            console, response, desk.move_task, doing, incident_id, task_id, sent.state, reason=sent.reason
        )

    @router.post("/incidents/{incident_id}/participants")
    @needs(Permission.MANAGE_INCIDENTS)
    async def add_participant(
        response: Response, doing: Adds, incident_id: uuid.UUID, sent: Participant
    ) -> IncidentShown:
        return await _done(console, response, desk.join, doing, incident_id, sent.login)

    @router.delete("/incidents/{incident_id}/participants/{login}")
    @needs(Permission.MANAGE_INCIDENTS)
    async def remove_participant(
        response: Response, doing: Changes, incident_id: uuid.UUID, login: str
    ) -> IncidentShown:
        return await _done(console, response, desk.leave, doing, incident_id, login)

    @router.post("/incidents/{incident_id}/link")
    @needs(Permission.LINK_TO_INCIDENTS)
    async def link_to_incident(
        response: Response, doing: Adds, incident_id: uuid.UUID, sent: CitedSent
    ) -> IncidentShown:
        return await _done(console, response, desk.link, doing, incident_id, sent.cited())

    @router.post("/incidents/{incident_id}/unlink")
    @needs(Permission.LINK_TO_INCIDENTS)
    async def unlink_from_incident(
        response: Response, doing: Changes, incident_id: uuid.UUID, sent: Unlinking
    ) -> IncidentShown:
        return await _done(console, response, desk.unlink, doing, incident_id, sent.cited(), reason=sent.reason)


def _add_merging_and_splitting(router: APIRouter, console: Console) -> None:
    desk = console.desk

    @router.post("/incidents/{incident_id}/merge")
    @needs(Permission.MANAGE_INCIDENTS)
    async def merge_incident(
        response: Response, doing: Changes, incident_id: uuid.UUID, sent: Merging
    ) -> IncidentShown:
        return await _made(console, response, desk.merge, doing, incident_id, into=sent.into, reason=sent.reason)

    @router.post("/incidents/{incident_id}/split", status_code=201)
    @needs(Permission.MANAGE_INCIDENTS)
    async def split_incident(
        response: Response, doing: Changes, incident_id: uuid.UUID, sent: Splitting
    ) -> IncidentShown:
        return await _made(
            console,
            response,
            desk.split,
            doing,
            incident_id,
            type=sent.type,
            title=sent.title,
            severity=Severity.from_word(sent.severity),
            cited=sent.cited(),
            task_ids=sent.tasks,
            reason=sent.reason,
        )


def _add_attachments(router: APIRouter, console: Console) -> None:
    desk = console.desk

    @router.post(
        "/incidents/{incident_id}/attachments",
        openapi_extra={
            "requestBody": {
                "required": True,
                "description": "The file's bytes: JPEG, PNG, WebP, TIFF, PDF, MP4 or UTF-8 text, 10 MB at most. "
                "The type is read from the bytes.",
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    @needs(Permission.COMMENT_ON_INCIDENTS)
    async def attach_to_incident(
        request: Request,
        response: Response,
        doing: Adds,
        incident_id: uuid.UUID,
        name: Annotated[str, Query(min_length=1, max_length=NAME_LIMIT)],
    ) -> IncidentShown:
        content = await request.body()
        return await _done(console, response, desk.attach, doing, incident_id, name=name, content=content)

    @router.get(
        "/incidents/{incident_id}/attachments/{attachment_id}",
        response_class=Response,
        responses={
            200: {"description": "The file's bytes.", "content": {media_type: {} for media_type in MEDIA_TYPES}}
        },
    )
    @needs(Permission.READ_INCIDENT_FILES)
    async def attachment(incident_id: uuid.UUID, attachment_id: uuid.UUID) -> Response:
        kept, content = await asyncio.to_thread(
            desk.file, incident_id, attachment_id, person=current_person(), language=current_language()
        )
        named = quote(kept.name, safe="")
        return Response(
            content,
            media_type=kept.media_type,
            headers={"Content-Disposition": f"attachment; filename=\"attachment\"; filename*=UTF-8''{named}"},
        )


def _cursor(last: Incident) -> str:
    return base64.urlsafe_b64encode(f"{last.opened_at_us}.{last.incident_id.hex}".encode()).decode()


def _after(cursor: str | None, language: str) -> tuple[int, uuid.UUID] | None:
    if cursor is None:
        return None
    try:
        opened_at_us, _, incident_id = base64.urlsafe_b64decode(cursor).decode("ascii").partition(".")
        after = int(opened_at_us), uuid.UUID(hex=incident_id)
        if not EARLIEST_US <= after[0] <= LATEST_US:
            raise ValueError(opened_at_us)
    except (ValueError, binascii.Error) as exc:
        raise BadIncident(text(language, "incident.error.cursor"), key="incident.error.cursor") from exc
    return after
