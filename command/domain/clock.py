"""Time as the program sees it: aware UTC, integer microseconds on the hot path, and a clock per realm."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

US_PER_S: Final = 1_000_000
EARLIEST_US: Final = 0
LATEST_US: Final = 4_102_444_800 * US_PER_S
"""2100-01-01. What a source tells outside of these is no time: nothing stores it, no partition waits for it."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_us(moment: datetime) -> int:
    """Microseconds since 1970-01-01T00:00Z. Raises ValueError for a naive datetime."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone; give an aware UTC datetime")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_us(us: int) -> datetime:
    """The aware UTC datetime of `us` microseconds since 1970-01-01T00:00Z."""
    return _EPOCH + timedelta(microseconds=int(us))


class Clock(Protocol):
    """What time it is in a realm."""

    def now_us(self) -> int: ...

    def at_host_us(self, host_us: int) -> int:
        """The realm's time when the host's clock shows `host_us`."""
        ...


class SystemClock:
    """The host's clock: the clock of the realm `live`."""

    def now_us(self) -> int:
        return time.time_ns() // 1_000

    def at_host_us(self, host_us: int) -> int:
        return host_us


@dataclass(frozen=True, kw_only=True, slots=True)
class ScenarioClock:
    """A drill's or a paced replay's clock: scenario time runs `speed` times as fast as the host's.

    Stored with its realm, so that every process of the realm computes the same time.
    """

    scenario_start_us: int
    host_start_us: int
    speed: float

    def now_us(self) -> int:
        return self.at_host_us(time.time_ns() // 1_000)

    def at_host_us(self, host_us: int) -> int:
        """Scenario time when the host's clock shows `host_us`."""
        return self.scenario_start_us + int((host_us - self.host_start_us) * self.speed)

    def host_us_of(self, scenario_us: int) -> int:
        """The host's time at which the scenario reaches `scenario_us`."""
        return self.host_start_us + int((scenario_us - self.scenario_start_us) / self.speed)


@dataclass(kw_only=True, slots=True)
class DataClock:
    """The clock of a replay at maximum speed: it is as late as the latest observation seen, and never runs back."""

    latest_us: int

    def now_us(self) -> int:
        return self.latest_us

    def at_host_us(self, host_us: int) -> int:
        """The latest, whatever the host's clock shows: this one knows no other time."""
        return self.latest_us

    def advance(self, us: int) -> None:
        self.latest_us = max(self.latest_us, us)
