"""The contract of a rule: what it is shown, what it may remember and what it says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

from alerts.schedule import Schedule
from command.domain.alert import Finding, Severity
from command.domain.facility import Facility
from command.domain.geo import Position
from command.domain.health import SourceHealth
from command.domain.track import Track
from command.i18n import text
from command.i18n.names import Names
from maps.areas import AreaIndex

SeverityWord = Literal["critical", "high", "medium", "low"]


class SettingsDisagree(ValueError):
    """Settings that are right each by itself and wrong together. `explain(language)` is the sentence for people."""

    def __init__(self, key: str, **params: Any) -> None:
        self._key, self._params = key, params
        super().__init__(self.explain("en"))

    def explain(self, language: str) -> str:
        return text(language, f"rules.disagree.{self._key}", **self._params)


class RuleConfig(BaseModel):
    """What every rule's configuration has. A rule's own Config extends it, in the same file, and gives `severity` a
    default, so that an empty table switches a rule on."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    enabled: bool = True
    severity: SeverityWord
    schedule: Schedule | None = None
    """When it is in force; None: always."""

    @property
    def level(self) -> Severity:
        return Severity.from_word(self.severity)

    def in_force(self, at_us: int, position: Position | None) -> bool:
        """Whether what the rule says at a time about a place is told to people."""
        return self.schedule is None or bool(self.schedule.holds(at_us, [position])[0])


class Memory(MutableMapping[str, dict[str, Any]]):
    """What a rule remembers, by key: JSON-able facts. Changes are saved in the flush's own transaction.

    Assign a whole new dict to change an entry; what is mutated in place is not seen.
    """

    def __init__(self, entries: Mapping[str, dict[str, Any]] | None = None) -> None:
        self._entries: dict[str, dict[str, Any]] = dict(entries or {})
        self._changed: set[str] = set()
        self._before: dict[str, dict[str, Any] | None] = {}

    def __getitem__(self, key: str) -> dict[str, Any]:
        return self._entries[key]

    def __setitem__(self, key: str, value: dict[str, Any]) -> None:
        self._before.setdefault(key, self._entries.get(key))
        self._entries[key] = value
        self._changed.add(key)

    def __delitem__(self, key: str) -> None:
        self._before.setdefault(key, self._entries[key])
        del self._entries[key]
        self._changed.add(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def mark(self) -> None:
        """From here on `roll_back` undoes."""
        self._before.clear()

    def roll_back(self) -> None:
        """Undo what changed since `mark`: a rule that failed must not remember an alert that nobody was told of."""
        for key, value in self._before.items():
            if value is None:
                self._entries.pop(key, None)
            else:
                self._entries[key] = value
        self._before.clear()

    def take_changes(self) -> dict[str, dict[str, Any] | None]:
        """What changed since the last call; None marks an entry that is gone."""
        changes = {key: self._entries.get(key) for key in self._changed}
        self._changed.clear()
        return changes


class Exemptions(Protocol):
    """Own assets and the expiring allow-list: subjects that are never alarmed on as contacts."""

    def covers(self, subject: str, *, rule: str, now_us: int) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class World:
    """What a rule may look at besides the new states. `tracks` holds the latest of every track, by 16-byte id."""

    realm: str
    now_us: int
    tracks: Mapping[bytes, Track]
    areas: AreaIndex
    exemptions: Exemptions
    health: Sequence[SourceHealth] = ()
    facilities: Sequence[Facility] = ()
    names: Names = field(default_factory=Names)


class Rule(Protocol):
    """One rule. `evaluate` sees each flush's new states in the order of observed_at, `tick` the passing of time.

    They return findings; a rule keeps its episodes in `memory`, so that one episode is one alert: OPENED once,
    REVISED when something that a person must know changed, CLEARED at its end. What a rule says depends on the states
    and their times, never on where one flush ends and the next begins, and nothing that it needs lives outside
    `memory`: built again from it, it goes on as if nothing had happened.
    """

    name: ClassVar[str]
    Config: ClassVar[type[RuleConfig]]

    def __init__(self, config: Any, memory: Memory) -> None: ...

    def evaluate(self, states: npt.NDArray[np.void], world: World) -> list[Finding]:
        """states: (n,) TRACK_STATE_DTYPE, oldest first."""
        ...

    def tick(self, world: World) -> list[Finding]: ...

    def reconsider(self, world: World) -> list[Finding]:
        """Its settings are other than when it last looked: CLEARED, with any reason, of each open episode that these
        would not have opened by now. What it remembers otherwise stays, so that nothing is told anew."""
        ...
