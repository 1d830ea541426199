"""One's own account: sessions, one-time codes, API tokens. Forms that work without a script."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from command.api.forms import choices, fields, session_id_of, uuid_of
from command.api.guard import SESSION_COOKIE
from command.api.pages import language_of
from command.api.people_pages import Reader, account_page, second_factor_page, secret_page
from command.domain.area import Area
from command.domain.realm import Realm
from command.i18n import text
from command.operations.access import Open, needs
from command.operations.people import Accounts, BadAccount, SignInRefused, csrf_token, current_person
from command.operations.second_factor import SecondFactors
from command.operations.session_gate import SessionGate
from command.operations.tokens import SCOPES, ApiTokens

DONE = frozenset({"session_revoked", "others_revoked", "second_off", "token_revoked"})
"""What a page may say was done just now, by the end of its text's key."""


def account_router(
    accounts: Accounts,
    factors: SecondFactors,
    tokens: ApiTokens,
    *,
    gate: SessionGate,
    realm: Realm,
    areas: Callable[[], Sequence[Area]],
) -> APIRouter:
    """GET /account and the forms on it. areas: reads all there are, retired ones too."""
    router = APIRouter(prefix="/account", include_in_schema=False)
    _second_factor(router, factors, gate=gate, realm=realm)

    async def shown(request: Request, *, error: str | None = None) -> Response:
        reader = reader_of(request, realm)
        done = request.query_params.get("done")
        note = text(reader.language, f"account.done_{done}") if done in DONE else None
        sessions = await asyncio.to_thread(accounts.sessions, reader.person.user.login)
        codes_left = await asyncio.to_thread(factors.codes_left, reader.person)
        held = await asyncio.to_thread(tokens.of, reader.person.user)
        return account_page(
            reader,
            sessions=sessions,
            codes_left=codes_left,
            tokens=held,
            longest_days=tokens.longest_days,
            areas=await asyncio.to_thread(areas),
            error=error,
            note=note,
        )

    @router.get("")
    @needs(Open.SIGNED_IN)
    async def show(request: Request) -> Response:
        return await shown(request)

    @router.post("/sessions/revoke")
    @needs(Open.SIGNED_IN)
    async def revoke(request: Request) -> Response:
        user = current_person().user
        (session,) = await fields(request, "session")
        try:
            session_id = session_id_of(session)
            await asyncio.to_thread(accounts.revoke, user.login, session_id, by=user.login)
        except BadAccount as exc:
            return await shown(request, error=text(language_of(request.cookies), exc.key, **exc.params))
        gate.forget(session_id)
        return RedirectResponse("/account?done=session_revoked", status_code=303)

    @router.post("/sessions/revoke-others")
    @needs(Open.SIGNED_IN)
    async def revoke_others(_: Request) -> Response:
        person = current_person()
        await asyncio.to_thread(accounts.revoke_all, person.user.login, by=person.user.login, but=person.session_id)
        gate.forget_all()
        return RedirectResponse("/account?done=others_revoked", status_code=303)

    _tokens(router, tokens, realm=realm, areas=areas, shown=shown)
    return router


def _tokens(
    router: APIRouter,
    tokens: ApiTokens,
    *,
    realm: Realm,
    areas: Callable[[], Sequence[Area]],
    shown: Callable[..., Awaitable[Response]],
) -> None:
    """The forms that make and revoke API tokens."""

    @router.post("/tokens")
    @needs(Open.SIGNED_IN)
    async def create(request: Request) -> Response:
        reader = reader_of(request, realm)
        name, days, password = await fields(request, "name", "days", "password")
        asked, limits = await choices(request, "scope"), await choices(request, "area")
        there = await asyncio.to_thread(areas)
        try:
            token = await asyncio.to_thread(
                tokens.create,
                reader.person,
                password,
                name=name,
                scopes=frozenset(each for each in SCOPES if each.value in asked),
                days=int(days) if days.isdecimal() and len(days) < 5 else 0,
                areas=frozenset(limits) or None,
                known={area.slug for area in there},
            )
        except (SignInRefused, BadAccount) as exc:
            return await shown(request, error=text(reader.language, exc.key, **exc.params))
        title, what = (text(reader.language, key) for key in ("account.token_made", "account.token_help"))
        return secret_page(reader, title, [token], what=what, back="/account")

    @router.post("/tokens/revoke")
    @needs(Open.SIGNED_IN)
    async def revoke(request: Request) -> Response:
        (token,) = await fields(request, "token")
        user = current_person().user
        try:
            await asyncio.to_thread(tokens.revoke, user, uuid_of(token), by=user.login)
        except BadAccount as exc:
            return await shown(request, error=text(language_of(request.cookies), exc.key, **exc.params))
        return RedirectResponse("/account?done=token_revoked", status_code=303)


def _second_factor(router: APIRouter, factors: SecondFactors, *, gate: SessionGate, realm: Realm) -> None:
    """The pages on which a person turns one-time codes on and off."""

    async def shown(request: Request, *, secret: str | None = None, error: str | None = None) -> Response:
        reader = reader_of(request, realm)
        codes_left = await asyncio.to_thread(factors.codes_left, reader.person)
        return second_factor_page(reader, secret=secret, codes_left=codes_left, error=error)

    async def refused(request: Request, exc: SignInRefused | BadAccount) -> Response:
        return await shown(request, error=text(language_of(request.cookies), exc.key, **exc.params))

    def codes_shown(request: Request, codes: list[str]) -> Response:
        reader = reader_of(request, realm)
        title, what = (text(reader.language, key) for key in ("account.codes_title", "account.codes_help"))
        return secret_page(reader, title, codes, what=what, back="/account")

    @router.get("/second")
    @needs(Open.SIGNED_IN)
    async def show(request: Request) -> Response:
        return await shown(request)

    @router.post("/second/begin")
    @needs(Open.SIGNED_IN)
    async def begin(request: Request) -> Response:
        (password,) = await fields(request, "password")
        try:
            secret = await asyncio.to_thread(factors.begin, current_person(), password)
        except (SignInRefused, BadAccount) as exc:
            return await refused(request, exc)
        return await shown(request, secret=secret)

    @router.post("/second/confirm")
    @needs(Open.SIGNED_IN)
    async def confirm(request: Request) -> Response:
        person = current_person()
        (code,) = await fields(request, "code")
        codes = await asyncio.to_thread(factors.confirm, person, code)
        if codes is None:
            secret = await asyncio.to_thread(factors.waiting_secret, person)
            return await shown(request, secret=secret, error=text(language_of(request.cookies), "account.code_wrong"))
        gate.forget(person.session_id)
        return codes_shown(request, codes)

    @router.post("/second/codes")
    @needs(Open.SIGNED_IN)
    async def renew(request: Request) -> Response:
        (password,) = await fields(request, "password")
        try:
            codes = await asyncio.to_thread(factors.renew_codes, current_person(), password)
        except (SignInRefused, BadAccount) as exc:
            return await refused(request, exc)
        return codes_shown(request, codes)

    @router.post("/second/off")
    @needs(Open.SIGNED_IN)
    async def off(request: Request) -> Response:
        (password,) = await fields(request, "password")
        try:
            await asyncio.to_thread(factors.end, current_person(), password)
        except (SignInRefused, BadAccount) as exc:
            return await refused(request, exc)
        return RedirectResponse("/account?done=second_off", status_code=303)


def reader_of(request: Request, realm: Realm) -> Reader:
    """Who reads this page."""
    return Reader(
        current_person(),
        language=language_of(request.cookies),
        csrf=csrf_token(request.cookies[SESSION_COOKIE]),
        realm=realm,
    )
