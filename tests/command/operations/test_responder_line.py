"""One alert as one line for a person."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.message import ALERT, AreaName, Grouped, alert_body, alert_of_body, check_body
from command.domain.alert import EVERYBODY, Alert, Call, Severity
from command.domain.geo import Position
from command.operations.responder_line import (
    alert_line,
    clean,
    is_repeat,
    member_lines,
    position_text,
    revisions_told,
)


def an_alert(**changes: Any) -> Alert:
    facts: dict[str, Any] = {
        "alert_id": uuid.UUID(int=1),
        "revision": 1,
        "realm": "live",
        "rule": "geofence_entry",
        "severity": Severity.CRITICAL,
        "subject": "mmsi:431002123",
        "subject_label": "HAKATA MARU",
        "area": None,
        "track_id": None,
        "position": Position(lon=129.4418, lat=34.6872),
        "because": "because.not_of_this_release",
        "because_params": {},
        "evidence": (),
        "opened_at_us": 1_795_390_865_123_456,
        "observed_at_us": 1_795_390_865_123_456,
        "recorded_at_us": 1_795_390_865_123_456,
    }
    return Alert(**(facts | changes))


def a_body(*, area_name: AreaName | None = None, **changes: Any) -> dict[str, Any]:
    body = alert_body(an_alert(**changes), area_name=area_name)
    return body | {"because": {"ja": "監視区域に進入", "en": "entered the watched area"}}


def test_an_officer_reads_severity_time_place_subject_reason_and_rule() -> None:
    body = a_body(area="tsushima-east", area_name=AreaName(ja="対馬東方", en="East of Tsushima"))
    assert alert_line(body, "ja").startswith(
        "▲▲ 緊急  2026-11-23 08:41 JST (23:41Z)  対馬東方 34-41.23N 129-26.51E  HAKATA MARU  監視区域に進入  ["
    )
    assert alert_line(body, "en").startswith(
        "▲▲ Critical  2026-11-23 08:41 JST (23:41Z)  East of Tsushima 34-41.23N 129-26.51E  HAKATA MARU  entered"
    )


def test_the_four_severities_differ_by_shape_and_not_by_word_alone() -> None:
    marks = {alert_line(a_body(severity=severity), "en").split()[0] for severity in Severity}
    assert len(marks) == 4


@pytest.mark.parametrize(
    ("realm", "language", "banner"),
    [
        ("drill-x", "ja", "【訓練】"),
        ("drill-x", "en", "[DRILL] "),
        ("replay-x", "ja", "【再生】"),
        ("live", "ja", "▲▲"),
    ],
)
def test_whatever_is_no_real_alert_says_so_first(realm: str, language: str, banner: str) -> None:
    assert alert_line(a_body(realm=realm), language).startswith(banner)


def test_an_unknown_position_is_said_and_never_made_up() -> None:
    assert "  位置不明  " in alert_line(a_body(position=None), "ja")


def a_call(login: str, name: str) -> Call:
    return Call(login=login, name=name, team=None, step=1, at_us=1_795_390_865_123_456, passed=(login,), teams=())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"revision": 3}, "(更新 第3版)"),
        ({"revision": 2, "cleared_at_us": 1}, "(解消)"),
        ({"revision": 2, "call": a_call("mori", "森 由美")}, "(呼び出し: 森 由美)"),
        ({"revision": 2, "call": a_call(EVERYBODY, "")}, "(呼び出し: 全員(当直者なし))"),
        (
            {"revision": 2, "acknowledged_at_us": 1_795_390_865_123_456, "acknowledged_by": "sato"},
            "(当直確認: sato)",
        ),
    ],
)
def test_what_made_the_revision_is_said(changes: dict[str, Any], says: str) -> None:
    assert says in alert_line(a_body(**changes), "ja")


def test_a_call_that_is_told_again_in_a_group_meets_the_schema_and_is_said() -> None:
    called = an_alert(revision=2, call=a_call("mori", "森 由美"))
    grouped = Grouped(
        group_id=uuid.UUID(int=7),
        labels={},
        message=3,
        repeat=True,
        members=[called, an_alert(alert_id=uuid.UUID(int=2))],
        more=0,
        open_alerts=2,
        cleared=0,
    )
    body = alert_body(called, area_name=None, grouped=grouped)
    check_body(body, kind=ALERT)
    assert any("(呼び出し中)" in line for line in member_lines(body, "ja"))


def test_a_name_from_the_air_cannot_command_the_terminal_nor_break_the_line() -> None:
    line = alert_line(a_body(subject_label="\x1b[2J\x9b1mEVIL\u202e\nX\u3000Y {0} {rule}"), "en")
    assert "?[2J?1mEVIL? X Y {0} {rule}" in line
    assert line.isprintable()


@given(st.text())
def test_a_cleaned_line_is_always_printable_and_as_long_as_before(text: str) -> None:
    assert clean(text).isprintable()
    assert len(clean(text)) == len(text)


@given(st.floats(-180, 180), st.floats(-90, 90))
def test_a_position_reads_back_to_within_a_hundredth_of_a_minute_and_has_no_sixtieth(lon: float, lat: float) -> None:
    north, east = position_text(lon, lat).split()
    for printed, degrees, positive in ((north, lat, "N"), (east, lon, "E")):
        whole, minutes = printed[:-1].split("-")
        assert float(minutes) < 60.0
        value = int(whole) + float(minutes) / 60.0
        value = value if printed[-1] == positive else -value
        assert value == pytest.approx(degrees, abs=0.5001 / 6_000)


def a_group(*, repeat: bool = False, more: int = 0) -> dict[str, Any]:
    members = [
        alert_of_body(a_body(alert_id=uuid.UUID(int=number), subject=f"mmsi:{number}", **changes))
        for number, changes in enumerate(
            ({"severity": Severity.HIGH}, {"severity": Severity.LOW, "revision": 3, "cleared_at_us": 10**15}), 1
        )
    ]
    grouped = Grouped(
        group_id=uuid.UUID(int=7),
        labels={"rule": "geofence_entry"},
        message=2,
        repeat=repeat,
        members=members,
        more=more,
        open_alerts=4,
        cleared=1,
    )
    body = alert_body(members[0], area_name=None, grouped=grouped)
    check_body(body, kind=ALERT)
    return body


def test_beneath_the_worst_of_a_group_stand_how_many_and_a_line_for_each() -> None:
    head, first, second, rest = member_lines(a_group(more=9), "en")
    assert head == "   11 alerts in this message; of the group 4 are open, 1 of these are over:"
    assert first.startswith("    ▲ High  2026-11-23 08:41 JST (23:41Z)  34-41.23N 129-26.51E  ")
    assert second.startswith("    ○ Low (cleared)  2026")
    assert rest == "    … and 9 more; the console lists them"
    assert "(and 10 more: " in alert_line(a_group(more=9), "en")


def test_a_repeated_group_says_that_it_is_one_and_every_revision_counts_as_told() -> None:
    body = a_group(repeat=True)
    assert "再通知" in member_lines(body, "ja")[0]
    assert is_repeat(body)
    assert revisions_told(body) == [(str(uuid.UUID(int=1)), 1), (str(uuid.UUID(int=2)), 3)]
    assert (is_repeat(a_body()), member_lines(a_body(), "ja")) == (False, [])
