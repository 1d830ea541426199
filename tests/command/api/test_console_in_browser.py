"""The console as an officer uses it, in a real browser that may speak to this machine only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from command.domain.alert import Severity
from command.store.audit import list_audit
from command.store.engine import shared_session

OWN = "a long phrase of the watch 7"
PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        browser.close()


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


def _sign_in(page: Page, web: Any) -> None:
    page.goto(f"{web.url}/login")
    page.fill("#login", "admin")
    page.fill("#password", web.first_password)
    page.keyboard.press("Enter")
    page.fill("#current", web.first_password)
    page.fill("#new", OWN)
    page.fill("#again", OWN)
    page.keyboard.press("Enter")
    page.wait_for_selector("#clock-jst:not(:empty)")


def test_an_officer_signs_in_and_acknowledges_an_alert_with_the_keyboard_alone(
    page: Page, web: Any, eventually: Callable[..., None]
) -> None:
    # given two alerts, the worse one older
    first, second = web.vessel(431000001, 129.3, 34.2, name="KAIYO MARU"), web.vessel(431000002, 129.4, 34.3)
    web.put_tracks([first, second])
    alert = web.raise_alert(first, severity=Severity.CRITICAL)
    web.raise_alert(second, severity=Severity.MEDIUM)
    # when an officer signs in for the first time
    _sign_in(page, web)
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


def test_a_new_alert_neither_moves_nor_unselects_what_the_officer_reads(page: Page, web: Any) -> None:
    # given a list longer than the screen, and an alert in it that is selected
    vessels = [web.vessel(431000000 + i, 129.0 + i / 100, 34.2) for i in range(20)]
    web.put_tracks(vessels)
    for vessel in vessels[:19]:
        web.raise_alert(vessel, severity=Severity.MEDIUM)
    _sign_in(page, web)
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


def test_a_database_that_goes_away_is_told_with_the_age_of_what_is_shown(page: Page, web: Any) -> None:
    # given a console that shows an alert
    vessel = web.vessel(431000001, 129.3, 34.2, name="KAIYO MARU")
    web.put_tracks([vessel])
    web.raise_alert(vessel)
    _sign_in(page, web)
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


def test_the_track_list_finds_a_vessel_by_name_in_english(page: Page, web: Any) -> None:
    web.put_tracks([web.vessel(431000000 + i, 129.0 + i / 100, 34.2, name=f"SHIP {i}") for i in range(30)])
    _sign_in(page, web)
    page.click("[data-language=en]")
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.locator("#alert-note")).to_contain_text("No alert needs you")
    page.keyboard.press("/")
    expect(page.locator("#track-search")).to_be_focused()
    page.keyboard.type("ship 17")
    expect(page.locator(".ag-center-cols-container .ag-row")).to_have_count(1)
    expect(page.locator(".ag-center-cols-container .ag-row")).to_contain_text("SHIP 17")


def test_every_text_of_the_console_is_readable_in_all_three_palettes(page: Page, web: Any, repository: Path) -> None:
    # given a console with an alert of each severity
    contrast_js = (repository / "tests/contrast.js").read_text("utf-8")
    vessels = [web.vessel(431000001 + i, 129.3 + i / 10, 34.2) for i in range(4)]
    web.put_tracks(vessels)
    for vessel, severity in zip(vessels, Severity, strict=True):
        web.raise_alert(vessel, severity=severity)
    _sign_in(page, web)
    expect(page.locator("[data-alert]")).to_have_count(4)
    page.wait_for_selector(".mz-chip")
    grounds = {"day": [226, 237, 245], "dusk": [10, 20, 32], "night": [4, 8, 12]}
    poor: list[Any] = []

    def read() -> None:
        for palette, sea in grounds.items():
            page.evaluate("palette => { document.documentElement.dataset.palette = palette }", palette)
            poor.extend([palette, *text] for text in page.evaluate(contrast_js, sea))

    # when the officer goes through alerts, drawer, acknowledging, track list, help and health
    page.keyboard.press("j")
    expect(page.locator("#detail .where")).to_be_visible()
    page.keyboard.press("a")
    expect(page.locator("#ack-comment")).to_be_focused()
    read()
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    expect(page.locator(".ag-center-cols-container .ag-row")).to_have_count(4)
    for key in ("?", "h"):
        page.keyboard.press(key)
        expect(page.locator(".mantine-Modal-content")).to_be_visible()
        read()
        page.keyboard.press("Escape")
        expect(page.locator(".mantine-Modal-content")).to_have_count(0)
    # then every text stands out as WCAG 1.4.3 asks
    assert poor == []
