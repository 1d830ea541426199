"""Recordings as timed records: what was received when, by NMEA logs, tables and MAVLink telemetry logs."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from command.domain.clock import US_PER_S
from sensors.ais import AisDecoder
from sensors.csv_table import Columns, CsvDecoder, IdentityColumn, SpeedColumn, TimeColumn
from sensors.nmea import BusTime, told_time_us
from sensors.source import Decoder, Record, Tally

MAX_LINE_BYTES: Final = 65_536
LOOK_AHEAD_LINES: Final = 20_000
UNTIMED_STEP_US: Final = US_PER_S // 10
"""A log that tells no time is played at ten lines a second, from the time its file was last written."""
MAX_TABLE_BYTES: Final = 1 << 30
"""A table need not be in the order of time, so it is sorted in memory."""


class BadRecording(ValueError):
    """A file that cannot be replayed; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One file to replay: its timed records, and a maker of the decoder for them.

    Recordings with the same `decoder_key` share one decoder, so that what two stations heard is told once.
    """

    path: Path
    decoder_key: str
    make_decoder: Callable[[Tally], Decoder]
    read: Callable[[], Iterator[Record]]


def open_recording(path: Path, *, columns: Columns | None = None, delimiter: str = ",") -> Recording:
    """The recording in a file, by its name: .tlog, .csv, .cot or .xml, else NMEA. Raises BadRecording."""
    if not path.is_file():
        raise BadRecording(f"{path} is not a file; name a recording (.log, .nm4, .txt, .csv, .tlog or .cot)")
    try:
        with path.open("rb") as file:
            head = file.read(MAX_LINE_BYTES)
    except OSError as exc:
        raise BadRecording(f"{path} cannot be read: {exc}") from exc
    if path.suffix.lower() == ".tlog":
        return _telemetry_log(path, head)
    if path.suffix.lower() == ".csv":
        return _table(path, head, columns, delimiter)
    if path.suffix.lower() in (".cot", ".xml"):
        return _cot_log(path, head)
    if not re.search(rb"(?:^|[\r\n])(?:\\[^\r\n]*\\)?[!$][A-Z]", head):
        raise BadRecording(f"{path}: no NMEA sentence in its first {len(head)} bytes; give a .csv or .tlog its suffix")
    return Recording(path, "nmea", lambda tally: AisDecoder(tally=tally), lambda: read_nmea(path))


def _telemetry_log(path: Path, head: bytes) -> Recording:
    from sensors.mavlink.decoder import MavlinkDecoder  # noqa: PLC0415 - pymavlink loads only when it is needed
    from sensors.mavlink.tlog import holds_a_frame, read_tlog  # noqa: PLC0415 - as above

    if not holds_a_frame(head):
        raise BadRecording(
            f"{path}: no MAVLink message behind a time in its first {len(head)} bytes; a .tlog is what a ground "
            "station records, give an NMEA log or a table its own suffix (.log, .nm4, .txt, .csv)"
        )
    return Recording(path, "mavlink", lambda tally: MavlinkDecoder(tally=tally, whole=True), lambda: read_tlog(path))


def _cot_log(path: Path, head: bytes) -> Recording:
    from sensors.cot.decoder import CotDecoder  # noqa: PLC0415 - lxml loads only when it is needed
    from sensors.cot.log import read_cot  # noqa: PLC0415 - as above

    if b"<event" not in head:
        raise BadRecording(f"{path}: no CoT event in its first {len(head)} bytes; give another recording its suffix")
    return Recording(path, "cot", lambda tally: CotDecoder(tally=tally), lambda: read_cot(path))


def _table(path: Path, head: bytes, columns: Columns | None, delimiter: str) -> Recording:
    declared = columns or guess_columns(head, delimiter=delimiter)
    if declared is None:
        first = head.split(b"\n", 1)[0].decode("utf-8-sig", "replace").strip()[:200]
        raise BadRecording(f"{path}: declare its columns (time, lon, lat, identity); its first line is: {first}")
    if path.stat().st_size > MAX_TABLE_BYTES:
        raise BadRecording(f"{path} is larger than {MAX_TABLE_BYTES >> 20} MiB; cut it by time")

    def make(tally: Tally) -> Decoder:
        return CsvDecoder(declared, tally=tally, delimiter=delimiter)

    return Recording(path, f"csv {path}", make, lambda: read_table(path, declared, delimiter=delimiter))


def read_nmea(path: Path) -> Iterator[Record]:
    """The lines of an NMEA log with the time of the bus: what stands before the first told time gets that one.

    A log that tells no time in its first LOOK_AHEAD_LINES lines is given one (UNTIMED_STEP_US).
    """
    first_us = _first_told_us(path)
    now_us = path.stat().st_mtime_ns // 1_000 if first_us is None else first_us
    bus = BusTime()
    with path.open("rb") as file:
        for line in _lines(file):
            if bus.hear(line.rstrip()) and bus.now_us is not None:
                now_us = bus.now_us
            elif first_us is None:
                now_us += UNTIMED_STEP_US
            yield Record(line, now_us)


def read_table(path: Path, columns: Columns, *, delimiter: str = ",") -> Iterator[Record]:
    """The header, then the rows in the order of their times; a row without a time stays behind the one before it."""
    clock = CsvDecoder(columns, tally=_uncounted(), delimiter=delimiter)
    with path.open("rb") as file:
        lines = _lines(file)
        header = next(lines, b"")
        clock.time_of(header)
        timed: list[tuple[int, bytes]] = []
        last_us = 0
        for line in lines:
            last_us = clock.time_of(line) or last_us
            timed.append((last_us, line if line.endswith(b"\n") else line + b"\n"))
    timed.sort(key=lambda record: record[0])
    yield Record(header if header.endswith(b"\n") else header + b"\n", timed[0][0] if timed else 0)
    for time_us, line in timed:
        yield Record(line, time_us)


class _Nothing:
    """A sink for the look at a table's times, which rejects nothing."""

    def keep(self, *, source: str, reason: str, raw: bytes, received_at_us: int) -> None:
        raise AssertionError(f"{source} {reason} {raw!r} {received_at_us}: looking at times counts nothing")

    def now_us(self) -> int:
        return 0

    def at_host_us(self, host_us: int) -> int:
        return 0


