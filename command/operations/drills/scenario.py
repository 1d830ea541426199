"""What a drill scenario is: where, who, on which lines, and what must come of it."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shapely.geometry.base import BaseGeometry

from command.domain.alert import Severity
from command.domain.area import AreaKind
from command.domain.clock import US_PER_S

Messages = Callable[[float], Iterator[tuple[float, bytes]]]
"""From a time on, (t_s, datagram) in order of time; seconds since the scenario's start."""


@dataclass(frozen=True, kw_only=True)
class PlannedArea:
    """An area to put into the drill's realm. `geometry` is WGS 84 degrees."""

    slug: str
    kind: AreaKind
    name_ja: str
    name_en: str
    geometry: BaseGeometry


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedAsset:
    """One of ours in the drill: never alarmed on as a contact. `kind` is a SubjectKind in small letters."""

    subject: str
    kind: str
    name_ja: str
    name_en: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ExpectedAlert:
    """An alert that the drill must raise, once. Times are seconds since the scenario's start.

    Nothing disturbed, it opens between `opens_from_s` and `opens_until_s`. What causes it lasts until `lasts_until_s`:
    when a process was away, the alert opens late, but not later than that (and a silence that began while the gateway
    was away is noticed earlier, by as long as it was away).
    """

    event: str
    """What happens: `drill.<scenario>.<event>` names its text in command/i18n."""
    rule: str
    subject: str
    area: str | None
    severity: Severity
    opens_from_s: float
    opens_until_s: float
    lasts_until_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Speaker:
    """Somebody who sends: its own socket, so that a gateway sees its own peer, and the line it sends to."""

    name: str
    line: str
    messages: Messages


@dataclass(frozen=True, kw_only=True, slots=True)
class Transmission:
    """One datagram that is due at a scenario time."""

    at_us: int
    speaker: str
    data: bytes


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A drill, ready to be fed; `drill.<name>` names its title in command/i18n.

    sources: configurations for sensors.registry.make_source. rules: for the engine, by name.
    duration_s: so long the list of expected alerts holds; the traffic goes on after it, without end and without
    further events.
    """

    name: str
    start_us: int
    duration_s: float
    ports: Mapping[str, int]
    areas: tuple[PlannedArea, ...]
    assets: tuple[PlannedAsset, ...]
    sources: tuple[Mapping[str, Any], ...]
    rules: Mapping[str, Mapping[str, Any]]
    expected: tuple[ExpectedAlert, ...]
    speakers: tuple[Speaker, ...]

    def transmissions(self, from_us: int | None = None) -> Iterator[Transmission]:
        """Every datagram from `from_us` on (the start where None), in order of time, for ever.

        The same for the same `from_us`, on any machine.
        """
        from_s = 0.0 if from_us is None else max(0.0, (from_us - self.start_us) / US_PER_S)
        streams = (self._of(speaker, from_s) for speaker in self.speakers)
        return heapq.merge(*streams, key=lambda transmission: transmission.at_us)

    def _of(self, speaker: Speaker, from_s: float) -> Iterator[Transmission]:
        for t_s, data in speaker.messages(from_s):
            yield Transmission(at_us=self.start_us + int(t_s * US_PER_S), speaker=speaker.name, data=data)
