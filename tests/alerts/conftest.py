"""A small world for the rules: states by name, areas by box, and a run that shows both to the engine."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import shapely

from alerts.engine import RuleEngine
from alerts.exemptions import ExemptionList
from alerts.rule import World
from command.domain import ids
from command.domain.alert import Finding
from command.domain.area import Area, AreaKind
from command.domain.clock import US_PER_S
from command.domain.geo import Position
from command.domain.health import SourceHealth
from command.domain.observation import IdentityScheme, ObservationFlag, SubjectKind, subject_of
from command.domain.track import TRACK_STATE_DTYPE, Track, TrackStatus
from maps.areas import AreaIndex

START_US = 1_790_000_000 * US_PER_S
METRES_PER_DEGREE_NORTH = 110_922.0
"""At 34 degrees north."""


def track_id(scheme: IdentityScheme, key: int) -> uuid.UUID:
    return ids.track_id("live", subject_of(scheme, key))


def state(
    at_s: float,
    *,
    lon: float = 129.0,
    lat: float = 34.0,
    key: int = 431_000_001,
    scheme: IdentityScheme = IdentityScheme.MMSI,
    kind: SubjectKind = SubjectKind.VESSEL,
    flags: int = ObservationFlag.NONE,
    **values: float,
) -> npt.NDArray[np.void]:
    """(1,) TRACK_STATE_DTYPE, `at_s` seconds after the start of the test's world."""
    row = np.zeros(1, dtype=TRACK_STATE_DTYPE)
    for name in TRACK_STATE_DTYPE.names or ():
        if row[name].dtype.kind == "f":
            row[name] = np.nan
    t_us = START_US + round(at_s * US_PER_S)
    digest = hashlib.blake2b(repr((at_s, lon, lat, key, int(flags), values)).encode(), digest_size=16).digest()
    row["track_id"] = np.frombuffer(track_id(scheme, key).bytes, dtype="V16")
    row["observation_id"] = np.frombuffer(digest, dtype="V16")
    row["observed_at_us"] = row["recorded_at_us"] = t_us
    row["subject_scheme"], row["subject_kind"], row["subject_key"] = int(scheme), int(kind), key
    row["status"], row["flags"], row["lon"], row["lat"] = int(TrackStatus.LIVE), int(flags), lon, lat
    for name, value in values.items():
        row[name] = value
    return row


def geofence(slug: str = "bay", *, west: float = 129.0, south: float = 34.0, side_deg: float = 0.1) -> Area:
    return Area(
        area_id=uuid.uuid5(uuid.NAMESPACE_URL, slug),
        version=1,
        slug=slug,
        kind=AreaKind.GEOFENCE,
        name_ja="厳原湾",
        name_en="Izuhara bay",
        geometry=shapely.box(west, south, west + side_deg, south + side_deg),
        valid_from_us=0,
        author="test",
    )


@dataclass
class Stage:
    """Shows states and the passing of time to an engine as intake does: tracks first, then the rules."""

    configs: Mapping[str, Mapping[str, Any]]
    areas: Sequence[Area] = ()
    exemptions: ExemptionList = field(default_factory=ExemptionList)
    health: Sequence[SourceHealth] = ()
    attributes: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)
    """By subject key."""
    sources: Mapping[int, str] = field(default_factory=dict)
    tracks: dict[bytes, Track] = field(default_factory=dict)
    now_us: int = START_US
    saved: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.index = AreaIndex(self.areas)
        self.engine = RuleEngine(self.configs, memory=self.saved)

    def world(self) -> World:
        return World(
            realm="live",
            now_us=self.now_us,
            tracks=self.tracks,
            areas=self.index,
            exemptions=self.exemptions,
            health=self.health,
        )

    def show(self, *states: npt.NDArray[np.void]) -> list[Finding]:
        """One flush."""
        rows = np.concatenate(states)
        for row in rows[np.argsort(rows["observed_at_us"], kind="stable")]:
            self._follow(row)
            self.now_us = max(self.now_us, int(row["observed_at_us"]))
        found = self.engine.evaluate(rows, self.world())
        self._save()
        return found

    def tick(self, at_s: float) -> list[Finding]:
        self.now_us = max(self.now_us, START_US + round(at_s * US_PER_S))
        found = self.engine.tick(self.world())
        self._save()
        return found

    def restart(self) -> None:
        """The process dies and comes back: only what was saved is left."""
        self.engine = RuleEngine(self.configs, memory=self.saved)

    def watch(self, *areas: Area, retired: Sequence[Area] = ()) -> None:
        self.index = AreaIndex(areas, retired=retired)

    def _save(self) -> None:
        for rule, changes in self.engine.take_changes().items():
            entries = self.saved.setdefault(rule, {})
            for key, entry in changes.items():
                if entry is None:
                    entries.pop(key, None)
                else:
                    entries[key] = entry

    def _follow(self, row: np.void) -> None:
        key = int(row["subject_key"])
        position = None
        if np.isfinite(row["lon"]):
            position = Position(lon=float(row["lon"]), lat=float(row["lat"]))
        track = Track(
            track_id=uuid.UUID(bytes=row["track_id"].tobytes()),
            subject=subject_of(int(row["subject_scheme"]), key),
            kind=SubjectKind(int(row["subject_kind"])),
            status=TrackStatus.LIVE,
            source=self.sources.get(key, "shore"),
            observed_at_us=int(row["observed_at_us"]),
            recorded_at_us=int(row["observed_at_us"]),
            position=position,
            flags=int(row["flags"]),
            battery_percent=float(row["battery_percent"]) if np.isfinite(row["battery_percent"]) else None,
            attributes=self.attributes.get(key, {}),
        )
        before = self.tracks.get(track.track_id.bytes)
        if before is not None and position is None:
            track = replace(track, position=before.position)
        self.tracks[track.track_id.bytes] = track


@pytest.fixture(scope="session")
def kit() -> SimpleNamespace:
    """What a test of rules needs, by name."""
    return SimpleNamespace(
        state=state, geofence=geofence, stage=Stage, start_us=START_US, metres_per_degree=METRES_PER_DEGREE_NORTH
    )


@pytest.fixture(scope="session")
def kinds() -> Callable[[Sequence[Finding]], list[str]]:
    """`opened`, `revised`, `cleared`, in order."""
    return lambda findings: [finding.kind.value for finding in findings]
