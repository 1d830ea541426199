"""The handover of the watch: a sheet that fills itself with what the store holds, signed by both, and never changed."""

from __future__ import annotations

import io
import re
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import shapely
from pypdf import PdfReader
from sqlalchemy import text as sql

from command.domain.alert import Severity
from command.domain.area import AreaKind
from command.domain.handover import digest
from command.domain.health import SourceHealth
from command.domain.observation import SubjectKind
from command.domain.people import Role
from command.store.areas import put_area
from command.store.assets import put_asset
from command.store.audit import list_audit
from command.store.engine import realm_session, shared_session
from command.store.health import save_source_health
from command.store.rules import put_rule


def login_of(client: httpx.Client) -> str:
    login: str = client.get("/api/session").json()["login"]
    return login


def worked_through(web: Any, officer: httpx.Client) -> None:
    """A watch with something of everything."""
    now_us = web.clock.now_us()
    vessels = [web.vessel(431000000 + i, 129.3, 34.2, name=f"KAIYO MARU {i}") for i in range(5)]
    drone = replace(vessels[4], subject="mavlink:5d1f", kind=SubjectKind.AIR_DRONE, battery_percent=61.6)
    web.put_tracks([*vessels[:4], drone])
    alerts = [
        str(web.raise_alert(vessel, severity=severity).alert_id)
        for vessel, severity in zip(vessels, (*Severity, Severity.LOW), strict=True)
    ]
    officer.post(f"/api/alerts/{alerts[0]}/acknowledge", json={"comment": "漁船"})
    officer.post("/api/alerts/assign", json={"alerts": [alerts[1]], "to": login_of(officer)})
    opened = {"type": "smuggling", "title": "不審船", "severity": "high", "alerts": [alerts[3]]}
    incident = f"/api/incidents/{officer.post('/api/incidents', json=opened).json()['incident_id']}"
    for title in ("臨検の準備", "無線で呼び掛け"):
        made = officer.post(f"{incident}/tasks", json={"title": title, "assignee": "対馬班"}).json()
    first = made["tasks"][0]["task_id"]
    officer.post(f"{incident}/tasks/{first}/state", json={"state": "done"}, headers={"If-Match": "*"})
    closed = officer.post("/api/incidents", json={"type": "other", "title": "漂流物", "severity": "low"}).json()
    officer.post(
        f"/api/incidents/{closed['incident_id']}/state",
        json={"state": "closed", "reason": "回収した"},
        headers={"If-Match": "*"},
    )
    silence = {"matchers": [{"rule": "ais_gap"}, {"area": "north"}], "reason": "演習", "minutes": 30}
    begun = officer.post("/api/silences", json=silence).json()
    officer.post(f"/api/silences/{begun[0]['silence_id']}/end", json={})
    with realm_session(web.engine, web.realm) as session:
        put_area(
            session, "izuhara", AreaKind.GEOFENCE, "厳原", "Izuhara", shapely.box(129, 34, 130, 35), "sato", now_us
        )
        put_rule(session, "ais_gap", {"severity": "high"}, "sato", now_us)
        put_asset(session, drone.subject, SubjectKind.AIR_DRONE, "巡視ドローン", "Patrol drone")
        put_asset(session, "mavlink:ffff", SubjectKind.AIR_DRONE, "予備機", "Spare")
        report = SourceHealth(
            source="ais-izuhara",
            kind="ais",
            gateway="local",
            started_at_us=now_us,
            reported_at_us=now_us,
            state="running",
        )
        gone = replace(report, source="radar", state="retrying", last_seen_us=now_us - 60_000_000, detail="接続拒否")
        save_source_health(session, [report, gone])


def counted(web: Any, query: str) -> int:
    with web.engine.connect() as connection:
        connection.execute(sql("SELECT set_config('search_path', :path, false)"), {"path": web.realm.schema})
        found: int = connection.execute(sql(query)).scalar_one()
        return found


def hash_of(sheet: dict[str, Any]) -> str:
    """The hash of a sheet as REST tells it."""
    facts = {name: sheet[name] for name in ("version", "outgoing", "content", "remarks")}
    times = {
        f"{ours}_us": round(datetime.fromisoformat(sheet[theirs]).timestamp() * 1e6)
        for ours, theirs in (("from", "starts_at"), ("until", "ends_at"))
    }
    return digest(sheet_id=uuid.UUID(sheet["sheet_id"]), **facts, **times).hex()


