"""Connections to PostGIS: an engine, one transaction a session, and lost connections said in one way."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
import sqlalchemy.exc
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.orm import Session

from command.domain.realm import Realm
from command.store.jsonb import json_text

_CONNECT_TIMEOUT_S: Final = 5
_POOL_SIZE: Final = 5
_POOL_OVERFLOW: Final = 15
_POOL_WAIT_S: Final = 10.0
_UNDEFINED_TABLE: Final = "42P01"
_UNDEFINED_SCHEMA: Final = "3F000"
_UNDEFINED_FUNCTION: Final = "42883"
_UNDEFINED_COLUMN: Final = "42703"
_UNDEFINED_TYPE: Final = "42704"
_NOT_MIGRATED: Final = frozenset(
    {_UNDEFINED_TABLE, _UNDEFINED_SCHEMA, _UNDEFINED_FUNCTION, _UNDEFINED_COLUMN, _UNDEFINED_TYPE}
)
_ADMIN_SHUTDOWN: Final = frozenset({"57P01", "57P02", "57P03"})
"""Shutdown, crash and start-up of the server: not OperationalError in every place where they surface."""


class StoreUnavailable(RuntimeError):
    """The database is away, going away or too busy: nothing of this transaction was kept; try the whole of it again."""


class StoreNotMigrated(RuntimeError):
    """The database does not have the tables that this version of the program needs."""


def connection_parameters(database_url: str) -> dict[str, Any]:
    """libpq parameters of a DSN (`host=... dbname=...`) or URL (`postgresql://...`), with our own settings added.

    Raises ValueError, without repeating the text (it may hold a password), where libpq cannot read it.
    """
    url = database_url.replace("postgresql+psycopg://", "postgresql://", 1)
    try:
        parameters: dict[str, Any] = conninfo_to_dict(url)
    except psycopg.ProgrammingError as exc:
        raise ValueError(
            "DATABASE_URL is not readable; write postgresql://USER:PASSWORD@HOST:PORT/DATABASE or host=... dbname=..."
        ) from exc
    given = f"{parameters['options']} " if parameters.get("options") else ""
    return {
        "connect_timeout": _CONNECT_TIMEOUT_S,
        "application_name": "mizugiwa",
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        **parameters,
        "options": f"{given}-c timezone=UTC -c client_min_messages=warning",
    }


def connection_label(parameters: dict[str, Any]) -> str:
    """The server and database in words, without a password."""
    host = parameters.get("host") or parameters.get("hostaddr") or "the local socket"
    port = f" port {parameters['port']}" if parameters.get("port") else ""
    return f"database {parameters.get('dbname') or parameters.get('user') or 'default'} at {host}{port}"


def make_engine(database_url: str) -> Engine:
    """An engine for a libpq DSN or URL. Connects lazily; raises ValueError where the DSN is not readable.

    Dispose of it (`engine.dispose()`) when the process ends.
    """
    parameters = connection_parameters(database_url)
    return create_engine(
        "postgresql+psycopg://",
        connect_args=parameters,
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_OVERFLOW,
        pool_timeout=_POOL_WAIT_S,
        pool_pre_ping=True,
        json_serializer=json_text,
        hide_parameters=True,  # a statement's values may be hashes of passwords and tokens: they stay out of every log
        logging_name=connection_label(parameters),
    )


def _reason(exc: BaseException) -> str:
    """The driver's own first line."""
    origin = getattr(exc, "orig", None) or exc
    return (str(origin).strip().splitlines() or [type(origin).__name__])[0]


def _sqlstate(exc: BaseException) -> str | None:
    origin = getattr(exc, "orig", None) or exc
    found: str | None = getattr(origin, "sqlstate", None)
    return found


@contextmanager
def store_errors(where: str) -> Iterator[None]:
    """A server that is away becomes StoreUnavailable, a missing table StoreNotMigrated; other errors pass."""
    try:
        yield
    except (
        sqlalchemy.exc.DBAPIError,
        sqlalchemy.exc.TimeoutError,
        psycopg.Error,
    ) as exc:
        lost = (
            isinstance(
                exc,
                sqlalchemy.exc.OperationalError
                | sqlalchemy.exc.InterfaceError
                | sqlalchemy.exc.TimeoutError
                | psycopg.OperationalError
                | psycopg.InterfaceError,
            )
            or getattr(exc, "connection_invalidated", False)
            or _sqlstate(exc) in _ADMIN_SHUTDOWN
        )
        if lost:
            raise StoreUnavailable(
                f"{where} does not answer ({_reason(exc)}); nothing of this transaction was kept, try again. "
                "If it stays so, see `mizugiwa doctor`."
            ) from exc
        if _sqlstate(exc) in _NOT_MIGRATED:
            raise StoreNotMigrated(
                f"{where} lacks what this version needs ({_reason(exc)}); run `mizugiwa up`, which migrates it"
            ) from exc
        raise


def engine_label(engine: Engine) -> str:
    """Which server and database an engine speaks to, for messages."""
    return engine.logging_name or "the database"


@contextmanager
def shared_session(engine: Engine) -> Generator[Session]:
    """One transaction on what realms share (people, audit, facilities): commits at the end, rolls back on an error.

    Raises StoreUnavailable where the server is away or goes away.
    """
    with store_errors(engine_label(engine)), Session(engine, autoflush=False) as session, session.begin():
        yield session


@contextmanager
def realm_session(engine: Engine, realm: Realm) -> Generator[Session]:
    """One transaction in a realm: unqualified tables are the realm's, those of `shared` can be reached too.

    Commits at the end of the block, rolls back on an error. Raises StoreUnavailable where the server is away or
    goes away (nothing was kept, so the whole block may be tried again), StoreNotMigrated where the realm's
    tables are not there (call migrations.ensure_realm first).
    """
    with shared_session(engine) as session:
        session.info["realm"] = realm
        session.execute(text("SELECT set_config('search_path', :path, true)"), {"path": f"{realm.schema}, public"})
        yield session


def realm_of(session: Session) -> Realm:
    """The realm that a session of `realm_session` is in."""
    realm: Realm = session.info["realm"]
    return realm


def driver_connection(session: Session) -> psycopg.Connection[Any]:
    """The psycopg connection under a session, inside its transaction: for COPY only."""
    connection = session.connection().connection.driver_connection
    if not isinstance(connection, psycopg.Connection):
        raise TypeError(f"{type(connection).__name__} is no psycopg connection; build the engine with make_engine")
    return connection
