"""Where the sun stands: day or night at a place."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

HORIZON_DEG: Final = -0.833
"""Elevation of the sun's centre when its upper limb is on the horizon: refraction 34', semidiameter 16'."""
_J2000_US: Final = 946_728_000_000_000
"""2000-01-01T12:00Z."""
_US_PER_DAY: Final = 86_400_000_000

Floats = npt.NDArray[np.float64]


def sun_elevation_deg(at_us: npt.ArrayLike, lon: npt.ArrayLike, lat: npt.ArrayLike) -> Floats:
    """Degrees of the sun's centre above the horizon, without refraction, of the broadcast shape; NaN for no place.

    The Astronomical Almanac's algorithm, within 0.01 degrees from 1950 to 2050 (Michalsky, Solar Energy 40, 1988,
    pages 227 to 235).
    """
    days = (np.asarray(at_us, dtype=np.int64) - _J2000_US) / _US_PER_DAY
    anomaly = np.radians(357.528 + 0.9856003 * days)
    longitude = np.radians(280.460 + 0.9856474 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2.0 * anomaly))
    obliquity = np.radians(23.439 - 0.0000004 * days)
    ascension = np.arctan2(np.cos(obliquity) * np.sin(longitude), np.cos(longitude))
    declination = np.arcsin(np.sin(obliquity) * np.sin(longitude))
    hour = (days + 0.5) % 1.0 * 24.0
    sidereal_h = 6.697375 + 0.0657098242 * days + hour
    turned = np.radians(sidereal_h * 15.0 + np.asarray(lon, dtype=np.float64)) - ascension
    phi = np.radians(np.asarray(lat, dtype=np.float64))
    height = np.sin(declination) * np.sin(phi) + np.cos(declination) * np.cos(phi) * np.cos(turned)
    return np.asarray(np.degrees(np.arcsin(np.clip(height, -1.0, 1.0))), dtype=np.float64)


def is_night(at_us: npt.ArrayLike, lon: npt.ArrayLike, lat: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """Whether the sun is wholly below the horizon, from sunset to sunrise; False for no place."""
    return np.asarray(sun_elevation_deg(at_us, lon, lat) < HORIZON_DEG)
