"""A drill's bytes are real protocol, on the water, at the standard's intervals, and the same every time."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyais import decode
from pymavlink.dialects.v20 import ardupilotmega as mavlink
from shapely.geometry import Point

from alerts.engine import check_rule_config
from command.domain.area import AreaKind
from command.domain.clock import US_PER_S, ScenarioClock, SystemClock
from command.domain.geo import MPS_PER_KNOT, Position, distance_m
from command.domain.observation import ObservationBatch, concatenate
from command.i18n import LANGUAGES, texts
from command.operations.drill import BadPorts, UdpSender, UnknownScenario, load_scenario, run_drill
from command.operations.drills import SCENARIOS
from command.operations.drills.ais import Vessel
from command.operations.drills.motion import Line, Script, Shuttle, offset
from command.operations.drills.scenario import Scenario, Transmission
from command.operations.drills.telemetry import renumbered
from command.operations.drills.traffic import everyday
from command.operations.drills.tsushima_night import (
    BEACON,
    CAMERA,
    DARK_CRAFT,
    GOES_DARK,
    INTRUDER,
    LOITERER,
    LOST_FROM_S,
    LOST_UNTIL_S,
    PATROL,
    PATROL_BOAT,
    ROV,
    SEED,
    SILENT_FROM_S,
    SURVEY,
    dark_subject,
    drone_subject,
)
from maps.coastline import distance_to_coast_m, is_on_land
from sensors.registry import make_source
from sensors.source import SourceContext, Tally

PORTS = {"ais": 20_001, "air": 20_002, "underwater": 20_003}


@pytest.fixture(scope="module")
def night() -> Scenario:
    return load_scenario("tsushima-night", ports=PORTS)


def sent_until(scenario: Scenario, until_s: float, *, from_s: float = 0.0) -> list[Transmission]:
    begin_us = scenario.start_us + int(from_s * US_PER_S)
    end_us = scenario.start_us + int(until_s * US_PER_S)
    return list(takewhile(lambda sent: sent.at_us < end_us, scenario.transmissions(begin_us)))


@pytest.fixture(scope="module")
def ten_minutes(night: Scenario) -> list[Transmission]:
    return sent_until(night, 600.0)


@pytest.fixture(scope="module")
def told(night: Scenario, ten_minutes: list[Transmission]) -> list[tuple[float, Any]]:
    """(t_s, message) of every AIS message, read by pyais."""
    return [
        ((sent.at_us - night.start_us) / US_PER_S, decode(*sent.data.splitlines()))
        for sent in ten_minutes
        if sent.speaker == "ais"
    ]


def test_datagrams_come_in_order_of_time(ten_minutes: list[Transmission]) -> None:
    assert all(before.at_us <= after.at_us for before, after in pairwise(ten_minutes))


def test_the_same_night_is_the_same_every_time(night: Scenario, ten_minutes: list[Transmission]) -> None:
    again = load_scenario("tsushima-night", ports=PORTS)
    assert sent_until(again, 60.0) == [sent for sent in ten_minutes if sent.at_us < night.start_us + 60 * US_PER_S]


def test_about_150_vessels_speak_every_message_type_of_their_class(told: list[tuple[float, Any]]) -> None:
    speakers = defaultdict(set)
    for _, message in told:
        speakers[int(message.msg_type)].add(int(message.mmsi))
    vessels = speakers[1] | speakers[18]
    assert 140 <= len(vessels) <= 160
    assert vessels - {BEACON.mmsi} == speakers[5] | speakers[24]
    assert speakers[14] == {BEACON.mmsi}
    assert len(speakers[21]) == 8
    assert len(speakers[4]) == 2


def test_names_are_short_enough_and_nobodys_twice() -> None:
    stations = [station for station in everyday(SEED) if isinstance(station, Vessel)]
    names = [station.name for station in (*stations, INTRUDER, LOITERER, GOES_DARK, PATROL_BOAT)]
    assert len(set(names)) == len(names)
    assert all(name.isascii() and name.upper() == name and len(name) <= 20 for name in names)


def test_positions_are_reported_at_the_intervals_of_the_standard(told: list[tuple[float, Any]]) -> None:
    heard: defaultdict[int, list[tuple[float, Any]]] = defaultdict(list)
    for t_s, message in told:
        if message.msg_type in (1, 18):
            heard[int(message.mmsi)].append((t_s, message))
    for mmsi, reports in heard.items():
        if mmsi == BEACON.mmsi:
            continue
        for (before_s, before), (after_s, after) in pairwise(reports):
            if abs(before.speed - after.speed) > 0.3:
                continue  # it stopped or set out in between
            at_rest = before.msg_type == 18 and before.speed <= 2.0
            at_rest |= before.msg_type == 1 and int(before.status) in (1, 5) and before.speed <= 3.0
            moving_s = 30.0 if before.msg_type == 18 else 10.0 if before.speed < 14.0 else 6.0
            moving_s = 2.0 if before.msg_type == 1 and before.speed > 23.2 else moving_s
            nominal_s = 180.0 if at_rest else moving_s
            if 13.5 < before.speed < 14.5 or 22.5 < before.speed < 23.5:
                continue  # the reported speed is noisy: either interval is right
            assert after_s - before_s == pytest.approx(nominal_s, rel=0.06), (mmsi, before)


def test_nobody_moves_faster_than_it_says(told: list[tuple[float, Any]]) -> None:
    last: dict[int, tuple[float, Any]] = {}
    for t_s, message in told:
        if message.msg_type not in (1, 18):
            continue
        mmsi = int(message.mmsi)
        if mmsi in last:
            before_s, before = last[mmsi]
            here, there = (Position(lon=m.lon, lat=m.lat) for m in (message, before))
            fastest_mps = (max(message.speed, before.speed) + 0.5) * MPS_PER_KNOT
            assert distance_m(here, there) <= fastest_mps * (t_s - before_s) + 25.0, mmsi
        last[mmsi] = (t_s, message)


def test_every_vessel_stays_on_the_water_for_hours() -> None:
    afloat = [station for station in everyday(SEED) if isinstance(station, Vessel)]
    times_s = np.arange(0.0, 14_400.0, 150.0)
    for name, plan in [(v.name, v.plan) for v in (*afloat, INTRUDER, LOITERER, GOES_DARK, PATROL_BOAT)] + [
        ("beacon", BEACON.plan),
        ("dark craft", DARK_CRAFT),
    ]:
        places = [plan.at(t) for t in times_s]
        lon, lat = [p.lon for p in places], [p.lat for p in places]
        assert not is_on_land(lon, lat).any(), name
        assert distance_to_coast_m(lon, lat).min() > 150.0, name


def test_everyday_traffic_stays_two_kilometres_away_from_every_fence(night: Scenario) -> None:
    fences = [area.geometry for area in night.areas if area.kind is AreaKind.GEOFENCE]
    degrees = 2_000.0 / 91_000.0  # longitude at 35 degrees; latitude is stricter
    for station in everyday(SEED):
        if isinstance(station, Vessel):
            for t_s in np.arange(0.0, 14_400.0, 300.0):
                place = station.plan.at(t_s)
                assert all(fence.distance(Point(place.lon, place.lat)) > degrees for fence in fences), station.name


def test_a_beacon_calls_in_bursts_of_eight(told: list[tuple[float, Any]]) -> None:
    calls = [(t_s, message) for t_s, message in told if int(message.mmsi) == BEACON.mmsi]
    bursts = Counter(int((t_s - BEACON.from_s) // 60) for t_s, _ in calls)
    assert set(list(bursts.values())[:-1]) == {8}
    assert {int(m.status) for _, m in calls if m.msg_type == 1} == {14}
    assert {m.text for _, m in calls if m.msg_type == 14} == {"SART ACTIVE"}


def test_who_goes_dark_was_heard_before_and_is_not_heard_after(told: list[tuple[float, Any]]) -> None:
    heard = [t_s for t_s, message in told if int(message.mmsi) == GOES_DARK.mmsi]
    assert len(heard) > 25
    assert max(heard) < SILENT_FROM_S


def test_telemetry_is_whole_mavlink_of_the_recorded_vehicles(ten_minutes: list[Transmission]) -> None:
    parsers = {name: mavlink.MAVLink(None) for name in ("patrol-drone", "survey-drone", "rov")}
    heard: defaultdict[str, Counter[tuple[int, int]]] = defaultdict(Counter)
    for sent in ten_minutes:
        if sent.speaker in parsers:
            for message in parsers[sent.speaker].parse_buffer(sent.data):
                assert message.get_type() != "BAD_DATA"
                heard[sent.speaker][message.get_srcSystem(), message.get_srcComponent()] += 1
    assert set(heard["patrol-drone"]) == {(PATROL.system, 1), (CAMERA.system, 100)}
    assert set(heard["survey-drone"]) == {(SURVEY.system, 1)}
    assert set(heard["rov"]) == {(ROV.system, 1)}


def test_sequence_numbers_run_on_over_cuts_and_repetitions(night: Scenario) -> None:
    sent = [s for s in sent_until(night, 700.0, from_s=500.0) if s.speaker == "patrol-drone"]
    numbers = [s.data[4] for s in sent if s.data[6] == 1]
    assert len(numbers) > 1_000
    assert all((after - before) % 256 == 1 for before, after in pairwise(numbers))


def test_the_survey_drone_is_silent_while_its_link_is_lost(night: Scenario) -> None:
    sent = [s for s in sent_until(night, 1_000.0) if s.speaker == "survey-drone"]
    times_s = [(s.at_us - night.start_us) / US_PER_S for s in sent]
    assert not [t_s for t_s in times_s if LOST_FROM_S + 0.1 < t_s < LOST_UNTIL_S]
    assert max(times_s) > LOST_UNTIL_S


def test_renumbering_leaves_the_payload_as_recorded(night: Scenario) -> None:
    frame = next(s.data for s in night.transmissions() if s.speaker == "rov")
    other = renumbered(frame, 77)
    before, after = (mavlink.MAVLink(None).decode(bytearray(raw)) for raw in (frame, other))
    assert after.get_seq() == 77
    assert after.to_dict() == before.to_dict()


def test_the_dark_craft_is_told_by_the_drones_camera_only(
    ten_minutes: list[Transmission], told: list[tuple[float, Any]]
) -> None:
    parser = mavlink.MAVLink(None)
    messages = [m for s in ten_minutes if s.speaker == "patrol-drone" for m in parser.parse_buffer(s.data)]
    seen = [m for m in messages if m.get_type() == "CAMERA_TRACKING_GEO_STATUS"]
    assert len(seen) == CAMERA.until_s - CAMERA.from_s
    places = [Position(lon=m.lon / 1e7, lat=m.lat / 1e7) for m in seen]
    assert all(distance_m(before, after) < 15.0 for before, after in pairwise(places))
    near = [m for _, m in told if m.msg_type in (1, 18) and int(m.mmsi) != PATROL_BOAT.mmsi]
    assert min(distance_m(Position(lon=m.lon, lat=m.lat), places[0]) for m in near) > 5_000.0


def test_the_announced_subjects_are_those_that_the_sources_make(night: Scenario) -> None:
    announced = {expected.subject for expected in night.expected}
    assert dark_subject("drill-air") in announced
    assert drone_subject("drill-air", PATROL) in announced
    assert drone_subject("drill-air", SURVEY) in announced
    slugs = {area.slug for area in night.areas}
    assert all(expected.area is None or expected.area in slugs for expected in night.expected)
    assert all(e.opens_from_s < e.opens_until_s < e.lasts_until_s <= night.duration_s for e in night.expected)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_drill_and_its_events_have_texts(night: Scenario, language: str) -> None:
    assert texts(language)[f"drill.{night.name}"]
    assert all(texts(language)[f"drill.{night.name}.{expected.event}"] for expected in night.expected)


def test_rules_and_sources_of_a_scenario_are_right_settings(night: Scenario) -> None:
    for rule, config in night.rules.items():
        check_rule_config(rule, config)
    for config in night.sources:
        make_source(config)
    assert {expected.rule for expected in night.expected} <= night.rules.keys()


def test_the_recordings_are_those_that_were_made_for_the_drill(repository: Path, shared_data: Path) -> None:
    for path in (repository / "command/operations/drills/recordings").iterdir():
        assert path.read_bytes() == (shared_data / "drill" / path.name).read_bytes()


def test_an_unknown_drill_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownScenario, match="tsushima-night"):
        load_scenario("atlantis")
    assert all(load_scenario(name).name == name for name in SCENARIOS)


@pytest.mark.parametrize(
    "ports",
    [{"ais": 1}, {**PORTS, "air": 0}, {**PORTS, "air": PORTS["ais"]}, {**PORTS, "radar": 4}],
)
def test_ports_that_cannot_be_used_are_refused_with_what_is_needed(ports: dict[str, int]) -> None:
    with pytest.raises(BadPorts, match="ais, air, underwater"):
        load_scenario("tsushima-night", ports=ports)


class Kept:
    """A sender that keeps what it is given."""

    def __init__(self, stop: threading.Event, *, until: int) -> None:
        self.sent: list[tuple[int, str, bytes]] = []
        self._stop, self._until = stop, until

    def send(self, speaker: str, data: bytes) -> bool:
        self.sent.append((time.time_ns() // 1_000, speaker, data))
        if len(self.sent) >= self._until:
            self._stop.set()
        return True


def _clock(scenario: Scenario, *, speed: float, at_s: float = 0.0) -> ScenarioClock:
    now_us = time.time_ns() // 1_000
    return ScenarioClock(
        scenario_start_us=scenario.start_us, host_start_us=now_us - int(at_s / speed * US_PER_S), speed=speed
    )


def test_a_run_keeps_to_the_realms_clock_at_ten_times_the_speed(night: Scenario) -> None:
    stop = threading.Event()
    clock, sender = _clock(night, speed=10.0), Kept(stop, until=400)
    report = run_drill(night, clock, sender, stop)
    assert report.sent == 400
    assert report.skipped == 0
    for (host_us, speaker, data), due in zip(sender.sent, night.transmissions(), strict=False):
        assert (speaker, data) == (due.speaker, due.data)
        assert host_us >= clock.host_us_of(due.at_us)


def test_a_feeder_started_in_the_middle_goes_on_with_the_scenario(night: Scenario) -> None:
    stop = threading.Event()
    sender = Kept(stop, until=3_000)
    run_drill(night, _clock(night, speed=100.0, at_s=700.0), sender, stop)
    ais = [decode(*data.splitlines()) for _, speaker, data in sender.sent if speaker == "ais"]
    assert len({int(message.mmsi) for message in ais}) > 130
    assert GOES_DARK.mmsi not in {int(message.mmsi) for message in ais}
    assert "survey-drone" not in {speaker for _, speaker, _ in sender.sent}


def test_a_stopped_drill_ends_within_a_second(night: Scenario) -> None:
    stop = threading.Event()
    thread = threading.Thread(
        target=run_drill, args=(night, _clock(night, speed=0.001), Kept(stop, until=10_000), stop)
    )
    thread.start()
    stop.set()
    thread.join(timeout=20)  # the next transmission is hours away
    assert not thread.is_alive()


class NoSink:
    def keep(self, *, source: str, reason: str, raw: bytes, received_at_us: int) -> None:
        raise AssertionError(f"{source} rejected {raw!r}: {reason}")


@contextmanager
def _gateway(scenario: Scenario, clock: ScenarioClock | SystemClock) -> Iterator[dict[str, tuple[Tally, list[Any]]]]:
    """The scenario's real sources on their real ports."""
    stop = threading.Event()
    threads, found = [], {}
    for config in scenario.sources:
        batches: list[ObservationBatch] = []
        tally = Tally(source=config["name"], kind=config["kind"], gateway="g", clock=clock, sink=NoSink())
        ctx = SourceContext(clock=clock, stop=stop, emit=batches.append, tally=tally)
        threads.append(threading.Thread(target=make_source(config).run, args=(ctx,)))
        found[config["name"]] = (tally, batches)
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=20)


