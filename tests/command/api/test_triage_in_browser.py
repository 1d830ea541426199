"""Triage of many alerts in a real browser, by keyboard and by mouse."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import shapely
from playwright.sync_api import Page, expect

from command.domain.alert import Alert, Finding, FindingKind, Severity
from command.domain.area import AreaKind
from command.domain.clock import US_PER_S
from command.domain.observation import IdentityScheme, ObservationBatch, empty_rows
from command.store.alerts import record_findings
from command.store.areas import put_area
from command.store.engine import realm_session
from command.store.observations import save_observations


@pytest.fixture
def raised(web: Any) -> list[Alert]:
    """Twelve alerts: three of each severity, the worst first, of two rules in turn."""
    vessels = [web.vessel(431000000 + i, 129.0 + i / 100, 34.2) for i in range(12)]
    web.put_tracks(vessels)
    severities = [s for s in sorted(Severity, reverse=True) for _ in range(3)]
    return [
        web.raise_alert(vessel, severity=severity, rule=("geofence_entry", "ais_gap")[i % 2])
        for i, (vessel, severity) in enumerate(zip(vessels, severities, strict=True))
    ]


def chosen(page: Page) -> Any:
    return page.locator("#alert-list [data-alert][aria-selected=true]")


def test_many_alerts_are_escalated_assigned_and_made_one_incident_with_the_keyboard_alone(
    page: Page, web: Any, enter: Callable[[], None], raised: list[Alert]
) -> None:
    # given a list, of which one alert is in other hands
    with web.signed_in() as other:
        login = other.get("/api/session").json()["login"]
        other.post("/api/alerts/assign", json={"alerts": [str(raised[8].alert_id)], "to": login})
    enter()
    expect(page.locator("[data-alert]")).to_have_count(12)
    # when an officer goes to the medium ones and chooses all three
    page.keyboard.press("3")
    expect(page.locator("[data-alert]")).to_have_count(3)
    page.keyboard.press("j")
    page.keyboard.press("Shift+ArrowDown")
    page.keyboard.press("Shift+ArrowDown")
    expect(chosen(page)).to_have_count(3)
    expect(page.locator("#bulk-count")).to_have_text("3件を選択中")
    # and assigns them to themselves
    page.keyboard.press("u")
    expect(page.locator("#assign-to")).to_be_focused()
    expect(page.locator("#assign-over-words")).to_contain_text(login)
    page.keyboard.press("Enter")
    # then they hear which one was not, and why
    expect(page.locator("#act-result")).to_contain_text("2件をadminに割り当てました / 1件は処理していません")
    expect(page.locator("#act-result-list li")).to_contain_text([login])
    expect(page.locator(".flag.mine")).to_have_count(2)
    expect(chosen(page)).to_have_count(1)
    page.keyboard.press("Escape")
    # when all three are chosen again and escalated
    page.keyboard.press("Control+a")
    expect(chosen(page)).to_have_count(3)
    page.keyboard.press("e")
    page.keyboard.type("灯火なしで接近")
    page.keyboard.press("Enter")
    # then they are high, and no longer in the filtered list
    expect(page.locator("[data-alert]")).to_have_count(0)
    expect(page.locator("[data-chip=high] .count")).to_have_text("6")
    # when those that were raised are looked at, and made one incident
    page.keyboard.press("3")
    page.click("#triage-filters summary")
    page.click("[data-facet=state][data-value=escalated]")
    page.keyboard.press("Escape")
    expect(page.locator("[data-alert]")).to_have_count(3)
    expect(page.locator("[data-alert] .flag.raised")).to_have_count(3)
    page.focus("#alert-list")
    page.keyboard.press("Control+a")
    page.keyboard.press("i")
    expect(page.locator("#incident-form-from")).to_have_text("3件の警報から")
    page.locator("#incident-title").press("Enter")
    expect(page.locator("#incident [data-part=alerts]")).to_have_count(3)


def test_what_an_officer_chose_to_see_is_kept_over_a_reload_and_groups_fold(
    page: Page, web: Any, enter: Callable[[], None], raised: list[Alert]
) -> None:
    enter()
    # when the list is grouped by rule, and one group folded with the keyboard
    page.keyboard.press("z")
    heads = page.locator("#alert-list [data-group]")
    expect(heads).to_have_count(2)
    page.keyboard.press("j")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("[data-alert]")).to_have_count(6)
    expect(heads.first).to_have_text("AIS信号断未確認66件、折りたたみ中")
    expect(heads.first).to_have_class("group sev-critical folded current")
    # and filtered by severity and by nobody's
    page.keyboard.press("1")
    page.click("#triage-filters summary")
    page.click("[data-facet=owner][data-value=nobody]")
    expect(page.locator(".filtered")).to_contain_text("12件中3件を表示")
    # then a reload shows the same
    page.reload()
    expect(page.locator(".filtered")).to_contain_text("12件中3件を表示")
    expect(page.locator("[data-grouping=rule]")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("[data-alert]")).to_have_count(2)
    # when the folded group is chosen as a whole, then it opens and its alerts are chosen
    page.click("#triage-unfilter")
    expect(page.locator(".filtered")).to_have_count(0)
    page.keyboard.press("j")
    expect(heads.first).to_have_class("group sev-critical folded current")
    page.keyboard.press(" ")
    expect(chosen(page)).to_have_count(6)
    # and a click with Ctrl takes one of them out, Escape all
    page.locator("[data-alert]").nth(1).click(modifiers=["Control"])
    expect(chosen(page)).to_have_count(5)
    page.keyboard.press("Escape")
    expect(page.locator("#bulk")).to_be_hidden()


def test_a_new_critical_alert_moves_nothing_while_several_are_chosen_in_a_grouped_list(
    page: Page, web: Any, enter: Callable[[], None], raised: list[Alert]
) -> None:
    # given a list by subject, read at its end, with two chosen
    enter()
    page.keyboard.press("z")
    page.keyboard.press("z")
    page.keyboard.press("z")
    expect(page.locator("#alert-list [data-group]")).to_have_count(12)
    for _ in range(9):
        page.keyboard.press("j")
    page.keyboard.press("Shift+ArrowDown")
    expect(chosen(page)).to_have_count(2)
    first = chosen(page).first
    before, which = first.bounding_box(), first.get_attribute("data-alert")
    # when a critical alert is raised, whose group comes first
    newcomer = web.vessel(431999999, 129.5, 34.2, name="NEW")
    web.put_tracks([newcomer])
    web.raise_alert(newcomer, severity=Severity.CRITICAL)
    expect(page.locator("[data-alert]")).to_have_count(13)
    # then what was being read is where it was, chosen as it was, and the new one is announced
    after = first.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(after["y"] - before["y"]) < 2
    assert first.get_attribute("data-alert") == which
    expect(chosen(page)).to_have_count(2)
    expect(page.locator("#announce")).to_contain_text("緊急")
    expect(page.locator("#new-above")).to_be_visible()


def test_a_silenced_alert_is_marked_and_quiet_until_the_silence_is_ended(
    page: Page, web: Any, enter: Callable[[], None], raised: list[Alert], eventually: Callable[..., None]
) -> None:
    # given a silence of a rule, begun from one of its alerts
    enter()
    page.locator("[data-severity=high][data-rule=geofence_entry]").first.click()
    page.locator("#alert-acts [data-act=silence]").click()
    page.locator("#silence-subject").uncheck()
    page.locator("#silence-reason").fill("演習")
    page.keyboard.press("Enter")
    expect(page.locator("#toast")).to_contain_text("警報4件が対象、2件は鳴り続けます")
    expect(page.locator("#alert-list .flag.quiet")).to_have_count(4)
    # when a high alert of it comes and then a critical one
    for mmsi, severity in ((431000100, Severity.HIGH), (431000101, Severity.CRITICAL)):
        vessel = web.vessel(mmsi, 129.5, 34.2)
        web.put_tracks([vessel])
        web.raise_alert(vessel, severity=severity)
    # then the critical one shows itself, the other is in the list and marked
    expect(page.locator(".note.sev-critical")).to_have_count(1)
    expect(page.locator("#alert-list .flag.quiet")).to_have_count(5)
    expect(page.locator(".note.sev-high")).to_have_count(0)
    # when the silence is ended, then what waits is news
    page.click("#silences-open")
    expect(page.locator("#silences tbody tr")).to_contain_text(["8件(抑止中5件)"])
    page.click("#silences [data-end]")
    expect(page.locator("#silences tr.over")).to_contain_text("adminが終了")
    expect(page.locator("#alert-list .flag.quiet")).to_have_count(0)
    expect(page.locator(".note.sev-high").first).to_be_visible()


def test_the_evidence_of_an_alert_is_drawn_with_the_area_as_it_was_and_taken_away(
    page: Page, web: Any, enter: Callable[[], None]
) -> None:
    # given an alert that rests on two reports, in an area that was changed since
    alert = cited(web)
    enter()
    expect(page.locator("[data-alert]")).to_have_count(1)
    # when its evidence is asked for
    page.keyboard.press("j")
    page.keyboard.press("x")
    # then each report says where it was and what it proves, and the area is the one of then
    panel = page.locator(".mz-evidence")
    expect(panel.locator("li")).to_have_count(2)
    expect(panel.locator("li").first).to_contain_text("区域「北水道」の外側")
    expect(panel.locator("li").nth(1)).to_contain_text("区域「北水道」の内側、9.7 ノット")
    expect(panel.locator("li").nth(1)).to_contain_text("34°12")
    expect(panel).to_contain_text("第1版")
    found = page.evaluate("id => fetch(`/api/alerts/${id}/evidence`).then(r => r.json())", str(alert.alert_id))
    assert found["area"]["geometry"]["coordinates"][0][0] == [129.0, 34.0]
    assert found["missing"] == 1
    # when Escape is pressed, then it goes away, and the selection stays
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    expect(chosen(page)).to_have_count(1)


def cited(web: Any) -> Alert:
    """An alert of the area `north` that cites two reports, one outside and one inside it, and one that is not there."""
    now_us = web.clock.now_us()
    rows = empty_rows(2)
    for i, (lon, at_us) in enumerate(((128.9, now_us - 120 * US_PER_S), (129.2, now_us - 60 * US_PER_S))):
        rows[i]["observation_id"] = bytes([i + 1] * 16)
        rows[i]["observed_at_us"] = rows[i]["received_at_us"] = at_us
        rows[i]["subject_scheme"], rows[i]["subject_key"] = IdentityScheme.MMSI, 431000001
        rows[i]["lon"], rows[i]["lat"], rows[i]["speed_mps"] = lon, 34.2, 5.0
    vessel = web.vessel(431000001, 129.2, 34.2, name="KAIYO MARU")
    web.put_tracks([vessel])
    with realm_session(web.engine, web.realm) as session:
        for west, at_us in ((129.0, now_us - 600 * US_PER_S), (128.0, now_us - 10 * US_PER_S)):
            put_area(
                session,
                slug="north",
                kind=AreaKind.GEOFENCE,
                name_ja="北水道",
                name_en="North channel",
                geometry=shapely.Polygon([(west, 34.0), (130.0, 34.0), (130.0, 35.0), (west, 35.0)]),
                author="test",
                now_us=at_us,
            )
        save_observations(session, ObservationBatch(source="ais-test", rows=rows), recorded_at_us=now_us)
        finding = Finding(
            kind=FindingKind.OPENED,
            rule="geofence_entry",
            severity=Severity.HIGH,
            subject=vessel.subject,
            area="north",
            episode_start_us=now_us - 60 * US_PER_S,
            observed_at_us=now_us - 60 * US_PER_S,
            position=vessel.position,
            because="because.geofence_entry",
            because_params={"subject": {"ja": "KAIYO MARU", "en": "KAIYO MARU"}, "area": "north", "since_us": now_us},
            evidence=(bytes([1] * 16), bytes([2] * 16), bytes([9] * 16)),
            track_id=vessel.track_id,
        )
        (alert,) = record_findings(session, web.realm, [finding], labels={}, now_us=now_us)
    return alert
