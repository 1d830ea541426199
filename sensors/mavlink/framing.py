"""MAVLink frames out of bytes: cut, checksum-checked, and never losing a good frame behind a broken one.

Frame formats and the checksum (CRC-16/MCRF4XX with a per-message CRC_EXTRA byte): https://mavlink.io/en/guide/serialization.html
Signatures are carried along and not verified: the link has no key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pymavlink.dialects.v20 import ardupilotmega as mavlink

V1_MARK: Final = 0xFE
V2_MARK: Final = 0xFD
MAX_FRAME_BYTES: Final = 10 + 255 + 2 + 13
"""The longest MAVLink 2 frame: header, payload, checksum, signature."""

_MARK: Final = re.compile(b"[\xfd\xfe]")
_V1_HEAD: Final = 6
_V2_HEAD: Final = 10
_CHECKSUM: Final = 2
_SIGNATURE: Final = 13
_SIGNED: Final = 0x01

NAMES: Final[dict[int, str]] = {number: cls.msgname for number, cls in mavlink.mavlink_map.items()}
"""Message names by id, of the dialect ardupilotmega (it includes common and standard)."""
_CRC_EXTRA: Final[dict[int, int]] = {number: cls.crc_extra for number, cls in mavlink.mavlink_map.items()}


@dataclass(frozen=True, slots=True)
class Frame:
    """One whole frame. `known` is False for an id that the dialect lacks: its checksum could not be verified."""

    raw: bytes
    message_id: int
    sequence: int
    system: int
    component: int
    known: bool = True

    @property
    def name(self) -> str:
        return NAMES.get(self.message_id, "unknown_message")


@dataclass(frozen=True, slots=True)
class Garbage:
    """Bytes that are no frame, and why: `noise`, `bad_checksum`, `truncated`, `unsupported_flags`."""

    raw: bytes
    reason: str


class FrameCutter:
    """Cuts one sender's byte stream. With `whole`, each piece fed holds whole frames only (records of a .tlog).

    A candidate with a wrong checksum is one piece of garbage; the search goes on at the byte after its mark, so a
    good frame that starts inside it is found.
    """

    def __init__(self, *, whole: bool = False) -> None:
        self._whole = whole
        self._held = b""

    def feed(self, data: bytes, *, end: bool = False) -> Iterator[Frame | Garbage]:
        """Frames and garbage in `data`, in order. With `end` nothing is held back for bytes to come."""
        buffer = self._held + data
        final = end or self._whole
        self._held = b""
        at = given = 0  # bytes before `given` were yielded
        bad_end, bad_reason = 0, ""  # given..bad_end is a candidate that failed, searched for a frame inside it
        while mark := _MARK.search(buffer, at):
            start = mark.start()
            if bad_reason and start >= bad_end:
                yield Garbage(buffer[given:bad_end], bad_reason)
                given, bad_reason = bad_end, ""
            verdict = self._judge(buffer, start)
            if isinstance(verdict, Frame) and (verdict.known or not bad_reason):
                if given < start:
                    yield Garbage(buffer[given:start], bad_reason or "noise")
                yield verdict
                at = given = start + len(verdict.raw)
                bad_reason = ""
                continue
            reason, length = ("noise", 1) if isinstance(verdict, Frame) else verdict
            if reason == "truncated" and not final:
                if given < start:
                    yield Garbage(buffer[given:start], bad_reason or "noise")
                self._held = buffer[start:]
                return
            if not bad_reason and reason != "noise":
                if given < start:
                    yield Garbage(buffer[given:start], "noise")
                given, bad_end, bad_reason = start, start + length, reason
            at = start + 1
        if bad_reason:
            yield Garbage(buffer[given:bad_end], bad_reason)
            given = bad_end
        if given < len(buffer):
            yield Garbage(buffer[given:], "noise")

    @staticmethod
    def _judge(buffer: bytes, start: int) -> Frame | tuple[str, int]:
        """The frame at `start`, or the reason why there is none and the length that the candidate claims."""
        left = len(buffer) - start
        version2 = buffer[start] == V2_MARK
        head = _V2_HEAD if version2 else _V1_HEAD
        if left < head:
            return "truncated", left
        flags = buffer[start + 2] if version2 else 0
        payload = buffer[start + 1]
        length = head + payload + _CHECKSUM + (_SIGNATURE if flags & _SIGNED else 0)
        if left < length:
            return "truncated", left
        if version2:
            sequence, system, component = buffer[start + 4], buffer[start + 5], buffer[start + 6]
            message_id = int.from_bytes(buffer[start + 7 : start + 10], "little")
        else:
            sequence, system, component, message_id = buffer[start + 2 : start + 6]
        raw = buffer[start : start + length]
        extra = _CRC_EXTRA.get(message_id)
        if extra is None:
            after = start + length
            plausible = after == len(buffer) or buffer[after] in (V1_MARK, V2_MARK)
            return Frame(raw, message_id, sequence, system, component, known=False) if plausible else ("noise", 1)
        checked = raw[1 : head + payload] + bytes((extra,))
        if mavlink.x25crc(checked).crc != int.from_bytes(raw[head + payload : head + payload + _CHECKSUM], "little"):
            return "bad_checksum", length
        if flags & ~_SIGNED:
            return "unsupported_flags", length
        return Frame(raw, message_id, sequence, system, component)
