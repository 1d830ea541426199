"""Incidents: each act is an entry of an append-only log, and the row that lists show is the sum of its entries."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import and_, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from command.domain.alert import Severity
from command.domain.incident import (
    OPEN_STATES,
    Change,
    Incident,
    IncidentEvent,
    IncidentState,
    IncidentType,
)
from command.domain.incident_log import after, fold, next_event
from command.store.engine import realm_of
from command.store.incident_rows import READ, event_of, incident_columns, incident_of
from command.store.jsonb import clean_text
from command.store.notify import notify
from command.store.tables import INCIDENT, INCIDENT_EVENT, INCIDENT_NUMBER

MAX_INCIDENTS: Final = 1_000
MAX_EVENTS: Final = 5_000
"""No query gives more than these, whatever its limit."""


class UnknownIncident(LookupError):
    """No incident of this realm has the id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IncidentFilter:
    """Which incidents a list shows; None means any. owner is a login."""

    states: Collection[IncidentState] | None = None
    types: Collection[IncidentType] | None = None
    severities: Collection[Severity] | None = None
    owner: str | None = None
    alert_id: uuid.UUID | None = None
    track_id: uuid.UUID | None = None
    area: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """A change of one incident; `before` is None where it opens the incident."""

    incident_id: uuid.UUID
    before: Incident | None
    change: Change


def next_number(session: Session, year: int) -> str:
    """`2026-0007`: the year's next. Whoever asks at the same time waits for this transaction, so none is left out."""
    statement = upsert(INCIDENT_NUMBER).values(year=year, last=1)
    counted = statement.on_conflict_do_update(
        index_elements=[INCIDENT_NUMBER.c.year], set_={"last": INCIDENT_NUMBER.c.last + 1}
    ).returning(INCIDENT_NUMBER.c.last)
    return f"{year:04d}-{session.execute(counted).scalar_one():04d}"


def append_acts(
    session: Session, acts: Sequence[Act], *, actor: str, observed_at_us: int, recorded_at_us: int
) -> list[Incident]:
    """Enter each act in its log; the incidents after them, in the same order. Listeners are told once.

    observed_at_us: the realm's time, recorded_at_us: the host's. Lock what is changed first (lock_incidents).
    """
    changed = []
    for act in acts:
        event = next_event(
            act.before,
            Change(kind=act.change.kind, detail=_stored(act.change.detail)),
            incident_id=act.incident_id,
            actor=clean_text(actor),
            observed_at_us=observed_at_us,
            recorded_at_us=recorded_at_us,
        )
        incident = after(act.before, event)
        columns = incident_columns(incident)
        if act.before is None:
            session.execute(insert(INCIDENT).values(columns))
        else:
            session.execute(update(INCIDENT).where(INCIDENT.c.incident_id == act.incident_id).values(columns))
        session.execute(
            insert(INCIDENT_EVENT).values(
                incident_id=event.incident_id,
                entry=event.entry,
                revision=event.revision,
                kind=event.kind.value,
                actor=event.actor,
                observed_at=event.observed_at_us,
                recorded_at=event.recorded_at_us,
                detail=event.detail,
            )
        )
        changed.append(incident)
    if changed:
        notify(session, {"incidents": len(changed)})
    return changed


def _stored(detail: Any) -> Any:
    """The detail as it comes back from its column, so that projection and log never differ by a NUL."""
    if isinstance(detail, str):
        return clean_text(detail)
    if isinstance(detail, list):
        return [_stored(x) for x in detail]
    return {k: _stored(v) for k, v in detail.items()} if isinstance(detail, dict) else detail


def lock_incidents(session: Session, *incident_ids: uuid.UUID) -> list[Incident]:
    """The incidents as they are, in the order asked for, and no one else changes them until this transaction ends.

    Two that lock the same ones wait for each other in one order. Raises UnknownIncident.
    """
    locked = (
        select(*READ)
        .where(INCIDENT.c.incident_id.in_(set(incident_ids)))
        .order_by(INCIDENT.c.incident_id)
        .with_for_update()
    )
    found = {row["incident_id"]: row for row in session.execute(locked).mappings()}
    realm = realm_of(session)
    for incident_id in incident_ids:
        if incident_id not in found:
            raise UnknownIncident(str(incident_id))
    return [incident_of(found[incident_id], realm) for incident_id in incident_ids]


def get_incident(session: Session, incident_id: uuid.UUID) -> Incident:
    """The incident as it is now. Raises UnknownIncident."""
    row = session.execute(select(*READ).where(INCIDENT.c.incident_id == incident_id)).mappings().one_or_none()
    if row is None:
        raise UnknownIncident(str(incident_id))
    return incident_of(row, realm_of(session))


