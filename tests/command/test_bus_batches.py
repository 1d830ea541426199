"""The way from the gateways to intake, on a real broker, with lines that break."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from command.bus import (
    OBSERVATION_DEAD_LETTERS,
    OBSERVATIONS,
    BatchPublisher,
    Consumer,
    Message,
    Topology,
    observation_topology,
    queue_depths,
)
from command.bus.topology import DELIVERY_LIMIT


def consume(
    amqp_url: str, vhost: str, queue: str = OBSERVATIONS, *, prefetch: int = 50, topology: Topology | None = None
) -> Consumer:
    return Consumer(
        amqp_url, vhost, [queue], prefetch=prefetch, name="test", topology=topology or observation_topology()
    )


def take_all(consumer: Consumer, count: int, *, within_s: float = 20.0) -> list[Message]:
    """`count` different messages (by message_id), acknowledged."""
    found: dict[str, Message] = {}
    while len(found) < count:
        message = consumer.get(within_s)
        assert message is not None, f"{len(found)} of {count} came"
        message.ack()
        found[str(message.message_id)] = message
    return list(found.values())


def test_a_published_batch_arrives_with_its_type_and_an_identity(amqp_url: str, vhost: str) -> None:
    with BatchPublisher(amqp_url, vhost) as publisher, consume(amqp_url, vhost) as consumer:
        # when
        assert publisher.publish(b"rows", kind="observations")
        assert publisher.publish(b"[]", kind="health")
        # then
        rows, health = take_all(consumer, 2)
        assert (rows.body, rows.kind, rows.redelivered) == (b"rows", "observations", False)
        assert (health.body, health.kind) == (b"[]", "health")
        assert rows.message_id != health.message_id
        assert publisher.drain(20)
        assert (publisher.confirmed, publisher.in_flight, publisher.refused) == (2, 0, 0)


def test_messages_published_before_the_broker_is_reached_are_kept_and_sent(line: Any, vhost: str) -> None:
    # given a broker that is away
    line.cut()
    with BatchPublisher(line.url, vhost, window=10) as publisher:
        # when the window fills
        taken = [publisher.publish(b"%d" % i, kind="observations") for i in range(12)]
        # then it takes what it has room for, and says no to the rest
        assert taken == [True] * 10 + [False] * 2
        assert not publisher.connected
        assert publisher.in_flight == 10
        # and all of it arrives, in order, when the broker is back
        line.mend()
        with consume(line.url, vhost) as consumer:
            assert [m.body for m in take_all(consumer, 10)] == [b"%d" % i for i in range(10)]


def test_nothing_is_lost_while_the_line_breaks_again_and_again(line: Any, amqp_url: str, vhost: str) -> None:
    total = 3_000
    with BatchPublisher(line.url, vhost, window=200) as publisher, consume(amqp_url, vhost) as consumer:
        assert publisher.wait_connected(20)
        refused: list[int] = []

        def publish() -> None:
            refused.extend(
                i for i in range(total) if not publisher.publish(b"%d" % i, kind="observations", timeout_s=60)
            )

        worker = threading.Thread(target=publish)
        worker.start()
        # when the line is cut at several points of the stream
        bodies: set[bytes] = set()
        for cut_at in (300, 900, 1_500):
            while len(bodies) < cut_at:
                message = consumer.get(20)
                assert message is not None
                bodies.add(message.body)
                message.ack()
            line.cut()
            line.mend()
        while len(bodies) < total:
            message = consumer.get(20)
            assert message is not None, f"{len(bodies)} of {total} came"
            bodies.add(message.body)
            message.ack()
        worker.join(60)
        # then every one came
        assert not refused
        assert bodies == {b"%d" % i for i in range(total)}
        assert publisher.drain(20)


def test_what_was_sent_and_not_confirmed_is_sent_again_under_the_same_identity(
    line: Any, amqp_url: str, vhost: str, eventually: Callable[..., None]
) -> None:
    with BatchPublisher(line.url, vhost) as publisher, consume(amqp_url, vhost) as consumer:
        assert publisher.wait_connected(20)
        # given a message that the broker has and whose confirm never came
        line.hold_answers()
        publisher.publish(b"once", kind="observations")
        first = consumer.get(20)
        assert first is not None
        first.ack()
        assert publisher.in_flight == 1
        # when the line breaks and comes back
        line.cut()
        line.mend()
        # then it comes again, and says that it is the same one
        second = consumer.get(20)
        assert second is not None
        assert second.message_id == first.message_id
        second.ack()
        assert publisher.drain(20)
        assert publisher.resent == 1


def test_a_full_queue_refuses_and_every_message_goes_through_when_there_is_room(
    amqp_url: str, vhost: str, eventually: Callable[..., None]
) -> None:
    topology = observation_topology(max_messages=20)
    with BatchPublisher(amqp_url, vhost, window=64, topology=topology) as publisher:
        # given a queue of 20 and nobody who takes
        accepted = 0

        def full() -> bool:
            nonlocal accepted
            while publisher.publish(b"%d" % accepted, kind="observations", timeout_s=1.0):
                accepted += 1
            return publisher.refused > 0 and publisher.in_flight == 64

        # then the window is full, the refusals are counted, nothing is dropped
        eventually(full)
        # when somebody takes
        with consume(amqp_url, vhost, topology=topology) as consumer:
            bodies = {m.body for m in take_all(consumer, accepted)}
        assert bodies == {b"%d" % i for i in range(accepted)}
        assert publisher.drain(20)
        assert publisher.confirmed == accepted


def test_the_window_is_bounded_in_bytes_as_well(line: Any, vhost: str) -> None:
    line.cut()
    with BatchPublisher(line.url, vhost, window_bytes=1_000) as publisher:
        assert publisher.publish(b"x" * 5_000, kind="observations"), "one message always fits"
        assert not publisher.publish(b"x", kind="observations")


def test_a_full_window_frees_a_waiting_publisher_when_it_is_closed(line: Any, vhost: str) -> None:
    line.cut()
    publisher = BatchPublisher(line.url, vhost, window=1)
    publisher.publish(b"1", kind="observations")
    answers: list[bool] = []
    waiting = threading.Thread(
        target=lambda: answers.append(publisher.publish(b"2", kind="observations", timeout_s=None))
    )
    waiting.start()
    # when
    given_up = publisher.close()
    # then
    waiting.join(20)
    assert answers == [False]
    assert given_up == 1


def test_an_unanswered_message_comes_again_after_the_consumers_line_broke(line: Any, amqp_url: str, vhost: str) -> None:
    with BatchPublisher(amqp_url, vhost) as publisher, consume(line.url, vhost) as consumer:
        publisher.publish(b"work", kind="observations")
        first = consumer.get(20)
        assert first is not None
        # when its line breaks before the answer
        line.cut()
        line.mend()
        second = consumer.get(20)
        # then it is given out again, and the late answer on the old line does no harm
        assert second is not None
        assert second.redelivered
        first.ack()
        second.ack()
        assert consumer.get(0.5) is None
        assert consumer.connected


def test_a_rejected_message_goes_to_the_dead_letters_and_the_others_flow(amqp_url: str, vhost: str) -> None:
    with BatchPublisher(amqp_url, vhost) as publisher, consume(amqp_url, vhost) as consumer:
        for body in (b"good 1", b"poison", b"good 2"):
            publisher.publish(body, kind="observations")
        # when
        for _ in range(3):
            message = consumer.get(20)
            assert message is not None
            if message.body == b"poison":
                message.reject()
            else:
                message.ack()
        # then
        with consume(amqp_url, vhost, OBSERVATION_DEAD_LETTERS) as dead:
            assert [m.body for m in take_all(dead, 1)] == [b"poison"]
        assert consumer.get(0.3) is None


def test_a_message_that_always_comes_back_ends_in_the_dead_letters(amqp_url: str, vhost: str) -> None:
    with BatchPublisher(amqp_url, vhost) as publisher, consume(amqp_url, vhost) as consumer:
        publisher.publish(b"poison", kind="observations")
        # when every attempt gives it back
        for _ in range(DELIVERY_LIMIT + 1):
            message = consumer.get(20)
            assert message is not None
            message.nack()
        # then
        with consume(amqp_url, vhost, OBSERVATION_DEAD_LETTERS) as dead:
            assert [m.body for m in take_all(dead, 1)] == [b"poison"]
        assert consumer.get(0.3) is None


def test_no_more_than_the_prefetch_is_given_out_unanswered(
    amqp_url: str, vhost: str, eventually: Callable[..., None]
) -> None:
    with BatchPublisher(amqp_url, vhost) as publisher, consume(amqp_url, vhost, prefetch=3) as consumer:
        for i in range(10):
            publisher.publish(b"%d" % i, kind="observations")
        held = [consumer.get(20) for _ in range(3)]
        assert all(held)
        assert consumer.get(0.5) is None
        # when one is answered from another thread
        first = held[0]
        assert first is not None
        answering = threading.Thread(target=first.ack)
        answering.start()
        answering.join()
        # then one more comes
        assert consumer.get(20) is not None
        assert consumer.get(0.3) is None


def test_closing_sends_the_answers_given_before_and_returns_the_rest_to_the_queue(
    amqp_url: str, vhost: str, eventually: Callable[..., None]
) -> None:
    with BatchPublisher(amqp_url, vhost) as publisher:
        for i in range(50):
            publisher.publish(b"%d" % i, kind="observations")
        assert publisher.drain(20)
    consumer = consume(amqp_url, vhost)
    for _ in range(20):
        message = consumer.get(20)
        assert message is not None
        message.ack()
    # when
    consumer.close()
    # then
    eventually(lambda: queue_depths(amqp_url, vhost, [OBSERVATIONS])[OBSERVATIONS].ready == 30)
    assert consumer.get(0.0) is None


@pytest.mark.parametrize(("queues", "prefetch"), [([], 1), (["observations"], 0), (["observations"], 70_000)])
def test_a_consumer_that_could_never_work_is_refused_at_once(
    amqp_url: str, vhost: str, queues: list[str], prefetch: int
) -> None:
    with pytest.raises(ValueError, match="needs a queue and a prefetch"):
        Consumer(amqp_url, vhost, queues, prefetch=prefetch, name="test")
