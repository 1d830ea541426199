"""The alerts as one officer chose to see them: filters with their counts, and groups. Pure, quick with thousands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from command.domain.alert import Alert, Severity
from command.domain.clock import US_PER_S

MINE: Final = "mine"
NOBODY: Final = "nobody"
ELSEWHERE: Final = "elsewhere"
"""The place of an alert without a position or an area."""
_MOST_VALUES: Final = 100
_LONGEST_VALUE: Final = 256
_MINUTE_US: Final = 60 * US_PER_S
AGES: Final[tuple[tuple[str, int], ...]] = (
    ("15min", 15 * _MINUTE_US),
    ("1h", 60 * _MINUTE_US),
    ("4h", 240 * _MINUTE_US),
    ("older", 1 << 62),
)
"""Buckets of age: each holds what is younger than its limit and not in one before it."""


class Facet(StrEnum):
    """What a list can be filtered by. An alert passes where it has one of the values chosen in each."""

    SEVERITY = "severity"
    STATE = "state"
    AGE = "age"
    OWNER = "owner"
    RULE = "rule"
    PLACE = "place"


class Grouping(StrEnum):
    """What stands together in the list."""

    SEVERITY = "severity"
    RULE = "rule"
    PLACE = "place"
    SUBJECT = "subject"


class State(StrEnum):
    """An alert can be in several."""

    WAITING = "waiting"
    ESCALATED = "escalated"
    SILENCED = "silenced"
    CLEARED = "cleared"
    SEEN = "seen"


@dataclass(frozen=True, kw_only=True, slots=True)
class TriageView:
    """What is chosen. An empty choice of a facet lets all pass. folded: groups whose alerts are not shown."""

    chosen: Mapping[Facet, frozenset[str]] = field(default_factory=dict)
    grouping: Grouping = Grouping.SEVERITY
    folded: frozenset[str] = frozenset()

    @classmethod
    def from_json(cls, sent: object) -> TriageView:
        """What a browser keeps and sends; what cannot be used in it is left out, so that a list always shows."""
        if not isinstance(sent, Mapping):
            return cls()
        chosen = sent.get("chosen")
        grouping = sent.get("grouping")
        return cls(
            chosen={
                facet: values
                for facet in Facet
                if (values := _words(chosen.get(facet.value) if isinstance(chosen, Mapping) else None))
            },
            grouping=Grouping(grouping) if grouping in set(Grouping) else Grouping.SEVERITY,
            folded=_words(sent.get("folded")),
        )


def _words(sent: object) -> frozenset[str]:
    if not isinstance(sent, Sequence) or isinstance(sent, str):
        return frozenset()
    return frozenset(each for each in sent[:_MOST_VALUES] if isinstance(each, str) and len(each) <= _LONGEST_VALUE)


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Alerts that stand together, in the order of triage. `key` is the value that they share."""

    key: str
    alerts: tuple[Alert, ...]
    folded: bool

    @property
    def worst(self) -> Severity:
        return max(alert.severity for alert in self.alerts)

    @property
    def waiting(self) -> int:
        return sum(alert.acknowledged_at_us is None for alert in self.alerts)


@dataclass(frozen=True, kw_only=True, slots=True)
class Arranged:
    """The list. counts: of each facet, how many alerts a value would show beside what the other facets let pass."""

    groups: tuple[Group, ...]
    counts: Mapping[Facet, Mapping[str, int]]
    total: int
    passed: int


def arrange(
    alerts: Sequence[Alert],
    view: TriageView,
    *,
    login: str,
    now_us: int,
    place_of: Callable[[Alert], str],
    silenced: Callable[[Alert], bool],
) -> Arranged:
    """Filter and group. alerts: in the order of triage. place_of: the key of an alert's place."""
    counts: dict[Facet, Counter[str]] = {facet: Counter() for facet in Facet}
    groups: dict[str, list[Alert]] = {}
    passed = 0
    for alert in alerts:
        values = _values(alert, login=login, now_us=now_us, place=place_of(alert), silenced=silenced(alert))
        missed = [f for f, chosen in view.chosen.items() if chosen and chosen.isdisjoint(values[f])]
        if len(missed) <= 1:
            for facet in missed or Facet:
                counts[facet].update(values[facet])
        if not missed:
            passed += 1
            groups.setdefault(_group_of(alert, view.grouping, values), []).append(alert)
    made = [Group(key=key, alerts=tuple(held), folded=key in view.folded) for key, held in groups.items()]
    if view.grouping is not Grouping.SEVERITY:
        made.sort(key=lambda group: (-group.worst, -group.waiting, -len(group.alerts), group.key))
    return Arranged(groups=tuple(made), counts=counts, total=len(alerts), passed=passed)


def _values(alert: Alert, *, login: str, now_us: int, place: str, silenced: bool) -> Mapping[Facet, Sequence[str]]:
    waiting = alert.acknowledged_at_us is None
    states = [State.WAITING.value if waiting else State.SEEN.value]
    if alert.escalated_at_us is not None:
        states.append(State.ESCALATED.value)
    if silenced:
        states.append(State.SILENCED.value)
    if alert.cleared_at_us is not None:
        states.append(State.CLEARED.value)
    owners = [NOBODY] if alert.assigned_to is None else [f"login:{alert.assigned_to}"]
    if alert.assigned_to == login:
        owners.append(MINE)
    age_us = now_us - alert.opened_at_us
    return {
        Facet.SEVERITY: [alert.severity.word],
        Facet.STATE: states,
        Facet.AGE: [next(name for name, limit_us in AGES if age_us < limit_us)],
        Facet.OWNER: owners,
        Facet.RULE: [alert.rule],
        Facet.PLACE: [place],
    }


def _group_of(alert: Alert, grouping: Grouping, values: Mapping[Facet, Sequence[str]]) -> str:
    if grouping is Grouping.SUBJECT:
        return alert.subject
    return values[Facet(grouping.value)][0]
