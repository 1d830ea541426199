"""Opening realms: what is made, what is kept, and which clock goes with which realm."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import suppress

import pytest
from sqlalchemy import Engine
from structlog.testing import capture_logs

from alerts.engine import BadRuleConfig
from alerts.registry import RULES
from command.bus import OBSERVATIONS, queue_depths
from command.domain.clock import DataClock, ScenarioClock
from command.domain.observation import SubjectKind
from command.domain.people import Role, User
from command.domain.realm import Realm
from command.operations.people import Person
from command.operations.realms import open_realm, realm_clock
from command.operations.rules import RuleBook, RuleRefused
from command.services import Endpoints, ServiceMissing, delete_vhost
from command.store.assets import Asset, list_assets
from command.store.engine import make_engine, realm_session
from command.store.realms import UnknownRealm
from command.store.rules import current_rules, rule_versions

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


def test_what_an_officer_decided_survives_a_restart_and_a_change_of_the_settings_file(
    engine: Engine, endpoints: Endpoints, recorded: Realm
) -> None:
    officer = person()
    clock = DataClock(latest_us=1_000_000)
    # given a rule of the settings file that an officer has changed
    open_realm(engine, endpoints, recorded, clock=clock, rules={"geofence_dwell": {"after_s": 1_200.0}})
    book = RuleBook(engine, recorded, clock=clock)
    book.change("geofence_dwell", {"after_s": 2_700}, reason="ferry", based_on=1, person=officer)
    # when the realm is opened again, with another settings file
    with capture_logs() as logs:
        open_realm(engine, endpoints, recorded, rules={"geofence_dwell": {"after_s": 600.0}})
    # then the officer's holds, and what the file says stands beside it
    known = book.one("geofence_dwell")
    assert (known.version.version, known.version.author, dict(known.version.config)) == (2, "sato", {"after_s": 2_700})
    assert known.of_settings is not None
    assert known.of_settings.model_dump()["after_s"] == 600.0
    assert [log["rule"] for log in logs if "settings file" in log["event"]] == ["geofence_dwell"]
    # and once it follows the file again, the file decides
    book.follow_settings("geofence_dwell", reason="as the file", based_on=2, person=officer)
    open_realm(engine, endpoints, recorded, rules={"geofence_dwell": {"after_s": 900.0}})
    with realm_session(engine, recorded) as session:
        versions = rule_versions(session, "geofence_dwell", limit=9)
    told = [(version.author, version.config["after_s"]) for version in versions]
    assert told == [("settings", 900), ("sato", 600), ("sato", 2_700), ("settings", 1_200)]
    # and at the terminal an older version is brought back, but no newer one
    assert book.undo("geofence_dwell", 2, reason="ferry", by="root (terminal)").version.restores == 2
    with pytest.raises(RuleRefused, match="not older"):
        book.undo("geofence_dwell", 5, reason="x", by="root (terminal)")


def person() -> Person:
    user = User(
        user_id=uuid.uuid4(),
        login="sato",
        display_name="佐藤",
        roles=frozenset({Role.OFFICER}),
        must_change_password=False,
    )
    return Person(user=user, session_id=b"", expires_at_us=0, active_at_us=0)


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
