"""Alerts while servers are killed, stand still or refuse, and while the host's clock jumps: real processes throughout.

Each test has servers of its own to break. They take minutes: `make test-faults`.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Final

import psutil
import pytest
from sqlalchemy import Engine

from alerts.message import ALERT, HEARTBEAT, decode
from command.bus import Consumer, Message, Team, declare_topology, heartbeat_queue, queue_depths, team_queue
from command.bus.publisher import AlertPublisher
from command.domain.alert import Alert, Finding, FindingKind, Severity
from command.domain.clock import SystemClock
from command.domain.geo import Position
from command.domain.realm import Realm
from command.operations.dispatch import dispatch_topology
from command.operations.dispatch_loop import PROCESS
from command.services import Endpoints, PrivateServers, ensure_services, ensure_vhost, stop_services
from command.store.alerts import acknowledge_alert, record_findings
from command.store.deliveries import pending_deliveries
from command.store.engine import make_engine, realm_session
from command.store.health import list_heartbeats
from command.store.migrations import ensure_realm, migrate

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
DUTY: Final = Team(name="duty")
QUEUES: Final = [team_queue(DUTY.name, severity) for severity in sorted(Severity, reverse=True)]
AT_ONCE: Final = '[route]\ngroup_by = ["..."]\ngroup_wait = "0s"\ngroup_interval = "0s"\n'
"""A policy by which every alert is a message of its own, so that messages can be counted."""
STANDS_STILL_S: Final = 60.0
MOST_GROWTH_MB: Final = 60.0
"""Of dispatch while a server stands still: it holds a bounded window, and leaves the rest in the store."""
FAKETIME: Final = tuple(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))


@dataclass(frozen=True)
class House:
    """A data directory with servers of its own, and a realm in them."""

    data_dir: Path
    endpoints: Endpoints
    engine: Engine
    realm: Realm

    @property
    def servers(self) -> PrivateServers:
        return PrivateServers.of(self.data_dir, database_url=None, amqp_url=None)

    def record(self, count: int, *, severity: Severity = Severity.HIGH) -> list[Alert]:
        """So many new alerts, each of a vessel of its own."""
        now_us = SystemClock().now_us()
        findings = [
            Finding(
                kind=FindingKind.OPENED,
                rule="geofence_entry",
                severity=severity,
                subject=f"label:{uuid.uuid4().hex[:16]}",
                area=None,
                episode_start_us=now_us,
                observed_at_us=now_us,
                position=Position(lon=129.44, lat=34.68),
                because="because.geofence_entry",
            )
            for _ in range(count)
        ]
        with realm_session(self.engine, self.realm) as session:
            return record_findings(session, self.realm, findings, labels={}, now_us=now_us)

    def unconfirmed(self) -> int:
        with realm_session(self.engine, self.realm) as session:
            return len(pending_deliveries(session, 10_000))

    def detail(self) -> dict[str, Any]:
        """What dispatch last said of itself."""
        with realm_session(self.engine, self.realm) as session:
            return next((dict(h.detail) for h in list_heartbeats(session) if h.process == PROCESS), {})

    @contextmanager
    def process(self, *words: str, **env: str) -> Iterator[subprocess.Popen[str]]:
        """One of the program's processes on this realm."""
        known = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "AMQP_URL", "MIZUGIWA_CONFIG")}
        with subprocess.Popen(
            [sys.executable, "-m", "command.cli", *words, "--realm", self.realm.name],
            env={
                **known,
                "MIZUGIWA_DATA_DIR": str(self.data_dir),
                "MIZUGIWA_CONFIG": str(self.data_dir / "mizugiwa.toml"),
                **env,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as running:
            try:
                yield running
            finally:
                running.send_signal(signal.SIGCONT)
                running.terminate()
                with suppress(subprocess.TimeoutExpired):
                    running.wait(30)
                running.kill()

    def take_all(self, queues: Sequence[str] = QUEUES) -> list[Message]:
        """Everything that waits for the team, acknowledged."""
        taken = []
        with Consumer(self.endpoints.amqp_url, self.realm.vhost, queues, prefetch=500, name="fault test") as consumer:
            while (message := consumer.get(5.0)) is not None:
                message.ack()
                taken.append(message)
        return taken


@pytest.fixture(scope="module")
def data_dir(server_dir: Callable[[str], Path]) -> Iterator[Path]:
    path = server_dir("faults")
    (path / "alerts.toml").write_text(AT_ONCE, "utf-8")
    (path / "mizugiwa.toml").write_text(f"alerts_policy = {str(path / 'alerts.toml')!r}\n", "utf-8")
    ensure_services(path, database_url=None, amqp_url=None)
    yield path
    stop_services(path)


@pytest.fixture
def house(data_dir: Path) -> Iterator[House]:
    endpoints = ensure_services(data_dir, database_url=None, amqp_url=None)
    engine = make_engine(endpoints.database_url)
    realm = Realm.parse(f"drill-fault-{uuid.uuid4().hex[:8]}")
    migrate(engine)
    ensure_realm(engine, realm, clock=None)
    ensure_vhost(endpoints, realm.vhost)
    declare_topology(endpoints.amqp_url, realm.vhost, dispatch_topology([DUTY]))
    yield House(data_dir, endpoints, engine, realm)
    engine.dispose()


def body(message: Message) -> dict[str, Any]:
    return decode(message.body, kind=ALERT)


def family(process: psutil.Process | None) -> list[psutil.Process]:
    assert process is not None
    return [process, *process.children(recursive=True)]


def rss_mb(process: subprocess.Popen[str]) -> float:
    return float(psutil.Process(process.pid).memory_info().rss / 1e6)


@contextmanager
def standing_still(
    processes: Sequence[psutil.Process], *, seconds: float, meanwhile: Callable[[], None]
) -> Iterator[None]:
    """SIGSTOP for so long; what happens meanwhile is up to `meanwhile`, called again and again."""
    for process in processes:
        process.suspend()
    try:
        until, pause = monotonic() + seconds, threading.Event()
        while monotonic() < until:
            meanwhile()
            pause.wait(0.5)
        yield
    finally:
        for process in processes:
            process.resume()


def test_of_a_broker_killed_amid_publishing_every_confirmed_alert_is_consumed(
    house: House, eventually: Callable[..., None]
) -> None:
    wanted: set[str] = set()
    with house.process("dispatch"):
        # given a stream of alerts, a good part of which the broker has confirmed
        for _ in range(4):
            wanted |= {str(alert.alert_id) for alert in house.record(250)}
        eventually(lambda: house.detail().get("confirmed", 0) >= 200, within_s=60.0)
        # when it is killed while more are on their way, and started again
        wanted |= {str(alert.alert_id) for alert in house.record(500)}
        broker = house.servers.rabbitmq
        assert broker is not None
        process = broker.process()
        assert process is not None
        process.kill()
        process.wait(20)
        confirmed = wanted - {str(delivery.alert_id) for delivery in pending(house)}
        broker.start()
        eventually(lambda: house.unconfirmed() == 0, within_s=120.0)
    # then the team has every one that was confirmed before, and in the end every one there is
    had = Counter(body(message)["alert_id"] for message in house.take_all())
    assert confirmed
    assert confirmed <= set(had)
    assert set(had) == wanted


def pending(house: House) -> list[Any]:
    with realm_session(house.engine, house.realm) as session:
        return pending_deliveries(session, 10_000)


def test_a_responder_acts_once_on_what_is_delivered_three_times_and_out_of_order(
    house: House, eventually: Callable[..., None]
) -> None:
    # given alerts of two revisions each, as dispatch sends them
    with house.process("dispatch"):
        alerts = house.record(40)
        eventually(lambda: sum(ready(house).values()) >= 40, within_s=60.0)
        with realm_session(house.engine, house.realm) as session:
            for alert in alerts:
                acknowledge_alert(session, alert.alert_id, by="sato", comment="", now_us=SystemClock().now_us())
        eventually(lambda: sum(ready(house).values()) >= 80 and house.unconfirmed() == 0, within_s=60.0)
    sent = house.take_all()
    assert len(sent) == 80
    # when a team gets each of them three times, in any order
    again = sent * 3
    random.Random(7).shuffle(again)
    with AlertPublisher(
        house.endpoints.amqp_url, house.realm.vhost, topology=dispatch_topology([DUTY]), wake=threading.Event()
    ) as publisher:
        assert publisher.wait_connected(20.0)
        for message in again:
            assert message.message_id is not None
            assert publisher.publish(message.body, routing_key=message.routing_key, message_id=message.message_id)
        publisher.drain(20.0)
    heard: list[dict[str, Any]] = []
    with house.process("responder", "--team", DUTY.name, "--json") as client:
        assert client.stdout is not None
        reader = threading.Thread(target=read_alerts, args=(client.stdout, heard))
        reader.start()
        eventually(lambda: sum(ready(house).values()) == 0 and len({b["alert_id"] for b in heard}) == 40, within_s=60.0)
        client.terminate()
        reader.join(20)
    # then each revision is told at most once, never after a later one, and the last that is told is the last there is
    told: dict[str, list[int]] = {}
    for each in heard:
        told.setdefault(each["alert_id"], []).append(each["revision"])
    assert set(told) == {str(alert.alert_id) for alert in alerts}
    assert all(revisions in ([1, 2], [2]) for revisions in told.values())


def read_alerts(out: Any, heard: list[dict[str, Any]]) -> None:
    for line in out:
        said = json.loads(line)
        if "alert_id" in said:
            heard.append(said)


def ready(house: House) -> dict[str, int]:
    depths = queue_depths(house.endpoints.amqp_url, house.realm.vhost, QUEUES)
    return {name: depth.ready for name, depth in depths.items() if depth is not None}


def test_a_broker_that_stands_still_for_a_minute_loses_nothing_and_health_says_so(
    house: House, eventually: Callable[..., None]
) -> None:
    wanted = {str(alert.alert_id) for alert in house.record(20)}
    with house.process("dispatch") as dispatch:
        eventually(lambda: house.detail().get("confirmed", 0) >= 20, within_s=60.0)
        before_mb, said = rss_mb(dispatch), []

        def alarm() -> None:
            wanted.update(str(alert.alert_id) for alert in house.record(50))
            said.append(house.detail())

        # when alerts come all the while
        with standing_still(
            family(house.servers.rabbitmq.process() if house.servers.rabbitmq else None),
            seconds=STANDS_STILL_S,
            meanwhile=alarm,
        ):
            # then they wait in the store, dispatch stays small, and says what is wrong
            assert house.unconfirmed() > 0
            assert rss_mb(dispatch) - before_mb < MOST_GROWTH_MB
            assert said[-1]["waiting"] > 0
            assert not said[-1]["broker"]["connected"] or said[-1]["broker"]["trouble"]
        # and afterwards every one arrives
        eventually(lambda: house.unconfirmed() == 0, within_s=120.0)
    assert {body(message)["alert_id"] for message in house.take_all()} == wanted


def test_a_database_that_stands_still_for_a_minute_loses_nothing_and_the_teams_are_told(
    house: House, eventually: Callable[..., None]
) -> None:
    wanted = {str(alert.alert_id) for alert in house.record(20)}
    beats: list[str] = []
    with (
        Consumer(
            house.endpoints.amqp_url,
            house.realm.vhost,
            [heartbeat_queue(DUTY.name)],
            prefetch=10,
            name="fault test beats",
        ) as teams,
        house.process("dispatch") as dispatch,
    ):
        eventually(lambda: house.detail().get("confirmed", 0) >= 20, within_s=60.0)
        before_mb = rss_mb(dispatch)

        def listen() -> None:
            message = teams.get(1.0)
            if message is not None:
                message.ack()
                beats.append(decode(message.body, kind=HEARTBEAT)["state"])

        postgres = house.servers.postgres
        assert postgres is not None
        # when nothing of it answers
        with standing_still(family(postgres.process()), seconds=STANDS_STILL_S, meanwhile=listen):
            # then the teams hear that dispatch is not well, and it stays small
            assert {"stalled", "store_away"} & set(beats)
            assert rss_mb(dispatch) - before_mb < MOST_GROWTH_MB
        # and afterwards alerts go out as ever
        wanted |= {str(alert.alert_id) for alert in house.record(20)}
        eventually(lambda: house.unconfirmed() == 0, within_s=120.0)
        eventually(lambda: listen() or beats[-1] == "running", within_s=60.0)
    assert {body(message)["alert_id"] for message in house.take_all()} == wanted


def test_a_full_disk_at_the_broker_blocks_publishing_and_an_operator_is_told(
    house: House, eventually: Callable[..., None]
) -> None:
    with house.process("dispatch"):
        wanted = {str(alert.alert_id) for alert in house.record(20)}
        eventually(lambda: house.detail().get("confirmed", 0) >= 20, within_s=60.0)
        # when the broker raises its alarm of a full disk
        control(house, "set_disk_free_limit", "1000000GiB")
        try:
            wanted |= {str(alert.alert_id) for alert in house.record(20)}
            # then alerts wait as deliveries, and the reason is told
            eventually(lambda: "disk" in (house.detail()["broker"]["trouble"] or ""), within_s=60.0)
            eventually(lambda: house.detail()["waiting"] == 20, within_s=60.0)
        finally:
            control(house, "set_disk_free_limit", "512MB")
        # and once there is room again they go out
        eventually(lambda: house.unconfirmed() == 0, within_s=60.0)
        eventually(lambda: house.detail()["broker"]["trouble"] is None, within_s=60.0)
    assert {body(message)["alert_id"] for message in house.take_all()} == wanted


def control(house: House, *words: str) -> None:
    """rabbitmqctl at the house's own broker."""
    broker = house.servers.rabbitmq
    assert broker is not None
    facts = json.loads((broker.home / "broker.json").read_text("utf-8"))
    env = {
        "PATH": "/usr/lib/rabbitmq/bin:/usr/bin:/bin",
        "HOME": str(broker.home),
        "LC_ALL": "C.UTF-8",
        "RABBITMQ_NODENAME": facts["node"],
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "ERL_EPMD_PORT": str(facts["epmd"]),
    }
    subprocess.run(
        ["/usr/lib/rabbitmq/bin/rabbitmqctl", *words],
        env=env,
        cwd=broker.home,
        check=True,
        capture_output=True,
        timeout=60,
        **broker.account.drop,
    )


def test_a_clock_of_the_host_that_jumps_stops_no_alert_and_no_heartbeat(
    house: House, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    # given a dispatch whose clock can be set
    offset = tmp_path / "offset"
    offset.write_text("+0", "utf-8")
    faked = {
        "LD_PRELOAD": str(FAKETIME[0]),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    with (
        house.process("dispatch", **faked),
        Consumer(
            house.endpoints.amqp_url, house.realm.vhost, [heartbeat_queue(DUTY.name)], prefetch=10, name="beats"
        ) as teams,
    ):

        def beat() -> dict[str, Any]:
            message = teams.get(40.0)
            assert message is not None, "no heartbeat came"
            message.ack()
            return decode(message.body, kind=HEARTBEAT)

        wanted = {str(alert.alert_id) for alert in house.record(10)}
        eventually(lambda: house.detail().get("confirmed", 0) >= 10, within_s=60.0)
        hours = [beat()["sent_at"][:13]]
        # when it is set two hours back, and then four hours on
        for jump in ("-2h", "+2h"):
            offset.write_text(jump, "utf-8")
            wanted |= {str(alert.alert_id) for alert in house.record(10)}
            # then what comes next goes out, and the teams hear it live
            eventually(lambda: house.unconfirmed() == 0, within_s=60.0)
            hours += [beat()["sent_at"][:13] for _ in range(3)]
    assert len(set(hours)) >= 3, "the clock did not jump"
    assert {body(message)["alert_id"] for message in house.take_all()} == wanted
