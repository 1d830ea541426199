"""The contract of a tracker: observations in, track states and latest tracks out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from command.domain.observation import ObservationBatch
from command.domain.track import TRACK_STATE_DTYPE, Track


@dataclass(frozen=True, kw_only=True, slots=True)
class TrackChange:
    """A track as it is now, and what its tracker must be given back to go on after a restart (opaque bytes)."""

    track: Track
    filter_state: bytes


def no_states() -> npt.NDArray[np.void]:
    """(0,) TRACK_STATE_DTYPE."""
    return np.empty(0, dtype=TRACK_STATE_DTYPE)


@dataclass(frozen=True, kw_only=True)
class TrackerOutput:
    """What one call changed.

    states: (n,) TRACK_STATE_DTYPE, oldest first, one a row that was believed or flagged. changed: each touched track
    once. counts: rows that made no state or were not fused, by reason.
    """

    states: npt.NDArray[np.void] = field(default_factory=no_states)
    changed: Sequence[TrackChange] = ()
    counts: Counter[str] = field(default_factory=Counter)


class Tracker(Protocol):
    """Turns observations into tracks. One thread calls it; it does no I/O and asks no clock.

    The result depends on the order of the rows only, not on how calls split them, and restore() after any call goes
    on exactly where the stored states end: that is what lets intake roll back and retry.
    """

    @property
    def tracks(self) -> Mapping[bytes, Track]:
        """The latest of every track, by its id's 16 bytes. A live view."""
        ...

    def update(self, batches: Sequence[ObservationBatch], *, recorded_at_us: int) -> TrackerOutput:
        """Take validated rows that were never seen before, in the order of their arrival."""
        ...

    def tick(self, now_us: int) -> TrackerOutput:
        """Let tracks age: no states, only tracks whose status changed."""
        ...

    def restore(self, latest: Iterable[tuple[Track, bytes]]) -> None:
        """Forget everything and go on from stored tracks and their filter states."""
        ...
