"""NMEA 0183 (IEC 61162-1) on the wire: lines out of a byte stream, checksums, tag blocks, and the time a bus tells.

Tag blocks are those of IEC 61162-450: `\\g:1-2-34,s:station,c:1565218798*hh\\` before a sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from command.domain.clock import US_PER_S, to_us

MAX_LINE_BYTES: Final = 1_024
"""A sentence has at most 82 characters and a tag block 80; nothing that is longer than this is kept."""
MAX_ORIGINS: Final = 1_024
_HEX: Final = {
    bytes((high, low)): value
    for value in range(256)
    for high in f"{value >> 4:x}{value >> 4:X}".encode()
    for low in f"{value & 15:x}{value & 15:X}".encode()
}
_EARLIEST_US: Final = to_us(datetime(1990, 1, 1, tzinfo=UTC))
_LATEST_US: Final = to_us(datetime(2100, 1, 1, tzinfo=UTC))
_MILLISECONDS_FROM: Final = 100_000_000_000
"""A `c:` above this is in milliseconds: as seconds it would be after the year 5138 (the standard has both)."""
STEP_BACK_US: Final = 30 * US_PER_S
"""Several talkers on one bus lag each other by seconds; a step back beyond this is a new recording."""


class BadSentence(ValueError):
    """A line that is no valid sentence. `reason` is the word that it is counted by."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class TagBlock:
    """What a tag block says: the station's time, its name, and (line, lines, id) of its group; None where absent."""

    time_us: int | None = None
    station: str | None = None
    group: tuple[int, int, int] | None = None


def checksum(data: bytes) -> int:
    """The XOR of all bytes of `data` (0 to 255), folded in halves instead of looped over: it is on the hot path."""
    folded = int.from_bytes(data, "little")
    width = 512
    while folded >> (2 * width):
        width *= 2
    while width >= 8:
        folded = (folded >> width) ^ (folded & ((1 << width) - 1))
        width //= 2
    return folded


def checked(sentence: bytes) -> bytes:
    """The body between the start character and `*` of a sentence whose checksum is right.

    Raises BadSentence with no_checksum, bad_checksum, truncated (a new start character inside) or not_nmea.
    """
    if sentence[:1] not in (b"!", b"$") or not sentence.isascii():
        raise BadSentence("not_nmea")
    body, star, given = sentence[1:].rpartition(b"*")
    if not star or len(given) != 2:
        raise BadSentence("no_checksum")
    if _HEX.get(given) != checksum(body):
        raise BadSentence("bad_checksum")
    return body


def split_tag(line: bytes) -> tuple[bytes, bytes]:
    """(tag block without its backslashes, sentence); the tag block is empty where there is none."""
    if line[:1] != b"\\":
        return b"", line
    tag, end, sentence = line[1:].partition(b"\\")
    return (tag, sentence) if end else (b"", line)


def read_tag(tag: bytes) -> TagBlock | None:
    """What a tag block says, or None where its own checksum is wrong, so that nothing of it may be believed."""
    fields, star, given = tag.rpartition(b"*")
    if not star or _HEX.get(given) not in (checksum(fields), _checksum_behind_group(fields)):
        return None
    time_us: int | None = None
    station: str | None = None
    group: tuple[int, int, int] | None = None
    for field in fields.split(b","):
        code, _, value = field.partition(b":")
        if code == b"c":
            time_us = _tag_time_us(value)
        elif code == b"s":
            station = value.decode("ascii", "replace")[:32] or None
        elif code == b"g":
            numbers = value.split(b"-")
            if len(numbers) == 3 and all(n.isdigit() and len(n) < 10 for n in numbers):
                group = (int(numbers[0]), int(numbers[1]), int(numbers[2]))
    return TagBlock(time_us=time_us, station=station, group=group)


def _checksum_behind_group(fields: bytes) -> int:
    """Some networks (the Norwegian coast's) put the group before a finished tag block and keep its checksum."""
    group, _, others = fields.partition(b",")
    return checksum(others if group.startswith(b"g:") and others else fields)


