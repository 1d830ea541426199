"""Sign in, choose a password, leave, and switch the language: forms that work without a script."""

from __future__ import annotations

import asyncio
import secrets
from importlib import resources
from typing import Final
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from command.api.forms import choices, fields, origin_of
from command.api.guard import CSRF_COOKIE, FORM_COOKIE, SESSION_COOKIE
from command.api.openid import add_provider
from command.api.pages import (
    FIELD_LIMIT,
    LANGUAGE_COOKIE,
    code_page,
    language_of,
    login_page,
    onward_page,
    page_of_ours,
    password_page,
    with_to,
)
from command.api.problems import problem
from command.domain.realm import Realm
from command.i18n import LANGUAGES, text
from command.operations.access import Open, needs
from command.operations.desk_pages import DESK_PAGES
from command.operations.people import (
    Accounts,
    Due,
    OpenedSession,
    PasswordRefused,
    SignInRefused,
    csrf_token,
    current_person,
    token_hash,
)
from command.operations.second_factor import SecondFactors
from command.operations.session_gate import SessionGate
from command.operations.single_sign_on import SingleSignOn

STAYS: Final = ("/login", "/second", "/password", *(page.path for page in DESK_PAGES))
"""Where somebody who switches the language stays; elsewhere the console is loaded anew."""
_YEAR_S: Final = 365 * 24 * 3600
_ICON: Final = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><circle cx="16" cy="16" r="15" fill="#13222f"/>'
    '<path d="M2 19a14 14 0 0 0 28 0z" fill="#1f5d8c"/><path d="M1 19h30" stroke="#6fc3ff" stroke-width="3"/>'
    '<circle cx="16" cy="16" r="14" fill="none" stroke="#6fc3ff" stroke-width="2.5"/></svg>'
)


def login_router(
    accounts: Accounts,
    factors: SecondFactors,
    *,
    gate: SessionGate,
    realm: Realm,
    secure: bool,
    sso: SingleSignOn | None,
) -> APIRouter:
    """The routes of signing in. secure: cookies are for TLS only. sso: at the authority's identity provider."""
    router = APIRouter(include_in_schema=False)

    def keep(response: Response, name: str, value: str, *, max_age_s: int, script_reads: bool = False) -> None:
        response.set_cookie(
            name, value, max_age=max_age_s, httponly=not script_reads, samesite="strict", secure=secure, path="/"
        )

    def sign_in_form(
        request: Request,
        *,
        to: str,
        login: str = "",
        error: str | None = None,
        note: str | None = None,
        status: int | None = None,
    ) -> HTMLResponse:
        csrf = request.cookies.get(FORM_COOKIE) or secrets.token_urlsafe(24)
        language = language_of(request.cookies)
        page = login_page(
            language,
            realm=realm,
            csrf=csrf,
            to=to,
            provider=None if sso is None else sso.names[language],
            login=login[:FIELD_LIMIT],
            error=error,
            note=note,
            status=status,
        )
        keep(page, FORM_COOKIE, csrf, max_age_s=_YEAR_S)
        return page

    @router.get("/login")
    @needs(Open.EVERYBODY)
    async def show_sign_in(request: Request) -> Response:
        note = text(language_of(request.cookies), "login.ended") if "ended" in request.query_params else None
        return sign_in_form(request, to=wanted(request), note=note)

    @router.post("/login")
    @needs(Open.EVERYBODY)
    async def sign_in(request: Request) -> Response:
        login, password = await fields(request, "login", "password")
        language, to = language_of(request.cookies), await asked_for(request)
        try:
            opened = await asyncio.to_thread(accounts.sign_in, login, password, origin=origin_of(request))
        except SignInRefused as exc:
            return sign_in_form(request, to=to, login=login, error=text(language, exc.key, **exc.params))
        await leave_before(request)
        where = "/second" if opened.code_due else "/password" if opened.user.must_change_password else None
        return let_in(RedirectResponse(to if where is None else with_to(where, to), 303), opened)

    async def leave_before(request: Request) -> None:
        """Whoever signs in anew leaves the session before."""
        if before := request.cookies.get(SESSION_COOKIE):
            await asyncio.to_thread(accounts.sign_out, before)
            gate.forget(token_hash(before))

    def let_in(response: Response, opened: OpenedSession) -> Response:
        lasts_s = accounts.rules.session_lasts_s
        keep(response, SESSION_COOKIE, opened.token, max_age_s=lasts_s)
        keep(response, CSRF_COOKIE, csrf_token(opened.token), max_age_s=lasts_s, script_reads=True)
        return response

    def code_form(request: Request, *, to: str, error: str | None = None) -> HTMLResponse:
        csrf = csrf_token(request.cookies[SESSION_COOKIE])
        return code_page(language_of(request.cookies), realm=realm, csrf=csrf, to=to, error=error)

    @router.get("/second")
    @needs(Open.SIGNED_IN)
    async def show_code(request: Request) -> Response:
        if current_person().due is not Due.CODE:
            return RedirectResponse("/", status_code=303)
        return code_form(request, to=wanted(request))

    @router.post("/second")
    @needs(Open.SIGNED_IN)
    async def give_code(request: Request) -> Response:
        person = current_person()
        if person.due is not Due.CODE:
            return RedirectResponse("/", status_code=303)
        (code,), to = await fields(request, "code"), await asked_for(request)
        try:
            opened = await asyncio.to_thread(factors.give_code, person, code, origin=origin_of(request))
        except SignInRefused as exc:
            return code_form(request, to=to, error=text(language_of(request.cookies), exc.key, **exc.params))
        gate.forget(person.session_id)
        where = with_to("/password", to) if opened.user.must_change_password else to
        return let_in(RedirectResponse(where, 303), opened)

    def come_back(request: Request, opened: OpenedSession, to: str) -> Response:
        return let_in(onward_page(language_of(request.cookies), to=to), opened)

    if sso is not None:
        add_provider(router, sso, form=sign_in_form, leave_before=leave_before, come_back=come_back, secure=secure)
    _password(router, accounts, gate=gate, realm=realm)

    _leave(router, accounts, gate=gate, secure=secure)
    _for_everybody(router, secure=secure)
    return router


