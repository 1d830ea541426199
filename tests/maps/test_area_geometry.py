"""Shapes as people draw them: mended where that is safe, refused with a sentence where it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon, Point, Polygon

from maps.area_geometry import MAX_PARTS, MAX_VERTICES, BadAreaGeometry, clean_geometry, geometry_from_geojson


def test_a_good_polygon_comes_through_unmended() -> None:
    clean = clean_geometry(shapely.box(129, 34, 130, 35))

    assert not clean.mended
    assert clean.geometry.equals(shapely.box(129, 34, 130, 35))


def test_a_bow_tie_is_mended_into_its_two_halves_and_says_so() -> None:
    clean = clean_geometry(Polygon([(129, 34), (130, 35), (130, 34), (129, 35)]))

    assert clean.mended
    assert clean.geometry.is_valid
    assert len(shapely.get_parts(clean.geometry)) == 2


def test_height_is_left_out() -> None:
    assert not clean_geometry(Polygon([(129, 34, 5), (130, 34, 5), (130, 35, 5)])).geometry.has_z


def test_shells_run_anticlockwise() -> None:
    clockwise = Polygon([(129, 34), (129, 35), (130, 35), (130, 34)])

    assert shapely.is_ccw(clean_geometry(clockwise).geometry.exterior)


@pytest.mark.parametrize(
    "corners",
    [
        [(179, 10), (181, 10), (181, 11), (179, 11)],
        [(179, 10), (-179, 10), (-179, 11), (179, 11)],
        [(-181, 10), (-179, 10), (-179, 11), (-181, 11)],
        [(539, 10), (-179, 10), (-179, 11), (-181, 11)],
    ],
)
def test_an_area_over_the_antimeridian_is_cut_there_however_it_was_drawn(corners: list[tuple[float, float]]) -> None:
    clean = clean_geometry(Polygon(corners))

    assert not clean.mended
    assert clean.geometry.bounds == (-180.0, 10.0, 180.0, 11.0)
    assert clean.geometry.equals(MultiPolygon([shapely.box(179, 10, 180, 11), shapely.box(-180, 10, -179, 11)]))


def test_a_hole_on_the_other_side_of_the_antimeridian_stays_a_hole() -> None:
    shell = [(178, 10), (182, 10), (182, 14), (178, 14)]
    hole = [(-179.5, 11), (-178.5, 11), (-178.5, 12), (-179.5, 12)]

    clean = clean_geometry(Polygon(shell, [hole]))

    assert not shapely.intersects_xy(clean.geometry, -179.0, 11.5)
    assert shapely.intersects_xy(clean.geometry, -179.0, 13.0)


@pytest.mark.parametrize(
    ("geometry", "reason"),
    [
        (Point(1, 1), "not_a_polygon"),
        (Polygon(), "empty"),
        (MultiPolygon([shapely.box(i, 0, i + 0.5, 1) for i in np.linspace(-90, 90, MAX_PARTS + 1)]), "too_detailed"),
        (Point(0, 0).buffer(1, quad_segs=MAX_VERTICES // 4 + 1), "too_detailed"),
        (shapely.box(0, 80, 1, 86), "off_the_map"),
        (shapely.box(34, 129, 35, 130), "off_the_map"),
        (Polygon([(-100, 0), (0, 0), (100, 0), (100, 10), (0, 10), (-100, 10)]), "too_wide"),
        (Polygon([(0, 80), (120, 80), (240, 80)]), "round_a_pole"),
        (shapely.box(129, 34, 129.00001, 34.00001), "too_small"),
        (Polygon([(129, 34), (130, 35), (129, 34)]), "too_small"),
    ],
)
def test_what_cannot_be_watched_is_refused_with_a_sentence_in_both_languages(geometry: Any, reason: str) -> None:
    with pytest.raises(BadAreaGeometry) as refused:
        clean_geometry(geometry)

    assert refused.value.reason == reason
    assert str(refused.value).endswith(".")
    assert refused.value.explain("ja").endswith("。")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"type": "LineString", "coordinates": [[0, 0], [1, 1]]}, "not_a_polygon"),
        ({"coordinates": []}, "not_a_polygon"),
        ({"type": "Polygon"}, "unreadable"),
        ({"type": "Polygon", "coordinates": "here"}, "unreadable"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, "x"], [1, 1]]]}, "unreadable"),
        ({"type": "Polygon", "coordinates": [[[0, 0]]]}, "unreadable"),
        ({"type": "Polygon", "coordinates": []}, "empty"),
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, float("nan")], [1, 1], [0, 0]]]}, "not_finite"),
    ],
)
def test_geojson_that_is_no_area_is_refused(value: dict[str, Any], reason: str) -> None:
    with pytest.raises(BadAreaGeometry) as refused:
        geometry_from_geojson(value)

    assert refused.value.reason == reason


def test_geojson_of_an_area_is_read() -> None:
    square = {"type": "Polygon", "coordinates": [[[129, 34], [130, 34], [130, 35], [129, 35], [129, 34]]]}

    assert geometry_from_geojson(square).geometry.equals(shapely.box(129, 34, 130, 35))


@settings(max_examples=100, deadline=None)
@given(
    corners=st.lists(
        st.tuples(st.floats(-200, 200, allow_nan=False), st.floats(-84, 84, allow_nan=False)), min_size=3, max_size=12
    )
)
def test_whatever_is_drawn_is_mended_or_refused(corners: list[tuple[float, float]]) -> None:
    try:
        clean = clean_geometry(Polygon(corners))
    except BadAreaGeometry:
        return

    assert clean.geometry.is_valid
    west, south, east, north = clean.geometry.bounds
    assert -180 <= west <= east <= 180
    assert -85 <= south <= north <= 85
