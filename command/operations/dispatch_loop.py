"""One round of dispatch after the other: call, plan, send, mark, tell."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic, time_ns
from typing import Any, Final

import structlog
from sqlalchemy import Engine

from alerts.channel import AMQP
from alerts.message import HEARTBEAT, DispatchState, encode, heartbeat_body
from command.bus import (
    ALERT_DEAD_LETTERS,
    REOPEN_FRACTION,
    UNROUTABLE,
    AlertPublisher,
    BindSpec,
    BrokerUnavailable,
    QueueDepth,
    QueueWatch,
    Team,
    Topology,
    team_queue,
)
from command.domain.alert import Severity
from command.domain.clock import Clock
from command.domain.escalation import EscalationRules
from command.domain.notice import Fate
from command.domain.realm import Realm
from command.operations.escalation import Caller
from command.operations.lines import Line, TeamsLine, told
from command.operations.outgoing import LIMIT
from command.operations.planning import Planning
from command.operations.team_bindings import described, stale_bindings, teams_described
from command.store.deliveries import (
    DeliveryState,
    bury_strays,
    count_deliveries,
    mark_delivered,
    mark_failed,
    pending_deliveries,
    still_open,
)
from command.store.engine import StoreNotMigrated, StoreUnavailable, realm_session
from command.store.health import list_heartbeats, save_heartbeat
from command.store.notices import Account, account

PROCESS: Final = "dispatch"
ROW_EVERY_S: Final = 2.0
POLL_S: Final = 1.0
STALLED_AFTER_S: Final = 10.0
_LOW: Final = LIMIT // 2
"""With fewer in hand more are taken up, where there are more."""
_DEPTHS_TRUSTED_S: Final = 10.0
_NO_CHANNEL: Final = "no channel of this name serves this realm any more; write it into [[channels]] and send it again"

_log = structlog.get_logger(__name__)


class DispatchLoop:
    """One loop: call, plan, send, mark, tell. `step` is called by one thread; `state` and `heartbeat` by any."""

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
        escalation: EscalationRules,
        lines: Sequence[Line] = (),
        policy_file: Path | None = None,
        known_channels: Sequence[str] = (),
    ) -> None:
        self._engine, self._realm, self._teams, self._clock = engine, realm, teams, clock
        self._publisher, self._watch, self._topology = publisher, watch, topology
        self._wake, self._unbind = wake, unbind
        self._bound_before: list[dict[str, Any]] | None = None
        teams_line = TeamsLine(publisher, clock, full=self._full_severities)
        self._lines: dict[str, Line] = {line.channel.name: line for line in (teams_line, *lines)}
        self._planning = Planning(
            engine,
            realm,
            clock=clock,
            channels=[line.channel for line in self._lines.values()],
            policy_file=policy_file,
            known_channels=known_channels,
        )
        self._account = Account(taken=0, ended={}, pending={})
        self._caller = Caller(engine, realm, clock=clock, rules=escalation)
        self._counts: Mapping[str, Mapping[DeliveryState, int]] = {}
        self._look = False
        self._more: set[str] = set()
        """Lines of which the store holds more than was taken up last."""
        self._loaded_at_s = self._told_at_s = -POLL_S - ROW_EVERY_S
        self._looked_at_s = monotonic()
        self._store_trouble: str | None = None

    def step(self) -> None:
        """One round. Never raises for a store or broker that is away."""
        try:
            self._caller.step()
            self._plan()
            self._send()
            self._hear()
            self._mark()
            self._load()
            self._retire_bindings()
            self._tell()
        except (StoreUnavailable, StoreNotMigrated) as exc:
            if self._store_trouble is None:
                _log.warning("store_away", trouble=str(exc))
            self._store_trouble = str(exc)
            self._hear()
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
            waiting=self._waiting(AMQP),
            dead=self._dead(AMQP),
            unroutable=self._ready(UNROUTABLE) or 0,
        )
        return encode(body, kind=HEARTBEAT)

    def _plan(self) -> None:
        """Turn the outbox and what waited into deliveries."""
        planned = self._planning.round()
        for delivery in planned.deliveries:
            if delivery.state is DeliveryState.DEAD:
                _log.error("delivery_dead", delivery_id=str(delivery.delivery_id), problem=delivery.last_error)
            else:
                self._lines[delivery.channel].outgoing.take([delivery])
        if planned.more:  # send these first, then look again at once
            self._wake.set()

    def _send(self) -> None:
        """Hand over what is due, on every line as much as it takes."""
        for line in self._lines.values():
            line.send()

    def _hear(self) -> None:
        for line in self._lines.values():
            line.hear()

    def _mark(self) -> None:
        """Write what the other sides said into the store."""
        for line in self._lines.values():
            confirmed = line.outgoing.to_mark()
            if not confirmed and not line.failures:
                continue
            with realm_session(self._engine, self._realm) as session:
                now_us = self._clock.now_us()
                if confirmed:
                    mark_delivered(session, confirmed, now_us, notes=line.notes)
                mark_failed(session, list(line.failures.values()), now_us)
            line.outgoing.let_go(confirmed)
            line.failures.clear()
            line.notes.clear()

    def look_again(self) -> None:
        """From any thread: a person has changed deliveries; read them at once."""
        self._look = True
        self._wake.set()

    def _load(self) -> None:
        """Take up what the store has unconfirmed: after a start, what was let go for want of room, what a person had
        sent again. What a person gave up, or another dispatcher sent, is let go.
        """
        look, self._look = self._look, False
        due = look or monotonic() - self._loaded_at_s >= POLL_S
        for name, line in self._lines.items():
            outgoing = line.outgoing
            if not due and not (name in self._more and len(outgoing) < _LOW):
                continue
            with realm_session(self._engine, self._realm) as session:
                if waiting := outgoing.waiting():
                    outgoing.let_go(set(waiting) - still_open(session, waiting))
                room = LIMIT if look else LIMIT - len(outgoing)
                in_hand = () if look else outgoing.in_hand()  # what a person had sent again may be in hand
                pending = pending_deliveries(session, room, channel=name, but_not=in_hand) if room > 0 else []
            outgoing.take(pending, now_s=monotonic(), now_us=self._clock.now_us())
            (self._more.add if len(pending) >= room else self._more.discard)(name)
        if not due:
            return
        with realm_session(self._engine, self._realm) as session:
            for channel in bury_strays(session, self._lines.keys(), _NO_CHANNEL):
                _log.error("delivery_dead", channel=channel, problem=_NO_CHANNEL)
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
            self._counts = count_deliveries(session)
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
            "waiting": self._waiting(AMQP),
            "dead": self._dead(AMQP),
            "in_flight": self._publisher.in_flight,
            "confirmed": self._lines[AMQP].state.sent,
            "refused": self._publisher.refused,
            "resent": self._publisher.resent,
            "unroutable": self._ready(UNROUTABLE),
            "dead_letters": self._ready(ALERT_DEAD_LETTERS),
            "broker": {"connected": self._publisher.connected, "trouble": self._publisher.trouble},
            "channels": {
                name: told(self._lines.get(name), self._counts.get(name, {}))
                for name in sorted(self._lines.keys() | self._counts.keys())
            },
            "bindings": described([*self._teams, *teams_described(self._bound_before or [])]),
            "queues_age_s": None if age_s is None else round(age_s, 1),
            "queues": {
                name: {"ready": depth.ready, "consumers": depth.consumers, "limit": self._topology.limit_of(name)}
                for name, depth in self._watch.depths().items()
            },
        }

    def _waiting(self, channel: str) -> int:
        counts = self._counts.get(channel, {})
        return sum(counts.get(state, 0) for state in (DeliveryState.PENDING, DeliveryState.FAILED))

    def _dead(self, channel: str) -> int:
        return self._counts.get(channel, {}).get(DeliveryState.DEAD, 0)

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
