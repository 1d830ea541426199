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

from command.services.endpoints import PrivateServers
from command.services.errors import ServiceMissing
from command.services.process import has_ended, recall, remember, stop

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
    recorded: bool = False


class Supervisor:
    """Runs children until told to stop; starts again what dies, with growing pauses.

    A child is in a session of its own: Ctrl-C reaches the supervisor alone, which stops the children in order
    (the last started first) and the servers after them. What a killed supervisor left behind is adopted by the
    next one on the same data directory. What the machine refuses (a full disk, no more processes) is told once and
    tried again until it works; the others are watched meanwhile.
    """

    def __init__(
        self,
        data_dir: Path,
        children: Sequence[Child],
        servers: PrivateServers,
        *,
        on_event: Callable[[str, str], None],
    ) -> None:
        """on_event(name, what): `started`, `adopted`, `died`, `trouble: ...`, for the terminal and the log."""
        self._run_dir = data_dir / "run"
        self._log_dir = data_dir / "logs"
        for folder in (self._run_dir, self._log_dir):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
        self._watches = [_Watch(child=child) for child in children]
        self._servers = servers
        self._on_event = on_event
        self._down: set[str] = set()
        self._troubles: dict[str, str] = {}
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

    @property
    def trouble(self) -> str | None:
        """What cannot be kept running as it should, and why, in one line; None while all is well."""
        return "; ".join(f"{name}: {why}" for name, why in self._troubles.copy().items()) or None

    def run(self) -> None:
        """Start the children and keep them running until request_stop. Returns when everything has ended."""
        try:
            self._end_strays()
            while not self._stop.is_set():
                self._mend_servers()
                for watch in self._watches:
                    try:
                        self._look_at(watch)
                    except OSError as exc:
                        self._troubled(watch.child.name, exc)
                self._stop.wait(_LOOK_EVERY_S)
        finally:
            self._end_children()

    def _tell(self, name: str, what: str) -> None:
        with suppress(OSError):  # a terminal that is gone must not end the watch
            self._on_event(name, what)

    def _troubled(self, name: str, reason: Exception) -> None:
        if name not in self._troubles:
            self._troubles[name] = str(reason)
            self._tell(name, f"trouble: {reason}; tried again until it works")

    def _well(self, name: str) -> None:
        if name in self._troubles:
            self._tell(name, f"well again after: {self._troubles.pop(name)}")

    def _record(self, child: Child) -> Path:
        return self._run_dir / f"{child.name}.json"

    def _end_strays(self) -> None:
        """Processes of an earlier run that this one does not want (another realm, other settings)."""
        wanted = {watch.child.name: watch.child.fingerprint for watch in self._watches}
        for path in self._run_dir.glob("*.json"):
            process = recall(path)
            if process is not None and recall(path, fingerprint=wanted.get(path.stem, "")) is None:
                self._tell(path.stem, "stray stopped")
                stop(process, within_s=_STOP_WITHIN_S)

    def _look_at(self, watch: _Watch) -> None:
        now = time.monotonic()
        if watch.popen is not None:
            watch.popen.poll()
        if watch.process is not None and not has_ended(watch.process):
            if now - watch.started_at_s > _CALM_AFTER_S:
                watch.pause_s = _FIRST_PAUSE_S
            self._keep_record(watch)
            self._well(watch.child.name)
            return
        if watch.process is not None:
            watch.process, watch.popen = None, None
            watch.restarts += 1
            watch.start_after_s = now + watch.pause_s
            watch.pause_s = min(watch.pause_s * 2, _LONGEST_PAUSE_S)
            self._tell(watch.child.name, "died")
        if now >= watch.start_after_s:
            self._start(watch)

    def _start(self, watch: _Watch) -> None:
        child = watch.child
        orphan = recall(self._record(child), fingerprint=child.fingerprint)
        watch.started_at_s = time.monotonic()
        if orphan is not None:
            watch.process, watch.recorded = orphan, True
            self._tell(child.name, "adopted")
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
        watch.recorded = False
        with suppress(psutil.NoSuchProcess):
            watch.process = psutil.Process(watch.popen.pid)
        try:
            self._keep_record(watch)
        finally:
            self._tell(child.name, "started" if watch.restarts == 0 else "started again")

    def _keep_record(self, watch: _Watch) -> None:
        """Record a child so that a later run can adopt it. Raises OSError where nothing can be written."""
        if not watch.recorded and watch.process is not None:
            remember(self._record(watch.child), watch.process.pid, fingerprint=watch.child.fingerprint)
            watch.recorded = True

    def _mend_servers(self) -> None:
        for name in self._servers.down():
            if name not in self._down:
                self._down.add(name)
                self._tell(name, "died")
            try:
                self._servers.start()
            except (ServiceMissing, OSError) as exc:
                self._troubled(name, exc)
                self._stop.wait(2.0)
            else:
                self._down.discard(name)
                self._tell(name, "started again")
                self._well(name)

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
            with suppress(OSError):  # a record of what has ended misleads nobody
                self._record(watch.child).unlink(missing_ok=True)
