"""The way from dispatch to the teams, on a real broker."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pika
import pytest
from hypothesis import given
from hypothesis import strategies as st

from command.bus import (
    ALERT_DEAD_LETTERS,
    UNROUTABLE,
    AlertPublisher,
    Binding,
    BrokerUnavailable,
    Consumer,
    Outcome,
    OutcomeKind,
    QueueWatch,
    Team,
    TopologyMismatch,
    alert_topology,
    declare_topology,
    heartbeat_queue,
    observation_topology,
    queue_depths,
    team_queue,
)
from command.bus.broker import connection_parameters
from command.domain.alert import Severity


def outcomes_of(publisher: AlertPublisher, count: int, eventually: Callable[..., None]) -> dict[str, OutcomeKind]:
    found: list[Outcome] = []

    def all_told() -> bool:
        found.extend(publisher.outcomes())
        return len(found) >= count

    eventually(all_told)
    return {o.message_id: o.kind for o in found}


def routing_keys_in(amqp_url: str, vhost: str, queues: list[str]) -> dict[str, list[str]]:
    """Everything that is in `queues` now, by queue; taken out."""
    connection = pika.BlockingConnection(connection_parameters(amqp_url, vhost, name="test"))
    try:
        channel = connection.channel()
        found: dict[str, list[str]] = {}
        for queue in queues:
            found[queue] = []
            while (got := channel.basic_get(queue, auto_ack=True))[0] is not None:
                found[queue].append(got[0].routing_key)
        return found
    finally:
        connection.close()


def test_every_team_gets_every_alert_that_it_is_bound_to_and_no_other(
    amqp_url: str, vhost: str, eventually: Callable[..., None]
) -> None:
    # given teams bound to all, to one area, to one rule of two severities, and by two bindings at once
    teams = [
        Team(name="duty"),
        Team(name="tsushima", bindings=(Binding(areas=("tsushima-east", "tsushima-west")),)),
        Team(name="rescue", bindings=(Binding(severities=("critical", "high"), rules=("distress",)),)),
        Team(
            name="port",
            bindings=(Binding(areas=("none",), severities=("low",)), Binding(rules=("geofence_entry",))),
        ),
    ]
    keys = [
        f"alert.{severity.word}.{area}.{rule}"
        for severity in Severity
        for area in ("none", "tsushima-east", "hakata")
        for rule in ("distress", "geofence_entry", "ais_gap")
    ]
    with AlertPublisher(amqp_url, vhost, topology=alert_topology(teams), wake=threading.Event()) as publisher:
        assert publisher.wait_connected(20)
        # when
        for key in keys:
            assert publisher.publish(b"{}", routing_key=key, message_id=key)
        assert set(outcomes_of(publisher, len(keys), eventually).values()) == {OutcomeKind.CONFIRMED}
    # then
    wanted: dict[str, Callable[[str, str, str], bool]] = {
        "duty": lambda s, a, r: True,
        "tsushima": lambda s, a, r: a == "tsushima-east",
        "rescue": lambda s, a, r: s in ("critical", "high") and r == "distress",
        "port": lambda s, a, r: (a == "none" and s == "low") or r == "geofence_entry",
    }
    got = routing_keys_in(amqp_url, vhost, [team_queue(t.name, s) for t in teams for s in Severity])
    for team in teams:
        for severity in Severity:
            expected = [
                key for key in keys if key.split(".")[1] == severity.word and wanted[team.name](*(key.split(".")[1:4]))
            ]
            assert got[team_queue(team.name, severity)] == expected


def test_an_alert_that_no_team_is_bound_to_is_caught_and_counted(
    amqp_url: str, vhost: str, eventually: Callable[..., None]
) -> None:
    teams = [Team(name="rescue", bindings=(Binding(rules=("distress",)),))]
    topology = alert_topology(teams)
    with AlertPublisher(amqp_url, vhost, topology=topology, wake=threading.Event()) as publisher:
        assert publisher.wait_connected(20)
        # when
        publisher.publish(b"{}", routing_key="alert.low.none.ais_gap", message_id="a")
        # then the broker has it, where somebody sees it
        assert outcomes_of(publisher, 1, eventually) == {"a": OutcomeKind.CONFIRMED}
        assert queue_depths(amqp_url, vhost, [UNROUTABLE])[UNROUTABLE].ready == 1


def test_an_alert_that_the_broker_has_no_place_for_at_all_is_told_as_unroutable(
    amqp_url: str, vhost: str, eventually: Callable[..., None]
) -> None:
    topology = alert_topology([])
    with AlertPublisher(amqp_url, vhost, topology=topology, wake=threading.Event()) as publisher:
        assert publisher.wait_connected(20)
        # given somebody deleted the queue for unroutable alerts
        connection = pika.BlockingConnection(connection_parameters(amqp_url, vhost, name="test"))
        connection.channel().queue_delete(UNROUTABLE)
        connection.close()
        # when
        publisher.publish(b"{}", routing_key="alert.low.none.ais_gap", message_id="a")
        # then
        assert outcomes_of(publisher, 1, eventually) == {"a": OutcomeKind.UNROUTABLE}


def test_a_full_queue_of_one_team_is_told_and_the_other_teams_flow(
    amqp_url: str, vhost: str, eventually: Callable[..., None]
) -> None:
    # given team a full and team b that has room for another severity
    topology = alert_topology(
        [Team(name="a"), Team(name="b", bindings=(Binding(severities=("critical",)),))], max_messages=5
    )
    with AlertPublisher(amqp_url, vhost, topology=topology, wake=threading.Event()) as publisher:
        assert publisher.wait_connected(20)
        for i in range(30):
            publisher.publish(b"{}", routing_key="alert.low.none.ais_gap", message_id=f"low {i}")
        told = outcomes_of(publisher, 30, eventually)
        # then each is either in the queue or told as refused
        ready = queue_depths(amqp_url, vhost, [team_queue("a", Severity.LOW)])[team_queue("a", Severity.LOW)].ready
        assert list(told.values()).count(OutcomeKind.CONFIRMED) == ready
        assert list(told.values()).count(OutcomeKind.REFUSED) == 30 - ready == publisher.refused
        # and a critical one goes to both at once
        publisher.publish(b"{}", routing_key="alert.critical.none.distress", message_id="critical")
        assert outcomes_of(publisher, 1, eventually) == {"critical": OutcomeKind.CONFIRMED}
        assert (
            queue_depths(amqp_url, vhost, [team_queue("b", Severity.CRITICAL)])[
                team_queue("b", Severity.CRITICAL)
            ].ready
            == 1
        )


def test_unconfirmed_alerts_are_sent_again_after_a_break_and_heartbeats_are_not(
    line: Any, amqp_url: str, vhost: str, eventually: Callable[..., None]
) -> None:
    topology = alert_topology([Team(name="a")])
    with AlertPublisher(line.url, vhost, topology=topology, wake=threading.Event()) as publisher:
        assert publisher.wait_connected(20)
        # given an alert and a heartbeat whose confirms never come
        line.hold_answers()
        assert publisher.publish(b"{}", routing_key="alert.high.none.ais_gap", message_id="the same")
        assert publisher.heartbeat(b"{}")
        queue = team_queue("a", Severity.HIGH)
        eventually(lambda: queue_depths(amqp_url, vhost, [queue])[queue].ready == 1)
        # when
        line.cut()
        eventually(lambda: not publisher.connected)
        assert not publisher.publish(b"{}", routing_key="alert.high.none.ais_gap", message_id="later")
        assert not publisher.heartbeat(b"{}")
        line.mend()
        # then
        assert outcomes_of(publisher, 1, eventually) == {"the same": OutcomeKind.CONFIRMED}
        assert publisher.in_flight == 0
        assert routing_keys_in(amqp_url, vhost, [queue]) == {queue: ["alert.high.none.ais_gap"] * 2}


def test_heartbeats_reach_every_team_and_only_the_newest_waits(
    amqp_url: str, vhost: str, eventually: Callable[..., None]
) -> None:
    topology = alert_topology([Team(name="a"), Team(name="b")])
    with AlertPublisher(amqp_url, vhost, topology=topology, wake=threading.Event()) as publisher:
        assert publisher.wait_connected(20)
        for i in range(3):
            assert publisher.heartbeat(b"%d" % i)
        eventually(lambda: publisher.in_flight == 0)
    for team in ("a", "b"):
        with Consumer(amqp_url, vhost, [heartbeat_queue(team)], prefetch=10, name="test") as consumer:
            message = consumer.get(20)
            assert message is not None
            assert (message.body, message.kind) == (b"2", "heartbeat")
            message.ack()
            assert consumer.get(0.3) is None


def test_poison_goes_to_the_dead_letters_and_the_other_alerts_flow(
    amqp_url: str, vhost: str, eventually: Callable[..., None]
) -> None:
    topology = alert_topology([Team(name="a")])
    queue = team_queue("a", Severity.HIGH)
    with (
        AlertPublisher(amqp_url, vhost, topology=topology, wake=threading.Event()) as publisher,
        Consumer(amqp_url, vhost, [queue], prefetch=10, name="test", topology=topology) as consumer,
    ):
        assert publisher.wait_connected(20)
        for name in ("one", "poison", "two"):
            publisher.publish(name.encode(), routing_key="alert.high.none.ais_gap", message_id=name)
        got = []
        for _ in range(3):
            message = consumer.get(20)
            assert message is not None
            got.append(message.body)
            (message.reject if message.body == b"poison" else message.ack)()
        assert got == [b"one", b"poison", b"two"]
        # then
        eventually(lambda: queue_depths(amqp_url, vhost, [ALERT_DEAD_LETTERS])[ALERT_DEAD_LETTERS].ready == 1)


def test_messages_of_an_earlier_queue_are_given_out_first(
    amqp_url: str, vhost: str, eventually: Callable[..., None]
) -> None:
    topology = alert_topology([Team(name="a")])
    with AlertPublisher(amqp_url, vhost, topology=topology, wake=threading.Event()) as publisher:
        assert publisher.wait_connected(20)
        for word in ("low", "medium", "critical", "low", "high", "critical"):
            publisher.publish(word.encode(), routing_key=f"alert.{word}.none.ais_gap", message_id=str(uuid.uuid4()))
        outcomes_of(publisher, 6, eventually)
    queues = [team_queue("a", s) for s in sorted(Severity, reverse=True)]
    with Consumer(amqp_url, vhost, queues, prefetch=10, name="test") as consumer:
        # a worker that is busy until everything has come: what the broker gave out may still be on its way
        eventually(lambda: consumer.waiting == 6)
        bodies: list[bytes] = []
        while len(bodies) < 6:
            message = consumer.get(20)
            assert message is not None
            message.ack()
            bodies.append(message.body)
    assert bodies == [b"critical", b"critical", b"high", b"medium", b"low", b"low"]


def test_a_second_exclusive_client_stands_by_and_takes_over(
    amqp_url: str, vhost: str, eventually: Callable[..., None]
) -> None:
    declare_topology(amqp_url, vhost, alert_topology([Team(name="a")]))
    queues = [heartbeat_queue("a"), team_queue("a", Severity.HIGH)]
    first = Consumer(amqp_url, vhost, queues, prefetch=1, name="first", exclusive=True)
    assert first.wait_connected(20)
    with Consumer(amqp_url, vhost, queues, prefetch=1, name="second", exclusive=True) as second:
        eventually(lambda: second.standing_by)
        assert second.trouble is not None
        assert "stands by" in second.trouble
        assert not second.connected
        # when
        first.close()
        # then
        assert second.wait_connected(20)
        assert not second.standing_by


def test_a_consumer_whose_queue_is_deleted_says_so_and_comes_back_with_it(
    amqp_url: str, vhost: str, eventually: Callable[..., None]
) -> None:
    topology = alert_topology([Team(name="a")])
    declare_topology(amqp_url, vhost, topology)
    queue = team_queue("a", Severity.HIGH)
    with Consumer(amqp_url, vhost, [queue], prefetch=1, name="test") as consumer:
        assert consumer.wait_connected(20)
        connection = pika.BlockingConnection(connection_parameters(amqp_url, vhost, name="test"))
        connection.channel().queue_delete(queue)
        connection.close()
        eventually(lambda: "no queue" in (consumer.trouble or ""))
        # when
        declare_topology(amqp_url, vhost, topology)
        # then
        assert consumer.wait_connected(20)


def test_declaring_twice_changes_nothing_and_a_mismatch_is_told_with_the_way_out(amqp_url: str, vhost: str) -> None:
    topology = alert_topology([Team(name="a")]) + observation_topology()
    declare_topology(amqp_url, vhost, topology)
    declare_topology(amqp_url, vhost, topology)
    with pytest.raises(TopologyMismatch, match=r"queue 'team\.a\.low' is in vhost .* delete_queue"):
        declare_topology(amqp_url, vhost, alert_topology([Team(name="a")], max_messages=7))


def test_a_watch_reads_how_full_the_queues_are_and_who_takes(amqp_url: str, vhost: str) -> None:
    topology = alert_topology([Team(name="a")])
    queue = team_queue("a", Severity.HIGH)
    declare_topology(amqp_url, vhost, topology)
    with Consumer(amqp_url, vhost, [queue], prefetch=1, name="test") as consumer:
        assert consumer.wait_connected(20)
        with QueueWatch(amqp_url, vhost, [queue, UNROUTABLE], name="test", topology=topology) as watch:
            depths = watch.wait(20)
            assert depths[queue].consumers == 1
            assert depths[UNROUTABLE].ready == 0
            assert watch.age_s is not None


def test_a_broker_that_refuses_or_is_away_is_told_with_what_to_do_and_without_the_password(
    amqp_url: str, vhost: str, line: Any, eventually: Callable[..., None]
) -> None:
    topology = observation_topology()
    with pytest.raises(BrokerUnavailable, match=r"no such vhost.*rabbitmqctl add_vhost nowhere"):
        declare_topology(amqp_url, "nowhere", topology)
    wrong = amqp_url.replace("@", "-hunter2@", 1)
    with pytest.raises(BrokerUnavailable, match="password is refused; correct AMQP_URL") as refused:
        declare_topology(wrong, vhost, topology)
    assert "hunter2" not in str(refused.value)
    line.cut()
    with pytest.raises(BrokerUnavailable, match="cannot be reached"):
        declare_topology(line.url, vhost, topology)
    with QueueWatch(amqp_url, vhost, ["absent"], name="test") as watch:
        eventually(lambda: "no queue" in (watch.trouble or ""))
        with pytest.raises(BrokerUnavailable, match="no queue"):
            watch.wait(0.0)


@pytest.mark.parametrize("url", ["amqp://u:p@host:5672/live", "http://host:5672", "amqp://", "localhost"])
def test_an_address_that_is_none_is_refused_with_its_right_form(url: str) -> None:
    with pytest.raises(ValueError, match="write amqp://user:password@host:port") as refused:
        connection_parameters(url, "live", name="test")
    assert ":p@" not in str(refused.value)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Team(name="No Good"), "small letters"),
        (lambda: Team(name="a", bindings=()), "multiply to none"),
        (lambda: Binding(severities=("urgent",)), "critical, high, medium, low"),
        (lambda: Binding(areas=("a.b",)), r"or \* for every area"),
        (lambda: Binding(rules=("#",)), r"or \* for every rule"),
        (lambda: Binding(areas=()), "at least one"),
        (lambda: alert_topology([Team(name="a"), Team(name="a")]), "named twice"),
        (
            lambda: Team(name="a", bindings=(Binding(areas=tuple(f"a{i}" for i in range(600))),)),
            "more than 2000",
        ),
    ],
)
def test_a_binding_that_could_not_work_is_refused_with_what_to_write(make: Callable[[], object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


@given(
    st.lists(st.sampled_from([s.word for s in Severity]), min_size=1, max_size=4, unique=True),
    st.lists(st.from_regex(r"\*|[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True), min_size=1, max_size=4),
)
def test_every_binding_key_has_four_words_and_stays_within_its_severity(
    severities: list[str], areas: list[str]
) -> None:
    for severity, key in Binding(severities=tuple(severities), areas=tuple(areas)).routing_keys():
        words = key.split(".")
        assert len(words) == 4
        assert words[:2] == ["alert", severity]
