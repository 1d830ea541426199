"""What every rule about crossing a fence does alike: walk the states and the clock, and end its episodes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from alerts.fences import Entry, FenceConfig, Reading, Step, advance, rearmed
from alerts.findings import track_finding
from alerts.rule import Memory, World
from command.domain.alert import Finding, FindingKind, Severity
from command.domain.area import AreaKind
from command.domain.clock import US_PER_S
from command.domain.geo import Position
from command.domain.observation import IdentityScheme, ObservationFlag, SubjectKind, subject_of
from maps.areas import AreaIndex

NOT_A_CONTACT: Final = int(ObservationFlag.ASSET | ObservationFlag.OWN_SHIP)
NOT_BELIEVED: Final = int(ObservationFlag.NO_FIX | ObservationFlag.IMPOSSIBLE_JUMP | ObservationFlag.CLOCK_OFF)


class Ending(Enum):
    """Why an episode ended. The value is the variant of the text."""

    LEFT = "left"
    LOST = "lost"
    EXEMPTED = "exempted"
    WITHDRAWN = "withdrawn"


class FenceRule(ABC):
    """A rule about crossing a fence: it says what a step means, in `speak`.

    Memory: `<track id>|<slug>` -> Entry.
    """

    name: ClassVar[str]

    def __init__(self, config: FenceConfig, memory: Memory) -> None:
        self._fence = config
        self._memory = memory
        self._kinds = np.array([SubjectKind[word.upper()] for word in config.kinds], dtype=np.uint8)
        self._watched_of: tuple[AreaIndex, npt.NDArray[np.bool_]] | None = None
        self._slugs_of: defaultdict[bytes, set[str]] = defaultdict(set)
        for key in memory:
            track_id, slug = _parts(key)
            self._slugs_of[track_id].add(slug)

    @abstractmethod
    def speak(self, step: Step, entry: Entry, reading: Reading, world: World) -> tuple[list[Finding], Entry]:
        """What to say after a report of a track that is near, inside or has left, and the entry to remember."""

    def evaluate(self, states: npt.NDArray[np.void], world: World) -> list[Finding]:
        findings: list[Finding] = []
        for reading in self._readings(states, world):
            entry = self._memory.get(reading.key)
            if world.exemptions.covers(reading.subject, rule=self.name, now_us=reading.observed_at_us):
                if entry is not None:
                    findings += self.end(reading.key, Ending.EXEMPTED, reading.observed_at_us, world)
                continue
            step, after = advance(entry, reading, self._fence)
            if after is None:
                if entry is not None:
                    findings += self.end(reading.key, Ending.LEFT, reading.observed_at_us, world)
                continue
            said, after = self.speak(step, after, reading, world)
            findings += said
            if after != entry:
                self._memory[reading.key] = after
                self._slugs_of[reading.track_id].add(reading.area.slug)
        return findings

    def tick(self, world: World) -> list[Finding]:
        findings: list[Finding] = []
        watched = {area.slug for area, yes in zip(world.areas.areas, self._watched(world.areas), strict=True) if yes}
        for key in list(self._memory):
            entry = self._memory[key]
            track_id, slug = _parts(key)
            track = world.tracks.get(track_id)
            if slug not in watched:
                ending = Ending.WITHDRAWN
            elif entry["phase"] == "left" and rearmed(entry, world.now_us, self._fence):
                ending = Ending.LEFT
            elif track is None or world.now_us - track.observed_at_us >= self._fence.forget_after_s * US_PER_S:
                ending = Ending.LOST
            elif world.exemptions.covers(entry["subject"], rule=self.name, now_us=world.now_us):
                ending = Ending.EXEMPTED
            else:
                continue
            findings += self.end(key, ending, world.now_us, world)
        return findings

    def reconsider(self, world: World) -> list[Finding]:
        findings: list[Finding] = []
        for key in list(self._memory):
            track = world.tracks.get(_parts(key)[0])
            if track is not None and int(track.kind) not in self._kinds:
                findings += self.end(key, Ending.WITHDRAWN, world.now_us, world)
        return findings

    def say(
        self,
        kind: FindingKind,
        variant: str,
        entry: Entry,
        reading: Reading,
        *,
        world: World,
        params: Mapping[str, Any],
    ) -> Finding:
        """A finding about `reading` in the episode that `entry["alert"]` holds."""
        evidence = (bytes.fromhex(entry["first"]), reading.observation_id)
        return self.finding(
            kind,
            variant,
            entry,
            reading.key,
            world=world,
            at_us=reading.observed_at_us,
            position=reading.position,
            evidence=tuple(dict.fromkeys(evidence)),
            params=params,
        )

    def severity_of(self, slug: str, *, dark: bool) -> Severity:
        """What the configuration says about the area; for a contact without AIS at least `dark_severity`."""
        level = Severity.from_word(self._fence.severity_by_area.get(slug, self._fence.severity))
        at_least = self._fence.dark_severity
        return max(level, Severity.from_word(at_least)) if dark and at_least else level

    def end(self, key: str, ending: Ending, at_us: int, world: World) -> list[Finding]:
        """Forget the entry; if it had an alert open, say that this is over. `at_us`: when that was seen."""
        entry = self._memory.pop(key)
        track_id, slug = _parts(key)
        self._slugs_of[track_id].discard(slug)
        if not self._slugs_of[track_id]:
            del self._slugs_of[track_id]
        if "alert" not in entry:
            return []
        track = world.tracks.get(track_id)
        position = track.position if track else None
        params: dict[str, Any] = {}
        evidence: tuple[bytes, ...] = ()
        if ending is Ending.LEFT:
            # Told by a report or by the clock, whichever came first: the same words either way.
            left = entry["left"]
            at_us = entry["at_us"] + round(self._fence.rearm_s * US_PER_S)
            position = Position(lon=left["lon"], lat=left["lat"])
            evidence = (bytes.fromhex(left["observation"]),)
            params = {"left_us": entry["at_us"], "stay_s": round(inside_us(entry, entry["at_us"]) / US_PER_S)}
        elif ending is Ending.LOST:
            params = {"last_seen_us": track.observed_at_us if track else entry["at_us"]}
        said = self.finding(
            FindingKind.CLEARED,
            f".{ending.value}",
            entry,
            key,
            world=world,
            at_us=at_us,
            position=position,
            evidence=evidence,
            params=params,
        )
        return [said]

    def finding(
        self,
        kind: FindingKind,
        variant: str,
        entry: Entry,
        key: str,
        *,
        world: World,
        at_us: int,
        position: Position | None,
        evidence: tuple[bytes, ...],
        params: Mapping[str, Any],
    ) -> Finding:
        """A finding in the episode that `entry["alert"]` holds; `params` are added to the names of track and area."""
        track_id, slug = _parts(key)
        return track_finding(
            kind,
            f"{self.name}{variant}",
            severity=Severity(entry["alert"]["severity"]),
            subject=entry["subject"],
            track_id=track_id,
            world=world,
            start_us=entry["alert"]["start_us"],
            at_us=at_us,
            position=position,
            evidence=evidence,
            params={"area": world.areas.names_of(slug), **params},
            area=slug,
        )

    def _watched(self, areas: AreaIndex) -> npt.NDArray[np.bool_]:
        """(areas,) which areas this rule is about."""
        if self._watched_of is None or self._watched_of[0] is not areas:
            slugs = self._fence.areas
            chosen = [a.kind is AreaKind.GEOFENCE and (slugs is None or a.slug in slugs) for a in areas.areas]
            self._watched_of = areas, np.array(chosen, dtype=bool)
        return self._watched_of[1]

    def _readings(self, states: npt.NDArray[np.void], world: World) -> Iterator[Reading]:
        """Each believed state of a contact, held against each geofence that it is in or near, or was when last seen."""
        rows = states[
            np.isin(states["subject_kind"], self._kinds)
            & (states["flags"] & (NOT_A_CONTACT | NOT_BELIEVED) == 0)
            & np.isfinite(states["lon"])
            & np.isfinite(states["lat"])
        ]
        watched = self._watched(world.areas)
        if not len(rows) or not (watched.any() or self._slugs_of):
            return
        fence = self._fence
        hits = world.areas.near(rows["lon"], rows["lat"], within_m=fence.most_margin_m)
        near: defaultdict[int, dict[int, float]] = defaultdict(dict)
        for point, area, distance_m in zip(
            hits.point.tolist(), hits.area.tolist(), hits.edge_distance_m.tolist(), strict=True
        ):
            if watched[area]:
                near[point][area] = distance_m
        half_widths = world.areas.half_width_m
        errors = np.where(np.isfinite(rows["position_error_m"]), rows["position_error_m"], fence.unknown_error_m)
        margins = np.clip(errors * fence.margin_errors, fence.least_margin_m, fence.most_margin_m)
        for i, track_id in enumerate(rows["track_id"].tolist()):
            distances = near.get(i, {})
            if track_id in self._slugs_of:
                known = (world.areas.position_of(slug) for slug in self._slugs_of[track_id])
                far = {a: fence.most_margin_m for a in known if a is not None and watched[a] and a not in distances}
                distances = distances | far
            row = rows[i]
            for area in sorted(distances):
                yield Reading(
                    track_id=track_id,
                    observation_id=row["observation_id"].tobytes(),
                    subject=subject_of(int(row["subject_scheme"]), int(row["subject_key"])),
                    dark=int(row["subject_scheme"]) == IdentityScheme.CONTACT,
                    area=world.areas.areas[area],
                    observed_at_us=int(row["observed_at_us"]),
                    position=Position(lon=float(row["lon"]), lat=float(row["lat"])),
                    edge_distance_m=distances[area],
                    # In an area narrower than two margins nothing would ever be well inside.
                    inner_m=min(float(margins[i]), float(half_widths[area]) / 2.0),
                    outer_m=float(margins[i]),
                )


def inside_us(entry: Entry, until_us: int) -> int:
    """How long the track has been inside by `until_us`, without the times it was outside in between."""
    return int(until_us - entry["since_us"] - entry.get("away_us", 0))


def _parts(key: str) -> tuple[bytes, str]:
    track_hex, slug = key.split("|", 1)
    return bytes.fromhex(track_hex), slug
