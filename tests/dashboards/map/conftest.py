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
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page

HERE = Path(__file__).parent
PATIENCE_MS = 60_000
Ask = Callable[..., Any]


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


@pytest.fixture(scope="module")
def in_source(
    browser: Browser, bundle: Path, repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ask]:
    """Evaluates an expression on what one module of the map's source exports, in a browser and without a map:
    `in_source("geodesic", "source.trueBearing(45.25)")`."""
    folder = repository / "dashboards" / "map"
    scripts = tmp_path_factory.mktemp("source")
    pages: dict[str, Page] = {}

    def ask(module: str, expression: str, argument: object = None) -> Any:
        if module not in pages:
            script = scripts / f"{module}.js"
            flags = ["--bundle", "--format=iife", "--global-name=source", "--target=es2022", f"--outfile={script}"]
            esbuild = folder / "node_modules" / "esbuild" / "bin" / "esbuild"
            subprocess.run(
                [esbuild, f"src/{module}.ts", *flags], cwd=folder, check=True, capture_output=True, timeout=60
            )
            pages[module] = browser.new_page()
            pages[module].add_script_tag(path=script)
        return pages[module].evaluate(expression, argument)

    yield ask
    for page in pages.values():
        page.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh page for what changes it for good."""
    with local_page(browser) as page:
        yield page


@pytest.fixture(scope="module")
def near_page(browser: Browser, synthetic: ModuleType, serve: Callable[..., Served]) -> Iterator[Page]:
    """One page upon the ten tracks near Tsushima that are of a kind each."""
    movers = [m for m in synthetic.fleet() if m.track_id.startswith("00000000-0000-0000-0000-")]
    with local_page(browser) as page:
        page.goto(serve(synthetic.synthetic_console(movers)).url)
        page.wait_for_function("mizugiwaMap.status()?.connected", timeout=PATIENCE_MS)
        yield page


@pytest.fixture
def near(near_page: Page) -> Page:
    """That page with nothing selected, all ten in view and named, and nothing told to the page yet."""
    near_page.evaluate("mizugiwaMap.select(null); mizugiwaMap.focus({lon: 129.55, lat: 34.45, zoom: 8.6})")
    near_page.wait_for_function("mizugiwaMap.features().filter(f => f.label).length === 10", timeout=PATIENCE_MS)
    near_page.evaluate("document.activeElement.blur(); chosen.length = 0")
    return near_page


@pytest.fixture(scope="module")
def watch(browser: Browser, synthetic: ModuleType, serve: Callable[..., Served]) -> Iterator[Page]:
    """One page that watches the whole synthetic fleet, for the tests that only look: software graphics start slowly."""
    with local_page(browser) as page:
        page.goto(serve(synthetic.synthetic_console(synthetic.fleet())).url)
        yield page
