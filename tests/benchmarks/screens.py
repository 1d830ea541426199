"""Simulated consoles for `console`: WebSockets that look at a part of the sea and note how late each report came.

    python screens.py URL COOKIE ORIGIN BEGAN_S VESSELS NEAR CONSOLES SECONDS

BEGAN_S: of the monotonic clock, when the fleet's first report was due. A report's lateness counts from when it was
due, so a sender that falls behind is not excused. Writes JSON: {"p50_ms", "p99_ms", "max_ms", "messages", "bytes",
"reports", "cpu_s", "connections"}.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from time import monotonic, process_time
from typing import Any, Final

import numpy as np
from fleet import FIRST_MMSI, NEAR, Fleet
from websockets.asyncio.client import connect

from command.operations.picture import RECORD_DTYPE, FrameKind

HEAD_BYTES: Final = 24
LATE_MS: Final = 60_000
ZOOM: Final = 10.0


class Screens:
    def __init__(self, fleet: Fleet, began_s: float) -> None:
        self._fleet = fleet
        self._began_s = began_s
        self._vessel = np.full(fleet.count + 1_000, -1, dtype=np.int64)
        self.late_ms = np.zeros(LATE_MS, dtype=np.int64)
        self.messages = self.bytes = self.reports = self.connections = 0

    async def look(self, url: str, headers: dict[str, str], origin: Any, ends_s: float) -> None:
        async with connect(url, additional_headers=headers, origin=origin, max_size=None) as socket:
            self.connections += 1
            await socket.send(json.dumps({"type": "view", "bbox": NEAR, "zoom": ZOOM}))
            while (left_s := ends_s - monotonic()) > 0:
                try:
                    async with asyncio.timeout(left_s):
                        message = await socket.recv()
                except TimeoutError:
                    return
                self._take(message, monotonic())

    def _take(self, message: str | bytes, now_s: float) -> None:
        if isinstance(message, str):
            self._learn(json.loads(message))
            return
        if message[1] != FrameKind.DELTA:
            return
        self.messages += 1
        self.bytes += len(message)
        records = np.frombuffer(message, dtype=RECORD_DTYPE, offset=HEAD_BYTES)
        vessel = self._vessel[records["handle"]]
        known = (vessel >= 0) & (records["heading_cdeg"] < 36_000)
        due_s = self._began_s + self._fleet.due_s(records["heading_cdeg"][known] // 100, vessel[known])
        late_ms = ((now_s - due_s) % 360.0 * 1e3).astype(np.int64)
        self.reports += len(late_ms)
        self.late_ms += np.bincount(np.minimum(late_ms, LATE_MS - 1), minlength=LATE_MS)

    def _learn(self, told: dict[str, Any]) -> None:
        for handle, _, label in told.get("tracks", ()):
            found = re.search(r"\d{9}", label)
            if found is not None and handle < len(self._vessel):
                self._vessel[handle] = int(found[0]) - FIRST_MMSI

    def told(self) -> dict[str, Any]:
        upto = np.cumsum(self.late_ms)
        at = {f"p{p}_ms": int(np.searchsorted(upto, upto[-1] * p / 100)) for p in (50, 99)}
        return {
            **at,
            "max_ms": int(np.flatnonzero(self.late_ms)[-1]) if upto[-1] else None,
            "messages": self.messages,
            "bytes": self.bytes,
            "reports": self.reports,
            "cpu_s": round(process_time(), 2),
            "connections": self.connections,
        }


async def main() -> None:
    url, cookie, origin, began_s, vessels, near, consoles, seconds = sys.argv[1:]
    screens = Screens(Fleet(count=int(vessels), near=int(near)), float(began_s))
    ends_s = monotonic() + float(seconds)
    looks = (screens.look(url, {"Cookie": cookie}, origin, ends_s) for _ in range(int(consoles)))
    await asyncio.gather(*looks)
    sys.stdout.write(json.dumps(screens.told()) + "\n")


if __name__ == "__main__":
    asyncio.run(main())
