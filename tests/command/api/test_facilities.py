"""Facilities over REST: who may change them, what a file would do, and that every screen hears of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from command.domain.people import Role
from command.store.engine import shared_session
from command.store.facilities import save_shipped
from maps.reference import reference_facilities

TABLE = "name_ja,name_en,kind,lat,lon\n第一保税倉庫,Depot,bonded_area,34.2,129.3\n".encode()


def test_a_file_is_looked_at_taken_exported_retired_and_brought_back(web: Any, eventually: Callable[..., None]) -> None:
    with shared_session(web.engine) as session:
        save_shipped(session, reference_facilities()[:2], 1)
    eventually(lambda: len(web.console.facilities) == 2)
    with web.signed_in() as client, web.socket(client, "/ws/tracks") as socket:
        # when a file is looked at, then it is told what it would do, and nothing is done
        params = {"format": "csv", "kind": "other"}
        looked = client.post("/api/facilities/import", params=params, content=TABLE).json()
        assert looked["dry_run"] is True
        assert [(f["facility_id"], f["outcome"], f["place"]) for f in looked["facilities"]] == [
            ("depot", "created", "34°12′00.0″N 129°18′00.0″E")
        ]
        assert len(client.get("/api/facilities").json()["features"]) == 2
        # when it is taken, then it is in the list of everybody at once, by its origin, and screens are told
        client.post("/api/facilities/import", params=params | {"dry_run": "false"}, content=TABLE)
        listed = client.get("/api/facilities").json()
        assert [f["properties"]["origin"] for f in listed["features"] if f["id"] == "depot"] == ["imported"]
        assert web.console.place(web.vessel(431000001, 129.3, 34.2), "ja") == "第一保税倉庫付近"
        while True:
            message = socket.recv(timeout=20.0)
            if isinstance(message, str) and json.loads(message) == {
                "type": "facilities",
                "revision": listed["revision"],
            }:
                break
        # and it goes out with the shipped ones
        saved = client.get("/api/facilities/export", params={"format": "geojson"})
        assert len(saved.json()["features"]) == 3
        # when it is retired by who saw this version, then it is gone, and can be brought back
        path = "/api/facilities/depot"
        assert client.delete(path).status_code == 428
        assert client.delete(path, headers={"If-Match": '"7"'}).status_code == 412
        gone = client.delete(path, headers={"If-Match": client.get(path).headers["etag"]})
        assert (gone.json()["properties"]["retired"], gone.headers["etag"]) == (True, '"2"')
        assert len(client.get("/api/facilities").json()["features"]) == 2
        assert len(client.get("/api/facilities", params={"retired": True}).json()["features"]) == 3
        back = client.post(f"{path}/restore", json={"version": 1}, headers={"If-Match": '"2"'})
        assert back.json()["properties"]["version"] == 3
        assert len(client.get(f"{path}/versions").json()["features"]) == 3
        # and what is shipped, wrong or not there is refused with its reason
        shipped = client.delete("/api/facilities/" + reference_facilities()[0].facility_id, headers={"If-Match": '"1"'})
        assert (shipped.status_code, shipped.json()["reason"]) == (422, "shipped")
        assert client.get("/api/facilities/nothing").status_code == 404
        wrong = client.post("/api/facilities/import", params=params, content=TABLE.replace(b"34.2", b"94.2"))
        assert wrong.status_code == 422
        assert [error["feature"] for error in wrong.json()["errors"]] == [2]


def test_who_may_look_may_export_but_not_import(web: Any) -> None:
    with web.signed_in(Role.ANALYST) as client:
        assert client.get("/api/facilities/export", params={"format": "kml"}).status_code == 200
        answer = client.post("/api/facilities/import", params={"format": "csv"}, content=TABLE)
        assert answer.status_code == 403
        assert client.delete("/api/facilities/depot", headers={"If-Match": '"1"'}).status_code == 403
