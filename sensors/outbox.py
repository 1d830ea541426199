"""What waits to be published: bounded, and shed in an order that loses the least."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from command.domain.observation import (
    IdentityScheme,
    ObservationBatch,
    ObservationFlag,
    ObservationKind,
    concatenate,
)
from sensors.source import Tally

PIECE_ROWS: Final = 1_000
MAX_ROWS: Final = 50_000
SHED_TO: Final = 0.8
"""Shedding makes room for more than the next batch, so that it is not done again for every one."""
_NEVER_SHED: Final = int(ObservationFlag.DISTRESS | ObservationFlag.DISTRESS_TEST | ObservationFlag.ASSET)
_OF_ONE_TRACK: Final = (int(IdentityScheme.MMSI), int(IdentityScheme.LABEL))
_EVERY_REPORT_HAS: Final = frozenset({"station"})


@dataclass(frozen=True, slots=True)
class Waiting:
    """Rows of one source, and its counters. `can_wait`: the rows of a recording, which are never shed."""

    batch: ObservationBatch
    tally: Tally
    can_wait: bool


def spare_positions(batch: ObservationBatch) -> npt.NDArray[np.bool_]:
    """(n,) bool: plain positions of identified tracks.

    Not so: distress, our own assets, contacts that nobody identified, and rows that bring a fact.
    """
    rows = batch.rows
    spare: npt.NDArray[np.bool_] = (
        (rows["kind"] == int(ObservationKind.POSITION))
        & ((rows["flags"] & _NEVER_SHED) == 0)
        & np.isin(rows["subject_scheme"], _OF_ONE_TRACK)
    )
    for index, facts in batch.attributes.items():
        if not facts.keys() <= _EVERY_REPORT_HAS:
            spare[index] = False
    return spare


def repeated_positions(batch: ObservationBatch) -> npt.NDArray[np.bool_]:
    """(n,) bool: spare positions of a track that has a newer one (or an equally new one further on) in the batch."""
    spare = np.flatnonzero(spare_positions(batch))
    repeated = np.zeros(len(batch), dtype=bool)
    if not spare.size:
        return repeated
    rows = batch.rows[spare]
    order = np.lexsort((spare, rows["observed_at_us"], rows["subject_key"], rows["subject_scheme"]))
    ordered = rows[order]
    same_as_next = (ordered["subject_key"][:-1] == ordered["subject_key"][1:]) & (
        ordered["subject_scheme"][:-1] == ordered["subject_scheme"][1:]
    )
    repeated[spare[order[:-1][same_as_next]]] = True
    return repeated


def keep_rows(batch: ObservationBatch, keep: npt.NDArray[np.bool_]) -> ObservationBatch:
    """The rows of `batch` where `keep`, with their attributes."""
    new_index = np.cumsum(keep) - 1
    attributes = {int(new_index[i]): facts for i, facts in batch.attributes.items() if keep[i]}
    return ObservationBatch(source=batch.source, rows=batch.rows[keep], attributes=attributes)


def pieces_of(batch: ObservationBatch) -> list[ObservationBatch]:
    """`batch` cut into pieces of at most PIECE_ROWS rows, in order."""
    if len(batch) <= PIECE_ROWS:
        return [batch] if len(batch) else []
    at = np.arange(len(batch))
    return [keep_rows(batch, (at >= start) & (at < start + PIECE_ROWS)) for start in range(0, len(batch), PIECE_ROWS)]


class Outbox:
    """A bounded queue of rows between the sources' threads and the one that publishes.

    A recording waits when the outbox is half full, so that it never crowds out what is live. When it is full, a live
    source first gives up repeated positions of the same track, then the oldest plain positions; if even that makes no
    room it waits too, and what its line loses meanwhile the line counts.
    """

    def __init__(self, *, max_rows: int = MAX_ROWS) -> None:
        self._max_rows = max_rows
        self._waiting: deque[Waiting] = deque()
        self._rows = 0
        self._since: float | None = None
        self._changed = threading.Condition()

    def __len__(self) -> int:
        return self._rows

    def put(self, batch: ObservationBatch, *, tally: Tally, can_wait: bool, stop: threading.Event) -> None:
        """Add rows, in pieces; blocks while there is no room, until `stop`."""
        room = self._max_rows // 2 if can_wait else self._max_rows
        for piece in pieces_of(batch):
            with self._changed:
                while self._rows and self._rows + len(piece) > room and not stop.is_set():
                    if can_wait or not self._shed(int(self._max_rows * SHED_TO) - len(piece)):
                        self._changed.wait(0.1)
                self._waiting.append(Waiting(piece, tally, can_wait))
                self._rows += len(piece)
                self._since = self._since or time.monotonic()
                self._changed.notify_all()

    def take(self, *, linger_s: float, timeout_s: float) -> list[Waiting]:
        """Up to about PIECE_ROWS rows, joined by source: when there are as many, or the oldest waited `linger_s`.

        Empty after `timeout_s` with nothing to take. The order of one source's rows is kept.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while self._rows < PIECE_ROWS:
                now = time.monotonic()
                until = deadline if self._since is None else self._since + linger_s
                if now >= until:
                    break
                self._changed.wait(until - now)
            taken: list[Waiting] = []
            rows = 0
            while self._waiting and (not taken or rows + len(self._waiting[0].batch) <= PIECE_ROWS):
                taken.append(self._waiting.popleft())
                rows += len(taken[-1].batch)
            self._rows -= rows
            self._since = time.monotonic() if self._waiting else None
            self._changed.notify_all()
        return _joined(taken)

    def _shed(self, to_rows: int) -> bool:
        """Shed rows of live sources down to `to_rows` where that can be; False when there was nothing to shed."""
        before = self._rows
        live = _joined([w for w in self._waiting if not w.can_wait])
        waiting = [w for w in self._waiting if w.can_wait]
        waiting += [self._without(entry, repeated_positions(entry.batch), "repeated_position") for entry in live]
        for index, entry in enumerate(waiting):
            excess = self._rows - to_rows
            if excess > 0 and not entry.can_wait:
                spare = np.flatnonzero(spare_positions(entry.batch))
                oldest = spare[np.argsort(entry.batch.rows["observed_at_us"][spare], kind="stable")[:excess]]
                gone = np.zeros(len(entry.batch), dtype=bool)
                gone[oldest] = True
                waiting[index] = self._without(entry, gone, "oldest_position")
        self._waiting = deque(
            Waiting(piece, entry.tally, entry.can_wait) for entry in waiting for piece in pieces_of(entry.batch)
        )
        return self._rows < before

    def _without(self, entry: Waiting, gone: npt.NDArray[np.bool_], reason: str) -> Waiting:
        count = int(gone.sum())
        if not count:
            return entry
        entry.tally.drop(reason, count)
        self._rows -= count
        return Waiting(keep_rows(entry.batch, ~gone), entry.tally, entry.can_wait)


def _joined(waiting: Sequence[Waiting]) -> list[Waiting]:
    by_source: dict[tuple[str, bool], list[Waiting]] = {}
    for entry in waiting:
        by_source.setdefault((entry.batch.source, entry.can_wait), []).append(entry)
    return [
        entries[0]
        if len(entries) == 1
        else Waiting(concatenate([e.batch for e in entries], source=source), entries[0].tally, can_wait)
        for (source, can_wait), entries in by_source.items()
    ]
