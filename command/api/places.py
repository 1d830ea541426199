"""Areas and facilities over REST, as GeoJSON (RFC 7946)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from shapely.geometry import mapping

from command.operations.access import needs
from command.operations.console import Console
from command.operations.people import Permission


def places_router(console: Console) -> APIRouter:
    """GET /api/areas, GET /api/facilities: FeatureCollections with the revision that the WebSocket announces."""
    router = APIRouter(prefix="/api")

    @router.get("/areas")
    @needs(Permission.WATCH)
    async def areas() -> dict[str, Any]:
        features = [
            {
                "type": "Feature",
                "id": str(area.area_id),
                "geometry": mapping(area.geometry),
                "properties": {
                    "slug": area.slug,
                    "version": area.version,
                    "kind": area.kind.value,
                    "name_ja": area.name_ja,
                    "name_en": area.name_en,
                },
            }
            for area in console.areas
        ]
        return {"type": "FeatureCollection", "revision": console.areas_revision, "features": features}

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
