"""The console as an officer uses it, in a real browser that may speak to this machine only."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect
from shapely import Point

from command.domain.alert import Severity
from command.store.audit import list_audit
from command.store.engine import shared_session

PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture
def page(browser: Browser, web: Any) -> Iterator[Page]:
    """A page of the console; the test fails where it asks another machine for anything, or a script fails."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    outside: list[str] = []
    broken: list[str] = []
    page.on("request", lambda r: outside.append(r.url) if _outside(r.url) else None)
    page.on("pageerror", lambda error: broken.append(str(error)))
    yield page
    context.close()
    assert not outside
    assert not broken


def _outside(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1"


@pytest.fixture
def enter(page: Page, web: Any, sign_in: Callable[..., None]) -> Callable[[], None]:
    """The first administrator signs in on the page."""
    return lambda: sign_in(page, web.url, login="admin", password=web.first_password)


def test_an_officer_signs_in_and_acknowledges_an_alert_with_the_keyboard_alone(
    page: Page, web: Any, enter: Callable[[], None]
) -> None:
    # given two alerts, the worse one older
    first, second = web.vessel(431000001, 129.3, 34.2, name="KAIYO MARU"), web.vessel(431000002, 129.4, 34.3)
    web.put_tracks([first, second])
    alert = web.raise_alert(first, severity=Severity.CRITICAL)
    web.raise_alert(second, severity=Severity.MEDIUM)
    # when an officer signs in for the first time
    enter()
    # then the page says which realm this is and lists the worst first
    expect(page.locator(".realm strong")).to_contain_text("訓練")
    expect(page.locator("[data-alert]")).to_have_count(2)
    expect(page.locator("[data-alert]").first).to_contain_text("KAIYO MARU")
    # when they go to it and acknowledge it with a comment
    page.keyboard.press("j")
    expect(page.locator("[aria-selected=true]")).to_contain_text("KAIYO MARU")
    expect(page.locator("#detail")).to_contain_text("431000001")
    page.keyboard.press("a")
    expect(page.locator("#ack-comment")).to_be_focused()
    page.keyboard.type("巡視艇に連絡済み")
    page.keyboard.press("Enter")
    # then the store has it, with who and what, and the audit log too
    expect(page.locator("[aria-selected=true]")).to_contain_text("admin")
    kept = web.console.alert(alert.alert_id)
    assert (kept.acknowledged_by, kept.comment) == ("admin", "巡視艇に連絡済み")
    with shared_session(web.engine) as session:
        entries = list_audit(session, limit=5, target=str(alert.alert_id))
    assert [entry.action for entry in entries] == ["alert.acknowledged"]


def test_a_new_alert_neither_moves_nor_unselects_what_the_officer_reads(
    page: Page, web: Any, enter: Callable[[], None]
) -> None:
    # given a list longer than the screen, and an alert in it that is selected
    vessels = [web.vessel(431000000 + i, 129.0 + i / 100, 34.2) for i in range(20)]
    web.put_tracks(vessels)
    for vessel in vessels[:19]:
        web.raise_alert(vessel, severity=Severity.MEDIUM)
    enter()
    expect(page.locator("[data-alert]")).to_have_count(19)
    for _ in range(6):
        page.keyboard.press("ArrowDown")
    selected = page.locator("[aria-selected=true]")
    label, before = selected.get_attribute("data-alert"), selected.bounding_box()
    assert before is not None
    # when a critical alert comes in above it
    web.raise_alert(vessels[19], severity=Severity.CRITICAL)
    expect(page.locator("[data-alert]")).to_have_count(20)
    # then the selected one is where it was, and the new one is announced
    after = selected.bounding_box()
    assert after is not None
    assert abs(after["y"] - before["y"]) < 2
    assert selected.get_attribute("data-alert") == label
    expect(page.locator("#announce")).to_contain_text("緊急")


COUNT_TONES = """
window.tones = 0;
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (at) { window.tones += 1; start.call(this, at); };
"""


def test_a_new_alert_sounds_and_shows_itself_whatever_the_list_is_filtered_to(
    page: Page, web: Any, enter: Callable[[], None], eventually: Callable[..., None]
) -> None:
    # given an officer who looks at medium alerts only
    page.add_init_script(COUNT_TONES)
    first, second = web.vessel(431000001, 129.3, 34.2, name="KAIYO MARU"), web.vessel(431000002, 129.4, 34.3)
    web.put_tracks([first, second])
    web.raise_alert(second, severity=Severity.MEDIUM)
    enter()
    expect(page.locator("[data-alert]")).to_have_count(1)
    page.keyboard.press("3")
    expect(page.locator("[data-chip=medium]")).to_have_attribute("aria-pressed", "true")
    expect(page.locator(".sound")).to_have_attribute("data-sound", "on")
    # when a critical one is raised
    alert = web.raise_alert(first, severity=Severity.CRITICAL)
    # then it shows and sounds, again and again
    note = page.locator(f"[data-note='{alert.alert_id}']")
    expect(note).to_contain_text("KAIYO MARU")
    expect(note).to_contain_text("緊急")
    eventually(lambda: page.evaluate("window.tones") > 4)
    # when it is opened from there
    note.locator(".note-words").click()
    expect(page.locator("#detail")).to_contain_text("KAIYO MARU")
    expect(note).to_have_count(0)
    # when it is muted, then that is kept
    page.keyboard.press("s")
    expect(page.locator("#sound-state")).to_have_text("音 切")
    page.reload()
    expect(page.locator("#sound-state")).to_have_text("音 切")


def test_a_database_that_goes_away_is_told_with_the_age_of_what_is_shown(
    page: Page, web: Any, enter: Callable[[], None]
) -> None:
    # given a console that shows an alert
    vessel = web.vessel(431000001, 129.3, 34.2, name="KAIYO MARU")
    web.put_tracks([vessel])
    web.raise_alert(vessel)
    enter()
    expect(page.locator("[data-alert]")).to_have_count(1)
    # when the database goes away
    web.lose_database()
    # then the page says so and since when, and still shows what it knew
    expect(page.locator("#trouble")).to_contain_text("データベースの応答がありません")
    expect(page.locator("[data-alert]")).to_contain_text("KAIYO MARU")
    expect(page.locator("#health-strip .level-bad")).to_contain_text("応答なし")
    # when it comes back, then the page goes on by itself
    web.restore_database()
    expect(page.locator("#trouble")).to_be_hidden()


def test_the_track_list_finds_a_vessel_by_name_in_english(page: Page, web: Any, enter: Callable[[], None]) -> None:
    web.put_tracks([web.vessel(431000000 + i, 129.0 + i / 100, 34.2, name=f"SHIP {i}") for i in range(30)])
    enter()
    page.click("[data-language=en]")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#alert-note")).to_contain_text("No alert needs you")
    page.keyboard.press("/")
    expect(page.locator("#track-search")).to_be_focused()
    page.keyboard.type("ship 17")
    expect(page.locator(".ag-center-cols-container .ag-row")).to_have_count(1)
    expect(page.locator(".ag-center-cols-container .ag-row")).to_contain_text("SHIP 17")


def _write_rows(page: Page, *rows: str) -> None:
    page.locator('[data-row="0"]').focus()
    for row in rows:
        page.keyboard.type(row)
        page.keyboard.press("Enter")


def test_an_officer_makes_changes_and_retires_an_area_with_the_keyboard_alone(
    page: Page, web: Any, enter: Callable[[], None]
) -> None:
    # given an officer at the console
    enter()
    # when they open the areas, name a new one, and write its corners, one of them wrong
    page.keyboard.press("g")
    expect(page.locator("#area-new")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#area-name-ja")).to_be_focused()
    page.keyboard.type("豊玉沖監視区域")
    page.keyboard.press("Enter")
    page.keyboard.type("Off Toyotama")
    _write_rows(page, "34°22′05″N 129°24′22″E", "34 22.1N 129 37.4E", "95, 129.6", "34.5014, 129.5895")
    # then the wrong row says so beside itself, and saving goes to it and saves nothing
    expect(page.locator("#area-row-2-problem")).to_contain_text("緯度95度は地図の範囲外です")
    page.keyboard.press("Control+s")
    expect(page.locator('[data-row="2"]')).to_be_focused()
    assert web.console.area_book.everything() == []
    # when they mend it and save
    page.keyboard.press("Control+a")
    page.keyboard.type("34.55, 129.65")
    expect(page.locator("#area-row-2-problem")).to_be_hidden()
    expect(page.locator(".area-foot .area-size")).to_contain_text("197 km²")
    page.keyboard.press("Control+s")
    # then it is watched, listed with its size, and drawn
    expect(page.locator("[data-area=off-toyotama]")).to_contain_text("197 km²")
    (area,) = web.console.area_book.everything()
    assert (area.kind.value, area.author, area.geometry.contains(Point(129.59, 34.45))) == ("geofence", "admin", True)
    # when they retire it, which asks, then it is gone from the list and can be brought back
    page.locator("[data-area=off-toyotama]").press("Enter")
    page.locator("#area-retire").press("Enter")
    page.locator("#area-retire-yes").press("Enter")
    expect(page.locator("[data-area]")).to_have_count(0)
    page.locator("#area-retired").press("Space")
    page.locator(".bring-back").press("Enter")
    expect(page.locator("[data-area=off-toyotama] .area-kind")).to_have_text("監視区域")
    assert [version.retired for version in web.console.area_book.versions("off-toyotama")] == [False, True, False]


def test_what_the_mouse_draws_and_drags_is_what_the_table_shows(
    page: Page, web: Any, enter: Callable[[], None]
) -> None:
    # given an editor beside the map
    enter()
    page.wait_for_selector("#map .mz-areas")
    page.click("#map .mz-areas")
    page.click("#area-new")
    canvas = page.locator("#map .maplibregl-canvas").bounding_box()
    assert canvas is not None
    x, y = canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2
    corners = [(x - 120, y - 100), (x + 120, y - 100), (x + 120, y + 100), (x - 120, y + 100)]
    # when the officer draws four corners and closes the outline
    page.click("#area-draw")
    for corner in [*corners, corners[0]]:
        page.mouse.move(*corner, steps=4)
        page.mouse.click(*corner)
    # then the table has a row for each, and the size is told
    expect(page.locator("[data-row]")).to_have_count(4)
    expect(page.locator('[data-row="3"]')).to_have_value(re.compile("″N .*″E"))
    expect(page.locator(".area-foot .area-size")).to_contain_text("km²")
    before = [field.input_value() for field in page.locator("[data-row]").all()]
    # when one corner is dragged, then its row follows and the others stay
    page.mouse.move(*corners[2], steps=4)
    page.mouse.down()
    page.mouse.move(corners[2][0] - 40, corners[2][1] - 30, steps=8)
    page.mouse.up()
    expect(page.locator('[data-row="2"]')).not_to_have_value(before[2])
    after = [field.input_value() for field in page.locator("[data-row]").all()]
    assert sum(a == b for a, b in zip(before, after, strict=True)) == 3
    # then no click went to a track behind the drawing
    assert page.locator("#shell").get_attribute("data-side") == "areas"


def test_two_officers_who_edit_one_area_learn_of_each_other(page: Page, web: Any, enter: Callable[[], None]) -> None:
    # given an area that one officer edits
    with web.signed_in() as other:
        ring = [[129.3, 34.2], [129.4, 34.2], [129.4, 34.3], [129.3, 34.3], [129.3, 34.2]]
        feature = {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {"kind": "geofence", "name_ja": "厳原湾", "name_en": "Izuhara Bay"},
        }
        other.post("/api/areas", json=feature)
        enter()
        page.keyboard.press("g")
        page.click("[data-area=izuhara-bay]")
        page.fill("#area-name-ja", "厳原港")
        # when another saves it first
        feature["properties"] = {"kind": "area_of_interest", "name_ja": "厳原湾", "name_en": "Izuhara Bay"}
        assert other.put("/api/areas/izuhara-bay", json=feature, headers={"If-Match": '"1"'}).status_code == 200
    page.keyboard.press("Control+s")
    # then the second is told who changed what, and can keep their own on purpose
    expect(page.locator(".area-foot .error")).to_contain_text("変更点: 種別")
    assert [version.version for version in web.console.area_book.versions("izuhara-bay")] == [2, 1]
    page.get_by_role("button", name="自分の変更を優先").click()
    page.keyboard.press("Control+s")
    expect(page.locator("[data-area=izuhara-bay]")).to_contain_text("厳原港")
    assert [version.author[:7] for version in web.console.area_book.versions("izuhara-bay")] == [
        "admin",
        "officer",
        "officer",
    ]


def test_a_file_of_areas_is_tried_before_it_is_brought_in(page: Page, web: Any, enter: Callable[[], None]) -> None:
    rows = ["name_ja,name_en,kind,position", "厳原湾,Bay,geofence,34.2 129.3", "厳原湾,Bay,geofence,34.2 129.4"]
    enter()
    page.keyboard.press("g")
    page.locator(".area-files summary").press("Enter")

    def choose(last: str) -> None:
        table = "\n".join([*rows, f"厳原湾,Bay,geofence,{last}"]).encode("cp932")
        page.set_input_files("#area-file", files=[{"name": "areas.csv", "mimeType": "text/csv", "buffer": table}])

    # when a file has a wrong line, then the line is told and there is nothing to bring in
    choose("95 129.4")
    expect(page.locator(".area-import")).to_contain_text("4行目")
    expect(page.locator(".area-import .wrong")).to_contain_text("緯度95度は地図の範囲外です")
    expect(page.locator("#area-file-take")).to_be_hidden()
    # when it is mended, then what it would do is shown, and done on request only
    choose("34.3 129.4")
    expect(page.locator(".area-import")).to_contain_text("新規")
    assert web.console.area_book.everything() == []
    page.locator("#area-file-take").press("Enter")
    expect(page.locator("[data-area=bay]")).to_contain_text("厳原湾")


def test_a_shape_too_detailed_for_the_table_keeps_it_when_it_is_renamed(
    page: Page, web: Any, enter: Callable[[], None]
) -> None:
    ring = [[129.3 + math.cos(i / 500) / 10, 34.2 + math.sin(i / 500) / 10] for i in range(3_000)]
    feature = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"kind": "geofence", "name_ja": "沿岸", "name_en": "Coast"},
    }
    with web.signed_in() as other:
        assert other.post("/api/areas", json=feature).status_code == 201
    enter()
    page.keyboard.press("g")
    page.click("[data-area=coast]")
    expect(page.locator(".area-editor .empty")).to_contain_text("3000点")
    page.fill("#area-name-ja", "沿岸部")
    page.keyboard.press("Control+s")
    expect(page.locator("[data-area=coast]")).to_contain_text("沿岸部")
    renamed, drawn = web.console.area_book.versions("coast")
    assert (renamed.name_ja, renamed.geometry) == ("沿岸部", drawn.geometry)
