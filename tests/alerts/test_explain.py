"""The reasons of alerts, in words."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from alerts.explain import (
    explain,
    format_distance,
    format_duration,
    format_moment,
    rule_name,
    severity_word,
    subject_name,
)
from alerts.registry import RULE_KINDS, RULES
from command.domain.alert import Alert, Finding, FindingKind, Severity
from command.domain.clock import US_PER_S
from command.i18n import LANGUAGES, texts

AT_US = 1_795_304_460 * US_PER_S  # 2026-11-21T23:41Z


def finding(because: str, params: dict[str, Any], rule: str = "geofence_entry") -> Finding:
    return Finding(
        kind=FindingKind.OPENED,
        rule=rule,
        severity=Severity.HIGH,
        subject="mmsi:431000001",
        area=None,
        episode_start_us=AT_US,
        observed_at_us=AT_US,
        position=None,
        because=because,
        because_params=params,
    )


def test_a_moment_is_written_in_japanese_time_with_utc_beside_it() -> None:
    assert format_moment(AT_US, "ja") == "2026-11-22 08:41 JST (23:41Z)"


def test_an_entry_reads_as_an_officer_would_write_it() -> None:
    params = {"subject": "第八海進丸", "area": {"ja": "厳原湾", "en": "Izuhara bay"}, "since_us": AT_US, "stay_s": 0}

    said = finding("because.geofence_entry", params)

    assert explain(said, "ja") == "第八海進丸 が監視区域「厳原湾」に進入 (2026-11-22 08:41 JST (23:41Z))"
    assert explain(said, "en").startswith('第八海進丸 entered geofence "Izuhara bay"')


@pytest.mark.parametrize(
    ("seconds", "japanese", "english"),
    [
        (42, "42秒", "42 s"),
        (90, "90秒", "90 s"),
        (900, "15分", "15 min"),
        (5_400, "1時間30分", "1 h 30 min"),
        (86_370, "1日0時間", "1 d 0 h"),
        (183_600, "2日3時間", "2 d 3 h"),
    ],
)
def test_a_duration_is_written_as_people_say_it(seconds: float, japanese: str, english: str) -> None:
    assert (format_duration(seconds, "ja"), format_duration(seconds, "en")) == (japanese, english)


@pytest.mark.parametrize(("metres", "words"), [(350.4, "350 m"), (1_852, "1.0海里"), (27_780, "15.0海里")])
def test_a_distance_is_metres_when_near_and_nautical_miles_when_far(metres: float, words: str) -> None:
    assert format_distance(metres, "ja") == words


@pytest.mark.parametrize(
    "params", [{}, {"area": "x"}, {"area": {"fr": "x"}}, {"since_us": "soon"}, {"since_us": 10**40}]
)
@pytest.mark.parametrize("language", LANGUAGES)
def test_an_alert_whose_text_cannot_be_written_out_still_says_what_it_knows(params: Any, language: str) -> None:
    said = finding("because.geofence_entry", params)

    assert rule_name("geofence_entry", language) in explain(said, language)


def test_a_reason_that_this_release_does_not_know_is_not_an_error() -> None:
    assert "because" not in explain(finding("because.tomorrow", {"a": 1}, rule="tomorrow"), "en")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_rule_and_severity_has_a_name(language: str) -> None:
    assert all(rule_name(rule, language) != rule for rule in RULES)
    assert len({severity_word(severity, language) for severity in Severity}) == 4


def test_no_reason_lacks_a_rule() -> None:
    rules = {key.split(".")[1] for key in texts("ja") if key.startswith("because.")}

    assert (
        rules - {"unreadable", "escalated", "rule"} == RULES.keys() | RULE_KINDS.keys()
    )  # these three are said of any rule


def test_the_subject_of_an_alert_is_called_in_the_readers_language_and_else_as_it_was_written_down() -> None:
    def alert(**params: Any) -> Alert:
        return Alert(
            alert_id=uuid.UUID(int=1),
            revision=1,
            realm="live",
            rule="distress",
            severity=Severity.HIGH,
            subject="contact:5d1f",
            subject_label="AIS未受信目標 C1",
            area=None,
            track_id=None,
            position=None,
            because="because.distress.sart",
            because_params=params,
            evidence=(),
            opened_at_us=AT_US,
            observed_at_us=AT_US,
            recorded_at_us=AT_US,
        )

    told = alert(subject={"ja": "AIS未受信目標 C1", "en": "Dark contact C1"})
    assert (subject_name(told, "ja"), subject_name(told, "en")) == ("AIS未受信目標 C1", "Dark contact C1")
    assert subject_name(alert(), "en") == "AIS未受信目標 C1"
