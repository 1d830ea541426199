"""Dispatch: every revision of every alert becomes deliveries, goes out to the teams and is marked when confirmed.

Killed between publishing and marking, it publishes again under the same message_id: twice is safe, never is not.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Mapping, Sequence
from contextlib import closing
from time import monotonic, time_ns
from typing import Any, Final

import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from alerts.channels.amqp import AmqpChannel
from alerts.message import HEARTBEAT, AreaName, DispatchState, InvalidMessage, encode, heartbeat_body
from alerts.pipeline import PlannedDelivery, Surroundings, plan_deliveries
from command.bus import (
    ALERT_DEAD_LETTERS,
    OBSERVATION_DEAD_LETTERS,
    OBSERVATIONS,
    REOPEN_FRACTION,
    UNROUTABLE,
    AlertPublisher,
    OutcomeKind,
    QueueDepth,
    QueueWatch,
    Team,
    Topology,
    alert_topology,
    observation_topology,
    team_queue,
)
from command.domain.alert import Severity
from command.domain.clock import Clock
from command.domain.realm import Realm
from command.operations.outgoing import LIMIT, Outgoing
from command.store.areas import areas_revision, current_areas
from command.store.deliveries import (
    Delivery,
    DeliveryState,
    count_pending,
    events_without_delivery,
    mark_delivered,
    mark_failed,
    pending_deliveries,
    save_deliveries,
)
from command.store.engine import StoreNotMigrated, StoreUnavailable, realm_session
from command.store.health import save_heartbeat
from command.store.notify import listen

PROCESS: Final = "dispatch"
HEARTBEAT_EVERY_S: Final = 10.0
ROW_EVERY_S: Final = 2.0
POLL_S: Final = 1.0
STALLED_AFTER_S: Final = 10.0
_PLAN_AT_ONCE: Final = 200
_DEPTHS_TRUSTED_S: Final = 10.0
_REASONS: Final[Mapping[OutcomeKind, str]] = {
    OutcomeKind.REFUSED: "a team's queue is full; sent again when there is room",
    OutcomeKind.UNROUTABLE: "no queue took it, not even the one for unroutable alerts; sent again",
}

_log = structlog.get_logger(__name__)


def dispatch_topology(teams: Sequence[Team]) -> Topology:
    """Everything of a realm's vhost, so that the watch may read every queue whichever process starts first."""
    return alert_topology(teams) + observation_topology()


