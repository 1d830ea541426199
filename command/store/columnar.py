"""NumPy structured rows to and from PostgreSQL's binary COPY format, whole arrays at a time.

Format: PostgreSQL 15 manual, COPY, "Binary Format": a head of 19 bytes, then for each row an int16 count of
fields and for each field an int32 length and its bytes, all big-endian, then int16 -1. Because every column of
these dtypes has a fixed width (a float that is not known is NaN on the wire and NULL in the table), a whole batch is
one structured array and needs no loop over its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, Final, LiteralString

import numpy as np
import numpy.typing as npt
import psycopg
from psycopg import sql

from command.domain.clock import from_us

_HEAD: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
_END: Final = b"\xff\xff"
_JSONB_VERSION: Final = b"\x01"
EPOCH_2000_US: Final = 946_684_800_000_000
"""2000-01-01T00:00Z, where PostgreSQL's timestamps count from, in microseconds since 1970."""
_FIRST_US: Final = 0
_LAST_US: Final = 253_402_300_799_999_999
"""9999-12-31T23:59:59.999999Z, the last moment a Python datetime can say."""

_WIRE: Final[Mapping[str, tuple[LiteralString, str]]] = {
    "|V16": ("uuid", "V16"),
    "|u1": ("smallint", ">i2"),
    "<u4": ("bigint", ">i8"),
    "<i8": ("bigint", ">i8"),
    "<f8": ("double precision", ">f8"),
    "<f4": ("real", ">f4"),
}


class BadRows(ValueError):
    """Rows that no table can hold; the text says which row and why."""


@dataclass(frozen=True)
class _Column:
    field: str
    name: str
    sql_type: LiteralString
    wire: str
    is_time: bool
    is_float: bool


def _column(field: str, dtype: np.dtype[np.void]) -> _Column:
    sql_type, wire = _WIRE[dtype[field].str]
    is_time = field.endswith("_us")
    return _Column(
        field=field,
        name=field.removesuffix("_us"),
        sql_type="timestamptz" if is_time else sql_type,
        wire=wire,
        is_time=is_time,
        is_float=dtype[field].kind == "f",
    )


def _listed(parts: Iterable[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)


@dataclass(frozen=True, eq=False)
class Columnar:
    """How a structured dtype lies in SQL: `*_us` is a timestamptz without the suffix, V16 a uuid, NaN is NULL."""

    dtype: np.dtype[np.void]

    @cached_property
    def columns(self) -> tuple[_Column, ...]:
        return tuple(_column(field, self.dtype) for field in self.dtype.names or ())

    @property
    def names(self) -> sql.Composed:
        """The columns, for an INSERT."""
        return _listed(sql.Identifier(c.name) for c in self.columns)

    @property
    def definitions(self) -> sql.Composed:
        """The columns with their types, for a staging table (NaN stays NaN there)."""
        return _listed(
            sql.SQL("{} {} NOT NULL").format(sql.Identifier(c.name), sql.SQL(c.sql_type)) for c in self.columns
        )

    @property
    def with_null(self) -> sql.Composed:
        """The columns of a staging table, NaN turned to NULL, in the order of `names`."""
        return _listed(
            sql.SQL("nullif({}, 'NaN')" if c.is_float else "{}").format(sql.Identifier(c.name)) for c in self.columns
        )

    def with_nan(self, alias: str) -> sql.Composed:
        """The columns of a table, NULL turned to NaN: what `read` expects from COPY TO."""
        return _listed(
            sql.SQL("coalesce({}, 'NaN')" if c.is_float else "{}").format(sql.Identifier(alias, c.name))
            for c in self.columns
        )

    def with_numbers(self, alias: str) -> sql.Composed:
        """The columns of a table as plain numbers and bytes, in the order of the dtype: for a row here and there."""

        def written(column: _Column) -> sql.Composable:
            name = sql.Identifier(alias, column.name)
            if column.is_time:
                return sql.SQL("(extract(epoch FROM {}) * 1000000)::bigint").format(name)
            if column.sql_type == "uuid":
                return sql.SQL("uuid_send({})").format(name)
            return sql.SQL("coalesce({}, 'NaN')" if column.is_float else "{}").format(name)

        return _listed(written(column) for column in self.columns)

    @cached_property
    def _record(self) -> np.dtype[np.void]:
        fields: list[tuple[str, str]] = [("fields", ">i2")]
        for column in self.columns:
            fields += [(f"{column.field}_bytes", ">i4"), (column.field, column.wire)]
        return np.dtype(fields)

    @cached_property
    def _record_with_tail(self) -> np.dtype[np.void]:
        return np.dtype([*self._record.descr, ("tail_bytes", ">i4")])

    def write(self, rows: npt.NDArray[np.void], tails: Mapping[int, bytes] | None = None) -> bytes:
        """The COPY BINARY stream of `rows`, (n,) of this dtype.

        tails: None for no further column; else row index -> JSON text (UTF-8) of one more jsonb column, NULL
        where a row has none. Raises BadRows for a time outside 1970..9999.
        """
        record = self._record if tails is None else self._record_with_tail
        wire = np.empty(len(rows), dtype=record)
        wire["fields"] = len(self.columns) + (tails is not None)
        for column in self.columns:
            values = rows[column.field]
            if column.is_time:
                _check_times(column.field, values)
                values = values - EPOCH_2000_US
            wire[f"{column.field}_bytes"] = record[column.field].itemsize
            wire[column.field] = values
        if tails is None:
            return b"".join((_HEAD, wire.tobytes(), _END))
        wire["tail_bytes"] = -1
        for row, tail in tails.items():
            wire["tail_bytes"][row] = len(tail) + len(_JSONB_VERSION)
        fixed = wire.tobytes()
        parts, done = [_HEAD], 0
        for row in sorted(tails):
            upto = (row + 1) * record.itemsize
            parts += [fixed[done:upto], _JSONB_VERSION, tails[row]]
            done = upto
        return b"".join((*parts, fixed[done:], _END))

    def read(self, data: bytes) -> npt.NDArray[np.void]:
        """(n,) rows of this dtype from the COPY BINARY stream of `with_nan` columns."""
        body = len(data) - len(_HEAD) - len(_END)
        wire = np.frombuffer(data, dtype=self._record, offset=len(_HEAD), count=body // self._record.itemsize)
        rows = np.empty(len(wire), dtype=self.dtype)
        for column in self.columns:
            rows[column.field] = wire[column.field]
            if column.is_time:
                rows[column.field] += EPOCH_2000_US
        return rows


def read_rows(
    connection: psycopg.Connection[Any], layout: Columnar, query: bytes, *parameters: object
) -> npt.NDArray[np.void]:
    """(n,) rows of the layout's dtype from `COPY (...) TO STDOUT (FORMAT BINARY)` of its `with_nan` columns."""
    with connection.cursor() as cursor, cursor.copy(query, parameters) as copy:
        return layout.read(b"".join(copy))


def bound(us: int) -> datetime:
    """A time to compare stored times with: what lies outside 1970..9999 becomes its nearest end."""
    return from_us(min(max(us, _FIRST_US), _LAST_US))


def _check_times(field: str, values: npt.NDArray[np.int64]) -> None:
    bad = np.flatnonzero((values < _FIRST_US) | (values > _LAST_US))
    if len(bad):
        raise BadRows(
            f"{field} of row {bad[0]} is {values[bad[0]]} us ({len(bad)} rows like it): not a time between 1970 and "
            "9999; reject such messages before they reach the store"
        )
