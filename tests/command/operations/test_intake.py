"""Intake on a real PostGIS and a real RabbitMQ: what is committed, what comes again, and what breaks in between."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import psycopg
import pytest
from psycopg import sql
from shapely.geometry import Polygon, box
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from alerts.registry import RULES
from command.bus import OBSERVATION_DEAD_LETTERS, OBSERVATIONS, BatchPublisher, Consumer, queue_depths
from command.domain import ids
from command.domain.alert import Alert
from command.domain.area import AreaKind
from command.domain.clock import US_PER_S, DataClock, SystemClock
from command.domain.geo import Position, destination
from command.domain.observation import (
    IdentityScheme,
    ObservationBatch,
    ObservationFlag,
    ObservationKind,
    SubjectKind,
    empty_rows,
)
from command.domain.realm import Realm
from command.domain.track import TrackStatus
from command.operations.intake import Intake, PictureKeeper
from command.operations.intake.loop import PREFETCH
from command.operations.realms import open_realm
from command.services import Endpoints, delete_vhost
from command.store.alerts import list_alerts
from command.store.areas import put_area, retire_area
from command.store.engine import make_engine, realm_session
from command.store.health import list_heartbeats
from command.store.observations import observations_between
from command.store.rules import put_rule
from command.store.tracks import load_latest, track_history
from sensors.tracking.identity import IdentityTracker
from sensors.tracking.tracker import TrackerOutput

NOW_US = 1_795_000_000 * US_PER_S
INSIDE = Position(lon=129.35, lat=34.25)
OUTSIDE = Position(lon=129.05, lat=34.25)


@pytest.fixture
def realm(endpoints: Endpoints) -> Iterator[Realm]:
    """A replay realm of its own; its vhost is deleted afterwards."""
    made = Realm.parse(f"replay-{uuid.uuid4().hex[:10]}")
    yield made
    delete_vhost(endpoints, made.vhost)


@pytest.fixture
def engine(endpoints: Endpoints, database_url: str, realm: Realm) -> Iterator[Engine]:
    """A fresh database in which the realm is open, with one geofence and only the rule geofence_entry."""
    made = make_engine(database_url)
    rules = {name: {"enabled": name == "geofence_entry"} for name in RULES}
    open_realm(made, endpoints, realm, clock=DataClock(latest_us=NOW_US), rules=rules)
    with realm_session(made, realm) as session:
        fence(session, "izuhara", box(129.3, 34.2, 129.4, 34.3))
    yield made
    made.dispose()


def fence(session: Session, slug: str, geometry: Polygon) -> None:
    put_area(
        session,
        slug,
        AreaKind.GEOFENCE,
        name_ja=slug,
        name_en=slug,
        geometry=geometry,
        author="test",
        now_us=NOW_US - 1,
    )


def report(at_s: float, position: Position, *, mmsi: int = 431_000_001, **columns: float) -> dict[str, Any]:
    return {"at_s": at_s, "position": position, "subject_key": mmsi, **columns}


def batch(*reports: dict[str, Any], source: str = "tsushima-ais") -> ObservationBatch:
    rows = empty_rows(len(reports))
    for i, given in enumerate(reports):
        row = dict(given)
        position, observed_at_us = row.pop("position"), NOW_US + int(row.pop("at_s") * US_PER_S)
        rows[i]["subject_scheme"], rows[i]["kind"] = int(IdentityScheme.MMSI), int(ObservationKind.POSITION)
        rows[i]["subject_kind"] = int(SubjectKind.VESSEL)
        rows[i]["observed_at_us"] = rows[i]["received_at_us"] = observed_at_us
        rows[i]["lon"], rows[i]["lat"] = position.lon, position.lat
        for name, value in row.items():
            rows[i][name] = value
        rows[i]["observation_id"] = np.void(ids.observation_id(source, observed_at_us, rows[i].tobytes()))
    return ObservationBatch(source=source, rows=rows)


def entering(mmsi: int = 431_000_001, *, start_s: float = 0.0) -> list[ObservationBatch]:
    """A vessel that sails east into the geofence, 2 km in 200 s a batch."""
    legs = [destination(OUTSIDE, course_deg=90.0, distance_m=100.0 * i) for i in range(400)]
    rows = [report(start_s + 10.0 * i, p, mmsi=mmsi, speed_mps=10.0, course_deg=90.0) for i, p in enumerate(legs)]
    return [batch(*rows[i : i + 20]) for i in range(0, len(rows), 20)]


def keeper(engine: Engine, realm: Realm, *, tracker: IdentityTracker | None = None) -> PictureKeeper:
    clock = DataClock(latest_us=NOW_US)
    return PictureKeeper(engine, realm, clock=clock, tracker=tracker or IdentityTracker(realm.name))


def alerts(engine: Engine, realm: Realm) -> list[Alert]:
    with realm_session(engine, realm) as session:
        return list_alerts(session, limit=100)


def stored(engine: Engine, realm: Realm) -> tuple[set[bytes], list[Any], list[bytes]]:
    """(observation ids, latest tracks, states) of the realm."""
    with realm_session(engine, realm) as session:
        rows = observations_between(session, from_us=NOW_US - US_PER_S, to_us=NOW_US + 10**13, limit=100_000)
        latest = sorted(load_latest(session), key=lambda entry: entry.track.subject)
        states = [
            state.tobytes()
            for entry in latest
            for state in track_history(
                session, entry.track.track_id, from_us=NOW_US - US_PER_S, to_us=NOW_US + 10**13, limit=100_000
            )
        ]
    return {bytes(i) for i in rows["observation_id"]}, latest, states


class Stumbling(IdentityTracker):
    """A tracker that takes rows and then fails, `times` times: memory is then ahead of what was committed."""

    def __init__(self, realm: str, *, times: int) -> None:
        super().__init__(realm)
        self._times = times

    def update(self, batches: Sequence[ObservationBatch], *, recorded_at_us: int) -> TrackerOutput:
        output = super().update(batches, recorded_at_us=recorded_at_us)
        if self._times:
            self._times -= 1
            raise RuntimeError("stumbled after taking the rows")
        return output


def test_what_is_taken_is_stored_tracked_and_judged_in_one_go(engine: Engine, realm: Realm) -> None:
    kept = keeper(engine, realm)

    done = [kept.take([part]) for part in entering()]

    ids_stored, latest, states = stored(engine, realm)
    assert (sum(d.new for d in done), len(ids_stored), len(states)) == (400, 400, 400)
    assert [entry.track.subject for entry in latest] == ["mmsi:431000001"]
    (alert,) = alerts(engine, realm)
    assert (alert.rule, alert.area, alert.subject) == ("geofence_entry", "izuhara", "mmsi:431000001")
    assert alert.evidence
    assert set(alert.evidence) <= ids_stored


def test_a_batch_that_comes_again_changes_nothing(engine: Engine, realm: Realm) -> None:
    kept = keeper(engine, realm)
    for part in entering():
        kept.take([part])
    before, first = stored(engine, realm), alerts(engine, realm)

    again = [kept.take([part, part]) for part in entering()]

    assert sum(d.new for d in again) == 0
    assert sum(d.counts["known"] for d in again) == 800
    assert stored(engine, realm) == before
    assert alerts(engine, realm) == first


def test_a_flush_that_fails_leaves_nothing_behind_and_goes_through_when_tried_again(
    engine: Engine, realm: Realm
) -> None:
    kept = keeper(engine, realm, tracker=Stumbling(realm.name, times=1))
    first, *rest = entering()

    with pytest.raises(RuntimeError, match="stumbled"):
        kept.take([first])
    nothing = stored(engine, realm)
    for part in [first, *rest]:
        kept.take([part])

    assert nothing == (set(), [], [])
    assert len(stored(engine, realm)[2]) == 400
    assert len(alerts(engine, realm)) == 1


def test_an_intake_that_starts_in_the_middle_goes_on_as_if_there_had_been_one(engine: Engine, realm: Realm) -> None:
    parts = entering()
    whole = IdentityTracker(realm.name)
    for part in parts:
        whole.update([part], recorded_at_us=NOW_US)
    (expected,) = whole.tracks.values()

    for start in range(0, len(parts), 4):
        fresh = keeper(engine, realm)
        for part in parts[start : start + 4]:
            fresh.take([part])

    _, ((track, _),), states = stored(engine, realm)
    assert (track.position, track.speed_mps, track.course_deg) == (
        expected.position,
        expected.speed_mps,
        expected.course_deg,
    )
    assert len(states) == 400
    assert len(alerts(engine, realm)) == 1, "a restart neither forgets that a vessel is inside nor alarms again"


def test_two_intakes_of_one_realm_correct_each_other(engine: Engine, realm: Realm) -> None:
    kept = [keeper(engine, realm), keeper(engine, realm)]

    for i, part in enumerate(entering()):
        mine = kept[i % 2]
        for _ in range(2):
            try:
                mine.take([part])
            except RuntimeError as exc:
                assert "follows" in str(exc)  # noqa: PT017 - the first try of a keeper that was overtaken
            else:
                break

    assert len(stored(engine, realm)[2]) == 400
    assert len(alerts(engine, realm)) == 1


def test_a_rule_that_an_officer_changes_holds_at_the_next_tick_and_takes_its_alert_back(
    engine: Engine, realm: Realm
) -> None:
    # given a vessel that is inside, and an intake that runs
    kept = keeper(engine, realm)
    kept.take([batch(*(report(60.0 * i, INSIDE) for i in range(3)))])
    kept.tick()
    (alert,) = alerts(engine, realm)
    # when an officer takes its area out of the rule
    with realm_session(engine, realm) as session:
        put_rule(session, "geofence_entry", {"areas": []}, "sato", NOW_US, by_person=True, reason="演習区域")
    kept.tick()
    # then the alert is over, with a reason, and stays so after a restart
    keeper(engine, realm).tick()
    with realm_session(engine, realm) as session:
        (cleared,) = list_alerts(session, limit=10, include_cleared=True)
    assert (cleared.alert_id, cleared.revision) == (alert.alert_id, 2)
    assert cleared.cleared_at_us is not None
    # and when it is about the area again, who is inside is told as a new episode
    with realm_session(engine, realm) as session:
        put_rule(session, "geofence_entry", {}, "sato", NOW_US, by_person=True, reason="元に戻す")
    kept = keeper(engine, realm)
    kept.tick()
    kept.take([batch(*(report(60.0 * i, INSIDE) for i in range(3, 6)))])
    (opened,) = (each for each in alerts(engine, realm) if each.cleared_at_us is None)
    assert opened.alert_id != alert.alert_id


def test_on_a_data_clock_silence_inside_one_flush_is_found(engine: Engine, realm: Realm) -> None:
    with realm_session(engine, realm) as session:
        put_rule(session, "ais_gap", {}, "test", NOW_US)
    legs = [destination(OUTSIDE, course_deg=90.0, distance_m=50.0 * i) for i in range(90)]
    dark = [report(10.0 * i, p, mmsi=431_000_001, speed_mps=5.0, course_deg=90.0) for i, p in enumerate(legs)]
    steady = [report(10.0 * i + 1, INSIDE, mmsi=431_000_002, speed_mps=0.0) for i in range(900)]
    kept = keeper(engine, realm)

    kept.take([batch(*sorted(dark + steady, key=lambda row: float(row["at_s"])))])

    _, latest, _ = stored(engine, realm)
    assert [entry.track.status for entry in latest] == [TrackStatus.LOST, TrackStatus.LIVE]
    assert [(a.rule, a.subject) for a in alerts(engine, realm) if a.rule == "ais_gap"] == [
        ("ais_gap", "mmsi:431000001")
    ]


def test_a_quarantined_clock_is_stored_and_moves_neither_track_nor_time(engine: Engine, realm: Realm) -> None:
    kept = keeper(engine, realm)
    kept.take([batch(report(0, OUTSIDE))])
    ahead = batch(report(3_600, INSIDE))
    ahead.rows["received_at_us"] = NOW_US + 1

    done = kept.take([ahead])

    ids_stored, ((track, _),), _ = stored(engine, realm)
    assert (len(ids_stored), track.position) == (2, OUTSIDE)
    assert done.counts == {"clock_off": 1, "quarantined": 1}
    assert kept.clock.now_us() == NOW_US


def test_an_area_that_is_retired_while_it_runs_ends_its_alerts_under_its_name(engine: Engine, realm: Realm) -> None:
    kept = keeper(engine, realm)
    for part in entering():
        kept.take([part])
    with realm_session(engine, realm) as session:
        retire_area(session, "izuhara", "sato", NOW_US)

    kept.tick()

    (alert,) = alerts(engine, realm)
    assert alert.cleared_at_us is not None
    assert alert.because == "because.geofence_entry.withdrawn"
    assert alert.because_params["area"]["ja"] == "izuhara"


def test_an_area_drawn_while_it_runs_is_watched_from_the_next_tick(engine: Engine, realm: Realm) -> None:
    kept = keeper(engine, realm)
    kept.take([batch(report(0, Position(lon=131.05, lat=35.0), speed_mps=5.0))])
    with realm_session(engine, realm) as session:
        fence(session, "hagi", box(131.0, 34.9, 131.2, 35.1))

    kept.tick()
    for i in range(1, 30):
        kept.take([batch(report(10.0 * i, Position(lon=131.05, lat=35.0), speed_mps=0.0))])

    assert [a.area for a in alerts(engine, realm)] == ["hagi"]


# The whole loop, with the broker.


@pytest.fixture
def publisher(amqp_url: str, engine: Engine, realm: Realm) -> Iterator[BatchPublisher]:
    """What puts batches into the realm's queue (`engine` has opened it)."""
    with BatchPublisher(amqp_url, realm.vhost) as made:
        assert made.wait_connected(20.0)
        yield made


