"""The ways out that dispatch drives: a line a channel, each with what it has in hand and what the store must learn."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, Protocol

import structlog

from alerts.channel import ChannelConfig, Parcel, SendingChannel
from alerts.channels.amqp import AmqpChannel
from alerts.message import InvalidMessage
from alerts.pipeline import Channel
from command.bus import AlertPublisher, OutcomeKind
from command.domain.alert import Severity
from command.domain.clock import US_PER_S, Clock
from command.operations.carrier import ROOM, Carrier, Result, Settled
from command.operations.outgoing import Outgoing, backoff_s, jittered
from command.store.deliveries import Delivery, DeliveryState, Failure

LONGEST_CHANNEL_PAUSE_S: Final = 300.0
_STOP_WITHIN_S: Final = 5.0
_REASONS: Final[Mapping[OutcomeKind, str]] = {
    OutcomeKind.REFUSED: "a team's queue is full; sent again when there is room",
    OutcomeKind.UNROUTABLE: "no queue took it, not even the one for unroutable alerts; sent again",
}

_log = structlog.get_logger(__name__)


@dataclass(kw_only=True, slots=True)
class LineState:
    """What people are told of a line. Times are the realm's."""

    sent: int = 0
    last_sent_us: int | None = None
    trouble: str | None = None
    """Why the last attempt failed; None where it went through."""
    failing_since_us: int | None = None

    def well(self, count: int, now_us: int) -> None:
        self.sent += count
        self.last_sent_us = now_us
        self.trouble = self.failing_since_us = None

    def fails(self, why: str, now_us: int) -> None:
        self.trouble = why
        self.failing_since_us = now_us if self.failing_since_us is None else self.failing_since_us


class Line(Protocol):
    """One channel's way out. Only dispatch's thread calls it, and it never blocks."""

    channel: Channel
    outgoing: Outgoing
    state: LineState
    failures: dict[uuid.UUID, Failure]
    """What failed and is not marked in the store yet."""
    notes: dict[uuid.UUID, str]
    """What was not quite right with what went through."""

    def send(self) -> None:
        """Hand over what is due, as much as there is room for."""

    def hear(self) -> None:
        """Learn what became of what was handed over."""

    def close(self) -> None: ...


class _Base:
    """What both kinds of line have."""

    def __init__(self, channel: Channel, clock: Clock, outgoing: Outgoing) -> None:
        self.channel, self.outgoing = channel, outgoing
        self.state = LineState()
        self.failures: dict[uuid.UUID, Failure] = {}
        self.notes: dict[uuid.UUID, str] = {}
        self._clock = clock

    def _fail(self, delivery_id: uuid.UUID, why: str, *, pause_s: float) -> None:
        next_us = self._clock.now_us() + int(pause_s * US_PER_S)
        self.failures[delivery_id] = Failure(delivery_id=delivery_id, reason=why, next_attempt_at_us=next_us)

    def _bury(self, delivery_id: uuid.UUID, why: str, *, attempted: bool) -> None:
        """It stays in the store with its reason, is counted, and is not tried again until a person says so."""
        _log.error("delivery_dead", delivery_id=str(delivery_id), channel=self.channel.name, problem=why)
        self.failures[delivery_id] = Failure(
            delivery_id=delivery_id, reason=why, next_attempt_at_us=None, attempted=attempted
        )
        self.outgoing.let_go([delivery_id])


class TeamsLine(_Base):
    """The line to the teams: the broker's window, and its word on every message. What it refuses is tried for ever.

    full: severities of which some team's queue takes nothing now.
    """

    def __init__(self, publisher: AlertPublisher, clock: Clock, *, full: Callable[[], Collection[Severity]]) -> None:
        self._amqp = AmqpChannel(publisher.publish)
        super().__init__(self._amqp, clock, Outgoing())
        self._publisher, self._full = publisher, full

    def send(self) -> None:
        for delivery in self.outgoing.due(monotonic(), full=self._full()):
            try:
                taken = self._amqp.send(
                    delivery=str(delivery.delivery_id), key=delivery.routing_key, body=delivery.body
                )
            except InvalidMessage as exc:
                self._bury(delivery.delivery_id, f"cannot go out: {exc}", attempted=True)
                continue
            if not taken:
                return
            self.outgoing.sent(delivery.delivery_id)

    def hear(self) -> None:
        confirmed = 0
        for outcome in self._publisher.outcomes():
            delivery_id = uuid.UUID(outcome.message_id)
            if outcome.kind is OutcomeKind.CONFIRMED:
                self.outgoing.confirmed(delivery_id)
                confirmed += 1
            else:
                why = _REASONS[outcome.kind]
                self._fail(delivery_id, why, pause_s=self.outgoing.refused(delivery_id, monotonic()))
                self.state.fails(why, self._clock.now_us())
        if confirmed:
            self.state.well(confirmed, self._clock.now_us())
        trouble = self._publisher.trouble
        if trouble is not None:
            self.state.fails(trouble, self._clock.now_us())
        elif self.state.trouble not in _REASONS.values():
            self.state.trouble = self.state.failing_since_us = None

    def close(self) -> None:
        """The publisher is its owner's."""


