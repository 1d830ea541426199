"""Processes that outlive us: recorded by pid and start time, so that a later run finds its own and no other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from command.services.account import Account

_started: list[subprocess.Popen[bytes]] = []
"""What this process started: held, so that the end of each is collected and none is left a zombie."""


def start_detached(
    argv: Sequence[str], *, account: Account, env: Mapping[str, str], cwd: Path, output: Path
) -> subprocess.Popen[bytes]:
    """Start a server in a session of its own (Ctrl-C does not reach it), as `account`; output goes to a file."""
    with output.open("ab") as out:
        if os.geteuid() == 0:
            os.fchown(out.fileno(), account.uid, account.gid)
        process = subprocess.Popen(  # noqa: S603 - argv is ours, no shell
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
            umask=0o077,
            **account.drop,
        )
    _started.append(process)
    return process


def remember(path: Path, pid: int, **facts: str) -> None:
    """Record a process that is ours."""
    with suppress(psutil.NoSuchProcess):
        started = psutil.Process(pid).create_time()
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps({"pid": pid, "started": started, **facts}))
        draft.replace(path)


def recall(path: Path, **facts: str) -> psutil.Process | None:
    """The recorded process where it still runs, is the same one (start time) and has the same facts."""
    collect_ended()
    try:
        record = json.loads(path.read_text())
        process = psutil.Process(int(record["pid"]))
        same = abs(process.create_time() - float(record["started"])) < 0.05
    except (OSError, ValueError, KeyError, psutil.NoSuchProcess):
        return None
    if not same or has_ended(process):
        return None
    return process if all(record.get(key) == value for key, value in facts.items()) else None


def has_ended(process: psutil.Process) -> bool:
    """Whether a process is gone. A zombie is: where nobody collects orphans (a container without an init) it stays."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _wait_for_end(process: psutil.Process, *, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while not has_ended(process):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    collect_ended()
    return True


def collect_ended() -> None:
    """Take note of the end of what this process started, so that none stays a zombie."""
    for child in _started:
        child.poll()


def stop(process: psutil.Process, *, within_s: float, sig: signal.Signals = signal.SIGTERM) -> bool:
    """Ask a process to end, and kill it after `within_s`. True where it ended by itself."""
    with suppress(psutil.NoSuchProcess):
        process.send_signal(sig)
    if _wait_for_end(process, within_s=within_s):
        return True
    with suppress(psutil.NoSuchProcess):
        process.kill()
    _wait_for_end(process, within_s=10.0)
    return False


def end_family(process: psutil.Process) -> None:
    """Kill a process and everything that it started, which has nothing to lose yet."""
    family = [process]
    with suppress(psutil.NoSuchProcess):
        family += process.children(recursive=True)
    for each in family:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    for each in family:
        _wait_for_end(each, within_s=10.0)
