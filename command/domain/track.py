"""Tracks: the estimate of one contact over time."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Final

import numpy as np

from command.domain.geo import Position
from command.domain.observation import SubjectKind


class TrackStatus(IntEnum):
    TENTATIVE = 0
    LIVE = 1
    STALE = 2
    LOST = 3


TRACK_STATE_DTYPE: Final = np.dtype(
    [
        ("track_id", "V16"),
        ("observation_id", "V16"),
        ("observed_at_us", "<i8"),
        ("recorded_at_us", "<i8"),
        ("subject_scheme", "u1"),
        ("subject_kind", "u1"),
        ("status", "u1"),
        ("flags", "<u4"),
        ("subject_key", "<i8"),
        ("lon", "<f8"),
        ("lat", "<f8"),
        ("position_error_m", "<f4"),
        ("altitude_amsl_m", "<f4"),
        ("height_m", "<f4"),
        ("depth_m", "<f4"),
        ("speed_mps", "<f4"),
        ("course_deg", "<f4"),
        ("heading_deg", "<f4"),
        ("battery_percent", "<f4"),
        ("link_percent", "<f4"),
    ]
)
"""One row a state: the track's estimate after one observation. Append-only. NaN where nothing is known.
`flags` are ObservationFlag of the observation that made it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Track:
    """The latest state of one track, as the console, the rules and the API read it."""

    track_id: uuid.UUID
    subject: str
    kind: SubjectKind
    status: TrackStatus
    source: str
    observed_at_us: int
    recorded_at_us: int
    position: Position | None
    flags: int = 0
    speed_mps: float | None = None
    course_deg: float | None = None
    heading_deg: float | None = None
    altitude_amsl_m: float | None = None
    height_m: float | None = None
    depth_m: float | None = None
    position_error_m: float | None = None
    battery_percent: float | None = None
    link_percent: float | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
