"""Where the raw bytes of rejected messages are kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.rejects import MAX_A_SECOND, RejectStore, read_rejects

AT_US = 1_700_000_000_000_000


def test_what_is_kept_is_kept_byte_for_byte(tmp_path_factory: pytest.TempPathFactory) -> None:
    @given(st.lists(st.binary(max_size=300), max_size=20))
    def check(raws: list[bytes]) -> None:
        directory = tmp_path_factory.mktemp("rejects")
        with RejectStore(directory) as store:
            for raw in raws:
                store.keep(source="ais-1", reason="bad_checksum", raw=raw, received_at_us=AT_US)
        kept = list(read_rejects(directory, "ais-1"))
        assert [entry["raw"] for entry in kept] == raws
        assert all(entry["at"] == "2023-11-14T22:13:20+00:00" for entry in kept)

    check()


def test_the_place_is_bounded_whatever_comes(tmp_path: Path) -> None:
    for _ in range(10):
        with RejectStore(tmp_path / "rejects", max_file_bytes=20_000) as store:
            for _ in range(MAX_A_SECOND):
                store.keep(source="ais-1", reason="not_nmea", raw=b"\xff" * 10_000, received_at_us=AT_US)
    files = list((tmp_path / "rejects").iterdir())
    assert sorted(file.name for file in files) == ["ais-1.1.jsonl", "ais-1.jsonl"]
    assert sum(file.stat().st_size for file in files) <= 2 * 30_000
    assert all(entry["raw_bytes"] == 10_000 for entry in read_rejects(tmp_path / "rejects", "ais-1"))


def test_a_flood_is_sampled_and_says_how_much_it_left_out(tmp_path: Path) -> None:
    now = [0.0]
    with RejectStore(tmp_path, monotonic=lambda: now[0]) as store:
        for _ in range(MAX_A_SECOND + 50):
            store.keep(source="ais-1", reason="x", raw=b"a", received_at_us=AT_US)
        now[0] = 1.5
        store.keep(source="ais-1", reason="x", raw=b"b", received_at_us=AT_US)
    kept = list(read_rejects(tmp_path, "ais-1"))
    assert len(kept) == MAX_A_SECOND + 1
    assert kept[-1]["skipped"] == 50


def test_a_full_disk_stops_nothing(tmp_path: Path) -> None:
    # given a file that answers "no space left on device" to every write
    (tmp_path / "ais-1.jsonl").symlink_to("/dev/full")
    with RejectStore(tmp_path) as store:
        store.keep(source="ais-1", reason="x", raw=b"a", received_at_us=AT_US)
        store.keep(source="ais-2", reason="x", raw=b"b", received_at_us=AT_US)
        assert store.write_failures >= 1
    assert [entry["raw"] for entry in read_rejects(tmp_path, "ais-2")] == [b"b"]


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    with RejectStore(tmp_path) as store:
        store.keep(source="ais-1", reason="x", raw=b"a", received_at_us=AT_US)
    with (tmp_path / "ais-1.jsonl").open("a") as file:
        file.write('{"at": "2023')
    assert [entry["raw"] for entry in read_rejects(tmp_path, "ais-1")] == [b"a"]


def test_a_name_that_is_no_source_opens_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="small letters"):
        next(read_rejects(tmp_path, "../secret"))
