"""The palettes: told apart by eyes of three kinds, readable in all, the same on the map as on the page around it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pytest
from playwright.sync_api import Page, expect

WAIT_MS = 60_000
THEMES: Final = ("day", "dusk", "night")
LEAST_DIFFERENCE: Final = 9.0
"""CIEDE2000; 2.3 is what the eye can just see side by side. Shapes tell apart too: colour is never alone."""
KINDS: Final = ("VESSEL", "AIRCRAFT", "ASSET", "DARK_CONTACT", "DISTRESS", "FIXED")
EYES: Final = {
    "all cones": np.eye(3),
    # Machado, Oliveira and Fernandes, IEEE TVCG 15 (2009), severity 1.0, on linear RGB
    "no red cones": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "no green cones": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}
Floats = npt.NDArray[np.float64]


def linear(rgb: Any) -> Floats:
    """Linear sRGB, 0 to 1, of three bytes."""
    c = np.asarray(rgb, dtype=np.float64) / 255.0
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(a: Any, b: Any) -> float:
    """WCAG 2.2, relative luminance and contrast ratio."""
    x, y = sorted(float(linear(c) @ np.array([0.2126, 0.7152, 0.0722])) + 0.05 for c in (a, b))
    return y / x


def lab(lin: Floats) -> Floats:
    """CIELAB under D65 of linear sRGB."""
    to_xyz = np.array(
        [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]]
    )
    xyz = to_xyz @ np.clip(lin, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(xyz > 216 / 24_389, np.cbrt(xyz), (24_389 / 27 * xyz + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def ciede2000(one: Floats, two: Floats) -> float:
    """Sharma, Wu and Dalal, Color Research and Application 30 (2005)."""
    (l1, a1, b1), (l2, a2, b2) = one, two
    c7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    g = 1.5 - 0.5 * np.sqrt(c7 / (c7 + 25.0**7))
    c1, c2 = np.hypot(a1 * g, b1), np.hypot(a2 * g, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1 * g)) % 360, np.degrees(np.arctan2(b2, a2 * g)) % 360
    turn = (h2 - h1 + 180) % 360 - 180 if c1 * c2 else 0.0
    hue = (h1 + turn / 2) % 360 if c1 * c2 else h1 + h2
    light, chroma = (l1 + l2) / 2, (c1 + c2) / 2
    t = (
        1 - 0.17 * np.cos(np.radians(hue - 30)) + 0.24 * np.cos(np.radians(2 * hue))
        + 0.32 * np.cos(np.radians(3 * hue + 6)) - 0.2 * np.cos(np.radians(4 * hue - 63))
    )  # fmt: skip
    dl = (l2 - l1) / (1 + 0.015 * (light - 50) ** 2 / np.sqrt(20 + (light - 50) ** 2))
    dc = (c2 - c1) / (1 + 0.045 * chroma)
    dh = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma * t)
    c7 = chroma**7
    rotation = -2 * np.sqrt(c7 / (c7 + 25.0**7)) * np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    return float(np.sqrt(dl**2 + dc**2 + dh**2 + rotation * dc * dh))


def rgb(css: str) -> list[int]:
    return [int(css[i : i + 2], 16) for i in (1, 3, 5)]


@pytest.fixture(scope="module")
def palettes(in_source: Callable[..., Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = in_source("palette", "source.PALETTES")
    assert tuple(found) == THEMES
    return found


def test_the_colour_difference_is_that_of_the_literature() -> None:
    # pairs 1, 7 and 25 of the test data of Sharma, Wu and Dalal
    pairs = [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ]
    for one, two, said in pairs:
        assert ciede2000(np.array(one), np.array(two)) == pytest.approx(said, abs=1e-4)


@pytest.mark.parametrize("eyes", EYES)
@pytest.mark.parametrize("theme", THEMES)
def test_severities_and_kinds_are_told_apart_by_colour_blind_eyes(
    palettes: dict[str, dict[str, Any]], theme: str, eyes: str
) -> None:
    palette = palettes[theme]
    for group in (palette["SEVERITY"], {kind: palette[kind] for kind in KINDS}):
        seen = {name: lab(EYES[eyes] @ linear(colour)) for name, colour in group.items()}
        for (a, one), (b, two) in itertools.combinations(seen.items(), 2):
            assert ciede2000(one, two) >= LEAST_DIFFERENCE, (theme, a, b)


@pytest.mark.parametrize("theme", THEMES)
def test_what_is_written_and_drawn_stands_out_from_the_sea_and_the_land(
    palettes: dict[str, dict[str, Any]], theme: str
) -> None:
    palette = palettes[theme]
    on_sea = {**palette["SEVERITY"], **{kind: palette[kind] for kind in (*KINDS, "WHITE", "SELECTED")}}
    on_sea |= {name: rgb(palette[name]) for name in ("SEA_LABEL", "COUNTRY_LABEL", "GEOFENCE", "AREA_OF_INTEREST")}
    for name, colour in on_sea.items():
        assert contrast(colour, rgb(palette["SEA"])) >= 4.5, (theme, name)
    for name in ("LAND_LABEL", "FACILITY_TEXT", "COUNTRY_LABEL"):
        assert contrast(rgb(palette[name]), rgb(palette["LAND"])) >= 4.5, (theme, name)
    assert contrast(palette["ON_CRITICAL"], palette["SEVERITY"]["critical"]) >= 3.0


def test_the_page_shows_severities_in_the_colours_of_the_map(
    palettes: dict[str, dict[str, Any]], repository: Path
) -> None:
    style = (repository / "dashboards/assets/console.css").read_text("utf-8")
    for theme, palette in palettes.items():
        start = style.index(":root {" if theme == "dusk" else f'[data-palette="{theme}"] {{')
        block = style[start : style.index("}", start)]
        for severity, colour in palette["SEVERITY"].items():
            said = re.search(rf"--{severity}: (#[0-9a-f]{{6}});", block)
            assert said is not None
            assert rgb(said[1]) == colour, (theme, severity)


def test_p_goes_through_the_palettes_and_every_text_stays_readable(
    near: Page, palettes: dict[str, dict[str, Any]], repository: Path
) -> None:
    # given a map on which everything that has words is open
    contrast_js = (repository / "tests/contrast.js").read_text("utf-8")
    near.evaluate("document.querySelectorAll('details').forEach(d => { d.name = ''; d.open = true })")
    near.click(".mz-chip[data-group=unknown]")
    near.keyboard.press("r")
    expect(near.locator("html")).to_have_attribute("data-palette", "dusk")
    for theme in ("dusk", "night", "day"):
        # then the page says which palette it is in, and no text fails WCAG 1.4.3 in it
        expect(near.locator("html")).to_have_attribute("data-palette", theme)
        assert near.evaluate(contrast_js, rgb(palettes[theme]["SEA"])) == []
        # when P is pressed, then the next one is there, and what the map draws goes with it
        near.keyboard.press("p")
    expect(near.locator("html")).to_have_attribute("data-palette", "dusk")
    expect(near.locator(".mz-spoken")).to_have_text("配色: 薄暮")
    near.click(".mz-palette-tool")
    expect(near.locator("html")).to_have_attribute("data-palette", "night")
    near.wait_for_function("localStorage.getItem('mizugiwa.palette') === '\"night\"'", timeout=WAIT_MS)
