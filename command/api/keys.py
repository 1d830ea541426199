"""The keys of the console: what a person set, and the table as a script that the page has before any key is pressed."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from command.operations.access import Open, needs
from command.operations.console_keys import FIXED, KEYS, KeySettings, PersonKeys, StoreUnavailable
from command.operations.people import Permission, current_language, current_person

Act = Annotated[str, Field(min_length=1, max_length=40)]
Key = Annotated[str, Field(min_length=1, max_length=3)]


class KeysSent(BaseModel):
    """letters_off: no key that is one character does anything. keys: an act's key, null for none; what is not named
    has its own.
    """

    model_config = ConfigDict(extra="forbid")

    letters_off: bool = False
    keys: dict[Act, Key | None] = Field(default_factory=dict, max_length=200)


class KeysShown(BaseModel):
    """keys: what differs from each act's own. in_force: the key of every act."""

    letters_off: bool
    keys: dict[str, str | None]
    in_force: dict[str, str | None]


def keys_router(kept: PersonKeys) -> APIRouter:
    """GET /keys.js, GET and PUT /api/keys."""
    router = APIRouter()

    @router.get("/keys.js", include_in_schema=False)
    @needs(Permission.WATCH)
    async def script() -> Response:
        """Sets window.mizugiwaKeyTable. A store that is away leaves every act its own key: the page must work."""
        try:
            settings = await asyncio.to_thread(kept.of, current_person().user)
        except StoreUnavailable:
            settings = KeySettings()
        table = {"own": dict(KEYS), "fixed": FIXED, "mine": _shown(settings).model_dump()}
        body = f"window.mizugiwaKeyTable = {json.dumps(table, ensure_ascii=False)};"
        return Response(body, media_type="text/javascript", headers={"Cache-Control": "no-store"})

    @router.get("/api/keys", tags=["people"])
    @needs(Open.SIGNED_IN)
    async def show() -> KeysShown:
        return _shown(await asyncio.to_thread(kept.of, current_person().user))

    @router.put("/api/keys", tags=["people"])
    @needs(Open.SIGNED_IN)
    async def save(sent: KeysSent) -> KeysShown:
        """In the place of what was set before. A key that two acts would have is refused (409) with who holds it."""
        settings = KeySettings(letters_off=sent.letters_off, keys={act: _low(key) for act, key in sent.keys.items()})
        language = current_language()
        return _shown(await asyncio.to_thread(kept.save, current_person().user, settings, language=language))

    return router


def _low(key: str | None) -> str | None:
    return key.lower() if key is not None and len(key) == 1 else key


def _shown(settings: KeySettings) -> KeysShown:
    return KeysShown(letters_off=settings.letters_off, keys=dict(settings.keys), in_force=settings.in_force())
