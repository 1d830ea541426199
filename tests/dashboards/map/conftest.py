"""The map bundle, built where it is absent; a synthetic console served over a real socket; a real browser."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent
PATIENCE_MS = 60_000


@pytest.fixture(scope="session")
def synthetic() -> ModuleType:
    """The module synthetic_console.py, which lies beside this file."""
    name = "tests_synthetic_console"
    spec = importlib.util.spec_from_file_location(name, HERE / "synthetic_console.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def bundle(repository: Path) -> Path:
    """The folder of the built bundle; where it is absent, built by the script that set-up runs."""
    built = repository / "dashboards" / "assets" / "map"
    if not (built / "mizugiwa-map.js").is_file():
        npm = shutil.which("npm")
        if npm is None:
            pytest.fail("the map bundle is not built and there is no npm to build it; run: make up")
        source = repository / "dashboards" / "map"
        for step in (["ci"], ["run", "build"]):
            subprocess.run([npm, *step], cwd=source, check=True, capture_output=True, timeout=240)
    return built


class Served:
    """An application on a port of this machine, until `stop`."""

    def __init__(self, app: FastAPI, port: int = 0) -> None:
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        config = uvicorn.Config(app, log_level="warning", ws="websockets-sansio", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._listener]})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=20)
        self._listener.close()


@pytest.fixture(scope="session")
def serve(bundle: Path) -> Iterator[Callable[..., Served]]:
    """Serve an application; stopped after the last test."""
    running: list[Served] = []

    def start(app: FastAPI, port: int = 0) -> Served:
        running.append(Served(app, port))
        return running[-1]

    yield start
    for served in running:
        served.stop()


@contextmanager
def local_page(browser: Browser) -> Iterator[Page]:
    """A page on which a request to another machine, or an error of a script, fails the test."""
    context = browser.new_context(viewport={"width": 900, "height": 600}, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    errors: list[str] = []
    hosts: set[str | None] = set()
    context.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
    page.on("websocket", lambda web_socket: hosts.add(urlsplit(web_socket.url).hostname))
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    context.close()
    assert not errors
    assert "127.0.0.1" in hosts
    assert hosts <= {"127.0.0.1", None}, "the map asked another machine for something"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh page for what changes it for good."""
    with local_page(browser) as page:
        yield page


@pytest.fixture(scope="module")
def watch(browser: Browser, synthetic: ModuleType, serve: Callable[..., Served]) -> Iterator[Page]:
    """One page that watches the whole synthetic fleet, for the tests that only look: software graphics start slowly."""
    with local_page(browser) as page:
        page.goto(serve(synthetic.synthetic_console(synthetic.fleet())).url)
        yield page
