"""A sea of vessels that report by AIS at a steady rate, and of which new ones enter a geofence every second.

Each vessel reports every PERIOD_S, as class A does under way (ITU-R M.1371-5, table 1), so `per_second` reports a
second are ten times as many vessels. All go due east towards the fence's western edge, in ranks one step behind the
other, so that each turn of PERIOD_S the next rank crosses it: a vessel's report before is half a step outside, the one
that fulfils the rule half a step inside, some 77 m. That is more than the margin of geofence_entry (two position
errors of at most 10 m, at least 30 m), so one report decides.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import pyais
from shapely import box

PERIOD_S: Final = 10
SPEED_KNOTS: Final = 29.9
STEP_M: Final = SPEED_KNOTS * 1_852 / 3_600 * PERIOD_S
FENCE: Final = box(139.5, 35.0, 139.8, 35.5)
FENCE_SLUG: Final = "bench-fence"
_M_PER_DEGREE: Final = 111_195.0
_FIRST_MMSI: Final = 431_000_000


@dataclass(frozen=True, slots=True)
class Report:
    """One datagram. `enters`: it is the one that fulfils the rule."""

    second: int
    mmsi: int
    line: bytes
    enters: bool


def reports(*, seconds: int, per_second: int) -> list[list[Report]]:
    """The datagrams of each second, in the order of sending. From second PERIOD_S on, one in a hundred enters."""
    chance = random.Random(20260101)
    entering = max(1, per_second // 100)
    return [list(_second(second, per_second, entering, chance)) for second in range(seconds)]


def _second(second: int, per_second: int, entering: int, chance: random.Random) -> Iterator[Report]:
    phase, turn = second % PERIOD_S, second // PERIOD_S
    places = list(range(per_second))
    chance.shuffle(places)
    for place in places:
        number = phase * per_second + place
        crosses_at = 1 + place // entering
        lat = 35.02 + 0.46 * (number * 0.618_034 % 1.0)
        east_m = STEP_M * (turn - crosses_at + 0.5)
        lon = FENCE.bounds[0] + east_m / (_M_PER_DEGREE * math.cos(math.radians(lat)))
        yield Report(second, _FIRST_MMSI + number, _line(_FIRST_MMSI + number, lon, lat, second), turn == crosses_at)


def _line(mmsi: int, lon: float, lat: float, second: int) -> bytes:
    told: dict[str, str | int | float | bytes | bool] = {
        "type": 1,
        "mmsi": mmsi,
        "lon": lon,
        "lat": lat,
        "speed": SPEED_KNOTS,
        "course": 90.0,
        "heading": 90,
        "status": 0,
        "accuracy": True,
        "second": second % 60,
    }
    (line,) = pyais.encode_dict(told, sentence_type="VDM", radio_channel="A")
    return str(line).encode()
