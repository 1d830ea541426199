"""Keeps the program's processes running: children by verb, and the private servers beneath them."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

import psutil
import structlog

from command.services.endpoints import PrivateServers
from command.services.errors import ServiceMissing
from command.services.process import has_ended, recall, remember, stop

_log = structlog.get_logger()
_LOOK_EVERY_S: Final = 0.25
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 15.0
_CALM_AFTER_S: Final = 30.0
_STOP_WITHIN_S: Final = 12.0


class AlreadyRunning(RuntimeError):
    """Another `mizugiwa up` holds this data directory."""


@dataclass(frozen=True, kw_only=True)
class Child:
    """One process of ours: its name (the verb), its command line and the environment that it adds to ours."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def fingerprint(self) -> str:
        """An orphan is adopted only where it was started by the same line with the same settings."""
        return "\0".join([*self.argv, *(f"{k}={v}" for k, v in sorted(self.env.items()))])


@dataclass(kw_only=True)
class _Watch:
    child: Child
    process: psutil.Process | None = None
    popen: subprocess.Popen[bytes] | None = None
    started_at_s: float = 0.0
    pause_s: float = _FIRST_PAUSE_S
    start_after_s: float = 0.0
    restarts: int = 0


class Supervisor:
    """Runs children until told to stop; starts again what dies, with growing pauses.

    A child is in a session of its own: Ctrl-C reaches the supervisor alone, which stops the children in order
    (the last started first) and the servers after them. What a killed supervisor left behind is adopted by the
    next one on the same data directory.
    """

    def __init__(
        self,
        data_dir: Path,
        children: Sequence[Child],
        servers: PrivateServers,
        *,
        on_event: Callable[[str, str], None],
    ) -> None:
        """on_event(name, what): `started`, `adopted`, `died`, for the terminal and the log."""
        self._run_dir = data_dir / "run"
        self._log_dir = data_dir / "logs"
        for folder in (self._run_dir, self._log_dir):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        self._watches = [_Watch(child=child) for child in children]
        self._servers = servers
        self._on_event = on_event
        self._stop = threading.Event()
        self._lock: IO[str] | None = None

    def lock(self) -> None:
        """Claim the data directory. Raises AlreadyRunning with the pid that holds it."""
        path = self._run_dir / "up.lock"
        file = path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            file.close()
            raise AlreadyRunning(
                f"Mizugiwa already runs here (process {holder}); stop it with Ctrl-C, "
                "or choose another MIZUGIWA_DATA_DIR"
            ) from exc
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        self._lock = file

    def release(self) -> None:
        """Give the data directory free."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def add(self, children: Sequence[Child]) -> None:
        """Further children, before `run`: what they are called with is known only after the servers run."""
        self._watches += [_Watch(child=child) for child in children]

    @property
    def stopping(self) -> threading.Event:
        return self._stop

    def request_stop(self) -> None:
        self._stop.set()

    def run(self) -> None:
        """Start the children and keep them running until request_stop. Returns when everything has ended."""
        try:
            self._end_strays()
            while not self._stop.is_set():
                self._mend_servers()
                for watch in self._watches:
                    self._look_at(watch)
                self._stop.wait(_LOOK_EVERY_S)
        finally:
            self._end_children()

    def _record(self, child: Child) -> Path:
        return self._run_dir / f"{child.name}.json"

    def _end_strays(self) -> None:
        """Processes of an earlier run that this one does not want (another realm, other settings)."""
        wanted = {watch.child.name: watch.child.fingerprint for watch in self._watches}
        for path in self._run_dir.glob("*.json"):
            process = recall(path)
            if process is not None and recall(path, fingerprint=wanted.get(path.stem, "")) is None:
                self._on_event(path.stem, "stray stopped")
                stop(process, within_s=_STOP_WITHIN_S)

    def _look_at(self, watch: _Watch) -> None:
        now = time.monotonic()
        if watch.popen is not None:
            watch.popen.poll()
        if watch.process is not None and not has_ended(watch.process):
            if now - watch.started_at_s > _CALM_AFTER_S:
                watch.pause_s = _FIRST_PAUSE_S
            return
        if watch.process is not None:
            watch.process, watch.popen = None, None
            watch.restarts += 1
            watch.start_after_s = now + watch.pause_s
            watch.pause_s = min(watch.pause_s * 2, _LONGEST_PAUSE_S)
            self._on_event(watch.child.name, "died")
        if now >= watch.start_after_s:
            self._start(watch)

    def _start(self, watch: _Watch) -> None:
        child = watch.child
        orphan = recall(self._record(child), fingerprint=child.fingerprint)
        watch.started_at_s = time.monotonic()
        if orphan is not None:
            watch.process = orphan
            self._on_event(child.name, "adopted")
            return
        with (self._log_dir / f"{child.name}.out").open("ab") as output:
            watch.popen = subprocess.Popen(  # noqa: S603 - argv is ours, no shell
                list(child.argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **child.env},
                start_new_session=True,
            )
        with suppress(psutil.NoSuchProcess):
            watch.process = psutil.Process(watch.popen.pid)
        remember(self._record(child), watch.popen.pid, fingerprint=child.fingerprint)
        self._on_event(child.name, "started" if watch.restarts == 0 else "started again")

    def _mend_servers(self) -> None:
        for name in self._servers.down():
            self._on_event(name, "died")
            try:
                self._servers.start()
            except ServiceMissing as exc:
                _log.error("a server does not start", server=name, reason=str(exc))
                self._stop.wait(2.0)
            else:
                self._on_event(name, "started again")

    def _end_children(self) -> None:
        running = [watch.process for watch in reversed(self._watches) if watch.process is not None]
        for process in running:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_WITHIN_S
        for process in running:
            stop(process, within_s=max(0.1, deadline - time.monotonic()))
        for watch in self._watches:
            if watch.popen is not None:
                watch.popen.wait()
            self._record(watch.child).unlink(missing_ok=True)
