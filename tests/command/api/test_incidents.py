"""Incidents over REST: every act, who may, what a second one with an older screen is told, and files."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from command.domain.people import Role
from command.store.audit import list_audit
from command.store.engine import shared_session

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


def opened(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    sent = {"type": "smuggling", "title": "厳原沖の不審船", "severity": "high", **fields}
    answer = client.post("/api/incidents", json=sent)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/api/incidents/{found['incident_id']}"
    return found


def act(client: httpx.Client, incident: dict[str, Any], verb: str, **sent: Any) -> httpx.Response:
    """An act by somebody who sees the incident as it is given here."""
    path = f"/api/incidents/{incident['incident_id']}/{verb}"
    return client.post(path, json=sent, headers={"If-Match": f'"{incident["revision"]}"'})


def test_an_alert_becomes_an_incident_that_is_worked_through_and_closed(web: Any) -> None:
    # given an alert about a vessel
    track = web.vessel(431000001, 129.3, 34.2, name="KAIYO MARU")
    web.put_tracks([track])
    alert = web.raise_alert(track)
    with web.signed_in() as client:
        # when an officer opens an incident from it
        incident = opened(client, alerts=[str(alert.alert_id)])
        # then it has a number, its opener as owner, and what the alert brings along
        assert incident["number"].endswith("-0001")
        assert incident["owner"].startswith("officer-")
        assert (incident["alerts"], incident["tracks"]) == ([str(alert.alert_id)], [str(track.track_id)])
        assert (incident["areas"], incident["position"]) == (["north"], {"lon": 129.3, "lat": 34.2})
        handled = client.get(f"/api/alerts/{alert.alert_id}").json()["incident"]
        assert handled == {"incident_id": incident["incident_id"], "number": incident["number"]}
        assert [step["state"] for step in incident["next"]] == ["responding", "monitoring", "transferred", "closed"]
        # when it is worked through
        incident = act(client, incident, "state", state="responding").json()
        incident = act(client, incident, "tasks", title="臨検", assignee="対馬班").json()
        (task,) = incident["tasks"]
        assert act(client, incident, "state", state="closed", reason="x").json()["code"] == "incident.error.open_tasks"
        incident = act(client, incident, f"tasks/{task['task_id']}/state", state="done").json()
        incident = act(client, incident, "comments", text="船長から\n事情を聴取").json()
        answer = client.patch(
            f"/api/incidents/{incident['incident_id']}",
            json={"severity": "low", "owner": None, "place": "厳原港"},
            headers={"If-Match": f'"{incident["revision"]}"'},
        )
        incident = answer.json()
        assert (incident["severity"], incident["owner"], incident["where"]) == ("low", None, "厳原港")
        assert incident["title"] == "厳原沖の不審船"
        incident = act(client, incident, "state", state="closed", reason="異常なし").json()
        assert (incident["state"], incident["open_tasks"]) == ("closed", 0)
        # then its log tells it all, newest first, by page, in words and with both clocks
        whole = client.get(f"/api/incidents/{incident['incident_id']}").json()
        said = [entry["text"] for entry in whole["log"]["entries"]]
        assert said[0] == "対応中 → 終結。理由: 異常なし"
        assert said[2] == "船長から\n事情を聴取"
        assert said[3] == "対馬班への指示「臨検」: 発令 → 完了"
        assert said[-1] == "密輸疑い「厳原沖の不審船」として事案化"
        assert all(entry["observed_at"] and entry["recorded_at"] for entry in whole["log"]["entries"])
        path = f"/api/incidents/{incident['incident_id']}/log"
        first = client.get(path, params={"limit": 3}).json()
        rest = client.get(path, params={"before": first["next"]}).json()
        assert [*first["entries"], *rest["entries"]] == whole["log"]["entries"]
        assert rest["next"] is None
    # and so does the audit log
    with shared_session(web.engine) as session:
        acts = [entry.action for entry in list_audit(session, limit=20, target=incident["incident_id"])]
    assert acts == [
        "incident.state_changed",
        "incident.edited",
        "incident.commented",
        "incident.task_changed",
        "incident.task_given",
        "incident.state_changed",
        "incident.opened",
    ]


def test_whoever_saw_an_older_incident_is_told_what_changed_and_changes_nothing(web: Any) -> None:
    with web.signed_in() as first, web.signed_in() as second:
        # given two officers who look at the same incident
        seen = opened(first)
        # when the first moves it on and comments, and the second then acts on what they saw
        act(first, seen, "state", state="responding")
        first.post(f"/api/incidents/{seen['incident_id']}/comments", json={"text": "無線で連絡"})
        answer = act(second, seen, "state", state="monitoring", reason="静観")
        # then it is refused, with what changed and the ETag to go on with
        assert answer.status_code == 412
        problem = answer.json()
        assert "状態変更" in problem["detail"]
        assert [(entry["kind"], entry["text"]) for entry in problem["changes"]] == [("state_changed", "認知 → 対応中")]
        now = second.get(f"/api/incidents/{seen['incident_id']}")
        assert now.json()["state"] == "responding"
        assert now.headers["etag"] == answer.headers["etag"] == f'"{problem["revision"]}"'
        # and a comment alone is in nobody's way
        first.post(f"/api/incidents/{seen['incident_id']}/comments", json={"text": "続報"})
        assert act(second, now.json(), "state", state="monitoring", reason="静観").status_code == 200
        # and an act that could undo another's is not taken blindly
        blind = second.post(f"/api/incidents/{seen['incident_id']}/state", json={"state": "responding"})
        assert blind.status_code == 428


def test_a_request_sent_twice_is_done_once_and_answered_the_same(web: Any) -> None:
    with web.signed_in() as client:
        sent = {"type": "rescue", "title": "転覆船", "severity": "critical"}
        named = {"Idempotency-Key": "a-1"}
        first, again = (client.post("/api/incidents", json=sent, headers=named) for _ in range(2))
        assert (first.status_code, first.json()) == (again.status_code, again.json())
        assert again.headers["idempotency-replayed"] == "true"
        assert again.headers["etag"] == first.headers["etag"]
        path = f"/api/incidents/{first.json()['incident_id']}/tasks"
        for _ in range(2):
            task = client.post(path, json={"title": "捜索", "assignee": "x"}, headers={"Idempotency-Key": "a-2"})
        assert len(task.json()["tasks"]) == 1
        other = client.post(path, json={"title": "別", "assignee": "x"}, headers={"Idempotency-Key": "a-2"})
        assert (other.status_code, other.json()["code"]) == (422, "incident.error.key_reused")
        assert len(client.get("/api/incidents").json()["incidents"]) == 1


def test_of_two_officers_who_open_from_one_alert_at_once_one_does(web: Any) -> None:
    track = web.vessel(431000001, 129.3, 34.2, name="KAIYO MARU")
    web.put_tracks([track])
    alert = web.raise_alert(track)
    sent = {"type": "smuggling", "title": "x", "severity": "high", "alerts": [str(alert.alert_id)]}
    with web.signed_in() as first, web.signed_in() as second, ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(lambda client: client.post("/api/incidents", json=sent), (first, second)))
        assert sorted(answer.status_code for answer in answers) == [201, 409]
        refused = next(answer for answer in answers if answer.status_code == 409).json()
    assert refused["code"] == "incident.error.already"
    assert "-0001" in refused["detail"]


def test_incidents_are_listed_by_page_and_filter_and_as_geojson(web: Any) -> None:
    with web.signed_in() as client:
        numbers = [opened(client, title=f"n{n}", type="rescue" if n == 2 else "other")["number"] for n in range(5)]
        last = opened(client, position={"lon": 129.5, "lat": 34.5}, severity="critical")
        act(client, last, "state", state="closed", reason="誤報")
        read: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            params = {"limit": 2, "open": True, **({"cursor": cursor} if cursor else {})}
            page = client.get("/api/incidents", params=params).json()
            read += [incident["number"] for incident in page["incidents"]]
            cursor = page["next"]
        assert read == numbers[::-1]
        for params, count in (
            ({"type": "rescue"}, 1),
            ({"severity": ["critical", "low"]}, 1),
            ({"state": "closed"}, 1),
            ({"state": "closed", "open": "true"}, 0),
            ({"owner": last["owner"].upper()}, 6),
            ({"alert": str(uuid.uuid4())}, 0),
        ):
            assert len(client.get("/api/incidents", params=params).json()["incidents"]) == count, params
        geojson = client.get("/api/incidents.geojson").json()
        assert [feature["geometry"] for feature in geojson["features"]] == [
            {"type": "Point", "coordinates": [129.5, 34.5]},
            *[None] * 5,
        ]
        for cursor in ("x", "AAAA", "LTEuMDA="):
            answer = client.get("/api/incidents", params={"cursor": cursor})
            assert (answer.status_code, answer.json()["code"]) == (422, "incident.error.cursor")


def test_incidents_are_merged_and_split_and_both_histories_stay_readable(web: Any) -> None:
    tracks = [web.vessel(431000001 + n, 129.3, 34.2 + n / 10) for n in range(2)]
    web.put_tracks(tracks)
    with web.signed_in() as client:
        a = opened(client, title="A", tracks=[str(tracks[0].track_id)])
        a = act(client, a, "tasks", title="監視", assignee="班").json()
        b = opened(client, title="B", tracks=[str(tracks[1].track_id)])
        # when one is merged into the other
        whole = act(client, a, "merge", into=b["incident_id"], reason="同じ船団").json()
        assert (whole["number"], len(whole["tracks"]), len(whole["tasks"])) == (b["number"], 2, 1)
        gone = client.get(f"/api/incidents/{a['incident_id']}").json()
        assert (gone["state"], gone["merged_into"]) == ("merged", b["incident_id"])
        assert act(client, gone, "comments", text="x").json()["code"] == "incident.error.merged"
        log = client.get(f"/api/incidents/{b['incident_id']}").json()["log"]["entries"]
        assert {entry["number"] for entry in log} == {a["number"], b["number"]}
        # and then a part of it split off again
        part = act(
            client,
            whole,
            "split",
            type="other",
            title="C",
            severity="low",
            tracks=[str(tracks[1].track_id)],
            tasks=[whole["tasks"][0]["task_id"]],
            reason="別件と判明",
        )
        assert part.status_code == 201
        assert (part.json()["split_from"], part.json()["tracks"]) == (b["incident_id"], [str(tracks[1].track_id)])
        rest = client.get(f"/api/incidents/{b['incident_id']}").json()
        assert (rest["tracks"], rest["tasks"]) == ([str(tracks[0].track_id)], [])
        assert part.json()["number"] in rest["log"]["entries"][0]["text"]


def test_files_go_up_and_come_down_as_they_were_and_never_as_a_page(web: Any) -> None:
    with web.signed_in() as client:
        path = f"/api/incidents/{opened(client)['incident_id']}/attachments"
        name = "../../etc/写真\u202egpj.png"
        answer = client.post(path, params={"name": name}, content=PNG, headers={"Content-Type": "text/html"})
        (kept,) = answer.json()["attachments"]
        assert (kept["name"], kept["media_type"], kept["size_bytes"]) == ("写真gpj.png", "image/png", len(PNG))
        down = client.get(kept["href"])
        assert down.content == PNG
        assert down.headers["content-type"] == "image/png"
        assert down.headers["content-disposition"].startswith("attachment;")
        assert down.headers["x-content-type-options"] == "nosniff"
        # a page of hypertext is text, and comes down as text
        page = client.post(path, params={"name": "a.html"}, content=b"<script>alert(1)</script>").json()
        assert client.get(page["attachments"][1]["href"]).headers["content-type"] == "text/plain; charset=utf-8"
        # what is too large, empty, or of no allowed type is refused with a reason
        for content, status, words in (
            (b"\x7fELF\x02\x01\x01\x00", 422, "JPEG"),
            (b"PK\x03\x04", 422, "JPEG"),
            (b"", 422, "空"),
            (PNG + bytes(10_000_000), 413, "10000000"),
        ):
            refused = client.post(path, params={"name": "x"}, content=content)
            assert (refused.status_code, words in refused.json()["detail"]) == (status, True)
        assert client.get(f"{path}/{uuid.uuid4()}").status_code == 404


ALLOWED: dict[Role, set[str]] = {
    Role.OFFICER: {"read", "open", "state", "comments", "tasks", "link", "attachments"},
    Role.ADMIN: {"read", "open", "state", "comments", "tasks", "link", "attachments"},
    Role.RESPONDER: {"read", "comments", "attachments"},
    Role.ANALYST: {"read", "comments", "link", "attachments"},
    Role.MANAGER: {"read"},
    Role.AUDITOR: {"read"},
    Role.PILOT: set(),
}


def test_each_role_may_what_it_may_and_nothing_else(web: Any) -> None:
    track = web.vessel(431000001, 129.3, 34.2)
    web.put_tracks([track])
    with web.signed_in() as officer:
        for role in Role:
            incident = opened(officer)
            path = f"/api/incidents/{incident['incident_id']}"
            with web.signed_in(role) as client:
                answers = {
                    "read": client.get(path),
                    "open": client.post("/api/incidents", json={"type": "other", "title": "x", "severity": "low"}),
                    "comments": act(client, incident, "comments", text="x"),
                    "attachments": client.post(f"{path}/attachments", params={"name": "x"}, content=PNG),
                    "tasks": client.post(f"{path}/tasks", json={"title": "x", "assignee": "y"}),
                    "link": client.post(f"{path}/link", json={"tracks": [str(track.track_id)]}),
                }
                now = officer.get(path).json()
                answers["state"] = act(client, now, "state", state="responding")
            allowed = {verb for verb, answer in answers.items() if answer.is_success}
            assert (role, allowed) == (role, ALLOWED[role])
            assert {answers[verb].status_code for verb in set(answers) - allowed} <= {403}


def test_a_responder_moves_their_own_task_and_no_other(web: Any) -> None:
    with web.signed_in() as officer, web.signed_in(Role.RESPONDER) as responder:
        login = responder.get("/api/session").json()["login"]
        incident = opened(officer)
        for assignee in (login, "対馬班"):
            incident = act(officer, incident, "tasks", title="臨検", assignee=assignee).json()
        own, other = (f"tasks/{task['task_id']}/state" for task in incident["tasks"])
        assert act(responder, incident, other, state="received").status_code == 403
        assert act(responder, incident, own, state="cancelled", reason="x").status_code == 403
        assert act(responder, incident, own, state="refused").json()["code"] == "incident.error.reason"
        moved = act(responder, incident, own, state="on_the_way")
        assert moved.json()["tasks"][0]["state"] == "on_the_way"
        assert moved.json()["tasks"][0]["changed_by"] == login


def test_what_cannot_be_used_is_named_and_nothing_is_opened(web: Any) -> None:
    nothing = "00000000-0000-0000-0000-000000000001"
    with web.signed_in() as client:
        for sent, word in (
            ({"title": ""}, "title"),
            ({"title": "   "}, "件名"),
            ({"type": "party"}, "type"),
            ({"severity": "huge"}, "severity"),
            ({"position": {"lon": 200, "lat": 0}}, "lon"),
            ({"owner": "nobody"}, "nobody"),
            ({"alerts": [nothing]}, "警報"),
            ({"tracks": [nothing]}, "航跡"),
            ({"areas": ["atlantis"]}, "atlantis"),
            ({"colour": "red"}, "colour"),
        ):
            answer = client.post("/api/incidents", json={"type": "other", "title": "x", "severity": "low", **sent})
            assert (sent, answer.status_code) == (sent, 422)
            assert answer.headers["content-type"] == "application/problem+json"
            assert word in answer.json()["detail"]
        assert client.get("/api/incidents").json()["incidents"] == []


def test_a_closed_incident_that_changes_is_told_to_every_screen(web: Any, eventually: Callable[..., None]) -> None:
    with web.signed_in() as client:
        incident = opened(client)
        eventually(lambda: len(web.console.incidents) == 1)
        act(client, incident, "state", state="closed", reason="異常なし")
        eventually(lambda: web.console.incidents == ())
        before = client.get("/api/pulse").json()["incidents_revision"]
        client.post(f"/api/incidents/{incident['incident_id']}/comments", json={"text": "後日談"})
        assert client.get("/api/pulse").json()["incidents_revision"] > before


def test_the_schema_names_every_route_of_the_api_and_is_behind_sign_in(web: Any) -> None:
    with web.client() as nobody:
        assert nobody.get("/api/openapi.json").status_code == 401
    with web.signed_in() as client:
        schema = client.get("/api/openapi.json").json()
    there = {(path, method.lower()) for path, methods in _api_routes(web.application) for method in methods - {"HEAD"}}
    named = {(path, method) for path, item in schema["paths"].items() for method in item}
    assert named == there
    assert ("/api/incidents/{incident_id}/merge", "post") in named
    # and every answer of theirs has a shape, errors included
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            assert "default" in operation["responses"], (method, path)
    assert schema["components"]["schemas"]["IncidentShown"]["required"]


def _api_routes(application: Any) -> list[tuple[str, set[str]]]:
    found, pending = [], list(application.routes)
    while pending:
        route = pending.pop()
        nested = getattr(route, "original_router", None)
        if nested is not None:
            pending += nested.routes
        elif getattr(route, "path", "").startswith("/api/") and route.path != "/api/openapi.json":
            found.append((route.path, set(route.methods)))
    return found


def test_whoever_may_not_read_incidents_has_a_console_without_them(web: Any, eventually: Callable[..., None]) -> None:
    # given an alert that an incident handles
    track = web.vessel(431000001, 129.3, 34.2)
    web.put_tracks([track])
    alert = web.raise_alert(track)
    with web.signed_in() as officer:
        number = opened(officer, alerts=[str(alert.alert_id)])["number"]
    eventually(web.console.open_alerts)
    with web.signed_in(Role.PILOT) as pilot, web.signed_in(Role.MANAGER) as manager:
        # then a pilot sees the alert, and of the incident neither the list nor the number
        page = pilot.get("/_dash-layout").text
        assert str(alert.alert_id) in page
        assert "incident-list" not in page
        assert number not in page
        assert pilot.get(f"/api/alerts/{alert.alert_id}").json()["incident"] is None
        # and a manager sees it, and no button to open another
        page = manager.get("/_dash-layout").text
    assert "incident-list" in page
    assert number in page
    assert "incident-new" not in page
