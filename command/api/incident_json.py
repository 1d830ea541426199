"""Incidents on the wire: what is sent and what comes back, as models that the schema at /api/openapi.json shows."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from command.domain.clock import from_us
from command.domain.geo import Position
from command.domain.incident import (
    INCIDENT_STEPS,
    TASK_STEPS,
    Attachment,
    Cited,
    Incident,
    IncidentEvent,
    IncidentEventKind,
    IncidentState,
    IncidentType,
    Task,
    TaskState,
)
from command.domain.incident_acts import (
    ASSIGNEE_LIMIT,
    COMMENT_LIMIT,
    MOST_CITED,
    MOST_TASKS,
    PLACE_LIMIT,
    REASON_LIMIT,
    TASK_LIMIT,
    TITLE_LIMIT,
)
from command.operations.console import Console
from command.operations.incident_words import event_words

SeverityWord = Literal["critical", "high", "medium", "low"]
Title = Annotated[str, Field(min_length=1, max_length=TITLE_LIMIT)]
Place = Annotated[str, Field(max_length=PLACE_LIMIT)]
Login = Annotated[str, Field(min_length=1, max_length=256)]
Reason = Annotated[str, Field(max_length=REASON_LIMIT)]
Ids = Annotated[tuple[uuid.UUID, ...], Field(max_length=MOST_CITED)]
Slugs = Annotated[
    tuple[Annotated[str, Field(min_length=1, max_length=60, pattern="^[a-z0-9-]+$")], ...],
    Field(max_length=MOST_CITED),
]
LOG_PAGE: Final = 50


class _Sent(BaseModel):
    model_config = ConfigDict(extra="forbid")


class LonLat(_Sent):
    """WGS 84, degrees."""

    lon: float = Field(ge=-180, le=180)
    lat: float = Field(ge=-90, le=90)

    def position(self) -> Position:
        return Position(lon=self.lon, lat=self.lat)


class CitedSent(_Sent):
    """What belongs to an incident. areas: slugs."""

    alerts: Ids = ()
    tracks: Ids = ()
    areas: Slugs = ()

    def cited(self) -> Cited:
        return Cited() + Cited(alerts=self.alerts, tracks=self.tracks, areas=self.areas)


class Opening(CitedSent):
    """A new incident. owner: whoever opens it where it is left out, nobody where it is null."""

    type: IncidentType
    title: Title
    severity: SeverityWord
    owner: Login | None = None
    place: Place = ""
    position: LonLat | None = None


class Edit(_Sent):
    """What is to be otherwise; what is left out stays as it is."""

    type: IncidentType = Field(default_factory=lambda: IncidentType.OTHER)
    title: Title = Field(default_factory=str)
    severity: SeverityWord = Field(default_factory=lambda: "low")
    owner: Login | None = Field(default_factory=lambda: None)
    place: Place = Field(default_factory=str)
    position: LonLat | None = Field(default_factory=lambda: None)


class Step(_Sent):
    """The next state. Where the step needs a reason, it is refused without one."""

    state: IncidentState
    reason: Reason = ""


class Comment(_Sent):
    text: str = Field(min_length=1, max_length=COMMENT_LIMIT)


class Order(_Sent):
    """assignee: a login, whose person then advances the task, or a team as it is called on the radio."""

    title: str = Field(min_length=1, max_length=TASK_LIMIT)
    assignee: str = Field(min_length=1, max_length=ASSIGNEE_LIMIT)


class TaskStep(_Sent):
    state: TaskState
    reason: Reason = ""


class Participant(_Sent):
    login: Login


class Unlinking(CitedSent):
    reason: Reason


class Merging(_Sent):
    """The incident of the address goes on as part of `into`."""

    into: uuid.UUID
    reason: Reason


class Splitting(CitedSent):
    """What goes into an incident of its own; tasks: their ids."""

    type: IncidentType
    title: Title
    severity: SeverityWord
    tasks: Annotated[tuple[uuid.UUID, ...], Field(max_length=MOST_TASKS)] = ()
    reason: Reason


class NextState(BaseModel):
    state: IncidentState
    needs_reason: bool


class NextTaskState(BaseModel):
    state: TaskState
    needs_reason: bool


class TaskShown(BaseModel):
    task_id: uuid.UUID
    title: str
    assignee: str
    state: TaskState
    given_by: str
    given_at: datetime
    changed_by: str
    changed_at: datetime
    reason: str
    next: list[NextTaskState]


class AttachmentShown(BaseModel):
    """sha256: 64 hexadecimal digits, of the file's bytes. href: where they are."""

    attachment_id: uuid.UUID
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    added_by: str
    added_at: datetime
    href: str


class EntryShown(BaseModel):
    """One entry of a log. observed_at: the realm's time. recorded_at: the host's. text: in the reader's language."""

    event_id: int
    incident_id: uuid.UUID
    number: str
    entry: int
    revision: int
    kind: IncidentEventKind
    actor: str
    observed_at: datetime
    recorded_at: datetime
    detail: dict[str, Any]
    text: str


