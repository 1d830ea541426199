"""The roster: who is on duty when. Every change is a version; managers write it and everybody reads it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from command.domain.alert import Call
from command.domain.clock import EARLIEST_US, LATEST_US, US_PER_S, Clock
from command.domain.handover import Holder
from command.domain.people import User
from command.domain.realm import Realm
from command.domain.roster import DAY_US, WEEK_US, Shift, monday_of, on_duty
from command.i18n import text
from command.i18n.times import jst_minute
from command.operations.people import Permission, Person
from command.operations.roster_drafts import (
    ImportRefused,
    RosterRefused,
    ShiftDraft,
    WrongRow,
    draft_of,
    read_rows,
)
from command.store.areas import latest_areas
from command.store.audit import append_audit
from command.store.engine import realm_session
from command.store.handover import watch_holder
from command.store.people import list_users
from command.store.roster import (
    append_shift,
    hold_roster,
    roster_began_us,
    shift_versions,
    shifts_between,
)

SHORTEST_US: Final = 15 * 60 * US_PER_S
LONGEST_US: Final = 14 * 24 * 3_600 * US_PER_S
MOST_IN_A_WEEK: Final = 500
WORDS_LIMIT: Final = 20
"""Areas and skills that one shift may name."""
SKILL: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


class UnknownShift(RosterRefused):
    """There is no shift of this id."""


class ShiftChanged(RosterRefused):
    """Somebody else changed the shift meanwhile: nothing was done. `current` is what holds now."""

    def __init__(self, current: Shift) -> None:
        self.current = current
        super().__init__("removed_by" if current.removed else "changed_by", who=current.changed_by)


@dataclass(frozen=True, kw_only=True, slots=True)
class Copied:
    """What came of copying a week: shifts that were made, and those that were there already."""

    made: int
    there: int


@dataclass(frozen=True, kw_only=True, slots=True)
class WatchNow:
    """The watch as far as a screen shows it. began_us: when the roster was first written, None where it never was.
    shifts: of these hours. holder: of the watch, None where nobody ever took it. names: of everybody who has an
    account, by login."""

    began_us: int | None = None
    shifts: tuple[Shift, ...] = ()
    holder: Holder | None = None
    names: Mapping[str, str] = field(default_factory=dict)

    def on_duty(self, now_us: int) -> list[Shift]:
        return on_duty(self.shifts, now_us)

    def unmanned(self, now_us: int) -> bool:
        """Whether there is a roster, and nobody is on duty."""
        return self.began_us is not None and not self.on_duty(now_us)

    def name(self, login: str) -> str:
        return self.names.get(login, login)


def watch_state(watch: WatchNow, now_us: int) -> str:
    """`unmanned`: there is a roster, and nobody is on duty. `held`: somebody holds the watch. `open`: somebody is on
    duty, and nobody took the watch yet. `none`: there is no roster.
    """
    if watch.unmanned(now_us):
        return "unmanned"
    if watch.holder is not None:
        return "held"
    return "none" if watch.began_us is None else "open"


def watch_words(watch: WatchNow, now_us: int, language: str) -> str:
    """Who holds the watch, in a few words for the banner."""
    state = watch_state(watch, now_us)
    first = next((watch.name(shift.login) for shift in watch.on_duty(now_us)), "")
    return text(language, f"watch.banner_{state}", who=first if watch.holder is None else watch.holder.name)


def callee_words(call: Call, language: str) -> str:
    """Who was called, with their team."""
    if call.everybody:
        return text(language, "watch.everybody")
    return call.name if call.team is None else text(language, "watch.of_team", name=call.name, team=call.team)


def read_watch(session: Session, now_us: int) -> WatchNow:
    """What stands on the roster now and in the next hours."""
    return WatchNow(
        began_us=roster_began_us(session),
        shifts=tuple(shifts_between(session, now_us, now_us + DAY_US)),
        holder=watch_holder(session),
        names={user.login: user.display_name for user in list_users(session)},
    )


class RosterBook:
    """The roster of one realm. Every method may raise StoreUnavailable; each change is audited in its transaction.

    A change names the version that the person saw and is refused with ShiftChanged where another holds by now.
    teams: those of the settings.
    """

    def __init__(self, engine: Engine, realm: Realm, *, clock: Clock, teams: Sequence[str]) -> None:
        self._engine, self._realm, self._clock = engine, realm, clock
        self.teams = tuple(teams)

    def between(self, from_us: int, until_us: int) -> list[Shift]:
        """Every shift that overlaps the time."""
        with realm_session(self._engine, self._realm) as session:
            return shifts_between(session, from_us, until_us)

    def people(self) -> list[User]:
        """Whoever can be on duty: every account that is not disabled, by login."""
        with realm_session(self._engine, self._realm) as session:
            return [user for user in list_users(session) if not user.disabled]

    def versions(self, shift_id: uuid.UUID) -> list[Shift]:
        """Every version of a shift, the newest first. Raises UnknownShift."""
        with realm_session(self._engine, self._realm) as session:
            found = shift_versions(session, shift_id)
        if not found:
            raise UnknownShift("unknown")
        return found

    def write(self, draft: ShiftDraft, *, person: Person) -> Shift:
        """A new shift. Raises Forbidden, RosterRefused."""
        person.must(Permission.EDIT_ROSTER)
        with realm_session(self._engine, self._realm) as session:
            hold_roster(session)
            return self._begin(session, draft, person, _Known.read(session), action="shift.written")

    def change(self, shift_id: uuid.UUID, draft: ShiftDraft, *, based_on: int, person: Person) -> Shift:
        """Have it be like this from now on. Raises Forbidden, UnknownShift, ShiftChanged, RosterRefused."""
        with realm_session(self._engine, self._realm) as session:
            held = self._held(session, shift_id, based_on=based_on, person=person)
            draft = self._checked(session, draft, _Known.read(session), but=shift_id)
            changed = replace(held, **_facts(draft))
            return held if changed == held else self._next(session, changed, person, action="shift.changed")

    def end(self, shift_id: uuid.UUID, *, based_on: int, person: Person) -> Shift:
        """Have it end now; one that has not begun is taken off the roster.

        Raises Forbidden, UnknownShift, ShiftChanged, and RosterRefused where it is over.
        """
        with realm_session(self._engine, self._realm) as session:
            held = self._held(session, shift_id, based_on=based_on, person=person)
            now_us = self._clock.now_us()
            if held.until_us <= now_us:
                raise RosterRefused("over", time=jst_minute(held.until_us))
            ended = replace(held, removed=True) if now_us <= held.from_us else replace(held, until_us=now_us)
            return self._next(session, ended, person, action="shift.ended")

    def copy_week(self, monday_us: int, *, person: Person) -> Copied:
        """Take the shifts that began in the week before into the week that begins at monday_us, seven days later each.

        Done twice it makes nothing twice: who has the role at that time already is left as they are. Raises Forbidden,
        and RosterRefused where the week before has no shift.
        """
        person.must(Permission.EDIT_ROSTER)
        monday_us = monday_of(monday_us)
        with realm_session(self._engine, self._realm) as session:
            hold_roster(session)
            known = _Known.read(session)
            before = [
                shift
                for shift in shifts_between(session, monday_us - WEEK_US, monday_us)
                if shift.from_us >= monday_us - WEEK_US
            ]
            if not before:
                raise RosterRefused("nothing_to_copy")
            made = 0
            for shift in before:
                draft = _draft_of(shift)
                later = replace(draft, from_us=draft.from_us + WEEK_US, until_us=draft.until_us + WEEK_US)
                if later.login not in known.people or self._overlapping(session, later, but=None):
                    continue
                self._begin(session, later, person, known, action="shift.copied")
                made += 1
            return Copied(made=made, there=len(before) - made)

    def take_file(self, data: bytes, *, person: Person) -> list[Shift]:
        """Take the shifts of a CSV file, all of them or none. Times without a zone are of Japan.

        Raises Forbidden, RosterRefused, and ImportRefused with every row that is wrong.
        """
        person.must(Permission.EDIT_ROSTER)
        rows = read_rows(data)
        made: list[Shift] = []
        wrong: list[WrongRow] = []
        with realm_session(self._engine, self._realm) as session:
            hold_roster(session)
            known = _Known.read(session)
            for number, row in enumerate(rows, start=2):
                try:
                    made.append(self._begin(session, draft_of(row), person, known, action="shift.imported"))
                except RosterRefused as exc:
                    wrong.append(WrongRow(row=number, why=exc))
            if wrong:
                raise ImportRefused(wrong)
        return made

    def _begin(self, session: Session, draft: ShiftDraft, person: Person, known: _Known, *, action: str) -> Shift:
        draft = self._checked(session, draft, known, but=None)
        shift = Shift(
            shift_id=uuid.uuid4(),
            version=1,
            changed_by=person.user.login,
            changed_at_us=self._clock.now_us(),
            **_facts(draft),
        )
        return self._append(session, shift, action=action)

    def _checked(self, session: Session, draft: ShiftDraft, known: _Known, *, but: uuid.UUID | None) -> ShiftDraft:
        """The draft as it is kept: with the login as its account writes it. Raises RosterRefused."""
        login = known.people.get(draft.login.casefold())
        if login is None:
            raise RosterRefused("nobody", login=draft.login[:60])
        if not EARLIEST_US <= draft.from_us < draft.until_us <= LATEST_US:
            raise RosterRefused("backwards")
        if not SHORTEST_US <= draft.until_us - draft.from_us <= LONGEST_US:
            raise RosterRefused("length", least=SHORTEST_US // 60_000_000, most=LONGEST_US // 86_400_000_000)
        if draft.team is not None and draft.team not in self.teams:
            raise RosterRefused("team", team=draft.team[:40], teams=", ".join(self.teams))
        areas, skills = _sorted(draft.areas), _sorted(draft.skills)
        if max(len(areas), len(skills)) > WORDS_LIMIT:
            raise RosterRefused("words", limit=WORDS_LIMIT)
        if strange := [slug for slug in areas if slug not in known.areas]:
            raise RosterRefused("area", area=strange[0][:60])
        if strange := [skill for skill in skills if not SKILL.fullmatch(skill)]:
            raise RosterRefused("skill", skill=strange[0][:40])
        kept = replace(draft, login=login, areas=areas, skills=skills)
        if (other := self._overlapping(session, kept, but=but)) is not None:
            raise RosterRefused("overlaps", login=login, time=jst_minute(other.from_us))
        monday_us = monday_of(kept.from_us)
        if len(shifts_between(session, monday_us, monday_us + WEEK_US)) >= MOST_IN_A_WEEK:
            raise RosterRefused("full", limit=MOST_IN_A_WEEK)
        return kept

    def _overlapping(self, session: Session, draft: ShiftDraft, *, but: uuid.UUID | None) -> Shift | None:
        """A shift that has the same person in the same role at the same time."""
        return next(
            (
                each
                for each in shifts_between(session, draft.from_us, draft.until_us)
                if (each.login, each.role) == (draft.login, draft.role) and each.shift_id != but
            ),
            None,
        )

    def _held(self, session: Session, shift_id: uuid.UUID, *, based_on: int, person: Person) -> Shift:
        """The version that holds, which nobody changes until this transaction ends."""
        person.must(Permission.EDIT_ROSTER)
        hold_roster(session)
        current = next(iter(shift_versions(session, shift_id)), None)
        if current is None:
            raise UnknownShift("unknown")
        if current.version != based_on or current.removed:
            raise ShiftChanged(current)
        return current

    def _next(self, session: Session, shift: Shift, person: Person, *, action: str) -> Shift:
        by, now_us = person.user.login, self._clock.now_us()
        after = replace(shift, version=shift.version + 1, changed_by=by, changed_at_us=now_us)
        return self._append(session, after, action=action)

    def _append(self, session: Session, shift: Shift, *, action: str) -> Shift:
        append_shift(session, shift)
        append_audit(
            session,
            actor=shift.changed_by,
            action=action,
            target=str(shift.shift_id),
            detail={
                "realm": self._realm.name,
                "version": shift.version,
                "login": shift.login,
                "role": shift.role.value,
                "from_us": shift.from_us,
                "until_us": shift.until_us,
            },
            now_us=shift.changed_at_us,
        )
        return shift


@dataclass(frozen=True, kw_only=True, slots=True)
class _Known:
    """What a shift may name. people: logins as their accounts write them, by the login without case. areas: slugs."""

    people: Mapping[str, str]
    areas: frozenset[str]

    @classmethod
    def read(cls, session: Session) -> _Known:
        return cls(
            people={user.login.casefold(): user.login for user in list_users(session) if not user.disabled},
            areas=frozenset(area.slug for area in latest_areas(session) if not area.retired),
        )


def _facts(draft: ShiftDraft) -> dict[str, Any]:
    return {
        "login": draft.login,
        "role": draft.role,
        "team": draft.team,
        "areas": draft.areas,
        "skills": draft.skills,
        "from_us": draft.from_us,
        "until_us": draft.until_us,
    }


def _draft_of(shift: Shift) -> ShiftDraft:
    return ShiftDraft(
        login=shift.login,
        role=shift.role,
        team=shift.team,
        areas=shift.areas,
        skills=shift.skills,
        from_us=shift.from_us,
        until_us=shift.until_us,
    )


def _sorted(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({word.strip() for word in words if word.strip()}))
