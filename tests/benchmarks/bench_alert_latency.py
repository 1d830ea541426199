"""`alert-latency`: from the AIS datagram that fulfils a rule to the alert in a team's hands, at a steady rate.

Ours: the real processes `gateway` (source ais on UDP), `intake` and `dispatch` of the live realm, every rule on, on a
private RabbitMQ and a private PostGIS. The clock runs from sending the datagram with which a vessel is well inside the
geofence (sea.py) until `command.bus.Consumer` gives the alert from the team's queue, both in this process.
Peer, at the same rate in the same run: UDP, pyais, a confirmed publish to a quorum queue, a consumer; every datagram.
"""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from time import monotonic, sleep, time
from typing import Any, Final

import psutil
from sea import FENCE, FENCE_SLUG, PERIOD_S, Report, reports
from stage import LIVE, BenchFailed, Stage, cpu_s, stage, ungrouped, used_between

from command.bus import Consumer, Message, team_queue
from command.domain.alert import Severity
from command.domain.area import AreaKind
from command.services import delete_vhost, ensure_vhost, free_ports
from command.store.areas import put_area
from command.store.engine import realm_session

RULE: Final = "geofence_entry"
TEAM: Final = "duty"
PEER_VHOST: Final = "bench-peer"
PEER_QUEUE: Final = "decoded"
SETTLED_WITHIN_S: Final = 60.0
_PREFETCH: Final = 500


def measure(seconds: int = 60, per_second: int = 1_000) -> dict[str, Any]:
    """{"ours", "peer", "ratio"}; ratio is our p50 over the peer's. Raises BenchFailed."""
    if seconds <= PERIOD_S:
        raise BenchFailed(f"{seconds} s: the first vessels enter after {PERIOD_S} s; take more")
    sent = reports(seconds=seconds, per_second=per_second)
    port, peers_port = free_ports(2, kind=socket.SOCK_DGRAM)
    settings = f'[[sources]]\nkind = "ais"\nname = "bench"\nendpoint = "udp://127.0.0.1:{port}"\n'
    with ungrouped() as policy, stage(policy + settings) as here:
        ours = run(here, sent, port)
        here.stop()
        peer = run_peer(here, sent, peers_port)
    return {
        "ours": ours,
        "peer": {"name": "UDP, pyais, pika with confirms, quorum queue, consumer: no store, no rules", **peer},
        "ratio": round(ours["p50_ms"] / peer["p50_ms"], 2),
        "input": {"seconds": seconds, "observations_per_s": per_second, "vessels": PERIOD_S * per_second},
        "aims": {"p50_ms_at_most": 100, "p99_ms_at_most": 500},
    }


def run(here: Stage, sent: Sequence[Sequence[Report]], port: int) -> dict[str, Any]:
    """The whole program on these datagrams. Raises BenchFailed where a count does not add up or an alert is missing."""
    with realm_session(here.engine, LIVE) as session:
        put_area(session, FENCE_SLUG, AreaKind.GEOFENCE, "計測用", "Measurement", FENCE, "bench", 0)
    here.start("intake", "dispatch", "gateway")
    here.wait_until(lambda: _listens(here), within_s=SETTLED_WITHIN_S, what="the source does not listen")
    due = {report.mmsi for second in sent for report in second if report.enters}
    queues = [team_queue(TEAM, severity) for severity in sorted(Severity, reverse=True)]
    with _listening(here, LIVE.vhost, queues, _entered) as heard:
        before = here.cpu_s()
        sent_s = send(sent, port)
        here.wait_until(
            lambda: due <= heard.keys() and _settled(here), within_s=SETTLED_WITHIN_S, what="alerts or rows are missing"
        )
        used = used_between(before, here.cpu_s())
    entered_s = {report.mmsi: sent_s[report.line] for second in sent for report in second if report.enters}
    if undue := heard.keys() - due:
        raise BenchFailed(f"alerts about {len(undue)} vessels that did not enter")
    return {
        **_spread([heard[mmsi][0] - at_s for mmsi, at_s in entered_s.items()]),
        "stages_p50_ms": _stages([(at_s, *heard[mmsi]) for mmsi, at_s in entered_s.items()]),
        "alerts": len(heard),
        **_sending(sent, sent_s),
        "counts": _counts(here, sum(map(len, sent))),
        "cpu_s_by_process": used,
    }


def run_peer(here: Stage, sent: Sequence[Sequence[Report]], port: int) -> dict[str, Any]:
    """The bare pipeline on the same datagrams."""
    ensure_vhost(here.endpoints, PEER_VHOST)
    url = f"{here.endpoints.amqp_url}/{PEER_VHOST}"
    script = Path(__file__).with_name("peer_pipeline.py")
    process = psutil.Popen([sys.executable, str(script), str(port), url, PEER_QUEUE], stdout=subprocess.PIPE, text=True)
    try:
        if process.stdout.readline().strip() != "ready":
            raise BenchFailed("the peer did not start")
        with _listening(here, PEER_VHOST, [PEER_QUEUE], lambda message: str(message.message_id).encode()) as heard:
            before = cpu_s(process)
            sent_s = send(sent, port)
            here.wait_until(
                lambda: len(heard) >= len(sent_s), within_s=SETTLED_WITHIN_S, what="the peer lost datagrams"
            )
            used = cpu_s(process) - before
        process.terminate()
        told = json.loads(process.stdout.read())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        delete_vhost(here.endpoints, PEER_VHOST)
    latencies_s = [heard[line][0] - at_s for line, at_s in sent_s.items()]
    return {**_spread(latencies_s), "messages": len(heard), **_sending(sent, sent_s), **told, "cpu_s": round(used, 2)}


