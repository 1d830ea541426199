"""Rules over REST and on their page: versions, undo, who and why, and errors that say what to write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from command.domain.people import Role
from command.store.audit import list_audit
from command.store.engine import realm_session
from command.store.rules import current_rules, keep_rules_of_settings, put_rule

DWELL = "/api/rules/geofence_dwell"


@pytest.fixture
def officer(web: Any) -> Iterator[httpx.Client]:
    """An officer who reads English, in a realm whose settings file says something of two rules."""
    with realm_session(web.engine, web.realm) as session:
        put_rule(session, "geofence_dwell", {"after_s": 1_200}, "settings", 1)
        put_rule(session, "geofence_absence", {}, "settings", 1)
        keep_rules_of_settings(session, {"geofence_dwell": {"after_s": 1_200}})
    with web.signed_in() as client:
        client.cookies.set("language", "en")
        yield client


def seen(version: int) -> dict[str, str]:
    return {"If-Match": f'"{version}"'}


def test_a_rule_is_changed_compared_undone_and_given_back_to_the_settings_file(web: Any, officer: httpx.Client) -> None:
    # when an officer raises a threshold and says why
    change = {"config": {"after_s": 2_700, "severity": "high"}, "reason": "too many alarms at the ferry"}
    changed = officer.put(DWELL, json=change, headers=seen(1))
    assert (changed.status_code, changed.headers["etag"]) == (200, '"2"')
    assert changed.json()["settings_file_changes"] == ["Severity: High → Medium", "A dwell after: 45 min → 20 min"]
    # then somebody who saw the version before is told who was faster, and nothing is lost
    late = officer.put(DWELL, json=change, headers=seen(1))
    assert (late.status_code, late.json()["code"], late.json()["current"]["version"]) == (412, "changed", 2)
    # and it goes back, and back to the settings file
    undone = officer.post(f"{DWELL}/undo", json={"version": 1, "reason": "was right"}, headers=seen(2)).json()
    assert (undone["version"], undone["restores"], undone["effective"]["after_s"]) == (3, 1, 1_200)
    followed = officer.post(f"{DWELL}/follow-settings", json={"reason": "done"}, headers=seen(3)).json()
    assert (followed["version"], followed["by_person"]) == (4, False)
    # and its history says who, why and what in words
    history = officer.get(f"{DWELL}/versions").json()["versions"]
    assert [each["reason"] for each in history] == ["done", "was right", change["reason"], ""]
    assert history[2]["changes"] == ["Severity: Medium → High", "A dwell after: 20 min → 45 min"]
    login = officer.get("/api/session").json()["login"]
    assert [each["author"] for each in history] == [login, login, login, "settings"]
    # and the audit log has each
    with realm_session(web.engine, web.realm) as session:
        entries = list_audit(session, limit=20, target="geofence_dwell")
    assert {entry.action for entry in entries} == {"rule.changed", "rule.undone", "rule.follows"}
    assert {entry.detail["realm"] for entry in entries} == {web.realm.name}


def test_a_value_that_cannot_be_used_is_refused_with_its_setting_and_what_to_write(
    web: Any, officer: httpx.Client
) -> None:
    wrong = {"after_s": -5, "rearm_s": 90_000, "kinds": ["fish"], "colour": "red"}
    refused = officer.put(DWELL, json={"config": wrong, "reason": "x"}, headers=seen(1))
    assert refused.status_code == 422
    assert {(e["at"], e["setting"], e["message"]) for e in refused.json()["errors"]} == {
        ("after_s", "A dwell after", "Write more than 0 s."),
        ("rearm_s", "Over when outside for", "Write 1 d or less."),
        ("kinds.0", "Kinds of subject / 1", "Choose one of the list."),
        ("colour", "colour", "This rule has no setting of this name."),
    }
    together = officer.put(DWELL, json={"config": {"forget_after_s": 60}, "reason": "x"}, headers=seen(1))
    assert "rearm_s" in together.json()["detail"]
    # and a change says why, and what it is based on
    assert officer.put(DWELL, json={"config": {}, "reason": " "}, headers=seen(1)).json()["code"] == "reason"
    assert officer.put(DWELL, json={"config": {}, "reason": "x"}).status_code == 428
    assert officer.get("/api/rules/nothing").status_code == 404
    with realm_session(web.engine, web.realm) as session:
        assert {version.version for version in current_rules(session)} == {1}


def filled(page: str) -> dict[str, list[str]]:
    """What a browser would send of the form with the settings, as it stands."""
    form = re.split(r'<form method="post" action="/rules/\w+">', page)[1].partition("</form>")[0]
    sent: dict[str, list[str]] = {}
    for tag in re.findall(r"<input[^>]*>", form):
        attributes = dict(re.findall(r'(\w[\w-]*)="([^"]*)"', tag))
        if attributes.get("type") == "checkbox" and " checked" not in tag:
            continue
        sent.setdefault(attributes["name"], []).append(attributes.get("value", ""))
    for name, options in re.findall(r'<select[^>]*name="([^"]*)"[^>]*>(.*?)</select>', form):
        chosen = re.search(r'value="([^"]*)" selected', options) or re.search(r'value="([^"]*)"', options)
        sent[name] = [chosen[1] if chosen else ""]
    for name, inside in re.findall(r'<textarea[^>]*name="([^"]*)"[^>]*>(.*?)</textarea>', form, re.DOTALL):
        sent[name] = [inside]
    return sent


def test_the_page_changes_what_was_changed_on_it_and_nothing_else(web: Any, officer: httpx.Client) -> None:
    at = "/rules/geofence_dwell"
    assert "Geofence dwell" in officer.get("/rules").text
    form = filled(officer.get(at).text)
    form |= {"s.after_s": ["0.75"], "u.after_s": ["h"], "reason": ["ferry <b>"], "do": ["save"], "on.schedule": ["yes"]}
    form |= {"s.schedule.begins": ["18:00"], "s.schedule.sun": ["night"]}
    # when an officer changes one threshold, in hours, and the hours of the rule
    done = officer.post(at, data=form)
    assert done.headers["location"] == f"{at}?done=changed"
    # then that is what the version says, and the page tells it
    with realm_session(web.engine, web.realm) as session:
        rule = next(each for each in current_rules(session) if each.rule == "geofence_dwell")
    assert set(rule.config) == {"after_s", "schedule"}
    assert rule.config["after_s"] == 2_700
    assert {k: rule.config["schedule"][k] for k in ("begins", "ends", "sun")} == {
        "begins": "18:00",
        "ends": "00:00",
        "sun": "night",
    }
    page = officer.get(done.headers["location"]).text
    assert "A dwell after: 20 min → 45 min" in page
    assert "ferry &lt;b&gt;" in page
    # when they send the page again as it is, there is no new version
    form = filled(page) | {"reason": ["again"], "do": ["save"]}
    assert officer.post(at, data=form).headers["location"] == f"{at}?done=unchanged"
    # when they write what is no number, all that they wrote is still there
    refused = officer.post(at, data=form | {"s.after_s": ["soon"], "reason": ["for later"]})
    assert refused.status_code == 400
    for kept in ('value="soon"', 'value="for later"', "Write a number, for example 12.5."):
        assert kept in refused.text


def test_a_watch_is_added_and_taken_away_row_by_row(web: Any, officer: httpx.Client) -> None:
    at = "/rules/geofence_absence"
    ring = [[129, 34], [129.1, 34], [129.1, 34.1], [129, 34.1], [129, 34]]
    bay = {"kind": "geofence", "name_ja": "湾", "name_en": "Bay"}
    area = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [ring]}, "properties": bay}
    assert officer.post("/api/areas", json=area).status_code == 201
    # when an officer adds a row, fills it in and saves
    page = officer.post(at, data=filled(officer.get(at).text) | {"do": ["add.watches"]})
    assert page.status_code == 200
    form = filled(page.text) | {"s.watches.0.name": ["patrol"], "s.watches.0.area": ["bay"], "reason": ["x"]}
    form |= {"s.watches.0.who_ja": ["艇"], "s.watches.0.who_en": ["boat"], "s.watches.0.after_s": ["2"]}
    form |= {"u.watches.0.after_s": ["h"], "s.watches.0.subjects": ["mmsi:431000001\nmmsi:431000002"]}
    assert officer.post(at, data=form | {"do": ["save"]}).headers["location"] == f"{at}?done=changed"
    saved = officer.get("/api/rules/geofence_absence").json()["config"]["watches"]
    assert [(watch["name"], watch["after_s"]) for watch in saved] == [("patrol", 7_200)]
    assert sorted(saved[0]["subjects"]) == ["mmsi:431000001", "mmsi:431000002"]
    # and takes it away again
    page = officer.post(at, data=filled(officer.get(at).text) | {"do": ["drop.watches.0"]})
    assert officer.post(at, data=filled(page.text) | {"do": ["save"], "reason": ["y"]}).status_code == 303
    assert officer.get("/api/rules/geofence_absence").json()["effective"]["watches"] == []


def test_a_rule_of_conditions_is_made_row_by_row_without_code(web: Any, officer: httpx.Client) -> None:
    csrf = {"csrf": officer.cookies["_csrf_token"]}
    given = {"name": "night_landing", "name_ja": "夜間の着岸疑い", "name_en": "Night landing", "reason": "requested"}
    assert officer.post("/rules", data=csrf | given | {"name": "Night Landing"}).status_code == 400
    made = officer.post("/rules", data=csrf | given)
    at = "/rules/conditions_night_landing"
    assert made.headers["location"] == f"{at}?done=made"
    assert officer.post("/rules", data=csrf | given).status_code == 400
    # when an officer adds a condition to the example, says how fast, and switches it on
    page = officer.post(
        at, data=filled(officer.get(at).text) | {"do": ["add.when.0.conditions"], "t.when.0.conditions": ["speed"]}
    )
    speed = "s.when.0.conditions.3"
    form = filled(page.text) | {f"{speed}.at_most_mps": ["5"], "u.when.0.conditions.3.at_most_mps": ["kn"]}
    form |= {"s.enabled": ["yes"], "reason": ["slow only"], "do": ["save"]}
    wrong = officer.post(at, data=form | {f"{speed}.at_most_mps": ["slow"]})
    assert 'id="s-when-0-conditions-3-at_most_mps-wrong"' in wrong.text
    assert officer.post(at, data=form).headers["location"] == f"{at}?done=changed"
    # then that is the rule, and its history tells it in words
    rule = officer.get("/api/rules/conditions_night_landing").json()
    assert (rule["title"], rule["enabled"], rule["version"]) == ("Night landing", True, 2)
    facts = [each["fact"] for each in rule["effective"]["when"][0]["conditions"]]
    assert facts == ["identity", "coast", "sun", "speed"]
    assert rule["effective"]["when"][0]["conditions"][3]["at_most_mps"] == pytest.approx(2.572, abs=1e-3)
    history = officer.get("/api/rules/conditions_night_landing/versions").json()["versions"]
    assert history[0]["changes"][0] == "Switched on: no → yes"
    assert any("Speed" in each for each in history[0]["changes"])


def test_who_may_not_change_rules_reads_them(web: Any, officer: httpx.Client) -> None:
    with web.signed_in(Role.ANALYST) as analyst:
        analyst.cookies.set("language", "en")
        page = analyst.get("/rules/geofence_dwell").text
        assert "A dwell after" in page
        assert 'name="s.after_s"' not in page
        assert analyst.put(DWELL, json={"config": {}, "reason": "x"}, headers=seen(1)).status_code == 403
