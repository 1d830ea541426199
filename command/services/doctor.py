"""What is missing on this machine, and the line that mends it."""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from command.services.account import check_reachable, server_account
from command.services.endpoints import PrivateServers
from command.services.errors import ServiceMissing
from command.services.postgres import find_postgres
from command.services.rabbitmq import answers_amqp, find_epmd, find_rabbitmq

_FREE_DISK_BYTES: Final = 2 * 1024**3


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One thing that was looked at. `mend` is the line to run or write where it is not well."""

    what: str
    well: bool
    detail: str
    mend: str = ""


def _ask(what: str, question: Callable[[], str]) -> Finding:
    try:
        return Finding(what=what, well=True, detail=question())
    except ServiceMissing as exc:
        problem, _, mend = str(exc).partition("; ")
        return Finding(what=what, well=False, detail=problem, mend=mend)


def examine(
    data_dir: Path,
    *,
    database_url: str | None,
    amqp_url: str | None,
    web_host: str,
    web_port: int,
    bundle: Path,
) -> Iterator[Finding]:
    """Every finding, in the order in which things are needed. Starts and changes nothing."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding(
        what="python",
        well=sys.version_info >= (3, 11),
        detail=version,
        mend="install Python 3.11 or later, remove .venv and run `make up`",
    )
    private = database_url is None or amqp_url is None
    if private:
        yield _ask("account", lambda: server_account().name)
        yield _ask("data directory", lambda: _reachable(data_dir))
    if database_url is None:
        yield _ask("PostgreSQL with PostGIS", lambda: f"version {find_postgres().version}")
    if amqp_url is None:
        yield _ask("RabbitMQ", lambda: str(find_rabbitmq()))
        yield _ask("epmd", lambda: str(find_epmd()))
    free = shutil.disk_usage(next(p for p in (data_dir, *data_dir.parents) if p.exists())).free
    yield Finding(
        what="disk",
        well=free >= _FREE_DISK_BYTES,
        detail=f"{free / 1024**3:.1f} GiB free at {data_dir}",
        mend="free at least 2 GiB there, or set MIZUGIWA_DATA_DIR to another disk",
    )
    yield Finding(
        what="map bundle",
        well=any(bundle.glob("*.js")),
        detail=str(bundle),
        mend="run `make up` once: it builds the bundle",
    )
    if private:
        yield _running(data_dir, database_url=database_url, amqp_url=amqp_url)
    yield _console(web_host, web_port)


def _reachable(data_dir: Path) -> str:
    check_reachable(data_dir, server_account())
    return str(data_dir)


def _running(data_dir: Path, *, database_url: str | None, amqp_url: str | None) -> Finding:
    try:
        servers = PrivateServers.of(data_dir, database_url=database_url, amqp_url=amqp_url)
        down = servers.down()
    except ServiceMissing as exc:
        return Finding(what="servers", well=False, detail=str(exc), mend="run `mizugiwa up`")
    return Finding(
        what="servers",
        well=not down,
        detail="running" if not down else f"not running: {', '.join(down)}",
        mend="run `mizugiwa up`; if that fails, read server.log in the data directory's pg and mq folders",
    )


def _console(host: str, port: int) -> Finding:
    with socket.socket() as probe:
        probe.settimeout(1.0)
        taken = probe.connect_ex((host, port)) == 0
    if not taken:
        return Finding(what="console port", well=True, detail=f"{port} is free: the console is not running")
    broker = answers_amqp(host, port)
    return Finding(
        what="console port",
        well=not broker,
        detail=f"{port} answers" + (" as a message broker" if broker else ""),
        mend="set MIZUGIWA_WEB_PORT to a free port",
    )
