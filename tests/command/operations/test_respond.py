"""A responder's client on a real broker: what it prints, what it leaves, and what it warns of."""

from __future__ import annotations

import io
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.message import ALERT, HEARTBEAT, DispatchState, alert_body, check_body, encode, heartbeat_body
from command.bus import (
    ALERT_DEAD_LETTERS,
    AlertPublisher,
    Team,
    alert_topology,
    heartbeat_queue,
    queue_depths,
    team_queue,
)
from command.domain.alert import Alert, Severity
from command.domain.geo import Position
from command.domain.realm import Realm
from command.operations import respond
from command.operations.respond import Pulse
from command.operations.responder_memory import ShownAlerts

NIGHT_US = 1_795_390_865_123_456
TOPOLOGY = alert_topology([Team(name="duty")])


def an_alert(severity: Severity = Severity.HIGH, **changes: Any) -> Alert:
    facts: dict[str, Any] = {
        "alert_id": uuid.uuid4(),
        "revision": 1,
        "realm": "drill-x",
        "rule": "geofence_entry",
        "severity": severity,
        "subject": "mmsi:431002123",
        "subject_label": "HAKATA MARU",
        "area": None,
        "track_id": None,
        "position": Position(lon=129.4418, lat=34.6872),
        "because": "because.geofence_entry",
        "because_params": {},
        "evidence": (),
        "opened_at_us": NIGHT_US,
        "observed_at_us": NIGHT_US,
        "recorded_at_us": NIGHT_US,
    }
    return Alert(**(facts | changes))


class Centre:
    """The operations centre's end: publishes alerts and heartbeats."""

    def __init__(self, publisher: AlertPublisher, realm: Realm) -> None:
        self._publisher, self._realm = publisher, realm

    def alert(self, *alerts: Alert) -> None:
        for alert in alerts:
            self.raw(encode(alert_body(alert, area_name=None), kind=ALERT), severity=alert.severity)

    def raw(self, body: bytes, *, severity: Severity = Severity.HIGH) -> None:
        assert self._publisher.publish(
            body, routing_key=f"alert.{severity.word}.none.geofence_entry", message_id=str(uuid.uuid4())
        )
        self._settle()

    def beat(self, state: DispatchState = DispatchState.RUNNING) -> None:
        body = heartbeat_body(
            self._realm, sent_at_us=time.time_ns() // 1_000, state=state, waiting=0, dead=0, unroutable=0
        )
        assert self._publisher.heartbeat(encode(body, kind=HEARTBEAT))
        self._settle()

    def _settle(self) -> None:
        """Returns when the broker has what was published: a queue with nothing ready then has given it out."""
        assert self._publisher.drain(20)


@pytest.fixture
def centre(amqp_url: str, realm: Realm) -> Iterator[Centre]:
    with AlertPublisher(amqp_url, realm.vhost, topology=TOPOLOGY, wake=threading.Event()) as publisher:
        assert publisher.wait_connected(20)
        yield Centre(publisher, realm)


class Client:
    """A running client and what it has printed."""

    def __init__(self, out: io.StringIO, stop: threading.Event, running: Future[int]) -> None:
        self._out, self.stop, self._running = out, stop, running

    @property
    def lines(self) -> list[str]:
        return self._out.getvalue().splitlines()

    @property
    def alerts(self) -> list[str]:
        return [line for line in self.lines if "HAKATA MARU" in line]

    def printed(self) -> int:
        """How many alerts it printed, when it has ended by itself or by `stop`."""
        return self._running.result(60)


class HandClock:
    """A clock that stands still until a test moves it; `looks` counts who asked."""

    def __init__(self) -> None:
        self.now_s, self.looks = 0.0, 0

    def __call__(self) -> float:
        self.looks += 1
        return self.now_s


@contextmanager
def client(amqp_url: str, realm: Realm, **more: Any) -> Iterator[Client]:
    out, stop = io.StringIO(), threading.Event()
    settings: dict[str, Any] = {"team": "duty", "language": "en", **more}
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(respond.run, amqp_url=amqp_url, realm=realm, out=out, stop=stop, **settings)
        try:
            yield Client(out, stop, running)
        finally:
            stop.set()
            running.result(60)


def ready(amqp_url: str, realm: Realm, *queues: str) -> int:
    return sum(depth.ready for depth in queue_depths(amqp_url, realm.vhost, queues).values())


TEAM_QUEUES = [team_queue("duty", severity) for severity in Severity]


