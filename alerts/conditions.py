"""What a rule without code may ask about a contact: typed conditions over the facts of its states, many at once.

Each condition judges (n,) states. A fact that is not known (no speed, no place, no coast there) is not assessed, and
what is not assessed does not hold, negated or not. `loose` asks whether what held before still does: by the
condition's `slack`, so that nothing flaps at a limit.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, model_validator

from alerts.fences import KindWord
from alerts.rule import SettingsDisagree, World
from alerts.schedule import Hours
from command.domain.facility import FacilityKind
from command.domain.geo import distances_m
from command.domain.observation import IdentityScheme, SubjectKind, subject_of
from maps.coastline import COVERAGE, distance_to_coast_m
from maps.sun import HORIZON_DEG, sun_elevation_deg

States = npt.NDArray[np.void]
Booleans = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]
Told = Mapping[str, Any]
"""A text's key under `key` and its parameters: a part of a reason (alerts.explain)."""

Slug = Annotated[str, Field(min_length=1, max_length=60)]
Word = Annotated[str, Field(min_length=1, max_length=100)]
Metres = Annotated[float, Field(ge=0, le=50_000)]
Speed = Annotated[float, Field(ge=0, le=150)]
Length = Annotated[float, Field(ge=0, le=1_000)]
Degrees = Annotated[float, Field(ge=0, lt=360)]


