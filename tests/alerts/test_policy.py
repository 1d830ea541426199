"""The policy: what may be written, what each mistake is told, and when quiet hours are."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from alerts.policy import BadPolicy, HoursConfig, LabelMatcher, default_policy, parse_policy
from command.domain.clock import from_us, to_us

JAPAN = ZoneInfo("Asia/Tokyo")
LABELS = {
    "rule": "distress",
    "severity": "high",
    "area": "tsushima-east",
    "owner": "",
    "subject": "mmsi:1",
    "kind": "mmsi",
}


def at(written: str) -> int:
    return to_us(datetime.fromisoformat(written).replace(tzinfo=JAPAN))


@pytest.mark.parametrize(
    ("written", "hits"),
    [
        ("rule = distress", True),
        ('rule = "distress"', True),
        ("rule != distress", False),
        ("area =~ tsushima-.*", True),
        ("area =~ tsushima", False),
        ("area !~ tsushima", True),
        ('owner = ""', True),
        ("owner !=", False),
        ("severity >= medium", True),
        ("severity >= critical", False),
    ],
)
def test_a_matcher_hits_the_whole_value_and_a_label_that_is_lacking_is_empty(written: str, hits: bool) -> None:
    assert LabelMatcher.parse(written).hits(LABELS) is hits


ROUTE = "[route]\n"
BELOW = ROUTE + '[[route.routes]]\nname = "x"\nmatch = ["rule = distress"]\n'


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ("", "route: is missing"),
        ("[route", "not TOML"),
        ('[route]\ngroup_wait = "soon"', r'route.group_wait: write a duration as "10s".*found \'soon\''),
        ("[route]\ngroup_wait = 10", "route.group_wait: write a duration"),
        ('[route]\nrepeat_interval = "1s"', "one minute at least"),
        ('[route]\ngroup_by = ["colour"]', "no label 'colour'; choose from rule"),
        ('[route]\nwait = "1s"', "route.wait: no such setting here"),
        ('[route]\nmatch = ["rule = distress"]', "the first route takes what no other does"),
        ('[route]\nrouting_key = "alert.high.#"', r"write alert\.\{severity\}"),
        ('[route]\nquiet = ["night"]', r"route.quiet: no \[\[hours\]\] called night; choose from: none are written"),
        (BELOW + BELOW.removeprefix(ROUTE), "two routes are called x"),
        (ROUTE + '[[route.routes]]\nmatch = ["rule = distress"]', r"route.routes.0.name: is missing"),
        (ROUTE + '[[route.routes]]\nname = "x"', r"route.routes.0.match: is missing"),
        (BELOW.replace("rule =", "rule >="), "only a severity can be compared"),
        (BELOW.replace("rule = distress", "severity = urgent"), "severity 'urgent'; write one of critical"),
        (BELOW.replace("rule = distress", "rule =~ ("), "is no regular expression"),
        (BELOW.replace("rule = distress", "distress"), 'write a matcher as "rule = distress"'),
        (ROUTE + '[[inhibitions]]\nname = "x"\nsource = []\ntarget = ["rule = a"]', "it would inhibit everything"),
        (ROUTE + '[[hours]]\nname = "night"', "they would be always"),
        (ROUTE + '[[hours]]\nname = "night"\ntimes = ["22-6"]', 'write times as "22:00-06:00"'),
        (ROUTE + '[[hours]]\nname = "night"\nweekdays = ["monday"]', 'write weekdays as "mon"'),
        (ROUTE + '[[hours]]\nname = "n"\nyears = [2026]\ntime_zone = "Tokyo"', "write a time zone's name"),
        (ROUTE + "#" * 300_000, "longer than 256 KiB"),
    ],
)
def test_each_mistake_is_one_line_that_says_where_and_what_to_write(written: str, says: str) -> None:
    with pytest.raises(BadPolicy, match=says) as refused:
        parse_policy(written)
    assert "\n" not in str(refused.value)


TREE = """
[route]
group_wait = "1s"
[[route.routes]]
name = "all-distress"
match = ["rule = distress"]
continue = true
[[route.routes]]
name = "high"
match = ["severity >= high"]
group_wait = "2s"
[[route.routes.routes]]
name = "high-tsushima"
match = ["area =~ tsushima-.*"]
[[route.routes]]
name = "never-reached"
match = ["severity >= high"]
"""


def test_an_alert_takes_the_first_that_fits_the_deepest_and_more_where_one_says_continue() -> None:
    policy = parse_policy(TREE)
    assert [route.name for route in policy.routes_of(LABELS)] == ["all-distress", "high-tsushima"]
    assert [route.name for route in policy.routes_of(LABELS | {"rule": "x", "area": ""})] == ["high"]
    assert [route.name for route in policy.routes_of(LABELS | {"rule": "x", "severity": "low"})] == ["default"]


def test_a_route_takes_over_what_it_does_not_say_from_the_one_above() -> None:
    by_name = parse_policy(TREE).by_name
    assert [by_name[name].group_wait_us for name in ("default", "all-distress", "high", "high-tsushima")] == [
        1_000_000,
        1_000_000,
        2_000_000,
        2_000_000,
    ]


def test_the_policy_of_the_program_is_a_good_one_and_makes_no_high_alert_wait_for_a_group() -> None:
    for route in default_policy().routes_of(LABELS):
        assert route.group_wait_us == 0


NIGHT = HoursConfig(name="night", times=("22:00-06:00",), weekdays=("mon-fri",))


@pytest.mark.parametrize(
    ("hours", "moment", "holds", "end"),
    [
        (NIGHT, "2026-11-27T23:00", True, "2026-11-28T06:00"),  # a Friday's night, until Saturday morning
        (NIGHT, "2026-11-28T05:59", True, "2026-11-28T06:00"),
        (NIGHT, "2026-11-28T23:00", False, None),
        (NIGHT, "2026-11-30T05:00", False, None),  # the night of a Sunday
        (HoursConfig(name="x", times=("09:00-24:00",)), "2026-11-28T23:59", True, "2026-11-29T00:00"),
        (HoursConfig(name="x", days_of_month=(-1,)), "2026-11-30T12:00", True, "2026-12-01T00:00"),
        (HoursConfig(name="x", days_of_month=(-1,)), "2026-11-29T12:00", False, None),
        (HoursConfig(name="x", months=(12,), weekdays=("sat", "sun")), "2026-12-05T08:00", True, "2026-12-07T00:00"),
        (HoursConfig(name="x", years=(2027,)), "2026-12-31T23:59", False, None),
    ],
)
def test_hours_hold_in_local_time_and_end_at_a_known_moment(
    hours: HoursConfig, moment: str, holds: bool, end: str | None
) -> None:
    assert hours.holds(at(moment)) is holds
    if end is not None:
        assert from_us(hours.end_us(at(moment))) == from_us(at(end))


def test_a_route_with_active_hours_is_held_outside_of_them_until_they_begin() -> None:
    route = parse_policy(ROUTE + 'active = ["day"]\n[[hours]]\nname = "day"\ntimes = ["09:00-17:00"]').root
    assert route.held_until(at("2026-11-27T12:00")) is None
    assert route.held_until(at("2026-11-27T18:00")) == ("day", at("2026-11-28T09:00"))
