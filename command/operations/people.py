"""People: accounts, sign-in, sessions and what each role may do. All times here are the host's, not the realm's."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import uuid
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Engine

from command.domain.clock import US_PER_S, Clock, SystemClock
from command.domain.people import Role, User
from command.store.audit import append_audit
from command.store.engine import StoreUnavailable, shared_session
from command.store.people import (
    UnknownUser,
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

__all__ = [
    "CURRENT_LANGUAGE",
    "CURRENT_PERSON",
    "AccountRules",
    "Accounts",
    "Forbidden",
    "OpenedSession",
    "PasswordRefused",
    "Permission",
    "Person",
    "SessionGate",
    "SignInRefused",
    "StoreUnavailable",
    "csrf_token",
    "current_language",
    "current_person",
]

FIRST_LOGIN: Final = "admin"
PASSWORD_MAXIMUM: Final = 256
_CACHE_S: Final = 5.0
_CACHE_LIMIT: Final = 1_000
_HUNG_S: Final = 60
_TOUCH_EVERY_US: Final = 30 * US_PER_S
_HASHER: Final = PasswordHasher()
"""argon2id with the library's parameters (RFC 9106, second recommended option)."""
_NOBODY: Final = _HASHER.hash(secrets.token_urlsafe(16))
"""Checked where there is no such account, so that the answer takes as long and tells nothing."""


class Permission(StrEnum):
    """What a route or a callback asks for."""

    WATCH = "watch"
    ACKNOWLEDGE = "acknowledge"
    EDIT_AREAS = "edit areas"
    READ_INCIDENTS = "read incidents"
    MANAGE_INCIDENTS = "manage incidents"
    COMMENT_ON_INCIDENTS = "comment on incidents"
    LINK_TO_INCIDENTS = "link to incidents"
    MOVE_OWN_TASKS = "move tasks given to them"


GRANTS: Final[Mapping[Permission, frozenset[Role]]] = {
    Permission.WATCH: frozenset(Role),
    Permission.ACKNOWLEDGE: frozenset({Role.OFFICER, Role.ADMIN}),
    Permission.EDIT_AREAS: frozenset({Role.OFFICER, Role.ADMIN}),
    Permission.READ_INCIDENTS: frozenset(
        {Role.OFFICER, Role.RESPONDER, Role.ANALYST, Role.MANAGER, Role.AUDITOR, Role.ADMIN}
    ),
    Permission.MANAGE_INCIDENTS: frozenset({Role.OFFICER, Role.ADMIN}),
    Permission.COMMENT_ON_INCIDENTS: frozenset({Role.OFFICER, Role.RESPONDER, Role.ANALYST, Role.ADMIN}),
    Permission.LINK_TO_INCIDENTS: frozenset({Role.OFFICER, Role.ANALYST, Role.ADMIN}),
    Permission.MOVE_OWN_TASKS: frozenset({Role.OFFICER, Role.RESPONDER, Role.ADMIN}),
}


class Forbidden(PermissionError):
    """This person's roles do not allow it; the text says which do."""


class SignInRefused(Exception):
    """`key` names a text of login.*, with its params."""

    def __init__(self, key: str, **params: Any) -> None:
        super().__init__(key)
        self.key, self.params = key, params


class PasswordRefused(SignInRefused):
    """A password that cannot be taken, and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountRules:
    """Limits of sessions and passwords. Failures are counted a login, over the window that it is then locked for."""

    session_lasts_s: int = 12 * 3600
    idle_limit_s: int = 4 * 3600
    """With no key or pointer touched for this long a session ends."""
    failures_allowed: int = 5
    locked_for_s: int = 15 * 60
    password_minimum: int = 12


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Who is behind a request: the account and its session. session_id is the token's hash."""

    user: User
    session_id: bytes
    expires_at_us: int
    active_at_us: int

    def may(self, permission: Permission) -> bool:
        return bool(self.user.roles & GRANTS[permission])

    def must(self, permission: Permission) -> None:
        """Raises Forbidden where no role of this person grants it."""
        if not self.may(permission):
            needed = ", ".join(sorted(GRANTS[permission]))
            raise Forbidden(f"{self.user.login} may not {permission.value}; this needs one of the roles {needed}")


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedSession:
    """What sign-in gives: the token is shown to the browser once and stored hashed."""

    token: str
    user: User


CURRENT_PERSON: ContextVar[Person | None] = ContextVar("current_person", default=None)
CURRENT_LANGUAGE: ContextVar[str] = ContextVar("current_language", default="ja")


def current_language() -> str:
    """The language that the reader of this request chose."""
    return CURRENT_LANGUAGE.get()


def current_person() -> Person:
    """The person behind this request. Raises Forbidden outside one: nothing is done for nobody."""
    person = CURRENT_PERSON.get()
    if person is None:
        raise Forbidden("no one is signed in; sign in at /login")
    return person


