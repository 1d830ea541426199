"""The web application of one realm: login, REST, live tracks, tiles and the console in one FastAPI process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from fastapi import Depends, FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from command.api.account import account_router
from command.api.alerts import alerts_router
from command.api.areas import add_area_problems, areas_router
from command.api.checks import permission_check, refuse_unchecked
from command.api.deliveries import add_delivery_problems, deliveries_router, delivery_pages_router
from command.api.guard import CSRF_HEADER, SESSION_COOKIE, Guard
from command.api.handover import add_handover_problems, handover_router
from command.api.handover_desk import handover_desk_router
from command.api.incidents import incidents_router
from command.api.keys import keys_router
from command.api.live import live_router
from command.api.login import login_router
from command.api.notes import add_note_problems, notes_router
from command.api.people import people_router
from command.api.places import add_facility_problems, places_router
from command.api.problems import add_problem_handlers, problem
from command.api.rate import RateLimit, RateRules
from command.api.responses import responses_router
from command.api.roster import add_roster_problems, roster_router
from command.api.rule_pages import rule_pages_router
from command.api.rules import add_rule_problems, rules_router
from command.api.schema import PROBLEMS, describe
from command.api.search import search_router
from command.api.silences import silences_router
from command.api.state import state_router
from command.api.texts import texts_router
from command.api.tiles import tiles_router
from command.api.tracks import tracks_router
from command.api.watch import watch_router
from command.domain.area import Area
from command.domain.online_map import OnlineMap
from command.operations.access import Mounted, Need, Open, needs
from command.operations.console import Console
from command.operations.people import Accounts
from command.operations.second_factor import SecondFactors
from command.operations.session_gate import SessionGate
from command.operations.single_sign_on import SingleSignOn
from command.operations.tokens import ApiTokens

_GZIP_FROM_BYTES: Final = 1_024
_GZIP_LEVEL: Final = 5


ConsoleMount = Callable[[FastAPI], Mounted]
"""Adds the pages to the application."""


def make_web(
    *,
    console: Console,
    accounts: Accounts,
    factors: SecondFactors,
    tokens: ApiTokens,
    gate: SessionGate,
    basemap: Path,
    mount: ConsoleMount,
    secure: bool,
    rate: RateRules | None = None,
    sso: SingleSignOn | None = None,
    online_map: OnlineMap | None = None,
) -> FastAPI:
    """The application. Its lifespan starts and stops `console`. secure: it will be served over TLS. sso: sign-in at the
    authority's identity provider. online_map: browsers may ask its server for tiles.

    mount: dashboards.shell's; given as a value because the API and the dashboards do not know each other.
    """

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        console.start()
        try:
            yield
        finally:
            await asyncio.to_thread(console.stop)

    def every_area() -> Sequence[Area]:
        return console.area_book.everything()

    of_the_pages: dict[str, Need] = {}
    web = FastAPI(
        title="Mizugiwa",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        responses=PROBLEMS,
        lifespan=lifespan,
        dependencies=[Depends(permission_check(of_the_pages))],
    )
    describe(web, cookie=SESSION_COOKIE, csrf_header=CSRF_HEADER)
    add_problem_handlers(web)
    add_area_problems(web)
    add_note_problems(web)
    add_facility_problems(web)
    add_roster_problems(web)
    add_handover_problems(web)
    add_delivery_problems(web)
    add_rule_problems(web)
    for router in (
        login_router(accounts, factors, gate=gate, realm=console.realm, secure=secure, sso=sso),
        account_router(accounts, factors, tokens, gate=gate, realm=console.realm, areas=every_area),
        people_router(accounts, factors, tokens, gate=gate, realm=console.realm, areas=every_area),
        alerts_router(console),
        responses_router(console),
        silences_router(console),
        keys_router(console.keys),
        incidents_router(console),
        tracks_router(console),
        areas_router(console),
        rules_router(console),
        rule_pages_router(console),
        places_router(console),
        notes_router(console),
        roster_router(console),
        watch_router(console),
        handover_router(console, accounts),
        handover_desk_router(console, accounts),
        search_router(console),
        deliveries_router(console.delivery_desk),
        delivery_pages_router(console.delivery_desk, realm=console.realm),
        state_router(console, gate),
        live_router(console, lambda person: (gate if person.scopes is None else tokens).again(person)),
        tiles_router(basemap),
        texts_router(),
    ):
        web.include_router(router)
    mounted = mount(web)
    of_the_pages |= mounted.needs
    refuse_unchecked(web, mounted.folders)

    @web.get("/{path:path}", include_in_schema=False)
    @needs(Open.SIGNED_IN)
    async def nothing_there(path: str) -> JSONResponse:
        return problem(404, f"there is nothing at /{path}; the console is at /")

    web.add_middleware(_Gzip)
    web.add_middleware(
        Guard,
        gate=gate,
        tokens=tokens,
        rate=RateLimit(rate or RateRules()),
        content_security_policy=content_security_policy(mounted.script_hashes, online_map),
        secure=secure,
    )
    return web


def content_security_policy(script_hashes: Sequence[str], online_map: OnlineMap | None = None) -> str:
    """Everything from this server only, and from that of an online map where there is one. Styles may be inline: the
    component libraries set them on elements."""
    tiles = "" if online_map is None else f" {online_map.origin}"
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' {' '.join(script_hashes)}".strip(),
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data: blob:",
            "font-src 'self' data:",
            f"connect-src 'self'{tiles}",
            "worker-src 'self' blob:",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


class _Gzip:
    """gzip for everything but what is compressed already: byte ranges of the basemap, and fonts."""

    def __init__(self, app: ASGIApp) -> None:
        self._plain = app
        self._gzip = GZipMiddleware(app, minimum_size=_GZIP_FROM_BYTES, compresslevel=_GZIP_LEVEL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        plain = scope["type"] != "http" or scope["path"].startswith("/tiles/") or scope["path"].endswith(".woff2")
        await (self._plain if plain else self._gzip)(scope, receive, send)
