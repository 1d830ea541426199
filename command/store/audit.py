"""The audit log that all realms share: who did what to what, append-only, and the heads that seal it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy.exc
from psycopg.errors import LockNotAvailable
from sqlalchemy import Engine, Row, Select, Text, cast, insert, select, text
from sqlalchemy.orm import Session

from command.domain.clock import US_PER_S
from command.store.engine import shared_session
from command.store.tables import AUDIT, AUDIT_HEAD

MAX_ENTRIES: Final = 10_000
VIEW_AGAIN_S: Final = 10 * 60
_MICROSECONDS: Final = text(
    "CASE WHEN isfinite(recorded_at) THEN (extract(epoch FROM recorded_at) * 1000000)::bigint END AS recorded_at_us"
)
"""Exact, and defined for whatever somebody put there by hand."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEntry:
    """One thing someone did. recorded_at_us is what the caller gave, so detail says the realm where it is one's."""

    audit_id: int
    recorded_at_us: int
    actor: str
    action: str
    target: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditRow:
    """One entry as it lies in the store. detail_text: the jsonb as PostgreSQL writes it (keys unique, ordered by
    length and then by bytes). recorded_at_us is None where the time is infinite, which no entry of ours is.
    """

    audit_id: int
    recorded_at_us: int | None
    actor: str
    action: str
    target: str
    detail_text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredHead:
    """One sealed batch: its number, the highest audit_id that it covers, and its line as it is exported."""

    batch: int
    upto_id: int
    line: str


def append_audit(
    session: Session, *, actor: str, action: str, target: str, detail: Mapping[str, Any], now_us: int
) -> None:
    """Write one entry in the caller's transaction, so that the act and its entry stand or fall together."""
    session.execute(
        insert(AUDIT).values(recorded_at=now_us, actor=actor, action=action, target=target, detail=dict(detail))
    )


def append_view(
    session: Session, *, actor: str, action: str, target: str, detail: Mapping[str, Any], now_us: int
) -> None:
    """The same, of somebody looking at a protected record: once in VIEW_AGAIN_S for each person and record, so that a
    page which is loaded again and again does not drown what else is in the log.
    """
    since_us = now_us - VIEW_AGAIN_S * US_PER_S
    seen = select(AUDIT.c.audit_id).where(
        AUDIT.c.target == target,
        AUDIT.c.actor == actor,
        AUDIT.c.action == action,
        AUDIT.c.recorded_at > since_us,
        AUDIT.c.detail == dict(detail),
    )
    if session.execute(seen.limit(1)).first() is None:
        append_audit(session, actor=actor, action=action, target=target, detail=detail, now_us=now_us)


def list_audit(session: Session, *, limit: int, target: str | None = None) -> list[AuditEntry]:
    """The newest entries first; of one target where it is given."""
    query = select(AUDIT).order_by(AUDIT.c.audit_id.desc()).limit(min(limit, MAX_ENTRIES))
    if target is not None:
        query = query.where(AUDIT.c.target == target)
    return [
        AuditEntry(
            audit_id=row.audit_id,
            recorded_at_us=row.recorded_at,
            actor=row.actor,
            action=row.action,
            target=row.target,
            detail=row.detail,
        )
        for row in session.execute(query)
    ]


def audit_rows(session: Session, *, after_id: int, upto_id: int, limit: int) -> list[AuditRow]:
    """The rows with after_id < audit_id <= upto_id, in order, `limit` at most."""
    query = _rows().where(AUDIT.c.audit_id > after_id, AUDIT.c.audit_id <= upto_id)
    return [_row(row) for row in session.execute(query.order_by(AUDIT.c.audit_id).limit(limit))]


def audit_rows_outside(session: Session, *, lowest_id: int, highest_id: int, limit: int) -> list[AuditRow]:
    """Rows whose number the log never gave out: below lowest_id or above highest_id."""
    query = _rows().where((AUDIT.c.audit_id < lowest_id) | (AUDIT.c.audit_id > highest_id))
    return [_row(row) for row in session.execute(query.order_by(AUDIT.c.audit_id).limit(limit))]


def last_audit_id(session: Session) -> int:
    """The highest number that the log has given out, 0 before the first; its row may be uncommitted or rolled back."""
    query = text("SELECT coalesce(pg_sequence_last_value('shared.audit_audit_id_seq'), 0)")
    return int(session.execute(query).scalar_one())


def settled_audit_id(engine: Engine, *, wait_ms: int) -> int | None:
    """The number up to which no row can come any more: each is committed, or its transaction was rolled back.

    The lock waits for every transaction that has written an entry, and a number is drawn under that same lock, so
    none is in between. It is held for one statement. None where a writer took longer than wait_ms: ask again later.
    """
    with shared_session(engine) as session:
        session.execute(text("SELECT set_config('lock_timeout', :wait, true)"), {"wait": f"{wait_ms}ms"})
        try:
            session.execute(text("LOCK TABLE shared.audit IN SHARE MODE"))
        except sqlalchemy.exc.OperationalError as exc:
            if not isinstance(exc.orig, LockNotAvailable):
                raise
            session.rollback()
            return None
        return last_audit_id(session)


def try_sealing_lock(session: Session) -> bool:
    """One process seals at a time; held to the end of the transaction."""
    query = text("SELECT pg_try_advisory_xact_lock(hashtextextended('mizugiwa audit', 0))")
    return bool(session.execute(query).scalar_one())


def last_head(session: Session) -> StoredHead | None:
    """The newest sealed batch; None before the first."""
    row = session.execute(select(AUDIT_HEAD).order_by(AUDIT_HEAD.c.batch.desc()).limit(1)).one_or_none()
    return None if row is None else StoredHead(batch=row.batch, upto_id=row.upto_id, line=row.line)


def heads_after(session: Session, batch: int, *, limit: int) -> list[StoredHead]:
    """Sealed batches with higher numbers, in order."""
    query = select(AUDIT_HEAD).where(AUDIT_HEAD.c.batch > batch).order_by(AUDIT_HEAD.c.batch).limit(limit)
    return [StoredHead(batch=row.batch, upto_id=row.upto_id, line=row.line) for row in session.execute(query)]


def add_head(session: Session, head: StoredHead) -> None:
    session.execute(insert(AUDIT_HEAD).values(batch=head.batch, upto_id=head.upto_id, line=head.line))


def _rows() -> Select[Any]:
    return select(
        AUDIT.c.audit_id,
        _MICROSECONDS,
        AUDIT.c.actor,
        AUDIT.c.action,
        AUDIT.c.target,
        cast(AUDIT.c.detail, Text).label("detail_text"),
    )


def _row(row: Row[Any]) -> AuditRow:
    return AuditRow(
        audit_id=row.audit_id,
        recorded_at_us=row.recorded_at_us,
        actor=row.actor,
        action=row.action,
        target=row.target,
        detail_text=row.detail_text,
    )
