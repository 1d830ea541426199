"""Opening realms: what is made, what is kept, and which clock goes with which realm."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress

import pytest
from sqlalchemy import Engine

from alerts.engine import BadRuleConfig
from alerts.registry import RULES
from command.bus import OBSERVATIONS, queue_depths
from command.domain.clock import DataClock, ScenarioClock
from command.domain.observation import SubjectKind
from command.domain.realm import Realm
from command.operations.realms import open_realm, realm_clock
from command.services import Endpoints, ServiceMissing, delete_vhost
from command.store.assets import Asset, list_assets
from command.store.engine import make_engine, realm_session
from command.store.realms import UnknownRealm
from command.store.rules import current_rules

DRILL_CLOCK = ScenarioClock(scenario_start_us=1_000_000, host_start_us=2_000_000, speed=10.0)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(database_url)
    yield made
    made.dispose()


def fresh(kind: str) -> Realm:
    return Realm.parse(f"{kind}-{uuid.uuid4().hex[:10]}")


@pytest.fixture
def drill(endpoints: Endpoints) -> Iterator[Realm]:
    realm = fresh("drill")
    yield realm
    with suppress(ServiceMissing):  # a test in which it was never opened
        delete_vhost(endpoints, realm.vhost)


@pytest.fixture
def recorded(endpoints: Endpoints) -> Iterator[Realm]:
    realm = fresh("replay")
    yield realm
    delete_vhost(endpoints, realm.vhost)


def test_opening_a_realm_twice_makes_it_once_and_keeps_its_clock(
    engine: Engine, endpoints: Endpoints, drill: Realm
) -> None:
    first = open_realm(engine, endpoints, drill, clock=DRILL_CLOCK)

    again = open_realm(engine, endpoints, drill)

    assert first == again == realm_clock(engine, drill) == DRILL_CLOCK
    assert queue_depths(endpoints.amqp_url, drill.vhost, (OBSERVATIONS,))[OBSERVATIONS].ready == 0


def test_a_drill_that_starts_again_gets_its_new_clock(engine: Engine, endpoints: Endpoints, drill: Realm) -> None:
    open_realm(engine, endpoints, drill, clock=DRILL_CLOCK)
    later = ScenarioClock(scenario_start_us=1_000_000, host_start_us=9_000_000, speed=1.0)

    open_realm(engine, endpoints, drill, clock=later)

    assert realm_clock(engine, drill) == later


def test_a_data_clock_never_runs_back(engine: Engine, endpoints: Endpoints, recorded: Realm) -> None:
    open_realm(engine, endpoints, recorded, clock=DataClock(latest_us=5_000_000))

    clock = open_realm(engine, endpoints, recorded, clock=DataClock(latest_us=1_000_000))

    assert clock == realm_clock(engine, recorded) == DataClock(latest_us=5_000_000)


def test_rules_and_assets_of_the_settings_are_put_once(engine: Engine, endpoints: Endpoints, drill: Realm) -> None:
    boat = Asset(subject="mmsi:431999001", kind=SubjectKind.VESSEL, name_ja="巡視艇", name_en="Patrol boat")
    for _ in range(2):
        open_realm(engine, endpoints, drill, clock=DRILL_CLOCK, rules={"distress": {}}, assets=(boat,))
    open_realm(engine, endpoints, drill, rules={"distress": {"refresh_s": 60.0}})

    with realm_session(engine, drill) as session:
        (rule,) = current_rules(session)
        assert (rule.rule, rule.version, dict(rule.config)) == ("distress", 2, {"refresh_s": 60.0})
        assert list_assets(session) == [boat]


def test_outside_of_drills_every_rule_watches_unless_it_is_told_otherwise(
    engine: Engine, endpoints: Endpoints, recorded: Realm
) -> None:
    quiet = {"source_silent": {"enabled": False}}
    open_realm(engine, endpoints, recorded, clock=DataClock(latest_us=1), rules=quiet)
    open_realm(engine, endpoints, recorded)

    with realm_session(engine, recorded) as session:
        stored = {version.rule: (version.version, dict(version.config)) for version in current_rules(session)}
    assert stored == {name: (1, quiet.get(name, {})) for name in RULES}


def test_a_rule_that_cannot_be_used_opens_nothing(engine: Engine, endpoints: Endpoints, drill: Realm) -> None:
    with pytest.raises(BadRuleConfig, match="refresh_s"):
        open_realm(engine, endpoints, drill, clock=DRILL_CLOCK, rules={"distress": {"refresh_s": -1}})

    with pytest.raises(ValueError, match="needs its clock"):
        open_realm(engine, endpoints, drill)
    with pytest.raises(UnknownRealm):
        realm_clock(engine, drill)


@pytest.mark.parametrize(
    ("name", "clock", "message"),
    [
        ("live", DRILL_CLOCK, "runs on the host's clock"),
        ("live", DataClock(latest_us=1), "runs on the host's clock"),
        ("drill-x", DataClock(latest_us=1), "give a ScenarioClock"),
        ("drill-x", None, "needs its clock"),
        ("replay-x", None, "needs its clock"),
        ("replay-x", ScenarioClock(scenario_start_us=0, host_start_us=0, speed=0.0), "above 0"),
    ],
)
def test_a_clock_that_does_not_go_with_the_realm_is_refused(
    engine: Engine, endpoints: Endpoints, name: str, clock: ScenarioClock | DataClock | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        open_realm(engine, endpoints, Realm.parse(name), clock=clock)