def send(sent: Sequence[Sequence[Report]], port: int) -> dict[bytes, float]:
    """Send each at its moment, evenly over its second; when each was sent, by its line."""
    sent_s: dict[bytes, float] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", port))
        began_s = monotonic()
        for number, second in enumerate(sent):
            for place, report in enumerate(second):
                early_s = began_s + number + place / len(second) - monotonic()
                if early_s > 0:
                    sleep(early_s)
                sent_s[report.line] = monotonic()
                sender.send(report.line)
    return sent_s


@contextmanager
def _listening(
    here: Stage, vhost: str, queues: Sequence[str], key_of: Callable[[Message], Any]
) -> Iterator[dict[Any, tuple[float, Message]]]:
    """The first message of each key and when it was given out; None as a key is not kept."""
    heard: dict[Any, tuple[float, Message]] = {}
    stop = threading.Event()
    with Consumer(here.endpoints.amqp_url, vhost, queues, prefetch=_PREFETCH, name="bench") as consumer:

        def listen() -> None:
            while not stop.is_set():
                message = consumer.get(0.2)
                if message is not None:
                    at_s = monotonic()
                    if (key := key_of(message)) is not None:
                        heard.setdefault(key, (at_s, message))
                    message.ack()

        if not consumer.wait_connected(20.0):
            raise BenchFailed(f"no consumer: {consumer.trouble}")
        thread = threading.Thread(target=listen, name="listens")
        thread.start()
        try:
            yield heard
        finally:
            stop.set()
            thread.join()


def _entered(message: Message) -> int | None:
    """The MMSI of an alert that a vessel has entered; None of another message."""
    body = json.loads(message.body)
    return int(body["subject"].partition(":")[2]) if body.get("rule") == RULE and body["event"] == "opened" else None


def _stages(alerts: Sequence[tuple[float, float, Message]]) -> dict[str, float]:
    """Medians between the times that an alert tells of itself: read by the gateway, taken up by intake, consumed."""
    unix_s = time() - monotonic()
    told = []
    for sent_s, heard_s, message in alerts:
        body = json.loads(message.body)
        read_s, taken_s = (
            datetime.fromisoformat(body[name]).timestamp() - unix_s for name in ("observed_at", "recorded_at")
        )
        told.append((read_s - sent_s, taken_s - read_s, heard_s - taken_s))
    names = ("sent_to_read", "read_to_written", "written_to_consumed")
    return {
        name: round(statistics.median(column) * 1e3, 1)
        for name, column in zip(names, zip(*told, strict=True), strict=True)
    }


def _listens(here: Stage) -> bool:
    """Whether the gateway told that its port is bound: a datagram before that is lost, and its sender hears of it."""
    source = here.source()
    return source is not None and source.state == "waiting"


def _settled(here: Stage) -> bool:
    """Whether intake has answered for all that the gateway told of."""
    source = here.source()
    beat = here.heartbeats()["intake"]
    return source is not None and int(beat.detail["rows"]) >= source.observations > 0 and here.waiting() == 0


def _counts(here: Stage, sent: int) -> dict[str, Any]:
    """Sent = committed + counted. The gateway tells its counts every two seconds, so its last are waited for."""
    here.wait_until(
        lambda: _accounted(here) >= sent,
        within_s=SETTLED_WITHIN_S,
        what=f"not all of {sent} datagrams are accounted for",
    )
    source, rows = here.source(), here.observations()
    if source is None or _accounted(here) != sent:
        raise BenchFailed(f"{sent} datagrams sent, {_accounted(here)} accounted for")
    return {
        "sent": sent,
        "committed": rows,
        "rejected": dict(source.rejected),
        "duplicates": source.duplicates,
        "shed": dict(source.shed),
    }


def _accounted(here: Stage) -> int:
    source = here.source()
    if source is None:
        return 0
    return here.observations() + source.duplicates + sum(source.rejected.values()) + sum(source.shed.values())


def _spread(latencies_s: Sequence[float]) -> dict[str, float]:
    if min(latencies_s) <= 0:
        raise BenchFailed("a message came before its datagram: the clock was started at the wrong one")
    cuts = statistics.quantiles(latencies_s, n=100, method="inclusive")
    told = {"p50_ms": cuts[49], "p90_ms": cuts[89], "p99_ms": cuts[98], "max_ms": max(latencies_s)}
    return {name: round(value * 1e3, 1) for name, value in told.items()}


def _sending(sent: Sequence[Sequence[Report]], sent_s: dict[bytes, float]) -> dict[str, float]:
    """How fast it was really sent."""
    took_s = max(sent_s.values()) - min(sent_s.values())
    return {"sent_per_s": round(sum(map(len, sent)) / took_s, 1)}
