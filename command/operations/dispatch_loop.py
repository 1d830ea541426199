"""One round of dispatch after the other: plan, send, mark, tell."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic, time_ns
from typing import Any, Final

import structlog
from sqlalchemy import Engine

from alerts.channels.amqp import AmqpChannel
from alerts.message import HEARTBEAT, DispatchState, InvalidMessage, encode, heartbeat_body
from command.bus import (
    ALERT_DEAD_LETTERS,
    REOPEN_FRACTION,
    UNROUTABLE,
    AlertPublisher,
    BindSpec,
    BrokerUnavailable,
    OutcomeKind,
    QueueDepth,
    QueueWatch,
    Team,
    Topology,
    team_queue,
)
from command.domain.alert import Severity
from command.domain.clock import Clock
from command.domain.notice import Fate
from command.domain.realm import Realm
from command.operations.outgoing import LIMIT, Outgoing
from command.operations.planning import Planning
from command.operations.team_bindings import described, stale_bindings, teams_described
from command.store.deliveries import DeliveryState, count_pending, mark_delivered, mark_failed, pending_deliveries
from command.store.engine import StoreNotMigrated, StoreUnavailable, realm_session
from command.store.health import list_heartbeats, save_heartbeat
from command.store.notices import Account, account

PROCESS: Final = "dispatch"
ROW_EVERY_S: Final = 2.0
POLL_S: Final = 1.0
STALLED_AFTER_S: Final = 10.0
_DEPTHS_TRUSTED_S: Final = 10.0
_REASONS: Final[Mapping[OutcomeKind, str]] = {
    OutcomeKind.REFUSED: "a team's queue is full; sent again when there is room",
    OutcomeKind.UNROUTABLE: "no queue took it, not even the one for unroutable alerts; sent again",
}

_log = structlog.get_logger(__name__)


class DispatchLoop:
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
        wake: threading.Event,
        unbind: Callable[[Sequence[BindSpec]], None],
        policy_file: Path | None = None,
    ) -> None:
        self._engine, self._realm, self._teams, self._clock = engine, realm, teams, clock
        self._publisher, self._watch, self._topology = publisher, watch, topology
        self._wake, self._unbind = wake, unbind
        self._bound_before: list[dict[str, Any]] | None = None
        self._channels = {AmqpChannel.name: AmqpChannel(publisher.publish)}
        self._outgoing = Outgoing()
        self._failures: dict[uuid.UUID, str] = {}
        self._dead: set[uuid.UUID] = set()
        self._planning = Planning(
            engine, realm, clock=clock, channels=list(self._channels.values()), policy_file=policy_file
        )
        self._account = Account(taken=0, ended={}, pending={})
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
            self._retire_bindings()
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
        """Turn the outbox and what waited into deliveries."""
        planned = self._planning.round()
        self._bury({d.delivery_id: d.last_error for d in planned.deliveries if d.last_error is not None})
        self._outgoing.take(d for d in planned.deliveries if d.delivery_id not in self._dead)
        if planned.more:  # send these first, then look again at once
            self._wake.set()

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

    def _retire_bindings(self) -> None:
        """Once after a start: take off the broker what teams were bound to and are no more."""
        if self._bound_before == []:
            return
        if self._bound_before is None:
            with realm_session(self._engine, self._realm) as session:
                rows = [row for row in list_heartbeats(session) if row.process == PROCESS]
            self._bound_before = list(rows[0].detail.get("bindings", [])) if rows else []
        if not self._publisher.connected:
            return
        stale = stale_bindings(self._bound_before, self._teams)
        try:
            if stale:
                self._unbind(stale)
                _log.info("bindings_removed", bindings=[(b.queue, b.routing_key) for b in stale])
        except BrokerUnavailable as exc:
            _log.warning("bindings_not_removed", trouble=str(exc))
        else:
            self._bound_before = []

    def _tell(self) -> None:
        """Write this process's heartbeat row."""
        if monotonic() - self._told_at_s < ROW_EVERY_S:
            return
        with realm_session(self._engine, self._realm) as session:
            self._waiting = max(0, count_pending(session) - len(self._dead))
            self._account = account(session)
            save_heartbeat(session, PROCESS, now_us=time_ns() // 1_000, pid=os.getpid(), detail=self._detail())
        self._told_at_s = monotonic()

    def _detail(self) -> dict[str, Any]:
        age_s = self._watch.age_s
        return {
            "state": self.state().value,
            "trouble": self._planning.trouble,
            "account": {
                "taken": self._account.taken,
                **{fate.value: self._account.ended.get(fate, 0) + self._account.pending.get(fate, 0) for fate in Fate},
            },
            "waiting": self._waiting,
            "dead": len(self._dead),
            "in_flight": self._publisher.in_flight,
            "confirmed": self._confirmed,
            "refused": self._publisher.refused,
            "resent": self._publisher.resent,
            "unroutable": self._ready(UNROUTABLE),
            "dead_letters": self._ready(ALERT_DEAD_LETTERS),
            "broker": {"connected": self._publisher.connected, "trouble": self._publisher.trouble},
            "bindings": described([*self._teams, *teams_described(self._bound_before or [])]),
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
