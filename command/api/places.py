"""Areas and facilities over REST, as GeoJSON (RFC 7946)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from shapely.geometry import mapping

from command.operations.console import Console
from command.operations.people import Permission, current_person


def places_router(console: Console) -> APIRouter:
    """GET /api/areas, GET /api/facilities: FeatureCollections with the revision that the WebSocket announces."""
    router = APIRouter(prefix="/api")

    @router.get("/areas")
    async def areas() -> dict[str, Any]:
        current_person().must(Permission.WATCH)
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
    async def facilities() -> dict[str, Any]:
        current_person().must(Permission.WATCH)
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
