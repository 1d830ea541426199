"""Areas over REST: drawn, changed, retired and brought back, with errors by row and no lost update."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from command.domain.people import Role

BAY = [[129.3, 34.2], [129.4, 34.2], [129.4, 34.3], [129.3, 34.3], [129.3, 34.2]]


def area(ring: list[list[Any]] | None = None, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring or BAY]},
        "properties": {"kind": "geofence", "name_ja": "厳原湾", "name_en": "Izuhara Bay", **properties},
    }


def test_an_area_is_drawn_changed_retired_and_restored(web: Any, eventually: Callable[..., None]) -> None:
    with web.signed_in() as client:
        # when an officer draws an area
        made = client.post("/api/areas", json=area())
        # then it has an address and a version, and every screen is told
        assert (made.status_code, made.headers["location"], made.headers["etag"]) == (
            201,
            "/api/areas/izuhara-bay",
            '"1"',
        )
        assert made.json()["properties"]["area_km2"] == pytest.approx(102.1, abs=0.5)
        eventually(lambda: [f["properties"]["slug"] for f in client.get("/api/areas").json()["features"]])
        # when it is changed, retired and restored, each based on what was seen
        path = made.headers["location"]
        changed = client.put(path, json=area(name_ja="厳原港"), headers={"If-Match": '"1"'})
        assert changed.headers["etag"] == '"2"'
        retired = client.delete(path, headers={"If-Match": '"2"'})
        assert retired.json()["properties"]["retired"] is True
        eventually(lambda: client.get("/api/areas").json()["features"] == [])
        assert len(client.get("/api/areas?retired=true").json()["features"]) == 1
        restored = client.post(f"{path}/restore", json={"version": 1}, headers={"If-Match": '"3"'})
        assert restored.json()["properties"]["name_ja"] == "厳原湾"
        # then its history has all of them, newest first, with who made each
        history = client.get(f"{path}/versions").json()["features"]
        assert [f["properties"]["version"] for f in history] == [4, 3, 2, 1]
        assert {f["properties"]["author"][:8] for f in history} == {"officer-"}
        second = client.get(f"{path}?version=2")
        assert (second.headers["etag"], second.json()["properties"]["name_ja"]) == ('"2"', "厳原港")
        assert client.get(f"{path}?version=9").status_code == 404


def test_the_second_of_two_who_edit_is_told_what_the_first_changed(web: Any) -> None:
    with web.signed_in() as first, web.signed_in() as second:
        path = first.post("/api/areas", json=area()).headers["location"]
        second.put(path, json=area(name_en="Bay"), headers={"If-Match": '"1"'})
        answer = first.put(path, json=area(name_ja="別名"), headers={"If-Match": '"1"'})
    assert answer.status_code == 412
    told = answer.json()
    assert told["changed"] == ["name_en"]
    assert told["current"]["properties"]["name_en"] == "Bay"
    assert "英語名" in told["detail"]


def test_each_wrong_row_is_told_by_its_number(web: Any) -> None:
    ring = [[129.3, 34.2], [129.4, 34.2], [129.4, 95], ["x", 34.3], [129.3, 34.2]]
    with web.signed_in() as client:
        client.cookies.set("language", "en")
        answer = client.post("/api/areas", json=area(ring))
    assert answer.status_code == 422
    assert [(e["row"], e["message"][:11]) for e in answer.json()["errors"]] == [(3, "Latitude 95"), (4, "The coordin")]
    assert answer.json()["detail"].startswith("Row 3: Latitude 95 is off the map")


def test_what_cannot_be_watched_is_refused_in_the_readers_language(web: Any) -> None:
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        (area([[129, 34], [130, 35], [130, 34], [129, 35], [129, 34]]), "交差"),
        (area(name_ja=" "), "日本語名"),
        (area([[129.3, 34.2], [129.4, 34.2], [129.3, 34.2]]), "3点以上"),
        ({**area(), "geometry": {"type": "Point", "coordinates": [1, 2]}}, "多角形ではありません"),
        ({**area(), "geometry": {"type": "Polygon"}}, "読み取れません"),
        (area(kind="circle"), "geofence"),
    )
    with web.signed_in() as client:
        for body, says in wrong:
            answer = client.post("/api/areas", json=body)
            assert answer.status_code == 422
            assert answer.headers["content-type"] == "application/problem+json"
            assert says in answer.json()["detail"]
        assert client.get("/api/areas?retired=true").json()["features"] == []


def test_a_change_says_which_version_it_is_based_on(web: Any) -> None:
    with web.signed_in() as client:
        path = client.post("/api/areas", json=area()).headers["location"]
        for headers, status in (({}, 428), ({"If-Match": "*"}, 422), ({"If-Match": '"9"'}, 412)):
            assert client.put(path, json=area(name_ja="別"), headers=headers).status_code == status
            assert client.delete(path, headers=headers).status_code == status
        assert client.put("/api/areas/nowhere", json=area(), headers={"If-Match": '"1"'}).status_code == 404
        assert client.get(path).headers["etag"] == '"1"'


def test_a_table_is_read_row_by_row_before_anything_is_saved(web: Any) -> None:
    rows = ["34 12.0N 129 18.0E", "34.2, 129.4", [129.4, 34.3], "34N"]
    with web.signed_in() as client:
        told = client.post("/api/areas/check", json={"rings": [{"rows": rows}]}).json()
        assert [bool(row["problem"]) for row in told["rings"][0]] == [False, False, False, True]
        assert told["rings"][0][0]["text"] == "34°12′00.0″N 129°18′00.0″E"
        assert told["geometry"] is None
        told = client.post("/api/areas/check", json={"rings": [{"rows": rows[:3]}]}).json()
        assert told["geometry"]["type"] == "Polygon"
        assert told["area_nm2"] == pytest.approx(told["area_km2"] / 3.43, rel=1e-3)
        assert client.post("/api/areas/check", json={"rings": [{"rows": ["1"] * 2_001}]}).status_code == 422
        assert client.get("/api/areas").json()["features"] == []


def test_the_stored_table_is_exact_so_that_saving_it_again_changes_nothing(web: Any) -> None:
    ring = [[129.3000000001, 34.2], [129.4, 34.2000000003], [129.35, 34.3], [129.3000000001, 34.2]]
    with web.signed_in() as client:
        path = client.post("/api/areas", json=area(ring)).headers["location"]
        one = client.get(path).json()
        points = [row["point"] for row in one["table"][0]["rows"]]
        again = client.put(path, json=area([*points, points[0]]), headers={"If-Match": '"1"'})
    assert again.headers["etag"] == '"1"'


def test_a_file_is_taken_whole_or_not_at_all(web: Any) -> None:
    path = "/api/areas/import?format=geojson"
    good = {"type": "FeatureCollection", "features": [area(), area(name_ja="豊玉", name_en="Toyotama")]}
    bad = {"type": "FeatureCollection", "features": [*good["features"], area([[1, 2], [3, 95], [4, 5], [1, 2]])]}
    with web.signed_in() as client:
        # when a file has a wrong row, then it is told and nothing is there
        answer = client.post(path + "&dry_run=false", content=json.dumps(bad))
        assert answer.status_code == 422
        assert [(e["feature"], e["row"]) for e in answer.json()["errors"]] == [(3, 2)]
        # when a good one is tried and then taken, it is there after the second
        assert [a["outcome"] for a in client.post(path, content=json.dumps(good)).json()["areas"]] == ["created"] * 2
        assert client.get("/api/areas?retired=true").json()["features"] == []
        assert client.post(path + "&dry_run=false", content=json.dumps(good)).status_code == 200
        assert len(client.get("/api/areas?retired=true").json()["features"]) == 2
        # and it goes out as a file that other systems read
        out = client.get("/api/areas/export?format=gpkg")
        assert out.headers["content-disposition"] == 'attachment; filename="areas-drill-console.gpkg"'
        again = client.post("/api/areas/import?format=gpkg&dry_run=false", content=out.content)
        assert {a["outcome"] for a in again.json()["areas"]} == {"unchanged"}
        # what is too large or no such file says so
        assert client.post(path, content=b" " * (12 * 1024 * 1024)).status_code == 413
        assert client.post(path, content=b" " * (10 * 1024 * 1024 + 1)).status_code == 422
        assert client.post(path, content=b"{").status_code == 422
        assert client.post("/api/areas/import?format=shp", content=b"").status_code == 422
    with web.signed_in(Role.ANALYST) as client:
        assert client.get("/api/areas/export?format=csv").status_code == 200
        assert client.post(path, content=json.dumps(good)).status_code == 403


def test_who_may_only_watch_reads_areas_and_changes_none(web: Any) -> None:
    with web.signed_in() as officer:
        path = officer.post("/api/areas", json=area()).headers["location"]
    match = {"If-Match": '"1"'}
    for role in sorted(set(Role) - {Role.OFFICER, Role.ADMIN}):
        with web.signed_in(role) as client:
            assert client.get(path).status_code == client.get(f"{path}/versions").status_code == 200
            assert client.post("/api/areas", json=area()).status_code == 403
            assert client.post("/api/areas/check", json={"rings": []}).status_code == 403
            assert client.put(path, json=area(), headers=match).status_code == 403
            assert client.delete(path, headers=match).status_code == 403
            assert client.post(f"{path}/restore", json={"version": 1}, headers=match).status_code == 403
