"""Incidents: what people manage. An incident is the sum of its log; the log is only ever added to."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from command.domain.alert import Severity
from command.domain.geo import Position


class IncidentType(StrEnum):
    """What an officer takes it for; it may be changed as more is known."""

    SMUGGLING = "smuggling"
    TRANSSHIPMENT = "transshipment"
    LANDING = "landing"
    DARK_CONTACT = "dark_contact"
    UNKNOWN_DRONE = "unknown_drone"
    UNKNOWN_OBJECT = "unknown_object"
    RESCUE = "rescue"
    POLLUTION = "pollution"
    EQUIPMENT = "equipment"
    OTHER = "other"


class IncidentState(StrEnum):
    """Where an incident stands. `transferred`: another authority leads. `merged`: it goes on as part of another."""

    OPEN = "open"
    RESPONDING = "responding"
    MONITORING = "monitoring"
    TRANSFERRED = "transferred"
    CLOSED = "closed"
    MERGED = "merged"


INCIDENT_STEPS: Final[Mapping[IncidentState, Mapping[IncidentState, bool]]] = {
    IncidentState.OPEN: {
        IncidentState.RESPONDING: False,
        IncidentState.MONITORING: True,
        IncidentState.TRANSFERRED: True,
        IncidentState.CLOSED: True,
    },
    IncidentState.RESPONDING: {
        IncidentState.MONITORING: True,
        IncidentState.TRANSFERRED: True,
        IncidentState.CLOSED: True,
    },
    IncidentState.MONITORING: {
        IncidentState.RESPONDING: False,
        IncidentState.TRANSFERRED: True,
        IncidentState.CLOSED: True,
    },
    IncidentState.TRANSFERRED: {IncidentState.RESPONDING: True, IncidentState.CLOSED: True},
    IncidentState.CLOSED: {IncidentState.RESPONDING: True},
    IncidentState.MERGED: {},
}
"""From each state: the states that may follow, and whether the step needs a reason, because someone would ask why.
`merged` is reached by merging alone, and nothing follows it."""

OPEN_STATES: Final = frozenset(IncidentState) - {IncidentState.CLOSED, IncidentState.MERGED}
"""Somebody still has something to do."""


class TaskState(StrEnum):
    """How far an order is. `refused`: whoever got it cannot; `cancelled`: whoever gave it takes it back."""

    SENT = "sent"
    RECEIVED = "received"
    ACCEPTED = "accepted"
    ON_THE_WAY = "on_the_way"
    DONE = "done"
    REFUSED = "refused"
    CANCELLED = "cancelled"


_FORWARD: Final = (TaskState.SENT, TaskState.RECEIVED, TaskState.ACCEPTED, TaskState.ON_THE_WAY, TaskState.DONE)
"""A report by radio may skip some of these: who is on the way has accepted."""

TASK_STEPS: Final[Mapping[TaskState, Mapping[TaskState, bool]]] = {
    **{
        state: {
            **dict.fromkeys(_FORWARD[at + 1 :], False),
            TaskState.REFUSED: True,
            TaskState.CANCELLED: True,
        }
        for at, state in enumerate(_FORWARD[:-1])
    },
    **{state: {} for state in (TaskState.DONE, TaskState.REFUSED, TaskState.CANCELLED)},
}
"""As INCIDENT_STEPS. A task that has ended stays as it is: a new order is a new task."""

OPEN_TASKS: Final = frozenset(state for state, steps in TASK_STEPS.items() if steps)


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One order. assignee: a login or a team, as it is called on the radio."""

    task_id: uuid.UUID
    title: str
    assignee: str
    state: TaskState
    given_by: str
    given_at_us: int
    changed_by: str
    changed_at_us: int
    reason: str = ""

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_TASKS


@dataclass(frozen=True, kw_only=True, slots=True)
class Attachment:
    """A file of an incident. sha256: of its bytes, 64 hexadecimal digits. name is for people and never a path."""

    attachment_id: uuid.UUID
    name: str
    media_type: str
    size_bytes: int
    sha256: str
    added_by: str
    added_at_us: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Cited:
    """What an incident is about. areas: slugs."""

    alerts: tuple[uuid.UUID, ...] = ()
    tracks: tuple[uuid.UUID, ...] = ()
    areas: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.alerts or self.tracks or self.areas)

    def __add__(self, other: Cited) -> Cited:
        return Cited(
            alerts=tuple(dict.fromkeys((*self.alerts, *other.alerts))),
            tracks=tuple(dict.fromkeys((*self.tracks, *other.tracks))),
            areas=tuple(dict.fromkeys((*self.areas, *other.areas))),
        )

    def __sub__(self, other: Cited) -> Cited:
        return Cited(
            alerts=tuple(x for x in self.alerts if x not in other.alerts),
            tracks=tuple(x for x in self.tracks if x not in other.tracks),
            areas=tuple(x for x in self.areas if x not in other.areas),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Incident:
    """An incident as its log says it stands.

    number: what people say aloud, `2026-0007`, a realm's and a year's (JST). revision rises with every change that
    somebody else's change could undo; entries counts the log, so a comment raises it alone. opened_at_us and
    changed_at_us are the realm's time.
    """

    incident_id: uuid.UUID
    number: str
    realm: str
    revision: int
    entries: int
    type: IncidentType
    title: str
    severity: Severity
    state: IncidentState
    owner: str | None
    participants: tuple[str, ...]
    place: str
    position: Position | None
    cited: Cited
    tasks: tuple[Task, ...]
    attachments: tuple[Attachment, ...]
    opened_by: str
    opened_at_us: int
    changed_at_us: int
    recorded_at_us: int
    closed_at_us: int | None = None
    merged_into: uuid.UUID | None = None
    split_from: uuid.UUID | None = None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES

    @property
    def open_tasks(self) -> int:
        return sum(task.is_open for task in self.tasks)

    def task(self, task_id: uuid.UUID) -> Task | None:
        return next((task for task in self.tasks if task.task_id == task_id), None)


class IncidentEventKind(StrEnum):
    """What was done. What it was done with is in the event's detail; command/domain/incident_log.py reads it."""

    OPENED = "opened"
    EDITED = "edited"
    STATE_CHANGED = "state_changed"
    COMMENTED = "commented"
    TASK_GIVEN = "task_given"
    TASK_CHANGED = "task_changed"
    JOINED = "joined"
    LEFT = "left"
    LINKED = "linked"
    UNLINKED = "unlinked"
    ATTACHED = "attached"
    MERGED = "merged"
    ABSORBED = "absorbed"
    SPLIT = "split"


ADDITIONS: Final = frozenset({IncidentEventKind.COMMENTED, IncidentEventKind.ATTACHED})
"""These add to the log and can undo nothing, so they leave the revision as it is."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """Something that was done, before it has a place in a log. detail is JSON."""

    kind: IncidentEventKind
    detail: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class IncidentEvent:
    """One entry of an incident's log, never changed.

    entry: 1, 2, 3 ... in the incident. revision: the incident's after it. observed_at_us: the realm's time, which the
    officer's screen showed. recorded_at_us: the host's, which differs in drills and replays. event_id: the realm's
    order of writing, 0 before it is stored.
    """

    event_id: int = 0
    incident_id: uuid.UUID
    entry: int
    revision: int
    kind: IncidentEventKind
    actor: str
    observed_at_us: int
    recorded_at_us: int
    detail: Mapping[str, Any]
