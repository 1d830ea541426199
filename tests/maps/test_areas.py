"""The index of areas, held against PostGIS: what is inside, and how many metres it is to the edge."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import numpy as np
import psycopg
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from command.domain.area import Area, AreaKind
from maps.area_geometry import clean_geometry
from maps.areas import MAX_AREAS, MAX_WITHIN_M, AreaIndex

WITHIN_M = 5_000.0


def area(geometry: BaseGeometry, slug: str = "area") -> Area:
    return Area(
        area_id=uuid.uuid4(),
        version=1,
        slug=slug,
        kind=AreaKind.GEOFENCE,
        name_ja=slug,
        name_en=slug,
        geometry=clean_geometry(geometry).geometry,
        valid_from_us=0,
        author="test",
    )


@pytest.fixture
def postgis(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS postgis")
        yield connection


def inside_by_postgis(postgis: psycopg.Connection, geometry: BaseGeometry, lon: float, lat: float) -> bool:
    row = postgis.execute(
        "SELECT ST_Covers(ST_GeomFromWKB(%s, 4326), ST_SetSRID(ST_MakePoint(%s, %s), 4326))",
        (shapely.to_wkb(geometry), lon, lat),
    ).fetchone()
    assert row is not None
    return bool(row[0])


def metres_by_postgis(postgis: psycopg.Connection, geometry: BaseGeometry, lon: float, lat: float) -> float:
    """To the edge, on the ellipsoid. PostGIS draws geodesics; cut small, they lie on lines straight in degrees."""
    row = postgis.execute(
        """SELECT ST_Distance(
               ST_Segmentize(ST_Boundary(ST_GeomFromWKB(%s, 4326)), 0.01)::geography,
               ST_SetSRID(ST_MakePoint(%s, %s), 4326)::geography, true)""",
        (shapely.to_wkb(geometry), lon, lat),
    ).fetchone()
    assert row is not None
    return float(row[0])


@st.composite
def ragged_areas(draw: st.DrawFn) -> tuple[Polygon, np.ndarray, np.ndarray]:
    """A ragged area with a hole somewhere in the world, and points in, on and around it."""
    centre_lon, centre_lat = draw(st.floats(-170, 170)), draw(st.floats(-70, 70))
    corners = draw(st.integers(3, 24))
    radius = draw(st.floats(0.005, 0.5))
    spread = draw(st.lists(st.floats(0.3, 1.0), min_size=corners, max_size=corners))
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    shell = np.stack(
        [
            centre_lon + radius * np.array(spread) * np.cos(angles),
            centre_lat + radius * np.array(spread) * np.sin(angles),
        ],
        axis=1,
    )
    hole = np.array([centre_lon, centre_lat]) + 0.1 * radius * np.array([(1, 0), (0, 1), (-1, 0), (0, -1)])
    polygon = Polygon(shell, [hole] if draw(st.booleans()) else [])
    offsets = draw(st.lists(st.tuples(st.floats(-1.1, 1.1), st.floats(-1.1, 1.1)), min_size=1, max_size=8))
    points = np.array([(centre_lon + dx * radius, centre_lat + dy * radius) for dx, dy in offsets])
    points = np.concatenate([points, shell[:2], (shell[:1] + shell[1:2]) / 2])
    return polygon, points[:, 0], points[:, 1]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=ragged_areas())
def test_inside_and_distance_agree_with_postgis(
    postgis: psycopg.Connection, case: tuple[Polygon, np.ndarray, np.ndarray]
) -> None:
    polygon, lon, lat = case
    watched = area(polygon)
    hits = AreaIndex([watched]).near(lon, lat, within_m=WITHIN_M)
    found = dict(zip(hits.point.tolist(), hits.edge_distance_m.tolist(), strict=True))

    for i, (x, y) in enumerate(zip(lon.tolist(), lat.tolist(), strict=True)):
        inside = inside_by_postgis(postgis, watched.geometry, x, y)
        metres = metres_by_postgis(postgis, watched.geometry, x, y)
        if metres < 0.1:
            assert (
                abs(found[i]) < 0.2
            )  # on the edge, as far as its pieces follow it: which side is a matter of rounding
        elif inside or metres <= WITHIN_M * 0.999:
            expected = min(metres, WITHIN_M)
            # PostGIS picks the nearest edge on the sphere, then measures to it on the ellipsoid: never too short,
            # but up to the flattening too long where two edges are about as near as each other.
            assert expected * 0.993 - 0.05 <= abs(found[i]) <= expected * 1.001 + 0.05
            assert (found[i] < 0.0) == inside
        elif metres > WITHIN_M * 1.001:
            assert i not in found


@settings(max_examples=30, deadline=None)
@given(case=ragged_areas(), shift_m=st.sampled_from([0.0, 90.0]))
def test_an_area_over_the_antimeridian_is_like_the_same_area_elsewhere(
    case: tuple[Polygon, np.ndarray, np.ndarray], shift_m: float
) -> None:
    polygon, lon, lat = case
    to_the_seam = 180.0 - polygon.centroid.x
    across = shapely.transform(polygon, lambda xy: xy + np.array([to_the_seam, 0.0]))

    here = AreaIndex([area(polygon)]).near(lon, lat, within_m=WITHIN_M)
    there = AreaIndex([area(across)]).near((lon + to_the_seam + 180.0) % 360.0 - 180.0, lat, within_m=WITHIN_M)

    near_here = {i: d for i, d in zip(here.point.tolist(), here.edge_distance_m.tolist(), strict=True) if abs(d) > 0.01}
    near_there = dict(zip(there.point.tolist(), there.edge_distance_m.tolist(), strict=True))
    for i, metres in near_here.items():
        assert near_there[i] == pytest.approx(metres, abs=0.05)


def test_the_seam_of_an_area_over_the_antimeridian_is_no_edge() -> None:
    index = AreaIndex([area(Polygon([(179, 10), (181, 10), (181, 12), (179, 12)]))])

    point, _ = index.containing([180.0, -180.0, 179.5, -179.5, 178.5], [11.0] * 5)
    hits = index.near([180.0, -180.0, 179.9999], [11.0] * 3, within_m=1_000.0)

    assert point.tolist() == [0, 1, 2, 3]
    assert hits.edge_distance_m.tolist() == [-1_000.0] * 3


def test_an_area_that_ends_at_the_antimeridian_has_its_edge_there() -> None:
    index = AreaIndex([area(shapely.box(179, 10, 180, 12))])

    hits = index.near([-179.999, 179.999], [11.0, 11.0], within_m=1_000.0)

    assert hits.edge_distance_m == pytest.approx([109.3, -109.3], abs=0.2)


def test_a_point_in_a_hole_is_outside_and_near_the_holes_edge() -> None:
    ring = Polygon(shapely.box(129, 34, 130, 35).exterior, [shapely.box(129.4, 34.4, 129.6, 34.6).exterior])
    index = AreaIndex([area(ring)])

    hits = index.near([129.401, 129.399], [34.5, 34.5], within_m=500.0)

    assert hits.edge_distance_m == pytest.approx([91.8, -91.8], abs=0.5)


def test_a_degree_of_longitude_is_shorter_in_the_north() -> None:
    index = AreaIndex([area(shapely.box(10, 0, 11, 1), "south"), area(shapely.box(10, 60, 11, 61), "north")])

    hits = index.near([11.01, 11.01], [0.5, 60.5], within_m=5_000.0)

    assert hits.edge_distance_m == pytest.approx([1_113.2, 549.5], abs=1.0)


def test_what_is_not_a_position_is_in_no_area() -> None:
    index = AreaIndex([area(shapely.box(129, 34, 130, 35))])

    hits = index.near([np.nan, 129.5, np.inf, 129.5], [34.5, np.nan, 34.5, 34.5], within_m=100.0)

    assert hits.point.tolist() == [3]


def test_overlapping_areas_are_all_found_in_order() -> None:
    index = AreaIndex(
        [area(shapely.box(0, 0, 2, 2), "a"), area(shapely.box(1, 1, 3, 3), "b"), area(shapely.box(5, 5, 6, 6), "c")]
    )

    point, found = index.containing([1.5, 0.5, 4.0], [1.5, 0.5, 4.0])

    assert list(zip(point.tolist(), found.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 0)]


def test_no_areas_and_no_points_give_no_pairs() -> None:
    assert len(AreaIndex().near([1.0], [1.0], within_m=10.0)) == 0
    assert len(AreaIndex([area(shapely.box(0, 0, 1, 1))]).near([], [], within_m=10.0)) == 0


def test_many_points_are_looked_at_in_pieces_and_come_out_the_same() -> None:
    rng = np.random.default_rng(7)
    index = AreaIndex([area(shapely.Point(129, 34).buffer(0.1))])
    lon, lat = rng.uniform(128.8, 129.2, 10_000), rng.uniform(33.8, 34.2, 10_000)

    together = index.near(lon, lat, within_m=1_000.0)
    apart = [index.near(lon[i : i + 100], lat[i : i + 100], within_m=1_000.0) for i in range(0, 10_000, 100)]

    assert np.array_equal(together.point, np.concatenate([h.point + 100 * i for i, h in enumerate(apart)]))
    assert np.array_equal(together.edge_distance_m, np.concatenate([h.edge_distance_m for h in apart]))


@pytest.mark.parametrize("within_m", [0.0, -1.0, float("nan"), MAX_WITHIN_M * 2])
def test_a_reach_that_makes_no_sense_is_refused(within_m: float) -> None:
    with pytest.raises(ValueError, match="within_m"):
        AreaIndex().near([1.0], [1.0], within_m=within_m)


def test_arrays_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        AreaIndex([area(shapely.box(0, 0, 1, 1))]).containing([1.0, 2.0], [1.0])


def test_two_areas_with_one_slug_and_too_many_areas_are_refused() -> None:
    one = area(shapely.box(0, 0, 1, 1))
    with pytest.raises(ValueError, match="one slug"):
        AreaIndex([one, one])
    with pytest.raises(ValueError, match="at most"):
        AreaIndex([one] * (MAX_AREAS + 1))


def test_half_the_width_of_a_strip_is_half_its_width() -> None:
    strip = area(MultiPolygon([shapely.box(10.0, 0.0, 11.0, 0.01)]))

    assert AreaIndex([strip]).half_width_m[0] == pytest.approx(552.9, rel=0.02)
