"""From bytes to people, as the README says: one command, a browser, a responder's client."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from command.domain.geo import Position, destination, distance_m
from maps.coordinates import dms

PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)
TSUSHIMA = {"lon": 129.35, "lat": 34.3, "zoom": 8.5}


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that fails the test where it asks another machine for anything, or a script fails."""
    outside: list[str] = []
    broken: list[str] = []
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    page.on("request", lambda r: outside.append(r.url) if is_outside(r.url) else None)
    page.on("pageerror", lambda error: broken.append(str(error)))
    yield page
    page.close()
    assert not outside
    assert not broken


def is_outside(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1"


def first_login(terminal: str) -> dict[str, str]:
    """The login and the password that `up` showed."""
    found = re.search(r"first login: (?P<login>\S+)\s+password: (?P<password>\S+)", terminal)
    assert found is not None
    return found.groupdict()


def rendered(page: Page) -> dict[str, tuple[float, float]]:
    """Where each track stands on the map now, by its id."""
    features = page.evaluate("window.mizugiwaMap ? window.mizugiwaMap.features() : []")
    return {f["track_id"]: (f["lon"], f["lat"]) for f in features if f["track_id"]}


def bodies(path: Path) -> list[dict[str, Any]]:
    lines = path.read_text("utf-8").splitlines()
    return [body for line in lines if line.startswith("{") and "alert_id" in (body := json.loads(line))]


@pytest.mark.timeout(400)
def test_an_officer_sees_vessels_move_and_acknowledges_an_alert_that_responders_got(
    start_up: Callable[..., Any],
    page: Page,
    sign_in: Callable[..., None],
    eventually: Callable[..., None],
    tmp_path: Path,
) -> None:
    # given the drill, and a responder of its team
    running = start_up("--drill", "tsushima-night", "--speed", "10")
    printed = tmp_path / "printed"
    with (
        printed.open("wb") as out,
        subprocess.Popen(
            [
                sys.executable,
                "-m",
                "command.cli",
                *["responder", "--team", "duty", "--realm", "drill-tsushima-night", "--json"],
            ],
            env=running.env,
            stdout=out,
            stderr=subprocess.DEVNULL,
        ) as responder,
    ):
        try:
            # when an officer logs in for the first time
            sign_in(page, running.url, **first_login(running.terminal))
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
            eventually(lambda: any(b["severity"] == "critical" for b in bodies(printed)), within_s=60.0)
            expect(page.locator("[data-alert]").first).to_contain_text("緊急")
            page.keyboard.press("j")
            selected = page.locator("[role=option][aria-selected=true]").get_attribute("data-alert")
            page.keyboard.press("a")
            expect(page.locator("#ack-comment")).to_be_focused()
            page.keyboard.type("海上保安庁へ通報済み")
            page.keyboard.press("Enter")

            # then the responder had that alert, and hears that it was acknowledged, by whom and with what words
            eventually(
                lambda: [b for b in bodies(printed) if b["alert_id"] == selected and b["acknowledged"] is not None],
                within_s=30.0,
            )
            heard = [b for b in bodies(printed) if b["alert_id"] == selected]
            assert heard[0]["event"] == "opened"
            acknowledged = heard[-1]["acknowledged"]
            assert acknowledged["by"] == "admin"
            assert acknowledged["comment"] == "海上保安庁へ通報済み"
        finally:
            responder.terminate()


def free_water_ahead(page: Page, url: str) -> tuple[list[str], dict[str, str]]:
    """Corners of a fence, as an officer writes them, on the course of a vessel under way with nobody inside yet; and
    every vessel there is, subject -> name."""
    tracks = page.request.get(f"{url}/api/tracks?limit=1000").json()["tracks"]
    placed = [t for t in tracks if t["position"] and t["kind"] == "vessel"]
    for track in sorted(placed, key=lambda t: -(t["speed_mps"] or 0.0)):
        if not 4.0 < (track["speed_mps"] or 0.0) < 12.0 or track["course_deg"] is None:
            continue
        at = Position(**track["position"])
        middle = destination(at, course_deg=track["course_deg"], distance_m=3_200.0)
        if all(distance_m(middle, Position(**t["position"])) > 2_500.0 for t in placed):
            corners = [destination(middle, course_deg=c, distance_m=1_800.0) for c in (45.0, 135.0, 225.0, 315.0)]
            return [dms(c) for c in corners], {t["subject"]: t["label"] for t in placed}
    return [], {}


@pytest.mark.timeout(400)
def test_the_next_vessel_to_enter_what_an_officer_typed_alarms_a_responder(
    start_up: Callable[..., Any],
    page: Page,
    sign_in: Callable[..., None],
    eventually: Callable[..., None],
    tmp_path: Path,
) -> None:
    # given the drill under way, and a consumer of the duty team's queue
    running = start_up("--drill", "tsushima-night", "--speed", "10")
    printed = tmp_path / "printed"
    words = ["responder", "--team", "duty", "--realm", "drill-tsushima-night", "--json"]
    with (
        printed.open("wb") as out,
        subprocess.Popen(
            [sys.executable, "-m", "command.cli", *words], env=running.env, stdout=out, stderr=subprocess.DEVNULL
        ) as responder,
    ):
        try:
            sign_in(page, running.url, **first_login(running.terminal))
            found: list[tuple[list[str], dict[str, str]]] = []
            eventually(
                lambda: found.append(free_water_ahead(page, running.url)) or found[-1][0], within_s=60.0, every_s=1.0
            )
            rows, vessels = found[-1]

            # when an officer types a geofence ahead of a vessel, by keyboard alone
            page.keyboard.press("g")
            expect(page.locator("#area-new")).to_be_focused()
            page.keyboard.press("Enter")
            expect(page.locator("#area-name-ja")).to_be_focused()
            page.keyboard.type("臨時監視区域")
            page.keyboard.press("Enter")
            page.keyboard.type("Ad hoc fence")
            page.locator('[data-row="0"]').focus()
            for row in rows:
                page.keyboard.type(row)
                page.keyboard.press("Enter")
            page.keyboard.press("Control+s")
            expect(page.locator("[data-area=ad-hoc-fence]")).to_be_visible()

            # then the next vessel that enters it is an alert that the responder receives, and the officer sees
            def heard() -> list[dict[str, Any]]:
                return [b for b in bodies(printed) if b["area"] and b["area"]["slug"] == "ad-hoc-fence"]

            eventually(heard, within_s=180.0, every_s=0.5)
            alert = heard()[0]
            assert (alert["event"], alert["rule"]) == ("opened", "geofence_entry")
            assert alert["area"]["name"]["ja"] == "臨時監視区域"
            assert alert["subject"] in vessels
            expect(page.locator(f"[data-alert='{alert['alert_id']}']")).to_contain_text("臨時監視区域")
        finally:
            responder.terminate()


def test_the_terminal_alone_shows_the_first_password(start_up: Callable[..., Any]) -> None:
    running = start_up("--drill", "tsushima-night")
    password = first_login(running.terminal)["password"].encode()
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
