"""What one sender on a MAVLink link has told about itself, and its identity once that is settled.

Message definitions: https://mavlink.io/en/messages/common.html and ardupilotmega.html.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
from pymavlink import mavutil
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from command.domain.clock import US_PER_S
from command.domain.observation import ObservationFlag, SubjectKind
from sensors.mavlink.quality import SequenceMeter, radio_percent

DepthSource = Literal["relative_alt", "pressure2", "pressure3"]

STANDARD_GRAVITY_MPS2: Final = 9.80665
_FRESH_US: Final = 5 * US_PER_S
_SLOWEST_COURSE_MPS: Final = 0.2
"""Below this a course over ground is noise."""
_UINT16_UNKNOWN: Final = 65_535

_KINDS: Final[Mapping[int, SubjectKind]] = {
    mavlink.MAV_TYPE_SUBMARINE: SubjectKind.UNDERWATER_DRONE,
    mavlink.MAV_TYPE_SURFACE_BOAT: SubjectKind.SURFACE_DRONE,
    mavlink.MAV_TYPE_GROUND_ROVER: SubjectKind.UNKNOWN,
    mavlink.MAV_TYPE_GENERIC: SubjectKind.UNKNOWN,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class DepthReference:
    """Where an underwater vehicle's depth comes from.

    `relative_alt`: depth = -relative_alt of GLOBAL_POSITION_INT, true where home was set at the surface (ArduSub does
    so). `pressure2` / `pressure3`: depth = (press_abs - surface pressure) * 100 / (density * g) of SCALED_PRESSURE2/3;
    which index is the outside sensor varies by vehicle.
    """

    source: DepthSource = "relative_alt"
    surface_pressure_hpa: float = 1_013.25
    water_density_kgm3: float = 1_025.0

    def from_pressure_m(self, pressure_hpa: float) -> float:
        """Metres below the surface, positive down."""
        return (pressure_hpa - self.surface_pressure_hpa) * 100.0 / (self.water_density_kgm3 * STANDARD_GRAVITY_MPS2)


@dataclass(slots=True)
class Held:
    """A row that waits for its vehicle's identity. `contact` is set where the row is about something it sees."""

    row: npt.NDArray[np.void]
    raw: bytes
    attributes: dict[str, Any]
    contact: str | None = None


