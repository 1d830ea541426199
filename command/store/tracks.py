"""Tracks: the latest state of each, which flushes upsert and consoles read, and the append-only history of states."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from psycopg import sql
from sqlalchemy import ColumnElement, Select, func, or_, select, text
from sqlalchemy.orm import Session

from command.domain.clock import US_PER_S
from command.domain.track import TRACK_STATE_DTYPE, Track
from command.store.columnar import Columnar, bound, read_rows
from command.store.engine import driver_connection
from command.store.notify import notify
from command.store.partitions import ensure_days
from command.store.sequencer import take_next
from command.store.tables import SEQUENCER, TRACK
from command.store.track_rows import (
    COPIED,
    COPY_LATEST,
    PREPARE_LATEST,
    READ,
    UPSERT_LATEST,
    LatestTrack,
    staged,
    track_of,
)
from command.store.types import WGS84_SRID, Microseconds

__all__ = [
    "LatestTrack",
    "append_track_states",
    "known_tracks",
    "load_latest",
    "next_flush_seq",
    "track_by_id",
    "track_history",
    "tracks_as_of",
    "tracks_changed_since",
    "tracks_in_box",
    "upsert_latest",
]

MAX_TRACKS: Final = 20_000
"""No query gives more tracks than this, whatever its limit."""
STATE_ROWS: Final = Columnar(TRACK_STATE_DTYPE)
MAX_HISTORY_ROWS: Final = 100_000
AS_OF_LOOKBACK_US: Final = 24 * 3_600 * US_PER_S
"""A track not heard for this long before the time asked for is not in the picture of that time."""

_PREPARE: Final = (
    sql.SQL(
        "CREATE TEMP TABLE IF NOT EXISTS staging_state ({}) ON COMMIT DELETE ROWS; DELETE FROM pg_temp.staging_state"
    )
    .format(STATE_ROWS.definitions)
    .as_bytes(None)
)
_COPY: Final = "COPY pg_temp.staging_state FROM STDIN (FORMAT BINARY)"
_INSERT: Final = (
    sql.SQL("INSERT INTO track_state ({names}) SELECT {values} FROM pg_temp.staging_state")
    .format(names=STATE_ROWS.names, values=STATE_ROWS.with_null)
    .as_bytes(None)
)
_HISTORY: Final = (
    sql.SQL(
        """
        COPY (
            SELECT {} FROM track_state s WHERE track_id = %s AND observed_at >= %s AND observed_at < %s
            ORDER BY observed_at DESC, recorded_at DESC LIMIT %s
        ) TO STDOUT (FORMAT BINARY)
        """
    )
    .format(STATE_ROWS.with_nan("s"))
    .as_bytes(None)
)
_AS_OF: Final = text(
    """
    SELECT t.subject, t.source, t.attributes, s.*, s.subject_kind AS kind
    FROM track t CROSS JOIN LATERAL (
        SELECT * FROM track_state s
        WHERE s.track_id = t.track_id AND s.observed_at <= :at AND s.observed_at > :since
            AND s.recorded_at <= :recorded_by
        ORDER BY s.observed_at DESC, s.recorded_at DESC LIMIT 1
    ) s
    WHERE s.lat BETWEEN :south AND :north
        AND CASE WHEN :west <= :east THEN s.lon BETWEEN :west AND :east ELSE s.lon >= :west OR s.lon <= :east END
    ORDER BY s.observed_at DESC LIMIT :most
    """
).columns(observed_at=Microseconds, recorded_at=Microseconds)


def next_flush_seq(session: Session) -> int:
    """The number of this flush: one sequencer a realm, its row locked until the transaction ends.

    So flushes commit in the order of their numbers, and a reader that has seen n has seen all up to n.
    """
    return take_next(session, "flush")


def upsert_latest(session: Session, latest: Sequence[LatestTrack], *, flush_seq: int) -> int:
    """Keep the latest of these tracks and tell the listeners; returns how many rows were written.

    A track never goes back in time: one whose observed_at is before the stored one is left out; the same time
    replaces (a new name, a new status). The same track twice counts once, its latest. flush_seq is of next_flush_seq
    in the same transaction. Takes (Track, filter_state) pairs.
    """
    newest: dict[uuid.UUID, LatestTrack] = {}
    for entry in latest:
        known = newest.get(entry.track.track_id)
        if known is None or known.track.observed_at_us <= entry.track.observed_at_us:
            newest[entry.track.track_id] = entry
    if not newest:
        return 0
    with driver_connection(session).cursor() as cursor:
        cursor.execute(PREPARE_LATEST)
        with cursor.copy(COPY_LATEST) as copy:
            copy.set_types([kind for _, kind in COPIED])
            for entry in newest.values():
                copy.write_row(staged(entry))
        cursor.execute(UPSERT_LATEST, (flush_seq,))
        written = cursor.rowcount
    notify(session, {"tracks": flush_seq})
    return written


def _tracks(session: Session, query: Select[Any]) -> list[Track]:
    return [track_of(row) for row in session.execute(query).mappings()]


def load_latest(session: Session) -> list[LatestTrack]:
    """Every track with its filter state: what intake goes on from after a restart."""
    rows = session.execute(select(*READ, TRACK.c.filter_state))
    return [LatestTrack(track_of(row), row["filter_state"]) for row in rows.mappings()]


def tracks_changed_since(session: Session, seq: int, *, limit: int) -> tuple[list[Track], int]:
    """The tracks changed by flushes after `seq`, in order of flush, and the seq to ask from next time.

    Whole flushes only, so the last one may bring the list over `limit`. At the end of the feed the returned seq is
    the realm's latest. Start with 0 for every track.
    """
    after = select(TRACK.c.changed_seq).where(TRACK.c.changed_seq > seq).order_by(TRACK.c.changed_seq)
    cut = after.offset(min(limit, MAX_TRACKS) - 1).limit(1).scalar_subquery()
    latest = select(SEQUENCER.c.seq).where(SEQUENCER.c.name == "flush").scalar_subquery()
    upto = session.execute(select(func.coalesce(cut, latest))).scalar_one()
    query = select(*READ).where(TRACK.c.changed_seq > seq, TRACK.c.changed_seq <= upto).order_by(TRACK.c.changed_seq)
    return _tracks(session, query), upto


def _in_box(west: float, south: float, east: float, north: float) -> ColumnElement[bool]:
    spans = [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]
    return or_(
        *(
            TRACK.c.position.op("&&")(func.ST_MakeEnvelope(left, south, right, north, WGS84_SRID))
            for left, right in spans
        )
    )


def tracks_in_box(session: Session, box: tuple[float, float, float, float], *, limit: int) -> list[Track]:
    """The tracks that are in a box now, newest first, at most `limit`.

    box: west, south, east, north, degrees; west > east crosses the antimeridian.
    """
    query = select(*READ).where(_in_box(*box))
    return _tracks(session, query.order_by(TRACK.c.observed_at.desc()).limit(min(limit, MAX_TRACKS)))


def track_by_id(session: Session, track_id: uuid.UUID) -> Track | None:
    """The track, or None where the realm has none of this id."""
    return next(iter(_tracks(session, select(*READ).where(TRACK.c.track_id == track_id))), None)


def tracks_of_subjects(session: Session, subjects: Sequence[str]) -> dict[str, Track]:
    """The track that was seen last of each subject that has one."""
    query = select(*READ).where(TRACK.c.subject.in_(set(subjects))).order_by(TRACK.c.observed_at)
    return {track.subject: track for track in _tracks(session, query)} if subjects else {}


def known_tracks(session: Session, track_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Those of the ids that there are tracks of."""
    if not track_ids:
        return set()
    return set(session.execute(select(TRACK.c.track_id).where(TRACK.c.track_id.in_(set(track_ids)))).scalars())


