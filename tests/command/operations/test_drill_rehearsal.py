"""The whole drill without servers: its bytes through the real decoders, tracker and rules raise what it announces."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from alerts.engine import RuleEngine
from alerts.exemptions import ExemptionList
from alerts.rule import World
from command.domain.alert import Finding, FindingKind, Severity
from command.domain.area import Area
from command.domain.clock import US_PER_S, DataClock
from command.domain.observation import ObservationBatch
from command.operations.drill import load_scenario
from command.operations.drills.scenario import ExpectedAlert, Scenario
from maps.areas import AreaIndex
from sensors.ais.decoder import AisDecoder
from sensors.mavlink.decoder import MavlinkDecoder
from sensors.source import Decoder, Tally
from sensors.tracking.identity import IdentityTracker

REALM = "drill-tsushima-night"
STEP_S = 5.0
Outage = tuple[float, float]


class NoSink:
    def keep(self, *, source: str, reason: str, raw: bytes, received_at_us: int) -> None:
        raise AssertionError(f"{source} rejected {raw!r}: {reason}")


@dataclass
class Rehearsal:
    """Runs a scenario step by step. In an outage the gateway is dead: its datagrams are lost, its memory too."""

    scenario: Scenario
    clock: DataClock = field(init=False)
    tallies: dict[str, Tally] = field(default_factory=dict)
    decoders: dict[str, Decoder] = field(default_factory=dict)
    waiting: list[ObservationBatch] = field(default_factory=list)
    opened: list[Finding] = field(default_factory=list)
    severities: dict[tuple[str, str, str | None, int], Severity] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.clock = DataClock(latest_us=self.scenario.start_us)
        self.line_of = {speaker.name: speaker.line for speaker in self.scenario.speakers}
        self.tracker = IdentityTracker(REALM)
        self.engine = RuleEngine(self.scenario.rules)
        self.areas = AreaIndex(
            [
                Area(
                    area_id=uuid.uuid5(uuid.NAMESPACE_URL, planned.slug),
                    version=1,
                    slug=planned.slug,
                    kind=planned.kind,
                    name_ja=planned.name_ja,
                    name_en=planned.name_en,
                    geometry=planned.geometry,
                    valid_from_us=self.scenario.start_us,
                    author="test",
                )
                for planned in self.scenario.areas
            ]
        )
        self.exemptions = ExemptionList(assets=[asset.subject for asset in self.scenario.assets])
        self._start_gateway()

    def run(self, *, until_s: float, outages: Sequence[Outage] = ()) -> None:
        next_s, dead = STEP_S, False
        for sent in self.scenario.transmissions():
            t_s = (sent.at_us - self.scenario.start_us) / US_PER_S
            if t_s >= until_s:
                break
            while t_s >= next_s:
                self._step(dead)
                next_s += STEP_S
            self.clock.advance(sent.at_us)
            was_dead, dead = dead, any(since <= t_s < until for since, until in outages)
            if was_dead and not dead:
                self._start_gateway()
            if not dead:
                decoder = self.decoders[self.line_of[sent.speaker]]
                batch = decoder.feed(sent.data, received_at_us=sent.at_us, origin=sent.speaker)
                self.waiting += [batch] if batch is not None else []

    def _start_gateway(self) -> None:
        for line, kind in (("ais", "ais"), ("air", "mavlink"), ("underwater", "mavlink")):
            tally = Tally(source=f"drill-{line}", kind=kind, gateway="g", clock=self.clock, sink=NoSink())
            self.tallies[line] = tally
            self.decoders[line] = AisDecoder(tally=tally) if kind == "ais" else MavlinkDecoder(tally=tally)

    def _step(self, dead: bool) -> None:
        now_us = self.clock.now_us()
        if not dead:
            flushed = [decoder.flush(received_at_us=now_us) for decoder in self.decoders.values()]
            self.waiting += [batch for batch in flushed if batch is not None]
        if self.waiting:
            output = self.tracker.update(self.waiting, recorded_at_us=now_us)
            self.waiting = []
            self._hear(self.engine.evaluate(output.states, self._world()))
        self.tracker.tick(now_us)
        self._hear(self.engine.tick(self._world()))

    def _world(self) -> World:
        return World(
            realm=REALM,
            now_us=self.clock.now_us(),
            tracks=self.tracker.tracks,
            areas=self.areas,
            exemptions=self.exemptions,
            health=[tally.health() for tally in self.tallies.values()],
        )

    def _hear(self, findings: list[Finding]) -> None:
        for finding in findings:
            if finding.kind is FindingKind.OPENED:
                self.opened.append(finding)
            key = (finding.rule, finding.subject, finding.area, finding.episode_start_us)
            self.severities[key] = max(finding.severity, self.severities.get(key, finding.severity))

    def opened_at_s(self, expected: ExpectedAlert) -> list[float]:
        wanted = (expected.rule, expected.subject, expected.area)
        return [
            (finding.observed_at_us - self.scenario.start_us) / US_PER_S
            for finding in self.opened
            if (finding.rule, finding.subject, finding.area) == wanted
        ]

    def unexpected(self) -> list[tuple[str, str, str | None, float]]:
        wanted = {(e.rule, e.subject, e.area) for e in self.scenario.expected}
        return [
            (f.rule, f.subject, f.area, (f.observed_at_us - self.scenario.start_us) / US_PER_S)
            for f in self.opened
            if (f.rule, f.subject, f.area) not in wanted
        ]


@pytest.fixture
def rehearse() -> Callable[..., Rehearsal]:
    def run(*, until_s: float, outages: Sequence[Outage] = ()) -> Rehearsal:
        rehearsal = Rehearsal(load_scenario("tsushima-night"))
        rehearsal.run(until_s=until_s, outages=outages)
        return rehearsal

    return run


def test_undisturbed_it_raises_each_expected_alert_once_in_its_time_and_no_other(
    rehearse: Callable[..., Rehearsal],
) -> None:
    night = rehearse(until_s=1_500.0)
    assert night.unexpected() == []
    for expected in night.scenario.expected:
        (opened_s,) = night.opened_at_s(expected)
        assert expected.opens_from_s <= opened_s <= expected.opens_until_s, (expected, opened_s)
    by_key = {(rule, subject, area): worst for (rule, subject, area, _), worst in night.severities.items()}
    assert all(by_key[e.rule, e.subject, e.area] is e.severity for e in night.scenario.expected)
    assert not any(health.failures for health in night.engine.health())


@pytest.mark.soak
def test_for_as_long_as_its_list_holds_nothing_else_is_raised(rehearse: Callable[..., Rehearsal]) -> None:
    night = rehearse(until_s=load_scenario("tsushima-night").duration_s)
    assert night.unexpected() == []
    assert [len(night.opened_at_s(expected)) for expected in night.scenario.expected] == [1] * 9


def test_an_alert_of_each_severity_comes_within_two_minutes() -> None:
    scenario = load_scenario("tsushima-night")
    early = {expected.severity for expected in scenario.expected if expected.opens_until_s <= 120.0}
    assert early == set(Severity)


@pytest.mark.parametrize(
    "outages",
    [
        [(float(start), start + 50.0) for start in (18, 150, 350, 500, 690, 860, 1_030)],
        pytest.param([(float(start), start + 50.0) for start in range(120, 1_400, 170)], marks=pytest.mark.soak),
    ],
    ids=["over the events", "again and again"],
)
def test_a_gateway_that_dies_and_returns_delays_alerts_and_invents_none(
    rehearse: Callable[..., Rehearsal], outages: list[Outage]
) -> None:
    night = rehearse(until_s=1_500.0, outages=outages)
    assert night.unexpected() == []
    for expected in night.scenario.expected:
        (opened_s,) = night.opened_at_s(expected)
        # a silence that an outage preceded is noticed earlier, by no more than the outage
        assert expected.opens_from_s - 60.0 <= opened_s <= expected.lasts_until_s, (expected, opened_s)
