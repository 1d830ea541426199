"""API tokens: whose, for what, until when. The token itself is nowhere in the store, only its SHA-256."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from command.domain.people import User
from command.store.people import has_second_factor, user_of
from command.store.tables import API_TOKEN, PERSON


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredToken:
    """One token of a person. scopes: names of permissions. areas: slugs that it is limited to, None for those of its
    owner.
    """

    token_id: uuid.UUID
    name: str
    scopes: tuple[str, ...]
    created_at_us: int
    expires_at_us: int
    last_used_us: int | None
    areas: tuple[str, ...] | None = None


def add_token(session: Session, user_id: uuid.UUID, token: StoredToken, *, token_hash: bytes) -> None:
    """token_hash: SHA-256 of the token, 32 bytes."""
    session.execute(
        insert(API_TOKEN).values(
            token_id=token.token_id,
            user_id=user_id,
            token_sha256=token_hash,
            name=token.name,
            scopes=list(token.scopes),
            token_areas=None if token.areas is None else list(token.areas),
            created_at=token.created_at_us,
            expires_at=token.expires_at_us,
        )
    )


def list_tokens(session: Session, user_id: uuid.UUID) -> list[StoredToken]:
    """The tokens of a person, the newest first."""
    query = select(API_TOKEN).where(API_TOKEN.c.user_id == user_id)
    return [_token(row) for row in session.execute(query.order_by(API_TOKEN.c.created_at.desc(), API_TOKEN.c.token_id))]


def find_token(session: Session, token_hash: bytes) -> tuple[StoredToken, User, bool] | None:
    """The token of a hash, whose it is as they are now, and whether they have a second factor; None where none is."""
    query = select(PERSON, API_TOKEN, has_second_factor().label("second_factor")).join(
        API_TOKEN, API_TOKEN.c.user_id == PERSON.c.user_id
    )
    row = session.execute(query.where(API_TOKEN.c.token_sha256 == token_hash)).one_or_none()
    return None if row is None else (_token(row), user_of(row), row.second_factor)


def touch_token(session: Session, token_id: uuid.UUID, *, now_us: int, not_since_us: int) -> None:
    """Note that a token was used, unless that was noted at or after not_since_us."""
    rarely = or_(API_TOKEN.c.last_used_at.is_(None), API_TOKEN.c.last_used_at < not_since_us)
    session.execute(update(API_TOKEN).where(API_TOKEN.c.token_id == token_id, rarely).values(last_used_at=now_us))


def drop_token(session: Session, user_id: uuid.UUID, token_id: uuid.UUID) -> str | None:
    """Revoke one token of a person; its name, None where they have no such token."""
    gone = delete(API_TOKEN).where(API_TOKEN.c.token_id == token_id, API_TOKEN.c.user_id == user_id)
    return session.execute(gone.returning(API_TOKEN.c.name)).scalar_one_or_none()


def drop_tokens(session: Session, user_id: uuid.UUID, *, expired_before_us: int | None = None) -> int:
    """Revoke every token of a person, or those that expired before a time; how many."""
    gone = delete(API_TOKEN).where(API_TOKEN.c.user_id == user_id)
    if expired_before_us is not None:
        gone = gone.where(API_TOKEN.c.expires_at < expired_before_us)
    return len(session.execute(gone.returning(API_TOKEN.c.token_id)).all())


def count_tokens(session: Session, user_id: uuid.UUID) -> int:
    query = select(func.count()).select_from(API_TOKEN).where(API_TOKEN.c.user_id == user_id)
    return session.execute(query).scalar_one()


def _token(row: Row[Any]) -> StoredToken:
    return StoredToken(
        token_id=row.token_id,
        name=row.name,
        scopes=tuple(row.scopes),
        created_at_us=row.created_at,
        expires_at_us=row.expires_at,
        last_used_us=row.last_used_at,
        areas=None if row.token_areas is None else tuple(row.token_areas),
    )
