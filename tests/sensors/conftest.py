"""Fixtures for sources: a sink that keeps everything in memory, and tallies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from command.domain.clock import DataClock
from sensors.source import Tally

START_US = 1_700_000_000_000_000


@dataclass
class MemorySink:
    """A RejectSink in memory."""

    kept: list[tuple[str, bytes]] = field(default_factory=list)

    def keep(self, *, source: str, reason: str, raw: bytes, received_at_us: int) -> None:
        del source, received_at_us
        self.kept.append((reason, raw))

    @property
    def reasons(self) -> Counter[str]:
        return Counter(reason for reason, _ in self.kept)


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def tally(sink: MemorySink) -> Tally:
    return Tally(source="test", kind="test", gateway="here", clock=DataClock(latest_us=START_US), sink=sink)


@pytest.fixture
def adds_up() -> Callable[[Tally], bool]:
    """Whether every message that came in is decoded, rejected or a duplicate."""

    def check(tally: Tally) -> bool:
        health = tally.health()
        judged = health.decoded + sum(health.rejected.values()) + health.duplicates
        return tally.messages_in == health.messages_in == judged

    return check
