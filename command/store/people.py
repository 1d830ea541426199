"""Accounts, their open web sessions and failed sign-ins; shared by all realms. All times are the host's."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import ColumnElement, Row, Select, bindparam, delete, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from command.domain.clock import US_PER_S
from command.domain.people import Role, User
from command.store.tables import LOGIN_FAILURE, PERSON, SECOND_FACTOR, WEB_SESSION
from command.store.types import SafeText

FAILURES_KEPT_US: Final = 24 * 3_600 * US_PER_S
"""Failed sign-ins older than this are forgotten with the next one, so that the table stays small."""


class LoginTaken(ValueError):
    """Another account has this login (case is not minded)."""


class UnknownUser(LookupError):
    """No account has this id or login."""


@dataclass(frozen=True, kw_only=True, slots=True)
class WebSession:
    """An open session and whose it is. session_id: the SHA-256 of its token, which itself is nowhere in the store.
    address and browser: what the sign-in came from, as it said itself. code_due: the password was right, and the
    one-time code is still to come. second_factor: the person has one.
    """

    session_id: bytes
    user: User
    address: str
    browser: str
    code_due: bool
    second_factor: bool
    opened_at_us: int
    last_seen_us: int
    expires_at_us: int


def user_of(row: Row[Any]) -> User:
    """The account of a row that holds the columns of PERSON."""
    return User(
        user_id=row.user_id,
        login=row.login,
        display_name=row.display_name,
        roles=frozenset(Role(role) for role in row.roles),
        must_change_password=row.must_change_password,
        disabled=row.disabled,
        areas=None if row.areas is None else frozenset(row.areas),
        issuer=row.issuer,
    )


def create_user(session: Session, user: User, *, password_hash: str, now_us: int, subject: str | None = None) -> None:
    """Add an account. subject: what the user's provider calls them, where they have one. Raises LoginTaken."""
    try:
        with session.begin_nested():
            session.execute(
                insert(PERSON).values(
                    user_id=user.user_id,
                    login=user.login,
                    display_name=user.display_name,
                    roles=sorted(user.roles),
                    password_hash=password_hash,
                    must_change_password=user.must_change_password,
                    disabled=user.disabled,
                    areas=_written(user.areas),
                    issuer=user.issuer,
                    subject=subject,
                    created_at=now_us,
                    password_set_at=now_us,
                )
            )
    except IntegrityError as exc:
        raise LoginTaken(f"there is an account {user.login!r} already; choose another login") from exc


def find_user_by_login(session: Session, login: str) -> User | None:
    """The account with this login, case not minded; None where there is none."""
    row = session.execute(select(PERSON).where(_same_login(PERSON.c.login, login))).one_or_none()
    return None if row is None else user_of(row)


def find_user_by_subject(session: Session, *, issuer: str, subject: str) -> User | None:
    """The account of somebody as their provider calls them; None where there is none."""
    query = select(PERSON).where(PERSON.c.issuer == issuer, PERSON.c.subject == subject)
    row = session.execute(query).one_or_none()
    return None if row is None else user_of(row)


def find_user(session: Session, user_id: uuid.UUID) -> User | None:
    """The account of this id; None where there is none."""
    row = session.execute(select(PERSON).where(PERSON.c.user_id == user_id)).one_or_none()
    return None if row is None else user_of(row)


def save_rights(session: Session, user: User) -> None:
    """Store the roles of an account, the areas that they are limited to, and whether it is disabled."""
    rights = {"roles": sorted(user.roles), "areas": _written(user.areas), "disabled": user.disabled}
    session.execute(update(PERSON).where(PERSON.c.user_id == user.user_id).values(rights))


def lock_admins(session: Session) -> list[User]:
    """The administrators who can sign in; nobody else changes them until this transaction ends."""
    query = select(PERSON).where(PERSON.c.roles.contains([Role.ADMIN.value]), PERSON.c.disabled.is_(False))
    return [user_of(row) for row in session.execute(query.order_by(PERSON.c.user_id).with_for_update())]


def list_users(session: Session) -> list[User]:
    """Every account, by login."""
    return [user_of(row) for row in session.execute(select(PERSON).order_by(func.lower(PERSON.c.login)))]


def count_users(session: Session) -> int:
    return session.execute(select(func.count()).select_from(PERSON)).scalar_one()


def password_hash_of(session: Session, user_id: uuid.UUID) -> str | None:
    """The stored hash; None where there is no such account."""
    return session.execute(select(PERSON.c.password_hash).where(PERSON.c.user_id == user_id)).scalar_one_or_none()


def set_password(session: Session, user_id: uuid.UUID, *, password_hash: str, must_change: bool, now_us: int) -> None:
    """Replace the hash. must_change: the person has to choose another at the next sign-in. Raises UnknownUser."""
    changed = session.execute(
        update(PERSON)
        .where(PERSON.c.user_id == user_id)
        .values(password_hash=password_hash, must_change_password=must_change, password_set_at=now_us)
        .returning(PERSON.c.user_id)
    ).one_or_none()
    if changed is None:
        raise UnknownUser(f"there is no account {user_id}; it was deleted meanwhile")