@dataclass(kw_only=True)
class Vehicle:
    """One sender (origin, system, component). It is a vehicle once a HEARTBEAT with an autopilot says so."""

    origin: str
    system: int
    component: int
    first_us: int
    depth: DepthReference
    last_us: int = 0
    is_autopilot: bool = False
    is_ground_station: bool = False
    is_part: bool = False
    """A camera, gimbal or battery of the vehicle with the same system id: it beats, and has no autopilot."""
    uid: str = ""
    key_text: str = ""
    """Empty until the identity is settled."""
    identity: str = ""
    """`hardware`, `system_id` or `address`: what the identity rests on."""
    kind: SubjectKind = SubjectKind.UNKNOWN
    facts: dict[str, Any] = field(default_factory=dict)
    """Attributes: `vehicle`, `mode`, `armed` and the numbers that have no column."""
    changed: bool = True
    battery_percent: float = math.nan
    radio_link_percent: float = math.nan
    sequence: SequenceMeter = field(default_factory=SequenceMeter)
    held: list[Held] = field(default_factory=list)
    last_row_us: int = 0
    last_facts_us: int = 0
    versions_asked: int = 0
    recent: deque[tuple[bytes, int]] = field(default_factory=lambda: deque(maxlen=8))
    _batteries: dict[int, float] = field(default_factory=dict)
    _pressure_depth_m: float = math.nan
    _radio_us: int = 0
    _fix_type: int | None = None
    _fix_us: int = 0
    _accuracy_m: float = math.nan
    _said: tuple[Any, ...] = ()

    @property
    def speaks_for_itself(self) -> bool:
        return self.is_autopilot and not self.is_ground_station

    @property
    def link_percent(self) -> float:
        """The worse of sequence loss and radio margin, where known."""
        known = [self.sequence.percent]
        if self.last_us - self._radio_us < _FRESH_US:
            known.append(self.radio_link_percent)
        known = [percent for percent in known if not math.isnan(percent)]
        return min(known, default=math.nan)

    def learn(self, message: Any, *, received_at_us: int) -> bool:
        """Take what a message says about the vehicle's state. True where a person would want to know of the change."""
        reader = _READERS.get(message.get_msgId())
        if reader is not None:
            reader(self, message, received_at_us)
        battery = -1 if math.isnan(self.battery_percent) else round(self.battery_percent)
        link = 5 if math.isnan(self.link_percent) else int(self.link_percent // 20.0)
        said = (self.facts.get("mode"), self.facts.get("armed"), battery, link)
        news, self._said = said != self._said, said
        self.changed = self.changed or news
        return news

    def radio(self, message: Any, *, received_at_us: int) -> None:
        """RADIO_STATUS of the link's radio (its own system 51), which speaks about every vehicle behind it."""
        self.radio_link_percent = radio_percent(
            rssi=message.rssi, noise=message.noise, remote_rssi=message.remrssi, remote_noise=message.remnoise
        )
        self._radio_us = received_at_us

    def fill(self, row: npt.NDArray[np.void]) -> None:
        """Put the state into one row of OBSERVATION_DTYPE, shape (1,)."""
        row["battery_percent"] = self.battery_percent
        row["link_percent"] = self.link_percent
        row["flags"] |= np.uint32(ObservationFlag.ASSET | ObservationFlag.TIME_RECEIVED)

    def place(self, row: npt.NDArray[np.void], message: Any, *, received_at_us: int) -> None:
        """Put a GLOBAL_POSITION_INT into one row. lat = lon = 0 or a fix under 2 is no position: NaN."""
        no_fix_type = self._fix_type is not None and self._fix_type < 2 and received_at_us - self._fix_us < _FRESH_US
        if (message.lat == 0 and message.lon == 0) or no_fix_type:
            row["flags"] |= np.uint32(ObservationFlag.NO_FIX)
        else:
            row["lon"], row["lat"] = message.lon / 1e7, message.lat / 1e7
            row["altitude_amsl_m"] = message.alt / 1_000.0
            row["position_error_m"] = self._accuracy_m
            speed_mps = math.hypot(message.vx, message.vy) / 100.0
            row["speed_mps"] = speed_mps
            if speed_mps >= _SLOWEST_COURSE_MPS:
                row["course_deg"] = math.degrees(math.atan2(message.vy, message.vx)) % 360.0
        if message.hdg != _UINT16_UNKNOWN:
            row["heading_deg"] = message.hdg / 100.0 % 360.0
        row["height_m"] = message.relative_alt / 1_000.0
        row["depth_m"] = self._pressure_depth_m

    def finish(self, row: npt.NDArray[np.void]) -> None:
        """Put what only the settled kind decides into one row: the kind, and depth instead of height under water."""
        row["subject_kind"] = self.kind
        if self.kind is not SubjectKind.UNDERWATER_DRONE:
            row["depth_m"] = np.nan
            return
        if self.depth.source == "relative_alt":
            row["depth_m"] = -row["height_m"]
        row["height_m"] = np.nan

    def _set(self, **facts: float | str | bool | None) -> None:
        for name, value in facts.items():
            if value is None or (isinstance(value, float) and not math.isfinite(value)):
                self.facts.pop(name, None)
            else:
                self.facts[name] = round(value, 3) if isinstance(value, float) else value

    def _heartbeat(self, message: Any, received_at_us: int) -> None:
        del received_at_us
        self.is_ground_station = message.type == mavlink.MAV_TYPE_GCS
        self.is_autopilot = message.autopilot != mavlink.MAV_AUTOPILOT_INVALID
        self.is_part = not self.is_autopilot and not self.is_ground_station
        if not self.speaks_for_itself:
            return
        self.kind = _KINDS.get(message.type, SubjectKind.AIR_DRONE)
        self._set(
            vehicle=_word("MAV_TYPE", message.type),
            mode=str(mavutil.mode_string_v10(message)),
            armed=bool(message.base_mode & mavlink.MAV_MODE_FLAG_SAFETY_ARMED),
            state=_word("MAV_STATE", message.system_status),
            system_id=self.system,
            label=f"MAV {self.system}",
        )

    def _sys_status(self, message: Any, received_at_us: int) -> None:
        del received_at_us
        self._set(
            voltage_v=message.voltage_battery / 1_000.0 if message.voltage_battery != _UINT16_UNKNOWN else None,
            current_a=message.current_battery / 100.0 if message.current_battery != -1 else None,
        )
        if not self._batteries:
            self.battery_percent = _percent(message.battery_remaining)

    def _battery_status(self, message: Any, received_at_us: int) -> None:
        del received_at_us
        percent = _percent(message.battery_remaining)
        if not math.isnan(percent):
            self._batteries[message.id] = percent
            self.battery_percent = min(self._batteries.values())
        elif self._batteries.pop(message.id, None) is not None:
            self.battery_percent = min(self._batteries.values(), default=math.nan)
        if message.id == 0:
            self._set(used_mah=float(message.current_consumed) if message.current_consumed != -1 else None)

    def _gps_raw(self, message: Any, received_at_us: int) -> None:
        self._fix_type, self._fix_us = message.fix_type, received_at_us
        self._accuracy_m = message.h_acc / 1_000.0 if getattr(message, "h_acc", 0) else math.nan
        self._set(
            fix=_word("GPS_FIX_TYPE", message.fix_type),
            satellites=message.satellites_visible if message.satellites_visible != 255 else None,
        )

    def _attitude(self, message: Any, received_at_us: int) -> None:
        del received_at_us
        self._set(roll_deg=math.degrees(message.roll), pitch_deg=math.degrees(message.pitch))

    def _vfr_hud(self, message: Any, received_at_us: int) -> None:
        del received_at_us
        # alt is relative in some autopilots and above sea level in others: not used
        self._set(climb_mps=float(message.climb), throttle_percent=float(message.throttle))

    def _pressure(self, message: Any, received_at_us: int) -> None:
        del received_at_us
        index = {"SCALED_PRESSURE2": "pressure2", "SCALED_PRESSURE3": "pressure3"}.get(message.get_type())
        if index == self.depth.source:
            self._pressure_depth_m = self.depth.from_pressure_m(message.press_abs)
        if index is None:
            self._set(pressure_hpa=float(message.press_abs))
        elif index == "pressure2" and self.kind is SubjectKind.UNDERWATER_DRONE:
            self._set(outside_temperature_degc=message.temperature / 100.0)

    def _distance(self, message: Any, received_at_us: int) -> None:
        del received_at_us
        inside = message.min_distance <= message.current_distance <= message.max_distance
        if message.orientation == mavlink.MAV_SENSOR_ROTATION_PITCH_270:
            self._set(distance_down_m=message.current_distance / 100.0 if inside else None)

    def _version(self, message: Any, received_at_us: int) -> None:
        del received_at_us
        uid2 = bytes(message.uid2)
        self.uid = uid2.hex() if any(uid2) else f"{message.uid:016x}" if message.uid else ""
        version = message.flight_sw_version
        self._set(firmware=f"{version >> 24}.{version >> 16 & 0xFF}.{version >> 8 & 0xFF}", uid=self.uid or None)


def _percent(value: int) -> float:
    return float(value) if 0 <= value <= 100 else math.nan


def _word(enum: str, value: int) -> str:
    """The enum's name for a value, small: MAV_TYPE_QUADROTOR is `quadrotor`; a number that it lacks stays."""
    entry = mavlink.enums[enum].get(value)
    return entry.name.removeprefix(enum + "_").lower() if entry is not None else str(value)


_READERS: Final[Mapping[int, Callable[[Vehicle, Any, int], None]]] = {
    mavlink.MAVLINK_MSG_ID_HEARTBEAT: Vehicle._heartbeat,
    mavlink.MAVLINK_MSG_ID_SYS_STATUS: Vehicle._sys_status,
    mavlink.MAVLINK_MSG_ID_BATTERY_STATUS: Vehicle._battery_status,
    mavlink.MAVLINK_MSG_ID_GPS_RAW_INT: Vehicle._gps_raw,
    mavlink.MAVLINK_MSG_ID_ATTITUDE: Vehicle._attitude,
    mavlink.MAVLINK_MSG_ID_VFR_HUD: Vehicle._vfr_hud,
    mavlink.MAVLINK_MSG_ID_SCALED_PRESSURE: Vehicle._pressure,
    mavlink.MAVLINK_MSG_ID_SCALED_PRESSURE2: Vehicle._pressure,
    mavlink.MAVLINK_MSG_ID_SCALED_PRESSURE3: Vehicle._pressure,
    mavlink.MAVLINK_MSG_ID_DISTANCE_SENSOR: Vehicle._distance,
    mavlink.MAVLINK_MSG_ID_AUTOPILOT_VERSION: Vehicle._version,
}

STATE_MESSAGES: Final = frozenset(_READERS)
"""Ids whose fields `Vehicle.learn` reads."""
