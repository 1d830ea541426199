"""Multi-part AIS messages (IEC 61162-1, VDM): parts are held until they are whole, too old, or too many."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Final, NamedTuple

MAX_HELD: Final = 512
MAX_REMEMBERED: Final = 512


class PartKey(NamedTuple):
    """Parts with the same key belong together."""

    origin: str
    talker: bytes
    formatter: bytes
    sequence: bytes
    channel: bytes
    total: int


class Part(NamedTuple):
    """One sentence of a message: `raw` is its line, time and station are those of its tag block."""

    payload: bytes
    fill_bits: int
    raw: bytes
    received_at_us: int
    time_us: int | None
    station: str | None


@dataclass(slots=True)
class Parts:
    """The parts of one message that are here so far, by number from 1."""

    first_at_us: int
    parts: dict[int, Part] = field(default_factory=dict)

    @property
    def in_order(self) -> list[Part]:
        """The parts by their numbers."""
        return [self.parts[number] for number in sorted(self.parts)]

    @property
    def time_us(self) -> int | None:
        """The earliest time that a tag block of the message tells."""
        return min((part.time_us for part in self.parts.values() if part.time_us is not None), default=None)

    @property
    def station(self) -> str | None:
        """The first station named."""
        return next((part.station for part in self.in_order if part.station), None)


class Repeated(Enum):
    """A part that was there already."""

    PART = 1


class Assembler:
    """Puts parts together. What it gives up waits in `take_given_up`, to be counted as incomplete."""

    def __init__(self, max_age_us: int) -> None:
        self._max_age_us = max_age_us
        self._held: dict[PartKey, Parts] = {}
        self._done: dict[PartKey, Parts] = {}
        self._given_up: list[Part] = []

    def add(self, key: PartKey, number: int, part: Part) -> Parts | Repeated | None:
        """The whole message when this part completes it, None while parts are missing.

        Common endings repeat in different messages, so a part counts as a repetition only of the message that is
        being put together, or of the one completed last under the same key, a short while ago.
        """
        held = self._held.get(key)
        if held is not None and number in held.parts:
            if held.parts[number].payload == part.payload:
                return Repeated.PART
            self._give_up(key)
            held = None
        if held is None:
            done = self._done.get(key)
            if (
                done is not None
                and done.parts[number].payload == part.payload
                and abs(part.received_at_us - done.first_at_us) <= self._max_age_us
            ):
                return Repeated.PART
            held = self._held[key] = Parts(part.received_at_us)
            if len(self._held) > MAX_HELD:
                self._give_up(next(iter(self._held)))
        held.parts[number] = part
        if len(held.parts) < key.total:
            return None
        del self._held[key]
        self._done.pop(key, None)
        self._done[key] = held
        if len(self._done) > MAX_REMEMBERED:
            del self._done[next(iter(self._done))]
        return held

    def expire(self, now_us: int) -> None:
        """Give up what waited too long."""
        for key in [k for k, parts in self._held.items() if abs(now_us - parts.first_at_us) > self._max_age_us]:
            self._give_up(key)

    def end(self) -> None:
        """Give up everything that is held."""
        for key in list(self._held):
            self._give_up(key)

    def take_given_up(self) -> list[Part]:
        """The parts given up since the last call."""
        given_up, self._given_up = self._given_up, []
        return given_up

    def _give_up(self, key: PartKey) -> None:
        self._given_up.extend(self._held.pop(key).in_order)
