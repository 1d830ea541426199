"""Sessions: one transaction each, and one error for a server that is away."""

from __future__ import annotations

import socket
import threading
import urllib.parse

import psycopg
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from command.domain.realm import Realm
from command.store.engine import (
    StoreNotMigrated,
    StoreUnavailable,
    driver_connection,
    make_engine,
    realm_session,
    shared_session,
)
from command.store.health import list_heartbeats, save_heartbeat
from command.store.migrations import ensure_realm, migrate


def test_a_block_that_ends_well_is_kept_and_one_that_fails_is_not(engine: Engine, realm: Realm) -> None:
    with realm_session(engine, realm) as session:
        save_heartbeat(session, "kept", now_us=1, pid=1, detail={})

    def fail() -> None:
        with realm_session(engine, realm) as session:
            save_heartbeat(session, "lost", now_us=1, pid=1, detail={})
            raise RuntimeError("the caller's own")

    with pytest.raises(RuntimeError, match="the caller's own"):
        fail()

    with realm_session(engine, realm) as session:
        assert [beat.process for beat in list_heartbeats(session)] == ["kept"]


def test_two_realms_see_nothing_of_each_other(engine: Engine, realm: Realm) -> None:
    other = Realm.parse("drill-other")
    ensure_realm(engine, other, clock=None)

    with realm_session(engine, realm) as session:
        save_heartbeat(session, "intake", now_us=1, pid=1, detail={})

    with realm_session(engine, other) as session:
        assert list_heartbeats(session) == []


def test_a_server_that_is_not_there_is_store_unavailable_and_says_what_to_do() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        engine = make_engine(f"postgresql://ops:secret@127.0.0.1:{taken.getsockname()[1]}/mizugiwa")
        with pytest.raises(StoreUnavailable) as caught, realm_session(engine, Realm.parse("live")):
            pytest.fail("there is no server")
        engine.dispose()

    assert "database mizugiwa at 127.0.0.1 port" in str(caught.value)
    assert "try again" in str(caught.value)
    assert "mizugiwa doctor" in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("through_copy", [False, True])
def test_a_connection_that_is_cut_is_store_unavailable_and_the_next_session_works(
    store_url: str, engine: Engine, realm: Realm, through_copy: bool
) -> None:
    def cut_and_go_on() -> None:
        with realm_session(engine, realm) as session:
            save_heartbeat(session, "intake", now_us=1, pid=1, detail={})
            pid = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
            with psycopg.connect(store_url, autocommit=True) as admin:
                admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
            if through_copy:
                driver_connection(session).execute("SELECT 1")
            else:
                session.execute(text("SELECT 1"))

    with pytest.raises(StoreUnavailable, match="nothing of this transaction was kept"):
        cut_and_go_on()

    with realm_session(engine, realm) as session:
        assert list_heartbeats(session) == []


def test_connections_that_were_cut_while_idle_are_replaced_unseen(store_url: str) -> None:
    engine = make_engine(store_url)
    with shared_session(engine) as session:
        pid = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
    with psycopg.connect(store_url, autocommit=True) as admin:
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    with shared_session(engine) as session:
        assert session.execute(text("SELECT pg_backend_pid()")).scalar_one() != pid
    engine.dispose()


def test_a_lock_that_is_not_had_in_time_is_store_unavailable(engine: Engine, realm: Realm) -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        with realm_session(engine, realm) as session:
            session.execute(text("LOCK TABLE heartbeat IN ACCESS EXCLUSIVE MODE"))
            held.set()
            release.wait(20)

    def read() -> None:
        with realm_session(engine, realm) as session:
            session.execute(text("SET LOCAL lock_timeout = '50ms'"))
            list_heartbeats(session)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    try:
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            read()
    finally:
        release.set()
        holder.join()


@pytest.mark.parametrize("url", ["postgresql://ops:secret@[::1/x", "host=x secret", "not a dsn secret"])
def test_an_unreadable_dsn_is_refused_without_showing_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="DATABASE_URL is not readable; write postgresql://") as caught:
        make_engine(url)
    assert "secret" not in str(caught.value)


def test_a_url_and_a_dsn_and_a_sqlalchemy_url_all_name_the_server(store_url: str) -> None:
    query = urllib.parse.urlencode(psycopg.conninfo.conninfo_to_dict(store_url))
    for url in (store_url, f"postgresql://?{query}", f"postgresql+psycopg://?{query}"):
        engine = make_engine(url)
        with shared_session(engine) as session:
            assert session.execute(text("SHOW timezone")).scalar_one() == "UTC"
        engine.dispose()


def test_an_error_does_not_tell_the_values_of_its_statement(engine: Engine) -> None:
    with pytest.raises(DBAPIError) as caught, shared_session(engine) as session:
        session.execute(text("SELECT 1 / :zero, :hash"), {"zero": 0, "hash": "$argon2id$secret"})
    assert "secret" not in str(caught.value)


def test_a_realm_that_was_never_made_says_how_to_make_it(engine: Engine) -> None:
    with (
        pytest.raises(StoreNotMigrated, match="run `mizugiwa up`"),
        realm_session(engine, Realm.parse("drill-never")) as session,
    ):
        list_heartbeats(session)


def test_an_empty_database_says_how_to_fill_it(database_url: str) -> None:
    engine = make_engine(database_url)
    with pytest.raises(StoreNotMigrated, match="run `mizugiwa up`"):
        ensure_realm(engine, Realm.parse("live"), clock=None)
    migrate(engine)
    ensure_realm(engine, Realm.parse("live"), clock=None)
    engine.dispose()
