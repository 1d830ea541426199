"""Fixtures that every test may use: real recordings, a fresh PostGIS database, a fresh RabbitMQ vhost."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep

import psycopg
import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from psycopg import sql

from command.services import Endpoints, delete_vhost, ensure_services, ensure_vhost, stop_services

REPOSITORY = Path(__file__).parent.parent
CHROMIUM_FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def server_dir() -> Iterator[Callable[[str], Path]]:
    """Makes data directories that private servers can live in, outside pytest's own folder: that one is closed to
    every account but ours, again and again, by each pytest that starts."""
    made: list[Path] = []

    def make(name: str) -> Path:
        path = Path(tempfile.mkdtemp(prefix=f"mizugiwa-{name}-"))
        path.chmod(0o755)
        made.append(path)
        return path

    yield make
    for path in made:
        shutil.rmtree(path)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout's root."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The real recordings beside the checkout; a test that needs them skips where they are absent, and fails in CI."""
    path = REPOSITORY.parent / "shared" / "data"
    if not path.is_dir():
        message = "the real recordings are not at ../shared/data; this test needs them"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def endpoints(server_dir: Callable[[str], Path]) -> Iterator[Endpoints]:
    """PostGIS and RabbitMQ: DATABASE_URL and AMQP_URL where set, else private servers for this test run."""
    data_dir = server_dir("services")
    endpoints = ensure_services(
        data_dir,
        database_url=os.environ.get("DATABASE_URL"),
        amqp_url=os.environ.get("AMQP_URL"),
        management_url=os.environ.get("AMQP_MANAGEMENT_URL"),
    )
    if "DATABASE_URL" not in os.environ:
        _need_not_outlive_the_machine(endpoints.database_url)
    yield endpoints
    if not {"DATABASE_URL", "AMQP_URL"} <= os.environ.keys():
        stop_services(data_dir)


def _need_not_outlive_the_machine(database_url: str) -> None:
    """Thousands of databases are made and dropped: nothing of them waits for the disk. A process that is killed loses
    nothing by that; only a machine that stops would."""
    with psycopg.connect(database_url, autocommit=True) as admin:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            admin.execute(sql.SQL("ALTER SYSTEM SET {} = off").format(sql.Identifier(setting)))
        admin.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="session")
def database_template(endpoints: Endpoints) -> Iterator[str]:
    """The name of a database with PostGIS and nothing else: a copy of it is there in an eighth of the time that PostGIS
    takes to be added to an empty one."""
    name = f"template_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(endpoints.database_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        dsn = psycopg.conninfo.make_conninfo(endpoints.database_url, dbname=name)
        with psycopg.connect(dsn, autocommit=True) as template:
            template.execute("CREATE EXTENSION postgis WITH SCHEMA public")
        yield name
        admin.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


@pytest.fixture
def database_url(endpoints: Endpoints, database_template: str) -> Iterator[str]:
    """A fresh database with PostGIS, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY wal_log")
    with psycopg.connect(endpoints.database_url, autocommit=True) as admin:
        admin.execute(copy.format(sql.Identifier(name), sql.Identifier(database_template)))
    yield psycopg.conninfo.make_conninfo(endpoints.database_url, dbname=name)
    with psycopg.connect(endpoints.database_url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def amqp_url(endpoints: Endpoints) -> str:
    """The broker, without a vhost."""
    return endpoints.amqp_url


@pytest.fixture
def vhost(endpoints: Endpoints) -> Iterator[str]:
    """A fresh vhost, deleted afterwards."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    ensure_vhost(endpoints, name)
    yield name
    delete_vhost(endpoints, name)


@pytest.fixture(scope="session")
def eventually() -> Callable[..., None]:
    """Wait until a condition holds, or fail after `within_s` with what was last seen."""

    def wait(condition: Callable[[], object], *, within_s: float = 20.0, every_s: float = 0.05) -> None:
        deadline = monotonic() + within_s
        while not (seen := condition()):
            if monotonic() > deadline:
                pytest.fail(f"not so within {within_s} s; last seen: {seen!r}")
            sleep(every_s)

    return wait


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium with software graphics."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def sign_in() -> Callable[..., None]:
    """Sign in for the first time, with the password that the terminal showed, and choose one of one's own."""

    def sign_in(page: Page, url: str, *, login: str, password: str) -> None:
        own = "a long phrase of the watch 7"
        page.goto(f"{url}/login")
        page.fill("#login", login)
        page.fill("#password", password)
        page.keyboard.press("Enter")
        page.fill("#current", password)
        page.fill("#new", own)
        page.fill("#again", own)
        page.keyboard.press("Enter")
        page.wait_for_selector("#clock-jst:not(:empty)")

    return sign_in
