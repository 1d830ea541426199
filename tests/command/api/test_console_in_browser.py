"""The console as an officer uses it, in a real browser that may speak to this machine only."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from command.domain.alert import Severity
from command.store.audit import list_audit
from command.store.engine import shared_session


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
    expect(page.locator("[role=option][aria-selected=true]")).to_contain_text("KAIYO MARU")
    expect(page.locator("#detail")).to_contain_text("431000001")
    page.keyboard.press("a")
    expect(page.locator("#ack-comment")).to_be_focused()
    page.keyboard.type("巡視艇に連絡済み")
    page.keyboard.press("Enter")
    # then the store has it, with who and what, and the audit log too
    expect(page.locator("[role=option][aria-selected=true]")).to_contain_text("admin")
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
    selected = page.locator("[role=option][aria-selected=true]")
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
    page.keyboard.press(".")
    expect(page.locator("#track-search")).to_be_focused()
    page.keyboard.type("ship 17")
    expect(page.locator(".ag-center-cols-container .ag-row")).to_have_count(1)
    expect(page.locator(".ag-center-cols-container .ag-row")).to_contain_text("SHIP 17")


def test_every_text_of_the_console_is_readable_in_all_three_palettes(
    page: Page, web: Any, enter: Callable[[], None], repository: Path
) -> None:
    # given a console with an alert of each severity
    contrast_js = (repository / "tests/contrast.js").read_text("utf-8")
    vessels = [web.vessel(431000001 + i, 129.3 + i / 10, 34.2) for i in range(4)]
    web.put_tracks(vessels)
    for vessel, severity in zip(vessels, Severity, strict=True):
        web.raise_alert(vessel, severity=severity)
    enter()
    expect(page.locator("[data-alert]")).to_have_count(4)
    page.wait_for_selector(".mz-chip")
    grounds = {"day": [226, 237, 245], "dusk": [10, 20, 32], "night": [4, 8, 12]}
    poor: list[Any] = []

    def read() -> None:
        for palette, sea in grounds.items():
            page.evaluate("palette => { document.documentElement.dataset.palette = palette }", palette)
            poor.extend([palette, *text] for text in page.evaluate(contrast_js, sea))

    # when the officer goes through alerts, drawer, acknowledging, areas, incidents, track list, help and health
    page.keyboard.press("j")
    expect(page.locator("#detail .where")).to_be_visible()
    page.keyboard.press("a")
    expect(page.locator("#ack-comment")).to_be_focused()
    read()
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    expect(page.locator("#areas-panel")).to_be_visible()
    page.keyboard.press("c")
    read()
    page.keyboard.press("w")
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
