"""Accounts, web sessions, failed sign-ins and the audit log."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from command.domain.people import Role, User
from command.store.audit import append_audit, list_audit
from command.store.engine import make_engine, shared_session
from command.store.migrations import migrate
from command.store.people import (
    FAILURES_KEPT_US,
    LoginTaken,
    UnknownUser,
    WebSession,
    clear_login_failures,
    close_session,
    close_user_sessions,
    count_login_failures,
    count_users,
    create_user,
    find_session,
    find_user_by_login,
    list_users,
    open_session,
    password_hash_of,
    record_login_failure,
    set_password,
    touch_session,
)

NOW_US = 1_764_000_000_000_000
HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdA$aGFzaA"


@pytest.fixture
def session(database_url: str) -> Iterator[Session]:
    engine = make_engine(database_url)
    migrate(engine)
    with shared_session(engine) as made:
        yield made
    engine.dispose()


def user(login: str = "sato", **changed: Any) -> User:
    given: dict[str, Any] = {
        "user_id": uuid.uuid4(),
        "login": login,
        "display_name": "佐藤",
        "roles": frozenset({Role.OFFICER, Role.ANALYST}),
        "must_change_password": True,
    }
    return User(**(given | changed))


def token(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


def test_an_account_is_found_whatever_the_case_of_its_login(session: Session) -> None:
    sato, mori = user("Sato"), user("mori", roles=frozenset(), disabled=True)
    for each in (sato, mori):
        create_user(session, each, password_hash=HASH, now_us=NOW_US)

    assert find_user_by_login(session, "sATO") == sato
    assert find_user_by_login(session, "sat%") is None
    assert find_user_by_login(session, "\x00") is None
    assert (list_users(session), count_users(session)) == ([mori, sato], 2)
    assert password_hash_of(session, sato.user_id) == HASH
    assert password_hash_of(session, uuid.uuid4()) is None


def test_a_login_is_given_once_and_the_session_goes_on(session: Session) -> None:
    create_user(session, user("sato"), password_hash=HASH, now_us=NOW_US)
    with pytest.raises(LoginTaken, match="choose another login"):
        create_user(session, user("SATO"), password_hash=HASH, now_us=NOW_US)
    assert count_users(session) == 1


def test_a_new_password_replaces_the_old_one(session: Session) -> None:
    sato = user()
    create_user(session, sato, password_hash=HASH, now_us=NOW_US)
    set_password(session, sato.user_id, password_hash=HASH + "2", must_change=False, now_us=NOW_US + 1)

    assert password_hash_of(session, sato.user_id) == HASH + "2"
    found = find_user_by_login(session, "sato")
    assert found is not None
    assert not found.must_change_password
    with pytest.raises(UnknownUser):
        set_password(session, uuid.uuid4(), password_hash=HASH, must_change=False, now_us=NOW_US)


def test_a_session_lives_until_it_is_closed_and_is_stored_by_its_hash_only(session: Session) -> None:
    sato = user()
    create_user(session, sato, password_hash=HASH, now_us=NOW_US)
    for name in ("here", "elsewhere"):
        open_session(session, token_hash=token(name), user_id=sato.user_id, now_us=NOW_US, expires_at_us=NOW_US + 100)

    touch_session(session, token("here"), now_us=NOW_US + 5)
    touch_session(session, token("here"), now_us=NOW_US + 4)
    assert find_session(session, token("here")) == WebSession(
        session_id=token("here"),
        user=sato,
        opened_at_us=NOW_US,
        last_seen_us=NOW_US + 5,
        expires_at_us=NOW_US + 100,
        address="",
        browser="",
        code_due=False,
        second_factor=False,
    )
    close_user_sessions(session, sato.user_id, but=token("here"))
    assert find_session(session, token("elsewhere")) is None
    assert find_session(session, token("here")) is not None
    close_session(session, token("here"))
    close_session(session, token("here"))
    assert find_session(session, token("here")) is None


def test_sessions_that_are_over_are_cleared_away_by_the_next_sign_in(session: Session) -> None:
    sato = user()
    create_user(session, sato, password_hash=HASH, now_us=NOW_US)
    open_session(session, token_hash=token("a"), user_id=sato.user_id, now_us=NOW_US, expires_at_us=NOW_US + 1)
    open_session(session, token_hash=token("b"), user_id=sato.user_id, now_us=NOW_US + 1, expires_at_us=NOW_US + 9)

    assert find_session(session, token("a")) is None
    close_user_sessions(session, sato.user_id)
    assert find_session(session, token("b")) is None


def test_failed_sign_ins_are_counted_by_login_and_forgotten_in_time(session: Session) -> None:
    for after in (0, 1, 2):
        record_login_failure(session, "Sato", now_us=NOW_US + after)
    record_login_failure(session, "mori", now_us=NOW_US)

    assert count_login_failures(session, "sato", since_us=NOW_US + 1) == 2
    clear_login_failures(session, "SATO")
    assert count_login_failures(session, "sato", since_us=0) == 0
    record_login_failure(session, "nobody", now_us=NOW_US + FAILURES_KEPT_US + 1)
    assert session.execute(text("SELECT count(*) FROM shared.login_failure")).scalar_one() == 1


def test_the_audit_log_tells_who_did_what_newest_first(session: Session) -> None:
    append_audit(session, actor="sato", action="alert.acknowledged", target="a", detail={"n": 1}, now_us=NOW_US)
    append_audit(session, actor="mori", action="session.opened", target="b", detail={}, now_us=NOW_US + 1)

    entries = list_audit(session, limit=9)
    assert [(e.actor, e.action, e.target, e.detail, e.recorded_at_us) for e in entries] == [
        ("mori", "session.opened", "b", {}, NOW_US + 1),
        ("sato", "alert.acknowledged", "a", {"n": 1}, NOW_US),
    ]
    assert list_audit(session, limit=9, target="a") == entries[1:]
    assert list_audit(session, limit=1) == entries[:1]


@pytest.mark.parametrize(
    "change", ["UPDATE shared.audit SET actor = 'x'", "DELETE FROM shared.audit", "TRUNCATE shared.audit"]
)
def test_the_audit_log_cannot_be_changed(session: Session, change: str) -> None:
    append_audit(session, actor="sato", action="x", target="y", detail={}, now_us=NOW_US)
    with pytest.raises(DBAPIError, match=r"shared.audit is append-only"), session.begin_nested():
        session.execute(text(change))
