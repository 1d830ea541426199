"""Tracks by a box: over REST, and by mouse, keyboard and coordinates in a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from command.domain.observation import SubjectKind


@pytest.fixture
def sea(web: Any, eventually: Callable[..., None]) -> dict[str, str]:
    """Two vessels and a dark contact near each other, a third vessel far off: their ids by name."""
    here = [web.vessel(431000000 + i, 129.30 + i / 50, 34.20, name=f"KAIYO {i}") for i in (1, 2)]
    dark = replace(web.vessel(431000003, 129.33, 34.21), kind=SubjectKind.UNKNOWN, subject="radar:7", attributes={})
    tracks = [*here, dark, web.vessel(431000004, 139.7, 35.0, name="FAR")]
    web.put_tracks(tracks)
    eventually(lambda: len(web.console.picture) == 4)
    return {name: str(t.track_id) for name, t in zip(("one", "two", "dark", "far"), tracks, strict=True)}


BOX = "129.2,34.1,129.5,34.3"


def test_the_tracks_of_a_box_are_listed_without_those_that_are_hidden(web: Any, sea: dict[str, str]) -> None:
    with web.signed_in() as client:

        def within(**params: Any) -> tuple[set[str], int]:
            answer = client.get("/api/tracks/within", params=params)
            assert answer.status_code == 200, answer.text
            body = answer.json()
            return {t["track_id"] for t in body["tracks"]}, body["all"]

        assert within(bbox=BOX) == ({sea["one"], sea["two"], sea["dark"]}, 3)
        assert within(bbox=BOX, hide="vessels") == ({sea["dark"]}, 1)
        found, count = within(bbox=BOX, limit=2)
        assert (len(found), count) == (2, 3)
        # a box over the edge of the map, as a map gives it that was turned once round
        assert within(bbox="489.2,34.1,489.5,34.3") == ({sea["one"], sea["two"], sea["dark"]}, 3)


@pytest.mark.parametrize("bbox", ["", "1,2,3", "a,b,c,d", "129,35,130,34", "nan,1,2,3", "1,2,3,4,5"])
def test_a_box_that_is_none_is_refused_with_what_to_write(web: Any, bbox: str) -> None:
    with web.signed_in() as client:
        answer = client.get("/api/tracks/within", params={"bbox": bbox})
        assert answer.status_code == 422
        assert "west,south,east,north" in answer.json()["detail"]


def test_chosen_tracks_are_taken_out_as_a_file_and_that_is_audited(web: Any, sea: dict[str, str]) -> None:
    chosen = {"tracks": [sea["one"], sea["dark"], "00000000-0000-0000-0000-000000000000"]}
    with web.signed_in() as client:
        answer = client.post("/api/tracks/export", params={"format": "geojson"}, json=chosen)
        assert answer.status_code == 200, answer.text
        assert "attachment" in answer.headers["content-disposition"]
        names = {feature["properties"]["name_ja"] for feature in answer.json()["features"]}
        assert len(answer.json()["features"]) == 2
        assert "KAIYO 1" in names
        for form in ("csv", "kml", "gpkg"):
            assert client.post("/api/tracks/export", params={"format": form}, json=chosen).content
        for wrong in ({"tracks": []}, {"tracks": ["x"]}, {}):
            assert client.post("/api/tracks/export", params={"format": "csv"}, json=wrong).status_code == 422
    with web.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT detail FROM shared.audit WHERE action = 'exported'").fetchall()
    assert [row[0]["count"] for row in rows] == [2, 2, 2, 2]


def test_tracks_that_are_chosen_by_mouse_are_opened_exported_linked_and_followed(
    page: Page, web: Any, sea: dict[str, str], enter: Callable[[], None], until: Callable[..., None]
) -> None:
    opening = {"type": "other", "title": "瀬取り", "severity": "high"}
    with web.signed_in() as client:
        incident = client.post("/api/incidents", json=opening).json()
    enter()
    until("mizugiwaMap.status()?.connected")
    page.evaluate("mizugiwaMap.focus({lon: 129.33, lat: 34.2, zoom: 10})")
    until("location.hash.includes(',10.00') && mizugiwaMap.features().length === 3")
    rows = page.locator(".mz-picked button")
    # when a box is dragged around them, then the three are listed with their kinds
    page.keyboard.press("[")
    box = page.locator("#map").bounding_box()
    assert box is not None
    middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(middle[0] - 120, middle[1] - 120)
    page.mouse.down()
    page.mouse.move(middle[0], middle[1], steps=3)
    page.mouse.move(middle[0] + 160, middle[1] + 120, steps=3)
    page.mouse.up()
    expect(rows).to_have_count(3)
    expect(page.locator(".mz-sum")).to_contain_text("船舶 2")
    expect(page.locator(".mz-sum")).to_contain_text("不明目標 1")
    # and the map has not moved with the drag; one after the other is opened by the arrows and Enter
    assert len(page.evaluate("mizugiwaMap.features()")) == 3
    expect(rows.first).to_be_focused()
    for i in (0, 1):
        page.keyboard.press("Enter")
        expect(page.locator("#detail")).to_contain_text(rows.nth(i).locator("strong").inner_text())
        rows.nth(i).focus()
        page.keyboard.press("ArrowDown")
    expect(rows.nth(2)).to_be_focused()
    # when they are exported, then the file has them
    with page.expect_download() as download:
        page.click(".mz-acts [data-does=geojson]")
    features = json.loads(download.value.path().read_text("utf-8"))["features"]
    assert {f["properties"]["track_id"] for f in features} == {sea["one"], sea["two"], sea["dark"]}
    # when they are linked, then the incident has them
    page.locator(".mz-acts select").select_option(incident["incident_id"])
    page.click(".mz-acts [data-does=link]")
    expect(page.locator(".mz-box .mz-said")).to_contain_text("3航跡")
    with web.signed_in() as client:
        linked = client.get(f"/api/incidents/{incident['incident_id']}").json()["tracks"]
    assert set(linked) == {sea["one"], sea["two"], sea["dark"]}
    # when they are followed and go off, then the view goes with them
    page.click(".mz-acts [data-does=follow]")
    expect(page.locator(".mz-acts [data-does=follow]")).to_have_attribute("aria-pressed", "true")
    for lon in (129.53, 129.62):
        web.put_tracks([web.vessel(431000001, lon, 34.2, name="KAIYO 1")])
        until("lon => mizugiwaMap.features().some(f => Math.abs(f.lon - lon) < 0.001)", lon)
    until("() => mizugiwaMap.features().length === 3")
    page.click(".mz-acts [data-does=end]")
    expect(page.locator(".mz-box")).to_be_hidden()


def test_tracks_are_chosen_with_the_keyboard_alone_and_by_coordinates(
    page: Page, web: Any, sea: dict[str, str], enter: Callable[[], None], until: Callable[..., None]
) -> None:
    enter()
    until("mizugiwaMap.status()?.connected")
    rows = page.locator(".mz-picked button")
    # when two corners are set with the arrows and Enter, then only the track between them is chosen
    page.evaluate("mizugiwaMap.focus({lon: 129.33, lat: 34.21, zoom: 12})")
    until("location.hash.includes(',12.00') && mizugiwaMap.features().some(f => f.lat > 34.205)")
    page.keyboard.press("[")
    for key in ("ArrowLeft", "ArrowUp", "Enter", *["ArrowRight"] * 2, *["ArrowDown"] * 2, "Enter"):
        page.keyboard.press(key)
    expect(rows).to_have_count(1)
    expect(rows.first).to_have_attribute("data-track", sea["dark"])
    # when corners are written, one of them wrong, then that one says so; mended, the far vessel is chosen
    corners = page.locator(".mz-corners input")
    corners.nth(0).fill("35°10′N 139°50′E")
    corners.nth(1).fill("nowhere")
    page.keyboard.press("Enter")
    expect(page.locator(".mz-box .mz-said")).to_contain_text("nowhere")
    expect(corners.nth(1)).to_be_focused()
    corners.nth(1).fill("34.9, 139.6")
    page.keyboard.press("Enter")
    expect(rows).to_have_count(1)
    expect(rows.first).to_contain_text("FAR")
    # Escape ends it and leaves no box behind
    page.keyboard.press("Escape")
    expect(page.locator(".mz-box")).to_be_hidden()
