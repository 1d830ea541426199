"""Accounts from the terminal: a lost password, a locked login, a role that there is not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine

from command.domain.people import Role
from command.operations.people import Accounts, SignInRefused
from command.store.audit import list_audit
from command.store.engine import make_engine, shared_session
from command.store.migrations import migrate
from command.store.people import LoginTaken, UnknownUser


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url)
    migrate(engine)
    yield engine
    engine.dispose()


def test_a_reset_password_opens_a_locked_account_and_must_be_changed(engine: Engine) -> None:
    # given an officer who tried wrong passwords until the login was locked
    accounts = Accounts(engine)
    first = accounts.create("sato", "佐藤", frozenset({Role.OFFICER}), by="test")
    for _ in range(accounts.rules.failures_allowed):
        with pytest.raises(SignInRefused):
            accounts.sign_in("sato", "wrong")
    with pytest.raises(SignInRefused):
        accounts.sign_in("sato", first)
    # when the administrator gives them a new password
    new = accounts.reset_password("sato", by="terminal:root")
    # then it alone lets them in, asks for a change, and the audit log tells who did it
    with pytest.raises(SignInRefused):
        accounts.sign_in("sato", first)
    assert accounts.sign_in("sato", new).user.must_change_password
    with shared_session(engine) as session:
        (entry,) = [e for e in list_audit(session, limit=50, target="sato") if e.action == "password.reset"]
    assert entry.actor == "terminal:root"
    assert new not in str(entry.detail)


def test_an_unknown_login_and_a_taken_one_are_said(engine: Engine) -> None:
    accounts = Accounts(engine)
    accounts.create("sato", "佐藤", frozenset({Role.OFFICER}), by="test")
    with pytest.raises(UnknownUser, match="users list"):
        accounts.reset_password("nobody", by="test")
    with pytest.raises(LoginTaken):
        accounts.create("SATO", "佐藤", frozenset({Role.PILOT}), by="test")
    assert [user.login for user in accounts.everyone()] == ["sato"]
