"""What is ours: batteries, links, sources, and a patrol that does not come."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from alerts.engine import BadRuleConfig
from alerts.explain import explain
from alerts.rules.drone_link_lost import DroneLinkLost
from alerts.rules.drone_low_battery import DroneLowBattery
from alerts.rules.geofence_absence import GeofenceAbsence
from alerts.rules.source_silent import SourceSilent
from command.domain.alert import Severity
from command.domain.clock import US_PER_S
from command.domain.health import SourceHealth
from command.domain.observation import IdentityScheme, ObservationFlag, SubjectKind

DRONE = 0x5D1F


@pytest.fixture
def drone(kit: Any) -> Any:
    def make(at_s: float, **values: Any) -> Any:
        ours = {"scheme": IdentityScheme.MAVLINK, "kind": SubjectKind.AIR_DRONE, "flags": ObservationFlag.ASSET}
        return kit.state(at_s, key=DRONE, **(ours | values))

    return make


@pytest.fixture
def battery(kit: Any) -> Any:
    return kit.stage({DroneLowBattery.name: {}})


def test_a_battery_is_told_at_its_warning_and_again_as_critical(battery: Any, drone: Any, kit: Any, kinds: Any) -> None:
    found = [f for t in range(0, 1_000) for f in battery.show(drone(t, battery_percent=100 - t / 10))]

    assert kinds(found) == ["opened", "revised"]
    assert [f.severity for f in found] == [Severity.MEDIUM, Severity.HIGH]
    assert {f.episode_start_us for f in found} == {kit.start_us + 700 * US_PER_S}
    assert found[1].because_params["limit_percent"] == 15.0
    assert "直ちに帰還" in explain(found[1], "ja")


def test_a_sag_under_load_is_no_low_battery(battery: Any, drone: Any) -> None:
    assert battery.show(drone(0, battery_percent=60), drone(1, battery_percent=28), drone(3, battery_percent=59)) == []


def test_a_battery_that_jitters_at_its_warning_is_one_alert(battery: Any, drone: Any, kinds: Any) -> None:
    found = [f for t in range(0, 3_600, 3) for f in battery.show(drone(t, battery_percent=30 + (t % 4) - 2))]

    assert kinds(found) == ["opened"]


def test_a_changed_battery_ends_the_alert_and_the_next_discharge_is_another(
    battery: Any, drone: Any, kinds: Any
) -> None:
    found = battery.show(*[drone(t, battery_percent=p) for t, p in ((0, 29), (10, 28), (60, 99), (900, 29), (910, 28))])

    assert kinds(found) == ["opened", "cleared", "opened"]
    assert found[0].episode_start_us != found[2].episode_start_us


def test_a_drone_first_seen_nearly_empty_is_critical_at_once(battery: Any, drone: Any, kinds: Any) -> None:
    (opened,) = battery.show(drone(0, battery_percent=9), drone(6, battery_percent=9))

    assert (kinds([opened]), opened.severity) == (["opened"], Severity.HIGH)


def test_a_drone_that_was_switched_off_ends_its_battery_alert(battery: Any, drone: Any) -> None:
    battery.show(drone(0, battery_percent=20), drone(10, battery_percent=20))

    (cleared,) = battery.tick(10 + 3_600)

    assert cleared.because == "because.drone_low_battery.ended"


def test_a_contacts_battery_is_nobodys_business(battery: Any, kit: Any) -> None:
    assert battery.show(kit.state(0, battery_percent=5.0), kit.state(60, battery_percent=5.0)) == []


@pytest.fixture
def link(kit: Any) -> Any:
    return kit.stage({DroneLinkLost.name: {}})


def fly(stage: Any, drone: Any, times: Any) -> list[Any]:
    found: list[Any] = []
    for t in times:
        found += stage.show(drone(t))
        found += stage.tick(t)
    return found


def test_a_lost_link_is_told_within_seconds_and_cleared_when_it_holds_again(link: Any, drone: Any, kit: Any) -> None:
    assert fly(link, drone, range(60)) == []
    assert link.tick(65) == []

    (opened,) = link.tick(70)
    assert link.tick(90) == []
    found = fly(link, drone, range(99, 120))

    assert opened.severity is Severity.HIGH
    assert opened.episode_start_us == kit.start_us + 59 * US_PER_S
    assert opened.subject == "mavlink:5d1f"
    (cleared,) = found
    assert cleared.because == "because.drone_link_lost.restored"
    assert cleared.because_params["silence_s"] == 40


def test_what_the_gateway_has_not_reported_on_yet_is_no_lost_link(kit: Any, drone: Any, kinds: Any) -> None:
    # given a drone on a line whose gateway reports, and then a broker that is away
    stage = kit.stage({DroneLinkLost.name: {}}, sources={DRONE: "patrol-link"})
    stage.health = [replace(health(kit, 59), source="patrol-link"), replace(health(kit, 500), source="other")]
    assert fly(stage, drone, range(60)) == []
    # then its silence is not the drone's
    assert stage.tick(100) == []
    # when the broker is back, with the telemetry of that time and then the report
    assert stage.show(*[drone(t) for t in range(60, 101)]) == []
    stage.health = [replace(health(kit, 101), source="patrol-link")]
    assert stage.tick(102) == []
    # and a silence that the gateway has reported on is the drone's own, at the time at which it was
    stage.health = [replace(health(kit, 112), source="patrol-link")]
    (opened,) = stage.tick(113)
    assert opened.episode_start_us == kit.start_us + 100 * US_PER_S


def test_a_gateway_that_reports_no_more_hides_a_lost_link_for_a_minute_at_most(
    kit: Any, drone: Any, kinds: Any
) -> None:
    stage = kit.stage({DroneLinkLost.name: {}}, sources={DRONE: "patrol-link"})
    stage.health = [replace(health(kit, 59), source="patrol-link")]
    fly(stage, drone, range(60))
    assert stage.tick(59 + 70) == []
    assert kinds(stage.tick(59 + 72)) == ["opened"]


def test_a_link_that_flaps_is_one_alert(link: Any, drone: Any, kinds: Any) -> None:
    times = [t for start in range(0, 3_600, 20) for t in range(start, start + 5)]
    found: list[Any] = []
    for t in range(3_600):
        found += link.show(drone(t)) if t in times else []
        found += link.tick(t)

    assert kinds(found) == ["opened"]


def test_a_loss_that_no_tick_saw_is_found_when_the_drone_is_back(link: Any, drone: Any, kinds: Any) -> None:
    found = link.show(*[drone(t) for t in [*range(60), *range(100, 130)]])

    assert kinds(found) == ["opened", "cleared"]


def test_a_drone_that_was_disarmed_was_switched_off(kit: Any, drone: Any) -> None:
    stage = kit.stage({"drone_link_lost": {}}, attributes={DRONE: {"armed": False}})

    assert fly(stage, drone, range(60)) == []
    assert stage.tick(3_600) == []


def test_a_link_that_never_comes_back_is_closed(link: Any, drone: Any, kinds: Any) -> None:
    fly(link, drone, range(60))
    link.tick(80)

    (cleared,) = link.tick(59 + 21_600)

    assert cleared.because == "because.drone_link_lost.ended"
    assert link.saved["drone_link_lost"] == {}


@pytest.fixture
def sources(kit: Any) -> Any:
    stage = kit.stage({SourceSilent.name: {}})
    stage.health = [health(kit, 0)]
    return stage


def health(kit: Any, reported_s: float, last_seen_s: float | None = 0.0, state: str = "running") -> SourceHealth:
    def us(s: float) -> int:
        return int(kit.start_us + s * US_PER_S)

    return SourceHealth(
        source="ais-north",
        kind="ais",
        gateway="gw1",
        started_at_us=us(-1_000),
        reported_at_us=us(reported_s),
        state=state,
        last_seen_us=None if last_seen_s is None else us(last_seen_s),
        detail="port is gone" if state == "failed" else "",
    )


def test_a_silent_source_is_told_once_and_cleared_when_it_is_heard_again(sources: Any, kit: Any, kinds: Any) -> None:
    found = []
    for t in range(0, 900, 5):
        sources.health = [health(kit, t, last_seen_s=0 if t < 400 else t)]
        found += sources.tick(t)

    opened, cleared = found
    assert kinds(found) == ["opened", "cleared"]
    assert opened.subject == "source:ais-north"
    assert opened.episode_start_us == kit.start_us
    assert opened.because_params["silence_s"] == 120
    assert cleared.because == "because.source_silent.restored"
    assert "ais-north" in explain(opened, "ja")


@pytest.mark.parametrize(
    ("now_s", "seen", "variant"),
    [
        (200, {"reported_s": 200, "last_seen_s": None}, ".never"),
        (1, {"reported_s": 1, "state": "failed"}, ".failed"),
        (200, {"reported_s": 0}, ".gateway"),
        (200, {"reported_s": 200, "state": "retrying"}, ""),
    ],
)
def test_each_way_to_be_silent_has_its_own_words(
    sources: Any, kit: Any, now_s: float, seen: dict[str, Any], variant: str
) -> None:
    sources.health = [health(kit, **seen)]

    (opened,) = sources.tick(now_s)

    assert opened.because == f"because.source_silent{variant}"


def test_a_source_that_flaps_is_one_alert(sources: Any, kit: Any, kinds: Any) -> None:
    found = []
    for t in range(0, 7_200, 5):
        sources.health = [health(kit, t, last_seen_s=t - t % 150)]
        found += sources.tick(t)

    assert kinds(found) == ["opened"]


def test_a_finished_file_a_recording_and_a_withdrawn_source_are_not_silent(sources: Any, kit: Any, kinds: Any) -> None:
    sources.health = [health(kit, 0, state="finished"), replace(health(kit, 0), kind="replay", source="tape")]
    assert sources.tick(1_000) == []

    sources.health = [health(kit, 1_000)]
    assert kinds(sources.tick(1_000)) == ["opened"]
    sources.health = []
    (cleared,) = sources.tick(1_001)
    assert cleared.because == "because.source_silent.finished"


PATROL = {
    "name": "izuhara-patrol",
    "area": "bay",
    "who_ja": "巡視艇",
    "who_en": "patrol boat",
    "subjects": ["mmsi:431999999"],
    "after_s": 600,
}


@pytest.fixture
def absence(kit: Any) -> Any:
    return kit.stage({GeofenceAbsence.name: {"watches": [PATROL]}}, [kit.geofence()])


def patrol(kit: Any, at_s: float, **values: Any) -> Any:
    return kit.state(at_s, key=431_999_999, lon=129.05, lat=34.05, flags=ObservationFlag.ASSET, **values)


def test_a_patrol_that_leaves_is_missed_and_its_return_ends_it(absence: Any, kit: Any, kinds: Any) -> None:
    found = absence.show(patrol(kit, 0)) + absence.tick(600)
    assert found == []
    (opened,) = absence.tick(620)
    assert absence.tick(2_000) == []
    (cleared,) = absence.show(patrol(kit, 2_100))

    assert (opened.subject, opened.area) == ("watch:izuhara-patrol", "bay")
    assert opened.episode_start_us == kit.start_us
    assert "巡視艇" in explain(opened, "ja")
    assert cleared.because == "because.geofence_absence.present"
    assert cleared.episode_start_us == opened.episode_start_us


def test_a_patrol_that_never_came_is_missed_from_the_watchs_beginning(absence: Any, kit: Any) -> None:
    absence.tick(0)

    (opened,) = absence.tick(700)

    assert opened.because == "because.geofence_absence.never"
    assert opened.episode_start_us == kit.start_us


def test_a_patrol_outside_and_others_inside_do_not_count(absence: Any, kit: Any, kinds: Any) -> None:
    absence.tick(0)
    absence.show(kit.state(60, lon=129.05, lat=34.05), kit.state(61, key=431_999_999, lon=128.0, lat=34.0))

    assert kinds(absence.tick(700)) == ["opened"]


def test_a_patrol_along_the_edge_is_present(absence: Any, kit: Any) -> None:
    absence.tick(0)
    for t in range(0, 3_600, 60):
        assert absence.show(kit.state(t, key=431_999_999, lon=129.0 - 0.0005, lat=34.05)) == []
        assert absence.tick(t) == []


def test_any_of_our_drones_can_be_who_should_be_there(kit: Any, drone: Any, kinds: Any) -> None:
    watch = PATROL | {"subjects": [], "kinds": ["air_drone"], "assets_only": True}
    stage = kit.stage({"geofence_absence": {"watches": [watch]}}, [kit.geofence()])
    stage.tick(0)
    foreign = {"flags": ObservationFlag.NONE, "lon": 129.05, "lat": 34.05}
    stage.show(drone(500, **foreign))

    assert kinds(stage.tick(650)) == ["opened"]
    assert kinds(stage.show(drone(700, lon=129.05, lat=34.05))) == ["cleared"]


def test_a_withdrawn_area_ends_its_watch(absence: Any, kinds: Any) -> None:
    absence.tick(0)
    absence.tick(700)

    absence.watch()

    assert kinds(absence.tick(701)) == ["cleared"]


def test_a_watch_that_names_nobody_is_refused_with_its_name(kit: Any) -> None:
    with pytest.raises(BadRuleConfig, match="izuhara-patrol"):
        kit.stage({"geofence_absence": {"watches": [PATROL | {"subjects": []}]}})