class IncidentShown(BaseModel):
    """An incident. Times are the realm's, except recorded_at. revision is the ETag; where: in the reader's language."""

    incident_id: uuid.UUID
    number: str
    realm: str
    revision: int
    entries: int
    type: IncidentType
    title: str
    severity: SeverityWord
    state: IncidentState
    next: list[NextState]
    owner: str | None
    participants: list[str]
    place: str
    where: str
    position: LonLat | None
    alerts: list[uuid.UUID]
    tracks: list[uuid.UUID]
    areas: list[str]
    tasks: list[TaskShown]
    open_tasks: int
    attachments: list[AttachmentShown]
    opened_by: str
    opened_at: datetime
    changed_at: datetime
    recorded_at: datetime
    closed_at: datetime | None
    merged_into: uuid.UUID | None
    split_from: uuid.UUID | None


class LogPage(BaseModel):
    """Newest first. next: what to send as `before` for the page after this one; null on the last."""

    entries: list[EntryShown]
    next: int | None


class IncidentWithLog(IncidentShown):
    log: LogPage


class IncidentPage(BaseModel):
    """Newest opened first. next: what to send as `cursor` for the page after this one; null on the last."""

    incidents: list[IncidentShown]
    next: str | None


class PointGeometry(BaseModel):
    type: Literal["Point"]
    coordinates: tuple[float, float]


class IncidentFeature(BaseModel):
    type: Literal["Feature"]
    id: uuid.UUID
    geometry: PointGeometry | None
    properties: IncidentShown


class IncidentFeatures(BaseModel):
    """GeoJSON (RFC 7946). An incident without a place is a Feature without a geometry."""

    type: Literal["FeatureCollection"]
    features: list[IncidentFeature]
    next: str | None


def incident_shown(console: Console, incident: Incident, language: str) -> IncidentShown:
    """An incident as it goes out."""
    return IncidentShown(**_fields(console, incident, language))


def incident_with_log(
    console: Console, incident: Incident, log: Sequence[tuple[str, IncidentEvent]], language: str
) -> IncidentWithLog:
    """An incident and the newest page of its log."""
    return IncidentWithLog(**_fields(console, incident, language), log=log_page(log, LOG_PAGE, language))


def incident_feature(console: Console, incident: Incident, language: str) -> IncidentFeature:
    """An incident as a GeoJSON Feature."""
    position = incident.position
    return IncidentFeature(
        type="Feature",
        id=incident.incident_id,
        geometry=None if position is None else PointGeometry(type="Point", coordinates=(position.lon, position.lat)),
        properties=incident_shown(console, incident, language),
    )


def log_page(log: Sequence[tuple[str, IncidentEvent]], limit: int, language: str) -> LogPage:
    """A page of at most `limit` entries, of which `log` holds one more where there are more."""
    page = log[:limit]
    return LogPage(
        entries=[entry_shown(number, event, language) for number, event in page],
        next=page[-1][1].event_id if len(log) > limit else None,
    )


def entry_shown(number: str, event: IncidentEvent, language: str) -> EntryShown:
    """An entry of a log, in words too."""
    return EntryShown(
        event_id=event.event_id,
        incident_id=event.incident_id,
        number=number,
        entry=event.entry,
        revision=event.revision,
        kind=event.kind,
        actor=event.actor,
        observed_at=from_us(event.observed_at_us),
        recorded_at=from_us(event.recorded_at_us),
        detail=dict(event.detail),
        text=event_words(event, language),
    )


def _fields(console: Console, incident: Incident, language: str) -> dict[str, Any]:
    position = incident.position
    return {
        **{
            name: getattr(incident, name)
            for name in (
                "incident_id",
                "number",
                "realm",
                "revision",
                "entries",
                "type",
                "title",
                "state",
                "owner",
                "place",
                "open_tasks",
                "opened_by",
                "merged_into",
                "split_from",
            )
        },
        "severity": incident.severity.word,
        "next": [
            NextState(state=state, needs_reason=needed) for state, needed in INCIDENT_STEPS[incident.state].items()
        ],
        "participants": list(incident.participants),
        "where": incident.place or console.place(incident, language),
        "position": None if position is None else LonLat(lon=position.lon, lat=position.lat),
        "alerts": list(incident.cited.alerts),
        "tracks": list(incident.cited.tracks),
        "areas": list(incident.cited.areas),
        "tasks": [_task(task) for task in incident.tasks],
        "attachments": [_attachment(incident, attachment) for attachment in incident.attachments],
        "opened_at": from_us(incident.opened_at_us),
        "changed_at": from_us(incident.changed_at_us),
        "recorded_at": from_us(incident.recorded_at_us),
        "closed_at": None if incident.closed_at_us is None else from_us(incident.closed_at_us),
    }


def _task(task: Task) -> TaskShown:
    return TaskShown(
        task_id=task.task_id,
        title=task.title,
        assignee=task.assignee,
        state=task.state,
        given_by=task.given_by,
        given_at=from_us(task.given_at_us),
        changed_by=task.changed_by,
        changed_at=from_us(task.changed_at_us),
        reason=task.reason,
        next=[NextTaskState(state=state, needs_reason=needed) for state, needed in TASK_STEPS[task.state].items()],
    )


def _attachment(incident: Incident, attachment: Attachment) -> AttachmentShown:
    kept = asdict(attachment)
    added_at_us = kept.pop("added_at_us")
    href = f"/api/incidents/{incident.incident_id}/attachments/{attachment.attachment_id}"
    return AttachmentShown(**kept, added_at=from_us(added_at_us), href=href)
