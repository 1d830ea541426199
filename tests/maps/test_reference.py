"""The reference data stand where they say: on the coast, near their municipality, each once."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from command.domain.facility import Facility, FacilityKind
from command.domain.geo import Position, distance_m
from maps.coastline import distance_to_coast_m, is_on_land
from maps.reference import FILES, reference_facilities

HEADQUARTERS = {"函館", "東京", "横浜", "名古屋", "大阪", "神戸", "門司", "長崎", "沖縄地区"}
PORT_TO_COAST_M = 3_000.0
OFFSHORE_M = 500.0
"""A point on a quay may fall into its basin."""


@pytest.fixture(scope="module")
def facilities() -> tuple[Facility, ...]:
    return reference_facilities()


@pytest.fixture(scope="module")
def offices(shared_data: Path) -> dict[tuple[str, str], Position]:
    """(prefecture, municipality) -> its office."""
    entries = json.loads((shared_data / "disaster" / "gazetteer" / "localgovjp.json").read_text("utf-8"))
    return {
        (e["pref"], e["city"]): Position(lon=float(e["lng"]), lat=float(e["lat"]))
        for e in entries
        if e["lat"] and e["lng"]
    }


def test_the_nine_headquarters_and_the_main_offices_are_there(facilities: tuple[Facility, ...]) -> None:
    names = {f.name_ja for f in facilities if f.kind is FacilityKind.CUSTOMS_HEADQUARTERS}
    counts = Counter(f.kind for f in facilities)

    assert names == {f"{place}税関" for place in HEADQUARTERS}
    assert counts[FacilityKind.OPEN_PORT] >= 100
    assert counts[FacilityKind.CUSTOMS_AIRPORT] == 32
    assert counts[FacilityKind.CUSTOMS_BRANCH] >= 60


def test_no_facility_and_no_name_of_a_kind_is_there_twice(facilities: tuple[Facility, ...]) -> None:
    assert len({f.facility_id for f in facilities}) == len(facilities)
    assert not [key for key, n in Counter((f.kind, f.name_ja) for f in facilities).items() if n > 1]


def test_every_file_says_what_it_lists_and_where_it_is_from(repository: Path) -> None:
    for name in FILES:
        about = json.loads((repository / "maps" / "data" / "reference" / name).read_text("utf-8"))["about"]
        assert all(about[part] for part in ("what", "sources", "points"))


def test_every_facility_has_a_note_of_its_source(facilities: tuple[Facility, ...]) -> None:
    assert all(len(f.source_note) > 20 for f in facilities)


def test_every_facility_is_within_its_stated_distance_of_its_municipality(
    facilities: tuple[Facility, ...], offices: dict[tuple[str, str], Position]
) -> None:
    unknown = [f.facility_id for f in facilities if (f.prefecture, f.municipality) not in offices]
    assert unknown == []

    far = {
        f.facility_id: round(distance_m(f.position, offices[f.prefecture, f.municipality]))
        for f in facilities
        if distance_m(f.position, offices[f.prefecture, f.municipality]) > f.stated_distance_km * 1_000
    }
    assert far == {}


def test_a_stated_distance_is_a_claim_that_can_fail(facilities: tuple[Facility, ...]) -> None:
    distances = sorted(f.stated_distance_km for f in facilities)

    assert distances[len(distances) // 2] <= 5
    assert distances[-1] <= 60, "Hidakatsu is far from its city's office on the same island; nothing is farther"


def test_every_port_lies_on_the_coast(facilities: tuple[Facility, ...]) -> None:
    ports = [f for f in facilities if f.kind is FacilityKind.OPEN_PORT]
    metres = distance_to_coast_m([f.position.lon for f in ports], [f.position.lat for f in ports])

    assert {f.facility_id: round(m) for f, m in zip(ports, metres, strict=True) if m > PORT_TO_COAST_M} == {}


def test_everything_stands_on_land_or_at_the_quay(facilities: tuple[Facility, ...]) -> None:
    lon, lat = [f.position.lon for f in facilities], [f.position.lat for f in facilities]
    afloat = ~is_on_land(lon, lat)
    metres = distance_to_coast_m(lon, lat)

    limits = [PORT_TO_COAST_M if f.kind is FacilityKind.OPEN_PORT else OFFSHORE_M for f in facilities]
    at_sea = [
        f.facility_id
        for f, is_afloat, m, limit in zip(facilities, afloat, metres, limits, strict=True)
        if is_afloat and m > limit
    ]
    assert at_sea == []


def test_headquarters_and_airports_stand_on_land(facilities: tuple[Facility, ...]) -> None:
    chosen = [f for f in facilities if f.kind in (FacilityKind.CUSTOMS_HEADQUARTERS, FacilityKind.CUSTOMS_AIRPORT)]
    on_land = is_on_land([f.position.lon for f in chosen], [f.position.lat for f in chosen])

    assert [f.facility_id for f, yes in zip(chosen, on_land, strict=True) if not yes] == []


@pytest.mark.parametrize(
    ("facility_id", "lon", "lat"),
    [
        ("open-port-hakata", 130.40, 33.60),
        ("open-port-izuhara", 129.295, 34.195),
        ("customs-airport-hnd", 139.78, 35.55),
    ],
)
def test_well_known_places_are_where_everyone_knows_them(
    facilities: tuple[Facility, ...], facility_id: str, lon: float, lat: float
) -> None:
    (facility,) = [f for f in facilities if f.facility_id == facility_id]

    assert distance_m(facility.position, Position(lon=lon, lat=lat)) < 2_000


@pytest.mark.parametrize("bad", ["", "Open_Port", "a--b", "-a", "x" * 61, "港"])
def test_a_facility_id_is_small_letters_digits_and_hyphens(bad: str, facilities: tuple[Facility, ...]) -> None:
    with pytest.raises(ValueError, match="small letters"):
        Facility(
            facility_id=bad,
            kind=FacilityKind.OPEN_PORT,
            name_ja="港",
            name_en="port",
            prefecture="長崎県",
            municipality="対馬市",
            position=Position(lon=129.0, lat=34.0),
            stated_distance_km=1.0,
            source_note="",
        )