def open_session(
    session: Session,
    *,
    token_hash: bytes,
    user_id: uuid.UUID,
    now_us: int,
    expires_at_us: int,
    address: str = "",
    browser: str = "",
    code_due: bool = False,
) -> None:
    """Open a web session under the SHA-256 of its token, 32 bytes. Sessions that are over are cleared away."""
    session.execute(delete(WEB_SESSION).where(WEB_SESSION.c.expires_at <= now_us))
    session.execute(
        insert(WEB_SESSION).values(
            token_sha256=token_hash,
            user_id=user_id,
            opened_at=now_us,
            last_seen_at=now_us,
            expires_at=expires_at_us,
            address=address,
            browser=browser,
            code_due=code_due,
        )
    )


def find_session(session: Session, token_hash: bytes) -> WebSession | None:
    """The session of a token's hash with its user as they are now; None where there is none.

    Whether it is over (expires_at_us, disabled) is for the caller, who has the clock.
    """
    row = session.execute(_sessions().where(WEB_SESSION.c.token_sha256 == token_hash)).one_or_none()
    return None if row is None else _web_session(row)


def list_sessions(session: Session, user_id: uuid.UUID | None = None) -> list[WebSession]:
    """The sessions of a person, or of everybody, the newest first. See find_session for those that are over."""
    query = _sessions().order_by(WEB_SESSION.c.opened_at.desc(), WEB_SESSION.c.token_sha256)
    if user_id is not None:
        query = query.where(WEB_SESSION.c.user_id == user_id)
    return [_web_session(row) for row in session.execute(query)]


def _sessions() -> Select[Any]:
    return select(PERSON, WEB_SESSION, has_second_factor().label("second_factor")).join(
        WEB_SESSION, WEB_SESSION.c.user_id == PERSON.c.user_id
    )


def _web_session(row: Row[Any]) -> WebSession:
    return WebSession(
        session_id=row.token_sha256,
        user=user_of(row),
        opened_at_us=row.opened_at,
        last_seen_us=row.last_seen_at,
        expires_at_us=row.expires_at,
        address=row.address,
        browser=row.browser,
        code_due=row.code_due,
        second_factor=row.second_factor,
    )


def has_second_factor() -> ColumnElement[bool]:
    """Whether the PERSON of a query has a confirmed second factor."""
    return exists().where(SECOND_FACTOR.c.user_id == PERSON.c.user_id, SECOND_FACTOR.c.confirmed)


def users_with_second_factor(session: Session) -> frozenset[uuid.UUID]:
    query = select(SECOND_FACTOR.c.user_id).where(SECOND_FACTOR.c.confirmed)
    return frozenset(session.execute(query).scalars())


def touch_session(session: Session, token_hash: bytes, *, now_us: int) -> None:
    """The person is at work: last_seen_us never goes back."""
    session.execute(
        update(WEB_SESSION)
        .where(WEB_SESSION.c.token_sha256 == token_hash, WEB_SESSION.c.last_seen_at < now_us)
        .values(last_seen_at=now_us)
    )


def close_session(session: Session, token_hash: bytes) -> None:
    """End a session; one that is gone already is no error."""
    session.execute(delete(WEB_SESSION).where(WEB_SESSION.c.token_sha256 == token_hash))


def close_user_sessions(session: Session, user_id: uuid.UUID, *, but: bytes | None = None) -> None:
    """End every session of a person; `but`: the hash of the one to keep."""
    query = delete(WEB_SESSION).where(WEB_SESSION.c.user_id == user_id)
    session.execute(query if but is None else query.where(WEB_SESSION.c.token_sha256 != but))


def record_login_failure(session: Session, login: str, *, now_us: int) -> None:
    """A sign-in as `login` failed, whether there is such an account or not."""
    session.execute(delete(LOGIN_FAILURE).where(LOGIN_FAILURE.c.failed_at < now_us - FAILURES_KEPT_US))
    session.execute(insert(LOGIN_FAILURE).values(login=login, failed_at=now_us))


def count_login_failures(session: Session, login: str, *, since_us: int) -> int:
    """Failed sign-ins as `login` at or after since_us (24 hours at most are kept)."""
    query = select(func.count()).select_from(LOGIN_FAILURE).where(_same_login(LOGIN_FAILURE.c.login, login))
    return session.execute(query.where(LOGIN_FAILURE.c.failed_at >= since_us)).scalar_one()


def clear_login_failures(session: Session, login: str) -> None:
    """A sign-in succeeded: its failures no longer count."""
    session.execute(delete(LOGIN_FAILURE).where(_same_login(LOGIN_FAILURE.c.login, login)))


def _written(areas: frozenset[str] | None) -> list[str] | None:
    return None if areas is None else sorted(areas)


def _same_login(column: ColumnElement[str], login: str) -> ColumnElement[bool]:
    return func.lower(column) == func.lower(bindparam(None, login, type_=SafeText))
