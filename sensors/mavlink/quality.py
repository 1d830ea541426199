"""How good a vehicle's link is: sequence loss by sender, and the fade margin of a telemetry radio."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from command.domain.clock import US_PER_S

WINDOW_US: Final = 10 * US_PER_S
_LONGEST_GAP_US: Final = 10 * US_PER_S
"""After a longer silence the 8-bit sequence number may have gone round: what was lost is not known."""
_SIK_UNITS_PER_DB: Final = 1.9
_FULL_MARGIN_DB: Final = 20.0


class SequenceMeter:
    """Counts what one sender's 8-bit sequence numbers say was lost. A number that goes back is late, not lost."""

    def __init__(self) -> None:
        self.received = 0
        self.lost = 0
        self._last: int | None = None
        self._last_us = 0
        self._window: deque[tuple[int, int]] = deque()
        self._window_lost = 0

    def see(self, sequence: int, *, received_at_us: int) -> None:
        self.received += 1
        missing = 0
        ahead = 1 if self._last is None else (sequence - self._last) & 0xFF
        if ahead < 128:
            if self._last is not None and received_at_us - self._last_us < _LONGEST_GAP_US:
                missing = max(0, ahead - 1)
            self._last = sequence
        self._last_us = received_at_us
        self.lost += missing
        self._window.append((received_at_us, missing))
        self._window_lost += missing
        while self._window and received_at_us - self._window[0][0] > WINDOW_US:
            self._window_lost -= self._window.popleft()[1]

    @property
    def percent(self) -> float:
        """Received of sent in the last 10 s; NaN before the second message."""
        heard = len(self._window)
        return 100.0 * heard / (heard + self._window_lost) if heard > 1 else math.nan


def radio_percent(*, rssi: int, noise: int, remote_rssi: int, remote_noise: int) -> float:
    """The weaker direction's fade margin as a share of 20 dB; NaN where the radio does not know (0 or 255).

    A SiK radio's units are 1.9 a dB (https://ardupilot.org/copter/docs/common-3dr-radio-advanced-configuration-and-technical-information.html).
    """
    if any(value in (0, 255) for value in (rssi, remote_rssi)) or 255 in (noise, remote_noise):
        return math.nan
    margin_db = min(rssi - noise, remote_rssi - remote_noise) / _SIK_UNITS_PER_DB
    return 100.0 * min(1.0, max(0.0, margin_db / _FULL_MARGIN_DB))
