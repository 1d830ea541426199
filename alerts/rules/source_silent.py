"""A source has fallen silent, has failed, or its gateway no longer reports on it. Silence is never taken for safety."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from alerts.rule import Memory, RuleConfig, SeverityWord, World
from command.domain.alert import Finding, FindingKind
from command.domain.clock import US_PER_S
from command.domain.health import SourceHealth

Seconds = Annotated[float, Field(gt=0, le=604_800)]


class SourceSilentConfig(RuleConfig):
    severity: SeverityWord = "medium"
    silent_after_s: Seconds = 120.0
    silent_after_s_by_source: Mapping[str, Seconds] = Field(default_factory=dict)
    restored_after_s: float = Field(default=300.0, ge=0, le=86_400)
    """Heard again for this long without another silence, the episode is over: a source that flaps is one alert."""
    ignored_kinds: tuple[str, ...] = ("replay",)
    """A recording is as silent as what it recorded."""


class SourceSilent:
    """One alert a source, from its last message (or its start) until it has been heard for `restored_after_s`.

    It looks at the sources' health, so it speaks in `tick` only. A source that has come to its end is not silent.

    Memory: `<gateway>/<source>` -> `start_us` and `back_us` (well again since; None: still in trouble).
    """

    name: ClassVar[str] = "source_silent"
    Config: ClassVar[type[RuleConfig]] = SourceSilentConfig

    def __init__(self, config: SourceSilentConfig, memory: Memory) -> None:
        self._config = config
        self._memory = memory

    def evaluate(self, states: npt.NDArray[np.void], world: World) -> list[Finding]:
        return []

    def tick(self, world: World) -> list[Finding]:
        findings: list[Finding] = []
        watched = {f"{h.gateway}/{h.source}": h for h in world.health if h.kind not in self._config.ignored_kinds}
        for key, health in watched.items():
            findings += self._look(key, health, world)
        for key in [key for key in self._memory if key not in watched]:
            entry = self._memory.pop(key)
            findings.append(self._told(FindingKind.CLEARED, "finished", key, entry, at_us=world.now_us, params={}))
        return findings

    def reconsider(self, world: World) -> list[Finding]:
        findings: list[Finding] = []
        for health in world.health:
            key = f"{health.gateway}/{health.source}"
            entry = self._memory.get(key)
            if entry is None or entry["back_us"] is not None or self._trouble(health, world.now_us) is not None:
                continue
            del self._memory[key]
            params = {"restored_us": world.now_us}
            findings.append(self._told(FindingKind.CLEARED, "restored", key, entry, at_us=world.now_us, params=params))
        return findings

    def _look(self, key: str, health: SourceHealth, world: World) -> list[Finding]:
        entry = self._memory.get(key)
        trouble = self._trouble(health, world.now_us)
        if trouble is not None:
            variant, start_us, params = trouble
            if entry is None:
                entry = {"start_us": start_us, "back_us": None}
                self._memory[key] = entry
                return [self._told(FindingKind.OPENED, variant, key, entry, at_us=world.now_us, params=params)]
            if entry["back_us"] is not None:
                self._memory[key] = entry | {"back_us": None}
            return []
        if entry is None:
            return []
        is_over = health.state == "finished"
        if entry["back_us"] is None and not is_over:
            entry = entry | {"back_us": health.reported_at_us}
            self._memory[key] = entry
        if not is_over and world.now_us - entry["back_us"] < self._config.restored_after_s * US_PER_S:
            return []
        del self._memory[key]
        variant, params = ("finished", {}) if is_over else ("restored", {"restored_us": entry["back_us"]})
        return [self._told(FindingKind.CLEARED, variant, key, entry, at_us=world.now_us, params=params)]

    def _trouble(self, health: SourceHealth, now_us: int) -> tuple[str, int, dict[str, Any]] | None:
        """(variant of the text, start of the episode, parameters) where something is wrong with a source."""
        limit_s = self._config.silent_after_s_by_source.get(health.source, self._config.silent_after_s)
        last_us = health.last_seen_us
        since_us = health.started_at_us if last_us is None else last_us
        silence_s = round((now_us - since_us) / US_PER_S)
        if health.state == "finished":
            return None
        if health.state == "failed":
            return "failed", since_us, {"detail": health.detail or health.state}
        if now_us - health.reported_at_us >= limit_s * US_PER_S:
            unreported_s = round((now_us - health.reported_at_us) / US_PER_S)
            return "gateway", since_us, {"last_report_us": health.reported_at_us, "silence_s": unreported_s}
        if silence_s < limit_s:
            return None
        if last_us is None:
            return "never", since_us, {"started_us": since_us, "silence_s": silence_s}
        return "", since_us, {"last_seen_us": last_us, "silence_s": silence_s}

    def _told(
        self,
        kind: FindingKind,
        variant: str,
        key: str,
        entry: dict[str, Any],
        *,
        at_us: int,
        params: Mapping[str, Any],
    ) -> Finding:
        gateway, source = key.split("/", 1)
        return Finding(
            kind=kind,
            rule=self.name,
            severity=self._config.level,
            subject=f"source:{source}",
            area=None,
            episode_start_us=entry["start_us"],
            observed_at_us=at_us,
            position=None,
            because=f"because.{self.name}.{variant}" if variant else f"because.{self.name}",
            because_params={"source": source, "gateway": gateway, **params},
        )
