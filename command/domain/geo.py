"""Positions on WGS 84 and the small ellipsoidal sums that every layer needs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

EARTH_MEAN_RADIUS_M: Final = 6_371_008.8
"""Mean radius R1 of WGS 84 (Moritz, Geodetic Reference System 1980, 2000)."""

METRES_PER_NAUTICAL_MILE: Final = 1_852.0
MPS_PER_KNOT: Final = METRES_PER_NAUTICAL_MILE / 3_600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """A point on WGS 84, degrees. Raises ValueError outside the globe or for a non-number."""

    lon: float
    lat: float

    def __post_init__(self) -> None:
        if not (-180.0 <= self.lon <= 180.0 and -90.0 <= self.lat <= 90.0):
            raise ValueError(
                f"position lon={self.lon!r}, lat={self.lat!r} is not on the globe; give degrees, longitude first"
            )


def distance_m(a: Position, b: Position) -> float:
    """Great-circle distance in metres (haversine; within 0.6 % of the ellipsoid)."""
    return float(distances_m(a.lon, a.lat, np.float64(b.lon), np.float64(b.lat)))


def distances_m(
    lon1: npt.ArrayLike, lat1: npt.ArrayLike, lon2: npt.ArrayLike, lat2: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Great-circle distances in metres between broadcast arrays of degrees (haversine)."""
    phi1, phi2 = np.radians(lat1), np.radians(lat2)
    half_dphi = (phi2 - phi1) / 2.0
    half_dlon = np.radians(np.subtract(lon2, lon1)) / 2.0
    h = np.sin(half_dphi) ** 2 + np.cos(phi1) * np.cos(phi2) * np.sin(half_dlon) ** 2
    result: npt.NDArray[np.float64] = 2.0 * EARTH_MEAN_RADIUS_M * np.arcsin(np.sqrt(np.clip(h, 0.0, 1.0)))
    return result


def destination(start: Position, *, course_deg: float, distance_m: float) -> Position:
    """The point reached on a great circle from `start`, initial course clockwise from true north."""
    delta = distance_m / EARTH_MEAN_RADIUS_M
    theta = math.radians(course_deg)
    phi1, lam1 = math.radians(start.lat), math.radians(start.lon)
    phi2 = math.asin(math.sin(phi1) * math.cos(delta) + math.cos(phi1) * math.sin(delta) * math.cos(theta))
    lam2 = lam1 + math.atan2(
        math.sin(theta) * math.sin(delta) * math.cos(phi1), math.cos(delta) - math.sin(phi1) * math.sin(phi2)
    )
    return Position(lon=(math.degrees(lam2) + 540.0) % 360.0 - 180.0, lat=math.degrees(phi2))
