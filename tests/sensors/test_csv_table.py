"""Tables with declared columns."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from command.domain.clock import DataClock, from_us
from command.domain.ids import stable_key
from command.domain.observation import IdentityScheme, ObservationBatch, ObservationFlag, SubjectKind
from sensors.csv_table import Columns, CsvConfig, CsvDecoder, CsvSource
from sensors.recordings import guess_columns
from sensors.source import SourceContext, Tally

NOW_US = 1_700_000_000_000_000
SOLENT = {
    "time": {"column": "Time"},
    "lon": "Longitude_degrees",
    "lat": "Latitude_degrees",
    "identity": {"column": "MMSI", "scheme": "mmsi"},
    "speed": {"column": "SOG_knots", "unit": "knots"},
    "course": "COG_degrees",
}
SUEZ = {
    "time": {"column": "ais_pos_timestamp", "format": "%d/%m/%Y %H:%M"},
    "lon": "longitude",
    "lat": "latitude",
    "identity": {"column": "ID", "scheme": "label"},
}
DETECTIONS = {
    "time": {"column": "ProductStartTime"},
    "lon": "lon",
    "lat": "lat",
    "identity": {"column": "DetectionId", "scheme": "contact"},
    "attributes": {"length_m": "Length"},
    "subject_kind": "unknown",
}


def read(path: Path, columns: dict[str, Any], tally: Tally) -> ObservationBatch:
    decoder = CsvDecoder(Columns.model_validate(columns), tally=tally)
    rows: list[Any] = []
    facts: dict[int, Any] = {}
    for chunk in (path.read_bytes(),):
        for batch in (
            decoder.feed(chunk, received_at_us=NOW_US, origin="file"),
            decoder.flush(received_at_us=NOW_US, end=True),
        ):
            if batch is not None:
                facts.update({len(rows) + i: f for i, f in batch.attributes.items()})
                rows.extend(batch.rows)
    return ObservationBatch(source="test", rows=np.array(rows), attributes=facts)


def test_the_solent_is_read_whole(shared_data: Path, tally: Tally, adds_up: Callable[[Tally], bool]) -> None:
    batch = read(shared_data / "ais/stonesoup_SolentAIS_20160112_130211.csv", SOLENT, tally)
    assert (tally.messages_in, tally.decoded, tally.duplicates) == (18_623, 18_620, 3), "three rows are there twice"
    assert adds_up(tally)
    assert len(set(batch.rows["subject_key"].tolist())) == 91
    first = batch.rows[0]
    assert from_us(first["observed_at_us"]) == datetime(2016, 1, 12, 13, 2, 11, 218_000, tzinfo=UTC)
    assert first["speed_mps"] == pytest.approx(5.9 * 1852 / 3600, abs=1e-4)
    assert (first["subject_key"], first["lat"]) == (235_070_762, pytest.approx(50.7730133333333))
    assert float(np.nanmax(batch.rows["course_deg"])) < 360.0, "360 is AIS for not available"


def test_a_byte_order_mark_and_days_first_are_read(shared_data: Path, tally: Tally) -> None:
    batch = read(shared_data / "ais/movingpandas_boat-positions.csv", SUEZ, tally)
    assert (tally.messages_in, tally.duplicates, dict(tally.rejected)) == (22_287, 213, {})
    assert len(set(batch.rows["subject_key"].tolist())) == 256
    assert from_us(batch.rows[0]["observed_at_us"]) == datetime(2021, 3, 20, 0, 22, tzinfo=UTC)
    assert batch.rows[0]["subject_scheme"] == IdentityScheme.LABEL
    assert batch.rows[0]["subject_key"] == stable_key("1")
    assert batch.attributes[0] == {"label": "1"}


def test_satellite_detections_are_contacts(shared_data: Path, tally: Tally) -> None:
    batch = read(shared_data / "dark_vessel/gfw_ksat-detections-ind.csv", DETECTIONS, tally)
    assert (tally.messages_in, tally.decoded) == (320, 320)
    assert batch.rows[0]["subject_scheme"] == IdentityScheme.CONTACT
    assert batch.rows[0]["subject_kind"] == SubjectKind.UNKNOWN
    assert batch.attributes[0]["length_m"] == 74.52
    assert from_us(batch.rows[0]["observed_at_us"]) == datetime(2020, 1, 7, 14, 46, 50, 181_000, tzinfo=UTC)


def test_a_table_without_the_declared_columns_says_which_it_has(shared_data: Path, tally: Tally) -> None:
    read(shared_data / "dark_vessel/gfw_all_detections_and_vessels.csv", DETECTIONS, tally)
    assert tally.state == "failed"
    assert tally.detail.startswith("columns: DetectionId, Length, ProductStartTime, lat, lon not in the first line")
    assert tally.rejected == {"no_such_column": 741}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("2016-01-12 13:02:11,235070762,50.7,-1.0,157.8", "row_too_short"),
        ("soon,235070762,50.7,-1.0,157.8,5.9", "bad_time"),
        ("9999-12-31T23:59:59-12:00,235070762,50.7,-1.0,157.8,5.9", "bad_time"),
        ("0001-01-01T00:00:00+14:00,235070762,50.7,-1.0,157.8,5.9", "bad_time"),
        ("2016-01-12 13:02:11,0,50.7,-1.0,157.8,5.9", "bad_identity"),
        ("2016-01-12 13:02:11,2350707621,50.7,-1.0,157.8,5.9", "bad_identity"),
        ("2016-01-12 13:02:11,,50.7,-1.0,157.8,5.9", "bad_identity"),
        ("2016-01-12 13:02:11,235070762,fifty,-1.0,157.8,5.9", "bad_position"),
        ("2016-01-12 13:02:11,235070762,,-1.0,157.8,5.9", "position_out_of_range"),
        ("2016-01-12 13:02:11,235070762,50.7,-181.0,157.8,5.9", "position_out_of_range"),
        ("2016-01-12 13:02:11,235070762,50.7,-1.0,157.8,fast", "bad_number"),
        ('2016-01-12 13:02:11,"235070762,50.7,-1.0,157.8,5.9', "bad_row"),
        ("x" * 70_000, "row_too_long"),
    ],
)
def test_a_bad_row_is_rejected_by_reason_and_the_next_is_read(tally: Tally, sink: Any, row: str, reason: str) -> None:
    header = "Time,MMSI,Latitude_degrees,Longitude_degrees,COG_degrees,SOG_knots"
    good = "2016-01-12 13:02:12,235070762,50.7,-1.0,157.8,5.9"
    decoder = CsvDecoder(Columns.model_validate(SOLENT), tally=tally)
    decoder.feed(f"{header}\r\n{row}\r\n{good}".encode(), received_at_us=NOW_US, origin="file")
    batch = decoder.flush(received_at_us=NOW_US, end=True)
    assert batch is not None
    assert len(batch) == 1
    assert tally.rejected == {reason: 1}
    assert sink.kept[0][0] == reason


def test_a_row_without_a_place_has_no_fix(tally: Tally) -> None:
    decoder = CsvDecoder(Columns.model_validate(SUEZ), tally=tally)
    decoder.feed(
        b"ID,ais_pos_timestamp,longitude,latitude\n1,20/03/2021 00:22,,NA\n", received_at_us=NOW_US, origin="file"
    )
    batch = decoder.flush(received_at_us=NOW_US)
    assert batch is not None
    assert batch.rows[0]["flags"] == ObservationFlag.NO_FIX
    assert np.isnan(batch.rows[0]["lon"])


def test_times_without_a_zone_are_read_in_the_declared_one(tally: Tally) -> None:
    columns = Columns.model_validate({**SUEZ, "time": {"column": "t", "zone": "Asia/Tokyo"}})
    decoder = CsvDecoder(columns, tally=tally)
    decoder.feed(
        b"ID,t,longitude,latitude\n1,2026-01-01T09:00:00,130,33\n1,2026-01-01T00:00:01Z,130,33\n",
        received_at_us=NOW_US,
        origin="file",
    )
    batch = decoder.flush(received_at_us=NOW_US)
    assert batch is not None
    assert [from_us(us).isoformat() for us in batch.rows["observed_at_us"]] == [
        "2026-01-01T00:00:00+00:00",
        "2026-01-01T00:00:01+00:00",
    ]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.one_of(st.binary(max_size=60), st.just(b"1,20/03/2021 00:22,32.3,31.4\n")), max_size=30))
def test_whatever_a_table_holds_its_counts_add_up(pieces: list[bytes]) -> None:
    class Nowhere:
        def keep(self, **_: object) -> None:
            pass

    tally = Tally(source="t", kind="csv", gateway="g", clock=DataClock(latest_us=NOW_US), sink=Nowhere())
    decoder = CsvDecoder(Columns.model_validate(SUEZ), tally=tally)
    decoder.feed(b"ID,ais_pos_timestamp,longitude,latitude\n", received_at_us=NOW_US, origin="file")
    for piece in pieces:
        decoder.feed(piece, received_at_us=NOW_US, origin="file")
    decoder.flush(received_at_us=NOW_US, end=True)
    assert tally.messages_in == tally.decoded + sum(tally.rejected.values()) + tally.duplicates


def test_a_table_that_grows_is_followed(tmp_path: Path, tally: Tally, eventually: Callable[..., None]) -> None:
    # given a table with one row and a source that follows it
    table = tmp_path / "positions.csv"
    table.write_text("ID,ais_pos_timestamp,longitude,latitude\n1,20/03/2021 00:22,32.3,31.4\n")
    config = CsvConfig.model_validate(
        {"name": "suez", "endpoint": f"file://{table}?follow=true&from=start", "columns": SUEZ}
    )
    stop = threading.Event()
    rows: list[Any] = []
    source = CsvSource(config)
    ctx = SourceContext(
        clock=DataClock(latest_us=NOW_US), stop=stop, emit=lambda batch: rows.extend(batch.rows), tally=tally
    )
    thread = threading.Thread(target=source.run, args=(ctx,))
    thread.start()
    try:
        eventually(lambda: len(rows) == 1)
        # when it gains a row, and is then replaced by a new file; then both are read
        with table.open("a") as file:
            file.write("2,20/03/2021 00:23,32.3,31.5\n")
        eventually(lambda: len(rows) == 2)
        table.unlink()
        table.write_text("ID,ais_pos_timestamp,longitude,latitude\n3,20/03/2021 00:24,32.3,31.5\n")
        eventually(lambda: len(rows) == 3)
    finally:
        stop.set()
        thread.join(5.0)
    assert not source.can_wait
    assert tally.messages_in == tally.decoded == 3


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"endpoint": "udp://127.0.0.1:1"}, "a table is a file"),
        ({"endpoint": "file:///x?follow=true"}, "add &from=start"),
        ({"columns": {**SUEZ, "time": {"column": "t", "zone": "Tokio"}}}, "is no time zone"),
        ({"columns": {**SUEZ, "subject_kind": "boat"}}, "is no kind; choose from"),
    ],
)
def test_a_bad_setting_says_what_to_write(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        CsvConfig.model_validate({"name": "a", "endpoint": "file:///x", "columns": SUEZ, **change})


@pytest.mark.parametrize(
    ("path", "columns"),
    [
        ("ais/stonesoup_SolentAIS_20160112_130211.csv", SOLENT),
        ("ais/movingpandas_boat-positions.csv", SUEZ),
    ],
)
def test_common_tables_are_recognised(shared_data: Path, path: str, columns: dict[str, Any]) -> None:
    assert guess_columns((shared_data / path).read_bytes()[:4_096]) == Columns.model_validate(columns)


def test_a_table_that_is_not_recognised_is_not_guessed() -> None:
    assert guess_columns(b"a,b,c\n1,2,3\n") is None
    assert guess_columns(b"time,lon,lat,mmsi\nyesterday,1,2,3\n") is None
    assert guess_columns(b'"time') is None
