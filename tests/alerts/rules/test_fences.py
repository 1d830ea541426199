"""Entry, exit and dwell: one episode is one alert, whatever the track does at the line."""

from __future__ import annotations

import random
from typing import Any

import pytest

from alerts.exemptions import Exemption, ExemptionList
from alerts.explain import explain
from command.domain.alert import FindingKind, Severity
from command.domain.clock import US_PER_S
from command.domain.observation import IdentityScheme, ObservationFlag, SubjectKind

ENTRY = {"geofence_entry": {}}
WEST_EDGE_LON = 129.0
METRES_PER_DEGREE_EAST = 92_100.0
"""At 34.05 degrees north."""


def lon_inside(metres: float) -> float:
    """A longitude `metres` inside the west edge of the fence; negative is outside."""
    return WEST_EDGE_LON + metres / METRES_PER_DEGREE_EAST


@pytest.fixture
def at(kit: Any) -> Any:
    def make(at_s: float, metres_inside: float, **values: Any) -> Any:
        return kit.state(at_s, lon=lon_inside(metres_inside), lat=34.05, **values)

    return make


def test_a_vessel_that_crosses_the_line_is_told_once_and_cleared_when_it_has_gone(
    kit: Any, at: Any, kinds: Any
) -> None:
    stage = kit.stage(ENTRY, [kit.geofence()])

    assert stage.show(at(0, -2_000), at(60, -500)) == []
    (opened,) = stage.show(at(120, 400))
    assert stage.show(at(180, 900), at(240, 2_000), at(600, 300), at(660, -900)) == []
    (cleared,) = stage.show(at(700, -1_500), at(660 + 1_800, -9_000))

    assert opened.kind is FindingKind.OPENED
    assert opened.severity is Severity.MEDIUM
    assert (opened.rule, opened.subject, opened.area) == ("geofence_entry", "mmsi:431000001", "bay")
    assert opened.episode_start_us == kit.start_us + 120 * US_PER_S
    assert opened.position is not None
    assert opened.position.lon == pytest.approx(lon_inside(400))
    assert opened.evidence == (at(120, 400)["observation_id"][0].tobytes(),)
    assert cleared.kind is FindingKind.CLEARED
    assert cleared.episode_start_us == opened.episode_start_us
    assert cleared.because_params["left_us"] == kit.start_us + 660 * US_PER_S


@pytest.mark.parametrize(("amplitude_m", "every_s"), [(5, 10), (25, 10), (60, 5), (150, 10), (400, 30), (60, 180)])
@pytest.mark.parametrize("rule", ["geofence_entry", "geofence_dwell"])
def test_a_track_that_jitters_over_the_line_for_an_hour_is_one_alert(
    kit: Any, at: Any, rule: str, amplitude_m: float, every_s: int
) -> None:
    config = {"geofence_entry": {"refresh_s": None}, "geofence_dwell": {"after_s": 300}}[rule]
    stage = kit.stage({rule: config}, [kit.geofence()])
    shake = random.Random(f"{amplitude_m}{every_s}")

    found = []
    for i in range(0, 3_600, every_s):
        found += stage.show(at(i, shake.uniform(-amplitude_m, amplitude_m), position_error_m=10.0))
    found += stage.tick(3_600)

    assert [f.kind for f in found] == [FindingKind.OPENED]


@pytest.mark.parametrize("amplitude_m", [25, 60, 150, 400])
def test_a_track_that_jitters_over_the_line_for_an_hour_leaves_at_most_once(
    kit: Any, at: Any, amplitude_m: float
) -> None:
    stage = kit.stage({"geofence_exit": {}}, [kit.geofence()])
    shake = random.Random(amplitude_m)
    found = stage.show(at(0, 1_000))

    for i in range(10, 3_600, 10):
        found += stage.show(at(i, shake.uniform(-amplitude_m, amplitude_m), position_error_m=10.0))

    assert len(found) <= 1


