"""A contact enters a geofence, or is first seen inside one."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from alerts.fence_rule import FenceRule
from alerts.fences import Entry, FenceConfig, Reading, Step
from alerts.rule import Memory, RuleConfig, SeverityWord, World
from command.domain.alert import Finding, FindingKind
from command.domain.clock import US_PER_S


class GeofenceEntryConfig(FenceConfig):
    severity: SeverityWord = "medium"
    dark_severity: SeverityWord | None = "high"
    refresh_s: float | None = Field(default=3_600.0, gt=0)
    """While it stays inside, tell its position anew this often; None: never."""


class GeofenceEntry(FenceRule):
    """One alert from entering until it has been outside for `rearm_s`."""

    name: ClassVar[str] = "geofence_entry"
    Config: ClassVar[type[RuleConfig]] = GeofenceEntryConfig

    def __init__(self, config: GeofenceEntryConfig, memory: Memory) -> None:
        super().__init__(config, memory)
        self._refresh_s = config.refresh_s

    def speak(self, step: Step, entry: Entry, reading: Reading, world: World) -> tuple[list[Finding], Entry]:
        if step is Step.ENTERED:
            alert = {
                "severity": int(self.severity_of(reading.area.slug, dark=reading.dark)),
                "start_us": entry["since_us"],
            }
            entry = entry | {"alert": alert, "told_us": reading.observed_at_us}
            kind, variant = FindingKind.OPENED, ".dark" if reading.dark else ""
        elif self._is_due(entry, reading):
            entry = entry | {"told_us": reading.observed_at_us}
            kind, variant = FindingKind.REVISED, ".still_inside"
        else:
            return [], entry
        stay_s = round((reading.observed_at_us - entry["since_us"]) / US_PER_S)
        params = {"since_us": entry["since_us"], "stay_s": stay_s}
        return [self.say(kind, variant, entry, reading, world=world, params=params)], entry

    def _is_due(self, entry: Entry, reading: Reading) -> bool:
        if self._refresh_s is None or entry["phase"] != "inside":
            return False
        return bool(reading.observed_at_us - entry["told_us"] >= self._refresh_s * US_PER_S)
