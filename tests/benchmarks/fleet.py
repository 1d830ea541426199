"""A fleet of which every vessel reports by AIS every second, each report telling which one it is.

A report's true heading is its number modulo 360: the tracks keep it as it came, so whoever gets a track a while later
(less than six minutes) knows which report it is of, and when that was due. The bits are those of message 1 (ITU-R
M.1371-5, table 45), packed for the whole fleet at once: pyais would take longer for a second's reports than a second.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

FIRST_MMSI: Final = 431_000_000
NEAR: Final = (129.30, 34.30, 129.70, 34.55)
"""West, south, east, north of the water in which those stand that a close view shows."""
FAR: Final = (127.6, 33.2, 131.4, 35.5)
LAPS_S: Final = 60
"""Each vessel goes round in a circle."""
RADIUS_M: Final = 100.0
_M_PER_DEGREE: Final = 111_195.0
_SPEED_KNOTS: Final = 2 * math.pi * RADIUS_M / LAPS_S * 3_600 / 1_852
_GOLDEN: Final = 0.618_034


@dataclass(frozen=True, kw_only=True)
class Fleet:
    """`near` of `count` vessels are in NEAR, the others around them in FAR."""

    count: int
    near: int

    def due_s(self, number: npt.NDArray[np.int64], vessel: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """When report `number` of a vessel is to be sent, in seconds from the start: evenly over its second, and those
        that are near each other not one after the other."""
        due: npt.NDArray[np.float64] = number + vessel * _GOLDEN % 1.0
        return due

    def order(self) -> npt.NDArray[np.int64]:
        """The vessels in the order in which they report in each second."""
        return np.argsort(np.arange(self.count) * _GOLDEN % 1.0)

    def places(self, number: int) -> npt.NDArray[np.float64]:
        """(count, 2) longitude and latitude in degrees at this report, and the course made good in the third column."""
        vessel = np.arange(self.count)
        box = np.where((vessel < self.near)[:, None], np.array(NEAR), np.array(FAR))
        across, up = vessel * _GOLDEN % 1.0, (vessel + 0.5) / self.count
        up = np.where(vessel < self.near, vessel / max(self.near, 1), up)
        angle = 2 * math.pi * (number / LAPS_S + across)
        lat0 = box[:, 1] + up * (box[:, 3] - box[:, 1])
        lat = lat0 + RADIUS_M * np.cos(angle) / _M_PER_DEGREE
        lon = box[:, 0] + across * (box[:, 2] - box[:, 0])
        lon = lon + RADIUS_M * np.sin(angle) / (_M_PER_DEGREE * np.cos(np.radians(lat0)))
        return np.stack([lon, lat, (np.degrees(angle) + 90.0) % 360.0], axis=1)

    def lines(self, number: int) -> list[bytes]:
        """The fleet's datagrams of one second, by vessel."""
        place = self.places(number)
        bits = np.zeros((self.count, 168), dtype=np.uint8)
        fields = (
            (0, 6, 1),
            (8, 30, FIRST_MMSI + np.arange(self.count)),
            (42, 8, -128),
            (50, 10, round(_SPEED_KNOTS * 10)),
            (60, 1, 1),
            (61, 28, np.round(place[:, 0] * 600_000)),
            (89, 27, np.round(place[:, 1] * 600_000)),
            (116, 12, np.round(place[:, 2] * 10) % 3_600),
            (128, 9, number % 360),
            (137, 6, number % 60),
        )
        for start, width, value in fields:
            column = np.broadcast_to(np.asarray(value, dtype=np.int64), self.count)
            bits[:, start : start + width] = column[:, None] >> np.arange(width - 1, -1, -1) & 1
        sixes = bits.reshape(self.count, 28, 6) @ np.array([32, 16, 8, 4, 2, 1], dtype=np.uint8)
        armour = (sixes + np.where(sixes < 40, 48, 56)).astype(np.uint8)
        sums = np.bitwise_xor.reduce(armour, axis=1) ^ _xor(b"AIVDM,1,1,,A,,0")
        return [
            b"!AIVDM,1,1,,A,%s,0*%02X\r\n" % (row.tobytes(), total) for row, total in zip(armour, sums, strict=True)
        ]


def _xor(text: bytes) -> int:
    total = 0
    for byte in text:
        total ^= byte
    return total
