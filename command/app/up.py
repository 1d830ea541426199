"""The verb `up`: servers, realm, first account, and every process, from one command."""

from __future__ import annotations

import json
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from sqlalchemy import Engine

from alerts.engine import check_rule_config
from command.app.channels import channel_setups
from command.app.drilling import drill_name, ports_file
from command.app.logs import configure_logging
from command.app.program import LOG_DIR_VARIABLE, opened
from command.app.sources import make_feeds
from command.app.team_users import passwords_of
from command.domain.clock import Clock, ScenarioClock, SystemClock
from command.domain.realm import Realm
from command.i18n import text
from command.operations.console_health import PROCESSES
from command.operations.drill import free_drill_ports, load_scenario
from command.operations.drills.scenario import Scenario
from command.operations.people import AccountRules, Accounts
from command.operations.realms import open_realm
from command.operations.team_access import provision
from command.services import Child, Endpoints, PrivateServers, Supervisor, delete_vhost, ensure_services, ensure_vhost
from command.services.process import recall, stop
from command.settings import BadSettings, Settings, asset_kind
from command.store.areas import latest_areas, put_area
from command.store.assets import Asset
from command.store.engine import make_engine, realm_session, shared_session
from command.store.facilities import save_shipped
from command.store.migrations import drop_realm, migrate
from command.store.realms import list_realms
from maps.reference import reference_facilities

FIRST_DRILL: Final = "tsushima-night"
_CONSOLE_WITHIN_S: Final = 60.0
_HEALTH_EVERY_S: Final = 2.0

_log = structlog.get_logger(__name__)

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What this run serves."""

    realm: Realm
    scenario: Scenario | None


def run(settings: Settings, *, config: Path | None, drill: str | None, speed: float, say: Say) -> None:
    """Start everything and keep it running until Ctrl-C or SIGTERM. Returns when all has ended.

    Raises AlreadyRunning, ServiceMissing, BadSettings and what else a person can mend, in one line.
    """
    began_s = time.monotonic()
    data_dir = settings.data_dir
    data_dir.mkdir(parents=True, exist_ok=True)
    make_feeds(settings.sources)
    channel_setups(settings.channels)
    for rule, rule_config in settings.rules.items():
        check_rule_config(rule, rule_config)
    servers = PrivateServers.of(data_dir, database_url=settings.database_url, amqp_url=settings.amqp_url)
    events = _Events(say)
    guard = Supervisor(data_dir, [], servers, on_event=events.tell)
    guard.lock()
    log_dir = data_dir / "logs"
    configure_logging("up", log_dir)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    realm: Realm | None = None
    try:
        _check_console_port(settings)
        say("PostGIS and RabbitMQ ...")
        endpoints = ensure_services(
            data_dir,
            database_url=settings.database_url,
            amqp_url=settings.amqp_url,
            management_url=settings.amqp_management_url,
        )
        engine = make_engine(endpoints.database_url)
        try:
            migrate(engine)
            plan = _choose(settings, engine, drill)
            realm = plan.realm
            password = _prepare(settings, plan, engine, endpoints, speed=speed)
        finally:
            engine.dispose()
        guard.add(_children(plan.realm, config=config, settings=settings, log_dir=log_dir))
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: guard.request_stop())
        greeter = threading.Thread(
            target=_greet, args=(settings, plan, password, began_s, guard.stopping, say), daemon=True
        )
        greeter.start()
        teller = threading.Thread(target=_tell_health, args=(settings, plan.realm, guard), daemon=True)
        teller.start()
        guard.run()
        teller.join(_HEALTH_EVERY_S)
    except KeyboardInterrupt:
        say("stopped before everything was started")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        say("stopping PostGIS and RabbitMQ ...")
        servers.stop()
        guard.release()
    if realm is not None:
        _mark(settings, realm).unlink(missing_ok=True)
    say("stopped; nothing is left running")


def _check_console_port(settings: Settings) -> None:
    """Raises BadSettings where the console cannot listen. The console of a killed `up`, which is adopted, may."""
    web = settings.web
    if recall(settings.data_dir / "run" / "web.json") is not None:
        return
    try:
        family, _, _, _, address = socket.getaddrinfo(web.host, web.port, type=socket.SOCK_STREAM)[0]
        socket.create_server(address[:2], family=family).close()
    except OSError as exc:
        raise BadSettings(
            f"the console cannot listen on {web.host} port {web.port} ({exc.strerror}); "
            "write another port in [web] or MIZUGIWA_WEB_PORT"
        ) from exc


class _Events:
    """What happens to processes, told on the terminal where an operator should know."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def tell(self, name: str, what: str) -> None:
        _log.info("process", process=name, event_of=what)
        if what not in ("started",):
            self._say(f"  {time.strftime('%H:%M:%S')} {name}: {what}")


def _choose(settings: Settings, engine: Engine, drill: str | None) -> _Plan:
    """The live realm, or a drill: the one asked for, else the first one where no source was ever configured."""
    if drill is None and (settings.sources or Realm.parse("live") in list_realms(engine)):
        return _Plan(realm=Realm.parse("live"), scenario=None)
    realm = Realm.parse(f"drill-{drill or FIRST_DRILL}")
    ports = _known_ports(settings, realm) if _mark(settings, realm).exists() else None
    scenario = load_scenario(drill_name(realm), ports=ports or free_drill_ports())
    ports_file(settings, realm).write_text(json.dumps(dict(scenario.ports)))
    return _Plan(realm=realm, scenario=scenario)


