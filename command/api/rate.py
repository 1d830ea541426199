"""How often somebody may ask: a token bucket for each session, API token, or address that is neither."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_KEPT: Final = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class RateRules:
    """Requests a second in the long run, and how many at once. A console asks for about 100 when it is loaded, then
    for one or two a second.
    """

    requests_per_s: float = 50.0
    burst: int = 1_000


class RateLimit:
    """For one event loop. Times are monotonic seconds."""

    def __init__(self, rules: RateRules) -> None:
        self._rules = rules
        self._buckets: dict[bytes, tuple[float, float]] = {}

    def wait_s(self, who: bytes, *, now_s: float, cost: float = 1.0) -> float:
        """0 where the request may pass, and it is counted `cost` times; otherwise how long to wait for the next."""
        left, since_s = self._buckets.pop(who, (float(self._rules.burst), now_s))
        left = min(self._rules.burst, left + (now_s - since_s) * self._rules.requests_per_s)
        passes = left >= cost
        # the bucket that was used longest ago makes room: it has filled up since, or its owner has paused
        while len(self._buckets) >= _KEPT:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[who] = (left - passes * cost, now_s)
        return 0.0 if passes else (cost - left) / self._rules.requests_per_s