class SendingLine(_Base):
    """The line of a channel that sends by itself, in a thread of its own.

    After a failure the whole line pauses, longer each time, and then tries one: a server that is away is not asked
    once for every alert. What was tried too often, or for too long, is dead.
    """

    def __init__(self, channel: SendingChannel, config: ChannelConfig, clock: Clock, *, wake: threading.Event) -> None:
        super().__init__(channel, clock, Outgoing(longest_pause_s=LONGEST_CHANNEL_PAUSE_S))
        self._config = config
        self._carrier = Carrier(channel, wake=wake)
        self._with_carrier = 0
        self._failures_in_a_row = 0
        self._paused_until_s = 0.0

    def send(self) -> None:
        now_s = monotonic()
        if now_s < self._paused_until_s:
            return
        room = (1 if self._failures_in_a_row else ROOM + 1) - self._with_carrier
        for delivery in self._young_enough(self.outgoing.due(now_s)):
            if room <= 0:
                return
            parcel = Parcel(
                delivery_id=delivery.delivery_id,
                alert_id=delivery.alert_id,
                revision=delivery.revision,
                body=delivery.body,
            )
            if not self._carrier.offer(parcel):
                return
            self.outgoing.sent(delivery.delivery_id)
            self._with_carrier += 1
            room -= 1

    def _young_enough(self, due: Iterable[Delivery]) -> Iterable[Delivery]:
        hours = self._config.give_up_after_hours
        oldest_us = self._clock.now_us() - int(hours * 3_600 * US_PER_S)
        for delivery in due:
            if max(delivery.created_at_us, delivery.resent_at_us or 0) < oldest_us:
                said = delivery.last_error or self.state.trouble or "never tried"
                self._bury(delivery.delivery_id, f"older than {hours:g} h: {said}", attempted=False)
            else:
                yield delivery

    def hear(self) -> None:
        for settled in self._carrier.settled():
            self._with_carrier -= 1
            match settled.result:
                case Result.SENT:
                    self.outgoing.confirmed(settled.delivery_id)
                    self._works(settled)
                case Result.REFUSED:
                    self._bury(settled.delivery_id, f"refused: {settled.said}", attempted=True)
                    self._works(settled)
                case Result.FAILED:
                    self._failed(settled)
                case Result.UNTRIED:
                    self.outgoing.untried(settled.delivery_id)

    def _works(self, settled: Settled) -> None:
        """The other side has answered, whatever it said of this one."""
        self._failures_in_a_row = 0
        if settled.result is Result.SENT:
            self.state.well(1, self._clock.now_us())
            if settled.said:
                self.notes[settled.delivery_id] = settled.said
        else:
            self.state.trouble = self.state.failing_since_us = None

    def _failed(self, settled: Settled) -> None:
        why = settled.said or "it failed"
        self.state.fails(why, self._clock.now_us())
        self._failures_in_a_row += 1
        now_s = monotonic()
        pause_s = jittered(backoff_s(self._failures_in_a_row, longest_s=LONGEST_CHANNEL_PAUSE_S))
        self._paused_until_s = now_s + max(pause_s, settled.retry_after_s)
        own_s = self.outgoing.refused(settled.delivery_id, now_s, at_least_s=settled.retry_after_s)
        attempts = self.outgoing.attempts(settled.delivery_id)
        if attempts >= self._config.max_attempts:
            self._bury(settled.delivery_id, f"given up after {attempts} attempts: {why}", attempted=True)
        else:
            self._fail(settled.delivery_id, why, pause_s=own_s)

    def close(self) -> None:
        self._carrier.close(_STOP_WITHIN_S)


def told(line: Line | None, counts: Mapping[DeliveryState, int]) -> dict[str, Any]:
    """What health shows of a channel; line: None where deliveries are left of one that there is no more."""
    state = LineState() if line is None else line.state
    return {
        "waiting": counts.get(DeliveryState.PENDING, 0),
        "failing": counts.get(DeliveryState.FAILED, 0),
        "dead": counts.get(DeliveryState.DEAD, 0),
        "sent": state.sent,
        "last_sent_us": state.last_sent_us,
        "trouble": state.trouble,
        "failing_since_us": state.failing_since_us,
    }
