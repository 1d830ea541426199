"""Nobody of those who should be in an area has been there for some time: a patrol that does not come."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Self

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, field_serializer, model_validator

from alerts.fence_rule import NOT_BELIEVED
from alerts.fences import KindWord
from alerts.rule import Memory, RuleConfig, SettingsDisagree, SeverityWord, World
from command.domain.alert import Finding, FindingKind, Severity
from command.domain.clock import US_PER_S
from command.domain.geo import Position
from command.domain.observation import ObservationFlag, SubjectKind, subject_of

_ASSET: Final = int(ObservationFlag.ASSET)
_SEEN_EVERY_US: Final = 10 * US_PER_S
"""How finely a presence is remembered: a patrol at 50 Hz does not write 50 entries a second."""


class Watch(BaseModel):
    """Who should be where. With `subjects` and `kinds` both given, whoever is either counts."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$")
    """Stands in the alert's subject: `watch:<name>`."""
    area: str
    """The slug of the area."""
    who_ja: str = Field(min_length=1, max_length=80)
    who_en: str = Field(min_length=1, max_length=80)
    """What people call those who should be there."""
    subjects: frozenset[str] = Field(default=frozenset(), max_length=1_000)
    """`mmsi:431000001`, `mavlink:5d1f`."""
    kinds: frozenset[KindWord] = frozenset()
    assets_only: bool = False
    """Of `kinds`, only our own assets count."""
    after_s: float = Field(gt=0, le=2_592_000)
    severity: SeverityWord | None = None
    """None: the rule's."""

    @field_serializer("subjects", "kinds", when_used="json")
    def _in_order(self, words: frozenset[str]) -> list[str]:
        """A set has no order, and two dumps of the same settings must be equal."""
        return sorted(words)

    @model_validator(mode="after")
    def _names_someone(self) -> Self:
        if not self.subjects and not self.kinds:
            raise SettingsDisagree("watch_nobody", name=self.name)
        return self


