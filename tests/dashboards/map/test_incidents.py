"""Incidents on the map: their marks, what they say, and what an open one is joined to."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from types import ModuleType
from typing import Any

from playwright.sync_api import Page, expect

K_031 = {"lon": 129.78, "lat": 34.63}
ALERTED = str(uuid.UUID(int=2_001))
"""The incident about the dark contact K-031."""
READS = 'data-reads-incidents="true"'
BELOW_PX = 27
"""How far below its place the mark of an incident hangs."""


def hover_mark(page: Page) -> None:
    box = page.locator("#map").bounding_box()
    assert box is not None
    # away and back: the map answers to a movement
    page.mouse.move(box["x"] + 5, box["y"] + box["height"] / 2)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + BELOW_PX)


def hover_until(page: Page, *, there: bool) -> None:
    """Hover until the mark has been drawn and says what it is, or until it is gone."""
    page.evaluate("at => mizugiwaMap.focus({...at, zoom: 12})", K_031)
    for _ in range(200):
        hover_mark(page)
        if ("2026-0001" in page.inner_text(".mz-tip")) == there:
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"the mark below {K_031}: {page.inner_text('.mz-tip')!r}")


def test_the_mark_of_an_incident_says_its_number_and_state_and_a_click_opens_it(near: Page) -> None:
    near.evaluate("addEventListener('mizugiwa:incident', e => chosen.push(['incident', e.detail]), true)")
    # when the pointer is upon the mark, then it says what the incident is and where it stands
    hover_until(near, there=True)
    for words in ("2026-0001", "対馬北方 不審船", "緊急", "対応中", "2件"):
        expect(near.locator(".mz-tip")).to_contain_text(words)
    # when it is clicked, then the page is asked to open it, and no track is chosen instead
    near.mouse.down()
    near.mouse.up()
    near.wait_for_function("chosen.some(([what]) => what === 'incident')")
    assert ["incident", ALERTED] in near.evaluate("chosen")
    assert near.evaluate("chosen.filter(([what]) => what === 'map-selected')") == []


def test_incidents_are_switched_off_faded_and_explained(near: Page) -> None:
    hover_until(near, there=True)
    # given the legend, which explains the four states of an open incident
    near.keyboard.press("y")
    for words in ("認知", "対応中", "経過監視", "他機関へ引継ぎ"):
        expect(near.locator(".mz-layers").first).to_contain_text(words)
    assert near.locator("[data-layer=incidents]").count() == 1
    # when they are switched off, then the mark answers no more
    near.get_by_label("事案", exact=True).uncheck()
    hover_until(near, there=False)
    near.get_by_label("事案", exact=True).check()
    near.keyboard.press("y")
    hover_until(near, there=True)


def test_without_the_right_to_read_incidents_there_is_no_layer_of_them(
    page: Page, serve: Callable[..., Any], synthetic: ModuleType
) -> None:
    page.route("**/?*", lambda route: route.fulfill(response=(r := route.fetch()), body=r.text().replace(READS, "")))
    page.goto(f"{serve(synthetic.synthetic_console([])).url}?language=ja")
    page.wait_for_selector(".mz-layers summary")
    page.keyboard.press("y")
    expect(page.get_by_label("警報", exact=True)).to_be_visible()
    assert page.get_by_label("事案", exact=True).count() == 0
