"""Notes on the map over REST, as GeoJSON (RFC 7946).

A change sends the ETag that it saw as If-Match and is refused with 412 and what holds now.
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, FastAPI, Header, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from command.api.incident_json import LonLat, PointGeometry
from command.api.problems import problem
from command.api.versions import based_on
from command.domain.clock import EARLIEST_US, LATEST_US, from_us, to_us
from command.domain.note import Note
from command.operations.access import needs
from command.operations.console import Console
from command.operations.notes import TEXT_LIMIT, NoteChanged, NoteDraft, NoteRefused, UnknownNote
from command.operations.people import Permission, current_language, current_person


class NoteSent(BaseModel):
    """expires_at: null for a note that stays until it is removed; the realm's time."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(min_length=1, max_length=2 * TEXT_LIMIT)
    position: LonLat
    expires_at: AwareDatetime | None = None

    def draft(self) -> NoteDraft:
        expires_at_us = None if self.expires_at is None else to_us(self.expires_at)
        if expires_at_us is not None and not EARLIEST_US <= expires_at_us <= LATEST_US:
            raise NoteRefused("expiry")
        return NoteDraft(text=self.text, position=self.position.position(), expires_at_us=expires_at_us)


class NoteShown(BaseModel):
    """Times are the realm's. removed: it is on the map no longer."""

    note_id: uuid.UUID
    version: int
    text: str
    created_by: str
    created_at: datetime
    changed_by: str
    changed_at: datetime
    expires_at: datetime | None
    removed: bool


class NoteFeature(BaseModel):
    type: Literal["Feature"]
    id: uuid.UUID
    geometry: PointGeometry
    properties: NoteShown


class NoteFeatures(BaseModel):
    type: Literal["FeatureCollection"]
    features: list[NoteFeature]


IfMatch = Annotated[str | None, Header(max_length=40)]


def notes_router(console: Console) -> APIRouter:
    """GET, POST /api/notes; PUT, DELETE /api/notes/{id}; POST /api/notes/{id}/restore."""
    router = APIRouter(prefix="/api/notes", tags=["notes"])
    book = console.note_book

    @router.get("")
    @needs(Permission.WATCH)
    async def shown() -> NoteFeatures:
        now_us = console.clock.now_us()
        standing = [_feature(note) for note in console.notes if note.shown(now_us)]
        return NoteFeatures(type="FeatureCollection", features=standing)

    @router.post("", status_code=201)
    @needs(Permission.WRITE_NOTES)
    async def write(body: NoteSent, response: Response) -> NoteFeature:
        note = await asyncio.to_thread(book.write, body.draft(), person=current_person())
        return _versioned(note, response)

    @router.put("/{note_id}")
    @needs(Permission.WRITE_NOTES)
    async def change(note_id: uuid.UUID, body: NoteSent, response: Response, if_match: IfMatch = None) -> NoteFeature:
        seen, person = based_on(if_match), current_person()
        note = await asyncio.to_thread(book.change, note_id, body.draft(), based_on=seen, person=person)
        return _versioned(note, response)

    @router.delete("/{note_id}")
    @needs(Permission.WRITE_NOTES)
    async def remove(note_id: uuid.UUID, response: Response, if_match: IfMatch = None) -> NoteFeature:
        seen, person = based_on(if_match), current_person()
        return _versioned(await asyncio.to_thread(book.remove, note_id, based_on=seen, person=person), response)

    @router.post("/{note_id}/restore")
    @needs(Permission.WRITE_NOTES)
    async def bring_back(note_id: uuid.UUID, response: Response, if_match: IfMatch = None) -> NoteFeature:
        seen, person = based_on(if_match), current_person()
        note = await asyncio.to_thread(book.bring_back, note_id, based_on=seen, person=person)
        return _versioned(note, response)

    return router


def add_note_problems(web: FastAPI) -> None:
    """What is wrong with a change leaves as a problem document in the reader's language."""

    def refused(_: Request, exc: Exception) -> JSONResponse:
        language = current_language()
        if isinstance(exc, NoteChanged):
            current = _feature(exc.current).model_dump(mode="json")
            return problem(412, exc.explain(language), code=exc.reason, current=current)
        if isinstance(exc, NoteRefused):
            return problem(404 if isinstance(exc, UnknownNote) else 422, exc.explain(language), code=exc.reason)
        raise exc

    web.add_exception_handler(NoteRefused, refused)


def _feature(note: Note) -> NoteFeature:
    return NoteFeature(
        type="Feature",
        id=note.note_id,
        geometry=PointGeometry(type="Point", coordinates=(note.position.lon, note.position.lat)),
        properties=NoteShown(
            note_id=note.note_id,
            version=note.version,
            text=note.text,
            created_by=note.created_by,
            created_at=from_us(note.created_at_us),
            changed_by=note.changed_by,
            changed_at=from_us(note.changed_at_us),
            expires_at=None if note.expires_at_us is None else from_us(note.expires_at_us),
            removed=note.removed,
        ),
    )


def _versioned(note: Note, response: Response) -> NoteFeature:
    response.headers["ETag"] = f'"{note.version}"'
    return _feature(note)
