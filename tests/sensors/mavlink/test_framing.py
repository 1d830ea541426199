"""Frames are found whatever stands between them, and every byte is accounted for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from sensors.mavlink.framing import Frame, FrameCutter, Garbage

_ENCODER = mavlink.MAVLink(None, srcSystem=11, srcComponent=1)


def _frame(lat: int, version: int) -> bytes:
    message = mavlink.MAVLink_global_position_int_message(7, lat, 1_293_000_000, 0, 0, 0, 0, 0, 0)
    return bytes(message.pack(_ENCODER, force_mavlink1=version == 1))


frames = st.builds(_frame, st.integers(-900_000_000, 900_000_000), st.sampled_from([1, 2]))
quiet_noise = st.binary(min_size=1, max_size=40).map(lambda b: b.replace(b"\xfd", b"\x00").replace(b"\xfe", b"\x00"))
wild_noise = st.binary(max_size=300)


def _cut(pieces: list[bytes], *, whole: bool = False) -> list[Frame | Garbage]:
    cutter = FrameCutter(whole=whole)
    found = [part for piece in pieces for part in cutter.feed(piece)]
    return found + list(cutter.feed(b"", end=True))


@given(st.lists(frames, max_size=12), st.data())
def test_interleaved_versions_are_found_however_the_stream_is_cut(sent: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert [part.raw for part in _cut(pieces)] == sent


@given(st.lists(st.tuples(quiet_noise, frames), min_size=1, max_size=8))
def test_no_frame_is_lost_behind_noise_without_marks(sent: list[tuple[bytes, bytes]]) -> None:
    found = _cut([noise + frame for noise, frame in sent])
    assert [part.raw for part in found if isinstance(part, Frame)] == [frame for _, frame in sent]
    assert [part.reason for part in found if isinstance(part, Garbage)] == ["noise"] * len(sent)


@given(st.lists(st.one_of(wild_noise, frames), max_size=8), st.booleans())
def test_every_byte_comes_out_once_and_in_order(pieces: list[bytes], whole: bool) -> None:
    found = _cut(pieces, whole=whole)
    assert b"".join(part.raw for part in found) == b"".join(pieces)
    assert all(part.raw for part in found)


@given(frames, st.integers(0, 34), st.integers(1, 255), frames)
def test_a_damaged_frame_never_hides_the_next(first: bytes, at: int, flip: int, second: bytes) -> None:
    damaged = bytearray(first)
    damaged[at % len(first)] ^= flip
    found = _cut([bytes(damaged), second])
    assert isinstance(found[-1], Frame)
    assert found[-1].raw == second


@given(frames, st.data())
def test_a_truncated_frame_is_one_rejected_piece(frame: bytes, data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, len(frame) - 1))
    head = frame[:cut]
    found = _cut([head])
    assert b"".join(part.raw for part in found) == head
    assert any(isinstance(part, Garbage) and part.reason == "truncated" for part in found)


def test_a_frame_with_flags_of_a_later_standard_is_refused_by_name(peer: Callable[..., Any]) -> None:
    frame = bytearray(peer(11).position())
    frame[2] = 0x02
    extra = mavlink.mavlink_map[mavlink.MAVLINK_MSG_ID_GLOBAL_POSITION_INT].crc_extra
    frame[-2:] = mavlink.x25crc(bytes(frame[1:-2]) + bytes((extra,))).crc.to_bytes(2, "little")
    assert [part.reason for part in _cut([bytes(frame)]) if isinstance(part, Garbage)] == ["unsupported_flags"]


def test_an_unknown_but_well_formed_message_is_kept_as_unknown(peer: Callable[..., Any]) -> None:
    frame = bytearray(peer(11).position())
    frame[7:10] = (60_001).to_bytes(3, "little")
    (found,) = _cut([bytes(frame)])
    assert isinstance(found, Frame)
    assert (found.message_id, found.known, found.name) == (60_001, False, "unknown_message")
