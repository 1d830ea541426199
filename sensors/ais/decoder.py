"""AIS sentences to observations, whatever carried them: frame, check, put together, tell repetitions, read, count."""

from __future__ import annotations

from collections import Counter
from typing import Any, Final, NamedTuple

import numpy as np

from command.domain import ids
from command.domain.clock import US_PER_S
from command.domain.observation import (
    OBSERVATION_DTYPE,
    IdentityScheme,
    ObservationBatch,
    ObservationFlag,
)
from sensors.ais.assembly import Assembler, Part, PartKey, Parts, Repeated
from sensors.ais.names import MAX_VESSELS, Beliefs
from sensors.ais.payload import BadPayload, Ignored, Report, read_payload
from sensors.nmea import (
    MAX_LINE_BYTES,
    BadSentence,
    LineFramer,
    TagBlock,
    checked,
    read_tag,
    split_tag,
)
from sensors.recent import Recent
from sensors.source import Tally

DUPLICATE_WINDOW_S: Final = 120.0
"""Below the longest reporting interval of a moored vessel (3 minutes, M.1371-5 tables 1 and 2), so that nothing a
vessel says anew is taken for an echo, and above the time that relays and networks hold a message."""
MAX_PART_AGE_S: Final = 10.0
BATCH_ROWS: Final = 1_000
MAX_GROUPS: Final = 256
_NAN: Final = float("nan")
_NO_TAG: Final = TagBlock()
_MMSI: Final = int(IdentityScheme.MMSI)
_DIGITS: Final = {str(n).encode(): n for n in range(1, 10)}
_FILL: Final = {str(n).encode(): n for n in range(6)}
_RECEIVED: Final = int(ObservationFlag.TIME_RECEIVED)
_OWN_SHIP: Final = int(ObservationFlag.OWN_SHIP)


class _Heard(NamedTuple):
    """A sentence's circumstances; time and station are those of its tag block."""

    formatter: bytes
    origin: str
    raw: bytes
    received_at_us: int
    time_us: int | None
    station: str | None


