"""Real recordings decode to what pymavlink's own reader finds in them."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pymavlink import mavutil

from command.domain.observation import ObservationBatch, ObservationFlag, ObservationKind, SubjectKind, concatenate
from sensors.mavlink.link import MavlinkConfig, MavlinkSource
from sensors.mavlink.tlog import read_tlog
from sensors.source import SourceContext, Tally

COPTER = "drones/copter_dronekit_flight_replay.tlog"
SUB = "drones/ardusub_small.tlog"


def _decode(path: Path, tally: Tally) -> ObservationBatch:
    batches: list[ObservationBatch] = []
    config = MavlinkConfig(kind="mavlink", name="patrol-link", endpoint=f"file://{path}")
    ctx = SourceContext(clock=tally.clock, stop=threading.Event(), emit=batches.append, tally=tally)
    MavlinkSource(config).run(ctx)
    return concatenate(batches, source="patrol-link")


def _oracle(path: Path) -> list[Any]:
    log = mavutil.mavlink_connection(str(path), robust_parsing=True)
    found = list(iter(log.recv_msg, None))
    log.close()
    return found


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        # pymavlink says nothing of the 11 bytes of a torn last record in this file; here they are one `truncated`
        (COPTER, 75_477, {"bad_checksum": 1_314, "truncated": 1}),
        (SUB, 35_912, {"bad_checksum": 4}),
        ("drones/own_sitl_copter_survey.tlog", 25_645, {}),
        ("drones/own_sitl_sub_lawnmower_10m.tlog", 29_152, {}),
        ("drill/tsushima_patrol_copter.tlog", 17_149, {}),
        ("drill/tsushima_survey_copter.tlog", 9_961, {}),
        ("drill/izuhara_hull_rov.tlog", 11_686, {}),
    ],
)
def test_every_message_of_a_recording_is_counted(
    shared_data: Path, tally: Tally, name: str, good: int, bad: dict[str, int]
) -> None:
    batch = _decode(shared_data / name, tally)
    assert (tally.decoded, dict(tally.rejected), tally.duplicates) == (good, bad, 0)
    assert tally.messages_in == tally.decoded + sum(tally.rejected.values()) + tally.duplicates
    assert tally.state == "finished"
    assert len(set(batch.rows["observation_id"].tolist())) == len(batch)


def test_every_position_of_the_copter_is_the_one_that_pymavlink_reads(shared_data: Path, tally: Tally) -> None:
    path = shared_data / COPTER
    rows = _decode(path, tally).rows
    rows = rows[rows["kind"] == ObservationKind.POSITION]
    told = [m for m in _oracle(path) if m.get_type() == "GLOBAL_POSITION_INT"]
    assert len(rows) == len(told) == 2_833
    no_fix = (rows["flags"] & ObservationFlag.NO_FIX) != 0
    assert no_fix.tolist() == [m.lat == 0 and m.lon == 0 for m in told]
    assert int(no_fix.sum()) == 149
    assert np.isnan(rows["lon"][no_fix]).all()
    assert np.isnan(rows["lat"][no_fix]).all()
    fixed = [m for m in told if m.lat or m.lon]
    assert rows["lat"][~no_fix].tolist() == [m.lat / 1e7 for m in fixed]
    assert rows["lon"][~no_fix].tolist() == [m.lon / 1e7 for m in fixed]
    np.testing.assert_allclose(rows["height_m"], [m.relative_alt / 1e3 for m in told], rtol=1e-6)
    np.testing.assert_allclose(rows["heading_deg"], [m.hdg / 100 for m in told], rtol=1e-6)
    np.testing.assert_allclose(rows["received_at_us"] / 1e6, [m._timestamp for m in told], atol=1e-5)


def test_the_ground_station_and_the_radio_of_the_copters_link_are_no_vehicles(shared_data: Path, tally: Tally) -> None:
    batch = _decode(shared_data / COPTER, tally)
    assert len(set(batch.rows["subject_key"].tolist())) == 1
    assert set(batch.rows["subject_kind"].tolist()) == {SubjectKind.AIR_DRONE}


def test_sequence_loss_is_counted_by_sender_and_not_across_them(shared_data: Path, tally: Tally) -> None:
    rows = _decode(shared_data / COPTER, tally).rows
    assert float(np.nanmedian(rows["link_percent"])) > 95.0  # across senders it would be below 20


def test_the_subs_depth_is_positive_down_and_small(shared_data: Path, tally: Tally) -> None:
    path = shared_data / SUB
    batch = _decode(path, tally)
    rows = batch.rows[batch.rows["kind"] == ObservationKind.POSITION]
    told = [m for m in _oracle(path) if m.get_type() == "GLOBAL_POSITION_INT"]
    np.testing.assert_allclose(rows["depth_m"], [-m.relative_alt / 1e3 for m in told], rtol=1e-6)
    assert float(rows["depth_m"].max()) == pytest.approx(0.314, abs=0.001)
    assert np.isnan(rows["height_m"]).all()
    assert {facts.get("firmware") for facts in batch.attributes.values()} == {"4.1.1"}


def test_the_rovs_pressure_and_its_altitude_tell_the_same_depth(shared_data: Path, tally: Tally) -> None:
    path = shared_data / "drill/izuhara_hull_rov.tlog"
    surface_hpa = next(m.press_abs for m in _oracle(path) if m.get_type() == "SCALED_PRESSURE2")
    by_altitude = _decode(path, tally).rows["depth_m"]
    batches: list[ObservationBatch] = []
    config = MavlinkConfig(
        kind="mavlink",
        name="patrol-link",
        endpoint=f"file://{path}",
        depth_from="pressure2",
        surface_pressure_hpa=surface_hpa,
        water_density_kgm3=1_000.0,  # the simulator dives in fresh water: 1,000.3 by its own two depths
    )
    MavlinkSource(config).run(
        SourceContext(clock=tally.clock, stop=threading.Event(), emit=batches.append, tally=tally)
    )
    by_pressure = concatenate(batches, source="patrol-link").rows["depth_m"]
    difference = np.abs(by_pressure - by_altitude)
    assert float(np.nanmedian(difference)) < 0.25  # the first pressure was read 0.2 m from the surface
    assert float(np.nanmax(by_pressure)) == pytest.approx(12.0, abs=0.4)


def test_a_survey_flight_tells_each_of_its_photos(shared_data: Path, tally: Tally) -> None:
    batch = _decode(shared_data / "drones/own_sitl_copter_survey.tlog", tally)
    photos = [facts["photo"] for facts in batch.attributes.values() if "photo" in facts]
    assert [photo["index"] for photo in photos] == sorted({photo["index"] for photo in photos})
    assert len(photos) == 25


def test_the_patrols_battery_runs_down_as_recorded(shared_data: Path, tally: Tally) -> None:
    rows = _decode(shared_data / "drill/tsushima_patrol_copter.tlog", tally).rows
    percent = rows["battery_percent"][~np.isnan(rows["battery_percent"])]
    assert (percent.max(), percent.min()) == (100.0, 12.0)


def test_records_of_a_log_are_what_pymavlink_stamps(shared_data: Path) -> None:
    path = shared_data / COPTER
    *records, _torn = read_tlog(path)
    ours = Counter(record.recorded_at_us for record in records)
    theirs = Counter(round(m._timestamp * 1e6) for m in _oracle(path))
    assert ours == theirs
