"""When a rule is in force: days and hours in Japan's time, and day or night by the sun at the place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from command.domain.clock import US_PER_S
from command.domain.geo import Position
from maps.sun import is_night

DayWord = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
SunWord = Literal["any", "day", "night"]
HourText = Annotated[str, Field(pattern=r"^(?:[01][0-9]|2[0-3]):[0-5][0-9]$")]
DAYS: Final[tuple[DayWord, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MIDDLE: Final = Position(lon=135.0, lat=35.0)
"""Where the sun is asked about for what has no place: where Japan's time is that of the sun."""

_JST_US: Final = 9 * 3_600 * US_PER_S
_MINUTE_US: Final = 60 * US_PER_S
_DAY_MIN: Final = 24 * 60
_EPOCH_DAY: Final = 3
"""1970-01-01 was a Thursday; Monday is 0."""


class Hours(BaseModel):
    """Days of the week and a part of the day, in Japan's time (UTC+9, without summer time).

    What begins in the evening and ends in the morning belongs to the day on which it begins; the same time twice is the
    whole day.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: Annotated[tuple[DayWord, ...], Field(min_length=1, max_length=7)] = DAYS
    begins: HourText = "00:00"
    ends: HourText = "00:00"

    def hold(self, at_us: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether the times, of any shape, lie in them: the beginning does, the end does not."""
        minutes = (np.asarray(at_us, dtype=np.int64) + _JST_US) // _MINUTE_US
        day, minute = (minutes // _DAY_MIN + _EPOCH_DAY) % 7, minutes % _DAY_MIN
        wanted = np.array([word in self.days for word in DAYS])
        begins, ends = _minute_of(self.begins), _minute_of(self.ends)
        if begins < ends:
            return np.asarray(wanted[day] & (begins <= minute) & (minute < ends))
        return np.asarray((wanted[day] & (minute >= begins)) | (wanted[day - 1] & (minute < ends)))


class Schedule(Hours):
    """When a rule is in force. `sun` is asked at the place of what the rule speaks about."""

    sun: SunWord = "any"

    def holds(self, at_us: int, places: Sequence[Position | None]) -> npt.NDArray[np.bool_]:
        """(n,) whether it holds at a time at each of n places; for what has none, by the sun at MIDDLE."""
        if self.sun == "any" or not bool(self.hold(at_us)):
            return np.full(len(places), bool(self.hold(at_us)))
        there = [place or MIDDLE for place in places]
        night = is_night(at_us, [place.lon for place in there], [place.lat for place in there])
        return night if self.sun == "night" else ~night


def _minute_of(written: str) -> int:
    hour, minute = written.split(":")
    return int(hour) * 60 + int(minute)
