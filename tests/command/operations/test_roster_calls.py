"""Calls of the roster on a real PostGIS and a real RabbitMQ: who is called, once, and which teams hear of it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
import shapely
from sqlalchemy import Engine

from alerts.message import ALERT, decode
from command.bus import Binding, Consumer, Team, declare_topology, queue_depths, team_queue
from command.domain.alert import Alert, AlertEventKind, Finding, FindingKind, Severity
from command.domain.alert_acts import responded
from command.domain.area import AreaKind
from command.domain.clock import US_PER_S
from command.domain.escalation import EscalationRules
from command.domain.geo import Position
from command.domain.people import Role, User
from command.domain.realm import Realm
from command.domain.response import TeamResponse, TeamState
from command.domain.roster import Shift, WatchRole
from command.domain.silence import Matcher, Silence
from command.operations import dispatch
from command.operations.escalation import Caller
from command.store.alerts import acknowledge_alert, act_on_alerts, alert_events, get_alert, record_findings
from command.store.areas import put_area
from command.store.deliveries import pending_deliveries
from command.store.engine import make_engine, realm_session, shared_session
from command.store.migrations import ensure_realm, migrate
from command.store.people import create_user
from command.store.roster import append_shift, shift_versions
from command.store.silences import begin_silences

NOW_US = 1_764_000_000 * US_PER_S
MINUTE_US = 60 * US_PER_S


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.us = NOW_US

    def now_us(self) -> int:
        return self.us


class Watch:
    """A realm with people, whose clock is set by hand."""

    def __init__(self, engine: Engine, realm: Realm) -> None:
        self.engine, self.realm, self.clock = engine, realm, Hands()

    def duty(self, login: str, **facts: Any) -> Shift:
        given: dict[str, Any] = {
            "role": WatchRole.DUTY_OFFICER,
            "team": None,
            "areas": (),
            "skills": (),
            "from_us": NOW_US - 1,
            "until_us": NOW_US + 600 * MINUTE_US,
            "changed_at_us": NOW_US - MINUTE_US,
        }
        shift = Shift(
            shift_id=uuid.uuid4(),
            version=1,
            login=login,
            changed_by="chief",
            **(given | facts),
        )
        with realm_session(self.engine, self.realm) as session:
            append_shift(session, shift)
        return shift

    def alert(self, severity: Severity = Severity.CRITICAL, **facts: Any) -> Alert:
        given: dict[str, Any] = {
            "kind": FindingKind.OPENED,
            "rule": "geofence_entry",
            "severity": severity,
            "subject": f"mmsi:{431_000_000 + uuid.uuid4().int % 900_000}",
            "area": None,
            "episode_start_us": self.clock.us,
            "observed_at_us": self.clock.us,
            "position": Position(lon=129.4, lat=34.6),
            "because": "because.geofence_entry",
        }
        with realm_session(self.engine, self.realm) as session:
            (alert,) = record_findings(
                session, self.realm, [Finding(**(given | facts))], labels={}, now_us=self.clock.us
            )
        return alert

    def now(self, alert: Alert) -> Alert:
        with realm_session(self.engine, self.realm) as session:
            found = get_alert(session, alert.alert_id)
        assert found is not None
        return found

    def calls(self) -> int:
        """A dispatch that was started just now looks once."""
        return Caller(self.engine, self.realm, clock=self.clock, rules=EscalationRules()).step()

    def pass_minutes(self, minutes: float) -> int:
        self.clock.us += int(minutes * MINUTE_US)
        return self.calls()


@pytest.fixture
def watch(database_url: str, realm: Realm) -> Iterator[Watch]:
    engine = make_engine(database_url)
    migrate(engine)
    ensure_realm(engine, realm, clock=None)
    with shared_session(engine) as session:
        for login, role in (("sato", Role.OFFICER), ("mori", Role.OFFICER), ("chief", Role.MANAGER)):
            user = User(
                user_id=uuid.uuid4(),
                login=login,
                display_name=login.title(),
                roles=frozenset({role}),
                must_change_password=False,
            )
            create_user(session, user, password_hash="x", now_us=NOW_US)  # noqa: S106 - of nobody who signs in
    yield Watch(engine, realm)
    engine.dispose()


def called(alert: Alert) -> str | None:
    return None if alert.call is None else f"{alert.call.step} {alert.call.login}"


def test_an_alert_that_nobody_acknowledges_calls_one_after_the_other_until_somebody_does(watch: Watch) -> None:
    # given a realm without a roster: nobody is ever called
    old = watch.alert()
    assert watch.pass_minutes(30) == 0
    # when there is one, with an area of one officer
    square = shapely.box(129.0, 34.0, 130.0, 35.0)
    with realm_session(watch.engine, watch.realm) as session:
        put_area(session, "tsushima", AreaKind.GEOFENCE, "対馬", "Tsushima", square, "sato", watch.clock.us)
    watch.duty("sato", changed_at_us=watch.clock.us)
    watch.duty("mori", role=WatchRole.DEPUTY, areas=("tsushima",), changed_at_us=watch.clock.us)
    watch.duty("sato", role=WatchRole.ON_CALL, areas=("iki",), changed_at_us=watch.clock.us)
    assert watch.calls() == 0
    # then what waited before is called about three minutes later and not at once, with what came since
    new, high = watch.alert(), watch.alert(Severity.HIGH)
    assert watch.pass_minutes(2.9) == 0
    assert watch.pass_minutes(0.2) == 2
    assert [called(watch.now(each)) for each in (old, new, high)] == ["1 sato", "1 sato", None]
    assert watch.calls() == 0
    # and every process that looks sees the same: of two at once, one calls
    watch.clock.us += 3 * MINUTE_US
    with ThreadPoolExecutor(2) as pool:
        assert sum(pool.map(lambda _: watch.calls(), range(2))) == 2
    assert called(watch.now(new)) == "2 mori"
    # when one is acknowledged, and dispatch is away for an hour
    with realm_session(watch.engine, watch.realm) as session:
        acknowledge_alert(session, old.alert_id, by="sato", comment="", now_us=watch.clock.us)
    assert watch.pass_minutes(60) == 2
    # then the manager is called about the other one, once, and after them it begins again
    assert [called(watch.now(each)) for each in (old, new, high)] == ["2 mori", "3 chief", "1 sato"]
    assert watch.calls() == 0
    assert watch.pass_minutes(3) == 1
    assert called(watch.now(new)) == "4 sato"
    # and each call is a revision of its own that nobody changes and that goes out
    with realm_session(watch.engine, watch.realm) as session:
        events = alert_events(session, new.alert_id)
    assert [event.kind for event in events] == [AlertEventKind.OPENED, *([AlertEventKind.CALLED] * 4)]
    assert events[-1].alert == watch.now(new)


def test_a_silence_holds_calls_back_and_what_clears_and_comes_again_waits_anew(watch: Watch) -> None:
    watch.duty("sato")
    quiet, critical = watch.alert(Severity.HIGH, area="izuhara"), watch.alert(area="izuhara")
    silence = Silence(
        silence_id=uuid.uuid4(),
        matcher=Matcher(area="izuhara"),
        reason="演習",
        author="sato",
        created_at_us=NOW_US,
        expires_at_us=NOW_US + 30 * MINUTE_US,
    )
    with realm_session(watch.engine, watch.realm) as session:
        begin_silences(session, [silence])
    other = watch.alert(Severity.HIGH, area="iki")
    nowhere = watch.alert(Severity.HIGH, area=None)
    # when their time is over, then what is silenced calls nobody, and the rest does
    assert watch.pass_minutes(29) == 3
    assert [called(watch.now(each)) for each in (quiet, critical, other, nowhere)] == [
        None,
        "1 sato",
        "1 sato",
        "1 sato",
    ]
    # when the silence is over, it is heard
    assert watch.pass_minutes(2) == 1
    assert called(watch.now(quiet)) == "1 sato"
    # when an alert clears and comes again, it waits from then on
    facts = {"subject": other.subject, "area": "iki", "episode_start_us": other.opened_at_us}
    watch.alert(Severity.HIGH, kind=FindingKind.CLEARED, **facts)
    watch.clock.us += 5 * MINUTE_US
    again = watch.alert(Severity.HIGH, kind=FindingKind.REVISED, because_params={"n": 2}, **facts)
    assert (again.call, again.waiting_since_us) == (None, watch.clock.us)


def test_the_answer_of_a_team_that_was_called_stops_the_calls_until_it_declines(watch: Watch) -> None:
    watch.duty("sato", team="boats")
    alert = watch.alert()

    def answers(team: str, state: TeamState) -> None:
        stands = TeamResponse(
            team=team,
            state=state,
            response_id=uuid.uuid4(),
            responder="mori",
            answered_at_us=watch.clock.us,
            comment="",
            position=None,
        )
        act = partial(responded, response=stands, now_us=watch.clock.us)
        with realm_session(watch.engine, watch.realm) as session:
            act_on_alerts(session, [alert.alert_id], act, kind=AlertEventKind.RESPONDED, by=team)

    # given an answer of a team that nobody called
    answers("hikers", TeamState.ACCEPTED)
    assert watch.pass_minutes(3) == 1
    # when the team of who was called accepts, then nobody else is called, however long it takes
    answers("boats", TeamState.ACCEPTED)
    assert watch.pass_minutes(60) == 0
    # and when it has to turn back, the next one is
    answers("boats", TeamState.DECLINED)
    assert watch.calls() == 1
    assert called(watch.now(alert)) == "2 chief"


def test_a_shift_is_only_ever_added_to(watch: Watch) -> None:
    shift = watch.duty("sato")
    with pytest.raises(Exception, match="append-only"), realm_session(watch.engine, watch.realm) as session:
        session.connection().exec_driver_sql("UPDATE shift_version SET login = 'x'")
    with realm_session(watch.engine, watch.realm) as session:
        assert shift_versions(session, shift.shift_id) == [shift]


def test_a_call_reaches_the_team_of_who_is_called_whatever_it_is_bound_to_and_every_team_once(
    watch: Watch, database_url: str, amqp_url: str, eventually: Callable[..., None]
) -> None:
    # given a team that gets everything, and one that is bound to nothing of this
    duty, boats = Team(name="duty"), Team(name="boats", bindings=(Binding(rules=("no_such_rule",)),))
    vhost = watch.realm.vhost
    declare_topology(amqp_url, vhost, dispatch.dispatch_topology([duty, boats]))
    stop = threading.Event()
    queues = [team_queue(team, Severity.HIGH) for team in ("duty", "boats")]
    with (
        ThreadPoolExecutor(1) as pool,
        Consumer(amqp_url, vhost, [queues[0]], prefetch=100, name="duty") as of_duty,
        Consumer(amqp_url, vhost, [queues[1]], prefetch=100, name="boats") as of_boats,
    ):

        def body(consumer: Consumer) -> dict[str, Any]:
            message = consumer.get(20)
            assert message is not None, "no message came"
            message.ack()
            return decode(message.body, kind=ALERT)

        running = pool.submit(
            dispatch.run,
            engine=watch.engine,
            database_url=database_url,
            amqp_url=amqp_url,
            realm=watch.realm,
            teams=[duty, boats],
            clock=watch.clock,
            stop=stop,
        )
        try:
            watch.duty("sato", team="boats")
            alert = watch.alert(Severity.HIGH)
            assert body(of_duty)["called"] is None
            # when its time is over
            watch.clock.us += 10 * MINUTE_US
            # then both hear that sato is called
            told = [body(of_duty), body(of_boats)]
            expected = {"login": "sato", "name": "Sato", "team": "boats", "step": 1}
            for each in told:
                assert (each["event"], each["revision"]) == ("called", 2)
                assert {key: each["called"][key] for key in expected} == expected
            # and both hear how it ends
            with realm_session(watch.engine, watch.realm) as session:
                acknowledge_alert(session, alert.alert_id, by="sato", comment="", now_us=watch.clock.us + 1)
            assert [body(of_duty)["event"], body(of_boats)["event"]] == ["acknowledged", "acknowledged"]

            def unconfirmed() -> int:
                with realm_session(watch.engine, watch.realm) as session:
                    return len(pending_deliveries(session, 100))

            eventually(lambda: unconfirmed() == 0)
            # and nobody has anything twice
            assert {
                name: depth.ready for name, depth in queue_depths(amqp_url, vhost, queues).items()
            } == dict.fromkeys(queues, 0)
        finally:
            stop.set()
            running.result(60)
