"""`relay`: delivery rows out of the store, confirmed on quorum queues, marked; beside bare pika with the same bodies.

Ours: the real process `dispatch` of the live realm, on a private RabbitMQ and a private PostGIS; the rows are there in
one transaction, one team has all of them in its queues, and the clock stops with the last row that is marked. Peer: a
pika SelectConnection with as large a window of confirms, publishing the same bodies to a quorum queue of the same
arguments at the same broker, before and after ours. Then a row every 5 ms, and how long each takes.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from time import monotonic, sleep, time_ns
from typing import Any, Final

import numpy as np
import pika
from sqlalchemy import text
from stage import LIVE, STARTED_WITHIN_S, BenchFailed, Stage, stage, ungrouped, used_between

from alerts.message import alert_body
from command.bus import Consumer, Team, alert_topology, team_queue
from command.bus.broker import connection_parameters
from command.domain.alert import Alert, Finding, FindingKind, Severity, routing_key
from command.domain.geo import Position
from command.domain.ids import delivery_id
from command.store.alerts import record_findings
from command.store.deliveries import Delivery, events_without_delivery, save_deliveries
from command.store.engine import realm_session
from command.store.notify import notify

TEAM: Final = "bench"
SETTINGS: Final = f'[[teams]]\nname = "{TEAM}"\n'
AT_ONCE: Final = 1_000
MARKED_WITHIN_S: Final = 300.0
PEER_WINDOW: Final = 1_000


def measure(deliveries: int = 36_000, seconds: int = 20, per_second: int = 200) -> dict[str, Any]:
    """{"ours", "peer", "ratio", "input"}; ratio is our rate over the peer's. Raises BenchFailed."""
    with ungrouped() as policy, stage(policy + SETTINGS) as here:
        rows = _planned(here, deliveries)
        bodies = [json.dumps(row.body, ensure_ascii=False, separators=(",", ":")).encode() for row in rows]
        here.start("dispatch")
        before = _peer(here, bodies)
        ours = _run(here, rows)
        after = _peer(here, bodies)
        latency = _latency(here, seconds=seconds, per_second=per_second)
    peer_rate = (before + after) / 2
    return {
        "ours": ours | {"latency": latency},
        "peer": {
            "name": f"pika {pika.__version__}: SelectConnection, confirms, {PEER_WINDOW} in flight",
            "per_s": round(peer_rate),
            "per_s_before_and_after_ours": [round(before), round(after)],
        },
        "ratio": round(ours["per_s"] / peer_rate, 2),
        "input": {"deliveries": deliveries, "bytes": sum(map(len, bodies))},
        "aims": {"per_s_at_least": 5_000, "ratio_at_least": 0.6},
    }


def _planned(here: Stage, count: int) -> list[Delivery]:
    """Alerts of every severity in turn, and the deliveries that dispatch would plan of them; not stored as such yet."""
    rows: list[Delivery] = []
    severities = sorted(Severity)
    for start in range(0, count, AT_ONCE):
        findings = [_finding(i, severities[i % 4]) for i in range(start, min(start + AT_ONCE, count))]
        now_us = time_ns() // 1_000
        with realm_session(here.engine, LIVE) as session:
            alerts = record_findings(session, LIVE, findings, labels={}, now_us=now_us)
            save_deliveries(session, [], planned=events_without_delivery(session, AT_ONCE))
        rows += [_delivery(alert, now_us) for alert in alerts]
    return rows


def _finding(number: int, severity: Severity) -> Finding:
    now_us = time_ns() // 1_000
    return Finding(
        kind=FindingKind.OPENED,
        rule="geofence_entry",
        severity=severity,
        subject=f"mmsi:{431_000_000 + number:09d}",
        area=None,
        episode_start_us=now_us,
        observed_at_us=now_us,
        position=Position(lon=129.29, lat=34.2),
        because="because.geofence_entry",
        because_params={
            "subject": f"第八海進丸 {number}",
            "area": {"ja": "厳原湾", "en": "Izuhara bay"},
            "since_us": now_us,
        },
        evidence=(number.to_bytes(16, "big"),),
    )


def _delivery(alert: Alert, now_us: int) -> Delivery:
    return Delivery(
        delivery_id=delivery_id(alert.alert_id, alert.revision, "amqp"),
        alert_id=alert.alert_id,
        revision=alert.revision,
        channel="amqp",
        routing_key=routing_key(alert),
        body=alert_body(alert, area_name=None),
        created_at_us=now_us,
    )


def _run(here: Stage, rows: Sequence[Delivery]) -> dict[str, Any]:
    """All rows at once. Raises BenchFailed where the queues do not hold what was marked."""
    used_before = here.cpu_s()
    left = iter(rows)
    with realm_session(here.engine, LIVE) as session:
        while some := list(islice(left, AT_ONCE)):
            save_deliveries(session, some, planned=[])
        notify(session, {"resent": len(rows)})  # rows that another process wrote: read them now, not at the next poll
    began_s = monotonic()
    here.wait_until(lambda: _unmarked(here) == 0, within_s=MARKED_WITHIN_S, what="not all was marked")
    wall_s = _last_marked_s(here, began_s)
    used = used_between(used_before, here.cpu_s())
    with closing(_connection(here)) as connection:
        channel = connection.channel()
        queued = sum(
            channel.queue_declare(team_queue(TEAM, severity), passive=True).method.message_count
            for severity in Severity
        )
        for severity in Severity:
            channel.queue_purge(team_queue(TEAM, severity))
    if queued != len(rows):
        raise BenchFailed(f"{len(rows)} rows are marked, and {queued} messages are in the queues")
    return {
        "per_s": round(len(rows) / wall_s),
        "wall_s": round(wall_s, 2),
        "cpu_s_by_process": used,
        "cpu_us_per_delivery": round(sum(used.values()) / len(rows) * 1e6, 1),
        "marked": len(rows),
        "queued": queued,
    }


