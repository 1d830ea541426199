"""What dispatch has in hand of one channel: deliveries that wait, are sent, or are confirmed and not yet marked so. No
I/O.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from typing import Final

from command.domain.alert import Severity
from command.domain.clock import US_PER_S
from command.store.deliveries import Delivery

LIMIT: Final = 5_000
"""More than these stay in the store until there is room."""
FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0


class _Phase(Enum):
    WAITING = auto()
    SENT = auto()
    CONFIRMED = auto()


def severity_of(delivery: Delivery) -> Severity:
    """The severity that stands in its routing key."""
    return _severity(delivery.routing_key.split(".", 2)[1])


@cache
def _severity(word: str) -> Severity:
    return Severity.from_word(word)


def jittered(pause_s: float) -> float:
    """Three quarters of a pause or more, so that those who failed together do not come back together."""
    return pause_s * random.uniform(0.75, 1.0)  # noqa: S311 - jitter, not a secret


@dataclass(slots=True)
class _Held:
    delivery: Delivery
    severity: Severity
    phase: _Phase = _Phase.WAITING
    refusals: int = 0
    not_before_s: float = 0.0


class Outgoing:
    """The deliveries in hand, by delivery_id. Times are monotonic seconds.

    Beyond LIMIT the least urgent that wait are let go: they are in the store and come back when there is room.
    """

    def __init__(
        self, *, longest_pause_s: float = LONGEST_PAUSE_S, jitter: Callable[[float], float] = jittered
    ) -> None:
        self._held: dict[uuid.UUID, _Held] = {}
        self._order: list[_Held] | None = None
        """What waited when it was last sorted, most urgent first; None once something new waits."""
        self._longest_pause_s, self._jitter = longest_pause_s, jitter

    def __len__(self) -> int:
        return len(self._held)

    def take(self, deliveries: Iterable[Delivery], *, now_s: float = 0.0, now_us: int = 0) -> None:
        """Hold these as well, those that failed before until the time that is stored with them, by the realm's clock.

        What is held already stays as it is, unless a person has had it sent again.
        """
        for delivery in deliveries:
            held = self._held.get(delivery.delivery_id)
            if held is None:
                wait_us = max(0, (delivery.next_attempt_at_us or 0) - now_us)
                self._order = None
                self._held[delivery.delivery_id] = _Held(
                    delivery,
                    severity_of(delivery),
                    refusals=delivery.attempts,
                    not_before_s=now_s + min(wait_us / US_PER_S, self._longest_pause_s) if wait_us else 0.0,
                )
            elif held.phase is _Phase.WAITING and delivery.resent_at_us != held.delivery.resent_at_us:
                held.delivery, held.refusals, held.not_before_s = delivery, 0, 0.0
        if len(self._held) > LIMIT:
            waiting = self._most_urgent_first(h for h in self._held.values() if h.phase is _Phase.WAITING)
            for held in waiting[max(0, len(waiting) - (len(self._held) - LIMIT)) :]:
                del self._held[held.delivery.delivery_id]
            self._order = None

    def due(self, now_s: float, *, full: Collection[Severity] = ()) -> Iterator[Delivery]:
        """What should be sent now, most urgent first, and of one alert the older revision first.

        Whoever iterates may say meanwhile that one was sent, or let it go.

        What was refused before waits for its pause and until no team's queue of its severity is full: a refused
        alert reached the teams that had room, and each further try would give them another copy.
        """
        if self._order is None:
            self._order = self._most_urgent_first(h for h in self._held.values() if h.phase is _Phase.WAITING)
        for held in self._order:
            if (
                held.phase is _Phase.WAITING
                and held.delivery.delivery_id in self._held
                and (held.refusals == 0 or (held.not_before_s <= now_s and held.severity not in full))
            ):
                yield held.delivery

    def _most_urgent_first(self, some: Iterable[_Held]) -> list[_Held]:
        """By the worst severity that is in hand of the same alert: what is worse now does not overtake what it was."""
        listed = list(some)
        worst: dict[uuid.UUID, Severity] = {}
        for held in listed:
            alert_id = held.delivery.alert_id
            worst[alert_id] = max(held.severity, worst.get(alert_id, held.severity))
        return sorted(
            listed,
            key=lambda held: (
                -worst[held.delivery.alert_id],
                held.delivery.created_at_us,
                held.delivery.revision,
            ),
        )

    def in_hand(self) -> list[uuid.UUID]:
        return list(self._held)

    def waiting(self) -> list[uuid.UUID]:
        return [delivery_id for delivery_id, held in self._held.items() if held.phase is _Phase.WAITING]

    def attempts(self, delivery_id: uuid.UUID) -> int:
        """How often it has failed since it was planned, or sent again by a person's word."""
        return self._held[delivery_id].refusals

    def sent(self, delivery_id: uuid.UUID) -> None:
        self._held[delivery_id].phase = _Phase.SENT

    def untried(self, delivery_id: uuid.UUID) -> None:
        """It was handed over and comes back as it was."""
        self._held[delivery_id].phase = _Phase.WAITING
        self._order = None

    def confirmed(self, delivery_id: uuid.UUID) -> None:
        self._held[delivery_id].phase = _Phase.CONFIRMED

    def refused(self, delivery_id: uuid.UUID, now_s: float, *, at_least_s: float = 0.0) -> float:
        """It did not go out; returns the pause in seconds before it is due again."""
        held = self._held[delivery_id]
        held.phase = _Phase.WAITING
        self._order = None
        held.refusals += 1
        pause_s = max(at_least_s, self._jitter(backoff_s(held.refusals, longest_s=self._longest_pause_s)))
        held.not_before_s = now_s + pause_s
        return pause_s

    def let_go(self, delivery_ids: Iterable[uuid.UUID]) -> None:
        """These are marked in the store, or can never go out."""
        for delivery_id in delivery_ids:
            self._held.pop(delivery_id, None)

    def to_mark(self) -> list[uuid.UUID]:
        """What the other side confirmed and the store does not know yet."""
        return [delivery_id for delivery_id, held in self._held.items() if held.phase is _Phase.CONFIRMED]


def backoff_s(failures: int, *, longest_s: float) -> float:
    """The pause after so many failures in a row: twice as long each time."""
    return min(FIRST_PAUSE_S * 2.0 ** min(failures - 1, 20), longest_s)
