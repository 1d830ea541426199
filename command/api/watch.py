"""The roster as a page: everybody reads it, managers change it. Forms that work without a script."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from command.api.account import reader_of
from command.api.forms import choices, given
from command.api.roster import midday_us
from command.api.watch_pages import shift_page, watch_page
from command.domain.clock import from_us
from command.domain.roster import WEEK_US, monday_of
from command.i18n import text
from command.i18n.times import JST
from command.operations.access import needs
from command.operations.console import Console
from command.operations.people import Permission, current_language, current_person
from command.operations.roster import UnknownShift
from command.operations.roster_drafts import MAX_FILE_BYTES, RosterRefused, ShiftDraft, draft_of

FIELDS = ("login", "role", "from", "until", "team", "skills", "week")
DONE = frozenset({"added", "changed", "ended"})
"""What a page may say was done just now, by the end of its text's key."""


class _Pages:
    """What the routes share."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.book = console.roster

    async def week(
        self,
        request: Request,
        *,
        asked: str,
        told: Mapping[str, str] | None = None,
        chosen: Sequence[str] = (),
        error: RosterRefused | None = None,
        note: str | None = None,
    ) -> Response:
        console, now_us = self.console, self.console.clock.now_us()
        try:
            monday_us = monday_of(midday_us(date.fromisoformat(asked)) if asked else now_us)
        except ValueError:
            monday_us = monday_of(now_us)
            error = error or RosterRefused("week", found=asked[:40])
        done = request.query_params.get("done")
        if done in DONE:
            note = text(current_language(), f"watch.done_{done}")
        await asyncio.to_thread(console.watch_changed)
        return watch_page(
            reader_of(request, console.realm),
            console.watch,
            shifts=await asyncio.to_thread(self.book.between, monday_us, monday_us + WEEK_US),
            monday_us=monday_us,
            now_us=now_us,
            people=await asyncio.to_thread(self.book.people),
            teams=self.book.teams,
            areas=await asyncio.to_thread(console.area_book.everything),
            rules=console.escalation,
            given=told or {},
            chosen=chosen,
            error=error,
            note=note,
        )

    async def shift(
        self,
        request: Request,
        shift_id: uuid.UUID,
        *,
        told: Mapping[str, str] | None = None,
        chosen: Sequence[str] = (),
        error: RosterRefused | None = None,
    ) -> Response:
        try:
            versions = await asyncio.to_thread(self.book.versions, shift_id)
        except UnknownShift as exc:
            raise HTTPException(404, exc.explain(current_language())) from exc
        return shift_page(
            reader_of(request, self.console.realm),
            versions,
            self.console.watch,
            people=await asyncio.to_thread(self.book.people),
            teams=self.book.teams,
            areas=await asyncio.to_thread(self.console.area_book.everything),
            given=told,
            chosen=chosen,
            error=error,
        )

    async def done(self, act: Callable[[], object]) -> None:
        await asyncio.to_thread(act)
        await asyncio.to_thread(self.console.watch_changed)


def watch_router(console: Console) -> APIRouter:
    """GET /watch, GET /watch/{shift_id} and the forms on them."""
    router = APIRouter(prefix="/watch", include_in_schema=False)
    pages = _Pages(console)
    _week(router, pages)
    _one(router, pages)
    return router


def _week(router: APIRouter, pages: _Pages) -> None:
    book = pages.book

    @router.get("")
    @needs(Permission.WATCH)
    async def show(request: Request) -> Response:
        return await pages.week(request, asked=request.query_params.get("week", ""))

    @router.post("")
    @needs(Permission.EDIT_ROSTER)
    async def add(request: Request) -> Response:
        told, areas, person = await given(request, *FIELDS), await choices(request, "area"), current_person()
        try:
            draft = _draft(told, areas)
            await pages.done(lambda: book.write(draft, person=person))
        except RosterRefused as exc:
            return await pages.week(request, asked=told["week"], told=told, chosen=areas, error=exc)
        return RedirectResponse(f"/watch?week={_day(draft)}&done=added", status_code=303)

    @router.post("/copy-week")
    @needs(Permission.EDIT_ROSTER)
    async def copy_week(request: Request) -> Response:
        person, asked = current_person(), (await given(request, "week"))["week"]
        try:
            monday_us = monday_of(midday_us(date.fromisoformat(asked)))
            copied = await asyncio.to_thread(book.copy_week, monday_us, person=person)
        except RosterRefused as exc:
            return await pages.week(request, asked=asked, error=exc)
        except ValueError:
            return await pages.week(request, asked=asked)
        note = text(current_language(), "watch.copied", made=copied.made, there=copied.there)
        return await pages.week(request, asked=asked, note=note)

    @router.post("/import")
    @needs(Permission.EDIT_ROSTER)
    async def bring_in(request: Request) -> Response:
        person = current_person()
        told = await given(request, "csv", "week", limit=MAX_FILE_BYTES)
        try:
            made = await asyncio.to_thread(book.take_file, told["csv"].encode(), person=person)
        except RosterRefused as exc:
            return await pages.week(request, asked=told["week"][:40], told=told, error=exc)
        note = text(current_language(), "watch.imported", n=len(made))
        return await pages.week(request, asked=told["week"][:40], note=note)


def _one(router: APIRouter, pages: _Pages) -> None:
    book = pages.book

    @router.get("/{shift_id}")
    @needs(Permission.EDIT_ROSTER)
    async def show(request: Request, shift_id: uuid.UUID) -> Response:
        return await pages.shift(request, shift_id)

    @router.post("/{shift_id}")
    @needs(Permission.EDIT_ROSTER)
    async def change(request: Request, shift_id: uuid.UUID) -> Response:
        told, areas, person = await given(request, *FIELDS, "version"), await choices(request, "area"), current_person()
        seen = _version(told["version"])
        try:
            draft = _draft(told, areas)
            await pages.done(lambda: book.change(shift_id, draft, based_on=seen, person=person))
        except RosterRefused as exc:
            return await pages.shift(request, shift_id, told=told, chosen=areas, error=exc)
        return RedirectResponse(f"/watch?week={_day(draft)}&done=changed", status_code=303)

    @router.post("/{shift_id}/end")
    @needs(Permission.EDIT_ROSTER)
    async def end(request: Request, shift_id: uuid.UUID) -> Response:
        seen, person = _version((await given(request, "version"))["version"]), current_person()
        try:
            await pages.done(lambda: book.end(shift_id, based_on=seen, person=person))
        except RosterRefused as exc:
            return await pages.shift(request, shift_id, error=exc)
        return RedirectResponse("/watch?done=ended", status_code=303)


def _draft(told: Mapping[str, str], areas: Sequence[str]) -> ShiftDraft:
    return replace(draft_of(told), areas=tuple(areas))


def _day(draft: ShiftDraft) -> str:
    return from_us(draft.from_us).astimezone(JST).date().isoformat()


def _version(said: str) -> int:
    if not said.isdecimal() or len(said) > 9:
        raise HTTPException(422, "the form says no version of the shift; reload the page and send it again")
    return int(said)
