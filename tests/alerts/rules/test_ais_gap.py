"""AIS gaps: dark is told, no coverage and moored vessels are not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from alerts.exemptions import ExemptionList
from alerts.explain import explain
from alerts.rules.ais_gap import AisGap
from command.domain.alert import Severity
from command.domain.clock import US_PER_S
from command.domain.health import SourceHealth
from command.domain.observation import ObservationFlag, SubjectKind

CONFIG: dict[str, dict[str, Any]] = {AisGap.name: {}}
DARK, WITNESS = 431_000_001, 431_000_002
UNDER_WAY_MPS = 6.0


def reports(kit: Any, key: int, times: Iterable[float], *, lat: float = 34.0, **values: Any) -> list[Any]:
    """A vessel that sails east."""
    values = {"speed_mps": UNDER_WAY_MPS} | values
    return [kit.state(t, key=key, lon=129.0 + t * UNDER_WAY_MPS / 92_000, lat=lat, **values) for t in times]


@pytest.fixture
def stage(kit: Any) -> Any:
    return kit.stage(CONFIG)


def show_and_tick(stage: Any, states: list[Any], *, until_s: float, every_s: float = 30.0) -> list[Any]:
    """Flushes of half a minute, a tick after each."""
    found = []
    first_us = min(int(s["observed_at_us"][0]) for s in states) if states else stage.now_us
    begin = (first_us - 1_790_000_000 * US_PER_S) / US_PER_S
    for t in np.arange(begin, until_s, every_s):
        low, high = (1_790_000_000 + t) * US_PER_S, (1_790_000_000 + t + every_s) * US_PER_S
        flush = [s for s in states if low <= s["observed_at_us"][0] < high]
        found += stage.show(*flush) if flush else []
        found += stage.tick(float(t + every_s))
    return found


def test_a_vessel_that_goes_dark_while_its_receiver_hears_another_nearby_is_told_once(kit: Any, stage: Any) -> None:
    states = reports(kit, DARK, range(0, 900, 10)) + reports(kit, WITNESS, range(0, 4_000, 10), lat=34.05)

    (opened,) = show_and_tick(stage, states, until_s=4_000)

    assert opened.severity is Severity.MEDIUM
    assert opened.subject == "mmsi:431000001"
    assert kit.start_us + 830 * US_PER_S <= opened.episode_start_us <= kit.start_us + 890 * US_PER_S
    assert opened.because_params["witnesses"] == 1
    assert opened.observed_at_us - opened.episode_start_us <= 1_000 * US_PER_S
    assert "AIS信号" in explain(opened, "ja")
    assert "shore" in explain(opened, "en")


def test_the_gap_ends_when_the_vessel_is_heard_again_and_says_how_far_it_came(kit: Any, stage: Any) -> None:
    states = reports(kit, DARK, [*range(0, 900, 10), *range(3_600, 3_700, 10)])
    states += reports(kit, WITNESS, range(0, 4_000, 10), lat=34.05)

    opened, cleared = show_and_tick(stage, states, until_s=4_000)

    assert cleared.because == "because.ais_gap.returned"
    assert cleared.episode_start_us == opened.episode_start_us
    assert cleared.because_params["moved_m"] == pytest.approx(2_730 * UNDER_WAY_MPS, rel=0.05)


def test_a_gap_that_nobody_looked_at_in_time_is_found_when_the_vessel_returns(kit: Any, stage: Any, kinds: Any) -> None:
    states = reports(kit, DARK, [*range(0, 900, 10), *range(3_600, 3_700, 10)])
    states += reports(kit, WITNESS, range(0, 4_000, 10), lat=34.05)

    found = stage.show(*states)

    assert kinds(found) == ["opened", "cleared"]


def test_a_receiver_that_hears_nobody_tells_of_no_gap(kit: Any, stage: Any) -> None:
    states = reports(kit, DARK, range(0, 900, 10)) + reports(kit, WITNESS, range(0, 900, 10), lat=34.05)

    assert show_and_tick(stage, states, until_s=7_200) == []


def test_silence_counts_from_the_return_of_a_receiver_that_was_away(kit: Any, stage: Any) -> None:
    states = reports(kit, DARK, range(0, 900, 10))
    states += reports(kit, WITNESS, [*range(0, 900, 10), *range(5_000, 7_000, 10)], lat=34.05)

    (opened,) = show_and_tick(stage, states, until_s=7_000)

    assert opened.observed_at_us >= kit.start_us + (5_000 + 900) * US_PER_S


def test_a_vessel_that_only_another_receiver_could_witness_is_not_told(kit: Any) -> None:
    stage = kit.stage({"ais_gap": {}}, sources={DARK: "north", WITNESS: "south"})
    states = reports(kit, DARK, range(0, 900, 10)) + reports(kit, WITNESS, range(0, 4_000, 10), lat=34.05)

    assert show_and_tick(stage, states, until_s=4_000) == []


def test_with_nobody_nearby_it_is_a_weaker_alert_that_says_why(kit: Any, stage: Any) -> None:
    states = reports(kit, DARK, range(0, 900, 10)) + reports(kit, WITNESS, range(0, 4_000, 10), lat=35.5)

    (opened,) = show_and_tick(stage, states, until_s=4_000)

    assert opened.severity is Severity.LOW
    assert "受信圏外" in explain(opened, "ja")


def test_a_source_whose_gateway_says_that_it_retries_is_not_judged(kit: Any, stage: Any) -> None:
    stage.health = [
        SourceHealth(source="shore", kind="ais", gateway="g", started_at_us=0, reported_at_us=0, state="retrying")
    ]
    states = reports(kit, DARK, range(0, 900, 10)) + reports(kit, WITNESS, range(0, 4_000, 10), lat=34.05)

    assert show_and_tick(stage, states, until_s=4_000) == []


@pytest.mark.parametrize(
    ("why", "times", "values"),
    [
        ("slow", range(0, 900, 10), {"speed_mps": 0.3}),
        ("not a vessel", range(0, 900, 10), {"kind": SubjectKind.AID_TO_NAVIGATION}),
        ("our own", range(0, 900, 10), {"flags": ObservationFlag.OWN_SHIP}),
        ("heard for too short", range(0, 200, 10), {}),
        ("fading", [0, 60, 120, 240, 480, 960, 1_900], {}),
    ],
)
def test_who_may_fall_silent_without_an_alert(kit: Any, stage: Any, why: str, times: Any, values: Any) -> None:
    states = reports(kit, DARK, times, **values) + reports(kit, WITNESS, range(0, 6_000, 30), lat=34.05)

    assert show_and_tick(stage, states, until_s=6_000) == [], why


@pytest.mark.parametrize("status", [1, 5, 6])
def test_an_anchored_moored_or_grounded_vessel_may_switch_off(kit: Any, status: int) -> None:
    stage = kit.stage({"ais_gap": {}}, attributes={DARK: {"nav_status": status}})
    states = reports(kit, DARK, range(0, 900, 10)) + reports(kit, WITNESS, range(0, 4_000, 30), lat=34.05)

    assert show_and_tick(stage, states, until_s=4_000) == []


def test_the_gap_is_longer_for_a_vessel_that_reports_seldom(kit: Any, stage: Any) -> None:
    states = reports(kit, DARK, range(0, 3_600, 300)) + reports(kit, WITNESS, range(0, 7_000, 30), lat=34.05)

    (opened,) = show_and_tick(stage, states, until_s=7_000)

    assert opened.because_params["interval_s"] == 300
    assert opened.because_params["gap_s"] >= 6 * 300


def test_an_exempt_vessel_may_go_dark(kit: Any, stage: Any) -> None:
    stage.exemptions = ExemptionList(assets=["mmsi:431000001"])
    states = reports(kit, DARK, range(0, 900, 10)) + reports(kit, WITNESS, range(0, 4_000, 10), lat=34.05)

    assert show_and_tick(stage, states, until_s=4_000) == []


def test_a_gap_that_never_ends_is_closed_and_forgotten(kit: Any) -> None:
    stage = kit.stage({"ais_gap": {"most_gap_s": 3_600, "close_after_s": 7_200}})
    states = reports(kit, DARK, range(0, 900, 10)) + reports(kit, WITNESS, range(0, 9_000, 30), lat=34.05)

    _, closed = show_and_tick(stage, states, until_s=9_000)

    assert closed.because == "because.ais_gap.unresolved"
    assert len(stage.saved["ais_gap"]) == 2  # the witness and the source
