"""Tracks: the latest never goes back in time, the history is append-only, the past can be asked for."""

from __future__ import annotations

import dataclasses
import uuid
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from command.domain.clock import US_PER_S
from command.domain.geo import Position
from command.domain.observation import SubjectKind
from command.domain.realm import Realm
from command.domain.track import TRACK_STATE_DTYPE, Track, TrackStatus
from command.store.columnar import Columnar
from command.store.engine import StoreUnavailable, realm_session
from command.store.tracks import (
    AS_OF_LOOKBACK_US,
    LatestTrack,
    append_track_states,
    load_latest,
    next_flush_seq,
    track_by_id,
    track_history,
    tracks_as_of,
    tracks_changed_since,
    tracks_in_box,
    upsert_latest,
)

NOW_US = 1_764_000_000 * US_PER_S
TSUSHIMA = (129.0, 34.0, 129.6, 34.8)


def track(number: int, **changed: Any) -> Track:
    given = Track(
        track_id=uuid.UUID(int=number),
        subject=f"mmsi:43100{number:04d}",
        kind=SubjectKind.VESSEL,
        status=TrackStatus.LIVE,
        source="ais-izuhara",
        observed_at_us=NOW_US,
        recorded_at_us=NOW_US + 5,
        position=Position(lon=129.3, lat=34.2),
        flags=128,
        speed_mps=5.144444444444445,
        course_deg=0.1,
        attributes={"name": f"第{number}あさかぜ丸", "callsign": f"JD{number}"},
    )
    return dataclasses.replace(given, **changed)


def flush(engine: Engine, realm: Realm, *tracks: Track, filter_state: bytes = b"") -> int:
    with realm_session(engine, realm) as session:
        seq = next_flush_seq(session)
        upsert_latest(session, [LatestTrack(t, filter_state) for t in tracks], flush_seq=seq)
    return seq


def test_a_track_comes_back_equal_with_its_filter_state(engine: Engine, realm: Realm) -> None:
    placed = track(1)
    unplaced = track(2, position=None, speed_mps=None, course_deg=None, attributes={}, status=TrackStatus.LOST)
    flush(engine, realm, placed, unplaced, filter_state=b"\x00\xffstate")

    with realm_session(engine, realm) as session:
        latest = sorted(load_latest(session), key=lambda entry: entry.track.track_id)
        assert track_by_id(session, placed.track_id) == placed
        assert track_by_id(session, uuid.UUID(int=9)) is None

    assert latest == [(placed, b"\x00\xffstate"), (unplaced, b"\x00\xffstate")]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(flushes=st.lists(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), max_size=5), max_size=5))
def test_the_latest_state_never_goes_back_in_time(
    engine: Engine, realm: Realm, flushes: list[list[tuple[int, int]]]
) -> None:
    with realm_session(engine, realm) as session:
        session.execute(text("TRUNCATE track"))
    expected: dict[uuid.UUID, Track] = {}
    revision = 0
    for updates in flushes:
        tracks = []
        for number, at in updates:
            revision += 1
            newer = track(number, observed_at_us=NOW_US + at, attributes={"name": str(revision)})
            tracks.append(newer)
            known = expected.get(newer.track_id)
            if known is None or known.observed_at_us <= newer.observed_at_us:
                expected[newer.track_id] = newer
        flush(engine, realm, *tracks)

    with realm_session(engine, realm) as session:
        assert {t.track_id: t for t, _ in load_latest(session)} == expected


def test_a_reader_that_asks_from_its_seq_sees_each_change_and_whole_flushes(engine: Engine, realm: Realm) -> None:
    for number in range(6):
        flush(engine, realm, *(track(10 * number + i) for i in range(3)))
    last = flush(engine, realm, track(0, status=TrackStatus.STALE), track(1, observed_at_us=NOW_US - 1))

    seen: dict[uuid.UUID, Track] = {}
    seq, pages = 0, 0
    while seq < last:
        with realm_session(engine, realm) as session:
            page, seq = tracks_changed_since(session, seq, limit=4)
        seen |= {t.track_id: t for t in page}
        pages += 1

    assert (len(seen), pages) == (18, 4)
    assert seen[uuid.UUID(int=0)].status is TrackStatus.STALE
    with realm_session(engine, realm) as session:
        assert tracks_changed_since(session, last, limit=4) == ([], last)


def test_flushes_commit_in_the_order_of_their_numbers(engine: Engine, realm: Realm) -> None:
    def overtake() -> None:
        with realm_session(engine, realm) as second:
            second.execute(text("SET LOCAL lock_timeout = '50ms'"))
            next_flush_seq(second)

    with realm_session(engine, realm) as first:
        seq = next_flush_seq(first)
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            overtake()

    with realm_session(engine, realm) as session:
        assert next_flush_seq(session) == seq + 1


