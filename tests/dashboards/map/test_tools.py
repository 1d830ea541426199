"""The tools of the map by mouse and by keyboard, and their numbers against published ones."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import asdict
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from pyproj import Geod

from command.domain.observation import SubjectKind
from command.domain.track import TrackStatus
from command.operations.picture import RECORD_DTYPE
from command.operations.track_groups import TrackGroup, count_groups, hidden_rows
from maps.coordinates import read_position

WAIT_MS = 60_000
LEGS = ".mz-measure tbody tr:not(.mz-next)"
AIRCRAFT = "00000000-0000-0000-0000-000000000007"


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


ORIGIN = (139 + 44 / 60 + 28.8869 / 3600, 35 + 39 / 60 + 29.1572 / 3600)
"""The origin of Japan's horizontal control network (Survey Act Enforcement Order, article 2), which is published in
degrees, minutes and seconds."""


@pytest.mark.parametrize(
    ("notation", "place", "said"),
    [
        ("dms", ORIGIN, "35°39′29.2″N 139°44′28.9″E"),
        ("minutes", ORIGIN, "35°39.486′N 139°44.481′E"),
        ("decimal", ORIGIN, "35.65810°N 139.74136°E"),
        ("dms", (-0.5, -33.99999999), "34°00′00.0″S 000°30′00.0″W"),
        ("minutes", (-9.999999999, 5.0), "05°00.000′N 010°00.000′W"),
        ("decimal", (181.5, 0.0), "00.00000°N 178.50000°W"),
        # 33°20′N 44°24′E is 38SMB4488: GeographicLib's GeoConvert(1)
        ("mgrs", (44.4, 33 + 1 / 3), "38S MB 44161 88401"),
        # the NGA's own GEOTRANS: here, at the exceptions of Norway and Svalbard, south of the equator, and on it
        ("mgrs", ORIGIN, "54S UE 86070 46757"),
        ("mgrs", (5.33, 60.39), "32V KN 97780 00479"),
        ("mgrs", (15.6, 78.2), "33X WG 13696 80760"),
        ("mgrs", (151.2, -33.86), "56H LH 33491 51909"),
        ("mgrs", (0.0, 0.0), "31N AA 66021 00000"),
        ("mgrs", (129.3, 85.0), "MGRS –"),
    ],
)
def test_a_place_is_written_as_published(
    in_source: Callable[..., Any], notation: str, place: tuple[float, float], said: str
) -> None:
    assert in_source("coordinates", "([way, p]) => source.written(way, ...p)", [notation, place]) == said


def test_what_one_writes_as_a_grid_reference_the_other_reads(in_source: Callable[..., Any]) -> None:
    # given places all over the world, written by npm's mgrs
    rng = np.random.default_rng(5)
    places = [
        *zip(rng.uniform(-179.9, 179.9, 300), rng.uniform(-79.9, 83.9, 300), strict=True),
        *zip(rng.uniform(0.0, 42.0, 60), rng.uniform(56.0, 83.9, 60), strict=True),
    ]
    ask = "places => places.map(([lon, lat]) => source.written('mgrs', lon, lat))"
    written = in_source("coordinates", ask, [[float(lon), float(lat)] for lon, lat in places])
    # when the console reads them, then each is within the metre that it names
    for (lon, lat), reference in zip(places, written, strict=True):
        read = read_position(reference)
        _, _, off_m = Geod(ellps="WGS84").inv(lon, lat, read.lon, read.lat)
        assert off_m < 1.5, (lon, lat, reference)


def test_d_changes_the_notation_of_every_place_on_the_page(near: Page) -> None:
    # given a place that the page wrote, as the drawer does
    near.evaluate(
        "document.body.insertAdjacentHTML('beforeend',"
        " '<button class=drawn data-place-lon=139.741358 data-place-lat=35.658099>-</button>')"
    )
    expect(near.locator(".drawn")).to_have_text("35°39′29.2″N 139°44′28.9″E")
    expect(near.locator(".mz-cursor button")).to_contain_text("″N")
    # when D is pressed, then the readout and that place change together, by name for who does not see them
    near.keyboard.press("d")
    expect(near.locator(".drawn")).to_have_text("35°39.486′N 139°44.481′E")
    expect(near.locator(".mz-cursor button")).to_contain_text("′N")
    expect(near.locator(".mz-spoken")).to_have_text("座標の表記: 度分(小数)")
    # when one of them is clicked twice, then both are grid references; when the server tells another place, so is that
    for _ in range(2):
        near.locator(".drawn").click(force=True)
    expect(near.locator(".drawn")).to_have_text(re.compile(r"^54S UE \d{5} \d{5}$"))
    expect(near.locator(".mz-cursor button")).to_have_text(re.compile(r"^52S \w\w \d{5} \d{5}$"))
    near.evaluate("document.querySelector('.drawn').dataset.placeLat = 34.2")
    expect(near.locator(".drawn")).to_contain_text("54S UC")
    # and who types a D into a field changes nothing
    near.evaluate("document.querySelector('.drawn').outerHTML = '<input class=drawn>'")
    near.locator(".drawn").press("d")
    expect(near.locator(".mz-cursor button")).to_contain_text("52S")
    near.evaluate("document.querySelector('.drawn').remove()")
    near.keyboard.press("d")
    expect(near.locator(".mz-cursor button")).to_contain_text("″N")


def test_a_course_is_measured_with_the_keyboard_alone(near: Page) -> None:
    # given an officer whose focus is on nothing, when they press R
    near.keyboard.press("r")
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
    near.keyboard.press("r")
    expect(near.locator(LEGS)).to_have_count(0)
    near.keyboard.press("r")


def test_a_point_upon_a_track_goes_with_it_and_the_selection_stays(near: Page) -> None:
    # given an aircraft in flight that is selected
    near.evaluate("id => mizugiwaMap.select({track_id: id})", AIRCRAFT)
    # when the range from it to the next track is measured
    near.keyboard.press("r")
    near.keyboard.press("n")
    near.keyboard.press("Enter")
    # then the leg bears both names, and goes on changing by itself
    leg = near.locator(LEGS)
    expect(leg).to_contain_text("JA72CG → 対馬沖灯浮標")
    before = leg.inner_text()
    near.wait_for_function(
        "([legs, before]) => document.querySelector(legs).innerText !== before", arg=[LEGS, before], timeout=WAIT_MS
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


@pytest.mark.parametrize("hide", [*TrackGroup])
def test_the_map_hides_what_the_list_hides(in_source: Callable[..., Any], hide: TrackGroup) -> None:
    # given a track of every kind, status and combination of flags
    tracks = list(itertools.product([int(k) for k in SubjectKind], [int(s) for s in TrackStatus], range(16)))
    records = np.zeros(len(tracks), dtype=RECORD_DTYPE)
    records["kind"], records["status"], records["flags"] = np.array(tracks).T
    # when a group of them is hidden, then the browser hides the same as the server
    ask = (
        "([tracks, hide]) => tracks.map(([kind, status, flags]) => ({kind, status, flags}))"
        ".map(t => source.groupsOf(t).includes(hide) && !source.inDanger(t))"
    )
    assert in_source("groups", ask, [tracks, hide.value]) == hidden_rows(records, [hide]).tolist()


def test_the_map_counts_as_the_server_counts_for_its_cells(in_source: Callable[..., Any]) -> None:
    tracks = list(itertools.product([int(k) for k in SubjectKind], [int(s) for s in TrackStatus], range(16)))
    records = np.zeros(len(tracks), dtype=RECORD_DTYPE)
    records["kind"], records["status"], records["flags"] = np.array(tracks).T
    hide = [TrackGroup.VESSELS, TrackGroup.SILENT]
    ask = (
        "([tracks, hide]) => source.countGroups("
        "tracks.map(([kind, status, flags]) => ({kind, status, flags})), new Set(hide))"
    )
    counted = asdict(count_groups(records, hide))
    assert in_source("groups", ask, [tracks, [group.value for group in hide]]) == counted
    assert counted["hidden"] > 0
    assert counted["kept"] > 0


def shown(page: Page) -> set[str]:
    labels: list[str] = page.evaluate("mizugiwaMap.features().map(f => f.label)")
    return set(labels)


def test_a_hidden_kind_leaves_the_map_and_the_list_but_never_with_an_open_alert(near: Page) -> None:
    # given four of our assets in view and a dark contact with an open alert
    everything = shown(near)
    chip = near.locator(".mz-chip[data-group=unknown]")
    expect(chip.locator("b")).to_have_text("1")
    expect(near.locator(".mz-chip[data-group=ours] b")).to_have_text("4")
    # when our assets and dark contacts are hidden, by keyboard and by mouse
    near.keyboard.press("f")
    for _ in range(3):
        near.keyboard.press("Tab")
    near.keyboard.press("Enter")
    chip.click()
    # then the assets are gone, the contact is not, and the map says both and tells the page
    ours = {"みずぎわ1号", "うみほたる", "哨戒1号艇", "比田勝管制局"}
    assert everything - shown(near) == ours
    expect(chip).to_have_attribute("aria-pressed", "false")
    expect(near.locator(".mz-kept")).to_have_text("非表示の種別でも警報中のため表示: 1件")
    expect(near.locator(".mz-status")).to_contain_text("6 航跡 (4件を非表示)")
    assert near.evaluate("chosen.filter(c => c[0] === 'map-hidden').at(-1)[1]") == ["ours", "unknown"]
    # when one of them is selected, then that one is shown
    near.evaluate("mizugiwaMap.select({track_id: '00000000-0000-0000-0000-000000000001'})")
    assert everything - shown(near) == ours - {"みずぎわ1号"}
    # when all is shown again, then it is
    near.click("text=すべて表示")
    assert shown(near) == everything
    expect(near.locator(".mz-all")).to_be_hidden()


def test_an_address_says_what_is_shown_and_what_is_mangled_in_it_is_left_out(in_source: Callable[..., Any]) -> None:
    at = {"lat": 34.45, "lon": 129.55, "zoom": 8.6}
    alert = {"alert_id": "00000000-0000-0000-0000-0000000003ed", "track_id": AIRCRAFT}
    full = {"at": at, "hide": ["vessels", "silent"], "selection": alert}
    written = in_source("address", "source.writeAddress", full)
    assert written == f"#at=34.45000,129.55000,8.60&hide=vessels,silent&alert={alert['alert_id']}&track={AIRCRAFT}"
    assert in_source("address", "source.readAddress", written) == full
    nothing = {"at": None, "hide": [], "selection": None}
    assert in_source("address", "source.writeAddress", nothing) == ""
    for mangled in ("", "#", "#at=34,129", "#at=34,129,1e9", "#at=91,0,3", "#hide=whales&track=<script>", "#=&&"):
        assert in_source("address", "source.readAddress", mangled) == nothing


def test_a_view_is_saved_and_shown_again_by_keyboard(near: Page) -> None:
    # given a view without our assets, saved under a name
    near.click(".mz-chip[data-group=ours]")
    near.wait_for_function("location.hash.includes('hide=ours')", timeout=WAIT_MS)
    saved = near.evaluate("location.hash")
    near.keyboard.press("v")
    near.keyboard.type("対馬の夜")
    near.keyboard.press("Enter")
    expect(near.locator(".mz-views .mz-said")).to_have_text("「対馬の夜」を保存しました。")
    # when the officer looks elsewhere, at everything
    near.evaluate("mizugiwaMap.focus({lon: 135, lat: 34, zoom: 7})")
    near.click("text=すべて表示")
    near.wait_for_function("location.hash.includes('135.0') && !location.hash.includes('hide')", timeout=WAIT_MS)
    # and opens the saved view by its key
    near.evaluate("document.activeElement.blur()")
    for key in ("v", "v", "Enter"):
        near.keyboard.press(key)
    # then place, zoom and filter are as they were
    near.wait_for_function("hash => location.hash === hash", arg=saved, timeout=WAIT_MS)
    # when it is deleted, then that can be undone
    near.keyboard.press("Tab")
    near.keyboard.press("Enter")
    expect(near.locator(".mz-view")).to_have_count(0)
    near.keyboard.press("Enter")
    expect(near.locator(".mz-view")).to_have_text("対馬の夜")
    assert near.evaluate("Object.keys(localStorage).filter(k => k.startsWith('mizugiwa.views.')).length") == 1
    near.click("text=すべて表示")
    near.keyboard.press("v")
    expect(near.locator(".mz-view")).to_be_hidden()


def test_the_address_of_a_screen_shows_the_same_on_another(
    page: Page, synthetic: ModuleType, serve: Callable[..., Any]
) -> None:
    # given the address of a view with a filter and a selected track, opened for the first time in this browser
    movers = synthetic.fleet()[-10:]
    url = serve(synthetic.synthetic_console(movers)).url
    page.goto(f"{url}#at=34.45000,129.55000,8.60&hide=fixed&track={AIRCRAFT}")
    # then it is that view, without what is hidden, and the page hears of filter and selection
    page.wait_for_function("mizugiwaMap.features().length === 8", timeout=WAIT_MS)
    told = dict(page.evaluate("chosen.filter(c => c[0] !== 'map-status')"))
    assert told == {"map-hidden": ["fixed"], "map-selected": {"track_id": AIRCRAFT}}
    # and after a look elsewhere a reload shows that
    page.evaluate("mizugiwaMap.focus({lon: 129.5, lat: 34.5, zoom: 10})")
    page.wait_for_function("location.hash.startsWith('#at=34.50000,129.50000,10.00&hide=fixed')", timeout=WAIT_MS)
    page.keyboard.press("d")
    page.keyboard.press("y")
    for layer in ("施設", "警報"):
        page.get_by_label(layer, exact=True).uncheck()
    page.reload()
    page.wait_for_function("mizugiwaMap.features().length > 0", timeout=WAIT_MS)
    assert page.evaluate("location.hash").startswith("#at=34.50000,129.50000,10.00&hide=fixed")
    # as do the notation of coordinates and the layers; but alerts are there again
    expect(page.locator(".mz-cursor button")).to_contain_text("′N")
    page.keyboard.press("y")
    expect(page.get_by_label("施設", exact=True)).not_to_be_checked()
    expect(page.get_by_label("警報", exact=True)).to_be_checked()


def test_the_circle_of_an_error_holds_95_percent_and_is_drawn_where_it_matters(in_source: Callable[..., Any]) -> None:
    # given two contacts that nobody has named, one without a known error, and two vessels, one of them selected
    dark, vessel = int(SubjectKind.UNKNOWN), int(SubjectKind.VESSEL)
    tracks = [{"kind": k, "errorM": e} for k, e in ((dark, 100), (dark, None), (vessel, 10), (vessel, 20))]
    drawn = in_source("errors", "tracks => source.tracksWithCircle(tracks, tracks[3])", tracks)
    assert drawn == [tracks[0], tracks[3]]
    # when the tracker's error is a standard deviation on each axis
    radius = in_source("errors", "source.radius95M({errorM: 100})")
    errors = np.random.default_rng(1).normal(0.0, 100.0, (200_000, 2))
    # then 95 of 100 positions lie within the circle
    assert np.mean(np.hypot(*errors.T) < radius) == pytest.approx(0.95, abs=0.003)
    assert in_source("errors", "source.radius95M({errorM: null})") is None


def test_a_layer_is_faded_and_switched_off_by_keyboard(near: Page) -> None:
    # given the layers, opened by their key, with the focus on the first
    near.keyboard.press("y")
    names, fade = near.get_by_label("目標名", exact=True), near.get_by_label("目標名の濃さ")
    expect(names).to_be_focused()
    # when its names are made fainter twice, then switched off
    near.keyboard.press("Tab")
    expect(fade).to_be_focused()
    for _ in range(2):
        near.keyboard.press("ArrowLeft")
    expect(fade).to_have_value("80")
    names.press("Space")
    # then they are off, kept so in this browser, and the keys of the map still work from there
    expect(fade).to_be_disabled()
    kept = near.evaluate("JSON.parse(localStorage.getItem('mizugiwa.layers.')).labels")
    assert kept == {"on": False, "opacity": 80}
    # and alerts have no such slider: they are never faint
    assert near.locator("[data-layer=alerts]").count() == 0
    names.press("Space")
    near.keyboard.press("y")
    expect(names).to_be_hidden()
