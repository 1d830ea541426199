"""Land or sea, and the distance to the coast."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod

from maps.coastline import (
    COASTLINE_FILE,
    COVERAGE,
    GRID_DEG,
    CoastlineUnavailable,
    OutsideCoverage,
    distance_to_coast_m,
    is_on_land,
    land_polygons,
    land_within,
    read_coastline,
    write_coastline,
)

WEST, SOUTH, EAST, NORTH = COVERAGE

ON_LAND = {
    "Tokyo station": (139.767, 35.681),
    "Mount Fuji": (138.727, 35.361),
    "Haneda terminal 1, on reclaimed land": (139.784, 35.549),
    "Kansai airport, an artificial island": (135.244, 34.432),
    "Izuhara, Tsushima": (129.288, 34.205),
    "Busan": (129.05, 35.16),
    "Naha": (127.69, 26.21),
    "Ogasawara, Chichijima": (142.209, 27.071),
    "Wakkanai": (141.68, 45.40),
    "Vladivostok": (131.91, 43.13),
}
AT_SEA = {
    "middle of Tokyo Bay": (139.86, 35.49),
    "Tsushima Strait": (129.75, 34.15),
    "Kanmon Strait": (130.945, 33.949),
    "Uraga Channel": (139.745, 35.235),
    "Sea of Japan": (134.6, 39.3),
    "off Okinotorishima": (136.2, 20.5),
}


@pytest.mark.parametrize("place", ON_LAND)
def test_places_on_land_are_on_land(place: str) -> None:
    assert is_on_land(*ON_LAND[place]).tolist() == [True]


@pytest.mark.parametrize("place", AT_SEA)
def test_places_at_sea_are_not_on_land(place: str) -> None:
    assert is_on_land(*AT_SEA[place]).tolist() == [False]


def test_many_positions_are_answered_in_their_order() -> None:
    # given land and sea in turn
    places = [*ON_LAND.values(), *AT_SEA.values()]
    lon, lat = np.array(places).T
    order = np.random.default_rng(3).permutation(len(places))
    # when they are asked in any order
    answer = is_on_land(lon[order], lat[order])
    # then each gets its own answer
    assert answer.tolist() == [i < len(ON_LAND) for i in order]


def test_no_positions_get_no_answers() -> None:
    assert is_on_land([], []).shape == (0,)
    assert distance_to_coast_m([], []).shape == (0,)


def test_a_quay_is_nearer_to_the_coast_than_a_bay_and_a_bay_nearer_than_the_open_sea() -> None:
    quay_m, bay_m, open_sea_m = distance_to_coast_m([139.646, 139.86, 134.6], [35.452, 35.49, 39.3])
    assert quay_m < 300
    assert 1_500 < bay_m < 5_000, "the bay's nearest shore is the artificial island of the Aqua-Line"
    assert open_sea_m > 200_000


def test_the_distance_is_the_shortest_geodesic_to_any_coast_vertex_or_nearer() -> None:
    # given every coast vertex around Tsushima, and positions at sea and on land there
    corners = shapely.get_coordinates(land_polygons())
    near = corners[(np.abs(corners[:, 0] - 129.4) < 1.5) & (np.abs(corners[:, 1] - 34.4) < 1.2)]
    random = np.random.default_rng(11)
    lon, lat = random.uniform(129.0, 129.8, 25), random.uniform(34.0, 34.8, 25)
    # when the distance is compared with the nearest vertex, measured on the ellipsoid one by one
    distance_m = distance_to_coast_m(lon, lat)
    geod = Geod(ellps="WGS84")
    for i in range(len(lon)):
        vertex_m = geod.inv(np.full(len(near), lon[i]), np.full(len(near), lat[i]), near[:, 0], near[:, 1])[2].min()
        # then it is no longer, but for what the projection costs, and not shorter than the vertices' spacing allows
        assert distance_m[i] <= vertex_m * 1.005 + 0.5
        assert distance_m[i] >= vertex_m - 1_500


@given(
    lon=st.floats(119.5, 153.5, allow_nan=False), lat=st.floats(21.0, 49.0, allow_nan=False), step=st.floats(-0.2, 0.2)
)
@settings(max_examples=150, deadline=None)
def test_the_distance_to_the_coast_changes_no_faster_than_one_moves(lon: float, lat: float, step: float) -> None:
    a_m, b_m = distance_to_coast_m([lon, lon + step], [lat, lat + step / 2])
    moved_m = Geod(ellps="WGS84").inv(lon, lat, lon + step, lat + step / 2)[2]
    assert abs(a_m - b_m) <= moved_m + 0.06 * max(a_m, b_m) + 1.0


def test_the_edge_of_the_coverage_is_not_a_coast() -> None:
    # given a place on the mainland where the data end in the west
    lon, lat = WEST + 0.001, 33.0
    # then it is land, and the edge beside it is not taken for a coast
    assert is_on_land(lon, lat).tolist() == [True]
    assert distance_to_coast_m(lon, lat)[0] > 50_000


@pytest.mark.parametrize(
    ("lon", "lat"),
    [(10.0, 58.0), (WEST - 1e-9, 35.0), (140.0, NORTH + 1e-9), (float("nan"), 35.0), (140.0, float("inf"))],
)
def test_a_place_outside_the_coverage_is_an_error_and_never_sea(lon: float, lat: float) -> None:
    for question in (is_on_land, distance_to_coast_m):
        with pytest.raises(OutsideCoverage, match="1 of 2 positions are outside"):
            question([139.0, lon], [35.0, lat])


def test_arrays_of_different_length_are_an_error() -> None:
    with pytest.raises(ValueError, match="two arrays of one equal length"):
        is_on_land([139.0, 140.0], [35.0])


def test_the_committed_polygons_are_valid_and_inside_the_coverage() -> None:
    polygons = land_polygons()
    assert len(polygons) > 50_000
    west, south, east, north = shapely.total_bounds(polygons)
    assert west >= WEST - GRID_DEG
    assert south >= SOUTH - GRID_DEG
    assert east <= EAST + GRID_DEG
    assert north <= NORTH + GRID_DEG
    assert shapely.is_valid(polygons).mean() > 0.9999


@st.composite
def squares(draw: st.DrawFn) -> shapely.Polygon:
    x, y = draw(st.integers(11_900_000, 15_000_000)), draw(st.integers(2_100_000, 4_900_000))
    size = draw(st.integers(10, 100_000))
    hole = draw(st.booleans())
    outer = shapely.box(x * GRID_DEG, y * GRID_DEG, (x + size) * GRID_DEG, (y + size) * GRID_DEG)
    if not hole:
        return outer
    third = size // 3
    inner = shapely.box(
        (x + third) * GRID_DEG, (y + third) * GRID_DEG, (x + 2 * third) * GRID_DEG, (y + 2 * third) * GRID_DEG
    )
    return outer.difference(inner)


@given(st.lists(squares(), min_size=1, max_size=20))
@settings(max_examples=60, deadline=None)
def test_polygons_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, polygons: list[shapely.Polygon]
) -> None:
    path = tmp_path_factory.mktemp("coastline") / "coast.npz"
    written = np.array(polygons, dtype=object)
    write_coastline(path, written)
    assert shapely.equals_exact(read_coastline(path), written, tolerance=GRID_DEG / 2).all()


def test_the_same_polygons_make_the_same_file(tmp_path: Path) -> None:
    some = land_polygons()[:200]
    write_coastline(tmp_path / "a.npz", some)
    write_coastline(tmp_path / "b.npz", some)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("damage", ["absent", "empty", "cut", "text", "another archive"])
def test_a_file_that_cannot_be_read_says_how_to_get_it_back(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "coast.npz"
    match damage:
        case "empty":
            path.write_bytes(b"")
        case "cut":
            path.write_bytes(COASTLINE_FILE.read_bytes()[:100_000])
        case "text":
            path.write_text("not an archive")
        case "another archive":
            np.savez(path, something=np.zeros(3))
    with pytest.raises(CoastlineUnavailable, match=r"python -m maps\.basemap build"):
        read_coastline(path)


@pytest.mark.parametrize("box", [(128.5, 33.5, 130.0, 35.0), (139.6, 35.2, 140.0, 35.7), (0.0, 0.0, 1.0, 1.0)])
def test_the_land_of_a_box_is_that_of_the_whole_coast_cut_off_at_its_edges(
    box: tuple[float, float, float, float],
) -> None:
    whole = shapely.clip_by_rect(land_polygons(), *box)
    whole = whole[~shapely.is_empty(whole)]
    assert land_within(*box).tolist() == whole.tolist()
