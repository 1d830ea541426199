"""What dispatch has in hand, without a store or a broker."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from command.domain.alert import Severity
from command.operations.outgoing import LIMIT, LONGEST_PAUSE_S, Outgoing, jittered
from command.store.deliveries import Delivery


def a_delivery(severity: Severity = Severity.HIGH, *, created_at_us: int = 0, attempts: int = 0) -> Delivery:
    return Delivery(
        delivery_id=uuid.uuid4(),
        alert_id=uuid.uuid4(),
        revision=1,
        channel="amqp",
        routing_key=f"alert.{severity.word}.none.ais_gap",
        body={},
        created_at_us=created_at_us,
        attempts=attempts,
    )


def test_the_worst_is_due_first_and_then_the_oldest() -> None:
    outgoing = Outgoing()
    low, old, young, critical = (
        a_delivery(Severity.LOW),
        a_delivery(created_at_us=1),
        a_delivery(created_at_us=2),
        a_delivery(Severity.CRITICAL, created_at_us=9),
    )
    outgoing.take([low, young, old, critical])
    assert list(outgoing.due(0.0, full=())) == [critical, old, young, low]


def test_what_was_sent_is_not_due_again_and_what_was_confirmed_is_to_be_marked() -> None:
    outgoing = Outgoing()
    delivery = a_delivery()
    outgoing.take([delivery])
    outgoing.sent(delivery.delivery_id)
    outgoing.take([delivery])
    assert list(outgoing.due(0.0, full=())) == []
    assert outgoing.to_mark() == []
    outgoing.confirmed(delivery.delivery_id)
    assert outgoing.to_mark() == [delivery.delivery_id]
    outgoing.let_go([delivery.delivery_id])
    assert len(outgoing) == 0


def test_what_was_refused_waits_longer_each_time_and_while_a_queue_of_its_severity_is_full() -> None:
    outgoing = Outgoing(jitter=lambda pause_s: pause_s)
    delivery = a_delivery()
    outgoing.take([delivery])
    pauses = []
    now_s = 0.0
    for _ in range(8):
        outgoing.sent(delivery.delivery_id)
        outgoing.refused(delivery.delivery_id, now_s)
        pause_s = next(p / 2 for p in range(200) if list(outgoing.due(now_s + p / 2, full=())))
        assert list(outgoing.due(now_s + 1_000.0, full={Severity.HIGH})) == []
        pauses.append(pause_s)
        now_s += pause_s
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_one_that_was_never_refused_is_tried_even_when_a_queue_is_full() -> None:
    outgoing = Outgoing()
    delivery = a_delivery()
    outgoing.take([delivery])
    assert list(outgoing.due(0.0, full={Severity.HIGH})) == [delivery]


def test_beyond_the_limit_the_least_urgent_are_let_go_and_a_critical_one_always_finds_room() -> None:
    outgoing = Outgoing()
    outgoing.take(a_delivery(Severity.LOW, created_at_us=i) for i in range(LIMIT))
    critical = a_delivery(Severity.CRITICAL, created_at_us=LIMIT)
    outgoing.take([critical])
    assert len(outgoing) == LIMIT
    assert next(outgoing.due(0.0, full=())) == critical


def test_a_pause_is_as_long_as_the_jitter_says_and_at_least_as_the_other_side_asked() -> None:
    outgoing = Outgoing(jitter=lambda pause_s: pause_s / 2)
    delivery = a_delivery()
    outgoing.take([delivery])
    outgoing.sent(delivery.delivery_id)
    assert outgoing.refused(delivery.delivery_id, 0.0) == 0.5
    assert outgoing.refused(delivery.delivery_id, 0.0, at_least_s=90.0) == 90.0
    assert all(0.75 <= jittered(1.0) <= 1.0 for _ in range(100))


def test_a_stored_pause_outlives_a_restart_and_a_persons_word_ends_it() -> None:
    outgoing = Outgoing()
    failed = replace(a_delivery(attempts=3), next_attempt_at_us=25_000_000)
    outgoing.take([failed], now_s=100.0, now_us=5_000_000)
    assert list(outgoing.due(119.0)) == []
    assert list(outgoing.due(121.0)) == [failed]
    # when a person has it sent again
    again = replace(failed, attempts=0, next_attempt_at_us=None, resent_at_us=6_000_000)
    outgoing.take([again], now_s=101.0, now_us=6_000_000)
    assert list(outgoing.due(101.0)) == [again]


def test_what_is_worse_does_not_overtake_what_was_said_of_the_same_alert_before() -> None:
    outgoing = Outgoing()
    first = a_delivery(Severity.LOW, created_at_us=1)
    escalated = replace(a_delivery(Severity.CRITICAL, created_at_us=3), alert_id=first.alert_id, revision=2)
    other = a_delivery(Severity.HIGH, created_at_us=0)
    outgoing.take([escalated, other, first])
    assert list(outgoing.due(0.0)) == [first, escalated, other]


class OutgoingMachine(RuleBasedStateMachine):
    """Whatever the order of events, each delivery is in exactly one place and none vanishes before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.outgoing = Outgoing()
        self.waiting: set[uuid.UUID] = set()
        self.sent: set[uuid.UUID] = set()
        self.confirmed: set[uuid.UUID] = set()
        self.now_s = 0.0

    @rule(severity=st.sampled_from(Severity), attempts=st.integers(0, 3))
    def take(self, severity: Severity, attempts: int) -> None:
        delivery = a_delivery(severity, attempts=attempts)
        self.outgoing.take([delivery])
        self.waiting.add(delivery.delivery_id)

    @rule()
    def send_first(self) -> None:
        for delivery in list(self.outgoing.due(self.now_s, full=()))[:1]:
            self.outgoing.sent(delivery.delivery_id)
            self.waiting.remove(delivery.delivery_id)
            self.sent.add(delivery.delivery_id)

    @rule(refused=st.booleans())
    def answer(self, refused: bool) -> None:
        if self.sent:
            delivery_id = self.sent.pop()
            if refused:
                self.outgoing.refused(delivery_id, self.now_s)
                self.waiting.add(delivery_id)
            else:
                self.outgoing.confirmed(delivery_id)
                self.confirmed.add(delivery_id)

    @rule()
    def mark(self) -> None:
        self.outgoing.let_go(self.outgoing.to_mark())
        self.confirmed.clear()

    @rule(pause_s=st.floats(0, 100))
    def wait(self, pause_s: float) -> None:
        self.now_s += pause_s

    @invariant()
    def nothing_vanished(self) -> None:
        assert set(self.outgoing.to_mark()) == self.confirmed
        due = list(self.outgoing.due(self.now_s + LONGEST_PAUSE_S, full=()))
        assert {d.delivery_id for d in due} == self.waiting
        assert len(self.outgoing) == len(self.waiting) + len(self.sent) + len(self.confirmed)


TestOutgoingMachine = OutgoingMachine.TestCase
TestOutgoingMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@pytest.mark.parametrize("severity", list(Severity))
def test_the_severity_is_read_from_the_routing_key(severity: Severity) -> None:
    outgoing = Outgoing()
    outgoing.take([a_delivery(severity, attempts=1)])
    assert list(outgoing.due(0.0, full={severity})) == []
