"""The console as an officer uses it, in a real browser that may speak to this machine only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from command.domain.alert import Severity
from command.domain.people import Role
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
    page.keyboard.press("/")
    expect(page.locator("#track-search")).to_be_focused()
    page.keyboard.type("ship 17")
    expect(page.locator(".ag-center-cols-container .ag-row")).to_have_count(1)
    expect(page.locator(".ag-center-cols-container .ag-row")).to_contain_text("SHIP 17")


@pytest.fixture
def other(browser: Browser) -> Iterator[Page]:
    """Another officer's browser."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


@pytest.fixture
def enter_too(other: Page, web: Any, sign_in: Callable[..., None]) -> Callable[[], None]:
    """The other officer signs in and looks at the incidents."""

    def enter() -> None:
        first = web.accounts.create("suzuki", "鈴木", frozenset({Role.OFFICER}), by="test")
        sign_in(other, web.url, login="suzuki", password=first)
        other.keyboard.press("c")
        expect(other.locator("#tab-incidents")).to_have_attribute("aria-selected", "true")

    return enter


def test_an_officer_opens_an_incident_by_keyboard_and_a_second_one_sees_it_at_once(
    page: Page, other: Page, web: Any, enter: Callable[[], None], enter_too: Callable[[], None]
) -> None:
    # given an alert, and a second officer who looks at the incidents
    vessel = web.vessel(431000001, 129.3, 34.2, name="KAIYO MARU")
    web.put_tracks([vessel])
    alert = web.raise_alert(vessel)
    enter()
    expect(page.locator("[data-alert]")).to_have_count(1)
    enter_too()
    # when the first one opens an incident from the alert, with what the alert says of it
    page.keyboard.press("j")
    page.keyboard.press("i")
    expect(page.locator("#incident-type")).to_be_focused()
    expect(page.locator("#incident-title")).to_have_value("監視区域への進入 KAIYO MARU")
    expect(page.locator("#incident-severity")).to_have_value("high")
    page.keyboard.press("Enter")
    expect(page.locator("#incident-state")).to_have_text("認知")
    # then the second one's list has it without a reload, and the alert names it
    expect(other.locator("#incident-list [data-incident]")).to_contain_text("KAIYO MARU")
    expect(other.locator("#tab-incidents-count")).to_have_text("1")
    other.keyboard.press("j")
    expect(other.locator("#incident-head")).to_contain_text("-0001")
    expect(page.locator(f"#alert-{alert.alert_id}")).to_contain_text("事案")
    # when a task is given and a comment is written, all by keyboard
    page.keyboard.press("o")
    expect(page.locator("#incident-task-title")).to_be_focused()
    page.keyboard.type("臨検の準備")
    page.keyboard.press("Tab")
    page.keyboard.type("対馬班")
    page.keyboard.press("Enter")
    expect(page.locator(".task")).to_contain_text("対馬班")
    page.keyboard.press("m")
    page.keyboard.type("無線で交信")
    page.keyboard.press("Enter")
    expect(page.locator("#incident-comment")).to_have_value("")
    # then the second screen shows both, and the log has every act once
    expect(other.locator(".task")).to_contain_text("臨検の準備")
    expect(other.locator("#incident-log .said")).to_have_text("無線で交信")
    (incident,) = web.console.incidents
    log = web.console.desk.log(incident.incident_id, limit=50, language="ja")
    assert [event.kind.value for _, event in log] == ["commented", "task_given", "opened"]
    assert incident.cited.alerts == (alert.alert_id,)


def test_an_act_on_an_older_picture_is_answered_with_what_changed_and_may_then_be_done(
    page: Page, other: Page, web: Any, enter: Callable[[], None], enter_too: Callable[[], None]
) -> None:
    # given two officers who look at the same incident with an open task
    enter()
    page.keyboard.press("c")
    page.keyboard.press("i")
    page.fill("#incident-title", "漂流物")
    page.keyboard.press("Enter")
    expect(page.locator("#incident-state")).to_have_text("認知")
    page.keyboard.press("o")
    page.keyboard.type("確認")
    page.keyboard.press("Tab")
    page.keyboard.type("対馬班")
    page.keyboard.press("Enter")
    expect(page.locator(".task")).to_have_count(1)
    enter_too()
    other.keyboard.press("j")
    expect(other.locator(".task")).to_have_count(1)
    # when the first moves it on, then the focus is on a step that there is
    page.focus("#step-responding")
    page.keyboard.press("Enter")
    expect(page.locator("#incident-state")).to_have_text("対応中")
    expect(page.locator("#incident .steps button").first).to_be_focused()
    expect(other.locator("#incident-state")).to_have_text("対応中")
    # when the second is giving a reason for the next step while the first sees the task done
    other.focus("#step-monitoring")
    other.keyboard.press("Enter")
    expect(other.locator("#incident-why-reason")).to_be_focused()
    page.locator(".task [data-step=done]").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".task.over")).to_have_count(1)
    other.keyboard.type("静観")
    other.keyboard.press("Enter")
    # then they are told what changed, nothing is lost, and they may go on from there
    expect(other.locator("#incident-why-error")).to_contain_text("指示の進捗")
    expect(page.locator("#incident-state")).to_have_text("対応中")
    other.keyboard.press("Enter")
    expect(page.locator("#incident-state")).to_have_text("経過監視")
    expect(other.locator("#incident-log li").first).to_contain_text("静観")


def test_the_tabs_on_the_left_go_by_arrows_and_keep_each_list_as_it_is(
    page: Page, web: Any, enter: Callable[[], None]
) -> None:
    vessel = web.vessel(431000001, 129.3, 34.2, name="KAIYO MARU")
    web.put_tracks([vessel])
    web.raise_alert(vessel)
    enter()
    page.keyboard.press("j")
    page.focus("#tab-alerts")
    page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-incidents")).to_be_focused()
    expect(page.locator("#left-alerts")).to_be_hidden()
    expect(page.locator("#incident-note")).to_contain_text("進行中の事案はありません")
    # a new incident without an alert asks for a title, and Escape takes the form away again
    page.keyboard.press("i")
    expect(page.locator("#incident-form-from")).to_contain_text("警報によらない")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#incident-form-error")).to_contain_text("title")
    page.keyboard.press("Escape")
    expect(page.locator("#incident-form")).to_be_hidden()
    page.keyboard.press("w")
    expect(page.locator("#alert-list")).to_be_focused()
    expect(page.locator("#alert-list [aria-selected=true]")).to_contain_text("KAIYO MARU")