def test_tracks_are_found_by_place_also_across_the_antimeridian(engine: Engine, realm: Realm) -> None:
    flush(
        engine,
        realm,
        track(1),
        track(2, position=Position(lon=179.9, lat=0.0), observed_at_us=NOW_US + 1),
        track(3, position=Position(lon=-179.9, lat=0.0)),
        track(4, position=None),
    )

    with realm_session(engine, realm) as session:
        assert tracks_in_box(session, TSUSHIMA, limit=10) == [track(1)]
        over = tracks_in_box(session, (179.0, -1.0, -179.0, 1.0), limit=10)
        assert [t.track_id.int for t in over] == [2, 3]
        assert len(tracks_in_box(session, (-180.0, -90.0, 180.0, 90.0), limit=2)) == 2


def states(*facts: tuple[int, int, int, float]) -> npt.NDArray[np.void]:
    """(track number, observed after now in us, recorded after now in us, longitude)."""
    rows = np.zeros(len(facts), dtype=TRACK_STATE_DTYPE)
    for row, (number, observed, recorded, lon) in zip(rows, facts, strict=True):
        row["track_id"] = uuid.UUID(int=number).bytes
        row["observation_id"] = uuid.uuid4().bytes
        row["observed_at_us"], row["recorded_at_us"] = NOW_US + observed, NOW_US + recorded
        row["subject_kind"], row["status"] = SubjectKind.VESSEL, TrackStatus.LIVE
        row["lon"], row["lat"], row["depth_m"] = lon, 34.2, np.nan
    return rows


def test_history_comes_back_bit_for_bit_oldest_first(engine: Engine, realm: Realm) -> None:
    written = states((1, 0, 9, 129.1), (2, 1, 9, 129.2), (1, 2, 9, 129.3), (1, 3, 9, 129.4))
    with realm_session(engine, realm) as session:
        append_track_states(session, written[:3])
        append_track_states(session, written[3:])
        append_track_states(session, written[:0])

    def history(to_us: int, limit: int) -> bytes:
        with realm_session(engine, realm) as session:
            found = track_history(session, uuid.UUID(int=1), from_us=NOW_US, to_us=to_us, limit=limit)
        return found.tobytes()

    assert history(NOW_US + 4, 10) == written[[0, 2, 3]].tobytes()
    assert history(NOW_US + 3, 10) == written[[0, 2]].tobytes()
    assert history(NOW_US + 4, 2) == written[[2, 3]].tobytes()


def test_the_columns_of_the_history_are_those_of_the_dtype(engine: Engine, realm: Realm) -> None:
    with realm_session(engine, realm) as session:
        columns = session.execute(
            text(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
                "WHERE attrelid = 'track_state'::regclass AND attnum > 0"
            )
        ).all()

    expected = {column.name: column.sql_type for column in Columnar(TRACK_STATE_DTYPE).columns}
    assert {name: kind.replace("timestamp with time zone", "timestamptz") for name, kind in columns} == expected


def test_what_was_true_at_a_time_and_what_the_officer_saw_then_are_two_pictures(engine: Engine, realm: Realm) -> None:
    flush(engine, realm, *(track(n, position=Position(lon=10.0, lat=10.0)) for n in (1, 2, 3)))
    with realm_session(engine, realm) as session:
        append_track_states(
            session,
            states(
                (1, 0, 0, 129.1),
                (1, 10, 50, 129.2),  # observed at 10, but it reached us only at 50
                (1, 60, 60, 129.3),
                (2, 0, 0, 140.0),  # elsewhere
                (3, -AS_OF_LOOKBACK_US, 0, 129.1),  # not heard for a day
            ),
        )

    def lons(at: int, **seen: int) -> list[float]:
        with realm_session(engine, realm) as session:
            found = tracks_as_of(session, NOW_US + at, TSUSHIMA, **seen)
        assert all(t.attributes["name"] == f"第{t.track_id.int}あさかぜ丸" for t in found)
        return [t.position.lon for t in found if t.position is not None]

    assert lons(20) == [129.2]
    assert lons(20, recorded_by_us=NOW_US + 20) == [129.1]
    assert lons(60) == [129.3]
    assert lons(-1) == [129.1]  # the third, heard a day before


def test_a_state_with_no_position_is_not_in_a_past_picture(engine: Engine, realm: Realm) -> None:
    flush(engine, realm, track(1))
    with realm_session(engine, realm) as session:
        append_track_states(session, states((1, 0, 0, float("nan"))))
        assert tracks_as_of(session, NOW_US, (-180.0, -90.0, 180.0, 90.0)) == []


@pytest.mark.parametrize(
    "change", ["UPDATE track_state SET lon = 0", "DELETE FROM track_state", "TRUNCATE track_state"]
)
def test_history_cannot_be_changed(engine: Engine, realm: Realm, change: str) -> None:
    with realm_session(engine, realm) as session:
        append_track_states(session, states((1, 0, 0, 129.1)))

    with pytest.raises(DBAPIError, match="append-only"), realm_session(engine, realm) as session:
        session.execute(text(change))

    with realm_session(engine, realm) as session:
        assert len(track_history(session, uuid.UUID(int=1), from_us=0, to_us=NOW_US + 1, limit=9)) == 1