def _uncounted() -> Tally:
    nothing = _Nothing()
    return Tally(source="csv", kind="csv", gateway="", clock=nothing, sink=nothing)


def _first_told_us(path: Path) -> int | None:
    with path.open("rb") as file:
        for number, line in enumerate(_lines(file)):
            if number >= LOOK_AHEAD_LINES:
                return None
            told_us = told_time_us(line.rstrip())
            if told_us is not None:
                return told_us
    return None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(MAX_LINE_BYTES):
        yield line


_TIME_NAMES: Final = (
    "time",
    "timestamp",
    "ais_pos_timestamp",
    "basedatetime",
    "datetime",
    "productstarttime",
    "date_time",
)
_LON_NAMES: Final = ("lon", "longitude", "longitude_degrees", "long", "x")
_LAT_NAMES: Final = ("lat", "latitude", "latitude_degrees", "y")
_MMSI_NAMES: Final = ("mmsi", "ssvid")
_CONTACT_NAMES: Final = ("detectionid", "detect_id", "contact", "contact_id")
_LABEL_NAMES: Final = ("id", "vessel_id", "track_id", "label", "icao24")
_SPEED_NAMES: Final = {
    "sog_knots": "knots",
    "sog": "knots",
    "speed_knots": "knots",
    "speed_mps": "mps",
    "speed_kmh": "kmh",
}
_COURSE_NAMES: Final = ("cog_degrees", "cog", "course", "course_deg")
_HEADING_NAMES: Final = ("heading", "heading_deg")
_FACT_NAMES: Final = {"name": ("vesselname", "ship_name", "shipname"), "length_m": ("length", "length_m")}
_TIME_FORMS: Final = (
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*"), "iso"),
    (re.compile(r"\d\d/\d\d/\d{4} \d\d:\d\d"), "%d/%m/%Y %H:%M"),
    (re.compile(r"\d\d/\d\d/\d{4} \d\d:\d\d:\d\d"), "%d/%m/%Y %H:%M:%S"),
    (re.compile(r"1\d{9}(?:\.\d+)?"), "unix_s"),
    (re.compile(r"1\d{12}"), "unix_ms"),
)


def guess_columns(head: bytes, *, delimiter: str = ",") -> Columns | None:
    """The columns of a table whose names are common ones and whose first row has a time of a known form; else None.

    A speed is taken only where its name is a unit's or AIS's own (SOG is in knots). Dates with slashes are read day
    first.
    """
    lines = head.decode("utf-8-sig", "replace").splitlines()[:2]
    try:
        rows = list(csv.reader(lines, delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    if len(rows) < 2:
        return None
    by_name = {name.strip().lower(): name.strip() for name in rows[0]}

    def find(names: Sequence[str]) -> str | None:
        return next((by_name[name] for name in names if name in by_name), None)

    time, lon, lat = find(_TIME_NAMES), find(_LON_NAMES), find(_LAT_NAMES)
    identity = _guess_identity(find)
    if time is None or lon is None or lat is None or identity is None:
        return None
    first = dict(zip([name.strip() for name in rows[0]], rows[1], strict=False)).get(time, "")
    form = next((form for pattern, form in _TIME_FORMS if pattern.fullmatch(first.strip())), None)
    if form is None:
        return None
    speed = find(tuple(_SPEED_NAMES))
    facts = {fact: column for fact, names in _FACT_NAMES.items() if (column := find(names)) is not None}
    return Columns(
        time=TimeColumn(column=time, format=form),
        lon=lon,
        lat=lat,
        identity=identity,
        speed=SpeedColumn.model_validate({"column": speed, "unit": _SPEED_NAMES[speed.lower()]}) if speed else None,
        course=find(_COURSE_NAMES),
        heading=find(_HEADING_NAMES),
        attributes=facts,
    )


def _guess_identity(find: Callable[[Sequence[str]], str | None]) -> IdentityColumn | None:
    if column := find(_MMSI_NAMES):
        return IdentityColumn(column=column, scheme="mmsi")
    if column := find(_CONTACT_NAMES):
        return IdentityColumn(column=column, scheme="contact")
    if column := find(_LABEL_NAMES):
        return IdentityColumn(column=column, scheme="label")
    return None
