"""What people do to incidents, as pure functions: each says what would change, or why it may not."""

from __future__ import annotations

import uuid
from typing import Any, Final

from command.domain.alert import Severity
from command.domain.geo import Position
from command.domain.incident import (
    INCIDENT_STEPS,
    TASK_STEPS,
    Attachment,
    Change,
    Cited,
    Incident,
    IncidentEventKind,
    IncidentState,
    IncidentType,
    Task,
    TaskState,
)
from command.domain.incident_log import attachment_json, cited_json, field_json, tasks_json

TITLE_LIMIT: Final = 120
PLACE_LIMIT: Final = 200
COMMENT_LIMIT: Final = 4_000
REASON_LIMIT: Final = 1_000
TASK_LIMIT: Final = 500
ASSIGNEE_LIMIT: Final = 80
NAME_LIMIT: Final = 200
MOST_TASKS: Final = 200
MOST_PARTICIPANTS: Final = 100
MOST_CITED: Final = 500
MOST_ATTACHMENTS: Final = 100

EDITABLE: Final = ("type", "title", "severity", "owner", "place", "position")


class IncidentRefused(ValueError):
    """An act that an incident does not allow. `key` names a text of incident.error.*, with its params.

    A param that starts with `@` names a text itself.
    """

    def __init__(self, key: str, **params: Any) -> None:
        super().__init__(f"{key} {params}" if params else key)
        self.key, self.params = key, params


def open_incident(
    *,
    number: str,
    realm: str,
    type: IncidentType,  # noqa: A002 - the field's name
    title: str,
    severity: Severity,
    owner: str | None,
    place: str,
    position: Position | None,
    cited: Cited,
    tasks: tuple[Task, ...] = (),
    split_from: Incident | None = None,
) -> Change:
    """The first entry of a new log."""
    _within(cited)
    return Change(
        kind=IncidentEventKind.OPENED,
        detail={
            "number": number,
            "realm": realm,
            "type": type.value,
            "title": _line("title", title, TITLE_LIMIT, needed=True),
            "severity": severity.word,
            "owner": owner,
            "place": _line("place", place, PLACE_LIMIT),
            "position": field_json(position),
            **cited_json(cited),
            "tasks": tasks_json(tasks),
            "split_from": None if split_from is None else str(split_from.incident_id),
            "split_from_number": None if split_from is None else split_from.number,
        },
    )


def edit(incident: Incident, **fields: Any) -> Change | None:
    """Fields of EDITABLE with their new values; None where each is already so."""
    _must_be_open(incident)
    if "title" in fields:
        fields["title"] = _line("title", fields["title"], TITLE_LIMIT, needed=True)
    if "place" in fields:
        fields["place"] = _line("place", fields["place"], PLACE_LIMIT)
    changed = {
        name: [field_json(getattr(incident, name)), field_json(value)]
        for name, value in fields.items()
        if name in EDITABLE and getattr(incident, name) != value
    }
    return Change(kind=IncidentEventKind.EDITED, detail={"changed": changed}) if changed else None


def move(incident: Incident, to: IncidentState, *, reason: str) -> Change:
    """One step of the incident's state. It is not closed over the head of who carries out a task."""
    steps = INCIDENT_STEPS[incident.state]
    if to not in steps:
        raise IncidentRefused(
            "incident.error.step", state=f"@incident.state.{incident.state.value}", to=f"@incident.state.{to.value}"
        )
    if to is IncidentState.CLOSED and incident.open_tasks:
        raise IncidentRefused("incident.error.open_tasks", n=incident.open_tasks)
    return Change(
        kind=IncidentEventKind.STATE_CHANGED,
        detail={"from": incident.state.value, "to": to.value, "reason": _reason(reason, needed=steps[to])},
    )


