"""Areas that are watched. An AreaOfInterest watches; a Geofence adds enter, exit, dwell and absence."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum

from shapely.geometry.base import BaseGeometry


class AreaKind(StrEnum):
    AREA_OF_INTEREST = "area_of_interest"
    GEOFENCE = "geofence"


@dataclass(frozen=True, kw_only=True)
class Area:
    """One version of an area. `slug` (small letters, digits, hyphens) stands in routing keys; names are for people."""

    area_id: uuid.UUID
    version: int
    slug: str
    kind: AreaKind
    name_ja: str
    name_en: str
    geometry: BaseGeometry
    """Polygon or MultiPolygon, WGS 84 degrees."""
    valid_from_us: int
    author: str
    """Who made this version: a login, or `drill`."""
    retired: bool = False
    """From this version on it is not watched; the shape is the one that it had."""
