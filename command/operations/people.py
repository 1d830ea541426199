"""People: accounts, sign-in, sessions and what each role may do. All times here are the host's, not the realm's."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
import uuid
from collections.abc import Collection, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from command.domain.clock import US_PER_S, Clock, SystemClock
from command.domain.people import Role, User
from command.i18n import text
from command.store.areas import latest_areas
from command.store.audit import append_audit, append_view
from command.store.engine import StoreUnavailable, realm_session, shared_session
from command.store.people import (
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
    find_user,
    find_user_by_login,
    list_sessions,
    list_users,
    lock_admins,
    open_session,
    password_hash_of,
    record_login_failure,
    save_rights,
    set_password,
)
from command.store.realms import list_realms
from command.store.second_factor import drop_factor, find_factor
from command.store.tokens import drop_tokens

__all__ = [
    "CURRENT_LANGUAGE",
    "CURRENT_PERSON",
    "AccountRules",
    "Accounts",
    "BadAccount",
    "Due",
    "Forbidden",
    "LastAdmin",
    "LoginTaken",
    "OpenedSession",
    "Origin",
    "PasswordRefused",
    "Permission",
    "Person",
    "SignInRefused",
    "StoreUnavailable",
    "UnknownSession",
    "UnknownUser",
    "WebSession",
    "csrf_token",
    "current_language",
    "current_person",
]

FIRST_LOGIN: Final = "admin"
LOGIN_LIMIT: Final = 64
NAME_LIMIT: Final = 100
AREAS_A_PERSON: Final = 50
LOGIN: Final = re.compile(rf"[\w.@+-]{{1,{LOGIN_LIMIT}}}")
CODE_WITHIN_S: Final = 5 * 60
"""How long a right password waits for its one-time code."""
JUST_SIGNED_IN_S: Final = 10 * 60
"""So long a sign-in at a provider counts as proof, where others give their password."""
_BROWSER_LIMIT: Final = 200
PASSWORD_MAXIMUM: Final = 256
_HASHER: Final = PasswordHasher()
"""argon2id with the library's parameters (RFC 9106, second recommended option)."""
_NOBODY: Final = _HASHER.hash(secrets.token_urlsafe(16))
"""Checked where there is no such account, so that the answer takes as long and tells nothing."""


class Permission(StrEnum):
    """What a route or a callback asks for."""

    WATCH = "watch"
    ACKNOWLEDGE = "acknowledge"
    ASSIGN_ALERTS = "assign alerts"
    ESCALATE_ALERTS = "escalate alerts"
    SILENCE_ALERTS = "silence alerts"
    RESPOND = "answer for a team"
    EDIT_AREAS = "edit areas"
    EDIT_RULES = "edit rules"
    WRITE_NOTES = "write notes"
    EDIT_FACILITIES = "edit facilities"
    READ_INCIDENTS = "read incidents"
    READ_INCIDENT_FILES = "read files of incidents"
    MANAGE_INCIDENTS = "manage incidents"
    COMMENT_ON_INCIDENTS = "comment on incidents"
    LINK_TO_INCIDENTS = "link to incidents"
    MOVE_OWN_TASKS = "move tasks given to them"
    EDIT_ROSTER = "edit the roster"
    HAND_OVER = "hand over the watch"
    MANAGE_PEOPLE = "manage people"
    RESEND_DELIVERIES = "resend deliveries"


