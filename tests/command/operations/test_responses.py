"""Answers of teams on a real PostGIS: by the broker, the API and the console alike, once each, in any order."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg import sql
from sqlalchemy import Engine

from alerts.message import ALERT, REPLY, RESPONSE, alert_body, check_body, encode, response_body
from command.bus import Message, Team, team_user
from command.domain.alert import Alert, AlertEventKind, Finding, FindingKind, Severity
from command.domain.clock import ScenarioClock, SystemClock
from command.domain.geo import Position
from command.domain.people import Role, User
from command.domain.realm import Realm
from command.domain.response import Response, ResponseChannel, ResponseKind, TeamState
from command.operations.alert_desk import BadAct
from command.operations.incidents import Doing
from command.operations.people import Forbidden, Person
from command.operations.response_intake import PROCESS, ResponseIntake
from command.operations.responses import ResponseConflict, ResponseDesk, Result
from command.operations.triage import UnknownAlert
from command.services import Endpoints
from command.store.alerts import alert_events, get_alert, record_findings
from command.store.audit import list_audit
from command.store.deliveries import events_without_delivery
from command.store.engine import StoreUnavailable, make_engine, realm_session, shared_session
from command.store.health import list_heartbeats
from command.store.migrations import ensure_realm, migrate

TEAMS = ("duty", "tsushima")
ACKNOWLEDGE, ACCEPT, DECLINE, ON_SCENE, CLOSED = ResponseKind
MORI = Person(
    user=User(
        user_id=uuid.UUID(int=3),
        login="mori",
        display_name="森 健",
        roles=frozenset({Role.RESPONDER}),
        must_change_password=False,
    ),
    session_id=b"",
    expires_at_us=0,
    active_at_us=0,
)


@pytest.fixture(scope="module")
def engine(endpoints: Endpoints, database_template: str) -> Iterator[Engine]:
    """One database for these tests; each has a realm of its own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY wal_log")
    with psycopg.connect(endpoints.database_url, autocommit=True) as admin:
        admin.execute(copy.format(sql.Identifier(name), sql.Identifier(database_template)))
    made = make_engine(psycopg.conninfo.make_conninfo(endpoints.database_url, dbname=name))
    migrate(made)
    yield made
    made.dispose()
    with psycopg.connect(endpoints.database_url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@dataclass
class Broker:
    """Stands for the broker's two ends: how a message was answered, and what was said back."""

    answers: list[str] = field(default_factory=list)
    replies: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def answer(self, _number: int, send: Callable[[Any], None]) -> None:
        send(self)

    def basic_ack(self, _tag: int) -> None:
        self.answers.append("ack")

    def basic_nack(self, _tag: int, *, requeue: bool) -> None:
        self.answers.append("nack")

    def basic_reject(self, _tag: int, *, requeue: bool) -> None:
        self.answers.append("dead letter")

    def publish(self, body: bytes, *, team: str, message_id: str) -> bool:
        told = json.loads(body)
        check_body(told, kind=REPLY)
        self.replies.append((team, told))
        return True


class Field:
    """A realm with alerts, a desk, and dispatch's end of the broker."""

    def __init__(self, engine: Engine, realm: Realm) -> None:
        self.engine, self.realm, self.clock = engine, realm, SystemClock()
        self.broker = Broker()
        self.intake = ResponseIntake(
            engine,
            realm=realm,
            teams=[Team(name=name) for name in TEAMS],
            clock=self.clock,
            replies=self.broker,  # type: ignore[arg-type]  # the fake has what is used of it
        )
        self.changed: list[Alert] = []
        self.desk = ResponseDesk(engine, realm, clock=self.clock, teams=TEAMS, changed=self.changed.extend)

    def alert(self) -> Alert:
        now_us = self.clock.now_us()
        finding = Finding(
            kind=FindingKind.OPENED,
            rule="geofence_entry",
            severity=Severity.HIGH,
            subject=f"mmsi:{uuid.uuid4().int % 10**9}",
            area=None,
            episode_start_us=now_us,
            observed_at_us=now_us,
            position=Position(lon=129.4, lat=34.6),
            because="because.geofence_entry",
        )
        with realm_session(self.engine, self.realm) as session:
            (alert,) = record_findings(session, self.realm, [finding], labels={}, now_us=now_us)
        return alert

    def now(self, alert: Alert) -> Alert:
        with realm_session(self.engine, self.realm) as session:
            found = get_alert(session, alert.alert_id)
        assert found is not None
        return found

    def by_broker(self, response: Response, *, user: str | None = "its own", body: bytes | None = None) -> str:
        """Take it as a message; how it was answered."""
        sent = encode(response_body(self.realm, response), kind=RESPONSE) if body is None else body
        message = Message(
            queue="responses",
            body=sent,
            message_id=str(response.response_id),
            kind="response",
            routing_key=f"response.{response.team}",
            redelivered=False,
            user_id=team_user(response.team) if user == "its own" else user,
            timestamp_s=None,
            _consumer=self.broker,  # type: ignore[arg-type]  # as above
            _connection_number=1,
            _tag=1,
        )
        self.intake.take(message)
        return self.broker.answers[-1]

    def by_hand(self, response: Response, channel: ResponseChannel, *, person: Person = MORI) -> Result:
        return self.desk.respond(
            Doing(person=person, language="en"),
            response.alert_id,
            channel=channel,
            team=response.team,
            kind=response.kind,
            responder=response.responder,
            revision_seen=response.revision_seen,
            comment=response.comment,
            answered_at_us=response.answered_at_us,
            position=response.position,
            response_id=response.response_id,
        ).result

    def send(self, response: Response, channel: ResponseChannel) -> None:
        if channel is ResponseChannel.AMQP:
            assert self.by_broker(response) == "ack"
        else:
            self.by_hand(response, channel)


@pytest.fixture
def field_(engine: Engine) -> Field:
    realm = Realm.parse(f"drill-{uuid.uuid4().hex[:12]}")
    ensure_realm(engine, realm, clock=None)
    return Field(engine, realm)


def answer(alert: Alert, kind: ResponseKind, **changes: Any) -> Response:
    facts: dict[str, Any] = {
        "response_id": uuid.uuid4(),
        "alert_id": alert.alert_id,
        "team": "tsushima",
        "kind": kind,
        "revision_seen": 1,
        "responder": "森",
        "answered_at_us": SystemClock().now_us(),
        "comment": "灯火なし、接近中",
    }
    return Response(**(facts | changes))


def test_an_answer_is_a_row_a_state_a_revision_for_everybody_and_an_entry_of_the_audit_log(field_: Field) -> None:
    alert = field_.alert()
    said = answer(alert, ACCEPT, position=Position(lon=129.35, lat=34.55))
    assert field_.by_broker(said) == "ack"
    # then the alert says where the team stands, at a revision of its own
    after = field_.now(alert)
    (stands,) = after.responses
    assert (stands.team, stands.state, stands.responder) == ("tsushima", TeamState.ACCEPTED, "森")
    assert stands.position == said.position
    assert (after.revision, after.severity, after.acknowledged_at_us) == (2, alert.severity, None)
    with realm_session(field_.engine, field_.realm) as session:
        event = alert_events(session, alert.alert_id)[-1]
        outgoing = [each for each in events_without_delivery(session, 10) if each.revision == 2]
    assert (event.kind, event.actor, event.alert) == (AlertEventKind.RESPONDED, "team-tsushima", after)
    # and what goes out to the teams is of the published schema
    body = alert_body(outgoing[0], area_name=None)
    check_body(body, kind=ALERT)
    assert (body["event"], body["responses"][0]["response_id"]) == ("revised", str(said.response_id))
    # and the team is told, and the log knows
    team, reply = field_.broker.replies[-1]
    assert (team, reply["result"], reply["state"], reply["revision"]) == ("tsushima", "accepted", "accepted", 2)
    (kept,) = field_.desk.listed(alert.alert_id)
    assert (kept.response.kind, kept.channel, kept.sender) == (ACCEPT, ResponseChannel.AMQP, "team-tsushima")
    with shared_session(field_.engine) as session:
        (entry,) = list_audit(session, limit=5, target=str(alert.alert_id))
    assert (entry.actor, entry.action, entry.detail["team"]) == ("team-tsushima", "response.accept", "tsushima")


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    story=st.lists(
        st.tuples(st.sampled_from(ResponseKind), st.sampled_from(TEAMS), st.integers(1, 9)), min_size=1, max_size=5
    ),
    seed=st.integers(0, 2**32),
)
def test_each_answer_three_times_in_any_order_by_any_way_gives_the_same_state(
    field_: Field, story: list[tuple[ResponseKind, str, int]], seed: int
) -> None:
    first, second = field_.alert(), field_.alert()
    began_us = first.recorded_at_us - 60_000_000
    told = [(kind, team, began_us + at) for kind, team, at in story]
    ids, chance = [uuid.uuid4() for _ in story], random.Random(seed)
    # given the answers as they were said, one after the other, by the broker
    said = sorted(zip(told, ids, strict=True), key=lambda each: each[0][2])
    for (kind, team, at_us), response_id in said:
        field_.by_broker(answer(first, kind, team=team, answered_at_us=at_us, response_id=response_id))
    straight = field_.now(first)
    # when the same are said of another alert, each three times, mixed up, by all ways
    other = {each: uuid.UUID(int=each.int ^ (1 << 64)) for each in ids}
    mixed = said * 3
    chance.shuffle(mixed)
    for (kind, team, at_us), response_id in mixed:
        channel = chance.choice(list(ResponseChannel))
        again = answer(second, kind, team=team, answered_at_us=at_us, response_id=other[response_id])
        field_.send(again, channel)
    # then the teams stand where they stood, and each answer is there once
    stands = field_.now(second).responses
    assert tuple(replace(each, response_id=other[each.response_id]) for each in straight.responses) == stands
    assert len(field_.desk.listed(second.alert_id)) == len(story)


