"""How a drill's vessels move: pure functions of scenario time, so that a feeder may start anywhere in the drill."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from command.domain.geo import MPS_PER_KNOT, Position, distances_m

_METRES_PER_DEGREE: Final = 111_195.0
"""Of latitude on the mean sphere."""


@dataclass(frozen=True, slots=True)
class Motion:
    """Where something is and how it moves: degrees, knots as AIS says them, degrees clockwise from true north."""

    lon: float
    lat: float
    speed_kn: float
    course_deg: float


class Plan(Protocol):
    """A movement over the whole drill; `t_s` is seconds since its start and may lie before it."""

    def at(self, t_s: float) -> Motion: ...


def offset(position: Position, *, east_m: float, north_m: float) -> Position:
    """The place a few kilometres east and north at most (flat earth, exact to a metre in ten kilometres here)."""
    per_degree_lon = _METRES_PER_DEGREE * math.cos(math.radians(position.lat))
    return Position(lon=position.lon + east_m / per_degree_lon, lat=position.lat + north_m / _METRES_PER_DEGREE)


@dataclass(frozen=True)
class Line:
    """Waypoints joined by straight legs, (n,) degrees each."""

    lon: tuple[float, ...]
    lat: tuple[float, ...]

    @classmethod
    def through(cls, *points: tuple[float, float]) -> Line:
        return cls(tuple(p[0] for p in points), tuple(p[1] for p in points))

    @cached_property
    def _at_m(self) -> npt.NDArray[np.float64]:
        lon, lat = np.array(self.lon), np.array(self.lat)
        return np.concatenate([[0.0], np.cumsum(distances_m(lon[:-1], lat[:-1], lon[1:], lat[1:]))])

    @property
    def length_m(self) -> float:
        return float(self._at_m[-1])

    def at(self, along_m: float) -> tuple[float, float, float]:
        """(lon, lat, course along the line) at a distance from its beginning, cut to its ends."""
        d = min(max(along_m, 0.0), self.length_m)
        leg = min(int(np.searchsorted(self._at_m, d, side="right")) - 1, len(self.lon) - 2)
        part = (d - self._at_m[leg]) / (self._at_m[leg + 1] - self._at_m[leg])
        lon0, lat0, lon1, lat1 = self.lon[leg], self.lat[leg], self.lon[leg + 1], self.lat[leg + 1]
        east = (lon1 - lon0) * math.cos(math.radians((lat0 + lat1) / 2.0))
        course = math.degrees(math.atan2(east, lat1 - lat0)) % 360.0
        return lon0 + part * (lon1 - lon0), lat0 + part * (lat1 - lat0), course

    def shifted(self, *, right_m: float) -> Line:
        """The line moved to the right of its general direction."""
        north = self.lat[-1] - self.lat[0]
        east = (self.lon[-1] - self.lon[0]) * math.cos(math.radians(self.lat[0]))
        length = math.hypot(north, east)
        moved = [
            offset(Position(lon=lon, lat=lat), east_m=right_m * north / length, north_m=-right_m * east / length)
            for lon, lat in zip(self.lon, self.lat, strict=True)
        ]
        return Line(tuple(p.lon for p in moved), tuple(p.lat for p in moved))


@dataclass(frozen=True, kw_only=True)
class Shuttle:
    """To and fro on a line at one speed, with a rest at either end."""

    line: Line
    speed_kn: float
    start_m: float
    rest_s: float = 900.0

    def at(self, t_s: float) -> Motion:
        run_s = self.line.length_m / (self.speed_kn * MPS_PER_KNOT)
        cycle_s = 2.0 * (run_s + self.rest_s)
        phase_s = (t_s + self.start_m / (self.speed_kn * MPS_PER_KNOT)) % cycle_s
        back = phase_s >= run_s + self.rest_s
        leg_s = phase_s - (run_s + self.rest_s if back else 0.0)
        along_m = min(leg_s, run_s) / run_s * self.line.length_m
        lon, lat, course = self.line.at(self.line.length_m - along_m if back else along_m)
        return Motion(lon, lat, 0.0 if leg_s > run_s else self.speed_kn, (course + 180.0) % 360.0 if back else course)


@dataclass(frozen=True, kw_only=True)
class Circle:
    """Round and round, as one that fishes, waits or swings does."""

    centre: Position
    radius_m: float
    speed_kn: float
    phase_deg: float = 0.0
    clockwise: bool = True

    def at(self, t_s: float) -> Motion:
        turn = math.degrees(self.speed_kn * MPS_PER_KNOT * t_s / self.radius_m) * (1.0 if self.clockwise else -1.0)
        bearing = math.radians((self.phase_deg + turn) % 360.0)
        place = offset(self.centre, east_m=self.radius_m * math.sin(bearing), north_m=self.radius_m * math.cos(bearing))
        course = (math.degrees(bearing) + (90.0 if self.clockwise else -90.0)) % 360.0
        return Motion(place.lon, place.lat, self.speed_kn, course)


@dataclass(frozen=True, kw_only=True)
class Moored:
    """At rest at a place."""

    place: Position

    def at(self, t_s: float) -> Motion:
        del t_s
        return Motion(self.place.lon, self.place.lat, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True)
class Script:
    """Waypoints with their times, seconds since the start; before the first and after the last it rests there."""

    points: Sequence[tuple[float, float, float]]
    """(t_s, lon, lat), in order of time."""

    def at(self, t_s: float) -> Motion:
        if t_s <= self.points[0][0]:
            return Motion(self.points[0][1], self.points[0][2], 0.0, 0.0)
        for (t0, lon0, lat0), (t1, lon1, lat1) in zip(self.points, self.points[1:], strict=False):
            if t_s < t1:
                part = (t_s - t0) / (t1 - t0)
                metres = float(distances_m(lon0, lat0, np.float64(lon1), np.float64(lat1)))
                east = (lon1 - lon0) * math.cos(math.radians((lat0 + lat1) / 2.0))
                course = math.degrees(math.atan2(east, lat1 - lat0)) % 360.0
                lon, lat = lon0 + part * (lon1 - lon0), lat0 + part * (lat1 - lat0)
                return Motion(lon, lat, metres / (t1 - t0) / MPS_PER_KNOT, course)
        return Motion(self.points[-1][1], self.points[-1][2], 0.0, 0.0)
