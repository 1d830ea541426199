"""The roster over REST: who is on duty when, and every change of it.

A change sends the ETag that it saw as If-Match and is refused with 412 and what holds now.
"""

from __future__ import annotations

import asyncio
import uuid
from datetime import date, datetime, time
from typing import Annotated

from fastapi import APIRouter, FastAPI, Header, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse

from command.api.problems import problem
from command.api.versions import based_on
from command.domain.alert import Severity
from command.domain.clock import EARLIEST_US, LATEST_US, US_PER_S, from_us, to_us
from command.domain.roster import WEEK_US, Shift, WatchRole, monday_of
from command.i18n.times import JST
from command.operations.access import needs
from command.operations.console import Console
from command.operations.people import LOGIN_LIMIT, Permission, current_language, current_person
from command.operations.roster import (
    WORDS_LIMIT,
    ShiftChanged,
    UnknownShift,
    watch_state,
)
from command.operations.roster_drafts import ImportRefused, RosterRefused, ShiftDraft

LONGEST_ASKED_US = 60 * WEEK_US
Slug = Annotated[str, Field(min_length=1, max_length=64)]


class ShiftSent(BaseModel):
    """starts_at, ends_at: the realm's time. areas: slugs, none for the whole coast. team: of the settings, or null."""

    model_config = ConfigDict(extra="forbid")

    login: str = Field(min_length=1, max_length=LOGIN_LIMIT)
    role: WatchRole
    starts_at: AwareDatetime
    ends_at: AwareDatetime
    team: Slug | None = None
    areas: list[Slug] = Field(default_factory=list, max_length=WORDS_LIMIT)
    skills: list[Slug] = Field(default_factory=list, max_length=WORDS_LIMIT)

    def draft(self) -> ShiftDraft:
        return ShiftDraft(
            login=self.login,
            role=self.role,
            from_us=to_us(self.starts_at),
            until_us=to_us(self.ends_at),
            team=self.team,
            areas=tuple(self.areas),
            skills=tuple(self.skills),
        )


class ShiftShown(BaseModel):
    """name: of the person. removed: it is on the roster no longer."""

    shift_id: uuid.UUID
    version: int
    login: str
    name: str
    role: WatchRole
    starts_at: datetime
    ends_at: datetime
    team: str | None
    areas: list[str]
    skills: list[str]
    on_duty: bool
    changed_by: str
    changed_at: datetime
    removed: bool


class Shifts(BaseModel):
    shifts: list[ShiftShown]


class HolderShown(BaseModel):
    """Who holds the watch, and the handover sheet by which it came to them."""

    login: str
    name: str
    since: datetime
    sheet_id: uuid.UUID


class WatchShown(BaseModel):
    """state: held; open, where nobody took the watch yet; unmanned, where nobody is on duty; none, without a roster.
    acknowledge_within_s: by severity; null where nobody is ever called.
    """

    state: str
    holder: HolderShown | None
    on_duty: list[ShiftShown]
    acknowledge_within_s: dict[str, int | None]


class Week(BaseModel):
    """Any day of the week, in Japan."""

    model_config = ConfigDict(extra="forbid")

    week: date


class CopiedShown(BaseModel):
    """made: new shifts. there: those of the week before that were left out, because the person is there already."""

    made: int
    there: int


IfMatch = Annotated[str | None, Header(max_length=40)]


def roster_router(console: Console) -> APIRouter:
    """/api/roster: a time of it, who is on duty now, a shift with its versions, and every change."""
    router = APIRouter(prefix="/api/roster", tags=["roster"])
    _add_reading(router, console)
    _add_changes(router, console)
    return router


def _add_reading(router: APIRouter, console: Console) -> None:
    book = console.roster

    @router.get("")
    @needs(Permission.WATCH)
    async def shifts(
        from_: Annotated[AwareDatetime | None, Query(alias="from")] = None, until: AwareDatetime | None = None
    ) -> Shifts:
        """Every shift that overlaps the time; a week from its beginning, this week where nothing is said."""
        from_us = monday_of(console.clock.now_us()) if from_ is None else _within(from_)
        until_us = from_us + WEEK_US if until is None else _within(until)
        if not 0 <= until_us - from_us <= LONGEST_ASKED_US:
            raise RosterRefused("backwards")
        found = await asyncio.to_thread(book.between, from_us, until_us)
        return Shifts(shifts=[_shown(console, each) for each in found])

    @router.get("/now")
    @needs(Permission.WATCH)
    async def now() -> WatchShown:
        """Who holds the watch and who is on duty, in the order in which they are called."""
        watch, now_us = console.watch, console.clock.now_us()
        holder = watch.holder
        within_us = console.escalation.within_us
        return WatchShown(
            state=watch_state(watch, now_us),
            holder=None
            if holder is None
            else HolderShown(
                login=holder.login, name=holder.name, since=from_us(holder.since_us), sheet_id=holder.sheet_id
            ),
            on_duty=[_shown(console, each) for each in watch.on_duty(now_us)],
            acknowledge_within_s={
                each.word: within_us[each] // US_PER_S if each in within_us else None
                for each in sorted(Severity, reverse=True)
            },
        )

    @router.get("/{shift_id}")
    @needs(Permission.WATCH)
    async def one(shift_id: uuid.UUID, response: Response) -> Shifts:
        """Every version of a shift, the newest first."""
        found = await asyncio.to_thread(book.versions, shift_id)
        response.headers["ETag"] = f'"{found[0].version}"'
        return Shifts(shifts=[_shown(console, each) for each in found])


