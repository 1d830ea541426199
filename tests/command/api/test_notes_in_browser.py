"""Notes as two officers write them upon the map, in real browsers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from command.domain.people import Role


@pytest.fixture
def other(other: Page, web: Any, sign_in: Callable[..., None]) -> Page:
    """Another officer's browser, with the notes open."""
    first = web.accounts.create("suzuki", "鈴木", frozenset({Role.OFFICER}), by="test")
    sign_in(other, web.url, login="suzuki", password=first)
    expect(other.locator("#map[data-connection=connected]")).to_be_visible()
    other.keyboard.press(";")
    expect(other.locator(".mz-notes")).to_contain_text("書き込みはまだありません")
    return other


def test_a_note_is_written_by_keyboard_and_no_change_of_it_is_lost(
    page: Page, web: Any, enter: Callable[[], None], other: Page
) -> None:
    enter()
    expect(page.locator("#map[data-connection=connected]")).to_be_visible()
    rows, others = page.locator(".mz-notes .mz-picked button"), other.locator(".mz-notes .mz-picked button")
    # when a note is written with the keyboard alone, its place as coordinates, of which the first cannot be read
    page.keyboard.press(";")
    expect(page.locator(".mz-notes [data-does=new]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".mz-note textarea")).to_be_focused()
    page.keyboard.insert_text("定置網あり")
    page.keyboard.press("Tab")
    for place in ("どこか", "34°12′N 129°18′E"):
        page.keyboard.press("Control+a")
        page.keyboard.insert_text(place)
        page.keyboard.press("Enter")
        if place == "どこか":
            expect(page.locator(".mz-notes .mz-said")).to_contain_text("「どこか」を座標として読めません")
            expect(page.locator(".mz-note input")).to_be_focused()
    # then both officers have it, with who wrote it
    expect(rows).to_have_count(1)
    expect(others).to_contain_text("定置網あり")
    expect(others).to_contain_text("記入 admin")
    (note,) = web.console.notes
    assert (note.position.lon, note.position.lat) == pytest.approx((129.3, 34.2), abs=1e-5)
    # when both change it, the second one is told what the first one made of it, keeps what was typed, and saves again
    others.first.click()
    rows.first.click()
    page.fill(".mz-note textarea", "定置網あり(灯火なし)")
    page.click(".mz-notes [data-does=save]")
    expect(page.locator(".mz-notes .mz-said")).to_contain_text("保存しました")
    other.fill(".mz-note textarea", "定置網 撤去済み")
    other.click(".mz-notes [data-does=save]")
    expect(other.locator(".mz-notes .mz-said")).to_contain_text("admin")
    expect(other.locator(".mz-notes .mz-said")).to_contain_text("灯火なし")
    expect(other.locator(".mz-note textarea")).to_have_value("定置網 撤去済み")
    other.click(".mz-notes [data-does=save]")
    expect(rows).to_contain_text("撤去済み")
    expect(rows).to_contain_text("変更 suzuki")


def test_a_sheet_on_the_map_is_opened_moved_removed_and_brought_back(
    page: Page, web: Any, enter: Callable[[], None], until: Callable[..., None], other: Page
) -> None:
    with web.signed_in() as officer:
        written = {"text": "定置網 撤去済み", "position": {"lon": 129.3, "lat": 34.2}}
        officer.post("/api/notes", json=written).raise_for_status()
    others = other.locator(".mz-notes .mz-picked button")
    enter()
    expect(page.locator("#map[data-connection=connected]")).to_be_visible()
    # when its sheet is pressed on the map, then it is opened
    page.evaluate("mizugiwaMap.focus({lon: 129.3, lat: 34.2, zoom: 11})")
    until("location.hash.includes(',11.00')")
    box = page.locator("#map").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(middle[0] + 90, middle[1])
    page.mouse.move(*middle)
    expect(page.locator(".mz-tip")).to_contain_text("撤去済み")
    page.mouse.down()
    page.mouse.up()
    expect(page.locator(".mz-note textarea")).to_have_value("定置網 撤去済み")
    # and while it is open a click elsewhere moves it
    page.mouse.click(middle[0] + 80, middle[1] - 40)
    expect(page.locator(".mz-note input")).not_to_have_value("34°12′00.0″N 129°18′00.0″E")
    # when it is removed, then it is gone for both, and Undo brings it back
    page.click(".mz-notes [data-does=remove]")
    expect(others).to_have_count(0)
    expect(page.locator(".mz-notes [data-does=undo]")).to_be_focused()
    page.keyboard.press("Enter")
    expect(others).to_contain_text("撤去済み")
    # and Escape in the panel leaves everything else of the page as it is
    page.keyboard.press("Escape")
    expect(page.locator(".mz-notes")).to_be_hidden()


def test_who_may_only_read_has_the_notes_and_no_way_to_write(
    page: Page, web: Any, sign_in: Callable[..., None]
) -> None:
    with web.signed_in() as officer:
        written = {"text": "漂流ロープ", "position": {"lon": 129.3, "lat": 34.2}}
        officer.post("/api/notes", json=written).raise_for_status()
    first = web.accounts.create("reader", "監査", frozenset({Role.AUDITOR}), by="test")
    sign_in(page, web.url, login="reader", password=first)
    page.keyboard.press(";")
    expect(page.locator(".mz-notes .mz-picked button")).to_contain_text("漂流ロープ")
    assert page.locator(".mz-notes [data-does=new]").count() == 0
    page.locator(".mz-notes .mz-picked button").click()
    expect(page.locator(".mz-note")).to_be_hidden()
