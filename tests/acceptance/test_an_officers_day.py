"""A watch from signing in to signing out: real AIS over UDP, the whole program, the keyboard, a responder's client."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, Final

import pyais
import pytest
from playwright.sync_api import Page, expect

from command.domain.geo import Position, destination
from command.services import free_ports
from maps.coordinates import dms

SPEED_KNOTS: Final = 29.0
SPEED_MPS: Final = SPEED_KNOTS * 1_852 / 3_600
FIRST_MMSI: Final = 431_000_000
WATCHED: Final = [(129.30, 34.20), (129.50, 34.20), (129.50, 34.40), (129.30, 34.40)]
VESSELS: Final = 20


class Coast:
    """Vessels that go due east and report each time they are asked to."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._ships: list[tuple[int, Position, float]] = []

    def sails(self, start: Position) -> int:
        mmsi = FIRST_MMSI + len(self._ships)
        self._ships.append((mmsi, start, monotonic()))
        return mmsi

    def report(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for mmsi, start, since_s in self._ships:
                at = destination(start, course_deg=90.0, distance_m=SPEED_MPS * (monotonic() - since_s))
                said = {"type": 1, "mmsi": mmsi, "lon": at.lon, "lat": at.lat, "speed": SPEED_KNOTS, "course": 90.0}
                (line,) = pyais.encode_dict({**said, "accuracy": True}, sentence_type="VDM", radio_channel="A")
                sender.sendto(line.encode(), ("127.0.0.1", self._port))


def waiting(page: Page) -> str:
    """The alert that J goes to next, which nobody has acknowledged."""
    page.keyboard.press("j")
    chosen = page.locator("#alert-list [role=option][aria-selected=true]")
    expect(chosen).to_have_attribute("data-waiting", "true")
    return str(chosen.get_attribute("data-alert"))


def is_acknowledged(told: dict[str, Any]) -> bool:
    """By whom stands in a message of its own; one that tells of several says what was done."""
    return told["acknowledged"] is not None or told["event"] == "acknowledged"


@pytest.mark.program
@pytest.mark.timeout(600)
def test_an_officers_day(
    start_up: Callable[..., Any],
    page: Page,
    sign_in: Callable[..., None],
    eventually: Callable[..., None],
    tmp_path: Path,
) -> None:
    # given the live realm with one AIS receiver, a responder of the team, and an officer who signs in
    (port,) = free_ports(1, kind=socket.SOCK_DGRAM)
    settings = tmp_path / "mizugiwa.toml"
    settings.write_text(f'[[sources]]\nkind = "ais"\nname = "coast"\nendpoint = "udp://127.0.0.1:{port}"\n', "utf-8")
    running = start_up("--config", str(settings))
    coast = Coast(port)
    with running.responder("live") as heard:
        sign_in(page, running.url, **running.first_login)
        expect(page.locator(".realm strong")).to_contain_text("実運用")

        # when they watch a part of the sea by its corners, and twenty vessels come in
        watch(page, "対馬東方海域", "East of Tsushima", [dms(Position(lon=lon, lat=lat)) for lon, lat in WATCHED])
        for number in range(VESSELS):
            lat = 34.21 + 0.18 * number / VESSELS
            coast.sails(destination(Position(lon=129.30, lat=lat), course_deg=270.0, distance_m=60.0))

        def alerts() -> int:
            coast.report()
            return page.locator("#alert-list [data-alert]").count()

        eventually(lambda: alerts() == VESSELS, within_s=120.0, every_s=1.0)

        # then they triage them all by keyboard, and the responder hears of each who has it
        page.keyboard.press("w")
        for number in range(VESSELS):
            alert = waiting(page)
            page.keyboard.press("a")
            expect(page.locator("#ack-comment")).to_be_focused()
            page.keyboard.type(f"確認 {number + 1}")
            page.keyboard.press("Enter")
            expect(page.locator(f"#alert-{alert}")).to_contain_text("admin")
        eventually(lambda: len({b["alert_id"] for b in heard() if is_acknowledged(b)}) == VESSELS, within_s=60.0)

        # when they open an incident from one and give a task
        page.keyboard.press("i")
        expect(page.locator("#incident-title")).not_to_have_value("")
        page.keyboard.press("Enter")
        expect(page.locator("#incident-state")).to_have_text("認知")
        page.keyboard.press("o")
        expect(page.locator("#incident-task-title")).to_be_focused()
        page.keyboard.type("現場確認")
        page.keyboard.press("Tab")
        page.keyboard.type("厳原監視艇")
        page.keyboard.press("Enter")
        expect(page.locator(".task")).to_contain_text("厳原監視艇")

        # when they draw a geofence ahead of a vessel through the table of coordinates, and it enters
        ahead = [(129.60, 34.28), (129.62, 34.28), (129.62, 34.32), (129.60, 34.32)]
        watch(page, "臨時監視区域", "Ad hoc fence", [dms(Position(lon=lon, lat=lat)) for lon, lat in ahead])
        newcomer = coast.sails(destination(Position(lon=129.60, lat=34.30), course_deg=270.0, distance_m=60.0))

        def entered() -> list[dict[str, Any]]:
            coast.report()
            return [b for b in heard() if b["area"] and b["area"]["slug"] == "ad-hoc-fence"]

        # then the responder has its alert over RabbitMQ, and the officer sees it
        eventually(entered, within_s=60.0, every_s=1.0)
        alert = entered()[0]
        assert (alert["event"], alert["rule"], alert["subject"]) == ("opened", "geofence_entry", f"mmsi:{newcomer:09d}")
        assert alert["area"]["name"]["ja"] == "臨時監視区域"
        page.keyboard.press("w")
        expect(page.locator(f"#alert-{alert['alert_id']}")).to_contain_text("臨時監視区域")

        # when they sign out, then the console is closed to whoever sits down next
        page.get_by_text("Administrator", exact=True).press("Enter")
        page.locator("#sign-out").press("Enter")
        page.wait_for_url("**/login*")
        page.goto(running.url)
        page.wait_for_url("**/login*")


def watch(page: Page, name_ja: str, name_en: str, rows: list[str]) -> None:
    """A geofence from its corners, as an officer types it in."""
    page.keyboard.press("g")
    expect(page.locator("#area-new")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#area-name-ja")).to_be_focused()
    page.keyboard.type(name_ja)
    page.keyboard.press("Enter")
    page.keyboard.type(name_en)
    page.locator('[data-row="0"]').focus()
    for row in rows:
        page.keyboard.type(row)
        page.keyboard.press("Enter")
    page.keyboard.press("Control+s")
    expect(page.locator(f"[data-area={name_en.lower().replace(' ', '-')}]")).to_be_visible()
    page.keyboard.press("Escape")
