"""The roster: who is on duty when, as what, for which areas, and with which skills."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from command.domain.clock import US_PER_S

DAY_US: Final = 24 * 3_600 * US_PER_S
WEEK_US: Final = 7 * DAY_US
_JST_US: Final = 9 * 3_600 * US_PER_S
_FIRST_MONDAY: Final = 4
"""1970-01-05, days after 1970-01-01."""


class WatchRole(StrEnum):
    """What somebody is on a watch, in the order in which they are called."""

    DUTY_OFFICER = "duty_officer"
    DEPUTY = "deputy"
    ON_CALL = "on_call"


@dataclass(frozen=True, kw_only=True, slots=True)
class Shift:
    """One version of one person's time on duty. Times are the realm's.

    team: of the settings, whose queues a call about an alert goes to as well; None where a call is for the console
    alone. areas: slugs of the areas that the person is responsible for, none for the whole coast. removed: from this
    version on it is not on the roster.
    """

    shift_id: uuid.UUID
    version: int
    login: str
    role: WatchRole
    team: str | None
    areas: tuple[str, ...]
    skills: tuple[str, ...]
    from_us: int
    until_us: int
    changed_by: str
    changed_at_us: int
    removed: bool = False

    def on_duty(self, now_us: int) -> bool:
        return not self.removed and self.from_us <= now_us < self.until_us

    def overlaps(self, from_us: int, until_us: int) -> bool:
        return not self.removed and self.from_us < until_us and from_us < self.until_us


def on_duty(shifts: Sequence[Shift], now_us: int) -> list[Shift]:
    """Those on duty now: duty officers, deputies, on call; within each whoever came first."""
    order = list(WatchRole)
    there = [shift for shift in shifts if shift.on_duty(now_us)]
    return sorted(there, key=lambda shift: (order.index(shift.role), shift.from_us, shift.login))


def monday_of(us: int) -> int:
    """The Monday, 00:00 in Japan, of the week that a time is in."""
    days = (us + _JST_US) // DAY_US
    return (days - (days - _FIRST_MONDAY) % 7) * DAY_US - _JST_US
