"""From bytes to people, as the README says: one command, a browser, a responder's client."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

TSUSHIMA = {"lon": 129.35, "lat": 34.3, "zoom": 8.5}


def rendered(page: Page) -> dict[str, tuple[float, float]]:
    """Where each track stands on the map now, by its id."""
    features = page.evaluate("window.mizugiwaMap ? window.mizugiwaMap.features() : []")
    return {f["track_id"]: (f["lon"], f["lat"]) for f in features if f["track_id"]}


@pytest.mark.program
@pytest.mark.timeout(400)
def test_an_officer_sees_vessels_move_and_acknowledges_an_alert_that_responders_got(
    start_up: Callable[..., Any],
    page: Page,
    sign_in: Callable[..., None],
    eventually: Callable[..., None],
) -> None:
    # given the drill, and a responder of its team
    running = start_up("--drill", "tsushima-night", "--speed", "10")
    with running.responder("drill-tsushima-night") as bodies:
        # when an officer logs in for the first time
        sign_in(page, running.url, **running.first_login)
        expect(page.locator(".realm strong")).to_contain_text("訓練")

        # then the same vessels are rendered at two places at two times
        page.wait_for_function("() => window.mizugiwaMap")
        page.evaluate("place => window.mizugiwaMap.focus(place)", TSUSHIMA)
        eventually(lambda: len(rendered(page)) > 20, within_s=60.0, every_s=0.5)
        before = rendered(page)

        def moved() -> list[str]:
            now = rendered(page)
            return [t for t in before if t in now and abs(now[t][0] - before[t][0]) > 1e-4]

        eventually(lambda: len(moved()) >= 5, within_s=60.0, every_s=0.5)

        # when they acknowledge the worst alert by keyboard
        eventually(lambda: any(b["severity"] == "critical" for b in bodies()), within_s=60.0)
        expect(page.locator("[data-alert]").first).to_contain_text("緊急")
        page.keyboard.press("j")
        selected = page.locator("[role=option][aria-selected=true]").get_attribute("data-alert")
        page.keyboard.press("a")
        expect(page.locator("#ack-comment")).to_be_focused()
        page.keyboard.type("海上保安庁へ通報済み")
        page.keyboard.press("Enter")

        # then the responder had that alert, and hears that it was acknowledged, by whom and with what words
        eventually(
            lambda: [b for b in bodies() if b["alert_id"] == selected and b["acknowledged"] is not None],
            within_s=30.0,
        )
        heard = [b for b in bodies() if b["alert_id"] == selected]
        assert heard[0]["event"] == "opened"
        acknowledged = heard[-1]["acknowledged"]
        assert acknowledged["by"] == "admin"
        assert acknowledged["comment"] == "海上保安庁へ通報済み"


@pytest.mark.program
def test_the_terminal_alone_shows_the_first_password(start_up: Callable[..., Any]) -> None:
    running = start_up("--drill", "tsushima-night")
    password = running.first_login["password"].encode()
    for log in (running.data_dir / "logs").iterdir():
        assert password not in log.read_bytes()


def test_a_bad_setting_stops_the_start_with_one_line(tmp_path: Path) -> None:
    (tmp_path / "mizugiwa.toml").write_text('[[sources]]\nkind = "radar"\nname = "r1"\n')
    done = subprocess.run(
        [sys.executable, "-m", "command.cli", "up"],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "MIZUGIWA_DATA_DIR": str(tmp_path / "data"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "'radar' is not known; choose from ais, cot, csv, mavlink, replay" in line
    assert not (tmp_path / "data" / "pg").exists()
