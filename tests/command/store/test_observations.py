"""Observations: stored once, told exactly which rows were new, and read back bit for bit."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from command.domain.clock import US_PER_S
from command.domain.observation import FLOAT_FIELDS, OBSERVATION_DTYPE, ObservationBatch, empty_rows
from command.domain.realm import Realm
from command.store.columnar import BadRows, Columnar
from command.store.engine import realm_session
from command.store.migrations import ensure_realm
from command.store.observations import observations_between, save_observations
from command.store.partitions import AHEAD_DAYS, LATE_DAYS

DAY_US = 86_400 * US_PER_S
NOW_US = 1_764_000_000 * US_PER_S
END_US = NOW_US + 1_000 * DAY_US


def fresh_realm(engine: Engine) -> Realm:
    realm = Realm.parse(f"replay-{uuid.uuid4().hex[:12]}")
    ensure_realm(engine, realm, clock=None)
    return realm


def batch_of(facts: list[tuple[int, int]]) -> ObservationBatch:
    """One row for each (day from now, number); the same fact is the same row."""
    rows = empty_rows(len(facts))
    for row, (day, number) in zip(rows, facts, strict=True):
        identity = hashlib.blake2b(f"{day}|{number}".encode(), digest_size=16).digest()
        row["observation_id"] = identity
        row["observed_at_us"] = NOW_US + day * DAY_US + number
        row["lon"] = 129.0 + number / 7.0
    return ObservationBatch(source="ais-test", rows=rows)


some_facts = st.tuples(
    st.sampled_from([-LATE_DAYS - 2, -LATE_DAYS - 1, -LATE_DAYS, -2, -1, 0, AHEAD_DAYS, AHEAD_DAYS + 1, 300]),
    st.integers(0, 4),
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(batches=st.lists(st.tuples(st.lists(some_facts, max_size=14), st.booleans(), st.integers(-40, 3)), max_size=5))
def test_each_fact_is_new_exactly_once(engine: Engine, batches: list[tuple[list[tuple[int, int]], bool, int]]) -> None:
    """In a batch, across batches, transactions and partitions, late or early, and after a rollback."""
    stored: set[tuple[int, int]] = set()
    realm = fresh_realm(engine)
    for facts, rolls_back, recorded_day in batches:
        expected, seen = [], set(stored)
        for fact in facts:
            expected.append(fact not in seen)
            seen.add(fact)

        mask = saved(engine, realm, batch_of(facts), recorded_day=recorded_day, rolls_back=rolls_back)

        assert mask.tolist() == expected
        stored = stored if rolls_back else seen
    with realm_session(engine, realm) as session:
        rows = observations_between(session, from_us=0, to_us=END_US, limit=1_000)

    times = sorted(NOW_US + day * DAY_US + number for day, number in stored)
    assert rows["observed_at_us"].tolist() == times


class RolledBack(Exception):
    """The caller gives up."""


def saved(
    engine: Engine, realm: Realm, batch: ObservationBatch, *, recorded_day: int = 0, rolls_back: bool = False
) -> npt.NDArray[np.bool_]:
    mask = None
    try:
        with realm_session(engine, realm) as session:
            mask = save_observations(session, batch, recorded_at_us=NOW_US + recorded_day * DAY_US)
            if rolls_back:
                raise RolledBack
    except RolledBack:
        pass
    assert mask is not None
    return mask


def test_two_batches_of_one_transaction_do_not_mix(engine: Engine, realm: Realm) -> None:
    with realm_session(engine, realm) as session:
        first = save_observations(session, batch_of([(0, 1), (0, 2)]), recorded_at_us=NOW_US)
        second = save_observations(session, batch_of([(0, 2), (0, 3)]), recorded_at_us=NOW_US)

    assert first.tolist() == [True, True]
    assert second.tolist() == [False, True]


def test_an_empty_batch_is_nothing(engine: Engine, realm: Realm) -> None:
    assert saved(engine, realm, batch_of([])).tolist() == []


floats = st.floats(width=32, allow_nan=False) | st.just(float("nan"))


@st.composite
def any_rows(draw: st.DrawFn) -> npt.NDArray[np.void]:
    """Rows with any value that each column's width can hold, and times that a calendar can."""
    count = draw(st.integers(1, 8))
    raw = draw(st.binary(min_size=count * OBSERVATION_DTYPE.itemsize, max_size=count * OBSERVATION_DTYPE.itemsize))
    rows = np.frombuffer(raw, dtype=OBSERVATION_DTYPE).copy()
    for name in FLOAT_FIELDS:
        rows[name] = [draw(floats) for _ in range(count)]
    for name in ("observed_at_us", "received_at_us"):
        rows[name] = [draw(st.integers(0, 253_402_300_799_999_998)) for _ in range(count)]
    for place in range(count):
        rows["observation_id"][place] = uuid.uuid4().bytes
    return rows


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(rows=any_rows())
def test_rows_come_back_bit_for_bit(engine: Engine, realm: Realm, rows: npt.NDArray[np.void]) -> None:
    assert saved(engine, realm, ObservationBatch(source="x", rows=rows)).all()

    with realm_session(engine, realm) as session:
        found = observations_between(
            session,
            from_us=-(2**70),
            to_us=2**70,
            limit=10_000,
        )

    mine = found[np.isin([i.tobytes() for i in found["observation_id"]], [i.tobytes() for i in rows["observation_id"]])]
    by_id = {row["observation_id"].tobytes(): row for row in mine}
    in_order = np.array([by_id[i.tobytes()] for i in rows["observation_id"]], dtype=OBSERVATION_DTYPE)
    assert canonical(in_order) == canonical(rows)


