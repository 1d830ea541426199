"""The texts that the page's scripts show, as a script of its own: the content security policy allows no inline one."""

from __future__ import annotations

import json
from typing import Final, Literal

from fastapi import APIRouter
from starlette.responses import Response

from command.i18n import texts
from command.operations.access import needs
from command.operations.people import Permission

SHOWN: Final = (
    "alarm.",
    "area.kind.",
    "areas.",
    "console.",
    "facilities.",
    "facility.kind.",
    "facility.origin.",
    "files.",
    "incident.desk.",
    "incident.state.",
    "keys.",
    "kind.",
    "map.",
    "presence.",
    "severity.",
    "silence.",
    "status.",
    "triage.",
)
"""Texts that a script may need, by the beginning of their key."""


def texts_router() -> APIRouter:
    """GET /texts/ja.js and /texts/en.js: set window.mizugiwaTexts."""
    router = APIRouter(include_in_schema=False)

    @router.get("/texts/{language}.js")
    @needs(Permission.WATCH)
    async def script(language: Literal["ja", "en"]) -> Response:
        shown = {key: words for key, words in texts(language).items() if key.startswith(SHOWN)}
        body = f"window.mizugiwaTexts = Object.freeze({json.dumps(shown, ensure_ascii=False)});"
        return Response(body, media_type="text/javascript")

    return router