def append_track_states(session: Session, states: npt.NDArray[np.void]) -> None:
    """Append (n,) TRACK_STATE_DTYPE. NaN is stored as NULL. Nothing appended is ever changed.

    Raises columnar.BadRows for a time outside 1970..9999.
    """
    if not len(states):
        return
    stream = STATE_ROWS.write(states)
    ensure_days(session, states["observed_at_us"], recorded_at_us=int(states["recorded_at_us"].max()))
    with driver_connection(session).cursor() as cursor:
        cursor.execute(_PREPARE)
        with cursor.copy(_COPY) as copy:
            copy.write(stream)
        cursor.execute(_INSERT)


def track_history(
    session: Session, track_id: uuid.UUID, *, from_us: int, to_us: int, limit: int
) -> npt.NDArray[np.void]:
    """(n,) TRACK_STATE_DTYPE of a track, from_us <= observed_at_us < to_us, oldest first.

    Of more than `limit` (at most MAX_HISTORY_ROWS) the newest: an answer of `limit` rows may have left out older ones.
    """
    newest_first = read_rows(
        driver_connection(session),
        STATE_ROWS,
        _HISTORY,
        track_id,
        bound(from_us),
        bound(to_us),
        min(limit, MAX_HISTORY_ROWS),
    )
    return newest_first[::-1]


def tracks_as_of(
    session: Session,
    at_us: int,
    box: tuple[float, float, float, float],
    *,
    limit: int = MAX_TRACKS,
    recorded_by_us: int | None = None,
) -> list[Track]:
    """The tracks that were in a box at `at_us`, newest first, as their states of that time say.

    box: west, south, east, north, degrees; west > east crosses the antimeridian. recorded_by_us: only what was
    recorded by then. None asks what was true at that time, with all that came in later; `at_us` itself asks what the
    officer saw. Name and source are the latest known; the status is that of the state, so judge its age against
    `at_us`. States older than AS_OF_LOOKBACK_US are left out.
    """
    west, south, east, north = box
    rows = session.execute(
        _AS_OF,
        {
            "at": bound(at_us),
            "since": bound(at_us - AS_OF_LOOKBACK_US),
            "recorded_by": bound(recorded_by_us) if recorded_by_us is not None else "infinity",
            "west": west,
            "south": south,
            "east": east,
            "north": north,
            "most": min(limit, MAX_TRACKS),
        },
    )
    return [track_of(row) for row in rows.mappings()]
