"""Filters, their counts, and groups of a list of alerts."""

from __future__ import annotations

import uuid
from dataclasses import replace
from time import perf_counter
from typing import Any

import pytest

from command.domain.alert import Alert, Severity
from command.domain.clock import US_PER_S
from command.operations.triage_view import Arranged, Facet, Grouping, TriageView, arrange

MINUTE_US = 60 * US_PER_S
NOW_US = 1_000 * MINUTE_US


def alert(n: int, *, severity: Severity = Severity.MEDIUM, age_min: int = 5, **changed: Any) -> Alert:
    kept = Alert(
        alert_id=uuid.UUID(int=n),
        revision=1,
        realm="drill-x",
        rule="geofence_entry",
        severity=severity,
        subject=f"mmsi:{n}",
        subject_label="",
        area="north",
        track_id=None,
        position=None,
        because="because.geofence_entry",
        because_params={},
        evidence=(),
        opened_at_us=NOW_US - age_min * MINUTE_US,
        observed_at_us=NOW_US,
        recorded_at_us=NOW_US,
    )
    return replace(kept, **changed)


ALERTS = [
    alert(1, severity=Severity.CRITICAL),
    alert(2, severity=Severity.HIGH, rule="ais_gap", age_min=30, assigned_to="sato"),
    alert(3, rule="ais_gap", age_min=120, assigned_to="mori", subject="mmsi:2"),
    alert(4, area="south", age_min=600, acknowledged_at_us=NOW_US),
]


def arranged(view: TriageView, alerts: list[Alert] = ALERTS) -> Arranged:
    return arrange(
        alerts,
        view,
        login="sato",
        now_us=NOW_US,
        place_of=lambda each: f"area:{each.area}",
        silenced=lambda each: each.alert_id.int == 3,
    )


def shown(result: Arranged) -> list[list[int]]:
    return [[each.alert_id.int for each in group.alerts] for group in result.groups]


@pytest.mark.parametrize(
    ("facet", "values", "passes"),
    [
        (Facet.SEVERITY, {"critical", "high"}, [1, 2]),
        (Facet.AGE, {"15min"}, [1]),
        (Facet.AGE, {"1h", "4h"}, [2, 3]),
        (Facet.AGE, {"older"}, [4]),
        (Facet.OWNER, {"mine"}, [2]),
        (Facet.OWNER, {"nobody"}, [1, 4]),
        (Facet.OWNER, {"login:mori"}, [3]),
        (Facet.RULE, {"ais_gap"}, [2, 3]),
        (Facet.PLACE, {"area:south"}, [4]),
        (Facet.STATE, {"silenced"}, [3]),
        (Facet.STATE, {"seen"}, [4]),
    ],
)
def test_a_list_shows_what_has_a_chosen_value(facet: Facet, values: set[str], passes: list[int]) -> None:
    result = arranged(TriageView(chosen={facet: frozenset(values)}))
    assert [n for group in shown(result) for n in group] == passes
    assert (result.passed, result.total) == (len(passes), 4)


def test_each_value_says_how_many_alerts_it_would_show_beside_the_other_filters() -> None:
    counts = arranged(TriageView(chosen={Facet.RULE: frozenset({"ais_gap"})})).counts
    assert counts[Facet.RULE] == {"geofence_entry": 2, "ais_gap": 2}
    assert counts[Facet.OWNER] == {"login:sato": 1, "mine": 1, "login:mori": 1}
    assert counts[Facet.SEVERITY] == {"high": 1, "medium": 1}


@pytest.mark.parametrize(
    ("grouping", "groups"),
    [
        (Grouping.SEVERITY, [[1], [2], [3, 4]]),
        (Grouping.RULE, [[1, 4], [2, 3]]),
        (Grouping.PLACE, [[1, 2, 3], [4]]),
        (Grouping.SUBJECT, [[1], [2, 3], [4]]),
    ],
)
def test_alerts_stand_together_the_worst_group_first(grouping: Grouping, groups: list[list[int]]) -> None:
    assert shown(arranged(TriageView(grouping=grouping))) == groups


def test_what_a_browser_sends_is_read_as_far_as_it_makes_sense() -> None:
    sent = {
        "chosen": {"rule": ["ais_gap", 7, "x" * 300], "colour": ["red"], "age": "1h"},
        "grouping": "moon",
        "folded": ["a"],
    }
    view = TriageView.from_json(sent)
    assert view == TriageView(chosen={Facet.RULE: frozenset({"ais_gap"})}, folded=frozenset({"a"}))
    assert TriageView.from_json(None) == TriageView.from_json([1]) == TriageView()


def test_three_thousand_alerts_are_arranged_within_a_fraction_of_a_second() -> None:
    many = [alert(n, subject=f"mmsi:{n % 40}", rule=f"rule_{n % 9}") for n in range(3_000)]
    began = perf_counter()
    result = arranged(TriageView(grouping=Grouping.RULE, chosen={Facet.AGE: frozenset({"15min"})}), many)
    assert perf_counter() - began < 2.0
    assert (len(result.groups), result.passed) == (9, 3_000)