def _tag_time_us(value: bytes) -> int | None:
    if not value.isdigit() or len(value) > 14:
        return None
    number = int(value)
    us = number * 1_000 if number >= _MILLISECONDS_FROM else number * US_PER_S
    return us if _EARLIEST_US <= us < _LATEST_US else None


class LineFramer:
    """Lines out of byte streams, one buffer an origin, each bounded, and a bounded number of origins."""

    def __init__(self) -> None:
        self._rest: dict[str, bytes] = {}
        self._skipping: set[str] = set()

    def push(self, data: bytes, origin: str) -> Iterator[bytes]:
        """The lines that `data` completes, without their ends; blank ones are not lines.

        A line that is too long comes once, cut at MAX_LINE_BYTES + 1 bytes, so that its receiver can tell and count it.
        """
        first, *others = (self._rest.pop(origin, b"") + data).replace(b"\r", b"\n").split(b"\n")
        if others and origin in self._skipping:
            self._skipping.discard(origin)
        elif origin not in self._skipping:
            others.insert(0, first)
        if not others:
            return
        for line in others[:-1]:
            if line:
                yield line[: MAX_LINE_BYTES + 1]
        rest = others[-1]
        if len(rest) > MAX_LINE_BYTES:
            self._skipping.add(origin)
            yield rest[: MAX_LINE_BYTES + 1]
        elif rest:
            self._rest[origin] = rest
        if len(self._rest) + len(self._skipping) > MAX_ORIGINS:
            yield from self._forget_oldest()

    def end(self) -> Iterator[bytes]:
        """What each origin left without a line end."""
        yield from self._rest.values()
        self._rest.clear()
        self._skipping.clear()

    def _forget_oldest(self) -> Iterator[bytes]:
        if self._rest:
            yield self._rest.pop(next(iter(self._rest)))
        else:
            self._skipping.pop()


class BusTime:
    """The time that a recorded bus tells: by tag blocks, RMC and ZDA, running on over the small lags of its talkers."""

    def __init__(self) -> None:
        self.now_us: int | None = None

    def hear(self, line: bytes) -> bool:
        """Take the time that `line` (without its end) tells; False where it tells none."""
        told_us = told_time_us(line)
        if told_us is None:
            return False
        if self.now_us is None or told_us > self.now_us or told_us < self.now_us - STEP_BACK_US:
            self.now_us = told_us
        return True


def told_time_us(line: bytes) -> int | None:
    """The time that a line (without its end) tells by its tag block, or as a valid RMC or ZDA; None for other lines."""
    if line[:1] == b"\\":
        block = read_tag(split_tag(line)[0])
        return None if block is None else block.time_us
    if line[3:6] not in (b"RMC", b"ZDA"):
        return None
    try:
        fields = checked(line).split(b",")
    except BadSentence:
        return None
    return _rmc_us(fields) if line[3:6] == b"RMC" else _zda_us(fields)


def _rmc_us(fields: list[bytes]) -> int | None:
    """Fields of RMC: 1 time hhmmss.ss, 2 status (A valid), 9 date ddmmyy."""
    if len(fields) < 10 or fields[2] != b"A" or len(fields[9]) != 6:
        return None
    date = fields[9]
    return _moment_us(fields[1], date[0:2], date[2:4], date[4:6])


def _zda_us(fields: list[bytes]) -> int | None:
    """Fields of ZDA: 1 time hhmmss.ss, 2 day, 3 month, 4 year (four digits)."""
    return _moment_us(fields[1], fields[2], fields[3], fields[4]) if len(fields) >= 5 else None


def _moment_us(clock: bytes, day: bytes, month: bytes, year: bytes) -> int | None:
    try:
        whole, _, fraction = clock.partition(b".")
        if len(whole) != 6:
            return None
        full_year = int(year) + (0 if len(year) == 4 else 1900 if int(year) >= 80 else 2000)
        moment = datetime(
            full_year, int(month), int(day), int(whole[0:2]), int(whole[2:4]), int(whole[4:6]), tzinfo=UTC
        )
        return to_us(moment) + (int(fraction[:6].ljust(6, b"0")) if fraction else 0)
    except ValueError:
        return None
