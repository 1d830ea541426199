"""One database for these tests and a fresh realm for each."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine

from command.domain.realm import Realm
from command.services import Endpoints
from command.store.engine import make_engine
from command.store.migrations import ensure_realm, migrate


@pytest.fixture(scope="session")
def store_url(endpoints: Endpoints) -> Iterator[str]:
    """A migrated database; tests that need one of their own use `database_url`."""
    name = f"test_store_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(endpoints.database_url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = psycopg.conninfo.make_conninfo(endpoints.database_url, dbname=name)
    engine = make_engine(url)
    migrate(engine)
    engine.dispose()
    yield url
    with psycopg.connect(endpoints.database_url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def engine(store_url: str) -> Iterator[Engine]:
    made = make_engine(store_url)
    yield made
    made.dispose()


@pytest.fixture
def realm(engine: Engine) -> Realm:
    """A fresh realm; it goes with the database."""
    name = Realm.parse(f"drill-{uuid.uuid4().hex[:12]}")
    ensure_realm(engine, name, clock=None)
    return name
