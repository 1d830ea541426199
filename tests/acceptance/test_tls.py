"""The console over TLS, by setting, with a certificate made here."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A self-signed certificate for 127.0.0.1, and its key."""
    chain, key = tmp_path / "console.pem", tmp_path / "console.key"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=console",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-keyout",
            str(key),
            "-out",
            str(chain),
        ],
        check=True,
        capture_output=True,
    )
    return chain, key


@pytest.mark.program
def test_the_console_speaks_tls_and_its_cookie_never_travels_without(
    start_up: Callable[..., Any], certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    # given settings that name a certificate and its key
    chain, key = certificate
    settings = tmp_path / "mizugiwa.toml"
    settings.write_text(f'[web]\ntls_certificate = "{chain}"\ntls_key = "{key}"\n')
    # when the program runs with them
    running = start_up("--config", str(settings))
    url = running.url.replace("http://", "https://")
    assert url in running.terminal
    # then a browser that trusts the certificate gets the login page, and a cookie for TLS only
    with httpx.Client(verify=ssl.create_default_context(cafile=str(chain)), follow_redirects=True) as client:
        page = client.get(url)
    assert page.status_code == 200
    assert "password" in page.text
    cookies = page.headers.get_list("set-cookie") + [c for r in page.history for c in r.headers.get_list("set-cookie")]
    assert cookies
    assert all("secure" in cookie.lower() for cookie in cookies)
    # and plain HTTP is not answered
    with httpx.Client() as plain, pytest.raises(httpx.HTTPError):
        plain.get(running.url)
