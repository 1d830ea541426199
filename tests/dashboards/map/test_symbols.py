"""Symbols of MIL-STD-2525 close up: what they say, that they come when needed, and the switch to plain ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from command.domain.observation import SubjectKind
from command.domain.track import TrackStatus

SYMBOLS = "**/mizugiwa-symbols.mjs*"
CLOSE = "mizugiwaMap.focus({lon: 129.55, lat: 34.45, zoom: 13})"


@pytest.mark.parametrize(
    ("kind", "ours", "code"),
    [
        # MIL-STD-2525D: version 10, reality, affiliation (1 unknown, 3 friend, 4 neutral), symbol set, status, entity
        (SubjectKind.VESSEL, False, "10043000001401000000"),
        (SubjectKind.VESSEL, True, "10033000001401000000"),
        (SubjectKind.AIRCRAFT, False, "10040100001200000000"),
        (SubjectKind.UNKNOWN, False, "10013000000000000000"),
        (SubjectKind.AIR_DRONE, False, "10010100001203000000"),
        (SubjectKind.AIR_DRONE, True, "10030100001203000000"),
        (SubjectKind.UNDERWATER_DRONE, True, "10033500001202000000"),
        (SubjectKind.SURFACE_DRONE, False, "10013000001205000000"),
    ],
)
def test_a_track_has_the_code_of_its_type_and_of_what_a_machine_may_say_of_its_side(
    in_source: Callable[..., Any], kind: SubjectKind, ours: bool, code: str
) -> None:
    ask = "([kind, ours, status]) => source.codeOf({kind, ours, status})"
    assert in_source("milsymbols", ask, [kind, ours, TrackStatus.LIVE]) == code
    # and what is not heard has the dashed frame: the seventh digit
    for status in (TrackStatus.STALE, TrackStatus.LOST):
        assert in_source("milsymbols", ask, [kind, ours, status]) == code[:6] + "1" + code[7:]


@pytest.fixture
def close_fleet(synthetic: ModuleType) -> Any:
    """One of each kind at rest, all within a close view, and five hundred vessels around them."""
    ten = [m for m in synthetic.fleet() if m.track_id.startswith("00000000-0000-0000-0000-")]
    vessel = next(m for m in ten if m.kind is SubjectKind.VESSEL)
    many = [replace(vessel, track_id=f"00000000-0000-0000-0001-{i:012d}", flags=0, label="") for i in range(500)]
    return [
        replace(
            m, speed_mps=0.3 if m.speed_mps else 0.0, start=synthetic.Position(lon=129.55 + i % 40 * 5e-4, lat=34.45)
        )
        for i, m in enumerate([*ten, *many])
    ]


def test_the_symbols_come_when_the_view_is_close_one_picture_a_kind_and_x_switches_to_plain_ones(
    page: Page, serve: Callable[..., Any], synthetic: ModuleType, close_fleet: list[Any]
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "mizugiwa-symbols" in request.url else None)
    # given a far view: what draws the symbols is not even fetched
    page.goto(serve(synthetic.synthetic_console(close_fleet)).url)
    page.wait_for_function("mizugiwaMap.status()?.connected")
    page.evaluate("mizugiwaMap.focus({lon: 129.55, lat: 34.45, zoom: 9})")
    page.wait_for_function("n => mizugiwaMap.features().length === n", arg=len(close_fleet))
    assert page.evaluate("mizugiwaMap.features().every(f => f.symbol.startsWith('plain-'))")
    assert asked == []
    # when the officer goes close, then every kind that has one is a symbol of the standard, and all vessels share one
    page.evaluate(CLOSE)
    page.wait_for_function("mizugiwaMap.features().some(f => f.symbol.startsWith('type-'))")
    symbols = page.evaluate("mizugiwaMap.features().map(f => f.symbol)")
    assert len(symbols) == len(close_fleet)
    assert {s for s in symbols if s.startswith("type-")} == {
        "type-0-other-1", "type-1-other-1", "type-2-other-1", "type-3-ours-1", "type-4-ours-1", "type-8-ours-1",
    }  # fmt: skip
    assert len(asked) == 1
    # when X is pressed, then plain ones stand, said aloud, and are kept for the person
    page.keyboard.press("0")
    page.wait_for_function("mizugiwaMap.features().every(f => f.symbol.startsWith('plain-'))")
    expect(page.locator(".mz-spoken")).to_have_text("簡易記号で表示")
    page.reload()
    page.wait_for_function("n => mizugiwaMap.features().length === n", arg=len(close_fleet))
    assert page.evaluate("mizugiwaMap.features().every(f => f.symbol.startsWith('plain-'))")
    # and the legend shows both beside each other, and how they are to be read
    page.keyboard.press("y")
    vessel = page.locator(".mz-layers li", has_text="船舶").first
    expect(vessel.locator("canvas")).to_have_count(2)
    expect(page.locator(".mz-layers .mz-help").first).to_contain_text("敵性の判定はしません")
    assert page.get_by_label("MIL-STD-2525記号(拡大時)").is_checked() is False


def test_where_the_symbols_cannot_be_loaded_plain_ones_stand_and_the_map_says_so(
    page: Page, serve: Callable[..., Any], synthetic: ModuleType, close_fleet: list[Any]
) -> None:
    page.route(SYMBOLS, lambda route: route.abort())
    page.goto(serve(synthetic.synthetic_console(close_fleet)).url)
    page.wait_for_function("mizugiwaMap.status()?.connected")
    page.evaluate(CLOSE)
    expect(page.locator(".mz-notice")).to_contain_text("簡易記号で表示しています")
    page.wait_for_function("n => mizugiwaMap.features().length === n", arg=len(close_fleet))
    assert page.evaluate("mizugiwaMap.features().every(f => f.symbol.startsWith('plain-'))")
