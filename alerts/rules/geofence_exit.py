"""A contact that was inside a geofence leaves it."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from alerts.fence_rule import Ending, FenceRule
from alerts.fences import Entry, FenceConfig, Reading, Step
from alerts.rule import Memory, RuleConfig, SeverityWord, World
from command.domain.alert import Finding, FindingKind
from command.domain.clock import US_PER_S
from command.domain.geo import Position


class GeofenceExitConfig(FenceConfig):
    severity: SeverityWord = "low"
    leave_confirm_s: float = Field(default=30.0, ge=0, le=3_600)
    """Two reports well outside, this far apart, are an exit: one alone may be an error of the receiver."""


class GeofenceExit(FenceRule):
    """One alert from leaving until it has been back inside, or stayed outside, for `rearm_s`."""

    name: ClassVar[str] = "geofence_exit"
    Config: ClassVar[type[RuleConfig]] = GeofenceExitConfig

    def __init__(self, config: GeofenceExitConfig, memory: Memory) -> None:
        super().__init__(config, memory)
        self._config = config

    def speak(self, step: Step, entry: Entry, reading: Reading, world: World) -> tuple[list[Finding], Entry]:
        now_us = reading.observed_at_us
        if "alert" in entry:
            back = entry["phase"] == "inside" and now_us - entry["at_us"] >= self._config.rearm_s * US_PER_S
            if not back:
                return [], entry
            params = {"returned_us": entry["at_us"]}
            said = self.say(FindingKind.CLEARED, ".returned", entry, reading, world=world, params=params)
            return [said], {name: value for name, value in entry.items() if name != "alert"}
        confirmed = (
            entry["phase"] == "left"
            and step is Step.NONE
            and reading.edge_distance_m >= reading.outer_m
            and now_us - entry["at_us"] >= self._config.leave_confirm_s * US_PER_S
        )
        if not confirmed:
            return [], entry
        entry = self._opened(entry, reading.area.slug)
        variant = ".dark" if reading.dark else ""
        params = {"left_us": entry["at_us"]}
        return [self.say(FindingKind.OPENED, variant, entry, reading, world=world, params=params)], entry

    def end(self, key: str, ending: Ending, at_us: int, world: World) -> list[Finding]:
        """As for every fence; what left and was not heard again in time to confirm it has left all the same."""
        entry = self._memory[key]
        if ending is not Ending.LEFT or entry["phase"] != "left" or "alert" in entry:
            return super().end(key, ending, at_us, world)
        entry = self._opened(entry, key.split("|", 1)[1])
        left = entry["left"]
        opened = self.finding(
            FindingKind.OPENED,
            ".dark" if entry["dark"] else "",
            entry,
            key,
            world=world,
            at_us=entry["at_us"],
            position=Position(lon=left["lon"], lat=left["lat"]),
            evidence=(bytes.fromhex(left["observation"]),),
            params={"left_us": entry["at_us"]},
        )
        self._memory[key] = entry
        return [opened, *super().end(key, ending, at_us, world)]

    def _opened(self, entry: Entry, slug: str) -> Entry:
        severity = self.severity_of(slug, dark=entry["dark"])
        return entry | {"alert": {"severity": int(severity), "start_us": entry["at_us"]}}
