"""What stands in front of every route, WebSocket and Dash callback: nobody passes without a session."""

from __future__ import annotations

import asyncio
import hmac
import re
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from command.api.pages import FONT_STYLE, database_away_page, language_of
from command.api.problems import problem
from command.operations.incident_files import MAX_FILE_BYTES
from command.operations.people import (
    CURRENT_LANGUAGE,
    CURRENT_PERSON,
    Person,
    SessionGate,
    StoreUnavailable,
    csrf_token,
)

SESSION_COOKIE: Final = "mizugiwa_session"
FORM_COOKIE: Final = "mizugiwa_form"
CSRF_COOKIE: Final = "_csrf_token"
"""Dash's renderer sends this cookie's value as the header X-CSRFToken with every callback."""
CSRF_HEADER: Final = "X-CSRFToken"
PUBLIC: Final = frozenset({"/login", "/login.css", "/favicon.ico", "/language", FONT_STYLE})
PUBLIC_FOLDER: Final = "/assets/map/fonts/"
"""Program files that the sign-in page shows its Japanese with; they tell nothing."""
BEFORE_PASSWORD_CHANGE: Final = PUBLIC | {"/password", "/logout"}
FOR_EVER: Final = "private, max-age=31536000, immutable"
MAX_BODY_BYTES: Final = 1024 * 1024
MAX_IMPORT_BYTES: Final = 11 * 1024 * 1024
_UPLOADS: Final = (
    (re.compile(r"/api/areas/import"), MAX_IMPORT_BYTES),
    (re.compile(r"/api/incidents/[0-9a-fA-F-]{36}/attachments"), MAX_FILE_BYTES),
)
"""Where files come in: the only places for a larger body, and for those who are signed in only."""
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """ASGI middleware: session, CSRF, size of bodies and security headers, for http and websocket alike.

    content_security_policy: the whole header value. secure: the page is served over TLS.
    """

    def __init__(self, app: ASGIApp, *, gate: SessionGate, content_security_policy: str, secure: bool) -> None:
        self._app = app
        self._gate = gate
        self._headers = {
            "Content-Security-Policy": content_security_policy,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "same-origin",
            "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        if secure:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        token = connection.cookies.get(SESSION_COOKIE)
        guarded = self._with_headers(send, scope)
        refusal: Response | None
        try:
            person = await asyncio.to_thread(self._gate.find, token) if token else None
        except StoreUnavailable as exc:
            page = connection.url.path in BEFORE_PASSWORD_CHANGE | {"/"}
            away = database_away_page(language_of(connection.cookies)) if page else problem(503, str(exc))
            person, refusal = None, away
        else:
            refusal = self._refusal(scope, person)
        if refusal is None and scope["type"] == "websocket" and not same_origin(scope):
            refusal = problem(403, "this page belongs to another site; open the console by its own address")
        if refusal is None and scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
            limit = body_limit(scope["path"], signed_in=person is not None)
            body = await _whole_body(receive, limit=limit)
            refusal = self._forged(scope, body, person, token)
            receive = _replay(body or b"", receive)
        if refusal is not None:
            await _refuse(refusal, scope, receive, guarded)
            return
        if person is None:
            await self._app(scope, receive, guarded)
            return
        who = CURRENT_PERSON.set(person)
        language = CURRENT_LANGUAGE.set(language_of(connection.cookies))
        try:
            await self._app(scope, receive, guarded)
        finally:
            CURRENT_LANGUAGE.reset(language)
            CURRENT_PERSON.reset(who)

    def _refusal(self, scope: Scope, person: Person | None) -> Response | None:
        path = scope["path"]
        if path in PUBLIC or (path.startswith(PUBLIC_FOLDER) and ".." not in path):
            return None
        page = scope["type"] == "http" and scope["method"] == "GET" and path == "/"
        if person is None:
            return _to_login() if page or path in BEFORE_PASSWORD_CHANGE else problem(401, "sign in first, at /login")
        if person.user.must_change_password and path not in BEFORE_PASSWORD_CHANGE:
            if page:
                return RedirectResponse("/password", status_code=303)
            return problem(403, "choose a password of your own first, at /password")
        return None

    def _forged(self, scope: Scope, body: bytes | None, person: Person | None, token: str | None) -> Response | None:
        if body is None:
            limit = body_limit(scope["path"], signed_in=person is not None)
            return problem(413, f"the request's body is over {limit} bytes; send less, or a smaller file")
        if not same_origin(scope):
            return problem(403, "the request came from another site, or does not say where from (Origin, Referer)")
        headers = Headers(scope=scope)
        expected = csrf_token(token) if person and token else HTTPConnection(scope).cookies.get(FORM_COOKIE, "")
        given = headers.get(CSRF_HEADER, "")
        if not given and headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            given = (parse_qs(body.decode("utf-8", "replace")).get("csrf") or [""])[0]
        if not expected or not hmac.compare_digest(given.encode(), expected.encode()):
            return problem(403, "the form's token is missing or old; reload the page and send it again")
        return None

    def _with_headers(self, send: Send, scope: Scope) -> Send:
        async def guarded(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                if not cacheable(scope["path"]):
                    headers["Cache-Control"] = "no-store"
                elif message.get("status") == 200 and never_changes(scope["path"], scope["query_string"]):
                    headers["Cache-Control"] = FOR_EVER
            await send(message)

        return guarded


def cacheable(path: str) -> bool:
    """Program files may be kept by the browser; what speaks of the sea or of people may not."""
    return path.startswith(("/assets/", "/_dash-component-suites/", "/tiles/")) or path in (
        "/login.css",
        "/favicon.ico",
    )


def never_changes(path: str, query: bytes) -> bool:
    """The address of a program file that names its version: another version has another address."""
    return path.startswith(PUBLIC_FOLDER) or (path.startswith("/assets/") and query.startswith(b"m="))


def same_origin(scope: Scope) -> bool:
    """The browser says that one of our own pages sent this: Origin, or else Referer, is our scheme and host."""
    headers = Headers(scope=scope)
    scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
    ours = f"{scheme}://{headers.get('host', '')}"
    origin = headers.get("origin")
    if origin is not None and origin != "null":
        return origin == ours
    return headers.get("referer", "").startswith(ours + "/")


def _to_login() -> Response:
    return RedirectResponse("/login", status_code=303)


async def _refuse(refusal: Response, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 4401, "reason": "sign in first"})
        return
    await refusal(scope, receive, send)


def body_limit(path: str, *, signed_in: bool) -> int:
    """How many bytes a request may send to this address."""
    limits = (limit for pattern, limit in _UPLOADS if signed_in and pattern.fullmatch(path))
    return next(limits, MAX_BODY_BYTES)


async def _whole_body(receive: Receive, *, limit: int) -> bytes | None:
    """The request's body; None where it is over the limit."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return bytes(body)
        body += message.get("body", b"")
        if len(body) > limit:
            return None
        if not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return pending.pop() if pending else await receive()

    return again
