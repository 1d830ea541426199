"""Events out of bytes: whole datagrams (XML, or TAK protocol v1 behind its mesh header), and XML out of a stream.

A stream of CoT is one `<event ...>...</event>` after the other, with nothing agreed between them, so the tags are
looked for. Bounded: one buffer an origin, each at most MAX_EVENT_BYTES, and a bounded number of origins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from command.domain.cot import MESH_HEADER

MAX_EVENT_BYTES: Final = 65_536
"""Larger than any datagram; an event with a long remark has two kilobytes."""
MAX_ORIGINS: Final = 1_024
_OPEN: Final = re.compile(rb"<event[\s>/]")
_CLOSE: Final = b"</event>"
_LONGEST_OPEN: Final = len(b"<event") + 1
_BETWEEN: Final = re.compile(rb"(?:\s|<\?xml[^>]{0,200}\?>)*")
"""What may stand between two events and is none: white space and the declaration of the next one."""


class Framed(NamedTuple):
    """The bytes of one event, or of what is none and why."""

    data: bytes
    is_protobuf: bool = False
    problem: str | None = None


def frame_datagram(data: bytes) -> Iterator[Framed]:
    """The events of one datagram. One that is cut in the middle of an event is `truncated`."""
    if data.startswith(MESH_HEADER):
        yield Framed(data[len(MESH_HEADER) :], is_protobuf=True)
        return
    stream = EventStream()
    yield from stream.push(data, "")
    yield from stream.end()


class EventStream:
    """XML events out of streams, each origin's by itself."""

    def __init__(self) -> None:
        self._rest: dict[str, bytes] = {}

    def push(self, data: bytes, origin: str) -> Iterator[Framed]:
        """The events that `data` completes, and what stood between them and is none."""
        rest = self._rest.pop(origin, b"") + data
        while True:
            found = _OPEN.search(rest)
            if found is None:
                kept = _partial_open(rest)
                yield from _noise(rest[: len(rest) - kept])
                rest = rest[len(rest) - kept :]
                break
            yield from _noise(rest[: found.start()])
            rest = rest[found.start() :]
            end = rest.find(_CLOSE)
            following = _OPEN.search(rest, _LONGEST_OPEN, end if end >= 0 else len(rest))
            if following is not None:  # another event begins before this one has ended
                yield Framed(rest[: following.start()][:MAX_EVENT_BYTES], problem="truncated")
                rest = rest[following.start() :]
            elif end >= 0:
                yield _whole(rest[: end + len(_CLOSE)])
                rest = rest[end + len(_CLOSE) :]
            elif len(rest) > MAX_EVENT_BYTES:
                yield Framed(rest[:MAX_EVENT_BYTES], problem="event_too_long")
                rest = rest[_LONGEST_OPEN:]  # what follows of it is noise until the next event begins
                rest = rest[len(rest) - _partial_open(rest) :]
            else:
                break
        if rest:
            self._rest[origin] = rest
            if len(self._rest) > MAX_ORIGINS:
                yield Framed(self._rest.pop(next(iter(self._rest))), problem="truncated")

    def end(self) -> Iterator[Framed]:
        """What each origin left unfinished."""
        for rest in self._rest.values():
            if _OPEN.match(rest):
                yield Framed(rest, problem="truncated")
            else:
                yield from _noise(rest)
        self._rest.clear()


def _whole(data: bytes) -> Framed:
    return Framed(data[:MAX_EVENT_BYTES], problem="event_too_long" if len(data) > MAX_EVENT_BYTES else None)


def _noise(data: bytes) -> Iterator[Framed]:
    """What stands between events: nothing where it is only white space and declarations."""
    rest = data[_BETWEEN.match(data).end() :]  # type: ignore[union-attr]  # it matches the empty text too
    if rest:
        yield Framed(rest[:MAX_EVENT_BYTES], problem="not_cot")


def _partial_open(data: bytes) -> int:
    """How many bytes at the end of `data` may be the beginning of an event, or of the declaration before one."""
    begin = data.rfind(b"<", -256)
    if begin < 0:
        return 0
    tail = data[begin:]
    begins = b"<event".startswith(tail[:6]) or (b"<?xml".startswith(tail[:5]) and b">" not in tail)
    return len(tail) if begins else 0
