"""What waits to be published, and what is given up first."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from command.domain.observation import (
    IdentityScheme,
    ObservationBatch,
    ObservationFlag,
    ObservationKind,
    empty_rows,
)
from sensors.outbox import Outbox, pieces_of, repeated_positions, spare_positions
from sensors.source import Tally


def batch(
    *keys: int,
    at_us: int = 0,
    kind: ObservationKind = ObservationKind.POSITION,
    flags: int = 0,
    scheme: IdentityScheme = IdentityScheme.MMSI,
    facts: dict[int, Any] | None = None,
    source: str = "ais",
) -> ObservationBatch:
    rows = empty_rows(len(keys))
    rows["subject_key"] = keys
    rows["observed_at_us"] = at_us + np.arange(len(keys))
    rows["kind"], rows["flags"], rows["subject_scheme"] = kind, flags, scheme
    return ObservationBatch(source=source, rows=rows, attributes=facts or {})


def drain(outbox: Outbox) -> list[ObservationBatch]:
    taken = []
    while len(outbox):
        taken += [waiting.batch for waiting in outbox.take(linger_s=0.0, timeout_s=0.0)]
    return taken


def rows_of(batches: list[ObservationBatch]) -> list[tuple[int, int]]:
    return [(int(row["subject_key"]), int(row["observed_at_us"])) for b in batches for row in b.rows]


@pytest.mark.parametrize(
    ("rows", "spare"),
    [
        (batch(1), True),
        (batch(1, facts={0: {"station": "JCG1"}}), True),
        (batch(1, scheme=IdentityScheme.LABEL), True),
        (batch(1, flags=ObservationFlag.DISTRESS), False),
        (batch(1, flags=ObservationFlag.ASSET), False),
        (batch(1, kind=ObservationKind.STATIC), False),
        (batch(1, kind=ObservationKind.TELEMETRY), False),
        (batch(1, facts={0: {"nav_status": 1}}), False),
        (batch(1, scheme=IdentityScheme.CONTACT), False),
    ],
)
def test_only_plain_positions_of_identified_tracks_can_be_spared(rows: ObservationBatch, spare: bool) -> None:
    assert spare_positions(rows).tolist() == [spare]


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 5)), max_size=30))
def test_of_each_track_the_newest_position_stays(reports: list[tuple[int, int]]) -> None:
    rows = batch(*[key for key, _ in reports])
    rows.rows["observed_at_us"] = [at for _, at in reports]
    kept = rows.rows[~repeated_positions(rows)]
    newest = {key: max(at for k, at in reports if k == key) for key, _ in reports}
    assert {int(r["subject_key"]): int(r["observed_at_us"]) for r in kept} == newest
    assert len(kept) == len(newest)


def test_a_full_outbox_gives_up_repeated_positions_first_and_counts_them(tally: Tally) -> None:
    outbox, stop = Outbox(max_rows=100), threading.Event()
    distress = batch(9, flags=ObservationFlag.DISTRESS, at_us=500)
    outbox.put(distress, tally=tally, can_wait=False, stop=stop)
    outbox.put(batch(*[1, 2] * 40), tally=tally, can_wait=False, stop=stop)
    outbox.put(batch(*[3] * 30, at_us=1_000), tally=tally, can_wait=False, stop=stop)
    assert tally.health().shed == {"repeated_position": 78}
    assert rows_of(drain(outbox)) == [(9, 500), (1, 78), (2, 79), *[(3, 1_000 + n) for n in range(30)]]


def test_when_no_position_is_repeated_the_oldest_go(tally: Tally) -> None:
    outbox, stop = Outbox(max_rows=100), threading.Event()
    outbox.put(batch(*range(1, 101)), tally=tally, can_wait=False, stop=stop)
    outbox.put(batch(*range(101, 111), at_us=1_000), tally=tally, can_wait=False, stop=stop)
    assert tally.health().shed == {"oldest_position": 30}
    assert rows_of(drain(outbox))[0] == (31, 30)


def test_what_must_not_be_shed_makes_its_source_wait(tally: Tally, eventually: Callable[..., None]) -> None:
    # given an outbox full of distress
    outbox, stop = Outbox(max_rows=10), threading.Event()
    outbox.put(batch(*range(1, 11), flags=ObservationFlag.DISTRESS), tally=tally, can_wait=False, stop=stop)
    late = threading.Thread(
        target=outbox.put, args=(batch(11),), kwargs={"tally": tally, "can_wait": False, "stop": stop}
    )
    late.start()
    late.join(0.3)
    assert late.is_alive()
    # when room is made; then it comes in, and nothing was lost
    assert len(rows_of([w.batch for w in outbox.take(linger_s=0.0, timeout_s=1.0)])) == 10
    late.join(5.0)
    assert rows_of(drain(outbox)) == [(11, 0)]
    assert tally.health().shed == {}


def test_a_recording_waits_and_nothing_of_it_is_shed_for_a_live_source(tally: Tally) -> None:
    outbox, stop = Outbox(max_rows=10), threading.Event()
    outbox.put(batch(*[1] * 10, source="replay"), tally=tally, can_wait=True, stop=stop)
    stop.set()  # so that the live source does not wait for ever
    outbox.put(batch(2), tally=tally, can_wait=False, stop=stop)
    assert len(rows_of(drain(outbox))) == 11
    assert tally.health().shed == {}


def test_rows_are_joined_by_source_in_order_with_their_facts(tally: Tally) -> None:
    outbox, stop = Outbox(), threading.Event()
    for n in range(5):
        for source in ("a", "b"):
            rows = batch(n, at_us=n, facts={0: {"n": n}}, source=source)
            outbox.put(rows, tally=tally, can_wait=False, stop=stop)
    first, second = drain(outbox)
    assert [row["observed_at_us"] for row in first.rows] == [0, 1, 2, 3, 4]
    assert {first.source, second.source} == {"a", "b"}
    assert second.attributes == {n: {"n": n} for n in range(5)}


def test_a_big_batch_is_cut_into_pieces_that_keep_their_facts() -> None:
    big = batch(*range(2_500), facts={0: {"n": 0}, 999: {"n": 999}, 1_000: {"n": 1_000}, 2_499: {"n": 2_499}})
    pieces = pieces_of(big)
    assert [len(piece) for piece in pieces] == [1_000, 1_000, 500]
    assert [dict(piece.attributes) for piece in pieces] == [
        {0: {"n": 0}, 999: {"n": 999}},
        {0: {"n": 1_000}},
        {499: {"n": 2_499}},
    ]
    assert pieces_of(batch()) == []
