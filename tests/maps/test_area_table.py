"""The coordinate table: every row is read by itself, the shape when all rows are."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely import MultiPolygon, Polygon, box
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry

from maps.area_geometry import BadAreaGeometry, clean_geometry
from maps.area_table import Ring, read_table, rings_of, rings_of_geojson

HOLED = Polygon([(129, 34), (130, 34), (130, 35), (129, 35)], [[(129.4, 34.4), (129.6, 34.4), (129.6, 34.6)]])


def test_rows_of_every_kind_make_one_shape() -> None:
    table = read_table([Ring(rows=["34N 129E", "34.0, 129.5", (129.5, 34.5), "34 30N 129 00E"])])
    assert table.problem is None
    assert table.geometry is not None
    assert table.geometry.geometry.equals(box(129, 34, 129.5, 34.5))


def test_each_row_that_cannot_be_read_says_so_and_the_others_stand() -> None:
    table = read_table([Ring(rows=["34N 129E", "95, 129", "34, 130", "", (129.0, float("nan"))])])
    assert [(ring, row, problem.reason) for ring, row, problem in table.bad_rows] == [
        (0, 1, "latitude_off"),
        (0, 3, "empty"),
        (0, 4, "not_numbers"),
    ]
    assert table.rings[0][2].point == (130.0, 34.0)
    assert (table.geometry, table.problem) == (None, None)


@pytest.mark.parametrize(
    ("rings", "reason"),
    [
        ([], "empty"),
        ([Ring(rows=["34, 129", "34, 130", "34, 129"])], "too_few"),
        ([Ring(rows=["34, 129", "35, 130", "34, 130", "35, 129"])], "crosses"),
        ([Ring(rows=["34, 129", "34, 130", "35, 130"], hole=True)], "empty"),
        ([Ring(rows=["34, 129"] * 30_000)], "too_many_rows"),
    ],
)
def test_a_shape_that_cannot_be_watched_says_why(rings: list[Ring], reason: str) -> None:
    problem = read_table(rings).problem
    assert problem is not None
    assert problem.reason == reason


def test_a_crossing_is_told_with_its_place() -> None:
    problem = read_table([Ring(rows=["34, 129", "35, 130", "34, 130", "35, 129"])]).problem
    assert problem is not None
    assert "34°30′00.0″N 129°30′00.0″E" in problem.explain("ja")


@pytest.mark.parametrize("shape", [box(129, 34, 130, 35), HOLED, MultiPolygon([HOLED, box(131, 34, 131.5, 34.5)])])
def test_a_stored_shape_comes_back_from_its_table_and_from_its_geojson(shape: BaseGeometry) -> None:
    kept = clean_geometry(shape).geometry
    as_json = {"type": kept.geom_type, "coordinates": _lists(mapping(kept)["coordinates"])}
    for rings in (rings_of(kept), rings_of_geojson(as_json)):
        geometry = read_table(rings).geometry
        assert geometry is not None
        assert geometry.geometry.equals(kept)


def _lists(value: object) -> object:
    return [_lists(x) for x in value] if isinstance(value, tuple | list) else value


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=30,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(kind=st.sampled_from(["Polygon", "MultiPolygon", "Point", None]), coordinates=json_values)
def test_any_geojson_is_read_or_refused_in_words(kind: str | None, coordinates: object) -> None:
    try:
        table = read_table(rings_of_geojson({"type": kind, "coordinates": coordinates}))
    except BadAreaGeometry as exc:
        told = exc.explain("ja")
    else:
        told = table.geometry or table.problem or table.bad_rows
    assert told
