"""Second factors: the sealed secret of a person's one-time codes, and the hashes of their recovery codes."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from command.store.tables import RECOVERY_CODE, SECOND_FACTOR


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFactor:
    """sealed_secret: readable only with a key that is not in the store. last_step: of the last code that was used."""

    user_id: uuid.UUID
    sealed_secret: bytes
    confirmed: bool
    last_step: int


def find_factor(session: Session, user_id: uuid.UUID) -> StoredFactor | None:
    """A person's factor, locked until this transaction ends: two guesses at once are two guesses. None without one."""
    row = session.execute(
        select(SECOND_FACTOR).where(SECOND_FACTOR.c.user_id == user_id).with_for_update()
    ).one_or_none()
    if row is None:
        return None
    return StoredFactor(
        user_id=row.user_id, sealed_secret=row.sealed_secret, confirmed=row.confirmed, last_step=row.last_step
    )


def begin_factor(session: Session, user_id: uuid.UUID, *, sealed_secret: bytes, now_us: int) -> None:
    """A factor that counts once it is confirmed; it takes the place of one that never was."""
    values = {"sealed_secret": sealed_secret, "confirmed": False, "last_step": 0, "created_at": now_us}
    session.execute(
        insert(SECOND_FACTOR)
        .values(user_id=user_id, **values)
        .on_conflict_do_update(index_elements=["user_id"], set_=values)
    )


def use_step(session: Session, user_id: uuid.UUID, step: int) -> None:
    """A right code was given: the factor is confirmed, and no code up to this step counts any more."""
    session.execute(
        update(SECOND_FACTOR).where(SECOND_FACTOR.c.user_id == user_id).values(confirmed=True, last_step=step)
    )


def drop_factor(session: Session, user_id: uuid.UUID) -> bool:
    """Take a factor away, with its recovery codes. False where there was none."""
    gone = session.execute(
        delete(SECOND_FACTOR).where(SECOND_FACTOR.c.user_id == user_id).returning(SECOND_FACTOR.c.user_id)
    )
    return gone.one_or_none() is not None


def replace_recovery_codes(session: Session, user_id: uuid.UUID, hashes: Collection[bytes]) -> None:
    """SHA-256 of each new code, 32 bytes; the old ones count no more."""
    session.execute(delete(RECOVERY_CODE).where(RECOVERY_CODE.c.user_id == user_id))
    session.execute(insert(RECOVERY_CODE), [{"code_sha256": each, "user_id": user_id} for each in hashes])


def use_recovery_code(session: Session, user_id: uuid.UUID, code_sha256: bytes) -> bool:
    """Whether the person has this code; it counts no more."""
    used = session.execute(
        delete(RECOVERY_CODE)
        .where(RECOVERY_CODE.c.user_id == user_id, RECOVERY_CODE.c.code_sha256 == code_sha256)
        .returning(RECOVERY_CODE.c.user_id)
    )
    return used.one_or_none() is not None


def count_recovery_codes(session: Session, user_id: uuid.UUID) -> int:
    query = select(func.count()).select_from(RECOVERY_CODE).where(RECOVERY_CODE.c.user_id == user_id)
    return session.execute(query).scalar_one()
