"""Requests that came before: a repeated one finds what the first one did instead of doing it again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import delete, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from command.domain.clock import US_PER_S
from command.store.tables import IDEMPOTENCY

KEPT_US: Final = 7 * 24 * 3_600 * US_PER_S
"""A key is remembered this long."""
_FORGOTTEN_AT_ONCE: Final = 100


class KeyReused(ValueError):
    """The key came before with another request."""


def claim_key(
    session: Session, *, actor: str, key: str, request_sha256: bytes, now_us: int
) -> Mapping[str, Any] | None:
    """None where this request is the first with its key, else what keep_outcome kept. now_us: the host's time.

    Of two at the same time the second waits until the first one's transaction ends. Raises KeyReused.
    """
    _forget_old(session, now_us=now_us)
    claimed = session.execute(
        insert(IDEMPOTENCY)
        .values(actor=actor, key=key, request_sha256=request_sha256, recorded_at=now_us)
        .on_conflict_do_nothing()
        .returning(IDEMPOTENCY.c.key)
    ).first()
    if claimed is not None:
        return None
    row = session.execute(select(IDEMPOTENCY).where(IDEMPOTENCY.c.actor == actor, IDEMPOTENCY.c.key == key)).one()
    if bytes(row.request_sha256) != request_sha256:
        raise KeyReused(f"the key {key!r} came before with another request; use a new key for each")
    outcome: Mapping[str, Any] = row.outcome or {}
    return outcome


def _forget_old(session: Session, *, now_us: int) -> None:
    """Some of what is old enough; what another transaction forgets just now is left to it."""
    old = (
        select(IDEMPOTENCY.c.actor, IDEMPOTENCY.c.key)
        .where(IDEMPOTENCY.c.recorded_at < now_us - KEPT_US)
        .limit(_FORGOTTEN_AT_ONCE)
        .with_for_update(skip_locked=True)
    )
    session.execute(delete(IDEMPOTENCY).where(tuple_(IDEMPOTENCY.c.actor, IDEMPOTENCY.c.key).in_(old)))


def keep_outcome(session: Session, *, actor: str, key: str, outcome: Mapping[str, Any]) -> None:
    """What the request of this key did, in the transaction that did it."""
    session.execute(
        update(IDEMPOTENCY).where(IDEMPOTENCY.c.actor == actor, IDEMPOTENCY.c.key == key).values(outcome=dict(outcome))
    )
