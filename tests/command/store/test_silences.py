"""Silences in the store, and acts on many alerts with the rule's own revisions around them."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Engine

from command.domain.alert import Alert, AlertEventKind, Finding, FindingKind, Severity
from command.domain.alert_acts import assigned, escalated, withdrawn
from command.domain.clock import US_PER_S
from command.domain.realm import Realm
from command.domain.silence import Matcher, Silence
from command.store.alerts import act_on_alerts, alert_events, get_alert, record_findings
from command.store.deliveries import events_without_delivery
from command.store.engine import realm_session
from command.store.silences import (
    SilenceOver,
    UnknownSilence,
    begin_silences,
    end_silence,
    list_silences,
    silences_in_force,
)

NOW_US = 1_764_000_000 * US_PER_S


def record(engine: Engine, realm: Realm, kind: FindingKind = FindingKind.OPENED, **changed: Any) -> Alert:
    given: dict[str, Any] = {
        "kind": kind,
        "rule": "geofence_entry",
        "severity": Severity.MEDIUM,
        "subject": "mmsi:431002123",
        "area": "izuhara",
        "episode_start_us": NOW_US,
        "observed_at_us": NOW_US,
        "position": None,
        "because": "because.geofence_entry",
    }
    with realm_session(engine, realm) as session:
        (alert,) = record_findings(session, realm, [Finding(**(given | changed))], labels={}, now_us=NOW_US)
    return alert


def silence(minutes: int = 30, **matcher: str) -> Silence:
    return Silence(
        silence_id=uuid.uuid4(),
        matcher=Matcher(**matcher),
        reason="演習の標的船",
        author="sato",
        created_at_us=NOW_US + 10,
        expires_at_us=NOW_US + minutes * 60 * US_PER_S,
    )


def test_an_escalation_stands_above_what_the_rule_says_until_it_is_taken_back(engine: Engine, realm: Realm) -> None:
    # given an alert that an officer raised
    alert = record(engine, realm)
    escalate = partial(escalated, by="sato", reason="灯火なし", now_us=NOW_US + 1)
    with realm_session(engine, realm) as session:
        acted = act_on_alerts(session, [alert.alert_id], escalate, kind=AlertEventKind.ESCALATED, by="sato")
    assert [each.severity for each in acted.done] == [Severity.HIGH]
    # when the rule has news and a lower severity
    revised = record(engine, realm, FindingKind.REVISED, severity=Severity.LOW, because_params={"n": 2})
    # then the officer's stands, and the rule's own is kept beside it
    assert (revised.severity, revised.rule_severity, revised.escalated_by) == (Severity.HIGH, Severity.LOW, "sato")
    # when it is taken back
    with realm_session(engine, realm) as session:
        take_back = partial(withdrawn, now_us=NOW_US + 9)
        act_on_alerts(session, [alert.alert_id], take_back, kind=AlertEventKind.WITHDRAWN, by="sato")
        now, events = get_alert(session, alert.alert_id), alert_events(session, alert.alert_id)
    # then it is the rule's, and each step is kept as it was
    assert now is not None
    assert (now.severity, now.rule_severity) == (Severity.LOW, None)
    assert [event.kind.value for event in events] == ["opened", "escalated", "revised", "withdrawn"]
    assert [event.alert.severity for event in events] == [
        Severity.MEDIUM,
        Severity.HIGH,
        Severity.HIGH,
        Severity.LOW,
    ]
    assert [event.alert for event in events][-1] == now


def test_an_assignment_stays_with_the_alert_and_is_not_sent_to_the_teams(engine: Engine, realm: Realm) -> None:
    # given an alert, of which the first revision is planned
    alert = record(engine, realm)
    unknown = uuid.uuid4()
    # when it is assigned, with one that does not exist
    with realm_session(engine, realm) as session:
        assign = partial(assigned, to="mori", by="sato", take_over=False, now_us=NOW_US + 1)
        acted = act_on_alerts(
            session,
            [alert.alert_id, unknown],
            assign,
            kind=AlertEventKind.ASSIGNED,
            by="sato",
            delivered=False,
        )
        assert list(acted.unknown) == [unknown]
        assert [(each.alert_id, each.revision) for each in events_without_delivery(session, 10)] == [
            (alert.alert_id, 1)
        ]
    # then the rule's next revision keeps it
    assert record(engine, realm, FindingKind.REVISED, because_params={"n": 2}).assigned_to == "mori"


def test_a_silence_is_over_when_the_realms_clock_says_so_or_somebody_ends_it(engine: Engine, realm: Realm) -> None:
    short, long = silence(30, rule="geofence_entry"), silence(60, area="izuhara", subject="mmsi:431002123")
    with realm_session(engine, realm) as session:
        begin_silences(session, [long, short])

        def in_force(after_min: int) -> list[Silence]:
            return silences_in_force(session, NOW_US + after_min * 60 * US_PER_S)

        assert in_force(1) == [short, long]
        assert in_force(30) == [long]
        assert in_force(60) == []
        ended = end_silence(session, short.silence_id, by="mori", now_us=NOW_US + 20)
        assert (ended.ended_by, ended.ended_at_us) == ("mori", NOW_US + 20)
        assert in_force(1) == [long]
        with pytest.raises(SilenceOver):
            end_silence(session, short.silence_id, by="sato", now_us=NOW_US + 30)
        with pytest.raises(UnknownSilence, match="reload the list"):
            end_silence(session, uuid.uuid4(), by="sato", now_us=NOW_US)


def test_what_a_silence_was_about_is_counted_also_after_it(engine: Engine, realm: Realm) -> None:
    # given one alert that was open before the silence, one during it, one after it, and one of another area
    minute_us = 60 * US_PER_S
    record(engine, realm)
    record(engine, realm, episode_start_us=NOW_US + 5 * minute_us)
    record(engine, realm, episode_start_us=NOW_US + 50 * minute_us)
    record(engine, realm, area="other")
    begun = silence(30, rule="geofence_entry", area="izuhara")
    with realm_session(engine, realm) as session:
        begin_silences(session, [begun])
        assert list_silences(session, since_us=NOW_US, limit=10) == [(begun, 2)]
        assert list_silences(session, since_us=NOW_US + 31 * minute_us, limit=10) == []