def test_a_team_is_told_what_had_no_effect_and_why(field_: Field) -> None:
    alert = field_.alert()
    closed = answer(alert, CLOSED, comment="異状なし")
    field_.by_broker(closed)
    team, reply = field_.broker.replies[-1]
    assert (team, reply["result"], reply["code"], reply["state"]) == ("tsushima", "no_effect", "nothing_taken", None)
    assert "終了は反映されません" in reply["why"]["ja"]
    assert field_.now(alert).revision == 1
    # when what came before it arrives after it
    field_.by_broker(answer(alert, ACCEPT, answered_at_us=closed.answered_at_us - 1))
    assert [each.state for each in field_.now(alert).responses] == [TeamState.CLOSED]
    # then the same message again is told so
    field_.by_broker(closed)
    assert field_.broker.replies[-1][1]["result"] == "accepted"


@pytest.mark.parametrize("user", [None, "team-duty", "mizugiwa", "team-", "tsushima"])
def test_an_answer_under_a_name_that_is_not_its_senders_is_a_dead_letter_and_told_to_an_operator(
    field_: Field, user: str | None
) -> None:
    alert = field_.alert()
    assert field_.by_broker(answer(alert, ACCEPT), user=user) == "dead letter"
    # then nothing was done to the alert
    assert field_.now(alert) == alert
    assert field_.desk.listed(alert.alert_id) == []
    # and whoever it really was is told, where that is a team
    assert [(team, reply["code"]) for team, reply in field_.broker.replies] == (
        [("duty", "not_yours")] if user == "team-duty" else []
    )
    # and an operator as well
    field_.intake.tell(None)
    with realm_session(field_.engine, field_.realm) as session:
        (row,) = [each for each in list_heartbeats(session) if each.process == PROCESS]
    assert row.detail["impostor"] == 1
    assert "tsushima" in row.detail["trouble"]
    with shared_session(field_.engine) as session:
        entries = list_audit(session, limit=10, target="response.tsushima")
    mine = [entry for entry in entries if entry.detail["realm"] == field_.realm.name]
    assert [(entry.actor, entry.action) for entry in mine] == [(user or "unknown", "response.impostor")]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"schema": "urn:else:where"}',
        b"{" * 20_000,
        b'{"a": ' + b"9" * 5_000 + b"}",
    ],
)
def test_what_is_no_answer_is_a_dead_letter_and_its_sender_is_told(field_: Field, body: bytes) -> None:
    said = answer(field_.alert(), ACCEPT)
    assert field_.by_broker(said, body=body) == "dead letter"
    team, reply = field_.broker.replies[-1]
    assert (team, reply["code"], reply["response_id"]) == ("tsushima", "unreadable", str(said.response_id))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"alert_id": uuid.UUID(int=1)}, "unknown_alert"),
        ({"revision_seen": 2}, "revision_ahead"),
        ({"team": "hakata"}, "unknown_team"),
        ({"comment": " \u3000"}, "comment_needed_decline"),
    ],
)
def test_what_cannot_be_kept_is_refused_with_its_reason_by_every_way(
    field_: Field, changes: dict[str, Any], code: str
) -> None:
    said = answer(field_.alert(), DECLINE, **changes)
    kinds = {"unknown_alert": UnknownAlert, "revision_ahead": ResponseConflict}
    for channel in (ResponseChannel.API, ResponseChannel.CONSOLE):
        with pytest.raises(kinds.get(code, BadAct)) as refused:
            field_.by_hand(said, channel)
        assert code in ("unknown_alert", getattr(refused.value, "key", None))
    if code == "comment_needed_decline":
        body = response_body(field_.realm, said)
        field_.by_broker(said, body=json.dumps(body).encode())
        assert field_.broker.replies[-1][1]["code"] == "unreadable"
    else:
        assert field_.by_broker(said) == "ack"
        assert [reply["code"] for _, reply in field_.broker.replies] == ([] if code == "unknown_team" else [code])