GRANTS: Final[Mapping[Permission, frozenset[Role]]] = {
    Permission.WATCH: frozenset(Role),
    Permission.ACKNOWLEDGE: frozenset({Role.OFFICER, Role.ADMIN}),
    Permission.ASSIGN_ALERTS: frozenset({Role.OFFICER, Role.MANAGER, Role.ADMIN}),
    Permission.ESCALATE_ALERTS: frozenset({Role.OFFICER, Role.MANAGER, Role.ADMIN}),
    Permission.SILENCE_ALERTS: frozenset({Role.OFFICER, Role.ADMIN}),
    Permission.RESPOND: frozenset({Role.OFFICER, Role.RESPONDER, Role.ADMIN}),
    Permission.EDIT_AREAS: frozenset({Role.OFFICER, Role.ADMIN}),
    Permission.EDIT_RULES: frozenset({Role.OFFICER, Role.ADMIN}),
    Permission.WRITE_NOTES: frozenset({Role.OFFICER, Role.PILOT, Role.RESPONDER, Role.ANALYST, Role.ADMIN}),
    Permission.EDIT_FACILITIES: frozenset({Role.OFFICER, Role.ADMIN}),
    Permission.READ_INCIDENTS: frozenset(
        {Role.OFFICER, Role.RESPONDER, Role.ANALYST, Role.MANAGER, Role.AUDITOR, Role.ADMIN}
    ),
    Permission.READ_INCIDENT_FILES: frozenset(
        {Role.OFFICER, Role.RESPONDER, Role.ANALYST, Role.MANAGER, Role.AUDITOR, Role.ADMIN}
    ),
    Permission.MANAGE_INCIDENTS: frozenset({Role.OFFICER, Role.ADMIN}),
    Permission.COMMENT_ON_INCIDENTS: frozenset({Role.OFFICER, Role.RESPONDER, Role.ANALYST, Role.ADMIN}),
    Permission.LINK_TO_INCIDENTS: frozenset({Role.OFFICER, Role.ANALYST, Role.ADMIN}),
    Permission.MOVE_OWN_TASKS: frozenset({Role.OFFICER, Role.RESPONDER, Role.ADMIN}),
    Permission.EDIT_ROSTER: frozenset({Role.MANAGER, Role.ADMIN}),
    Permission.HAND_OVER: frozenset({Role.OFFICER, Role.ADMIN}),
    Permission.MANAGE_PEOPLE: frozenset({Role.ADMIN}),
    Permission.RESEND_DELIVERIES: frozenset({Role.OFFICER, Role.ADMIN}),
}


EVERYWHERE: Final = frozenset(
    {
        Permission.WATCH,
        Permission.READ_INCIDENTS,
        Permission.EDIT_ROSTER,
        Permission.HAND_OVER,
        Permission.MANAGE_PEOPLE,
    }
)
"""What no area limits: sight of the traffic and of who works on what, and what lies nowhere. Every other permission,
one that is added later too, a person has in their areas only."""


class Forbidden(PermissionError):
    """This person's roles do not allow it; the text says which do."""


class SignInRefused(Exception):
    """`key` names a text of login.*, with its params."""

    def __init__(self, key: str, **params: Any) -> None:
        super().__init__(key)
        self.key, self.params = key, params


class PasswordRefused(SignInRefused):
    """A password that cannot be taken, and why."""


class Due(StrEnum):
    """What somebody has to do before anything else, in this order."""

    CODE = "code"
    PASSWORD = "password"  # noqa: S105 - the word
    SECOND_FACTOR = "second factor"


class BadAccount(ValueError):
    """An account that cannot be made like this; `key` names a text of people.*, with its params."""

    def __init__(self, key: str, **params: Any) -> None:
        super().__init__(text("en", key, **params))
        self.key, self.params = key, params


class LastAdmin(BadAccount):
    """Nobody could manage people any more."""


class UnknownSession(BadAccount):
    """The person has no such session."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Where a sign-in came from: the address, and the browser as it names itself."""

    address: str = ""
    browser: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountRules:
    """Limits of sessions and passwords. Failures are counted a login, over the window that it is then locked for."""

    session_lasts_s: int = 12 * 3600
    idle_limit_s: int = 4 * 3600
    """With no key or pointer touched for this long a session ends."""
    failures_allowed: int = 5
    locked_for_s: int = 15 * 60
    password_minimum: int = 12
    second_factor_roles: frozenset[Role] = frozenset()
    """Who has one of these must give a one-time code."""

    def due(self, user: User, *, second_factor: bool, code_due: bool = False) -> Due | None:
        """What a person has to do first. second_factor: they have one. code_due: their session waits for a code."""
        if code_due:
            return Due.CODE
        if user.issuer is not None:
            return None  # what is asked of them, their provider asks
        if user.must_change_password:
            return Due.PASSWORD
        return Due.SECOND_FACTOR if user.roles & self.second_factor_roles and not second_factor else None

    def ends_at_us(self, expires_at_us: int, active_at_us: int) -> int:
        """When a session is over that nobody touches any more."""
        return min(expires_at_us, active_at_us + self.idle_limit_s * US_PER_S)