def test_over_loopback_the_real_sources_understand_every_datagram(eventually: Callable[..., None]) -> None:
    scenario = load_scenario("tsushima-night")
    clock, stop = _clock(scenario, speed=20.0), threading.Event()
    with _gateway(scenario, clock) as heard, UdpSender(scenario) as sender:
        feeder = threading.Thread(target=run_drill, args=(scenario, clock, sender, stop))
        feeder.start()
        expected = {asset.subject.partition(":")[2] for asset in scenario.assets if "mavlink" in asset.subject}

        def all_known() -> bool:
            keys = {
                f"{int(key):x}"
                for _, batches in heard.values()
                for batch in list(batches)
                for key in batch.rows["subject_key"]
            }
            return expected <= keys and len(keys) > 140

        eventually(all_known, within_s=60)
        stop.set()
        feeder.join(timeout=20)
        assert not feeder.is_alive()
    for tally, batches in heard.values():
        health = tally.health()
        assert health.messages_in == health.decoded + health.duplicates
        rows = concatenate(batches, source=health.source).rows
        assert len(rows)
        assert not ((rows["lon"] == 0) & (rows["lat"] == 0)).any()


def test_datagrams_that_nobody_hears_are_counted_and_do_not_stop_the_drill() -> None:
    scenario = load_scenario("tsushima-night")
    stop, refused = threading.Event(), threading.Event()
    done: list[Any] = []

    class Told(UdpSender):
        def send(self, speaker: str, data: bytes) -> bool:
            heard = super().send(speaker, data)
            if not heard:
                refused.set()
            return heard

    with Told(scenario) as sender:
        feeder = threading.Thread(
            target=lambda: done.append(run_drill(scenario, _clock(scenario, speed=100.0), sender, stop))
        )
        feeder.start()
        assert refused.wait(20)
        assert feeder.is_alive()
        stop.set()
        feeder.join(timeout=20)
    (report,) = done
    assert report.unheard > 0


