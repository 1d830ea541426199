"""Which areas a point is in, and how far it is from their edges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely

from command.domain.area import Area
from maps.area_geometry import edges_of, half_width_m
from maps.geodesy import geodesic_distances_m, metres_per_degree, nearest_on_segments

MAX_AREAS: Final = 5_000
MAX_WITHIN_M: Final = 50_000.0
_CHUNK: Final = 4_096
"""Points looked at together: bounds the memory that a dense coastline's edges take."""

Floats = npt.NDArray[np.float64]
Indexes = npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, eq=False)
class AreaHits:
    """Pairs of a point and an area, sorted by point, then by area. All arrays are (k,).

    point, area: indexes into what was asked and into `AreaIndex.areas`. edge_distance_m: metres on the ellipsoid to
    the nearest edge (of a hole too), negative inside, positive outside.
    """

    point: Indexes
    area: Indexes
    edge_distance_m: Floats

    def __len__(self) -> int:
        return len(self.point)


class AreaIndex:
    """An immutable index of areas; build a new one when the areas' revision changes.

    Edges are straight in longitude and latitude, as GeoJSON has them (RFC 7946, section 3.1.1); what lies on an edge
    is inside. An area over the antimeridian is two polygons that meet there (section 3.1.9): its seam is no edge.
    retired: areas that are no longer watched and lend their names only.
    Raises ValueError for more than MAX_AREAS areas or two areas with one slug.
    """

    def __init__(self, areas: Sequence[Area] = (), *, retired: Sequence[Area] = ()) -> None:
        if len(areas) > MAX_AREAS:
            raise ValueError(f"{len(areas)} areas; {MAX_AREAS} at most: withdraw areas that are no longer watched")
        self.areas: tuple[Area, ...] = tuple(areas)
        self._by_slug = {area.slug: i for i, area in enumerate(self.areas)}
        if len(self._by_slug) != len(self.areas):
            raise ValueError("two areas have one slug; give each area a slug of its own")
        self._names = {area.slug: {"ja": area.name_ja, "en": area.name_en} for area in (*retired, *self.areas)}
        geometries = [area.geometry for area in self.areas]
        shapely.prepare(geometries)
        self._polygons = shapely.STRtree(geometries)
        edges = [edges_of(geometry) for geometry in geometries]
        self._edges = np.concatenate(edges) if edges else np.empty((0, 2, 2))
        self._edge_area = np.repeat(np.arange(len(edges)), [len(e) for e in edges])
        self._edge_tree = shapely.STRtree(shapely.linestrings(self._edges))
        self.half_width_m: Floats = np.array([half_width_m(geometry) for geometry in geometries], dtype=np.float64)
        """(areas,) half the width of each area, in metres: how deep inside it a point can usefully be asked to be."""
        self._last: tuple[tuple[float, bytes, bytes], AreaHits] | None = None

    def __len__(self) -> int:
        return len(self.areas)

    def position_of(self, slug: str) -> int | None:
        """The index in `areas` of the area called `slug`; None where there is none."""
        return self._by_slug.get(slug)

    def names_of(self, slug: str) -> dict[str, str]:
        """What people call the area, by language, even when it is retired; the slug where there never was one."""
        return dict(self._names.get(slug, {"ja": slug, "en": slug}))

    def containing(self, lon: npt.ArrayLike, lat: npt.ArrayLike) -> tuple[Indexes, Indexes]:
        """The pairs (point, area) of (n,) points in degrees that lie inside: two (k,) arrays, sorted by point.

        A point that is not finite is in no area.
        """
        lon_deg, lat_deg = _points(lon, lat)
        usable = np.flatnonzero(np.isfinite(lon_deg) & np.isfinite(lat_deg))
        x, y = _wrapped(lon_deg[usable]), lat_deg[usable]
        on_seam = np.abs(x) == 180.0
        x, y = np.concatenate([x, -x[on_seam]]), np.concatenate([y, y[on_seam]])
        index = np.concatenate([usable, usable[on_seam]])
        query, area = self._polygons.query(shapely.points(x, y), predicate="intersects")
        pairs = np.unique(np.stack([index[query], area], axis=1), axis=0)
        return pairs[:, 0], pairs[:, 1]

    def near(self, lon: npt.ArrayLike, lat: npt.ArrayLike, *, within_m: float) -> AreaHits:
        """Every pair of an (n,) point in degrees and an area that contains it or has an edge within `within_m` of it.

        A distance is cut off at `within_m`: deep inside reads -within_m. Points that are not finite give no pair.
        Raises ValueError for a `within_m` that is not above 0 and at most MAX_WITHIN_M.
        """
        if not 0.0 < within_m <= MAX_WITHIN_M:
            raise ValueError(f"within_m={within_m!r}; give metres above 0 and at most {MAX_WITHIN_M:.0f}")
        lon_deg, lat_deg = _points(lon, lat)
        # Several rules ask about the same states of a flush, one after the other.
        asked = (within_m, lon_deg.tobytes(), lat_deg.tobytes())
        if self._last is not None and self._last[0] == asked:
            return self._last[1]
        hits = self._near(lon_deg, lat_deg, within_m)
        self._last = (asked, hits)
        return hits

    def _near(self, lon: Floats, lat: Floats, within_m: float) -> AreaHits:
        if not self.areas:
            return AreaHits(
                point=np.empty(0, dtype=np.intp), area=np.empty(0, dtype=np.intp), edge_distance_m=np.empty(0)
            )
        keys, distances = [], []
        for start in range(0, len(lon), _CHUNK):
            pair, distance = self._nearest_edges(lon[start : start + _CHUNK], lat[start : start + _CHUNK], within_m)
            keys.append(pair + start * len(self.areas))
            distances.append(distance)
        edge_key = np.concatenate(keys) if keys else np.empty(0, dtype=np.intp)
        edge_distance = np.concatenate(distances) if distances else np.empty(0)
        point, area = self.containing(lon, lat)
        inside_key = point * len(self.areas) + area
        every = np.union1d(edge_key, inside_key)
        signed = np.full(len(every), within_m)
        signed[np.searchsorted(every, edge_key)] = edge_distance
        inside = np.isin(every, inside_key)
        return AreaHits(
            point=every // len(self.areas),
            area=every % len(self.areas),
            edge_distance_m=np.where(inside, -signed, signed),
        )

    def _nearest_edges(self, lon: Floats, lat: Floats, within_m: float) -> tuple[Indexes, Floats]:
        """Sorted keys (point * areas + area) of the pairs with an edge within reach, and the distance of each."""
        index, x, y, boxes = _reach(lon, lat, within_m)
        query, edge = self._edge_tree.query(boxes)
        point, px, py = index[query], x[query], y[query]
        at_lon, at_lat, distance = nearest_on_segments(px, py, self._edges[edge])
        key = point * len(self.areas) + self._edge_area[edge]
        order = np.lexsort((distance, key))
        order = order[np.unique(key[order], return_index=True)[1]]
        exact = geodesic_distances_m(px[order], py[order], at_lon[order], at_lat[order])
        close = exact <= within_m
        return key[order][close], exact[close]


