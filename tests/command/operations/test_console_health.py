"""What an officer is told of the processes: those that the realm is meant to have, and what they say of themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from command.domain.clock import US_PER_S
from command.domain.realm import RealmKind
from command.operations.console_health import ConsoleHealth, Level, StoreState, judge
from command.store.health import Heartbeat

NOW_US = 1_795_000_000 * US_PER_S


def heartbeat(process: str, *, age_s: float = 1.0, detail: Mapping[str, Any] | None = None) -> Heartbeat:
    return Heartbeat(process=process, reported_at_us=NOW_US - int(age_s * US_PER_S), pid=1, detail=detail or {})


def judged(kind: RealmKind, *heartbeats: Heartbeat) -> ConsoleHealth:
    return judge(
        store=StoreState(connected=True, since_us=NOW_US),
        sources=(),
        heartbeats=heartbeats,
        queues={},
        realm_kind=kind,
        realm_now_us=NOW_US,
        host_now_us=NOW_US,
    )


def levels(health: ConsoleHealth) -> dict[str, Level]:
    return {line.heartbeat.process: line.level for line in health.processes}


def test_a_realm_that_played_a_recording_misses_nothing_but_its_console() -> None:
    # given a replay that has ended: its intake reports no more, and a dispatch never ran
    health = judged(RealmKind.REPLAY, heartbeat("intake", age_s=600.0), heartbeat("web"))
    assert levels(health) == {"web": Level.GOOD}
    assert health.level is Level.GOOD
    # and while it plays, its intake is shown
    playing = judged(RealmKind.REPLAY, heartbeat("intake"), heartbeat("web"))
    assert levels(playing) == {"intake": Level.GOOD, "web": Level.GOOD}
    # and a console that reports no more is trouble there too
    assert judged(RealmKind.REPLAY, heartbeat("web", age_s=600.0)).level is Level.BAD


@pytest.mark.parametrize(
    ("kind", "process"),
    [
        *((RealmKind.LIVE, name) for name in ("intake", "dispatch", "gateway-tsushima", "web")),
        (RealmKind.DRILL, "drill"),
    ],
)
def test_a_process_that_the_realm_is_meant_to_have_and_that_is_silent_is_bad(kind: RealmKind, process: str) -> None:
    health = judged(kind, heartbeat(process, age_s=11.0))
    assert levels(health) == {process: Level.BAD}


def test_a_process_that_tells_of_trouble_is_to_be_watched() -> None:
    health = judged(RealmKind.LIVE, heartbeat("up", detail={"trouble": "web: no space left"}), heartbeat("web"))
    assert levels(health) == {"up": Level.WATCH, "web": Level.GOOD}


def test_a_channel_that_fails_is_to_be_watched_and_one_with_dead_deliveries_is_bad() -> None:
    def said(**channels: dict[str, Any]) -> ConsoleHealth:
        return judged(RealmKind.LIVE, heartbeat("dispatch", detail={"channels": channels}))

    well = {"waiting": 3, "failing": 0, "dead": 0, "trouble": None}
    assert said(amqp=well).level is Level.GOOD
    assert said(amqp=well, mail=well | {"trouble": "no answer in time"}).level is Level.WATCH
    health = said(amqp=well, mail=well | {"dead": 2})
    assert [(line.told.name, line.level) for line in health.channels] == [("amqp", Level.GOOD), ("mail", Level.BAD)]
    assert health.level is Level.BAD
