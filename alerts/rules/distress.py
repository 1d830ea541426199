"""Someone is in distress: AIS-SART, MOB or EPIRB-AIS, navigational status 14, a distress text, or a device's call.

Every such report counts, without a position too, from own assets too: this is about people, not about contacts. Only an
allow-list entry that names this rule keeps it quiet (a beacon known to be faulty).
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field

from alerts.findings import place_in, place_of, position_of, track_finding
from alerts.rule import Memory, RuleConfig, SeverityWord, World
from command.domain.alert import Finding, FindingKind, Severity
from command.domain.clock import US_PER_S
from command.domain.observation import IdentityScheme, ObservationFlag, subject_of
from command.domain.track import Track

_DISTRESS: Final = int(ObservationFlag.DISTRESS)
_TEST: Final = int(ObservationFlag.DISTRESS_TEST)
_BEACONS: Final = {970: "sart", 972: "mob", 974: "epirb"}
"""Freeform number identities (ITU-R M.585, annex 2, section 2)."""
_NAV_STATUS_DISTRESS: Final = 14
"""AIS-SART is active (ITU-R M.1371-5, table 45)."""
_CALLED_EVERY_US: Final = 60 * US_PER_S


class DistressConfig(RuleConfig):
    severity: SeverityWord = "critical"
    test_severity: SeverityWord = "low"
    refresh_s: float = Field(default=300.0, gt=0)
    """A new position is told at most this often."""
    ended_after_s: float = Field(default=600.0, gt=0)
    """Reporting a normal status for this long ends it."""
    silent_after_s: float = Field(default=3_600.0, gt=0)
    """Not heard for this long ends the episode; the text says that nobody knows why."""


class Distress:
    """One alert from the first call until it has ended or nobody hears it any more.

    Memory: track id (hex) -> `start_us`, `told_us`, `called_us` and `place` (of the last call, to a minute), `test`,
    `located`, `cause`, `subject`, `normal_since_us`.
    """

    name: ClassVar[str] = "distress"
    Config: ClassVar[type[RuleConfig]] = DistressConfig

    def __init__(self, config: DistressConfig, memory: Memory) -> None:
        self._config = config
        self._memory = memory

    def evaluate(self, states: npt.NDArray[np.void], world: World) -> list[Finding]:
        chosen = states["flags"] & (_DISTRESS | _TEST) != 0
        if self._memory or chosen.any():
            called = {bytes.fromhex(key) for key in self._memory} | set(states["track_id"][chosen].tolist())
            chosen = np.fromiter(
                (track in called for track in states["track_id"].tolist()), dtype=bool, count=len(states)
            )
        findings: list[Finding] = []
        for row in states[chosen]:
            if int(row["flags"]) & (_DISTRESS | _TEST):
                findings += self._call(row, world)
            else:
                findings += self._normal(row, world)
        return findings

    def tick(self, world: World) -> list[Finding]:
        findings: list[Finding] = []
        for key in list(self._memory):
            entry = self._memory[key]
            track = world.tracks.get(bytes.fromhex(key))
            # A ship that sent a distress text goes on reporting its position: only another text keeps it alive.
            last_seen_us = max(entry["called_us"], track.observed_at_us if track and entry["cause"] != "text" else 0)
            if world.now_us - last_seen_us < self._config.silent_after_s * US_PER_S:
                continue
            del self._memory[key]
            findings.append(self._silent(entry, key, last_seen_us, world))
        return findings

    def reconsider(self, world: World) -> list[Finding]:
        """No setting says what a call for help is."""
        return []

    def _call(self, row: np.void, world: World) -> list[Finding]:
        """One report that calls for help, or tests."""
        key = row["track_id"].tobytes().hex()
        t_us, is_test = int(row["observed_at_us"]), bool(int(row["flags"]) & _TEST)
        subject = subject_of(int(row["subject_scheme"]), int(row["subject_key"]))
        if world.exemptions.covers(subject, rule=self.name, now_us=t_us):
            return []
        located = bool(np.isfinite(row["lon"]) and np.isfinite(row["lat"]))
        entry = self._memory.get(key)
        if entry is None:
            return [self._open(key, subject, row, world, located=located, is_test=is_test)]
        if t_us < entry["start_us"]:
            return []
        if t_us - entry["called_us"] >= self._config.silent_after_s * US_PER_S + _CALLED_EVERY_US:
            # No tick came in between: a recording read fast, or intake that was away itself.
            ended = self._silent(entry, key, entry["called_us"], world)
            return [ended, self._open(key, subject, row, world, located=located, is_test=is_test)]
        calling = {name: value for name, value in entry.items() if name != "normal_since_us"}
        if t_us - entry["called_us"] >= _CALLED_EVERY_US:
            calling |= {"called_us": t_us, "place": place_of(row) or entry["place"]}
        due = located and (not entry["located"] or t_us - entry["told_us"] >= self._config.refresh_s * US_PER_S)
        findings: list[Finding] = []
        if entry["test"] and not is_test:
            cause = _cause(row, world.tracks.get(row["track_id"].tobytes()))
            calling |= {"test": False, "told_us": t_us, "located": located or entry["located"], "cause": cause}
            findings = [self._told(FindingKind.REVISED, "escalated", calling, row, world=world)]
        elif due:
            calling |= {"told_us": t_us, "located": True}
            findings = [self._told(FindingKind.REVISED, "position", calling, row, world=world)]
        if calling != entry:
            self._memory[key] = calling
        return findings

    def _open(self, key: str, subject: str, row: np.void, world: World, *, located: bool, is_test: bool) -> Finding:
        t_us = int(row["observed_at_us"])
        cause = "test" if is_test else _cause(row, world.tracks.get(row["track_id"].tobytes()))
        self._memory[key] = {
            "start_us": t_us,
            "told_us": t_us,
            "called_us": t_us,
            "place": place_of(row),
            "test": is_test,
            "located": located,
            "cause": cause,
            "subject": subject,
        }
        return self._told(FindingKind.OPENED, cause, self._memory[key], row, world=world)

    def _silent(self, entry: dict[str, Any], key: str, last_seen_us: int, world: World) -> Finding:
        return track_finding(
            FindingKind.CLEARED,
            f"{self.name}.silent",
            severity=self._severity(entry),
            subject=entry["subject"],
            track_id=bytes.fromhex(key),
            world=world,
            start_us=entry["start_us"],
            at_us=last_seen_us + round(self._config.silent_after_s * US_PER_S),
            position=place_in(entry),
            params={"last_seen_us": last_seen_us},
        )

    def _normal(self, row: np.void, world: World) -> list[Finding]:
        """A report without distress from a track that called."""
        key = row["track_id"].tobytes().hex()
        entry, t_us = self._memory.get(key), int(row["observed_at_us"])
        if entry is None or entry["cause"] == "text" or t_us < entry["start_us"]:
            return []
        since_us = entry.get("normal_since_us")
        if since_us is None:
            self._memory[key] = entry | {"normal_since_us": t_us}
            return []
        if t_us - since_us < self._config.ended_after_s * US_PER_S:
            return []
        del self._memory[key]
        return [self._told(FindingKind.CLEARED, "ended", entry, row, world=world, ended_us=since_us)]

    def _told(
        self, kind: FindingKind, variant: str, entry: dict[str, Any], row: np.void, *, world: World, **params: Any
    ) -> Finding:
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
            params={"since_us": entry["start_us"], **params},
        )

    def _severity(self, entry: dict[str, Any]) -> Severity:
        return Severity.from_word(self._config.test_severity) if entry["test"] else self._config.level


def _cause(row: np.void, track: Track | None) -> str:
    if int(row["subject_scheme"]) == IdentityScheme.MMSI:
        beacon = _BEACONS.get(int(row["subject_key"]) // 1_000_000)
        if beacon is not None:
            return beacon
    facts = track.attributes if track else {}
    if facts.get("nav_status") == _NAV_STATUS_DISTRESS:
        return "nav_status"
    return "call" if facts.get("emergency") else "text"