def run(
    *,
    engine: Engine,
    database_url: str,
    amqp_url: str,
    realm: Realm,
    teams: Sequence[Team],
    clock: Clock,
    stop: threading.Event,
) -> None:
    """Dispatch the realm's alerts until `stop` is set.

    A database or broker that is away is waited for, for ever; deliveries wait in the store meanwhile.
    """
    wake, ending = threading.Event(), threading.Event()
    topology = dispatch_topology(teams)
    watched = [
        *(team_queue(team.name, severity) for team in teams for severity in Severity),
        UNROUTABLE,
        ALERT_DEAD_LETTERS,
        OBSERVATIONS,
        OBSERVATION_DEAD_LETTERS,
    ]
    with (
        AlertPublisher(amqp_url, realm.vhost, topology=topology, wake=wake) as publisher,
        QueueWatch(amqp_url, realm.vhost, watched, name="mizugiwa dispatch watch", topology=topology) as watch,
    ):
        loop = Dispatch(
            engine, realm=realm, teams=teams, clock=clock, publisher=publisher, watch=watch, topology=topology
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
        except StoreUnavailable:
            ending.wait(POLL_S)


def _beat(loop: Dispatch, publisher: AlertPublisher, ending: threading.Event) -> None:
    """Tell the teams every 10 s, and at once when the state changes, that dispatch lives and how it fares."""
    told, due_s = None, 0.0
    while not ending.wait(0.25):
        state = loop.state()
        if (monotonic() >= due_s or state is not told) and publisher.heartbeat(loop.heartbeat(state)):
            told, due_s = state, monotonic() + HEARTBEAT_EVERY_S
    publisher.heartbeat(loop.heartbeat(DispatchState.STOPPING))


class Dispatch:
    """One loop: plan, send, mark, tell. `step` is called by one thread; `state` and `heartbeat` by any."""

    def __init__(
        self,
        engine: Engine,
        *,
        realm: Realm,
        teams: Sequence[Team],
        clock: Clock,
        publisher: AlertPublisher,
        watch: QueueWatch,
        topology: Topology,
    ) -> None:
        self._engine, self._realm, self._teams, self._clock = engine, realm, teams, clock
        self._publisher, self._watch, self._topology = publisher, watch, topology
        self._channels = {AmqpChannel.name: AmqpChannel(publisher.publish)}
        self._outgoing = Outgoing()
        self._failures: dict[uuid.UUID, str] = {}
        self._dead: set[uuid.UUID] = set()
        self._area_names: Mapping[str, AreaName] = {}
        self._areas_revision: int | None = None
        self._waiting = 0
        self._loaded_at_s = self._told_at_s = -POLL_S - ROW_EVERY_S
        self._looked_at_s = monotonic()
        self._store_trouble: str | None = None
        self._confirmed = 0

    def step(self) -> None:
        """One round. Never raises for a store or broker that is away."""
        try:
            self._plan()
            self._send()
            self._take_outcomes()
            self._mark()
            self._load()
            self._tell()
        except (StoreUnavailable, StoreNotMigrated) as exc:
            if self._store_trouble is None:
                _log.warning("store_away", trouble=str(exc))
            self._store_trouble = str(exc)
            self._take_outcomes()
        else:
            if self._store_trouble is not None:
                _log.info("store_back")
            self._store_trouble, self._looked_at_s = None, monotonic()
        self._send()

    def state(self) -> DispatchState:
        if self._store_trouble is not None:
            return DispatchState.STORE_AWAY
        return DispatchState.STALLED if monotonic() - self._looked_at_s > STALLED_AFTER_S else DispatchState.RUNNING

    def heartbeat(self, state: DispatchState) -> bytes:
        """The heartbeat message for the teams, with the counts as last read."""
        body = heartbeat_body(
            self._realm,
            sent_at_us=time_ns() // 1_000,
            state=state,
            waiting=self._waiting,
            dead=len(self._dead),
            unroutable=self._ready(UNROUTABLE) or 0,
        )
        return encode(body, kind=HEARTBEAT)

    def _plan(self) -> None:
        """Turn the outbox into deliveries, in one transaction."""
        while True:
            with realm_session(self._engine, self._realm) as session:
                alerts = events_without_delivery(session, _PLAN_AT_ONCE)
                if not alerts:
                    return
                around = Surroundings(area_names=self._names(session), channels=list(self._channels.values()))
                planned = plan_deliveries(alerts, around)
                now_us = self._clock.now_us()
                deliveries = [_stored(plan, now_us) for plan in planned]
                save_deliveries(session, deliveries, planned=alerts)
            self._bury({plan.delivery_id: plan.problem for plan in planned if plan.problem is not None})
            self._outgoing.take(d for d in deliveries if d.delivery_id not in self._dead)
            if len(alerts) < _PLAN_AT_ONCE:
                return

    def _names(self, session: Session) -> Mapping[str, AreaName]:
        revision = areas_revision(session)
        if revision != self._areas_revision:
            self._area_names = {a.slug: AreaName(ja=a.name_ja, en=a.name_en) for a in current_areas(session)}
            self._areas_revision = revision
        return self._area_names

    def _send(self) -> None:
        """Publish what is due until the window is full or the broker away."""
        for delivery in self._outgoing.due(monotonic(), full=self._full_severities()):
            try:
                taken = self._channels[delivery.channel].send(
                    delivery=str(delivery.delivery_id), key=delivery.routing_key, body=delivery.body
                )
            except (InvalidMessage, KeyError) as exc:
                self._bury({delivery.delivery_id: str(exc)})
                if delivery.state is DeliveryState.PENDING:
                    self._failures[delivery.delivery_id] = f"cannot go out: {exc}"
                continue
            if not taken:
                return
            self._outgoing.sent(delivery.delivery_id)

    def _bury(self, problems: Mapping[uuid.UUID, str]) -> None:
        """These can never go out: they stay in the store with their reason, are counted, and are not tried again."""
        for delivery_id, problem in problems.items():
            _log.error("delivery_dead", delivery_id=str(delivery_id), problem=problem)
        self._dead.update(problems)
        self._outgoing.let_go(problems)

    def _take_outcomes(self) -> None:
        for outcome in self._publisher.outcomes():
            delivery_id = uuid.UUID(outcome.message_id)
            if outcome.kind is OutcomeKind.CONFIRMED:
                self._outgoing.confirmed(delivery_id)
                self._confirmed += 1
            else:
                self._outgoing.refused(delivery_id, monotonic())
                self._failures[delivery_id] = _REASONS[outcome.kind]

    def _mark(self) -> None:
        """Write what the broker said into the store."""
        confirmed = self._outgoing.to_mark()
        if not confirmed and not self._failures:
            return
        with realm_session(self._engine, self._realm) as session:
            if confirmed:
                mark_delivered(session, confirmed, self._clock.now_us())
            for delivery_id, reason in self._failures.items():
                mark_failed(session, delivery_id, reason, self._clock.now_us())
        self._outgoing.let_go(confirmed)
        self._failures.clear()

    def _load(self) -> None:
        """Take up what the store has unconfirmed: after a start, or what was let go for want of room."""
        if monotonic() - self._loaded_at_s < POLL_S or len(self._outgoing) >= LIMIT:
            return
        with realm_session(self._engine, self._realm) as session:
            pending = pending_deliveries(session, LIMIT + len(self._dead))
        self._outgoing.take(d for d in pending if d.delivery_id not in self._dead)
        self._loaded_at_s = monotonic()

    def _tell(self) -> None:
        """Write this process's heartbeat row."""
        if monotonic() - self._told_at_s < ROW_EVERY_S:
            return
        with realm_session(self._engine, self._realm) as session:
            self._waiting = max(0, count_pending(session) - len(self._dead))
            save_heartbeat(session, PROCESS, now_us=time_ns() // 1_000, pid=os.getpid(), detail=self._detail())
        self._told_at_s = monotonic()

    def _detail(self) -> dict[str, Any]:
        age_s = self._watch.age_s
        return {
            "state": self.state().value,
            "waiting": self._waiting,
            "dead": len(self._dead),
            "in_flight": self._publisher.in_flight,
            "confirmed": self._confirmed,
            "refused": self._publisher.refused,
            "resent": self._publisher.resent,
            "unroutable": self._ready(UNROUTABLE),
            "dead_letters": self._ready(ALERT_DEAD_LETTERS),
            "broker": {"connected": self._publisher.connected, "trouble": self._publisher.trouble},
            "queues_age_s": None if age_s is None else round(age_s, 1),
            "queues": {
                name: {"ready": depth.ready, "consumers": depth.consumers, "limit": self._topology.limit_of(name)}
                for name, depth in self._watch.depths().items()
            },
        }

    def _ready(self, queue: str) -> int | None:
        depth: QueueDepth | None = self._watch.depths().get(queue)
        return None if depth is None else depth.ready

    def _full_severities(self) -> set[Severity]:
        """Severities of which some team's queue takes nothing now, as far as a recent reading tells."""
        age_s = self._watch.age_s
        if age_s is None or age_s > _DEPTHS_TRUSTED_S:
            return set()
        depths = self._watch.depths()
        return {
            severity
            for team in self._teams
            for severity in Severity
            if (queue := team_queue(team.name, severity)) in depths
            and depths[queue].ready > REOPEN_FRACTION * (self._topology.limit_of(queue) or depths[queue].ready + 1)
        }


def _stored(plan: PlannedDelivery, now_us: int) -> Delivery:
    return Delivery(
        delivery_id=plan.delivery_id,
        alert_id=plan.alert_id,
        revision=plan.revision,
        channel=plan.channel,
        routing_key=plan.routing_key,
        body=plan.body,
        created_at_us=now_us,
        state=DeliveryState.PENDING if plan.problem is None else DeliveryState.FAILED,
        last_error=plan.problem,
    )
