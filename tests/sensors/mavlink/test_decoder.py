"""Frames of pymavlink's encoder become rows of our own vehicles and of what they see."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from command.domain.clock import US_PER_S, DataClock
from command.domain.ids import stable_key
from command.domain.observation import (
    IdentityScheme,
    ObservationBatch,
    ObservationFlag,
    ObservationKind,
    SubjectKind,
    concatenate,
    subject_of,
)
from sensors.mavlink.decoder import MAX_SENDERS, MavlinkDecoder
from sensors.mavlink.vehicle import DepthReference
from sensors.source import Tally

START_US = 1_790_000_000 * US_PER_S
UID = b"4d1219c7c4c5404aaa"


class Listener:
    """Feeds a decoder and keeps every row."""

    def __init__(self, decoder: MavlinkDecoder) -> None:
        self.decoder = decoder
        self._batches: list[ObservationBatch] = []
        self._now_us = START_US

    def hear(self, *frames: bytes, at_s: float = 0.0, origin: str = "127.0.0.1:14550") -> None:
        self._now_us = START_US + int(at_s * US_PER_S)
        for frame in frames:
            self._keep(self.decoder.feed(frame, received_at_us=self._now_us, origin=origin))

    def end(self) -> ObservationBatch:
        self._keep(self.decoder.flush(received_at_us=self._now_us, end=True))
        return concatenate(self._batches, source="patrol-link")

    def _keep(self, batch: ObservationBatch | None) -> None:
        if batch is not None:
            self._batches.append(batch)


@pytest.fixture
def listener(decoder: MavlinkDecoder) -> Listener:
    return Listener(decoder)


def positions(batch: ObservationBatch) -> Any:
    return batch.rows[batch.rows["kind"] == ObservationKind.POSITION]


def subjects(batch: ObservationBatch) -> list[str]:
    return [subject_of(int(r["subject_scheme"]), int(r["subject_key"])) for r in batch.rows]


def test_a_position_row_carries_units_that_its_columns_name(listener: Listener, peer: Callable[..., Any]) -> None:
    drone = peer(11)
    listener.hear(drone.heartbeat(), drone.version(UID), drone.position())
    (row,) = positions(listener.end())
    assert (row["lon"], row["lat"]) == (129.3, 34.2)
    assert (row["altitude_amsl_m"], row["height_m"]) == (65.0, 60.0)
    assert row["speed_mps"] == pytest.approx(5.0)
    assert row["course_deg"] == pytest.approx(math.degrees(math.atan2(4, 3)), abs=1e-4)
    assert row["heading_deg"] == 90.0
    assert row["flags"] == ObservationFlag.ASSET | ObservationFlag.TIME_RECEIVED
    assert row["subject_kind"] == SubjectKind.AIR_DRONE
    assert row["subject_key"] == stable_key(f"patrol-link|uid:{UID.hex()}")


def test_no_fix_is_never_a_place_in_the_gulf_of_guinea(listener: Listener, peer: Callable[..., Any]) -> None:
    drone = peer(11)
    listener.hear(drone.heartbeat(), drone.version(UID), drone.position(lon=0.0, lat=0.0))
    no_fix = mavlink.MAVLink_gps_raw_int_message(0, 1, 342_000_000, 1_293_000_000, 0, 9999, 9999, 0, 0, 4)
    listener.hear(drone.say(no_fix), drone.position())
    rows = positions(listener.end())
    assert np.isnan(rows["lon"]).all()
    assert np.isnan(rows["lat"]).all()
    assert (rows["flags"] & ObservationFlag.NO_FIX).all()


def test_a_vehicle_is_known_by_its_hardware_even_when_it_tells_late(
    listener: Listener, peer: Callable[..., Any]
) -> None:
    drone = peer(11)
    listener.hear(drone.heartbeat(), drone.position())
    listener.hear(drone.position(), at_s=1.0)
    listener.hear(drone.version(UID), drone.position(), at_s=2.0)
    assert set(subjects(listener.end())) == {f"mavlink:{stable_key(f'patrol-link|uid:{UID.hex()}'):x}"}


def test_a_vehicle_that_never_tells_keeps_the_identity_it_began_with(
    listener: Listener, peer: Callable[..., Any]
) -> None:
    drone = peer(11)
    listener.hear(drone.heartbeat(), drone.position())
    listener.hear(drone.position(), at_s=4.0)
    listener.hear(drone.version(UID), drone.position(), at_s=5.0)
    assert set(subjects(listener.end())) == {f"mavlink:{stable_key('patrol-link|11|1'):x}"}


def test_two_peers_with_the_same_system_id_stay_two_vehicles(listener: Listener, peer: Callable[..., Any]) -> None:
    one, other = peer(1), peer(1)
    for second in range(6):
        listener.hear(one.heartbeat(), one.position(lat=34.1), at_s=second, origin="10.0.0.1:14550")
        listener.hear(other.heartbeat(), other.position(lat=34.9), at_s=second + 0.5, origin="10.0.0.2:14550")
    rows = positions(listener.end())
    keys = {float(lat): set(rows["subject_key"][rows["lat"] == lat].tolist()) for lat in (34.1, 34.9)}
    assert all(len(found) == 1 for found in keys.values())
    assert keys[34.1] != keys[34.9]


def test_another_airframe_under_the_same_id_begins_its_own_track(listener: Listener, peer: Callable[..., Any]) -> None:
    drone = peer(11)
    listener.hear(drone.heartbeat(), drone.version(UID), drone.position())
    listener.hear(drone.version(b"another"), drone.position(), at_s=60.0)
    assert len(set(subjects(listener.end()))) == 2


def test_a_vehicle_that_comes_back_from_another_port_is_the_same(listener: Listener, peer: Callable[..., Any]) -> None:
    drone = peer(11)
    listener.hear(drone.heartbeat(), drone.position(), origin="10.0.0.1:5001")
    listener.hear(drone.position(), at_s=5.0, origin="10.0.0.1:5001")
    listener.hear(drone.heartbeat(), drone.position(), at_s=10.0, origin="10.0.0.1:5002")
    listener.hear(drone.position(), at_s=15.0, origin="10.0.0.1:5002")
    assert len(set(subjects(listener.end()))) == 1


def test_a_ground_station_is_not_a_vehicle(listener: Listener, peer: Callable[..., Any], tally: Tally) -> None:
    station = peer(255, 190)
    listener.hear(
        station.heartbeat(kind=mavlink.MAV_TYPE_GCS, autopilot=mavlink.MAV_AUTOPILOT_INVALID), station.position()
    )
    assert len(listener.end()) == 0
    assert tally.decoded == 2


def test_depth_under_water_is_positive_down(listener: Listener, peer: Callable[..., Any]) -> None:
    rov = peer(21)
    listener.hear(rov.heartbeat(kind=mavlink.MAV_TYPE_SUBMARINE), rov.version(UID), rov.position(height_m=-12.0))
    (row,) = positions(listener.end())
    assert row["depth_m"] == 12.0
    assert np.isnan(row["height_m"])


def test_depth_may_come_from_the_outside_pressure(tally: Tally, peer: Callable[..., Any]) -> None:
    listener = Listener(MavlinkDecoder(tally=tally, depth=DepthReference(source="pressure2")))
    rov = peer(21)
    pressure = mavlink.MAVLink_scaled_pressure2_message(0, 1_013.25 + 1_005.18, 0.0, 1_500)
    listener.hear(rov.heartbeat(kind=mavlink.MAV_TYPE_SUBMARINE), rov.version(UID), rov.say(pressure), rov.position())
    (row,) = positions(listener.end())
    assert row["depth_m"] == pytest.approx(10.0, abs=0.01)


def test_an_unknown_battery_is_not_a_number(listener: Listener, peer: Callable[..., Any]) -> None:
    drone = peer(11)
    status = mavlink.MAVLink_sys_status_message(0, 0, 0, 0, 65_535, -1, -1, 0, 0, 0, 0, 0, 0)
    battery = mavlink.MAVLink_battery_status_message(0, 0, 0, 32_767, [65_535] * 10, -1, -1, -1, -1)
    listener.hear(drone.heartbeat(), drone.version(UID), drone.say(status), drone.say(battery), drone.position())
    batch = listener.end()
    assert np.isnan(batch.rows["battery_percent"]).all()
    assert not any({"voltage_v", "current_a", "used_mah"} & facts.keys() for facts in batch.attributes.values())


def test_the_emptiest_of_several_batteries_counts(listener: Listener, peer: Callable[..., Any]) -> None:
    drone = peer(11)
    full, low = (
        mavlink.MAVLink_battery_status_message(n, 0, 0, 2_000, [4_000] * 10, 100, 5, -1, percent)
        for n, percent in ((0, 80), (1, 24))
    )
    listener.hear(drone.heartbeat(), drone.version(UID), drone.say(full), drone.say(low), drone.position())
    (row,) = positions(listener.end())
    assert row["battery_percent"] == 24.0


def test_a_change_of_mode_is_told_without_a_position(listener: Listener, peer: Callable[..., Any]) -> None:
    drone = peer(11)
    listener.hear(drone.heartbeat(mode=4), drone.version(UID))
    listener.hear(drone.heartbeat(mode=6), at_s=0.1)
    batch = listener.end()
    assert (batch.rows["kind"] == ObservationKind.TELEMETRY).all()
    assert [batch.attributes[i]["mode"] for i in range(len(batch))] == ["GUIDED", "RTL"]


def test_a_vehicle_that_only_beats_is_heard_once_a_second(listener: Listener, peer: Callable[..., Any]) -> None:
    drone = peer(11)
    listener.hear(drone.version(UID))
    for tenth in range(100):
        listener.hear(drone.heartbeat(), at_s=tenth / 10)
    assert 9 <= len(listener.end()) <= 12


def test_lost_sequence_numbers_lower_the_link(listener: Listener, peer: Callable[..., Any]) -> None:
    drone = peer(11)
    listener.hear(drone.heartbeat(), drone.version(UID), drone.position())
    drone.skip(3)
    listener.hear(drone.position())
    assert positions(listener.end())["link_percent"].tolist() == [100.0, pytest.approx(100 * 4 / 7)]


def test_a_radio_speaks_for_every_vehicle_behind_it(listener: Listener, peer: Callable[..., Any]) -> None:
    drone, radio = peer(11), peer(51, 68)
    status = mavlink.MAVLink_radio_status_message(59, 59, 100, 40, 40, 0, 0)
    listener.hear(drone.heartbeat(), drone.version(UID), radio.say(status), drone.position())
    (row,) = positions(listener.end())
    assert row["link_percent"] == pytest.approx(50.0)


def test_a_text_in_chunks_is_told_once_and_whole(listener: Listener, peer: Callable[..., Any]) -> None:
    drone = peer(11)
    long = "対馬北東、目標を視認。距離約八百メートル、針路南西、速力十ノット。".encode()
    listener.hear(drone.heartbeat(), drone.version(UID))
    chunks = [long[i : i + 50] for i in range(0, len(long), 50)]
    for number, chunk in reversed(list(enumerate(chunks))):
        listener.hear(drone.text(chunk, number=7, chunk=number), at_s=0.2)
    texts = [facts["text"] for facts in listener.end().attributes.values() if "text" in facts]
    assert texts == [long.decode()]


def test_a_text_whose_chunk_was_lost_is_told_with_a_gap(listener: Listener, peer: Callable[..., Any]) -> None:
    drone = peer(11)
    listener.hear(drone.heartbeat(), drone.version(UID))
    listener.hear(drone.text(b"x" * 50, number=7, chunk=0), drone.text(b"the end", number=7, chunk=2))
    texts = [facts["text"] for facts in listener.end().attributes.values() if "text" in facts]
    assert texts == ["x" * 50 + "…" + "the end"]


def test_what_a_camera_tracks_is_a_contact_reported_by_its_drone(listener: Listener, peer: Callable[..., Any]) -> None:
    drone, camera = peer(11), peer(11, 100)
    listener.hear(drone.heartbeat(), drone.version(UID), camera.target(lon=129.4, lat=34.3))
    listener.hear(camera.target(lon=129.4001, lat=34.3), at_s=2.0)
    batch = listener.end()
    seen = np.flatnonzero(batch.rows["subject_scheme"] == IdentityScheme.CONTACT)
    rows = batch.rows[seen]
    assert len(set(rows["subject_key"].tolist())) == 1
    assert rows["lon"].tolist() == [129.4, 129.4001]
    assert (rows["position_error_m"] == 12.0).all()
    assert rows["speed_mps"].tolist() == [5.0, 5.0]
    assert not (rows["flags"] & ObservationFlag.ASSET).any()
    reporters = {batch.attributes[int(i)]["reported_by"] for i in seen}
    assert reporters == {f"mavlink:{stable_key(f'patrol-link|uid:{UID.hex()}'):x}"}


def test_a_target_that_could_not_have_moved_so_far_is_another(listener: Listener, peer: Callable[..., Any]) -> None:
    drone, camera = peer(11), peer(11, 100)
    listener.hear(drone.heartbeat(), drone.version(UID), camera.target(lon=129.4, lat=34.3))
    listener.hear(camera.target(lon=129.6, lat=34.3), at_s=2.0)
    rows = listener.end().rows
    assert len(set(rows["subject_key"][rows["subject_scheme"] == IdentityScheme.CONTACT].tolist())) == 2


def test_a_camera_that_tracks_nothing_reports_nothing(listener: Listener, peer: Callable[..., Any]) -> None:
    drone, camera = peer(11), peer(11, 100)
    listener.hear(drone.heartbeat(), drone.version(UID), camera.target(lon=129.4, lat=34.3, active=0))
    assert not (listener.end().rows["subject_scheme"] == IdentityScheme.CONTACT).any()


def test_a_part_of_a_vehicle_speaks_for_the_vehicle_and_is_none_itself(
    listener: Listener, peer: Callable[..., Any], tally: Tally
) -> None:
    drone, pack, camera = peer(11), peer(11, 180), peer(11, 100)
    battery = mavlink.MAVLink_battery_status_message(0, 0, 0, 2_000, [4_000] * 10, 100, 5, -1, 42)
    for part in (pack, camera):
        listener.hear(part.heartbeat(kind=mavlink.MAV_TYPE_CAMERA, autopilot=mavlink.MAV_AUTOPILOT_INVALID))
    listener.hear(drone.heartbeat(), drone.version(UID), pack.say(battery), camera.text(b"SD card full"))
    listener.hear(camera.position(lat=1.0), drone.position(), at_s=4.0)
    batch = listener.end()
    assert len(set(subjects(batch))) == 1
    assert positions(batch)["battery_percent"].tolist() == [42.0]
    assert [facts["text"] for facts in batch.attributes.values() if "text" in facts] == ["SD card full"]
    assert tally.ignored["position_of_part_of_vehicle"] == 1


def test_relayed_ais_is_a_vessel_with_its_own_time(listener: Listener, peer: Callable[..., Any]) -> None:
    drone = peer(11)
    vessel = mavlink.MAVLink_ais_vessel_message(
        431_002_123, 342_000_000, 1_293_000_000, 9_000, 51_100, 514, 0, 0, 30, 10, 5, 2, 2, b"JK1234", b"TEST", 4, 6
    )
    listener.hear(drone.heartbeat(), drone.version(UID), drone.say(vessel))
    batch = listener.end()
    (index,) = np.flatnonzero(batch.rows["subject_scheme"] == IdentityScheme.MMSI)
    row, facts = batch.rows[index], batch.attributes[int(index)]
    assert row["subject_key"] == 431_002_123
    assert row["observed_at_us"] == row["received_at_us"] - 4 * US_PER_S
    assert (row["speed_mps"], row["course_deg"]) == (pytest.approx(5.14), 90.0)
    assert np.isnan(row["heading_deg"])
    assert (facts["name"], facts["callsign"]) == ("TEST", "JK1234")


def test_a_datagram_that_comes_twice_counts_as_a_duplicate(
    listener: Listener, peer: Callable[..., Any], tally: Tally
) -> None:
    drone = peer(11)
    beat, version, place = drone.heartbeat(), drone.version(UID), drone.position()
    listener.hear(beat, version, place, place, beat)
    assert len(positions(listener.end())) == 1
    assert (tally.messages_in, tally.decoded, tally.duplicates) == (5, 3, 2)


def test_a_place_off_the_globe_is_rejected_by_name(listener: Listener, peer: Callable[..., Any], tally: Tally) -> None:
    drone = peer(11)
    listener.hear(drone.heartbeat(), drone.version(UID), drone.position(lat=95.0))
    assert len(positions(listener.end())) == 0
    assert tally.rejected == {"out_of_range": 1}


def test_the_same_bytes_at_the_same_times_give_the_same_observations(tally: Tally, peer: Callable[..., Any]) -> None:
    drone = peer(11)
    frames = [drone.heartbeat(), drone.version(UID), *(drone.position(lat=34.0 + i / 100) for i in range(9))]

    def once() -> bytes:
        listener = Listener(MavlinkDecoder(tally=tally))
        for i, frame in enumerate(frames):
            listener.hear(frame, at_s=i)
        return listener.end().to_bytes()

    assert once() == once()


def test_a_flood_of_invented_senders_stays_bounded(listener: Listener, peer: Callable[..., Any]) -> None:
    for number in range(MAX_SENDERS * 2):
        listener.hear(peer(1 + number % 250, 1 + number // 250).heartbeat(), origin=f"10.0.{number % 200}.1:1")
    assert len(listener.decoder.vehicles) <= MAX_SENDERS


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=80), max_size=12), st.lists(st.booleans(), max_size=12))
def test_counts_add_up_whatever_comes(junk: list[bytes], whole: list[bool]) -> None:
    kept: list[str] = []

    class Sink:
        def keep(self, *, source: str, reason: str, raw: bytes, received_at_us: int) -> None:
            kept.append(reason)

    tally = Tally(source="x", kind="mavlink", gateway="g", clock=DataClock(latest_us=START_US), sink=Sink())
    listener = Listener(MavlinkDecoder(tally=tally))
    encoder = mavlink.MAVLink(None, srcSystem=3, srcComponent=1)
    for i, noise in enumerate(junk):
        listener.hear(noise, at_s=i)
        if i < len(whole) and whole[i]:
            beat = mavlink.MAVLink_heartbeat_message(2, 3, 217, i, 4, 3)
            listener.hear(bytes(beat.pack(encoder)), at_s=i)
    batch = listener.end()
    assert tally.messages_in == tally.decoded + sum(tally.rejected.values()) + tally.duplicates
    assert len(kept) == sum(tally.rejected.values())
    assert not ((batch.rows["lon"] == 0) & (batch.rows["lat"] == 0)).any()
