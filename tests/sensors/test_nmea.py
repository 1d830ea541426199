"""NMEA 0183 on the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import reduce
from itertools import pairwise
from operator import xor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command.domain.clock import from_us
from sensors.nmea import MAX_LINE_BYTES, BadSentence, BusTime, LineFramer, checked, checksum, read_tag, split_tag


@given(st.binary(max_size=400))
def test_the_folded_checksum_is_the_xor_of_all_bytes(data: bytes) -> None:
    assert checksum(data) == reduce(xor, data, 0)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"!AIVDM,1,1,,B,,0*26", "bad_checksum"),
        (b"!AIVDM,1,1,,B,,0", "no_checksum"),
        (b"!AIVDM,1,1,,B,,0*2", "no_checksum"),
        (b"!AIVDM,1,1,,B,,0*2G", "bad_checksum"),
        (b"!AIVDM,1,1,,B,,0*+5", "bad_checksum"),
        (b"AIVDM,1,1,,B,,0*25", "not_nmea"),
        ("!AIVDM,1,1,,B,水,0*25".encode(), "not_nmea"),
    ],
)
def test_a_sentence_that_is_not_right_says_why(line: bytes, reason: str) -> None:
    with pytest.raises(BadSentence, match=reason):
        checked(line)


def test_a_tag_block_tells_time_in_seconds_or_milliseconds_and_the_station() -> None:
    # given the examples of the standard's two units; when read; then both are the same instant
    def tag(fields: bytes) -> bytes:
        return fields + b"*%02X" % checksum(fields)

    seconds, milliseconds = read_tag(tag(b"s:2573345,c:1565218798")), read_tag(tag(b"g:1-2-34,c:1565218798123"))
    assert seconds is not None
    assert milliseconds is not None
    assert from_us(seconds.time_us or 0) == datetime(2019, 8, 7, 22, 59, 58, tzinfo=UTC)
    assert seconds.station == "2573345"
    assert milliseconds.time_us == (seconds.time_us or 0) + 123_000
    assert milliseconds.group == (1, 2, 34)


def test_a_tag_block_with_a_wrong_checksum_is_not_believed() -> None:
    assert read_tag(b"c:1565218798*54") is None
    assert read_tag(b"c:1565218798") is None


def test_a_group_put_before_a_finished_tag_block_keeps_the_block_believable() -> None:
    # given the Norwegian coast's habit: 58 is the checksum of c:1565218827 alone
    block = read_tag(b"g:2-2-9999,c:1565218827*58")
    assert block is not None
    assert block.time_us == 1_565_218_827_000_000


def test_an_impossible_tag_time_is_no_time() -> None:
    fields = b"c:99999999999999999999"
    block = read_tag(fields + b"*%02X" % checksum(fields))
    assert block is not None
    assert block.time_us is None


def test_a_tag_block_is_cut_from_its_sentence() -> None:
    assert split_tag(rb"\c:1*52\!AIVDM,1") == (b"c:1*52", b"!AIVDM,1")
    assert split_tag(rb"\c:1*52!AIVDM,1") == (b"", rb"\c:1*52!AIVDM,1")


@given(
    st.lists(st.binary(max_size=60).map(lambda b: b.replace(b"\n", b"").replace(b"\r", b"")), max_size=12),
    st.lists(st.integers(0, 800), max_size=12),
)
def test_lines_are_the_same_wherever_the_stream_was_cut(lines: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(line + b"\r\n" for line in lines)
    framer = LineFramer()
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    seen = [line for start, end in pairwise(edges) for line in framer.push(stream[start:end], "a")]
    assert seen == [line for line in lines if line]
    assert list(framer.end()) == []


def test_a_line_without_end_is_told_once_and_skipped_to_the_next_line() -> None:
    framer = LineFramer()
    seen = [line for _ in range(50) for line in framer.push(b"x" * 1_000, "a")]
    seen += framer.push(b"tail\n$GOOD\n", "a")
    assert [len(line) for line in seen] == [MAX_LINE_BYTES + 1, 5]
    assert seen[-1] == b"$GOOD"


def test_origins_do_not_mix_and_are_bounded() -> None:
    framer = LineFramer()
    assert list(framer.push(b"half-", "a")) == []
    assert list(framer.push(b"other\n", "b")) == [b"other"]
    assert list(framer.push(b"whole\n", "a")) == [b"half-whole"]
    forgotten = [line for n in range(2_000) for line in framer.push(b"held", f"peer {n}")]
    assert len(forgotten) == 2_000 - 1_024
    assert len(list(framer.end())) == 1_024


def test_a_bus_tells_its_time_by_rmc_and_zda_over_the_lag_of_its_talkers() -> None:
    bus = BusTime()
    assert bus.hear(b"$GPRMC,092211.00,A,5759.09700,N,01144.34344,E,5.257,28.27,200715,,,A*58")
    first = bus.now_us
    assert first is not None
    assert from_us(first) == datetime(2015, 7, 20, 9, 22, 11, tzinfo=UTC)
    # when a second talker lags by a second; then time does not run back
    assert bus.hear(b"$IIRMC,092210,A,5759.095,N,01144.342,E,5.5,31.1,,0.0,E,A*30") is False, "it has no date"
    zda = b"GPZDA,092213.50,20,07,2015,00,00"
    assert bus.hear(b"$%b*%02X" % (zda, checksum(zda)))
    assert bus.now_us == first + 2_500_000
    assert bus.hear(b"$GPRMC,092211.00,A,5759.09700,N,01144.34344,E,5.257,28.27,200715,,,A*58")
    assert bus.now_us == first + 2_500_000


@given(st.binary(max_size=100))
def test_no_bytes_make_the_bus_clock_raise(line: bytes) -> None:
    BusTime().hear(line)
    fields = b"GPRMC," + bytes(b for b in line if 32 <= b < 127 and b not in b"*!$\\")
    BusTime().hear(b"$%b*%02X" % (fields, checksum(fields)))
