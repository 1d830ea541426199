"""The vectorised filter against a textbook filter, real AIS, and any way of splitting the same rows."""

from __future__ import annotations

import csv
from collections import defaultdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Transformer

from command.domain.clock import US_PER_S, to_us
from command.domain.geo import MPS_PER_KNOT, distances_m
from command.domain.observation import (
    IdentityScheme,
    ObservationBatch,
    ObservationFlag,
    ObservationKind,
    SubjectKind,
    empty_rows,
)
from sensors.tracking.identity import IdentityTracker
from sensors.tracking.motion import MOTIONS

T0_US = 1_795_000_000 * US_PER_S
VESSEL = MOTIONS[SubjectKind.VESSEL]


def rows_of(columns: dict[str, Any], count: int) -> npt.NDArray[np.void]:
    rows = empty_rows(count)
    rows["subject_scheme"], rows["subject_kind"] = int(IdentityScheme.MMSI), int(SubjectKind.VESSEL)
    rows["kind"] = int(ObservationKind.POSITION)
    rows["observation_id"] = np.frombuffer(np.arange(2 * count, dtype="<u8").tobytes(), dtype="V16")
    for name, values in columns.items():
        rows[name] = values
    rows["received_at_us"] = rows["observed_at_us"]
    return rows


def textbook_filter(
    reports: list[tuple[float, float, float, float | None, float | None]], to_plane: Transformer
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """(state (4,) east, east speed, north, north speed in metres of a fixed plane; covariance (4, 4)): Bar-Shalom, Li,
    Kirubarajan 2001, table 5.2.4-1, with matrices."""
    state, covariance, last = np.zeros(4), np.zeros((4, 4)), 0.0
    for i, (at_s, lon, lat, speed, course) in enumerate(reports):
        measured = np.array(to_plane.transform(lon, lat))
        observe, noise, value = np.zeros((2, 4)), np.eye(2) * VESSEL.position_sigma_m**2, measured
        observe[0, 0] = observe[1, 2] = 1.0
        if speed is not None and course is not None:
            observe = np.vstack([observe, np.zeros((2, 4))])
            observe[2, 1] = observe[3, 3] = 1.0
            noise = np.diag([VESSEL.position_sigma_m**2] * 2 + [VESSEL.velocity_sigma_mps**2] * 2)
            theta = np.radians(course)
            value = np.r_[measured, speed * np.sin(theta), speed * np.cos(theta)]
        if i == 0:
            state[[0, 2]] = measured
            speed_var = VESSEL.unknown_speed_sigma_mps**2
            if len(value) == 4:
                state[[1, 3]], speed_var = value[2:], VESSEL.velocity_sigma_mps**2
            covariance = np.diag([VESSEL.position_sigma_m**2, speed_var] * 2)
        else:
            dt = at_s - last
            step = np.kron(np.eye(2), np.array([[1.0, dt], [0.0, 1.0]]))
            process = VESSEL.acceleration_m2ps3 * np.array([[dt**3 / 3, dt**2 / 2], [dt**2 / 2, dt]])
            state, covariance = step @ state, step @ covariance @ step.T + np.kron(np.eye(2), process)
            gain = covariance @ observe.T @ np.linalg.inv(observe @ covariance @ observe.T + noise)
            state = state + gain @ (value - observe @ state)
            covariance = (np.eye(4) - gain @ observe) @ covariance
        last = at_s
    return state, covariance


@pytest.mark.parametrize("with_velocity", [True, False])
def test_the_vectorised_filter_is_the_textbook_filter(with_velocity: bool) -> None:
    # given: 20 vessels that sail crooked courses for half an hour, reported every 5 to 15 s with 10 m of noise
    rng = np.random.default_rng(20_261_123)
    reports: dict[int, list[tuple[float, float, float, float | None, float | None]]] = defaultdict(list)
    planes: dict[int, Transformer] = {}
    for vessel in range(20):
        lon0, lat0 = rng.uniform(128.0, 132.0), rng.uniform(30.0, 40.0)
        plane = f"+proj=aeqd +lon_0={lon0} +lat_0={lat0} +datum=WGS84"
        planes[vessel] = Transformer.from_crs("EPSG:4326", plane, always_xy=True)
        at_s, east, north, course, speed = 0.0, 0.0, 0.0, rng.uniform(0, 360), rng.uniform(2, 12)
        for _ in range(150):
            dt = float(rng.integers(5, 16))
            at_s, course = at_s + dt, (course + rng.normal(0, 3)) % 360
            east, north = (
                east + dt * speed * np.sin(np.radians(course)),
                north + dt * speed * np.cos(np.radians(course)),
            )
            lon, lat = planes[vessel].transform(
                east + rng.normal(0, 10), north + rng.normal(0, 10), direction="INVERSE"
            )
            told = (float(np.float32(speed)), float(np.float32(course))) if with_velocity else (None, None)
            reports[vessel].append((at_s, lon, lat, *told))
    flat = sorted(((r[0], v, r) for v, rs in reports.items() for r in rs), key=lambda x: x[0])
    rows = rows_of(
        {
            "observed_at_us": [T0_US + int(at * US_PER_S) for at, _, _ in flat],
            "subject_key": [431_000_000 + v for _, v, _ in flat],
            "lon": [r[1] for _, _, r in flat],
            "lat": [r[2] for _, _, r in flat],
            "speed_mps": [np.nan if r[3] is None else r[3] for _, _, r in flat],
            "course_deg": [np.nan if r[4] is None else r[4] for _, _, r in flat],
        },
        len(flat),
    )
    tracker = IdentityTracker("live")

    # when
    tracker.update([ObservationBatch(source="sea", rows=rows)], recorded_at_us=T0_US)

    # then: the same places and speeds as each vessel's own filter, but for the bend of the earth within a few km
    for track in tracker.tracks.values():
        vessel = int(track.subject.split(":")[1]) - 431_000_000
        state, covariance = textbook_filter(reports[vessel], planes[vessel])
        assert track.position is not None
        here = planes[vessel].transform(track.position.lon, track.position.lat)
        assert np.hypot(here[0] - state[0], here[1] - state[2]) < 0.5
        assert track.speed_mps == pytest.approx(np.hypot(state[1], state[3]), abs=0.03)
        assert track.position_error_m == pytest.approx(np.sqrt(covariance[0, 0]), rel=1e-5)


@pytest.fixture(scope="module")
def solent(shared_data: Path) -> npt.NDArray[np.void]:
    """18,623 real reports of 91 vessels in the Solent."""
    path = shared_data / "ais" / "stonesoup_SolentAIS_20160112_130211.csv"
    with path.open(encoding="utf-8") as table:
        lines = list(csv.DictReader(table))
    moments = [to_us(datetime.fromisoformat(line["Time"]).replace(tzinfo=UTC)) for line in lines]
    return rows_of(
        {
            "observed_at_us": moments,
            "subject_key": [int(line["MMSI"]) for line in lines],
            "lon": [float(line["Longitude_degrees"]) for line in lines],
            "lat": [float(line["Latitude_degrees"]) for line in lines],
            "speed_mps": [float(line["SOG_knots"] or "nan") * MPS_PER_KNOT for line in lines],
            "course_deg": [float(line["COG_degrees"] or "nan") % 360.0 for line in lines],
        },
        len(lines),
    )


def test_real_traffic_is_followed_within_metres_and_predicted_better_than_by_standing_still(
    solent: npt.NDArray[np.void],
) -> None:
    tracker = IdentityTracker("live")

    output = tracker.update([ObservationBatch(source="solent", rows=solent)], recorded_at_us=T0_US)

    assert len(tracker.tracks) == 91
    assert len(output.states) + output.counts["late"] == len(solent)
    assert output.counts["impossible_jump"] < 20
    by_id = {bytes(row["observation_id"]): row for row in solent}
    reported = np.array([by_id[bytes(i)] for i in output.states["observation_id"]])
    off_m = distances_m(output.states["lon"], output.states["lat"], reported["lon"], reported["lat"])
    assert np.median(off_m) < 5.0
    assert np.percentile(off_m, 99) < 40.0
    ahead_m, still_m = one_step_errors(output.states, reported)
    assert np.mean(ahead_m) < 0.5 * np.mean(still_m)


def one_step_errors(
    states: npt.NDArray[np.void], reported: npt.NDArray[np.void]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Distance from each moving vessel's next report to where the state led, and to where the state was."""
    ahead, still = [], []
    for track in np.unique(states["subject_key"]):
        mine = states["subject_key"] == track
        s, r = states[mine][:-1], reported[mine][1:]
        dt = (r["observed_at_us"] - s["observed_at_us"]) / US_PER_S
        moving = (s["speed_mps"] > 2.0) & (dt < 60.0) & np.isfinite(s["course_deg"])
        s, r, dt = s[moving], r[moving], dt[moving]
        theta, far = np.radians(s["course_deg"].astype(float)), s["speed_mps"].astype(float) * dt
        lat = s["lat"] + np.degrees(far * np.cos(theta) / 6_371_000)
        lon = s["lon"] + np.degrees(far * np.sin(theta) / 6_371_000) / np.cos(np.radians(s["lat"]))
        ahead.append(distances_m(lon, lat, r["lon"], r["lat"]))
        still.append(distances_m(s["lon"], s["lat"], r["lon"], r["lat"]))
    return np.concatenate(ahead), np.concatenate(still)


def everything(tracker: IdentityTracker, states: list[npt.NDArray[np.void]]) -> tuple[Any, ...]:
    """All that a tracker said and will go on from, bit for bit."""
    joined = np.concatenate(states)
    return sorted(state.tobytes() for state in joined), dict(tracker.tracks)


def test_real_traffic_in_any_flushes_with_restarts_gives_the_same_states(solent: npt.NDArray[np.void]) -> None:
    rows = solent[:4_000]
    whole = IdentityTracker("live")
    at_once = whole.update([ObservationBatch(source="solent", rows=rows)], recorded_at_us=T0_US)

    rng = np.random.default_rng(7)
    pieces, states = IdentityTracker("live"), []
    stored: dict[Any, Any] = {}
    for part in np.split(rows, np.sort(rng.integers(0, len(rows), 60))):
        output = pieces.update([ObservationBatch(source="solent", rows=part)], recorded_at_us=T0_US)
        states.append(output.states)
        stored.update({c.track.track_id: (c.track, c.filter_state) for c in output.changed})
        if rng.random() < 0.3:
            pieces = IdentityTracker("live")
            pieces.restore(stored.values())

    assert everything(pieces, states) == everything(whole, [at_once.states])


row_strategy = st.tuples(
    st.integers(0, 3),
    st.integers(0, 300),
    st.floats(-0.2, 0.2),
    st.floats(-0.2, 0.2),
    st.one_of(st.none(), st.floats(0, 20, width=32)),
    st.sampled_from(list(ObservationKind)),
    st.sampled_from([0, 0, 0, ObservationFlag.NO_FIX, ObservationFlag.OWN_SHIP, ObservationFlag.CLOCK_OFF]),
    st.sampled_from([SubjectKind.VESSEL, SubjectKind.UNKNOWN, SubjectKind.AID_TO_NAVIGATION, SubjectKind.AIR_DRONE]),
)


@settings(max_examples=150, deadline=None)
@given(given_rows=st.lists(row_strategy, min_size=1, max_size=40), cuts=st.lists(st.integers(0, 40), max_size=6))
def test_how_rows_are_split_into_flushes_and_restarted_makes_no_difference(
    given_rows: list[Any], cuts: list[int]
) -> None:
    rows = rows_of(
        {
            "subject_key": [431_000_000 + r[0] for r in given_rows],
            "observed_at_us": [T0_US + r[1] * US_PER_S for r in given_rows],
            "lon": [129.3 + r[2] for r in given_rows],
            "lat": [34.2 + r[3] for r in given_rows],
            "speed_mps": [np.nan if r[4] is None else r[4] for r in given_rows],
            "course_deg": [np.nan if r[4] is None else (r[4] * 17) % 360 for r in given_rows],
            "kind": [int(r[5]) for r in given_rows],
            "flags": [int(r[6]) for r in given_rows],
            "subject_kind": [int(r[7]) for r in given_rows],
        },
        len(given_rows),
    )
    facts = {i: {"n": i} for i in range(0, len(rows), 3)}
    whole = IdentityTracker("live")
    at_once = whole.update([ObservationBatch(source="sea", rows=rows, attributes=facts)], recorded_at_us=T0_US)

    pieces, states = IdentityTracker("live"), []
    stored: dict[Any, Any] = {}
    edges = [0, *sorted(min(c, len(rows)) for c in cuts), len(rows)]
    for start, end in pairwise(edges):
        mine = {i - start: f for i, f in facts.items() if start <= i < end}
        part = ObservationBatch(source="sea", rows=rows[start:end], attributes=mine)
        output = pieces.update([part], recorded_at_us=T0_US)
        states.append(output.states)
        stored.update({c.track.track_id: (c.track, c.filter_state) for c in output.changed})
        pieces = IdentityTracker("live")
        pieces.restore(stored.values())

    assert everything(pieces, states) == everything(whole, [at_once.states])
