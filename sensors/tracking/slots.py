"""What the tracker remembers of one track: a fixed record, so that a stored one is restored bit for bit."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from command.domain.observation import SCHEME_PREFIX, IdentityScheme
from command.domain.track import Track
from sensors.tracking.motion import MOTIONS

MEASURED: Final = ("altitude_amsl_m", "height_m", "depth_m", "heading_deg", "battery_percent", "link_percent")
"""Facts that are kept as last measured."""

NEVER_US: Final = int(np.iinfo(np.int64).min)

_VERSION: Final = 1
SLOT_DTYPE: Final = np.dtype(
    [
        ("version", "<u8"),
        ("position_at_us", "<i8"),
        ("other_at_us", "<i8"),
        ("seen_at_us", "<i8"),
        ("recorded_at_us", "<i8"),
        ("candidate_at_us", "<i8"),
        ("subject_key", "<i8"),
        ("lon", "<f8"),
        ("lat", "<f8"),
        ("east_mps", "<f8"),
        ("north_mps", "<f8"),
        ("position_var", "<f8"),
        ("cross_var", "<f8"),
        ("velocity_var", "<f8"),
        ("candidate_lon", "<f8"),
        ("candidate_lat", "<f8"),
        *((name, "<f4") for name in MEASURED),
        ("flags", "<u4"),
        ("subject_scheme", "u1"),
        ("subject_kind", "u1"),
        ("status", "u1"),
        ("candidates", "u1"),
    ]
)
"""One row a track. position_at_us: the last believed position; other_at_us: the last telemetry or static row;
seen_at_us: the last row of any sort (NEVER_US where there was none). The estimate is that of kalman.Estimates.
candidate_*: the last report that was an impossible jump, and how many agreed in a row. Fields stand by size, so
that there is no padding."""


def empty_slots(count: int) -> npt.NDArray[np.void]:
    """(count,) SLOT_DTYPE of tracks that nothing is known of."""
    slots = np.zeros(count, dtype=SLOT_DTYPE)
    slots["version"] = _VERSION
    for name in ("position_at_us", "other_at_us", "seen_at_us", "candidate_at_us"):
        slots[name] = NEVER_US
    for name in ("lon", "lat", "candidate_lon", "candidate_lat", *MEASURED):
        slots[name] = np.nan
    return slots


def pack(slots: npt.NDArray[np.void]) -> list[bytes]:
    """One bytes value a slot."""
    data, size = slots.tobytes(), SLOT_DTYPE.itemsize
    return [data[at : at + size] for at in range(0, len(data), size)]


def unpack(filter_state: bytes) -> np.void | None:
    """The slot in `filter_state`; None where another version of the program wrote it."""
    if len(filter_state) != SLOT_DTYPE.itemsize:
        return None
    slot: np.void = np.frombuffer(filter_state, dtype=SLOT_DTYPE)[0]
    return slot if int(slot["version"]) == _VERSION else None


def slot_of_track(track: Track) -> np.void:
    """What can be said from the stored track alone: its place and time, with its kind's ordinary doubt."""
    motion = MOTIONS[track.kind]
    slots = empty_slots(1)
    prefix, _, number = track.subject.partition(":")
    scheme = next((s for s, word in SCHEME_PREFIX.items() if word == prefix), IdentityScheme.NONE)
    slots["subject_scheme"] = int(scheme)
    slots["subject_key"] = int(number, 10 if scheme is IdentityScheme.MMSI else 16)
    slots["subject_kind"], slots["status"], slots["flags"] = int(track.kind), int(track.status), track.flags
    slots["seen_at_us"] = slots["other_at_us"] = track.observed_at_us
    slots["recorded_at_us"] = track.recorded_at_us
    for name in MEASURED:
        value = getattr(track, name)
        slots[name] = np.nan if value is None else value
    if track.position is not None:
        slots["position_at_us"] = track.attributes.get("position_observed_at_us", track.observed_at_us)
        slots["lon"], slots["lat"] = track.position.lon, track.position.lat
        slots["position_var"] = motion.position_sigma_m**2
        slots["velocity_var"] = motion.unknown_speed_sigma_mps**2
    slot: np.void = slots[0]
    return slot
