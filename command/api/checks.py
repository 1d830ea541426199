"""The check before every route: it says what it needs, and whoever asks has that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from fastapi import FastAPI
from fastapi.exceptions import WebSocketException
from fastapi.routing import APIRoute, APIRouter, APIWebSocketRoute
from starlette.requests import HTTPConnection
from starlette.routing import Mount

from command.operations.access import Need, need_of, require
from command.operations.people import CURRENT_PERSON, Forbidden

FORBIDDEN = 4403
"""The code that a WebSocket is closed with."""


def permission_check(of_the_pages: Mapping[str, Need]) -> Callable[[HTTPConnection], Awaitable[None]]:
    """A dependency for the whole application. of_the_pages: needs of routes that somebody else's code made, by path.

    Raises Forbidden, and WebSocketException on a WebSocket.
    """

    async def check(connection: HTTPConnection) -> None:
        route = connection.scope["route"]
        need = need_of(route.endpoint) or of_the_pages.get(route.path)
        try:
            require(need, CURRENT_PERSON.get(), what=route.path)
        except Forbidden as exc:
            if connection.scope["type"] == "websocket":
                raise WebSocketException(FORBIDDEN, str(exc)) from exc
            raise

    return check


def refuse_unchecked(web: FastAPI, folders: Sequence[str]) -> None:
    """Raises TypeError for a route that the application's dependencies do not reach. folders: of program files."""
    for route in web.routes:
        nested: APIRouter | None = getattr(route, "original_router", None)
        for each in [route] if nested is None else nested.routes:
            checked = isinstance(each, APIRoute | APIWebSocketRoute)
            if not checked and not (isinstance(each, Mount) and each.path in folders):
                raise TypeError(f"{each!r} is no FastAPI route, so nothing checks who asks; add it to an APIRouter")
