"""Facilities as officers look them up, bring them in and retire them, in a real browser."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from command.domain.facility import FacilityKind, FacilityOrigin
from command.domain.geo import Position
from command.store.engine import shared_session
from command.store.facilities import put_facility, save_shipped
from maps.reference import reference_facilities


@pytest.fixture
def shipped(web: Any, eventually: Callable[..., None]) -> None:
    with shared_session(web.engine) as session:
        save_shipped(session, reference_facilities(), 1)
    eventually(lambda: web.console.facilities)


def test_an_officer_finds_a_facility_by_keyboard_and_sees_what_is_near_it(
    page: Page, web: Any, enter: Callable[[], None], shipped: None
) -> None:
    # given an alert off Izuhara, and one far away
    near, far = web.vessel(431000001, 129.32, 34.2, name="KAIYO MARU"), web.vessel(431000002, 135.0, 34.2)
    web.put_tracks([near, far])
    alert = web.raise_alert(near)
    web.raise_alert(far)
    enter()
    # when the officer opens the list, narrows it down and takes one
    page.keyboard.press("b")
    expect(page.locator("#facility-filter")).to_be_focused()
    expect(page.locator("[data-facility]")).to_have_count(len(reference_facilities()))
    page.keyboard.type("どこにもない")
    expect(page.locator("[data-facility]")).to_have_count(0)
    page.keyboard.press("Escape")
    page.keyboard.type("厳原")
    for key in ("ArrowDown", "ArrowDown", "ArrowDown", "ArrowUp"):
        page.keyboard.press(key)
    expect(page.locator('[data-facility="customs-branch-izuhara"]')).to_be_focused()
    page.keyboard.press("Enter")
    # then its facts are there, with where they are from, and the alert that is near, but no act on what is shipped
    drawer = page.locator("#facility")
    expect(drawer).to_contain_text("対馬市")
    expect(drawer).to_contain_text("製品付属")
    expect(drawer.locator(".where")).to_contain_text("34°")
    expect(drawer.locator("[data-near-alert]")).to_have_count(1)
    expect(drawer.locator("[data-near-alert]")).to_contain_text("KAIYO MARU")
    expect(page.locator("#facility-retire")).to_have_count(0)
    # when they go on to the alert
    drawer.locator(f'[data-near-alert="{alert.alert_id}"]').press("Enter")
    expect(page.locator("#detail")).to_contain_text("監視区域への進入")
    # then the list is where it was
    page.keyboard.press("b")
    expect(page.locator("#facility-filter")).to_have_value("厳原")
    expect(page.locator("#facility-filter")).to_be_visible()


def test_a_file_is_tried_taken_and_one_of_it_retired_and_brought_back(
    page: Page, web: Any, enter: Callable[[], None], shipped: None
) -> None:
    enter()
    page.keyboard.press("b")
    page.locator(".facilities-panel .place-files summary").press("Enter")
    # when a file with a mistake is chosen, then the line and what is wrong are told, and nothing is taken
    table = "name_ja,name_en,kind,lat,lon\n第一保税倉庫,Depot,保税地域,34.2,129.3\n監視所,,lookout,95,129.3\n"
    file = {"name": "own.csv", "mimeType": "text/csv"}
    page.set_input_files("#facility-file", files=[{**file, "buffer": table.encode()}])
    expect(page.locator(".facilities-panel .place-import")).to_contain_text("3行目")
    expect(page.locator("#facility-file-take")).to_be_hidden()
    # when it is mended, looked at and taken
    page.set_input_files("#facility-file", files=[{**file, "buffer": table.replace("95", "34.6").encode()}])
    expect(page.locator(".facilities-panel .place-import")).to_contain_text("保税地域 34°12′00.0″N 129°18′00.0″E")
    page.locator("#facility-file-take").press("Enter")
    # then it is in the list, and can be retired after a question
    page.locator('[data-facility="depot"]').press("Enter")
    expect(page.locator("#facility")).to_contain_text("取り込み")
    page.locator("#facility-retire").press("Enter")
    page.locator("#facility-retire-no").press("Enter")
    page.locator("#facility-retire").press("Enter")
    page.locator("#facility-retire-yes").press("Enter")
    expect(page.locator("#facility-restore")).to_have_text("復活する(第1版)")
    page.locator("#facility-back").press("Enter")
    expect(page.locator("[data-facility]")).to_have_count(len(reference_facilities()) + 1)
    # and brought back from among the retired
    page.locator("#facility-retired").press("Space")
    page.locator('[data-facility="depot"]').press("Enter")
    page.locator("#facility-restore").press("Enter")
    expect(page.locator("#facility-retire")).to_be_visible()
    assert [version.retired for version in web.console.facility_book.versions("depot")] == [False, True, False]


def test_what_another_brings_in_is_on_the_map_and_opens_by_a_click(
    page: Page, web: Any, enter: Callable[[], None], eventually: Callable[..., None]
) -> None:
    # given a console that looks at the sea off Tsushima
    enter()
    page.wait_for_function("window.mizugiwaMap.status()?.connected")
    page.evaluate("window.mizugiwaMap.focus({ lon: 129.3, lat: 34.2, zoom: 11 })")
    # when another process adds a facility in the middle of it
    own = dataclasses.replace(
        reference_facilities()[0],
        facility_id="depot",
        kind=FacilityKind.BONDED_AREA,
        name_ja="第一保税倉庫",
        position=Position(lon=129.3, lat=34.2),
    )
    with shared_session(web.engine) as session:
        put_facility(session, own, FacilityOrigin.IMPORTED, "elsewhere", 1)
    eventually(lambda: web.console.facilities)
    canvas = page.locator("#map .maplibregl-canvas").bounding_box()
    assert canvas is not None
    middle = canvas["x"] + canvas["width"] / 2, canvas["y"] + canvas["height"] / 2

    def opened() -> bool:
        page.mouse.click(*middle)
        return "第一保税倉庫" in (page.locator("#facility").text_content(timeout=5_000) or "")

    # then a click on it opens its facts
    eventually(opened, within_s=60.0, every_s=0.5)
