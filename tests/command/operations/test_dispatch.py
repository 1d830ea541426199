"""Dispatch between a real PostGIS and a real RabbitMQ, with each of them breaking."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pika
import psycopg
import pytest
from sqlalchemy import Engine

from alerts.channel import ChannelSetup
from alerts.channels.webhook import WebhookConfig
from alerts.message import ALERT, HEARTBEAT, decode
from command.bus import (
    UNROUTABLE,
    Binding,
    Consumer,
    Message,
    Team,
    alert_topology,
    declare_topology,
    heartbeat_queue,
    observation_topology,
    queue_depths,
    team_queue,
)
from command.bus.broker import connection_parameters
from command.domain.alert import Alert, AlertEventKind, Finding, FindingKind, Severity
from command.domain.alert_acts import assigned, escalated
from command.domain.clock import SystemClock
from command.domain.geo import Position
from command.domain.ids import delivery_id
from command.domain.realm import Realm
from command.operations import dispatch
from command.operations.dispatch_loop import PROCESS
from command.store.alerts import acknowledge_alert, act_on_alerts, record_findings
from command.store.deliveries import Delivery, DeliveryState, list_deliveries, pending_deliveries, send_again
from command.store.engine import make_engine, realm_session
from command.store.health import list_heartbeats
from command.store.migrations import ensure_realm, migrate

DUTY = Team(name="duty")
AT_ONCE = """
[route]
group_by = ["..."]
group_wait = "0s"
group_interval = "0s"
"""
"""A policy by which every revision goes out at once and by itself."""


@dataclass(frozen=True)
class Ops:
    """A realm with its tables and its vhost."""

    engine: Engine
    database_url: str
    amqp_url: str
    realm: Realm
    policy: Path

    def record(self, *findings: Finding) -> list[Alert]:
        with realm_session(self.engine, self.realm) as session:
            return record_findings(session, self.realm, findings, labels={}, now_us=SystemClock().now_us())

    def unconfirmed(self) -> list[Delivery]:
        with realm_session(self.engine, self.realm) as session:
            return pending_deliveries(session, 1_000)

    def all(self) -> list[Delivery]:
        with realm_session(self.engine, self.realm) as session:
            return list_deliveries(session, set(DeliveryState), limit=100)

    def dead(self) -> list[Delivery]:
        with realm_session(self.engine, self.realm) as session:
            return list_deliveries(session, {DeliveryState.DEAD}, limit=100)

    def detail(self) -> dict[str, Any]:
        with realm_session(self.engine, self.realm) as session:
            return next((dict(h.detail) for h in list_heartbeats(session) if h.process == PROCESS), {})

    @contextmanager
    def dispatching(
        self,
        *,
        teams: Sequence[Team] = (DUTY,),
        amqp_url: str | None = None,
        channels: Sequence[ChannelSetup] = (),
    ) -> Iterator[None]:
        """dispatch.run in a thread; what it raises fails the test."""
        stop = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(
                dispatch.run,
                engine=self.engine,
                database_url=self.database_url,
                amqp_url=amqp_url or self.amqp_url,
                realm=self.realm,
                teams=teams,
                clock=SystemClock(),
                stop=stop,
                policy_file=self.policy,
                channels=channels,
            )
            try:
                yield
            finally:
                stop.set()
                running.result(60)

    @contextmanager
    def consumer(self, *queues: str) -> Iterator[Consumer]:
        """A consumer of these queues, else of every queue of the team on duty."""
        declare_topology(self.amqp_url, self.realm.vhost, dispatch.dispatch_topology([DUTY]))
        wanted = queues or [team_queue("duty", s) for s in sorted(Severity, reverse=True)]
        with Consumer(self.amqp_url, self.realm.vhost, wanted, prefetch=100, name="test") as consumer:
            yield consumer


@pytest.fixture
def ops(database_url: str, amqp_url: str, realm: Realm, tmp_path: Path) -> Iterator[Ops]:
    policy = tmp_path / "alerts.toml"
    policy.write_text(AT_ONCE, "utf-8")
    engine = make_engine(database_url)
    migrate(engine)
    ensure_realm(engine, realm, clock=None)
    yield Ops(engine, database_url, amqp_url, realm, policy)
    engine.dispose()


def finding(severity: Severity = Severity.HIGH, *, subject: str = "mmsi:431002123", **changes: Any) -> Finding:
    now_us = SystemClock().now_us()
    facts: dict[str, Any] = {
        "kind": FindingKind.OPENED,
        "rule": "geofence_entry",
        "severity": severity,
        "subject": subject,
        "area": None,
        "episode_start_us": now_us,
        "observed_at_us": now_us,
        "position": Position(lon=129.44, lat=34.68),
        "because": "because.geofence_entry",
    }
    return Finding(**(facts | changes))


def take(consumer: Consumer, *, within_s: float = 20.0) -> tuple[dict[str, Any], Message]:
    message = consumer.get(within_s)
    assert message is not None, "no message came"
    message.ack()
    return decode(message.body, kind=ALERT), message


def beat(consumer: Consumer) -> dict[str, Any]:
    """The next heartbeat."""
    message = consumer.get(20)
    assert message is not None, "no heartbeat came"
    message.ack()
    return decode(message.body, kind=HEARTBEAT)


def test_an_alert_reaches_its_team_with_its_key_its_identity_and_a_body_of_the_schema(
    ops: Ops, eventually: Callable[..., None]
) -> None:
    with ops.consumer() as consumer, ops.dispatching():
        # when
        (alert,) = ops.record(finding())
        # then
        body, message = take(consumer)
        assert message.routing_key == "alert.high.none.geofence_entry"
        assert message.message_id == str(delivery_id(alert.alert_id, 1, "amqp"))
        assert message.kind == "alert"
        assert body["alert_id"] == str(alert.alert_id)
        assert (body["event"], body["status"]) == ("opened", "exercise")
        eventually(lambda: ops.unconfirmed() == [])


def test_every_revision_goes_out_with_what_made_it(ops: Ops) -> None:
    with ops.consumer() as consumer, ops.dispatching():
        opened = finding(Severity.MEDIUM)
        (alert,) = ops.record(opened)
        bodies = [take(consumer)[0]]
        revised = finding(Severity.HIGH, kind=FindingKind.REVISED, episode_start_us=opened.episode_start_us)
        ops.record(revised)
        bodies.append(take(consumer)[0])
        with realm_session(ops.engine, ops.realm) as session:
            acknowledge_alert(session, alert.alert_id, by="sato", comment="了解", now_us=SystemClock().now_us())
        bodies.append(take(consumer)[0])
        ops.record(finding(kind=FindingKind.CLEARED, episode_start_us=opened.episode_start_us))
        bodies.append(take(consumer)[0])
        # then
        assert [body["event"] for body in bodies] == ["opened", "revised", "acknowledged", "cleared"]
        assert {body["alert_id"] for body in bodies} == {str(alert.alert_id)}


def test_an_escalation_reaches_the_teams_at_its_new_severity_with_who_and_why(ops: Ops) -> None:
    with ops.consumer() as consumer, ops.dispatching():
        (alert,) = ops.record(finding(Severity.HIGH))
        body, _ = take(consumer)
        assert body["revision"] == 1
        # when it is assigned, and then escalated
        now_us = SystemClock().now_us()
        assign = partial(assigned, to="mori", by="sato", take_over=False, now_us=now_us)
        escalate = partial(escalated, by="sato", reason="灯火なし", now_us=now_us)
        with realm_session(ops.engine, ops.realm) as session:
            act_on_alerts(session, [alert.alert_id], assign, kind=AlertEventKind.ASSIGNED, by="sato", delivered=False)
            act_on_alerts(session, [alert.alert_id], escalate, kind=AlertEventKind.ESCALATED, by="sato")
        # then the escalation comes, and the assignment stays at the desk
        raised, message = take(consumer)
    assert message.routing_key == "alert.critical.none.geofence_entry"
    assert (raised["event"], raised["revision"], raised["severity"]) == ("revised", 3, "critical")
    assert "sato" in raised["because"]["ja"]
    assert "灯火なし" in raised["because"]["en"]


def test_what_waited_while_dispatch_was_away_goes_out_critical_first(ops: Ops) -> None:
    # given alerts that were raised while no dispatch ran
    order = [Severity.LOW, Severity.MEDIUM, Severity.CRITICAL, Severity.HIGH, Severity.CRITICAL]
    ops.record(*(finding(s, subject=f"mmsi:43100200{i}") for i, s in enumerate(order)))
    # given one queue that shows the order of publishing
    declare_topology(ops.amqp_url, ops.realm.vhost, dispatch.dispatch_topology([DUTY]))
    connection = pika.BlockingConnection(connection_parameters(ops.amqp_url, ops.realm.vhost, name="test"))
    channel = connection.channel()
    channel.queue_declare("in-order", durable=True)
    channel.queue_bind("in-order", "alerts", "#")
    connection.close()
    # when
    with (
        ops.consumer("in-order") as consumer,
        ops.dispatching(),
    ):
        # then
        words = [take(consumer)[0]["severity"] for _ in order]
    assert words == ["critical", "critical", "high", "medium", "low"]


def test_deliveries_wait_for_a_broker_that_is_away_and_none_is_lost(
    ops: Ops, line: Any, eventually: Callable[..., None]
) -> None:
    with ops.consumer() as consumer, ops.dispatching(amqp_url=line.url):
        ops.record(finding(subject="mmsi:1"))
        take(consumer)
        eventually(lambda: ops.unconfirmed() == [])  # a team may have an alert before dispatch hears its confirm
        # when the line is cut and alerts are raised
        line.cut()
        alerts = ops.record(*(finding(subject=f"mmsi:2{i}") for i in range(20)))
        # then they wait, and health tells of it
        eventually(lambda: ops.detail()["broker"]["connected"] is False and ops.detail()["waiting"] == 20)
        assert "cannot be reached" in ops.detail()["broker"]["trouble"]
        # and go out when it is back
        line.mend()
        assert {take(consumer)[0]["alert_id"] for _ in alerts} == {str(a.alert_id) for a in alerts}
        eventually(lambda: ops.unconfirmed() == [])


def test_a_database_that_goes_away_is_waited_for_and_the_teams_are_told(ops: Ops) -> None:
    name = psycopg.conninfo.conninfo_to_dict(ops.database_url)["dbname"]
    admin_url = psycopg.conninfo.make_conninfo(ops.database_url, dbname="postgres")

    def allow(connections: bool) -> None:
        with psycopg.connect(admin_url, autocommit=True) as admin:
            admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS {str(connections).lower()}".encode())
            if not connections:
                admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

    with (
        ops.consumer() as consumer,
        ops.consumer(heartbeat_queue("duty")) as beats,
        ops.dispatching(),
    ):

        def hear(state: str) -> None:
            while beat(beats)["state"] != state:
                pass

        hear("running")
        # when
        allow(False)
        try:
            hear("store_away")
        finally:
            allow(True)
        # then
        hear("running")
        (alert,) = ops.record(finding())
        assert take(consumer)[0]["alert_id"] == str(alert.alert_id)


CHILD = """
import sys, threading
from pathlib import Path
from command.bus import Team
from command.domain.clock import SystemClock
from command.domain.realm import Realm
from command.operations.dispatch import run
from command.store.engine import make_engine
database_url, amqp_url, realm, *policy = sys.argv[1:]
run(engine=make_engine(database_url), database_url=database_url, amqp_url=amqp_url, realm=Realm.parse(realm),
    teams=[Team(name="duty")], clock=SystemClock(), stop=threading.Event(),
    policy_file=Path(policy[0]) if policy else None)