class GeofenceAbsenceConfig(RuleConfig):
    severity: SeverityWord = "medium"
    watches: tuple[Watch, ...] = Field(default=(), max_length=1_000)
    margin_m: float = Field(default=100.0, gt=0, le=20_000)
    """So near to the area counts as there: a patrol along its edge is present."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        if len({watch.name for watch in self.watches}) != len(self.watches):
            raise SettingsDisagree("watch_twice")
        return self


class GeofenceAbsence:
    """One alert from the last report of somebody in the area (to 10 s) until the next.

    Own assets count here on purpose. A presence is a report from inside: who fell silent inside is not known to be
    there. Somebody who was never seen is absent from the moment at which the watch began.

    Memory: watch name -> `since_us` (the watch began), `present_us` (the last report from inside; None: never),
    `alert` (its start; None: none open) and `area`.
    """

    name: ClassVar[str] = "geofence_absence"
    Config: ClassVar[type[RuleConfig]] = GeofenceAbsenceConfig

    def __init__(self, config: GeofenceAbsenceConfig, memory: Memory) -> None:
        self._config = config
        self._memory = memory
        self._watches = {watch.name: watch for watch in config.watches}
        self._kinds = {
            watch.name: frozenset(int(SubjectKind[word.upper()]) for word in watch.kinds) for watch in config.watches
        }

    def evaluate(self, states: npt.NDArray[np.void], world: World) -> list[Finding]:
        if not self._watches or not len(states):
            return []
        rows = states[(states["flags"] & NOT_BELIEVED == 0) & np.isfinite(states["lon"]) & np.isfinite(states["lat"])]
        hits = world.areas.near(rows["lon"], rows["lat"], within_m=self._config.margin_m)
        findings: list[Finding] = []
        for point, area in zip(hits.point.tolist(), hits.area.tolist(), strict=True):
            slug, row = world.areas.areas[area].slug, rows[point]
            for watch in self._watches.values():
                if watch.area == slug and self._counts(watch, row):
                    findings += self._present(watch, row, world)
        return findings

    def tick(self, world: World) -> list[Finding]:
        findings: list[Finding] = []
        for name in list(self._memory):
            watch = self._watches.get(name)
            entry = self._memory[name]
            if watch is None or watch.area != entry["area"] or world.areas.position_of(watch.area) is None:
                del self._memory[name]
                if entry["alert"] is not None:
                    findings.append(
                        self._told(FindingKind.CLEARED, "withdrawn", name, entry, world.now_us, world=world)
                    )
        for watch in self._watches.values():
            if world.areas.position_of(watch.area) is None:
                continue
            if watch.name not in self._memory:
                self._memory[watch.name] = _begun(watch, world.now_us)
            findings += self._absent(watch, world.now_us, world)
        return findings

    def reconsider(self, world: World) -> list[Finding]:
        findings: list[Finding] = []
        for name, watch in self._watches.items():
            entry = self._memory.get(name)
            if entry is None or entry["alert"] is None or entry["area"] != watch.area:
                continue
            if world.now_us - entry["alert"] < watch.after_s * US_PER_S + _SEEN_EVERY_US:
                findings.append(self._told(FindingKind.CLEARED, "withdrawn", name, entry, world.now_us, world=world))
                self._memory[name] = entry | {"alert": None}
        return findings

    def _counts(self, watch: Watch, row: np.void) -> bool:
        if watch.subjects and subject_of(int(row["subject_scheme"]), int(row["subject_key"])) in watch.subjects:
            return True
        if watch.assets_only and not int(row["flags"]) & _ASSET:
            return False
        return int(row["subject_kind"]) in self._kinds[watch.name]

    def _present(self, watch: Watch, row: np.void, world: World) -> list[Finding]:
        t_us = int(row["observed_at_us"])
        entry = self._memory.get(watch.name) or _begun(watch, t_us)
        last_us = entry["present_us"]
        if last_us is not None and t_us - last_us < _SEEN_EVERY_US:
            return []
        self._memory[watch.name] = entry
        # No tick may have come in between: a recording read fast, or intake that was away itself.
        findings = self._absent(watch, t_us, world)
        entry = self._memory[watch.name]
        if entry["alert"] is not None:
            position = Position(lon=float(row["lon"]), lat=float(row["lat"]))
            evidence = (row["observation_id"].tobytes(),)
            said = self._told(
                FindingKind.CLEARED,
                "present",
                watch.name,
                entry,
                t_us,
                world=world,
                position=position,
                evidence=evidence,
                params={"present_us": t_us},
            )
            findings.append(said)
        self._memory[watch.name] = entry | {"present_us": t_us, "alert": None}
        return findings

    def _absent(self, watch: Watch, t_us: int, world: World) -> list[Finding]:
        entry = self._memory[watch.name]
        start_us = entry["since_us"] if entry["present_us"] is None else entry["present_us"]
        if entry["alert"] is not None or t_us - start_us < watch.after_s * US_PER_S + _SEEN_EVERY_US:
            return []
        entry = entry | {"alert": start_us}
        self._memory[watch.name] = entry
        never = entry["present_us"] is None
        params = {"absent_s": round((t_us - start_us) / US_PER_S)} | (
            {"since_us": start_us} if never else {"last_present_us": start_us}
        )
        variant = "never" if never else ""
        return [self._told(FindingKind.OPENED, variant, watch.name, entry, t_us, world=world, params=params)]

    def _told(
        self,
        kind: FindingKind,
        variant: str,
        name: str,
        entry: dict[str, Any],
        at_us: int,
        *,
        world: World,
        position: Position | None = None,
        evidence: tuple[bytes, ...] = (),
        params: dict[str, Any] | None = None,
    ) -> Finding:
        watch = self._watches.get(name)
        at = world.areas.position_of(entry["area"])
        area = None if at is None else world.areas.areas[at]
        middle = area.geometry.representative_point() if area else None
        return Finding(
            kind=kind,
            rule=self.name,
            severity=Severity.from_word(watch.severity) if watch and watch.severity else self._config.level,
            subject=f"watch:{name}",
            area=entry["area"],
            episode_start_us=entry["alert"],
            observed_at_us=at_us,
            position=position or (Position(lon=middle.x, lat=middle.y) if middle else None),
            because=f"because.{self.name}.{variant}" if variant else f"because.{self.name}",
            because_params={
                "area": world.areas.names_of(entry["area"]),
                "who": {"ja": watch.who_ja, "en": watch.who_en} if watch else {"ja": name, "en": name},
                **(params or {}),
            },
            evidence=evidence,
        )


def _begun(watch: Watch, now_us: int) -> dict[str, Any]:
    return {"since_us": now_us, "present_us": None, "alert": None, "area": watch.area}
