"""Daily partitions: made when needed, late rows taken, nothing lost when a day gets its own."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from command.domain.clock import US_PER_S
from command.domain.observation import ObservationBatch, empty_rows
from command.domain.realm import Realm
from command.domain.track import TRACK_STATE_DTYPE
from command.store.engine import realm_session
from command.store.observations import save_observations
from command.store.partitions import LATE_DAYS
from command.store.tracks import append_track_states

DAY_US = 86_400 * US_PER_S
TODAY_US = 20_416 * DAY_US
"""2025-11-24T00:00Z"""


def observations(times_us: list[int]) -> ObservationBatch:
    rows = empty_rows(len(times_us))
    rows["observed_at_us"] = times_us
    rows["observation_id"] = np.frombuffer(np.random.default_rng().bytes(16 * len(times_us)), dtype="V16")
    return ObservationBatch(source="x", rows=rows)


def states(times_us: list[int], *, recorded_at_us: int) -> npt.NDArray[np.void]:
    rows = np.zeros(len(times_us), dtype=TRACK_STATE_DTYPE)
    rows["observed_at_us"] = times_us
    rows["recorded_at_us"] = recorded_at_us
    return rows


def rows_by_partition(session: Session, parent: str) -> dict[str, int]:
    query = {
        "observation": text("SELECT tableoid::regclass::text AS part, count(*) AS rows FROM observation GROUP BY 1"),
        "track_state": text("SELECT tableoid::regclass::text AS part, count(*) AS rows FROM track_state GROUP BY 1"),
    }[parent]
    return {row.part: row.rows for row in session.execute(query)}


def test_each_day_has_its_partition_and_the_late_and_the_far_ahead_lie_in_default(engine: Engine, realm: Realm) -> None:
    days = [0, 0, -1, -LATE_DAYS, -LATE_DAYS - 1, 1, 2, 400]
    with realm_session(engine, realm) as session:
        save_observations(
            session, observations([TODAY_US + day * DAY_US for day in days]), recorded_at_us=TODAY_US + DAY_US - 1
        )

    with realm_session(engine, realm) as session:
        assert rows_by_partition(session, "observation") == {
            "observation_20251124": 2,
            "observation_20251123": 1,
            "observation_20251024": 1,
            "observation_20251125": 1,
            "observation_default": 3,
        }


def test_a_row_at_midnight_belongs_to_the_day_that_begins(engine: Engine, realm: Realm) -> None:
    with realm_session(engine, realm) as session:
        save_observations(session, observations([TODAY_US - 1, TODAY_US]), recorded_at_us=TODAY_US)

    with realm_session(engine, realm) as session:
        assert rows_by_partition(session, "observation") == {"observation_20251123": 1, "observation_20251124": 1}


def test_rows_that_came_too_early_move_when_their_day_gets_its_partition(engine: Engine, realm: Realm) -> None:
    """Also append-only states: moving is not changing, and afterwards DEFAULT refuses changes as before."""
    ahead_us = TODAY_US + 5 * DAY_US
    early = observations([ahead_us, ahead_us + 1])
    with realm_session(engine, realm) as session:
        save_observations(session, early, recorded_at_us=TODAY_US)
        append_track_states(
            session, states([ahead_us, TODAY_US - 90 * DAY_US, ahead_us + DAY_US], recorded_at_us=TODAY_US)
        )

    with realm_session(engine, realm) as session:
        again = save_observations(session, early, recorded_at_us=ahead_us)

    assert again.tolist() == [False, False]
    with realm_session(engine, realm) as session:
        assert rows_by_partition(session, "observation") == {"observation_20251129": 2}
        assert rows_by_partition(session, "track_state") == {"track_state_20251129": 1, "track_state_default": 2}
    for table in ("track_state_default", "track_state_20251129"):
        with pytest.raises(DBAPIError, match="append-only"), realm_session(engine, realm) as session:
            session.execute(text(f"DELETE FROM {table}"))  # noqa: S608 - a constant of this test


def test_many_writers_that_open_a_day_together_lose_nothing(engine: Engine, realm: Realm) -> None:
    start = threading.Barrier(6)

    def write(writer: int) -> int:
        batch = observations([TODAY_US + day * DAY_US + writer for day in (-2, -1, 0)])
        start.wait(10)
        with realm_session(engine, realm) as session:
            return int(save_observations(session, batch, recorded_at_us=TODAY_US).sum())

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(write, range(6))) == [3] * 6

    with realm_session(engine, realm) as session:
        assert rows_by_partition(session, "observation") == {
            f"observation_202511{day}": 6 for day in ("22", "23", "24")
        }


def test_partitions_made_in_a_transaction_that_fails_are_made_again(engine: Engine, realm: Realm) -> None:
    def fail() -> None:
        with realm_session(engine, realm) as session:
            save_observations(session, observations([TODAY_US]), recorded_at_us=TODAY_US)
            raise RuntimeError("rolled back")

    with pytest.raises(RuntimeError, match="rolled back"):
        fail()

    with realm_session(engine, realm) as session:
        save_observations(session, observations([TODAY_US]), recorded_at_us=TODAY_US)
    with realm_session(engine, realm) as session:
        assert rows_by_partition(session, "observation") == {"observation_20251124": 1}


def test_a_partition_has_the_indexes_of_its_history(engine: Engine, realm: Realm) -> None:
    with realm_session(engine, realm) as session:
        save_observations(session, observations([TODAY_US]), recorded_at_us=TODAY_US)
        methods = {
            (row.relname, row.amname)
            for row in session.execute(
                text(
                    "SELECT c.relname, a.amname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid "
                    "JOIN pg_am a ON a.oid = x.relam JOIN pg_class c ON c.oid = i.indrelid "
                    "WHERE c.relnamespace = current_schema()::regnamespace AND c.relname ~ '_2025|_default|^track$'"
                )
            )
        }

    histories = [f"{parent}_{part}" for parent in ("observation", "track_state") for part in ("20251124", "default")]
    assert methods == {(table, method) for table in histories for method in ("brin", "btree")} | {
        ("track", "gist"),
        ("track", "btree"),
    }
