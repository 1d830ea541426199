"""Reference data made by hand: customs offices, ports open to foreign trade, customs airports of Japan.

The files in maps/data/reference say in `about` what they list, where it is from and how the points were placed.
"""

from __future__ import annotations

import json
from functools import cache
from importlib import resources
from typing import Any, Final

from command.domain.facility import Facility, FacilityKind
from command.domain.geo import Position

FILES: Final = ("customs_offices.json", "open_ports.json", "customs_airports.json")


@cache
def reference_facilities() -> tuple[Facility, ...]:
    """Every facility of the reference data, in the order of the files. Raises ValueError for data that contradict
    themselves (an id twice, a position off the globe): the package is damaged."""
    facilities = [facility for name in FILES for facility in _read(name)]
    ids = [facility.facility_id for facility in facilities]
    twice = sorted({i for i in ids if ids.count(i) > 1})
    if twice:
        raise ValueError(f"maps/data/reference has {', '.join(twice)} twice; install the package again")
    return tuple(facilities)


def _read(name: str) -> list[Facility]:
    stored = json.loads(resources.files("maps").joinpath("data", "reference", name).read_text("utf-8"))
    return [_facility(entry) for entry in stored["facilities"]]


def _facility(entry: dict[str, Any]) -> Facility:
    return Facility(
        facility_id=entry["id"],
        kind=FacilityKind(entry["kind"]),
        name_ja=entry["name_ja"],
        name_en=entry["name_en"],
        prefecture=entry["prefecture"],
        municipality=entry["municipality"],
        position=Position(lon=entry["lon"], lat=entry["lat"]),
        stated_distance_km=float(entry["stated_distance_km"]),
        source_note=entry["source"],
    )
