"""What stands in front of every route, WebSocket and Dash callback: nobody passes without a session."""

from __future__ import annotations

import asyncio
import hmac
import math
import re
from collections.abc import Mapping
from time import monotonic
from typing import Final
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from command.api.pages import FONT_STYLE, database_away_page, language_of, page_of_ours, with_to
from command.api.problems import problem
from command.api.rate import RateLimit
from command.operations.desk_pages import DESK_PAGES
from command.operations.incident_files import MAX_FILE_BYTES
from command.operations.people import (
    CURRENT_LANGUAGE,
    CURRENT_PERSON,
    Due,
    Person,
    StoreUnavailable,
    csrf_token,
)
from command.operations.session_gate import SessionGate
from command.operations.tokens import ApiTokens

SESSION_COOKIE: Final = "mizugiwa_session"
FORM_COOKIE: Final = "mizugiwa_form"
CSRF_COOKIE: Final = "_csrf_token"
"""Dash's renderer sends this cookie's value as the header X-CSRFToken with every callback."""
CSRF_HEADER: Final = "X-CSRFToken"
PUBLIC: Final = frozenset(
    {
        "/login",
        "/login.css",
        "/login.js",
        "/login/openid",
        "/login/openid/back",
        "/favicon.ico",
        "/language",
        FONT_STYLE,
    }
)
PUBLIC_FOLDER: Final = "/assets/map/fonts/"
"""Program files that the sign-in page shows its Japanese with; they tell nothing."""
WHERE: Final[Mapping[Due, str]] = {
    Due.CODE: "/second",
    Due.PASSWORD: "/password",
    Due.SECOND_FACTOR: "/account/second",
}
"""Where somebody does what is due."""
WHILE_DUE: Final[Mapping[Due, frozenset[str]]] = {
    Due.CODE: PUBLIC | {"/second", "/logout"},
    Due.PASSWORD: PUBLIC | {"/password", "/logout"},
    Due.SECOND_FACTOR: PUBLIC
    | {"/account/second", "/account/second/begin", "/account/second/confirm", "/password", "/logout"},
}
"""All that they can reach until it is done."""
PAGES: Final = frozenset({"/", "/account/second", "/password", "/second", *(page.path for page in DESK_PAGES)})
"""Whoever opens one of these and may not yet is shown the way there instead of a problem document."""
FOR_EVER: Final = "private, max-age=31536000, immutable"
MAX_BODY_BYTES: Final = 1024 * 1024
SIGN_IN_COSTS: Final = 20.0
"""Requests that one try to sign in counts as: hashing a password keeps a processor busy."""
FOR_TOKENS: Final = ("/api/", "/ws/")
"""All that an API token opens, as far as its scopes and its owner's roles go."""
MAX_IMPORT_BYTES: Final = 11 * 1024 * 1024
_UPLOADS: Final = (
    (re.compile(r"/api/areas/import"), MAX_IMPORT_BYTES),
    (re.compile(r"/api/incidents/[0-9a-fA-F-]{36}/attachments"), MAX_FILE_BYTES),
)
"""Where files come in: the only places for a larger body, and for those who are signed in only."""
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """ASGI middleware: session or API token, rate, CSRF, size of bodies and security headers, for http and websocket.

    content_security_policy: the whole header value. secure: the page is served over TLS.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        gate: SessionGate,
        tokens: ApiTokens,
        rate: RateLimit,
        content_security_policy: str,
        secure: bool,
    ) -> None:
        self._app = app
        self._gate = gate
        self._tokens = tokens
        self._rate = rate
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
        guarded = self._with_headers(send, scope)
        scheme, _, sent = connection.headers.get("authorization", "").partition(" ")
        bearer = sent.strip() if scheme.casefold() == "bearer" else None
        # who sends a token is whom the token says: the browser's cookies count for nothing then
        cookies = connection.cookies if bearer is None else {}
        token, language = cookies.get(SESSION_COOKIE), language_of(cookies)
        person: Person | None = None
        refusal: Response | None
        try:
            person = await asyncio.to_thread(self._who, bearer, token)
        except StoreUnavailable as exc:
            page = connection.url.path in PAGES | PUBLIC
            refusal = database_away_page(language) if page else problem(503, str(exc))
        else:
            refused = self._refusal if bearer is None else self._refusal_of_token
            refusal = self._too_often(connection, person) or refused(scope, person)
        if refusal is None and bearer is None and scope["type"] == "websocket" and not same_origin(scope):
            refusal = problem(403, "this page belongs to another site; open the console by its own address")
        if refusal is None and scope["type"] == "http" and scope["method"] not in SAFE_METHODS:
            limit = body_limit(scope["path"], signed_in=person is not None)
            body = await _whole_body(receive, limit=limit)
            if body is None:
                refusal = problem(413, f"the request's body is over {limit} bytes; send less, or a smaller file")
            elif bearer is None:
                # no browser sends an Authorization header on behalf of another site, so a token needs no second proof
                refusal = self._forged(scope, body, person, token)
            receive = _replay(body or b"", receive)
        if refusal is not None:
            await _refuse(refusal, scope, receive, guarded)
            return
        if person is None:
            await self._app(scope, receive, guarded)
            return
        who = CURRENT_PERSON.set(person)
        spoken = CURRENT_LANGUAGE.set(language)
        try:
            await self._app(scope, receive, guarded)
        finally:
            CURRENT_LANGUAGE.reset(spoken)
            CURRENT_PERSON.reset(who)

    def _who(self, bearer: str | None, token: str | None) -> Person | None:
        """Whose API token or session it is. Raises StoreUnavailable."""
        if bearer is not None:
            return self._tokens.find(bearer)
        return self._gate.find(token) if token else None

    def _too_often(self, connection: HTTPConnection, person: Person | None) -> Response | None:
        address = connection.client.host if connection.client is not None else ""
        who = person.session_id if person else address.encode()
        scope = connection.scope
        hashes = scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == "/login"
        wait_s = self._rate.wait_s(who, now_s=monotonic(), cost=SIGN_IN_COSTS if hashes else 1.0)
        if not wait_s:
            return None
        answer = problem(429, f"too many requests; ask again in {math.ceil(wait_s)} s, and less often")
        answer.headers["Retry-After"] = str(math.ceil(wait_s))
        return answer

    def _refusal_of_token(self, scope: Scope, person: Person | None) -> Response | None:
        if not scope["path"].startswith(FOR_TOKENS):
            return problem(403, f"API tokens are for {' and '.join(FOR_TOKENS)}; sign in at /login for the rest")
        if person is None:
            answer = problem(401, "no token that counts; send Authorization: Bearer TOKEN with one from /account")
            answer.headers["WWW-Authenticate"] = "Bearer"
            return answer
        return None

    def _refusal(self, scope: Scope, person: Person | None) -> Response | None:
        path = scope["path"]
        if path in PUBLIC or (path.startswith(PUBLIC_FOLDER) and ".." not in path):
            return None
        page = scope["type"] == "http" and scope["method"] == "GET" and path in PAGES
        if person is None:
            return _to("/login", scope) if page or path == "/logout" else problem(401, "sign in first, at /login")
        if person.due is not None and path not in WHILE_DUE[person.due]:
            where = WHERE[person.due]
            return _to(where, scope) if page else problem(403, f"first do what is due at {where}")
        return None

    def _forged(self, scope: Scope, body: bytes, person: Person | None, token: str | None) -> Response | None:
        if not same_origin(scope):
            return problem(403, "the request came from another site, or does not say where from (Origin, Referer)")
        headers = Headers(scope=scope)
        expected = [csrf_token(token)] if person and token else []
        if person is None or scope["path"] in PUBLIC:  # these forms are made before, and in spite of, any session
            expected += filter(None, [HTTPConnection(scope).cookies.get(FORM_COOKIE)])
        given = headers.get(CSRF_HEADER, "")
        if not given and headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            given = (parse_qs(body.decode("utf-8", "replace")).get("csrf") or [""])[0]
        if not any(hmac.compare_digest(given.encode(), each.encode()) for each in expected):
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
        "/login.js",
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


def _to(step: str, scope: Scope) -> Response:
    """The way to a step of signing in, and from there to what was asked for."""
    query = scope["query_string"].decode("latin-1")
    return RedirectResponse(
        with_to(step, page_of_ours(scope["path"] + (f"?{query}" if query else ""))), status_code=303
    )


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