class Running:
    """An intake in a thread of its own."""

    def __init__(self, engine: Engine, amqp_url: str, realm: Realm, *, tracker: IdentityTracker | None = None) -> None:
        self._stop = threading.Event()
        self._consumer = Consumer(amqp_url, realm.vhost, (OBSERVATIONS,), prefetch=PREFETCH, name="test intake")
        self.intake = Intake(
            engine,
            realm,
            keeper=keeper(engine, realm, tracker=tracker),
            consumer=self._consumer,
            depths=lambda: queue_depths(amqp_url, realm.vhost, (OBSERVATIONS,)),
        )
        self._thread = threading.Thread(target=self.intake.run, args=(self._stop,))
        self._thread.start()

    def __enter__(self) -> Intake:
        return self.intake

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60.0)
        self._consumer.close()
        assert not self._thread.is_alive()


def depth(amqp_url: str, realm: Realm, queue: str) -> int:
    return queue_depths(amqp_url, realm.vhost, (queue,))[queue].ready


def test_batches_from_the_bus_are_committed_and_acknowledged(
    engine: Engine, realm: Realm, amqp_url: str, publisher: BatchPublisher, eventually: Callable[..., None]
) -> None:
    with Running(engine, amqp_url, realm) as intake:
        for part in entering():
            assert publisher.publish(part.to_bytes(), kind="observations")
        eventually(lambda: intake.progress.settled == 20)
        eventually(lambda: _heartbeat(engine, realm).get("new") == 400)

    assert len(stored(engine, realm)[0]) == 400
    assert depth(amqp_url, realm, OBSERVATIONS) == 0
    assert len(alerts(engine, realm)) == 1


