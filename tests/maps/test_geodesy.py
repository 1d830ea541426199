"""Lengths on the ellipsoid, held against pyproj's geodesics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from maps.geodesy import WGS84, geodesic_distances_m, metres_per_degree, nearest_on_segments

NEAR_DEG = 0.4


@pytest.mark.parametrize("lat", [0.0, 35.0, -60.0, 80.0])
def test_a_degree_is_as_long_as_a_geodesic_over_a_small_part_of_it(lat: float) -> None:
    east, north = metres_per_degree(lat)

    assert float(east) == pytest.approx(WGS84.inv(10.0, lat, 10.001, lat)[2] * 1_000, rel=1e-6)
    assert float(north) == pytest.approx(WGS84.inv(10.0, lat - 0.0005, 10.0, lat + 0.0005)[2] * 1_000, rel=1e-6)


@settings(max_examples=150, deadline=None)
@given(
    lon=st.floats(-179, 179),
    lat=st.floats(-79, 79),
    ends=st.tuples(*[st.floats(-NEAR_DEG, NEAR_DEG)] * 4),
)
def test_the_nearest_place_on_a_segment_is_the_nearest_of_many_places_on_it(
    lon: float, lat: float, ends: tuple[float, float, float, float]
) -> None:
    segment = np.array([[[lon + ends[0], lat + ends[1]], [lon + ends[2], lat + ends[3]]]])
    along = np.linspace(0.0, 1.0, 4_001)[:, None]
    places = segment[0, 0] + along * (segment[0, 1] - segment[0, 0])

    at_lon, at_lat, _ = nearest_on_segments(np.array([lon]), np.array([lat]), segment)
    found = geodesic_distances_m(np.array([lon]), np.array([lat]), at_lon, at_lat)[0]
    best = geodesic_distances_m(np.full(4_001, lon), np.full(4_001, lat), places[:, 0], places[:, 1]).min()

    assert found == pytest.approx(best, rel=1e-4, abs=20.0)
    assert found <= best * (1 + 1e-4) + 0.01


def test_a_segment_without_length_is_a_point() -> None:
    segment = np.array([[[129.0, 34.0], [129.0, 34.0]]])

    _, _, metres = nearest_on_segments(np.array([129.0]), np.array([34.01]), segment)

    assert metres[0] == pytest.approx(WGS84.inv(129.0, 34.0, 129.0, 34.01)[2], rel=1e-6)
