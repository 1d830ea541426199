"""A whole console on a real PostGIS and a real server, and people to use it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, expect
from psycopg import sql
from sqlalchemy import Engine
from starlette.routing import BaseRoute
from websockets import Origin
from websockets.sync.client import ClientConnection, connect

from command.api.rate import RateRules
from command.api.web import make_web
from command.domain.alert import Alert, Finding, FindingKind, Severity
from command.domain.clock import SystemClock
from command.domain.geo import Position
from command.domain.observation import SubjectKind
from command.domain.people import Role
from command.domain.realm import Realm
from command.domain.track import Track, TrackStatus
from command.i18n.names import Names
from command.operations.codes import CodeKey
from command.operations.console import Console
from command.operations.people import AccountRules, Accounts
from command.operations.second_factor import SecondFactors
from command.operations.session_gate import SessionGate
from command.operations.single_sign_on import SingleSignOn
from command.operations.tokens import ApiTokens
from command.services import Endpoints, free_ports
from command.store.alerts import record_findings
from command.store.engine import make_engine, realm_session
from command.store.migrations import ensure_realm, migrate
from command.store.tracks import LatestTrack, next_flush_seq, upsert_latest
from dashboards.shell import mount_console

PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)
PASSWORD = "a long phrase of the watch 7"  # noqa: S105 - of accounts that live as long as a test


@dataclass(kw_only=True)
class Web:
    """One running console. `first_password` is what the terminal would show."""

    url: str
    engine: Engine
    realm: Realm
    console: Console
    accounts: Accounts
    gate: SessionGate
    first_password: str
    password: str = PASSWORD
    database: str
    admin_url: str
    application: FastAPI
    clock: SystemClock = field(default_factory=SystemClock)

    def client(self) -> httpx.Client:
        """Somebody's browser, signed in by nobody yet."""
        return httpx.Client(base_url=self.url, headers={"Origin": self.url}, timeout=20.0)

    def sign_in(self, client: httpx.Client, login: str, password: str) -> httpx.Response:
        client.get("/login")
        form = {"csrf": client.cookies.get("mizugiwa_form", ""), "login": login, "password": password}
        return client.post("/login", data=form)

    @contextmanager
    def signed_in(self, role: Role = Role.OFFICER) -> Iterator[httpx.Client]:
        """A person of this role whose password is their own; scripts' token set as the page's script sets it."""
        login = f"{role.value}-{uuid.uuid4().hex[:6]}"
        first = self.accounts.create(login, login, frozenset({role}), by="test")
        with self.client() as client:
            self.sign_in(client, login, first)
            form = {"csrf": client.cookies["_csrf_token"], "current": first, "new": PASSWORD, "again": PASSWORD}
            assert client.post("/password", data=form).headers["location"] == "/"
            client.headers["X-CSRFToken"] = client.cookies["_csrf_token"]
            yield client

    @contextmanager
    def socket(self, client: httpx.Client, path: str) -> Iterator[ClientConnection]:
        """A WebSocket in the browser of somebody who is signed in."""
        cookie = f"mizugiwa_session={client.cookies['mizugiwa_session']}"
        address = self.url.replace("http", "ws") + path
        with connect(address, origin=Origin(self.url), additional_headers={"Cookie": cookie}) as socket:
            yield socket

    def routes(self) -> list[BaseRoute]:
        """Every route that the application has, the console's own and Dash's."""
        found: list[BaseRoute] = []
        pending: list[Any] = list(self.application.routes)
        while pending:
            route = pending.pop(0)
            nested = getattr(route, "original_router", None)
            if nested is not None:
                pending += nested.routes
            else:
                found.append(route)
        return found

    def put_tracks(self, tracks: list[Track]) -> None:
        with realm_session(self.engine, self.realm) as session:
            seq = next_flush_seq(session)
            upsert_latest(session, [LatestTrack(track, b"") for track in tracks], flush_seq=seq)

    def vessel(self, mmsi: int, lon: float, lat: float, *, name: str | None = None) -> Track:
        now_us = self.clock.now_us()
        return Track(
            track_id=uuid.uuid5(uuid.NAMESPACE_OID, f"{self.realm.name}{mmsi}"),
            subject=f"mmsi:{mmsi:09d}",
            kind=SubjectKind.VESSEL,
            status=TrackStatus.LIVE,
            source="ais-test",
            observed_at_us=now_us,
            recorded_at_us=now_us,
            position=Position(lon=lon, lat=lat),
            speed_mps=5.0,
            course_deg=90.0,
            attributes={"name": name or f"VESSEL {mmsi}"},
        )

    def raise_alert(self, track: Track, *, severity: Severity = Severity.HIGH, rule: str = "geofence_entry") -> Alert:
        now_us = self.clock.now_us()
        named = Names().of_track(track)
        finding = Finding(
            kind=FindingKind.OPENED,
            rule=rule,
            severity=severity,
            subject=track.subject,
            area="north",
            episode_start_us=now_us,
            observed_at_us=now_us,
            position=track.position,
            because="because.geofence_entry",
            because_params={"subject": named, "area": "north", "since_us": now_us},
            track_id=track.track_id,
        )
        with realm_session(self.engine, self.realm) as session:
            (alert,) = record_findings(
                session, self.realm, [finding], labels={track.subject: named["ja"]}, now_us=now_us
            )
        return alert

    def lose_database(self) -> None:
        """The server ends every connection of this database and takes no new one."""
        self._admin("ALTER DATABASE {} ALLOW_CONNECTIONS false")
        with psycopg.connect(self.admin_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [self.database])

    def restore_database(self) -> None:
        self._admin("ALTER DATABASE {} ALLOW_CONNECTIONS true")

    def _admin(self, statement: str) -> None:
        with psycopg.connect(self.admin_url, autocommit=True) as admin:
            admin.execute(sql.SQL(statement).format(sql.Identifier(self.database)))


