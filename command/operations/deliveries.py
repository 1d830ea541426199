"""Deliveries as people see to them: what waits, fails or is dead, by channel; sending it again, or giving it up."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Engine

from command.bus import ALERT_DEAD_LETTERS, BrokerUnavailable
from command.domain.clock import Clock
from command.domain.realm import Realm
from command.i18n import text
from command.operations.dispatch_loop import PROCESS
from command.operations.people import Permission, Person
from command.store.audit import append_audit
from command.store.deliveries import (
    Delivery,
    DeliveryState,
    count_deliveries,
    get_delivery,
    give_up,
    list_deliveries,
    send_again,
)
from command.store.engine import realm_session
from command.store.health import list_heartbeats
from command.store.jsonb import clean_text

__all__ = [
    "BrokerUnavailable",
    "ChannelTold",
    "Delivery",
    "DeliveryDesk",
    "DeliveryProblem",
    "DeliverySettled",
    "DeliveryState",
    "Overview",
    "UnknownDelivery",
]

REASON_LIMIT: Final = 256
UNSETTLED: Final = (DeliveryState.DEAD, DeliveryState.FAILED, DeliveryState.PENDING)
MOST_SHOWN: Final = 500


class DeliveryProblem(ValueError):
    """What a person asked for cannot be done. `explain(language)` is the sentence for people."""

    def __init__(self, reason: str, **params: Any) -> None:
        self.reason, self.params = reason, params
        super().__init__(self.explain("en"))

    def explain(self, language: str) -> str:
        return text(language, f"deliveries.refused.{self.reason}", **self.params)


class UnknownDelivery(DeliveryProblem):
    """There is no such delivery here."""


class DeliverySettled(DeliveryProblem):
    """It has gone out, or was given up: there is nothing to do any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelTold:
    """One channel: how many deliveries wait, fail and are dead, and what dispatch last said of it. Realm's times.

    trouble: why the last attempt failed; None where it went through, or dispatch has not said.
    """

    name: str
    waiting: int
    failing: int
    dead: int
    last_sent_us: int | None
    trouble: str | None
    failing_since_us: int | None


