"""An incident from its log: what each entry makes of it, so that it can be told as it was after any of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from command.domain.alert import Severity
from command.domain.geo import Position
from command.domain.incident import (
    ADDITIONS,
    Attachment,
    Change,
    Cited,
    Incident,
    IncidentEvent,
    IncidentEventKind,
    IncidentState,
    IncidentType,
    Task,
    TaskState,
)


def next_event(
    before: Incident | None,
    change: Change,
    *,
    incident_id: uuid.UUID,
    actor: str,
    observed_at_us: int,
    recorded_at_us: int,
) -> IncidentEvent:
    """The entry that a change becomes in the log of `before`; the first one of a log where that is None."""
    revision = before.revision if before else 0
    return IncidentEvent(
        incident_id=incident_id,
        entry=(before.entries if before else 0) + 1,
        revision=revision if change.kind in ADDITIONS else revision + 1,
        kind=change.kind,
        actor=actor,
        observed_at_us=observed_at_us,
        recorded_at_us=recorded_at_us,
        detail=change.detail,
    )


def fold(events: Iterable[IncidentEvent]) -> Incident:
    """The incident after these entries of one log, first to last. Raises ValueError where there is none."""
    incident: Incident | None = None
    for event in events:
        incident = after(incident, event)
    if incident is None:
        raise ValueError("an incident's log has at least the entry that opened it; this one is empty")
    return incident


def after(before: Incident | None, event: IncidentEvent) -> Incident:
    """The incident after one more entry of its log."""
    if before is None:
        return _opened(event)
    return replace(
        before,
        revision=event.revision,
        entries=event.entry,
        changed_at_us=event.observed_at_us,
        recorded_at_us=event.recorded_at_us,
        **_FIELDS_AFTER[event.kind](before, event),
    )


def _state_changed(_: Incident, event: IncidentEvent) -> dict[str, Any]:
    state = IncidentState(event.detail["to"])
    return {"state": state, "closed_at_us": event.observed_at_us if state is IncidentState.CLOSED else None}


def _absorbed(before: Incident, event: IncidentEvent) -> dict[str, Any]:
    detail = event.detail
    return {
        "cited": before.cited + cited_from_json(detail),
        "tasks": (*before.tasks, *tasks_from_json(detail["tasks"])),
        "attachments": (*before.attachments, *map(attachment_from_json, detail["attachments"])),
        "participants": tuple(dict.fromkeys((*before.participants, *detail["participants"]))),
    }


def _split(before: Incident, event: IncidentEvent) -> dict[str, Any]:
    moved = {uuid.UUID(task["task_id"]) for task in event.detail["tasks"]}
    return {
        "cited": before.cited - cited_from_json(event.detail),
        "tasks": tuple(task for task in before.tasks if task.task_id not in moved),
    }


def _opened(event: IncidentEvent) -> Incident:
    detail = event.detail
    split_from = detail["split_from"]
    return Incident(
        incident_id=event.incident_id,
        number=detail["number"],
        realm=detail["realm"],
        revision=event.revision,
        entries=event.entry,
        state=IncidentState.OPEN,
        participants=(),
        cited=cited_from_json(detail),
        tasks=tasks_from_json(detail["tasks"]),
        attachments=(),
        opened_by=event.actor,
        opened_at_us=event.observed_at_us,
        changed_at_us=event.observed_at_us,
        recorded_at_us=event.recorded_at_us,
        split_from=None if split_from is None else uuid.UUID(split_from),
        **{name: _field(name, detail[name]) for name in ("type", "title", "severity", "owner", "place", "position")},
    )


def _new_task(event: IncidentEvent) -> Task:
    return Task(
        task_id=uuid.UUID(event.detail["task_id"]),
        title=event.detail["title"],
        assignee=event.detail["assignee"],
        state=TaskState.SENT,
        given_by=event.actor,
        given_at_us=event.observed_at_us,
        changed_by=event.actor,
        changed_at_us=event.observed_at_us,
    )


def _task_after(task: Task, event: IncidentEvent) -> Task:
    if str(task.task_id) != event.detail["task_id"]:
        return task
    return replace(
        task,
        state=TaskState(event.detail["to"]),
        changed_by=event.actor,
        changed_at_us=event.observed_at_us,
        reason=event.detail["reason"],
    )


def _field(name: str, kept: Any) -> Any:
    match name:
        case "type":
            return IncidentType(kept)
        case "severity":
            return Severity.from_word(kept)
        case "position":
            return None if kept is None else Position(lon=kept[0], lat=kept[1])
    return kept


_FIELDS_AFTER: Final[Mapping[IncidentEventKind, Callable[[Incident, IncidentEvent], dict[str, Any]]]] = {
    IncidentEventKind.EDITED: lambda _, e: {name: _field(name, pair[1]) for name, pair in e.detail["changed"].items()},
    IncidentEventKind.STATE_CHANGED: _state_changed,
    IncidentEventKind.COMMENTED: lambda _, e: {},
    IncidentEventKind.TASK_GIVEN: lambda i, e: {"tasks": (*i.tasks, _new_task(e))},
    IncidentEventKind.TASK_CHANGED: lambda i, e: {"tasks": tuple(_task_after(task, e) for task in i.tasks)},
    IncidentEventKind.JOINED: lambda i, e: {"participants": (*i.participants, e.detail["login"])},
    IncidentEventKind.LEFT: lambda i, e: {"participants": tuple(x for x in i.participants if x != e.detail["login"])},
    IncidentEventKind.LINKED: lambda i, e: {"cited": i.cited + cited_from_json(e.detail)},
    IncidentEventKind.UNLINKED: lambda i, e: {"cited": i.cited - cited_from_json(e.detail)},
    IncidentEventKind.ATTACHED: lambda i, e: {"attachments": (*i.attachments, attachment_from_json(e.detail))},
    IncidentEventKind.MERGED: lambda _, e: {"state": IncidentState.MERGED, "merged_into": uuid.UUID(e.detail["into"])},
    IncidentEventKind.ABSORBED: _absorbed,
    IncidentEventKind.SPLIT: _split,
}


def field_json(value: Any) -> Any:
    """A field of an incident as the log keeps it: words, and [lon, lat] in degrees."""
    if isinstance(value, Severity):
        return value.word
    if isinstance(value, Position):
        return [value.lon, value.lat]
    return value.value if isinstance(value, IncidentType) else value


def cited_json(cited: Cited) -> dict[str, list[str]]:
    """What is cited, as the log keeps it."""
    return {
        "alerts": [str(x) for x in cited.alerts],
        "tracks": [str(x) for x in cited.tracks],
        "areas": list(cited.areas),
    }


def cited_from_json(kept: Mapping[str, Any]) -> Cited:
    """What cited_json made this of."""
    return Cited(
        alerts=tuple(map(uuid.UUID, kept["alerts"])),
        tracks=tuple(map(uuid.UUID, kept["tracks"])),
        areas=tuple(kept["areas"]),
    )


def tasks_json(tasks: Sequence[Task]) -> list[dict[str, Any]]:
    """Whole tasks, as the log and the projection keep them."""
    return [{**asdict(task), "task_id": str(task.task_id), "state": task.state.value} for task in tasks]


def tasks_from_json(kept: Sequence[Mapping[str, Any]]) -> tuple[Task, ...]:
    """What tasks_json made this of."""
    return tuple(
        Task(**{**task, "task_id": uuid.UUID(task["task_id"]), "state": TaskState(task["state"])}) for task in kept
    )


def attachment_json(attachment: Attachment) -> dict[str, Any]:
    """An attachment without its bytes, as the log and the projection keep it."""
    return {**asdict(attachment), "attachment_id": str(attachment.attachment_id)}


def attachment_from_json(kept: Mapping[str, Any]) -> Attachment:
    """What attachment_json made this of."""
    return Attachment(**{**kept, "attachment_id": uuid.UUID(kept["attachment_id"])})
