"""The engine: flush boundaries and restarts change nothing, a broken rule stops nothing, a bad setting says which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

import alerts.registry
from alerts.engine import BadRuleConfig, RuleEngine, check_rule_config
from alerts.registry import RULES
from alerts.rule import Memory, RuleConfig, SeverityWord, World
from alerts.rules.geofence_dwell import GeofenceDwell
from alerts.rules.geofence_entry import GeofenceEntry
from alerts.rules.geofence_exit import GeofenceExit
from command.domain.alert import Finding
from command.domain.clock import US_PER_S
from command.domain.observation import IdentityScheme, ObservationFlag, SubjectKind

FENCES = (GeofenceEntry.name, GeofenceExit.name, GeofenceDwell.name)
EVERY_RULE: dict[str, dict[str, Any]] = {
    **{name: {"rearm_s": 120, "forget_after_s": 600} for name in FENCES},
    "ais_gap": {"sample_s": 5, "least_gap_s": 60, "usual_intervals": 2, "steady_samples": 2, "source_break_s": 120},
    "distress": {"refresh_s": 60, "ended_after_s": 60, "silent_after_s": 300},
    "drone_low_battery": {"forget_after_s": 200},
    "drone_link_lost": {"forget_after_s": 300},
    "geofence_absence": {
        "watches": [{"name": "w", "area": "bay", "who_ja": "機", "who_en": "d", "kinds": ["air_drone"], "after_s": 120}]
    },
}
EVERY_RULE["geofence_dwell"] |= {"after_s": 60}
EVERY_RULE["conditions_test"] = {
    "name_ja": "湾の近くの船",
    "name_en": "near the bay",
    "hold_s": 10,
    "release_s": 20,
    "forget_after_s": 200,
    "when": [
        {"conditions": [{"fact": "area", "areas": ["bay"], "within_m": 20, "slack_m": 30}]},
        {"needs": "any", "conditions": [{"fact": "identity"}, {"fact": "speed", "at_least_mps": 4}]},
    ],
}

SUBJECTS: list[dict[str, Any]] = [
    {"key": 431_000_001},
    {"key": 431_000_002},
    {"key": 970_000_001, "kind": SubjectKind.DISTRESS_BEACON, "flags": ObservationFlag.DISTRESS},
    {"key": 431_000_003, "flags": ObservationFlag.DISTRESS_TEST},
    {"key": 7, "scheme": IdentityScheme.CONTACT, "kind": SubjectKind.UNKNOWN},
    {"key": 8, "scheme": IdentityScheme.MAVLINK, "kind": SubjectKind.AIR_DRONE, "flags": ObservationFlag.ASSET},
]


@st.composite
def stories(draw: st.DrawFn) -> list[tuple[str, Any]]:
    """States and ticks in the order of time."""
    t = 0.0
    story: list[tuple[str, Any]] = []
    for _ in range(draw(st.integers(2, 40))):
        t += draw(st.sampled_from([0.0, 1.0, 5.0, 10.0, 30.0, 100.0]))
        if draw(st.integers(0, 5)) == 0:
            story.append(("tick", t))
            continue
        subject = draw(st.sampled_from(SUBJECTS))
        inside_m = draw(st.sampled_from([-5_000, -200, -40, -10, 0, 10, 40, 200, 1_000]))
        values = {
            "lon": 129.0 + inside_m / 92_100,
            "lat": 34.05,
            "speed_mps": 5.0,
            "battery_percent": draw(st.sampled_from([90.0, 31.0, 29.0, 14.0])),
        }
        story.append(("state", (t, subject | values)))
    return story


def told(findings: list[Finding]) -> list[str]:
    return sorted(repr(finding) for finding in findings)


def play(kit: Any, story: list[tuple[str, Any]], cuts: Iterator[bool], restarts: Iterator[bool]) -> list[str]:
    """The findings when flushes end where `cuts` says (and before each tick), with restarts where `restarts` says."""
    stage = kit.stage(EVERY_RULE, [kit.geofence()])
    found: list[Finding] = []
    flush: list[Any] = []

    def end_flush() -> None:
        if flush:
            found.extend(stage.show(*flush))
            flush.clear()
        if next(restarts):
            stage.restart()

    for kind, what in story:
        if kind == "tick":
            end_flush()
            found.extend(stage.tick(what))
        else:
            t, values = what
            flush.append(kit.state(t, **values))
            if next(cuts):
                end_flush()
    end_flush()
    return told(found)


def forever(choices: list[bool]) -> Iterator[bool]:
    while True:
        yield from choices


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    story=stories(),
    cuts=st.lists(st.booleans(), min_size=1, max_size=20),
    restarts=st.lists(st.booleans(), min_size=1, max_size=20),
)
def test_neither_flush_boundaries_nor_restarts_change_what_is_said(
    kit: Any, story: list[tuple[str, Any]], cuts: list[bool], restarts: list[bool]
) -> None:
    whole = play(kit, story, forever([False]), forever([False]))
    cut = play(kit, story, forever(cuts), forever(restarts))

    assert cut == whole


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=stories())
def test_an_episode_opens_once_and_clears_at_most_once(kit: Any, story: list[tuple[str, Any]]) -> None:
    stage = kit.stage(EVERY_RULE, [kit.geofence()])
    state_of: dict[tuple[str, str, str | None, int], str] = {}

    for kind, what in story:
        findings = stage.tick(what) if kind == "tick" else stage.show(kit.state(what[0], **what[1]))
        for finding in findings:
            episode = (finding.rule, finding.subject, finding.area, finding.episode_start_us)
            before = state_of.get(episode)
            assert (before is None) == (finding.kind.value == "opened"), finding
            assert before != "cleared", finding
            state_of[episode] = finding.kind.value
            assert finding.episode_start_us <= finding.observed_at_us


class _Fragile:
    """Raises for one vessel, remembers every other."""

    name: ClassVar[str] = "fragile"

    class Config(RuleConfig):
        severity: SeverityWord = "low"

    def __init__(self, config: Any, memory: Memory) -> None:
        self._memory = memory

    def evaluate(self, states: np.ndarray, world: World) -> list[Finding]:
        for key in states["subject_key"].tolist():
            self._memory[str(key)] = {"seen": True}
            if key == 431_000_666:
                raise RuntimeError("cannot read this one")
        return []

    def tick(self, world: World) -> list[Finding]:
        raise RuntimeError("no time")


@pytest.fixture
def fragile(kit: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(alerts.registry, "RULES", {**RULES, "fragile": f"{__name__}:_Fragile"})
    monkeypatch.setattr(alerts.registry, "_load", lambda line: _Fragile if "_Fragile" in line else _loaded(line))
    return kit.stage({"fragile": {}, "geofence_entry": {}}, [kit.geofence()])


_loaded = alerts.registry._load


def test_a_rule_that_raises_does_not_stop_the_others_and_is_reported(fragile: Any, kit: Any) -> None:
    rows = [kit.state(t, key=key, lon=129.05, lat=34.05) for t, key in ((0, 1), (1, 431_000_666), (2, 3))]

    with capture_logs() as logs:
        found = fragile.show(*rows) + fragile.tick(10)

    broken, well = fragile.engine.health()
    assert [f.subject for f in found] == ["mmsi:000000001", "mmsi:431000666", "mmsi:000000003"]
    assert (broken.rule, broken.failures, broken.unread_states) == ("fragile", 3, 1)
    assert broken.last_error == "RuntimeError: no time"
    assert broken.last_failed_at_us == kit.start_us + 10 * US_PER_S
    assert (well.rule, well.failures) == ("geofence_entry", 0)
    assert {log["rule"] for log in logs} == {"fragile"}


def test_a_rule_remembers_nothing_of_the_state_that_it_failed_on_and_all_of_the_others(fragile: Any, kit: Any) -> None:
    with capture_logs():
        fragile.show(*[kit.state(t, key=key) for t, key in ((0, 1), (1, 431_000_666), (2, 3))])

    assert set(fragile.saved["fragile"]) == {"1", "3"}


def test_the_same_error_again_and_again_is_logged_once(fragile: Any) -> None:
    with capture_logs() as logs:
        for t in range(10):
            fragile.tick(t)

    assert len(logs) == 1
    assert fragile.engine.health()[0].failures == 10


def test_changes_are_taken_once(kit: Any) -> None:
    stage = kit.stage({"geofence_entry": {}}, [kit.geofence()])
    stage.show(kit.state(0, lon=129.05, lat=34.05))

    assert stage.engine.take_changes() == {}
    assert len(stage.saved["geofence_entry"]) == 1


def test_states_out_of_order_are_put_in_order(kit: Any) -> None:
    stage = kit.stage({"geofence_entry": {}}, [kit.geofence()])

    (opened,) = stage.show(kit.state(60, lon=129.06, lat=34.05), kit.state(0, lon=129.05, lat=34.05))

    assert opened.episode_start_us == kit.start_us


def test_a_rule_that_is_switched_off_says_nothing_and_keeps_its_memory(kit: Any) -> None:
    stage = kit.stage({"geofence_entry": {}}, [kit.geofence()])
    stage.show(kit.state(0, lon=129.05, lat=34.05))

    off = stage.engine.reconfigured({"geofence_entry": {"enabled": False}})
    assert off.evaluate(kit.state(10, key=2, lon=129.05, lat=34.05), stage.world()) == []
    on = off.reconfigured({"geofence_entry": {}})
    assert on.evaluate(kit.state(20, lon=129.05, lat=34.05), stage.world()) == []


@pytest.mark.parametrize(
    ("name", "config", "words"),
    [
        ("geofence_entri", {}, "choose from ais_gap"),
        ("geofence_entry", {"severity": "urgent"}, "rule geofence_entry: severity"),
        ("geofence_entry", {"colour": "red"}, "colour"),
        ("geofence_dwell", {"after_s": -1}, "after_s"),
        ("geofence_entry", {"margin_errors": float("nan")}, "margin_errors"),
        ("geofence_entry", {"forget_after_s": 60}, "rearm_s"),
        ("drone_low_battery", {"warning_percent": 10}, "critical_percent"),
        ("ais_gap", {"least_gap_s": 90_000}, "least_gap_s"),
    ],
)
def test_a_bad_configuration_is_refused_in_one_line_that_names_rule_and_setting(
    name: str, config: dict[str, Any], words: str
) -> None:
    with pytest.raises(BadRuleConfig, match=words) as refused:
        RuleEngine({name: config})

    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", sorted(RULES))
def test_an_empty_table_switches_every_rule_on(name: str) -> None:
    check_rule_config(name, {})
