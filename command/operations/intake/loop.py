"""The run loop of the verb `intake`, one a realm: collect, commit, acknowledge, and never stop."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from time import monotonic, perf_counter
from typing import Any, Final, TypeVar

import structlog
from sqlalchemy import Engine

from command.bus import OBSERVATIONS, Consumer, Message, QueueDepth, QueueWatch, observation_topology
from command.domain.clock import ScenarioClock, SystemClock
from command.domain.realm import Realm
from command.operations.intake.inbox import BadBatch, BadHealth, Letter, UnknownMessage, open_letter
from command.operations.intake.picture import Flushed, MemoryBehind, PictureKeeper
from command.operations.realms import realm_clock
from command.store.engine import StoreNotMigrated, StoreUnavailable, realm_session
from command.store.health import save_heartbeat
from sensors.tracking.identity import IdentityTracker

PROCESS: Final = "intake"
PREFETCH: Final = 256
"""Messages that are out at this process and not answered: all that it ever holds."""
MAX_FLUSH_MESSAGES: Final = PREFETCH // 2
"""The other half comes in while a flush is written."""
MAX_FLUSH_ROWS: Final = 5_000
FLUSH_WAIT_S: Final = 0.020
"""From one flush to the next, while there is anything to write: what comes alone is not kept waiting for company."""
TICK_EVERY_S: Final = 1.0
SHORTEST_TICK_S: Final = 0.1
HEARTBEAT_EVERY_S: Final = 2.0
RETRY_FIRST_S: Final = 0.2
RETRY_LONGEST_S: Final = 5.0

_log = structlog.get_logger(__name__)
_Result = TypeVar("_Result")


class _Stopped(Exception):
    """The stop was asked for while the database was away."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What this intake has done since its start.

    settled: messages answered for good (committed or rejected). rejected: unreadable messages, by reason. failed:
    times that a readable message could not be processed and was given back (the broker's delivery limit ends that).
    counts: rows that were not new or not fused, by reason. trouble: why nothing is written now; None while all is well.
    """

    settled: int = 0
    rows: int = 0
    new: int = 0
    states: int = 0
    findings: int = 0
    flushes: int = 0
    last_flush_ms: float = 0.0
    failed: int = 0
    tick_failures: int = 0
    retries: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    trouble: str | None = None


class Intake:
    """One realm's intake. `run` blocks its thread until `stop`; `progress` may be read from any thread."""

    def __init__(
        self,
        engine: Engine,
        realm: Realm,
        *,
        keeper: PictureKeeper,
        consumer: Consumer,
        depths: Callable[[], Mapping[str, QueueDepth]],
    ) -> None:
        self._engine, self._realm, self._keeper = engine, realm, keeper
        self._consumer, self._depths = consumer, depths
        self._progress = Progress()
        self._beat_rows, self._beat_at_s = 0, monotonic()
        self._collected_at_s = monotonic()

    @property
    def progress(self) -> Progress:
        return self._progress

    def run(self, stop: threading.Event) -> None:
        """Serve until `stop`; what was not committed by then goes back to the queue by itself."""
        next_tick_s = next_beat_s = monotonic()
        try:
            while not stop.is_set():
                letters = self._collect(min(next_tick_s, next_beat_s) - monotonic())
                if letters:
                    self._process(letters, stop)
                if monotonic() >= next_tick_s:
                    self._tick(stop)
                    next_tick_s = monotonic() + self._tick_every_s()
                if monotonic() >= next_beat_s:
                    self._beat()
                    next_beat_s = monotonic() + HEARTBEAT_EVERY_S
        except _Stopped:
            return

    def _tick_every_s(self) -> float:
        clock = self._keeper.clock
        speed = clock.speed if isinstance(clock, ScenarioClock) else 1.0
        return min(TICK_EVERY_S, max(SHORTEST_TICK_S, TICK_EVERY_S / max(speed, 1.0)))

    def _collect(self, wait_s: float) -> list[Letter]:
        """The messages of the next flush: what has come, and what comes within FLUSH_WAIT_S of the flush before."""
        letters: list[Letter] = []
        taken = rows = 0
        message = self._consumer.get(max(0.0, wait_s))
        deadline_s = self._collected_at_s + FLUSH_WAIT_S
        while message is not None:
            taken += 1
            letter = self._open(message)
            if letter is not None:
                letters.append(letter)
                rows += letter.rows
                if letter.urgent:
                    break
            if taken >= MAX_FLUSH_MESSAGES or rows >= MAX_FLUSH_ROWS:
                break
            message = self._consumer.get(max(0.0, deadline_s - monotonic()))
        if letters:
            self._collected_at_s = monotonic()
        return letters

    def _open(self, message: Message) -> Letter | None:
        """What the message holds; None where it is poison, which goes to the dead-letter queue."""
        try:
            return open_letter(message)
        except (BadBatch, BadHealth, UnknownMessage) as exc:
            reason = {BadBatch: "bad_batch", BadHealth: "bad_health"}.get(type(exc), "unknown_message")
            _log.warning("message rejected to the dead-letter queue", reason=reason, error=str(exc))
            message.reject()
            self._advance(settled=1, rejected=Counter({reason: 1}))
            return None

    def _process(self, letters: list[Letter], stop: threading.Event) -> None:
        batches = [letter.batch for letter in letters if letter.batch is not None]
        health = [entry for letter in letters for entry in letter.health]
        began_s = perf_counter()
        try:
            flushed = self._persist(lambda: self._keeper.take(batches, health), stop)
        except _Stopped:
            raise
        except Exception as exc:  # noqa: BLE001 - one bad batch must not stop the others, whatever it breaks
            if len(letters) > 1:
                for letter in letters:
                    self._process([letter], stop)
                return
            _log.exception("batch not processed; given back to the queue", error=f"{type(exc).__name__}: {exc}")
            letters[0].message.nack()
            self._advance(failed=1)
            return
        for letter in letters:
            letter.message.ack()
        self._advance(settled=len(letters), flushed=flushed, flush_ms=(perf_counter() - began_s) * 1e3)

    def _tick(self, stop: threading.Event) -> None:
        try:
            flushed = self._persist(self._keeper.tick, stop)
        except _Stopped:
            raise
        except Exception as exc:  # noqa: BLE001 - the flow of batches goes on, and the heartbeat tells
            _log.exception("tick failed", error=f"{type(exc).__name__}: {exc}")
            self._advance(tick_failures=1, trouble=f"tick failed: {type(exc).__name__}: {exc}"[:500])
        else:
            self._advance(flushed=flushed)

    def _persist(self, work: Callable[[], _Result], stop: threading.Event) -> _Result:
        """Do `work` until the database takes it, for ever, with growing pauses. Raises _Stopped."""
        pause_s = RETRY_FIRST_S
        while True:
            try:
                result = work()
            except (StoreUnavailable, StoreNotMigrated, MemoryBehind) as exc:
                if self._progress.trouble is None:
                    _log.warning("nothing can be written; tried again until it can", error=str(exc))
                self._advance(retries=1, trouble=str(exc))
                if stop.wait(pause_s):
                    raise _Stopped from exc
                pause_s = min(RETRY_LONGEST_S, pause_s * 2.0)
            else:
                if self._progress.trouble is not None:
                    _log.info("writing again", after=self._progress.trouble)
                    self._advance(trouble=None)
                return result

    def _advance(
        self,
        *,
        settled: int = 0,
        failed: int = 0,
        tick_failures: int = 0,
        retries: int = 0,
        rejected: Counter[str] | None = None,
        flushed: Flushed | None = None,
        flush_ms: float | None = None,
        trouble: str | None = "",
    ) -> None:
        """Replace the progress by one with these added; an empty `trouble` leaves it as it is."""
        was, done = self._progress, flushed or Flushed()
        self._progress = Progress(
            settled=was.settled + settled,
            rows=was.rows + done.rows,
            new=was.new + done.new,
            states=was.states + done.states,
            findings=was.findings + done.findings,
            flushes=was.flushes + (flush_ms is not None),
            last_flush_ms=was.last_flush_ms if flush_ms is None else flush_ms,
            failed=was.failed + failed,
            tick_failures=was.tick_failures + tick_failures,
            retries=was.retries + retries,
            rejected=was.rejected + (rejected or Counter()),
            counts=was.counts + done.counts,
            trouble=was.trouble if trouble == "" else trouble,
        )

    def _beat(self) -> None:
        """Write the heartbeat row; where the database is away its age is the message."""
        try:
            with realm_session(self._engine, self._realm) as session:
                save_heartbeat(session, PROCESS, now_us=SystemClock().now_us(), pid=os.getpid(), detail=self._detail())
        except (StoreUnavailable, StoreNotMigrated) as exc:
            self._advance(trouble=str(exc))

    def _detail(self) -> dict[str, Any]:
        did, now_s = self._progress, monotonic()
        rows_per_s = (did.rows - self._beat_rows) / max(now_s - self._beat_at_s, 1e-3)
        self._beat_rows, self._beat_at_s = did.rows, now_s
        failing = [rule for rule in self._keeper.rule_health() if rule.failures]
        return {
            "queues": {name: depth.ready for name, depth in self._depths().items()},
            "rows_per_s": round(rows_per_s, 1),
            "flush_ms": round(did.last_flush_ms, 1),
            "messages": did.settled,
            "rows": did.rows,
            "new": did.new,
            "duplicates": did.counts["known"],
            "counts": dict(did.counts),
            "rejected": dict(did.rejected),
            "failed": did.failed,
            "tick_failures": did.tick_failures,
            "retries": did.retries,
            "tracks": self._keeper.tracks,
            "findings": did.findings,
            "broker": self._consumer.trouble,
            "trouble": did.trouble,
            "rules_failing": {rule.rule: rule.last_error for rule in failing},
            "rules_refused": dict(self._keeper.bad_rules),
        }


def serve(engine: Engine, amqp_url: str, realm: Realm, *, stop: threading.Event) -> None:
    """The verb `intake`: serve `realm` until `stop`. A database or broker that is away is waited for.

    Raises UnknownRealm where the realm was never opened (operations.realms.open_realm).
    """
    keeper = _ready_keeper(engine, realm, stop)
    if keeper is None:
        return
    topology = observation_topology()
    with ExitStack() as stack:
        # Only now: messages taken by a process that cannot start yet come nearer to the delivery limit each time.
        consumer = stack.enter_context(
            Consumer(
                amqp_url, realm.vhost, (OBSERVATIONS,), prefetch=PREFETCH, name="mizugiwa intake", topology=topology
            )
        )
        watch = stack.enter_context(
            QueueWatch(amqp_url, realm.vhost, (OBSERVATIONS,), name="mizugiwa intake queues", topology=topology)
        )
        Intake(engine, realm, keeper=keeper, consumer=consumer, depths=watch.depths).run(stop)


def _ready_keeper(engine: Engine, realm: Realm, stop: threading.Event) -> PictureKeeper | None:
    """A keeper that remembers what is stored; None where `stop` was set before the database was there."""
    pause_s = RETRY_FIRST_S
    while True:
        try:
            clock = realm_clock(engine, realm)
            keeper = PictureKeeper(engine, realm, clock=clock, tracker=IdentityTracker(realm.name))
            keeper.restore()
        except (StoreUnavailable, StoreNotMigrated) as exc:
            _log.warning("waiting for the database", error=str(exc))
            if stop.wait(pause_s):
                return None
            pause_s = min(RETRY_LONGEST_S, pause_s * 2.0)
        else:
            return keeper