def test_a_shuttle_rests_at_its_ends_and_comes_back() -> None:
    line = Line.through((129.0, 34.0), (129.1, 34.0))
    plan = Shuttle(line=line, speed_kn=10.0, start_m=0.0, rest_s=600.0)
    run_s = line.length_m / (10.0 * MPS_PER_KNOT)
    assert plan.at(run_s + 300.0).speed_kn == 0.0
    assert plan.at(run_s + 300.0).lon == pytest.approx(129.1)
    back = plan.at(run_s + 600.0 + run_s / 2)
    assert (back.speed_kn, back.course_deg) == (10.0, pytest.approx(270.0, abs=0.1))
    assert back.lon == pytest.approx(129.05, abs=1e-4)


def test_an_offset_is_as_long_as_it_says() -> None:
    here = Position(lon=129.3, lat=34.2)
    assert distance_m(here, offset(here, east_m=3_000.0, north_m=-4_000.0)) == pytest.approx(5_000.0, rel=1e-3)


def test_a_script_moves_between_its_points_and_rests_outside_them() -> None:
    plan = Script(points=((10.0, 129.0, 34.0), (110.0, 129.0, 34.01)))
    assert plan.at(0.0).speed_kn == plan.at(200.0).speed_kn == 0.0
    assert plan.at(60.0).course_deg == pytest.approx(0.0)
    assert plan.at(60.0).speed_kn * MPS_PER_KNOT == pytest.approx(11.12, rel=0.01)
