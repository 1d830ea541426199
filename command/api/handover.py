"""The handover of the watch over REST: what a sheet would say now, the sheets, their documents, and signing.

A signature is a person's own: not for API tokens, and the incoming officer gives their password with it. Signing and
correcting send the version that they saw as If-Match and are refused with 412 and what holds now.
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from command.api.pages import FIELD_LIMIT
from command.api.problems import problem
from command.api.versions import Version, based_on
from command.domain.clock import from_us
from command.domain.handover import Part, SheetVersion
from command.i18n import text
from command.operations.access import needs
from command.operations.console import Console
from command.operations.handover import (
    REASON_LIMIT,
    REMARKS_LIMIT,
    HandoverRefused,
    SheetChanged,
    UnknownSheet,
    version_of,
)
from command.operations.handover_document import handover_pdf
from command.operations.people import (
    Accounts,
    Permission,
    SignInRefused,
    current_language,
    current_person,
)


class Remarks(BaseModel):
    """What the outgoing officer adds to what the program filled in."""

    model_config = ConfigDict(extra="forbid")

    remarks: str = Field(default="", max_length=REMARKS_LIMIT)


class Proof(BaseModel):
    """That the person sits there themselves. Who signs in at an identity provider leaves the password out, and must
    have signed in there a moment ago."""

    model_config = ConfigDict(extra="forbid")

    password: str = Field(default="", max_length=FIELD_LIMIT)


class Taking(Proof):
    """reason: why the outgoing officer does not sign; needed where somebody holds the watch."""

    reason: str = Field(default="", max_length=REASON_LIMIT)


class SignatureShown(BaseModel):
    part: Part
    login: str
    name: str
    signed_at: datetime


class SheetShown(BaseModel):
    """One version of a sheet. content: what the program filled in. sha256: of all that is signed, in hex."""

    sheet_id: uuid.UUID
    version: int
    outgoing: str | None
    starts_at: datetime
    ends_at: datetime
    remarks: str
    made_by: str
    complete: bool
    taken: bool
    sha256: str
    signatures: list[SignatureShown]
    content: dict[str, Any]


class SheetListed(BaseModel):
    """The newest version of a sheet, without its content."""

    sheet_id: uuid.UUID
    version: int
    outgoing: str | None
    starts_at: datetime
    ends_at: datetime
    complete: bool
    taken: bool
    signatures: list[SignatureShown]


class Sheets(BaseModel):
    sheets: list[SheetListed]


class WatchAsItStands(BaseModel):
    """outgoing: the login of who holds the watch. waiting: the sheet that they signed and nobody took over by yet."""

    outgoing: str | None
    starts_at: datetime
    ends_at: datetime
    content: dict[str, Any]
    waiting: uuid.UUID | None


IfMatch = Annotated[str | None, Header(max_length=40)]


def handover_router(console: Console, accounts: Accounts) -> APIRouter:
    """/api/handover: as it stands now, the sheets, one with its document, and the acts that sign."""
    router = APIRouter(prefix="/api/handover", tags=["handover"])
    _add_reading(router, console)
    _add_signing(router, console, accounts)
    return router


def _add_reading(router: APIRouter, console: Console) -> None:
    desk = console.handover

    @router.get("")
    @needs(Permission.READ_INCIDENTS)
    async def sheets() -> Sheets:
        """The last ones, the newest first."""
        found = await asyncio.to_thread(desk.sheets, person=current_person())
        return Sheets(sheets=[_listed(each) for each in found])

    @router.get("/current")
    @needs(Permission.READ_INCIDENTS)
    async def current() -> WatchAsItStands:
        """What would stand on a sheet that is signed now."""
        watch = await asyncio.to_thread(desk.current, person=current_person())
        return WatchAsItStands(
            outgoing=None if watch.outgoing is None else watch.outgoing.login,
            starts_at=from_us(watch.from_us),
            ends_at=from_us(watch.until_us),
            content=dict(watch.content),
            waiting=None if watch.waiting is None else watch.waiting.sheet_id,
        )

    @router.get(
        "/{sheet_id}.pdf",
        response_class=Response,
        responses={200: {"description": "The sheet as a document.", "content": {"application/pdf": {}}}},
    )
    @needs(Permission.READ_INCIDENTS)
    async def as_pdf(
        sheet_id: uuid.UUID,
        version: Annotated[Version | None, Query()] = None,
        language: Literal["ja", "en"] | None = None,
    ) -> Response:
        person, spoken = current_person(), language or current_language()
        name, pdf = await asyncio.to_thread(
            handover_pdf, console, sheet_id, version=version, person=person, language=spoken
        )
        disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(pdf, media_type="application/pdf", headers=disposition)

    @router.get("/{sheet_id}")
    @needs(Permission.READ_INCIDENTS)
    async def one(
        sheet_id: uuid.UUID, response: Response, version: Annotated[Version | None, Query()] = None
    ) -> SheetShown:
        """The newest version, or the one that is asked for."""
        versions = await asyncio.to_thread(desk.versions, sheet_id, person=current_person())
        return _versioned(version_of(versions, version), response)


def _add_signing(router: APIRouter, console: Console, accounts: Accounts) -> None:
    desk = console.handover

    def passed(sheet: SheetVersion, response: Response) -> SheetShown:
        console.watch_changed()
        return _versioned(sheet, response)

    @router.post("", status_code=201)
    @needs(Permission.HAND_OVER)
    async def hand_over(sent: Remarks, response: Response) -> SheetShown:
        """The outgoing officer signs what stands now; sent again before somebody took over, it is a new version."""
        person = current_person()
        return await asyncio.to_thread(lambda: passed(desk.hand_over(sent.remarks, person=person), response))

    @router.post("/take", status_code=201)
    @needs(Permission.HAND_OVER)
    async def take(sent: Taking, response: Response) -> SheetShown:
        """Take the watch where nobody holds it, or where who holds it cannot sign."""
        person = current_person()

        def act() -> SheetShown:
            accounts.check_password(person, sent.password)
            return passed(desk.take(sent.reason, person=person), response)

        return await asyncio.to_thread(act)

    @router.post("/{sheet_id}/sign")
    @needs(Permission.HAND_OVER)
    async def sign(sheet_id: uuid.UUID, sent: Proof, response: Response, if_match: IfMatch = None) -> SheetShown:
        """The incoming officer signs, and the watch is theirs; or one of the two signs a corrected version."""
        seen, person = based_on(if_match), current_person()

        def act() -> SheetShown:
            accounts.check_password(person, sent.password)
            return passed(desk.sign(sheet_id, version=seen, person=person), response)

        return await asyncio.to_thread(act)

    @router.post("/{sheet_id}/correct", status_code=201)
    @needs(Permission.HAND_OVER)
    async def correct(sheet_id: uuid.UUID, sent: Remarks, response: Response, if_match: IfMatch = None) -> SheetShown:
        """A later word on it by one of the two: a new version, signed with it."""
        seen, person = based_on(if_match), current_person()
        return await asyncio.to_thread(
            lambda: passed(desk.correct(sheet_id, sent.remarks, based_on=seen, person=person), response)
        )


def add_handover_problems(web: FastAPI) -> None:
    """What is wrong with an act leaves as a problem document in the reader's language."""

    def refused(_: Request, exc: Exception) -> JSONResponse:
        language = current_language()
        if isinstance(exc, SheetChanged):
            current = _shown(exc.current).model_dump(mode="json")
            return problem(412, exc.explain(language), code=exc.reason, current=current)
        if isinstance(exc, HandoverRefused):
            status = 404 if isinstance(exc, UnknownSheet) else 422 if exc.reason == "too_long" else 409
            return problem(status, exc.explain(language), code=exc.reason)
        raise exc

    def no_proof(_: Request, exc: Exception) -> JSONResponse:
        if not isinstance(exc, SignInRefused):
            raise exc
        return problem(422, text(current_language(), exc.key, **exc.params), code=exc.key)

    web.add_exception_handler(HandoverRefused, refused)
    web.add_exception_handler(SignInRefused, no_proof)


