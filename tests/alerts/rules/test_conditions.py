"""The rule over several conditions: against a plain oracle that judges one report at a time, and a real recording."""

from __future__ import annotations

import csv
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from alerts.conditions import judge_all
from alerts.exemptions import Exemption, ExemptionList
from alerts.explain import explain
from alerts.registry import rule_class
from alerts.rules.conditions import Conditions, ConditionsConfig
from command.domain.alert import Finding
from command.domain.clock import US_PER_S, from_us, to_us
from command.domain.observation import IdentityScheme, ObservationFlag, SubjectKind
from maps.reference import reference_facilities

NAMES = {"name_ja": "夜間の不審な接近", "name_en": "Dark and close at night"}
DARK = {"key": 7, "scheme": IdentityScheme.CONTACT, "kind": SubjectKind.UNKNOWN}
SMUGGLER = {
    **NAMES,
    "severity": "high",
    "hold_s": 60,
    "release_s": 120,
    "when": [{"conditions": [{"fact": "identity"}, {"fact": "coast", "within_m": 5_556}, {"fact": "sun"}]}],
}
OFF_IZUHARA = {"lon": 129.33, "lat": 34.2}
FAR_OUT = {"lon": 129.6, "lat": 34.3}


def config(*groups: dict[str, Any], **more: Any) -> ConditionsConfig:
    return ConditionsConfig.model_validate({**NAMES, "when": list(groups), **more})


def told(findings: list[Finding]) -> list[str]:
    return [f"{f.kind.value} {f.because.removeprefix('because.')}" for f in findings]


def test_a_dark_contact_near_the_coast_at_night_alarms_after_it_has_held_and_says_what_was_measured(kit: Any) -> None:
    # given the rule, and 22:13 JST of a September evening
    stage = kit.stage({"conditions_smuggler": SMUGGLER})
    # when a dark contact, and a vessel with AIS, keep near the coast
    found = [
        f
        for t in range(0, 120, 20)
        for f in stage.show(kit.state(t, **DARK, **OFF_IZUHARA), kit.state(t + 1, **OFF_IZUHARA))
    ]
    # then the dark one is told once, with the reason in both languages
    (opened,) = found
    assert (opened.rule, opened.subject, opened.severity.word) == ("conditions_smuggler", "contact:7", "high")
    assert (opened.episode_start_us, opened.observed_at_us) == (kit.start_us, kit.start_us + 60 * US_PER_S)
    assert len(opened.evidence) == 2
    ja, en = explain(opened, "ja"), explain(opened, "en")
    assert ja.startswith("夜間の不審な接近: ")
    assert "AIS受信なし、海岸まで " in ja
    assert "(3.0海里以内)、夜間(太陽高度 -" in ja
    assert "no AIS received, " in en
    assert " from the coast (within 3.0 NM), night (sun at -" in en
    # when it sails away, a moment outside is nothing, and for good is the end
    assert stage.show(kit.state(140, **DARK, **FAR_OUT)) == []
    assert stage.show(kit.state(200, **DARK, **OFF_IZUHARA)) == []
    over = [f for t in range(220, 400, 40) for f in stage.show(kit.state(t, **DARK, **FAR_OUT))]
    assert told(over) == ["cleared conditions.over"]
    assert "条件を満たさなくなった" in explain(over[0], "ja")


@pytest.mark.parametrize(("at_least_mps", "speeds"), [(5.0, [5.1, 4.7, 5.0, 4.6, 5.2, 4.6, 4.7, 4.6, 5.1, 4.6])])
def test_a_contact_that_hangs_about_a_limit_alarms_once(kit: Any, at_least_mps: float, speeds: list[float]) -> None:
    fast = {**NAMES, "hold_s": 30, "release_s": 0, "when": [{"conditions": [{"fact": "speed", "at_least_mps": 5.0}]}]}
    stage = kit.stage({"conditions_fast": fast})

    found = [f for i, v in enumerate(speeds * 5) for f in stage.show(kit.state(10 * i, speed_mps=v))]

    assert told(found) == ["opened conditions"]


