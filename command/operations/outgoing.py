"""What dispatch has in hand: deliveries that wait, are sent, or are confirmed and not yet marked so. No I/O."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from command.domain.alert import Severity
from command.store.deliveries import Delivery

LIMIT: Final = 2_000
"""More than these stay in the store until there is room."""
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0


class _Phase(Enum):
    WAITING = auto()
    SENT = auto()
    CONFIRMED = auto()


def severity_of(delivery: Delivery) -> Severity:
    """The severity that stands in its routing key."""
    return Severity.from_word(delivery.routing_key.split(".")[1])


@dataclass(slots=True)
class _Held:
    delivery: Delivery
    severity: Severity
    phase: _Phase = _Phase.WAITING
    refusals: int = 0
    not_before_s: float = 0.0

    @property
    def urgency(self) -> tuple[int, int, int]:
        return (-self.severity, self.delivery.created_at_us, self.delivery.revision)


class Outgoing:
    """The deliveries in hand, by delivery_id. Times are monotonic seconds.

    Beyond LIMIT the least urgent that wait are let go: they are in the store and come back when there is room.
    """

    def __init__(self) -> None:
        self._held: dict[uuid.UUID, _Held] = {}

    def __len__(self) -> int:
        return len(self._held)

    def take(self, deliveries: Iterable[Delivery]) -> None:
        """Hold these as well; what is held already stays as it is."""
        for delivery in deliveries:
            if delivery.delivery_id not in self._held:
                self._held[delivery.delivery_id] = _Held(delivery, severity_of(delivery), refusals=delivery.attempts)
        if len(self._held) > LIMIT:
            waiting = sorted(
                (held for held in self._held.values() if held.phase is _Phase.WAITING), key=lambda held: held.urgency
            )
            for held in waiting[max(0, len(waiting) - (len(self._held) - LIMIT)) :]:
                del self._held[held.delivery.delivery_id]

    def due(self, now_s: float, *, full: Collection[Severity]) -> list[Delivery]:
        """What should be sent now, most urgent first.

        What was refused before waits for its pause and until no team's queue of its severity is full: a refused
        alert reached the teams that had room, and each further try would give them another copy.
        """
        ready = [
            held
            for held in self._held.values()
            if held.phase is _Phase.WAITING
            and (held.refusals == 0 or (held.not_before_s <= now_s and held.severity not in full))
        ]
        return [held.delivery for held in sorted(ready, key=lambda held: held.urgency)]

    def sent(self, delivery_id: uuid.UUID) -> None:
        self._held[delivery_id].phase = _Phase.SENT

    def confirmed(self, delivery_id: uuid.UUID) -> None:
        self._held[delivery_id].phase = _Phase.CONFIRMED

    def refused(self, delivery_id: uuid.UUID, now_s: float) -> None:
        held = self._held[delivery_id]
        held.phase = _Phase.WAITING
        held.refusals += 1
        held.not_before_s = now_s + min(FIRST_PAUSE_S * 2 ** min(held.refusals - 1, 10), LONGEST_PAUSE_S)

    def let_go(self, delivery_ids: Iterable[uuid.UUID]) -> None:
        """These are marked in the store, or can never go out."""
        for delivery_id in delivery_ids:
            self._held.pop(delivery_id, None)

    def to_mark(self) -> list[uuid.UUID]:
        """What the broker confirmed and the store does not know yet."""
        return [delivery_id for delivery_id, held in self._held.items() if held.phase is _Phase.CONFIRMED]
