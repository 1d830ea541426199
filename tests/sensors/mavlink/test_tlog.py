"""A telemetry log is read to its end, whatever was torn or inserted."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sensors.mavlink.tlog import is_tlog, read_tlog

START_US = 1_790_000_000_000_000


def _record(at_us: int, frame: bytes) -> bytes:
    return struct.pack(">Q", at_us) + frame


@pytest.fixture
def frames(peer: Callable[..., Any]) -> list[bytes]:
    drone = peer(11)
    return [drone.position(lat=34.0 + i / 100, version=1 + i % 2) for i in range(20)]


def test_times_and_frames_come_back_as_written(tmp_path: Path, frames: list[bytes]) -> None:
    path = tmp_path / "flight.tlog"
    path.write_bytes(b"".join(_record(START_US + i, frame) for i, frame in enumerate(frames)))
    assert [(r.recorded_at_us, r.data) for r in read_tlog(path)] == [(START_US + i, f) for i, f in enumerate(frames)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(noise=st.binary(min_size=1, max_size=200), before=st.integers(0, 19))
def test_noise_in_the_middle_hides_no_record(tmp_path: Path, frames: list[bytes], noise: bytes, before: int) -> None:
    path = tmp_path / "flight.tlog"
    records = [_record(START_US + i, frame) for i, frame in enumerate(frames)]
    quiet = noise.replace(b"\xfe", b"\x00").replace(b"\xfd", b"\x00")
    path.write_bytes(b"".join(records[:before]) + quiet + b"".join(records[before:]))
    found = list(read_tlog(path))
    assert [r.data for r in found if r.data in frames] == frames
    assert sum(len(r.data) for r in found if r.data not in frames) == len(quiet)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(cut=st.integers(0, 700))
def test_a_torn_end_is_given_out_as_it_is(tmp_path: Path, frames: list[bytes], cut: int) -> None:
    path = tmp_path / "flight.tlog"
    records = [_record(START_US + i, frame) for i, frame in enumerate(frames)]
    path.write_bytes(b"".join(records)[:cut])
    whole, length = 0, 0
    for record in records:
        if length + len(record) > cut:
            break
        whole, length = whole + 1, length + len(record)
    found = list(read_tlog(path))
    assert [r.data for r in found[:whole]] == frames[:whole]
    assert len(found) <= whole + 1


def test_an_empty_log_has_no_records(tmp_path: Path) -> None:
    path = tmp_path / "flight.TLOG"
    path.touch()
    assert list(read_tlog(path)) == []
    assert is_tlog(path)
    assert not is_tlog(tmp_path / "flight.log")
