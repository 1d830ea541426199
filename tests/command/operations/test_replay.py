"""Real recordings through the real gateway, broker, intake and store."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from command.domain.clock import ScenarioClock
from command.domain.realm import Realm
from command.operations.realms import realm_clock
from command.operations.replay import ReplayStopped, realm_of_files, replay
from command.services import Endpoints, ServiceMissing, delete_vhost
from command.store.engine import make_engine, realm_session
from command.store.tracks import load_latest
from sensors.recordings import BadRecording


@pytest.fixture
def realm(endpoints: Endpoints) -> Iterator[Realm]:
    made = Realm.parse(f"replay-{uuid.uuid4().hex[:10]}")
    yield made
    with suppress(ServiceMissing):  # a replay that was refused has made no vhost
        delete_vhost(endpoints, made.vhost)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(database_url)
    yield made
    made.dispose()


@pytest.fixture
def play(engine: Engine, endpoints: Endpoints, realm: Realm, tmp_path: Path) -> Any:
    """Replay files in the test's realm."""

    def run(*files: Path, speed: Any = "max", stop: threading.Event | None = None) -> dict[str, Any]:
        rejects = tmp_path / "rejected"
        report = replay(engine, endpoints, files, speed=speed, rejects_dir=rejects, realm=realm, stop=stop)
        assert report["messages_in"] == report["decoded"] + sum(report["rejected"].values()) + report["duplicates"]
        assert report["observations_new"] <= report["observations"]
        return report

    return run


def picture(engine: Engine, realm: Realm) -> list[Any]:
    with realm_session(engine, realm) as session:
        return sorted(load_latest(session), key=lambda entry: entry.track.subject)


def test_the_norwegian_log_gives_its_833_vessels(play: Any, shared_data: Path) -> None:
    report = play(shared_data / "ais" / "kystverket_Ais1000Lines.nm4")

    assert (report["messages_in"], report["decoded"], report["rejected"]) == (1_000, 1_000, {})
    assert report["tracks"] == 833
    assert report["observations"] == report["observations_new"] > 833


def test_the_same_file_twice_gives_the_same_tracks_and_no_new_alert(
    play: Any, engine: Engine, realm: Realm, shared_data: Path
) -> None:
    log = shared_data / "ais" / "opencpn_Hakefjord.log"
    first = play(log)
    tracks = picture(engine, realm)

    again = play(log)

    # 10,676 VDM and 5,236 own-ship VDO sentences; 41 MMSI, of which one (a base station of another
    # application) sent nothing but binary messages of type 8, which say nothing of a place.
    assert first["messages_in"] == again["messages_in"] == 15_912
    assert first["tracks"] == again["tracks"] == 40
    assert (again["alerts"], again["observations_new"]) == (first["alerts"], 0)
    assert again["observations"] == first["observations"]
    assert [(e.track.track_id, e.track.position, e.filter_state) for e in picture(engine, realm)] == [
        (e.track.track_id, e.track.position, e.filter_state) for e in tracks
    ]


def test_messages_that_do_not_decode_are_counted_by_reason(play: Any, shared_data: Path) -> None:
    report = play(shared_data / "ais" / "pyais_nmea_data_sample.txt")

    assert report["rejected"]["no_payload"] == 100
    assert report["state"] == "finished"


def test_a_drones_log_is_one_track_that_was_never_at_zero_zero(
    play: Any, engine: Engine, realm: Realm, shared_data: Path
) -> None:
    report = play(shared_data / "drones" / "copter_dronekit_flight_replay.tlog")

    assert report["decoded"] == 75_477
    assert report["rejected"]["bad_checksum"] == 1_314
    ((track, _),) = picture(engine, realm)
    assert track.position is not None
    assert abs(track.position.lat) > 1.0


def test_silence_inside_a_recording_is_found_at_full_speed(play: Any, shared_data: Path) -> None:
    """No telemetry for 40.0 s from t=159 s, as its description says."""
    report = play(shared_data / "drill" / "tsushima_survey_copter.tlog")

    assert report["alerts"].get("drone_link_lost") == 1


def test_recordings_of_different_days_are_played_in_their_order(play: Any, shared_data: Path) -> None:
    report = play(
        shared_data / "ais" / "kystverket_Ais1000Lines.nm4",
        shared_data / "ais" / "stonesoup_SolentAIS_20160112_130211.csv",
    )

    assert report["tracks"] == 833 + 91


def test_a_paced_replay_runs_on_a_scenario_clock(play: Any, engine: Engine, realm: Realm, tmp_path: Path) -> None:
    log = tmp_path / "night.csv"
    log.write_text(
        "Time,MMSI,Latitude,Longitude\n"
        + "".join(f"2026-11-22 17:0{minute}:00,431000001,34.2,129.3\n" for minute in range(5))
    )

    report = play(log, speed=240.0)

    clock = realm_clock(engine, realm)
    assert isinstance(clock, ScenarioClock)
    assert clock.speed == 240.0
    assert report["observations_new"] == 5
    assert report["seconds"] >= 0.9, "four minutes at 240 times take a second"


def test_a_stopped_replay_says_so(play: Any, shared_data: Path) -> None:
    stop = threading.Event()
    stop.set()

    with pytest.raises(ReplayStopped, match="run it again"):
        play(shared_data / "ais" / "kystverket_Ais1000Lines.nm4", stop=stop)


def test_a_file_that_is_no_recording_is_refused_before_anything_is_made(play: Any, tmp_path: Path) -> None:
    with pytest.raises(BadRecording):
        play(tmp_path / "nothing.nm4")


def test_recordings_never_enter_the_live_realm_or_a_drill(engine: Engine, endpoints: Endpoints, tmp_path: Path) -> None:
    for name in ("live", "drill-tsushima-night"):
        with pytest.raises(ValueError, match="replay-NAME"):
            replay(engine, endpoints, (tmp_path / "x",), speed="max", rejects_dir=tmp_path, realm=Realm.parse(name))


@pytest.mark.parametrize(
    ("file", "realm_name"),
    [
        ("/logs/opencpn_Hakefjord.log", "replay-opencpn-hakefjord"),
        ("/logs/2026年11月.nm4", "replay-2026-11"),
        ("/logs/対馬.nm4", "replay-recording"),
        (f"/logs/{'a' * 90}.csv", f"replay-{'a' * 40}"),
    ],
)
def test_a_replay_without_a_realm_is_called_after_its_file(file: str, realm_name: str) -> None:
    assert realm_of_files([Path(file)]).name == realm_name
