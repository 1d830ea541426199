"""An incident as a document over REST: what is in it, who may have it, and what is written down of that."""

from __future__ import annotations

import hashlib
import io
from typing import Any

import numpy as np
from pypdf import PdfReader

from command.domain.people import Role
from command.domain.track import TRACK_STATE_DTYPE, Track
from command.store.audit import list_audit
from command.store.engine import realm_session, shared_session
from command.store.tracks import append_track_states

PNG = b"\x89PNG\r\n\x1a\n" + bytes(64)


def steam(web: Any, track: Track) -> None:
    """The track's last half hour in the store."""
    rows = np.zeros(30, dtype=TRACK_STATE_DTYPE)
    rows["track_id"] = track.track_id.bytes
    rows["observation_id"] = [i.to_bytes(16, "big") for i in range(1, 31)]
    rows["observed_at_us"] = rows["recorded_at_us"] = track.observed_at_us - np.arange(30)[::-1] * 60_000_000
    for name in TRACK_STATE_DTYPE.names or ():
        if TRACK_STATE_DTYPE[name] == np.dtype("<f4"):
            rows[name] = np.nan
    rows["lon"] = 129.3 - np.arange(30)[::-1] * 0.004
    rows["lat"] = 34.2 + np.sin(np.arange(30)[::-1] / 5.0) * 0.01
    with realm_session(web.engine, web.realm) as session:
        append_track_states(session, rows)


def worked_through(web: Any, client: Any) -> dict[str, Any]:
    track = web.vessel(431000001, 129.3, 34.2, name="KAIYO MARU")
    web.put_tracks([track])
    steam(web, track)
    alert = web.raise_alert(track)
    sent = {"type": "smuggling", "title": "𠮷野 船長の不審船", "severity": "high", "alerts": [str(alert.alert_id)]}
    incident: dict[str, Any] = client.post("/api/incidents", json=sent | {"place": "厳原沖"}).json()
    path = f"/api/incidents/{incident['incident_id']}"
    incident = client.post(
        f"{path}/tasks", json={"title": "臨検の準備", "assignee": "対馬班"}, headers={"If-Match": "*"}
    ).json()
    client.post(f"{path}/comments", json={"text": "船長から\n事情を聴取 😀"})
    client.post(f"{path}/attachments", params={"name": "甲板.png"}, content=PNG)
    return incident


def test_an_incident_is_a_document_with_all_that_is_known_of_it(web: Any) -> None:
    with web.signed_in() as client:
        # given an incident of a drill with an alert, a task, a comment and a file
        incident = worked_through(web, client)
        # when it is asked for as PDF
        answer = client.get(f"/api/incidents/{incident['incident_id']}.pdf")
        # then it comes as a file, in the reader's language
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/pdf"
        assert f'"incident-drill-console-{incident["number"]}.pdf"' in answer.headers["content-disposition"]
        pages = [page.extract_text() for page in PdfReader(io.BytesIO(answer.content)).pages]
        said = " ".join(" ".join(pages).split())
        for word in (
            incident["number"],
            "𠮷野 船長の不審船",
            "密輸疑い",
            "34°12′00.0″N 129°18′00.0″E",
            "厳原沖",
            "臨検の準備",
            "対馬班",
            "KAIYO MARU",
            "監視区域への進入",
            "north",
            "甲板.png",
            "事情を聴取 〓",
            "U+1F600 GRINNING FACE",
            "海岸線: © OpenStreetMap",
        ):
            assert word in said, word
        assert hashlib.sha256(PNG).hexdigest() in said.replace(" ", "")
        assert all("訓練" in page for page in pages)
        # and in the other one where that is asked for
        english = client.get(f"/api/incidents/{incident['incident_id']}.pdf", params={"language": "en"})
        assert "Page 1 of" in PdfReader(io.BytesIO(english.content)).pages[0].extract_text()
        assert client.get(f"/api/incidents/{incident['incident_id']}.pdf?language=fr").status_code == 422
    # and who took it out, with the file's hash, is in the audit log
    with shared_session(web.engine) as session:
        printed = [
            e for e in list_audit(session, limit=20, target=incident["incident_id"]) if e.action == "incident.printed"
        ]
    assert [entry.detail["language"] for entry in printed] == ["en", "ja"]
    assert printed[1].detail["sha256"] == hashlib.sha256(answer.content).hexdigest()


def test_who_may_not_read_incidents_gets_no_document_and_what_is_not_there_is_not_found(web: Any) -> None:
    with web.signed_in() as client:
        incident = client.post("/api/incidents", json={"type": "other", "title": "x", "severity": "low"}).json()
        missing = client.get("/api/incidents/00000000-0000-0000-0000-000000000000.pdf")
        assert (missing.status_code, missing.json()["code"]) == (404, "incident.error.unknown")
    with web.signed_in(Role.PILOT) as client:
        assert client.get(f"/api/incidents/{incident['incident_id']}.pdf").status_code == 403
