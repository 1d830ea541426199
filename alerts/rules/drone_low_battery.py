"""One of our drones runs low on battery."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from alerts.findings import position_of, track_finding
from alerts.rule import Memory, RuleConfig, SettingsDisagree, SeverityWord, World
from command.domain.alert import Finding, FindingKind, Severity
from command.domain.clock import US_PER_S
from command.domain.observation import ObservationFlag, subject_of

_ASSET: Final = int(ObservationFlag.ASSET)


class DroneLowBatteryConfig(RuleConfig):
    severity: SeverityWord = "medium"
    critical_severity: SeverityWord = "high"
    warning_percent: float = Field(default=30.0, gt=0, lt=100)
    critical_percent: float = Field(default=15.0, ge=0, lt=100)
    recovered_above_percent: float = Field(default=5.0, gt=0, le=50)
    """Above the warning by this much, the episode is over: the battery was changed or charged."""
    confirm_s: float = Field(default=5.0, ge=0, le=600)
    """At or below a threshold for this long: shorter may be a sag under load."""
    forget_after_s: float = Field(default=3_600.0, gt=0, le=604_800)
    """Not heard for this long, the episode is over: it was switched off."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.critical_percent >= self.warning_percent:
            raise SettingsDisagree("battery")
        return self


class DroneLowBattery:
    """One alert a discharge: warning, then critical as a revision; it never steps down before the battery recovered.

    Memory: track id (hex) -> `start_us`, `low_us` and `very_low_us` (at or below each threshold since; None: above),
    `level` (0 nothing told, 1 warning, 2 critical), `subject`.
    """

    name: ClassVar[str] = "drone_low_battery"
    Config: ClassVar[type[RuleConfig]] = DroneLowBatteryConfig

    def __init__(self, config: DroneLowBatteryConfig, memory: Memory) -> None:
        self._config = config
        self._memory = memory

    def evaluate(self, states: npt.NDArray[np.void], world: World) -> list[Finding]:
        chosen = (states["flags"] & _ASSET != 0) & np.isfinite(states["battery_percent"])
        findings: list[Finding] = []
        for row in states[chosen]:
            findings += self._report(row, world)
        return findings

    def tick(self, world: World) -> list[Finding]:
        findings: list[Finding] = []
        for key in list(self._memory):
            track_id = bytes.fromhex(key)
            track = world.tracks.get(track_id)
            seen_us = track.observed_at_us if track else self._memory[key]["start_us"]
            if world.now_us - seen_us < self._config.forget_after_s * US_PER_S:
                continue
            entry = self._memory.pop(key)
            if not entry["level"]:
                continue
            said = track_finding(
                FindingKind.CLEARED,
                f"{self.name}.ended",
                severity=self._severity(entry),
                subject=entry["subject"],
                track_id=track_id,
                world=world,
                start_us=entry["start_us"],
                at_us=seen_us + round(self._config.forget_after_s * US_PER_S),
                position=track.position if track else None,
                params={"last_seen_us": seen_us},
            )
            findings.append(said)
        return findings

    def reconsider(self, world: World) -> list[Finding]:
        findings: list[Finding] = []
        for key, entry in list(self._memory.items()):
            track_id = bytes.fromhex(key)
            track = world.tracks.get(track_id)
            battery = None if track is None else track.battery_percent
            if track is None or battery is None or battery <= self._config.warning_percent:
                continue
            del self._memory[key]
            if not entry["level"]:
                continue
            said = track_finding(
                FindingKind.CLEARED,
                f"{self.name}.recovered",
                severity=self._severity(entry),
                subject=entry["subject"],
                track_id=track_id,
                world=world,
                start_us=entry["start_us"],
                at_us=world.now_us,
                position=track.position,
                params={"battery_percent": round(battery)},
            )
            findings.append(said)
        return findings

    def _report(self, row: np.void, world: World) -> list[Finding]:
        config = self._config
        key, t_us = row["track_id"].tobytes().hex(), int(row["observed_at_us"])
        battery = float(row["battery_percent"])
        known = self._memory.get(key)
        if known is None and battery > config.warning_percent:
            return []
        before = known or {
            "start_us": t_us,
            "low_us": None,
            "very_low_us": None,
            "level": 0,
            "subject": subject_of(int(row["subject_scheme"]), int(row["subject_key"])),
        }
        if t_us < before["start_us"]:
            return []
        over = config.warning_percent + (config.recovered_above_percent if before["level"] else 0.0)
        if battery > over:
            del self._memory[key]
            return [self._told(FindingKind.CLEARED, "recovered", before, row, world=world)] if before["level"] else []
        entry = before | {
            "low_us": _since(before["low_us"], t_us, is_low=battery <= config.warning_percent),
            "very_low_us": _since(before["very_low_us"], t_us, is_low=battery <= config.critical_percent),
        }
        level = 2 if self._holds(entry["very_low_us"], t_us) else 1 if self._holds(entry["low_us"], t_us) else 0
        findings: list[Finding] = []
        if level > entry["level"]:
            kind = FindingKind.REVISED if entry["level"] else FindingKind.OPENED
            entry["level"] = level
            findings = [self._told(kind, "critical" if level == 2 else "warning", entry, row, world=world)]
        if entry != known:
            self._memory[key] = entry
        return findings

    def _holds(self, since_us: int | None, t_us: int) -> bool:
        return since_us is not None and t_us - since_us >= self._config.confirm_s * US_PER_S

    def _severity(self, entry: dict[str, Any]) -> Severity:
        return Severity.from_word(self._config.critical_severity) if entry["level"] == 2 else self._config.level

    def _told(self, kind: FindingKind, variant: str, entry: dict[str, Any], row: np.void, *, world: World) -> Finding:
        config = self._config
        return track_finding(
            kind,
            f"{self.name}.{variant}",
            severity=self._severity(entry),
            subject=entry["subject"],
            track_id=row["track_id"].tobytes(),
            world=world,
            start_us=entry["start_us"],
            at_us=int(row["observed_at_us"]),
            position=position_of(row),
            evidence=(row["observation_id"].tobytes(),),
            params={
                "battery_percent": round(float(row["battery_percent"])),
                "limit_percent": config.critical_percent if entry["level"] == 2 else config.warning_percent,
                "since_us": entry["start_us"],
            },
        )


def _since(before_us: int | None, t_us: int, *, is_low: bool) -> int | None:
    if not is_low:
        return None
    return t_us if before_us is None else before_us
