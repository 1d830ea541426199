"""Deliveries: what goes out of each alert revision, planned once and sent until the other side has it, or a person has
decided that it need not.

The outbox holds each revision from the transaction that made it until dispatch has planned it.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import ARRAY, ColumnElement, Row, Uuid, and_, any_, cast, delete, func, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from command.domain.alert import Alert
from command.store.alert_rows import alert_from_json
from command.store.notify import notify
from command.store.tables import ALERT, ALERT_EVENT, ALERT_OUTBOX, DELIVERY

MAX_TAKEN: Final = 10_000


class DeliveryState(StrEnum):
    PENDING = "pending"
    """Not tried yet, or to be sent again by a person's word."""
    FAILED = "failed"
    """The last attempt failed; it is tried again."""
    CONFIRMED = "confirmed"
    DEAD = "dead"
    """It cannot go out, or was tried long enough: a person has to look at it."""
    GIVEN_UP = "given_up"
    """A person has decided that it need not go out any more."""


OPEN: Final = (DeliveryState.PENDING.value, DeliveryState.FAILED.value)
"""What dispatch still sends."""


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
    confirmed_at_us: int | None = None
    last_error: str | None = None
    """Why the last attempt failed, why it is dead, or what was not quite right with the one that went through."""
    next_attempt_at_us: int | None = None
    """Not before this; None: at once."""
    resent_at_us: int | None = None
    """When a person had it sent again: its age counts from then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """What became of a delivery that did not go out. next_attempt_at_us: when it is tried again; None: it is dead.

    attempted: whether somebody tried, which is counted.
    """

    delivery_id: uuid.UUID
    reason: str
    next_attempt_at_us: int | None
    attempted: bool = True


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
        "next_attempt_at": delivery.next_attempt_at_us,
        "resent_at": delivery.resent_at_us,
    }


def _delivery(row: Row[Any]) -> Delivery:
    return Delivery(
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
        next_attempt_at_us=row.next_attempt_at,
        resent_at_us=row.resent_at,
    )


def pending_deliveries(
    session: Session, limit: int, *, channel: str | None = None, but_not: Collection[uuid.UUID] = ()
) -> list[Delivery]:
    """What is to be sent (by one channel): the least tried first, so that one that always fails holds up no other; then
    the worst severity, then the oldest. No lock: a delivery may be sent twice, and consumers keep the highest revision.
    but_not: those that the caller has in hand.
    """
    query = (
        select(DELIVERY)
        .join(ALERT, ALERT.c.alert_id == DELIVERY.c.alert_id)
        .where(DELIVERY.c.state.in_(OPEN))
        .order_by(DELIVERY.c.attempts, ALERT.c.severity.desc(), DELIVERY.c.created_at, DELIVERY.c.revision)
        .limit(min(limit, MAX_TAKEN))
    )
    if channel is not None:
        query = query.where(DELIVERY.c.channel == channel)
    if but_not:
        held = func.unnest(cast(list(but_not), ARRAY(Uuid))).table_valued("held_id").render_derived()
        query = query.where(~select(held).where(held.c.held_id == DELIVERY.c.delivery_id).exists())
    return [_delivery(row) for row in session.execute(query)]


def still_open(session: Session, delivery_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Those that are still to be sent: nobody gave them up, no other dispatcher has sent them."""
    query = select(DELIVERY.c.delivery_id).where(_is_one_of(delivery_ids), DELIVERY.c.state.in_(OPEN))
    return set(session.scalars(query))


def _is_one_of(delivery_ids: Sequence[uuid.UUID]) -> ColumnElement[bool]:
    """As one array: a statement of its own for every number of ids would be compiled and planned anew each time."""
    return DELIVERY.c.delivery_id == any_(cast(list(delivery_ids), ARRAY(Uuid)))


def mark_delivered(
    session: Session, delivery_ids: Sequence[uuid.UUID], now_us: int, *, notes: Mapping[uuid.UUID, str] | None = None
) -> None:
    """The other side has these. One that was confirmed before keeps its first time. notes: what was not quite right."""
    session.execute(
        update(DELIVERY)
        .where(_is_one_of(delivery_ids), DELIVERY.c.state != DeliveryState.CONFIRMED.value)
        .values(
            state=DeliveryState.CONFIRMED.value,
            attempts=DELIVERY.c.attempts + 1,
            attempted_at=now_us,
            confirmed_at=now_us,
            last_error=None,
            next_attempt_at=None,
        )
    )
    for delivery_id, note in (notes or {}).items():
        session.execute(update(DELIVERY).where(DELIVERY.c.delivery_id == delivery_id).values(last_error=note))


def mark_failed(session: Session, failures: Sequence[Failure], now_us: int) -> None:
    """These did not go out: each is tried again, or is dead, for its reason. What is confirmed or given up stays so."""
    for failure in failures:
        dead = failure.next_attempt_at_us is None
        tried = {"attempts": DELIVERY.c.attempts + 1, "attempted_at": now_us} if failure.attempted else {}
        session.execute(
            update(DELIVERY)
            .where(DELIVERY.c.delivery_id == failure.delivery_id, DELIVERY.c.state.in_(OPEN))
            .values(
                state=(DeliveryState.DEAD if dead else DeliveryState.FAILED).value,
                last_error=failure.reason,
                next_attempt_at=failure.next_attempt_at_us,
                **tried,
            )
        )