def test_what_is_not_known_does_not_hold_negated_or_not(kit: Any) -> None:
    stage = kit.stage({})
    no_speed, no_place = kit.state(0), kit.state(0, lon=math.nan, lat=math.nan, speed_mps=3.0)
    for negated in (False, True):
        for condition, row in (
            ({"fact": "speed", "at_least_mps": 1.0}, no_speed),
            ({"fact": "coast"}, no_place),
            ({"fact": "sun"}, no_place),
            ({"fact": "length", "at_least_m": 10.0}, no_speed),
            ({"fact": "area", "areas": ["nowhere"]}, no_speed),
            ({"fact": "facility"}, no_speed),
            ({"fact": "flag", "mids": ["431"]}, kit.state(0, **DARK)),
        ):
            groups = config({"conditions": [{**condition, "negated": negated}]}).when
            assert not judge_all(groups, row, stage.world(), loose=False)[0], condition


def test_length_source_list_flag_and_facility_are_read_from_what_is_known_of_the_contact(kit: Any) -> None:
    stage = kit.stage({}, attributes={431_000_001: {"length_m": 24}}, sources={431_000_001: "radar-1"})
    hakata = next(f for f in reference_facilities() if f.facility_id == "open-port-hakata")
    row = kit.state(0, lon=hakata.position.lon, lat=hakata.position.lat + 0.01)
    stage.show(row)
    world = stage.world()
    world = type(world)(**{**{n: getattr(world, n) for n in world.__dataclass_fields__}, "facilities": (hakata,)})

    def holds(**condition: Any) -> bool:
        return bool(judge_all(config({"conditions": [condition]}).when, row, world, loose=False)[0])

    assert holds(fact="length", at_least_m=20.0, at_most_m=30.0)
    assert not holds(fact="length", at_least_m=30.0)
    assert holds(fact="source", sources=["radar-1"])
    assert not holds(fact="source", sources=["radar-2"])
    assert holds(fact="listed", subjects=["mmsi:431000001"])
    assert holds(fact="flag", mids=["431", "440"])
    assert holds(fact="flag", mids=["440"], negated=True)
    assert holds(fact="facility", within_m=1_852.0)
    assert not holds(fact="facility", within_m=500.0)
    assert not holds(fact="facility", facility_kinds=["police"], within_m=1_852.0)


conditions = st.one_of(
    st.builds(lambda k: {"fact": "kind", "kinds": k}, st.lists(st.sampled_from(["vessel", "unknown"]), min_size=1)),
    st.builds(lambda i: {"fact": "identity", "identity": i}, st.sampled_from(["dark", "ais"])),
    st.builds(lambda v: {"fact": "speed", "at_least_mps": v}, st.sampled_from([2.0, 5.0])),
    st.builds(lambda v: {"fact": "speed", "at_most_mps": v, "slack_mps": 1.0}, st.sampled_from([2.0, 5.0])),
    st.builds(lambda a, b: {"fact": "course", "from_deg": a, "to_deg": b}, *[st.sampled_from([0.0, 100.0, 350.0])] * 2),
    st.builds(lambda a, b: {"fact": "hours", "begins": a, "ends": b}, *[st.sampled_from(["22:20", "05:00"])] * 2),
    st.just({"fact": "area", "areas": ["bay"]}),
    st.just({"fact": "flag", "mids": ["431"]}),
)
groups = st.lists(
    st.builds(
        lambda needs, held, flips: {
            "needs": needs,
            "conditions": [{**c, "negated": flip} for c, flip in zip(held, flips, strict=False)],
        },
        st.sampled_from(["all", "any"]),
        st.lists(conditions, min_size=1, max_size=4),
        st.lists(st.booleans(), min_size=4, max_size=4),
    ),
    min_size=1,
    max_size=3,
)
reports = st.builds(
    lambda t, dark, speed, course, inside: (
        t,
        (DARK if dark else {})
        | {"lon": 129.05 if inside else 128.9, "lat": 34.05, "speed_mps": speed, "course_deg": course},
    ),
    st.integers(0, 40_000),
    st.booleans(),
    st.sampled_from([math.nan, 1.5, 2.0, 4.8, 7.0]),
    st.sampled_from([math.nan, 5.0, 95.0, 355.0]),
    st.booleans(),
)


