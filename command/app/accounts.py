"""Accounts from the terminal, for the administrator of the machine."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from command.app.program import endpoints_of
from command.domain.people import Role, User
from command.operations.people import Accounts
from command.settings import BadSettings, Settings
from command.store.engine import make_engine


@contextmanager
def _accounts(settings: Settings) -> Iterator[Accounts]:
    engine = make_engine(endpoints_of(settings).database_url)
    try:
        yield Accounts(engine)
    finally:
        engine.dispose()


def add_user(settings: Settings, login: str, *, name: str, roles: Sequence[str]) -> str:
    """Make an account; its first password. Raises BadSettings for an unknown role, LoginTaken."""
    unknown = sorted(set(roles) - {role.value for role in Role})
    if unknown or not roles:
        raise BadSettings(
            f"role {', '.join(unknown) or 'missing'}; choose from {', '.join(role.value for role in Role)}"
        )
    with _accounts(settings) as accounts:
        return accounts.create(login, name, frozenset(Role(role) for role in roles), by=terminal_user())


def reset_password(settings: Settings, login: str) -> str:
    """A new first password for a person who lost theirs. Raises UnknownUser."""
    with _accounts(settings) as accounts:
        return accounts.reset_password(login, by=terminal_user())


def everyone(settings: Settings) -> Sequence[User]:
    """Every account."""
    with _accounts(settings) as accounts:
        return accounts.everyone()


def terminal_user() -> str:
    """Who did it, for the audit log: the operating-system account at the terminal."""
    return f"terminal:{getpass.getuser()}"
