"""The offline basemap: one PMTiles file, read by byte ranges (RFC 9110, section 14)."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, HTTPException
from starlette.responses import FileResponse, Response

from command.operations.access import needs
from command.operations.people import Permission


def tiles_router(basemap: Path) -> APIRouter:
    """GET /tiles/japan.pmtiles."""
    router = APIRouter()

    @router.get("/tiles/japan.pmtiles")
    @needs(Permission.WATCH)
    def japan() -> Response:
        if not basemap.is_file():
            raise HTTPException(404, "the basemap has not been built; run `make up`, which builds it")
        return FileResponse(
            basemap, media_type="application/vnd.pmtiles", headers={"Cache-Control": "private, max-age=86400"}
        )

    return router
