"""`console`: what the console's page and its server cost while 10,000 vessels each report every second.

Ours: the real processes `gateway` (source ais on UDP), `intake` and `web` of the live realm on private servers; the
real page in Chromium with software graphics, at a view that holds 1,000 of the vessels and one that holds all; then 50
WebSockets that each look at the 1,000 (screens.py), while the web process's memory is watched.
Peer: the same fleet in the same browser under the same load, as JSON into a GeoJSON source of MapLibre (peer_map.py).
"""

from __future__ import annotations

import base64
import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import httpx
import numpy as np
from fleet import FAR, NEAR, Fleet
from playwright.sync_api import CDPSession, Page, sync_playwright
from stage import BenchFailed, Stage, stage

from command.domain.people import Role
from command.operations.people import AccountRules, Accounts
from command.services import free_ports

HERE: Final = Path(__file__).parent
MAPLIBRE: Final = HERE.parents[1] / "dashboards" / "map" / "node_modules" / "maplibre-gl" / "dist"
CHROMIUM: Final = "/usr/bin/chromium"
FLAGS: Final = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
PASSWORD: Final = "of the measurement alone 7"  # noqa: S105 - of an account that lives as long as the measurement
READY_WITHIN_S: Final = 120.0
RSS_EVERY_S: Final = 2.0
RSS_SETTLES_S: Final = 60.0
CLOSE_ZOOM: Final = 10.0
WIDE_ZOOM: Final = 7.2

COUNT_FRAMES: Final = """() => {
  window.drawn = 0;
  const draw = () => { window.drawn += 1; requestAnimationFrame(draw); };
  requestAnimationFrame(draw);
}"""


def measure(
    vessels: int = 10_000, near: int = 1_000, look_s: float = 30.0, consoles: int = 50, watch_s: float = 600.0
) -> dict[str, Any]:
    """{"ours": {"page": {"near", "all"}, "consoles", "web"}, "peer", "ratio"}; ratio is our script time per update over
    the peer's with all vessels in view. Raises BenchFailed."""
    if not MAPLIBRE.is_dir():
        raise BenchFailed(f"{MAPLIBRE} is not there; run `make test` once, it installs what the map is built from")
    fleet = Fleet(count=vessels, near=near)
    web_port, ais_port, peer_port = *free_ports(1), *free_ports(1, kind=socket.SOCK_DGRAM), *free_ports(1)
    settings = (
        f"[web]\nport = {web_port}\n"
        f'[[sources]]\nkind = "ais"\nname = "bench"\nendpoint = "udp://127.0.0.1:{ais_port}"\n'
    )
    url = f"http://127.0.0.1:{web_port}"
    with stage(settings) as here:
        here.start("intake", "web", "gateway")
        here.wait_until(lambda: _listens(here), within_s=READY_WITHIN_S, what="the source does not listen")
        session = _sign_in(here, url)
        with Feed(fleet, ais_port) as feed, _browser() as open_page:
            here.wait_until(
                lambda: here.tracks() == vessels, within_s=READY_WITHIN_S, what="not every vessel is a track"
            )
            page = open_page(session, url)
            ours = {
                name: _look(
                    page, box, zoom, look_s, ready=lambda n=n: page.evaluate("window.mizugiwaMap.status().tracks") >= n
                )
                for name, box, zoom, n in (("near", NEAR, CLOSE_ZOOM, near), ("all", FAR, WIDE_ZOOM, vessels))
            }
            page.close()
            with _peer(peer_port, fleet):
                peer = {
                    name: _look_at_peer(open_page, session, peer_port, box, zoom, look_s)
                    for name, box, zoom in (("near", NEAR, CLOSE_ZOOM), ("all", FAR, WIDE_ZOOM))
                }
            watched = _consoles(here, url, session, feed.began_s, fleet, consoles, watch_s)
            sent = feed.sent
        counts = _counts(here)
    return {
        "ours": {"page": ours, **watched, "counts": counts, "sent_per_s": round(sent / (monotonic() - feed.began_s))},
        "peer": {"name": "MapLibre, GeoJSON source, whole positions as JSON each second", "page": peer},
        "ratio": round(ours["all"]["script_ms_per_update"] / peer["all"]["script_ms_per_update"], 2),
        "input": {"vessels": vessels, "near": near, "reports_per_s": vessels, "consoles": consoles},
        "aims": {"script_ms_per_update_below": 30, "p99_ms_below": 1_000, "rss_mb_per_min_below": 1.0},
    }


