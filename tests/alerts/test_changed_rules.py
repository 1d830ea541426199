"""A rule that is changed, switched off or at rest takes back what it no longer says, and tells nothing anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from alerts.engine import Decision
from alerts.explain import explain
from command.domain.alert import Finding
from command.domain.clock import US_PER_S
from command.domain.health import SourceHealth
from command.domain.observation import IdentityScheme, ObservationFlag, SubjectKind

INSIDE = {"lon": 129.05, "lat": 34.05}
OUTSIDE = {"lon": 128.9, "lat": 34.05}
SATO = Decision(version=3, by="sato", why="強風で誤報が多い")
NIGHT_JST = {"begins": "21:00", "ends": "05:00"}
HOUR = 3_600


def changed(stage: Any, configs: Mapping[str, Mapping[str, Any]]) -> None:
    """What intake does when it reads a new version."""
    stage.configs = configs
    stage.engine = stage.engine.reconfigured(configs, decisions=dict.fromkeys(configs, SATO))


def told(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(f.kind.value, f.because.removeprefix("because.")) for f in findings]


def stay(stage: Any, kit: Any, from_s: int, to_s: int, **where: float) -> list[Finding]:
    return [f for t in range(from_s, to_s, 60) for f in [*stage.show(kit.state(t, **where)), *stage.tick(t)]]


def test_who_is_inside_a_fence_does_not_alarm_again_because_a_threshold_changed(kit: Any) -> None:
    stage = kit.stage({"geofence_entry": {}}, [kit.geofence()])
    assert told(stay(stage, kit, 0, 300, **INSIDE)) == [("opened", "geofence_entry")]

    changed(stage, {"geofence_entry": {"rearm_s": 600, "severity": "high"}})

    assert stay(stage, kit, 300, 600, **INSIDE) == []


def test_a_dwell_that_is_none_any_more_is_cleared_with_who_and_why_and_opens_again_as_the_same_episode(
    kit: Any,
) -> None:
    # given a vessel that has stayed for 40 minutes where 30 were allowed
    stage = kit.stage({"geofence_dwell": {}}, [kit.geofence()])
    (opened,) = stay(stage, kit, 0, 2_400, **INSIDE)
    # when an officer allows 60
    changed(stage, {"geofence_dwell": {"after_s": 3_600}})
    (cleared,) = stage.tick(2_400)
    # then the alert is over, and says why
    assert told([cleared]) == [("cleared", "rule.changed")]
    assert cleared.episode_start_us == opened.episode_start_us
    assert explain(cleared, "ja") == "規則「監視区域内の滞留」の変更により解除(第3版、sato「強風で誤報が多い」)"
    # and after 60 it is the same alert again, over a restart too
    stage.restart()
    (again,) = stay(stage, kit, 2_460, 4_000, **INSIDE)
    assert told([again]) == [("revised", "geofence_dwell")]
    assert again.episode_start_us == opened.episode_start_us
    assert again.observed_at_us == kit.start_us + 3_600 * US_PER_S


def test_a_change_that_came_while_intake_was_away_takes_back_what_it_must(kit: Any) -> None:
    stage = kit.stage({"geofence_dwell": {}}, [kit.geofence()])
    stay(stage, kit, 0, 2_400, **INSIDE)

    stage.configs = {"geofence_dwell": {"after_s": 3_600}}
    stage.restart()

    assert told(stage.tick(2_400)) == [("cleared", "rule.changed.settings")]
    assert stage.tick(2_401) == []


@pytest.mark.parametrize("config", [{"areas": ["elsewhere"]}, {"kinds": ["aircraft"]}])
def test_what_a_fence_rule_is_no_longer_about_is_cleared(kit: Any, config: dict[str, Any]) -> None:
    stage = kit.stage({"geofence_entry": {}}, [kit.geofence()])
    stay(stage, kit, 0, 120, **INSIDE)

    changed(stage, {"geofence_entry": config})

    assert [kind for kind, _ in told(stage.tick(120))] == ["cleared"]


def test_a_rule_that_is_switched_off_clears_what_it_said_and_begins_anew(kit: Any) -> None:
    stage = kit.stage({"geofence_entry": {}}, [kit.geofence()])
    (opened,) = stay(stage, kit, 0, 120, **INSIDE)

    changed(stage, {"geofence_entry": {"enabled": False}})
    assert told(stage.tick(120)) == [("cleared", "rule.off")]
    assert stage.show(kit.state(180, **INSIDE)) == []
    changed(stage, {"geofence_entry": {}})

    (anew,) = stay(stage, kit, 240, 300, **INSIDE)
    assert told([anew]) == [("opened", "geofence_entry")]
    assert anew.episode_start_us > opened.episode_start_us


def test_a_rule_at_rest_holds_what_it_sees_and_tells_it_when_its_hours_begin(kit: Any) -> None:
    # given a rule of the night (the test's world starts at 22:13 JST) and a vessel that comes and stays
    stage = kit.stage({"geofence_entry": {"schedule": NIGHT_JST, "refresh_s": None}}, [kit.geofence()])
    (opened,) = stay(stage, kit, 0, 120, **INSIDE)
    # when the morning comes, its alert is over, with the reason
    morning = stay(stage, kit, 120, 8 * HOUR, **INSIDE)
    assert told(morning) == [("cleared", "rule.resting")]
    # then another that comes by day is not told, and one that left by day is not either
    day = [
        *stay(stage, kit, 8 * HOUR, 8 * HOUR + 300, key=431_000_002, **INSIDE),
        *stay(stage, kit, 8 * HOUR, 8 * HOUR + 300, key=431_000_003, **INSIDE),
        *stay(stage, kit, 8 * HOUR + 300, 9 * HOUR + 300, key=431_000_003, **OUTSIDE),
    ]
    assert day == []
    # when the evening comes both that are still there are told, the first as the alert that it was
    late = 22 * HOUR + 47 * 60  # 21:00 JST
    for t in range(9 * HOUR, late, HOUR):
        assert stage.show(kit.state(t, **INSIDE), kit.state(t + 1, key=431_000_002, **INSIDE)) == []
    evening = stage.tick(late)
    assert {(f.subject, f.kind.value) for f in evening} == {("mmsi:431000001", "revised"), ("mmsi:431000002", "opened")}
    assert opened.episode_start_us in {f.episode_start_us for f in evening}


def silent_source(seen_s: int) -> SourceHealth:
    start_us = 1_790_000_000 * US_PER_S
    return SourceHealth(
        source="ais",
        kind="ais",
        gateway="local",
        state="running",
        detail="",
        started_at_us=start_us,
        last_seen_us=start_us + seen_s * US_PER_S,
        reported_at_us=start_us + 200 * US_PER_S,
        messages_in=1,
        decoded=1,
        duplicates=0,
    )


def test_a_source_that_may_be_silent_for_longer_is_taken_back(kit: Any) -> None:
    stage = kit.stage({"source_silent": {}}, health=[silent_source(0)])
    assert told(stage.tick(200)) == [("opened", "source_silent")]

    changed(stage, {"source_silent": {"silent_after_s": 600}})

    assert told(stage.tick(201)) == [("cleared", "rule.changed")]
    assert stage.tick(202) == []


def test_a_patrol_that_may_be_away_for_longer_is_taken_back(kit: Any) -> None:
    watch = {"name": "w", "area": "bay", "who_ja": "艇", "who_en": "boat", "subjects": ["mmsi:431000001"]}
    stage = kit.stage({"geofence_absence": {"watches": [{**watch, "after_s": 60}]}}, [kit.geofence()])
    stage.tick(0)
    assert told(stage.tick(100)) == [("opened", "geofence_absence.never")]

    changed(stage, {"geofence_absence": {"watches": [{**watch, "after_s": 600}]}})

    assert told(stage.tick(101)) == [("cleared", "rule.changed")]
    assert told(stage.tick(700)) == [("revised", "geofence_absence.never")]


DRONE = {
    "key": 8,
    "scheme": IdentityScheme.MAVLINK,
    "kind": SubjectKind.AIR_DRONE,
    "flags": ObservationFlag.ASSET,
    **INSIDE,
}


def test_a_link_that_may_pause_for_longer_is_taken_back(kit: Any) -> None:
    stage = kit.stage({"drone_link_lost": {}})
    stage.show(kit.state(0, **DRONE))
    assert told(stage.tick(20)) == [("opened", "drone_link_lost")]

    changed(stage, {"drone_link_lost": {"lost_after_s": 60}})

    assert told(stage.tick(21)) == [("cleared", "rule.changed")]
    assert told(stage.tick(70)) == [("revised", "drone_link_lost")]


def test_a_battery_that_is_above_a_lowered_warning_is_taken_back(kit: Any) -> None:
    stage = kit.stage({"drone_low_battery": {}})
    for t in (0, 10):
        said = stage.show(kit.state(t, **DRONE, battery_percent=25.0))
    assert told(said) == [("opened", "drone_low_battery.warning")]
    stage.tick(11)

    changed(stage, {"drone_low_battery": {"warning_percent": 20}})

    assert told(stage.tick(12)) == [("cleared", "rule.changed")]


def test_a_gap_that_is_none_any_more_is_taken_back_and_opens_again_when_it_is_one(kit: Any) -> None:
    gap = {"sample_s": 5, "least_gap_s": 60, "usual_intervals": 2, "steady_samples": 2, "source_break_s": 10_000}
    stage = kit.stage({"ais_gap": gap})
    for t in range(0, 60, 10):
        stage.show(kit.state(t, **INSIDE, speed_mps=5.0), kit.state(t, key=431_000_002, **INSIDE, speed_mps=5.0))
    stage.tick(60)
    for t in range(60, 200, 10):
        stage.show(kit.state(t, key=431_000_002, **INSIDE, speed_mps=5.0))
    assert told(stage.tick(200)) == [("opened", "ais_gap")]

    changed(stage, {"ais_gap": gap | {"least_gap_s": 600}})

    assert told(stage.tick(201)) == [("cleared", "rule.changed")]
    stage.show(kit.state(690, key=431_000_002, **INSIDE, speed_mps=5.0))
    assert told(stage.tick(700)) == [("revised", "ais_gap")]