def plainly(  # noqa: PLR0911 - one a fact
    condition: dict[str, Any], t: int, report: dict[str, Any], start_us: int
) -> bool | None:
    """Whether a condition holds of one report; None where that is not known. Nothing of the rule's own is used."""
    fact, dark = condition["fact"], "key" in report
    if fact == "kind":
        return ("unknown" if dark else "vessel") in condition["kinds"]
    if fact == "identity":
        return dark == (condition["identity"] == "dark")
    if fact == "speed":
        speed = report["speed_mps"]
        if math.isnan(speed):
            return None
        speed = float(np.float32(speed))
        return bool(condition.get("at_least_mps", 0) <= speed <= condition.get("at_most_mps", 1_000))
    if fact == "course":
        course, begin, end = report["course_deg"], condition["from_deg"], condition["to_deg"]
        if math.isnan(course):
            return None
        return bool(begin <= course <= end) if begin <= end else bool(course >= begin or course <= end)
    if fact == "hours":
        clock = f"{from_us(start_us + t * US_PER_S) + timedelta(hours=9):%H:%M}"
        begin, end = condition["begins"], condition["ends"]
        return bool(begin <= clock < end) if begin < end else bool(clock >= begin or clock < end)
    if fact == "area":
        return bool(report["lon"] == 129.05)
    return None if dark else True


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wanted=groups, said=st.lists(reports, min_size=1, max_size=12))
def test_many_reports_at_once_are_judged_as_a_plain_oracle_judges_each(
    kit: Any, wanted: list[dict[str, Any]], said: list[tuple[int, dict[str, Any]]]
) -> None:
    stage = kit.stage({}, [kit.geofence()])
    rows = np.concatenate([kit.state(t, **report) for t, report in said])

    found = judge_all(config(*wanted).when, rows, stage.world(), loose=False)

    def holds(condition: dict[str, Any], t: int, report: dict[str, Any]) -> bool:
        plain = plainly(condition, t, report, kit.start_us)
        if condition["negated"] and condition["fact"] in ("speed", "course") and plain is False:
            # what is negated has to be clear of the limit by the slack
            loose = {"speed": {"slack_mps": condition.get("slack_mps", 0.5)}, "course": {"slack_deg": 10.0}}
            return not near_limit(condition, report, **loose[condition["fact"]])
        return plain is not None and plain != condition["negated"]

    expected = [
        all((all if g["needs"] == "all" else any)(holds(c, t, report) for c in g["conditions"]) for g in wanted)
        for t, report in said
    ]
    assert found.tolist() == expected


def near_limit(
    condition: dict[str, Any], report: dict[str, Any], *, slack_mps: float = 0, slack_deg: float = 0
) -> bool:
    if condition["fact"] == "speed":
        speed = float(np.float32(report["speed_mps"]))
        least, most = condition.get("at_least_mps", 0) - slack_mps, condition.get("at_most_mps", 1_000) + slack_mps
        return bool(least <= speed <= most)
    gaps = (abs((report["course_deg"] - end + 180) % 360 - 180) for end in (condition["from_deg"], condition["to_deg"]))
    return min(gaps) <= slack_deg


def test_on_a_real_recording_every_fast_stay_in_the_solent_and_nothing_else_is_told(
    kit: Any, shared_data: Path
) -> None:
    # given the Solent's traffic, and a rule about fast vessels west of the Isle of Wight's northern tip
    with (shared_data / "ais" / "stonesoup_SolentAIS_20160112_130211.csv").open(encoding="utf-8") as file:
        log = [
            (
                to_us(datetime.fromisoformat(line["Time"]).replace(tzinfo=UTC)),
                int(line["MMSI"]),
                float(line["Longitude_degrees"]),
                float(line["Latitude_degrees"]),
                float(line["SOG_knots"]) * 1_852 / 3_600,
            )
            for line in csv.DictReader(file)
        ]
    box = kit.geofence("solent", west=-1.35, south=50.72, side_deg=0.1)
    rule = {
        **NAMES,
        "hold_s": 60,
        "release_s": 120,
        "forget_after_s": 7_200,
        "when": [
            {"conditions": [{"fact": "area", "areas": ["solent"], "slack_m": 0.0}]},
            {"conditions": [{"fact": "speed", "at_least_mps": 5.0, "slack_mps": 0.0}, {"fact": "hours"}]},
        ],
    }
    stage = kit.stage({"conditions_solent": rule}, [box])
    rows = [
        kit.state((t - kit.start_us) / US_PER_S, key=mmsi, lon=lon, lat=lat, speed_mps=v)
        for t, mmsi, lon, lat, v in log
    ]
    found: list[Finding] = []
    for i in range(0, len(rows), 500):
        found += stage.show(*rows[i : i + 500])

    # then it tells what a plain count over each vessel's reports tells
    assert found
    assert {(f.subject, f.episode_start_us) for f in found if f.kind.value == "opened"} == stays(log, box.geometry)