def test_each_alert_is_printed_once_worst_first_and_taken_off_the_queue(
    amqp_url: str, realm: Realm, centre: Centre
) -> None:
    # given alerts that wait, one of them twice (dispatch was killed before it could mark it)
    order = [Severity.LOW, Severity.CRITICAL, Severity.MEDIUM, Severity.HIGH]
    alerts = [an_alert(severity) for severity in order]
    centre.alert(*alerts, alerts[1])
    # when
    with client(amqp_url, realm, count=4) as running:
        # then
        assert running.printed() == 4
        marks = [line.split()[2] for line in running.alerts]
        assert sorted(marks) == ["Critical", "High", "Low", "Medium"]
    assert ready(amqp_url, realm, *TEAM_QUEUES) == 0


def test_an_older_revision_that_comes_late_is_not_printed_over_a_newer_one(
    amqp_url: str, realm: Realm, centre: Centre, eventually: Callable[..., None]
) -> None:
    alert_id = uuid.uuid4()
    with client(amqp_url, realm) as running:
        for revision in (1, 3, 2, 3, 4):
            centre.alert(an_alert(alert_id=alert_id, revision=revision))
        eventually(lambda: len(running.alerts) == 3)
        eventually(lambda: ready(amqp_url, realm, *TEAM_QUEUES) == 0)
        assert ["revision 3" in line for line in running.alerts] == [False, True, False]
        assert "revision 4" in running.alerts[-1]


def test_a_restart_does_not_print_again_what_was_printed(
    amqp_url: str, realm: Realm, centre: Centre, tmp_path: Path
) -> None:
    shown, first, second = tmp_path / "state" / "shown", an_alert(), an_alert(subject_label="HAKATA MARU 2")
    centre.alert(first)
    with client(amqp_url, realm, count=1, shown_file=shown) as running:
        assert running.printed() == 1
    # when the same one comes again, and another, to a new client
    centre.alert(first, second)
    with client(amqp_url, realm, count=1, shown_file=shown) as running:
        assert running.printed() == 1
        # then
        assert len(running.alerts) == 1
        assert "HAKATA MARU 2" in running.alerts[0]


def test_a_damaged_record_of_what_was_printed_costs_nothing_but_itself(tmp_path: Path) -> None:
    path = tmp_path / "shown"
    alert_id = str(uuid.uuid4())
    path.write_bytes(b"\xff\xfe nonsense\n" + f"{alert_id} 3\n{alert_id} 2\n{alert_id} -1\nhalf".encode())
    with ShownAlerts(path) as shown:
        assert shown.problem is None
        assert not shown.is_new(alert_id, 3)
        assert shown.is_new(alert_id, 4)
    assert path.read_text() == f"{alert_id} 3\n"


