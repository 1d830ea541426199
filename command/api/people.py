"""Everybody's accounts, for the administrator: roles, passwords, sessions. Forms that work without a script."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from command.api.account import reader_of
from command.api.forms import choices, fields, session_id_of
from command.api.people_pages import people_page, person_page, secret_page
from command.domain.area import Area
from command.domain.people import Role, User
from command.domain.realm import Realm
from command.i18n import text
from command.operations.access import needs
from command.operations.people import (
    Accounts,
    BadAccount,
    LoginTaken,
    Permission,
    UnknownUser,
    current_person,
)
from command.operations.second_factor import SecondFactors
from command.operations.session_gate import SessionGate
from command.operations.tokens import ApiTokens

DONE = frozenset(
    {"roles", "areas", "disabled", "enabled", "session_revoked", "all_revoked", "second_off", "tokens_revoked"}
)
"""What a page may say was done just now, by the end of its text's key."""


class _Pages:
    """What the routes share."""

    def __init__(
        self,
        accounts: Accounts,
        factors: SecondFactors,
        tokens: ApiTokens,
        *,
        gate: SessionGate,
        realm: Realm,
        areas: Callable[[], Sequence[Area]],
    ) -> None:
        self.accounts, self.tokens, self.realm, self.areas = accounts, tokens, realm, areas
        self._factors, self._gate = factors, gate

    async def known(self, user_id: uuid.UUID) -> User:
        try:
            return await asyncio.to_thread(self.accounts.one, user_id)
        except UnknownUser as exc:
            raise HTTPException(404, f"{exc}; the accounts there are stand at /people") from exc

    async def everybody(
        self, request: Request, *, error: str | None = None, given: dict[str, str] | None = None
    ) -> Response:
        await asyncio.to_thread(self.accounts.note_view, "*", by=current_person().user.login)
        people = await asyncio.to_thread(self.accounts.everyone)
        sessions = await asyncio.to_thread(self.accounts.sessions)
        holders = await asyncio.to_thread(self._factors.holders)
        areas = await asyncio.to_thread(self.areas)
        return people_page(
            reader_of(request, self.realm),
            people=people,
            holders=holders,
            sessions=sessions,
            areas=areas,
            given=given or {},
            error=error,
        )

    async def one(self, request: Request, user: User, *, refused: BadAccount | None = None) -> Response:
        reader = reader_of(request, self.realm)
        if user.user_id != reader.person.user.user_id:
            await asyncio.to_thread(self.accounts.note_view, user.login, by=reader.person.user.login)
        done = request.query_params.get("done")
        note = text(reader.language, f"people.done_{done}") if done in DONE else None
        error = None if refused is None else text(reader.language, refused.key, **refused.params)
        sessions = await asyncio.to_thread(self.accounts.sessions, user.login)
        holder = user.user_id in await asyncio.to_thread(self._factors.holders)
        tokens = await asyncio.to_thread(self.tokens.of, user)
        return person_page(
            reader,
            user,
            sessions=sessions,
            second_factor=holder,
            tokens=len(tokens),
            areas=await asyncio.to_thread(self.areas),
            error=error,
            note=note,
        )

    async def act(self, request: Request, user: User, what: str, act: Callable[[str], object]) -> Response:
        """Do something to an account, given who does it, and say that it was done, or why not."""
        try:
            await asyncio.to_thread(act, current_person().user.login)
        except BadAccount as exc:
            return await self.one(request, user, refused=exc)
        self._gate.forget_all()
        return RedirectResponse(f"/people/{user.user_id}?done={what}", status_code=303)


async def _roles(request: Request) -> frozenset[Role]:
    chosen = await choices(request, "role")
    unknown = sorted(set(chosen) - {role.value for role in Role})
    if unknown:
        raise HTTPException(422, f"role {unknown[0][:40]!r}; choose from {', '.join(Role)}")
    return frozenset(Role(role) for role in chosen)


def people_router(
    accounts: Accounts,
    factors: SecondFactors,
    tokens: ApiTokens,
    *,
    gate: SessionGate,
    realm: Realm,
    areas: Callable[[], Sequence[Area]],
) -> APIRouter:
    """GET /people, GET /people/{user_id} and the forms on them. areas: reads all there are, retired ones too."""
    router = APIRouter(prefix="/people", include_in_schema=False)
    pages = _Pages(accounts, factors, tokens, gate=gate, realm=realm, areas=areas)
    _everybody(router, pages)
    _one(router, pages)
    return router


