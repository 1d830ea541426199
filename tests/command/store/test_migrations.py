"""Migrations: from nothing, again, at the same time, and never backwards."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, MetaData, text

from command.domain.clock import DataClock, ScenarioClock, SystemClock
from command.domain.realm import Realm
from command.store.engine import StoreNotMigrated, make_engine, realm_session, shared_session
from command.store.health import list_heartbeats, save_heartbeat
from command.store.migrations import drop_realm, ensure_realm, migrate
from command.store.realms import UnknownRealm, list_realms, load_realm_clock, save_realm_clock
from command.store.tables import REALM_TABLES, SHARED_TABLES

HOT = {"observation", "track_state", "evidence", "alembic_version"}
"""Tables that COPY and plain SQL use; test_observations and test_tracks hold them against the domain's dtypes."""


def test_migrating_again_changes_nothing_and_keeps_what_there_is(engine: Engine, realm: Realm) -> None:
    with realm_session(engine, realm) as session:
        save_heartbeat(session, "intake", now_us=1, pid=1, detail={})
        before = relations(session)

    migrate(engine)
    ensure_realm(engine, realm, clock=None)

    with realm_session(engine, realm) as session:
        assert [beat.process for beat in list_heartbeats(session)] == ["intake"]
        assert relations(session) == before


def relations(session: object) -> list[tuple[int, str]]:
    rows = session.execute(  # type: ignore[attr-defined]  # a Session; its name is not needed here
        text("SELECT c.oid, c.relname FROM pg_class c WHERE relnamespace = current_schema()::regnamespace ORDER BY 1")
    )
    return [(row.oid, row.relname) for row in rows]


def test_processes_that_start_together_migrate_once(database_url: str) -> None:
    engine = make_engine(database_url)
    live = Realm.parse("live")

    def start(_: int) -> None:
        migrate(engine)
        ensure_realm(engine, live, clock=None)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(start, range(4)))

    assert list_realms(engine) == [live]
    engine.dispose()


@pytest.mark.parametrize(("tables", "schema"), [(REALM_TABLES, None), (SHARED_TABLES, "shared")])
def test_the_tables_in_code_are_those_that_the_migrations_make(
    engine: Engine, realm: Realm, tables: MetaData, schema: str | None
) -> None:
    def ours(name: str | None, kind: str, parents: object) -> bool:
        return kind != "schema" or name == schema

    with realm_session(engine, realm) as session:
        context = MigrationContext.configure(
            session.connection(),
            opts={
                "include_schemas": schema is not None,
                "include_name": ours,
                "compare_type": True,
                "include_object": lambda item, name, kind, reflected, against: (
                    kind in ("table", "column") and not (kind == "table" and is_hot(str(name)))
                ),
            },
        )
        differences = compare_metadata(context, tables)

    assert differences == []


def is_hot(name: str) -> bool:
    return name in HOT or name.startswith(("observation_", "track_state_")) or name == "spatial_ref_sys"


def test_a_database_of_a_newer_version_is_left_alone(database_url: str) -> None:
    engine = make_engine(database_url)
    migrate(engine)
    with shared_session(engine) as session:
        session.execute(text("UPDATE shared.alembic_version SET version_num = 'shared_9999'"))

    with pytest.raises(StoreNotMigrated, match="a newer Mizugiwa migrated it"):
        migrate(engine)
    engine.dispose()


@pytest.mark.parametrize(
    "clock",
    [None, ScenarioClock(scenario_start_us=5, host_start_us=7, speed=10.0), DataClock(latest_us=1_437_000_000_000_000)],
)
def test_every_process_of_a_realm_sees_the_same_clock(
    engine: Engine, realm: Realm, clock: ScenarioClock | DataClock | None
) -> None:
    drop_realm(engine, realm)
    ensure_realm(engine, realm, clock=clock)
    ensure_realm(engine, realm, clock=ScenarioClock(scenario_start_us=1, host_start_us=1, speed=1.0))

    with shared_session(engine) as session:
        found = load_realm_clock(session, realm)

    assert found == clock or (clock is None and isinstance(found, SystemClock))


def test_a_realm_takes_the_clock_it_is_given_later(engine: Engine, realm: Realm) -> None:
    with realm_session(engine, realm) as session:
        save_realm_clock(session, realm, DataClock(latest_us=3))
    with realm_session(engine, realm) as session:
        assert load_realm_clock(session, realm) == DataClock(latest_us=3)


def test_a_realm_that_was_never_made_has_no_clock(engine: Engine) -> None:
    never = Realm.parse("replay-never")
    with pytest.raises(UnknownRealm, match="no realm replay-never"), shared_session(engine) as session:
        load_realm_clock(session, never)
    with pytest.raises(UnknownRealm, match="no realm replay-never"), shared_session(engine) as session:
        save_realm_clock(session, never, DataClock(latest_us=3))


def test_a_replay_can_be_dropped_whole_and_live_never(engine: Engine, realm: Realm) -> None:
    drop_realm(engine, realm)

    assert realm not in list_realms(engine)
    with pytest.raises(ValueError, match="never dropped"):
        drop_realm(engine, Realm.parse("live"))
