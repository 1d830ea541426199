"""Opening a realm: its schema, its virtual host, its queues, its clock, its rules and its assets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
from command.store.rules import current_rules, put_rule


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
    DataClock never runs back. rules: rule -> configuration; one that differs from the stored version becomes a new
    version. Outside of drills, whose scenarios name all of theirs, a rule that was never configured is put with its
    defaults: nobody has to know of a rule for it to watch. assets: our own vehicles, added or changed. topology:
    queues to declare besides that of the observations.
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
        for name, config in _rules_to_put(session, realm, rules or {}).items():
            put_rule(session, name, config, "settings", (clock or stored).now_us())
        for asset in assets:
            put_asset(session, asset.subject, asset.kind, asset.name_ja, asset.name_en)
    return clock or stored


def realm_clock(engine: Engine, realm: Realm) -> Clock:
    """The realm's clock as stored. Raises UnknownRealm, StoreUnavailable, StoreNotMigrated."""
    with shared_session(engine) as session:
        return load_realm_clock(session, realm)


def _rules_to_put(
    session: Session, realm: Realm, rules: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    if realm.kind is RealmKind.DRILL:
        return dict(rules)
    known = {version.rule for version in current_rules(session)}
    return {**{name: {} for name in RULES if name not in known}, **rules}


def _check(realm: Realm, clock: ScenarioClock | DataClock | None) -> None:
    if realm.kind is RealmKind.LIVE and clock is not None:
        raise ValueError("the realm live runs on the host's clock; give none")
    if realm.kind is RealmKind.DRILL and isinstance(clock, DataClock):
        raise ValueError(f"{realm.name} is a drill: give a ScenarioClock, so that every process of it sees one time")
    if isinstance(clock, ScenarioClock) and not clock.speed > 0:
        raise ValueError(f"speed {clock.speed!r}; give a number above 0")
