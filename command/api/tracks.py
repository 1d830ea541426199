"""Tracks over REST: one track as it is now, and its history."""

from __future__ import annotations

import asyncio
import math
import uuid
from typing import Annotated, Any, Final

from fastapi import APIRouter, HTTPException, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from command.api.versions import FILE_ANSWER, download
from command.domain.clock import US_PER_S, from_us
from command.domain.track import Track, TrackStatus
from command.operations.access import needs
from command.operations.console import Console
from command.operations.exports import Format
from command.operations.people import Permission, current_language, current_person
from command.operations.picture import Box
from command.operations.track_groups import TrackGroup

HISTORY_LIMIT: Final = 5_000
HISTORY_HOURS: Final = 7 * 24
_HISTORY_FIELDS: Final = ("lon", "lat", "speed_mps", "course_deg", "heading_deg", "depth_m", "battery_percent")


class Chosen(BaseModel):
    """Tracks by their ids."""

    model_config = ConfigDict(extra="forbid")

    tracks: Annotated[tuple[uuid.UUID, ...], Field(min_length=1, max_length=1_000)]


def _box(written: str) -> Box:
    """`west,south,east,north` in degrees."""
    try:
        return Box.around([float(part) for part in written.split(",")])
    except ValueError as exc:
        raise HTTPException(422, f"bbox {written!r}: write west,south,east,north in degrees ({exc})") from exc


def tracks_router(console: Console) -> APIRouter:
    """GET /api/tracks?search=, /api/tracks/within?bbox=&hide=, /api/tracks/{id}, /api/tracks/{id}/history?hours=&limit=
    (columns, oldest first); POST /api/tracks/export?format=."""
    router = APIRouter(prefix="/api/tracks")

    @router.get("")
    @needs(Permission.WATCH)
    async def find_tracks(
        search: Annotated[str, Query(max_length=100)] = "", limit: Annotated[int, Query(ge=1, le=1_000)] = 100
    ) -> dict[str, Any]:
        found = console.picture.find(search, limit=limit)
        return {"tracks": [track_json(console, track) for track in found], "all": len(console.picture)}

    @router.get("/within")
    @needs(Permission.WATCH)
    async def tracks_within(
        bbox: Annotated[str, Query(max_length=120)],
        hide: Annotated[list[TrackGroup] | None, Query()] = None,
        limit: Annotated[int, Query(ge=1, le=1_000)] = 500,
    ) -> dict[str, Any]:
        now_us = console.clock.now_us()
        found, count = console.picture.within(_box(bbox), now_us=now_us, limit=limit, hide=hide or ())
        return {"tracks": [track_json(console, track) for track in found], "all": count}

    @router.post("/export", response_class=Response, responses=FILE_ANSWER)
    @needs(Permission.WATCH)
    async def save(format: Format, chosen: Chosen) -> Response:  # noqa: A002 - the parameter's name in the address
        by = current_person().user.login
        data = await asyncio.to_thread(console.tracks_as_file, chosen.tracks, format, by=by)
        return download(data, format, name=f"tracks-{console.realm.name}")

    @router.get("/{track_id}")
    @needs(Permission.WATCH)
    async def one_track(track_id: uuid.UUID) -> dict[str, Any]:
        track = console.picture.track(track_id)
        if track is None:
            raise HTTPException(404, f"there is no track {track_id} in {console.realm.name}; search for it by name")
        return track_json(console, track)

    @router.get("/{track_id}/history")
    @needs(Permission.WATCH)
    async def history(
        track_id: uuid.UUID,
        hours: Annotated[float, Query(gt=0, le=HISTORY_HOURS)] = 6.0,
        limit: Annotated[int, Query(ge=1, le=HISTORY_LIMIT)] = 2_000,
    ) -> dict[str, Any]:
        to_us = console.clock.now_us() + 1
        states = await asyncio.to_thread(
            console.history, track_id, from_us=to_us - int(hours * 3_600 * US_PER_S), to_us=to_us, limit=limit
        )
        return {
            "track_id": str(track_id),
            "cut": len(states) >= limit,
            "observed_at_ms": [int(us) // 1_000 for us in states["observed_at_us"]],
            "status": states["status"].tolist(),
            **{name: [_number(x) for x in states[name].tolist()] for name in _HISTORY_FIELDS},
        }

    return router


def track_json(console: Console, track: Track) -> dict[str, Any]:
    """A track's latest state with its name in the reader's language; units stand in the names."""
    position = track.position
    return {
        "track_id": str(track.track_id),
        "subject": track.subject,
        "label": console.picture.label(track, current_language()),
        "kind": track.kind.name.lower(),
        "status": TrackStatus(track.status).name.lower(),
        "source": track.source,
        "observed_at": from_us(track.observed_at_us).isoformat(),
        "recorded_at": from_us(track.recorded_at_us).isoformat(),
        "position": None if position is None else {"lon": position.lon, "lat": position.lat},
        "flags": track.flags,
        "attributes": dict(track.attributes),
        **{
            name: _number(getattr(track, name))
            for name in (
                "speed_mps",
                "course_deg",
                "heading_deg",
                "altitude_amsl_m",
                "height_m",
                "depth_m",
                "position_error_m",
                "battery_percent",
                "link_percent",
            )
        },
    }


def _number(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
