"""The keys of the console as each person set them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from command.store.tables import PERSON_KEYS


def load_keys(session: Session, user_id: uuid.UUID) -> tuple[bool, Mapping[str, str | None]] | None:
    """Whether single characters are off, and act -> key (None: no key); None where the person set nothing."""
    row = session.execute(select(PERSON_KEYS).where(PERSON_KEYS.c.user_id == user_id)).one_or_none()
    return None if row is None else (row.letters_off, row.keys)


def save_keys(session: Session, user_id: uuid.UUID, *, letters_off: bool, keys: Mapping[str, str | None]) -> None:
    """In the place of what was set before."""
    values = {"letters_off": letters_off, "keys": dict(keys)}
    session.execute(
        insert(PERSON_KEYS)
        .values(user_id=user_id, **values)
        .on_conflict_do_update(index_elements=[PERSON_KEYS.c.user_id], set_=values)
    )
