"""Health at a glance: what each source, queue, process and the store are worth to an officer right now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from command.domain.clock import US_PER_S
from command.domain.health import SourceHealth
from command.domain.realm import RealmKind
from command.operations.deliveries import ChannelTold, channels_told
from command.store.health import Heartbeat

SOURCE_REPORT_LATE_S: Final = 15.0
"""The gateway reports each source every few seconds; without a report its counts are of the past."""
HEARTBEAT_LATE_S: Final = 10.0
QUEUE_WATCH: Final = 1_000
QUEUE_BAD: Final = 20_000
LAG_WATCH_S: Final = 30.0
OFFSET_WATCH_S: Final = 10.0


_PICTURE: Final = ("intake", "dispatch", "gateway", "web")
PROCESSES: Final[Mapping[RealmKind, tuple[str, ...]]] = {
    RealmKind.LIVE: _PICTURE,
    RealmKind.DRILL: (*_PICTURE, "drill"),
    RealmKind.REPLAY: ("web",),
}
"""The verbs that a realm is meant to have running, in the order of their start. What plays a recording ends with it."""


class Level(IntEnum):
    """Higher is worse. A level always goes with a word and a shape, never with a colour alone."""

    GOOD = 0
    UNKNOWN = 1
    WATCH = 2
    BAD = 3

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, kw_only=True, slots=True)
class StoreState:
    """Whether this process reaches the database, and since when (host's time)."""

    connected: bool
    since_us: int
    detail: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceLine:
    health: SourceHealth
    level: Level
    state: str
    """A word of health.state_*: the source's own, or `silent` where its gateway stopped reporting."""
    rejected: int
    shed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessLine:
    heartbeat: Heartbeat
    level: Level
    age_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueLine:
    name: str
    depth: int
    level: Level


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelLine:
    told: ChannelTold
    level: Level


@dataclass(frozen=True, kw_only=True, slots=True)
class ConsoleHealth:
    """What the strip and the panel show. queues is None where the broker could not be asked. on_duty: how many people;
    None where there is no roster."""

    store: StoreState
    sources: tuple[SourceLine, ...]
    processes: tuple[ProcessLine, ...]
    queues: tuple[QueueLine, ...] | None
    channels: tuple[ChannelLine, ...]
    """As dispatch last said; it says nothing while it is down."""
    worst_offset_s: float | None
    worst_lag_s: float | None
    on_duty: int | None = None

    @property
    def watch(self) -> Level:
        """Nobody on duty is the worst, because then nobody is called who would come."""
        return Level.UNKNOWN if self.on_duty is None else Level.GOOD if self.on_duty else Level.BAD

    @property
    def receiving(self) -> int:
        return sum(line.level is Level.GOOD for line in self.sources)

    @property
    def level(self) -> Level:
        """The worst of everything."""
        if not self.store.connected:
            return Level.BAD
        levels = [line.level for line in self.sources]
        levels += [line.level for line in self.processes]
        levels += [line.level for line in self.queues or ()]
        levels += [] if self.on_duty is None else [self.watch]
        levels += [line.level for line in self.channels]
        return max(levels, default=Level.UNKNOWN)


def judge(
    *,
    store: StoreState,
    sources: Sequence[SourceHealth],
    heartbeats: Sequence[Heartbeat],
    queues: Mapping[str, int] | None,
    realm_kind: RealmKind,
    realm_now_us: int,
    host_now_us: int,
    realm_speed: float = 1.0,
    on_duty: int | None = None,
) -> ConsoleHealth:
    """Sources report in the realm's time, processes in the host's. realm_speed: realm seconds a host second.

    A process that the realm is not meant to have is shown while it reports, and not missed when it does so no more.
    """
    late_us = SOURCE_REPORT_LATE_S * max(realm_speed, 1.0) * US_PER_S
    lines = tuple(_source_line(s, late=realm_now_us - s.reported_at_us > late_us) for s in sources)
    processes = tuple(
        line
        for line in (_process_line(beat, host_now_us=host_now_us) for beat in heartbeats)
        if line.age_s <= HEARTBEAT_LATE_S or _verb(line.heartbeat) in PROCESSES[realm_kind]
    )
    depths = None if queues is None else tuple(_queue_line(n, d) for n, d in sorted(queues.items()))
    said = next((line.heartbeat.detail for line in processes if line.heartbeat.process == "dispatch"), {})
    offsets = [s.clock_offset_s for s in sources if s.clock_offset_s is not None]
    lags = [s.lag_s for s in sources if s.lag_s is not None]
    return ConsoleHealth(
        store=store,
        sources=lines,
        processes=processes,
        queues=depths,
        channels=tuple(_channel_line(told) for told in channels_told(said)),
        worst_offset_s=max(offsets, key=abs, default=None),
        worst_lag_s=max(lags, default=None),
        on_duty=on_duty,
    )


def _source_line(source: SourceHealth, *, late: bool) -> SourceLine:
    state = "silent" if late and source.state not in ("finished", "failed") else source.state
    level = {
        "running": Level.GOOD,
        "finished": Level.GOOD,
        "waiting": Level.UNKNOWN,
        "retrying": Level.WATCH,
        "silent": Level.BAD,
        "failed": Level.BAD,
    }.get(state, Level.UNKNOWN)
    shed = sum(source.shed.values())
    behind = (source.lag_s or 0.0) > LAG_WATCH_S or abs(source.clock_offset_s or 0.0) > OFFSET_WATCH_S
    if level is Level.GOOD and source.state == "running" and (shed or behind):
        level = Level.WATCH
    return SourceLine(health=source, level=level, state=state, rejected=sum(source.rejected.values()), shed=shed)


def _verb(beat: Heartbeat) -> str:
    """A gateway reports under its verb and its own name: gateway-tsushima."""
    return beat.process.partition("-")[0]


def _process_line(beat: Heartbeat, *, host_now_us: int) -> ProcessLine:
    age_s = max(0.0, (host_now_us - beat.reported_at_us) / US_PER_S)
    level = Level.WATCH if beat.detail.get("trouble") else Level.GOOD
    return ProcessLine(heartbeat=beat, level=Level.BAD if age_s > HEARTBEAT_LATE_S else level, age_s=age_s)


def _channel_line(told: ChannelTold) -> ChannelLine:
    """A dead delivery has reached nobody until a person sees to it; what fails is still tried."""
    level = Level.WATCH if told.trouble or told.failing else Level.GOOD
    return ChannelLine(told=told, level=Level.BAD if told.dead else level)


def _queue_line(name: str, depth: int) -> QueueLine:
    level = Level.GOOD
    if depth >= QUEUE_WATCH:
        level = Level.WATCH
    # what lies in a dead-letter or unroutable queue has reached nobody
    if depth >= QUEUE_BAD or (depth and name.endswith((".dead-letter", ".unroutable"))):
        level = Level.BAD
    return QueueLine(name=name, depth=depth, level=level)