"""


def test_killed_between_publishing_and_marking_it_sends_again_under_the_same_identity(
    ops: Ops, line: Any, repository: Path, eventually: Callable[..., None]
) -> None:
    with ops.consumer() as consumer:
        # given a dispatch that hears nothing of the broker once it is connected
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD, ops.database_url, line.url, ops.realm.name], cwd=repository
        )
        try:
            eventually(lambda: ops.detail().get("broker", {}).get("connected"), within_s=60)
            line.hold_answers()
            (alert,) = ops.record(finding())
            # when it has published, and is killed before it can mark that
            _, first = take(consumer)
        finally:
            os.kill(child.pid, signal.SIGKILL)
            child.wait(20)
        assert [d.state for d in ops.unconfirmed()] == [DeliveryState.PENDING]
        # then the next one sends the same
        with ops.dispatching():
            body, second = take(consumer)
            assert second.message_id == first.message_id
            assert (body["alert_id"], body["revision"]) == (str(alert.alert_id), 1)
            eventually(lambda: ops.unconfirmed() == [])


def test_an_alert_that_no_team_is_bound_to_is_counted_where_health_and_teams_see_it(
    ops: Ops, eventually: Callable[..., None]
) -> None:
    rescue = Team(name="rescue", bindings=(Binding(rules=("distress",)),))
    with ops.dispatching(teams=[rescue]):
        ops.record(finding())
        eventually(lambda: ops.detail().get("unroutable") == 1)
        assert ops.detail()["queues"][UNROUTABLE]["ready"] == 1


def test_an_alert_that_breaks_the_schema_is_kept_as_dead_with_its_reason_and_the_others_flow(
    ops: Ops, eventually: Callable[..., None]
) -> None:
    with ops.consumer() as consumer, ops.dispatching():
        ops.record(finding(rule="Not A Rule"), finding())
        assert take(consumer)[0]["rule"] == "geofence_entry"
        eventually(lambda: ops.detail().get("dead") == 1)
        eventually(lambda: ops.unconfirmed() == [])  # the good one is marked when its confirm is heard
        (dead,) = ops.dead()
        assert "rule" in (dead.last_error or "")
    # and a new dispatch keeps counting it, and keeps its reason
    with ops.dispatching():
        eventually(lambda: ops.detail().get("dead") == 1)
    assert ops.dead() == [dead]


def test_a_full_queue_of_one_team_waits_is_counted_and_nothing_else_waits_with_it(
    ops: Ops, eventually: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    # given room for ten messages a queue
    small = alert_topology([DUTY], max_messages=10) + observation_topology()
    monkeypatch.setattr(dispatch, "dispatch_topology", lambda teams: small)
    alerts: list[Alert] = []
    with ops.dispatching():
        for start in range(0, 60, 20):
            alerts += ops.record(*(finding(Severity.LOW, subject=f"mmsi:{start + i}") for i in range(20)))
        eventually(lambda: ops.detail().get("refused", 0) > 0)
        eventually(lambda: any(d.state is DeliveryState.FAILED for d in ops.unconfirmed()))
        # when a critical one is raised
        (critical,) = ops.record(finding(Severity.CRITICAL))
        queues = [team_queue("duty", Severity.CRITICAL)]
        with ops.consumer(*queues) as consumer:
            # then it flows
            assert take(consumer)[0]["alert_id"] == str(critical.alert_id)
        # and when somebody takes, the waiting ones flow as well
        low: set[str] = set()
        with ops.consumer(team_queue("duty", Severity.LOW)) as consumer:
            while len(low) < len(alerts):
                low.add(take(consumer, within_s=40)[0]["alert_id"])
        assert low == {str(a.alert_id) for a in alerts}
        eventually(lambda: ops.unconfirmed() == [])


def test_teams_hear_a_heartbeat_with_the_count_of_what_waits_and_a_last_word_at_the_end(ops: Ops) -> None:
    with ops.consumer(heartbeat_queue("duty")) as beats:
        with ops.dispatching():
            body = beat(beats)
            assert (body["realm"], body["state"], body["waiting"]) == (ops.realm.name, "running", 0)
        states = {body["state"]}
        while "stopping" not in states:  # there is one more every ten seconds
            states.add(beat(beats)["state"])


def test_two_dispatches_at_once_lose_nothing_and_their_messages_share_identities(
    ops: Ops, eventually: Callable[..., None]
) -> None:
    with (
        ops.consumer() as consumer,
        ops.dispatching(),
        ops.dispatching(),
    ):
        alerts = ops.record(*(finding(subject=f"mmsi:{i}") for i in range(50)))
        found: dict[str, str] = {}
        while len(found) < len(alerts):
            body, message = take(consumer)
            found[body["alert_id"]] = str(message.message_id)
        assert found == {str(a.alert_id): str(delivery_id(a.alert_id, 1, "amqp")) for a in alerts}
        eventually(lambda: ops.unconfirmed() == [])


def test_what_a_team_is_bound_to_no_more_comes_no_more_and_its_queue_does_not_fill(
    ops: Ops, eventually: Callable[..., None]
) -> None:
    # given a dispatch that knew two teams
    port = Team(name="port")
    with ops.dispatching(teams=[DUTY, port]):
        ops.record(finding())
        eventually(lambda: ops.detail().get("bindings", [{}])[-1].get("team") == "port")
        waiting = [team_queue("duty", Severity.HIGH), team_queue("port", Severity.HIGH)]
        eventually(lambda: [d.ready for d in queue_depths(ops.amqp_url, ops.realm.vhost, waiting).values()] == [1, 1])
        eventually(lambda: ops.unconfirmed() == [])
    # when the next one knows only one, and that one for critical alerts only
    with ops.dispatching(teams=[Team(name="duty", bindings=(Binding(severities=("critical",)),))]):
        eventually(lambda: [b["severities"] for b in ops.detail().get("bindings", [])] == [["critical"]])
        ops.record(finding(subject="mmsi:2"), finding(Severity.CRITICAL, subject="mmsi:3"))
        eventually(lambda: ops.detail().get("unroutable") == 1)
        eventually(lambda: ops.unconfirmed() == [])
    # then only the wanted one was queued, and what was there before is still there
    queues = [
        team_queue(team, severity) for team in ("duty", "port") for severity in (Severity.HIGH, Severity.CRITICAL)
    ]
    depths = queue_depths(ops.amqp_url, ops.realm.vhost, queues)
    assert [depths[queue].ready for queue in queues] == [1, 1, 1, 0]


@contextmanager
def receiving(port: int, heard: list[str], statuses: list[int]) -> Iterator[None]:
    """A webhook receiver on this machine: it notes the webhook-id, and answers with the statuses and then 200."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            heard.append(self.headers["webhook-id"])
            self.send_response(statuses.pop(0) if statuses else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield
        server.shutdown()
        thread.join()


CHILD_WITH_WEBHOOK = """
import sys, threading
from alerts.channel import ChannelSetup
from alerts.channels.webhook import WebhookConfig
from command.bus import Team
from command.domain.clock import SystemClock
from command.domain.realm import Realm
from command.operations.dispatch import run
from command.store.engine import make_engine
database_url, amqp_url, realm, url, key = sys.argv[1:]
config = WebhookConfig(name="prefecture", serves="exercises", url=url, timeout_s=60.0)
run(engine=make_engine(database_url), database_url=database_url, amqp_url=amqp_url, realm=Realm.parse(realm),
    teams=[Team(name="duty")], clock=SystemClock(), stop=threading.Event(),
    channels=[ChannelSetup(config=config, secret=key)])
"""


@pytest.mark.faults
def test_killed_while_a_receiver_answers_it_sends_again_under_the_same_identity(
    ops: Ops, repository: Path, eventually: Callable[..., None]
) -> None:
    heard: list[str] = []
    key = base64.b64encode(bytes(32)).decode()
    (alert,) = ops.record(finding())
    # given a receiver that takes the message and is slow to say so
    with socket.create_server(("127.0.0.1", 0)) as slow:
        url = f"http://127.0.0.1:{slow.getsockname()[1]}/"
        child = subprocess.Popen(
            [sys.executable, "-c", CHILD_WITH_WEBHOOK, ops.database_url, ops.amqp_url, ops.realm.name, url, key],
            cwd=repository,
        )
        try:
            slow.settimeout(60)
            line, _ = slow.accept()
            with line:
                request = line.recv(65_536).decode()
                # when dispatch is killed before it hears
                os.kill(child.pid, signal.SIGKILL)
                child.wait(20)
        finally:
            child.kill()
            child.wait(20)
    first = next(row.split(": ")[1] for row in request.splitlines() if row.lower().startswith("webhook-id"))
    # then the next dispatch sends the same, and marks it
    port = int(url.rstrip("/").rpartition(":")[2])
    config = WebhookConfig(name="prefecture", serves="exercises", url=url)
    with receiving(port, heard, []), ops.dispatching(channels=[ChannelSetup(config=config, secret=key)]):
        eventually(lambda: ops.unconfirmed() == [])
    assert heard == [first]
    assert alert.alert_id in {delivery.alert_id for delivery in ops.all()}


def test_a_receiver_that_is_down_holds_up_nobody_and_what_it_missed_outlives_a_restart_and_a_refusal(
    ops: Ops, eventually: Callable[..., None]
) -> None:
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as reserved:
        port = reserved.server_address[1]
    key = base64.b64encode(bytes(32)).decode()
    setups = [
        ChannelSetup(config=WebhookConfig(name=name, serves=serves, url=f"http://127.0.0.1:{port}/"), secret=key)
        for name, serves in (("prefecture", "exercises"), ("real", "live"))
    ]

    def of_webhook() -> dict[str, Any]:
        return dict(ops.detail().get("channels", {}).get("prefecture", {}))

    # given a receiver that is down
    with ops.consumer() as consumer, ops.dispatching(channels=setups):
        (alert,) = ops.record(finding())
        # then the team has its alert, health says why the receiver has not, and the time of the next try is stored
        assert take(consumer)[0]["alert_id"] == str(alert.alert_id)
        eventually(lambda: "connection refused" in str(of_webhook().get("trouble")))
        eventually(lambda: of_webhook()["failing"] == 1)
    (waits,) = ops.unconfirmed()
    assert (waits.channel, waits.state) == ("prefecture", DeliveryState.FAILED)
    assert waits.next_attempt_at_us is not None
    # when it is back, and refuses the first message that it sees
    heard: list[str] = []
    with receiving(port, heard, [400]), ops.dispatching(channels=setups):
        eventually(lambda: [(d.delivery_id, d.last_error) for d in ops.dead()] == [(waits.delivery_id, REFUSED)])
        eventually(lambda: of_webhook()["dead"] == 1)
        # and a person has it sent again
        with realm_session(ops.engine, ops.realm) as session:
            send_again(session, SystemClock().now_us(), delivery_id=waits.delivery_id)
        # then it goes out under the same identity, and nothing ever went by the channel of the live realm
        eventually(lambda: ops.unconfirmed() == [] and ops.dead() == [])
        assert heard == [str(delivery_id(alert.alert_id, 1, "prefecture"))] * 2
        eventually(lambda: of_webhook()["sent"] == 1)
        assert set(ops.detail()["channels"]) == {"amqp", "prefecture"}


REFUSED = "refused: HTTP 400 Bad Request"


def test_a_group_that_waits_is_told_once_and_whole_though_dispatch_is_killed_and_started_between_its_timers(
    ops: Ops, repository: Path, eventually: Callable[..., None]
) -> None:
    # given a policy by which a group waits, and a dispatch that has taken three alerts up
    ops.policy.write_text('[route]\ngroup_by = ["rule"]\ngroup_wait = "5s"\ngroup_interval = "5s"\n', "utf-8")
    words = [ops.database_url, ops.amqp_url, ops.realm.name, str(ops.policy)]
    with ops.consumer() as consumer:
        child = subprocess.Popen([sys.executable, "-c", CHILD, *words], cwd=repository)
        try:
            eventually(lambda: ops.detail().get("broker", {}).get("connected"), within_s=60)
            alerts = ops.record(*(finding(subject=f"mmsi:{i}") for i in range(3)))
            eventually(lambda: ops.detail()["account"]["taken"] == 3)
        finally:
            # when it is killed before they are due
            os.kill(child.pid, signal.SIGKILL)
            child.wait(20)
        # and another is raised before the next one starts
        alerts += ops.record(finding(subject="mmsi:9"))
        told: set[str] = set()
        messages = 0
        with ops.dispatching():
            while len(told) < len(alerts):
                body, _ = take(consumer)
                told |= {member["alert_id"] for member in body.get("grouped", {}).get("members", [body])}
                messages += 1
            # then each was told, in one message or, where the next one came late, two
            assert told == {str(alert.alert_id) for alert in alerts}
            assert messages <= 2
            eventually(lambda: ops.detail()["account"].get("waiting") == 0)
            account = ops.detail()["account"]
    assert account["taken"] == 4 == account["delivered"] + account["grouped"]
