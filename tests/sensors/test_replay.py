"""Recordings through the source `replay`."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from command.domain.clock import US_PER_S, DataClock, ScenarioClock
from sensors.csv_table import Columns
from sensors.nmea import checksum
from sensors.recordings import BadRecording, open_recording, read_nmea
from sensors.replay import ReplayConfig, ReplaySource, take_all
from sensors.source import SourceContext, Tally

HEADER = "ID,ais_pos_timestamp,longitude,latitude\n"


def tagged(at_s: int, sentence: bytes) -> bytes:
    fields = b"c:%d" % at_s
    return b"\\%b*%02X\\%b\n" % (fields, checksum(fields), sentence)


def positions(shared_data: Path, count: int) -> list[bytes]:
    lines = (shared_data / "ais/pyais_nmea_data_sample.txt").read_bytes().split(b"\n")
    return [line.strip() for line in lines if line.startswith(b"!AIVDM,1,1,,") and len(line) > 40][:count]


def test_files_of_several_kinds_are_merged_by_time(shared_data: Path, tmp_path: Path, sink: Any) -> None:
    # given two stations' logs and a table, whose times interlock, the table in no order
    sentences = positions(shared_data, 4)
    (tmp_path / "one.nm4").write_bytes(tagged(1_700_000_000, sentences[0]) + tagged(1_700_000_040, sentences[1]))
    (tmp_path / "two.log").write_bytes(tagged(1_700_000_020, sentences[2]) + tagged(1_700_000_060, sentences[3]))
    (tmp_path / "t.csv").write_text("id,time,lon,lat\n7,2023-11-14T22:14:05Z,1,2\n7,2023-11-14T22:13:30Z,1,2\n")
    files = tuple(tmp_path / name for name in ("one.nm4", "two.log", "t.csv"))
    # when they are replayed; then everything comes in the order of its time
    config = ReplayConfig(name="merged", files=files)
    health, batch = take_all(config, sink=sink)
    assert health.decoded == 6
    times = ((batch.rows["observed_at_us"] - 1_700_000_000 * US_PER_S) // US_PER_S).tolist()
    assert times == [0, 10, 20, 40, 45, 60]
    assert ReplaySource(config).first_us == 1_700_000_000 * US_PER_S


def test_what_two_stations_heard_is_told_once(shared_data: Path, tmp_path: Path, sink: Any) -> None:
    (sentence,) = positions(shared_data, 1)
    for name, at_s in (("one.nm4", 1_700_000_000), ("two.nm4", 1_700_000_003)):
        (tmp_path / name).write_bytes(tagged(at_s, sentence))
    health, batch = take_all(ReplayConfig(name="a", files=(tmp_path / "one.nm4", tmp_path / "two.nm4")), sink=sink)
    assert (health.messages_in, health.decoded, health.duplicates, len(batch)) == (2, 1, 1, 1)


def test_a_paced_replay_waits_for_the_realms_clock(shared_data: Path, tmp_path: Path, tally: Tally) -> None:
    # given 40 recorded seconds and a realm whose clock runs 100 times as fast
    sentences = positions(shared_data, 3)
    log = tmp_path / "one.nm4"
    log.write_bytes(b"".join(tagged(1_700_000_000 + 20 * n, sentence) for n, sentence in enumerate(sentences)))
    source = ReplaySource(ReplayConfig(name="paced", files=(log,), speed=100.0))
    clock = ScenarioClock(scenario_start_us=source.first_us, host_start_us=time.time_ns() // 1_000, speed=100.0)
    seen: list[tuple[int, int]] = []

    def emit(batch: Any) -> None:
        seen.extend((clock.now_us(), int(row["observed_at_us"])) for row in batch.rows)

    source.run(SourceContext(clock=clock, stop=threading.Event(), emit=emit, tally=tally))
    # then nothing is told before its time, and not much after it
    assert [at for _, at in seen] == [(1_700_000_000 + 20 * n) * US_PER_S for n in range(3)]
    assert all(told >= at for told, at in seen)
    assert tally.state == "finished"


def test_a_paced_replay_stops_at_once(
    shared_data: Path, tmp_path: Path, tally: Tally, eventually: Callable[..., None]
) -> None:
    first, second = positions(shared_data, 2)
    log = tmp_path / "one.nm4"
    log.write_bytes(tagged(1_700_000_000, first) + tagged(1_700_090_000, second))
    source = ReplaySource(ReplayConfig(name="paced", files=(log,), speed=1.0))
    stop, seen = threading.Event(), threading.Event()
    ctx = SourceContext(clock=DataClock(latest_us=source.first_us), stop=stop, emit=lambda _: seen.set(), tally=tally)
    thread = threading.Thread(target=source.run, args=(ctx,))
    thread.start()
    assert seen.wait(20.0), "what is due is told before the wait"
    stop.set()
    thread.join(20.0)  # the next record is a day away
    assert not thread.is_alive()
    assert tally.state != "finished"


def test_a_log_without_times_is_played_from_its_files_time(tmp_path: Path, shared_data: Path) -> None:
    log = tmp_path / "untimed.log"
    log.write_bytes(b"\n".join(positions(shared_data, 3)) + b"\n")
    times = [record.recorded_at_us or 0 for record in read_nmea(log)]
    assert [at - times[0] for at in times] == [0, 100_000, 200_000]
    assert abs(times[0] - log.stat().st_mtime_ns // 1_000) <= 100_000


def test_what_stands_before_the_first_time_gets_that_time(tmp_path: Path, shared_data: Path) -> None:
    log = tmp_path / "late.log"
    rmc = b"$GPRMC,092211.00,A,5759.09700,N,01144.34344,E,5.257,28.27,200715,,,A*58"
    log.write_bytes(b"\n".join([*positions(shared_data, 2), rmc, b""]))
    assert {record.recorded_at_us for record in read_nmea(log)} == {1_437_384_131_000_000}


def test_a_telemetry_log_is_read_by_the_mavlink_decoder(shared_data: Path, sink: Any) -> None:
    log = shared_data / "drones/copter_dronekit_flight_replay.tlog"
    health, batch = take_all(ReplayConfig(name="flight", files=(log,)), sink=sink)
    assert health.decoded == 75_477
    assert sum(health.rejected.values()) >= 1_314
    assert health.messages_in == health.decoded + sum(health.rejected.values()) + health.duplicates
    assert not ((batch.rows["lon"] == 0.0) & (batch.rows["lat"] == 0.0)).any()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"a,b\n1,2\n", "declare its columns .* its first line is: a,b"),
        ("a.log", b"\x00\x01\x02" * 100, "no NMEA sentence in its first 300 bytes"),
        ("a.txt", b"", "no NMEA sentence"),
        ("a.tlog", b"\x00\x01\x02" * 100, "no MAVLink message behind a time in its first 300 bytes"),
        ("a.tlog", struct.pack(">Q", 1_790_000_000_000_000) + b"\xfe\x09" + bytes(40), "no MAVLink message"),
        ("a.TLOG", b"", "no MAVLink message"),
    ],
)
def test_a_file_that_is_no_recording_says_why(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadRecording, match=says):
        open_recording(tmp_path / name)


def test_a_missing_file_and_a_bad_speed_stop_the_start(tmp_path: Path) -> None:
    with pytest.raises(BadRecording, match="is not a file; name a recording"):
        ReplaySource(ReplayConfig(name="a", files=(tmp_path / "none.log",)))
    for speed in (0.0, -1.0, "fast", float("nan"), 1e9):
        with pytest.raises(ValidationError, match="speed"):
            ReplayConfig.model_validate({"name": "a", "files": [tmp_path], "speed": speed})


def test_a_declared_table_is_replayed_by_its_declaration(tmp_path: Path, sink: Any) -> None:
    table = tmp_path / "radar.csv"
    table.write_text("seen;east;north;plot\n1700000000;130;33;1\nsoon;130;33;2\n")
    columns = Columns.model_validate(
        {
            "time": {"column": "seen", "format": "unix_s"},
            "lon": "east",
            "lat": "north",
            "identity": {"column": "plot", "scheme": "contact"},
        }
    )
    health, batch = take_all(ReplayConfig(name="radar", files=(table,), columns=columns, delimiter=";"), sink=sink)
    assert len(batch) == 1
    assert health.rejected == {"bad_time": 1}


def test_an_empty_table_is_finished(tmp_path: Path, sink: Any) -> None:
    (tmp_path / "t.csv").write_text("id,time,lon,lat\n7,2023-11-14T22:14:05Z,1,2\n")
    source = ReplaySource(ReplayConfig(name="a", files=(tmp_path / "t.csv",)))
    (tmp_path / "t.csv").write_text("")
    assert source.first_us == 0
