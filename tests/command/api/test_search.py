"""GET /api/search: one question, and what of all kinds answers to it."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from command.domain.people import Role

SQUARE = [[[129.0, 34.0], [130.0, 34.0], [130.0, 35.0], [129.0, 35.0], [129.0, 34.0]]]


def found(client: httpx.Client, words: str, **more: Any) -> list[tuple[str, str]]:
    answer = client.get("/api/search", params={"q": words, **more})
    assert answer.status_code == 200, answer.text
    return [(one["kind"], one["title"]) for one in answer.json()["found"]]


@pytest.fixture
def vessel(web: Any, eventually: Callable[..., None]) -> Any:
    track = web.vessel(431000001, 129.3, 34.2, name="ｶｲﾖｳ MARU")
    web.put_tracks([replace(track, attributes={**track.attributes, "callsign": "7JKL"})])
    eventually(lambda: len(web.console.picture) == 1)
    return track


def test_a_vessel_is_found_by_name_mmsi_and_call_sign_whatever_the_kana_and_width(web: Any, vessel: Any) -> None:
    with web.signed_in() as client:
        for words in ("ｶｲﾖｳ", "カイヨウ", "かいよう", "maru", "ＭＡＲＵ ｶｲ", "431000001", "4310", "7jkl", "７ＪＫＬ"):
            assert found(client, words) == [("track", "ｶｲﾖｳ MARU")], words
        (one,) = client.get("/api/search", params={"q": "かいよう"}).json()["found"]
    assert one["key"] == str(vessel.track_id)
    assert one["position"] == {"lon": 129.3, "lat": 34.2}
    assert "MMSI 431000001" in one["detail"]
    assert "7JKL" in one["detail"]


@pytest.mark.parametrize(
    "words", ["34°12′00″N 129°18′00″E", "34.2, 129.3", "北緯34度12分 東経129度18分", "52S EC 27639 84372"]
)
def test_coordinates_are_a_place_in_every_notation(web: Any, words: str) -> None:
    with web.signed_in() as client:
        (one,) = client.get("/api/search", params={"q": words}).json()["found"]
    assert one["kind"] == "position"
    assert one["position"] == pytest.approx({"lon": 129.3, "lat": 34.2}, abs=1e-5)


def test_what_was_meant_as_coordinates_and_is_none_says_why(web: Any) -> None:
    with web.signed_in() as client:
        answer = client.get("/api/search", params={"q": "34°72′00″N 129°18′00″E"}).json()
        assert answer["found"] == []
        assert "60" in answer["hint"]
        assert client.get("/api/search", params={"q": "no such thing"}).json()["hint"] == ""


def test_incidents_also_those_that_are_over_are_found_by_whoever_may_read_them(web: Any) -> None:
    with web.signed_in() as officer, web.signed_in(Role.PILOT) as pilot:
        opening = {"type": "other", "title": "漂流ブイ", "severity": "low", "position": {"lon": 129.3, "lat": 34.2}}
        made = officer.post("/api/incidents", json=opening).json()
        title = f"{made['number']} 漂流ブイ"
        assert found(officer, "ぶい") == [("incident", title)]
        officer.post(
            f"/api/incidents/{made['incident_id']}/state",
            json={"state": "closed", "reason": "回収"},
            headers={"If-Match": f'"{made["revision"]}"'},
        ).raise_for_status()
        assert found(officer, made["number"]) == [("incident", title)]
        assert found(pilot, "ぶい") == []


def test_areas_facilities_and_names_of_the_map_are_grouped_and_the_best_of_each_comes_first(
    web: Any, eventually: Callable[..., None]
) -> None:
    area = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": SQUARE},
        "properties": {"kind": "geofence", "name_ja": "対馬北方", "name_en": "North of Tsushima"},
    }
    with web.signed_in() as client:
        made = client.post("/api/areas", json=area)
        assert made.status_code == 201, made.text
        eventually(lambda: bool(web.console.areas))
        hits = found(client, "対馬", limit=3)
        kinds = [kind for kind, _ in hits]
        # then groups follow each other, a limit is of each kind, and the exact name is the first of its group
        assert kinds == sorted(kinds, key=["area", "facility", "place"].index)
        assert ("area", "対馬北方") in hits
        assert next(title for kind, title in hits if kind == "place") == "対馬"
        whole = client.get("/api/search", params={"q": "対馬", "limit": 1}).json()
        assert [one["kind"] for one in whole["found"]].count("place") == 1
        assert "place" in whole["more"]
        (one,) = [one for one in whole["found"] if one["kind"] == "area"]
        assert one["box"] == [129.0, 34.0, 130.0, 35.0]
        assert one["key"] == "north-of-tsushima"
        # and in English by their English names
        client.cookies.set("language", "en")
        assert ("area", "North of Tsushima") in found(client, "north of")


def test_without_the_database_the_search_goes_on_with_what_is_in_memory(
    web: Any, vessel: Any, eventually: Callable[..., None]
) -> None:
    with web.signed_in() as client:
        assert found(client, "かいよう")
        web.lose_database()
        eventually(lambda: not client.get("/api/pulse").json()["store"]["connected"])
        assert found(client, "かいよう") == [("track", "ｶｲﾖｳ MARU")]
        web.restore_database()
        eventually(lambda: client.get("/api/pulse").json()["store"]["connected"])


@pytest.mark.parametrize("params", [{}, {"q": "x" * 101}, {"q": "x", "limit": 0}, {"q": "x", "limit": 1_000}])
def test_a_question_beyond_the_limits_is_refused(web: Any, params: dict[str, Any]) -> None:
    with web.signed_in() as client:
        answer = client.get("/api/search", params=params)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"


def test_nothing_answers_to_nothing(web: Any) -> None:
    with web.signed_in() as client:
        assert found(client, "") == []
        assert found(client, "　 ") == []
        assert found(client, str(uuid.uuid4())) == []