def _known_ports(settings: Settings, realm: Realm) -> dict[str, int] | None:
    with suppress(OSError, ValueError):
        known: dict[str, int] = json.loads(ports_file(settings, realm).read_text())
        return known
    return None


def _mark(settings: Settings, realm: Realm) -> Path:
    """There while a drill runs: what a killed `up` leaves behind is gone on with, what was stopped begins anew."""
    return settings.data_dir / "run" / f"{realm.name}.open"


def _prepare(
    settings: Settings, plan: _Plan, engine: Engine, endpoints: Endpoints, *, speed: float
) -> tuple[str, str] | None:
    """Realm, areas, assets, reference places, first account; (login, password) where one was just made."""
    realm, scenario = plan.realm, plan.scenario
    clock: ScenarioClock | None = None
    goes_on = _mark(settings, realm).exists() and realm in list_realms(engine)
    if scenario is not None and not goes_on:
        _end_strays(settings)
        if realm in list_realms(engine):
            drop_realm(engine, realm)
        ensure_vhost(endpoints, realm.vhost)
        delete_vhost(endpoints, realm.vhost)
        clock = ScenarioClock(
            scenario_start_us=scenario.start_us, host_start_us=SystemClock().now_us() + _WARM_UP_US, speed=speed
        )
    ours = settings.assets if scenario is None else scenario.assets
    running = open_realm(
        engine,
        endpoints,
        realm,
        clock=clock,
        rules=settings.rules if scenario is None else scenario.rules,
        assets=[
            Asset(subject=each.subject, kind=asset_kind(each.kind), name_ja=each.name_ja, name_en=each.name_en)
            for each in ours
        ],
    )
    if scenario is not None:
        _mark(settings, realm).touch()
    _save_places(plan, engine, running)
    if settings.amqp_url is None:
        teams = [team.name for team in settings.teams]
        provision(endpoints, realm, teams, passwords=passwords_of(settings, None))
    return Accounts(engine, rules=AccountRules()).ensure_first_admin()


_WARM_UP_US: Final = 6_000_000
"""The scenario's clock starts when the processes are there to hear it."""


def _end_strays(settings: Settings) -> None:
    """Processes that a killed run left would hold a realm that begins anew."""
    for path in (settings.data_dir / "run").glob("*.json"):
        process = recall(path)
        if process is not None:
            stop(process, within_s=15.0)


def _save_places(plan: _Plan, engine: Engine, clock: Clock) -> None:
    with shared_session(engine) as session:
        save_shipped(session, reference_facilities(), SystemClock().now_us())
    if plan.scenario is None:
        return
    with realm_session(engine, plan.realm) as session:
        # A drill that goes on keeps what its officers made of its areas.
        known = {area.slug for area in latest_areas(session)}
        for area in (area for area in plan.scenario.areas if area.slug not in known):
            put_area(session, area.slug, area.kind, area.name_ja, area.name_en, area.geometry, "drill", clock.now_us())


def _children(realm: Realm, *, config: Path | None, settings: Settings, log_dir: Path) -> Sequence[Child]:
    env = {LOG_DIR_VARIABLE: str(log_dir), "MIZUGIWA_DATA_DIR": str(settings.data_dir), "PYTHONUNBUFFERED": "1"}
    if config is not None:
        env["MIZUGIWA_CONFIG"] = str(config.resolve())

    def child(verb: str, *words: str) -> Child:
        return Child(name=verb, argv=(sys.executable, "-m", "command.cli", verb, *words), env=env)

    where = ("--realm", realm.name)
    return [child(verb, *((drill_name(realm),) if verb == "drill" else where)) for verb in PROCESSES[realm.kind]]


def _tell_health(settings: Settings, realm: Realm, guard: Supervisor) -> None:
    """The heartbeat of the watch over the processes, with what it cannot keep running, until the stop."""
    with opened(settings, realm) as program:
        beat = program.beat("up")
        while not guard.stopping.wait(_HEALTH_EVERY_S):
            beat({"trouble": guard.trouble})


def _greet(
    settings: Settings,
    plan: _Plan,
    password: tuple[str, str] | None,
    began_s: float,
    stopping: threading.Event,
    say: Say,
) -> None:
    """Tell the address once the console answers; the first password goes to the terminal and nowhere else."""
    web = settings.web
    deadline = time.monotonic() + _CONSOLE_WITHIN_S
    while not stopping.is_set():
        with socket.socket() as probe:
            probe.settimeout(1.0)
            if probe.connect_ex((web.host, web.port)) == 0:
                break
        if time.monotonic() > deadline:
            say(f"the console does not answer yet; read {settings.data_dir / 'logs' / 'web.out'}")
            return
        stopping.wait(0.1)
    if stopping.is_set():
        return
    scheme = "https" if web.tls_key is not None else "http"
    lines = [
        "",
        f"  Mizugiwa   {scheme}://{web.host}:{web.port}/    realm {plan.realm.name}"
        f"    (after {time.monotonic() - began_s:.0f} s)",
    ]
    if password is not None:
        lines.append(f"  first login: {password[0]}   password: {password[1]}   (you will choose your own)")
    if plan.scenario is not None:
        title = text(settings.language, f"drill.{plan.scenario.name}")
        lines.append(f"  drill: {title}; docs/sources.md says how to plug in real feeds")
    lines += ["  Ctrl-C stops everything", ""]
    say("\n".join(lines))
