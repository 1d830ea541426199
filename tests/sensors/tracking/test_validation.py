"""What no sensor can have meant is taken out before it is stored, and counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from command.domain.clock import US_PER_S
from command.domain.observation import (
    OBSERVATION_DTYPE,
    IdentityScheme,
    ObservationBatch,
    ObservationFlag,
    ObservationKind,
    SubjectKind,
    empty_rows,
)
from sensors.tracking.identity import IdentityTracker
from sensors.tracking.validation import select, validate

NOW_US = 1_795_000_000 * US_PER_S


def one_row(**columns: float) -> ObservationBatch:
    rows = empty_rows(1)
    rows["observed_at_us"] = rows["received_at_us"] = NOW_US
    rows["subject_scheme"], rows["kind"] = int(IdentityScheme.MMSI), int(ObservationKind.POSITION)
    rows["lon"], rows["lat"] = 129.3, 34.2
    for name, value in columns.items():
        rows[name] = value
    return ObservationBatch(source="sea", rows=rows)


def test_a_sound_row_passes_as_it_is() -> None:
    given_batch = one_row(speed_mps=5.0, course_deg=359.9)

    passed, counts = validate(given_batch)

    assert passed.rows.tobytes() == given_batch.rows.tobytes()
    assert not counts


@pytest.mark.parametrize("column", ["lon", "lat"])
@pytest.mark.parametrize("value", [181.0, -200.0, np.inf, -np.inf])
def test_a_place_off_the_globe_is_no_fix(column: str, value: float) -> None:
    passed, counts = validate(one_row(**{column: value}))

    assert np.isnan(passed.rows["lon"][0])
    assert np.isnan(passed.rows["lat"][0])
    assert passed.rows["flags"][0] == ObservationFlag.NO_FIX
    assert counts == {"position_out_of_range": 1}


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("course_deg", 360.0),
        ("course_deg", -1.0),
        ("speed_mps", -0.1),
        ("battery_percent", 101.0),
        ("depth_m", 20_000.0),
        ("altitude_amsl_m", np.inf),
    ],
)
def test_a_value_outside_its_range_is_unknown(column: str, value: float) -> None:
    passed, counts = validate(one_row(**{column: value}))

    assert np.isnan(passed.rows[column][0])
    assert counts == {f"{column}_out_of_range": 1}


@pytest.mark.parametrize(("ahead_s", "off"), [(59, False), (61, True), (-1_199, False), (-3_600, True), (3_600, True)])
def test_a_clock_too_far_from_reception_is_quarantined(ahead_s: int, off: bool) -> None:
    passed, counts = validate(one_row(observed_at_us=NOW_US + ahead_s * US_PER_S))

    assert bool(passed.rows["flags"][0] & ObservationFlag.CLOCK_OFF) is off
    assert counts["clock_off"] == int(off)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"observed_at_us": -1}, "time_out_of_range"),
        ({"received_at_us": 2**62}, "time_out_of_range"),
        ({"kind": 77}, "unknown_kind"),
        ({"subject_scheme": 200}, "unknown_scheme"),
    ],
)
def test_a_row_that_cannot_be_placed_in_time_or_kind_is_dropped_and_counted(
    columns: dict[str, float], reason: str
) -> None:
    passed, counts = validate(one_row(**columns))

    assert (len(passed), counts) == (0, {reason: 1})


def test_an_unknown_kind_of_subject_is_kept_as_unknown() -> None:
    passed, counts = validate(one_row(subject_kind=99))

    assert passed.rows["subject_kind"][0] == SubjectKind.UNKNOWN
    assert counts == {"unknown_subject_kind": 1}


def test_selecting_rows_takes_their_attributes_along() -> None:
    rows = empty_rows(4)
    rows["subject_key"] = range(4)
    given_batch = ObservationBatch(source="sea", rows=rows, attributes={0: {"n": 0}, 2: {"n": 2}, 3: {"n": 3}})

    chosen = select(given_batch, np.array([False, True, True, True]))

    assert chosen.rows["subject_key"].tolist() == [1, 2, 3]
    assert chosen.attributes == {1: {"n": 2}, 2: {"n": 3}}


@given(st.binary(min_size=OBSERVATION_DTYPE.itemsize, max_size=8 * OBSERVATION_DTYPE.itemsize))
def test_no_bytes_whatever_stop_validation_or_the_tracker(noise: bytes) -> None:
    whole = len(noise) // OBSERVATION_DTYPE.itemsize * OBSERVATION_DTYPE.itemsize
    rows = np.frombuffer(noise[:whole], dtype=OBSERVATION_DTYPE)
    given_batch = ObservationBatch(source="noise", rows=rows)

    passed, counts = validate(given_batch)
    output = IdentityTracker("live").update([passed], recorded_at_us=NOW_US)

    dropped = sum(counts[reason] for reason in ("time_out_of_range", "unknown_kind", "unknown_scheme"))
    assert len(passed) + dropped == len(rows)
    unfused = sum(output.counts[reason] for reason in ("quarantined", "unidentified", "late"))
    assert len(output.states) + unfused == len(passed)


@given(
    times=st.lists(st.integers(0, 4_102_444_800 * US_PER_S), min_size=1, max_size=6),
    lon=st.floats(allow_nan=True, allow_infinity=True),
    lat=st.floats(allow_nan=True, allow_infinity=True),
    numbers=st.floats(allow_nan=True, allow_infinity=True, width=32),
    kind=st.integers(0, 255),
)
def test_any_well_formed_rows_at_any_times_are_tracked_or_counted(
    times: list[int], lon: float, lat: float, numbers: float, kind: int
) -> None:
    rows = empty_rows(len(times))
    rows["observed_at_us"] = rows["received_at_us"] = times
    rows["subject_scheme"], rows["kind"], rows["subject_key"] = 1, 1, 5
    rows["subject_kind"] = kind
    rows["lon"], rows["lat"] = lon, lat
    for name in ("speed_mps", "course_deg", "position_error_m", "depth_m", "battery_percent"):
        rows[name] = numbers
    passed, _ = validate(ObservationBatch(source="noise", rows=rows))

    tracker = IdentityTracker("live")
    output = tracker.update([passed], recorded_at_us=NOW_US)
    tracker.tick(NOW_US)

    assert len(output.states) + output.counts["late"] == len(rows)