def test_a_track_that_touches_the_line_once_has_not_entered(kit: Any, at: Any) -> None:
    stage = kit.stage(ENTRY, [kit.geofence()])

    assert stage.show(at(0, -300), at(60, 5), at(120, -300)) == []
    assert stage.saved["geofence_entry"] == {}


def test_a_report_with_a_large_error_near_the_line_decides_nothing(kit: Any, at: Any) -> None:
    stage = kit.stage(ENTRY, [kit.geofence()])

    assert stage.show(at(0, 150, position_error_m=100.0)) == []
    assert len(stage.show(at(10, 250, position_error_m=100.0))) == 1


def test_a_contact_without_ais_is_told_as_dark_and_at_least_high(kit: Any, at: Any) -> None:
    stage = kit.stage(ENTRY, [kit.geofence()])

    (opened,) = stage.show(at(0, 500, scheme=IdentityScheme.CONTACT, key=0xBEEF, kind=SubjectKind.UNKNOWN))

    assert opened.severity is Severity.HIGH
    assert opened.subject == "contact:beef"
    assert "AIS未受信目標" in explain(opened, "ja")
    assert "厳原湾" in explain(opened, "ja")
    assert "no AIS" in explain(opened, "en")
    assert "Izuhara bay" in explain(opened, "en")


@pytest.mark.parametrize("flag", [ObservationFlag.ASSET, ObservationFlag.OWN_SHIP])
def test_what_is_ours_is_never_alarmed_on_as_a_contact(kit: Any, at: Any, flag: ObservationFlag) -> None:
    stage = kit.stage({"geofence_entry": {}, "geofence_exit": {}, "geofence_dwell": {"after_s": 1}}, [kit.geofence()])

    assert stage.show(at(0, 500, flags=flag), at(60, 500, flags=flag), at(120, -5_000, flags=flag)) == []


def test_a_registered_asset_is_never_alarmed_on_whatever_reports_it(kit: Any, at: Any) -> None:
    stage = kit.stage(ENTRY, [kit.geofence()], ExemptionList(assets=["mmsi:431000001"]))

    assert stage.show(at(0, 500)) == []


def test_an_allow_list_entry_holds_until_it_expires(kit: Any, at: Any) -> None:
    until = Exemption(subject="mmsi:431000001", rule=None, expires_at_us=kit.start_us + 100 * US_PER_S)
    stage = kit.stage(ENTRY, [kit.geofence()], ExemptionList(exemptions=[until]))

    assert stage.show(at(0, 500), at(99, 500)) == []
    (opened,) = stage.show(at(100, 500))

    assert opened.episode_start_us == kit.start_us + 100 * US_PER_S


def test_an_open_alert_is_cleared_when_its_subject_is_allowed(kit: Any, at: Any, kinds: Any) -> None:
    stage = kit.stage(ENTRY, [kit.geofence()])
    stage.show(at(0, 500))

    stage.exemptions = ExemptionList(assets=["mmsi:431000001"])

    (cleared,) = stage.tick(10)
    assert cleared.because == "because.geofence_entry.exempted"


def test_a_position_that_is_not_believed_decides_nothing(kit: Any, at: Any) -> None:
    stage = kit.stage(ENTRY, [kit.geofence()])

    assert stage.show(at(0, 500, flags=ObservationFlag.IMPOSSIBLE_JUMP)) == []
    assert stage.show(kit.state(1, lon=float("nan"), lat=float("nan"), flags=ObservationFlag.NO_FIX)) == []


def test_a_vessel_inside_is_told_of_again_at_most_as_often_as_configured(kit: Any, at: Any, kinds: Any) -> None:
    stage = kit.stage({"geofence_entry": {"refresh_s": 600}}, [kit.geofence()])

    found = [finding for i in range(0, 3_600, 10) for finding in stage.show(at(i, 500))]

    assert kinds(found) == ["opened"] + ["revised"] * 5


