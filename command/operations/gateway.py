"""The gateway: one thread a source, one bounded outbox, one publisher. It owns every socket and never stops for one."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Protocol

import structlog

from command.domain.clock import Clock
from command.domain.health import SourceHealth
from command.domain.observation import ObservationBatch
from sensors.outbox import MAX_ROWS, Outbox, Waiting
from sensors.source import RejectSink, Source, SourceContext, Tally
from sensors.tracking.validation import validate
from sensors.transport import Pauses

FLUSH_AFTER_S: Final = 0.02
HEALTH_EVERY_S: Final = 2.0
RETRY_PUBLISH_S: Final = 0.05
STOP_WITHIN_S: Final = 5.0
_DROPPED: Final = frozenset({"time_out_of_range", "unknown_kind", "unknown_scheme"})
"""The reasons for which validation drops a row; for the others it mends a value or sets a flag."""

log = structlog.get_logger(__name__)


class GatewayBroken(RuntimeError):
    """The publishing thread died of a defect: the process must end and be started again."""


class Publisher(Protocol):
    """What the gateway needs of the bus (command.bus.BatchPublisher)."""

    def publish(self, body: bytes, *, kind: str) -> bool:
        """Take a message; False when there is no room for it now."""
        ...

    def drain(self, timeout_s: float) -> bool:
        """Wait until all that was taken is confirmed."""
        ...

    @property
    def connected(self) -> bool: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Feed:
    """A source under its configured name and kind."""

    name: str
    kind: str
    source: Source


def run(
    feeds: Sequence[Feed],
    publisher: Publisher,
    clock: Clock,
    stop: threading.Event,
    *,
    gateway: str,
    sink: RejectSink,
    beat: Callable[[Mapping[str, Any]], None] | None = None,
    until_finished: bool = False,
    max_rows: int = MAX_ROWS,
) -> list[SourceHealth]:
    """Run every feed until `stop` is set, or, with `until_finished`, until each has come to its end.

    A feed that raises is counted, logged and started again with growing pauses; the others go on. What is left in the
    outbox at the end is published, as far as that can be done in STOP_WITHIN_S. `beat` is called about every
    HEALTH_EVERY_S with what a heartbeat should say. Gives each source's last health.
    """
    outbox = Outbox(max_rows=max_rows)
    ended = threading.Event()
    runners = [_Runner(feed, _tally(feed, gateway, clock, sink), outbox, clock, stop) for feed in feeds]
    defects: list[Exception] = []
    sender = threading.Thread(
        target=_send_all, args=(outbox, publisher, stop, ended, defects), name=f"{gateway} publishes", daemon=True
    )
    sender.start()
    for runner in runners:
        runner.thread.start()
    while not stop.is_set():
        if defects:
            raise GatewayBroken(f"gateway {gateway} cannot publish any more: {defects[0]!r}") from defects[0]
        _report(runners, outbox, publisher, gateway, beat)
        if until_finished and all(not runner.thread.is_alive() for runner in runners):
            break
        _wait(stop, runners if until_finished else ())
    deadline = time.monotonic() + STOP_WITHIN_S
    for runner in runners:
        runner.thread.join(max(0.0, deadline - time.monotonic()))
    ended.set()
    while sender.is_alive():
        sender.join(HEALTH_EVERY_S)
        _report(runners, outbox, publisher, gateway, beat)
    if defects:
        raise GatewayBroken(f"gateway {gateway} could not publish everything: {defects[0]!r}") from defects[0]
    _report(runners, outbox, publisher, gateway, beat)
    publisher.drain(STOP_WITHIN_S)
    return [runner.tally.health() for runner in runners]


def _tally(feed: Feed, gateway: str, clock: Clock, sink: RejectSink) -> Tally:
    return Tally(source=feed.name, kind=feed.kind, gateway=gateway, clock=clock, sink=sink)


def _wait(stop: threading.Event, runners: Sequence[_Runner]) -> None:
    """Until the next report; shorter when every runner has ended before."""
    until = time.monotonic() + HEALTH_EVERY_S
    while time.monotonic() < until and not stop.wait(FLUSH_AFTER_S if runners else HEALTH_EVERY_S):
        if runners and all(not runner.thread.is_alive() for runner in runners):
            return


def _report(
    runners: Sequence[_Runner],
    outbox: Outbox,
    publisher: Publisher,
    gateway: str,
    beat: Callable[[Mapping[str, Any]], None] | None,
) -> None:
    health = [asdict(runner.tally.health()) for runner in runners]
    publisher.publish(json.dumps(health).encode(), kind="health")  # no room: the next one says the same and more
    if beat is not None:
        try:
            beat({"gateway": gateway, "outbox_rows": len(outbox), "broker": publisher.connected})
        except Exception as exc:  # noqa: BLE001 - whatever keeps a heartbeat from being written must not stop the data
            log.warning("gateway.heartbeat_failed", gateway=gateway, error=str(exc))


def _send_all(
    outbox: Outbox, publisher: Publisher, stop: threading.Event, ended: threading.Event, defects: list[Exception]
) -> None:
    """Publish until the sources have ended and the outbox is empty; after `stop`, for no longer than STOP_WITHIN_S."""
    patience = _Patience(stop)
    try:
        while not ended.is_set() or len(outbox):
            for waiting in outbox.take(linger_s=FLUSH_AFTER_S, timeout_s=FLUSH_AFTER_S * 5):
                _send(waiting, publisher, patience)
    except Exception as exc:
        log.exception("gateway.publishing_failed")
        defects.append(exc)


class _Patience:
    """Endless while the gateway runs; STOP_WITHIN_S once it is told to stop."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._until: float | None = None

    def is_over(self) -> bool:
        if self._until is None and self._stop.is_set():
            self._until = time.monotonic() + STOP_WITHIN_S
        return self._until is not None and time.monotonic() > self._until


def _send(waiting: Waiting, publisher: Publisher, patience: _Patience) -> None:
    """Validate rows, here where they are many at a time, and publish them."""
    tally = waiting.tally
    batch, counts = validate(waiting.batch)
    for reason, count in counts.items():
        (tally.drop if reason in _DROPPED else tally.ignore)(reason, count)
    if not len(batch):
        return
    body = batch.to_bytes()
    while not publisher.publish(body, kind="observations"):
        if patience.is_over():
            tally.drop("not_sent_before_stop", len(batch))
            return
        time.sleep(RETRY_PUBLISH_S)
    tally.publish(len(batch))


class _Runner:
    """One source in its thread."""

    def __init__(self, feed: Feed, tally: Tally, outbox: Outbox, clock: Clock, stop: threading.Event) -> None:
        self.feed = feed
        self.tally = tally
        self._outbox = outbox
        self._stop = stop
        self._ctx = SourceContext(clock=clock, stop=stop, emit=self._emit, tally=tally)
        self.thread = threading.Thread(target=self._run, name=feed.name, daemon=True)

    def _emit(self, batch: ObservationBatch) -> None:
        self._outbox.put(batch, tally=self.tally, can_wait=self.feed.source.can_wait, stop=self._stop)

    def _run(self) -> None:
        pauses = Pauses()
        while not self._stop.is_set():
            try:
                self.feed.source.run(self._ctx)
            except Exception as exc:  # one broken source must not take the others down
                log.exception("gateway.source_failed", source=self.feed.name, kind=self.feed.kind)
                self.tally.ignore("source_failed")
                self.tally.enter("failed", f"{type(exc).__name__}: {exc}")
            else:
                return
            if self.feed.source.can_wait:
                return  # a recording would begin again at its start
            self._stop.wait(pauses.next_s())
