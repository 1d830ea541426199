"""Whom to call about an alert that nobody acknowledges: the line, the time, and what no outage changes."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command.domain.alert import EVERYBODY, Alert, Call, Severity
from command.domain.alert_acts import acknowledged, called, escalated
from command.domain.clock import US_PER_S, from_us
from command.domain.escalation import Callee, EscalationRules, line_up, next_call, next_call_at_us
from command.domain.response import TeamResponse, TeamState
from command.domain.roster import Shift, WatchRole, monday_of
from command.i18n.times import JST

MINUTE_US = 60 * US_PER_S
RULES = EscalationRules()
OPENED_US = 1_764_000_000 * US_PER_S
ALERT = Alert(
    alert_id=uuid.UUID(int=1),
    revision=1,
    realm="live",
    rule="geofence_entry",
    severity=Severity.CRITICAL,
    subject="mmsi:431000001",
    subject_label="KAIYO MARU",
    area="north",
    track_id=None,
    position=None,
    because="because.geofence_entry",
    because_params={},
    evidence=(),
    opened_at_us=OPENED_US,
    observed_at_us=OPENED_US,
    recorded_at_us=OPENED_US,
    waiting_since_us=OPENED_US,
)


def shift(login: str, role: WatchRole = WatchRole.DUTY_OFFICER, **facts: Any) -> Shift:
    given: dict[str, Any] = {"team": None, "areas": (), "skills": (), "from_us": 0, "until_us": 1 << 60}
    return Shift(
        shift_id=uuid.uuid4(),
        version=1,
        login=login,
        role=role,
        changed_by="chief",
        changed_at_us=0,
        **(given | facts),
    )


def line(*logins: str) -> list[Callee]:
    return [Callee(login=login, name=login.title(), team=f"{login}-team") for login in logins]


def call_at(alert: Alert, people: Sequence[Callee], now_us: int, *, silenced: bool = False) -> Call | None:
    return next_call(alert, people, RULES, now_us=now_us, began_us=0, silenced=silenced)


def after(alert: Alert, people: Sequence[Callee], now_us: int) -> Alert:
    return called(alert, call_at(alert, people, now_us), now_us=now_us)


def test_those_responsible_for_the_place_come_first_then_the_skilled_then_by_role_and_managers_last() -> None:
    shifts = [
        shift("oncall", WatchRole.ON_CALL),
        shift("south", areas=("south",)),
        shift("deputy", WatchRole.DEPUTY, areas=("north",)),
        shift("pilot", WatchRole.ON_CALL, skills=("drone",), team="drones"),
        shift("officer"),
        shift("officer", WatchRole.ON_CALL, skills=("drone",)),
        shift("gone"),
    ]
    names = {each: each.title() for each in ("oncall", "south", "deputy", "pilot", "officer", "boss")}
    # when the alert asks for no skill, and when it asks for one
    plain = line_up(shifts, ["boss"], names=names, lies_in={"north"}, skill=None)
    drone = line_up(shifts, ["boss", "officer"], names=names, lies_in={"north"}, skill="drone")
    # then each is called once, and nobody is left out but who has no account any more
    assert [each.login for each in plain] == ["officer", "deputy", "oncall", "pilot", "south", "boss"]
    assert [each.login for each in drone] == ["officer", "pilot", "deputy", "oncall", "south", "boss"]
    assert drone[1] == Callee(login="pilot", name="Pilot", team="drones")


def test_with_nobody_on_duty_everybody_is_called_before_the_managers() -> None:
    people = line_up([], ["boss"], names={"boss": "Boss"}, lies_in=(), skill=None)
    first = after(ALERT, people, OPENED_US + 3 * MINUTE_US)
    assert first.call is not None
    assert (first.call.everybody, first.call.teams) == (True, (EVERYBODY,))
    second = after(first, people, OPENED_US + 6 * MINUTE_US)
    assert second.call is not None
    # and once everybody was called, everybody hears how it goes on
    assert (second.call.login, second.call.team, second.call.teams) == ("boss", None, (EVERYBODY,))


@pytest.mark.parametrize(
    ("severity", "minutes"), [(Severity.CRITICAL, 3), (Severity.HIGH, 10), (Severity.MEDIUM, 60), (Severity.LOW, None)]
)
def test_each_severity_has_its_time_and_low_calls_nobody(severity: Severity, minutes: int | None) -> None:
    alert = replace(ALERT, severity=severity)
    due_us = next_call_at_us(alert, RULES, began_us=0)
    assert due_us == (None if minutes is None else OPENED_US + minutes * MINUTE_US)
    # nobody could be called before there was a roster
    later = next_call_at_us(alert, RULES, began_us=OPENED_US + 99 * MINUTE_US)
    assert later == (None if minutes is None else OPENED_US + (99 + minutes) * MINUTE_US)


def test_acknowledging_and_clearing_stop_the_calls_and_an_escalation_begins_them_anew() -> None:
    people, much_later_us = line("a", "b"), OPENED_US + 1_000 * MINUTE_US
    first = after(ALERT, people, OPENED_US + 3 * MINUTE_US)
    seen = acknowledged(first, by="mori", comment="", now_us=OPENED_US + 4 * MINUTE_US)
    assert seen.call == first.call
    assert call_at(seen, people, much_later_us) is None
    assert call_at(replace(first, cleared_at_us=OPENED_US), people, much_later_us) is None
    raised = escalated(seen, by="sato", reason="灯火なし", now_us=much_later_us)
    assert call_at(raised, people, much_later_us + 3 * MINUTE_US - 1) is None
    again = call_at(raised, people, much_later_us + 3 * MINUTE_US)
    assert again is not None
    assert (again.login, again.step, again.passed) == ("a", 1, ("a",))


def test_a_silenced_alert_is_not_called_unless_it_is_critical() -> None:
    people, later_us = line("a"), OPENED_US + 100 * MINUTE_US
    assert call_at(replace(ALERT, severity=Severity.HIGH), people, later_us, silenced=True) is None
    assert call_at(ALERT, people, later_us, silenced=True) is not None


@pytest.mark.parametrize("state", TeamState)
def test_a_team_that_was_called_and_answers_has_it_unless_it_declines(state: TeamState) -> None:
    people, later_us = line("a", "b"), OPENED_US + 100 * MINUTE_US
    first = after(ALERT, people, OPENED_US + 3 * MINUTE_US)
    for team, stops in (("a-team", state is not TeamState.DECLINED), ("b-team", False)):
        stands = TeamResponse(
            team=team,
            state=state,
            response_id=uuid.UUID(int=2),
            responder="mori",
            answered_at_us=OPENED_US,
            comment="",
            position=None,
        )
        assert (call_at(replace(first, responses=(stands,)), people, later_us) is None) == stops


def test_after_an_outage_the_next_one_is_called_and_not_one_for_each_call_that_was_missed() -> None:
    people = line("a", "b", "c")
    first = after(ALERT, people, OPENED_US + 3 * MINUTE_US)
    # when dispatch was away for an hour
    back_us = OPENED_US + 63 * MINUTE_US
    second = after(first, people, back_us)
    # then b is called, once, and c has the whole time
    assert second.call is not None
    assert (second.call.login, second.call.step) == ("b", 2)
    assert call_at(second, people, back_us) is None
    assert next_call_at_us(second, RULES, began_us=0) == back_us + 3 * MINUTE_US


@given(
    looks=st.lists(st.integers(min_value=0, max_value=40 * MINUTE_US), max_size=60),
    people=st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6, unique=True),
)
def test_however_often_and_seldom_it_is_looked_at_each_step_calls_once_and_each_round_everybody(
    looks: list[int], people: list[str]
) -> None:
    # given an alert that nobody acknowledges, looked at at any times, by several processes and after restarts
    alert, now_us = ALERT, OPENED_US
    calls: list[Call] = []
    for pause_us in looks:
        now_us += pause_us
        for _ in range(2):
            call = call_at(alert, line(*people), now_us)
            if call is not None:
                calls.append(call)
                alert = called(alert, call, now_us=now_us)
    # then steps rise by one, none comes before its time, and nobody comes twice before all had their turn
    assert [call.step for call in calls] == list(range(1, len(calls) + 1))
    times = [OPENED_US, *(call.at_us for call in calls)]
    assert all(later - earlier >= 3 * MINUTE_US for earlier, later in pairwise(times))
    assert [call.login for call in calls] == [people[i % len(people)] for i in range(len(calls))]
    assert all(call.teams == tuple(f"{login}-team" for login in people[: call.step]) for call in calls)


@given(
    rosters=st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True), min_size=1, max_size=12)
)
def test_a_roster_that_changes_meanwhile_never_calls_one_twice_while_another_waits(rosters: list[list[str]]) -> None:
    alert, now_us = ALERT, OPENED_US
    for people in rosters:
        now_us += 3 * MINUTE_US
        passed = set(alert.call.passed if alert.call else ())
        alert = after(alert, line(*people), now_us)
        assert alert.call is not None
        # whoever was called already is called again only where nobody else is left
        assert alert.call.login not in passed or set(people) <= passed


@given(us=st.integers(min_value=0, max_value=4_000_000_000 * US_PER_S))
def test_a_week_begins_on_monday_at_midnight_in_japan(us: int) -> None:
    monday_us = monday_of(us)
    begins = from_us(monday_us).astimezone(JST)
    assert 0 <= us - monday_us < 7 * 86_400 * US_PER_S
    assert (begins.weekday(), begins.hour, begins.minute, begins.second) == (0, 0, 0, 0)
