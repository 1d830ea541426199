"""Opening a realm: its schema, its virtual host, its queues, its clock, its rules and its assets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from alerts.engine import check_rule_config
from alerts.registry import RULES
from command.bus import Topology, declare_topology, observation_topology
from command.domain.clock import Clock, DataClock, ScenarioClock
from command.domain.realm import Realm, RealmKind
from command.services import Endpoints, ensure_vhost
from command.store.assets import Asset, put_asset
from command.store.engine import realm_session, shared_session
from command.store.migrations import ensure_realm, migrate
from command.store.realms import list_realms, load_realm_clock, save_realm_clock
from command.store.rules import current_rules, hold_rules, keep_rules_of_settings, put_rule

SETTINGS: Final = "settings"
"""The author of what the settings file says."""

_log = structlog.get_logger(__name__)


def open_realm(
    engine: Engine,
    endpoints: Endpoints,
    realm: Realm,
    *,
    clock: ScenarioClock | DataClock | None = None,
    rules: Mapping[str, Mapping[str, Any]] | None = None,
    assets: Sequence[Asset] = (),
    topology: Topology | None = None,
) -> Clock:
    """Make what the realm lacks and return its clock. May be repeated.

    clock: what the realm runs on from now: None for `live` (the host's clock), a ScenarioClock for a drill or a paced
    replay, a DataClock for a replay at full speed; with None a drill or a replay that is there keeps its own, but a
    DataClock never runs back. rules: rule -> configuration, as the settings file has it; one that differs from the
    stored version becomes a new version, unless a person decided that one (docs/adr/0010). Outside of drills, whose
    scenarios name all of theirs, a rule that was never configured is put with its defaults: nobody has to know of a
    rule for it to watch. assets: our own vehicles, added or changed. topology: queues to declare besides that of the
    observations.
    Raises ValueError for a clock that does not go with the realm or a new realm without its clock,
    alerts.engine.BadRuleConfig before anything is changed, StoreUnavailable, StoreNotMigrated, BrokerUnavailable,
    ServiceMissing.
    """
    _check(realm, clock)
    for name, config in (rules or {}).items():
        check_rule_config(name, config)
    migrate(engine)
    if clock is None and realm.kind is not RealmKind.LIVE and realm not in list_realms(engine):
        raise ValueError(f"{realm.name} is not there yet; a new drill or replay needs its clock")
    ensure_vhost(endpoints, realm.vhost)
    declared = observation_topology() if topology is None else observation_topology() + topology
    declare_topology(endpoints.amqp_url, realm.vhost, declared)
    ensure_realm(engine, realm, clock=clock)
    with realm_session(engine, realm) as session:
        stored = load_realm_clock(session, realm)
        if isinstance(clock, DataClock) and isinstance(stored, DataClock):
            clock.advance(stored.latest_us)
        if clock is not None and clock != stored:
            save_realm_clock(session, realm, clock)
        _put_rules(session, realm, rules or {}, now_us=(clock or stored).now_us())
        for asset in assets:
            put_asset(session, asset.subject, asset.kind, asset.name_ja, asset.name_en)
    return clock or stored


def realm_clock(engine: Engine, realm: Realm) -> Clock:
    """The realm's clock as stored. Raises UnknownRealm, StoreUnavailable, StoreNotMigrated."""
    with shared_session(engine) as session:
        return load_realm_clock(session, realm)


def _put_rules(session: Session, realm: Realm, rules: Mapping[str, Mapping[str, Any]], *, now_us: int) -> None:
    """What the settings say of the rules: put where no person has decided, noted beside it where one has."""
    hold_rules(session)
    held = {version.rule: version for version in current_rules(session)}
    unknown: dict[str, Mapping[str, Any]] = {}
    if realm.kind is not RealmKind.DRILL:
        unknown = {name: {} for name in RULES if name not in held}
    for name, config in {**unknown, **rules}.items():
        known = held.get(name)
        if known is None or not known.by_person:
            put_rule(session, name, config, SETTINGS, now_us)
        elif dict(config) != known.config:
            _log.warning(
                "the settings file's rule is not taken: a person has decided; compare them on the page /rules",
                rule=name,
                version=known.version,
                by=known.author,
            )
    keep_rules_of_settings(session, rules)


def _check(realm: Realm, clock: ScenarioClock | DataClock | None) -> None:
    if realm.kind is RealmKind.LIVE and clock is not None:
        raise ValueError("the realm live runs on the host's clock; give none")
    if realm.kind is RealmKind.DRILL and isinstance(clock, DataClock):
        raise ValueError(f"{realm.name} is a drill: give a ScenarioClock, so that every process of it sees one time")
    if isinstance(clock, ScenarioClock) and not clock.speed > 0:
        raise ValueError(f"speed {clock.speed!r}; give a number above 0")
