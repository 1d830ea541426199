"""The map bundle in a real browser, fed by a real WebSocket."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from playwright.sync_api import Page, expect

TSUSHIMA = {"lon": 129.55, "lat": 34.45, "zoom": 8.6}


@pytest.fixture
def movers(synthetic: ModuleType) -> Any:
    return synthetic.fleet()


@pytest.fixture
def anchored(movers: list[Any]) -> Any:
    """The same fleet at rest: however long a test takes, nobody leaves the view or enters it."""
    return [replace(mover, speed_mps=0.0) for mover in movers]


def open_map(page: Page, url: str, *, at: dict[str, float] | None = None) -> None:
    page.goto(url)
    if at is None:
        page.wait_for_function("mizugiwaMap.status()?.connected && mizugiwaMap.status().tracks > 0")
    else:
        look(page, at)


def look(page: Page, at: dict[str, float]) -> None:
    """Take the view there and wait until its tracks have come."""
    page.wait_for_function("mizugiwaMap.status()?.connected")
    page.evaluate("at => mizugiwaMap.focus(at)", at)
    page.wait_for_function(
        "at => mizugiwaMap.features().some(f => Math.abs(f.lon - at.lon) < 1 && Math.abs(f.lat - at.lat) < 1)", arg=at
    )


def feature(page: Page, track_id: str) -> dict[str, Any]:
    handle = page.wait_for_function("id => mizugiwaMap.features().find(f => f.track_id === id) ?? null", arg=track_id)
    found: dict[str, Any] = handle.json_value()
    return found


def the_drone(movers: list[Any]) -> Any:
    return next(m for m in movers if m.label == "みずぎわ1号")


def test_the_same_vessel_is_seen_at_two_places_at_two_times(
    watch: Page, synthetic: ModuleType, movers: list[Any]
) -> None:
    # given a drone that flies north-east
    drone = the_drone(movers)
    look(watch, TSUSHIMA)
    # when it is looked at twice
    first = feature(watch, drone.track_id)
    watch.wait_for_function("f => mizugiwaMap.features().find(g => g.track_id === f.track_id)?.lon > f.lon", arg=first)
    second = feature(watch, drone.track_id)
    # then it has moved as it flies, under the same name
    assert second["lon"] > first["lon"]
    assert second["lat"] > first["lat"]
    assert first["label"] == second["label"] == drone.label
    assert abs(first["lon"] - drone.start.lon) < 0.05


def test_the_map_opens_upon_the_watched_areas_and_the_next_time_where_the_officer_left_it(
    page: Page, synthetic: ModuleType, anchored: list[Any], serve: Callable[..., Any]
) -> None:
    # given areas from Tsushima to Uraga, when the map opens for the first time
    url = serve(synthetic.synthetic_console(anchored)).url
    open_map(page, url)
    # then it counts what is between them and not what is far off
    shown = page.evaluate("mizugiwaMap.status().tracks")
    assert 0 < shown < len(anchored)
    # when the officer looks elsewhere and loads the page anew
    look(page, TSUSHIMA)
    page.wait_for_function("localStorage.getItem('mizugiwa.view.') !== null")
    page.reload()
    # then the map is there again
    page.wait_for_function("mizugiwaMap.features().length > 0")
    # and one press brings all that is watched back, for the next time too
    page.locator(".mz-home").click()
    page.wait_for_function("n => mizugiwaMap.status().tracks === n", arg=shown)
    assert page.evaluate("localStorage.getItem('mizugiwa.view.')") is None


def test_without_areas_the_map_opens_upon_the_tracks(
    page: Page, synthetic: ModuleType, movers: list[Any], serve: Callable[..., Any]
) -> None:
    # given a few slow tracks near Tsushima and no watched area
    near = [m for m in movers if m.label in ("哨戒1号艇", "うみほたる", "比田勝管制局")]
    page.route("**/api/areas", lambda route: route.fulfill(json={"type": "FeatureCollection", "features": []}))
    # when the map opens
    page.goto(serve(synthetic.synthetic_console(near)).url)
    # then it goes so near that each is drawn by itself
    page.wait_for_function("n => mizugiwaMap.features().length === n", arg=len(near))


def test_a_low_zoom_shows_counts_that_add_up(watch: Page, synthetic: ModuleType, movers: list[Any]) -> None:
    watch.evaluate("mizugiwaMap.focus({lon: 134, lat: 34, zoom: 4})")
    watch.wait_for_function("n => mizugiwaMap.status().tracks === n", arg=len(movers))
    assert watch.evaluate("mizugiwaMap.features()") == []
    watch.wait_for_function(
        "n => document.querySelector('.mz-chip[data-group=vessels] b').textContent === n", arg=f"{len(movers):,}"
    )


def test_only_what_is_in_view_is_rendered(watch: Page, synthetic: ModuleType, movers: list[Any]) -> None:
    look(watch, {"lon": 139.85, "lat": 35.4, "zoom": 10})
    watch.wait_for_function(
        "mizugiwaMap.features().every(f => f.lon > 139 && f.lon < 141 && f.lat > 34.5 && f.lat < 36)"
    )
    assert 0 < watch.evaluate("mizugiwaMap.status().tracks") < len(movers) / 4


def test_a_lost_server_is_said_and_the_feed_comes_back_by_itself(
    page: Page, serve: Callable[..., Any], synthetic: ModuleType, anchored: list[Any]
) -> None:
    # given a screen that receives
    first = serve(synthetic.synthetic_console(anchored))
    open_map(page, first.url, at=TSUSHIMA)
    shown = len(page.evaluate("mizugiwaMap.features()"))
    # when the server goes
    first.stop()
    page.wait_for_function("mizugiwaMap.status().connected === false")
    # then the screen says so, and still shows what it last knew
    assert page.get_attribute("#map", "data-connection") == "lost"
    assert "再接続中" in page.inner_text(".mz-status")
    assert len(page.evaluate("mizugiwaMap.features()")) == shown
    # when it returns with other handles for the same tracks
    serve(synthetic.synthetic_console(list(reversed(anchored))), first.port)
    page.wait_for_function("mizugiwaMap.status().connected")
    # then names belong to the right tracks again
    drone = the_drone(anchored)
    page.wait_for_function(
        "([id, handle]) => mizugiwaMap.features().find(f => f.track_id === id)?.handle === handle",
        arg=[drone.track_id, list(reversed(anchored)).index(drone) + 1],
    )
    assert feature(page, drone.track_id)["label"] == drone.label
    assert page.get_attribute("#map", "data-connection") == "connected"


def test_a_session_that_ended_is_said_and_not_tried_again(
    page: Page, serve: Callable[..., Any], synthetic: ModuleType, movers: list[Any]
) -> None:
    page.goto(serve(synthetic.synthetic_console(movers, close_code=4401)).url)
    page.wait_for_selector('#map[data-connection="signed_out"]')
    assert "ログイン" in page.inner_text(".mz-status")


def test_frames_that_cannot_be_read_are_said_and_stop_nothing(
    page: Page, serve: Callable[..., Any], synthetic: ModuleType, movers: list[Any]
) -> None:
    # given a server that begins with nonsense: empty, short, another version, three records that are not there,
    # an unknown kind, half a JSON text
    head = struct.Struct("<BBHIdQ")
    garbage = [b"", b"\x01", b"\x07" * 24, head.pack(1, 1, 0, 3, 0.0, 0), head.pack(1, 99, 0, 0, 0.0, 0), "{"]
    # when the map hears it
    page.goto(serve(synthetic.synthetic_console(movers, also_send=garbage)).url)
    # then it says so, and shows the tracks that come after it
    look(page, TSUSHIMA)
    page.wait_for_function(
        "mizugiwaMap.status().connected"
        " && document.querySelector('.mz-notice').textContent.includes('地図の通信で問題がありました')"
    )


def test_tracks_are_shown_where_the_basemap_cannot_be_read(
    page: Page, serve: Callable[..., Any], synthetic: ModuleType, movers: list[Any], tmp_path: Path
) -> None:
    open_map(page, serve(synthetic.synthetic_console(movers, tiles=tmp_path)).url, at=TSUSHIMA)
    page.wait_for_function("document.querySelector('.mz-notice').textContent.includes('背景地図')")
    assert page.evaluate("mizugiwaMap.features().length") > 50


def test_a_click_on_a_symbol_tells_the_page_which_track_it_is(
    page: Page, serve: Callable[..., Any], synthetic: ModuleType
) -> None:
    # given one anchored vessel in the middle of the view
    fleet = [m for m in synthetic.fleet() if m.kind == synthetic.SubjectKind.VESSEL and m.course_deg is None][:1]
    place = fleet[0].start
    open_map(page, serve(synthetic.synthetic_console(fleet)).url, at={"lon": place.lon, "lat": place.lat, "zoom": 12})
    page.wait_for_function("document.querySelector('.mz-status').textContent.includes('1 航跡')")
    click_the_middle(page, fleet[0].label)
    # then the page has its id
    assert chosen_last(page) == {"track_id": fleet[0].track_id}


def test_one_of_thousands_of_dots_is_clicked_as_a_symbol_is(
    page: Page, serve: Callable[..., Any], synthetic: ModuleType
) -> None:
    # given so many vessels at anchor in view that the ordinary ones are dots, one of them in the middle
    vessel = next(m for m in synthetic.fleet() if m.kind == synthetic.SubjectKind.VESSEL and m.course_deg is None)
    middle = synthetic.Position(lon=129.5, lat=34.4)
    fleet = [
        replace(
            vessel,
            track_id=f"00000000-0000-0000-0002-{line * 60 + column:012d}",
            start=synthetic.Position(lon=middle.lon + (column - 30) * 0.02, lat=middle.lat + (line - 20) * 0.016),
        )
        for line in range(41)
        for column in range(60)
    ]
    open_map(page, serve(synthetic.synthetic_console(fleet)).url, at={"lon": middle.lon, "lat": middle.lat, "zoom": 9})
    click_the_middle(page, vessel.label)
    # then the page has the id of that one
    assert chosen_last(page) == {"track_id": fleet[20 * 60 + 30].track_id}


def click_the_middle(page: Page, label: str) -> None:
    """As soon as the symbol of this name is drawn there, which is a moment after it is known."""
    page.wait_for_function(
        "label => { const {x, y, width, height} = document.getElementById('map').getBoundingClientRect();"
        " const at = {clientX: x + width / 2, clientY: y + height / 2, bubbles: true, pointerType: 'mouse'};"
        " const canvas = document.querySelector('.maplibregl-canvas');"
        " canvas.dispatchEvent(new MouseEvent('mousemove', at));"
        " const tip = document.querySelector('.mz-tip');"
        " if (tip.hidden || !tip.textContent.includes(label)) return false;"
        " for (const type of ['mousedown', 'mouseup', 'click']) canvas.dispatchEvent(new MouseEvent(type, at));"
        " return window.chosen.some(([id, data]) => id === 'map-selected' && data); }",
        arg=label,
        polling=500,
    )


def chosen_last(page: Page) -> Any:
    return [data for kind, data in page.evaluate("chosen") if kind == "map-selected" and data][-1]


def test_the_keyboard_walks_through_the_tracks_what_matters_most_first(
    watch: Page, synthetic: ModuleType, movers: list[Any]
) -> None:
    # given the map has the keyboard
    look(watch, TSUSHIMA)
    feature(watch, the_drone(movers).track_id)
    watch.focus("canvas.maplibregl-canvas")
    # when N is pressed twice and Escape once
    for key in ("n", "n", "Escape"):
        watch.keyboard.press(key)
    # then distress comes first, then the dark contact with its alert, then nothing is selected
    by_id = {m.track_id: m.label for m in movers}
    chosen = [data for kind, data in watch.evaluate("chosen") if kind == "map-selected"]
    assert [by_id[c["track_id"]] for c in chosen[:2]] == ["AIS-SART 970110220", "未識別 K-031"]
    assert chosen[2] is None
    assert "未識別 K-031" in watch.inner_text(".mz-spoken")


def test_the_past_is_shown_as_the_past(watch: Page, synthetic: ModuleType, movers: list[Any]) -> None:
    # given the live picture
    drone = the_drone(movers)
    look(watch, TSUSHIMA)
    live = feature(watch, drone.track_id)
    # when the officer asks for ten minutes before, by keyboard
    watch.keyboard.press(",")
    expect(watch.locator(".mz-past button").first).to_be_focused()
    watch.keyboard.press("Tab")
    watch.keyboard.press("Enter")
    watch.wait_for_selector('#map[data-mode="as_of"]')
    # then the drone is where it was, its age is the age at that time, and the screen says which time it is
    then = feature(watch, drone.track_id)
    assert then["lon"] < live["lon"] - 0.05
    assert then["age_s"] < 10
    shown = re.search(r"2026-11-22 08:3[1-5]:\d\d JST", watch.inner_text(".mz-notice"))
    assert shown is not None
    expect(watch.locator(".mz-past strong")).to_contain_text(shown[0])
    expect(watch.locator(".mz-past strong")).to_contain_text("10分前")
    # when they let it run sixty times as fast, then it comes nearer
    watch.get_by_role("button", name="60倍").press("Enter")
    expect(watch.locator(".mz-past strong")).to_contain_text(re.compile(r"現在|(?<!\d)\d分前"))
    # when they write a time, then that is shown, and the run has ended
    watch.fill(".mz-past input[type=datetime-local]", "2026-11-22T07:41")
    expect(watch.locator(".mz-past strong")).to_contain_text("2026-11-22 07:41:00 JST (22:41Z)")
    expect(watch.get_by_role("button", name="60倍")).to_have_attribute("aria-pressed", "false")
    # when they go back, then it is live again
    watch.keyboard.press("Escape")
    watch.wait_for_selector('#map[data-mode="live"]')
    assert feature(watch, drone.track_id)["lon"] >= live["lon"]
    expect(watch.locator(".mz-past")).to_be_hidden()


def test_the_page_hears_of_the_state_of_the_feed(watch: Page, synthetic: ModuleType, movers: list[Any]) -> None:
    look(watch, TSUSHIMA)
    watch.wait_for_function("chosen.some(([id, data]) => id === 'map-status' && data.connected)")
    status = watch.evaluate("mizugiwaMap.status()")
    assert status["tracks"] > 0
    assert status["oldest_age_s"] > 0
    assert status["realm_now_ms"] > 1.7e12


def test_the_map_says_whose_coastline_it_is(watch: Page) -> None:
    assert watch.is_visible("text=© OpenStreetMap contributors")


def test_stale_and_lost_tracks_keep_their_status_and_their_age(
    watch: Page, synthetic: ModuleType, movers: list[Any]
) -> None:
    look(watch, TSUSHIMA)
    shown = watch.evaluate("mizugiwaMap.features()")
    assert {f["status"] for f in shown} >= {1, 2, 3}
    assert all(f["age_s"] >= 590 for f in shown if f["status"] >= 2)


def test_every_word_on_the_map_has_a_text_in_both_languages_and_changes_without_a_reload(
    page: Page, serve: Callable[..., Any], synthetic: ModuleType, movers: list[Any]
) -> None:
    # given a map in Japanese with its legend open
    open_map(page, serve(synthetic.synthetic_console(movers)).url, at=TSUSHIMA)
    page.click(".mz-layers summary")
    japanese = page.inner_text("#map")
    # when the officer chooses English
    english = {k: v for k, v in synthetic.texts("en").items() if k.startswith("map.")}
    page.evaluate("texts => mizugiwaMap.setTexts(texts, 'en')", english)
    # then every word is there in both
    assert "接続済み" in japanese
    assert "Connected" in page.inner_text(".mz-status")
    assert "map." not in japanese + page.inner_text("#map")


def test_a_map_that_the_page_takes_away_closes_its_socket_and_a_new_one_starts(
    page: Page, serve: Callable[..., Any], synthetic: ModuleType, movers: list[Any]
) -> None:
    open_map(page, serve(synthetic.synthetic_console(movers)).url)
    page.evaluate("document.getElementById('map').remove()")
    page.wait_for_function("mizugiwaMap.status() === null")
    page.evaluate("document.body.insertAdjacentHTML('afterbegin', '<div id=map></div>')")
    page.wait_for_function("mizugiwaMap.status()?.tracks > 0")


def test_the_lock_file_pins_every_package_and_names_no_registry(repository: Path) -> None:
    locked = json.loads((repository / "dashboards/map/package-lock.json").read_text("utf-8"))["packages"]
    assert not [name for name, package in locked.items() if "resolved" in package]
    assert not [name for name, package in locked.items() if name and not package.get("integrity")]


def test_the_bundle_is_one_script_one_style_sheet_the_worker_the_symbols_and_the_fonts(bundle: Path) -> None:
    files = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
    assert {
        "mizugiwa-map.js",
        "mizugiwa-map.css",
        "maplibre-gl-worker.mjs",
        "mizugiwa-symbols.mjs",
        "LICENSES.txt",
    } <= files
    licences = (bundle / "LICENSES.txt").read_text("utf-8")
    assert all(name in licences for name in ("maplibre-gl", "@deck.gl/core", "milsymbol", "@fontsource/noto-sans-jp"))
    assert sum(name.endswith(".woff2") for name in files) == 4
    assert {Path(name).suffix for name in files} == {".js", ".css", ".mjs", ".woff2", ".txt"}
    assert "http" not in "".join(
        url.split(")")[0][:8] for url in (bundle / "mizugiwa-map.css").read_text("utf-8").split("url(")[1:]
    ).replace("data:", "")


def test_every_text_that_the_source_names_is_there_in_both_languages(repository: Path, synthetic: ModuleType) -> None:
    import re

    source = "\n".join(path.read_text("utf-8") for path in (repository / "dashboards/map/src").glob("*.ts"))
    named = set(re.findall(r'"(map\.[a-z_.]+[a-z_])"', source))
    for language in ("ja", "en"):
        assert named <= set(synthetic.texts(language))
