"""The bounded place where the raw bytes of rejected messages are kept: one file a source, and the one before it."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TextIO

from command.domain.clock import from_us

MAX_FILE_BYTES: Final = 1_048_576
MAX_RAW_BYTES: Final = 4_096
MAX_A_SECOND: Final = 100
"""Of each source. A flood is counted in full by the tally; keeping every byte of it would only wear the disk."""
_NAME: Final = re.compile(r"[a-z0-9-]{1,64}")


class RejectStore:
    """A RejectSink in a directory: `<source>.jsonl`, and `<source>.1.jsonl` once the first was full.

    A line is `{"at", "reason", "raw", "raw_bytes", "skipped"}`: `raw` is Latin-1 text of the bytes (one character a
    byte, so nothing is lost), cut at MAX_RAW_BYTES; `skipped` counts those before it that came too fast to be kept.
    A disk that is full never stops a source: `write_failures` counts what could not be kept.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_file_bytes: int = MAX_FILE_BYTES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._directory = directory
        self._monotonic = monotonic
        self._max_file_bytes = max_file_bytes
        self._files: dict[str, TextIO] = {}
        self._budget: dict[str, tuple[float, int, int]] = {}
        self._lock = threading.Lock()
        self.write_failures = 0
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def keep(self, *, source: str, reason: str, raw: bytes, received_at_us: int) -> None:
        """Keep one rejected message. Never raises."""
        with self._lock:
            skipped = self._spend(source)
            if skipped is None:
                return
            line = json.dumps(
                {
                    "at": from_us(received_at_us).isoformat(),
                    "reason": reason,
                    "raw": raw[:MAX_RAW_BYTES].decode("latin-1"),
                    "raw_bytes": len(raw),
                    "skipped": skipped,
                }
            )
            try:
                self._write(source, line + "\n")
            except OSError:
                self.write_failures += 1
                self._forget(source)

    def close(self) -> None:
        """Close the files."""
        with self._lock:
            for source in list(self._files):
                self._forget(source)

    def _spend(self, source: str) -> int | None:
        """How many were skipped before this one, or None when this one is skipped."""
        now = self._monotonic()
        since, spent, skipped = self._budget.get(source, (now, 0, 0))
        if now - since >= 1.0:
            since, spent = now, 0
        if spent >= MAX_A_SECOND:
            self._budget[source] = (since, spent, skipped + 1)
            return None
        self._budget[source] = (since, spent + 1, 0)
        return skipped

    def _write(self, source: str, line: str) -> None:
        file = self._files.get(source)
        if file is None:
            file = self._files[source] = self._path(source).open("a", encoding="ascii")
        if file.tell() + len(line) > self._max_file_bytes and file.tell():
            file.close()
            self._path(source).replace(self._path(f"{source}.1"))
            file = self._files[source] = self._path(source).open("a", encoding="ascii")
        file.write(line)
        file.flush()

    def _path(self, stem: str) -> Path:
        return self._directory / f"{stem}.jsonl"

    def _forget(self, source: str) -> None:
        file = self._files.pop(source, None)
        if file is not None:
            try:
                file.close()
            except OSError:
                self.write_failures += 1


def read_rejects(directory: Path, source: str) -> Iterator[Mapping[str, Any]]:
    """What is kept of a source, oldest first, with `raw` as bytes. Raises ValueError for a name that is no source's."""
    if not _NAME.fullmatch(source):
        raise ValueError(f"source {source!r}: a source's name has small letters, digits and hyphens")
    for path in (directory / f"{source}.1.jsonl", directory / f"{source}.jsonl"):
        if not path.is_file():
            continue
        with path.open(encoding="ascii") as lines:
            for line in lines:
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue  # the last line of a process that was killed while it wrote
                yield {**entry, "raw": entry["raw"].encode("latin-1")}
