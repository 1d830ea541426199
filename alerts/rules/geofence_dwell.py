"""A contact stays inside a geofence for longer than it may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from alerts.fence_rule import Ending, FenceRule, inside_us
from alerts.fences import Entry, FenceConfig, Reading, Step
from alerts.rule import Memory, RuleConfig, SeverityWord, World
from command.domain.alert import Finding, FindingKind
from command.domain.clock import US_PER_S

Seconds = Annotated[float, Field(gt=0, le=2_592_000)]


class GeofenceDwellConfig(FenceConfig):
    severity: SeverityWord = "medium"
    dark_severity: SeverityWord | None = "high"
    after_s: Seconds = 1_800.0
    """This long inside is a dwell."""
    after_s_by_area: Mapping[str, Seconds] = Field(default_factory=dict)


class GeofenceDwell(FenceRule):
    """One alert from the report that completes `after_s` inside until it has been outside for `rearm_s`.

    A shorter absence does not begin the count anew, and does not count. The time counts between reports inside: a
    track that falls silent inside and is heard inside again has stayed.
    """

    name: ClassVar[str] = "geofence_dwell"
    Config: ClassVar[type[RuleConfig]] = GeofenceDwellConfig

    def __init__(self, config: GeofenceDwellConfig, memory: Memory) -> None:
        super().__init__(config, memory)
        self._config = config

    def speak(self, step: Step, entry: Entry, reading: Reading, world: World) -> tuple[list[Finding], Entry]:
        limit_s = self._limit_s(reading.area.slug)
        stay_us = inside_us(entry, reading.observed_at_us)
        if "alert" in entry or entry["phase"] != "inside" or stay_us < limit_s * US_PER_S:
            return [], entry
        entry = entry | {
            "alert": {
                "severity": int(self.severity_of(reading.area.slug, dark=reading.dark)),
                "start_us": entry["since_us"],
            }
        }
        variant = ".dark" if reading.dark else ""
        params = {"since_us": entry["since_us"], "stay_s": round(stay_us / US_PER_S), "limit_s": limit_s}
        return [self.say(FindingKind.OPENED, variant, entry, reading, world=world, params=params)], entry

    def reconsider(self, world: World) -> list[Finding]:
        """Also what has not stayed for as long as the limit is now; it is told again when it has."""
        findings = super().reconsider(world)
        for key, entry in list(self._memory.items()):
            track_hex, slug = key.split("|", 1)
            track = world.tracks.get(bytes.fromhex(track_hex))
            if "alert" not in entry or track is None:
                continue
            seen_us = entry["at_us"] if entry["phase"] == "left" else track.observed_at_us
            if inside_us(entry, seen_us) >= self._limit_s(slug) * US_PER_S:
                continue
            over = self.finding(
                FindingKind.CLEARED,
                f".{Ending.WITHDRAWN.value}",
                entry,
                key,
                world=world,
                at_us=world.now_us,
                position=track.position,
                evidence=(),
                params={},
            )
            findings.append(over)
            self._memory[key] = {name: value for name, value in entry.items() if name != "alert"}
        return findings

    def _limit_s(self, slug: str) -> float:
        return self._config.after_s_by_area.get(slug, self._config.after_s)
