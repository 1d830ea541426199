"""One's own account: where one is signed in, and what ends it. Forms that work without a script."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from command.api.forms import fields, session_id_of
from command.api.guard import SESSION_COOKIE
from command.api.pages import language_of
from command.api.people_pages import Reader, account_page
from command.domain.realm import Realm
from command.i18n import text
from command.operations.access import Open, needs
from command.operations.people import Accounts, BadAccount, SessionGate, csrf_token, current_person

DONE = frozenset({"session_revoked", "others_revoked"})
"""What a page may say was done just now, by the end of its text's key."""


def account_router(accounts: Accounts, *, gate: SessionGate, realm: Realm) -> APIRouter:
    """GET /account and the forms on it."""
    router = APIRouter(prefix="/account", include_in_schema=False)

    async def shown(request: Request, *, error: str | None = None) -> Response:
        reader = reader_of(request, realm)
        done = request.query_params.get("done")
        note = text(reader.language, f"account.done_{done}") if done in DONE else None
        sessions = await asyncio.to_thread(accounts.sessions, reader.person.user.login)
        return account_page(reader, sessions=sessions, error=error, note=note)

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

    return router


def reader_of(request: Request, realm: Realm) -> Reader:
    """Who reads this page."""
    return Reader(
        current_person(),
        language=language_of(request.cookies),
        csrf=csrf_token(request.cookies[SESSION_COOKIE]),
        realm=realm,
    )