def test_an_answer_of_another_realm_is_refused(field_: Field) -> None:
    said = answer(field_.alert(), ACCEPT)
    body = response_body(field_.realm, said) | {"realm": "live"}
    assert field_.by_broker(said, body=json.dumps(body).encode()) == "ack"
    assert field_.broker.replies[-1][1]["code"] == "other_realm"
    assert field_.desk.listed(said.alert_id) == []


def test_an_id_that_comes_with_another_answer_is_refused_and_the_first_one_stands(field_: Field) -> None:
    alert = field_.alert()
    said = answer(alert, ACCEPT)
    field_.by_broker(said)
    field_.by_broker(replace(said, kind=DECLINE))
    assert field_.broker.replies[-1][1]["code"] == "id_reused"
    assert [each.state for each in field_.now(alert).responses] == [TeamState.ACCEPTED]


def test_a_clock_that_is_ahead_does_not_outlast_what_is_said_later(field_: Field) -> None:
    alert = field_.alert()
    ahead_us = SystemClock().now_us() + 3_600_000_000
    field_.by_broker(answer(alert, ACCEPT, answered_at_us=ahead_us))
    field_.by_broker(answer(alert, ON_SCENE))
    (stands,) = field_.now(alert).responses
    assert stands.state is TeamState.ON_SCENE