def test_the_sheet_fills_itself_with_the_numbers_of_the_store(web: Any) -> None:
    with web.signed_in() as officer, web.signed_in(Role.MANAGER) as chief:
        begins = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
        shift = {"login": login_of(officer), "role": "duty_officer", "starts_at": begins}
        chief.post("/api/roster", json=shift | {"ends_at": (datetime.now(UTC) + timedelta(hours=7)).isoformat()})
        worked_through(web, officer)
        # when a manager looks at the watch as it stands
        now = chief.get("/api/handover/current").json()
        content = now["content"]
    # then it is about the time since the shift began, and every number is the store's
    assert (now["outgoing"], now["starts_at"]) == (None, begins.replace("+00:00", "Z"))
    open_ones = "SELECT count(*) FROM alert WHERE cleared_at IS NULL OR acknowledged_at IS NULL"
    assert content["alerts"]["total"] == counted(web, open_ones) == 5
    assert len(content["alerts"]["listed"]) == 5
    assert content["alerts"]["by_severity"] == {
        "critical": {"open": 1, "waiting": 1},
        "high": {"open": 1, "waiting": 1},
        "medium": {"open": 1, "waiting": 1},
        "low": {"open": 2, "waiting": 1},
    }
    assert content["incidents"]["total"] == counted(web, "SELECT count(*) FROM incident") == 2
    closed = counted(web, "SELECT count(*) FROM incident WHERE state = 'closed'")
    assert content["incidents"]["open"] == 2 - closed == 1
    assert [each["title"] for each in content["tasks"]] == ["無線で呼び掛け"]
    in_force = counted(web, "SELECT count(*) FROM silence WHERE ended_at IS NULL")
    assert len(content["silences"]) == in_force == 1
    assert [(each["source"], each["state"]) for each in content["sources"]] == [("radar", "retrying")]
    assert len(content["drones"]) == counted(web, "SELECT count(*) FROM asset") == 2
    assert {each["name"]["ja"]: each["battery_percent"] for each in content["drones"]} == {
        "巡視ドローン": 62,
        "予備機": None,
    }
    kinds = [each["kind"] for each in content["changes"]]
    expected = ["shift", "silence_begun", "silence_begun", "silence_ended", "area", "rule"]
    assert sorted(kinds) == sorted(expected)
    assert [each["login"] for each in content["on_duty"]] == [shift["login"]]


def test_the_watch_passes_when_both_have_signed_the_same_version(web: Any, eventually: Callable[..., None]) -> None:
    with web.signed_in() as sato, web.signed_in() as mori, web.signed_in(Role.PILOT) as pilot:
        first, second, proof = login_of(sato), login_of(mori), {"password": web.password}
        # given a watch that nobody holds: whoever comes first begins it with their own signature alone
        assert sato.post("/api/handover", json={"remarks": "x"}).json()["code"] == "nobody_holds"
        assert sato.post("/api/handover/take", json={"password": "not mine"}).status_code == 422
        begun = sato.post("/api/handover/take", json=proof)
        assert (begun.status_code, begun.json()["complete"]) == (201, True)
        eventually(lambda: mori.get("/api/pulse").json()["watch"] == {"state": "held", "words": first})
        worked_through(web, sato)
        # when they hand it over, and write it once more before anybody took over
        assert mori.post("/api/handover", json={"remarks": "x"}).json()["code"] == "not_yours"
        sato.post("/api/handover", json={"remarks": "漂流物に注意"})
        sheet = sato.post("/api/handover", json={"remarks": "漂流物に注意\n北側は濃霧"}).json()
        at = f"/api/handover/{sheet['sheet_id']}"
        assert (sheet["version"], sheet["complete"], sheet["outgoing"]) == (2, False, first)
        assert mori.get("/api/handover/current").json()["waiting"] == sheet["sheet_id"]
        # and what is done before the other signs is on neither sheet's side lost
        between = {"matchers": [{"rule": "distress"}], "reason": "試験電波", "minutes": 5}
        assert sato.post("/api/silences", json=between).status_code == 201
        # then the other signs the version that they saw, with their password, and nobody signs for both
        signing = f"{at}/sign"
        assert mori.post(signing, json=proof, headers={"If-Match": '"1"'}).json()["code"] == "changed"
        assert sato.post(signing, json=proof, headers={"If-Match": '"2"'}).json()["code"] == "signed_already"
        assert mori.post(signing, json={}, headers={"If-Match": '"2"'}).status_code == 422
        assert mori.post(signing, json=proof).status_code == 428
        signed = mori.post(signing, json=proof, headers={"If-Match": '"2"'}).json()
        assert signed["complete"]
        assert [(each["part"], each["login"]) for each in signed["signatures"]] == [
            ("outgoing", first),
            ("incoming", second),
        ]
        # and the watch is theirs on every screen
        eventually(lambda: sato.get("/api/pulse").json()["watch"] == {"state": "held", "words": second})
        assert sato.post("/api/handover", json={}).json()["code"] == "not_yours"
        (change,) = mori.get("/api/handover/current").json()["content"]["changes"]
        assert (change["kind"], change["what"]["rule"]) == ("silence_begun", "distress")
        # and the hash that they signed is that of what is kept
        kept = sato.get(at).json()
        assert kept["sha256"] == hash_of(kept)
        # and a later word is another version, which both sign, and passes nothing
        corrected = sato.post(f"{at}/correct", json={"remarks": "北側の霧は晴れた"}, headers={"If-Match": '"2"'}).json()
        assert (corrected["version"], corrected["complete"]) == (3, False)
        assert corrected["content"] == kept["content"]
        assert mori.post(signing, json=proof, headers={"If-Match": '"3"'}).json()["complete"]
        assert sato.get("/api/roster/now").json()["holder"]["login"] == second
        assert sato.get(f"{at}?version=2").json() == kept
        # and who cannot sign is passed over with a reason, which stays
        assert sato.post("/api/handover/take", json=proof).json()["code"] == "reason_needed"
        taken = sato.post("/api/handover/take", json={**proof, "reason": "急病"}).json()
        assert (taken["outgoing"], taken["taken"], taken["complete"]) == (second, True, True)
        assert taken["content"]["taken_because"] == "急病"
        # and whoever does not stand a watch or may not read incidents is not let near
        assert pilot.get("/api/handover").status_code == 403
        listed = sato.get("/api/handover").json()["sheets"]
        assert [each["sheet_id"] for each in listed] == [taken["sheet_id"], sheet["sheet_id"], begun.json()["sheet_id"]]
    # and every signature is in the audit log with what was signed
    with shared_session(web.engine) as session:
        signatures = [each for each in list_audit(session, limit=100) if each.action == "handover.signed"]
    assert len(signatures) == 7
    assert signed["sha256"] in {each.detail["sha256"] for each in signatures}
    # and nothing of it can be changed
    for table in ("handover_version", "handover_signature", "watch_held"):
        with (
            pytest.raises(Exception, match="append-only"),
            realm_session(web.engine, web.realm) as session,
        ):
            session.execute(sql(f"DELETE FROM {table}"))  # noqa: S608 - a name of three above


