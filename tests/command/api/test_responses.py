"""Answers of teams over REST: who may, what comes back, and what everybody sees of them."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from command.domain.people import Role


@pytest.fixture
def at(web: Any) -> str:
    """The address of the answers to an open alert."""
    track = web.vessel(431000001, 129.3, 34.2)
    web.put_tracks([track])
    return f"/api/alerts/{web.raise_alert(track).alert_id}/responses"


ACCEPT = {
    "team": "tsushima",
    "kind": "accept",
    "revision": 1,
    "responder": "巡視艇あかつき",
    "comment": "現着予定 03:40",
}


def test_an_answer_by_radio_is_recorded_once_a_key_and_everybody_sees_where_the_team_stands(web: Any, at: str) -> None:
    with web.signed_in() as officer, web.signed_in(Role.RESPONDER) as responder:
        assert officer.get("/api/teams").json() == ["duty", "tsushima"]
        key = {"Idempotency-Key": "radio-17"}
        answers = [responder.post(at, json=ACCEPT, headers=key) for _ in range(3)]
        assert {each.status_code for each in answers} == {200}
        assert [each.json() for each in answers] == [
            {"result": "accepted", "code": None, "why": None, "state": "accepted", "revision": 2}
        ] * 3
        # what does not follow is kept and told
        ended = responder.post(at, json={**ACCEPT, "team": "duty", "kind": "closed", "comment": "異状なし"}).json()
        assert (ended["result"], ended["code"], ended["state"]) == ("no_effect", "nothing_taken", None)
        # then the alert and its history say so
        shown = officer.get(at.removesuffix("/responses")).json()
        (stands,) = shown["responses"]
        assert (stands["team"], stands["state"], stands["responder"]) == ("tsushima", "accepted", "巡視艇あかつき")
        listed = officer.get(at).json()
        assert {(each["team"], each["kind"], each["channel"]) for each in listed} == {
            ("tsushima", "accept", "console"),
            ("duty", "closed", "console"),
        }
        assert all(each["sender"].startswith("responder-") for each in listed)


REFUSED: list[tuple[dict[str, Any], int, str | None]] = [
    ({"kind": "decline", "comment": " "}, 422, "comment_needed_decline"),
    ({"team": "hakata"}, 422, "unknown_team"),
    ({"revision": 9}, 409, "revision_ahead"),
    ({"kind": "arrived"}, 422, None),
    ({"colour": "red"}, 422, None),
    ({"position": {"lon": 181, "lat": 0}}, 422, None),
    ({"answered_at": "2026-11-22T03:00:00"}, 422, None),
    ({"comment": "x" * 1_001}, 422, None),
]


def test_what_cannot_be_kept_is_a_problem_that_says_why(web: Any, at: str) -> None:
    with web.signed_in() as officer:
        for change, status, code in REFUSED:
            answer = officer.post(at, json=ACCEPT | change)
            assert (answer.status_code, answer.json().get("code")) == (status, code), answer.text
            assert answer.headers["content-type"] == "application/problem+json"
        assert officer.get(at).json() == []


def test_an_unknown_alert_a_key_of_another_answer_and_a_person_without_the_right_are_refused(web: Any, at: str) -> None:
    nowhere = f"/api/alerts/{uuid.uuid4()}/responses"
    with web.signed_in() as officer, web.signed_in(Role.ANALYST) as analyst:
        assert (officer.post(nowhere, json=ACCEPT).status_code, officer.get(nowhere).status_code) == (404, 404)
        key = {"Idempotency-Key": "radio-17"}
        assert officer.post(at, json=ACCEPT, headers=key).status_code == 200
        other = officer.post(at, json={**ACCEPT, "kind": "on_scene"}, headers=key)
        assert (other.status_code, other.json()["code"]) == (409, "id_reused")
        assert analyst.post(at, json=ACCEPT).status_code == 403


def test_a_program_with_a_token_answers_as_a_program(web: Any, at: str) -> None:
    with web.signed_in(Role.RESPONDER) as responder:
        form = {"name": "x", "days": "3", "password": web.password, "scope": "answer for a team"}
        form["csrf"] = responder.cookies["_csrf_token"]
        page = responder.post("/account/tokens", data=form, headers={"X-CSRFToken": ""})
        secret = page.text.partition("<code>mizugiwa_")[2].partition("</code>")[0]
        bearer = {"Authorization": f"Bearer mizugiwa_{secret}"}
        said = {**ACCEPT, "position": {"lon": 129.35, "lat": 34.5}, "answered_at": "2026-01-02T03:04:05Z"}
        assert httpx.post(f"{web.url}{at}", json=said, headers=bearer).json()["result"] == "accepted"
        (listed,) = responder.get(at).json()
    assert (listed["channel"], listed["answered_at"], listed["position"]) == (
        "api",
        "2026-01-02T03:04:05Z",
        {"lon": 129.35, "lat": 34.5},
    )
