"""The whole program as its users start it: `mizugiwa up` in a data directory of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from command.services import Endpoints, PrivateServers, free_ports, locate_services, stop_services

PATIENCE_MS = 60_000
expect.set_options(timeout=PATIENCE_MS)
VERBS = ("intake", "dispatch", "gateway", "web", "drill")


class Running:
    """One data directory and the `mizugiwa up` that runs in it; it may be killed and started again."""

    def __init__(self, data_dir: Path, eventually: Callable[..., None], *, words: tuple[str, ...]) -> None:
        self.data_dir = data_dir
        self._eventually = eventually
        self._words = words
        (self.port,) = free_ports(1)
        self._terminal: IO[bytes] | None = None
        self.up: subprocess.Popen[bytes] | None = None

    @property
    def env(self) -> dict[str, str]:
        ours = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "AMQP_URL", "MIZUGIWA_CONFIG")}
        return {**ours, "MIZUGIWA_DATA_DIR": str(self.data_dir), "MIZUGIWA_WEB_PORT": str(self.port)}

    @property
    def terminal(self) -> str:
        """What `up` told the person who started it, all of its runs."""
        return (self.data_dir / "terminal").read_text("utf-8")

    @property
    def address(self) -> str:
        """What `up` tells once the console answers, whichever way it speaks."""
        return f"://127.0.0.1:{self.port}/"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def endpoints(self) -> Endpoints:
        return locate_services(self.data_dir, database_url=None, amqp_url=None)

    @property
    def first_login(self) -> dict[str, str]:
        """The login and the password that the terminal showed."""
        found = re.search(r"first login: (?P<login>\S+)\s+password: (?P<password>\S+)", self.terminal)
        assert found is not None
        return found.groupdict()

    @contextmanager
    def responder(self, realm: str) -> Iterator[Callable[[], list[dict[str, Any]]]]:
        """A responder's client of the team `duty`, and the alerts that it has printed so far: of a message that tells
        of several, one for each."""
        printed = self.data_dir / f"responder-{realm}"
        words = ["responder", "--team", "duty", "--realm", realm, "--json"]

        def heard() -> list[dict[str, Any]]:
            lines = printed.read_text("utf-8").splitlines()
            bodies = [body for line in lines if line.startswith("{") and "alert_id" in (body := json.loads(line))]
            return [alert for body in bodies for alert in each_told(body)]

        with (
            printed.open("wb") as out,
            subprocess.Popen(
                [sys.executable, "-m", "command.cli", *words], env=self.env, stdout=out, stderr=subprocess.DEVNULL
            ) as client,
        ):
            try:
                yield heard
            finally:
                client.terminate()

    def start(self) -> None:
        greeted = self.terminal.count(self.address) if (self.data_dir / "terminal").exists() else 0
        self._close()
        self._terminal = (self.data_dir / "terminal").open("ab")
        self.up = subprocess.Popen(
            [sys.executable, "-m", "command.cli", "up", *self._words],
            cwd=self.data_dir,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=self._terminal,
            stderr=subprocess.STDOUT,
        )
        self._eventually(
            lambda: self.terminal.count(self.address) > greeted or (self.up is not None and self.up.poll() is not None),
            within_s=120.0,
        )
        assert self.up.poll() is None, self.terminal

    def pid(self, verb: str) -> int:
        """The process that last was a verb's; it may have been killed since."""
        return int(json.loads((self.data_dir / "run" / f"{verb}.json").read_text())["pid"])

    def servers(self) -> PrivateServers:
        return PrivateServers.of(self.data_dir, database_url=None, amqp_url=None)

    def kill_up(self) -> None:
        assert self.up is not None
        self.up.kill()
        self.up.wait()

    def stop(self) -> None:
        """As Ctrl-C does."""
        if self.up is not None and self.up.poll() is None:
            self.up.send_signal(signal.SIGINT)
            self.up.wait(timeout=90)
        self._close()

    def clean_up(self) -> None:
        """Whatever a failed test left."""
        self.stop()
        for path in (self.data_dir / "run").glob("*.json"):
            try:
                psutil.Process(int(json.loads(path.read_text())["pid"])).kill()
            except (psutil.NoSuchProcess, ValueError):
                continue
        stop_services(self.data_dir)

    def left_over(self) -> list[str]:
        """Command lines of processes that still belong to the data directory."""
        found = []
        for process in psutil.process_iter(["cmdline", "status", "environ"]):
            words = " ".join(process.info["cmdline"] or [])
            ours = (process.info["environ"] or {}).get("MIZUGIWA_DATA_DIR") == str(self.data_dir)
            runs = process.pid != os.getpid() and process.info["status"] != psutil.STATUS_ZOMBIE
            if runs and (str(self.data_dir) in words or ours):
                found.append(words)
        return found

    def _close(self) -> None:
        if self._terminal is not None:
            self._terminal.close()
            self._terminal = None


@pytest.fixture
def start_up(server_dir: Callable[[str], Path], eventually: Callable[..., None]) -> Iterator[Callable[..., Running]]:
    """Start `mizugiwa up WORDS`; everything is stopped afterwards."""
    made: list[Running] = []

    def start(*words: str) -> Running:
        running = Running(server_dir("up"), eventually, words=words)
        made.append(running)
        running.start()
        return running

    yield start
    for running in made:
        running.clean_up()


@pytest.fixture(scope="session")
def expected_alerts(repository: Path) -> list[dict[str, Any]]:
    """The alerts that the drill tsushima-night must raise."""
    path = repository / "command" / "operations" / "drills" / "tsushima_night.expected.json"
    loaded: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
    return loaded


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


def each_told(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The alerts of a message, each as it would have come by itself."""
    others = [each for each in body.get("grouped", {}).get("members", ()) if each["alert_id"] != body["alert_id"]]
    return [
        body,
        *({**body, "acknowledged": None, **each, "area": each["area"] and {"slug": each["area"]}} for each in others),
    ]