def test_a_sheet_is_read_signed_and_printed_on_its_page(web: Any) -> None:
    with web.signed_in() as sato, web.signed_in() as mori:
        for client in (sato, mori):
            client.headers["X-CSRFToken"] = ""
        theirs, ours = ({"csrf": each.cookies["_csrf_token"]} for each in (sato, mori))
        # given a watch that was begun on the page
        assert "当直を始める" in sato.get("/handover").text
        assert "違います" in sato.post("/handover/take", data={**theirs, "password": "no"}).text
        began = sato.post("/handover/take", data={**theirs, "password": web.password})
        assert began.headers["location"] == "/handover?done=passed"
        for client, csrf in ((sato, theirs), (mori, ours)):
            client.headers["X-CSRFToken"] = csrf["csrf"]
        worked_through(web, sato)
        for client in (sato, mori):
            client.headers["X-CSRFToken"] = ""
        # when it is handed over there
        page = sato.get("/handover").text
        assert "KAIYO MARU 3" in page
        assert "5件" in page
        handed = sato.post("/handover", data={**theirs, "remarks": "北側は<濃霧>"})
        assert handed.status_code == 303
        (at,) = set(re.findall(r'class="note">[^<]*<a href="(/handover/[0-9a-f-]{36})"', mori.get("/handover").text))
        shown = mori.get(at).text
        assert "北側は&lt;濃霧&gt;" in shown
        assert "上番者の署名" in shown
        assert "上番者の署名</h2>" not in sato.get(at).text
        signed = mori.post(f"{at}/sign", data={**ours, "version": "1", "password": web.password})
        assert signed.status_code == 303
        assert "署名済み" in mori.get(at).text
        # then each of the two may correct it, and it can be printed in both languages
        corrected = mori.post(f"{at}/correct", data={**ours, "version": "1", "remarks": "霧は晴れた"})
        assert corrected.status_code == 303
        assert "第1版" in sato.get(at).text
        assert "訂正版への署名" in sato.get(at).text
        sheets = {}
        for language in ("ja", "en"):
            answer = sato.get(f"/api{at}.pdf", params={"version": 1, "language": language})
            assert answer.headers["content-type"] == "application/pdf"
            sheets[language] = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages)
        assert "当直申し送り書" in sheets["ja"]
        assert "Handover sheet of the watch" in sheets["en"]
        for printed in sheets.values():
            for word in ("KAIYO MARU 3", "北側は<濃霧>", "無線で呼び掛け", login_of(sato), login_of(mori), "radar"):
                assert word in printed, word
        assert sato.get(f"/api{at}.pdf", params={"version": 9}).status_code == 404
        assert sato.get(f"/handover/{uuid.uuid4()}").status_code == 404
