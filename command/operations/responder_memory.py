"""Which revisions a responder's client has shown, in a small file that survives its restart."""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TextIO

KEEP_ALERTS: Final = 10_000
_LINE: Final = re.compile(r"([0-9a-f-]{36}) ([1-9][0-9]{0,9})")


class ShownAlerts:
    """The highest shown revision of each of the latest 10,000 alerts. `problem` says why the file is not used.

    Without a usable file it works in memory: an alert shown twice is better than none.
    """

    def __init__(self, path: Path | None) -> None:
        self._highest: OrderedDict[str, int] = OrderedDict()
        self._file: TextIO | None = None
        self.problem: str | None = None
        if path is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists():
                for line in path.read_text("utf-8", errors="replace").splitlines():
                    if found := _LINE.fullmatch(line):
                        self._keep(found[1], int(found[2]))
            fresh = path.with_name(f"{path.name}.{os.getpid()}")
            fresh.write_text("".join(f"{alert} {revision}\n" for alert, revision in self._highest.items()), "utf-8")
            fresh.replace(path)
            self._file = path.open("a", encoding="utf-8")
        except OSError as exc:
            self.problem = str(exc)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def is_new(self, alert_id: str, revision: int) -> bool:
        """Whether this revision is higher than every one that was shown of its alert."""
        return revision > self._highest.get(alert_id, 0)

    def remember(self, alert_id: str, revision: int) -> None:
        self._keep(alert_id, revision)
        if self._file is None:
            return
        try:
            self._file.write(f"{alert_id} {revision}\n")
            self._file.flush()
        except OSError as exc:
            self.problem = str(exc)
            self.close()

    def close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except OSError as exc:
                self.problem = str(exc)

    def _keep(self, alert_id: str, revision: int) -> None:
        self._highest[alert_id] = max(revision, self._highest.pop(alert_id, 0))
        if len(self._highest) > KEEP_ALERTS:
            self._highest.popitem(last=False)
