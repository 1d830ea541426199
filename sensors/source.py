"""The contract of a source: what the gateway gives it and what it must do."""

from __future__ import annotations

import statistics
import threading
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol

from pydantic import BaseModel, ConfigDict, Field

from command.domain.clock import US_PER_S, Clock
from command.domain.health import SourceHealth
from command.domain.observation import ObservationBatch


class SourceConfig(BaseModel):
    """What every source's configuration has. A source's own Config extends it, in the same file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    name: str = Field(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$")


MAX_IGNORED: Final = 512
"""Different words that a source may count ignored messages by; more than a MAVLink dialect has messages. Where a word
comes from what a stranger sends, the rest is `other`."""


class RejectSink(Protocol):
    """Keeps the raw bytes of rejected messages in a bounded place."""

    def keep(self, *, source: str, reason: str, raw: bytes, received_at_us: int) -> None: ...


@dataclass(kw_only=True)
class Tally:
    """A source's counters. One thread writes, any thread takes snapshots."""

    source: str
    kind: str
    gateway: str
    clock: Clock
    sink: RejectSink
    started_at_us: int = 0
    state: str = "waiting"
    detail: str = ""
    messages_in: int = 0
    decoded: int = 0
    duplicates: int = 0
    observations: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    shed: Counter[str] = field(default_factory=Counter)
    ignored: Counter[str] = field(default_factory=Counter)
    last_seen_us: int | None = None
    last_observed_us: int | None = None
    _lags_s: deque[float] = field(default_factory=lambda: deque(maxlen=101))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.started_at_us = self.started_at_us or self.clock.now_us()

    def take(self, count: int = 1, *, received_at_us: int) -> None:
        """`count` messages came in; each must end in exactly one of decode, reject or duplicate."""
        with self._lock:
            self.messages_in += count
            self.last_seen_us = received_at_us
            if self.state in ("waiting", "retrying"):
                self.state, self.detail = "running", ""

    def decode(self, count: int = 1, *, observed_at_us: int | None = None, received_at_us: int | None = None) -> None:
        """`count` messages were understood. Both times, where the source stamps its own, make lag and offset."""
        with self._lock:
            self.decoded += count
            if observed_at_us is not None:
                self.last_observed_us = max(self.last_observed_us or observed_at_us, observed_at_us)
                if received_at_us is not None:
                    self._lags_s.append((received_at_us - observed_at_us) / US_PER_S)

    def reject(self, reason: str, raw: bytes, *, received_at_us: int, count: int = 1) -> None:
        """`count` messages were not understood; `reason` is a short snake_case word, `raw` is kept."""
        with self._lock:
            self.rejected[reason] += count
        self.sink.keep(source=self.source, reason=reason, raw=raw, received_at_us=received_at_us)

    def duplicate(self, count: int = 1) -> None:
        with self._lock:
            self.duplicates += count

    def ignore(self, what: str, count: int = 1, *, received_at_us: int | None = None) -> None:
        """Well-formed, but not this source's subject (a depth sentence on an AIS line): outside messages_in."""
        with self._lock:
            known = what in self.ignored or len(self.ignored) < MAX_IGNORED
            self.ignored[what if known else "other"] += count
            self.last_seen_us = received_at_us if received_at_us is not None else self.last_seen_us

    def drop(self, reason: str, count: int = 1) -> None:
        """`count` observations were shed under pressure."""
        with self._lock:
            self.shed[reason] += count

    def publish(self, count: int) -> None:
        """`count` observations left for intake."""
        with self._lock:
            self.observations += count

    def enter(self, state: str, detail: str = "") -> None:
        with self._lock:
            self.state, self.detail = state, detail

    def health(self) -> SourceHealth:
        """A snapshot that adds up: a message that was taken and not judged yet is in the next one."""
        with self._lock:
            lags = list(self._lags_s)
            return SourceHealth(
                source=self.source,
                kind=self.kind,
                gateway=self.gateway,
                started_at_us=self.started_at_us,
                reported_at_us=self.clock.now_us(),
                state=self.state,
                messages_in=self.decoded + self.rejected.total() + self.duplicates,
                decoded=self.decoded,
                rejected=dict(self.rejected),
                duplicates=self.duplicates,
                observations=self.observations,
                shed=dict(self.shed),
                ignored=dict(self.ignored),
                last_seen_us=self.last_seen_us,
                last_observed_us=self.last_observed_us,
                lag_s=lags[-1] if lags else None,
                clock_offset_s=statistics.median(lags) if lags else None,
                detail=self.detail,
            )


@dataclass(frozen=True, kw_only=True)
class SourceContext:
    """What the gateway gives a running source.

    emit may block a source that can wait (a file); for a live source the gateway sheds what is safe to shed,
    and counts it. stop is set when the source must return within a second.
    """

    clock: Clock
    stop: threading.Event
    emit: Callable[[ObservationBatch], None]
    tally: Tally


class Source(Protocol):
    """One configured source. `run` owns its thread: it returns when `ctx.stop` is set or its input has ended.

    A peer that is away is retried for ever with growing pauses (tally.enter("retrying", why)); bad input is
    counted and never raised; only a broken configuration raises, at construction.
    """

    Config: ClassVar[type[SourceConfig]]
    can_wait: bool
    """True for recordings: emit may block them, so nothing of theirs is ever shed."""

    def __init__(self, config: Any) -> None: ...

    def run(self, ctx: SourceContext) -> None: ...


class Decoder(Protocol):
    """Bytes to observations, whatever carried them; live transports and recordings feed the same one.

    It batches by itself: `feed` returns what is complete, `flush` what is held (an unfinished multi-part
    message is rejected as `incomplete` at the end).
    """

    def feed(self, data: bytes, *, received_at_us: int, origin: str) -> ObservationBatch | None: ...

    def flush(self, *, received_at_us: int, end: bool = False) -> ObservationBatch | None: ...


@dataclass(frozen=True, slots=True)
class Record:
    """One piece of a recording: its bytes and when it was recorded (None where the file does not say)."""

    data: bytes
    recorded_at_us: int | None


class UnknownSource(ValueError):
    """A configured kind that no registry line names."""


SourceMaker = Callable[[Mapping[str, Any]], Source]
