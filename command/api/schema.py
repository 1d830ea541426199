"""The schema of the REST API, OpenAPI 3.1, for programs: /api/openapi.json, behind sign-in like all that it names."""

from __future__ import annotations

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from command.api.problems import MEDIA_TYPE
from command.operations.access import needs
from command.operations.people import Permission

SCHEMA_PATH: Final = "/api/openapi.json"
_PROBLEM: Final = {
    "type": "object",
    "description": "RFC 9457. code: a name of the reason that does not change with the language.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    "default": {
        "description": "Not done: what happened, which input, what to do next.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
}
"""What every route may answer besides its own."""


def describe(web: FastAPI, *, cookie: str, csrf_header: str) -> None:
    """Have the application tell its schema: /api alone, with the session or the token that each request needs."""

    def openapi() -> dict[str, Any]:
        if web.openapi_schema is None:
            whole = get_openapi(title=web.title, version="1", routes=web.routes)
            whole["paths"] = {path: item for path, item in whole["paths"].items() if path.startswith("/api/")}
            parts = whole.setdefault("components", {})
            parts.setdefault("schemas", {})["Problem"] = _PROBLEM
            parts["securitySchemes"] = {
                "session": {"type": "apiKey", "in": "cookie", "name": cookie},
                "form": {
                    "type": "apiKey",
                    "in": "header",
                    "name": csrf_header,
                    "description": "The value of the cookie _csrf_token, with every request that is not GET; the "
                    "header Origin must be this server.",
                },
                "token": {"type": "http", "scheme": "bearer", "description": "An API token, made at /account."},
            }
            whole["security"] = [{"session": [], "form": []}, {"token": []}]
            web.openapi_schema = whole
        return web.openapi_schema

    web.openapi = openapi  # type: ignore[method-assign]  # the way that FastAPI documents

    @web.get(SCHEMA_PATH, include_in_schema=False)
    @needs(Permission.WATCH)
    async def schema() -> dict[str, Any]:
        return web.openapi()
