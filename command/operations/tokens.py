"""API tokens: for programs that act for a person, with no more than that person may at the time."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from command.domain.clock import US_PER_S, Clock, SystemClock
from command.domain.people import User
from command.operations.people import Accounts, BadAccount, Permission, Person, refuse_bad_areas, token_hash
from command.store.audit import append_audit
from command.store.engine import shared_session
from command.store.people import UnknownUser, find_user_by_login
from command.store.tokens import (
    StoredToken,
    add_token,
    count_tokens,
    drop_token,
    drop_tokens,
    find_token,
    list_tokens,
    touch_token,
)

PREFIX: Final = "mizugiwa_"
"""What a token begins with, so that one that leaked into a file is found by who searches for it."""
NAME_LIMIT: Final = 60
TOKENS_A_PERSON: Final = 20
SCOPES: Final = tuple(each for each in Permission if each not in (Permission.MANAGE_PEOPLE, Permission.HAND_OVER))
"""What a token can be for. A signature is a person's own."""
_DAY_S: Final = 24 * 3_600
_TOUCH_EVERY_US: Final = 60 * US_PER_S


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiToken:
    """A token as its owner sees it. scopes, areas: what it was made for, whatever the owner may now. areas is None
    where it has those of its owner.
    """

    token_id: uuid.UUID
    name: str
    scopes: frozenset[Permission]
    created_at_us: int
    expires_at_us: int
    last_used_us: int | None
    expired: bool
    areas: frozenset[str] | None


class ApiTokens:
    """Every method may raise StoreUnavailable. longest_days: no token lives longer."""

    def __init__(
        self, engine: Engine, *, accounts: Accounts, longest_days: int = 90, clock: Clock | None = None
    ) -> None:
        self._engine = engine
        self._accounts = accounts
        self._clock = clock or SystemClock()
        self.longest_days = longest_days

    def create(
        self,
        person: Person,
        password: str,
        *,
        name: str,
        scopes: frozenset[Permission],
        days: int,
        areas: frozenset[str] | None = None,
        known: Collection[str] = (),
    ) -> str:
        """The token, shown this once. areas: slugs that it is limited to, None for those of the person, now and later;
        known: slugs of areas that there are. Raises PasswordRefused, SignInRefused, BadAccount, Forbidden.
        """
        self._accounts.check_password(person, password)
        kept, now_us = " ".join(name.split()), self._clock.now_us()
        if not 0 < len(kept) <= NAME_LIMIT:
            raise BadAccount("account.token_name_bad", limit=NAME_LIMIT)
        if not scopes or not scopes <= set(SCOPES):
            raise BadAccount("account.token_no_scope")
        if not 1 <= days <= self.longest_days:
            raise BadAccount("account.token_days_bad", limit=self.longest_days)
        if areas is not None:
            refuse_bad_areas(areas, known=known if person.areas is None else person.areas)
        for scope in scopes:
            person.must_somewhere(scope)
        token, user = PREFIX + secrets.token_urlsafe(32), person.user
        stored = StoredToken(
            token_id=uuid.uuid4(),
            name=kept,
            scopes=tuple(sorted(scopes)),
            created_at_us=now_us,
            expires_at_us=now_us + days * _DAY_S * US_PER_S,
            last_used_us=None,
            areas=None if areas is None else tuple(sorted(areas)),
        )
        with shared_session(self._engine) as session:
            drop_tokens(session, user.user_id, expired_before_us=now_us)
            if count_tokens(session, user.user_id) >= TOKENS_A_PERSON:
                raise BadAccount("account.token_too_many", limit=TOKENS_A_PERSON)
            add_token(session, user.user_id, stored, token_hash=token_hash(token))
            detail = {"token": str(stored.token_id), "name": kept, "scopes": stored.scopes, "days": days}
            detail |= {} if stored.areas is None else {"areas": stored.areas}
            self._audit(session, user, "token.created", by=user.login, **detail)
        return token

    def of(self, user: User) -> Sequence[ApiToken]:
        """The tokens of a person, the newest first."""
        now_us = self._clock.now_us()
        with shared_session(self._engine) as session:
            return [
                ApiToken(
                    token_id=each.token_id,
                    name=each.name,
                    scopes=_permissions(each.scopes),
                    created_at_us=each.created_at_us,
                    expires_at_us=each.expires_at_us,
                    last_used_us=each.last_used_us,
                    expired=each.expires_at_us <= now_us,
                    areas=None if each.areas is None else frozenset(each.areas),
                )
                for each in list_tokens(session, user.user_id)
            ]

    def revoke(self, user: User, token_id: uuid.UUID, *, by: str) -> None:
        """From the next request on it is no token. Raises BadAccount where the person has none of this id."""
        with shared_session(self._engine) as session:
            name = drop_token(session, user.user_id, token_id)
            if name is None:
                raise BadAccount("account.token_gone")
            self._audit(session, user, "token.revoked", by=by, token=str(token_id), name=name)

    def revoke_all(self, login: str, *, by: str) -> None:
        """Every token of a person. Raises UnknownUser."""
        with shared_session(self._engine) as session:
            user = find_user_by_login(session, login)
            if user is None:
                raise UnknownUser(f"there is no account {login!r}; `mizugiwa users list` shows all")
            self._audit(session, user, "token.revoked", by=by, tokens=drop_tokens(session, user.user_id))

    def find(self, token: str) -> Person | None:
        """Who acts with a token, as they are now; None where it is unknown, revoked or expired, or its owner is
        disabled or has something to do first. The store is asked every time: a revoked token ends at once.
        """
        return self._find(token_hash(token))

    def again(self, person: Person) -> Person | None:
        """The same, for a connection that lasts."""
        return self._find(person.session_id)

    def _find(self, hashed: bytes) -> Person | None:
        now_us = self._clock.now_us()
        with shared_session(self._engine) as session:
            found = find_token(session, hashed)
            if found is None:
                return None
            token, user, second_factor = found
            due = self._accounts.rules.due(user, second_factor=second_factor)
            if now_us >= token.expires_at_us or user.disabled or due is not None:
                return None
            touch_token(session, token.token_id, now_us=now_us, not_since_us=now_us - _TOUCH_EVERY_US)
        return Person(
            user=user,
            session_id=hashed,
            expires_at_us=token.expires_at_us,
            active_at_us=now_us,
            scopes=_permissions(token.scopes),
            token_areas=None if token.areas is None else frozenset(token.areas),
        )

    def _audit(self, session: Session, user: User, action: str, *, by: str, **detail: object) -> None:
        append_audit(session, actor=by, action=action, target=user.login, detail=detail, now_us=self._clock.now_us())


def _permissions(names: Sequence[str]) -> frozenset[Permission]:
    """A permission that this version does not have any more is none."""
    return frozenset(each for each in SCOPES if each.value in names)
