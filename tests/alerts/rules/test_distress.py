"""Distress: told at once, with or without a place, escalated from a test, and never ended too soon."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.exemptions import Exemption, ExemptionList
from alerts.explain import explain
from alerts.rules.distress import Distress
from command.domain.alert import Severity
from command.domain.clock import US_PER_S
from command.domain.observation import ObservationFlag, SubjectKind

CALL, TEST = ObservationFlag.DISTRESS, ObservationFlag.DISTRESS_TEST
NOWHERE = {"lon": float("nan"), "lat": float("nan")}


@pytest.fixture
def stage(kit: Any) -> Any:
    return kit.stage({Distress.name: {}})


def beacon(kit: Any, at_s: float, key: int = 970_012_345, flags: int = CALL, **values: Any) -> Any:
    return kit.state(at_s, key=key, kind=SubjectKind.DISTRESS_BEACON, flags=flags, **values)


@pytest.mark.parametrize(
    ("key", "variant", "japanese"),
    [(970_012_345, "sart", "AIS-SART"), (972_012_345, "mob", "落水"), (974_012_345, "epirb", "EPIRB")],
)
def test_a_beacon_is_told_at_once_as_critical(kit: Any, stage: Any, key: int, variant: str, japanese: str) -> None:
    (opened,) = stage.show(beacon(kit, 0, key))

    assert opened.severity is Severity.CRITICAL
    assert opened.because == f"because.distress.{variant}"
    assert japanese in explain(opened, "ja")


def test_a_vessel_with_navigational_status_14_is_told(kit: Any) -> None:
    stage = kit.stage({"distress": {}}, attributes={431_000_001: {"nav_status": 14}})

    (opened,) = stage.show(kit.state(0, flags=CALL))

    assert opened.because == "because.distress.nav_status"


def test_a_call_of_a_device_is_told_and_ends_when_it_has_reported_normally_for_ten_minutes(kit: Any) -> None:
    stage = kit.stage({"distress": {}}, attributes={431_000_001: {"emergency": "911 Alert"}})

    (opened,) = stage.show(kit.state(0, flags=CALL))
    (cleared,) = stage.show(*[kit.state(t) for t in range(60, 661, 60)])

    assert opened.because == "because.distress.call"
    assert opened.severity is Severity.CRITICAL
    assert "非常通報" in explain(opened, "ja")
    assert cleared.because == "because.distress.ended"


def test_a_beacon_without_a_fix_is_told_and_told_again_when_it_has_one(kit: Any, stage: Any) -> None:
    (opened,) = stage.show(beacon(kit, 0, flags=CALL | ObservationFlag.NO_FIX, **NOWHERE))
    (revised,) = stage.show(beacon(kit, 60))

    assert opened.position is None
    assert revised.position is not None
    assert revised.because == "because.distress.position"
    assert revised.episode_start_us == opened.episode_start_us


def test_a_drifting_beacon_is_one_alert_refreshed_at_most_every_five_minutes(kit: Any, stage: Any, kinds: Any) -> None:
    found = [f for t in range(0, 3_600, 60) for f in stage.show(beacon(kit, t, lon=129.0 + t / 100_000))]

    assert kinds(found) == ["opened"] + ["revised"] * 11


def test_a_test_is_low_and_becomes_critical_when_it_is_none(kit: Any, stage: Any) -> None:
    (opened,) = stage.show(beacon(kit, 0, flags=TEST))
    (revised,) = stage.show(beacon(kit, 60))
    stage.show(beacon(kit, 120, flags=TEST))

    assert opened.severity is Severity.LOW
    assert "試験" in explain(opened, "ja")
    assert revised.severity is Severity.CRITICAL
    assert revised.because == "because.distress.escalated"


def test_a_silent_beacon_ends_after_an_hour_and_nobody_claims_to_know_why(kit: Any, stage: Any) -> None:
    stage.show(beacon(kit, 0), beacon(kit, 60))

    assert stage.tick(3_600) == []
    (cleared,) = stage.tick(60 + 3_600)

    assert cleared.because == "because.distress.silent"
    assert cleared.severity is Severity.CRITICAL
    assert "不明" in explain(cleared, "ja")


def test_a_status_that_goes_back_to_normal_ends_it_after_ten_minutes_only(kit: Any) -> None:
    stage = kit.stage({"distress": {}}, attributes={431_000_001: {"nav_status": 14}})
    stage.show(kit.state(0, flags=CALL))

    assert stage.show(kit.state(60), kit.state(300)) == []
    assert stage.show(kit.state(400, flags=CALL)) != []  # a new position, five minutes on
    assert stage.show(kit.state(500), kit.state(1_000)) == []
    (cleared,) = stage.show(kit.state(1_100))

    assert cleared.because == "because.distress.ended"


def test_a_distress_text_is_not_ended_by_positions_that_follow(kit: Any, stage: Any) -> None:
    (opened,) = stage.show(kit.state(0, flags=CALL))

    assert stage.show(*[kit.state(t) for t in range(60, 3_000, 60)]) == []
    (cleared,) = stage.tick(3_600)

    assert opened.because == "because.distress.text"
    assert cleared.because == "because.distress.silent"


def test_people_in_danger_on_an_asset_or_an_allowed_vessel_are_told_of(kit: Any, stage: Any) -> None:
    everything = Exemption(subject="mmsi:970012345", rule=None, expires_at_us=kit.start_us * 2)
    stage.exemptions = ExemptionList(assets=["mmsi:970012345"], exemptions=[everything])

    assert len(stage.show(beacon(kit, 0))) == 1


def test_only_an_entry_that_names_the_rule_keeps_a_faulty_beacon_quiet(kit: Any, stage: Any) -> None:
    named = Exemption(subject="mmsi:970012345", rule="distress", expires_at_us=kit.start_us + 60 * US_PER_S)
    stage.exemptions = ExemptionList(exemptions=[named])

    assert stage.show(beacon(kit, 0)) == []
    assert len(stage.show(beacon(kit, 60))) == 1


def test_a_new_call_hours_after_the_last_is_a_new_alert(kit: Any, stage: Any, kinds: Any) -> None:
    found = stage.show(beacon(kit, 0), beacon(kit, 10_000))

    assert kinds(found) == ["opened", "cleared", "opened"]
    assert found[0].episode_start_us != found[2].episode_start_us
