"""Where an alert is, as people at sea say it, and positions as they write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command.domain.facility import Facility, FacilityKind
from command.domain.geo import Position, destination
from command.operations.triage import Gazetteer, dms, initial_bearing_deg

IZUHARA = Facility(
    facility_id="open-port-izuhara",
    kind=FacilityKind.OPEN_PORT,
    name_ja="厳原港",
    name_en="Izuhara",
    prefecture="長崎県",
    municipality="対馬市",
    position=Position(lon=129.29, lat=34.2),
    stated_distance_km=5.0,
    source_note="test",
)


@pytest.mark.parametrize(
    ("course_deg", "metres", "ja", "en"),
    [
        (45.0, 11_482.4, "厳原港の北東 6.2海里", "6.2 nm NE of Izuhara"),
        (349.0, 37_040.0, "厳原港の北 20海里", "20 nm N of Izuhara"),
        (200.0, 300.0, "厳原港付近", "at Izuhara"),
    ],
)
def test_a_place_is_told_from_the_nearest_port(course_deg: float, metres: float, ja: str, en: str) -> None:
    where = destination(IZUHARA.position, course_deg=course_deg, distance_m=metres)
    gazetteer = Gazetteer([IZUHARA])
    assert gazetteer.place(where, "ja") == ja
    assert gazetteer.place(where, "en") == en


def test_without_facilities_a_place_is_its_coordinates_and_without_a_position_a_word() -> None:
    assert Gazetteer([]).place(Position(lon=129.29, lat=34.2), "ja") == "34°12′00.0″N 129°17′24.0″E"
    assert Gazetteer([IZUHARA]).place(None, "en") == "no position"


@pytest.mark.parametrize(
    ("lon", "lat", "written"),
    [
        (-0.5, -0.25, "00°15′00.0″S 000°30′00.0″W"),
        (139.99999999, 35.0, "35°00′00.0″N 140°00′00.0″E"),
        (180.0, 90.0, "90°00′00.0″N 180°00′00.0″E"),
    ],
)
def test_a_position_is_written_in_degrees_minutes_and_seconds(lon: float, lat: float, written: str) -> None:
    assert dms(Position(lon=lon, lat=lat)) == written


@given(lon=st.floats(-180, 180), lat=st.floats(-90, 90))
def test_a_written_position_reads_back_within_a_twentieth_of_a_second(lon: float, lat: float) -> None:
    def read(part: str) -> float:
        degrees, rest = part[:-1].split("°")
        minutes, seconds = rest.rstrip("″").split("′")
        value = int(degrees) + int(minutes) / 60 + float(seconds) / 3600
        assert int(minutes) < 60
        assert float(seconds) < 60
        return -value if part[-1] in "SW" else value

    south_north, west_east = dms(Position(lon=lon, lat=lat)).split()
    assert abs(read(south_north) - lat) <= 0.051 / 3600
    assert abs(read(west_east) - lon) <= 0.051 / 3600


@given(course=st.floats(0, 359.9), metres=st.floats(1_000, 200_000))
def test_a_bearing_undoes_a_course(course: float, metres: float) -> None:
    there = destination(IZUHARA.position, course_deg=course, distance_m=metres)
    off = abs(initial_bearing_deg(IZUHARA.position, there) - course) % 360
    assert min(off, 360 - off) < 1e-6
