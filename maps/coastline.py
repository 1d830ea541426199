"""The coastline of Japan and its neighbours: land polygons, land or sea, distance to the coast.

The data are `maps/data/japan-coastline.npz`, clipped from OpenStreetMap's land polygons by
`python -m maps.basemap build` (© OpenStreetMap contributors, ODbL; maps/data/ATTRIBUTION.md). They cover `COVERAGE` and
nothing else: a question about a place outside is an error, never "sea".
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import shapely
from pyproj import Geod, Transformer

COASTLINE_FILE: Final = Path(__file__).parent / "data" / "japan-coastline.npz"

COVERAGE: Final = (118.0, 20.0, 155.0, 50.0)
"""West, south, east, north, degrees: Japan with its outlying islands, Korea, Taiwan, Sakhalin, the Kuril Islands."""

GRID_DEG: Final = 1e-5
"""Vertices are stored on this grid: 1.1 m in latitude."""

_SEGMENTS_PER_PIECE: Final = 16
"""The coast is indexed in pieces of this many segments: small boxes, and still few of them."""

Polygons = npt.NDArray[np.object_]
Floats = npt.NDArray[np.float64]

_TO_MERCATOR: Final = Transformer.from_crs(4326, 3395, always_xy=True)
_GEOD: Final = Geod(ellps="WGS84")


class CoastlineUnavailable(RuntimeError):
    """The coastline file is absent or cannot be read; its text says what to do."""


class OutsideCoverage(ValueError):
    """A position lies outside `COVERAGE`, where land and sea are not known."""


def land_polygons() -> Polygons:
    """(n,) shapely Polygons, WGS 84 degrees, prepared. Raises CoastlineUnavailable."""
    return _coast().polygons


def land_within(west: float, south: float, east: float, north: float) -> Polygons:
    """(n,) shapely geometries, degrees: the land of a box, cut off at its edges; nothing where `COVERAGE` ends.

    Only the polygons of the box are made, so that a picture of a bay costs no index of the whole coast.
    Raises CoastlineUnavailable.
    """
    stored = _stored_coast()
    near = np.flatnonzero(
        (stored.bounds[:, 0] <= east)
        & (stored.bounds[:, 2] >= west)
        & (stored.bounds[:, 1] <= north)
        & (stored.bounds[:, 3] >= south)
    )
    cut = shapely.clip_by_rect(stored.vertices.polygons(near), west, south, east, north)
    kept: Polygons = cut[~shapely.is_empty(cut)]
    return kept


def is_on_land(lon: npt.ArrayLike, lat: npt.ArrayLike) -> npt.NDArray[np.bool_]:
    """(n,) True where the position is on land or exactly on the coast.

    `lon`, `lat`: (n,) degrees or scalars. Islets and quays count as land, lakes and rivers do too: the data have the
    line between land and sea only. Raises OutsideCoverage, CoastlineUnavailable.
    """
    lons, lats = _positions(lon, lat)
    coast = _coast()
    points = shapely.points(lons, lats)
    point, polygon = coast.polygon_tree.query(points)
    hit = shapely.intersects(coast.polygons[polygon], points[point])
    on_land = np.zeros(len(lons), dtype=np.bool_)
    on_land[point[hit]] = True
    return on_land


def distance_to_coast_m(lon: npt.ArrayLike, lat: npt.ArrayLike) -> Floats:
    """(n,) metres from each position to the nearest coast, at sea and on land alike, never negative.

    `lon`, `lat`: (n,) degrees or scalars. The nearest point is found in the ellipsoidal Mercator projection, which is
    conformal, and its distance measured on the WGS 84 ellipsoid (Karney, Algorithms for geodesics, 2013). The scale's
    change over the distance makes it at most 3 % too long at 100 km, less the nearer. A coast outside `COVERAGE` is not
    seen.
    Raises OutsideCoverage, CoastlineUnavailable.
    """
    lons, lats = _positions(lon, lat)
    coast = _coast()
    x, y = _TO_MERCATOR.transform(lons, lats)
    points = shapely.points(x, y)
    _, piece = coast.piece_tree.query_nearest(points, all_matches=False)
    nearest = shapely.get_coordinates(shapely.shortest_line(points, coast.pieces[piece]))[1::2]
    near_lon, near_lat = _TO_MERCATOR.transform(nearest[:, 0], nearest[:, 1], direction="INVERSE")
    distance: Floats = np.asarray(_GEOD.inv(lons, lats, near_lon, near_lat)[2], dtype=np.float64)
    return distance


def write_coastline(path: Path, polygons: Polygons) -> None:
    """Write (n,) Polygons, degrees, as vertex differences on the grid of `GRID_DEG`.

    Arrays of the .npz: `polygon_rings` (n,) rings a polygon, shell first; `ring_vertices` (r,) vertices a ring;
    `lon_e5`, `lat_e5` (v,) int32, each the difference to the vertex before it in hundred-thousandths of a degree.
    """
    rings, ring_of_polygon = shapely.get_rings(polygons, return_index=True)
    vertices, ring_of_vertex = shapely.get_coordinates(rings, return_index=True)
    grid = np.rint(vertices / GRID_DEG).astype(np.int32)
    differences = np.diff(grid, axis=0, prepend=np.zeros((1, 2), dtype=np.int32))
    np.savez_compressed(
        path,
        polygon_rings=np.bincount(ring_of_polygon, minlength=len(polygons)).astype(np.int32),
        ring_vertices=np.bincount(ring_of_vertex, minlength=len(rings)).astype(np.int32),
        lon_e5=differences[:, 0],
        lat_e5=differences[:, 1],
    )


def read_coastline(path: Path) -> Polygons:
    """(n,) Polygons, degrees, as `write_coastline` wrote them. Raises CoastlineUnavailable."""
    with _unavailable(path):
        vertices = _read_vertices(path)
        return vertices.polygons(np.arange(len(vertices.polygon_rings)))


@contextmanager
def _unavailable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, EOFError, KeyError, ValueError, BadZipFile, zlib.error, shapely.errors.ShapelyError) as exc:
        raise CoastlineUnavailable(
            f"the coastline {path} cannot be read ({exc}); get it back from version control, "
            "or make it with: python -m maps.basemap build"
        ) from exc


@dataclass(frozen=True, kw_only=True)
class _Vertices:
    """The file's arrays; grid: (v, 2) int32 longitude and latitude in steps of GRID_DEG."""

    polygon_rings: npt.NDArray[np.int32]
    ring_vertices: npt.NDArray[np.int32]
    grid: npt.NDArray[np.int32]

    def polygons(self, wanted: npt.NDArray[np.int64]) -> Polygons:
        """(n,) Polygons of these numbers."""
        first_ring = np.concatenate(([0], np.cumsum(self.polygon_rings)))
        first_vertex = np.concatenate(([0], np.cumsum(self.ring_vertices)))
        rings = _spans(first_ring[wanted], self.polygon_rings[wanted])
        vertices = _spans(first_vertex[rings], self.ring_vertices[rings])
        if not len(rings):
            return np.empty(0, dtype=np.object_)
        ring_of_vertex = np.repeat(np.arange(len(rings)), self.ring_vertices[rings])
        made = shapely.linearrings(self.grid[vertices] * GRID_DEG, indices=ring_of_vertex)
        found: Polygons = shapely.polygons(made, indices=np.repeat(np.arange(len(wanted)), self.polygon_rings[wanted]))
        return found