def test_a_withdrawn_area_ends_its_alerts(kit: Any, at: Any) -> None:
    stage = kit.stage(ENTRY, [kit.geofence()])
    stage.show(at(0, 500))

    stage.watch(retired=[kit.geofence()])

    (cleared,) = stage.tick(10)
    assert cleared.because == "because.geofence_entry.withdrawn"
    assert cleared.because_params["area"]["ja"] == "厳原湾"
    assert stage.saved["geofence_entry"] == {}


def test_a_vessel_lost_inside_ends_its_alert_and_says_so(kit: Any, at: Any) -> None:
    stage = kit.stage({"geofence_entry": {"forget_after_s": 7_200}}, [kit.geofence()])
    stage.show(at(0, 500))

    assert stage.tick(7_000) == []
    (cleared,) = stage.tick(7_200)

    assert cleared.because == "because.geofence_entry.lost"
    assert cleared.because_params["last_seen_us"] == kit.start_us


def test_a_fence_narrower_than_the_margins_still_sees_a_fast_boat(kit: Any) -> None:
    stage = kit.stage(ENTRY, [kit.geofence(side_deg=0.0005)])

    assert len(stage.show(kit.state(0, lon=129.00025, lat=34.00025, position_error_m=50.0))) == 1


def test_an_exit_needs_a_second_report_and_says_when_it_left(kit: Any, at: Any) -> None:
    stage = kit.stage({"geofence_exit": {}}, [kit.geofence()])

    assert stage.show(at(0, 1_000), at(60, -800)) == []
    (opened,) = stage.show(at(120, -2_000))
    (cleared,) = stage.tick(60 + 1_800)

    assert opened.episode_start_us == kit.start_us + 60 * US_PER_S
    assert opened.severity is Severity.LOW
    assert cleared.because == "because.geofence_exit.left"


def test_an_exit_that_nobody_heard_the_end_of_is_told_all_the_same(kit: Any, at: Any, kinds: Any) -> None:
    stage = kit.stage({"geofence_exit": {}}, [kit.geofence()])
    stage.show(at(0, 1_000), at(60, -800))

    assert kinds(stage.tick(60 + 1_800)) == ["opened", "cleared"]


def test_an_exit_is_over_when_the_vessel_has_been_back_for_long(kit: Any, at: Any) -> None:
    stage = kit.stage({"geofence_exit": {}}, [kit.geofence()])
    stage.show(at(0, 1_000), at(60, -800), at(120, -900), at(300, 700))

    (cleared,) = stage.show(at(300 + 1_800, 700))

    assert cleared.because == "because.geofence_exit.returned"
    assert cleared.episode_start_us == kit.start_us + 60 * US_PER_S


def test_a_dwell_is_told_when_its_time_is_full_and_not_counted_while_away(kit: Any, at: Any, kinds: Any) -> None:
    stage = kit.stage({"geofence_dwell": {"after_s": 600}}, [kit.geofence()])

    assert stage.show(at(0, 500), at(300, 500), at(310, -500), at(510, 500), at(700, 500)) == []
    (opened,) = stage.show(at(800, 500))

    assert opened.episode_start_us == kit.start_us
    assert opened.because_params["stay_s"] == 600
    assert kinds(stage.show(at(900, -500), at(2_700, -500))) == ["cleared"]


def test_severity_and_dwell_follow_the_area(kit: Any, at: Any) -> None:
    config = {
        "geofence_entry": {"severity_by_area": {"bay": "critical"}},
        "geofence_dwell": {"after_s": 9_000, "after_s_by_area": {"bay": 60}},
    }
    stage = kit.stage(config, [kit.geofence()])

    found = stage.show(at(0, 500), at(60, 500))

    assert [(f.rule, f.severity) for f in found] == [
        ("geofence_entry", Severity.CRITICAL),
        ("geofence_dwell", Severity.MEDIUM),
    ]


def test_an_area_that_is_only_of_interest_or_not_chosen_is_not_watched(kit: Any, at: Any) -> None:
    stage = kit.stage({"geofence_entry": {"areas": ["port"]}}, [kit.geofence()])

    assert stage.show(at(0, 500)) == []
