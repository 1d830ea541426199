"""Processes that a start leaves behind when it is told to stop half way."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import psutil

from command.services.process import end_family, has_ended


def test_a_starter_is_ended_with_everything_that_it_started(eventually: Callable[..., None]) -> None:
    starter = subprocess.Popen(["/bin/sh", "-c", "/bin/sleep 300 & wait"], start_new_session=True)
    parent = psutil.Process(starter.pid)
    eventually(parent.children)
    family = [parent, *parent.children()]

    end_family(parent)

    starter.wait()
    assert all(has_ended(process) for process in family)
