"""Recorded flights and dives, flown again: the vehicle's own frames, time-shifted, with running sequence numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import chain, repeat
from pathlib import Path
from typing import Final

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from command.domain.clock import US_PER_S
from command.domain.geo import MPS_PER_KNOT
from command.operations.drills.motion import Plan
from sensors.mavlink.framing import V2_MARK, Frame, FrameCutter
from sensors.mavlink.tlog import read_tlog

_VERSION_EVERY_S: Final = 2.0
_CAMERA_EVERY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Play:
    """A stretch of the recording, seconds since its first record."""

    from_s: float
    until_s: float

    @property
    def duration_s(self) -> float:
        return self.until_s - self.from_s


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing is sent for this long."""

    duration_s: float


@dataclass(frozen=True, kw_only=True)
class Flight:
    """A recording's vehicle and the order in which its stretches are played: `once`, then `again` for ever.

    Payloads are as recorded. The sequence numbers are counted anew, so that a cut is no loss, and the recorded
    AUTOPILOT_VERSION is repeated, as a vehicle does that was told to stream it: a gateway that starts in the middle
    knows at once which vehicle it hears.
    """

    recording: str
    system: int
    once: tuple[Play | Silence, ...]
    again: tuple[Play | Silence, ...]

    @property
    def hardware_uid(self) -> str:
        """What the vehicle says of its hardware, as sensors.mavlink knows it (hex)."""
        raw = _version_frame(self.recording, self.system)
        version = mavlink.MAVLink(None).decode(bytearray(raw))
        return bytes(version.uid2).hex()

    def messages(self, from_s: float) -> Iterator[tuple[float, bytes]]:
        """(t_s, frame), in order of time, for ever."""
        frames = recorded_frames(self.recording, self.system)
        version = _version_frame(self.recording, self.system)
        sequence, begins_s, version_s = 0, 0.0, -math.inf
        for stretch in chain(self.once, chain.from_iterable(repeat(self.again))):
            ends_s = begins_s + stretch.duration_s
            if isinstance(stretch, Play) and ends_s > from_s:
                for at_s, raw in frames:
                    t_s = begins_s + at_s - stretch.from_s
                    if not stretch.from_s <= at_s < stretch.until_s or t_s < from_s:
                        continue
                    if t_s - version_s >= _VERSION_EVERY_S:
                        yield t_s, renumbered(version, sequence)
                        sequence, version_s = (sequence + 1) % 256, t_s
                    yield t_s, renumbered(raw, sequence)
                    sequence = (sequence + 1) % 256
            begins_s = ends_s


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A drone's camera that tracks something: its HEARTBEAT and CAMERA_TRACKING_GEO_STATUS, once a second."""

    system: int
    target: Plan
    from_s: float
    until_s: float
    error_m: float = 12.0

    def messages(self, from_s: float) -> Iterator[tuple[float, bytes]]:
        """(t_s, frames), in order of time, until the target is lost from sight."""
        encoder = mavlink.MAVLink(None, srcSystem=self.system, srcComponent=mavlink.MAV_COMP_ID_CAMERA)
        beat = mavlink.MAVLink_heartbeat_message(
            mavlink.MAV_TYPE_CAMERA, mavlink.MAV_AUTOPILOT_INVALID, 0, 0, mavlink.MAV_STATE_ACTIVE, 3
        )
        number = max(0, math.ceil((from_s - self.from_s) / _CAMERA_EVERY_S))
        while (t_s := self.from_s + number * _CAMERA_EVERY_S) < self.until_s:
            seen = self.target.at(t_s)
            speed_mps, course = seen.speed_kn * MPS_PER_KNOT, math.radians(seen.course_deg)
            status = mavlink.MAVLink_camera_tracking_geo_status_message(
                mavlink.CAMERA_TRACKING_STATUS_FLAGS_ACTIVE,
                round(seen.lat * 1e7),
                round(seen.lon * 1e7),
                0.0,
                self.error_m,
                5.0,
                speed_mps * math.cos(course),
                speed_mps * math.sin(course),
                0.0,
                0.5,
                math.nan,
                math.nan,
                math.nan,
            )
            for part, message in enumerate((beat, status)):
                encoder.seq = (2 * number + part) % 256
                yield t_s, bytes(message.pack(encoder))
            number += 1


@cache
def recorded_frames(recording: str, system: int) -> tuple[tuple[float, bytes], ...]:
    """(seconds since the first record, frame) of everything that `system` said in a recording of this package."""
    found: list[tuple[float, bytes]] = []
    first_us: int | None = None
    cutter = FrameCutter(whole=True)
    with resources.as_file(resources.files(__package__) / "recordings" / recording) as path:
        for record in read_tlog(Path(path)):
            at_us = record.recorded_at_us or 0
            first_us = at_us if first_us is None else first_us
            at_s = (at_us - first_us) / US_PER_S
            pieces = cutter.feed(record.data)
            found += [(at_s, piece.raw) for piece in pieces if isinstance(piece, Frame) and piece.system == system]
    return tuple(found)


@cache
def _version_frame(recording: str, system: int) -> bytes:
    wanted = mavlink.MAVLINK_MSG_ID_AUTOPILOT_VERSION.to_bytes(3, "little")
    return next(raw for _, raw in recorded_frames(recording, system) if raw[0] == V2_MARK and raw[7:10] == wanted)


def renumbered(raw: bytes, sequence: int) -> bytes:
    """A MAVLink 2 frame, unsigned, with another sequence number and the checksum that goes with it."""
    frame = bytearray(raw)
    frame[4] = sequence
    extra = mavlink.mavlink_map[int.from_bytes(raw[7:10], "little")].crc_extra
    frame[-2:] = mavlink.x25crc(bytes(frame[1:-2]) + bytes((extra,))).crc.to_bytes(2, "little")
    return bytes(frame)
