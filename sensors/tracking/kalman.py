"""A constant-velocity Kalman filter over many tracks at once, each in the tangent plane of its own position.

The state of a track is east and north position and velocity. Measurement and process noise are the same in both
axes and independent, so the two axes share one 2 x 2 covariance and the 4-state filter falls apart into scalars:
the result is the textbook filter's (Bar-Shalom, Li, Kirubarajan, Estimation with Applications to Tracking and
Navigation, 2001, sections 5.2 and 6.2.2), without a matrix. Positions are kept as degrees; metres exist only
between two positions that are close together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_SEMI_MAJOR_M: Final = 6_378_137.0
_ECCENTRICITY_2: Final = 6.694_379_990_14e-3
"""WGS 84 (NGA.STND.0036, 2014, table 3.5)."""
_COS_FLOOR: Final = 1e-6
"""At the poles a degree of longitude has no length; this keeps the division finite."""


@dataclass(slots=True)
class Estimates:
    """(n,) float64 each: degrees, metres a second, and the covariance that both axes share (m2, m2/s, m2/s2)."""

    lon: Floats
    lat: Floats
    east_mps: Floats
    north_mps: Floats
    position_var: Floats
    cross_var: Floats
    velocity_var: Floats


def metres_per_degree(lat: Floats) -> tuple[Floats, Floats]:
    """Metres in one degree of longitude and of latitude at `lat` (prime vertical and meridian radii, WGS 84)."""
    phi = np.radians(lat)
    w2 = 1.0 - _ECCENTRICITY_2 * np.sin(phi) ** 2
    w = np.sqrt(w2)
    east = np.radians(_SEMI_MAJOR_M / w * np.maximum(np.cos(phi), _COS_FLOOR))
    north = np.radians(_SEMI_MAJOR_M * (1.0 - _ECCENTRICITY_2) / (w2 * w))
    return east, north


def wrap_longitude(lon: Floats) -> Floats:
    """Degrees in -180 <= x < 180."""
    wrapped: Floats = np.mod(lon + 180.0, 360.0) - 180.0
    return np.where((lon >= -180.0) & (lon < 180.0), lon, wrapped)


def predict(before: Estimates, *, dt_s: Floats, acceleration_m2ps3: Floats) -> Estimates:
    """The estimates `dt_s` later: straight on, with white-noise acceleration."""
    east_m, north_m = metres_per_degree(before.lat)
    q_dt = acceleration_m2ps3 * dt_s
    return Estimates(
        lon=wrap_longitude(before.lon + before.east_mps * dt_s / east_m),
        lat=np.clip(before.lat + before.north_mps * dt_s / north_m, -90.0, 90.0),
        east_mps=before.east_mps,
        north_mps=before.north_mps,
        position_var=before.position_var
        + dt_s * (2.0 * before.cross_var + dt_s * before.velocity_var)
        + q_dt * dt_s * dt_s / 3.0,
        cross_var=before.cross_var + dt_s * before.velocity_var + q_dt * dt_s / 2.0,
        velocity_var=before.velocity_var + q_dt,
    )


def correct_position(predicted: Estimates, *, lon: Floats, lat: Floats, var_m2: Floats) -> Estimates:
    """The estimates after measured positions (degrees) with variance `var_m2` per axis."""
    east_m, north_m = metres_per_degree(predicted.lat)
    total = predicted.position_var + var_m2
    gain = predicted.position_var / total
    velocity_gain = predicted.cross_var / total
    innovation_east_m = wrap_longitude(lon - predicted.lon) * east_m
    innovation_north_m = (lat - predicted.lat) * north_m
    return Estimates(
        lon=wrap_longitude(predicted.lon + gain * innovation_east_m / east_m),
        lat=np.clip(predicted.lat + gain * innovation_north_m / north_m, -90.0, 90.0),
        east_mps=predicted.east_mps + velocity_gain * innovation_east_m,
        north_mps=predicted.north_mps + velocity_gain * innovation_north_m,
        position_var=var_m2 * gain,
        cross_var=var_m2 * velocity_gain,
        velocity_var=predicted.velocity_var - velocity_gain * predicted.cross_var,
    )


def correct_velocity(
    predicted: Estimates,
    *,
    east_mps: Floats,
    north_mps: Floats,
    var_m2ps2: Floats,
    measured: npt.NDArray[np.bool_],
) -> Estimates:
    """The estimates after measured velocities; rows where `measured` is False stay as they are."""
    east_m, north_m = metres_per_degree(predicted.lat)
    total = predicted.velocity_var + var_m2ps2
    gain = np.where(measured, predicted.velocity_var / total, 0.0)
    position_gain_s = np.where(measured, predicted.cross_var / total, 0.0)
    innovation_east = np.where(measured, east_mps - predicted.east_mps, 0.0)
    innovation_north = np.where(measured, north_mps - predicted.north_mps, 0.0)
    return Estimates(
        lon=wrap_longitude(predicted.lon + position_gain_s * innovation_east / east_m),
        lat=np.clip(predicted.lat + position_gain_s * innovation_north / north_m, -90.0, 90.0),
        east_mps=predicted.east_mps + gain * innovation_east,
        north_mps=predicted.north_mps + gain * innovation_north,
        position_var=predicted.position_var - position_gain_s * predicted.cross_var,
        cross_var=np.where(measured, var_m2ps2 * position_gain_s, predicted.cross_var),
        velocity_var=np.where(measured, var_m2ps2 * gain, predicted.velocity_var),
    )
