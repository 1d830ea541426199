"""Alerts: what the machine says. One episode is one alert with revisions; its events are append-only."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Final

from command.domain.geo import Position
from command.domain.response import TeamResponse


class Severity(IntEnum):
    """Higher is worse. `name.lower()` is the word in routing keys and JSON."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3
    CRITICAL = 4

    @property
    def word(self) -> str:
        return self.name.lower()

    @classmethod
    def from_word(cls, word: str) -> Severity:
        try:
            return cls[word.upper()]
        except KeyError as exc:
            raise ValueError(f"severity {word!r}; write one of critical, high, medium, low") from exc


class FindingKind(StrEnum):
    OPENED = "opened"
    REVISED = "revised"
    CLEARED = "cleared"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """What a rule says about one episode. Intake gives it its alert_id and revision.

    `because` and its params name a text in command/i18n (`because.<rule>...`), so each reader gets their language.
    """

    kind: FindingKind
    rule: str
    severity: Severity
    subject: str
    area: str | None
    """The area's slug, as in routing keys; None where the rule is not about an area."""
    episode_start_us: int
    observed_at_us: int
    position: Position | None
    because: str
    because_params: Mapping[str, Any] = field(default_factory=dict)
    evidence: tuple[bytes, ...] = ()
    """observation_ids, 16 bytes each, oldest first."""
    track_id: uuid.UUID | None = None


class AlertEventKind(StrEnum):
    OPENED = "opened"
    REVISED = "revised"
    CLEARED = "cleared"
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    UNASSIGNED = "unassigned"
    ESCALATED = "escalated"
    WITHDRAWN = "withdrawn"
    """An escalation was taken back."""
    CALLED = "called"
    """Nobody acknowledged it in time, and somebody of the roster was called."""
    RESPONDED = "responded"
    """A team stands otherwise with it than before."""


EVERYBODY: Final = "*"
"""Stands for a login and a team where nobody was on duty, and so everybody was called."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """The last call of the roster about an alert that nobody acknowledged in time. See command/domain/escalation.py.

    step: 1 for the first call since the alert waits. passed: whoever was called in this round, this one last; a new
    round begins when there is nobody left. teams: every team that was called about it so far.
    """

    login: str
    name: str
    team: str | None
    step: int
    at_us: int
    passed: tuple[str, ...]
    teams: tuple[str, ...]

    @property
    def everybody(self) -> bool:
        return self.login == EVERYBODY


@dataclass(frozen=True, kw_only=True, slots=True)
class Alert:
    """The current state of one alert (the projection of its events)."""

    alert_id: uuid.UUID
    revision: int
    realm: str
    rule: str
    severity: Severity
    subject: str
    subject_label: str
    area: str | None
    track_id: uuid.UUID | None
    position: Position | None
    because: str
    because_params: Mapping[str, Any]
    evidence: tuple[bytes, ...]
    opened_at_us: int
    observed_at_us: int
    recorded_at_us: int
    cleared_at_us: int | None = None
    acknowledged_at_us: int | None = None
    acknowledged_by: str | None = None
    comment: str | None = None
    assigned_to: str | None = None
    """The login of whoever has it in hand."""
    assigned_by: str | None = None
    assigned_at_us: int | None = None
    escalated_by: str | None = None
    escalated_at_us: int | None = None
    escalation_reason: str | None = None
    rule_severity: Severity | None = None
    """What the rule says, while an officer's escalation stands above it; None where nobody escalated."""
    waiting_since_us: int | None = None
    """Since when it waits for somebody to acknowledge it; None where somebody did."""
    call: Call | None = None
    """The last call about it since it waits, kept when it was answered."""
    responses: tuple[TeamResponse, ...] = ()
    """Where each team stands that has answered, by its name."""


def routing_key(alert: Alert) -> str:
    """`alert.<severity>.<area or none>.<rule>`."""
    return f"alert.{alert.severity.word}.{alert.area or 'none'}.{alert.rule}"


def call_key(team: str, severity: Severity) -> str:
    """By which a call of somebody of a team reaches its queue, whatever it is bound to: `call.<team>.<severity>`.

    With EVERYBODY, by which a call of everybody reaches every team: `call-all.<severity>`.
    """
    return f"call-all.{severity.word}" if team == EVERYBODY else f"call.{team}.{severity.word}"
