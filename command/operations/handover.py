"""The handover of the watch: a sheet that fills itself, signed by who goes and by who comes, and kept for good.

The outgoing officer signs a sheet with their remarks, the incoming one signs the same version, and with that the watch
is theirs. A sheet is never changed: another text is another version, with signatures of its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from command.domain.clock import US_PER_S, Clock, SystemClock
from command.domain.handover import Holder, Part, SheetVersion, Signature, digest
from command.domain.realm import Realm
from command.domain.roster import on_duty
from command.i18n import text
from command.operations.handover_content import gather
from command.operations.people import Permission, Person
from command.store.audit import append_audit
from command.store.engine import realm_session
from command.store.handover import (
    append_sheet,
    append_signature,
    hold_handover,
    newest_sheets,
    pass_watch,
    sheet_versions,
    watch_holder,
)
from command.store.jsonb import clean_text
from command.store.roster import shifts_between

REMARKS_LIMIT: Final = 4_000
REASON_LIMIT: Final = 500
LISTED: Final = 60
_FIRST_LOOKS_BACK_US: Final = 12 * 3_600 * US_PER_S
"""What the first sheet is about, where no roster says when the watch began."""
_LONGEST_US: Final = 31 * 24 * 3_600 * US_PER_S
"""A sheet looks back no further: whoever left the roster alone for a year is not told of all of it."""


class HandoverRefused(ValueError):
    """What was asked for was not done. `explain(language)` is the sentence for people."""

    def __init__(self, reason: str, **params: Any) -> None:
        self.reason = reason
        self.params = params
        super().__init__(self.explain("en"))

    def explain(self, language: str) -> str:
        return text(language, f"handover.refused.{self.reason}", **self.params)


class UnknownSheet(HandoverRefused):
    """There is no sheet, or no version, of this name."""


class SheetChanged(HandoverRefused):
    """Another version of the sheet holds than the person saw: nothing was done. `current` is that version."""

    def __init__(self, current: SheetVersion) -> None:
        self.current = current
        super().__init__("changed", version=current.version, who=current.made_by)


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """The watch as it stands, before anybody signs. outgoing: who holds it. waiting: the sheet that the outgoing
    officer signed and nobody took over by yet.
    """

    outgoing: Holder | None
    from_us: int
    until_us: int
    content: Mapping[str, Any]
    waiting: SheetVersion | None


class HandoverDesk:
    """The handovers of one realm. Every method may raise StoreUnavailable; signatures are audited in their transaction.

    That whoever signs sits there themselves (their password) is asked by the caller.
    """

    def __init__(self, engine: Engine, realm: Realm, *, clock: Clock) -> None:
        self._engine, self._realm, self._clock = engine, realm, clock
        self._host = SystemClock()

    def current(self, *, person: Person) -> Watch:
        """What would stand on a sheet that is signed now. Raises Forbidden."""
        person.must(Permission.READ_INCIDENTS)
        with realm_session(self._engine, self._realm) as session:
            return self._current(session)

    def sheets(self, *, person: Person) -> list[SheetVersion]:
        """The newest version of each of the last sheets, the newest sheet first. Raises Forbidden."""
        person.must(Permission.READ_INCIDENTS)
        with realm_session(self._engine, self._realm) as session:
            return newest_sheets(session, limit=LISTED)

    def versions(self, sheet_id: uuid.UUID, *, person: Person) -> list[SheetVersion]:
        """Every version of a sheet, the newest first. Raises Forbidden, UnknownSheet."""
        person.must(Permission.READ_INCIDENTS)
        with realm_session(self._engine, self._realm) as session:
            return _known(session, sheet_id)

    def hand_over(self, remarks: str, *, person: Person) -> SheetVersion:
        """The outgoing officer signs what stands now, with their remarks; the next one can sign it then.

        While nobody did, doing it again makes a new version. Raises Forbidden, HandoverRefused.
        """
        person.must(Permission.HAND_OVER)
        remarks = _said(remarks, limit=REMARKS_LIMIT)
        with realm_session(self._engine, self._realm) as session:
            hold_handover(session)
            watch = self._current(session)
            if watch.outgoing is None:
                raise HandoverRefused("nobody_holds")
            if not _is(person, watch.outgoing.login):
                raise HandoverRefused("not_yours", who=watch.outgoing.name)
            sheet = self._append(session, watch, remarks, person, before=watch.waiting)
            self._sign(session, sheet, Part.OUTGOING, person)
            return _known(session, sheet.sheet_id)[0]

    def sign(self, sheet_id: uuid.UUID, *, version: int, person: Person) -> SheetVersion:
        """Sign a version: the incoming officer takes the watch with it; of a sheet by which it passed already, one of
        the two who signed it before signs a corrected version. Raises Forbidden, UnknownSheet, SheetChanged,
        HandoverRefused.
        """
        person.must(Permission.HAND_OVER)
        with realm_session(self._engine, self._realm) as session:
            hold_handover(session)
            versions = _known(session, sheet_id)
            newest, passed = versions[0], next((each for each in versions if each.complete), None)
            if newest.version != version:
                raise SheetChanged(newest)
            if any(_is(person, each.login) for each in newest.signatures):
                raise HandoverRefused("signed_already")
            if passed is not None:
                part = next((each.part for each in passed.signatures if _is(person, each.login)), None)
                if part is None:
                    raise HandoverRefused("not_a_party")
                self._sign(session, newest, part, person)
            else:
                holder = watch_holder(session)
                if holder is None or newest.outgoing != holder.login or newest.until_us < holder.since_us:
                    raise HandoverRefused("passed_otherwise")
                self._sign(session, newest, Part.INCOMING, person)
                self._pass(session, newest, person)
            return _known(session, sheet_id)[0]

    def take(self, reason: str, *, person: Person) -> SheetVersion:
        """Take the watch without the outgoing officer's signature: because nobody holds it, or, with a reason, because
        they cannot sign. Raises Forbidden, HandoverRefused.
        """
        person.must(Permission.HAND_OVER)
        reason = _said(reason, limit=REASON_LIMIT)
        with realm_session(self._engine, self._realm) as session:
            hold_handover(session)
            watch = self._current(session)
            if watch.outgoing is not None and _is(person, watch.outgoing.login):
                raise HandoverRefused("yours_already")
            if watch.outgoing is not None and not reason:
                raise HandoverRefused("reason_needed", who=watch.outgoing.name)
            taken_because = None if watch.outgoing is None else reason
            sheet = self._append(session, watch, "", person, before=None, taken_because=taken_because)
            self._sign(session, sheet, Part.INCOMING, person)
            self._pass(session, sheet, person)
            return _known(session, sheet.sheet_id)[0]

    def correct(self, sheet_id: uuid.UUID, remarks: str, *, based_on: int, person: Person) -> SheetVersion:
        """A later word on a sheet by which the watch passed, by one of the two who signed it: a new version, which they
        sign with it. What the program filled in stays as it was. Raises Forbidden, UnknownSheet, SheetChanged,
        HandoverRefused.
        """
        person.must(Permission.HAND_OVER)
        remarks = _said(remarks, limit=REMARKS_LIMIT)
        with realm_session(self._engine, self._realm) as session:
            hold_handover(session)
            versions = _known(session, sheet_id)
            newest, passed = versions[0], next((each for each in versions if each.complete), None)
            if newest.version != based_on:
                raise SheetChanged(newest)
            signed = () if passed is None else passed.signatures
            part = next((each.part for each in signed if _is(person, each.login)), None)
            if part is None:
                raise HandoverRefused("not_a_party" if passed else "not_passed")
            if remarks == newest.remarks:
                raise HandoverRefused("same_remarks")
            sheet = self._next(session, newest, newest.content, newest.from_us, newest.until_us, remarks, person)
            self._sign(session, sheet, part, person)
            return _known(session, sheet_id)[0]

    def note_printed(self, sheet: SheetVersion, *, by: Person, language: str, sha256: str) -> None:
        """Somebody took a version as a document. sha256: of the file."""
        with realm_session(self._engine, self._realm) as session:
            append_audit(
                session,
                actor=by.user.login,
                action="handover.printed",
                target=str(sheet.sheet_id),
                detail={
                    "realm": self._realm.name,
                    "version": sheet.version,
                    "language": language,
                    "file_sha256": sha256,
                },
                now_us=self._clock.now_us(),
            )

    # ---- how ----------------------------------------------------------------------------------------------

    def _current(self, session: Session) -> Watch:
        now_us, holder = self._clock.now_us(), watch_holder(session)
        if holder is not None:
            # where the sheet before ended, so that nothing falls between the two signatures
            from_us = min(sheet_versions(session, holder.sheet_id)[0].until_us, now_us)
        else:
            there = on_duty(shifts_between(session, now_us, now_us + 1), now_us)
            from_us = there[0].from_us if there else now_us - _FIRST_LOOKS_BACK_US
        from_us = max(from_us, now_us - _LONGEST_US)
        speed = getattr(self._clock, "speed", 1.0)
        newest = next(iter(newest_sheets(session, limit=1)), None)
        waits = (
            newest is not None
            and holder is not None
            and newest.outgoing == holder.login
            and newest.until_us >= holder.since_us
            and newest.sheet_id != holder.sheet_id
            and not any(each.complete for each in sheet_versions(session, newest.sheet_id))
        )
        return Watch(
            outgoing=holder,
            from_us=from_us,
            until_us=now_us,
            content=gather(session, from_us=from_us, until_us=now_us, speed=speed),
            waiting=newest if waits else None,
        )

    def _append(
        self,
        session: Session,
        watch: Watch,
        remarks: str,
        person: Person,
        *,
        before: SheetVersion | None,
        taken_because: str | None = None,
    ) -> SheetVersion:
        content = dict(watch.content) | {"outgoing": None if watch.outgoing is None else watch.outgoing.name}
        if taken_because is not None:
            content["taken_because"] = taken_because
        if before is not None:
            return self._next(session, before, content, watch.from_us, watch.until_us, remarks, person)
        outgoing = None if watch.outgoing is None else watch.outgoing.login
        return self._keep(session, uuid.uuid4(), 1, outgoing, content, watch.from_us, watch.until_us, remarks, person)

    def _next(
        self,
        session: Session,
        before: SheetVersion,
        content: Mapping[str, Any],
        from_us: int,
        until_us: int,
        remarks: str,
        person: Person,
    ) -> SheetVersion:
        version = before.version + 1
        return self._keep(
            session, before.sheet_id, version, before.outgoing, content, from_us, until_us, remarks, person
        )

    def _keep(
        self,
        session: Session,
        sheet_id: uuid.UUID,
        version: int,
        outgoing: str | None,
        content: Mapping[str, Any],
        from_us: int,
        until_us: int,
        remarks: str,
        person: Person,
    ) -> SheetVersion:
        facts: dict[str, Any] = {
            "sheet_id": sheet_id,
            "version": version,
            "outgoing": outgoing,
            "from_us": from_us,
            "until_us": until_us,
            "content": content,
            "remarks": remarks,
        }
        sheet = SheetVersion(**facts, made_by=person.user.login, sha256=digest(**facts))
        append_sheet(session, sheet)
        return sheet

    def _sign(self, session: Session, sheet: SheetVersion, part: Part, person: Person) -> None:
        now_us = self._clock.now_us()
        signature = Signature(
            part=part,
            login=person.user.login,
            name=person.user.display_name,
            signed_at_us=now_us,
            recorded_at_us=self._host.now_us(),
        )
        append_signature(session, sheet, signature)
        append_audit(
            session,
            actor=person.user.login,
            action="handover.signed",
            target=str(sheet.sheet_id),
            detail={
                "realm": self._realm.name,
                "version": sheet.version,
                "part": part.value,
                "sha256": sheet.sha256.hex(),
            },
            now_us=now_us,
        )

    def _pass(self, session: Session, sheet: SheetVersion, person: Person) -> None:
        user = person.user
        holder = Holder(
            login=user.login, name=user.display_name, since_us=self._clock.now_us(), sheet_id=sheet.sheet_id
        )
        pass_watch(session, holder)


def _known(session: Session, sheet_id: uuid.UUID) -> list[SheetVersion]:
    versions = sheet_versions(session, sheet_id)
    if not versions:
        raise UnknownSheet("unknown")
    return versions


def version_of(versions: Sequence[SheetVersion], version: int | None) -> SheetVersion:
    """One of a sheet's versions; the newest where none is named. Raises UnknownSheet."""
    found = next((each for each in versions if version in (None, each.version)), None)
    if found is None:
        raise UnknownSheet("unknown_version", version=version)
    return found


def _is(person: Person, login: str) -> bool:
    return person.user.login.casefold() == login.casefold()


def _said(words: str, *, limit: int) -> str:
    kept = "\n".join(line.rstrip() for line in clean_text(words).splitlines()).strip()
    if len(kept) > limit:
        raise HandoverRefused("too_long", limit=limit, given=len(kept))
    return kept