class Feed:
    """Sends the fleet's reports until it is stopped, each when it is due."""

    def __init__(self, fleet: Fleet, port: int) -> None:
        self.began_s = monotonic() + 1.0
        self.sent = 0
        self._fleet = fleet
        self._port = port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="feeds")

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        order = self._fleet.order()
        number = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect(("127.0.0.1", self._port))
            while not self._stop.is_set():
                lines = self._fleet.lines(number)
                due_s = self.began_s + self._fleet.due_s(np.full(len(order), number), order)
                for some, first_s in zip(np.array_split(order, 100), due_s[:: max(1, len(order) // 100)], strict=False):
                    early_s = float(first_s) - monotonic()
                    if early_s > 0:
                        sleep(early_s)
                    for vessel in some:
                        sender.send(lines[vessel])
                self.sent += len(lines)
                number += 1


def _listens(here: Stage) -> bool:
    source = here.source()
    return source is not None and source.state == "waiting"


def _sign_in(here: Stage, url: str) -> str:
    """The session of an officer whose password is their own."""
    first = Accounts(here.engine, rules=AccountRules()).create("bench", "Bench", frozenset({Role.OFFICER}), by="bench")
    with httpx.Client(base_url=url, headers={"Origin": url}, timeout=30.0) as client:
        client.get("/login")
        form = {"csrf": client.cookies["mizugiwa_form"], "login": "bench", "password": first}
        client.post("/login", data=form)
        own = {"csrf": client.cookies["_csrf_token"], "current": first, "new": PASSWORD, "again": PASSWORD}
        if client.post("/password", data=own).headers.get("location") != "/":
            raise BenchFailed("the officer of the measurement could not sign in")
        return str(client.cookies["mizugiwa_session"])


@contextlib.contextmanager
def _browser() -> Iterator[Callable[[str, str], Page]]:
    """Opens pages of the console, or of the peer, at 1440 x 900."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))

        def open_page(session: str, url: str) -> Page:
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            context.add_cookies([{"name": "mizugiwa_session", "value": session, "url": url}])
            page = context.new_page()
            page.set_default_timeout(READY_WITHIN_S * 1e3)
            page.goto(url)
            return page

        yield open_page
        browser.close()


def _look(
    page: Page, box: tuple[float, ...], zoom: float, seconds: float, *, ready: Callable[[], object]
) -> dict[str, Any]:
    """One view of the console: what an update brings and costs."""
    page.wait_for_function("() => window.mizugiwaMap && window.mizugiwaMap.status()")
    page.evaluate("place => window.mizugiwaMap.focus(place)", _middle(box, zoom))
    return _cost(page, seconds, ready=ready, is_update=lambda payload: len(payload) > 24 and payload[1] in (1, 2))


def _look_at_peer(
    open_page: Callable[[str, str], Page], session: str, port: int, box: tuple[float, ...], zoom: float, seconds: float
) -> dict[str, Any]:
    at = _middle(box, zoom)
    page = open_page(session, f"http://127.0.0.1:{port}/?lon={at['lon']}&lat={at['lat']}&zoom={zoom}")
    told = _cost(page, seconds, ready=lambda: page.evaluate("window.updates ?? 0") > 1, is_update=lambda _: True)
    page.context.close()
    return told


def _middle(box: tuple[float, ...], zoom: float) -> dict[str, float]:
    west, south, east, north = box
    return {"lon": (west + east) / 2, "lat": (south + north) / 2, "zoom": zoom}


def _cost(
    page: Page, seconds: float, *, ready: Callable[[], object], is_update: Callable[[bytes], bool]
) -> dict[str, Any]:
    """Bytes before compression, script and task milliseconds per update, and frames a second of the page's thread."""
    until = monotonic() + READY_WITHIN_S
    while not ready():
        if monotonic() > until:
            raise BenchFailed("the page does not show what it should")
        page.wait_for_timeout(250)
    client = page.context.new_cdp_session(page)
    sizes: list[int] = []

    def received(event: dict[str, Any]) -> None:
        said = event["response"]
        payload = base64.b64decode(said["payloadData"]) if said["opcode"] == 2 else said["payloadData"].encode()
        if is_update(payload):
            sizes.append(len(payload))

    client.on("Network.webSocketFrameReceived", received)
    client.send("Network.enable")
    client.send("Performance.enable")
    page.evaluate(COUNT_FRAMES)
    before, drawn, began_s = _metrics(client), page.evaluate("window.drawn"), monotonic()
    page.wait_for_timeout(seconds * 1e3)
    after, took_s = _metrics(client), monotonic() - began_s
    drawn = page.evaluate("window.drawn") - drawn
    if not sizes:
        raise BenchFailed("no update came while the page was looked at")
    client.detach()
    per_update = {name: (after[name] - before[name]) * 1e3 / len(sizes) for name in ("ScriptDuration", "TaskDuration")}
    return {
        "updates": len(sizes),
        "bytes_per_update": round(sum(sizes) / len(sizes)),
        "script_ms_per_update": round(per_update["ScriptDuration"], 1),
        "task_ms_per_update": round(per_update["TaskDuration"], 1),
        "fps": round(drawn / took_s, 1),
    }


def _metrics(client: CDPSession) -> dict[str, float]:
    return {each["name"]: each["value"] for each in client.send("Performance.getMetrics")["metrics"]}


@contextlib.contextmanager
def _peer(port: int, fleet: Fleet) -> Iterator[None]:
    words = [sys.executable, str(HERE / "peer_map.py"), str(port), str(fleet.count), str(fleet.near), str(MAPLIBRE)]
    with subprocess.Popen(words) as process:
        try:
            until = monotonic() + READY_WITHIN_S
            while not _answers(port):
                if process.poll() is not None or monotonic() > until:
                    raise BenchFailed("the peer did not start")
                sleep(0.2)
            yield
        finally:
            process.terminate()


def _answers(port: int) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{port}/").is_success
    return False


def _consoles(
    here: Stage, url: str, session: str, began_s: float, fleet: Fleet, consoles: int, seconds: float
) -> dict[str, Any]:
    """How late reports come to many screens at once, and what the web process takes of memory and CPU meanwhile."""
    web = here.processes["web"]
    words = [url.replace("http", "ws") + "/ws/tracks", f"mizugiwa_session={session}", url, str(began_s)]
    words += [str(fleet.count), str(fleet.near), str(consoles), str(seconds)]
    before, rss = here.cpu_s(), []
    with subprocess.Popen(
        [sys.executable, str(HERE / "screens.py"), *words], stdout=subprocess.PIPE, text=True
    ) as screens:
        started_s = monotonic()
        while screens.poll() is None:
            rss.append((monotonic() - started_s, web.memory_info().rss / 1e6))
            with contextlib.suppress(subprocess.TimeoutExpired):
                screens.wait(RSS_EVERY_S)
        out = screens.stdout.read() if screens.stdout is not None else ""
    if screens.returncode != 0:
        raise BenchFailed("the simulated consoles ended with an error; it stands above")
    used = here.cpu_s()
    times, sizes = np.array([row for row in rss if row[0] >= min(RSS_SETTLES_S, seconds / 4)]).T
    slope = float(np.polyfit(times / 60.0, sizes, 1)[0])
    return {
        "consoles": json.loads(out),
        "web": {
            "rss_mb": [round(sizes[0], 1), round(sizes[-1], 1)],
            "rss_mb_per_min": round(slope, 2),
            "watched_s": round(float(times[-1])),
        },
        "cores_used": {name: round((used[name] - before[name]) / (monotonic() - started_s), 2) for name in used},
    }


def _counts(here: Stage) -> dict[str, Any]:
    source = here.source()
    if source is None:
        raise BenchFailed("the source told nothing of itself")
    return {"received": source.messages_in, "rejected": dict(source.rejected), "shed": dict(source.shed)}
