"""A sending channel's line: what blocks or fails on it, and what the store is told of it."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from queue import Queue
from typing import Any

import pytest

from alerts.channel import ChannelConfig, NeverAgain, NotNow, Parcel
from alerts.pipeline import Notice, PlannedDelivery
from command.domain.clock import US_PER_S
from command.operations import lines
from command.operations.lines import SendingLine
from command.store.deliveries import Delivery

HOUR_US = 3_600 * US_PER_S


@dataclass
class Clock:
    us: int = 100 * HOUR_US

    def now_us(self) -> int:
        return self.us


@dataclass
class Scripted:
    """A channel that does as it is told: each `send` waits for what to raise, or None."""

    name: str = "scripted"
    script: Queue[Exception | str | None] = field(default_factory=Queue)
    begun: list[uuid.UUID] = field(default_factory=list)
    Config = ChannelConfig

    def plan(self, notice: Notice) -> PlannedDelivery | None:
        return None

    def send(self, parcel: Parcel) -> str | None:
        self.begun.append(parcel.delivery_id)
        said = self.script.get(timeout=20)
        if isinstance(said, Exception):
            raise said
        return said


@dataclass
class Stage:
    line: SendingLine
    channel: Scripted
    clock: Clock
    eventually: Callable[..., None]

    def delivery(self, *, age_h: float = 0.0, attempts: int = 0, resent_h: float | None = None) -> Delivery:
        made = Delivery(
            delivery_id=uuid.uuid4(),
            alert_id=uuid.uuid4(),
            revision=1,
            channel="scripted",
            routing_key="alert.high.none.ais_gap",
            body={},
            created_at_us=self.clock.us - int(age_h * HOUR_US),
            attempts=attempts,
            resent_at_us=None if resent_h is None else self.clock.us - int(resent_h * HOUR_US),
        )
        self.line.outgoing.take([made])
        return made

    def play(self, *script: Exception | str | None) -> None:
        for said in script:
            self.channel.script.put(said)

    def until(self, condition: Callable[[], object]) -> None:
        def looked() -> object:
            self.line.hear()
            return condition()

        self.eventually(looked, every_s=0.005)


@pytest.fixture
def stage(eventually: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    channel, clock = Scripted(), Clock()
    config = ChannelConfig(name="scripted", type="scripted", max_attempts=3, give_up_after_hours=2.0)
    line = SendingLine(channel, config, clock, wake=threading.Event())
    yield Stage(line, channel, clock, eventually)
    channel.script.put(None)
    line.close()


def test_while_the_other_side_hangs_the_line_takes_no_time_and_hands_over_a_few(stage: Stage) -> None:
    for _ in range(20):
        stage.delivery()
    stage.line.send()
    stage.until(lambda: len(stage.channel.begun) == 1)
    stage.line.send()
    stage.line.send()
    assert len(stage.line.outgoing.waiting()) == 17
    stage.play(*[None] * 20)


def test_what_was_sent_is_to_be_marked_with_what_was_not_quite_right(stage: Stage) -> None:
    sent = stage.delivery()
    stage.line.send()
    stage.play("not taken for x@y")
    stage.until(lambda: stage.line.outgoing.to_mark() == [sent.delivery_id])
    assert stage.line.notes == {sent.delivery_id: "not taken for x@y"}
    assert (stage.line.state.sent, stage.line.state.trouble) == (1, None)


def test_after_a_failure_the_line_pauses_and_then_tries_one(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second, _ = (stage.delivery() for _ in range(3))
    stage.line.send()
    stage.play(NotNow("away"))
    stage.until(lambda: len(stage.line.outgoing.waiting()) == 3)
    # then nothing is sent, the failure is to be stored with its time, and the others are as they were
    stage.line.send()
    assert len(stage.line.outgoing.waiting()) == 3
    (failure,) = stage.line.failures.values()
    assert (failure.delivery_id, failure.reason) == (first.delivery_id, "away")
    assert failure.next_attempt_at_us is not None
    assert 0.7 * US_PER_S <= failure.next_attempt_at_us - stage.clock.us <= US_PER_S
    assert stage.line.state.trouble == "away"
    # and when the pause is over it tries one, which is not the one that failed
    monkeypatch.setattr(lines, "monotonic", lambda: 10.0**9)
    stage.line.send()
    assert len(stage.line.outgoing.waiting()) == 2
    stage.play(None)
    stage.until(stage.line.outgoing.to_mark)
    assert stage.line.outgoing.to_mark() in ([first.delivery_id], [second.delivery_id])
    assert stage.line.state.trouble is None


def test_the_pause_that_the_other_side_asks_for_is_kept(stage: Stage) -> None:
    stage.delivery()
    stage.line.send()
    stage.play(NotNow("busy", retry_after_s=600.0))
    stage.until(lambda: stage.line.failures)
    (failure,) = stage.line.failures.values()
    assert failure.next_attempt_at_us == stage.clock.us + 600 * US_PER_S


@pytest.mark.parametrize(
    ("raised", "attempts", "reason"),
    [
        (NeverAgain("HTTP 400"), 0, "refused: HTTP 400"),
        (NotNow("away"), 2, "given up after 3 attempts: away"),
    ],
)
def test_what_is_refused_or_was_tried_too_often_is_dead_with_its_reason(
    stage: Stage, raised: Exception, attempts: int, reason: str
) -> None:
    dead = stage.delivery(attempts=attempts)
    stage.line.send()
    stage.play(raised)
    stage.until(lambda: stage.line.failures)
    (failure,) = stage.line.failures.values()
    assert (failure.delivery_id, failure.reason, failure.next_attempt_at_us) == (dead.delivery_id, reason, None)
    assert len(stage.line.outgoing) == 0


def test_what_is_too_old_is_dead_untried_and_age_counts_from_a_persons_word(stage: Stage) -> None:
    old = stage.delivery(age_h=2.1)
    again = stage.delivery(age_h=50.0, resent_h=0.5)
    stage.line.send()
    (failure,) = stage.line.failures.values()
    assert (failure.delivery_id, failure.attempted) == (old.delivery_id, False)
    assert failure.reason == "older than 2 h: never tried"
    stage.play(None)
    stage.until(lambda: stage.line.outgoing.to_mark() == [again.delivery_id])


def test_a_channel_with_a_defect_fails_and_its_thread_goes_on(stage: Stage, caplog: Any) -> None:
    stage.delivery()
    stage.line.send()
    stage.play(ZeroDivisionError("a defect"))
    stage.until(lambda: stage.line.failures)
    (failure,) = stage.line.failures.values()
    assert failure.reason == "ZeroDivisionError: a defect"
    assert failure.next_attempt_at_us is not None
