"""STATUSTEXT: texts of up to 50 bytes, or longer ones in chunks under one id (https://mavlink.io/en/messages/common.html#STATUSTEXT)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from command.domain.clock import US_PER_S
from sensors.mavlink.vehicle import Vehicle

CHUNK_BYTES: Final = 50
MAX_UNFINISHED: Final = 64
WAIT_US: Final = 2 * US_PER_S
"""So long a text waits for its other chunks; then what came is shown, with … for what did not."""


@dataclass(slots=True)
class _Unfinished:
    vehicle: Vehicle
    severity: str
    started_at_us: int
    raw: bytes = b""
    chunks: dict[int, bytes] = field(default_factory=dict)
    last_chunk: int | None = None

    @property
    def is_whole(self) -> bool:
        return self.last_chunk is not None and all(n in self.chunks for n in range(self.last_chunk + 1))

    def told(self) -> dict[str, Any]:
        end = self.last_chunk if self.last_chunk is not None else max(self.chunks)
        gap = "…".encode()  # a character may lie across two chunks: bytes are joined before they are read
        whole = b"".join(self.chunks.get(n, gap) for n in range(end + 1)) + (gap if self.last_chunk is None else b"")
        return {"text": _readable(whole), "severity": self.severity, "raw": self.raw}


class TextAssembler:
    """Puts chunked texts together, by sender and id."""

    def __init__(self) -> None:
        self._unfinished: dict[tuple[str, int, int, int], _Unfinished] = {}

    def add(self, vehicle: Vehicle, message: Any, raw: bytes, *, received_at_us: int) -> Iterator[dict[str, Any]]:
        """Whole texts ({text, severity, raw}) that this message finishes. `message` is a pymavlink STATUSTEXT."""
        piece = bytes(message._text_raw).split(b"\0", 1)[0]  # pymavlink's `text` is ASCII only
        severity = _SEVERITIES.get(message.severity, str(message.severity))
        if not message.id:
            yield {"text": _readable(piece), "severity": severity, "raw": raw}
            return
        key = (vehicle.origin, vehicle.system, vehicle.component, message.id)
        known = self._unfinished.get(key)
        if known is not None and known.chunks.get(message.chunk_seq, piece) != piece:
            yield self._unfinished.pop(key).told()  # the id was used again before the old text was whole
            known = None
        if known is None:
            if len(self._unfinished) >= MAX_UNFINISHED:
                yield self._unfinished.pop(next(iter(self._unfinished))).told()
            known = self._unfinished[key] = _Unfinished(vehicle, severity, received_at_us)
        known.chunks[message.chunk_seq] = piece
        known.raw += raw
        if len(piece) < CHUNK_BYTES:
            known.last_chunk = message.chunk_seq
        if known.is_whole:
            yield self._unfinished.pop(key).told()

    def expire(self, now_us: int, *, end: bool = False) -> Iterator[tuple[Vehicle, dict[str, Any]]]:
        """Texts whose other chunks did not come in time; all of them at the end."""
        for key, text in list(self._unfinished.items()):
            if end or now_us - text.started_at_us >= WAIT_US:
                del self._unfinished[key]
                yield text.vehicle, text.told()


def _readable(piece: bytes) -> str:
    return piece.decode("utf-8", "replace")


_SEVERITIES: Final = {
    number: entry.name.removeprefix("MAV_SEVERITY_").lower()
    for number, entry in mavlink.enums["MAV_SEVERITY"].items()
    if not entry.name.endswith("ENUM_END")
}
