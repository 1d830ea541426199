"""Deliveries: what goes out of each alert revision, planned once and sent until the broker has confirmed it.

The outbox holds each revision from the transaction that made it until dispatch has planned it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import and_, delete, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from command.domain.alert import Alert
from command.store.alert_rows import alert_from_json
from command.store.notify import notify
from command.store.tables import ALERT, ALERT_EVENT, ALERT_OUTBOX, DELIVERY

MAX_TAKEN: Final = 10_000


class DeliveryState(StrEnum):
    PENDING = "pending"
    """Never tried."""
    CONFIRMED = "confirmed"
    FAILED = "failed"
    """The last attempt failed; it is tried again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One revision of an alert on its way out by one channel. delivery_id is ids.delivery_id of the three."""

    delivery_id: uuid.UUID
    alert_id: uuid.UUID
    revision: int
    channel: str
    routing_key: str
    body: Mapping[str, Any]
    created_at_us: int
    state: DeliveryState = DeliveryState.PENDING
    attempts: int = 0
    attempted_at_us: int | None = None
    """The last attempt, from which a dispatcher reckons the next."""
    confirmed_at_us: int | None = None
    last_error: str | None = None


def events_without_delivery(session: Session, limit: int) -> list[Alert]:
    """The alert revisions that no one has planned yet, each as the alert was at it: worst first, then oldest.

    They are locked until the transaction ends and other dispatchers pass over them. Give them to save_deliveries in
    the same transaction; else they come again.
    """
    query = (
        select(ALERT_EVENT.c.alert)
        .join(
            ALERT_OUTBOX,
            and_(ALERT_OUTBOX.c.alert_id == ALERT_EVENT.c.alert_id, ALERT_OUTBOX.c.revision == ALERT_EVENT.c.revision),
        )
        .join(ALERT, ALERT.c.alert_id == ALERT_OUTBOX.c.alert_id)
        .order_by(ALERT.c.severity.desc(), ALERT_EVENT.c.event_id)
        .limit(min(limit, MAX_TAKEN))
        .with_for_update(of=ALERT_OUTBOX, skip_locked=True)
    )
    return [alert_from_json(kept) for kept in session.scalars(query)]


def save_deliveries(session: Session, deliveries: Sequence[Delivery], *, planned: Sequence[Alert]) -> int:
    """Keep these deliveries and take `planned` off the outbox; returns how many deliveries are new.

    planned: every revision of events_without_delivery that was decided on, also those that no delivery came of
    (grouped, inhibited): they are not offered again. A delivery_id that is known already is left as it is.
    """
    new = 0
    if deliveries:
        kept = (
            insert(DELIVERY)
            .values([_columns(delivery) for delivery in deliveries])
            .on_conflict_do_nothing(index_elements=[DELIVERY.c.delivery_id])
            .returning(DELIVERY.c.delivery_id)
        )
        new = len(session.execute(kept).all())
    if planned:
        revisions = [(alert.alert_id, alert.revision) for alert in planned]
        session.execute(
            delete(ALERT_OUTBOX).where(tuple_(ALERT_OUTBOX.c.alert_id, ALERT_OUTBOX.c.revision).in_(revisions))
        )
    if new:
        notify(session, {"deliveries": new})
    return new


def _columns(delivery: Delivery) -> dict[str, Any]:
    return {
        "delivery_id": delivery.delivery_id,
        "alert_id": delivery.alert_id,
        "revision": delivery.revision,
        "channel": delivery.channel,
        "routing_key": delivery.routing_key,
        "body": dict(delivery.body),
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "created_at": delivery.created_at_us,
        "attempted_at": delivery.attempted_at_us,
        "confirmed_at": delivery.confirmed_at_us,
        "last_error": delivery.last_error,
    }


def pending_deliveries(session: Session, limit: int) -> list[Delivery]:
    """What is not confirmed yet: the least tried first, so that one that always fails holds up no other; then the
    worst severity, then the oldest. No lock: a delivery may be sent twice, and consumers keep the highest revision.
    """
    query = (
        select(DELIVERY)
        .join(ALERT, ALERT.c.alert_id == DELIVERY.c.alert_id)
        .where(DELIVERY.c.state != DeliveryState.CONFIRMED.value)
        .order_by(DELIVERY.c.attempts, ALERT.c.severity.desc(), DELIVERY.c.created_at, DELIVERY.c.revision)
        .limit(min(limit, MAX_TAKEN))
    )
    return [
        Delivery(
            delivery_id=row.delivery_id,
            alert_id=row.alert_id,
            revision=row.revision,
            channel=row.channel,
            routing_key=row.routing_key,
            body=row.body,
            state=DeliveryState(row.state),
            attempts=row.attempts,
            created_at_us=row.created_at,
            attempted_at_us=row.attempted_at,
            confirmed_at_us=row.confirmed_at,
            last_error=row.last_error,
        )
        for row in session.execute(query)
    ]


def mark_delivered(session: Session, delivery_ids: Sequence[uuid.UUID], now_us: int) -> None:
    """The broker confirmed these. One that was confirmed before keeps its first time."""
    session.execute(
        update(DELIVERY)
        .where(DELIVERY.c.delivery_id.in_(delivery_ids), DELIVERY.c.state != DeliveryState.CONFIRMED.value)
        .values(
            state=DeliveryState.CONFIRMED.value,
            attempts=DELIVERY.c.attempts + 1,
            attempted_at=now_us,
            confirmed_at=now_us,
            last_error=None,
        )
    )


def mark_failed(session: Session, delivery_id: uuid.UUID, reason: str, now_us: int) -> None:
    """An attempt failed: it is counted, its reason kept, and the delivery stays among pending_deliveries."""
    session.execute(
        update(DELIVERY)
        .where(DELIVERY.c.delivery_id == delivery_id, DELIVERY.c.state != DeliveryState.CONFIRMED.value)
        .values(
            state=DeliveryState.FAILED.value,
            attempts=DELIVERY.c.attempts + 1,
            attempted_at=now_us,
            last_error=reason,
        )
    )


def count_pending(session: Session) -> int:
    """How many deliveries are not confirmed: the outgoing lag that health shows."""
    return session.execute(
        select(func.count()).select_from(DELIVERY).where(DELIVERY.c.state != DeliveryState.CONFIRMED.value)
    ).scalar_one()
