"""The source `csv`: a table with declared columns, whole or as it grows."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, Literal
from zoneinfo import ZoneInfo

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from command.domain import ids
from command.domain.clock import EARLIEST_US, LATEST_US, US_PER_S, to_us
from command.domain.geo import MPS_PER_KNOT
from command.domain.observation import (
    OBSERVATION_DTYPE,
    IdentityScheme,
    ObservationBatch,
    ObservationFlag,
    ObservationKind,
    SubjectKind,
)
from sensors.endpoint import LinkConfig, parse_endpoint
from sensors.recent import Recent
from sensors.source import SourceConfig, SourceContext, Tally
from sensors.transport import run_decoder

MAX_ROW_BYTES: Final = 65_536
BATCH_ROWS: Final = 1_000
MAX_KNOWN_TIMES: Final = 65_536
_NO_VALUE: Final = frozenset({"", "na", "n/a", "nan", "none", "null", "-"})
_SCHEMES: Final = {"mmsi": IdentityScheme.MMSI, "label": IdentityScheme.LABEL, "contact": IdentityScheme.CONTACT}
_MPS: Final = {"mps": 1.0, "knots": MPS_PER_KNOT, "kmh": 1.0 / 3.6}
_NAN: Final = math.nan


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TimeColumn(_Part):
    """When: `iso` (ISO 8601), `unix_s`, `unix_ms`, or a strptime format; `zone` for times that name none."""

    column: str
    format: str = "iso"
    zone: str = "UTC"

    @field_validator("zone")
    @classmethod
    def _known(cls, zone: str) -> str:
        try:
            ZoneInfo(zone)
        except (KeyError, OSError, ValueError) as exc:
            raise ValueError(f"{zone!r} is no time zone; write for example Asia/Tokyo or UTC") from exc
        return zone


class SpeedColumn(_Part):
    """How fast, and in which unit the file has it."""

    column: str
    unit: Literal["mps", "knots", "kmh"]


class IdentityColumn(_Part):
    """Who: an `mmsi`, a `label` that names one thing through the file, or a `contact` (a sensor's own number)."""

    column: str
    scheme: Literal["mmsi", "label", "contact"]


class Columns(_Part):
    """Which column says what. `attributes`: our name of a fact -> the column, for example `{name = "Ship"}`."""

    time: TimeColumn
    lon: str
    lat: str
    identity: IdentityColumn
    speed: SpeedColumn | None = None
    course: str | None = None
    heading: str | None = None
    altitude_amsl_m: str | None = None
    depth_m: str | None = None
    attributes: dict[str, str] = Field(default_factory=dict, max_length=32)
    subject_kind: str = "vessel"

    @field_validator("subject_kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind.upper() not in SubjectKind.__members__:
            raise ValueError(f"{kind!r} is no kind; choose from {', '.join(k.name.lower() for k in SubjectKind)}")
        return kind

    def used(self) -> set[str]:
        """Every column named."""
        optional = {self.course, self.heading, self.altitude_amsl_m, self.depth_m, self.speed and self.speed.column}
        return {self.time.column, self.lon, self.lat, self.identity.column, *self.attributes.values()} | {
            column for column in optional if column
        }


class CsvConfig(LinkConfig):
    """A table: `endpoint` is a file. A file that grows: `file:///path?follow=true&from=start`."""

    kind: str = "csv"
    columns: Columns
    delimiter: str = Field(default=",", min_length=1, max_length=1)

    @field_validator("endpoint")
    @classmethod
    def _a_file(cls, value: str) -> str:
        endpoint = parse_endpoint(value)
        if endpoint.scheme != "file":
            raise ValueError(f"endpoint {value!r}: a table is a file; write file:///path")
        if not endpoint.from_start:
            raise ValueError(f"endpoint {value!r}: add &from=start; the columns' names are in the first line")
        return value


class BadRow(ValueError):
    """A row that cannot be read. `reason` is the word that it is counted by."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class CsvDecoder:
    """A Decoder of one table: its first line names the columns, every other line is one message.

    A line is a row: a quoted line break inside a value is rejected (`bad_row`) instead of swallowing what follows.
    """

    def __init__(self, columns: Columns, *, tally: Tally, delimiter: str = ",") -> None:
        self._columns = columns
        self._tally = tally
        self._delimiter = delimiter
        self._zone = UTC if columns.time.zone == "UTC" else ZoneInfo(columns.time.zone)
        self._scheme = _SCHEMES[columns.identity.scheme]
        self._subject_kind = int(SubjectKind[columns.subject_kind.upper()])
        self._header: bytes | None = None
        self._index: Mapping[str, int] | None = None
        self._rest = b""
        self._skipping = False
        self._recent = Recent(0)
        self._times: dict[str, int] = {}
        self._rows: list[tuple[Any, ...]] = []
        self._facts: dict[int, dict[str, Any]] = {}

    def feed(self, data: bytes, *, received_at_us: int, origin: str) -> ObservationBatch | None:
        """Take bytes of the table; lines may be split between calls."""
        del origin
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if self._skipping:
                self._skipping = False
            else:
                self._take_line(line.rstrip(b"\r"), received_at_us)
        if len(self._rest) > MAX_ROW_BYTES:
            if not self._skipping:
                self._reject("row_too_long", self._rest, received_at_us)
            self._rest, self._skipping = b"", True
        return self._take_batch() if len(self._rows) >= BATCH_ROWS else None

    def flush(self, *, received_at_us: int, end: bool = False) -> ObservationBatch | None:
        """What is held; with `end` a last line without a line end too."""
        if end and self._rest and not self._skipping:
            rest, self._rest = self._rest.rstrip(b"\r"), b""
            self._take_line(rest, received_at_us)
        return self._take_batch() if self._rows else None

    def time_of(self, line: bytes) -> int | None:
        """The time of a row, microseconds, without counting it; None for the header and for a row without one."""
        if self._index is None:
            self._read_header(line.strip(b"\r\n"))
            return None
        try:
            return self._time_us(self._cells(line.strip(b"\r\n"))[self._index[self._columns.time.column]])
        except (BadRow, KeyError, IndexError):
            return None

    def _take_line(self, line: bytes, received_at_us: int) -> None:
        if not line.strip() or line == self._header:
            return
        if self._header is None:
            self._read_header(line)
            return
        if len(line) > MAX_ROW_BYTES:
            self._reject("row_too_long", line, received_at_us)
            return
        try:
            row, facts = self._read_row(line, received_at_us)
        except BadRow as exc:
            self._reject(exc.reason, line, received_at_us)
            return
        observation_id, observed_at_us = row[:2]
        self._tally.take(received_at_us=received_at_us)
        if self._recent.has(observation_id, observed_at_us):
            self._tally.duplicate()
            return
        self._recent.add(observation_id, observed_at_us)
        self._tally.decode(observed_at_us=observed_at_us, received_at_us=received_at_us)
        if facts:
            self._facts[len(self._rows)] = facts
        self._rows.append(row)

    def _read_header(self, line: bytes) -> None:
        self._header = line
        try:
            names = self._cells(line)
        except BadRow:
            names = []
        self._index = {name.strip(): i for i, name in enumerate(names)}
        missing = sorted(self._columns.used() - self._index.keys())
        if missing:
            self._tally.enter(
                "failed",
                f"columns: {', '.join(missing)} not in the first line; it has {', '.join(self._index) or 'none'}",
            )

    def _cells(self, line: bytes) -> list[str]:
        try:
            text = line.decode("utf-8-sig")
            rows = list(csv.reader((text,), delimiter=self._delimiter, strict=True))
        except (UnicodeDecodeError, csv.Error) as exc:
            raise BadRow("bad_row") from exc
        return rows[0] if rows else []

    def _read_row(self, line: bytes, received_at_us: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        cells, index, columns = self._cells(line), self._index or {}, self._columns
        try:
            values = {column: cells[index[column]].strip() for column in columns.used()}
        except KeyError as exc:
            raise BadRow("no_such_column") from exc
        except IndexError as exc:
            raise BadRow("row_too_short") from exc
        observed_at_us = self._time_us(values[columns.time.column])
        lon, lat, flags = _place(values[columns.lon], values[columns.lat])

        def number(column: str | None) -> float:
            return _NAN if column is None else _number(values[column])

        speed = _NAN
        if columns.speed is not None:
            speed = _number(values[columns.speed.column]) * _MPS[columns.speed.unit]
        course, heading = (
            angle if 0.0 <= angle < 360.0 else _NAN for angle in map(number, (columns.course, columns.heading))
        )
        facts = {
            name: _fact(name, values[column])
            for name, column in columns.attributes.items()
            if values[column].lower() not in _NO_VALUE
        }
        identity = values[columns.identity.column]
        if self._scheme is not IdentityScheme.MMSI:
            facts.setdefault("label", identity[:200])
        row = (
            ids.observation_id(self._tally.source, observed_at_us, line),
            observed_at_us,
            received_at_us,
            int(self._scheme),
            self._subject_kind,
            int(ObservationKind.POSITION),
            flags,
            self._key(identity),
            lon,
            lat,
            _NAN,
            number(columns.altitude_amsl_m),
            _NAN,
            number(columns.depth_m),
            speed,
            course,
            heading,
            _NAN,
            _NAN,
        )
        return row, facts

    def _key(self, identity: str) -> int:
        if identity.lower() in _NO_VALUE or len(identity) > 200:
            raise BadRow("bad_identity")
        if self._scheme is IdentityScheme.LABEL:
            return ids.stable_key(identity)
        if self._scheme is IdentityScheme.CONTACT:
            return ids.stable_key(f"{self._tally.source}|{identity}")  # a number means something to its sensor only
        if not (identity.isascii() and identity.isdigit() and len(identity) <= 9 and int(identity)):
            raise BadRow("bad_identity")
        return int(identity)

    def _time_us(self, text: str) -> int:
        known = self._times.get(text)
        if known is None:
            known = self._parse_time(text.strip())
            if len(self._times) >= MAX_KNOWN_TIMES:
                self._times.clear()
            self._times[text] = known
        return known

    def _parse_time(self, text: str) -> int:
        form = self._columns.time.format
        try:
            if form in ("unix_s", "unix_ms"):
                us = round(float(text) * (US_PER_S if form == "unix_s" else 1_000))
            else:
                moment = datetime.fromisoformat(text) if form == "iso" else datetime.strptime(text, form)  # noqa: DTZ007 - the zone follows
                us = to_us(moment if moment.tzinfo is not None else moment.replace(tzinfo=self._zone))
        except (ValueError, OverflowError) as exc:
            raise BadRow("bad_time") from exc
        if not EARLIEST_US <= us <= LATEST_US:
            raise BadRow("bad_time")
        return us

    def _take_batch(self) -> ObservationBatch:
        rows = np.array(self._rows, dtype=OBSERVATION_DTYPE)
        batch = ObservationBatch(source=self._tally.source, rows=rows, attributes=self._facts)
        self._rows, self._facts = [], {}
        return batch

    def _reject(self, reason: str, raw: bytes, received_at_us: int) -> None:
        self._tally.take(received_at_us=received_at_us)
        self._tally.reject(reason, raw, received_at_us=received_at_us)


def _number(text: str) -> float:
    if text.lower() in _NO_VALUE:
        return _NAN
    try:
        value = float(text)
    except ValueError as exc:
        raise BadRow("bad_number") from exc
    return value if math.isfinite(value) else _NAN


def _place(lon_text: str, lat_text: str) -> tuple[float, float, int]:
    try:
        lon, lat = _number(lon_text), _number(lat_text)
    except BadRow as exc:
        raise BadRow("bad_position") from exc
    if math.isnan(lon) and math.isnan(lat):
        return lon, lat, int(ObservationFlag.NO_FIX)
    if not (-180.0 <= lon <= 180.0 and -90.0 <= lat <= 90.0):
        raise BadRow("position_out_of_range")
    return lon, lat, 0


def _fact(name: str, text: str) -> str | float:
    """Facts that have a unit in their name are numbers."""
    return _number(text) if name.endswith(("_m", "_mps", "_deg", "_percent")) else text[:200]


class CsvSource:
    """Reads a table until its end, or for ever where it grows."""

    Config: ClassVar[type[SourceConfig]] = CsvConfig

    def __init__(self, config: CsvConfig) -> None:
        self.config = config
        self.can_wait = not parse_endpoint(config.endpoint).follow

    def run(self, ctx: SourceContext) -> None:
        """Rows go on as they are read; what the file gains is looked for several times a second."""
        run_decoder(CsvDecoder(self.config.columns, tally=ctx.tally, delimiter=self.config.delimiter), self.config, ctx)
