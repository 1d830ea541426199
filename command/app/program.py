"""What every process of a realm has: settings, servers, connections, a place for its log, and a way to be stopped."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from sqlalchemy import Engine

from command.app.logs import configure_logging
from command.app.mendable import MENDABLE
from command.bus import Binding, Team
from command.domain.clock import Clock, SystemClock
from command.domain.realm import Realm
from command.operations.realms import realm_clock
from command.services import Endpoints, locate_services
from command.settings import Settings
from command.store.engine import StoreUnavailable, make_engine, realm_session
from command.store.health import save_heartbeat

LOG_DIR_VARIABLE: Final = "MIZUGIWA_LOG_DIR"
"""Set by `mizugiwa up` for its children; a verb run by hand logs to standard error."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Program:
    """A process's view of the program, in one realm."""

    settings: Settings
    endpoints: Endpoints
    realm: Realm
    engine: Engine

    @property
    def teams(self) -> tuple[Team, ...]:
        return teams_of(self.settings)

    def clock(self, stop: threading.Event) -> Clock:
        """The realm's clock. A database that is away is waited for, until `stop`, which gives the host's."""
        while not stop.is_set():
            try:
                return realm_clock(self.engine, self.realm)
            except StoreUnavailable as exc:
                _log.warning("waiting for the database", reason=str(exc))
                stop.wait(1.0)
        return SystemClock()

    def beat(self, process: str) -> Callable[[Mapping[str, Any]], None]:
        """A heartbeat of `process`, which a database that is away does not stop."""

        def save(detail: Mapping[str, Any]) -> None:
            try:
                with realm_session(self.engine, self.realm) as session:
                    save_heartbeat(session, process, now_us=SystemClock().now_us(), pid=os.getpid(), detail=detail)
            except StoreUnavailable as exc:
                _log.warning("the heartbeat was not stored", process=process, reason=str(exc))

        return save


def teams_of(settings: Settings) -> tuple[Team, ...]:
    return tuple(
        Team(name=team.name, bindings=(Binding(severities=team.severities, areas=team.areas, rules=team.rules),))
        for team in settings.teams
    )


def endpoints_of(settings: Settings) -> Endpoints:
    """Where the servers are; starts nothing."""
    return locate_services(
        settings.data_dir,
        database_url=settings.database_url,
        amqp_url=settings.amqp_url,
        management_url=settings.amqp_management_url,
    )


@contextmanager
def opened(settings: Settings, realm: Realm) -> Iterator[Program]:
    """The program in a realm, its connections closed at the end."""
    endpoints = endpoints_of(settings)
    engine = make_engine(endpoints.database_url)
    try:
        yield Program(settings=settings, endpoints=endpoints, realm=realm, engine=engine)
    finally:
        engine.dispose()


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and Ctrl-C set."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


@contextmanager
def process(verb: str, settings: Settings, realm: Realm) -> Iterator[tuple[Program, threading.Event]]:
    """The frame of one of the program's processes: its log, its signals, its connections."""
    log_dir = os.environ.get(LOG_DIR_VARIABLE)
    configure_logging(verb, Path(log_dir) if log_dir else None)
    stop = stop_on_signals()
    with structlog.contextvars.bound_contextvars(verb=verb, realm=realm.name), opened(settings, realm) as program:
        _log.info("started", pid=os.getpid())
        try:
            yield program, stop
        except MENDABLE as exc:
            _log.error("ended by what a person can mend", reason=str(exc))
            raise
        except Exception:
            _log.exception("ended by a defect")
            raise
        _log.info("stopped")
