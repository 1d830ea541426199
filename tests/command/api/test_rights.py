"""Who may do what: every route, callback and message, called by every role; docs/rights.md is what came of it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from sqlalchemy import Engine
from starlette.routing import Mount, Route, WebSocketRoute
from websockets.exceptions import InvalidStatus

from command.api.guard import PUBLIC
from command.api.live import HEARD
from command.api.web import make_web
from command.domain.people import Role, User
from command.operations.access import Mounted, Need, Open, limited_to_areas, need_of, needs
from command.operations.codes import CodeKey
from command.operations.people import GRANTS, Accounts, Permission, Person
from command.operations.single_sign_on import ClaimRules, SingleSignOn
from command.services.openid import Provider, Registration
from dashboards.shell import NEEDS, ConsoleApp

HEADER = """# Who may do what

Written by `tests/command/api/test_rights.py`, which calls each of these as each role; it fails where this page is not
what came of it (`WRITE_RIGHTS=1` writes it anew). What declares no need is refused to everybody. Where `limited`
says by area, an account or a token with areas ([people.md](people.md)) has it for what lies in them only;
`tests/command/api/test_rights_by_area.py` tries each, inside and outside.

"""
CALLBACKS = "/_dash-update-component"
"""The one way to every callback; each is asked for by itself."""
SHADOWED = "{path:path}"
"""What Dash adds for any other page; ours stands before it."""


def address(path: str) -> str:
    path = re.sub(r"\{[^}]*:path\}", "some/file.js", path)
    return (
        re.sub(r"\{language\}", "ja", path)
        if "{language}" in path
        else re.sub(r"\{[^}]*\}", str(uuid.UUID(int=0)), path)
    )


@pytest.fixture
def identity() -> Callable[[Engine, Accounts], SingleSignOn]:
    """A provider that does not answer: its routes are there all the same."""
    registration = Registration(
        issuer="http://localhost:9",
        client_id="x",
        client_secret=None,
        redirect_uri="http://localhost/x",
        scope="openid",
    )
    return lambda engine, accounts: SingleSignOn(
        engine,
        accounts=accounts,
        provider=Provider(registration),
        rules=ClaimRules(),
        names={"ja": "x", "en": "x"},
        key=CodeKey(bytes(32)),
    )


class Asker:
    """A person of one role, who tries everything."""

    def __init__(self, web: Any, client: httpx.Client) -> None:
        self.web, self.client = web, client

    def route(self, method: str, path: str) -> bool:
        answer = self.client.request(method, address(path), **({} if method == "GET" else {"json": {}}))
        return self._allowed(answer)

    def callback(self, output: str, spec: Any) -> bool:
        asked = {
            "output": output,
            "outputs": [],
            "inputs": [{**each, "value": None} for each in spec["inputs"]],
            "state": [{**each, "value": None} for each in spec["state"]],
            "changedPropIds": [],
        }
        return self._allowed(self.client.post("/_dash-update-component", json=asked))

    def socket(self, path: str) -> bool:
        try:
            with self.web.socket(self.client, path):
                return True
        except InvalidStatus as exc:
            return exc.response.status_code != 403

    def message(self, kind: str) -> bool:
        with self.web.socket(self.client, "/ws/tracks") as socket:
            socket.send(json.dumps({"type": kind}))
            socket.send(json.dumps({"type": "enough"}))
            said = ""
            while "enough" not in said:
                if "may not" in said or "nobody may" in said:
                    return False
                heard = socket.recv(timeout=20)
                said = heard if isinstance(heard, str) and '"error"' in heard else ""
        return True

    def _allowed(self, answer: httpx.Response) -> bool:
        if answer.status_code == 403:
            assert "may not" in answer.text or "nobody may" in answer.text, answer.text
            return False
        assert answer.status_code != 401
        return True


@dataclass(frozen=True, kw_only=True)
class Thing:
    """Something that can be asked for."""

    kind: str
    name: str
    need: Need | None
    limited: bool
    ask: Callable[[Asker], bool]


def things(web: Any) -> list[Thing]:
    """Everything that this application answers to, from what it has registered itself."""
    found = [
        Thing(
            kind="Messages on /ws/tracks",
            name=kind,
            need=need_of(hear),
            limited=limited_to_areas(hear),
            ask=lambda who, kind=kind: who.message(kind),
        )
        for kind, hear in HEARD.items()
    ]
    for route in web.routes():
        if isinstance(route, Mount) or route.path in (CALLBACKS, SHADOWED):
            continue
        need, path = need_of(route.endpoint) or NEEDS.get(route.path), route.path
        limited = limited_to_areas(route.endpoint)
        if isinstance(route, WebSocketRoute):
            found.append(
                Thing(
                    kind="Routes",
                    name=f"WS {path}",
                    need=need,
                    limited=limited,
                    ask=lambda who, path=path: who.socket(path),
                )
            )
            continue
        found += [
            Thing(
                kind="Routes",
                name=f"{method} {path}",
                need=need,
                limited=limited,
                ask=lambda who, method=method, path=path: who.route(method, path),
            )
            for method in route.methods - {"HEAD"}
        ]
    found += [
        Thing(
            kind="Callbacks of the page",
            name=output.strip("."),
            need=need_of(spec["callback"]),
            limited=limited_to_areas(spec["callback"]),
            ask=lambda who, output=output, spec=spec: who.callback(output, spec),
        )
        for output, spec in dash_of(web).callback_map.items()
        if "callback" in spec
    ]
    # whoever leaves cannot ask for more
    return sorted(
        found, key=lambda thing: (thing.name.endswith("/logout"), thing.kind, thing.name.split()[-1], thing.name)
    )


def dash_of(web: Any) -> ConsoleApp:
    layout = next(r for r in web.routes() if getattr(r, "path", "") == "/_dash-layout")
    app: ConsoleApp = layout.endpoint.__self__
    return app


def test_every_route_callback_and_message_is_open_to_those_roles_that_the_page_says(web: Any, repository: Path) -> None:
    # given a person of each role
    with ExitStack() as stack:
        askers = {role: Asker(web, stack.enter_context(web.signed_in(role))) for role in Role}
        # when each of them asks for everything there is
        came = [(thing, {role: thing.ask(asker) for role, asker in askers.items()}) for thing in things(web)]
    # then they get as far as the declared need lets them, and no further
    for thing, by_role in came:
        for role, allowed in by_role.items():
            assert allowed == (role in _granted(thing.need)), f"{role} at {thing.name}"
    # and everything declares a need, but for what of Dash the page does not use
    undeclared = {thing.name for thing, _ in came if thing.need is None}
    assert undeclared == {"GET /_favicon.ico", "GET /_reload-hash", "WS /_dash-ws-callback"}
    # and the page says so
    page = HEADER + _tables(came)
    print(page)  # noqa: T201 - for who reads the test's output
    path = repository / "docs" / "rights.md"
    if os.environ.get("WRITE_RIGHTS"):
        path.write_text(page, "utf-8")
    assert path.read_text("utf-8") == page


def _granted(need: Need | None) -> frozenset[Role]:
    if need is None:
        return frozenset()
    return GRANTS[need] if isinstance(need, Permission) else frozenset(Role)


def _tables(came: list[tuple[Thing, dict[Role, bool]]]) -> str:
    tables: list[str] = []
    for title in ("Routes", "Callbacks of the page", "Messages on /ws/tracks"):
        lines = [f"| | needs | limited | {' | '.join(Role)} |", f"|---|---|---|{'---|' * len(Role)}"]
        for thing, by_role in sorted(came, key=lambda each: (each[0].name.split()[-1], each[0].name)):
            if thing.kind == title:
                marks = " | ".join("yes" if by_role[role] else "-" for role in Role)
                limited = "by area" if thing.limited else "-"
                lines.append(f"| `{thing.name}` | {thing.need or 'refused'} | {limited} | {marks} |")
        tables.append("\n".join((f"## {title}", "", *lines, "")))
    return "\n".join(tables)


def test_what_is_open_to_everybody_is_what_the_guard_lets_pass(web: Any) -> None:
    open_to_all = {r.path for r in web.routes() if need_of(getattr(r, "endpoint", None)) is Open.EVERYBODY}
    assert open_to_all == {path for path in PUBLIC if not path.startswith("/assets/")}


class _Gate:
    """Everybody is a person with every role."""

    def find(self, _: str) -> Person:
        return self.person

    person = Person(
        user=User(
            user_id=uuid.UUID(int=1),
            login="all",
            display_name="all",
            roles=frozenset(Role),
            must_change_password=False,
        ),
        session_id=b"",
        expires_at_us=0,
        active_at_us=0,
    )


class _Console:
    """Has everything that a router takes from a console when it is made, and it is nothing."""

    def __getattr__(self, _: str) -> None:
        return None


def _application(mount: Callable[[FastAPI], None]) -> FastAPI:
    def mounted(web: FastAPI) -> Mounted:
        mount(web)
        return Mounted(script_hashes=(), needs={}, folders=())

    return make_web(
        console=_Console(),  # type: ignore[arg-type]  # none of its routes is asked for
        accounts=None,  # type: ignore[arg-type]
        factors=None,  # type: ignore[arg-type]
        tokens=None,  # type: ignore[arg-type]
        gate=_Gate(),  # type: ignore[arg-type]
        basemap=Path("none"),
        mount=mounted,
        secure=False,
    )


async def _answer(web: FastAPI, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web), base_url="http://here") as client:
        return await client.get(path, cookies={"mizugiwa_session": "x"})


@pytest.mark.filterwarnings("ignore:Setting per-request cookies")
def test_a_route_that_declares_nothing_cannot_be_reached_by_anybody() -> None:
    # given two routes that somebody adds, each in a way of its own, and forgets to say what they need
    async def forgotten() -> str:
        return "reached"

    router = APIRouter()
    router.add_api_route("/api/forgotten", forgotten)

    def mount(web: FastAPI) -> None:
        web.include_router(router)
        web.add_api_route("/api/also", forgotten)
        web.add_api_route("/api/declared", needs(Permission.WATCH)(lambda: "reached"))

    web = _application(mount)
    # when somebody with every role asks for them, then they are refused, and one that says it is not
    for path in ("/api/forgotten", "/api/also"):
        answer = asyncio.run(_answer(web, path))
        assert answer.status_code == 403
        assert "declare it" in answer.json()["detail"]
    assert asyncio.run(_answer(web, "/api/declared")).json() == "reached"


def test_a_route_that_the_check_cannot_see_stops_the_start() -> None:
    async def unseen(_: Any) -> None: ...

    with pytest.raises(TypeError, match="nothing checks who asks"):
        _application(lambda web: web.router.routes.append(Route("/unseen", unseen)))
    with pytest.raises(TypeError, match="nothing checks who asks"):
        _application(lambda web: web.mount("/folder", unseen))


def test_a_callback_that_declares_nothing_cannot_be_reached_by_anybody(web: Any) -> None:
    from dash import Input, Output

    @dash_of(web).callback(Output("somewhere", "children"), Input("beat", "data"))
    async def forgotten(_: Any) -> str:
        return "reached"

    body = {
        "outputs": [],
        "inputs": [{"id": "beat", "property": "data", "value": 1}],
        "state": [],
        "changedPropIds": [],
    }
    with web.signed_in(Role.ADMIN) as client:
        for output in ("somewhere.children", "no.such", "shell.data-started"):
            answer = client.post("/_dash-update-component", json={"output": output, **body})
            assert answer.status_code == 403
            assert "nobody may" in answer.json()["detail"]


def test_a_message_that_declares_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, web: Any) -> None:
    monkeypatch.setitem(HEARD, "forgotten", lambda screen, asked: None)  # type: ignore[arg-type]  # a dict underneath
    with web.signed_in(Role.ADMIN) as client, web.socket(client, "/ws/tracks") as socket:
        socket.send('{"type":"forgotten"}')
        said = ""
        while "nobody may" not in said:
            heard = socket.recv(timeout=20)
            said = heard if isinstance(heard, str) else ""