def canonical(rows: npt.NDArray[np.void]) -> bytes:
    """The bytes with every NaN the same: PostgreSQL keeps that it is one, not which."""
    rows = rows.copy()
    for name in FLOAT_FIELDS:
        rows[name][np.isnan(rows[name])] = np.nan
    return rows.tobytes()


def test_what_a_source_did_not_give_is_null_and_never_zero(engine: Engine, realm: Realm) -> None:
    batch = batch_of([(0, 1)])
    batch.rows["lat"] = 0.0
    saved(engine, realm, batch)

    with realm_session(engine, realm) as session:
        row = session.execute(text("SELECT * FROM observation")).one()

    assert row.lat == 0.0
    assert [row.speed_mps, row.depth_m, row.battery_percent, row.attributes] == [None] * 4
    assert row.source == "ais-test"


def test_sparse_attributes_lie_in_their_own_rows(engine: Engine, realm: Realm) -> None:
    rows = batch_of([(0, n) for n in range(5)]).rows
    attributes: dict[int, dict[str, Any]] = {3: {"name": "あさかぜ", "length_m": 12.5}, 0: {"text": 'a"b\\'}, 4: {}}
    saved(engine, realm, ObservationBatch(source="x", rows=rows, attributes=attributes))

    with realm_session(engine, realm) as session:
        found = session.scalars(text("SELECT attributes FROM observation ORDER BY observed_at")).all()

    assert found == [{"text": 'a"b\\'}, None, None, {"name": "あさかぜ", "length_m": 12.5}, None]


def test_a_hostile_text_does_not_refuse_its_batch(engine: Engine, realm: Realm) -> None:
    rows = batch_of([(0, 1), (0, 2)]).rows
    hostile = {"name": "a\x00b\ud800", "length_m": float("nan"), "list": ["\x00", float("inf")], "k\x00": "\\u0000"}
    saved(engine, realm, ObservationBatch(source="x\x00y", rows=rows, attributes={0: hostile}))

    with realm_session(engine, realm) as session:
        row = session.execute(text("SELECT source, attributes FROM observation WHERE attributes IS NOT NULL")).one()

    assert row.source == "x\ufffdy"
    assert row.attributes == {
        "name": "a\ufffdb\ufffd",
        "length_m": None,
        "list": ["\ufffd", None],
        "k\ufffd": "\\u0000",
    }


@pytest.mark.parametrize("observed_at_us", [-1, 253_402_300_800_000_000, 2**63 - 1, -(2**63)])
def test_a_time_that_no_calendar_has_is_refused_before_the_database_sees_it(
    engine: Engine, realm: Realm, observed_at_us: int
) -> None:
    batch = batch_of([(0, 1), (0, 2), (0, 3)])
    batch.rows["observed_at_us"][1] = observed_at_us

    with pytest.raises(BadRows, match=r"observed_at_us of row 1 is .* between 1970 and 9999"):
        saved(engine, realm, batch)


def test_the_columns_of_the_table_are_those_of_the_dtype(engine: Engine, realm: Realm) -> None:
    with realm_session(engine, realm) as session:
        rows = session.execute(
            text(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute "
                "WHERE attrelid = 'observation'::regclass AND attnum > 0"
            )
        )
        columns = {name: kind.replace("timestamp with time zone", "timestamptz") for name, kind in rows}

    for column in Columnar(OBSERVATION_DTYPE).columns:
        assert columns.pop(column.name) == column.sql_type
    assert set(columns) == {"source", "attributes", "recorded_at"}
