"""`storm`: 20,000 alerts in 10 s from 40 rules in 50 areas, and what of it reaches a team.

Ours: the real process `dispatch` of the live realm with the policy that comes with the program, on a private RabbitMQ
and a private PostGIS. Each tenth of a second a transaction brings its part of the alerts, as intake's flushes do; one
in two hundred is critical. A consumer takes everything that the team's queues hold. Each bound is checked, and its
breach is no figure but a failure: every alert is told, the messages are no more than the groups' settings allow, and
the account adds up. No peer: what others do with the same storm depends on their settings as ours does on these.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import psutil
from stage import LIVE, BenchFailed, Stage, stage

from alerts.policy import Policy, Route, default_policy, labels_of
from command.bus import Consumer, team_queue
from command.domain.alert import Alert, AlertEventKind, Severity
from command.domain.clock import US_PER_S, SystemClock
from command.domain.geo import Position
from command.domain.ids import alert_id
from command.operations.alert_policy import read_policy
from command.store.alert_rows import alert_columns, alert_json
from command.store.engine import realm_session
from command.store.notify import notify
from command.store.tables import ALERT, ALERT_EVENT, ALERT_OUTBOX

TEAM: Final = "duty"
SLICES_A_S: Final = 10
CRITICAL_EVERY: Final = 200
SETTLED_WITHIN_S: Final = 240.0
LOOK_AT_MEMORY_EVERY_S: Final = 2.0


class Heard:
    """What the team got: when each critical alert came, who was told of, and in how many messages."""

    def __init__(self) -> None:
        self.critical_s: dict[str, float] = {}
        self.told: set[str] = set()
        self.messages = 0
        self.more = 0


def measure(
    alerts: int = 20_000,
    seconds: int = 10,
    rules: int = 40,
    areas: int = 50,
    watch_s: float = 180.0,
    policy_file: Path | None = None,
) -> dict[str, Any]:
    """{"ours", "input", "aims"}. watch_s: how long the memory is looked at after the last alert was told. policy_file:
    another policy than that of the program. Raises BenchFailed."""
    storm = made(alerts, rules=rules, areas=areas)
    policy = default_policy() if policy_file is None else read_policy(policy_file)
    with stage("" if policy_file is None else f"alerts_policy = {str(policy_file)!r}\n") as here:
        here.start("dispatch")
        with listening(here) as heard, memory_of(here.processes["dispatch"]) as memory:
            written_s = write(here, storm, seconds=seconds)
            after_s = monotonic()
            here.wait_until(
                lambda: len(heard.told) + heard.more >= len(storm) and account(here)["waiting"] == 0,
                within_s=SETTLED_WITHIN_S,
                what=f"{len(heard.told)} of {len(storm)} alerts were told",
            )
            told_s = monotonic() - after_s
            sleep(watch_s)
        counts = account(here)
    if counts["taken"] != sum(count for fate, count in counts.items() if fate != "taken"):
        raise BenchFailed(f"the account does not add up: {counts}")
    bound = most_messages(storm, policy, spent_s=seconds + told_s)
    if heard.messages > bound:
        raise BenchFailed(f"{heard.messages} messages; the groups' settings allow {bound}")
    waits_s = sorted(heard.critical_s[each] - at_s for each, at_s in written_s.items())
    return {
        "ours": {
            "alerts": len(storm),
            "messages": heard.messages,
            "messages_allowed": bound,
            "told_after_the_last_s": round(told_s, 1),
            "critical": {
                "alerts": len(waits_s),
                "p50_ms": round(waits_s[len(waits_s) // 2] * 1e3),
                "max_ms": round(waits_s[-1] * 1e3),
            },
            "rss_mb": {"peak": round(max(mb for _, mb in memory)), "last": round(memory[-1][1])},
            "rss_slope_mb_per_min": round(slope(memory, from_s=after_s + told_s), 2),
            "account": dict(counts),
        },
        "input": {"alerts": alerts, "seconds": seconds, "rules": rules, "areas": areas},
        "aims": {"critical_max_ms": 1_000, "rss_slope_mb_per_min": 1.0},
    }


def made(count: int, *, rules: int, areas: int) -> list[Alert]:
    """The storm: every rule in every area, one in two hundred critical, the others high, medium and low."""
    now_us = SystemClock().now_us()
    storm = []
    for number in range(count):
        rule, area = f"storm_{number % rules:02d}", f"area-{number // rules % areas:02d}"
        subject = f"mmsi:{431_000_000 + number}"
        severity = (Severity.HIGH, Severity.MEDIUM, Severity.LOW)[number % rules % 3]
        storm.append(
            Alert(
                alert_id=alert_id(LIVE.name, rule, subject, area, now_us),
                revision=1,
                realm=LIVE.name,
                rule=rule,
                severity=Severity.CRITICAL if number % CRITICAL_EVERY == 0 else severity,
                subject=subject,
                subject_label=subject,
                area=area,
                track_id=None,
                position=Position(lon=129.0 + number % 100 * 0.01, lat=34.0 + number % 70 * 0.01),
                because="because.geofence_entry",
                because_params={"subject": {"ja": subject, "en": subject}, "area": area, "since_us": now_us},
                evidence=(),
                opened_at_us=now_us,
                observed_at_us=now_us,
                recorded_at_us=now_us,
            )
        )
    return storm


def write(here: Stage, storm: Sequence[Alert], *, seconds: int) -> dict[str, float]:
    """Write the storm evenly over the seconds; when each critical alert was committed, by its id."""
    slices = seconds * SLICES_A_S
    critical_s: dict[str, float] = {}
    began_s = monotonic()
    for number in range(slices):
        part = storm[len(storm) * number // slices : len(storm) * (number + 1) // slices]
        early_s = began_s + number / SLICES_A_S - monotonic()
        if early_s > 0:
            sleep(early_s)
        with realm_session(here.engine, LIVE) as session:
            session.execute(ALERT.insert(), [alert_columns(alert) for alert in part])
            session.execute(ALERT_EVENT.insert(), [event_row(alert) for alert in part])
            session.execute(ALERT_OUTBOX.insert(), [{"alert_id": a.alert_id, "revision": 1} for a in part])
            notify(session, {"alerts": len(part)})
        at_s = monotonic()
        critical_s |= {str(a.alert_id): at_s for a in part if a.severity is Severity.CRITICAL}
    return critical_s


def event_row(alert: Alert) -> dict[str, Any]:
    return {
        "alert_id": alert.alert_id,
        "revision": alert.revision,
        "kind": AlertEventKind.OPENED.value,
        "recorded_at": alert.recorded_at_us,
        "actor": None,
        "alert": alert_json(alert),
        "evidence_missing": [],
    }


def most_messages(storm: Sequence[Alert], policy: Policy, *, spent_s: float) -> int:
    """What the settings allow: each critical one, and of each group one at its beginning, one an interval that ended
    meanwhile, and two when it became worse."""
    groups: dict[uuid.UUID, Route] = {}
    critical = 0
    for alert in storm:
        if alert.severity is Severity.CRITICAL:
            critical += 1
            continue
        for route in policy.routes_of(labels_of(alert, alert.area)):
            labels = route.group_labels(alert, labels_of(alert, alert.area))
            groups[route.group_id(alert.realm, route.name, labels)] = route
    intervals = (int(spent_s * US_PER_S // route.group_interval_us) for route in groups.values())
    return critical + sum(3 + each for each in intervals)


@contextmanager
def listening(here: Stage) -> Iterator[Heard]:
    """Takes what the team's queues hold, the critical one first, as a responder's client does."""
    heard, stop = Heard(), threading.Event()
    queues = [team_queue(TEAM, severity) for severity in sorted(Severity, reverse=True)]
    with Consumer(here.endpoints.amqp_url, LIVE.vhost, queues, prefetch=200, name="bench") as consumer:

        def listen() -> None:
            while not stop.is_set():
                message = consumer.get(0.2)
                if message is None:
                    continue
                at_s, body = monotonic(), json.loads(message.body)
                heard.messages += 1
                if body["severity"] == Severity.CRITICAL.word:
                    heard.critical_s.setdefault(body["alert_id"], at_s)
                grouped = body.get("grouped", {})
                heard.told |= {body["alert_id"], *(each["alert_id"] for each in grouped.get("members", ()))}
                heard.more += grouped.get("more", 0)
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


@contextmanager
def memory_of(process: psutil.Process) -> Iterator[list[tuple[float, float]]]:
    """When, and how many MB are resident."""
    seen: list[tuple[float, float]] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            seen.append((monotonic(), process.memory_info().rss / 1e6))
            stop.wait(LOOK_AT_MEMORY_EVERY_S)

    thread = threading.Thread(target=look, name="memory")
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def slope(memory: Sequence[tuple[float, float]], *, from_s: float) -> float:
    """MB a minute from then on, by least squares; 0 of fewer than three looks."""
    points = [(at_s / 60, mb) for at_s, mb in memory if at_s >= from_s]
    if len(points) < 3:
        return 0.0
    mean_x, mean_y = (sum(column) / len(points) for column in zip(*points, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


def account(here: Stage) -> Mapping[str, int]:
    found: Mapping[str, int] = here.heartbeats()["dispatch"].detail["account"]
    return found
