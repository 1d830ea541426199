"""Nobody passes without a session, nothing is changed from another site, and every page says what may run in it."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import Mount, Route, WebSocketRoute
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from command.api.web import content_security_policy
from command.domain.online_map import OnlineMap
from command.domain.people import Role

OPEN_TO_ALL = {"/login", "/login.css", "/login.js", "/favicon.ico", "/language"}


def _path(route: Route | Mount) -> str:
    path = re.sub(r"\{[^}]*:path\}", "some/file.js", route.path)
    return re.sub(r"\{[^}]*\}", "00000000-0000-0000-0000-000000000000", path) or "/"


def test_every_route_refuses_who_is_not_signed_in(web: Any) -> None:
    # given every route
    routes = web.routes()
    paths = {_path(r) for r in routes if isinstance(r, Route | APIRoute | Mount)}
    assert {"/", "/api/alerts", "/_dash-update-component", "/_dash-layout", "/_dash-dependencies"} <= paths
    with web.client() as client:
        for route in routes:
            if isinstance(route, WebSocketRoute):
                continue
            assert isinstance(route, Route | Mount)
            path = _path(route)
            if path in OPEN_TO_ALL:
                continue
            methods = getattr(route, "methods", None) or {"GET"}
            for method in methods:
                # when somebody without a session asks for it
                answer = client.request(method, path)
                # then they get nothing of it
                refused = answer.status_code in (401, 403) or (
                    answer.status_code == 303 and answer.headers["location"].partition("?")[0] == "/login"
                )
                assert refused, f"{method} {path} answered {answer.status_code}"


def test_every_websocket_refuses_who_is_not_signed_in(web: Any) -> None:
    sockets = [r.path for r in web.routes() if isinstance(r, WebSocketRoute)]
    assert "/ws/tracks" in sockets
    for path in sockets:
        with pytest.raises(InvalidStatus) as refused, connect(web.url.replace("http", "ws") + path, origin=web.url):
            pass
        assert refused.value.response.status_code == 403


def test_a_made_up_session_is_no_session(web: Any) -> None:
    with web.client() as client:
        client.cookies.set("mizugiwa_session", "x" * 43)
        assert client.get("/api/alerts").status_code == 401


def test_a_websocket_of_another_site_is_refused(web: Any) -> None:
    with web.signed_in() as client:
        cookie = f"mizugiwa_session={client.cookies['mizugiwa_session']}"
        address = web.url.replace("http", "ws") + "/ws/tracks"
        with (
            pytest.raises(InvalidStatus),
            connect(address, origin="http://elsewhere.example", additional_headers={"Cookie": cookie}),
        ):
            pass


@pytest.mark.parametrize(
    "headers",
    [
        {"X-CSRFToken": ""},
        {"X-CSRFToken": "0" * 64},
        {"Origin": "http://elsewhere.example"},
        {"Origin": "null"},
    ],
    ids=["no token", "wrong token", "another site", "no site"],
)
def test_a_forged_post_is_refused_and_changes_nothing(web: Any, headers: dict[str, str]) -> None:
    # given an officer who is signed in, and an alert
    track = web.vessel(431000001, 129.3, 34.2)
    web.put_tracks([track])
    alert = web.raise_alert(track)
    with web.signed_in() as client:
        # when another site has the officer's browser acknowledge it
        answer = client.post(f"/api/alerts/{alert.alert_id}/acknowledge", json={"comment": ""}, headers=headers)
        # then it is refused, with a reason, and the alert is as it was
        assert answer.status_code == 403
        assert answer.headers["content-type"] == "application/problem+json"
        assert web.console.alert(alert.alert_id).acknowledged_at_us is None


def test_a_dash_callback_without_the_token_is_refused(web: Any) -> None:
    with web.signed_in() as client:
        answer = client.post("/_dash-update-component", json={}, headers={"X-CSRFToken": ""})
        assert answer.status_code == 403


def test_a_body_over_the_limit_is_refused(web: Any) -> None:
    with web.signed_in() as client:
        answer = client.post("/api/session/active", content=b"x" * (1024 * 1024 + 1))
        assert answer.status_code == 413


POLICY = {
    # nothing, but for what follows
    "default-src": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "form-action": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    # exception: Dash starts its page with inline scripts; each is allowed by its hash
    "script-src": r"'self'( 'sha256-[A-Za-z0-9+/=]{44}')+",
    # exception: the component libraries set styles on elements
    "style-src": "'self' 'unsafe-inline'",
    # exception: the map draws its symbols into data: and blob: images
    "img-src": "'self' data: blob:",
    # exception: the grid's icons are a font in its style sheet
    "font-src": "'self' data:",
    # exception: deck.gl starts workers from blobs of its own
    "worker-src": "'self' blob:",
}
"""Every directive, and why each that lets more in than this server does."""


def test_an_online_map_opens_one_other_server_and_for_nothing_but_its_tiles() -> None:
    # exception: MapLibre reads tiles by fetch; only where the setting web.online_map names their server
    online = OnlineMap(url="https://tiles.example:8443/pale/{z}/{x}/{y}.png", attribution="x")
    before = dict(part.split(" ", 1) for part in content_security_policy(["'sha256-x'"]).split("; "))
    after = dict(part.split(" ", 1) for part in content_security_policy(["'sha256-x'"], online).split("; "))
    assert after.pop("connect-src") == "'self' https://tiles.example:8443"
    assert before.pop("connect-src") == "'self'"
    assert after == before


def test_every_answer_says_what_may_run_in_it(web: Any) -> None:
    with web.client() as client:
        for path in ("/login", "/", "/account", "/people", "/second", "/nowhere", "/api/alerts", "/login.css"):
            _check_headers(path, client.get(path).headers)


def _check_headers(path: str, headers: httpx.Headers) -> None:
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy.keys() == POLICY.keys()
    for directive, allowed in policy.items():
        assert re.fullmatch(POLICY[directive], allowed), directive
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert path == "/login.css" or headers["cache-control"] == "no-store"


def test_who_may_only_watch_cannot_acknowledge(web: Any) -> None:
    track = web.vessel(431000001, 129.3, 34.2)
    web.put_tracks([track])
    alert = web.raise_alert(track)
    with web.signed_in(Role.ANALYST) as client:
        answer: httpx.Response = client.post(f"/api/alerts/{alert.alert_id}/acknowledge", json={"comment": ""})
    assert answer.status_code == 403
    assert "officer" in answer.json()["detail"]


def test_a_program_file_whose_address_names_its_version_is_kept_and_what_speaks_of_the_sea_is_not(web: Any) -> None:
    with web.signed_in() as client:
        kept = client.get("/assets/console.js?m=1").headers["cache-control"]
        assert "immutable" in kept
        assert "immutable" not in client.get("/assets/console.js").headers.get("cache-control", "")
        assert client.get("/assets/missing.js?m=1").headers.get("cache-control") != kept
        assert client.get("/api/areas").headers["cache-control"] == "no-store"


def test_the_page_does_not_run_the_maps_worker_as_a_script_of_its_own(web: Any) -> None:
    with web.signed_in() as client:
        assert "/assets/console.js" in client.get("/").text
        assert ".mjs" not in client.get("/").text