def _unmarked(here: Stage) -> int:
    with realm_session(here.engine, LIVE) as session:
        return int(session.execute(text("SELECT count(*) FROM delivery WHERE state <> 'confirmed'")).scalar_one())


def _last_marked_s(here: Stage, began_s: float) -> float:
    """Seconds from the commit of the rows to the time that the last is marked with, both by the host's clock."""
    query = text("SELECT extract(epoch FROM max(confirmed_at)) FROM delivery")
    with realm_session(here.engine, LIVE) as session:
        last_s = float(session.execute(query).scalar_one())
    return last_s - (time_ns() / 1e9 - (monotonic() - began_s))


def _connection(here: Stage) -> Any:
    return pika.BlockingConnection(connection_parameters(here.endpoints.amqp_url, LIVE.vhost, name="bench"))


def _peer(here: Stage, bodies: Sequence[bytes]) -> float:
    """Bodies a second of bare pika: published, confirmed."""
    queue = f"peer-{uuid.uuid4().hex[:8]}"
    work = next(q for q in alert_topology([Team(name=TEAM)]).queues if q.name == team_queue(TEAM, Severity.HIGH))
    bare = _BarePublisher(here, queue, {**work.arguments, "x-max-length": len(bodies) + 1}, bodies)
    bare.run()
    with closing(_connection(here)) as connection:
        connection.channel().queue_delete(queue)
    return len(bodies) / bare.wall_s


class _BarePublisher:
    """Everything in pika's own loop, with a window of confirms."""

    def __init__(self, here: Stage, queue: str, arguments: dict[str, Any], bodies: Sequence[bytes]) -> None:
        self._queue, self._arguments, self._bodies = queue, arguments, bodies
        self._next = self._confirmed = 0
        self._began_s = self.wall_s = 0.0
        self._properties = pika.BasicProperties(delivery_mode=2, content_type="application/json")
        self._connection = pika.SelectConnection(
            connection_parameters(here.endpoints.amqp_url, LIVE.vhost, name="bench peer"), on_open_callback=self._opened
        )

    def run(self) -> None:
        self._connection.ioloop.start()

    def _opened(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._declare)

    def _declare(self, channel: Any) -> None:
        self._channel = channel
        channel.queue_declare(self._queue, durable=True, arguments=self._arguments, callback=lambda _: self._confirm())

    def _confirm(self) -> None:
        self._channel.confirm_delivery(self._answered, callback=lambda _: self._begin())

    def _begin(self) -> None:
        self._began_s = monotonic()
        self._pump()

    def _answered(self, frame: Any) -> None:
        tag = int(frame.method.delivery_tag)
        self._confirmed = tag if frame.method.multiple else self._confirmed + 1
        if self._confirmed >= len(self._bodies):
            self.wall_s = monotonic() - self._began_s
            self._connection.add_on_close_callback(lambda *_: self._connection.ioloop.stop())
            self._connection.close()
            return
        self._pump()

    def _pump(self) -> None:
        while self._next < len(self._bodies) and self._next - self._confirmed < PEER_WINDOW:
            self._channel.basic_publish("", self._queue, self._bodies[self._next], self._properties, mandatory=True)
            self._next += 1


def _latency(here: Stage, *, seconds: int, per_second: int) -> dict[str, Any]:
    """From the commit of an alert to the team's hands, at a steady rate. Raises BenchFailed where one is missing."""
    queues = [team_queue(TEAM, severity) for severity in sorted(Severity, reverse=True)]
    taken: dict[str, float] = {}
    raised: dict[str, float] = {}
    ending = threading.Event()
    with Consumer(here.endpoints.amqp_url, LIVE.vhost, queues, prefetch=1_000, name="bench team") as consumer:
        consumer.wait_connected(STARTED_WITHIN_S)

        def take() -> None:
            while not ending.is_set():
                if (message := consumer.get(0.1)) is not None:
                    taken[json.loads(message.body)["alert_id"]] = monotonic()
                    message.ack()

        thread = threading.Thread(target=take)
        thread.start()
        try:
            began_s = monotonic()
            for number in range(seconds * per_second):
                sleep(max(0.0, began_s + number / per_second - monotonic()))
                with realm_session(here.engine, LIVE) as session:
                    (alert,) = record_findings(
                        session, LIVE, [_finding(number, Severity.HIGH)], labels={}, now_us=time_ns() // 1_000
                    )
                raised[str(alert.alert_id)] = monotonic()
            here.wait_until(lambda: len(taken) >= len(raised), within_s=60.0, what="an alert has not come")
        finally:
            ending.set()
            thread.join()
    took_ms = np.array([taken[each] - at_s for each, at_s in raised.items()]) * 1e3
    p50, p99 = np.percentile(took_ms, (50, 99))
    return {
        "alerts": len(raised),
        "per_s": per_second,
        "p50_ms": round(float(p50), 1),
        "p99_ms": round(float(p99), 1),
        "max_ms": round(float(took_ms.max()), 1),
    }
