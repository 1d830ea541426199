"""Real AIS sentences, as many as a benchmark wants, under identities of their own.

The MMSI stands in bits 8 to 37 of every message (ITU-R M.1371-5, annex 8); six of them are a character of the
armoured payload (IEC 61162-1), so the identity is in characters 1 to 6 of a message's first sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

FILES: Final = ("opencpn_Hakefjord.log", "kystverket_Ais1000Lines.nm4", "pyais_nmea_data_sample.txt")
_FIRST_CHARACTERS: Final = 7
_STEP: Final = 7_919
"""How far the last six digits move from fleet to fleet; prime, so that fleets meet each other late."""


class Sentence(NamedTuple):
    """A VDM sentence: `head` is what stands before the payload, `tail` from the comma behind it up to the `*`."""

    head: bytes
    payload: bytes
    tail: bytes
    line: bytes

    @property
    def has_identity(self) -> bool:
        """Whether the MMSI is in this sentence: it is a message's first and long enough."""
        return len(self.payload) >= _FIRST_CHARACTERS and self.head.split(b",")[2] == b"1"


def distinct_messages(folder: Path) -> list[tuple[Sentence, ...]]:
    """The distinct VDM messages of the three recordings, in order, without tag blocks.

    A message is the tuple of its sentences: many share a last part, which is to stand behind each first one. A
    sentence whose message is not whole, or that is none, stands for itself.
    """
    found: dict[tuple[bytes, ...], tuple[Sentence, ...]] = {}
    for name in FILES:
        held: dict[tuple[bytes, ...], list[Sentence]] = {}
        for line in (folder / name).read_bytes().splitlines():
            sentence = _sentence(line)
            if sentence is None:
                continue
            address, total, number, *which = sentence.head.split(b",")
            parts = held.setdefault((address, total, *which), [])
            if number == b"1":
                _add_alone(found, parts)
            parts.append(sentence)
            if b"%d" % len(parts) == total:
                found.setdefault(tuple(part.line for part in parts), tuple(parts))
                parts.clear()
        for parts in held.values():
            _add_alone(found, parts)
    return list(found.values())


def _add_alone(found: dict[tuple[bytes, ...], tuple[Sentence, ...]], parts: list[Sentence]) -> None:
    for part in parts:
        found.setdefault((part.line,), (part,))
    parts.clear()


def _sentence(line: bytes) -> Sentence | None:
    start = line.rfind(b"!")
    fields = line[start:].strip().split(b",")
    if start < 0 or fields[0][3:6] != b"VDM" or len(fields) != 7:
        return None
    return Sentence(b",".join(fields[:5]) + b",", fields[5], b"," + fields[6].partition(b"*")[0], line[start:].strip())


def side_by_side(messages: list[tuple[Sentence, ...]], count: int) -> Iterator[bytes]:
    """At least `count` sentences: as many fleets as it takes sail the recordings at the same time.

    Each message comes from every fleet in turn, under the fleet's own identities; the first fleet is the recorded one.
    One fleet behind the other would pack an hour of a vessel into the tenth of a second that its fleet takes.
    """
    lengths = sum(map(len, messages))
    fleets = -(-count // lengths)
    identities: list[dict[int, int]] = [{} for _ in range(fleets)]
    used: set[int] = set()
    for message in messages:
        for number, shift in enumerate(identities):
            for sentence in message:
                yield _with_shifted(sentence, number, shift, used) if sentence.has_identity else sentence.line


def _with_shifted(sentence: Sentence, fleet: int, shift: dict[int, int], used: set[int]) -> bytes:
    bits = 0
    for character in sentence.payload[1:_FIRST_CHARACTERS]:
        bits = bits << 6 | _unarmour(character)
    mmsi = bits >> 4 & (1 << 30) - 1
    if mmsi not in shift:
        shift[mmsi] = _free(mmsi, fleet, used)
    bits = bits & ~((1 << 30) - 1 << 4) | shift[mmsi] << 4
    armoured = bytes(_armour(bits >> at & 63) for at in range(30, -1, -6))
    payload = sentence.payload[:1] + armoured + sentence.payload[_FIRST_CHARACTERS:]
    body = sentence.head[1:] + payload + sentence.tail
    checksum = 0
    for byte in body:
        checksum ^= byte
    return b"!%b*%02X" % (body, checksum)


def _free(mmsi: int, fleet: int, used: set[int]) -> int:
    """An identity of the same country and class (its first digits) that nobody has yet."""
    thousands, last = divmod(mmsi, 1_000_000)
    while (shifted := thousands * 1_000_000 + (last + fleet * _STEP) % 1_000_000) in used:
        last += 1
    used.add(shifted)
    return shifted


def _unarmour(character: int) -> int:
    value = character - 48
    return (value - 8 if value > 40 else value) & 63


def _armour(value: int) -> int:
    return value + 48 if value < 40 else value + 56