def _add_changes(router: APIRouter, console: Console) -> None:
    book = console.roster

    def done(shift: Shift, response: Response) -> ShiftShown:
        console.watch_changed()
        response.headers["ETag"] = f'"{shift.version}"'
        return _shown(console, shift)

    @router.post("", status_code=201)
    @needs(Permission.EDIT_ROSTER)
    async def write(sent: ShiftSent, response: Response) -> ShiftShown:
        person = current_person()
        return await asyncio.to_thread(lambda: done(book.write(sent.draft(), person=person), response))

    @router.put("/{shift_id}")
    @needs(Permission.EDIT_ROSTER)
    async def change(shift_id: uuid.UUID, sent: ShiftSent, response: Response, if_match: IfMatch = None) -> ShiftShown:
        seen, person = based_on(if_match), current_person()
        return await asyncio.to_thread(
            lambda: done(book.change(shift_id, sent.draft(), based_on=seen, person=person), response)
        )

    @router.post("/{shift_id}/end")
    @needs(Permission.EDIT_ROSTER)
    async def end(shift_id: uuid.UUID, response: Response, if_match: IfMatch = None) -> ShiftShown:
        """Now; one that has not begun is taken off the roster."""
        seen, person = based_on(if_match), current_person()
        return await asyncio.to_thread(lambda: done(book.end(shift_id, based_on=seen, person=person), response))

    @router.post("/copy-week")
    @needs(Permission.EDIT_ROSTER)
    async def copy_week(sent: Week) -> CopiedShown:
        """Take the shifts of the week before into this one. Sent twice, it makes nothing twice."""
        person, monday_us = current_person(), monday_of(midday_us(sent.week))
        copied = await asyncio.to_thread(book.copy_week, monday_us, person=person)
        await asyncio.to_thread(console.watch_changed)
        return CopiedShown(made=copied.made, there=copied.there)

    @router.post("/import", status_code=201)
    @needs(Permission.EDIT_ROSTER)
    async def bring_in(request: Request) -> Shifts:
        """The body is a CSV file; all of its rows are taken, or none."""
        person, data = current_person(), await request.body()
        made = await asyncio.to_thread(book.take_file, data, person=person)
        await asyncio.to_thread(console.watch_changed)
        return Shifts(shifts=[_shown(console, each) for each in made])


def midday_us(day: date) -> int:
    """The middle of a day in Japan. Raises RosterRefused for a day that nobody lives on."""
    return _within(datetime.combine(day, time(12), tzinfo=JST))


def _within(moment: datetime) -> int:
    us = to_us(moment)
    if not EARLIEST_US + WEEK_US <= us <= LATEST_US - WEEK_US:
        raise RosterRefused("time", found=moment.isoformat())
    return us


def add_roster_problems(web: FastAPI) -> None:
    """What is wrong with a change leaves as a problem document in the reader's language."""

    def refused(_: Request, exc: Exception) -> JSONResponse:
        language = current_language()
        if isinstance(exc, ShiftChanged):
            current = _plain(exc.current).model_dump(mode="json")
            return problem(412, exc.explain(language), code=exc.reason, current=current)
        if isinstance(exc, ImportRefused):
            rows = [{"row": r.row, "code": r.why.reason, "detail": r.why.explain(language)} for r in exc.rows]
            return problem(422, exc.explain(language), code=exc.reason, rows=rows)
        if isinstance(exc, RosterRefused):
            return problem(404 if isinstance(exc, UnknownShift) else 422, exc.explain(language), code=exc.reason)
        raise exc

    web.add_exception_handler(RosterRefused, refused)


def _plain(shift: Shift, *, name: str = "", on_duty: bool = False) -> ShiftShown:
    return ShiftShown(
        shift_id=shift.shift_id,
        version=shift.version,
        login=shift.login,
        name=name or shift.login,
        role=shift.role,
        starts_at=from_us(shift.from_us),
        ends_at=from_us(shift.until_us),
        team=shift.team,
        areas=list(shift.areas),
        skills=list(shift.skills),
        on_duty=on_duty,
        changed_by=shift.changed_by,
        changed_at=from_us(shift.changed_at_us),
        removed=shift.removed,
    )


def _shown(console: Console, shift: Shift) -> ShiftShown:
    return _plain(shift, name=console.watch.name(shift.login), on_duty=shift.on_duty(console.clock.now_us()))
