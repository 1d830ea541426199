"""Where a track stands to a geofence, without flapping: what the rules about entry, exit and dwell share.

A report is well inside or well outside when it is farther from the edge than a margin taken from its own position
error; between the two it decides nothing by itself. A track

- enters with one report well inside, or with several that are inside at all, over some time;
- leaves with a report well outside, and is gone for good only after `rearm_s`: what comes back before that has not
  begun a new episode, however often it crossed the line.

So a track that jitters over the line for an hour enters once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final, Literal, Self

from pydantic import Field, model_validator

from alerts.rule import RuleConfig, SettingsDisagree, SeverityWord
from command.domain.area import Area
from command.domain.clock import US_PER_S
from command.domain.geo import Position

KindWord = Literal["unknown", "vessel", "aircraft", "air_drone", "underwater_drone", "surface_drone"]

_NEAR_EXPIRES_US: Final = 3_600 * US_PER_S
"""Reports that touch the area count together only within an hour: a berth beside the line is not an entry."""


class FenceConfig(RuleConfig):
    """What the rules about crossing a fence have in common."""

    areas: tuple[str, ...] | None = Field(default=None, max_length=1_000)
    """Slugs of the geofences that it is about; None: every geofence."""
    severity_by_area: Mapping[str, SeverityWord] = Field(default_factory=dict)
    dark_severity: SeverityWord | None = None
    """For a contact that sends no AIS; None: like any other."""
    kinds: tuple[KindWord, ...] = ("unknown", "vessel", "air_drone", "underwater_drone", "surface_drone")
    margin_errors: float = Field(default=2.0, gt=0, le=10)
    """The margin in position errors of the report."""
    least_margin_m: float = Field(default=30.0, ge=0, le=5_000)
    most_margin_m: float = Field(default=500.0, gt=0, le=20_000)
    unknown_error_m: float = Field(default=50.0, gt=0, le=5_000)
    """The position error of a report that states none."""
    confirm_reports: int = Field(default=3, ge=1, le=100)
    confirm_s: float = Field(default=60.0, ge=0, le=3_600)
    """This many reports inside, but not well inside, over this long, are an entry."""
    rearm_s: float = Field(default=1_800.0, ge=0, le=86_400)
    """Outside for this long ends the episode."""
    forget_after_s: float = Field(default=21_600.0, gt=0, le=604_800)
    """Not heard for this long ends the episode: nobody knows any more where it is."""

    @model_validator(mode="after")
    def _forgets_last(self) -> Self:
        if self.forget_after_s < self.rearm_s:
            raise SettingsDisagree("forget_before_rearm")
        if self.most_margin_m < self.least_margin_m:
            raise SettingsDisagree("margins")
        return self


class Step(Enum):
    """What a report, or the passing of time, did to a track's standing."""

    NONE = auto()
    ENTERED = auto()
    LEFT = auto()
    RETURNED = auto()
    GONE = auto()
    """Outside for good: the episode has ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """One state of one track held against one geofence."""

    track_id: bytes
    observation_id: bytes
    subject: str
    dark: bool
    area: Area
    observed_at_us: int
    position: Position
    edge_distance_m: float
    """Negative inside."""
    inner_m: float
    """Deeper than this is well inside."""
    outer_m: float
    """Farther than this is well outside."""

    @property
    def key(self) -> str:
        return f"{self.track_id.hex()}|{self.area.slug}"


Entry = dict[str, Any]
"""A track's standing: `phase` (near, inside, left), `since_us` (its first report inside), `at_us` (the last change) and
what the rule adds: `alert` (`severity`, `start_us`) while it has an alert open. A track outside has none."""


def advance(entry: Entry | None, reading: Reading, config: FenceConfig) -> tuple[Step, Entry | None]:
    """The standing after one more report; None is outside. A report older than the last change decides nothing."""
    if entry is None:
        return _outside(reading)
    if reading.observed_at_us < entry["at_us"]:
        return Step.NONE, entry
    return _AFTER[entry["phase"]](entry, reading, config)


def rearmed(entry: Entry, now_us: int, config: FenceConfig) -> bool:
    """Whether a track that has left has been outside long enough to be gone."""
    return bool(now_us - entry["at_us"] >= config.rearm_s * US_PER_S)


def _outside(reading: Reading) -> tuple[Step, Entry | None]:
    if reading.edge_distance_m > 0.0:
        return Step.NONE, None
    entry: Entry = {
        "phase": "near",
        "since_us": reading.observed_at_us,
        "at_us": reading.observed_at_us,
        "count": 1,
        "first": reading.observation_id.hex(),
        "subject": reading.subject,
        "dark": reading.dark,
    }
    if reading.edge_distance_m <= -reading.inner_m:
        return Step.ENTERED, entry | {"phase": "inside"}
    return Step.NONE, entry


def _near(entry: Entry, reading: Reading, config: FenceConfig) -> tuple[Step, Entry | None]:
    t_us, distance_m = reading.observed_at_us, reading.edge_distance_m
    if distance_m >= reading.outer_m:
        return Step.NONE, None
    if t_us - entry["since_us"] > _NEAR_EXPIRES_US:
        return _outside(reading)
    if distance_m > 0.0:
        return Step.NONE, entry
    count = min(entry["count"] + 1, config.confirm_reports)
    confirmed = count >= config.confirm_reports and t_us - entry["since_us"] >= config.confirm_s * US_PER_S
    if confirmed or distance_m <= -reading.inner_m:
        return Step.ENTERED, entry | {"phase": "inside", "at_us": t_us}
    return Step.NONE, entry | {"count": count}


def _inside(entry: Entry, reading: Reading, config: FenceConfig) -> tuple[Step, Entry | None]:
    if reading.edge_distance_m < reading.outer_m:
        return Step.NONE, entry
    return Step.LEFT, entry | {"phase": "left", "at_us": reading.observed_at_us, "left": _sighting(reading)}


def _left(entry: Entry, reading: Reading, config: FenceConfig) -> tuple[Step, Entry | None]:
    t_us, distance_m = reading.observed_at_us, reading.edge_distance_m
    is_over = rearmed(entry, t_us, config)
    if distance_m <= -reading.inner_m or (distance_m <= 0.0 and is_over):
        away_us = entry.get("away_us", 0) + t_us - entry["at_us"]
        return Step.RETURNED, entry | {"phase": "inside", "at_us": t_us, "away_us": away_us}
    return (Step.GONE, None) if is_over else (Step.NONE, entry)


def _sighting(reading: Reading) -> Entry:
    return {
        "lon": reading.position.lon,
        "lat": reading.position.lat,
        "observation": reading.observation_id.hex(),
    }


_AFTER: Final = {"near": _near, "inside": _inside, "left": _left}