def test_in_a_drill_an_answer_is_at_the_drills_time(engine: Engine) -> None:
    realm = Realm.parse(f"drill-{uuid.uuid4().hex[:12]}")
    ensure_realm(engine, realm, clock=None)
    host_us = SystemClock().now_us()
    clock = ScenarioClock(scenario_start_us=1_795_390_865_000_000, host_start_us=host_us - 60_000_000, speed=2.0)
    there = Field(engine, realm)
    alert = there.alert()
    there.desk = ResponseDesk(engine, realm, clock=clock, teams=TEAMS, changed=lambda _: None)
    there.by_hand(answer(alert, ACCEPT, answered_at_us=host_us), ResponseChannel.API)
    (kept,) = there.desk.listed(alert.alert_id)
    assert kept.response.answered_at_us == clock.at_host_us(host_us) == 1_795_390_985_000_000


def test_a_person_may_answer_for_a_team_who_has_the_right_and_once_a_key(field_: Field) -> None:
    alert = field_.alert()
    doing = Doing(person=MORI, language="ja", key="radio-17")

    def by_radio(kind: ResponseKind) -> Result:
        return field_.desk.respond(
            doing,
            alert.alert_id,
            channel=ResponseChannel.API,
            team="duty",
            kind=kind,
            responder="巡視艇あかつき",
            revision_seen=1,
        ).result

    assert [by_radio(ACKNOWLEDGE) for _ in range(2)] == [Result.ACCEPTED] * 2
    assert len(field_.desk.listed(alert.alert_id)) == len(field_.changed) == 1
    with pytest.raises(ResponseConflict, match="別の応答"):
        by_radio(ACCEPT)
    analyst = replace(MORI, user=replace(MORI.user, roles=frozenset({Role.ANALYST})))
    with pytest.raises(Forbidden):
        field_.by_hand(answer(alert, ACCEPT), ResponseChannel.API, person=analyst)


def test_what_a_rule_says_later_does_not_take_a_teams_answer_away(field_: Field) -> None:
    alert = field_.alert()
    field_.by_broker(answer(alert, ACCEPT))
    worse = Finding(
        kind=FindingKind.REVISED,
        rule=alert.rule,
        severity=Severity.CRITICAL,
        subject=alert.subject,
        area=None,
        episode_start_us=alert.opened_at_us,
        observed_at_us=alert.observed_at_us + 1,
        position=alert.position,
        because=alert.because,
    )
    with realm_session(field_.engine, field_.realm) as session:
        record_findings(session, field_.realm, [worse], labels={}, now_us=SystemClock().now_us())
    after = field_.now(alert)
    assert (after.revision, after.severity, len(after.responses)) == (3, Severity.CRITICAL, 1)


def test_while_the_store_is_away_a_message_stays_unanswered(field_: Field) -> None:
    said = answer(field_.alert(), ACCEPT)
    nowhere = make_engine("host=127.0.0.1 port=1 dbname=x connect_timeout=1")
    field_.intake = ResponseIntake(
        nowhere,
        realm=field_.realm,
        teams=[Team(name="tsushima")],
        clock=field_.clock,
        replies=field_.broker,  # type: ignore[arg-type]  # as above
    )
    with pytest.raises(StoreUnavailable):
        field_.by_broker(said)
    assert (field_.broker.answers, field_.broker.replies) == ([], [])
    nowhere.dispose()
