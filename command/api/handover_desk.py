"""The handover as pages: read, sign, correct. Forms that work without a script."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from command.api.account import reader_of
from command.api.forms import given
from command.api.handover_pages import handover_page, sheet_page
from command.i18n import text
from command.operations.access import needs
from command.operations.console import Console
from command.operations.handover import REMARKS_LIMIT, HandoverRefused, UnknownSheet, version_of
from command.operations.people import Accounts, Permission, SignInRefused, current_language, current_person

DONE = frozenset({"signed", "passed", "countersigned", "corrected"})
"""What a page may say was done just now, by the end of its text's key."""
_TYPED = 2 * REMARKS_LIMIT
"""A browser sends two characters for a new line."""


class _Pages:
    """What the routes share."""

    def __init__(self, console: Console, accounts: Accounts) -> None:
        self.console, self.desk, self.accounts = console, console.handover, accounts

    async def watch(self, request: Request, *, told: str = "", error: str | None = None) -> Response:
        person = current_person()
        await asyncio.to_thread(self.console.watch_changed)
        return handover_page(
            reader_of(request, self.console.realm),
            await asyncio.to_thread(self.desk.current, person=person),
            await asyncio.to_thread(self.desk.sheets, person=person),
            given=told,
            error=error,
            note=_note(request),
        )

    async def sheet(
        self, request: Request, sheet_id: uuid.UUID, *, told: str | None = None, error: str | None = None
    ) -> Response:
        asked = request.query_params.get("version")
        try:
            versions = await asyncio.to_thread(self.desk.versions, sheet_id, person=current_person())
            shown = version_of(versions, None if asked is None else _version(asked))
        except UnknownSheet as exc:
            raise HTTPException(404, exc.explain(current_language())) from exc
        holder = self.console.watch.holder
        return sheet_page(
            reader_of(request, self.console.realm),
            shown,
            versions,
            holder=None if holder is None else holder.login,
            given=told,
            error=error,
            note=_note(request),
        )

    async def act(self, act: Callable[[], object], *, password: str | None = None) -> str | None:
        """Do it, with the person's password where one is asked for; why not, in their language, where it is refused."""
        person, language = current_person(), current_language()

        def run() -> None:
            if password is not None:
                self.accounts.check_password(person, password)
            act()
            self.console.watch_changed()

        try:
            await asyncio.to_thread(run)
        except SignInRefused as exc:
            return text(language, exc.key, **exc.params)
        except HandoverRefused as exc:
            return exc.explain(language)
        return None


def handover_desk_router(console: Console, accounts: Accounts) -> APIRouter:
    """GET /handover, GET /handover/{sheet_id} and the forms on them."""
    router = APIRouter(prefix="/handover", include_in_schema=False)
    pages = _Pages(console, accounts)
    _watch(router, pages)
    _sheet(router, pages)
    return router


def _watch(router: APIRouter, pages: _Pages) -> None:
    desk = pages.desk

    @router.get("")
    @needs(Permission.READ_INCIDENTS)
    async def show(request: Request) -> Response:
        return await pages.watch(request)

    @router.post("")
    @needs(Permission.HAND_OVER)
    async def hand_over(request: Request) -> Response:
        remarks, person = (await given(request, "remarks", limit=_TYPED))["remarks"], current_person()
        refused = await pages.act(lambda: desk.hand_over(remarks, person=person))
        if refused is not None:
            return await pages.watch(request, told=remarks, error=refused)
        return RedirectResponse("/handover?done=signed", status_code=303)

    @router.post("/take")
    @needs(Permission.HAND_OVER)
    async def take(request: Request) -> Response:
        told, person = await given(request, "reason", "password"), current_person()
        refused = await pages.act(lambda: desk.take(told["reason"], person=person), password=told["password"])
        if refused is not None:
            return await pages.watch(request, told=told["reason"], error=refused)
        return RedirectResponse("/handover?done=passed", status_code=303)


def _sheet(router: APIRouter, pages: _Pages) -> None:
    desk = pages.desk

    @router.get("/{sheet_id}")
    @needs(Permission.READ_INCIDENTS)
    async def show(request: Request, sheet_id: uuid.UUID) -> Response:
        return await pages.sheet(request, sheet_id)

    @router.post("/{sheet_id}/sign")
    @needs(Permission.HAND_OVER)
    async def sign(request: Request, sheet_id: uuid.UUID) -> Response:
        told, person = await given(request, "version", "password"), current_person()
        seen = _version(told["version"])
        refused = await pages.act(lambda: desk.sign(sheet_id, version=seen, person=person), password=told["password"])
        if refused is not None:
            return await pages.sheet(request, sheet_id, error=refused)
        return RedirectResponse(f"/handover/{sheet_id}?done=countersigned", status_code=303)

    @router.post("/{sheet_id}/correct")
    @needs(Permission.HAND_OVER)
    async def correct(request: Request, sheet_id: uuid.UUID) -> Response:
        told, person = await given(request, "version", "remarks", limit=_TYPED), current_person()
        seen = _version(told["version"])
        refused = await pages.act(lambda: desk.correct(sheet_id, told["remarks"], based_on=seen, person=person))
        if refused is not None:
            return await pages.sheet(request, sheet_id, told=told["remarks"], error=refused)
        return RedirectResponse(f"/handover/{sheet_id}?done=corrected", status_code=303)


def _note(request: Request) -> str | None:
    done = request.query_params.get("done")
    return text(current_language(), f"handover.done_{done}") if done in DONE else None


def _version(said: str) -> int:
    if not said.isdecimal() or not 0 < len(said) < 10:
        raise HTTPException(422, "the form says no version of the sheet; reload the page and send it again")
    return int(said)
