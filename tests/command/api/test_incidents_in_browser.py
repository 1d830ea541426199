"""Incidents as officers work on them, in real browsers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from command.domain.people import Role


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
    page.keyboard.press("Enter")  # and to nobody: the form says so, and puts the cursor there
    expect(page.locator("#incident-task-error")).to_contain_text("指示先")
    expect(page.locator("#incident-task-assignee")).to_be_focused()
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


def test_an_incident_is_opened_upon_the_map_which_shows_at_once_what_another_officer_changes(
    page: Page, web: Any, enter: Callable[[], None], until: Callable[..., None]
) -> None:
    # given an incident with a place, and the map upon it
    opening = {"type": "other", "title": "漂流物", "severity": "low", "position": {"lon": 129.3, "lat": 34.2}}
    enter()
    until("mizugiwaMap.status()?.connected")
    with web.signed_in() as colleague:
        made = colleague.post("/api/incidents", json=opening).json()
        page.evaluate("mizugiwaMap.focus({lon: 129.3, lat: 34.2, zoom: 11})")

        def say(words: str) -> None:
            for _ in range(200):
                box = page.locator("#map").bounding_box()
                assert box is not None
                page.mouse.move(box["x"] + 5, box["y"] + box["height"] / 2)
                page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + 27)
                if page.locator(".mz-tip").is_visible() and words in page.inner_text(".mz-tip"):
                    return
                page.wait_for_timeout(50)
            pytest.fail(f"the mark does not say {words!r}")

        # when its mark is clicked, then the drawer has it, and its tab is open on the left
        say("認知")
        page.mouse.down()
        page.mouse.up()
        expect(page.locator("#incident-head")).to_contain_text(made["number"])
        expect(page.locator("#tab-incidents")).to_have_attribute("aria-selected", "true")
        # when the colleague takes it up, then the mark says so without a reload
        took = colleague.post(
            f"/api/incidents/{made['incident_id']}/state",
            json={"state": "responding"},
            headers={"If-Match": f'"{made["revision"]}"'},
        )
        assert took.status_code == 200
        say("対応中")


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
    expect(page.locator("#incident-form-error")).to_contain_text("件名")
    page.keyboard.press("Escape")
    expect(page.locator("#incident-form")).to_be_hidden()
    page.keyboard.press("w")
    expect(page.locator("#alert-list")).to_be_focused()
    expect(page.locator("#alert-list [aria-selected=true]")).to_contain_text("KAIYO MARU")