class Condition(BaseModel):
    """One condition. `cost`: the cheaper is asked first, and the dearer of those only that are left."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    fact: str
    negated: bool = False

    @property
    def cost(self) -> int:
        return 0

    def judge(self, rows: States, world: World, *, loose: bool) -> Booleans:
        """(n,) whether it holds of each of (n,) TRACK_STATE_DTYPE."""
        known = self.known(rows, world)
        # what is negated stops holding as soon as the bare condition begins to
        return np.asarray(known & (self.holds(rows, world, loose=loose != self.negated) != self.negated))

    def explain(self, row: States, world: World) -> Told:
        """What was found of (1,) TRACK_STATE_DTYPE, beside what was asked."""
        told = {"key": f"condition.{self.fact}.found", **self.found(row, world)}
        return {"key": "condition.negated", "what_list": [told]} if self.negated else told

    def known(self, rows: States, world: World) -> Booleans:
        return np.ones(len(rows), dtype=np.bool_)

    @abstractmethod
    def holds(self, rows: States, world: World, *, loose: bool) -> Booleans:
        """Of what is known."""

    @abstractmethod
    def found(self, row: States, world: World) -> dict[str, Any]:
        """The parameters of the text that says what was found."""


class _Between(Condition):
    """A number between two limits, each of which may be left out."""

    @abstractmethod
    def values(self, rows: States, world: World) -> Floats:
        """(n,); NaN where it is not known."""

    @abstractmethod
    def limits(self) -> tuple[float | None, float | None, float]:
        """The least, the most, and the slack."""

    def known(self, rows: States, world: World) -> Booleans:
        return np.isfinite(self.values(rows, world))

    def holds(self, rows: States, world: World, *, loose: bool) -> Booleans:
        least, most, slack = self.limits()
        slack = slack if loose else 0.0
        values = self.values(rows, world)
        above = values >= (-np.inf if least is None else least - slack)
        return np.asarray(above & (values <= (np.inf if most is None else most + slack)))


class KindIs(Condition):
    fact: Literal["kind"] = "kind"
    kinds: Annotated[tuple[KindWord, ...], Field(min_length=1)] = ("vessel",)

    def holds(self, rows: States, world: World, *, loose: bool) -> Booleans:
        return np.isin(rows["subject_kind"], [int(SubjectKind[word.upper()]) for word in self.kinds])

    def found(self, row: States, world: World) -> dict[str, Any]:
        return {"kind_key": f"kind.{SubjectKind(int(row['subject_kind'][0])).name.lower()}"}


class IdentityIs(Condition):
    """Whether it says who it is: `dark` is a contact of a sensor without AIS."""

    fact: Literal["identity"] = "identity"
    identity: Literal["dark", "ais"] = "dark"

    def holds(self, rows: States, world: World, *, loose: bool) -> Booleans:
        wanted = IdentityScheme.CONTACT if self.identity == "dark" else IdentityScheme.MMSI
        return np.asarray(rows["subject_scheme"] == int(wanted))

    def known(self, rows: States, world: World) -> Booleans:
        return np.isin(rows["subject_scheme"], [int(IdentityScheme.CONTACT), int(IdentityScheme.MMSI)])

    def found(self, row: States, world: World) -> dict[str, Any]:
        ais = int(row["subject_scheme"][0]) == IdentityScheme.MMSI
        return {"identity_key": "identity.ais" if ais else "identity.dark"}


class SpeedIs(_Between):
    fact: Literal["speed"] = "speed"
    at_least_mps: Speed | None = None
    at_most_mps: Speed | None = None
    slack_mps: Speed = 0.5

    @model_validator(mode="after")
    def _limited(self) -> SpeedIs:
        _some_limit(self.at_least_mps, self.at_most_mps)
        return self

    def values(self, rows: States, world: World) -> Floats:
        return np.asarray(rows["speed_mps"], dtype=np.float64)

    def limits(self) -> tuple[float | None, float | None, float]:
        return self.at_least_mps, self.at_most_mps, self.slack_mps

    def found(self, row: States, world: World) -> dict[str, Any]:
        return {"value_mps": round(float(row["speed_mps"][0]), 2)}


class LengthIs(_Between):
    fact: Literal["length"] = "length"
    at_least_m: Length | None = None
    at_most_m: Length | None = None
    slack_m: Length = 0.0

    @model_validator(mode="after")
    def _limited(self) -> LengthIs:
        _some_limit(self.at_least_m, self.at_most_m)
        return self

    def values(self, rows: States, world: World) -> Floats:
        tracks = (world.tracks.get(track_id) for track_id in rows["track_id"].tolist())
        lengths = (None if track is None else track.attributes.get("length_m") for track in tracks)
        return np.array([x if isinstance(x, int | float) and x > 0 else np.nan for x in lengths], dtype=np.float64)

    def limits(self) -> tuple[float | None, float | None, float]:
        return self.at_least_m, self.at_most_m, self.slack_m

    def found(self, row: States, world: World) -> dict[str, Any]:
        return {"value_m": float(self.values(row, world)[0])}


class CourseIs(Condition):
    """A course over ground from one bearing clockwise to another; from 350 to 10 is northward."""

    fact: Literal["course"] = "course"
    from_deg: Degrees = 0.0
    to_deg: Degrees = 90.0
    slack_deg: Annotated[float, Field(ge=0, le=45)] = 10.0

    def known(self, rows: States, world: World) -> Booleans:
        return np.asarray(np.isfinite(rows["course_deg"]))

    def holds(self, rows: States, world: World, *, loose: bool) -> Booleans:
        slack = self.slack_deg if loose else 0.0
        width = (self.to_deg - self.from_deg) % 360.0 + 2.0 * slack
        turned = (np.asarray(rows["course_deg"], dtype=np.float64) - self.from_deg + slack) % 360.0
        return np.asarray(turned <= width)

    def found(self, row: States, world: World) -> dict[str, Any]:
        return {"course": f"{float(row['course_deg'][0]):03.0f}"}


class SeenBy(Condition):
    """The source that the track's latest state is from."""

    fact: Literal["source"] = "source"
    sources: Annotated[tuple[Word, ...], Field(min_length=1, max_length=100)]

    def known(self, rows: States, world: World) -> Booleans:
        return np.array([bool(name) for name in _sources(rows, world)], dtype=np.bool_)

    def holds(self, rows: States, world: World, *, loose: bool) -> Booleans:
        return np.array([name in self.sources for name in _sources(rows, world)], dtype=np.bool_)

    def found(self, row: States, world: World) -> dict[str, Any]:
        return {"source": _sources(row, world)[0]}


class Listed(Condition):
    """On a list of subjects that people wrote, `mmsi:431000001`."""

    fact: Literal["listed"] = "listed"
    subjects: Annotated[tuple[Word, ...], Field(min_length=1, max_length=1_000)]

    def holds(self, rows: States, world: World, *, loose: bool) -> Booleans:
        return np.array([name in self.subjects for name in _subjects(rows)], dtype=np.bool_)

    def found(self, row: States, world: World) -> dict[str, Any]:
        return {"id": _subjects(row)[0]}


