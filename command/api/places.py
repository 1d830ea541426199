"""Facilities over REST, as GeoJSON (RFC 7946)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from command.operations.access import needs
from command.operations.console import Console
from command.operations.people import Permission


def places_router(console: Console) -> APIRouter:
    """GET /api/facilities."""
    router = APIRouter(prefix="/api")

    @router.get("/facilities")
    @needs(Permission.WATCH)
    async def facilities() -> dict[str, Any]:
        features = [
            {
                "type": "Feature",
                "id": facility.facility_id,
                "geometry": {"type": "Point", "coordinates": [facility.position.lon, facility.position.lat]},
                "properties": {
                    "kind": facility.kind.value,
                    "name_ja": facility.name_ja,
                    "name_en": facility.name_en,
                    "prefecture": facility.prefecture,
                    "municipality": facility.municipality,
                },
            }
            for facility in console.facilities
        ]
        return {"type": "FeatureCollection", "features": features}

    return router