def _heartbeat(engine: Engine, realm: Realm) -> dict[str, Any]:
    with realm_session(engine, realm) as session:
        return next((dict(beat.detail) for beat in list_heartbeats(session) if beat.process == "intake"), {})


def test_poison_goes_to_the_dead_letters_and_the_others_flow(
    engine: Engine, realm: Realm, amqp_url: str, publisher: BatchPublisher, eventually: Callable[..., None]
) -> None:
    first, second, *_ = entering()
    for body, kind in (
        (first.to_bytes(), "observations"),
        (b"MZOB but not a batch", "observations"),
        (b"[1]", "health"),
        (b"{}", "gossip"),
        (second.to_bytes(), "observations"),
    ):
        assert publisher.publish(body, kind=kind)

    with Running(engine, amqp_url, realm) as intake:
        eventually(lambda: intake.progress.settled == 5)

    assert intake.progress.rejected == {"bad_batch": 1, "bad_health": 1, "unknown_message": 1}
    assert intake.progress.new == 40
    eventually(lambda: depth(amqp_url, realm, OBSERVATION_DEAD_LETTERS) == 3)


class Choking(IdentityTracker):
    """A tracker with a defect: one vessel's rows are always too much for it."""

    def update(self, batches: Sequence[ObservationBatch], *, recorded_at_us: int) -> TrackerOutput:
        if any((part.rows["subject_key"] == 666_000_000).any() for part in batches):
            raise ZeroDivisionError("a defect")
        return super().update(batches, recorded_at_us=recorded_at_us)


