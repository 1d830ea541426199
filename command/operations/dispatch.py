"""Dispatch: every revision of every alert becomes deliveries, goes out to the teams and is marked when confirmed.

Killed between publishing and marking, it publishes again under the same message_id: twice is safe, never is not.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from time import monotonic
from typing import Any, Final

from shapely.geometry.base import BaseGeometry
from sqlalchemy import Engine

from alerts.channel import ChannelSetup, ChannelTools, NotNow, Parcel
from alerts.message import DispatchState
from alerts.registry import make_channel
from command.bus import (
    ALERT_DEAD_LETTERS,
    OBSERVATION_DEAD_LETTERS,
    OBSERVATIONS,
    RESPONSE_DEAD_LETTERS,
    RESPONSES,
    UNROUTABLE,
    AlertPublisher,
    QueueWatch,
    Team,
    Topology,
    alert_topology,
    observation_topology,
    remove_bindings,
    response_topology,
    team_queue,
)
from command.domain.alert import Severity
from command.domain.clock import Clock
from command.domain.escalation import EscalationRules
from command.domain.realm import Realm
from command.operations import response_intake
from command.operations.dispatch_loop import POLL_S, DispatchLoop
from command.operations.lines import SendingLine
from command.store.areas import areas_called
from command.store.deliveries import earlier_bodies
from command.store.engine import StoreNotMigrated, StoreUnavailable, realm_session
from command.store.notify import listen

HEARTBEAT_EVERY_S: Final = 10.0


def dispatch_topology(teams: Sequence[Team]) -> Topology:
    """Everything of a realm's vhost, so that the watch may read every queue whichever process starts first."""
    return alert_topology(teams) + observation_topology() + response_topology(teams)


def watched_queues(teams: Sequence[Team]) -> tuple[str, ...]:
    """The queues of a realm whose depth an operator should see."""
    return (
        *(team_queue(team.name, severity) for team in teams for severity in Severity),
        UNROUTABLE,
        ALERT_DEAD_LETTERS,
        OBSERVATIONS,
        OBSERVATION_DEAD_LETTERS,
        RESPONSES,
        RESPONSE_DEAD_LETTERS,
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
    channels: Sequence[ChannelSetup] = (),
    policy_file: Path | None = None,
    escalation: EscalationRules | None = None,
) -> None:
    """Dispatch the realm's alerts until `stop` is set. channels: of the settings; those that serve the realm are used.
    policy_file: None for the policy that comes with the program. escalation: when whom is called, else as it is by
    default.

    A database or broker that is away is waited for, for ever; deliveries wait in the store meanwhile.
    """
    wake, ending = threading.Event(), threading.Event()
    topology = dispatch_topology(teams)
    with (
        AlertPublisher(amqp_url, realm.vhost, topology=topology, wake=wake) as publisher,
        QueueWatch(
            amqp_url, realm.vhost, watched_queues(teams), name="mizugiwa dispatch watch", topology=topology
        ) as watch,
        _lines(channels, engine, realm, clock=clock, wake=wake) as lines,
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
            escalation=escalation or EscalationRules(),
            policy_file=policy_file,
            known_channels=[setup.config.name for setup in channels],
            lines=lines,
        )
        helpers = [
            threading.Thread(target=_listen, args=(database_url, realm, loop, wake, ending), name="dispatch listen"),
            threading.Thread(target=_beat, args=(loop, publisher, ending), name="dispatch heartbeat"),
            threading.Thread(
                target=response_intake.run,
                name="dispatch responses",
                kwargs={
                    "engine": engine,
                    "amqp_url": amqp_url,
                    "realm": realm,
                    "teams": teams,
                    "clock": clock,
                    "ending": ending,
                },
            ),
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
            for line in lines:
                line.close()
            loop.step()


@contextmanager
def _lines(
    channels: Sequence[ChannelSetup], engine: Engine, realm: Realm, *, clock: Clock, wake: threading.Event
) -> Iterator[list[SendingLine]]:
    """A line for each channel that serves the realm; an exercise never meets a channel that is not for exercises."""

    def earlier(parcel: Parcel) -> list[Mapping[str, Any]]:
        with _store_or_not_now(), realm_session(engine, realm) as session:
            return earlier_bodies(session, parcel.delivery_id)

    def shape_of(slug: str) -> BaseGeometry | None:
        with _store_or_not_now(), realm_session(engine, realm) as session:
            return next((area.geometry for area in areas_called(session, [slug])), None)

    tools = ChannelTools(realm=realm, earlier=earlier, shape_of=shape_of)
    lines: list[SendingLine] = []
    try:
        for setup in (setup for setup in channels if setup.config.serves_realm(realm)):
            lines.append(SendingLine(make_channel(setup, tools), setup.config, clock, wake=wake))  # noqa: PERF401 - each is closed if a later one fails
        yield lines
    finally:
        for line in lines:
            line.close()


@contextmanager
def _store_or_not_now() -> Iterator[None]:
    try:
        yield
    except (StoreUnavailable, StoreNotMigrated) as exc:
        raise NotNow(str(exc)) from exc


def _listen(
    database_url: str, realm: Realm, loop: DispatchLoop, wake: threading.Event, ending: threading.Event
) -> None:
    """Wake the loop when alerts change or a person changed deliveries, and each second besides."""
    while not ending.is_set():
        try:
            with closing(listen(database_url, realm, timeout_s=POLL_S)) as heard:
                for payload in heard:
                    if ending.is_set():
                        return
                    if payload is None or "alerts" in payload:
                        wake.set()
                    elif "resent" in payload:
                        loop.look_again()
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
