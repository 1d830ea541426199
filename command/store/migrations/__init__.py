"""Making and migrating the schemas: `shared` once a database, and one schema a realm.

Two Alembic histories and one way to run them. The histories are package data (shared/, realm/ beside this file), so
an installed wheel migrates like a checkout. Each schema has its own alembic_version table; one advisory lock lets one
process migrate at a time.
"""

from __future__ import annotations

import sqlalchemy.exc
from alembic import command as alembic_command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text
from sqlalchemy.orm import Session

from command.domain.clock import DataClock, ScenarioClock, SystemClock
from command.domain.realm import Realm, RealmKind
from command.store.engine import StoreNotMigrated, realm_session, shared_session
from command.store.realms import add_realm, forget_realm
from command.store.tables import SHARED_SCHEMA

_PACKAGE = "command.store:migrations"


def migrate(engine: Engine) -> None:
    """Bring the schema `shared` (and the PostGIS extension) to this version. Does nothing where it is there already.

    Raises StoreUnavailable where the server is away, StoreNotMigrated where it cannot be brought there: PostGIS
    is missing, the user lacks rights, or a newer version migrated it before.
    """
    with shared_session(engine) as session:
        _one_at_a_time(session)
        _ensure_postgis(session)
        session.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SHARED_SCHEMA}"))
        _upgrade(session.connection(), history="shared", schema=SHARED_SCHEMA)


def ensure_realm(engine: Engine, realm: Realm, *, clock: ScenarioClock | DataClock | None) -> None:
    """Make the realm's schema or bring it to this version; nothing where it is there already. Call `migrate` first.

    clock: what a new realm is given, None for the host's clock. A realm that exists keeps its own
    (realms.save_realm_clock changes it). Errors as `migrate`.
    """
    with realm_session(engine, realm) as session:
        _one_at_a_time(session)
        session.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{realm.schema}"'))
        _upgrade(session.connection(), history="realm", schema=realm.schema)
        add_realm(session, realm, clock=clock, now_us=SystemClock().now_us())


def drop_realm(engine: Engine, realm: Realm) -> None:
    """Delete a replay or drill with all it holds. Raises ValueError for `live`."""
    if realm.kind is RealmKind.LIVE:
        raise ValueError("the realm live is never dropped; only replay-NAME and drill-NAME are")
    with shared_session(engine) as session:
        _one_at_a_time(session)
        session.execute(text(f'DROP SCHEMA IF EXISTS "{realm.schema}" CASCADE'))
        forget_realm(session, realm)


def _one_at_a_time(session: Session) -> None:
    """Hold the other processes' migrations off until this transaction ends.

    The lock on a catalog makes this connection see what they committed while it waited: an advisory lock alone
    leaves its cache of schema names as it was, and CREATE SCHEMA IF NOT EXISTS fails on one that exists.
    """
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('mizugiwa migrations', 0))"))
    session.execute(text("LOCK TABLE pg_catalog.pg_namespace IN ACCESS SHARE MODE"))


def _ensure_postgis(session: Session) -> None:
    try:
        session.execute(text("CREATE EXTENSION IF NOT EXISTS postgis WITH SCHEMA public"))
    except (sqlalchemy.exc.ProgrammingError, sqlalchemy.exc.NotSupportedError, sqlalchemy.exc.InternalError) as exc:
        raise StoreNotMigrated(
            f"the database has no PostGIS and this user cannot add it ({str(exc.orig).splitlines()[0]}); install "
            "postgresql-15-postgis-3 on the server and run, as a superuser in this database, CREATE EXTENSION postgis"
        ) from exc


def _upgrade(connection: Connection, *, history: str, schema: str) -> None:
    config = Config()
    config.set_main_option("script_location", _PACKAGE)
    config.set_main_option("version_locations", f"{_PACKAGE}/{history}")
    config.set_main_option("path_separator", "newline")
    config.attributes.update(connection=connection, schema=schema)
    try:
        alembic_command.upgrade(config, "head")
    except CommandError as exc:
        raise StoreNotMigrated(
            f"schema {schema} cannot be migrated by this version ({exc}); a newer Mizugiwa migrated it, so install "
            "that version or a later one"
        ) from exc
