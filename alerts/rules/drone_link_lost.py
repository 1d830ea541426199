"""The link to one of our drones is lost: nothing has come from it for longer than its telemetry ever pauses."""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field

from alerts.findings import place_in, place_of, position_of, track_finding
from alerts.rule import Memory, RuleConfig, SeverityWord, World
from command.domain.alert import Finding, FindingKind
from command.domain.clock import US_PER_S
from command.domain.observation import ObservationFlag, SubjectKind, subject_of

_ASSET: Final = int(ObservationFlag.ASSET)
_SEEN_EVERY_US: Final = US_PER_S
_DRONES: Final = (SubjectKind.AIR_DRONE, SubjectKind.UNDERWATER_DRONE, SubjectKind.SURFACE_DRONE)


class DroneLinkLostConfig(RuleConfig):
    severity: SeverityWord = "high"
    lost_after_s: float = Field(default=10.0, ge=1, le=3_600)
    restored_after_s: float = Field(default=10.0, ge=0, le=3_600)
    """Heard again for this long without another loss, the episode is over: a link that flaps is one alert."""
    unreported_s: float = Field(default=60.0, ge=0, le=86_400)
    """What the gateway has not reported on yet may be on its way: a silence is the drone's own as far as the reports
    reach. A gateway that has not reported for this long is no excuse any more."""
    forget_after_s: float = Field(default=21_600.0, gt=0, le=604_800)
    """A silence that is already this long when it is first looked at says nothing new; an open one is closed."""


class DroneLinkLost:
    """One alert from the last report before the silence until the link has held for `restored_after_s`.

    A drone whose last report said that it was disarmed was switched off, not lost. A broker or a database that was
    away is no lost link: the telemetry of that time comes behind it, and the gateway's reports behind the telemetry.

    Memory: track id (hex) -> `subject`, `seen_us` (its last report, to a second, so that telemetry at 50 Hz does not
    write 50 entries a second) and its `place`; with an alert open also `start_us` and `back_us` (heard again since;
    None: silent).
    """

    name: ClassVar[str] = "drone_link_lost"
    Config: ClassVar[type[RuleConfig]] = DroneLinkLostConfig

    def __init__(self, config: DroneLinkLostConfig, memory: Memory) -> None:
        self._config = config
        self._memory = memory

    def evaluate(self, states: npt.NDArray[np.void], world: World) -> list[Finding]:
        chosen = (states["flags"] & _ASSET != 0) & np.isin(states["subject_kind"], [int(kind) for kind in _DRONES])
        findings: list[Finding] = []
        for row in states[chosen]:
            findings += self._heard(row, world)
        return findings

    def tick(self, world: World) -> list[Finding]:
        findings: list[Finding] = []
        for key in list(self._memory):
            entry = self._memory[key]
            silence_us = self._told_until_us(key, world) - entry["seen_us"]
            if world.now_us - entry["seen_us"] >= self._config.forget_after_s * US_PER_S:
                del self._memory[key]
                if "start_us" in entry:
                    findings.append(self._told(FindingKind.CLEARED, ".ended", key, entry, world=world))
            elif not self._is_lost(silence_us):
                continue
            elif "start_us" in entry:
                if entry["back_us"] is not None:
                    self._memory[key] = entry | {"back_us": None}
            elif _is_on(key, world):
                findings.append(self._open(key, entry, world))
        return findings

    def reconsider(self, world: World) -> list[Finding]:
        findings: list[Finding] = []
        for key, entry in list(self._memory.items()):
            if "start_us" not in entry:
                continue
            until_us = self._told_until_us(key, world) if entry["back_us"] is None else entry["back_us"]
            if not self._is_lost(until_us - entry["start_us"]):
                findings.append(self._told(FindingKind.CLEARED, ".ended", key, entry, world=world))
                self._memory[key] = {name: entry[name] for name in ("subject", "seen_us", "place")}
        return findings

    def _told_until_us(self, key: str, world: World) -> int:
        """Up to when the drone's silence is known to be one."""
        track = world.tracks.get(bytes.fromhex(key))
        source = None if track is None else track.source
        reports = [health.reported_at_us for health in world.health if health.source == source]
        if not reports:
            return world.now_us
        return min(world.now_us, max(*reports, world.now_us - round(self._config.unreported_s * US_PER_S)))

    def _is_lost(self, silence_us: int) -> bool:
        return silence_us >= self._config.lost_after_s * US_PER_S + _SEEN_EVERY_US

    def _open(self, key: str, entry: dict[str, Any], world: World) -> Finding:
        self._memory[key] = entry | {"start_us": entry["seen_us"], "back_us": None}
        return self._told(FindingKind.OPENED, "", key, self._memory[key], world=world)

    def _heard(self, row: np.void, world: World) -> list[Finding]:
        key, t_us = row["track_id"].tobytes().hex(), int(row["observed_at_us"])
        entry = self._memory.get(key)
        if entry is None:
            subject = subject_of(int(row["subject_scheme"]), int(row["subject_key"]))
            self._memory[key] = {"subject": subject, "seen_us": t_us, "place": place_of(row)}
            return []
        silence_us = t_us - entry["seen_us"]
        if silence_us < _SEEN_EVERY_US:
            return []
        findings: list[Finding] = []
        if self._is_lost(silence_us):
            if "start_us" in entry:
                entry = entry | {"back_us": None}
            elif silence_us < self._config.forget_after_s * US_PER_S and _is_on(key, world):
                # No tick came in between: a recording read fast, or intake that was away itself.
                findings.append(self._open(key, entry, world))
                entry = self._memory[key]
        entry = entry | {"seen_us": t_us, "place": place_of(row) or entry["place"]}
        if "start_us" in entry:
            entry["back_us"] = entry["back_us"] or t_us
            if t_us - entry["back_us"] >= self._config.restored_after_s * US_PER_S:
                findings.append(self._restored(entry, row, world))
                entry = {name: entry[name] for name in ("subject", "seen_us", "place")}
        self._memory[key] = entry
        return findings

    def _restored(self, entry: dict[str, Any], row: np.void, world: World) -> Finding:
        return track_finding(
            FindingKind.CLEARED,
            f"{self.name}.restored",
            severity=self._config.level,
            subject=entry["subject"],
            track_id=row["track_id"].tobytes(),
            world=world,
            start_us=entry["start_us"],
            at_us=int(row["observed_at_us"]),
            position=position_of(row),
            evidence=(row["observation_id"].tobytes(),),
            params={
                "restored_us": entry["back_us"],
                "silence_s": round((entry["back_us"] - entry["start_us"]) / US_PER_S),
            },
        )

    def _told(self, kind: FindingKind, variant: str, key: str, entry: dict[str, Any], *, world: World) -> Finding:
        """What the clock says: at the moment at which it could first be said, however late the tick came."""
        config = self._config
        after_s = config.lost_after_s if kind is FindingKind.OPENED else config.forget_after_s
        return track_finding(
            kind,
            f"{self.name}{variant}",
            severity=config.level,
            subject=entry["subject"],
            track_id=bytes.fromhex(key),
            world=world,
            start_us=entry["start_us"],
            at_us=entry["seen_us"] + round(after_s * US_PER_S),
            position=place_in(entry),
            params={"last_seen_us": entry["seen_us"], "silence_s": round(after_s)},
        )


def _is_on(key: str, world: World) -> bool:
    """A drone whose last word was that it is disarmed was switched off, not lost."""
    track = world.tracks.get(bytes.fromhex(key))
    return track is not None and track.attributes.get("armed") is not False
