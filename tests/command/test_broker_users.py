"""The teams' users at a real broker: what `mizugiwa broker provision` makes, and all that such a user cannot do."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker, ProbableAccessDeniedError, ProbableAuthenticationError

from alerts.message import REPLY, RESPONSE, decode, encode, response_body
from command.bus import (
    ALERTS,
    RESPONSE_DEAD_LETTERS,
    RESPONSES,
    Consumer,
    ResponsePublisher,
    Team,
    declare_topology,
    heartbeat_queue,
    queue_depths,
    reply_queue,
    response_key,
    team_queue,
    team_user,
)
from command.bus.broker import connection_parameters
from command.cli import main
from command.domain.alert import Finding, FindingKind, Severity
from command.domain.clock import SystemClock
from command.domain.realm import Realm
from command.domain.response import Response, ResponseKind, TeamState
from command.operations import dispatch
from command.operations.keys import BadKey
from command.operations.team_access import Change, Provisioned, password_file, provision
from command.services import BrokerUsers, Endpoints, ServiceMissing
from command.store.alerts import get_alert, record_findings
from command.store.audit import list_audit
from command.store.engine import make_engine, realm_session, shared_session
from command.store.migrations import ensure_realm, migrate


@dataclass(frozen=True)
class Teams:
    """Two teams with users of their own in a realm."""

    endpoints: Endpoints
    realm: Realm
    passwords: Path
    mine: str
    other: str

    def provision(self, *teams: str, **more: Any) -> Provisioned:
        return provision(self.endpoints, self.realm, teams or (self.mine, self.other), passwords=self.passwords, **more)

    def url(self, team: str) -> str:
        parts = urlsplit(self.endpoints.amqp_url)
        password = password_file(self.passwords, team).read_text()
        return f"amqp://{team_user(team)}:{quote(password, safe='')}@{parts.hostname}:{parts.port}"

    @contextmanager
    def channel(self, team: str) -> Iterator[Any]:
        connection = pika.BlockingConnection(connection_parameters(self.url(team), self.realm.vhost, name="test"))
        try:
            channel = connection.channel()
            channel.confirm_delivery()
            yield channel
        finally:
            connection.close()


@pytest.fixture
def teams(endpoints: Endpoints, realm: Realm, tmp_path: Path) -> Iterator[Teams]:
    if endpoints.management_url is None:
        pytest.skip("AMQP_MANAGEMENT_URL is not set; users cannot be made")
    made = Teams(endpoints, realm, tmp_path / "teams", f"a-{uuid.uuid4().hex[:6]}", f"b-{uuid.uuid4().hex[:6]}")
    users = BrokerUsers(endpoints.management_url)
    for user in users.named("team-"):  # of tests before
        users.delete(user)
    yield made
    for user in users.named("team-"):
        users.delete(user)


def test_it_says_what_it_would_do_does_it_once_and_mends_what_somebody_changed(teams: Teams) -> None:
    # when it only looks
    looked = teams.provision(dry_run=True)
    assert [step.change for step in looked.steps] == [Change.MADE, Change.GRANTED] * 2
    assert not teams.passwords.exists()
    # and when it does it, then again
    assert teams.provision().steps == looked.steps
    assert teams.provision().steps == ()
    file = password_file(teams.passwords, teams.mine)
    assert (file.stat().st_mode & 0o777, len(file.read_text())) == (0o600, 43)
    # when somebody gave the user another password and more rights, and a team is gone
    users = BrokerUsers(teams.endpoints.management_url or "")
    users.put(team_user(teams.mine), "guessable")
    given = users.access(team_user(teams.mine), teams.realm.vhost)
    assert given is not None
    users.grant(team_user(teams.mine), teams.realm.vhost, replace(given, read=".*"))
    mended = teams.provision(teams.mine)
    assert [step.change for step in mended.steps] == [Change.PASSWORD, Change.GRANTED]
    assert mended.gone == (team_user(teams.other),)
    with teams.channel(teams.mine):
        pass
    # then who is gone goes when that is asked for
    removed = teams.provision(teams.mine, remove_gone=True)
    assert [(step.name, step.change) for step in removed.steps] == [(team_user(teams.other), Change.REMOVED)]
    assert not password_file(teams.passwords, teams.other).exists()
    # and a new password ends the old one
    old = teams.url(teams.mine)
    assert [step.change for step in teams.provision(teams.mine, new_passwords=True).steps] == [Change.NEW_PASSWORD]
    with pytest.raises(ProbableAuthenticationError):
        pika.BlockingConnection(connection_parameters(old, teams.realm.vhost, name="test"))
    # and a password that others can read is not used
    file.chmod(0o644)
    with pytest.raises(BadKey, match="chmod 600"):
        teams.provision(teams.mine)


def test_a_broker_of_which_the_management_is_not_known_is_told_with_what_to_do(teams: Teams) -> None:
    nowhere = replace(teams, endpoints=replace(teams.endpoints, management_url=None))
    with pytest.raises(ServiceMissing, match="AMQP_MANAGEMENT_URL"):
        nowhere.provision()


def test_a_teams_user_reads_its_own_queues_answers_under_its_own_name_and_can_do_nothing_else(
    teams: Teams, vhost: str
) -> None:
    topology = dispatch.dispatch_topology([Team(name=teams.mine), Team(name=teams.other)])
    declare_topology(teams.endpoints.amqp_url, teams.realm.vhost, topology)
    teams.provision()
    mine, other = teams.mine, teams.other
    as_me = pika.BasicProperties(user_id=team_user(mine))

    def publish(exchange: str, key: str, properties: Any = as_me) -> Callable[[Any], None]:
        return lambda channel: channel.basic_publish(exchange, key, b"{}", properties, mandatory=True)

    # then its own queues are read, and its answers taken
    with teams.channel(mine) as channel:
        for queue in (team_queue(mine, Severity.CRITICAL), heartbeat_queue(mine), reply_queue(mine)):
            channel.basic_get(queue)
        publish(RESPONSES, response_key(mine))(channel)
    # and nothing else goes: 403 is the permission, 406 a name that is not its own
    refused: list[tuple[Callable[[Any], Any], int]] = [
        (lambda c: c.basic_get(team_queue(other, Severity.CRITICAL)), 403),
        (lambda c: c.basic_get(reply_queue(other)), 403),
        (lambda c: c.basic_get(RESPONSES), 403),
        (lambda c: c.queue_purge(team_queue(other, Severity.LOW)), 403),
        (lambda c: c.queue_delete(team_queue(mine, Severity.LOW)), 403),
        (lambda c: c.queue_declare("team.mine.own"), 403),
        (lambda c: c.exchange_declare("own", "fanout"), 403),
        (lambda c: c.queue_bind(team_queue(mine, Severity.LOW), ALERTS, "#"), 403),
        (publish(ALERTS, "alert.critical.none.distress"), 403),
        (publish("heartbeats", ""), 403),
        (publish("", team_queue(other, Severity.CRITICAL)), 403),
        (publish(RESPONSES, response_key(other)), 403),
        (publish(RESPONSES, response_key(mine), pika.BasicProperties(user_id=team_user(other))), 406),
    ]
    for attempt, code in refused:
        with teams.channel(mine) as channel, pytest.raises(ChannelClosedByBroker) as told:
            attempt(channel)
        assert told.value.reply_code == code, told.value
    # and another realm is closed to it
    with pytest.raises(ProbableAccessDeniedError):
        pika.BlockingConnection(connection_parameters(teams.url(mine), vhost, name="test"))
    assert queue_depths(teams.endpoints.amqp_url, teams.realm.vhost, [RESPONSES])[RESPONSES].ready == 1


def test_the_command_line_provisions_without_telling_a_password_and_shows_what_was_refused(
    teams: Teams,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    engine = make_engine(database_url)
    migrate(engine)
    ensure_realm(engine, teams.realm, clock=None)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("AMQP_URL", teams.endpoints.amqp_url)
    monkeypatch.setenv("AMQP_MANAGEMENT_URL", teams.endpoints.management_url or "")
    monkeypatch.setenv("MIZUGIWA_DATA_DIR", str(tmp_path / "data"))
    config = tmp_path / "mizugiwa.toml"
    config.write_text(f"[[teams]]\nname = '{teams.mine}'\n")

    def told(*words: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(["broker", *words, "--config", str(config), "--realm", teams.realm.name])
        assert not ended.value.code
        return capsys.readouterr().out

    # when somebody looks, and then does it
    assert f"{team_user(teams.mine)}: would be: user made" in told("provision", "--dry-run")
    done = told("provision")
    file = tmp_path / "data" / "keys" / "teams" / f"{team_user(teams.mine)}.password"
    assert f"password of team {teams.mine}: {file}" in done
    assert file.read_text() not in done
    # and an answer was not believed
    declare_topology(teams.endpoints.amqp_url, teams.realm.vhost, dispatch.dispatch_topology([Team(name=teams.mine)]))
    admin = connection_parameters(teams.endpoints.amqp_url, teams.realm.vhost, name="test")
    connection = pika.BlockingConnection(admin)
    connection.channel().basic_publish("", RESPONSE_DEAD_LETTERS, "偽の応答\u001b[31m".encode())
    connection.close()
    # then it is shown until it is discarded
    for words in (["refused"], ["refused", "--discard"]):
        shown = told(*words)
        assert "(no user)" in shown
        assert "偽の応答?[31m" in shown
    assert told("refused") == "0 answers refused\n"
    with shared_session(engine) as session:
        actions = {entry.action for entry in list_audit(session, limit=10, target=teams.realm.vhost)}
    assert actions == {"broker.provisioned", "responses.discarded"}
    engine.dispose()


def test_an_answer_goes_from_a_teams_user_through_dispatch_to_the_alert_and_back(
    teams: Teams, database_url: str, eventually: Callable[..., None]
) -> None:
    teams.provision()
    engine = make_engine(database_url)
    migrate(engine)
    ensure_realm(engine, teams.realm, clock=None)
    now_us = SystemClock().now_us()
    finding = Finding(
        kind=FindingKind.OPENED,
        rule="geofence_entry",
        severity=Severity.HIGH,
        subject="mmsi:431002123",
        area=None,
        episode_start_us=now_us,
        observed_at_us=now_us,
        position=None,
        because="because.geofence_entry",
    )
    with realm_session(engine, teams.realm) as session:
        (alert,) = record_findings(session, teams.realm, [finding], labels={}, now_us=now_us)
    said = Response(
        response_id=uuid.uuid4(),
        alert_id=alert.alert_id,
        team=teams.mine,
        kind=ResponseKind.ACCEPT,
        revision_seen=1,
        responder="森",
        answered_at_us=now_us,
    )
    stop = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            dispatch.run,
            engine=engine,
            database_url=database_url,
            amqp_url=teams.endpoints.amqp_url,
            realm=teams.realm,
            teams=[Team(name=teams.mine), Team(name=teams.other)],
            clock=SystemClock(),
            stop=stop,
        )
        taken: list[tuple[str, bool]] = []
        amqp_url, vhost = teams.url(teams.mine), teams.realm.vhost
        with (
            Consumer(amqp_url, vhost, [reply_queue(teams.mine)], prefetch=5, name="test") as replies,
            ResponsePublisher(amqp_url, vhost, team=teams.mine, settled=lambda *told: taken.append(told)) as answers,
        ):
            assert replies.wait_connected(60)
            assert answers.wait_connected(20)

            def reply_to(response: Response) -> dict[str, Any]:
                body = encode(response_body(teams.realm, response), kind=RESPONSE)
                assert answers.publish(body, message_id=str(response.response_id))
                message = replies.get(20)
                assert message is not None
                message.ack()
                return decode(message.body, kind=REPLY)

            # when a team answers, twice
            for _ in range(2):
                reply = reply_to(said)
                assert (reply["response_id"], reply["result"]) == (str(said.response_id), "accepted")
            # and then answers for the other team
            assert reply_to(replace(said, response_id=uuid.uuid4(), team=teams.other))["code"] == "not_yours"
        assert taken == [(str(said.response_id), True)] * 2 + [(taken[2][0], True)]
        eventually(
            lambda: (
                queue_depths(teams.endpoints.amqp_url, vhost, [RESPONSE_DEAD_LETTERS])[RESPONSE_DEAD_LETTERS].ready == 1
            )
        )
        stop.set()
        running.result(60)
    # then the alert says so, once
    with realm_session(engine, teams.realm) as session:
        after = get_alert(session, alert.alert_id)
    assert after is not None
    assert [(each.team, each.state) for each in after.responses] == [(teams.mine, TeamState.ACCEPTED)]
    assert after.revision == 2
    engine.dispose()
