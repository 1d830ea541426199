"""The names of the basemap: islands, capes, straits, bays, seas, cities and countries, with where they stand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache

from command.domain.geo import Position
from maps.basemap import LABELS_FILE


@dataclass(frozen=True, kw_only=True, slots=True)
class NamedPlace:
    """A name on the map. kind: country, sea, strait, bay, island, cape or city. least_zoom: from where it is shown."""

    kind: str
    name_ja: str
    name_en: str
    position: Position
    least_zoom: float


@cache
def named_places() -> tuple[NamedPlace, ...]:
    """Every name, in the order of the file."""
    stored = json.loads(LABELS_FILE.read_text("utf-8"))
    return tuple(
        NamedPlace(
            kind=kind, name_ja=name_ja, name_en=name_en, position=Position(lon=lon, lat=lat), least_zoom=float(least)
        )
        for kind, rows in stored.items()
        if kind != "columns"
        for name_ja, name_en, lon, lat, least in rows
    )
