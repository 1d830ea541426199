"""Notes on the map, versioned: each change is a new row."""

from __future__ import annotations

import uuid
from typing import Any

from geoalchemy2.shape import to_shape
from sqlalchemy import Row, insert, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from command.domain.geo import Position
from command.domain.note import Note
from command.store.notify import notify
from command.store.sequencer import hold, last, take_next
from command.store.tables import NOTE_VERSION
from command.store.types import point


def shown_notes(session: Session, now_us: int) -> list[Note]:
    """The newest version of each note that stands on the map at `now_us`, oldest first."""
    newest = (
        select(NOTE_VERSION)
        .order_by(NOTE_VERSION.c.note_id, NOTE_VERSION.c.version.desc())
        .ext(distinct_on(NOTE_VERSION.c.note_id))
        .subquery()
    )
    standing = select(newest).where(~newest.c.removed, (newest.c.expires_at.is_(None)) | (newest.c.expires_at > now_us))
    return [_note(row) for row in session.execute(standing.order_by(newest.c.created_at, newest.c.note_id))]


def newest_note(session: Session, note_id: uuid.UUID) -> Note | None:
    """The newest version of a note, removed or expired ones too; None where there never was one."""
    of_one = select(NOTE_VERSION).where(NOTE_VERSION.c.note_id == note_id)
    row = session.execute(of_one.order_by(NOTE_VERSION.c.version.desc()).limit(1)).one_or_none()
    return None if row is None else _note(row)


def notes_revision(session: Session) -> int:
    """A number that rises when any note changes; 0 before the first. One row, cheap to ask often."""
    return last(session, "note")


def hold_notes(session: Session) -> None:
    """No one changes a note until this transaction ends: what is read from now on may be decided upon."""
    hold(session, "note")


def append_note(session: Session, note: Note) -> None:
    """Store the next version of a note, or the first of a new one, and tell every console."""
    revision = take_next(session, "note")
    session.execute(
        insert(NOTE_VERSION).values(
            note_id=note.note_id,
            version=note.version,
            text=note.text,
            position=point(note.position),
            created_by=note.created_by,
            created_at=note.created_at_us,
            changed_by=note.changed_by,
            changed_at=note.changed_at_us,
            expires_at=note.expires_at_us,
            removed=note.removed,
            revision=revision,
        )
    )
    notify(session, {"notes": revision})


def _note(row: Row[Any]) -> Note:
    at = to_shape(row.position)
    return Note(
        note_id=row.note_id,
        version=row.version,
        text=row.text,
        position=Position(lon=at.x, lat=at.y),
        created_by=row.created_by,
        created_at_us=row.created_at,
        changed_by=row.changed_by,
        changed_at_us=row.changed_at,
        expires_at_us=row.expires_at,
        removed=row.removed,
    )