def comment(incident: Incident, words: str) -> Change:
    """A line of the log in somebody's own words; a closed incident takes it too."""
    _must_not_be_merged(incident)
    kept = words.strip()
    if not kept:
        raise IncidentRefused("incident.error.empty", field="@incident.comment")
    if len(kept) > COMMENT_LIMIT:
        raise IncidentRefused(
            "incident.error.too_long", field="@incident.comment", limit=COMMENT_LIMIT, given=len(kept)
        )
    return Change(kind=IncidentEventKind.COMMENTED, detail={"text": kept})


def give_task(incident: Incident, *, task_id: uuid.UUID, title: str, assignee: str) -> Change:
    """An order to somebody, or to a team."""
    _must_be_open(incident)
    if len(incident.tasks) >= MOST_TASKS:
        raise IncidentRefused("incident.error.too_many", field="@incident.tasks", limit=MOST_TASKS)
    return Change(
        kind=IncidentEventKind.TASK_GIVEN,
        detail={
            "task_id": str(task_id),
            "title": _line("task", title, TASK_LIMIT, needed=True),
            "assignee": _line("assignee", assignee, ASSIGNEE_LIMIT, needed=True),
        },
    )


def move_task(incident: Incident, task_id: uuid.UUID, to: TaskState, *, reason: str) -> Change:
    """One step, or several at once, of an order."""
    _must_be_open(incident)
    task = incident.task(task_id)
    if task is None:
        raise IncidentRefused("incident.error.no_task", number=incident.number)
    steps = TASK_STEPS[task.state]
    if to not in steps:
        raise IncidentRefused(
            "incident.error.task_step", state=f"@incident.task.{task.state.value}", to=f"@incident.task.{to.value}"
        )
    return Change(
        kind=IncidentEventKind.TASK_CHANGED,
        detail={
            "task_id": str(task_id),
            "title": task.title,
            "assignee": task.assignee,
            "from": task.state.value,
            "to": to.value,
            "reason": _reason(reason, needed=steps[to]),
        },
    )


def join(incident: Incident, login: str) -> Change | None:
    """Somebody takes part; None where they already do."""
    _must_be_open(incident)
    if login in incident.participants:
        return None
    if len(incident.participants) >= MOST_PARTICIPANTS:
        raise IncidentRefused("incident.error.too_many", field="@incident.participants", limit=MOST_PARTICIPANTS)
    return Change(kind=IncidentEventKind.JOINED, detail={"login": login})


def leave(incident: Incident, login: str) -> Change | None:
    """Somebody takes part no longer; None where they do not."""
    _must_be_open(incident)
    return Change(kind=IncidentEventKind.LEFT, detail={"login": login}) if login in incident.participants else None


def link(incident: Incident, cited: Cited) -> Change | None:
    """Alerts, tracks and areas that belong to it; None where all do already. A closed incident takes them too."""
    _must_not_be_merged(incident)
    new = cited - incident.cited
    _within(incident.cited + new)
    return Change(kind=IncidentEventKind.LINKED, detail=cited_json(new)) if new else None


def unlink(incident: Incident, cited: Cited, *, reason: str) -> Change | None:
    """What does not belong to it after all; None where nothing of it did."""
    _must_be_open(incident)
    gone = _shared(incident.cited, cited)
    if not gone:
        return None
    return Change(kind=IncidentEventKind.UNLINKED, detail={**cited_json(gone), "reason": _reason(reason, needed=True)})


def attach(incident: Incident, attachment: Attachment) -> Change:
    """A file whose bytes are kept; a closed incident takes it too."""
    _must_not_be_merged(incident)
    if len(incident.attachments) >= MOST_ATTACHMENTS:
        raise IncidentRefused("incident.error.too_many", field="@incident.attachments", limit=MOST_ATTACHMENTS)
    return Change(kind=IncidentEventKind.ATTACHED, detail=attachment_json(attachment))


