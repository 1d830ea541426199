"""The tour of the console, in a real browser: offered once, by keyboard, and never before a critical alert."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from command.domain.alert import Severity
from dashboards.tour import STEPS


def test_a_person_is_offered_the_tour_once_and_goes_through_it_by_keyboard(
    page: Page, web: Any, enter: Callable[[], None]
) -> None:
    # given somebody's first visit: the offer takes neither focus nor key
    enter()
    page.wait_for_selector("#map .mz-areas")
    expect(page.locator("#tour-offer")).to_be_visible()
    page.keyboard.press("b")
    expect(page.locator("#facilities-panel")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    # when they take it
    page.locator("#tour-take").press("Enter")
    # then it is a dialog that has the focus and keeps it, and the page's own keys do nothing
    card = page.get_by_role("dialog", name="どの運用区分か")
    expect(card).to_be_visible()
    expect(page.locator("#tour-next")).to_be_focused()
    page.keyboard.press("t")
    expect(page.locator("#track-grid")).to_be_hidden()
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(page.locator("#tour-next")).to_be_focused()
    titles = []
    for n in range(len(STEPS)):
        expect(page.locator("#tour-step")).to_have_text(f"{n + 1} / {len(STEPS)}")
        titles.append(page.locator("#tour-title").text_content())
        box = page.locator("#tour-card").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 1440
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= 900
        page.keyboard.press("ArrowRight" if n % 2 else "Enter")
    assert len(set(titles)) == len(STEPS)
    # and after the last step it is over, and not offered again
    expect(page.locator("#tour")).to_be_hidden()
    page.reload()
    page.wait_for_selector("#shell[data-started=true]")
    expect(page.locator("#tour-offer")).to_be_hidden()
    # but it can be called again from the help, goes back and forth, and Escape ends it
    page.keyboard.press("?")
    page.locator("#tour-start").press("Enter")
    expect(page.locator("#tour-next")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tour-title")).to_have_text("警報の一覧")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#tour-title")).to_have_text("どの運用区分か")
    page.keyboard.press("Escape")
    expect(page.locator("#tour")).to_be_hidden()
    expect(page.locator("#help-open")).to_be_focused()


def test_the_tour_gives_way_to_a_critical_alert(page: Page, web: Any, enter: Callable[[], None]) -> None:
    # given somebody on the tour
    vessel = web.vessel(431000001, 129.3, 34.2, name="KAIYO MARU")
    web.put_tracks([vessel])
    enter()
    page.locator("#tour-take").click()
    expect(page.locator("#tour-card")).to_be_visible()
    # when a critical alert comes
    web.raise_alert(vessel, severity=Severity.CRITICAL)
    # then the tour is out of its way, and says so
    expect(page.locator("#tour")).to_be_hidden()
    expect(page.locator("#toast")).to_contain_text("緊急警報のため案内を中断しました")
    # and is not begun before the alert is acknowledged
    page.keyboard.press("?")
    page.locator("#tour-start").press("Enter")
    expect(page.locator("#toast")).to_contain_text("先に確認してください")
    expect(page.locator("#tour")).to_be_hidden()
    page.keyboard.press("j")
    page.keyboard.press("a")
    page.keyboard.press("Enter")
    expect(page.locator('#alert-list [data-waiting="false"]')).to_have_count(1)
    page.keyboard.press("?")
    page.locator("#tour-start").press("Enter")
    expect(page.locator("#tour-card")).to_be_visible()
