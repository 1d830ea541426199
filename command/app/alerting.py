"""The alert policy from the terminal: check a file, and say which route an alert takes."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from alerts.channel import AMQP
from alerts.message import ALERT, MAX_BODY_BYTES, InvalidMessage, alert_of_body, decode
from alerts.policy import Policy, default_policy
from command.app.program import opened, teams_of
from command.domain.clock import SystemClock
from command.domain.realm import Realm
from command.operations.alert_policy import read_policy
from command.operations.realms import realm_clock
from command.operations.route_explained import Known, ask_store, explained
from command.services import ServiceMissing
from command.settings import BadSettings, Settings
from command.store.engine import StoreNotMigrated, StoreUnavailable
from command.store.realms import UnknownRealm


def _channels(settings: Settings) -> tuple[str, ...]:
    return (AMQP, *(str(table.get("name")) for table in settings.channels))


def check_policy(settings: Settings, file: Path) -> str:
    """What a good policy file holds, in one line. Raises BadPolicy; BadSettings for a channel that is not set up."""
    policy, channels = read_policy(file), _channels(settings)
    if unknown := policy.unknown_channels(channels):
        route, names = next(iter(unknown.items()))
        known = ", ".join(channels)
        raise BadSettings(f"{file}: route {route}: no channel {names[0]!r} is set up; choose from {known}")
    return f"{file}: good; routes {', '.join(policy.by_name)}; {len(policy.inhibitions)} inhibitions"


def explain_route(settings: Settings, realm: Realm, file: Path, *, policy_file: Path | None) -> Iterator[str]:
    """Which route the alert of a file takes, line by line; `-` is standard input. Raises BadSettings, BadPolicy."""
    try:
        alert = alert_of_body(decode(_read(file), kind=ALERT))
    except InvalidMessage as exc:
        raise BadSettings(f"{file}: {exc}") from exc
    path = policy_file or settings.alerts_policy
    policy: Policy = default_policy() if path is None else read_policy(path)
    yield f"policy    {path or 'the one that comes with the program'}"
    try:
        with opened(settings, realm) as program:
            now_us = realm_clock(program.engine, realm).now_us()
            known = ask_store(program.engine, realm, alert, policy=policy, now_us=now_us)
    except (ServiceMissing, StoreUnavailable, StoreNotMigrated, UnknownRealm):
        now_us, known = SystemClock().now_us(), Known(owner=alert.area, asked=False)
    yield from explained(
        alert, known, policy=policy, teams=teams_of(settings), channels=_channels(settings), now_us=now_us
    )


def _read(file: Path) -> bytes:
    try:
        if str(file) == "-":
            return sys.stdin.buffer.read(MAX_BODY_BYTES + 1)
        with file.open("rb") as opened_file:
            return opened_file.read(MAX_BODY_BYTES + 1)
    except OSError as exc:
        raise BadSettings(f"{file} cannot be read ({exc.strerror}); name a file with one alert's JSON, or -") from exc
