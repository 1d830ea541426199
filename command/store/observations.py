"""Observations: the facts as sources gave them, by COPY through a staging table, each stored once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from psycopg import sql
from sqlalchemy.orm import Session

from command.domain.clock import from_us as datetime_of
from command.domain.observation import OBSERVATION_DTYPE, ObservationBatch
from command.store.columnar import EPOCH_2000_US, Columnar, bound, read_rows
from command.store.engine import driver_connection
from command.store.jsonb import clean_text, json_text
from command.store.partitions import ensure_days

OBSERVATION_ROWS: Final = Columnar(OBSERVATION_DTYPE)
MAX_READ_ROWS: Final = 100_000

READ_AT_ONCE: Final = 20_000

_KEY: Final = np.dtype([("observed_at", ">i8"), ("observation_id", "V16")])
"""What the INSERT gives back of each new row, as PostgreSQL's binary output has it."""

_PREPARE: Final = (
    sql.SQL(
        "CREATE TEMP TABLE IF NOT EXISTS staging_observation ({}, attributes jsonb) ON COMMIT DELETE ROWS;"
        "DELETE FROM pg_temp.staging_observation"
    )
    .format(OBSERVATION_ROWS.definitions)
    .as_bytes(None)
)
_COPY: Final = "COPY pg_temp.staging_observation FROM STDIN (FORMAT BINARY)"
_INSERT: Final = (
    sql.SQL(
        """
        WITH fresh AS (
            INSERT INTO observation ({names}, attributes, source, recorded_at)
            SELECT {values}, attributes, %s::text, %s::timestamptz FROM pg_temp.staging_observation
            ON CONFLICT (observed_at, observation_id) DO NOTHING
            RETURNING observed_at, observation_id
        )
        SELECT string_agg(timestamptz_send(observed_at) || uuid_send(observation_id), ''::bytea) FROM fresh
        """
    )
    .format(names=OBSERVATION_ROWS.names, values=OBSERVATION_ROWS.with_null)
    .as_bytes(None)
)
_READ: Final = (
    sql.SQL(
        """
        COPY (
            SELECT {} FROM observation o WHERE observed_at >= %s AND observed_at < %s
            ORDER BY observed_at, observation_id LIMIT %s
        ) TO STDOUT (FORMAT BINARY)
        """
    )
    .format(OBSERVATION_ROWS.with_nan("o"))
    .as_bytes(None)
)
_REPLAY: Final = (
    sql.SQL(
        """
        SELECT {}, (extract(epoch FROM recorded_at) * 1000000)::bigint, source, attributes
        FROM observation o WHERE observed_at >= %s AND observed_at < %s
        ORDER BY recorded_at, source, observed_at, observation_id
        """
    )
    .format(OBSERVATION_ROWS.with_numbers("o"))
    .as_bytes(None)
)


def save_observations(session: Session, batch: ObservationBatch, *, recorded_at_us: int) -> npt.NDArray[np.bool_]:
    """Store a batch; (n,) True where the row is new, False where it was stored before.

    A row that stands twice in the batch is new once, at its first place. Rows whose day is late (partitions.LATE_DAYS)
    or ahead go to the DEFAULT partition. recorded_at_us: the realm's time of recording.
    Raises columnar.BadRows for a time outside 1970..9999, StoreUnavailable through the session.
    """
    count = len(batch)
    if count == 0:
        return np.zeros(0, dtype=np.bool_)
    tails = {row: json_text(dict(facts)).encode() for row, facts in batch.attributes.items() if facts}
    stream = OBSERVATION_ROWS.write(batch.rows, tails)
    ensure_days(session, batch.rows["observed_at_us"], recorded_at_us=recorded_at_us)
    with driver_connection(session).cursor(binary=True) as cursor:
        cursor.execute(_PREPARE, binary=False)
        with cursor.copy(_COPY) as copy:
            copy.write(stream)
        cursor.execute(_INSERT, (clean_text(batch.source), datetime_of(recorded_at_us)))
        answer = cursor.fetchone()
    fresh = np.frombuffer(answer[0] if answer and answer[0] else b"", dtype=_KEY)
    if len(fresh) == count:
        return np.ones(count, dtype=np.bool_)
    return _first_places(batch.rows, fresh)


def _first_places(rows: npt.NDArray[np.void], fresh: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    """(n,) True at the first place of each key of `fresh` in `rows`."""
    awaited = set(zip((fresh["observed_at"] + EPOCH_2000_US).tolist(), fresh["observation_id"].tolist(), strict=True))
    mask = np.zeros(len(rows), dtype=np.bool_)
    for place, key in enumerate(zip(rows["observed_at_us"].tolist(), rows["observation_id"].tolist(), strict=True)):
        if key in awaited:
            awaited.discard(key)
            mask[place] = True
    return mask


def observations_between(session: Session, *, from_us: int, to_us: int, limit: int) -> npt.NDArray[np.void]:
    """(n,) OBSERVATION_DTYPE with from_us <= observed_at_us < to_us, oldest first, at most `limit` of them."""
    return read_rows(
        driver_connection(session),
        OBSERVATION_ROWS,
        _READ,
        bound(from_us),
        bound(to_us),
        min(limit, MAX_READ_ROWS),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredBatch:
    """Observations of one source that were recorded together, with their attributes; see `stored_batches`."""

    recorded_at_us: int
    batch: ObservationBatch


def stored_batches(session: Session, *, from_us: int, to_us: int) -> Iterator[StoredBatch]:
    """What was observed from from_us on and before to_us, as it came in: in the order of recording, a batch a source.

    Read through a cursor of the server, so that an hour of a busy sea needs no more memory than READ_AT_ONCE rows. The
    session may not be used for anything else meanwhile.
    """
    connection = driver_connection(session)
    with connection.cursor(name="stored_batches", binary=True) as cursor:
        cursor.itersize = READ_AT_ONCE
        cursor.execute(_REPLAY, (bound(from_us), bound(to_us)))
        while rows := cursor.fetchmany(READ_AT_ONCE):
            yield from _grouped(rows)


def _grouped(rows: list[tuple[Any, ...]]) -> Iterator[StoredBatch]:
    width = len(OBSERVATION_ROWS.columns)
    for (recorded_at_us, source), group in groupby(rows, key=lambda row: (row[width], row[width + 1])):
        together = list(group)
        values = np.array([row[:width] for row in together], dtype=OBSERVATION_DTYPE)
        attributes = {i: row[width + 2] for i, row in enumerate(together) if row[width + 2]}
        yield StoredBatch(
            recorded_at_us=recorded_at_us,
            batch=ObservationBatch(source=source, rows=values, attributes=attributes),
        )