def bury_strays(session: Session, channels: Collection[str], reason: str) -> list[str]:
    """What is to be sent by another channel than these is dead; returns the channel of each."""
    strays = (
        update(DELIVERY)
        .where(DELIVERY.c.state.in_(OPEN), DELIVERY.c.channel.not_in(list(channels)))
        .values(state=DeliveryState.DEAD.value, last_error=reason, next_attempt_at=None)
        .returning(DELIVERY.c.channel)
    )
    return list(session.scalars(strays))


def earlier_bodies(session: Session, delivery_id: uuid.UUID) -> list[Mapping[str, Any]]:
    """What went or will go out about the same alert by the same channel before this delivery, oldest revision first."""
    this = select(DELIVERY).where(DELIVERY.c.delivery_id == delivery_id).subquery()
    query = (
        select(DELIVERY.c.body)
        .join(
            this,
            and_(
                this.c.alert_id == DELIVERY.c.alert_id,
                this.c.channel == DELIVERY.c.channel,
                this.c.revision > DELIVERY.c.revision,
            ),
        )
        .where(DELIVERY.c.state.in_((*OPEN, DeliveryState.CONFIRMED.value)))
        .order_by(DELIVERY.c.revision)
    )
    return list(session.scalars(query))


def send_again(
    session: Session, now_us: int, *, delivery_id: uuid.UUID | None = None, channel: str | None = None
) -> list[uuid.UUID]:
    """Have a delivery sent again, or all dead and failing ones of a channel: at once, with all its attempts before it.

    Returns the deliveries of which that is so; one that is confirmed or given up is left as it is.
    """
    if (delivery_id is None) == (channel is None):
        raise ValueError("name a delivery or a channel")
    wanted = DELIVERY.c.delivery_id == delivery_id if channel is None else DELIVERY.c.channel == channel
    states = (DeliveryState.FAILED.value, DeliveryState.DEAD.value)
    again = (
        update(DELIVERY)
        .where(wanted, DELIVERY.c.state.in_(states))
        .values(state=DeliveryState.PENDING.value, attempts=0, next_attempt_at=None, resent_at=now_us)
        .returning(DELIVERY.c.delivery_id)
    )
    changed = list(session.scalars(again))
    if changed:
        notify(session, {"resent": len(changed)})
    return changed


def give_up(session: Session, delivery_id: uuid.UUID, reason: str) -> bool:
    """A person has decided that it need not go out; False where it is confirmed or given up already."""
    changed = session.execute(
        update(DELIVERY)
        .where(DELIVERY.c.delivery_id == delivery_id, DELIVERY.c.state.in_((*OPEN, DeliveryState.DEAD.value)))
        .values(state=DeliveryState.GIVEN_UP.value, next_attempt_at=None, last_error=reason)
        .returning(DELIVERY.c.delivery_id)
    ).all()
    if changed:
        notify(session, {"resent": 1})
    return bool(changed)


def get_delivery(session: Session, delivery_id: uuid.UUID) -> Delivery | None:
    row = session.execute(select(DELIVERY).where(DELIVERY.c.delivery_id == delivery_id)).one_or_none()
    return None if row is None else _delivery(row)


def deliveries_called(session: Session, delivery_ids: Sequence[uuid.UUID]) -> list[Delivery]:
    """Those of the deliveries that there are, oldest first."""
    query = select(DELIVERY).where(DELIVERY.c.delivery_id.in_(set(delivery_ids)))
    return [_delivery(row) for row in session.execute(query.order_by(DELIVERY.c.created_at, DELIVERY.c.channel))]


def list_deliveries(
    session: Session, states: Collection[DeliveryState], *, channel: str | None = None, limit: int
) -> list[Delivery]:
    """Deliveries in these states (by one channel), the newest first."""
    query = (
        select(DELIVERY)
        .where(DELIVERY.c.state.in_([state.value for state in states]))
        .order_by(DELIVERY.c.created_at.desc(), DELIVERY.c.delivery_id)
        .limit(min(limit, MAX_TAKEN))
    )
    if channel is not None:
        query = query.where(DELIVERY.c.channel == channel)
    return [_delivery(row) for row in session.execute(query)]


def count_deliveries(session: Session) -> dict[str, dict[DeliveryState, int]]:
    """How many are pending, failed and dead, by channel: what health and the page show."""
    unsettled = (*OPEN, DeliveryState.DEAD.value)
    query = (
        select(DELIVERY.c.channel, DELIVERY.c.state, func.count())
        .where(or_(DELIVERY.c.state.in_(OPEN), DELIVERY.c.state == DeliveryState.DEAD.value))
        .group_by(DELIVERY.c.channel, DELIVERY.c.state)
    )
    counts: dict[str, dict[DeliveryState, int]] = {}
    for channel, state, number in session.execute(query):
        counts.setdefault(channel, {DeliveryState(each): 0 for each in unsettled})[DeliveryState(state)] = number
    return counts