def test_a_batch_that_can_never_be_processed_ends_in_the_dead_letters_after_the_limit(
    engine: Engine, realm: Realm, amqp_url: str, publisher: BatchPublisher, eventually: Callable[..., None]
) -> None:
    parts = [*entering()[:3], batch(report(5, OUTSIDE, mmsi=666_000_000)), *entering()[3:6]]
    for part in parts:
        assert publisher.publish(part.to_bytes(), kind="observations")

    with Running(engine, amqp_url, realm, tracker=Choking(realm.name)) as intake:
        eventually(lambda: depth(amqp_url, realm, OBSERVATION_DEAD_LETTERS) == 1, within_s=90.0)
        eventually(lambda: intake.progress.settled == 6, within_s=90.0)

    assert intake.progress.failed > 1
    assert intake.progress.new == 120


def test_while_the_database_is_away_nothing_is_acknowledged_and_afterwards_nothing_is_missing(
    engine: Engine,
    realm: Realm,
    amqp_url: str,
    publisher: BatchPublisher,
    endpoints: Endpoints,
    eventually: Callable[..., None],
) -> None:
    name = engine.url.database or str(psycopg.conninfo.conninfo_to_dict(_dsn(engine))["dbname"])
    parts = entering()
    with (
        Running(engine, amqp_url, realm) as intake,
        psycopg.connect(endpoints.database_url, autocommit=True) as admin,
    ):
        for part in parts[:10]:
            publisher.publish(part.to_bytes(), kind="observations")
        eventually(lambda: intake.progress.settled == 10)
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(sql.Identifier(name)))
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        for part in parts[10:]:
            publisher.publish(part.to_bytes(), kind="observations")
        eventually(lambda: intake.progress.trouble is not None)
        settled_meanwhile = intake.progress.settled
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(sql.Identifier(name)))
        eventually(lambda: intake.progress.settled == 20, within_s=60.0)
        eventually(lambda: intake.progress.trouble is None, within_s=60.0)

    assert settled_meanwhile == 10
    assert len(stored(engine, realm)[2]) == 400
    assert len(alerts(engine, realm)) == 1


