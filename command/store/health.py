"""Health as the processes of a realm report it: one row a source and one a process, the latest report only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from command.domain.health import SourceHealth
from command.store.tables import HEARTBEAT, SOURCE_HEALTH


@dataclass(frozen=True, kw_only=True, slots=True)
class Heartbeat:
    """A process said that it lives. reported_at_us is the host's time, not the realm's."""

    process: str
    pid: int
    reported_at_us: int
    detail: Mapping[str, Any] = field(default_factory=dict)


def save_source_health(session: Session, reports: Sequence[SourceHealth]) -> None:
    """Keep the latest report of each source and gateway; one older than the stored report changes nothing."""
    for report in sorted(reports, key=lambda report: (report.source, report.gateway)):
        columns = {
            "source": report.source,
            "gateway": report.gateway,
            "kind": report.kind,
            "started_at": report.started_at_us,
            "reported_at": report.reported_at_us,
            "state": report.state,
            "messages_in": report.messages_in,
            "decoded": report.decoded,
            "rejected": dict(report.rejected),
            "duplicates": report.duplicates,
            "observations": report.observations,
            "shed": dict(report.shed),
            "ignored": dict(report.ignored),
            "last_seen_at": report.last_seen_us,
            "last_observed_at": report.last_observed_us,
            "lag_s": report.lag_s,
            "clock_offset_s": report.clock_offset_s,
            "detail": report.detail,
        }
        upsert = insert(SOURCE_HEALTH).values(columns)
        session.execute(
            upsert.on_conflict_do_update(
                index_elements=[SOURCE_HEALTH.c.source, SOURCE_HEALTH.c.gateway],
                set_=columns,
                where=SOURCE_HEALTH.c.reported_at <= upsert.excluded.reported_at,
            )
        )


def list_source_health(session: Session) -> list[SourceHealth]:
    """The latest report of every source, by source and gateway."""
    query = select(SOURCE_HEALTH).order_by(SOURCE_HEALTH.c.source, SOURCE_HEALTH.c.gateway)
    return [
        SourceHealth(
            source=row.source,
            kind=row.kind,
            gateway=row.gateway,
            started_at_us=row.started_at,
            reported_at_us=row.reported_at,
            state=row.state,
            messages_in=row.messages_in,
            decoded=row.decoded,
            rejected=row.rejected,
            duplicates=row.duplicates,
            observations=row.observations,
            shed=row.shed,
            ignored=row.ignored,
            last_seen_us=row.last_seen_at,
            last_observed_us=row.last_observed_at,
            lag_s=row.lag_s,
            clock_offset_s=row.clock_offset_s,
            detail=row.detail,
        )
        for row in session.execute(query)
    ]


def save_heartbeat(session: Session, process: str, *, now_us: int, pid: int, detail: Mapping[str, Any]) -> None:
    """The process lives at `now_us`, the host's time."""
    columns = {"process": process, "pid": pid, "reported_at": now_us, "detail": dict(detail)}
    session.execute(
        insert(HEARTBEAT).values(columns).on_conflict_do_update(index_elements=[HEARTBEAT.c.process], set_=columns)
    )


def list_heartbeats(session: Session) -> list[Heartbeat]:
    """The latest heartbeat of every process, by name."""
    rows = session.execute(select(HEARTBEAT).order_by(HEARTBEAT.c.process))
    return [
        Heartbeat(process=row.process, pid=row.pid, reported_at_us=row.reported_at, detail=row.detail) for row in rows
    ]