def _everybody(router: APIRouter, pages: _Pages) -> None:
    @router.get("")
    @needs(Permission.MANAGE_PEOPLE)
    async def show(request: Request) -> Response:
        return await pages.everybody(request)

    @router.post("")
    @needs(Permission.MANAGE_PEOPLE)
    async def add(request: Request) -> Response:
        login, name = await fields(request, "login", "name")
        reader, roles = reader_of(request, pages.realm), await _roles(request)
        try:
            password = await asyncio.to_thread(pages.accounts.create, login, name, roles, by=reader.person.user.login)
        except BadAccount as exc:
            error = text(reader.language, exc.key, **exc.params)
        except LoginTaken:
            error = text(reader.language, "people.taken", login=login)
        else:
            what = text(reader.language, "people.first_password", login=login)
            return secret_page(reader, text(reader.language, "people.added"), [password], what=what, back="/people")
        return await pages.everybody(request, error=error, given={"login": login, "name": name})


def _one(router: APIRouter, pages: _Pages) -> None:
    accounts = pages.accounts

    @router.get("/{user_id}")
    @needs(Permission.MANAGE_PEOPLE)
    async def show(request: Request, user_id: uuid.UUID) -> Response:
        return await pages.one(request, await pages.known(user_id))

    @router.post("/{user_id}/roles")
    @needs(Permission.MANAGE_PEOPLE)
    async def set_roles(request: Request, user_id: uuid.UUID) -> Response:
        user, roles = await pages.known(user_id), await _roles(request)
        return await pages.act(request, user, "roles", lambda by: accounts.set_roles(user.login, roles, by=by))

    @router.post("/{user_id}/areas")
    @needs(Permission.MANAGE_PEOPLE)
    async def set_areas(request: Request, user_id: uuid.UUID) -> Response:
        user = await pages.known(user_id)
        (reach,) = await fields(request, "reach")
        areas = None if reach == "coast" else frozenset(await choices(request, "area"))
        there = {area.slug for area in await asyncio.to_thread(pages.areas)} | (user.areas or frozenset())
        return await pages.act(
            request, user, "areas", lambda by: accounts.set_areas(user.login, areas, known=there, by=by)
        )

    @router.post("/{user_id}/disabled")
    @needs(Permission.MANAGE_PEOPLE)
    async def set_disabled(request: Request, user_id: uuid.UUID) -> Response:
        user = await pages.known(user_id)
        (said,) = await fields(request, "disabled")
        what, shut = ("disabled", True) if said == "yes" else ("enabled", False)
        return await pages.act(request, user, what, lambda by: accounts.set_disabled(user.login, shut, by=by))

    @router.post("/{user_id}/password")
    @needs(Permission.MANAGE_PEOPLE)
    async def reset_password(request: Request, user_id: uuid.UUID) -> Response:
        user, reader = await pages.known(user_id), reader_of(request, pages.realm)
        try:
            password = await asyncio.to_thread(accounts.reset_password, user.login, by=reader.person.user.login)
        except BadAccount as exc:
            return await pages.one(request, user, refused=exc)
        title, what = (
            text(reader.language, key, login=user.login) for key in ("people.password_reset", "people.first_password")
        )
        return secret_page(reader, title, [password], what=what, back=f"/people/{user.user_id}")

    @router.post("/{user_id}/second-off")
    @needs(Permission.MANAGE_PEOPLE)
    async def reset_second_factor(request: Request, user_id: uuid.UUID) -> Response:
        user = await pages.known(user_id)
        return await pages.act(request, user, "second_off", lambda by: accounts.reset_second_factor(user.login, by=by))

    @router.post("/{user_id}/sessions/revoke")
    @needs(Permission.MANAGE_PEOPLE)
    async def revoke(request: Request, user_id: uuid.UUID) -> Response:
        user = await pages.known(user_id)
        (session,) = await fields(request, "session")
        return await pages.act(
            request,
            user,
            "session_revoked",
            lambda by: accounts.revoke(user.login, session_id_of(session), by=by),
        )

    @router.post("/{user_id}/sessions/revoke-all")
    @needs(Permission.MANAGE_PEOPLE)
    async def revoke_all(request: Request, user_id: uuid.UUID) -> Response:
        user = await pages.known(user_id)
        return await pages.act(request, user, "all_revoked", lambda by: accounts.revoke_all(user.login, by=by))

    @router.post("/{user_id}/tokens/revoke-all")
    @needs(Permission.MANAGE_PEOPLE)
    async def revoke_tokens(request: Request, user_id: uuid.UUID) -> Response:
        user = await pages.known(user_id)
        return await pages.act(request, user, "tokens_revoked", lambda by: pages.tokens.revoke_all(user.login, by=by))
