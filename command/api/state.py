"""The state of things over REST: the realm and its clock, health, and the session of who asks."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from command.domain.clock import DataClock, from_us
from command.operations.access import Open, needs
from command.operations.console import Console
from command.operations.people import Permission, current_language, current_person
from command.operations.roster import watch_state, watch_words
from command.operations.session_gate import SessionGate


def state_router(console: Console, gate: SessionGate) -> APIRouter:
    """GET /api/realm, /api/pulse (each screen, once a second), /api/health, /api/session; POST /api/session/active."""
    router = APIRouter(prefix="/api")

    @router.get("/realm")
    @needs(Permission.WATCH)
    async def realm() -> dict[str, Any]:
        now_us = console.clock.now_us()
        newest_us = console.picture.newest_us
        return {
            "realm": console.realm.name,
            "kind": console.realm.kind.value,
            "now": from_us(now_us).isoformat(),
            "now_ms": now_us / 1_000.0,
            "speed": getattr(console.clock, "speed", 1.0),
            "newest_observation": None if newest_us is None else from_us(newest_us).isoformat(),
            "tracks": len(console.picture),
            "tracks_box": console.picture.extent(now_us=now_us),
        }

    @router.get("/pulse")
    @needs(Permission.WATCH)
    async def pulse() -> dict[str, Any]:
        store, newest_us = console.health.store, console.picture.newest_us
        now_us = console.clock.now_us()
        return {
            "realm_now_ms": now_us // 1_000,
            "speed": 0.0 if isinstance(console.clock, DataClock) else getattr(console.clock, "speed", 1.0),
            "newest_ms": None if newest_us is None else newest_us // 1_000,
            "tracks": len(console.picture),
            "alerts_revision": console.alerts_revision,
            "incidents_revision": console.incidents_revision,
            "store": {"connected": store.connected, "since_ms": store.since_us // 1_000},
            "watch": {
                "state": watch_state(console.watch, now_us),
                "words": watch_words(console.watch, now_us, current_language()),
            },
        }

    @router.get("/health")
    @needs(Permission.WATCH)
    async def health() -> dict[str, Any]:
        seen = console.health
        queues = seen.queues
        return {
            "level": seen.level.word,
            "database": {
                "connected": seen.store.connected,
                "since": from_us(seen.store.since_us).isoformat(),
                "detail": seen.store.detail,
            },
            "sources": [
                {**asdict(line.health), "level": line.level.word, "state_seen": line.state} for line in seen.sources
            ],
            "processes": [
                {
                    "process": line.heartbeat.process,
                    "pid": line.heartbeat.pid,
                    "age_s": round(line.age_s, 1),
                    "level": line.level.word,
                    "detail": dict(line.heartbeat.detail),
                }
                for line in seen.processes
            ],
            "queues": None if queues is None else {line.name: line.depth for line in queues},
            "worst_lag_s": seen.worst_lag_s,
            "worst_clock_offset_s": seen.worst_offset_s,
            "on_duty": seen.on_duty,
        }

    @router.get("/session")
    @needs(Open.SIGNED_IN)
    async def session() -> dict[str, Any]:
        person = current_person()
        return {
            "login": person.user.login,
            "display_name": person.user.display_name,
            "roles": sorted(person.user.roles),
            "areas": None if person.areas is None else sorted(person.areas),
            "expires_at": from_us(person.expires_at_us).isoformat(),
        }

    @router.post("/session/active", status_code=204)
    @needs(Open.SIGNED_IN)
    async def active() -> Response:
        await asyncio.to_thread(gate.touch, current_person())
        return Response(status_code=204)

    return router
