"""Areas as an officer edits them, in a real browser."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect
from shapely import Point


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
    page.locator(".areas-panel .place-files summary").press("Enter")

    def choose(last: str) -> None:
        table = "\n".join([*rows, f"厳原湾,Bay,geofence,{last}"]).encode("cp932")
        page.set_input_files("#area-file", files=[{"name": "areas.csv", "mimeType": "text/csv", "buffer": table}])

    # when a file has a wrong line, then the line is told and there is nothing to bring in
    choose("95 129.4")
    expect(page.locator(".areas-panel .place-import")).to_contain_text("4行目")
    expect(page.locator(".areas-panel .place-import .wrong")).to_contain_text("緯度95度は地図の範囲外です")
    expect(page.locator("#area-file-take")).to_be_hidden()
    # when it is mended, then what it would do is shown, and done on request only
    choose("34.3 129.4")
    expect(page.locator(".areas-panel .place-import")).to_contain_text("新規")
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
