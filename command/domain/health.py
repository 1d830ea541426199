"""Health of a source: what came in, what became of it, and how late it is. Counts add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceHealth:
    """A snapshot since the source's start. messages_in == decoded + sum(rejected.values()) + duplicates.

    `observations` counts rows published; `shed` counts rows given up under pressure, by reason; `ignored`
    counts well-formed messages of types that are not this source's subject (counted outside messages_in).
    lag_s: reception time minus observed time of the newest message. clock_offset_s: the median of that lag,
    where the source stamps its own time. Both None until known.
    """

    source: str
    kind: str
    gateway: str
    started_at_us: int
    reported_at_us: int
    state: str
    """`running`, `waiting` (nothing yet), `retrying` (its peer is away), `finished` (a file's end), `failed`."""
    messages_in: int = 0
    decoded: int = 0
    rejected: Mapping[str, int] = field(default_factory=dict)
    duplicates: int = 0
    observations: int = 0
    shed: Mapping[str, int] = field(default_factory=dict)
    ignored: Mapping[str, int] = field(default_factory=dict)
    last_seen_us: int | None = None
    last_observed_us: int | None = None
    lag_s: float | None = None
    clock_offset_s: float | None = None
    detail: str = ""
