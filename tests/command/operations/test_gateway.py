"""The gateway: sources in threads, one outbox, one publisher. The broker is a fake that can be away."""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from command.bus import BatchPublisher
from command.domain.clock import DataClock, SystemClock
from command.domain.health import SourceHealth
from command.domain.observation import IdentityScheme, ObservationBatch, ObservationKind, empty_rows
from command.operations.gateway import Feed, GatewayBroken, Publisher, run
from command.services import free_ports
from sensors.registry import make_source
from sensors.rejects import RejectStore
from sensors.source import SourceContext

POSITION = b"!AIVDM,1,1,,B,13u=gHP3CWPlvs2Q8sHW:5fD0h6a,0*1B\n"


class FakeBroker:
    """Takes messages while it is there."""

    def __init__(self) -> None:
        self.connected = True
        self.batches: list[ObservationBatch] = []
        self.health: list[list[dict[str, Any]]] = []

    def publish(self, body: bytes, *, kind: str) -> bool:
        if not self.connected:
            return False
        if kind == "observations":
            self.batches.append(ObservationBatch.from_bytes(body))
        else:
            self.health.append(json.loads(body))
        return True

    def drain(self, timeout_s: float) -> bool:
        del timeout_s
        return self.connected

    @property
    def rows(self) -> int:
        return sum(map(len, self.batches))


class Emitter:
    """A source that emits what it is given, raising where it is told to."""

    def __init__(self, *steps: ObservationBatch | Exception, can_wait: bool = False, stays: bool = False) -> None:
        self.steps = list(steps)
        self.can_wait = can_wait
        self.stays = stays

    def run(self, ctx: SourceContext) -> None:
        while self.steps and not ctx.stop.is_set():
            step = self.steps.pop(0)
            if isinstance(step, Exception):
                raise step
            ctx.emit(step)
        while self.stays and not ctx.stop.wait(0.05):
            pass


def rows(count: int, *, key: int | None = None, source: str = "a", behind_s: float = 0.0) -> ObservationBatch:
    made = empty_rows(count)
    made["subject_key"] = np.arange(1, count + 1) if key is None else key
    made["subject_scheme"], made["kind"] = IdentityScheme.MMSI, ObservationKind.POSITION
    made["received_at_us"] = 1_700_000_000_000_000
    made["observed_at_us"] = 1_700_000_000_000_000 - int(behind_s * 1e6)
    made["lon"], made["lat"] = 129.0, 34.0
    return ObservationBatch(source=source, rows=made)


class Running:
    """A gateway in a thread."""

    def __init__(self, publisher: Publisher, sink: RejectStore, feeds: list[Feed], **options: Any) -> None:
        self.stop = threading.Event()
        self.ended: list[SourceHealth] = []
        self.error: Exception | None = None
        self.thread = threading.Thread(target=self._run, args=(publisher, sink, feeds), kwargs=options)
        self.thread.start()

    def _run(self, publisher: Publisher, sink: RejectStore, feeds: list[Feed], **options: Any) -> None:
        try:
            self.ended = run(feeds, publisher, SystemClock(), self.stop, gateway="here", sink=sink, **options)
        except GatewayBroken as exc:
            self.error = exc

    def join(self) -> list[SourceHealth]:
        self.thread.join(20.0)
        assert not self.thread.is_alive()
        return self.ended


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[RejectStore]:
    with RejectStore(tmp_path / "rejects") as store:
        yield store


@contextmanager
def running(publisher: Publisher, sink: RejectStore, *feeds: Feed, **options: Any) -> Iterator[Running]:
    gateway = Running(publisher, sink, list(feeds), **options)
    try:
        yield gateway
    finally:
        gateway.stop.set()
        gateway.join()


def feed(name: str, source: Any) -> Feed:
    return Feed(name=name, kind="test", source=source)


def test_what_sources_emit_is_published_in_batches_of_one_source(sink: RejectStore) -> None:
    broker = FakeBroker()
    feeds = [
        feed("a", Emitter(*[rows(100)] * 30, can_wait=True)),
        feed("b", Emitter(*[rows(7, source="b")] * 3, can_wait=True)),
    ]
    health = Running(broker, sink, feeds, until_finished=True).join()
    assert Counter({"a": 3_000, "b": 21}) == sum((Counter({b.source: len(b)}) for b in broker.batches), Counter())
    assert max(map(len, broker.batches)) <= 1_000
    assert {h.source: h.observations for h in health} == {"a": 3_000, "b": 21}
    assert broker.health[-1][0]["source"] == "a"
    assert broker.health[-1][0]["observations"] == 3_000, "the last health says everything"


def test_a_source_that_raises_is_counted_started_again_and_takes_no_other_down(
    sink: RejectStore, eventually: Callable[..., None]
) -> None:
    broker = FakeBroker()
    broken = Emitter(rows(1, source="broken"), ValueError("loose cable"), rows(1, source="broken"), stays=True)
    with running(broker, sink, feed("broken", broken), feed("a", Emitter(rows(5), stays=True))) as gateway:
        eventually(lambda: broker.rows == 7)
        gateway.stop.set()
        broken_health, healthy = gateway.join()
    assert broken_health.ignored == {"source_failed": 1}
    assert broken_health.state == "failed"
    assert broken_health.detail == "ValueError: loose cable"
    assert healthy.ignored == {}


