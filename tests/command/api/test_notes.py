"""Notes on the map over REST: written, changed without losing anybody's change, removed and brought back."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from command.domain.people import Role

HERE = {"lon": 129.3, "lat": 34.2}


def write(client: httpx.Client, words: str = "漁具あり", **more: Any) -> dict[str, Any]:
    answer = client.post("/api/notes", json={"text": words, "position": HERE, **more})
    assert answer.status_code == 201, answer.text
    assert answer.headers["etag"] == '"1"'
    made: dict[str, Any] = answer.json()
    return made


def texts(client: httpx.Client) -> list[str]:
    return [feature["properties"]["text"] for feature in client.get("/api/notes").json()["features"]]


def test_a_note_is_seen_by_others_with_its_author_and_time_until_it_expires(
    web: Any, eventually: Callable[..., None]
) -> None:
    with web.signed_in(Role.PILOT) as pilot, web.signed_in(Role.AUDITOR) as reader:
        made = write(pilot, " 定置網 \x00あり\n\n夜間灯火なし  ")
        assert made["properties"]["text"] == "定置網 あり\n\n夜間灯火なし"
        assert made["geometry"]["coordinates"] == [129.3, 34.2]
        assert made["properties"]["created_by"].startswith("pilot-")
        write(pilot, "短い", expires_at=(datetime.now(UTC) + timedelta(seconds=6)).isoformat())
        eventually(lambda: len(texts(reader)) == 2)
        eventually(lambda: texts(reader) == ["定置網 あり\n\n夜間灯火なし"])
        # whoever only reads writes none
        assert reader.post("/api/notes", json={"text": "x", "position": HERE}).status_code == 403


def test_of_two_changes_of_the_same_version_one_is_refused_with_what_holds_now(web: Any) -> None:
    with web.signed_in() as one, web.signed_in(Role.ANALYST) as other:
        made = write(one)
        path = f"/api/notes/{made['id']}"

        def change(client: httpx.Client, words: str, version: int) -> httpx.Response:
            body = {"text": words, "position": {"lon": 129.4, "lat": 34.3}}
            return client.put(path, json=body, headers={"If-Match": f'"{version}"'})

        # when two people change it at once
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda c: change(*c), [(one, "一人目", 1), (other, "二人目", 1)]))
        # then one of them is told what the other made of it, and by whom
        won, lost = sorted(answers, key=lambda answer: answer.status_code)
        assert (won.status_code, lost.status_code) == (200, 412)
        assert lost.headers["content-type"] == "application/problem+json"
        assert lost.json()["current"]["properties"]["text"] == won.json()["properties"]["text"]
        assert won.json()["properties"]["changed_by"] in lost.json()["detail"]
        # and may then change that; the author of the note stays who wrote it
        again = change(other, "最後", 2)
        assert again.status_code == 200
        assert again.headers["etag"] == '"3"'
        assert again.json()["properties"]["created_by"] == made["properties"]["created_by"]
        # a change that says no version, or none that can be read, is refused
        body = {"text": "x", "position": HERE}
        assert one.put(path, json=body).status_code == 428
        assert one.put(path, json=body, headers={"If-Match": "3"}).status_code == 422


def test_a_removed_note_is_gone_for_all_and_can_be_brought_back(web: Any, eventually: Callable[..., None]) -> None:
    with web.signed_in() as client, web.signed_in(Role.RESPONDER) as other:
        made = write(client)
        path = f"/api/notes/{made['id']}"
        eventually(lambda: texts(other) == ["漁具あり"])
        gone = client.delete(path, headers={"If-Match": '"1"'})
        assert gone.json()["properties"]["removed"] is True
        eventually(lambda: texts(other) == [])
        # who was still editing it is told that it is gone
        late = other.put(path, json={"text": "x", "position": HERE}, headers={"If-Match": '"2"'})
        assert late.status_code == 412
        assert late.json()["code"] == "removed"
        back = client.post(f"{path}/restore", headers={"If-Match": '"2"'})
        assert back.json()["properties"]["removed"] is False
        eventually(lambda: texts(other) == ["漁具あり"])
    with web.engine.connect() as connection:
        asked = "SELECT action FROM shared.audit WHERE action LIKE 'note.%%' ORDER BY audit_id"
        actions = [row[0] for row in connection.exec_driver_sql(asked)]
    assert actions == ["note.written", "note.removed", "note.brought_back"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"text": ""},
        {"text": " \n\u0000"},
        {"text": "x" * 501},
        {"text": "x" * 5_000},
        {"text": "\n".join("x" * 25)},
        {"position": {"lon": 181, "lat": 0}},
        {"position": {"lon": 0, "lat": 89}},
        {"position": None},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2999-01-01T00:00:00Z"},
        {"expires_at": "2027-01-01T00:00:00"},
        {"expires_at": "soon"},
        {"author": "somebody else"},
    ],
)
def test_a_note_that_cannot_be_is_refused_with_a_reason(web: Any, wrong: dict[str, Any]) -> None:
    with web.signed_in() as client:
        answer = client.post("/api/notes", json={"text": "x", "position": HERE, **wrong})
        assert answer.status_code == 422, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["detail"]
        assert texts(client) == []


def test_there_are_only_so_many_notes_and_each_has_an_id(web: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("command.operations.notes.MOST_NOTES", 2)
    with web.signed_in() as client:
        first = write(client, "1")
        write(client, "2")
        full = client.post("/api/notes", json={"text": "3", "position": HERE})
        assert full.status_code == 422
        assert full.json()["code"] == "too_many"
        client.delete(f"/api/notes/{first['id']}", headers={"If-Match": '"1"'}).raise_for_status()
        write(client, "3")
        unknown = "/api/notes/00000000-0000-0000-0000-000000000000"
        assert client.delete(unknown, headers={"If-Match": '"1"'}).status_code == 404