class FlagIs(Condition):
    """The maritime identification digits, the first three of a ship's MMSI (ITU-R M.585, annex 1): 431 is Japan's."""

    fact: Literal["flag"] = "flag"
    mids: Annotated[tuple[Annotated[str, Field(pattern=r"^[2-7][0-9]{2}$")], ...], Field(min_length=1, max_length=300)]

    def known(self, rows: States, world: World) -> Booleans:
        ship = np.isin(rows["subject_key"] // 10**8, range(2, 8))
        return np.asarray((rows["subject_scheme"] == int(IdentityScheme.MMSI)) & ship)

    def holds(self, rows: States, world: World, *, loose: bool) -> Booleans:
        return np.isin(rows["subject_key"] // 10**6, [int(mid) for mid in self.mids])

    def found(self, row: States, world: World) -> dict[str, Any]:
        return {"mid": str(int(row["subject_key"][0]) // 10**6)}


class InArea(_Between):
    """In one of the areas, or not farther than `within_m` from its edge."""

    fact: Literal["area"] = "area"
    areas: Annotated[tuple[Slug, ...], Field(min_length=1, max_length=1_000)]
    within_m: Metres = 0.0
    slack_m: Metres = 200.0

    @property
    def cost(self) -> int:
        return 1

    def known(self, rows: States, world: World) -> Booleans:
        watched = any(world.areas.position_of(slug) is not None for slug in self.areas)
        return _placed(rows) & watched

    def values(self, rows: States, world: World) -> Floats:
        return self._nearest(rows, world)[0]

    def limits(self) -> tuple[float | None, float | None, float]:
        return None, self.within_m, self.slack_m

    def found(self, row: States, world: World) -> dict[str, Any]:
        distance_m, area = self._nearest(row, world)
        slug = world.areas.areas[int(area[0])].slug if area[0] >= 0 else self.areas[0]
        if distance_m[0] <= 0:
            return {"key": "condition.area.inside", "area": world.areas.names_of(slug)}
        if not np.isfinite(distance_m[0]):
            return {"key": "condition.area.far", "area": world.areas.names_of(slug)}
        return {"area": world.areas.names_of(slug), "value_m": round(float(distance_m[0])), "limit_m": self.within_m}

    def _nearest(self, rows: States, world: World) -> tuple[Floats, npt.NDArray[np.intp]]:
        """(n,) metres to the nearest of the areas, negative inside, infinite out of reach; (n,) which, or -1."""
        distances, nearest = np.full(len(rows), np.inf), np.full(len(rows), -1, dtype=np.intp)
        reach_m = min(max(self.within_m + self.slack_m, 1.0), 50_000.0)
        hits = world.areas.near(rows["lon"], rows["lat"], within_m=reach_m)
        wanted = {i for slug in self.areas if (i := world.areas.position_of(slug)) is not None}
        for point, area, distance_m in zip(
            hits.point.tolist(), hits.area.tolist(), hits.edge_distance_m.tolist(), strict=True
        ):
            if area in wanted and distance_m < distances[point]:
                distances[point], nearest[point] = distance_m, area
        return distances, nearest


class NearCoast(_Between):
    """Not farther than `within_m` from the coast, at sea or on land."""

    fact: Literal["coast"] = "coast"
    within_m: Annotated[float, Field(gt=0, le=100_000)] = 5_556.0
    slack_m: Metres = 200.0

    @property
    def cost(self) -> int:
        return 3

    def values(self, rows: States, world: World) -> Floats:
        west, south, east, north = COVERAGE
        lon, lat = rows["lon"], rows["lat"]
        there = np.flatnonzero((lon >= west) & (lon <= east) & (lat >= south) & (lat <= north))
        distances = np.full(len(rows), np.nan)
        if len(there):
            distances[there] = distance_to_coast_m(lon[there], lat[there])
        return distances

    def limits(self) -> tuple[float | None, float | None, float]:
        return None, self.within_m, self.slack_m

    def found(self, row: States, world: World) -> dict[str, Any]:
        return {"value_m": round(float(self.values(row, world)[0])), "limit_m": self.within_m}


class NearFacility(_Between):
    """Not farther than `within_m` from a facility of one of the kinds, on the great circle."""

    fact: Literal["facility"] = "facility"
    facility_kinds: Annotated[tuple[FacilityKind, ...], Field(min_length=1)] = tuple(FacilityKind)
    within_m: Annotated[float, Field(gt=0, le=100_000)] = 3_704.0
    slack_m: Metres = 200.0

    @property
    def cost(self) -> int:
        return 2

    def known(self, rows: States, world: World) -> Booleans:
        return _placed(rows) & bool(self._wanted(world))

    def values(self, rows: States, world: World) -> Floats:
        wanted = self._wanted(world)
        if not wanted:
            return np.full(len(rows), np.nan)
        lon = np.array([facility.position.lon for facility in wanted])
        lat = np.array([facility.position.lat for facility in wanted])
        nearest = distances_m(rows["lon"][:, None], rows["lat"][:, None], lon, lat).min(axis=1)
        return np.asarray(nearest, dtype=np.float64)

    def limits(self) -> tuple[float | None, float | None, float]:
        return None, self.within_m, self.slack_m

    def found(self, row: States, world: World) -> dict[str, Any]:
        lon, lat = float(row["lon"][0]), float(row["lat"][0])
        distances = {
            i: float(distances_m(lon, lat, np.float64(f.position.lon), np.float64(f.position.lat)))
            for i, f in enumerate(self._wanted(world))
        }
        nearest = self._wanted(world)[min(distances, key=distances.__getitem__)]
        return {
            "facility": {"ja": nearest.name_ja, "en": nearest.name_en},
            "value_m": round(min(distances.values())),
            "limit_m": self.within_m,
        }

    def _wanted(self, world: World) -> list[Any]:
        return [facility for facility in world.facilities if facility.kind in self.facility_kinds]


class HoursAre(Condition, Hours):
    """Days of the week and a part of the day in Japan's time."""

    fact: Literal["hours"] = "hours"

    def holds(self, rows: States, world: World, *, loose: bool) -> Booleans:
        return self.hold(rows["observed_at_us"])

    def found(self, row: States, world: World) -> dict[str, Any]:
        return {"at_us": int(row["observed_at_us"][0])}


class SunIs(Condition):
    """Day or night by the sun at the contact's place."""

    fact: Literal["sun"] = "sun"
    sun: Literal["day", "night"] = "night"

    @property
    def cost(self) -> int:
        return 1

    def known(self, rows: States, world: World) -> Booleans:
        return _placed(rows)

    def holds(self, rows: States, world: World, *, loose: bool) -> Booleans:
        below = sun_elevation_deg(rows["observed_at_us"], rows["lon"], rows["lat"]) < HORIZON_DEG
        return np.asarray(below if self.sun == "night" else ~below)

    def found(self, row: States, world: World) -> dict[str, Any]:
        elevation = float(sun_elevation_deg(row["observed_at_us"], row["lon"], row["lat"])[0])
        phase = "night" if elevation < HORIZON_DEG else "day"
        return {"phase_key": f"sun.now.{phase}", "elevation": f"{elevation:.0f}"}


AnyCondition = Annotated[
    KindIs
    | IdentityIs
    | SpeedIs
    | CourseIs
    | LengthIs
    | SeenBy
    | Listed
    | FlagIs
    | InArea
    | NearCoast
    | NearFacility
    | HoursAre
    | SunIs,
    Field(discriminator="fact"),
]


class Group(BaseModel):
    """Conditions of which all, or any, must hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    needs: Literal["all", "any"] = "all"
    conditions: Annotated[tuple[AnyCondition, ...], Field(min_length=1, max_length=20)]

    @property
    def cost(self) -> int:
        return max(condition.cost for condition in self.conditions)

    def judge(self, rows: States, world: World, *, loose: bool) -> Booleans:
        """(n,) whether the group holds; a condition is asked only of what the cheaper ones leave open."""
        everything = self.needs == "all"
        held = np.full(len(rows), everything)
        for condition in sorted(self.conditions, key=lambda each: each.cost):
            open_still = np.flatnonzero(held == everything)
            if not len(open_still):
                break
            held[open_still] = condition.judge(rows[open_still], world, loose=loose)
        return held

    def explain(self, row: States, world: World) -> list[Told]:
        """What was found of those conditions that hold of (1,) TRACK_STATE_DTYPE, loosely."""
        return [
            condition.explain(row, world) for condition in self.conditions if condition.judge(row, world, loose=True)[0]
        ]


def judge_all(groups: Sequence[Group], rows: States, world: World, *, loose: bool) -> Booleans:
    """(n,) whether every group holds of each of (n,) TRACK_STATE_DTYPE."""
    held = np.ones(len(rows), dtype=np.bool_)
    for group in sorted(groups, key=lambda each: each.cost):
        left = np.flatnonzero(held)
        if not len(left):
            break
        held[left] = group.judge(rows[left], world, loose=loose)
    return held


def _some_limit(least: float | None, most: float | None) -> None:
    if least is None and most is None:
        raise SettingsDisagree("no_limit")
    if least is not None and most is not None and least > most:
        raise SettingsDisagree("limits")


def _placed(rows: States) -> Booleans:
    return np.asarray(np.isfinite(rows["lon"]) & np.isfinite(rows["lat"]))


def _subjects(rows: States) -> list[str]:
    pairs = zip(rows["subject_scheme"].tolist(), rows["subject_key"].tolist(), strict=True)
    return [subject_of(scheme, key) for scheme, key in pairs]


def _sources(rows: States, world: World) -> list[str]:
    tracks = (world.tracks.get(track_id) for track_id in rows["track_id"].tolist())
    return ["" if track is None else track.source for track in tracks]
