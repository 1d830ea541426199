"""Accounts from the terminal, for the administrator of the machine."""

from __future__ import annotations

import getpass
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from command.app.program import endpoints_of
from command.domain.people import Role, User
from command.operations.people import AccountRules, Accounts, UnknownSession, WebSession
from command.operations.single_sign_on import ClaimRules
from command.services.openid import Provider, Registration
from command.settings import BadSettings, OpenIdSettings, Settings
from command.store.engine import make_engine


def account_rules(settings: Settings) -> AccountRules:
    """The limits of sessions and passwords that the settings give."""
    return AccountRules(
        session_lasts_s=int(settings.web.session_hours * 3600),
        second_factor_roles=frozenset(settings.people.second_factor_roles),
    )


def openid_provider(settings: OpenIdSettings) -> Provider:
    """The identity provider that the settings name. Raises BadSettings for a secret that cannot be read."""
    return Provider(
        Registration(
            issuer=settings.issuer,
            client_id=settings.client_id,
            client_secret=settings.client_secret(),
            redirect_uri=f"{settings.public_url}/login/openid/back",
            scope=settings.scope,
            ca=settings.ca_certificate,
        )
    )


def claim_rules(settings: OpenIdSettings) -> ClaimRules:
    """Who may do what by what the provider says of them."""
    return ClaimRules(
        login_claim=settings.login_claim,
        name_claim=settings.name_claim,
        roles_claim=settings.roles_claim,
        roles={value: frozenset(roles) for value, roles in settings.roles.items()},
        areas_claim=settings.areas_claim,
        areas={value: frozenset(slugs) for value, slugs in settings.areas.items()},
    )


@contextmanager
def _accounts(settings: Settings) -> Iterator[Accounts]:
    engine = make_engine(endpoints_of(settings).database_url)
    try:
        yield Accounts(engine, rules=account_rules(settings))
    finally:
        engine.dispose()


def add_user(settings: Settings, login: str, *, name: str, roles: Sequence[str]) -> str:
    """Make an account; its first password. Raises BadSettings for an unknown role, LoginTaken."""
    chosen = _roles(roles)
    with _accounts(settings) as accounts:
        return accounts.create(login, name, chosen, by=terminal_user())


def set_roles(settings: Settings, login: str, roles: Sequence[str]) -> None:
    """What a person may do. Raises BadSettings for an unknown role, UnknownUser, BadAccount."""
    chosen = _roles(roles)
    with _accounts(settings) as accounts:
        accounts.set_roles(login, chosen, by=terminal_user())


def set_areas(settings: Settings, login: str, slugs: Sequence[str], *, whole_coast: bool) -> None:
    """Where a person may act: the areas of these slugs, of whatever realm, or the whole coast. Raises BadSettings where
    neither or both are said, UnknownUser, BadAccount.
    """
    if whole_coast == bool(slugs):
        raise BadSettings("write --whole-coast, or one --area SLUG for each area")
    with _accounts(settings) as accounts:
        areas = None if whole_coast else frozenset(slugs)
        accounts.set_areas(login, areas, known=accounts.every_slug(), by=terminal_user())


def set_disabled(settings: Settings, login: str, disabled: bool) -> None:
    """Shut an account or open it again. Raises UnknownUser, BadAccount."""
    with _accounts(settings) as accounts:
        accounts.set_disabled(login, disabled, by=terminal_user())


def sessions(settings: Settings, login: str | None) -> Sequence[WebSession]:
    """The open sessions of a person, or of everybody. Raises UnknownUser."""
    with _accounts(settings) as accounts:
        found = accounts.sessions(login)
        accounts.note_view(login or "*", by=terminal_user())
        return found


def revoke(settings: Settings, login: str, beginning: str | None) -> None:
    """End the session of a person whose id begins like this, or all. Raises UnknownUser, BadAccount."""
    with _accounts(settings) as accounts:
        if beginning is None:
            accounts.revoke_all(login, by=terminal_user())
            return
        found = [each for each in accounts.sessions(login) if each.session_id.hex().startswith(beginning.lower())]
        if len(found) != 1:
            raise UnknownSession("people.no_such_session")
        accounts.revoke(login, found[0].session_id, by=terminal_user())


def _roles(words: Sequence[str]) -> frozenset[Role]:
    unknown = sorted(set(words) - {role.value for role in Role})
    if unknown or not words:
        raise BadSettings(f"role {', '.join(unknown) or 'missing'}; choose from {', '.join(Role)}")
    return frozenset(Role(word) for word in words)


def reset_password(settings: Settings, login: str) -> str:
    """A new first password for a person who lost theirs. Raises UnknownUser."""
    with _accounts(settings) as accounts:
        return accounts.reset_password(login, by=terminal_user())


def reset_second_factor(settings: Settings, login: str) -> None:
    """For a person who lost their authenticator. Raises UnknownUser."""
    with _accounts(settings) as accounts:
        accounts.reset_second_factor(login, by=terminal_user())


def everyone(settings: Settings) -> Sequence[User]:
    """Every account."""
    with _accounts(settings) as accounts:
        accounts.note_view("*", by=terminal_user())
        return accounts.everyone()


def terminal_user() -> str:
    """Who did it, for the audit log: the operating-system account at the terminal."""
    return f"terminal:{getpass.getuser()}"