@dataclass(frozen=True, kw_only=True, slots=True)
class Person:
    """Who is behind a request: the account and its session. session_id is the token's hash. due: what they have to do
    before anything else. scopes: what an API token is for, None in a session of their own. token_areas: what the token
    is limited to, besides its owner.
    """

    user: User
    session_id: bytes
    expires_at_us: int
    active_at_us: int
    due: Due | None = None
    scopes: frozenset[Permission] | None = None
    token_areas: frozenset[str] | None = None

    @property
    def areas(self) -> frozenset[str] | None:
        """Slugs of the areas that they may act in; None for the whole coast. Scopes can only narrow each other."""
        if self.user.areas is None or self.token_areas is None:
            return self.token_areas if self.user.areas is None else self.user.areas
        return self.user.areas & self.token_areas

    def may(self, permission: Permission) -> bool:
        """Somewhere: by their roles as they are now, and by the token's scopes where they come with one."""
        granted = bool(self.user.roles & GRANTS[permission])
        return granted and (self.scopes is None or permission in self.scopes)

    def may_everywhere(self, permission: Permission) -> bool:
        """On the whole coast, which `must` asks for."""
        return self.may(permission) and (self.areas is None or permission in EVERYWHERE)

    def must(self, permission: Permission) -> None:
        """Raises Forbidden where they may not do it on the whole coast. What is done to something that lies somewhere
        is asked for with operations.territory.must_at, which lets those pass whose areas it lies in.
        """
        self.must_somewhere(permission)
        if not self.may_everywhere(permission):
            language = current_language()
            what = text(language, f"permission.{permission.name.lower()}")
            raise Forbidden(text(language, "scope.whole_coast_only", what=what))

    def must_somewhere(self, permission: Permission) -> None:
        """Raises Forbidden where no role of this person grants it, or the token they come with is not for it."""
        if self.scopes is not None and permission not in self.scopes:
            raise Forbidden(f"this token may not {permission.value}; make one with that scope at /account")
        if not self.may(permission):
            needed = ", ".join(sorted(GRANTS[permission]))
            raise Forbidden(f"{self.user.login} may not {permission.value}; this needs one of the roles {needed}")


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedSession:
    """What sign-in gives: the token is shown to the browser once and stored hashed. code_due: a code is next."""

    token: str
    user: User
    code_due: bool


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

    def __init__(
        self,
        engine: Engine,
        *,
        rules: AccountRules | None = None,
        clock: Clock | None = None,
    ) -> None:
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
        """Make an account; its first password, to be changed at the first sign-in. Raises LoginTaken, BadAccount."""
        if not LOGIN.fullmatch(login):
            raise BadAccount("people.bad_login", limit=LOGIN_LIMIT)
        display_name = " ".join(display_name.split())
        if not 0 < len(display_name) <= NAME_LIMIT:
            raise BadAccount("people.bad_name", limit=NAME_LIMIT)
        _refuse_no_role(roles)
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
        """A new password for a person who lost theirs, to be changed at the next sign-in; their sessions end, their
        API tokens are revoked, and a lock by failures is lifted. Raises UnknownUser, BadAccount.
        """
        password = secrets.token_urlsafe(12)
        now_us = self._clock.now_us()
        with shared_session(self._engine) as session:
            user = _known(session, login)
            if user.issuer is not None:
                raise BadAccount("people.signs_in_elsewhere")
            set_password(session, user.user_id, password_hash=self._hash(password), must_change=True, now_us=now_us)
            clear_login_failures(session, login)
            close_user_sessions(session, user.user_id)
            drop_tokens(session, user.user_id)
            append_audit(session, actor=by, action="password.reset", target=login, detail={}, now_us=now_us)
        return password

    def everyone(self) -> Sequence[User]:
        """Every account."""
        with shared_session(self._engine) as session:
            return list_users(session)

    def note_view(self, of: str, *, by: str) -> None:
        """Somebody looks at the record of another: their rights, and when and from where they were signed in. of: a
        login, or `*` for everybody's.
        """
        with shared_session(self._engine) as session:
            append_view(session, actor=by, action="account.viewed", target=of, detail={}, now_us=self._clock.now_us())

    def one(self, user_id: uuid.UUID) -> User:
        """The account of this id. Raises UnknownUser."""
        with shared_session(self._engine) as session:
            user = find_user(session, user_id)
        if user is None:
            raise UnknownUser(f"there is no account {user_id}; it was deleted meanwhile")
        return user

    def set_roles(self, login: str, roles: frozenset[Role], *, by: str) -> None:
        """What a person may do from now on. Raises UnknownUser, LastAdmin, BadAccount."""
        _refuse_no_role(roles)
        with shared_session(self._engine) as session:
            self._save_rights(session, replace(_known(session, login), roles=roles), by=by, action="account.roles")

    def set_areas(self, login: str, areas: frozenset[str] | None, *, known: Collection[str], by: str) -> None:
        """Limit a person's roles to these areas from now on; None for the whole coast. known: slugs of areas that there
        are, in whatever realm. Raises UnknownUser, BadAccount.
        """
        with shared_session(self._engine) as session:
            user = _known(session, login)
            refuse_bad_areas(areas, known=known)
            self._keep_rights(session, replace(user, areas=areas), by=by, action="account.areas")

    def every_slug(self) -> frozenset[str]:
        """The slugs of the areas of every realm."""
        found: set[str] = set()
        for realm in list_realms(self._engine):
            with realm_session(self._engine, realm) as session:
                found |= {area.slug for area in latest_areas(session)}
        return frozenset(found)

    def set_disabled(self, login: str, disabled: bool, *, by: str) -> None:
        """Shut an account, which ends its sessions, or open it again. Raises UnknownUser, LastAdmin."""
        with shared_session(self._engine) as session:
            user = replace(_known(session, login), disabled=disabled)
            self._save_rights(session, user, by=by, action="account.disabled" if disabled else "account.enabled")
            if disabled:
                close_user_sessions(session, user.user_id)

    def _save_rights(self, session: Session, user: User, *, by: str, action: str) -> None:
        others = [admin for admin in lock_admins(session) if admin.user_id != user.user_id]
        if not others and (user.disabled or Role.ADMIN not in user.roles):
            raise LastAdmin("people.last_admin")
        self._keep_rights(session, user, by=by, action=action)

    def _keep_rights(self, session: Session, user: User, *, by: str, action: str) -> None:
        save_rights(session, user)
        areas = "whole coast" if user.areas is None else sorted(user.areas)
        detail = {"roles": sorted(user.roles), "areas": areas}
        append_audit(session, actor=by, action=action, target=user.login, detail=detail, now_us=self._clock.now_us())

    def sessions(self, login: str | None = None) -> Sequence[WebSession]:
        """The open sessions of a person, or of everybody, the newest first. Raises UnknownUser."""
        now_us = self._clock.now_us()
        with shared_session(self._engine) as session:
            found = list_sessions(session, None if login is None else _known(session, login).user_id)
        return [
            each
            for each in found
            if not each.code_due and now_us < self.rules.ends_at_us(each.expires_at_us, each.last_seen_us)
        ]

    def revoke(self, login: str, session_id: bytes, *, by: str) -> None:
        """End one session of a person. Raises UnknownUser, UnknownSession."""
        with shared_session(self._engine) as session:
            user = _known(session, login)
            found = find_session(session, session_id)
            if found is None or found.user.user_id != user.user_id:
                raise UnknownSession("people.no_such_session")
            close_session(session, session_id)
            self._audit_revoked(session, user, n=1, by=by)

    def revoke_all(self, login: str, *, by: str, but: bytes | None = None) -> None:
        """End every session of a person; `but`: the one to keep. Raises UnknownUser."""
        with shared_session(self._engine) as session:
            user = _known(session, login)
            n = sum(each.session_id != but for each in list_sessions(session, user.user_id))
            close_user_sessions(session, user.user_id, but=but)
            self._audit_revoked(session, user, n=n, by=by)

    def _audit_revoked(self, session: Session, user: User, *, n: int, by: str) -> None:
        append_audit(
            session,
            actor=by,
            action="session.revoked",
            target=user.login,
            detail={"sessions": n},
            now_us=self._clock.now_us(),
        )

    def sign_in(self, login: str, password: str, *, origin: Origin | None = None) -> OpenedSession:
        """Open a session. Raises SignInRefused: wrong (whichever of the two it was), or locked and until when."""
        now_us, origin = self._clock.now_us(), origin or Origin()
        login = login.strip()
        self._refuse_locked(login, now_us=now_us)
        with shared_session(self._engine) as session:
            user = find_user_by_login(session, login)
            stored = password_hash_of(session, user.user_id) if user is not None else None
        right = self._matches(stored or _NOBODY, password)
        if user is None or not right or user.disabled:
            self._count_failure(login, now_us=now_us)
            raise SignInRefused("login.wrong")
        with shared_session(self._engine) as session:
            if stored is not None and _HASHER.check_needs_rehash(stored):
                set_password(
                    session,
                    user.user_id,
                    password_hash=self._hash(password),
                    must_change=user.must_change_password,
                    now_us=now_us,
                )
            factor = find_factor(session, user.user_id)
            if factor is not None and factor.confirmed:
                # failures are forgotten with the right code only: who has the password could guess codes without end
                return self.open(session, user, origin, now_us=now_us, code_due=True)
            clear_login_failures(session, login)
            return self.open(session, user, origin, now_us=now_us)

    def open(
        self, session: Session, user: User, origin: Origin, *, now_us: int, code_due: bool = False, **detail: str
    ) -> OpenedSession:
        """A new session in this transaction. code_due: it may only give a one-time code, and waits for it a while."""
        token = secrets.token_urlsafe(32)
        lasts_s = CODE_WITHIN_S if code_due else self.rules.session_lasts_s
        open_session(
            session,
            token_hash=token_hash(token),
            user_id=user.user_id,
            now_us=now_us,
            expires_at_us=now_us + lasts_s * US_PER_S,
            address=origin.address,
            browser=origin.browser[:_BROWSER_LIMIT],
            code_due=code_due,
        )
        if not code_due:
            append_audit(
                session, actor=user.login, action="session.opened", target=user.login, detail=detail, now_us=now_us
            )
        return OpenedSession(token=token, user=user, code_due=code_due)

    def reset_second_factor(self, login: str, *, by: str) -> None:
        """For a person who lost their authenticator and recovery codes: it is off and their sessions end, a lock by
        failures is lifted. Raises UnknownUser.
        """
        with shared_session(self._engine) as session:
            user = _known(session, login)
            drop_factor(session, user.user_id)
            clear_login_failures(session, login)
            close_user_sessions(session, user.user_id)
            append_audit(
                session,
                actor=by,
                action="second_factor.reset",
                target=user.login,
                detail={},
                now_us=self._clock.now_us(),
            )

    def sign_out(self, token: str) -> None:
        """End a session; one that is already gone is no error."""
        with shared_session(self._engine) as session:
            close_session(session, token_hash(token))

    def change_password(self, person: Person, current: str, new: str, again: str) -> None:
        """Set a new password and end every other session of the person. Raises PasswordRefused and says why."""
        user, now_us = person.user, self._clock.now_us()
        if user.issuer is not None:
            raise PasswordRefused("login.elsewhere")
        self.check_password(person, current)
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

    def check_password(self, person: Person, password: str) -> None:
        """Whether it is the person who sits there: by their password, or, of those who have none here, by a sign-in at
        their provider a moment ago. Raises PasswordRefused, SignInRefused where it is locked.
        """
        user, now_us = person.user, self._clock.now_us()
        if user.issuer is not None:
            opened_us = person.expires_at_us - self.rules.session_lasts_s * US_PER_S
            if now_us - opened_us > JUST_SIGNED_IN_S * US_PER_S:
                raise PasswordRefused("login.again_elsewhere", minutes=JUST_SIGNED_IN_S // 60)
            return
        self._refuse_locked(user.login, now_us=now_us)
        with shared_session(self._engine) as session:
            stored = password_hash_of(session, user.user_id)
        if stored is None or not self._matches(stored, password):
            self._count_failure(user.login, now_us=now_us)
            raise PasswordRefused("login.current_wrong")

    def _refuse_locked(self, login: str, *, now_us: int) -> None:
        with shared_session(self._engine) as session:
            locked = self.locked(session, login, now_us=now_us)
        if locked:
            raise self.lock_refusal()

    def locked(self, session: Session, login: str, *, now_us: int) -> bool:
        """Whether too many failures have locked this login."""
        since_us = now_us - self.rules.locked_for_s * US_PER_S
        return count_login_failures(session, login, since_us=since_us) >= self.rules.failures_allowed

    def lock_refusal(self) -> SignInRefused:
        return SignInRefused("login.locked", minutes=max(1, self.rules.locked_for_s // 60))

    def _count_failure(self, login: str, *, now_us: int) -> None:
        with shared_session(self._engine) as session:
            self.record_failure(session, login, now_us=now_us)

    def record_failure(self, session: Session, login: str, *, now_us: int, **detail: str) -> None:
        """Count a failed sign-in of this login."""
        record_login_failure(session, login, now_us=now_us)
        append_audit(session, actor=login, action="session.refused", target=login, detail=detail, now_us=now_us)

    def _hash(self, password: str) -> str:
        with self._hashing:
            return _HASHER.hash(password)

    def _matches(self, stored: str, password: str) -> bool:
        with self._hashing:
            try:
                return _HASHER.verify(stored, password)
            except (VerificationError, InvalidHashError):
                return False


def _refuse_no_role(roles: frozenset[Role]) -> None:
    if not roles:
        raise BadAccount("people.no_role")


def refuse_bad_areas(areas: frozenset[str] | None, *, known: Collection[str]) -> None:
    """Raises BadAccount for a scope of no area, of too many, or of one that is not known."""
    if areas is None:
        return
    if not 0 < len(areas) <= AREAS_A_PERSON:
        raise BadAccount("people.bad_areas", limit=AREAS_A_PERSON)
    unknown = sorted(areas - set(known))
    if unknown:
        raise BadAccount("people.unknown_area", slug=unknown[0][:60])


def _known(session: Session, login: str) -> User:
    user = find_user_by_login(session, login)
    if user is None:
        raise UnknownUser(f"there is no account {login!r}; `mizugiwa users list` shows all")
    return user
