"""The shape of an area as people draw it or files bring it, made fit to be watched or refused with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import shapely
from shapely.geometry import MultiPolygon, Polygon, shape
from shapely.geometry.base import BaseGeometry

from command.i18n import text
from maps.geodesy import WGS84

MAX_VERTICES: Final = 20_000
MAX_PARTS: Final = 200
MAX_LATITUDE_DEG: Final = 85.0
MAX_LONGITUDE_DEG: Final = 540.0
"""A map that repeats the world hands out longitudes beyond 180 degrees for what is drawn over the antimeridian."""
MAX_WIDTH_DEG: Final = 180.0
MIN_AREA_M2: Final = 100.0

Floats = npt.NDArray[np.float64]


class BadAreaGeometry(ValueError):
    """A shape that cannot be watched. `explain(language)` is the sentence for people; `str()` gives it in English."""

    def __init__(self, reason: str, **params: Any) -> None:
        self.reason = reason
        self.params = params
        super().__init__(self.explain("en"))

    def explain(self, language: str) -> str:
        return text(language, f"area.error.{self.reason}", **self.params)


@dataclass(frozen=True, kw_only=True)
class CleanGeometry:
    """A shape that can be watched. `mended`: it crossed itself and was put right, so people should look at it again."""

    geometry: Polygon | MultiPolygon
    """Valid, two-dimensional, cut at the antimeridian, shells anticlockwise (RFC 7946, sections 3.1.6 and 3.1.9)."""
    mended: bool


def geometry_from_geojson(value: Mapping[str, Any]) -> CleanGeometry:
    """The shape in a GeoJSON Polygon or MultiPolygon object. Raises BadAreaGeometry."""
    kind = value.get("type")
    if kind not in ("Polygon", "MultiPolygon"):
        raise BadAreaGeometry("not_a_polygon", found=str(kind)[:40])
    try:
        with np.errstate(invalid="ignore"):  # what is not a number is refused below, in words
            geometry = shape(value)
        return clean_geometry(geometry)
    except BadAreaGeometry:
        raise
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, shapely.errors.ShapelyError) as exc:
        raise BadAreaGeometry("unreadable", detail=str(exc)[:200]) from exc


def clean_geometry(geometry: BaseGeometry) -> CleanGeometry:
    """The shape made fit to be watched: two-dimensional, valid, cut at the antimeridian.

    An edge that spans more than 180 degrees of longitude is read as the short way over the antimeridian. Raises
    BadAreaGeometry for what is no polygon, is too large, too small, too detailed or goes round a pole.
    """
    if not isinstance(geometry, (Polygon, MultiPolygon)):
        raise BadAreaGeometry("not_a_polygon", found=geometry.geom_type)
    flat = shapely.force_2d(geometry)
    parts = [part for part in shapely.get_parts(flat) if not part.is_empty]
    coordinates = shapely.get_coordinates(flat)
    if not parts or not len(coordinates):
        raise BadAreaGeometry("empty")
    if len(coordinates) > MAX_VERTICES or len(parts) > MAX_PARTS:
        raise BadAreaGeometry(
            "too_detailed", vertices=len(coordinates), parts=len(parts), max_vertices=MAX_VERTICES, max_parts=MAX_PARTS
        )
    if not np.isfinite(coordinates).all():
        raise BadAreaGeometry("not_finite")
    if np.abs(coordinates[:, 1]).max() > MAX_LATITUDE_DEG or np.abs(coordinates[:, 0]).max() > MAX_LONGITUDE_DEG:
        raise BadAreaGeometry("off_the_map", max_latitude=int(MAX_LATITUDE_DEG))
    unwrapped = MultiPolygon([_unwrapped(part) for part in parts])
    valid = bool(unwrapped.is_valid)
    whole = unwrapped if valid else shapely.make_valid(unwrapped, method="structure", keep_collapsed=False)
    if whole.is_empty:
        raise BadAreaGeometry("too_small", min_area=int(MIN_AREA_M2))
    cut = _cut_at_antimeridian(whole)
    if area_m2(cut) < MIN_AREA_M2:
        raise BadAreaGeometry("too_small", min_area=int(MIN_AREA_M2))
    return CleanGeometry(geometry=cut, mended=not valid)


def edges_of(geometry: BaseGeometry) -> Floats:
    """(n, 2, 2) the edges of a polygon's rings as (start, end) of (lon, lat), without the seam at the antimeridian.

    The seam is where the shape lies on both sides of 180 degrees: there it is cut in two, but does not end.
    """
    segments = [_segments(ring) for ring in shapely.get_parts(shapely.boundary(geometry))]
    edges: Floats = np.concatenate(segments) if segments else np.empty((0, 2, 2))
    east = (edges[:, :, 0] == 180.0).all(axis=1)
    west = (edges[:, :, 0] == -180.0).all(axis=1)
    if not (east.any() and west.any()):
        return edges
    east_lats, west_lats = _on_seam(edges[east]), _on_seam(edges[west])
    return np.concatenate(
        [
            edges[~(east | west)],
            _from_seam(east_lats.difference(west_lats), 180.0),
            _from_seam(west_lats.difference(east_lats), -180.0),
        ]
    )


def area_m2(geometry: BaseGeometry) -> float:
    """Area on the ellipsoid in square metres (Karney, J. Geodesy 87, 2013)."""
    return float(abs(WGS84.geometry_area_perimeter(geometry)[0]))


def half_width_m(geometry: BaseGeometry) -> float:
    """Area over the length of all edges, in metres: half the width of a strip, and at most the radius of the largest
    circle that fits into a convex shape."""
    edge_m = WGS84.geometry_length(shapely.boundary(geometry))
    return area_m2(geometry) / float(edge_m) if edge_m else 0.0


def _unwrapped(polygon: Polygon) -> Polygon:
    """The polygon with longitudes that run on beyond 180 degrees instead of jumping."""
    shell = _unwrapped_ring(shapely.get_coordinates(polygon.exterior))
    middle = (shell[:, 0].min() + shell[:, 0].max()) / 2.0
    holes = [_unwrapped_ring(shapely.get_coordinates(ring)) for ring in polygon.interiors]
    for hole in holes:
        hole[:, 0] += 360.0 * np.round((middle - (hole[:, 0].min() + hole[:, 0].max()) / 2.0) / 360.0)
    return Polygon(shell, holes)


def _unwrapped_ring(ring: Floats) -> Floats:
    steps = np.diff(ring[:, 0])
    turns = np.concatenate([[0.0], np.cumsum(-360.0 * np.round(steps / 360.0))])
    lon = ring[:, 0] + turns
    if turns[-1] != 0.0:
        raise BadAreaGeometry("round_a_pole")
    if lon.max() - lon.min() > MAX_WIDTH_DEG:
        raise BadAreaGeometry("too_wide", max_width=int(MAX_WIDTH_DEG))
    return np.stack([lon, ring[:, 1]], axis=1)


def _cut_at_antimeridian(geometry: BaseGeometry) -> Polygon | MultiPolygon:
    """The same shape with longitudes in -180..180; what reaches over the antimeridian becomes two that meet there."""
    west, _, east, _ = geometry.bounds
    if west >= -180.0 and east <= 180.0:
        # Nothing to cut: the points stay in the order in which people gave them.
        whole = [part for part in shapely.get_parts(geometry) if isinstance(part, Polygon) and not part.is_empty]
        oriented: Polygon | MultiPolygon = shapely.orient_polygons(whole[0] if len(whole) == 1 else MultiPolygon(whole))
        return oriented
    pieces: list[Polygon] = []
    for turn in range(int(np.floor((west + 180.0) / 360.0)), int(np.ceil((east + 180.0) / 360.0))):
        world = shapely.box(-180.0 + 360.0 * turn, -90.0, 180.0 + 360.0 * turn, 90.0)
        piece = shapely.intersection(geometry, world)
        shifted = shapely.transform(piece, lambda xy, by=360.0 * turn: xy - (by, 0.0))
        pieces += [part for part in shapely.get_parts(shifted) if isinstance(part, Polygon) and not part.is_empty]
    joined = shapely.orient_polygons(shapely.union_all(pieces))
    if not isinstance(joined, (Polygon, MultiPolygon)):
        raise BadAreaGeometry("empty")
    return joined


def _segments(ring: BaseGeometry) -> Floats:
    points = shapely.get_coordinates(ring)
    return np.stack([points[:-1], points[1:]], axis=1)


def _on_seam(edges: Floats) -> BaseGeometry:
    return shapely.union_all(shapely.linestrings([[(0.0, a), (0.0, b)] for a, b in edges[:, :, 1]]))


def _from_seam(lines: BaseGeometry, lon: float) -> Floats:
    segments = [_segments(line) for line in shapely.get_parts(lines) if not line.is_empty]
    edges: Floats = np.concatenate(segments) if segments else np.empty((0, 2, 2))
    edges[:, :, 0] = lon
    return edges
