"""Recorded CoT: events one after the other in a file, as a logger of a TAK network writes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from sensors.cot.event import BadEvent, read_xml
from sensors.cot.framing import EventStream, Framed
from sensors.source import Record

_PIECE_BYTES: Final = 65_536


def read_cot(path: Path) -> Iterator[Record]:
    """The events of a file in their order, each at its own time; what is no event stays behind the one before it."""
    last_us: int | None = None
    for framed in _framed(path):
        if framed.problem is None:
            with suppress(BadEvent):  # the decoder counts it, by its reason
                last_us = max(read_xml(framed.data).time_us, last_us or 0)
        yield Record(framed.data, path.stat().st_mtime_ns // 1_000 if last_us is None else last_us)


def _framed(path: Path) -> Iterator[Framed]:
    stream = EventStream()
    with path.open("rb") as file:
        while data := file.read(_PIECE_BYTES):
            yield from stream.push(data, "")
    yield from stream.end()
