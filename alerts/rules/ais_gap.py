"""A vessel under way that sent AIS steadily stops: dark, not out of coverage.

What is a gap adapts to the vessel: its longest usual interval times `usual_intervals`, between `least_gap_s` and
`most_gap_s` (12 h, what Global Fishing Watch calls a gap for satellites). A vessel that faded, so that its intervals
grew, was not steady; one that was moored, anchored, aground or slow may switch its transponder off. Neither is told.

Dark differs from no coverage by the receiver. Its silence counts only while the source that heard it hears others: a
source that was away counts from its return. If the source heard others near the vessel's last place in the later half
of the silence, it is a gap with witnesses; if only elsewhere, it may have sailed out of range, and the alert is weaker.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from alerts.findings import track_finding
from alerts.rule import Memory, RuleConfig, SettingsDisagree, SeverityWord, World
from command.domain.alert import Finding, FindingKind, Severity
from command.domain.clock import US_PER_S
from command.domain.geo import Position, distances_m
from command.domain.observation import IdentityScheme, ObservationFlag, SubjectKind, subject_of

_NOT_COUNTED: Final = int(
    ObservationFlag.ASSET | ObservationFlag.OWN_SHIP | ObservationFlag.IMPOSSIBLE_JUMP | ObservationFlag.CLOCK_OFF
)
_AT_REST: Final = frozenset({1, 5, 6})
"""At anchor, moored, aground (ITU-R M.1371-5, table 45)."""
_STEADY_RATIO: Final = 3.0
"""Usual intervals that differ by more are not steady."""


class AisGapConfig(RuleConfig):
    severity: SeverityWord = "medium"
    unwitnessed_severity: SeverityWord = "low"
    """When the source hears others, but none near the vessel's last place."""
    least_gap_s: float = Field(default=900.0, gt=0, le=604_800)
    most_gap_s: float = Field(default=43_200.0, gt=0, le=604_800)
    usual_intervals: float = Field(default=6.0, ge=2, le=1_000)
    sample_s: float = Field(default=60.0, ge=1, le=3_600)
    """A vessel's reports are looked at this far apart; shorter intervals count as this long."""
    steady_samples: int = Field(default=5, ge=2, le=50)
    under_way_mps: float = Field(default=1.5, ge=0, le=50)
    source_break_s: float = Field(default=120.0, gt=0, le=86_400)
    """A source that hears nobody for this long has a break."""
    witness_radius_m: float = Field(default=30_000.0, gt=0, le=500_000)
    close_after_s: float = Field(default=86_400.0, gt=0, le=2_592_000)
    """Silent for this long, a vessel is followed no longer."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.least_gap_s <= self.most_gap_s < self.close_after_s:
            raise SettingsDisagree("gaps")
        return self


class AisGap:
    """One alert from the last report (to `sample_s`) until the vessel is heard again.

    Memory: `source|<name>` -> `since_us`, `seen_us`: since when it hears without a break. Track id (hex) -> the last
    sample (`seen_us`, `lon`, `lat`, `speed_mps`, `under_way`, `source`, `observation`), `intervals_s` (of the latest
    samples), `subject`, and with an alert open `alert` (its severity).
    """

    name: ClassVar[str] = "ais_gap"
    Config: ClassVar[type[RuleConfig]] = AisGapConfig

    def __init__(self, config: AisGapConfig, memory: Memory) -> None:
        self._config = config
        self._memory = memory

    def evaluate(self, states: npt.NDArray[np.void], world: World) -> list[Finding]:
        rows = states[(states["subject_scheme"] == int(IdentityScheme.MMSI)) & (states["flags"] & _NOT_COUNTED == 0)]
        findings: list[Finding] = []
        columns = (rows[name].tolist() for name in ("track_id", "observed_at_us", "subject_kind"))
        for i, (track_id, t_us, kind) in enumerate(zip(*columns, strict=True)):
            track = world.tracks.get(track_id)
            source = track.source if track else ""
            if kind == SubjectKind.VESSEL:
                key = track_id.hex()
                entry = self._memory.get(key)
                if entry is None or "alert" in entry or t_us - entry["seen_us"] >= self._config.sample_s * US_PER_S:
                    findings += self._sample(key, entry, rows[i], source, world)
            self._source_heard(source, t_us)
        return findings

    def tick(self, world: World) -> list[Finding]:
        findings: list[Finding] = []
        earliest_us = world.now_us - round(self._config.least_gap_s * US_PER_S)
        troubled = {h.source for h in world.health if h.state in ("failed", "retrying")}
        for key in [k for k, entry in self._memory.items() if entry["seen_us"] <= earliest_us and "source" in entry]:
            entry = self._memory[key]
            if world.now_us - entry["seen_us"] >= self._config.close_after_s * US_PER_S:
                del self._memory[key]
                if "alert" in entry:
                    findings.append(
                        self._told(FindingKind.CLEARED, "unresolved", key, entry, world.now_us, world=world)
                    )
            elif "alert" in entry:
                if world.exemptions.covers(entry["subject"], rule=self.name, now_us=world.now_us):
                    self._memory[key] = {name: value for name, value in entry.items() if name != "alert"}
                    findings.append(self._told(FindingKind.CLEARED, "exempted", key, entry, world.now_us, world=world))
            elif entry["source"] not in troubled:
                findings += self._open(key, entry, world.now_us, world)
        return findings

    def reconsider(self, world: World) -> list[Finding]:
        findings: list[Finding] = []
        for key, entry in list(self._memory.items()):
            if "alert" not in entry:
                continue
            run = self._memory.get(f"source|{entry['source']}")
            if not self._is_long(entry, world.now_us, heard_since_us=run["since_us"] if run else entry["seen_us"]):
                self._memory[key] = {name: value for name, value in entry.items() if name != "alert"}
                findings.append(self._told(FindingKind.CLEARED, "exempted", key, entry, world.now_us, world=world))
        return findings

    def _sample(self, key: str, entry: dict[str, Any] | None, row: np.void, source: str, world: World) -> list[Finding]:
        """A report far enough from the last one, or the first after a silence that was told."""
        config = self._config
        t_us, lon, lat = int(row["observed_at_us"]), float(row["lon"]), float(row["lat"])
        if not np.isfinite(lon + lat) or (entry is not None and t_us <= entry["seen_us"]):
            return []
        findings: list[Finding] = []
        intervals_s: list[int] = []
        speed = float(row["speed_mps"])
        if entry is not None:
            if "alert" not in entry:
                # No tick came in between: a recording read fast, or intake that was away itself.
                findings += self._open(key, entry, t_us, world)
                entry = self._memory[key]
            interval_s = (t_us - entry["seen_us"]) / US_PER_S
            moved_m = float(distances_m(entry["lon"], entry["lat"], lon, lat))
            if "alert" in entry:
                params = {"returned_us": t_us, "gap_s": round(interval_s), "moved_m": round(moved_m)}
                position = Position(lon=lon, lat=lat)
                findings.append(
                    self._told(
                        FindingKind.CLEARED, "returned", key, entry, t_us, world=world, position=position, params=params
                    )
                )
            elif interval_s < config.most_gap_s:
                intervals_s = [*entry["intervals_s"], round(interval_s)][-config.steady_samples :]
            speed = speed if np.isfinite(speed) else moved_m / interval_s
        track = world.tracks.get(bytes.fromhex(key))
        at_rest = track is not None and track.attributes.get("nav_status") in _AT_REST
        self._memory[key] = {
            "seen_us": t_us,
            "lon": round(lon, 5),
            "lat": round(lat, 5),
            "speed_mps": round(speed, 1) if np.isfinite(speed) else None,
            "under_way": bool(speed >= config.under_way_mps) and not at_rest,
            "source": source,
            "observation": row["observation_id"].tobytes().hex(),
            "intervals_s": intervals_s,
            "subject": subject_of(int(row["subject_scheme"]), int(row["subject_key"])),
        }
        return findings

    def _source_heard(self, source: str, t_us: int) -> None:
        key = f"source|{source}"
        run = self._memory.get(key)
        if run is None or t_us - run["seen_us"] >= self._config.source_break_s * US_PER_S:
            self._memory[key] = {"since_us": t_us, "seen_us": t_us}
        elif t_us - run["seen_us"] >= self._config.source_break_s * US_PER_S / 4:
            self._memory[key] = run | {"seen_us": t_us}

    def _open(self, key: str, entry: dict[str, Any], t_us: int, world: World) -> list[Finding]:
        """The alert about a vessel that was last sampled as `entry` has it, if at `t_us` there is reason for one."""
        config = self._config
        intervals_s = entry["intervals_s"]
        if not entry["under_way"] or len(intervals_s) < config.steady_samples:
            return []
        if max(intervals_s) > _STEADY_RATIO * min(intervals_s):
            return []
        run = self._memory.get(f"source|{entry['source']}")
        if run is None or t_us - run["seen_us"] >= config.source_break_s * US_PER_S:
            return []
        if not self._is_long(entry, t_us, heard_since_us=run["since_us"]):
            return []
        if world.exemptions.covers(entry["subject"], rule=self.name, now_us=t_us):
            return []
        witnesses = self._witnesses(key, entry, t_us)
        severity = config.severity if witnesses else config.unwitnessed_severity
        entry = entry | {"alert": int(Severity.from_word(severity))}
        self._memory[key] = entry
        params = {
            "gap_s": round((t_us - entry["seen_us"]) / US_PER_S),
            "speed_mps": entry["speed_mps"],
            "interval_s": max(intervals_s),
            "source": entry["source"],
            "witnesses": witnesses,
        }
        variant = "" if witnesses else "unwitnessed"
        return [self._told(FindingKind.OPENED, variant, key, entry, t_us, world=world, params=params)]

    def _is_long(self, entry: dict[str, Any], t_us: int, *, heard_since_us: int) -> bool:
        """Whether the silence up to `t_us` is a gap for this vessel."""
        config = self._config
        gap_s = min(max(config.least_gap_s, config.usual_intervals * max(entry["intervals_s"])), config.most_gap_s)
        silent_since_us = max(entry["seen_us"], heard_since_us)
        return bool(t_us - silent_since_us >= (gap_s + config.sample_s) * US_PER_S)

    def _witnesses(self, key: str, entry: dict[str, Any], t_us: int) -> int:
        """How many others the same source heard near the vessel's last place in the later half of its silence."""
        half_us = (entry["seen_us"] + t_us) // 2
        others = [
            (other["lon"], other["lat"])
            for name, other in self._memory.items()
            if name != key and other["seen_us"] >= half_us and other.get("source") == entry["source"]
        ]
        if not others:
            return 0
        lon, lat = np.array(others, dtype=np.float64).T
        near = distances_m(entry["lon"], entry["lat"], lon, lat) <= self._config.witness_radius_m
        return int(np.count_nonzero(near))

    def _told(
        self,
        kind: FindingKind,
        variant: str,
        key: str,
        entry: dict[str, Any],
        at_us: int,
        *,
        world: World,
        position: Position | None = None,
        params: dict[str, Any] | None = None,
    ) -> Finding:
        return track_finding(
            kind,
            f"{self.name}.{variant}" if variant else self.name,
            severity=Severity(entry["alert"]),
            subject=entry["subject"],
            track_id=bytes.fromhex(key),
            world=world,
            start_us=entry["seen_us"],
            at_us=at_us,
            position=position or Position(lon=entry["lon"], lat=entry["lat"]),
            evidence=(bytes.fromhex(entry["observation"]),),
            params={"last_seen_us": entry["seen_us"], **(params or {})},
        )
