"""What was said lately: a bounded memory that tells a repetition from news."""

from __future__ import annotations

from itertools import islice
from typing import Final

MAX_KEYS: Final = 131_072
MAX_TIMES: Final = 64


class Recent:
    """Remembers at which times each key was accepted; the oldest keys go first when it is full.

    A key is a repetition when it was accepted within the window around the asked time. The window stands still:
    repetitions do not stretch it, so that something said every minute for a day is news again and again.
    Several times are kept for each key, because a recording may run in a loop.
    """

    def __init__(self, window_us: int) -> None:
        self._window_us = window_us
        self._times: dict[bytes, list[int]] = {}

    def has(self, key: bytes, at_us: int) -> bool:
        """Whether `key` was accepted within the window around `at_us`."""
        times = self._times.get(key)
        return times is not None and any(abs(at_us - time_us) <= self._window_us for time_us in times)

    def add(self, key: bytes, at_us: int) -> None:
        """`key` was accepted at `at_us`."""
        times = self._times.setdefault(key, [])
        times.append(at_us)
        if len(times) > MAX_TIMES:
            del times[0]
        if len(self._times) > MAX_KEYS:
            for oldest in list(islice(self._times, MAX_KEYS // 16)):  # one by one, each walks over the gaps before it
                del self._times[oldest]
