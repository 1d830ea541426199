"""The search over the map by keyboard alone, in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect


def test_one_box_finds_a_vessel_an_incident_an_area_and_coordinates_and_goes_there(
    page: Page, web: Any, enter: Callable[[], None], eventually: Callable[..., None], until: Callable[..., None]
) -> None:
    # given a vessel, an incident elsewhere and an area
    web.put_tracks([web.vessel(431000001, 129.3, 34.2, name="KAIYO MARU")])
    enter()
    until("mizugiwaMap.status()?.connected")
    ring = [[130.0, 33.0], [130.4, 33.0], [130.4, 33.4], [130.0, 33.0]]
    area = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {"kind": "geofence", "name_ja": "玄界灘", "name_en": "Genkai"},
    }
    opening = {"type": "other", "title": "漂流ブイ", "severity": "low", "position": {"lon": 139.7, "lat": 35.0}}
    with web.signed_in() as client:
        number = client.post("/api/incidents", json=opening).json()["number"]
        assert client.post("/api/areas", json=area).status_code == 201
    eventually(lambda: bool(web.console.areas) and len(web.console.picture) == 1)

    def find(words: str) -> None:
        page.keyboard.press(".")
        expect(page.locator("#mz-search")).to_be_focused()
        page.keyboard.insert_text(words)

    def stands_at(lon: float, lat: float) -> None:
        until(
            "([lon, lat]) => { const m = /at=([-.0-9]+),([-.0-9]+),/.exec(location.hash);"
            " return m && Math.abs(m[1] - lat) < 0.2 && Math.abs(m[2] - lon) < 0.3; }",
            [lon, lat],
        )

    # when its name is written full-width, then Enter goes to the vessel and opens what is known of it
    find("ＫＡＩＹＯ")
    expect(page.locator(".mz-hit[aria-selected=true]")).to_contain_text("MMSI 431000001")
    page.keyboard.press("Enter")
    expect(page.locator("#detail")).to_contain_text("KAIYO MARU")
    stands_at(129.3, 34.2)
    # when an incident is looked for, then it is opened
    find("ぶい")
    expect(page.locator(".mz-hit[aria-selected=true]")).to_contain_text(number)
    page.keyboard.press("Enter")
    expect(page.locator("#incident-head")).to_contain_text("漂流ブイ")
    stands_at(139.7, 35.0)
    # when an area is, then its line has the focus in the areas' panel
    find("玄界")
    expect(page.locator(".mz-hit[aria-selected=true]")).to_contain_text("監視区域")
    page.keyboard.press("Enter")
    expect(page.locator("[data-area=genkai]")).to_be_focused()
    stands_at(130.2, 33.2)
    # when coordinates are, then a mark says where they are, until Escape
    find("52S EC 27639 84372")
    expect(page.locator("#mz-found-position")).to_have_text("座標")
    page.keyboard.press("Enter")
    expect(page.locator(".mz-here")).to_contain_text("34°12′00.0″N")
    stands_at(129.3, 34.2)
    page.keyboard.press("Escape")
    expect(page.locator(".mz-here")).to_have_count(0)
    # when nothing answers, then the box says so and what can be searched; Escape gives the keys back
    find("そんな船はない")
    expect(page.locator(".mz-found")).to_contain_text("当たるものはありません")
    expect(page.locator(".mz-found")).to_contain_text("MMSI")
    page.keyboard.press("Escape")
    expect(page.locator(".mz-found")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.locator("#mz-search")).to_have_value("")
    page.keyboard.press("y")
    expect(page.locator(".mz-layers").first).to_have_attribute("open", "")
