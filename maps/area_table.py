"""The coordinate table of an area: what people type row by row, or draw, and the shape that comes of it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import shapely
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from command.domain.geo import Position
from maps.area_geometry import (
    MAX_LATITUDE_DEG,
    MAX_LONGITUDE_DEG,
    MAX_VERTICES,
    BadAreaGeometry,
    CleanGeometry,
    clean_geometry,
)
from maps.coordinates import BadPosition, dms, read_position

LEAST_ROWS: Final = 3
_PLACE: Final = re.compile(r"\[(?P<lon>[-+.0-9e]+) (?P<lat>[-+.0-9e]+)\]")

Point = tuple[float, float]
"""(lon, lat) in degrees; the longitude may run past 180 for what is drawn over the antimeridian."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ring:
    """Rows as given: texts as people write them, or (lon, lat). A hole lies in the last ring before it that is none."""

    rows: Sequence[str | Sequence[float]]
    hole: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One row as it was read: a point, or why there is none."""

    point: Point | None = None
    problem: BadPosition | None = None


@dataclass(frozen=True, kw_only=True)
class Table:
    """A whole table as it was read. geometry: None where a row or the shape cannot be used."""

    rings: tuple[tuple[Row, ...], ...]
    geometry: CleanGeometry | None = None
    problem: BadAreaGeometry | None = None
    """What is wrong with the shape, once every row can be read."""

    @property
    def bad_rows(self) -> list[tuple[int, int, BadPosition]]:
        """(ring, row, problem), counted from 0."""
        return [
            (i, j, row.problem)
            for i, rows in enumerate(self.rings)
            for j, row in enumerate(rows)
            if row.problem is not None
        ]


def read_table(rings: Sequence[Ring]) -> Table:
    """Read every row, then the shape. A shape that crosses itself is a problem: people look again at what they drew."""
    vertices = sum(len(ring.rows) for ring in rings)
    if vertices > MAX_VERTICES:
        return Table(rings=(), problem=BadAreaGeometry("too_many_rows", rows=vertices, most=MAX_VERTICES))
    table = Table(rings=tuple(tuple(_row(row) for row in ring.rows) for ring in rings))
    if table.bad_rows:
        return table
    try:
        return replace(table, geometry=_shape(rings, table.rings))
    except BadAreaGeometry as exc:
        return replace(table, problem=exc)


def _shape(rings: Sequence[Ring], read: Sequence[Sequence[Row]]) -> CleanGeometry:
    polygons: list[tuple[list[Point], list[list[Point]]]] = []
    for ring, rows in zip(rings, read, strict=True):
        points = [row.point for row in rows if row.point is not None]
        if len(set(points)) < LEAST_ROWS:
            raise BadAreaGeometry("too_few", least=LEAST_ROWS)
        if not ring.hole:
            polygons.append((points, []))
        elif polygons:
            polygons[-1][1].append(points)
    if not polygons:
        raise BadAreaGeometry("empty")
    shape = [Polygon(shell, holes) for shell, holes in polygons]
    clean = clean_geometry(shape[0] if len(shape) == 1 else MultiPolygon(shape))
    if clean.mended:
        raise BadAreaGeometry("crosses", where=_where_it_crosses(shape))
    return clean


def rings_of(geometry: BaseGeometry) -> list[Ring]:
    """The table of a stored shape, without the points that close its rings."""
    return [
        Ring(rows=[(lon, lat) for lon, lat in shapely.get_coordinates(ring)[:-1].tolist()], hole=i > 0)
        for polygon in shapely.get_parts(geometry)
        for i, ring in enumerate([polygon.exterior, *polygon.interiors])
    ]


def rings_of_geojson(value: Mapping[str, Any]) -> list[Ring]:
    """The table of a GeoJSON Polygon or MultiPolygon object, however wrong its points are. Raises BadAreaGeometry."""
    kind, coordinates = value.get("type"), value.get("coordinates")
    if kind not in ("Polygon", "MultiPolygon"):
        raise BadAreaGeometry("not_a_polygon", found=str(kind)[:40])
    polygons = [coordinates] if kind == "Polygon" else coordinates
    rings: list[Ring] = []
    for polygon in _listed(polygons):
        for i, points in enumerate(_listed(polygon)):
            rows = _listed(points)
            closed = len(rows) > 1 and rows[0] == rows[-1]
            rings.append(Ring(rows=rows[:-1] if closed else rows, hole=i > 0))
    return rings


def _listed(value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)):
        raise BadAreaGeometry("unreadable", detail=f"{str(value)[:40]!r} where a list should be")
    return list(value)


def _row(written: str | Sequence[float]) -> Row:
    try:
        if isinstance(written, str):
            position = read_position(written, max_latitude_deg=MAX_LATITUDE_DEG)
            return Row(point=(position.lon, position.lat))
        return Row(point=_point(written))
    except BadPosition as exc:
        return Row(problem=exc)


def _point(written: Any) -> Point:
    numbers = isinstance(written, (list, tuple)) and 2 <= len(written) <= 4
    if not numbers or not all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in written):
        raise BadPosition("not_numbers")
    lon, lat = float(written[0]), float(written[1])
    if not (math.isfinite(lon) and math.isfinite(lat)):
        raise BadPosition("not_numbers")
    if abs(lat) > MAX_LATITUDE_DEG:
        raise BadPosition("latitude_off", latitude=f"{lat:g}", most=f"{MAX_LATITUDE_DEG:g}")
    if abs(lon) > MAX_LONGITUDE_DEG:
        raise BadPosition("longitude_off", longitude=f"{lon:g}")
    return lon, lat


def _where_it_crosses(polygons: Sequence[Polygon]) -> str:
    """The place of the first crossing as people write it; a dash where the library does not say."""
    reason = str(shapely.is_valid_reason(MultiPolygon(polygons)))
    found = _PLACE.search(reason)
    if found is None:
        return "–"
    lon, lat = float(found["lon"]), float(found["lat"])
    return dms(Position(lon=(lon + 180.0) % 360.0 - 180.0, lat=max(-90.0, min(90.0, lat))))