def channels_told(detail: Mapping[str, Any]) -> list[ChannelTold]:
    """The channels in the detail of dispatch's heartbeat, by name."""
    return [
        ChannelTold(
            name=name,
            waiting=int(said.get("waiting", 0)),
            failing=int(said.get("failing", 0)),
            dead=int(said.get("dead", 0)),
            last_sent_us=said.get("last_sent_us"),
            trouble=said.get("trouble"),
            failing_since_us=said.get("failing_since_us"),
        )
        for name, said in sorted(detail.get("channels", {}).items())
    ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """What the page shows. dead_letters: messages that clients refused, None where the broker does not say."""

    channels: tuple[ChannelTold, ...]
    deliveries: tuple[Delivery, ...]
    dead_letters: int | None


Republish = Callable[[], tuple[int, int]]


def no_broker() -> tuple[int, int]:
    """What stands for a broker where there is none to ask."""
    raise BrokerUnavailable("the broker cannot be reached from here; see `mizugiwa doctor`")


class DeliveryDesk:
    """The deliveries of one realm. Every method may raise StoreUnavailable; each act is audited in its transaction.

    They lie in no area: a channel carries the alerts of the whole coast. republish: gives what clients refused back to
    the teams' queues, see bus.republish_dead_letters.
    """

    def __init__(
        self,
        engine: Engine,
        realm: Realm,
        *,
        clock: Clock,
        queue_depths: Callable[[], Mapping[str, int] | None],
        republish: Republish = no_broker,
    ) -> None:
        self._engine, self._realm, self._clock = engine, realm, clock
        self._queue_depths, self._republish = queue_depths, republish

    def overview(
        self, *, states: Collection[DeliveryState] = UNSETTLED, channel: str | None = None, limit: int = MOST_SHOWN
    ) -> Overview:
        """Counts by channel, and the deliveries in these states (of one channel), dead ones first, then the newest."""
        with realm_session(self._engine, self._realm) as session:
            counts = count_deliveries(session)
            beats = [beat for beat in list_heartbeats(session) if beat.process == PROCESS]
            found: list[Delivery] = []
            for state in sorted(states, key=list(DeliveryState).index, reverse=True):
                found += list_deliveries(session, {state}, channel=channel, limit=limit - len(found))
        said = {told.name: told for told in channels_told(beats[0].detail)} if beats else {}
        names = sorted(said.keys() | counts.keys())
        depths = self._queue_depths()
        return Overview(
            channels=tuple(_counted(name, counts.get(name, {}), said.get(name)) for name in names),
            deliveries=tuple(found),
            dead_letters=None if depths is None else depths.get(ALERT_DEAD_LETTERS),
        )

    def resend(self, delivery_id: uuid.UUID, *, person: Person) -> Delivery:
        """Have it sent again, at once. Raises Forbidden, UnknownDelivery, DeliverySettled."""
        person.must_somewhere(Permission.RESEND_DELIVERIES)
        with realm_session(self._engine, self._realm) as session:
            now_us = self._clock.now_us()
            held = self._known(get_delivery(session, delivery_id), delivery_id)
            if not send_again(session, now_us, delivery_id=delivery_id) and held.state is not DeliveryState.PENDING:
                raise DeliverySettled(held.state.value)
            append_audit(
                session,
                actor=person.user.login,
                action="delivery.resent",
                target=str(delivery_id),
                detail={"realm": self._realm.name, "channel": held.channel, "was": held.last_error},
                now_us=now_us,
            )
            return self._known(get_delivery(session, delivery_id), delivery_id)

    def resend_channel(self, channel: str, *, person: Person) -> int:
        """Have all sent again that failed or are dead; returns how many. Raises Forbidden."""
        person.must_somewhere(Permission.RESEND_DELIVERIES)
        with realm_session(self._engine, self._realm) as session:
            now_us = self._clock.now_us()
            again = send_again(session, now_us, channel=channel)
            if again:
                append_audit(
                    session,
                    actor=person.user.login,
                    action="channel.resent",
                    target=channel,
                    detail={"realm": self._realm.name, "deliveries": len(again)},
                    now_us=now_us,
                )
            return len(again)

    def give_up(self, delivery_id: uuid.UUID, reason: str, *, person: Person) -> Delivery:
        """It need not go out any more, for this reason. Raises Forbidden, UnknownDelivery, DeliverySettled,
        DeliveryProblem.
        """
        person.must_somewhere(Permission.RESEND_DELIVERIES)
        words = " ".join(clean_text(reason).split())
        if not words or len(words) > REASON_LIMIT:
            raise DeliveryProblem("reason", most=REASON_LIMIT)
        with realm_session(self._engine, self._realm) as session:
            held = self._known(get_delivery(session, delivery_id), delivery_id)
            if not give_up(session, delivery_id, f"{person.user.login}: {words}"):
                raise DeliverySettled(held.state.value)
            append_audit(
                session,
                actor=person.user.login,
                action="delivery.given_up",
                target=str(delivery_id),
                detail={
                    "realm": self._realm.name,
                    "channel": held.channel,
                    "alert": str(held.alert_id),
                    "was": held.last_error,
                    "reason": words,
                },
                now_us=self._clock.now_us(),
            )
            return self._known(get_delivery(session, delivery_id), delivery_id)

    def republish_dead_letters(self, *, person: Person) -> tuple[int, int]:
        """Give what clients refused back to the queues of their teams; how many went, and how many stay.

        Raises Forbidden, BrokerUnavailable.
        """
        person.must_somewhere(Permission.RESEND_DELIVERIES)
        went, stay = self._republish()
        with realm_session(self._engine, self._realm) as session:
            append_audit(
                session,
                actor=person.user.login,
                action="dead_letters.republished",
                target=ALERT_DEAD_LETTERS,
                detail={"realm": self._realm.name, "went": went, "stay": stay},
                now_us=self._clock.now_us(),
            )
        return went, stay

    def _known(self, delivery: Delivery | None, delivery_id: uuid.UUID) -> Delivery:
        if delivery is None:
            raise UnknownDelivery("unknown", delivery=delivery_id, realm=self._realm.name)
        return delivery


def _counted(name: str, counts: Mapping[DeliveryState, int], said: ChannelTold | None) -> ChannelTold:
    """The store's counts, which are of now, with what dispatch said seconds ago."""
    return ChannelTold(
        name=name,
        waiting=counts.get(DeliveryState.PENDING, 0),
        failing=counts.get(DeliveryState.FAILED, 0),
        dead=counts.get(DeliveryState.DEAD, 0),
        last_sent_us=None if said is None else said.last_sent_us,
        trouble=None if said is None else said.trouble,
        failing_since_us=None if said is None else said.failing_since_us,
    )


def about(delivery: Delivery) -> Mapping[str, Any]:
    """What a delivery's stored message says it is about; empty where none could be made."""
    body: Mapping[str, Any] = delivery.body
    return body if "rule" in body and "subject_label" in body else {}