def _leave(router: APIRouter, accounts: Accounts, *, gate: SessionGate, secure: bool) -> None:
    @router.post("/logout")
    @needs(Open.SIGNED_IN)
    async def leave(request: Request) -> Response:
        await asyncio.to_thread(accounts.sign_out, request.cookies[SESSION_COOKIE])
        gate.forget(current_person().session_id)
        response = RedirectResponse("/login", status_code=303)
        response.delete_cookie(SESSION_COOKIE, path="/", secure=secure, httponly=True, samesite="strict")
        response.delete_cookie(CSRF_COOKIE, path="/", secure=secure, samesite="strict")
        return response


def _password(router: APIRouter, accounts: Accounts, *, gate: SessionGate, realm: Realm) -> None:
    @router.get("/password")
    @needs(Open.SIGNED_IN)
    async def show_password(request: Request) -> Response:
        return password_form(request, to=wanted(request))

    def password_form(request: Request, *, to: str, error: str | None = None) -> HTMLResponse:
        person = current_person()
        return password_page(
            language_of(request.cookies),
            realm=realm,
            csrf=csrf_token(request.cookies[SESSION_COOKIE]),
            to=to,
            who=person.user.login,
            minimum=accounts.rules.password_minimum,
            must=person.user.must_change_password,
            error=error,
        )

    @router.post("/password")
    @needs(Open.SIGNED_IN)
    async def change_password(request: Request) -> Response:
        current, new, again = await fields(request, "current", "new", "again")
        to = await asked_for(request)
        try:
            await asyncio.to_thread(accounts.change_password, current_person(), current, new, again)
        except PasswordRefused as exc:
            return password_form(request, to=to, error=text(language_of(request.cookies), exc.key, **exc.params))
        gate.forget(current_person().session_id)
        return RedirectResponse(to, status_code=303)


def _for_everybody(router: APIRouter, *, secure: bool) -> None:
    style, script = (
        resources.files("command.api").joinpath(f"login.{kind}").read_text("utf-8") for kind in ("css", "js")
    )

    @router.post("/language")
    @needs(Open.EVERYBODY)
    async def switch_language(request: Request) -> Response:
        (language,) = await fields(request, "language")
        if language not in LANGUAGES:
            return problem(422, f"language {language!r}; choose from {', '.join(LANGUAGES)}")
        referer = request.headers.get("referer", "")
        asked = urlsplit(referer)
        back = asked.path + (f"?{asked.query}" if asked.query else "") if asked.path in STAYS else "/"
        response = RedirectResponse(back, status_code=303)
        # Lax: it tells nothing, and who comes back from an identity provider reads on in their language
        response.set_cookie(LANGUAGE_COOKIE, language, max_age=_YEAR_S, samesite="lax", secure=secure, path="/")
        return response

    @router.get("/login.css")
    @needs(Open.EVERYBODY)
    async def login_style() -> Response:
        return Response(style, media_type="text/css", headers={"Cache-Control": "max-age=3600"})

    @router.get("/login.js")
    @needs(Open.EVERYBODY)
    async def login_script() -> Response:
        return Response(script, media_type="text/javascript", headers={"Cache-Control": "max-age=3600"})

    @router.get("/favicon.ico")
    @needs(Open.EVERYBODY)
    async def icon() -> Response:
        return Response(_ICON, media_type="image/svg+xml", headers={"Cache-Control": "max-age=86400"})


def wanted(request: Request) -> str:
    """The page of ours that the address of a step of signing in leads to."""
    return page_of_ours(request.query_params.get("to", "/"))


async def asked_for(request: Request) -> str:
    """The same, of a form."""
    return page_of_ours(next(iter(await choices(request, "to")), "/"))
