"""Recordings played in a realm of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from command.app.program import endpoints_of, process
from command.domain.realm import Realm
from command.operations.replay import realm_of_files
from command.operations.replay import replay as replay_files
from command.services import AlreadyRunning, Endpoints, PrivateServers, Supervisor, ensure_services
from command.settings import BadSettings, Settings
from sensors.recordings import open_recording


def run_replay(
    settings: Settings,
    files: Sequence[Path],
    *,
    speed: str,
    realm: Realm | None,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """The verb `replay`: starts the private servers where they do not run, and gives the report.

    Raises BadRecording, BadSettings and what else a person can mend.
    """
    pace = speed_of(speed)
    where = realm or realm_of_files(files)
    for file in files:
        open_recording(file)  # what is no recording is refused before any server is started for it
    with _servers(settings) as endpoints, process("replay", settings, where) as (program, stop):
        say(f"replaying in the realm {where.name}")
        return replay_files(
            program.engine,
            endpoints,
            files,
            speed=pace,
            rejects_dir=settings.data_dir / "rejected" / where.name,
            realm=where,
            rules=settings.rules,
            stop=stop,
        )


@contextmanager
def _servers(settings: Settings) -> Iterator[Endpoints]:
    """The servers: those of the `mizugiwa up` that runs here, else our own, stopped at the end."""
    servers = PrivateServers.of(settings.data_dir, database_url=settings.database_url, amqp_url=settings.amqp_url)
    guard = Supervisor(settings.data_dir, [], servers, on_event=lambda *_: None)
    try:
        guard.lock()
    except AlreadyRunning:
        yield endpoints_of(settings)
        return
    try:
        yield ensure_services(
            settings.data_dir,
            database_url=settings.database_url,
            amqp_url=settings.amqp_url,
            management_url=settings.amqp_management_url,
        )
    finally:
        servers.stop()
        guard.release()


def speed_of(word: str) -> float | Literal["max"]:
    """`max` or a number above 0. Raises BadSettings."""
    if word == "max":
        return "max"
    try:
        speed = float(word.removesuffix("x"))
    except ValueError as exc:
        raise BadSettings(f"--speed {word!r}: write max, or a number such as 1 or 10") from exc
    if not 0 < speed <= 1_000:
        raise BadSettings(f"--speed {word!r}: write max, or a number above 0 and up to 1000")
    return speed
