"""What becomes of an alert's revision on its way to people: one list of stages, from top to bottom."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Final, Protocol

from alerts.message import AreaName
from command.domain.alert import Alert, Severity


@dataclass(frozen=True, kw_only=True)
class PlannedDelivery:
    """One message that is to go out by one channel. `problem` says why it cannot (it is then kept, and shown)."""

    delivery_id: uuid.UUID
    alert_id: uuid.UUID
    revision: int
    severity: Severity
    channel: str
    routing_key: str
    body: Mapping[str, Any]
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One revision of one alert and what the stages found out about it."""

    alert: Alert
    area_name: AreaName | None = None
    deliveries: tuple[PlannedDelivery, ...] = ()


class Channel(Protocol):
    """A way to people. One file a channel, one line in alerts/registry.py."""

    @property
    def name(self) -> str: ...

    def plan(self, notice: Notice) -> PlannedDelivery | None:
        """The delivery of a notice; None where it has nothing that this channel could carry."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the stages may look at. `area_names` by slug."""

    area_names: Mapping[str, AreaName]
    channels: Sequence[Channel]


Stage = Callable[[Sequence[Notice], Surroundings], Sequence[Notice]]


def name_areas(notices: Sequence[Notice], around: Surroundings) -> Sequence[Notice]:
    """Give each notice what people call its area."""
    return [replace(n, area_name=around.area_names.get(n.alert.area)) if n.alert.area else n for n in notices]


def worst_first(notices: Sequence[Notice], around: Surroundings) -> Sequence[Notice]:
    """Critical before high before medium before low; within one severity as they came."""
    return sorted(notices, key=lambda n: -n.alert.severity)


def route(notices: Sequence[Notice], around: Surroundings) -> Sequence[Notice]:
    """Every notice goes out once by every channel that can carry it."""
    return [
        replace(n, deliveries=tuple(planned for channel in around.channels if (planned := channel.plan(n)) is not None))
        for n in notices
    ]


STAGES: Final[tuple[Stage, ...]] = (name_areas, worst_first, route)


def plan_deliveries(alerts: Sequence[Alert], around: Surroundings) -> list[PlannedDelivery]:
    """What is to be delivered for these revisions, most urgent first."""
    notices: Sequence[Notice] = [Notice(alert=alert) for alert in alerts]
    passed = reduce(lambda flow, stage: stage(flow, around), STAGES, notices)
    return [delivery for notice in passed for delivery in notice.deliveries]
