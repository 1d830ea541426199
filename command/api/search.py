"""One search over REST: what has a name or a place, by kind."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from command.api.incident_json import LonLat
from command.operations.access import needs
from command.operations.console import Console
from command.operations.people import Permission, current_language, current_person
from command.operations.search import MOST_OF_A_KIND, WORDS_LIMIT, Found, FoundKind, search


class FoundShown(BaseModel):
    """One thing. key: the id of a track, an incident or a facility, the slug of an area; empty for what has none.
    box: of an area, [west, south, east, north] in degrees."""

    kind: FoundKind
    key: str
    title: str
    detail: str
    position: LonLat | None
    box: tuple[float, float, float, float] | None


class SearchAnswer(BaseModel):
    """found: by kind, in the order in which it is to be shown. more: kinds of which there is more than was asked for.
    hint: what is wrong with what was meant as a position; empty where nothing is."""

    found: list[FoundShown]
    more: list[FoundKind]
    hint: str


def search_router(console: Console) -> APIRouter:
    """GET /api/search?q=&limit=: limit is of each kind. Incidents are among it where the person may read them."""
    router = APIRouter(prefix="/api", tags=["search"])

    @router.get("/search")
    @needs(Permission.WATCH)
    async def find(
        q: Annotated[str, Query(max_length=WORDS_LIMIT)],
        limit: Annotated[int, Query(ge=1, le=MOST_OF_A_KIND)] = 8,
    ) -> SearchAnswer:
        answer = await asyncio.to_thread(
            search, console, q, person=current_person(), language=current_language(), limit=limit
        )
        return SearchAnswer(
            found=[_shown(found) for found in answer.found],
            more=[kind for kind in FoundKind if kind in answer.more],
            hint=answer.hint,
        )

    return router


def _shown(found: Found) -> FoundShown:
    at = found.position
    return FoundShown(
        kind=found.kind,
        key=found.key,
        title=found.title,
        detail=found.detail,
        position=None if at is None else LonLat(lon=at.lon, lat=at.lat),
        box=found.box,
    )
