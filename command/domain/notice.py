"""Notices: what became of each revision of an alert on each route to people, and the groups that wait to be told."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from command.domain.alert import Severity


class Fate(StrEnum):
    """What became of one revision on one route. The first four are not the end where the entry is `pending`."""

    WAITING = "waiting"
    """Told with its group when the group is due."""
    INHIBITED = "inhibited"
    """Another open alert says the same, or worse, already; told when that one is over."""
    SILENCED = "silenced"
    """A silence holds it back on a route that minds silences; told when the silence is over."""
    HELD = "held"
    """The route's quiet hours; told at their end."""
    DELIVERED = "delivered"
    """In a message of its own."""
    GROUPED = "grouped"
    """In a message that tells of several, or of a later revision of the same alert."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cause:
    """Why a notice is held back. name: the inhibition's or the quiet hours'; who silenced. about: the alert that
    inhibits, or the silence. key: what the inhibiting alert has to equal. until_us: when it ends, where that is known.
    """

    fate: Fate
    name: str
    key: str = ""
    about: uuid.UUID | None = None
    until_us: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A line of the account: one revision of one alert on one route. `over`: held back, and ended so."""

    alert_id: uuid.UUID
    revision: int
    route: str
    group_id: uuid.UUID
    severity: Severity
    cause: Cause | None = None
    over: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Notices of one route that agree in its `group_by`. Times are the realm's.

    due_us: when what waits is told, None where nothing waits. repeat_us: when what is open and acknowledged by nobody
    is told again. worst: the highest severity since nothing of it was open.
    """

    group_id: uuid.UUID
    route: str
    labels: Mapping[str, str]
    due_us: int | None = None
    sent_us: int | None = None
    repeat_us: int | None = None
    messages: int = 0
    worst: Severity | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How an alert stands on a route. told: people were told that it is open. waiting: it waits with its group."""

    told: bool
    waiting: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """One revision went out on a route by these deliveries. alone: in a message of its own."""

    alert_id: uuid.UUID
    revision: int
    route: str
    group_id: uuid.UUID
    severity: Severity
    cleared: bool
    alone: bool
    deliveries: Sequence[uuid.UUID]


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountLine:
    """An entry of the account as people read it. pending: not the end. words: who silenced it and why, where it is."""

    revision: int
    route: str
    fate: Fate
    pending: bool
    cause: str | None
    about: uuid.UUID | None
    until_us: int | None
    decided_at_us: int
    deliveries: Sequence[uuid.UUID]
