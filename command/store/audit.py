"""The audit log that all realms share: who did what to what, append-only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from command.store.tables import AUDIT

MAX_ENTRIES: Final = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEntry:
    """One thing someone did. recorded_at_us is what the caller gave, so detail says the realm where it is one's."""

    audit_id: int
    recorded_at_us: int
    actor: str
    action: str
    target: str
    detail: Mapping[str, Any]


def append_audit(
    session: Session, *, actor: str, action: str, target: str, detail: Mapping[str, Any], now_us: int
) -> None:
    """Write one entry in the caller's transaction, so that the act and its entry stand or fall together."""
    session.execute(
        insert(AUDIT).values(recorded_at=now_us, actor=actor, action=action, target=target, detail=dict(detail))
    )


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
