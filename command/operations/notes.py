"""Notes on the map: what people write for each other. Every change is a version, so each can be undone."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from command.domain.clock import US_PER_S, Clock
from command.domain.geo import Position
from command.domain.note import Note
from command.domain.realm import Realm
from command.i18n import text
from command.operations.people import Permission, Person
from command.operations.territory import Where, must_at
from command.store.audit import append_audit
from command.store.engine import realm_session
from command.store.notes import append_note, hold_notes, newest_note, shown_notes

TEXT_LIMIT: Final = 500
LINES_LIMIT: Final = 20
MOST_NOTES: Final = 300
"""That stand on the map at once: more would hide what they are about."""
LONGEST_S: Final = 366 * 24 * 3_600
_MAX_LATITUDE_DEG: Final = 85.0


class NoteRefused(ValueError):
    """A note that cannot be written like this. `explain(language)` is the sentence for people."""

    def __init__(self, reason: str, **params: Any) -> None:
        self.reason = reason
        self.params = params
        super().__init__(self.explain("en"))

    def explain(self, language: str) -> str:
        return text(language, f"note.refused.{self.reason}", **self.params)


class UnknownNote(NoteRefused):
    """There is no note of this id."""


class NoteChanged(NoteRefused):
    """Somebody else changed the note meanwhile: nothing was done. `current` is what holds now."""

    def __init__(self, current: Note) -> None:
        self.current = current
        super().__init__("removed" if current.removed else "changed", who=current.changed_by)


@dataclass(frozen=True, kw_only=True, slots=True)
class NoteDraft:
    """What a person writes. expires_at_us: the realm's time; None for a note that stays until it is removed."""

    text: str
    position: Position
    expires_at_us: int | None

    def cleaned(self, now_us: int) -> NoteDraft:
        """Without what cannot be seen. Raises NoteRefused."""
        words = "\n".join(line.rstrip() for line in self.text.splitlines()).strip()
        words = "".join(c for c in words if c == "\n" or unicodedata.category(c) not in ("Cc", "Cs", "Co", "Cn"))
        if not words:
            raise NoteRefused("empty")
        if len(words) > TEXT_LIMIT or words.count("\n") >= LINES_LIMIT:
            raise NoteRefused("long", most=TEXT_LIMIT, lines=LINES_LIMIT)
        if abs(self.position.lat) > _MAX_LATITUDE_DEG:
            raise NoteRefused("off_the_map", most=int(_MAX_LATITUDE_DEG))
        if self.expires_at_us is not None and not now_us < self.expires_at_us <= now_us + LONGEST_S * US_PER_S:
            raise NoteRefused("expiry")
        return replace(self, text=words)


class NoteBook:
    """The notes of one realm. Every method may raise StoreUnavailable; each change is audited in its transaction.

    A change names the version that the person saw and is refused with NoteChanged where another holds by now.
    """

    def __init__(self, engine: Engine, realm: Realm, *, clock: Clock) -> None:
        self._engine = engine
        self._realm = realm
        self._clock = clock

    def shown(self) -> Sequence[Note]:
        """Those that stand on the map now, oldest first."""
        with realm_session(self._engine, self._realm) as session:
            return shown_notes(session, self._clock.now_us())

    def write(self, draft: NoteDraft, *, person: Person) -> Note:
        """A new note. Raises Forbidden, NoteRefused."""
        now_us, by = self._clock.now_us(), person.user.login
        said = draft.cleaned(now_us)
        note = Note(
            note_id=uuid.uuid4(),
            version=1,
            text=said.text,
            position=said.position,
            created_by=by,
            created_at_us=now_us,
            changed_by=by,
            changed_at_us=now_us,
            expires_at_us=said.expires_at_us,
        )
        with realm_session(self._engine, self._realm) as session:
            must_at(session, person, Permission.WRITE_NOTES, Where(position=note.position))
            hold_notes(session)
            self._refuse_too_many(session, now_us)
            return self._append(session, note, action="note.written")

    def change(self, note_id: uuid.UUID, draft: NoteDraft, *, based_on: int, person: Person) -> Note:
        """Have it say this from now on. Raises Forbidden, UnknownNote, NoteChanged, NoteRefused."""
        now_us = self._clock.now_us()
        said = draft.cleaned(now_us)
        with realm_session(self._engine, self._realm) as session:
            held = _held(session, note_id, based_on=based_on, person=person)
            must_at(session, person, Permission.WRITE_NOTES, Where(position=said.position))
            if held.removed:
                raise NoteChanged(held)
            changed = replace(held, text=said.text, position=said.position, expires_at_us=said.expires_at_us)
            return held if changed == held else self._next(session, changed, person, now_us, action="note.changed")

    def remove(self, note_id: uuid.UUID, *, based_on: int, person: Person) -> Note:
        """Take it off the map. Raises Forbidden, UnknownNote, NoteChanged."""
        with realm_session(self._engine, self._realm) as session:
            held = _held(session, note_id, based_on=based_on, person=person)
            if held.removed:
                return held
            gone = replace(held, removed=True)
            return self._next(session, gone, person, self._clock.now_us(), action="note.removed")

    def bring_back(self, note_id: uuid.UUID, *, based_on: int, person: Person) -> Note:
        """Put a note on the map again that was removed; one whose time is over stays until it is removed.

        Raises Forbidden, UnknownNote, NoteChanged, NoteRefused.
        """
        now_us = self._clock.now_us()
        with realm_session(self._engine, self._realm) as session:
            held = _held(session, note_id, based_on=based_on, person=person)
            if held.shown(now_us):
                return held
            self._refuse_too_many(session, now_us)
            over = held.expires_at_us is not None and held.expires_at_us <= now_us
            back = replace(held, removed=False, expires_at_us=None if over else held.expires_at_us)
            return self._next(session, back, person, now_us, action="note.brought_back")

    def _refuse_too_many(self, session: Session, now_us: int) -> None:
        if len(shown_notes(session, now_us)) >= MOST_NOTES:
            raise NoteRefused("too_many", most=MOST_NOTES)

    def _next(self, session: Session, note: Note, person: Person, now_us: int, *, action: str) -> Note:
        after = replace(note, version=note.version + 1, changed_by=person.user.login, changed_at_us=now_us)
        return self._append(session, after, action=action)

    def _append(self, session: Session, note: Note, *, action: str) -> Note:
        append_note(session, note)
        detail = {"realm": self._realm.name, "version": note.version}
        append_audit(
            session,
            actor=note.changed_by,
            action=action,
            target=str(note.note_id),
            detail=detail,
            now_us=note.changed_at_us,
        )
        return note


def _held(session: Session, note_id: uuid.UUID, *, based_on: int, person: Person) -> Note:
    """The version that holds, which nobody changes until this transaction ends. Raises Forbidden where the note stands
    outside the person's areas."""
    person.must_somewhere(Permission.WRITE_NOTES)
    hold_notes(session)
    current = newest_note(session, note_id)
    if current is None:
        raise UnknownNote("unknown")
    must_at(session, person, Permission.WRITE_NOTES, Where(position=current.position))
    if current.version != based_on:
        raise NoteChanged(current)
    return current