def _dsn(engine: Engine) -> str:
    with engine.connect() as connection:
        return str(connection.connection.driver_connection.info.dsn)  # type: ignore[union-attr] # psycopg's connection


SERVE = """
import sys, threading
from command.domain.realm import Realm
from command.operations.intake import serve
from command.store.engine import make_engine
serve(make_engine(sys.argv[1]), sys.argv[2], Realm.parse(sys.argv[3]), stop=threading.Event())
"""


def test_killed_at_any_moment_it_loses_nothing_and_alarms_once(
    engine: Engine,
    realm: Realm,
    amqp_url: str,
    database_url: str,
    publisher: BatchPublisher,
    eventually: Callable[..., None],
) -> None:
    parts = [part for n in range(10) for part in entering(431_000_001 + n, start_s=0.5 * n)]
    parts.sort(key=lambda part: int(part.rows["observed_at_us"][0]))
    for part in parts:
        assert publisher.publish(part.to_bytes(), kind="observations", timeout_s=60.0)
    command = [sys.executable, "-c", SERVE, database_url, amqp_url, realm.name]

    for kill_at in (50, 2_000, 4_000, None):
        intake = subprocess.Popen(command)
        try:
            goal = 4_000 if kill_at is None else kill_at
            eventually(lambda goal=goal: len(stored(engine, realm)[0]) >= goal, within_s=90.0)
            if kill_at is None:
                eventually(lambda: depth(amqp_url, realm, OBSERVATIONS) == 0)
        finally:
            intake.kill()
            intake.wait()

    ids_stored, latest, states = stored(engine, realm)
    assert (len(ids_stored), len(latest), len(states)) == (4_000, 10, 4_000)
    assert sorted(alert.subject for alert in alerts(engine, realm)) == [f"mmsi:{431_000_001 + n}" for n in range(10)]


def test_a_call_for_help_does_not_wait_for_the_next_flush(
    engine: Engine, realm: Realm, amqp_url: str, publisher: BatchPublisher, eventually: Callable[..., None]
) -> None:
    with realm_session(engine, realm) as session:
        put_rule(session, "distress", {}, "test", NOW_US)
    beacon = report(
        0,
        OUTSIDE,
        mmsi=970_123_456,
        subject_kind=int(SubjectKind.DISTRESS_BEACON),
        flags=int(ObservationFlag.DISTRESS),
    )
    with Running(engine, amqp_url, realm):
        publisher.publish(batch(beacon).to_bytes(), kind="observations")
        eventually(lambda: [a.rule for a in alerts(engine, realm)] == ["distress"])


def test_a_realm_on_the_hosts_clock_ticks_by_itself(engine: Engine, realm: Realm) -> None:
    now_us = SystemClock().now_us()
    old = batch(report(0, OUTSIDE))
    old.rows["observed_at_us"] = old.rows["received_at_us"] = now_us - 900 * US_PER_S
    kept = PictureKeeper(engine, realm, clock=SystemClock(), tracker=IdentityTracker(realm.name))
    kept.take([old])

    kept.tick()

    _, ((track, _),), _ = _latest_only(engine, realm)
    assert track.status is TrackStatus.STALE


def _latest_only(engine: Engine, realm: Realm) -> tuple[None, list[Any], None]:
    with realm_session(engine, realm) as session:
        return None, load_latest(session), None