def test_a_record_that_cannot_be_written_is_told_and_alerts_are_printed_all_the_same(
    amqp_url: str, realm: Realm, centre: Centre, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    centre.alert(an_alert())
    with client(amqp_url, realm, count=1, shown_file=tmp_path / "file" / "shown") as running:
        assert running.printed() == 1
        assert any("cannot be used" in line for line in running.lines)


def test_a_message_that_is_no_alert_goes_to_the_dead_letters_and_the_next_is_printed(
    amqp_url: str, realm: Realm, centre: Centre, eventually: Callable[..., None]
) -> None:
    centre.raw(b'{"schema": "urn:else:where"}')
    centre.alert(an_alert())
    with client(amqp_url, realm, count=1) as running:
        assert running.printed() == 1
        assert any("moved to the dead letters" in line for line in running.lines)
    eventually(lambda: ready(amqp_url, realm, ALERT_DEAD_LETTERS) == 1)


def test_it_warns_loudly_when_the_heartbeat_stops_and_says_when_it_is_back(
    amqp_url: str, realm: Realm, centre: Centre, eventually: Callable[..., None]
) -> None:
    with client(amqp_url, realm, heartbeat_late_s=1.0, warn_again_s=1.0) as running:
        centre.beat()
        # when no more come
        eventually(lambda: any("WARNING: no heartbeat" in line for line in running.lines))
        # then it goes on warning
        eventually(lambda: sum("WARNING: no heartbeat" in line for line in running.lines) >= 2)
        # and tells when one comes
        centre.beat()
        eventually(lambda: any("heartbeat is back" in line for line in running.lines))


def test_it_tells_what_dispatch_says_of_itself_when_that_changes(
    amqp_url: str, realm: Realm, centre: Centre, eventually: Callable[..., None]
) -> None:
    with client(amqp_url, realm, language="ja") as running:
        for state in (DispatchState.RUNNING, DispatchState.STORE_AWAY, DispatchState.STORE_AWAY, DispatchState.RUNNING):
            centre.beat(state)
            eventually(lambda: ready(amqp_url, realm, heartbeat_queue("duty")) == 0)
        eventually(lambda: any("配信は正常" in line for line in running.lines))
        assert sum("データベースの応答がなく" in line for line in running.lines) == 1


def test_it_says_that_the_line_is_cut_and_goes_on_when_it_is_mended(
    amqp_url: str, realm: Realm, line: Any, centre: Centre, *, eventually: Callable[..., None]
) -> None:
    with client(line.url, realm) as running:
        centre.alert(an_alert())
        eventually(lambda: len(running.alerts) == 1)
        # when
        line.cut()
        centre.alert(an_alert())
        eventually(lambda: any("No alerts can be received" in text for text in running.lines))
        line.mend()
        # then
        eventually(lambda: len(running.alerts) == 2)


def test_it_takes_no_more_than_the_count_and_leaves_the_rest_for_the_next(
    amqp_url: str, realm: Realm, centre: Centre, eventually: Callable[..., None]
) -> None:
    centre.alert(*(an_alert() for _ in range(5)))
    with client(amqp_url, realm, count=2) as running:
        assert running.printed() == 2
        assert len(running.alerts) == 2
    eventually(lambda: ready(amqp_url, realm, *TEAM_QUEUES) == 3)


def test_a_second_client_of_the_team_stands_by_without_false_warnings_and_takes_over(
    amqp_url: str, realm: Realm, centre: Centre, eventually: Callable[..., None]
) -> None:
    with client(amqp_url, realm) as first:
        eventually(lambda: any("Receiving" in line for line in first.lines))
        clock = HandClock()
        with client(amqp_url, realm, monotonic_s=clock) as second:
            eventually(lambda: clock.looks > 10)
            clock.now_s = 10.0  # it tells what keeps it apart after a few seconds
            eventually(lambda: any("stands by" in line for line in second.lines))
            # when it has stood by for longer than a heartbeat may be late
            clock.now_s = 100.0
            looked = clock.looks
            eventually(lambda: clock.looks > looked + 10)
            centre.alert(an_alert())
            eventually(lambda: len(first.alerts) == 1)
            assert not second.alerts
            assert not any("WARNING" in line for line in second.lines)
            # when the first one goes
            first.stop.set()
            first.printed()
            centre.alert(an_alert())
            # then
            eventually(lambda: len(second.alerts) == 1)


def test_for_programs_each_line_is_one_json_object_and_each_alert_meets_the_schema(
    amqp_url: str, realm: Realm, centre: Centre, eventually: Callable[..., None]
) -> None:
    with client(amqp_url, realm, as_json=True, count=1, monotonic_s=HandClock()) as running:
        eventually(lambda: running.lines)
        centre.alert(an_alert(subject_label="第八博多丸\u202e"))
        assert running.printed() == 1
        objects = [json.loads(line) for line in running.lines]
    notices = [o for o in objects if "notice" in o]
    (alert,) = [o for o in objects if "notice" not in o]
    check_body(alert, kind=ALERT)
    assert alert["subject_label"]["ja"] == "第八博多丸\u202e"
    assert notices == [{"notice": "listening", "team": "duty", "realm": realm.name}]


@pytest.mark.parametrize(
    ("change", "says"), [({"team": "No Good"}, "small letters"), ({"language": "fr"}, "choose from ja, en")]
)
def test_a_team_or_language_that_cannot_be_is_refused_at_once(
    amqp_url: str, realm: Realm, change: dict[str, Any], says: str
) -> None:
    settings: dict[str, Any] = {"team": "duty", "language": "ja"} | change
    with pytest.raises(ValueError, match=says):
        respond.run(amqp_url=amqp_url, realm=realm, out=io.StringIO(), stop=threading.Event(), **settings)


@given(st.lists(st.tuples(st.sampled_from(["beat", "look"]), st.floats(0.0, 40.0)), max_size=40))
def test_silence_is_warned_of_exactly_when_it_lasts_and_never_while_the_heart_beats(
    steps: Sequence[tuple[str, float]],
) -> None:
    now_s = heard_at_s = 0.0
    warned_at_s: float | None = None
    pulse = Pulse(late_s=25.0, warn_again_s=60.0, now_s=0.0)
    for what, pause_s in steps:
        now_s += pause_s
        if what == "beat":
            away_s = pulse.hear(now_s)
            assert (away_s is not None) == (warned_at_s is not None)
            heard_at_s, warned_at_s = now_s, None
        else:
            due = now_s - heard_at_s >= 25.0 and (warned_at_s is None or now_s - warned_at_s >= 60.0)
            assert (pulse.check(now_s) is not None) == due
            warned_at_s = now_s if due else warned_at_s