def list_incidents(
    session: Session,
    *,
    limit: int,
    wanted: IncidentFilter | None = None,
    after_us: int | None = None,
    after_id: uuid.UUID | None = None,
) -> list[Incident]:
    """Incidents, newest opened first. after_us and after_id: opened_at_us and id of the last one that was read."""
    query = select(*READ).order_by(INCIDENT.c.opened_at.desc(), INCIDENT.c.incident_id)
    query = query.where(*_conditions(wanted or IncidentFilter()))
    if after_us is not None and after_id is not None:
        query = query.where(
            or_(
                INCIDENT.c.opened_at < after_us,
                and_(INCIDENT.c.opened_at == after_us, INCIDENT.c.incident_id > after_id),
            )
        )
    realm = realm_of(session)
    return [incident_of(row, realm) for row in session.execute(query.limit(min(limit, MAX_INCIDENTS))).mappings()]


def incidents_worked_on(session: Session, since_us: int) -> tuple[list[Incident], int, int]:
    """Those that are open or were changed from since_us on, the open ones first, of these those changed last; how many
    there are, and how many of them are open.
    """
    is_open = INCIDENT.c.state.in_([state.value for state in OPEN_STATES])
    wanted = or_(is_open, INCIDENT.c.changed_at >= since_us)
    counted = select(func.count().label("total"), func.count().filter(is_open).label("open")).select_from(INCIDENT)
    count = session.execute(counted.where(wanted)).one()
    query = select(*READ).where(wanted).order_by(is_open.desc(), INCIDENT.c.changed_at.desc(), INCIDENT.c.incident_id)
    realm = realm_of(session)
    rows = session.execute(query.limit(MAX_INCIDENTS)).mappings()
    return [incident_of(row, realm) for row in rows], count.total, count.open


def _conditions(wanted: IncidentFilter) -> Iterator[Any]:
    if wanted.states is not None:
        yield INCIDENT.c.state.in_([state.value for state in wanted.states])
    if wanted.types is not None:
        yield INCIDENT.c.type.in_([kind.value for kind in wanted.types])
    if wanted.severities is not None:
        yield INCIDENT.c.severity.in_([int(severity) for severity in wanted.severities])
    if wanted.owner is not None:
        yield func.lower(INCIDENT.c.owner) == wanted.owner.lower()
    if wanted.alert_id is not None:
        yield INCIDENT.c.alerts.contains([wanted.alert_id])
    if wanted.track_id is not None:
        yield INCIDENT.c.tracks.contains([wanted.track_id])
    if wanted.area is not None:
        yield INCIDENT.c.areas.contains([wanted.area])


def open_incidents_of(session: Session, alert_ids: Sequence[uuid.UUID]) -> list[Incident]:
    """Open incidents that cite any of the alerts."""
    query = select(*READ).where(
        INCIDENT.c.alerts.overlap(list(alert_ids)), INCIDENT.c.state.in_([state.value for state in OPEN_STATES])
    )
    realm = realm_of(session)
    return [incident_of(row, realm) for row in session.execute(query.order_by(INCIDENT.c.opened_at)).mappings()]


def incident_log(
    session: Session, incident_id: uuid.UUID, *, limit: int, before_event: int | None = None
) -> list[tuple[str, IncidentEvent]]:
    """(number, entry) of the incident and of those that were merged into it, newest first.

    before_event: the event_id of the last one that was read. Empty for an unknown id.
    """
    part = select(INCIDENT.c.incident_id, INCIDENT.c.number).where(INCIDENT.c.incident_id == incident_id)
    parts = part.cte("parts", recursive=True)
    merged = select(INCIDENT.c.incident_id, INCIDENT.c.number).join(
        parts, INCIDENT.c.merged_into == parts.c.incident_id
    )
    parts = parts.union(merged)
    query = select(parts.c.number, INCIDENT_EVENT).join(parts, parts.c.incident_id == INCIDENT_EVENT.c.incident_id)
    if before_event is not None:
        query = query.where(INCIDENT_EVENT.c.event_id < before_event)
    rows = session.execute(query.order_by(INCIDENT_EVENT.c.event_id.desc()).limit(min(limit, MAX_EVENTS))).mappings()
    return [(row["number"], event_of(row)) for row in rows]


def events_since(session: Session, incident_id: uuid.UUID, revision: int) -> list[IncidentEvent]:
    """What changed the incident after that revision of it, first to last; entries that only add are left out."""
    log = INCIDENT_EVENT.c
    query = (
        select(INCIDENT_EVENT)
        .where(log.incident_id == incident_id, log.revision > revision, log.kind.not_in(("commented", "attached")))
        .order_by(log.entry)
        .limit(MAX_EVENTS)
    )
    return [event_of(row) for row in session.execute(query).mappings()]


def incident_at(session: Session, incident_id: uuid.UUID, entry: int) -> Incident:
    """The incident as it was after that entry of its log. Raises UnknownIncident."""
    log = INCIDENT_EVENT.c
    query = select(INCIDENT_EVENT).where(log.incident_id == incident_id, log.entry <= entry).order_by(log.entry)
    events = [event_of(row) for row in session.execute(query).mappings()]
    if not events:
        raise UnknownIncident(str(incident_id))
    return fold(events)
