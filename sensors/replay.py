"""The source `replay`: recordings through the same decoders as live feeds, merged by time, at any speed."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, Final, Literal, NamedTuple

from pydantic import Field, field_validator

from command.domain.clock import US_PER_S, DataClock
from command.domain.health import SourceHealth
from command.domain.observation import ObservationBatch, concatenate
from sensors.csv_table import Columns
from sensors.recordings import Recording, open_recording
from sensors.source import Decoder, RejectSink, SourceConfig, SourceContext, Tally

FLUSH_EVERY_US: Final = 10 * US_PER_S
"""Of recorded time: no decoder's rows run further ahead of another's than this."""
LONGEST_NAP_S: Final = 0.2


class ReplayConfig(SourceConfig):
    """Recordings: NMEA logs, .csv tables and .tlog files."""

    kind: str = "replay"
    files: tuple[Path, ...] = Field(min_length=1, max_length=1_000)
    speed: float | Literal["max"] = "max"
    """How many times as fast as it happened; it must be the speed of the realm's clock. `max` does not wait."""
    columns: Columns | None = None
    """Of the .csv files; where it is absent, common names are recognised."""
    delimiter: str = Field(default=",", min_length=1, max_length=1)

    @field_validator("speed")
    @classmethod
    def _forward(cls, speed: float | Literal["max"]) -> float | Literal["max"]:
        if speed != "max" and not 0.01 <= speed <= 10_000.0:
            raise ValueError("speed must be max, or from 0.01 to 10000 times")
        return speed


class _Timed(NamedTuple):
    at_us: int
    recording: int
    number: int
    data: bytes


class ReplaySource:
    """Plays recordings once. A record is received when it was recorded: the same files make the same rows."""

    Config: ClassVar[type[SourceConfig]] = ReplayConfig
    can_wait = True

    def __init__(self, config: ReplayConfig) -> None:
        """Raises BadRecording where a file is no recording."""
        self.config = config
        self._recordings = [
            open_recording(path, columns=config.columns, delimiter=config.delimiter) for path in config.files
        ]

    @property
    def first_us(self) -> int:
        """The time of the earliest first record: where the clock of a replay's realm starts."""
        firsts = (
            next((record.recorded_at_us for record in recording.read() if record.recorded_at_us is not None), None)
            for recording in self._recordings
        )
        return min((first for first in firsts if first is not None), default=0)

    def run(self, ctx: SourceContext) -> None:
        """Feed every record at its time. A file that breaks off in the middle ends there, and `detail` says so."""
        decoders: dict[str, Decoder] = {}
        by_file = [decoders.setdefault(r.decoder_key, r.make_decoder(ctx.tally)) for r in self._recordings]
        flushed_us = at_us = 0
        trouble: list[str] = []
        streams = [_until_trouble(_timed(i, r), r.path, trouble) for i, r in enumerate(self._recordings)]
        for record in heapq.merge(*streams):
            at_us = record.at_us
            early = self.config.speed != "max" and ctx.clock.now_us() < at_us
            if early or not 0 <= at_us - flushed_us < FLUSH_EVERY_US:
                _flush(decoders, ctx, at_us)
                flushed_us = at_us
            if early:
                self._wait_for(at_us, ctx)
            if ctx.stop.is_set():
                break
            decoder = by_file[record.recording]
            batch = decoder.feed(record.data, received_at_us=at_us, origin=str(self._recordings[record.recording].path))
            if batch is not None:
                ctx.emit(batch)
        _flush(decoders, ctx, at_us, end=True)
        if trouble:
            ctx.tally.enter("failed", "; ".join(trouble))
        elif not ctx.stop.is_set():
            ctx.tally.enter("finished")

    def _wait_for(self, at_us: int, ctx: SourceContext) -> None:
        speed = 1.0 if self.config.speed == "max" else self.config.speed
        while (early_us := at_us - ctx.clock.now_us()) > 0 and not ctx.stop.is_set():
            ctx.stop.wait(min(early_us / US_PER_S / speed, LONGEST_NAP_S))


def _timed(index: int, recording: Recording) -> Iterator[_Timed]:
    last_us = 0
    for number, record in enumerate(recording.read()):
        last_us = last_us if record.recorded_at_us is None else record.recorded_at_us
        yield _Timed(last_us, index, number, record.data)


def _until_trouble(records: Iterator[_Timed], path: Path, trouble: list[str]) -> Iterator[_Timed]:
    try:
        yield from records
    except OSError as exc:
        trouble.append(f"{path}: {exc}")


def _flush(decoders: dict[str, Decoder], ctx: SourceContext, at_us: int, *, end: bool = False) -> None:
    for decoder in decoders.values():
        batch = decoder.flush(received_at_us=at_us, end=end)
        if batch is not None:
            ctx.emit(batch)


def take_all(config: ReplayConfig, *, sink: RejectSink) -> tuple[SourceHealth, ObservationBatch]:
    """What recordings hold: every count and every observation, with no broker and no database."""
    source = ReplaySource(config)
    clock = DataClock(latest_us=source.first_us)
    tally = Tally(source=config.name, kind=config.kind, gateway="none", clock=clock, sink=sink)
    batches: list[ObservationBatch] = []

    def emit(batch: ObservationBatch) -> None:
        batches.append(batch)
        tally.publish(len(batch))

    source.run(SourceContext(clock=clock, stop=threading.Event(), emit=emit, tally=tally))
    return tally.health(), concatenate(batches, source=config.name)
