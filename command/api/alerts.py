"""Alerts over REST: the list a duty officer triages, one alert, and its acknowledgement."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from command.domain.alert import Alert
from command.domain.clock import from_us
from command.operations.access import needs
from command.operations.console import Console
from command.operations.people import Permission, current_language, current_person
from command.operations.triage import COMMENT_LIMIT


class Acknowledgement(BaseModel):
    """What an officer says when acknowledging; an empty comment is a comment."""

    model_config = ConfigDict(extra="forbid")

    comment: str = Field(default="", max_length=COMMENT_LIMIT)


def alerts_router(console: Console) -> APIRouter:
    """GET /api/alerts, GET /api/alerts/{id}, POST /api/alerts/{id}/acknowledge."""
    router = APIRouter(prefix="/api/alerts")

    @router.get("")
    @needs(Permission.WATCH)
    async def open_alerts() -> dict[str, Any]:
        language = current_language()
        alerts = console.open_alerts()
        return {"revision": console.alerts_revision, "alerts": [alert_json(console, a, language) for a in alerts]}

    @router.get("/{alert_id}")
    @needs(Permission.WATCH)
    async def one_alert(alert_id: uuid.UUID) -> dict[str, Any]:
        return alert_json(console, await asyncio.to_thread(console.alert, alert_id), current_language())

    @router.post("/{alert_id}/acknowledge")
    @needs(Permission.ACKNOWLEDGE)
    async def acknowledge(alert_id: uuid.UUID, said: Acknowledgement) -> dict[str, Any]:
        language = current_language()
        alert = await asyncio.to_thread(
            console.acknowledge, alert_id, person=current_person(), comment=said.comment, language=language
        )
        return alert_json(console, alert, language)

    return router


def alert_json(console: Console, alert: Alert, language: str) -> dict[str, Any]:
    """An alert with its texts in the reader's language; times are ISO 8601 UTC."""
    told = console.explained(alert, language)
    position = alert.position
    incident = console.incident_of(alert.alert_id) if current_person().may(Permission.READ_INCIDENTS) else None
    return {
        "alert_id": str(alert.alert_id),
        "revision": alert.revision,
        "realm": alert.realm,
        "rule": alert.rule,
        "severity": alert.severity.word,
        "subject": alert.subject,
        "subject_label": told.subject,
        "area": alert.area,
        "track_id": None if alert.track_id is None else str(alert.track_id),
        "position": None if position is None else {"lon": position.lon, "lat": position.lat},
        "because": {"key": alert.because, "params": dict(alert.because_params), "text": told.because},
        "title": told.title,
        "place": told.place,
        "evidence": [observation.hex() for observation in alert.evidence],
        "opened_at": _iso(alert.opened_at_us),
        "observed_at": _iso(alert.observed_at_us),
        "recorded_at": _iso(alert.recorded_at_us),
        "cleared_at": _iso(alert.cleared_at_us),
        "acknowledged_at": _iso(alert.acknowledged_at_us),
        "acknowledged_by": alert.acknowledged_by,
        "comment": alert.comment,
        "incident": None if incident is None else {"incident_id": str(incident.incident_id), "number": incident.number},
    }


def _iso(us: int | None) -> str | None:
    return None if us is None else from_us(us).isoformat()
