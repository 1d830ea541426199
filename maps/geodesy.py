"""Lengths on the WGS 84 ellipsoid, for many points at once."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from pyproj import Geod

WGS84: Final = Geod(ellps="WGS84")
_RADIANS_PER_DEGREE: Final = np.pi / 180.0
_PASSES: Final = 3
"""Each pass moves the latitude of the scale half way to what was found; a third changes millimetres at 100 km."""

Floats = npt.NDArray[np.float64]


def metres_per_degree(lat_deg: npt.ArrayLike) -> tuple[Floats, Floats]:
    """Length of one degree to the east and to the north at a latitude, in metres, each of the input's shape.

    N(φ)·cos φ and M(φ), the radii of curvature in the prime vertical and in the meridian (Snyder, Map Projections:
    A Working Manual, USGS PP 1395, 1987, equations 4-18 to 4-21).
    """
    phi = np.asarray(lat_deg, dtype=np.float64) * _RADIANS_PER_DEGREE
    w2 = 1.0 - WGS84.es * np.sin(phi) ** 2
    east = WGS84.a / np.sqrt(w2) * np.cos(phi) * _RADIANS_PER_DEGREE
    north = WGS84.a * (1.0 - WGS84.es) / w2**1.5 * _RADIANS_PER_DEGREE
    return np.asarray(east), np.asarray(north)


def geodesic_distances_m(lon1: Floats, lat1: Floats, lon2: Floats, lat2: Floats) -> Floats:
    """Distances on the ellipsoid between (n,) arrays of degrees, in metres (Karney, J. Geodesy 87, 2013)."""
    _, _, distance = WGS84.inv(lon1, lat1, lon2, lat2)
    return np.asarray(distance, dtype=np.float64)


def nearest_on_segments(lon: Floats, lat: Floats, segments: Floats) -> tuple[Floats, Floats, Floats]:
    """For each of (n,) points the nearest place on its own segment: (n,) lon, (n,) lat, (n,) distance in metres.

    segments: (n, 2, 2), the start and the end of each as (lon, lat) in degrees.

    A segment is straight in longitude and latitude (RFC 7946, section 3.1.1), so it stays straight in a plane whose
    axes are scaled by the length of a degree at one latitude: the one half way between point and place. The distance
    is this plane's: within 0.01 % of the ellipsoid's up to 50 km away, below 80 degrees of latitude.
    """
    scale_lat = lat
    lon1, lat1 = segments[:, 0, 0], segments[:, 0, 1]
    run_lon, run_lat = segments[:, 1, 0] - lon1, segments[:, 1, 1] - lat1
    at_lon, at_lat = lon1, lat1
    distance = np.zeros_like(lon)
    for _ in range(_PASSES):
        east, north = metres_per_degree(scale_lat)
        ax, ay = (lon1 - lon) * east, (lat1 - lat) * north
        dx, dy = run_lon * east, run_lat * north
        length2 = dx * dx + dy * dy
        along = np.clip(-(ax * dx + ay * dy) / np.where(length2 > 0.0, length2, 1.0), 0.0, 1.0)
        at_lon, at_lat = lon1 + along * run_lon, lat1 + along * run_lat
        distance = np.hypot(ax + along * dx, ay + along * dy)
        scale_lat = (lat + at_lat) / 2.0
    return at_lon, at_lat, distance