class AisDecoder:
    """A Decoder of AIS. Every VDM and VDO sentence is one message and ends as decoded, rejected or duplicate.

    Well-formed messages of other types count as decoded, and as ignored by type besides. `sentences` counts what was
    decoded or repeated by formatter, so that own ship's (`VDO`) are told from others' (`VDM`).
    """

    def __init__(self, *, tally: Tally, duplicate_window_s: float = DUPLICATE_WINDOW_S) -> None:
        self._source = tally.source
        self._tally = tally
        self._framer = LineFramer()
        self._assembler = Assembler(int(MAX_PART_AGE_S * US_PER_S))
        self._recent = Recent(int(duplicate_window_s * US_PER_S))
        self._beliefs = Beliefs()
        self._nav_status: dict[int, int] = {}
        self._groups: dict[tuple[str, int], TagBlock] = {}
        self._rows: list[tuple[Any, ...]] = []
        self._facts: dict[int, dict[str, Any]] = {}
        self._decoded = self._duplicates = 0
        self._stamped_us: int | None = None
        self.sentences: Counter[str] = Counter()

    def feed(self, data: bytes, *, received_at_us: int, origin: str) -> ObservationBatch | None:
        """Take bytes of a stream. Lines may be split anywhere between calls of one origin."""
        for line in self._framer.push(data, origin):
            self._take_line(line, origin, received_at_us)
        self._settle(received_at_us)
        return self._take_batch() if len(self._rows) >= BATCH_ROWS else None

    def flush(self, *, received_at_us: int, end: bool = False) -> ObservationBatch | None:
        """What is held. With `end`, lines and messages that stayed unfinished are judged as they are."""
        if end:
            for rest in self._framer.end():
                self._take_line(rest, "", received_at_us)
            self._assembler.end()
        else:
            self._assembler.expire(received_at_us)
        self._count_given_up(received_at_us)
        self._settle(received_at_us)
        return self._take_batch() if self._rows else None

    def _take_line(self, line: bytes, origin: str, received_at_us: int) -> None:
        line = line.strip()
        if not line:
            return
        if len(line) > MAX_LINE_BYTES:
            self._reject("line_too_long", line, received_at_us)
            return
        tag, sentence = split_tag(line)
        start = max(sentence.rfind(b"!"), sentence.rfind(b"$"))
        if start > 0:
            self._reject("truncated", sentence[:start], received_at_us)
            tag, sentence = b"", sentence[start:]
        formatter = sentence[3:6]
        if formatter not in (b"VDM", b"VDO"):
            self._take_other(sentence, received_at_us)
            return
        try:
            body = checked(sentence)
            block = self._read_tag(tag, origin) if tag else _NO_TAG
            heard = _Heard(formatter, origin, line, received_at_us, block.time_us, block.station)
            self._take_sentence(body, heard)
        except (BadSentence, BadPayload) as exc:
            self._reject(exc.reason, line, received_at_us)

    def _take_other(self, sentence: bytes, received_at_us: int) -> None:
        """Another sentence of the bus is not ours to judge; what is no sentence at all is."""
        address = sentence[1:].partition(b",")[0]
        if sentence[:1] not in (b"!", b"$") or not (3 <= len(address) <= 8 and address.isalnum() and address.isupper()):
            self._reject("not_nmea", sentence, received_at_us)
            return
        label = (address if address[:1] == b"P" else address[2:]).decode()
        self._tally.ignore(label, received_at_us=received_at_us)

    def _read_tag(self, tag: bytes, origin: str) -> TagBlock:
        """The tag block of a line; what the first line of a group says holds for all of them."""
        block = read_tag(tag)
        if block is None:
            self._tally.ignore("bad_tag_block")
            return _NO_TAG
        if block.group is None:
            return block
        key = (origin, block.group[2])
        if block.group[0] == 1:
            self._groups.pop(key, None)
            self._groups[key] = block
            if len(self._groups) > MAX_GROUPS:
                del self._groups[next(iter(self._groups))]
            return block
        first = self._groups.get(key, _NO_TAG)
        return TagBlock(
            time_us=first.time_us if block.time_us is None else block.time_us,
            station=block.station or first.station,
        )

    def _take_sentence(self, body: bytes, heard: _Heard) -> None:
        fields = body.split(b",")
        if len(fields) != 7:
            raise BadSentence("bad_fields")
        address, total_text, number_text, sequence, channel, payload, fill = fields
        total, number, fill_bits = _DIGITS.get(total_text), _DIGITS.get(number_text), _FILL.get(fill)
        if total is None or number is None or fill_bits is None or number > total or len(channel) > 1:
            raise BadSentence("bad_fields")
        if total == 1:
            self._take_message(body[2:], payload, fill_bits, heard, 1)
            return
        if not payload:
            raise BadPayload("no_payload")
        whole = self._assembler.add(
            PartKey(heard.origin, address[:2], heard.formatter, sequence, channel, total),
            number,
            Part(payload, fill_bits, heard.raw, heard.received_at_us, heard.time_us, heard.station),
        )
        self._count_given_up(heard.received_at_us)
        if whole is Repeated.PART:
            self._duplicates += 1
            self.sentences[heard.formatter.decode()] += 1
        elif isinstance(whole, Parts):
            parts = whole.in_order
            joined = b"".join(part.payload for part in parts)
            fill_bits = parts[-1].fill_bits
            key = b"%b,%b,%b,%d" % (heard.formatter, channel, joined, fill_bits)
            heard = heard._replace(time_us=whole.time_us, station=whole.station)
            try:
                self._take_message(key, joined, fill_bits, heard, total)
            except BadPayload as exc:
                for part in parts:
                    self._reject(exc.reason, part.raw, heard.received_at_us)

    def _take_message(self, key: bytes, payload: bytes, fill_bits: int, heard: _Heard, total: int) -> None:
        """A whole message of `total` sentences; `key` is the same for the same transmission, whoever passed it on."""
        observed_at_us = heard.received_at_us if heard.time_us is None else heard.time_us
        if self._recent.has(key, observed_at_us):
            self._duplicates += total
            self.sentences[heard.formatter.decode()] += total
            return
        report = read_payload(payload, fill_bits)
        self._recent.add(key, observed_at_us)
        self._decoded += total
        self.sentences[heard.formatter.decode()] += total
        if heard.time_us is not None:
            self._stamped_us = max(self._stamped_us or observed_at_us, observed_at_us)
        if isinstance(report, Ignored):
            self._tally.ignore(f"type_{report.message_type}")
        else:
            self._append(report, ids.observation_id(self._source, observed_at_us, key), observed_at_us, heard)

    def _append(self, report: Report, observation_id: bytes, observed_at_us: int, heard: _Heard) -> None:
        mmsi = report.mmsi
        facts: dict[str, Any] = self._beliefs.judge(mmsi, report.facts) if report.facts else {}
        if report.nav_status is not None and self._nav_status.get(mmsi) != report.nav_status:
            self._nav_status[mmsi] = facts["nav_status"] = report.nav_status
            if len(self._nav_status) > MAX_VESSELS:
                del self._nav_status[next(iter(self._nav_status))]
        if heard.station:
            facts["station"] = heard.station
        if facts:
            self._facts[len(self._rows)] = facts
        flags = report.flags | (_RECEIVED if heard.time_us is None else 0)
        if heard.formatter == b"VDO":
            flags |= _OWN_SHIP
        self._rows.append(
            (
                observation_id,
                observed_at_us,
                heard.received_at_us,
                _MMSI,
                report.subject_kind,
                report.kind,
                flags,
                mmsi,
                report.lon,
                report.lat,
                report.position_error_m,
                report.altitude_amsl_m,
                _NAN,
                _NAN,
                report.speed_mps,
                report.course_deg,
                report.heading_deg,
                _NAN,
                _NAN,
            )
        )

    def _take_batch(self) -> ObservationBatch:
        batch = ObservationBatch(
            source=self._source, rows=np.array(self._rows, dtype=OBSERVATION_DTYPE), attributes=self._facts
        )
        self._rows, self._facts = [], {}
        return batch

    def _count_given_up(self, received_at_us: int) -> None:
        for part in self._assembler.take_given_up():
            self._reject("incomplete", part.raw, received_at_us)

    def _reject(self, reason: str, raw: bytes, received_at_us: int) -> None:
        self._tally.take(received_at_us=received_at_us)
        self._tally.reject(reason, raw, received_at_us=received_at_us)

    def _settle(self, received_at_us: int) -> None:
        """Tell the tally in one go what was decoded and repeated since the last time."""
        if self._decoded or self._duplicates:
            self._tally.take(self._decoded + self._duplicates, received_at_us=received_at_us)
            if self._stamped_us is None:
                self._tally.decode(self._decoded)
            else:
                self._tally.decode(self._decoded, observed_at_us=self._stamped_us, received_at_us=received_at_us)
            self._tally.duplicate(self._duplicates)
            self._decoded = self._duplicates = 0
            self._stamped_us = None
