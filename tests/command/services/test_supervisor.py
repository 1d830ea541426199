"""The supervisor: starts again what dies, adopts what a killed one left, stops everything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from command.services import AlreadyRunning, Child, PrivateServers, Supervisor

SLEEPER = (sys.executable, "-c", "import signal; signal.pause()")
NO_SERVERS = PrivateServers(postgres=None, rabbitmq=None)


class Running:
    """A supervisor in a thread, and what it told."""

    def __init__(self, data_dir: Path, *children: Child) -> None:
        self.events: list[tuple[str, str]] = []
        self.supervisor = Supervisor(
            data_dir, children, NO_SERVERS, on_event=lambda name, what: self.events.append((name, what))
        )
        self.supervisor.lock()
        self.thread = threading.Thread(target=self.supervisor.run)
        self.thread.start()

    def stop(self) -> None:
        self.supervisor.request_stop()
        self.thread.join(timeout=60)
        assert not self.thread.is_alive()
        self.supervisor.release()


def pid_of(data_dir: Path, name: str) -> int | None:
    import json

    path = data_dir / "run" / f"{name}.json"
    return int(json.loads(path.read_text())["pid"]) if path.exists() else None


def alive(pid: int | None) -> bool:
    try:
        return pid is not None and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_killed_child_is_started_again_and_the_stop_ends_all(tmp_path: Path, eventually: Callable[..., None]) -> None:
    running = Running(tmp_path, Child(name="a", argv=SLEEPER), Child(name="b", argv=SLEEPER))
    try:
        eventually(lambda: ("b", "started") in running.events)
        first = pid_of(tmp_path, "a")
        assert first is not None
        os.kill(first, 9)
        eventually(lambda: ("a", "started again") in running.events)
        second = pid_of(tmp_path, "a")
        assert second != first
    finally:
        running.stop()
    assert not alive(second)
    assert [what for name, what in running.events if name == "a"] == ["started", "died", "started again"]


def test_children_of_a_killed_supervisor_are_adopted(tmp_path: Path, eventually: Callable[..., None]) -> None:
    # given a supervisor in a process of its own, killed with -9
    script = (
        "import sys; from pathlib import Path; from command.services import *\n"
        f"s = Supervisor(Path({str(tmp_path)!r}), [Child(name='a', argv={SLEEPER!r})], "
        "PrivateServers(postgres=None, rabbitmq=None), on_event=print)\n"
        "s.lock(); s.run()"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL) as up:
        eventually(lambda: alive(pid_of(tmp_path, "a")))
        up.kill()
    orphan = pid_of(tmp_path, "a")
    assert alive(orphan)
    # when a new one starts on the same folder
    running = Running(tmp_path, Child(name="a", argv=SLEEPER))
    try:
        eventually(lambda: running.events)
        # then the orphan is its child now
        assert running.events[0] == ("a", "adopted")
        assert pid_of(tmp_path, "a") == orphan
    finally:
        running.stop()
    eventually(lambda: not alive(orphan))


def test_an_orphan_with_other_settings_is_replaced(tmp_path: Path, eventually: Callable[..., None]) -> None:
    old = Running(tmp_path, Child(name="a", argv=SLEEPER, env={"REALM": "live"}))
    eventually(lambda: alive(pid_of(tmp_path, "a")))
    orphan = pid_of(tmp_path, "a")
    record = (tmp_path / "run" / "a.json").read_text()
    new_folder = tmp_path / "copy"
    (new_folder / "run").mkdir(parents=True)
    (new_folder / "run" / "a.json").write_text(record)
    new = Running(new_folder, Child(name="a", argv=SLEEPER, env={"REALM": "drill-x"}))
    try:
        eventually(lambda: ("a", "started") in new.events)
        assert new.events[0] == ("a", "stray stopped")
        assert pid_of(new_folder, "a") != orphan
    finally:
        new.stop()
        old.stop()


def test_a_second_supervisor_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    first = Running(tmp_path)
    try:
        second = Supervisor(tmp_path, [], NO_SERVERS, on_event=lambda *_: None)
        with pytest.raises(AlreadyRunning, match=f"process {os.getpid()}"):
            second.lock()
        first.supervisor.release()
        second.lock()
        second.release()
    finally:
        first.stop()


def test_a_child_that_cannot_stay_up_is_tried_with_growing_pauses(
    tmp_path: Path, eventually: Callable[..., None]
) -> None:
    running = Running(tmp_path, Child(name="a", argv=(sys.executable, "-c", "raise SystemExit(3)")))
    try:
        eventually(lambda: running.events.count(("a", "died")) >= 3)
    finally:
        running.stop()


NO_ROOM = """
import resource, signal, sys
from pathlib import Path
from command.services import Child, PrivateServers, Supervisor

def room(size):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

guard = Supervisor(Path(sys.argv[1]), [Child(name=name, argv=sys.argv[2:]) for name in "ab"],
    PrivateServers(postgres=None, rabbitmq=None), on_event=lambda name, what: print(name, what, flush=True))
signal.signal(signal.SIGUSR1, lambda *_: room(0))
signal.signal(signal.SIGUSR2, lambda *_: room(resource.RLIM_INFINITY))
signal.signal(signal.SIGTERM, lambda *_: guard.request_stop())
guard.lock()
guard.run()
print(guard.trouble, flush=True)
"""


def test_on_a_full_disk_it_goes_on_tells_it_once_and_comes_back(
    tmp_path: Path, eventually: Callable[..., None]
) -> None:
    # given a supervisor whose files cannot grow any more, as on a full disk
    told: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-c", NO_ROOM, str(tmp_path), *SLEEPER], stdout=subprocess.PIPE, text=True
    ) as up:
        assert up.stdout is not None
        reader = threading.Thread(target=lambda out: told.extend(line.rstrip() for line in out), args=(up.stdout,))
        reader.start()
        try:
            eventually(lambda: "b started" in told)
            up.send_signal(signal.SIGUSR1)
            # when a child dies, and the one that was started for it as well
            for times in (1, 2):
                victims = [p for p in psutil.Process(up.pid).children() if p.pid != pid_of(tmp_path, "b")]
                victims[0].kill()
                eventually(lambda times=times: told.count("a started again") == times)
            # then it is kept running all the same, and the trouble is told once
            assert [line for line in told if "trouble" in line] == [
                "a trouble: [Errno 27] File too large; tried again until it works"
            ]
            # when there is room again; then the child is recorded, for a later run to adopt
            up.send_signal(signal.SIGUSR2)
            eventually(lambda: "a well again after: [Errno 27] File too large" in told)
            assert alive(pid_of(tmp_path, "a"))
            assert {p.pid for p in psutil.Process(up.pid).children()} == {pid_of(tmp_path, n) for n in "ab"}
        finally:
            up.terminate()
            up.wait(60)
            reader.join(20)
    assert up.returncode == 0
    assert told[-1] == "None"
