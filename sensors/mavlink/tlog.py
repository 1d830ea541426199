"""Telemetry logs (.tlog): each frame behind 8 bytes of big-endian microseconds since 1970.

Format: https://ardupilot.org/planner/docs/mission-planner-telemetry-logs.html. MAVProxy keeps a link number in the
lowest two bits of the time, which is less than its resolution.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final

from command.domain.clock import US_PER_S
from sensors.mavlink.framing import MAX_FRAME_BYTES, V1_MARK, V2_MARK, Frame, FrameCutter
from sensors.source import Record

_TIME: Final = struct.Struct(">Q")
_CHUNK_BYTES: Final = 1 << 20
_LONGEST_PAUSE_US: Final = 3 * 24 * 3_600 * US_PER_S
"""Times of one log further apart than this are not times: the limit that pymavlink's own reader has."""
_LATEST_US: Final = 4_102_444_800 * US_PER_S
"""2100-01-01: no log is from later."""


def is_tlog(path: Path) -> bool:
    """Whether a file is a telemetry log, by its name."""
    return path.suffix.lower() == ".tlog"


def read_tlog(path: Path) -> Iterator[Record]:
    """The records of a log in order, each the bytes after one time. Raises OSError where the file cannot be read.

    Bytes that fit no record (a torn write, noise) come as a record of their own with the time of the last one, so
    that the decoder counts them; reading goes on at the next place that looks like a record.
    """
    with path.open("rb") as file:
        yield from _records(file)


def holds_a_frame(head: bytes) -> bool:
    """Whether the first bytes of a file have a time and behind it a MAVLink frame whose checksum is right."""
    return any(
        isinstance(piece, Frame) and piece.known
        for record in _records(BytesIO(head))
        for piece in FrameCutter(whole=True).feed(record.data)
    )


def _records(file: BinaryIO) -> Iterator[Record]:
    buffer, at, last_us = b"", 0, None
    ended = False
    while True:
        if not ended and len(buffer) - at < _CHUNK_BYTES // 2:
            more = file.read(_CHUNK_BYTES)
            ended = not more
            buffer, at = buffer[at:] + more, 0
        if at >= len(buffer):
            if ended:
                return
            continue
        length = _record_bytes(buffer, at, last_us)
        if length:
            last_us = _TIME.unpack_from(buffer, at)[0]
            yield Record(buffer[at + _TIME.size : at + length], last_us)
        else:
            length = _garbage_bytes(buffer, at, last_us)
            yield Record(buffer[at : at + length], last_us)
        at += length


def _record_bytes(buffer: bytes, at: int, last_us: int | None) -> int:
    """The length of the record at `at`, time included; 0 where none begins."""
    mark_at = at + _TIME.size
    if mark_at + 3 > len(buffer):
        return 0
    time_us = _TIME.unpack_from(buffer, at)[0]
    if not 0 < time_us < _LATEST_US or (last_us is not None and abs(time_us - last_us) > _LONGEST_PAUSE_US):
        return 0
    mark, payload, flags = buffer[mark_at : mark_at + 3]
    if mark == V1_MARK:
        length = _TIME.size + 8 + payload
    elif mark == V2_MARK:
        length = _TIME.size + 12 + payload + (13 if flags & 1 else 0)
    else:
        return 0
    return min(length, len(buffer) - at)


def _garbage_bytes(buffer: bytes, at: int, last_us: int | None) -> int:
    """How many bytes from `at` on are no record; a bounded piece at a time."""
    longest = min(len(buffer) - at, 16 * MAX_FRAME_BYTES)
    return next((n for n in range(1, longest) if _record_bytes(buffer, at + n, last_us)), longest)
