"""A rule over several conditions, made by people without code: a dark contact AND near the coast AND at night.

There are as many as people make, each called `conditions_<name>`, with versions, a schedule and a severity of its own.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
from pydantic import Field

from alerts.conditions import Group, judge_all
from alerts.fence_rule import NOT_A_CONTACT, NOT_BELIEVED
from alerts.findings import place_in, place_of, position_of, track_finding
from alerts.rule import Memory, RuleConfig, SeverityWord, World
from command.domain.alert import Finding, FindingKind
from command.domain.clock import US_PER_S
from command.domain.observation import SCHEME_PREFIX, IdentityScheme, subject_of
from command.domain.track import TRACK_STATE_DTYPE, Track

_SCHEMES: Final = {prefix: scheme for scheme, prefix in SCHEME_PREFIX.items()}
Name = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^\x00-\x1f\x7f]+$")]


class ConditionsConfig(RuleConfig):
    severity: SeverityWord = "medium"
    name_ja: Name
    name_en: Name
    when: Annotated[tuple[Group, ...], Field(min_length=1, max_length=10)]
    """All of these groups must hold."""
    hold_s: float = Field(default=60.0, ge=0, le=86_400)
    """All of it for this long, before people are told."""
    release_s: float = Field(default=300.0, ge=0, le=86_400)
    """Not all of it for this long ends the episode."""
    forget_after_s: float = Field(default=3_600.0, gt=0, le=604_800)
    """Not heard for this long ends the episode."""


class Conditions:
    """One alert from the first report of which all holds until it has not held for `release_s`.

    What has begun to hold goes on holding within each condition's slack. Own assets and reports that are not believed
    are left out.

    Memory: track id (hex) -> `start_us`, `first` (the observation), `subject`, `told`; with an alert open `fails_us`
    (not all of it since; None: it holds) and `place`, of the last report that changed anything.
    """

    name: ClassVar[str] = "conditions"
    Config: ClassVar[type[RuleConfig]] = ConditionsConfig

    def __init__(self, config: ConditionsConfig, memory: Memory) -> None:
        self._config = config
        self._memory = memory

    def evaluate(self, states: npt.NDArray[np.void], world: World) -> list[Finding]:
        rows = states[(states["flags"] & (NOT_A_CONTACT | NOT_BELIEVED)) == 0]
        if not len(rows):
            return []
        tight = judge_all(self._config.when, rows, world, loose=False)
        if not tight.any() and not self._memory:
            return []
        followed = {bytes.fromhex(key) for key in self._memory} | set(rows["track_id"][tight].tolist())
        chosen = np.fromiter((each in followed for each in rows["track_id"].tolist()), dtype=bool, count=len(rows))
        rows, tight = rows[chosen], tight[chosen]
        loose = tight | judge_all(self._config.when, rows, world, loose=True)
        findings: list[Finding] = []
        for i in range(len(rows)):
            findings += self._report(rows[i : i + 1], world, tight=bool(tight[i]), loose=bool(loose[i]))
        return findings

    def tick(self, world: World) -> list[Finding]:
        findings: list[Finding] = []
        for key, entry in list(self._memory.items()):
            track = world.tracks.get(bytes.fromhex(key))
            seen_us = entry["start_us"] if track is None else track.observed_at_us
            if world.now_us - seen_us >= self._config.forget_after_s * US_PER_S:
                params = {"last_seen_us": seen_us}
                findings += self._end(key, entry, ".lost", world.now_us, world, params=params)
            elif entry["told"] and world.exemptions.covers(entry["subject"], rule=self.name, now_us=world.now_us):
                findings += self._end(key, entry, ".exempted", world.now_us, world)
        return findings

    def reconsider(self, world: World) -> list[Finding]:
        findings: list[Finding] = []
        for key, entry in list(self._memory.items()):
            track = world.tracks.get(bytes.fromhex(key))
            if track is None or not judge_all(self._config.when, _row(track), world, loose=True)[0]:
                findings += self._end(key, entry, ".over", world.now_us, world)
        return findings

    def _report(self, row: npt.NDArray[np.void], world: World, *, tight: bool, loose: bool) -> list[Finding]:
        key, t_us = row["track_id"][0].tobytes().hex(), int(row["observed_at_us"][0])
        entry = self._memory.get(key)
        if entry is None:
            subject = subject_of(int(row["subject_scheme"][0]), int(row["subject_key"][0]))
            if not tight or world.exemptions.covers(subject, rule=self.name, now_us=t_us):
                return []
            first = row["observation_id"][0].tobytes().hex()
            entry = {"start_us": t_us, "first": first, "subject": subject, "told": False}
            self._memory[key] = entry
        if t_us < entry["start_us"]:
            return []
        return (self._follow if entry["told"] else self._await)(key, entry, row, world, loose=loose)

    def _await(
        self, key: str, entry: dict[str, Any], row: npt.NDArray[np.void], world: World, *, loose: bool
    ) -> list[Finding]:
        """A report of a contact of which all has begun to hold."""
        if not loose:
            del self._memory[key]
            return []
        if int(row["observed_at_us"][0]) - entry["start_us"] < self._config.hold_s * US_PER_S:
            return []
        entry = entry | {"told": True, "fails_us": None, "place": place_of(row[0])}
        self._memory[key] = entry
        return [self._opened(entry, row, world)]

    def _follow(
        self, key: str, entry: dict[str, Any], row: npt.NDArray[np.void], world: World, *, loose: bool
    ) -> list[Finding]:
        """A report of a contact with an alert open."""
        t_us, fails_us = int(row["observed_at_us"][0]), entry["fails_us"]
        if loose != (fails_us is None):
            fails_us = None if loose else t_us
            entry = entry | {"fails_us": fails_us, "place": place_of(row[0])}
            self._memory[key] = entry
        if fails_us is None or t_us - fails_us < self._config.release_s * US_PER_S:
            return []
        return self._end(key, entry, ".over", t_us, world, params={"until_us": fails_us})

    def _opened(self, entry: dict[str, Any], row: npt.NDArray[np.void], world: World) -> Finding:
        held = [told for group in self._config.when for told in group.explain(row, world)]
        evidence = (bytes.fromhex(entry["first"]), row["observation_id"][0].tobytes())
        return self._said(
            FindingKind.OPENED,
            "",
            row["track_id"][0].tobytes(),
            entry,
            int(row["observed_at_us"][0]),
            world,
            position=position_of(row[0]),
            evidence=tuple(dict.fromkeys(evidence)),
            params={"since_us": entry["start_us"], "held_list": held},
        )

    def _end(
        self,
        key: str,
        entry: dict[str, Any],
        variant: str,
        at_us: int,
        world: World,
        *,
        params: dict[str, Any] | None = None,
    ) -> list[Finding]:
        del self._memory[key]
        if not entry["told"]:
            return []
        track_id = bytes.fromhex(key)
        return [
            self._said(
                FindingKind.CLEARED,
                variant,
                track_id,
                entry,
                at_us,
                world,
                position=place_in(entry),
                params={"until_us": at_us, **(params or {})},
            )
        ]

    def _said(
        self,
        kind: FindingKind,
        variant: str,
        track_id: bytes,
        entry: dict[str, Any],
        at_us: int,
        world: World,
        **said: Any,
    ) -> Finding:
        names = {"ja": self._config.name_ja, "en": self._config.name_en}
        params = {"name": names, **said.pop("params")}
        return track_finding(
            kind,
            f"conditions{variant}",
            rule=self.name,
            severity=self._config.level,
            subject=entry["subject"],
            track_id=track_id,
            world=world,
            start_us=entry["start_us"],
            at_us=at_us,
            params=params,
            **said,
        )


def _row(track: Track) -> npt.NDArray[np.void]:
    """(1,) TRACK_STATE_DTYPE of a track as it is now, as far as conditions look at it."""
    row = np.zeros(1, dtype=TRACK_STATE_DTYPE)
    prefix, _, key = track.subject.partition(":")
    scheme = _SCHEMES.get(prefix, IdentityScheme.NONE)
    row["track_id"] = np.void(track.track_id.bytes)
    row["observed_at_us"], row["subject_kind"], row["flags"] = track.observed_at_us, int(track.kind), track.flags
    row["subject_scheme"] = int(scheme)
    row["subject_key"] = int(key, 10 if scheme is IdentityScheme.MMSI else 16) if key else 0
    row["lon"], row["lat"] = (np.nan, np.nan) if track.position is None else (track.position.lon, track.position.lat)
    for name in ("speed_mps", "course_deg"):
        value = getattr(track, name)
        row[name] = np.nan if value is None else value
    return row
