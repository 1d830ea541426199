"""What teams answered, in a real browser: in the list, in the drawer, and recorded by an officer for a team."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from command.i18n import text


def test_an_officer_records_what_a_team_said_by_radio_and_the_drawer_tells_who_answered_what_and_when(
    page: Page, web: Any, enter: Callable[[], None]
) -> None:
    # given an alert that one team has taken
    track = web.vessel(431000001, 129.3, 34.2)
    web.put_tracks([track])
    at = f"/api/alerts/{web.raise_alert(track).alert_id}/responses"
    said = {
        "team": "tsushima",
        "kind": "accept",
        "revision": 1,
        "responder": "巡視艇あかつき",
        "comment": "03:40 現着予定",
    }
    with web.signed_in() as officer:
        assert officer.post(at, json=said).status_code == 200
    enter()
    # then the list says so, and the drawer with the words
    expect(page.locator("#alert-list .flag.stands-accepted")).to_contain_text("tsushima 出動")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("#detail .responses .stands-accepted")).to_contain_text("巡視艇あかつき: 03:40 現着予定")
    # when the officer records what the other team says by radio, first without the reason
    page.click("#alert-acts [data-act=respond]")
    expect(page.locator("#respond-team")).to_be_focused()
    page.select_option("#respond-team", "duty")
    page.select_option("#respond-kind", "decline")
    page.fill("#respond-responder", "宿直 森")
    page.click("#respond-form-send")
    expect(page.locator("#respond-form-error")).to_have_text(text("ja", "response.why.comment_needed_decline"))
    page.fill("#respond-comment", "荒天のため出港できず")
    page.click("#respond-form-send")
    # then both stand in the drawer, and the history says by which way they came
    expect(page.locator("#detail .responses .stands-declined")).to_contain_text("宿直 森: 荒天のため出港できず")
    page.click("#detail .answers summary")
    expect(page.locator("#detail .answers li")).to_have_count(2)
    expect(page.locator("#detail .answers li .way").first).to_have_text("当直卓で記録(admin)")
    expect(page.locator("#alert-list .flag.stands-declined")).to_contain_text("duty 対応不可")
