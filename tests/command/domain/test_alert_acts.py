"""What people do to an alert: what it is after each act, and when it is refused."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from command.domain.alert import Alert, Severity
from command.domain.alert_acts import ActRefused, acknowledged, assigned, escalated, unassigned, withdrawn
from command.domain.silence import Matcher, Silence

ALERT = Alert(
    alert_id=uuid.UUID(int=1),
    revision=3,
    realm="drill-x",
    rule="geofence_entry",
    severity=Severity.MEDIUM,
    subject="mmsi:431000001",
    subject_label="KAIYO MARU",
    area="north",
    track_id=None,
    position=None,
    because="because.geofence_entry",
    because_params={},
    evidence=(),
    opened_at_us=10,
    observed_at_us=10,
    recorded_at_us=10,
)
escalate = partial(escalated, by="sato", reason="灯火なし", now_us=20)
assign = partial(assigned, by="sato", now_us=20)


def test_an_escalation_raises_the_severity_and_makes_the_alert_wait_again() -> None:
    seen = acknowledged(ALERT, by="mori", comment="了解", now_us=15)
    after = escalate(seen)
    assert (after.severity, after.rule_severity, after.revision) == (Severity.HIGH, Severity.MEDIUM, 5)
    assert (after.acknowledged_at_us, after.acknowledged_by, after.comment) == (None, None, None)
    assert (after.escalated_by, after.escalation_reason, after.recorded_at_us) == ("sato", "灯火なし", 20)


def test_an_escalation_that_was_answered_can_be_raised_once_more_and_taken_back_whole() -> None:
    once = escalate(ALERT)
    twice = escalate(acknowledged(once, by="mori", comment="", now_us=21), now_us=22)
    thrice = escalate(acknowledged(twice, by="mori", comment="", now_us=23), now_us=24)
    assert [each.severity for each in (once, twice, thrice)] == [Severity.HIGH, Severity.CRITICAL, Severity.CRITICAL]
    back = withdrawn(thrice, now_us=30)
    assert back == replace(ALERT, revision=back.revision, recorded_at_us=30, waiting_since_us=24)


@pytest.mark.parametrize(
    ("before", "act", "key"),
    [
        (
            acknowledged(ALERT, by="mori", comment="", now_us=15),
            partial(acknowledged, by="a", comment=""),
            "acknowledged",
        ),
        (escalate(ALERT), partial(escalated, by="a", reason="x"), "escalated"),
        (ALERT, withdrawn, "not_escalated"),
        (ALERT, unassigned, "not_assigned"),
        (assign(ALERT, to="mori", take_over=False), partial(assigned, to="a", by="a", take_over=False), "in_hand"),
        (assign(ALERT, to="a", take_over=False), partial(assigned, to="a", by="a", take_over=True), "theirs_already"),
    ],
)
def test_an_act_that_the_alert_does_not_allow_says_why(before: Alert, act: Callable[..., Alert], key: str) -> None:
    with pytest.raises(ActRefused) as refused:
        act(before, now_us=40)
    assert refused.value.key == key


def test_whoever_says_so_takes_an_alert_over_and_puts_it_down() -> None:
    mine = assign(assign(ALERT, to="mori", take_over=False), to="a", take_over=True, now_us=30)
    assert (mine.assigned_to, mine.assigned_by, mine.assigned_at_us) == ("a", "sato", 30)
    assert unassigned(mine, now_us=40).assigned_to is None


@pytest.mark.parametrize(
    ("matcher", "quiet"),
    [
        (Matcher(rule="geofence_entry"), True),
        (Matcher(rule="geofence_entry", area="north", subject="mmsi:431000001"), True),
        (Matcher(rule="geofence_entry", area="south"), False),
        (Matcher(subject="mmsi:431000002"), False),
    ],
)
def test_a_silence_quiets_what_has_everything_that_it_names(matcher: Matcher, quiet: bool) -> None:
    silence = Silence(
        silence_id=uuid.UUID(int=2), matcher=matcher, reason="演習", author="sato", created_at_us=0, expires_at_us=100
    )
    assert silence.quiets(ALERT, 50) is quiet
    # over, ended, critical or raised by an officer: never
    assert not silence.quiets(ALERT, 100)
    assert not replace(silence, ended_at_us=40, ended_by="mori").quiets(ALERT, 50)
    assert not silence.quiets(replace(ALERT, severity=Severity.CRITICAL), 50)
    assert not silence.quiets(escalate(ALERT), 50)


def test_a_silence_of_everything_cannot_be_said() -> None:
    with pytest.raises(ValueError, match="name a rule, a subject or an area"):
        Matcher()