def csrf_token(session_token: str) -> str:
    """What a form or script of this session must send back with every change."""
    return hmac.new(session_token.encode(), b"mizugiwa csrf", hashlib.sha256).hexdigest()


def token_hash(token: str) -> bytes:
    """32 bytes; the token has 256 random bits, so a plain hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


class Accounts:
    """Accounts and sign-in. Every method may raise StoreUnavailable."""

    def __init__(self, engine: Engine, *, rules: AccountRules | None = None, clock: Clock | None = None) -> None:
        self._engine = engine
        self._clock = clock or SystemClock()
        self.rules = rules or AccountRules()
        self._hashing = threading.BoundedSemaphore(4)

    def ensure_first_admin(self) -> tuple[str, str] | None:
        """On a database with no account, make one; (login, password) to show on the terminal once, else None."""
        password = secrets.token_urlsafe(12)
        now_us = self._clock.now_us()
        with shared_session(self._engine) as session:
            if count_users(session):
                return None
            create_user(
                session,
                User(
                    user_id=uuid.uuid4(),
                    login=FIRST_LOGIN,
                    display_name="Administrator",
                    roles=frozenset({Role.ADMIN, Role.OFFICER}),
                    must_change_password=True,
                ),
                password_hash=self._hash(password),
                now_us=now_us,
            )
            append_audit(
                session, actor="system", action="account.created", target=FIRST_LOGIN, detail={}, now_us=now_us
            )
        return FIRST_LOGIN, password

    def create(self, login: str, display_name: str, roles: frozenset[Role], *, by: str) -> str:
        """Make an account; its first password, to be changed at the first sign-in. Raises LoginTaken."""
        password = secrets.token_urlsafe(12)
        user = User(
            user_id=uuid.uuid4(), login=login, display_name=display_name, roles=roles, must_change_password=True
        )
        now_us = self._clock.now_us()
        with shared_session(self._engine) as session:
            create_user(session, user, password_hash=self._hash(password), now_us=now_us)
            append_audit(
                session,
                actor=by,
                action="account.created",
                target=login,
                detail={"roles": sorted(roles)},
                now_us=now_us,
            )
        return password

    def reset_password(self, login: str, *, by: str) -> str:
        """A new password for a person who lost theirs, to be changed at the next sign-in; their sessions end, and a
        lock by failures is lifted. Raises UnknownUser.
        """
        password = secrets.token_urlsafe(12)
        now_us = self._clock.now_us()
        with shared_session(self._engine) as session:
            user = find_user_by_login(session, login)
            if user is None:
                raise UnknownUser(f"there is no account {login!r}; `mizugiwa users list` shows all")
            set_password(session, user.user_id, password_hash=self._hash(password), must_change=True, now_us=now_us)
            clear_login_failures(session, login)
            close_user_sessions(session, user.user_id)
            append_audit(session, actor=by, action="password.reset", target=login, detail={}, now_us=now_us)
        return password

    def everyone(self) -> Sequence[User]:
        """Every account."""
        with shared_session(self._engine) as session:
            return list_users(session)

    def sign_in(self, login: str, password: str) -> OpenedSession:
        """Open a session. Raises SignInRefused: wrong (whichever of the two it was), or locked and until when."""
        now_us = self._clock.now_us()
        login = login.strip()
        self._refuse_locked(login, now_us=now_us)
        with shared_session(self._engine) as session:
            user = find_user_by_login(session, login)
            stored = password_hash_of(session, user.user_id) if user is not None else None
        right = self._matches(stored or _NOBODY, password)
        if user is None or not right or user.disabled:
            self._count_failure(login, now_us=now_us)
            raise SignInRefused("login.wrong")
        token = secrets.token_urlsafe(32)
        with shared_session(self._engine) as session:
            clear_login_failures(session, login)
            if stored is not None and _HASHER.check_needs_rehash(stored):
                set_password(
                    session,
                    user.user_id,
                    password_hash=self._hash(password),
                    must_change=user.must_change_password,
                    now_us=now_us,
                )
            open_session(
                session,
                token_hash=token_hash(token),
                user_id=user.user_id,
                now_us=now_us,
                expires_at_us=now_us + self.rules.session_lasts_s * US_PER_S,
            )
            append_audit(session, actor=login, action="session.opened", target=login, detail={}, now_us=now_us)
        return OpenedSession(token=token, user=user)

    def sign_out(self, token: str) -> None:
        """End a session; one that is already gone is no error."""
        with shared_session(self._engine) as session:
            close_session(session, token_hash(token))

    def change_password(self, person: Person, current: str, new: str, again: str) -> None:
        """Set a new password and end every other session of the person. Raises PasswordRefused and says why."""
        user, now_us = person.user, self._clock.now_us()
        self._refuse_locked(user.login, now_us=now_us)
        with shared_session(self._engine) as session:
            stored = password_hash_of(session, user.user_id)
        if stored is None or not self._matches(stored, current):
            self._count_failure(user.login, now_us=now_us)
            raise PasswordRefused("login.current_wrong")
        if new != again:
            raise PasswordRefused("login.not_the_same")
        if not self.rules.password_minimum <= len(new) <= PASSWORD_MAXIMUM:
            raise PasswordRefused("login.too_short", minimum=self.rules.password_minimum)
        if new == current or user.login.casefold() in new.casefold() or len(set(new)) < 5:
            raise PasswordRefused("login.too_plain")
        with shared_session(self._engine) as session:
            set_password(session, user.user_id, password_hash=self._hash(new), must_change=False, now_us=now_us)
            close_user_sessions(session, user.user_id, but=person.session_id)
            append_audit(
                session, actor=user.login, action="password.changed", target=user.login, detail={}, now_us=now_us
            )

    def _refuse_locked(self, login: str, *, now_us: int) -> None:
        since_us = now_us - self.rules.locked_for_s * US_PER_S
        with shared_session(self._engine) as session:
            failures = count_login_failures(session, login, since_us=since_us)
        if failures >= self.rules.failures_allowed:
            raise SignInRefused("login.locked", minutes=max(1, self.rules.locked_for_s // 60))

    def _count_failure(self, login: str, *, now_us: int) -> None:
        with shared_session(self._engine) as session:
            record_login_failure(session, login, now_us=now_us)
            append_audit(session, actor=login, action="session.refused", target=login, detail={}, now_us=now_us)

    def _hash(self, password: str) -> str:
        with self._hashing:
            return _HASHER.hash(password)

    def _matches(self, stored: str, password: str) -> bool:
        with self._hashing:
            try:
                return _HASHER.verify(stored, password)
            except (VerificationError, InvalidHashError):
                return False


@dataclass(slots=True)
class _Remembered:
    person: Person
    checked_at_us: int
    touched_at_us: int = field(default=0)


class SessionGate:
    """Whose session a token is. It asks the store every few seconds a session, and while the store is away
    believes what it last said, within the session's own limits: a watch does not end with the database."""

    def __init__(self, engine: Engine, *, rules: AccountRules, clock: Clock | None = None) -> None:
        self._engine = engine
        self._rules = rules
        self._clock = clock or SystemClock()
        self._remembered: dict[bytes, _Remembered] = {}
        self._lock = threading.Lock()

    def find(self, token: str) -> Person | None:
        """The person of a session that is open; None where it is unknown, expired or idle too long.

        Raises StoreUnavailable for a session that this process does not know yet.
        """
        session_id, now_us = token_hash(token), self._clock.now_us()
        with self._lock:
            known = self._remembered.get(session_id)
        if known is None or now_us - known.checked_at_us > _CACHE_S * US_PER_S:
            if known is not None:
                # while this request waits for a store that hangs, the others of the session go on
                known.checked_at_us = now_us + _HUNG_S * US_PER_S
            try:
                known = self._ask(session_id, now_us=now_us)
            except StoreUnavailable:
                if known is None:
                    raise
                known.checked_at_us = now_us
        if known is None or not self._open(known.person, now_us=now_us):
            self.forget(token)
            return None
        return known.person

    def forget(self, token: str) -> None:
        """Ask the store the next time."""
        with self._lock:
            self._remembered.pop(token_hash(token), None)

    def touch(self, person: Person) -> None:
        """The person used keyboard or pointer: their session is not idle."""
        now_us = self._clock.now_us()
        with self._lock:
            known = self._remembered.get(person.session_id)
            if known is None or now_us - known.touched_at_us < _TOUCH_EVERY_US:
                return
            known.touched_at_us = now_us
        with shared_session(self._engine) as session:
            touch_session(session, person.session_id, now_us=now_us)

    def _ask(self, session_id: bytes, *, now_us: int) -> _Remembered | None:
        with shared_session(self._engine) as session:
            found = find_session(session, session_id)
        if found is None or found.user.disabled:
            return None
        person = Person(
            user=found.user,
            session_id=session_id,
            expires_at_us=found.expires_at_us,
            active_at_us=found.last_seen_us,
        )
        with self._lock:
            before = self._remembered.pop(session_id, None)
            while len(self._remembered) >= _CACHE_LIMIT:
                self._remembered.pop(next(iter(self._remembered)))
            touched = before.touched_at_us if before else 0
            known = _Remembered(person=person, checked_at_us=now_us, touched_at_us=touched)
            self._remembered[session_id] = known
        return known

    def _open(self, person: Person, *, now_us: int) -> bool:
        idle_until_us = person.active_at_us + self._rules.idle_limit_s * US_PER_S
        return not person.user.disabled and now_us < min(person.expires_at_us, idle_until_us)
