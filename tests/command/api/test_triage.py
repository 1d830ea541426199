"""What officers do to many alerts over REST: done, refused with the reason, undone, and once a key."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from command.domain.alert import Alert, AlertEventKind, Severity
from command.domain.alert_acts import escalated
from command.domain.people import Role
from command.store.alerts import act_on_alerts
from command.store.audit import list_audit
from command.store.engine import realm_session, shared_session
from command.store.people import list_users
from command.store.silences import silences_in_force


@pytest.fixture
def raised(web: Any, eventually: Callable[..., None]) -> list[Alert]:
    """Four open alerts of four vessels, one of each severity, the worst first."""
    vessels = [web.vessel(431000001 + i, 129.3 + i / 10, 34.2) for i in range(4)]
    web.put_tracks(vessels)
    worst_first = sorted(Severity, reverse=True)
    alerts = [web.raise_alert(vessel, severity=s) for vessel, s in zip(vessels, worst_first, strict=True)]
    eventually(lambda: len(web.console.alerts) == 4)
    return alerts


def ids(*alerts: Alert) -> list[str]:
    return [str(alert.alert_id) for alert in alerts]


def test_many_are_acknowledged_at_once_and_those_that_are_not_say_why(web: Any, raised: list[Alert]) -> None:
    with web.signed_in() as first, web.signed_in() as second:
        first.post(f"/api/alerts/{raised[0].alert_id}/acknowledge", json={"comment": ""})
        unknown = str(uuid.uuid4())
        answer = second.post(
            "/api/alerts/acknowledge", json={"alerts": [*ids(*raised[:3]), unknown], "comment": "了解"}
        ).json()
        assert answer["done"] == ids(*raised[1:3])
        assert [(r["alert_id"], "officer-" in r["why"]) for r in answer["refused"]] == [
            (ids(raised[0])[0], True),
            (unknown, False),
        ]
        listed = {a["alert_id"]: a for a in second.get("/api/alerts").json()["alerts"]}
    assert [listed[each]["comment"] for each in ids(*raised[:3])] == ["", "了解", "了解"]
    with shared_session(web.engine) as session:
        assert [e.action for e in list_audit(session, limit=5, target=ids(raised[1])[0])] == ["alert.acknowledged"]


def test_an_alert_in_somebodys_hands_is_not_taken_without_saying_so(web: Any, raised: list[Alert]) -> None:
    with web.signed_in() as sato, web.signed_in() as mori:
        people = {each["login"] for each in sato.get("/api/alerts/assignees").json()}
        login = next(each for each in sorted(people) if each.startswith("officer-"))
        other = next(each for each in sorted(people, reverse=True) if each.startswith("officer-"))
        body = {"alerts": ids(*raised[:2]), "to": login.upper()}
        assert sato.post("/api/alerts/assign", json=body).json()["done"] == ids(*raised[:2])
        assert sato.get(f"/api/alerts/{raised[0].alert_id}").json()["assigned"]["to"] == login
        taken = {"alerts": ids(raised[0]), "to": other}
        refused = mori.post("/api/alerts/assign", json=taken).json()
        assert refused["done"] == []
        assert login in refused["refused"][0]["why"]
        assert mori.post("/api/alerts/assign", json={**taken, "take_over": True}).json()["done"] == ids(raised[0])
        assert mori.post("/api/alerts/unassign", json={"alerts": ids(raised[0])}).json()["done"] == ids(raised[0])
        assert mori.get(f"/api/alerts/{raised[0].alert_id}").json()["assigned"] is None


def test_an_alert_is_assigned_to_somebody_who_may_act_on_it_alone(web: Any, raised: list[Alert]) -> None:
    with web.signed_in() as officer, web.signed_in(Role.ANALYST):
        with shared_session(web.engine) as session:
            analyst = next(user.login for user in list_users(session) if Role.ANALYST in user.roles)
        for to in (analyst, "nobody"):
            answer = officer.post("/api/alerts/assign", json={"alerts": ids(raised[0]), "to": to})
            assert answer.status_code == 422
            assert to in answer.json()["detail"]


def test_an_escalation_needs_a_reason_is_done_once_a_key_and_can_be_taken_back(web: Any, raised: list[Alert]) -> None:
    medium = raised[2]
    with web.signed_in() as client:
        answer = client.post("/api/alerts/escalate", json={"alerts": ids(medium), "reason": "  "})
        assert (answer.status_code, answer.json()["code"]) == (422, "reason_needed")
        body = {"alerts": ids(medium), "reason": "灯火なし"}
        key = {"Idempotency-Key": "escalation-1"}
        answers = [client.post("/api/alerts/escalate", json=body, headers=key).json() for _ in range(2)]
        assert answers == [{"done": ids(medium), "refused": []}] * 2
        other = client.post("/api/alerts/escalate", json={**body, "reason": "別件"}, headers=key)
        assert other.status_code == 422
        shown = client.get(f"/api/alerts/{medium.alert_id}").json()
        assert (shown["severity"], shown["escalated"]["from"], shown["escalated"]["reason"]) == (
            "high",
            "medium",
            "灯火なし",
        )
        back = client.post("/api/alerts/withdraw", json={"alerts": ids(*raised[1:3]), "reason": "誤認"}).json()
        assert (back["done"], [r["alert_id"] for r in back["refused"]]) == (ids(medium), ids(raised[1]))
        assert client.get(f"/api/alerts/{medium.alert_id}").json()["severity"] == "medium"


def test_a_silence_marks_what_it_quiets_never_the_critical_and_can_be_ended(web: Any, raised: list[Alert]) -> None:
    with web.signed_in() as client:
        body = {"matchers": [{"rule": "geofence_entry"}], "reason": "演習", "minutes": 30}
        answer = client.post("/api/silences", json=body)
        assert answer.status_code == 201
        (begun,) = answer.json()
        assert (begun["matched"], begun["quiet"], begun["in_force"]) == (4, 3, True)
        listed = client.get("/api/alerts").json()["alerts"]
        assert [a["silenced"] is not None for a in listed] == [False, True, True, True]
        path = f"/api/silences/{begun['silence_id']}/end"
        assert client.post(path, json={}).json()["in_force"] is False
        assert client.post(path, json={}).status_code == 404
        listed = client.get("/api/alerts").json()["alerts"]
        assert not any(a["silenced"] for a in listed)
        assert [s["ended_by"] is not None for s in client.get("/api/silences").json()] == [True]


@pytest.mark.parametrize(
    "body",
    [
        {"matchers": [{}], "reason": "x", "minutes": 30},
        {"matchers": [], "reason": "x", "minutes": 30},
        {"matchers": [{"rule": "a"}], "reason": "", "minutes": 30},
        {"matchers": [{"rule": "a"}], "reason": "x", "minutes": 481},
        {"matchers": [{"rule": "a"}], "reason": "x", "minutes": 0},
        {"matchers": [{"rule": "a", "colour": "red"}], "reason": "x", "minutes": 30},
    ],
)
def test_a_silence_that_is_too_wide_too_long_or_without_a_reason_is_refused(web: Any, body: dict[str, Any]) -> None:
    with web.signed_in() as client:
        answer = client.post("/api/silences", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


def test_what_another_process_did_reaches_this_ones_screens_at_once(
    web: Any, raised: list[Alert], eventually: Callable[..., None]
) -> None:
    with web.signed_in() as client:
        # when an act is committed elsewhere
        escalate = partial(escalated, by="sato", reason="接近中", now_us=web.clock.now_us())
        with realm_session(web.engine, web.realm) as session:
            act_on_alerts(session, [raised[3].alert_id], escalate, kind=AlertEventKind.ESCALATED, by="sato")
        # then this process hears of it, well before it would have looked by itself
        shown = f"/api/alerts/{raised[3].alert_id}"
        eventually(lambda: client.get(shown).json()["escalated"] is not None, within_s=4.0)


def test_an_officer_of_some_areas_acts_on_those_alerts_alone(web: Any, raised: list[Alert]) -> None:
    with web.signed_in() as client:
        # given an officer whose roles are limited to an area, in which one of two alerts lies
        area = {
            "type": "Polygon",
            "coordinates": [[[129.25, 34.1], [129.35, 34.1], [129.35, 34.3], [129.25, 34.3], [129.25, 34.1]]],
        }
        properties = {"kind": "geofence", "name_ja": "南", "name_en": "South"}
        made = client.post("/api/areas", json={"type": "Feature", "properties": properties, "geometry": area}).json()
        slug, login = made["properties"]["slug"], client.get("/api/session").json()["login"]
        web.accounts.set_areas(login, frozenset({slug}), known={slug}, by="test")
        web.gate.forget_all()
        # when they escalate both, then one is done and the other says why not
        answer = client.post("/api/alerts/escalate", json={"alerts": ids(*raised[:2]), "reason": "x"}).json()
        assert (answer["done"], [r["alert_id"] for r in answer["refused"]]) == (ids(raised[0]), ids(raised[1]))
        assert "担当区域の外" in answer["refused"][0]["why"]
        # and a silence has to name an area of theirs
        wide = {"reason": "演習", "minutes": 30, "matchers": [{"rule": "geofence_entry"}]}
        assert client.post("/api/silences", json=wide).json()["code"] == "outside_areas"
        with realm_session(web.engine, web.realm) as session:
            assert silences_in_force(session, web.clock.now_us()) == []
