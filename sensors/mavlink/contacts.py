"""What a vehicle sees of others: a camera's tracked target and the AIS that it relays.

https://mavlink.io/en/messages/common.html#CAMERA_TRACKING_GEO_STATUS and #AIS_VESSEL.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from command.domain.clock import US_PER_S
from command.domain.geo import Position, distance_m
from command.domain.observation import IdentityScheme, ObservationFlag, SubjectKind

_FASTEST_MPS: Final = 40.0
_ALLOWANCE_M: Final = 500.0
_MAX_CAMERAS: Final = 256
_MAX_AIS_AGE_S: Final = 3_600
_NAV_STATUS_SART: Final = 14
"""ITU-R M.1371: AIS-SART, MOB or EPIRB is active."""
_BEACON_PREFIXES: Final = (970, 972, 974)


class ContactCounter:
    """Numbers what a camera tracks: it has no id, so one that could not have moved so far is new."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, int, int, int], tuple[int, Position | None, int]] = {}

    def number(self, camera: tuple[str, int, int, int], position: Position | None, *, received_at_us: int) -> int:
        """The target's number, from 1, for its camera (origin, system, component, device)."""
        known = self._last.get(camera)
        number, before, before_us = known or (1, None, received_at_us)
        if position is not None and before is not None:
            reach_m = _ALLOWANCE_M + _FASTEST_MPS * (received_at_us - before_us) / US_PER_S
            if distance_m(before, position) > reach_m:
                number += 1
        if known is None and len(self._last) >= _MAX_CAMERAS:
            del self._last[next(iter(self._last))]
        self._last[camera] = (number, position or before, received_at_us if position else before_us)
        return number


def contact_row(row: npt.NDArray[np.void], message: Any) -> Position | None:
    """Put a CAMERA_TRACKING_GEO_STATUS into one row, shape (1,); its position, or None where there is none."""
    row["subject_kind"] = SubjectKind.UNKNOWN
    if message.lat == 0 and message.lon == 0:
        row["flags"] |= np.uint32(ObservationFlag.NO_FIX)
        return None
    position = Position(lon=message.lon / 1e7, lat=message.lat / 1e7)
    row["lon"], row["lat"] = position.lon, position.lat
    if math.isfinite(message.h_acc) and message.h_acc > 0:
        row["position_error_m"] = message.h_acc
    if math.isfinite(message.vel_n) and math.isfinite(message.vel_e):
        speed_mps = math.hypot(message.vel_n, message.vel_e)
        row["speed_mps"] = speed_mps
        if speed_mps > 0.2:
            row["course_deg"] = math.degrees(math.atan2(message.vel_e, message.vel_n)) % 360.0
    return position


def ais_vessel_row(row: npt.NDArray[np.void], message: Any) -> dict[str, Any] | None:
    """Put an AIS_VESSEL into one row, shape (1,), and return its attributes; None for values that cannot be."""
    if not 0 < message.MMSI <= 999_999_999 or abs(message.lat) > 900_000_000 or abs(message.lon) > 1_800_000_000:
        return None
    flags = message.flags
    row["subject_scheme"], row["subject_key"] = IdentityScheme.MMSI, message.MMSI
    row["subject_kind"] = SubjectKind.VESSEL
    if message.lat == 0 and message.lon == 0:
        row["flags"] |= np.uint32(ObservationFlag.NO_FIX)
    else:
        row["lon"], row["lat"] = message.lon / 1e7, message.lat / 1e7
    if flags & mavlink.AIS_FLAGS_VALID_VELOCITY:
        row["speed_mps"] = message.velocity / 100.0
    if flags & mavlink.AIS_FLAGS_VALID_COG:
        row["course_deg"] = message.COG / 100.0 % 360.0
    if message.heading < 36_000:
        row["heading_deg"] = message.heading / 100.0
    if 0 < message.tslc <= _MAX_AIS_AGE_S:
        row["observed_at_us"] -= message.tslc * US_PER_S
    if message.navigational_status == _NAV_STATUS_SART or message.MMSI // 1_000_000 in _BEACON_PREFIXES:
        row["flags"] |= np.uint32(ObservationFlag.DISTRESS)
        row["subject_kind"] = SubjectKind.DISTRESS_BEACON
    facts: dict[str, Any] = {"nav_status": message.navigational_status, "ship_type": message.type}
    if name := message.name.strip(" @\0"):
        facts["name"] = name
    if callsign := message.callsign.strip(" @\0"):
        facts["callsign"] = callsign
    if flags & mavlink.AIS_FLAGS_VALID_DIMENSIONS:
        facts["length_m"] = message.dimension_bow + message.dimension_stern
        facts["beam_m"] = message.dimension_port + message.dimension_starboard
    return facts
