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
