"""Where a benchmark runs: private servers of its own, the live realm, and its real processes with their CPU seconds.

CPU seconds are those of whole process trees, with the processes that ended in them: a server's children are counted
in their parent's `children` times once it has waited for them (proc(5), stat fields 14 to 17).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

import psutil
from sqlalchemy import Engine, text

from command.bus import OBSERVATIONS, queue_depths
from command.domain.health import SourceHealth
from command.domain.realm import Realm
from command.operations.realms import open_realm
from command.services import Endpoints, PrivateServers, ensure_services
from command.store.engine import make_engine, realm_session
from command.store.health import Heartbeat, list_heartbeats, list_source_health
from command.store.notify import listen

LIVE: Final = Realm.parse("live")
STARTED_WITHIN_S: Final = 60.0
STOPPED_WITHIN_S: Final = 20.0
LOOK_EVERY_S: Final = 0.25
_SERVERS: Final = ("DATABASE_URL", "AMQP_URL", "AMQP_MANAGEMENT_URL", "MIZUGIWA_CONFIG")


class BenchFailed(RuntimeError):
    """What was to be measured did not come to its end; a figure of it would mean nothing."""


def cpu_s(root: psutil.Process) -> float:
    """CPU seconds, user and system, of a process, of those under it, and of those that ended under them."""
    total = 0.0
    for process in (root, *root.children(recursive=True)):
        try:
            total += sum(process.cpu_times()[:4])
        except psutil.NoSuchProcess:  # ended since: its parent has its time
            continue
    return total


@dataclass(kw_only=True)
class Stage:
    """The live realm on private servers, before its processes run."""

    data_dir: Path
    endpoints: Endpoints
    engine: Engine
    servers: PrivateServers
    processes: dict[str, psutil.Popen] = field(default_factory=dict)

    def start(self, *verbs: str) -> None:
        """Start these verbs and wait until each told of itself. Raises BenchFailed with the end of its log."""
        for verb in verbs:
            with (self.data_dir / f"{verb}.out").open("wb") as out:
                self.processes[verb] = psutil.Popen(
                    [sys.executable, "-m", "command.cli", verb, "--realm", LIVE.name],
                    cwd=self.data_dir,
                    env={
                        **{name: value for name, value in os.environ.items() if name not in _SERVERS},
                        "MIZUGIWA_DATA_DIR": str(self.data_dir),
                        "MIZUGIWA_CONFIG": str(self.data_dir / "mizugiwa.toml"),
                    },
                    stdin=subprocess.DEVNULL,
                    stdout=out,
                    stderr=subprocess.STDOUT,
                )
        self.wait_until(
            lambda: all(any(name.startswith(verb) for name in self.heartbeats()) for verb in verbs),
            within_s=STARTED_WITHIN_S,
            what=f"{', '.join(verbs)} did not start",
        )

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds so far of each of our processes, of RabbitMQ and of PostgreSQL."""
        used = {verb: cpu_s(process) for verb, process in self.processes.items()}
        for name, server in (("rabbitmq", self.servers.rabbitmq), ("postgresql", self.servers.postgres)):
            process = server.process() if server is not None else None
            if process is None:
                raise BenchFailed(f"the private {name} does not run")
            used[name] = cpu_s(process)
        return used

    def heartbeats(self) -> dict[str, Heartbeat]:
        with realm_session(self.engine, LIVE) as session:
            return {beat.process: beat for beat in list_heartbeats(session)}

    def source(self) -> SourceHealth | None:
        """The only source's health as last told; None before it is."""
        with realm_session(self.engine, LIVE) as session:
            return next(iter(list_source_health(session)), None)

    def observations(self) -> int:
        """Committed rows."""
        return int(self._scalar("SELECT count(*) FROM observation"))

    def tracks(self) -> int:
        return int(self._scalar("SELECT count(*) FROM track"))

    def waiting(self) -> int:
        """Messages of the observation queue that nobody has taken."""
        return queue_depths(self.endpoints.amqp_url, LIVE.vhost, (OBSERVATIONS,))[OBSERVATIONS].ready

    def wait_until(self, condition: Callable[[], object], *, within_s: float, what: str) -> None:
        """Look until it is so. Raises BenchFailed where it is not in time, or a process has ended."""
        deadline = monotonic() + within_s
        while not condition():
            ended = [verb for verb, process in self.processes.items() if process.poll() is not None]
            if ended or monotonic() > deadline:
                tails = {verb: (self.data_dir / f"{verb}.out").read_text()[-600:] for verb in ended or self.processes}
                raise BenchFailed(f"{what}; ended: {ended or 'none'}; {tails}")
            sleep(LOOK_EVERY_S)

    def stop(self) -> None:
        """End our processes, as `mizugiwa up` does; the servers go on."""
        ending = [self.processes.pop(verb) for verb in list(self.processes)]
        for process in ending:
            if process.poll() is None:
                process.terminate()
        for process in ending:
            try:
                process.wait(STOPPED_WITHIN_S)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait()

    def _scalar(self, query: str) -> Any:
        with realm_session(self.engine, LIVE) as session:
            return session.execute(text(query)).scalar_one()


@contextmanager
def stage(settings_toml: str) -> Iterator[Stage]:
    """Private PostGIS and RabbitMQ in a new data directory and an open live realm; nothing of it is left afterwards."""
    data_dir = Path(tempfile.mkdtemp(prefix="mizugiwa-bench-"))
    data_dir.chmod(0o711)  # the servers' account passes through
    (data_dir / "mizugiwa.toml").write_text(settings_toml, "utf-8")
    servers = PrivateServers.of(data_dir, database_url=None, amqp_url=None)
    try:
        endpoints = ensure_services(data_dir, database_url=None, amqp_url=None)
        engine = make_engine(endpoints.database_url)
        try:
            open_realm(engine, endpoints, LIVE)
            made = Stage(data_dir=data_dir, endpoints=endpoints, engine=engine, servers=servers)
            try:
                yield made
            finally:
                made.stop()
        finally:
            engine.dispose()
    finally:
        servers.stop()
        shutil.rmtree(data_dir)


@contextmanager
def ungrouped() -> Iterator[str]:
    """Settings by which each alert goes out by itself: the way of one alert is measured, not how long a group waits."""
    with tempfile.TemporaryDirectory(prefix="mizugiwa-bench-policy-") as folder:
        policy = Path(folder) / "alerts.toml"
        policy.write_text('[route]\ngroup_by = ["..."]\ngroup_wait = "0s"\ngroup_interval = "0s"\n', "utf-8")
        yield f"alerts_policy = {str(policy)!r}\n"


def used_between(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    return {name: round(after[name] - before[name], 2) for name in after}


class CommitWatch:
    """Hears each commit that changes tracks (LISTEN), so that the last one's moment is known without asking."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._stop = threading.Event()
        self._listens = threading.Event()
        self._thread = threading.Thread(target=self._run, name="commits")
        self.last_s = 0.0

    def __enter__(self) -> CommitWatch:
        self._thread.start()
        self._listens.wait(STARTED_WITHIN_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with closing(listen(self._stage.endpoints.database_url, LIVE, timeout_s=LOOK_EVERY_S)) as payloads:
            for payload in payloads:
                self._listens.set()
                if payload is not None and "tracks" in payload:
                    self.last_s = monotonic()
                if self._stop.is_set():
                    return
