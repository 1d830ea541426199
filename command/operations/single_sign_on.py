"""Signing in at the authority's own identity provider: who may, with which roles and areas, by what it says of them."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import structlog
from sqlalchemy import Engine

from command.domain.clock import US_PER_S, Clock, SystemClock
from command.domain.people import Role, User
from command.operations.codes import CodeKey, KeyLost
from command.operations.people import (
    LOGIN,
    NAME_LIMIT,
    Accounts,
    LoginTaken,
    OpenedSession,
    Origin,
    SignInRefused,
)
from command.services.openid import Provider, ProviderAway, ProviderRefused
from command.store.audit import append_audit
from command.store.engine import shared_session
from command.store.people import create_user, find_user_by_subject, save_rights

__all__ = ["Attempt", "ClaimRules", "Provider", "ProviderAway", "SingleSignOn"]

ATTEMPT_S: Final = 10 * 60
"""How long somebody may take at the provider."""
WHOLE_COAST: Final = "*"
_NO_PASSWORD: Final = "!"  # noqa: S105 - no hash at all: no password matches it
_ATTEMPT: Final = uuid.UUID("6a0d4a6e-7f0b-5d0e-9a35-2b6f7a1f3c11")
"""What the key seals an attempt for, so that nothing else it sealed is one."""
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClaimRules:
    """Which claims say who somebody is and what they may.

    roles: by each value of roles_claim. areas: by each value of areas_claim, slugs or `*` for the whole coast; where
    areas_claim is None, an administrator says it here.
    """

    login_claim: str = "preferred_username"
    name_claim: str = "name"
    roles_claim: str = "groups"
    roles: Mapping[str, frozenset[Role]] = field(default_factory=dict)
    areas_claim: str | None = None
    areas: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def roles_of(self, claims: Mapping[str, Any]) -> frozenset[Role]:
        """Raises SignInRefused where nothing gives them a role."""
        found = frozenset(role for value in _values(claims.get(self.roles_claim)) for role in self.roles.get(value, ()))
        if not found:
            raise SignInRefused("openid.no_role")
        return found

    def areas_of(self, claims: Mapping[str, Any]) -> frozenset[str] | None:
        """None for the whole coast. Raises SignInRefused where nothing gives them an area."""
        if self.areas_claim is None:
            return None
        found = frozenset(a for value in _values(claims.get(self.areas_claim)) for a in self.areas.get(value, ()))
        if not found:
            raise SignInRefused("openid.no_area")
        return None if WHOLE_COAST in found else found


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """Somebody who was sent to the provider: the address they go to, and what their browser keeps meanwhile."""

    address: str
    kept: str


class SingleSignOn:
    """Sign-in at one provider. Methods may raise ProviderAway, SignInRefused and StoreUnavailable.

    names: what the provider is called, by language. key: seals what a browser keeps between the two steps.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        accounts: Accounts,
        provider: Provider,
        rules: ClaimRules,
        names: Mapping[str, str],
        key: CodeKey,
        clock: Clock | None = None,
    ) -> None:
        self.names = names
        self._engine = engine
        self._accounts = accounts
        self._provider = provider
        self._rules = rules
        self._key = key
        self._clock = clock or SystemClock()

    def begin(self, *, to: str) -> Attempt:
        """to: the page of ours that they wanted."""
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        address = self._provider.sign_in_at(state=state, nonce=nonce, verifier=verifier)
        kept = json.dumps([state, nonce, verifier, self._clock.now_us(), to])
        return Attempt(address=address, kept=base64.urlsafe_b64encode(self._key.seal(kept, _ATTEMPT)).decode())

    def finish(self, kept: str, answer: Mapping[str, str], *, origin: Origin) -> tuple[OpenedSession, str]:
        """Who comes back from the provider, in a session of their own, and the page that they wanted. answer: the
        parameters of the address that the provider sent them to.
        """
        state, nonce, verifier, to = self._opened(kept)
        if not hmac.compare_digest(state.encode(), answer.get("state", "").encode("utf-8", "replace")):
            raise SignInRefused("openid.not_ours")
        issuer = self._provider.registration.issuer
        if answer.get("iss", issuer) != issuer:
            raise SignInRefused("openid.not_ours")
        if "code" not in answer:
            _log.info("openid_refused", reason=f"the provider says {answer.get('error', 'nothing')[:100]}")
            raise SignInRefused("openid.denied")
        try:
            claims = self._provider.claims(answer["code"], nonce=nonce, verifier=verifier)
        except ProviderRefused as exc:
            _log.warning("openid_refused", reason=str(exc))
            raise SignInRefused("openid.not_ours") from exc
        return self._enter(claims, origin=origin), to

    def _opened(self, kept: str) -> tuple[str, str, str, str]:
        try:
            sealed = base64.urlsafe_b64decode(kept.encode("ascii"))
            state, nonce, verifier, begun_us, to = json.loads(self._key.open(sealed, _ATTEMPT))
        except (KeyLost, ValueError, binascii.Error) as exc:
            raise SignInRefused("openid.too_late") from exc
        if self._clock.now_us() - begun_us > ATTEMPT_S * US_PER_S:
            raise SignInRefused("openid.too_late")
        return state, nonce, verifier, to

    def _enter(self, claims: Mapping[str, Any], *, origin: Origin) -> OpenedSession:
        now_us, issuer = self._clock.now_us(), self._provider.registration.issuer
        login = str(claims.get(self._rules.login_claim, ""))
        with shared_session(self._engine) as session:
            known = find_user_by_subject(session, issuer=issuer, subject=claims["sub"])
            try:
                user = self._as_claimed(known, login, claims)
                if known is None:
                    create_user(session, user, password_hash=_NO_PASSWORD, now_us=now_us, subject=claims["sub"])
                    action = "account.created"
                else:
                    action = "account.claimed"
            except LoginTaken as exc:
                refused: SignInRefused = SignInRefused("openid.login_taken", login=login)
                refused.__cause__ = exc
            except SignInRefused as exc:
                refused = exc
            else:
                if user != known:
                    save_rights(session, user)
                    areas = "whole coast" if user.areas is None else sorted(user.areas)
                    detail = {"roles": sorted(user.roles), "areas": areas}
                    append_audit(
                        session,
                        actor=f"openid:{issuer}",
                        action=action,
                        target=user.login,
                        detail=detail,
                        now_us=now_us,
                    )
                return self._accounts.open(session, user, origin, now_us=now_us, how="openid")
            who = login[:NAME_LIMIT] if known is None else known.login
            append_audit(
                session,
                actor=who,
                action="session.refused",
                target=who,
                detail={"how": "openid", "reason": refused.key},
                now_us=now_us,
            )
        raise refused

    def _as_claimed(self, known: User | None, login: str, claims: Mapping[str, Any]) -> User:
        """The account as the provider wants it. Who is known keeps their login, and is disabled by us alone."""
        if known is not None and known.disabled:
            raise SignInRefused("openid.disabled")
        roles, areas = self._rules.roles_of(claims), self._rules.areas_of(claims)
        if known is not None:
            return replace(known, roles=roles, areas=known.areas if self._rules.areas_claim is None else areas)
        if not LOGIN.fullmatch(login):
            raise SignInRefused("openid.no_login", claim=self._rules.login_claim)
        name = " ".join(str(claims.get(self._rules.name_claim) or login).split())[:NAME_LIMIT] or login
        return User(
            user_id=uuid.uuid4(),
            login=login,
            display_name=name,
            roles=roles,
            must_change_password=False,
            areas=areas,
            issuer=self._provider.registration.issuer,
        )


def _values(claim: object) -> list[str]:
    """What a claim says: one text, taken whole, or a list of texts."""
    if isinstance(claim, str):
        return [claim]
    return [each for each in claim if isinstance(each, str)] if isinstance(claim, list) else []