def test_a_recording_that_raises_is_not_begun_again(sink: RejectStore) -> None:
    broker = FakeBroker()
    source = Emitter(rows(1), ValueError("torn"), rows(1), can_wait=True)
    (health,) = Running(broker, sink, [feed("a", source)], until_finished=True).join()
    assert health.state == "failed"
    assert broker.rows == 1


def test_while_the_broker_is_away_live_sources_shed_repeats_and_recordings_wait(
    sink: RejectStore, eventually: Callable[..., None]
) -> None:
    # given a broker that is away, a live source that repeats one vessel, and a recording
    broker = FakeBroker()
    broker.connected = False
    live = Emitter(*[rows(100, key=431_000_001)] * 50, stays=True)
    recording = Emitter(*[rows(100, source="r")] * 50, can_wait=True)
    with running(broker, sink, feed("a", live), feed("r", recording), max_rows=2_000) as gateway:
        eventually(lambda: not live.steps)
        # when it comes back; then the recording is whole, and the vessel's newest position is there
        broker.connected = True
        eventually(lambda: not recording.steps)
        gateway.stop.set()
        live_health, recording_health = gateway.join()
    assert recording_health.observations == 5_000
    assert recording_health.shed == {}
    assert live_health.shed["repeated_position"] + live_health.observations == 5_000
    assert sum(len(b) for b in broker.batches if b.source == "a") == live_health.observations > 0


def test_what_cannot_be_sent_before_the_end_is_counted(sink: RejectStore, eventually: Callable[..., None]) -> None:
    broker = FakeBroker()
    broker.connected = False
    source = Emitter(rows(10))
    with running(broker, sink, feed("a", source)) as gateway:
        eventually(lambda: not source.steps)
        gateway.stop.set()
        (health,) = gateway.join()
    assert health.shed == {"not_sent_before_stop": 10}
    assert health.observations == 0


def test_a_clock_too_far_off_is_flagged_and_counted(sink: RejectStore) -> None:
    broker = FakeBroker()
    (health,) = Running(
        broker, sink, [feed("a", Emitter(rows(3), rows(2, behind_s=7_200.0), can_wait=True))], until_finished=True
    ).join()
    assert health.ignored == {"clock_off": 2}
    assert broker.rows == 5


def test_health_and_heartbeat_go_on_when_a_heartbeat_fails(sink: RejectStore, eventually: Callable[..., None]) -> None:
    broker = FakeBroker()
    beats: list[dict[str, Any]] = []

    def beat(detail: Any) -> None:
        beats.append(dict(detail))
        raise OSError("the database is away")

    with running(broker, sink, feed("a", Emitter(stays=True)), beat=beat):
        eventually(lambda: len(broker.health) >= 2)
    assert beats[0] == {"gateway": "here", "outbox_rows": 0, "broker": True}
    assert len(beats) >= 2


def test_a_publisher_with_a_defect_ends_the_process_instead_of_running_on_deaf(sink: RejectStore) -> None:
    class Defective(FakeBroker):
        def publish(self, body: bytes, *, kind: str) -> bool:
            if kind == "observations":
                raise AssertionError("defect")
            return super().publish(body, kind=kind)

    gateway = Running(Defective(), sink, [feed("a", Emitter(rows(1), stays=True))])
    gateway.thread.join(20.0)
    assert isinstance(gateway.error, GatewayBroken)


def test_a_datagram_becomes_a_row_and_a_malformed_one_is_kept(
    sink: RejectStore, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    # given a gateway with a real AIS source on a real port
    (port,) = free_ports(1, kind=socket.SOCK_DGRAM)
    source = make_source({"kind": "ais", "name": "ais-1", "endpoint": f"udp://127.0.0.1:{port}"})
    broker = FakeBroker()
    with (
        running(broker, sink, Feed(name="ais-1", kind="ais", source=source)) as gateway,
        closing(socket.socket(type=socket.SOCK_DGRAM)) as peer,
    ):
        eventually(lambda: peer.sendto(POSITION, ("127.0.0.1", port)) and broker.rows)
        peer.sendto(b"garbage", ("127.0.0.1", port))
        eventually((tmp_path / "rejects" / "ais-1.jsonl").is_file)
        gateway.stop.set()
        (health,) = gateway.join()
    assert broker.rows == 1, "the same report again is a duplicate"
    assert health.rejected == {"not_nmea": 1}
    assert health.messages_in == health.decoded + 1 + health.duplicates


def test_the_real_publisher_is_one(amqp_url: str, vhost: str, sink: RejectStore) -> None:
    with BatchPublisher(amqp_url, vhost) as publisher:
        assert publisher.wait_connected(20.0)
        (health,) = run(
            [feed("a", Emitter(rows(2_500), can_wait=True))],
            publisher,
            DataClock(latest_us=0),
            threading.Event(),
            gateway="here",
            sink=sink,
            until_finished=True,
        )
        assert health.observations == 2_500
        assert publisher.in_flight == 0