def _spans(starts: npt.NDArray[np.int64], lengths: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """start, start + 1 ... of each span, one after the other."""
    before = np.cumsum(lengths) - lengths
    spans: npt.NDArray[np.int64] = np.arange(int(lengths.sum())) + np.repeat(starts - before, lengths)
    return spans


def _read_vertices(path: Path) -> _Vertices:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
        return _Vertices(
            polygon_rings=stored["polygon_rings"],
            ring_vertices=stored["ring_vertices"],
            grid=np.cumsum(np.column_stack((stored["lon_e5"], stored["lat_e5"])), axis=0, dtype=np.int32),
        )


@dataclass(frozen=True, kw_only=True)
class _StoredCoast:
    """The file as arrays, and (n, 4) west, south, east, north of each polygon, degrees."""

    vertices: _Vertices
    bounds: Floats


@cache
def _stored_coast() -> _StoredCoast:
    with _unavailable(COASTLINE_FILE):
        vertices = _read_vertices(COASTLINE_FILE)
        first_ring = np.cumsum(vertices.polygon_rings) - vertices.polygon_rings
        first_vertex = (np.cumsum(vertices.ring_vertices) - vertices.ring_vertices)[first_ring]
        low = np.minimum.reduceat(vertices.grid, first_vertex, axis=0)
        high = np.maximum.reduceat(vertices.grid, first_vertex, axis=0)
    return _StoredCoast(vertices=vertices, bounds=np.column_stack((low, high)) * GRID_DEG)


@dataclass(frozen=True, kw_only=True)
class _Coast:
    """The polygons in degrees, and the coast in pieces in the Mercator projection, each with its index."""

    polygons: Polygons
    polygon_tree: Any
    pieces: Polygons
    piece_tree: Any


@cache
def _coast() -> _Coast:
    polygons = read_coastline(COASTLINE_FILE)
    shapely.prepare(polygons)
    pieces = _coast_pieces(polygons)
    return _Coast(
        polygons=polygons,
        polygon_tree=shapely.STRtree(polygons),
        pieces=pieces,
        piece_tree=shapely.STRtree(pieces),
    )


def _coast_pieces(polygons: Polygons) -> Polygons:
    """LineStrings of up to `_SEGMENTS_PER_PIECE` segments in the Mercator projection, without the edge of the clip."""
    vertices, ring = shapely.get_coordinates(shapely.get_rings(polygons), return_index=True)
    start = np.flatnonzero(ring[1:] == ring[:-1])
    start = start[~_both_on_one_edge(vertices[start], vertices[start + 1])]
    x, y = _TO_MERCATOR.transform(vertices[:, 0], vertices[:, 1])
    projected = np.column_stack((x, y))
    run_begins = np.flatnonzero(np.diff(start, prepend=-2) != 1)
    place_in_run = np.arange(len(start)) - np.repeat(run_begins, np.diff(run_begins, append=len(start)))
    piece_begins = np.flatnonzero(place_in_run % _SEGMENTS_PER_PIECE == 0)
    segments = np.diff(piece_begins, append=len(start))
    piece = np.repeat(np.arange(len(segments)), segments + 1)
    place = np.arange(len(piece)) - np.repeat(np.cumsum(segments + 1) - (segments + 1), segments + 1)
    pieces: Polygons = shapely.linestrings(projected[start[piece_begins][piece] + place], indices=piece)
    return pieces


def _both_on_one_edge(a: Floats, b: Floats) -> npt.NDArray[np.bool_]:
    west, south, east, north = COVERAGE
    on_edge = np.zeros(len(a), dtype=np.bool_)
    for axis, edge in ((0, west), (1, south), (0, east), (1, north)):
        on_edge |= (np.abs(a[:, axis] - edge) < GRID_DEG / 2) & (np.abs(b[:, axis] - edge) < GRID_DEG / 2)
    return on_edge


def _positions(lon: npt.ArrayLike, lat: npt.ArrayLike) -> tuple[Floats, Floats]:
    lons = np.atleast_1d(np.asarray(lon, dtype=np.float64))
    lats = np.atleast_1d(np.asarray(lat, dtype=np.float64))
    if lons.ndim != 1 or lons.shape != lats.shape:
        raise ValueError(f"lon has the shape {lons.shape} and lat {lats.shape}; give two arrays of one equal length")
    west, south, east, north = COVERAGE
    inside = (lons >= west) & (lons <= east) & (lats >= south) & (lats <= north)
    if not inside.all():
        first = int(np.flatnonzero(~inside)[0])
        raise OutsideCoverage(
            f"{int((~inside).sum())} of {len(lons)} positions are outside the coastline's coverage "
            f"{west:g}-{east:g}°E {south:g}-{north:g}°N, the first at lon={lons[first]!r}, lat={lats[first]!r}; "
            "ask only about places inside"
        )
    return lons, lats
