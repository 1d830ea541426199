"""Dispatch: every revision of every alert becomes deliveries, goes out to the teams and is marked when confirmed.

Killed between publishing and marking, it publishes again under the same message_id: twice is safe, never is not.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from time import monotonic
from typing import Final

from sqlalchemy import Engine

from alerts.message import DispatchState
from command.bus import (
    ALERT_DEAD_LETTERS,
    OBSERVATION_DEAD_LETTERS,
    OBSERVATIONS,
    UNROUTABLE,
    AlertPublisher,
    QueueWatch,
    Team,
    Topology,
    alert_topology,
    observation_topology,
    remove_bindings,
    team_queue,
)
from command.domain.alert import Severity
from command.domain.clock import Clock
from command.domain.realm import Realm
from command.operations.dispatch_loop import POLL_S, DispatchLoop
from command.store.engine import StoreNotMigrated, StoreUnavailable
from command.store.notify import listen

HEARTBEAT_EVERY_S: Final = 10.0


def dispatch_topology(teams: Sequence[Team]) -> Topology:
    """Everything of a realm's vhost, so that the watch may read every queue whichever process starts first."""
    return alert_topology(teams) + observation_topology()


def watched_queues(teams: Sequence[Team]) -> tuple[str, ...]:
    """The queues of a realm whose depth an operator should see."""
    return (
        *(team_queue(team.name, severity) for team in teams for severity in Severity),
        UNROUTABLE,
        ALERT_DEAD_LETTERS,
        OBSERVATIONS,
        OBSERVATION_DEAD_LETTERS,
    )


def run(
    *,
    engine: Engine,
    database_url: str,
    amqp_url: str,
    realm: Realm,
    teams: Sequence[Team],
    clock: Clock,
    stop: threading.Event,
    policy_file: Path | None = None,
) -> None:
    """Dispatch the realm's alerts until `stop` is set. policy_file: None for the policy that comes with the program.

    A database or broker that is away is waited for, for ever; deliveries wait in the store meanwhile.
    """
    wake, ending = threading.Event(), threading.Event()
    topology = dispatch_topology(teams)
    with (
        AlertPublisher(amqp_url, realm.vhost, topology=topology, wake=wake) as publisher,
        QueueWatch(
            amqp_url, realm.vhost, watched_queues(teams), name="mizugiwa dispatch watch", topology=topology
        ) as watch,
    ):
        loop = DispatchLoop(
            engine,
            realm=realm,
            teams=teams,
            clock=clock,
            publisher=publisher,
            watch=watch,
            topology=topology,
            wake=wake,
            unbind=lambda bindings: remove_bindings(amqp_url, realm.vhost, bindings),
            policy_file=policy_file,
        )
        helpers = [
            threading.Thread(target=_listen, args=(database_url, realm, wake, ending), name="dispatch listen"),
            threading.Thread(target=_beat, args=(loop, publisher, ending), name="dispatch heartbeat"),
        ]
        for helper in helpers:
            helper.start()
        try:
            while not stop.is_set():
                wake.wait(POLL_S)
                wake.clear()
                loop.step()
        finally:
            ending.set()
            for helper in helpers:
                helper.join()
            publisher.drain(2.0)
            loop.step()


def _listen(database_url: str, realm: Realm, wake: threading.Event, ending: threading.Event) -> None:
    """Wake the loop when alerts change, and each second besides."""
    while not ending.is_set():
        try:
            with closing(listen(database_url, realm, timeout_s=POLL_S)) as heard:
                for payload in heard:
                    if ending.is_set():
                        return
                    if payload is None or "alerts" in payload:
                        wake.set()
        except (StoreUnavailable, StoreNotMigrated):
            ending.wait(POLL_S)


def _beat(loop: DispatchLoop, publisher: AlertPublisher, ending: threading.Event) -> None:
    """Tell the teams every 10 s, and at once when the state changes, that dispatch lives and how it fares."""
    told, due_s = None, 0.0
    while not ending.wait(0.25):
        state = loop.state()
        if (monotonic() >= due_s or state is not told) and publisher.heartbeat(loop.heartbeat(state)):
            told, due_s = state, monotonic() + HEARTBEAT_EVERY_S
    publisher.heartbeat(loop.heartbeat(DispatchState.STOPPING))
