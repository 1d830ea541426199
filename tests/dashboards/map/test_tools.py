"""The tools of the map by mouse and by keyboard, and their numbers against published ones."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pyproj import Geod

WAIT_MS = 40_000
expect.set_options(timeout=WAIT_MS)
LEGS = ".mz-measure tbody tr:not(.mz-next)"
DARK = "00000000-0000-0000-0000-000000000005"


@pytest.mark.parametrize(
    ("start", "end", "metres", "degrees"),
    [
        # New York to London: GeographicLib's GeodSolve(1)
        ((-73.8, 40.6), (-0.5, 51.6), 5_551_759.400, 51.19888),
        # Flinders Peak to Buninyong: Geocentric Datum of Australia Technical Manual 2.4, section 4
        ((144.424867889, -37.951033417), (143.926495528, -37.652821139), 54_972.271, 306.868158),
        # nearly antipodal, where Vincenty's formulae fail: Karney (2013), J. Geodesy 87, section 3
        ((0.0, 0.0), (179.5, 0.5), 19_936_288.579, None),
    ],
)
def test_lengths_and_bearings_are_those_of_the_literature(
    in_source: Callable[..., Any],
    start: tuple[float, float],
    end: tuple[float, float],
    metres: float,
    degrees: float | None,
) -> None:
    ask = "([a, b]) => source.legBetween({lon: a[0], lat: a[1]}, {lon: b[0], lat: b[1]})"
    leg = in_source("geodesic", ask, [start, end])
    assert leg["distanceM"] == pytest.approx(metres, abs=0.001)
    assert degrees is None or leg["bearingDeg"] == pytest.approx(degrees, abs=1e-5)


def test_the_way_across_the_antimeridian_does_not_run_round_the_earth(in_source: Callable[..., Any]) -> None:
    # given two places on both sides of 180 degrees
    ask = "source.wayBetween({lon: 170, lat: 40}, {lon: -170, lat: 40})"
    # when the way between them is drawn
    way = in_source("geodesic", ask)
    # then it goes on eastwards, bulges to the north as the shortest way does, and its middle is half way
    assert way[0][0] == 170
    assert way[-1][0] == pytest.approx(190)
    middle = way[len(way) // 2]
    _, _, half = Geod(ellps="WGS84").inv(170, 40, *middle)
    _, _, whole = Geod(ellps="WGS84").inv(170, 40, 190, 40)
    assert half == pytest.approx(whole / 2)
    assert middle[1] > 40.3


def test_numbers_are_written_as_they_are_spoken_at_sea(in_source: Callable[..., Any]) -> None:
    said = in_source("geodesic", "[45.25, 359.97, 0, 7, null].map(source.trueBearing)")
    assert said == ["045.3°", "000.0°", "000.0°", "007.0°", "–"]
    assert in_source("geodesic", "[1852, 18520, 185200].map(source.nauticalMiles)") == ["1.00", "10.0", "100.0"]
    assert in_source("geodesic", "[999, 12345].map(source.kilometres)") == ["1.00", "12.3"]


def test_a_course_is_measured_with_the_keyboard_alone(near: Page) -> None:
    # given an officer whose focus is on nothing, when they press M
    near.keyboard.press("m")
    expect(near.locator(".mz-measure")).to_be_visible()
    # and set a point, eighty pixels to the east, and one as far to the south of it
    near.keyboard.press("Enter")
    for key in ("ArrowRight", "ArrowDown"):
        for _ in range(5):
            near.keyboard.press(key)
        near.keyboard.press("Enter")
    # then two legs are told, the first to the east, the second to the south, in both units, and their sum
    expect(near.locator(LEGS)).to_have_count(2)
    first, second = (near.locator(LEGS).nth(i).inner_text().split("\t") for i in (0, 1))
    assert 89 < float(first[1].rstrip("°")) < 91
    assert 179 < float(second[1].rstrip("°")) < 181
    nm, km = (float(x) for x in re.findall(r"[\d.]+", first[2]))
    assert km / nm == pytest.approx(1.852, rel=0.01)
    assert float(second[3]) == pytest.approx(nm + float(re.findall(r"[\d.]+", second[2])[0]), abs=0.2)
    assert "真方位" in near.inner_text(".mz-measure-sum")
    assert "合計" in near.inner_text(".mz-spoken")
    # when a point is taken back and the tool is ended, then nothing is left of it
    near.keyboard.press("Backspace")
    expect(near.locator(LEGS)).to_have_count(1)
    near.keyboard.press("Escape")
    expect(near.locator(".mz-measure")).to_be_hidden()
    near.keyboard.press("m")
    expect(near.locator(LEGS)).to_have_count(0)
    near.keyboard.press("m")


def test_a_point_upon_a_track_goes_with_it_and_the_selection_stays(near: Page) -> None:
    # given a contact under way that is selected
    near.evaluate("id => mizugiwaMap.select({track_id: id})", DARK)
    # when the range from it to the next track is measured
    near.keyboard.press("m")
    near.keyboard.press("n")
    near.keyboard.press("Enter")
    # then the leg bears both names, and its length changes as they move
    leg = near.locator(LEGS)
    expect(leg).to_contain_text("未識別 K-031 →")
    before = near.evaluate("document.querySelector('.mz-cross').getAttribute('style')")
    near.wait_for_function(
        "s => document.querySelector('.mz-cross').getAttribute('style') !== s", arg=before, timeout=WAIT_MS
    )
    # and neither N nor Escape has touched what is selected
    near.keyboard.press("Escape")
    assert not [c for c in near.evaluate("chosen") if c[0] == "map-selected"]


def test_a_click_sets_a_point_and_does_not_select(near: Page) -> None:
    near.click(".mz-measure-tool")
    expect(near.locator(".mz-measure-tool")).to_have_attribute("aria-pressed", "true")
    box = near.locator("#map").bounding_box()
    assert box is not None
    for dx in (-60, 90):
        near.mouse.click(box["x"] + box["width"] / 2 + dx, box["y"] + 90)
    expect(near.locator(LEGS)).to_have_count(1)
    near.click("text=すべて消す")
    expect(near.locator(LEGS)).to_have_count(0)
    near.keyboard.press("Escape")
    assert not [c for c in near.evaluate("chosen") if c[0] == "map-selected"]