@pytest.fixture
def account_rules() -> AccountRules:
    """Overridden where a test needs other limits."""
    return AccountRules()


@pytest.fixture
def rate_rules() -> RateRules:
    """Overridden where a test needs other limits."""
    return RateRules()


@pytest.fixture
def identity() -> Callable[[Engine, Accounts], SingleSignOn] | None:
    """Overridden where people sign in at an identity provider."""
    return None


@pytest.fixture
def basemap(tmp_path: Path) -> Path:
    """10,000 bytes that stand for a basemap: range requests do not read it."""
    path = tmp_path / "japan.pmtiles"
    path.write_bytes(bytes(i % 251 for i in range(10_000)))
    return path


@pytest.fixture(scope="module")
def web_port() -> int:
    """Where the consoles of a file's tests are served, one after the other: to a browser they are one."""
    (port,) = free_ports(1)
    return port


@pytest.fixture
def web(
    database_url: str,
    web_port: int,
    endpoints: Endpoints,
    account_rules: AccountRules,
    rate_rules: RateRules,
    basemap: Path,
    eventually: Callable[..., None],
    identity: Callable[[Engine, Accounts], SingleSignOn] | None,
) -> Iterator[Web]:
    """The console of a drill, served by uvicorn in a thread, on a fresh database."""
    engine = make_engine(database_url)
    realm = Realm.parse("drill-console")
    migrate(engine)
    ensure_realm(engine, realm, clock=None)
    console = Console(engine, database_url=database_url, realm=realm, clock=SystemClock(), teams=("duty", "tsushima"))
    accounts = Accounts(engine, rules=account_rules)
    first = accounts.ensure_first_admin()
    assert first is not None
    factors = SecondFactors(engine, accounts=accounts, key=CodeKey(bytes(range(32))))
    gate = SessionGate(engine, rules=account_rules)
    application = make_web(
        console=console,
        accounts=accounts,
        factors=factors,
        tokens=ApiTokens(engine, accounts=accounts),
        rate=rate_rules,
        gate=gate,
        basemap=basemap,
        mount=lambda server: mount_console(server, console),
        secure=False,
        sso=None if identity is None else identity(engine, accounts),
    )
    server = uvicorn.Server(uvicorn.Config(application, host="127.0.0.1", port=web_port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    eventually(lambda: server.started)
    assert console.wait_caught_up(20.0)
    yield Web(
        url=f"http://127.0.0.1:{web_port}",
        engine=engine,
        realm=realm,
        console=console,
        accounts=accounts,
        gate=gate,
        first_password=first[1],
        database=psycopg.conninfo.conninfo_to_dict(database_url)["dbname"],
        admin_url=endpoints.database_url,
        application=application,
    )
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()
    engine.dispose()


class Desks:
    """The browsers of a file's tests, by whose they are. The scripts that one has fetched and compiled it keeps for the
    next test, which halves what a console costs to open; whatever people leave in it goes with them."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: dict[str, BrowserContext] = {}

    @contextmanager
    def sit(self, whose: str, url: str, **options: Any) -> Iterator[Page]:
        """A page in this person's browser. options: of the browser, where it is the first of them."""
        if whose not in self._contexts:
            self._contexts[whose] = self._browser.new_context(viewport={"width": 1440, "height": 900}, **options)
            self._contexts[whose].set_default_timeout(PATIENCE_MS)
        context = self._contexts[whose]
        yield context.new_page()
        for page in context.pages:
            page.close()
        blank = context.new_page()
        kept = "cookies,local_storage,indexeddb,cache_storage,service_workers"
        context.new_cdp_session(blank).send("Storage.clearDataForOrigin", {"origin": url, "storageTypes": kept})
        blank.close()

    def close(self) -> None:
        for context in self._contexts.values():
            context.close()


@pytest.fixture(scope="module")
def desks(browser: Browser) -> Iterator[Desks]:
    """Desks whose browsers live as long as the file's tests run."""
    desks = Desks(browser)
    yield desks
    desks.close()


@pytest.fixture
def page(desks: Desks, web: Any) -> Iterator[Page]:
    """A page of the console; the test fails where it asks another machine for anything, or a script fails."""
    outside: list[str] = []
    broken: list[str] = []
    with desks.sit("officer", web.url) as page:
        page.on("request", lambda r: outside.append(r.url) if _outside(r.url) else None)
        page.on("pageerror", lambda error: broken.append(str(error)))
        yield page
    assert not outside
    assert not broken


@pytest.fixture
def other(desks: Desks, web: Any) -> Iterator[Page]:
    """Another officer's browser."""
    with desks.sit("other", web.url) as page:
        yield page


def _outside(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1"


@pytest.fixture
def enter(page: Page, web: Any, sign_in: Callable[..., None]) -> Callable[[], None]:
    """The first administrator signs in on the page."""
    return lambda: sign_in(page, web.url, login="admin", password=web.first_password)


@pytest.fixture
def until(page: Page, eventually: Callable[..., None]) -> Callable[..., None]:
    """Waits for an expression on the page; Playwright's own wait_for_function evaluates in the page, which its content
    security policy forbids."""
    return lambda expression, argument=None: eventually(
        lambda: page.evaluate(expression, argument), within_s=PATIENCE_MS / 1_000
    )
