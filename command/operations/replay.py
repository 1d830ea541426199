"""Replaying recordings in a realm of their own: the real gateway, broker, intake and store, and a report at the end."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy import Engine

from command.bus import OBSERVATIONS, BatchPublisher, BrokerUnavailable, Consumer, QueueWatch, queue_depths
from command.domain.clock import Clock, DataClock, ScenarioClock, SystemClock
from command.domain.health import SourceHealth
from command.domain.realm import Realm, RealmKind
from command.operations import gateway
from command.operations.intake.loop import PREFETCH, Intake, Progress
from command.operations.intake.picture import PictureKeeper
from command.operations.realms import open_realm
from command.services import Endpoints
from command.store.alerts import counts_by_rule
from command.store.engine import realm_session
from command.store.realms import save_realm_clock
from command.store.tracks import load_latest
from sensors.rejects import RejectStore
from sensors.replay import ReplayConfig, ReplaySource
from sensors.tracking.identity import IdentityTracker

SOURCE: Final = "replay"
"""The source's name in every replay: observation ids are made of it, so the same file makes the same ones."""
_MAX_NAME: Final = 40
_CONNECT_WITHIN_S: Final = 20.0
_LOOK_EVERY_S: Final = 0.05


class ReplayStopped(RuntimeError):
    """The replay was stopped before its end; what was committed stays, and the same replay may be run again."""


def realm_of_files(files: Sequence[Path]) -> Realm:
    """The realm that these recordings are replayed in where none is named: `replay-` and the first file's name."""
    words = re.sub(r"[^a-z0-9]+", "-", files[0].stem.lower()).strip("-") or "recording"
    return Realm.parse(f"replay-{words[:_MAX_NAME].strip('-')}")


def replay(
    engine: Engine,
    endpoints: Endpoints,
    files: Sequence[Path],
    *,
    speed: float | Literal["max"],
    rejects_dir: Path,
    realm: Realm | None = None,
    rules: Mapping[str, Mapping[str, Any]] | None = None,
    stop: threading.Event | None = None,
) -> dict[str, Any]:
    """Play `files` to their end and until every row is committed; returns the report, ready for JSON.

    speed: how many times as fast as recorded, or `max`, at which the realm's clock is as late as the data.
    messages_in == decoded + sum(rejected) + duplicates, of this run. `observations` are the rows that came to the
    store, `observations_new` those that it did not have; `tracks` and `alerts` (by rule) are all of the realm's, so
    the same replay twice in one realm tells the same. `seconds` is wall time from the first byte to the last commit.
    Raises BadRecording for a file that is none, ValueError for a realm that is not replay-NAME, ReplayStopped where
    `stop` was set, StoreUnavailable, BrokerUnavailable or ServiceMissing where nothing can be begun.
    """
    wanted = realm or realm_of_files(files)
    if wanted.kind is not RealmKind.REPLAY:
        raise ValueError(f"realm {wanted.name}: recordings are replayed in a realm replay-NAME only")
    source = ReplaySource(ReplayConfig(name=SOURCE, files=tuple(files), speed=speed))
    clock = open_realm(engine, endpoints, wanted, clock=_clock(speed, source.first_us), rules=rules)
    if isinstance(clock, ScenarioClock):
        clock = replace(clock, host_start_us=SystemClock().now_us())  # opening a new realm has taken time
        with realm_session(engine, wanted) as session:
            save_realm_clock(session, wanted, clock)
    halt = stop or threading.Event()
    began_s = time.perf_counter()
    with (
        RejectStore(rejects_dir) as sink,
        BatchPublisher(endpoints.amqp_url, wanted.vhost, name="mizugiwa replay") as publisher,
        _IntakeThread(engine, endpoints, wanted, clock) as intake,
    ):
        if not publisher.wait_connected(_CONNECT_WITHIN_S):
            raise BrokerUnavailable(publisher.trouble or "the broker does not answer; see `mizugiwa doctor`")
        feed = gateway.Feed(name=SOURCE, kind="replay", source=source)
        (health,) = gateway.run([feed], publisher, clock, halt, gateway=SOURCE, sink=sink, until_finished=True)
        while not publisher.drain(_LOOK_EVERY_S):
            intake.check(halt)
        while not intake.has_settled(publisher.confirmed):
            intake.check(halt)
            halt.wait(_LOOK_EVERY_S)
        intake.check(halt)
        seconds = time.perf_counter() - began_s
        with realm_session(engine, wanted) as session:
            tracks, alerts = len(load_latest(session)), counts_by_rule(session)
        return {
            "realm": wanted.name,
            "files": [str(path) for path in files],
            **_report(health, intake.progress, tracks=tracks, alerts=alerts),
            "seconds": round(seconds, 3),
        }


