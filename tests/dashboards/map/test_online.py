"""Tiles of another server over the offline map: only where they are set, and never in its way."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

from playwright.sync_api import Page, expect

NEAR = "mizugiwaMap.focus({lon: 129.55, lat: 34.45, zoom: 8.6})"


def test_online_tiles_are_drawn_under_the_tracks_with_their_attribution_and_a_switch(
    page: Page, serve: Callable[..., Any], synthetic: ModuleType
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/online/" in request.url else None)
    page.goto(serve(synthetic.synthetic_console(synthetic.fleet(), online=True)).url)
    page.wait_for_function("mizugiwaMap.status()?.connected")
    with page.expect_request("**/online/10/**"):
        page.evaluate(NEAR)
    page.wait_for_function("mizugiwaMap.features().length > 0")
    # then tiles are asked for, and their owner is named as the settings write it, not as HTML
    expect(page.locator(".maplibregl-ctrl-attrib")).to_contain_text("<b>地理院タイル</b>")
    expect(page.locator(".maplibregl-ctrl-attrib")).to_contain_text("OpenStreetMap")
    expect(page.locator(".mz-notice")).to_be_empty()
    # when they are switched off, then none are asked for any more
    page.keyboard.press("y")
    page.get_by_label("オンライン地図", exact=True).uncheck()
    page.wait_for_function("JSON.parse(localStorage.getItem('mizugiwa.layers.')).online.on === false")
    before = len(asked)
    page.evaluate("mizugiwaMap.focus({lon: 139.8, lat: 35.4, zoom: 9})")
    page.wait_for_function("mizugiwaMap.features().some(f => f.lon > 139)")
    assert len(asked) == before


def test_without_the_network_the_offline_map_and_the_tracks_stay_and_the_map_says_so(
    page: Page, serve: Callable[..., Any], synthetic: ModuleType
) -> None:
    page.route("**/online/**", lambda route: route.abort())
    page.goto(serve(synthetic.synthetic_console(synthetic.fleet(), online=True)).url)
    page.wait_for_function("mizugiwaMap.status()?.connected")
    page.evaluate(NEAR)
    expect(page.locator(".mz-notice")).to_contain_text("オンライン地図を取得できません")
    page.wait_for_function("mizugiwaMap.features().length > 0")
    # when the network is there again, then the next tile that comes takes the words away
    page.unroute("**/online/**")
    page.evaluate("mizugiwaMap.focus({lon: 139.8, lat: 35.4, zoom: 9})")
    expect(page.locator(".mz-notice")).to_be_empty()


def test_where_none_are_set_there_is_neither_a_layer_nor_a_request(near: Page) -> None:
    near.keyboard.press("y")
    expect(near.get_by_label("施設", exact=True)).to_be_visible()
    assert near.get_by_label("オンライン地図", exact=True).count() == 0
    near.keyboard.press("y")
