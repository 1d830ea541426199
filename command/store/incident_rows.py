"""How an Incident and the entries of its log lie in rows."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import RowMapping

from command.domain.alert import Severity
from command.domain.incident import Cited, Incident, IncidentEvent, IncidentEventKind, IncidentState, IncidentType
from command.domain.incident_log import attachment_from_json, attachment_json, tasks_from_json, tasks_json
from command.domain.realm import Realm
from command.store.tables import INCIDENT
from command.store.types import lon_lat, point, position_of

READ: Final = (*(column for column in INCIDENT.c if column.name != "position"), *lon_lat(INCIDENT.c.position))

_SAME: Final = (
    "incident_id",
    "number",
    "revision",
    "entries",
    "title",
    "owner",
    "place",
    "opened_by",
    "merged_into",
    "split_from",
)
_TIMES: Final = ("opened_at", "changed_at", "recorded_at", "closed_at")


def incident_columns(incident: Incident) -> dict[str, Any]:
    """The values of the table `incident`."""
    return {
        **{name: getattr(incident, name) for name in _SAME},
        **{name: getattr(incident, f"{name}_us") for name in _TIMES},
        "type": incident.type.value,
        "severity": int(incident.severity),
        "state": incident.state.value,
        "participants": list(incident.participants),
        "position": point(incident.position),
        "alerts": list(incident.cited.alerts),
        "tracks": list(incident.cited.tracks),
        "areas": list(incident.cited.areas),
        "tasks": tasks_json(incident.tasks),
        "attachments": [attachment_json(attachment) for attachment in incident.attachments],
    }


def incident_of(columns: RowMapping, realm: Realm) -> Incident:
    """The Incident of a row with the columns READ."""
    return Incident(
        realm=realm.name,
        type=IncidentType(columns["type"]),
        severity=Severity(columns["severity"]),
        state=IncidentState(columns["state"]),
        participants=tuple(columns["participants"]),
        position=position_of(columns["lon"], columns["lat"]),
        cited=Cited(alerts=tuple(columns["alerts"]), tracks=tuple(columns["tracks"]), areas=tuple(columns["areas"])),
        tasks=tasks_from_json(columns["tasks"]),
        attachments=tuple(attachment_from_json(kept) for kept in columns["attachments"]),
        **{name: columns[name] for name in _SAME},
        **{f"{name}_us": columns[name] for name in _TIMES},
    )


def event_of(columns: RowMapping) -> IncidentEvent:
    """The entry of a row of `incident_event`."""
    return IncidentEvent(
        event_id=columns["event_id"],
        incident_id=columns["incident_id"],
        entry=columns["entry"],
        revision=columns["revision"],
        kind=IncidentEventKind(columns["kind"]),
        actor=columns["actor"],
        observed_at_us=columns["observed_at"],
        recorded_at_us=columns["recorded_at"],
        detail=columns["detail"],
    )