def _clock(speed: float | Literal["max"], first_us: int) -> DataClock | ScenarioClock:
    if speed == "max":
        return DataClock(latest_us=first_us)
    return ScenarioClock(scenario_start_us=first_us, host_start_us=SystemClock().now_us(), speed=speed)


class _IntakeThread:
    """The realm's intake in a thread of this process, stopped at the end of the block."""

    def __init__(self, engine: Engine, endpoints: Endpoints, realm: Realm, clock: Clock) -> None:
        self._endpoints, self._realm = endpoints, realm
        self._stop = threading.Event()
        self._failure: Exception | None = None
        name = "mizugiwa replay intake"
        self._consumer = Consumer(endpoints.amqp_url, realm.vhost, (OBSERVATIONS,), prefetch=PREFETCH, name=name)
        self._watch = QueueWatch(endpoints.amqp_url, realm.vhost, (OBSERVATIONS,), name=name)
        keeper = PictureKeeper(engine, realm, clock=clock, tracker=IdentityTracker(realm.name))
        self._intake = Intake(engine, realm, keeper=keeper, consumer=self._consumer, depths=self._watch.depths)
        self._thread = threading.Thread(target=self._run, name=name)

    def __enter__(self) -> _IntakeThread:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._watch.close()
        self._consumer.close()

    def _run(self) -> None:
        try:
            self._intake.run(self._stop)
        except Exception as exc:  # noqa: BLE001 - handed to the thread that waits for the end
            self._failure = exc

    @property
    def progress(self) -> Progress:
        return self._intake.progress

    def check(self, halt: threading.Event) -> None:
        """Raises what ended the intake, or ReplayStopped."""
        if self._failure is not None:
            raise self._failure
        if halt.is_set():
            raise ReplayStopped(f"the replay in {self._realm.name} was stopped; run it again to complete it")

    def has_settled(self, messages: int) -> bool:
        """Whether as many messages as were published are settled and none waits."""
        if self.progress.settled < messages:
            return False
        return queue_depths(self._endpoints.amqp_url, self._realm.vhost, (OBSERVATIONS,))[OBSERVATIONS].ready == 0


def _report(health: SourceHealth, intake: Progress, *, tracks: int, alerts: Mapping[str, int]) -> dict[str, Any]:
    return {
        "state": health.state,
        "detail": health.detail,
        "messages_in": health.messages_in,
        "decoded": health.decoded,
        "rejected": dict(sorted(health.rejected.items())),
        "duplicates": health.duplicates,
        "ignored": dict(sorted(health.ignored.items())),
        "shed": dict(sorted(health.shed.items())),
        "observations": intake.rows,
        "observations_new": intake.new,
        "not_fused": dict(sorted(_not_fused(intake.counts).items())),
        "messages_refused": dict(sorted(intake.rejected.items())),
        "tracks": tracks,
        "alerts": dict(alerts),
    }


def _not_fused(counts: Counter[str]) -> dict[str, int]:
    """Why rows made no state: what intake counted, but for those that were known."""
    return {reason: count for reason, count in counts.items() if reason != "known"}
