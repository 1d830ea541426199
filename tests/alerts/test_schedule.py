"""When a rule is in force: days and hours in Japan's time, by day or by night."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from alerts.schedule import DAYS, Schedule
from command.domain.clock import to_us
from command.domain.geo import Position

JST = timezone(timedelta(hours=9))
IZUHARA = Position(lon=129.3, lat=34.2)


def jst(day: int, hour: int, minute: int = 0) -> int:
    """2026-11-16 is a Monday."""
    return to_us(datetime(2026, 11, day, hour, minute, tzinfo=JST))


@pytest.mark.parametrize(
    ("schedule", "at_us", "holds"),
    [
        ({}, jst(16, 3), True),
        ({"days": ["mon"]}, jst(16, 0), True),
        ({"days": ["mon"]}, jst(16, 23, 59), True),
        ({"days": ["mon"]}, jst(17, 0), False),
        ({"begins": "09:00", "ends": "17:00"}, jst(16, 9), True),
        ({"begins": "09:00", "ends": "17:00"}, jst(16, 17), False),
        ({"days": ["mon"], "begins": "22:00", "ends": "05:00"}, jst(17, 4, 59), True),
        ({"days": ["mon"], "begins": "22:00", "ends": "05:00"}, jst(16, 4, 59), False),
        ({"days": ["mon"], "begins": "22:00", "ends": "05:00"}, jst(17, 5), False),
        ({"sun": "night"}, jst(16, 12), False),
        ({"sun": "day"}, jst(16, 12), True),
        ({"sun": "night"}, jst(16, 21), True),
        ({"sun": "night", "begins": "00:00", "ends": "12:00"}, jst(16, 21), False),
    ],
)
def test_a_schedule_holds_on_its_days_in_its_hours_and_under_its_sun(
    schedule: dict[str, Any], at_us: int, holds: bool
) -> None:
    assert Schedule.model_validate(schedule).holds(at_us, [IZUHARA, None]).tolist() == [holds, holds]


hours = st.builds(lambda h, m: f"{h:02d}:{m:02d}", st.integers(0, 23), st.integers(0, 59))


@given(
    days=st.lists(st.sampled_from(DAYS), min_size=1, unique=True),
    begins=hours,
    ends=hours,
    minutes=st.lists(st.integers(0, 60_000_000), min_size=1, max_size=20),
)
def test_many_times_at_once_are_judged_as_a_calendar_judges_each(
    days: list[str], begins: str, ends: str, minutes: list[int]
) -> None:
    schedule = Schedule.model_validate({"days": days, "begins": begins, "ends": ends})

    def by_calendar(minute: int) -> bool:
        moment = datetime.fromtimestamp(minute * 60, JST)
        clock, day = f"{moment:%H:%M}", DAYS[moment.weekday()]
        if begins < ends:
            return day in days and begins <= clock < ends
        return (day in days and clock >= begins) or (DAYS[moment.weekday() - 1] in days and clock < ends)

    found = schedule.hold(np.array(minutes) * 60_000_000)
    assert found.tolist() == [by_calendar(minute) for minute in minutes]


@pytest.mark.parametrize("wrong", [{"begins": "24:00"}, {"ends": "5:00"}, {"days": []}, {"sun": "dusk"}, {"x": 1}])
def test_a_schedule_that_nobody_can_keep_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Schedule.model_validate(wrong)