def _signatures(sheet: SheetVersion) -> list[SignatureShown]:
    return [
        SignatureShown(part=each.part, login=each.login, name=each.name, signed_at=from_us(each.signed_at_us))
        for each in sheet.signatures
    ]


def _shown(sheet: SheetVersion) -> SheetShown:
    return SheetShown(
        sheet_id=sheet.sheet_id,
        version=sheet.version,
        outgoing=sheet.outgoing,
        starts_at=from_us(sheet.from_us),
        ends_at=from_us(sheet.until_us),
        remarks=sheet.remarks,
        made_by=sheet.made_by,
        complete=sheet.complete,
        taken=sheet.taken,
        sha256=sheet.sha256.hex(),
        signatures=_signatures(sheet),
        content=dict(sheet.content),
    )


def _listed(sheet: SheetVersion) -> SheetListed:
    return SheetListed(
        sheet_id=sheet.sheet_id,
        version=sheet.version,
        outgoing=sheet.outgoing,
        starts_at=from_us(sheet.from_us),
        ends_at=from_us(sheet.until_us),
        complete=sheet.complete,
        taken=sheet.taken,
        signatures=_signatures(sheet),
    )


def _versioned(sheet: SheetVersion, response: Response) -> SheetShown:
    response.headers["ETag"] = f'"{sheet.version}"'
    return _shown(sheet)