def stays(log: list[tuple[int, int, float, float, float]], box: shapely.Polygon) -> set[tuple[str, int]]:
    """(subject, start) of each stay inside at 5 m/s or more for a minute, that ends when it was not so for two."""
    begun: dict[int, int] = {}
    told: dict[int, int] = {}
    failing: dict[int, int] = {}
    every: set[tuple[str, int]] = set()
    for t, mmsi, lon, lat, speed in sorted(log, key=lambda line: line[0]):
        so = box.intersects(shapely.Point(lon, lat)) and float(np.float32(speed)) >= 5.0
        if mmsi in told:
            if so:
                failing.pop(mmsi, None)
            elif t - failing.setdefault(mmsi, t) >= 120 * US_PER_S:
                del told[mmsi], failing[mmsi]
                begun.pop(mmsi, None)
            continue
        if not so:
            begun.pop(mmsi, None)
        elif t - begun.setdefault(mmsi, t) >= 60 * US_PER_S:
            told[mmsi] = begun[mmsi]
            every.add((f"mmsi:{mmsi:09d}", begun[mmsi]))
    return every


def test_own_assets_and_the_allow_list_are_left_alone_and_who_is_not_heard_any_more_is_let_go(kit: Any) -> None:
    everything = {**NAMES, "hold_s": 0, "when": [{"conditions": [{"fact": "hours"}]}]}
    stage = kit.stage({"conditions_all": everything})
    assert stage.show(kit.state(0, key=1, flags=ObservationFlag.ASSET)) == []
    assert told(stage.show(kit.state(0, key=2), kit.state(0, key=3))) == ["opened conditions"] * 2
    stage.exemptions = ExemptionList(
        exemptions=[Exemption(subject="mmsi:000000002", rule="conditions_all", expires_at_us=2**60)]
    )
    assert told(stage.tick(1)) == ["cleared conditions.exempted"]
    assert stage.show(kit.state(2, key=2)) == []
    assert told(stage.tick(4_000)) == ["cleared conditions.lost"]


def test_a_change_takes_back_what_the_new_conditions_do_not_say(kit: Any) -> None:
    stage = kit.stage({"conditions_smuggler": SMUGGLER})
    for t in range(0, 120, 20):
        stage.show(kit.state(t, **DARK, **OFF_IZUHARA))
    stage.tick(120)

    nearer = {**SMUGGLER, "when": [{"conditions": [{"fact": "coast", "within_m": 100.0, "slack_m": 0.0}]}]}
    stage.engine = stage.engine.reconfigured({"conditions_smuggler": nearer})

    assert told(stage.tick(121)) == ["cleared rule.changed.settings"]


@pytest.mark.parametrize(
    ("wrong", "where"),
    [
        ({"fact": "speed"}, "no_limit"),
        ({"fact": "speed", "at_least_mps": 9.0, "at_most_mps": 2.0}, "limits"),
        ({"fact": "colour"}, "tag"),
        ({"fact": "area", "areas": []}, "areas"),
        ({"fact": "flag", "mids": ["JP"]}, "mids"),
        ({"fact": "coast", "within_m": 0}, "within_m"),
        ({"fact": "hours", "begins": "25:00"}, "begins"),
        ({"fact": "speed", "at_least_mps": "__import__('os')"}, "at_least_mps"),
    ],
)
def test_conditions_that_cannot_be_judged_are_refused(wrong: dict[str, Any], where: str) -> None:
    texts = {"no_limit": "Write a least", "limits": "must not be more"}
    with pytest.raises(ValidationError, match=texts.get(where, where)):
        config({"conditions": [wrong]})


def test_each_rule_of_conditions_has_its_own_name() -> None:
    one, other = rule_class("conditions_one"), rule_class("conditions_other")

    assert (one.name, other.name) == ("conditions_one", "conditions_other")
    assert issubclass(one, Conditions)