def merge(source: Incident, into: Incident, *, reason: str) -> tuple[Change, Change]:
    """`source` goes on as part of `into`: what is entered in the log of each. All that source had, `into` has too."""
    if source.incident_id == into.incident_id:
        raise IncidentRefused("incident.error.merge_itself")
    _must_not_be_merged(source)
    _must_be_open(into)
    why = _reason(reason, needed=True)
    known = {task.task_id for task in into.tasks}
    held = {attachment.attachment_id for attachment in into.attachments}
    tasks = [task for task in source.tasks if task.task_id not in known]
    attachments = [attachment for attachment in source.attachments if attachment.attachment_id not in held]
    people = dict.fromkeys((*into.participants, *source.participants))
    _within(into.cited + source.cited)
    for name, count, most in (
        ("tasks", len(into.tasks) + len(tasks), MOST_TASKS),
        ("attachments", len(into.attachments) + len(attachments), MOST_ATTACHMENTS),
        ("participants", len(people), MOST_PARTICIPANTS),
    ):
        if count > most:
            raise IncidentRefused("incident.error.too_many", field=f"@incident.{name}", limit=most)
    return (
        Change(
            kind=IncidentEventKind.MERGED,
            detail={"into": str(into.incident_id), "into_number": into.number, "reason": why},
        ),
        Change(
            kind=IncidentEventKind.ABSORBED,
            detail={
                "from": str(source.incident_id),
                "from_number": source.number,
                **cited_json(source.cited - into.cited),
                "tasks": tasks_json(tasks),
                "attachments": [attachment_json(attachment) for attachment in attachments],
                "participants": [login for login in source.participants if login not in into.participants],
                "reason": why,
            },
        ),
    )


def split(
    incident: Incident, *, into: uuid.UUID, into_number: str, cited: Cited, task_ids: tuple[uuid.UUID, ...], reason: str
) -> tuple[Change, Cited, tuple[Task, ...]]:
    """What a part of the incident takes along: the entry in this log, and what the new incident opens with."""
    _must_be_open(incident)
    taken = _shared(incident.cited, cited)
    tasks = tuple(task for task in incident.tasks if task.task_id in task_ids)
    if taken != cited or len(tasks) != len(set(task_ids)):
        raise IncidentRefused("incident.error.split_of_another", number=incident.number)
    if not taken and not tasks:
        raise IncidentRefused("incident.error.split_nothing")
    change = Change(
        kind=IncidentEventKind.SPLIT,
        detail={
            "into": str(into),
            "into_number": into_number,
            **cited_json(taken),
            "tasks": tasks_json(tasks),
            "reason": _reason(reason, needed=True),
        },
    )
    return change, taken, tasks


def _shared(one: Cited, other: Cited) -> Cited:
    """What both have, in the order of `other`."""
    return other - (other - one)


def _must_not_be_merged(incident: Incident) -> None:
    if incident.state is IncidentState.MERGED:
        raise IncidentRefused("incident.error.merged", number=incident.number)


def _must_be_open(incident: Incident) -> None:
    _must_not_be_merged(incident)
    if not incident.is_open:
        raise IncidentRefused("incident.error.closed", number=incident.number)


def _within(cited: Cited) -> None:
    if max(len(cited.alerts), len(cited.tracks), len(cited.areas)) > MOST_CITED:
        raise IncidentRefused("incident.error.too_many", field="@incident.linked", limit=MOST_CITED)


def _line(field: str, words: str, limit: int, *, needed: bool = False) -> str:
    """One line of text, runs of blanks made one."""
    kept = " ".join(words.split())
    if needed and not kept:
        raise IncidentRefused("incident.error.empty", field=f"@incident.{field}")
    if len(kept) > limit:
        raise IncidentRefused("incident.error.too_long", field=f"@incident.{field}", limit=limit, given=len(kept))
    return kept


def _reason(words: str, *, needed: bool) -> str:
    if needed and not words.strip():
        raise IncidentRefused("incident.error.reason")
    return _line("reason", words, REASON_LIMIT)
