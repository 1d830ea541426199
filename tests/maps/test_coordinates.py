"""Coordinates as officers write them: read as meant, or refused with what to write."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command.domain.geo import Position
from maps.coordinates import BadPosition, dms, read_position

latitudes = st.floats(-85, 85, allow_nan=False)
longitudes = st.floats(-180, 180, allow_nan=False)
IZUHARA = (34 + 12 / 60 + 5 / 3600, 129 + 17 / 60 + 22 / 3600)


@pytest.mark.parametrize(
    "written",
    [
        "34°12′05″N 129°17′22″E",
        "34°12'05\"N, 129°17'22\"E",
        "34°12’05’’N 129°17’22’’E",
        "N34-12-05 E129-17-22",
        "34-12-05N 129-17-22E",
        "129°17′22″E 34°12′05″N",
        "34 12 05 129 17 22",
        "34°12′05″129°17′22″",
        "北緯34度12分5秒 東経129度17分22秒",
        "３４°１２′０５″Ｎ　１２９°１７′２２″Ｅ",
        "34:12:05N 129:17:22E",
        "34°12′05″N\t129°17′22″E",
    ],
)
def test_every_way_of_writing_one_place_gives_that_place(written: str) -> None:
    position = read_position(written)
    assert (position.lat, position.lon) == pytest.approx(IZUHARA, abs=1e-9)


@pytest.mark.parametrize("written", ["34 12.1N 129 17.4E", "34° 12.1′ N 129° 17.4′ E", "34 12.1, 129 17.4"])
def test_minutes_may_have_a_fraction(written: str) -> None:
    position = read_position(written)
    assert (position.lat, position.lon) == pytest.approx((34 + 12.1 / 60, 129.29), abs=1e-9)


@pytest.mark.parametrize(
    ("written", "place"),
    [
        # 38SMB4488 is 33.33°N 44.40°E: GeographicLib's GeoConvert(1)
        ("38SMB4488", (33.3367, 44.4037)),
        # the NGA's own GEOTRANS: Tokyo, at the exceptions of Norway and Svalbard, south of the equator, and on it
        ("54S UE 86070 46757", (35.658099, 139.741358)),
        ("32V KN 97780 00479", (60.39, 5.33)),
        ("33X WG 13696 80760", (78.2, 15.6)),
        ("56H LH 33491 51909", (-33.86, 151.2)),
        ("31N AA 66021 00000", (0.0, 0.0)),
        ("54suE8607046757", (35.658099, 139.741358)),
        ("５４Ｓ ＵＥ ８６０７０ ４６７５７", (35.658099, 139.741358)),
    ],
)
def test_a_grid_reference_is_its_place(written: str, place: tuple[float, float]) -> None:
    position = read_position(written)
    half_a_square_deg = 0.007 if len(written) < 10 else 3e-5
    assert (position.lat, position.lon) == pytest.approx(place, abs=half_a_square_deg)


def test_a_shorter_grid_reference_is_the_middle_of_its_square() -> None:
    metre, kilometre = read_position("52S EC 31500 84500"), read_position("52SEC3184")
    assert (kilometre.lat, kilometre.lon) == pytest.approx((metre.lat, metre.lon), abs=1e-5)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("54S AE 86070 46757", "no_square"),
        ("61S UE 86070 46757", "not_understood"),
        ("00S UE 86070 46757", "no_square"),
        ("54S UE 8607 4675 7", "not_understood"),
        ("54R UE 86070 46757", "no_square"),
        ("54I UE 86070 46757", "not_understood"),
    ],
)
def test_a_grid_reference_that_names_no_square_is_refused(written: str, reason: str) -> None:
    with pytest.raises(BadPosition) as refused:
        read_position(written)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "empty"),
        (" \u3000", "empty"),
        ("abc", "not_understood"),
        ("34,2014", "not_understood"),
        ("34.2, 129.2, 5", "not_understood"),
        ("34°12″N 129°17′E", "not_understood"),
        ("-34N 129E", "not_understood"),
        ("34 129 12", "not_understood"),
        ("1e3, 2", "not_understood"),
        ("34N 35N", "one_of_each"),
        ("95N 129E", "latitude_off"),
        ("95, 200", "latitude_off"),
        ("34N 181E", "longitude_off"),
        ("129.2895, 34.2014", "swapped"),
        ("34 60N 129 10E", "sixty"),
        ("34.5 12N 129 10E", "fraction"),
        ("3" * 500, "not_understood"),
    ],
)
def test_what_could_be_meant_in_two_ways_is_refused(written: str, reason: str) -> None:
    with pytest.raises(BadPosition) as refused:
        read_position(written, max_latitude_deg=85)
    assert refused.value.reason == reason
    assert "area.row" not in refused.value.explain("ja")


@settings(deadline=None)
@given(lat=latitudes, lon=longitudes)
def test_what_the_program_writes_it_reads_back_to_a_tenth_of_a_second(lat: float, lon: float) -> None:
    position = read_position(dms(Position(lon=lon, lat=lat)))
    assert abs(position.lat - lat) <= 0.05 / 3600 + 1e-9
    assert abs(position.lon - lon) <= 0.05 / 3600 + 1e-9


@settings(deadline=None)
@given(lat=latitudes, lon=longitudes)
def test_decimal_degrees_come_back_as_written(lat: float, lon: float) -> None:
    position = read_position(f"{lat:.9f}, {lon:.9f}")
    assert (position.lat, position.lon) == (float(f"{lat:.9f}"), float(f"{lon:.9f}"))


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from("0123456789.,-+ NSEW°′″'\"度分秒北緯東経"), max_size=40) | st.text(max_size=40))
def test_any_text_is_a_place_on_the_globe_or_refused_in_words(written: str) -> None:
    try:
        position = read_position(written)
    except BadPosition as exc:
        told = exc.explain("ja") and exc.explain("en")
    else:
        told = abs(position.lat) <= 90 and abs(position.lon) <= 180
    assert told
