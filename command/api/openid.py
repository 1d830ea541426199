"""Signing in at the identity provider: the way there, and the way back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, Protocol

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from command.api.forms import origin_of
from command.api.pages import language_of, page_of_ours
from command.i18n import text
from command.operations.access import Open, needs
from command.operations.people import OpenedSession, SignInRefused
from command.operations.single_sign_on import ATTEMPT_S, ProviderAway, SingleSignOn

ATTEMPT_COOKIE: Final = "mizugiwa_sign_in"
_ANSWER: Final = ("code", "state", "iss", "error")
_ANSWER_LIMIT: Final = 4_096
_AGAIN: Final = frozenset({"openid.not_ours", "openid.too_late"})
"""Refused as it came, and not because of who it is."""


class _Form(Protocol):
    def __call__(self, request: Request, *, to: str, error: str, status: int) -> HTMLResponse: ...


class _LeaveBefore(Protocol):
    def __call__(self, request: Request) -> Awaitable[None]: ...


class _ComeBack(Protocol):
    def __call__(self, request: Request, opened: OpenedSession, to: str) -> Response: ...


def add_provider(
    router: APIRouter,
    sso: SingleSignOn,
    *,
    form: _Form,
    leave_before: _LeaveBefore,
    come_back: _ComeBack,
    secure: bool,
) -> None:
    """GET /login/openid and /login/openid/back. form: the sign-in page, for whoever is refused."""

    @router.get("/login/openid")
    @needs(Open.EVERYBODY)
    async def go(request: Request) -> Response:
        to = page_of_ours(request.query_params.get("to", "/"))
        try:
            attempt = await asyncio.to_thread(sso.begin, to=to)
        except ProviderAway:
            return away(request, to)
        response = RedirectResponse(attempt.address, status_code=303)
        # Lax, as no other of ours: the provider's page leads back here, and this must come along
        response.set_cookie(
            ATTEMPT_COOKIE,
            attempt.kept,
            max_age=ATTEMPT_S,
            httponly=True,
            samesite="lax",
            secure=secure,
            path="/login/openid",
        )
        return response

    @router.get("/login/openid/back")
    @needs(Open.EVERYBODY)
    async def back(request: Request) -> Response:
        language, kept = language_of(request.cookies), request.cookies.get(ATTEMPT_COOKIE, "")
        answer = {name: request.query_params[name] for name in _ANSWER if name in request.query_params}
        response: Response
        try:
            if any(len(value) > _ANSWER_LIMIT for value in answer.values()):
                raise SignInRefused("openid.not_ours")
            opened, to = await asyncio.to_thread(sso.finish, kept, answer, origin=origin_of(request))
        except ProviderAway:
            response = away(request, "/")
        except SignInRefused as exc:
            status = 400 if exc.key in _AGAIN else 403
            response = form(request, to="/", error=text(language, exc.key, **exc.params), status=status)
        else:
            await leave_before(request)
            response = come_back(request, opened, page_of_ours(to))
        response.delete_cookie(ATTEMPT_COOKIE, path="/login/openid", secure=secure, httponly=True, samesite="lax")
        return response

    def away(request: Request, to: str) -> HTMLResponse:
        language = language_of(request.cookies)
        return form(request, to=to, error=text(language, "openid.away", name=sso.names[language]), status=503)