def _points(lon: npt.ArrayLike, lat: npt.ArrayLike) -> tuple[Floats, Floats]:
    lon_deg, lat_deg = np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)
    if lon_deg.ndim != 1 or lon_deg.shape != lat_deg.shape:
        raise ValueError(f"lon has shape {lon_deg.shape}, lat {lat_deg.shape}; give two arrays of one length")
    return lon_deg, lat_deg


def _wrapped(lon: Floats) -> Floats:
    """Longitudes in -180..180; those already there as they are."""
    return np.where(np.abs(lon) <= 180.0, lon, (lon + 180.0) % 360.0 - 180.0)


def _reach(lon: Floats, lat: Floats, within_m: float) -> tuple[Indexes, Floats, Floats, npt.NDArray[np.object_]]:
    """Points and the boxes of `within_m` around them; a point whose box crosses the antimeridian comes twice.

    Gives the index of each, its longitude (beyond 180 degrees for the second coming), its latitude and its box.
    """
    index = np.flatnonzero(np.isfinite(lon) & np.isfinite(lat))
    x, y = _wrapped(lon[index]), lat[index]
    _, north = metres_per_degree(y)
    # One part in a thousand more than the reach: the scale of a degree changes inside the box.
    half_lat = within_m * 1.001 / north
    farthest = np.minimum(np.abs(y) + half_lat, 89.0)
    half_lon = np.minimum(within_m * 1.001 / metres_per_degree(farthest)[0], 180.0)
    east, west = x + half_lon > 180.0, x - half_lon < -180.0
    index = np.concatenate([index, index[east], index[west]])
    x = np.concatenate([x, x[east] - 360.0, x[west] + 360.0])
    half_lon = np.concatenate([half_lon, half_lon[east], half_lon[west]])
    half_lat = np.concatenate([half_lat, half_lat[east], half_lat[west]])
    y = np.concatenate([y, y[east], y[west]])
    return index, x, y, shapely.box(x - half_lon, y - half_lat, x + half_lon, y + half_lat)
