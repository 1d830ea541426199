"""Names are believed after two equal reports: one flipped bit gives a vessel a name that nobody bears."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

MAX_VESSELS: Final = 100_000
BELIEVED_AFTER_TWO: Final = ("name", "callsign")


class Beliefs:
    """What each MMSI was last heard to call itself. Bounded; the longest known go first."""

    def __init__(self) -> None:
        self._heard: dict[tuple[int, str], str] = {}

    def judge(self, mmsi: int, facts: Mapping[str, Any]) -> dict[str, Any]:
        """`facts` with each name under its own key when it equals the last report, else under `..._unconfirmed`."""
        judged = dict(facts)
        for what in BELIEVED_AFTER_TWO:
            text = judged.get(what)
            if text is None:
                continue
            if self._heard.get((mmsi, what)) != text:
                self._heard[mmsi, what] = text
                judged[f"{what}_unconfirmed"] = judged.pop(what)
                if len(self._heard) > MAX_VESSELS * len(BELIEVED_AFTER_TWO):
                    del self._heard[next(iter(self._heard))]
        return judged
