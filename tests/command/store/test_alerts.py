"""Alerts: one an episode, with revisions; events and evidence that no one can change."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from command.domain.alert import Alert, AlertEventKind, Finding, FindingKind, Severity
from command.domain.clock import US_PER_S
from command.domain.geo import Position
from command.domain.ids import alert_id
from command.domain.observation import IdentityScheme, ObservationBatch, empty_rows
from command.domain.realm import Realm
from command.store.alerts import (
    AlreadyAcknowledged,
    UnknownAlert,
    acknowledge_alert,
    alert_events,
    counts_by_rule,
    get_alert,
    list_alerts,
    record_findings,
)
from command.store.engine import realm_session
from command.store.evidence import ANY_LOOKBACK_US, SUBJECT_LOOKBACK_US, alert_evidence
from command.store.observations import save_observations

NOW_US = 1_764_000_000 * US_PER_S
SUBJECT = "mmsi:431002123"


def finding(kind: FindingKind, **changed: Any) -> Finding:
    given: dict[str, Any] = {
        "kind": kind,
        "rule": "geofence_entry",
        "severity": Severity.HIGH,
        "subject": SUBJECT,
        "area": "izuhara",
        "episode_start_us": NOW_US,
        "observed_at_us": NOW_US,
        "position": Position(lon=129.3, lat=34.2),
        "because": "because.geofence_entry",
        "because_params": {"speed_mps": 5.5, "areas": ("a", "b")},
        "track_id": uuid.UUID(int=1),
    }
    return Finding(**(given | changed))


def record(engine: Engine, realm: Realm, *findings: Finding, after_us: int = 1) -> list[Alert]:
    with realm_session(engine, realm) as session:
        return record_findings(session, realm, findings, labels={SUBJECT: "あさかぜ"}, now_us=NOW_US + after_us)


OPENED, REVISED, CLEARED = FindingKind.OPENED, FindingKind.REVISED, FindingKind.CLEARED


def kinds(engine: Engine, realm: Realm, alert: Alert) -> list[str]:
    with realm_session(engine, realm) as session:
        return [event.kind.value for event in alert_events(session, alert.alert_id)]


def test_an_episode_is_one_alert_from_opening_to_clearing(engine: Engine, realm: Realm) -> None:
    (opened,) = record(engine, realm, finding(OPENED))
    (revised,) = record(engine, realm, finding(REVISED, because_params={"speed_mps": 9.0}), after_us=2)
    (cleared,) = record(engine, realm, finding(CLEARED, observed_at_us=NOW_US + 7), after_us=8)

    assert opened.alert_id == alert_id(realm.name, "geofence_entry", SUBJECT, "izuhara", NOW_US)
    assert (opened.revision, opened.subject_label, opened.opened_at_us) == (1, "あさかぜ", NOW_US)
    assert opened.because_params == {"speed_mps": 5.5, "areas": ["a", "b"]}
    assert (revised.revision, revised.because_params, revised.cleared_at_us) == (2, {"speed_mps": 9.0}, None)
    assert (cleared.revision, cleared.cleared_at_us, cleared.opened_at_us) == (3, NOW_US + 7, NOW_US)
    with realm_session(engine, realm) as session:
        assert get_alert(session, opened.alert_id) == cleared
        events = alert_events(session, opened.alert_id)
        assert [event.alert for event in events] == [opened, revised, cleared]
        assert [event.revision for event in events] == [1, 2, 3]
        assert counts_by_rule(session) == {"geofence_entry": 1}


@pytest.mark.parametrize(
    ("before", "again"),
    [
        ((OPENED,), OPENED),
        ((OPENED,), REVISED),
        ((OPENED, CLEARED), CLEARED),
        ((OPENED, CLEARED), OPENED),
    ],
)
def test_the_same_finding_again_adds_nothing(
    engine: Engine, realm: Realm, before: tuple[FindingKind, ...], again: FindingKind
) -> None:
    changed = record(engine, realm, *(finding(kind) for kind in before))
    count = len(kinds(engine, realm, changed[0]))

    assert record(engine, realm, finding(again, observed_at_us=NOW_US + 1), after_us=9) == []

    assert len(kinds(engine, realm, changed[0])) == count == len(before)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(story=st.lists(st.tuples(st.sampled_from(FindingKind), st.integers(0, 2)), min_size=1, max_size=6))
def test_a_flush_that_comes_again_after_any_story_changes_nothing_but_what_is_news(
    engine: Engine, realm: Realm, story: list[tuple[FindingKind, int]]
) -> None:
    """In one flush or in many: the same revisions; events number 1..n; the alert is its last event."""
    starts = uuid.uuid4().int % 10**15
    findings = [finding(kind, episode_start_us=starts, because_params={"n": n}) for kind, n in story]
    record(engine, realm, *findings)
    one_by_one = [finding(kind, episode_start_us=starts + 1, because_params={"n": n}) for kind, n in story]
    for each in one_by_one:
        record(engine, realm, each)

    with realm_session(engine, realm) as session:
        stories = []
        for start in (starts, starts + 1):
            this = alert_id(realm.name, "geofence_entry", SUBJECT, "izuhara", start)
            events = alert_events(session, this)
            assert [event.revision for event in events] == list(range(1, len(events) + 1))
            assert get_alert(session, this) == events[-1].alert
            stories.append([(event.kind, event.alert.because_params) for event in events])
    assert stories[0] == stories[1]


def test_news_of_an_episode_that_was_never_opened_opens_it_rather_than_being_missed(
    engine: Engine, realm: Realm
) -> None:
    (revised,) = record(engine, realm, finding(REVISED))
    (cleared,) = record(engine, realm, finding(CLEARED, area=None))

    assert (revised.revision, revised.cleared_at_us) == (1, None)
    assert (cleared.revision, cleared.cleared_at_us, cleared.area) == (1, NOW_US, None)


def test_an_episode_that_goes_on_after_its_end_is_open_again(engine: Engine, realm: Realm) -> None:
    record(engine, realm, finding(OPENED), finding(CLEARED))
    (again,) = record(engine, realm, finding(REVISED))
    assert (again.revision, again.cleared_at_us) == (3, None)


def test_of_two_officers_who_acknowledge_together_one_wins_and_the_other_hears_who(
    engine: Engine, realm: Realm
) -> None:
    (alert,) = record(engine, realm, finding(OPENED))
    start = threading.Barrier(2)

    def acknowledge(login: str) -> str:
        start.wait(10)
        try:
            with realm_session(engine, realm) as session:
                acknowledge_alert(session, alert.alert_id, by=login, comment=f"{login} sees", now_us=NOW_US + 5)
        except AlreadyAcknowledged as exc:
            return f"{login} lost to {exc.alert.acknowledged_by}"
        return f"{login} won"

    with ThreadPoolExecutor(2) as pool:
        answers = set(pool.map(acknowledge, ("sato", "mori")))

    assert answers in ({"sato won", "mori lost to sato"}, {"mori won", "sato lost to mori"})
    winner = "sato" if "sato won" in answers else "mori"
    with realm_session(engine, realm) as session:
        now = get_alert(session, alert.alert_id)
        events = alert_events(session, alert.alert_id)
    assert now is not None
    assert (now.revision, now.acknowledged_by, now.comment) == (2, winner, f"{winner} sees")
    assert [(event.kind, event.actor) for event in events] == [
        (AlertEventKind.OPENED, None),
        (AlertEventKind.ACKNOWLEDGED, winner),
    ]


def test_an_unknown_alert_cannot_be_acknowledged(engine: Engine, realm: Realm) -> None:
    with pytest.raises(UnknownAlert, match="reload the list"), realm_session(engine, realm) as session:
        acknowledge_alert(session, uuid.uuid4(), by="sato", comment="", now_us=NOW_US)


@pytest.mark.parametrize(("severity", "by"), [(Severity.HIGH, "sato"), (Severity.CRITICAL, None)])
def test_an_acknowledgement_stays_unless_it_got_worse(
    engine: Engine, realm: Realm, severity: Severity, by: str | None
) -> None:
    (alert,) = record(engine, realm, finding(OPENED))
    with realm_session(engine, realm) as session:
        acknowledge_alert(session, alert.alert_id, by="sato", comment="聞いた", now_us=NOW_US + 5)

    (revised,) = record(engine, realm, finding(REVISED, severity=severity, because_params={"n": 2}))

    assert (revised.severity, revised.acknowledged_by) == (severity, by)
    with realm_session(engine, realm) as session:
        assert alert_events(session, alert.alert_id)[1].actor == "sato"


def test_triage_lists_the_worst_then_the_unseen_then_the_newest(engine: Engine, realm: Realm) -> None:
    def opened(number: int, severity: Severity) -> uuid.UUID:
        (alert,) = record(
            engine,
            realm,
            finding(OPENED, severity=severity, episode_start_us=NOW_US + number, track_id=uuid.UUID(int=number)),
        )
        return alert.alert_id

    low, old, new = opened(9, Severity.LOW), opened(1, Severity.HIGH), opened(2, Severity.HIGH)
    seen, worst = opened(3, Severity.HIGH), opened(0, Severity.CRITICAL)
    gone_unseen, over = opened(4, Severity.MEDIUM), opened(5, Severity.MEDIUM)
    with realm_session(engine, realm) as session:
        for each in (seen, over):
            acknowledge_alert(session, each, by="sato", comment="", now_us=NOW_US)
    for start in (4, 5):
        record(engine, realm, finding(CLEARED, severity=Severity.MEDIUM, episode_start_us=NOW_US + start))

    with realm_session(engine, realm) as session:
        assert [a.alert_id for a in list_alerts(session, limit=9)] == [worst, new, old, seen, gone_unseen, low]
        assert [a.alert_id for a in list_alerts(session, limit=9, include_cleared=True)][5] == over
        assert [a.alert_id for a in list_alerts(session, limit=2)] == [worst, new]
        assert [a.alert_id for a in list_alerts(session, limit=9, track_id=uuid.UUID(int=2))] == [new]


def observed(*facts: tuple[int, int]) -> ObservationBatch:
    """(MMSI, observed after now in us)."""
    rows = empty_rows(len(facts))
    for row, (mmsi, after) in zip(rows, facts, strict=True):
        row["observation_id"] = uuid.uuid4().bytes
        row["subject_scheme"], row["subject_key"] = IdentityScheme.MMSI, mmsi
        row["observed_at_us"] = NOW_US + after
        row["lon"] = 129.3
    return ObservationBatch(source="ais-izuhara", rows=rows, attributes={0: {"name": "あさかぜ"}})


def test_the_observations_an_alert_cites_are_copied_and_what_is_missing_is_named(engine: Engine, realm: Realm) -> None:
    batch = observed(
        (431002123, 0),
        (431002123, -SUBJECT_LOOKBACK_US),
        (999, -ANY_LOOKBACK_US),
        (431002123, 30),
        (999, -ANY_LOOKBACK_US - 1),
    )
    ids = [row["observation_id"].tobytes() for row in batch.rows]
    nowhere = uuid.uuid4().bytes
    with realm_session(engine, realm) as session:
        save_observations(session, batch, recorded_at_us=NOW_US)
    (alert,) = record(engine, realm, finding(OPENED, evidence=(ids[1], ids[2], ids[0])))
    (alert,) = record(engine, realm, finding(REVISED, evidence=(ids[0], ids[3], ids[4], nowhere)))
    with realm_session(engine, realm) as session:
        session.execute(text("TRUNCATE observation"))

    with realm_session(engine, realm) as session:
        kept = alert_evidence(session, alert.alert_id)
        events = alert_events(session, alert.alert_id)
        extra = session.execute(
            text("SELECT source, attributes FROM evidence WHERE attributes IS NOT NULL AND alert_id = :a"),
            {"a": alert.alert_id},
        ).one()

    assert kept.tobytes() == np.sort(batch.rows[:4], order="observed_at_us").tobytes()
    assert alert.evidence == (ids[1], ids[2], ids[0], ids[3], ids[4], nowhere)
    assert [event.evidence_missing for event in events] == [(), tuple(sorted((ids[4], nowhere)))]
    assert (extra.source, extra.attributes) == ("ais-izuhara", {"name": "あさかぜ"})


@pytest.mark.parametrize("subject", ["source:ais-izuhara", "mmsi:", "mavlink:zz", "contact", "none:0"])
def test_a_finding_about_any_subject_keeps_the_evidence_of_its_hour(engine: Engine, realm: Realm, subject: str) -> None:
    batch = observed((7, 0))
    cited = batch.rows["observation_id"][0].tobytes()
    with realm_session(engine, realm) as session:
        save_observations(session, batch, recorded_at_us=NOW_US)

    (alert,) = record(engine, realm, finding(OPENED, subject=subject, evidence=(cited, cited)))

    assert alert.evidence == (cited,)
    with realm_session(engine, realm) as session:
        assert len(alert_evidence(session, alert.alert_id)) == 1


@pytest.mark.parametrize("table", ["alert_event", "evidence"])
@pytest.mark.parametrize("change", ["UPDATE {} SET alert_id = gen_random_uuid()", "DELETE FROM {}", "TRUNCATE {}"])
def test_events_and_evidence_cannot_be_changed(engine: Engine, realm: Realm, table: str, change: str) -> None:
    batch = observed((431002123, 0))
    with realm_session(engine, realm) as session:
        save_observations(session, batch, recorded_at_us=NOW_US)
    record(engine, realm, finding(OPENED, evidence=(batch.rows["observation_id"][0].tobytes(),)))

    with pytest.raises(DBAPIError, match=f"{table} is append-only"), realm_session(engine, realm) as session:
        session.execute(text(change.format(table)))


def test_numbers_that_come_out_of_arrays_are_kept_as_numbers(engine: Engine, realm: Realm) -> None:
    lon, lat = np.array([129.3, 34.2])
    (alert,) = record(
        engine,
        realm,
        finding(
            OPENED,
            position=Position(lon=lon, lat=lat),
            because_params={"f": np.float32(0.5), "i": np.int64(7), "b": np.bool_(True), "nan": [np.float32("nan")]},
        ),
    )

    assert alert.because_params == {"f": 0.5, "i": 7, "b": True, "nan": [None]}
    with realm_session(engine, realm) as session:
        found = get_alert(session, alert.alert_id)
    assert found is not None
    assert found.position == Position(lon=129.3, lat=34.2)


def test_what_is_no_json_is_the_callers_mistake_and_says_so(engine: Engine, realm: Realm) -> None:
    with pytest.raises(TypeError, match="bytes b'x' is not JSON"):
        record(engine, realm, finding(OPENED, because_params={"raw": b"x"}))


def test_an_alert_without_a_place_or_with_odd_text_is_kept(engine: Engine, realm: Realm) -> None:
    (alert,) = record(
        engine,
        realm,
        finding(OPENED, position=None, area=None, track_id=None, because_params={"text": "a\x00b", "x": float("nan")}),
    )

    assert alert.because_params == {"text": "a\ufffdb", "x": None}
    with realm_session(engine, realm) as session:
        assert get_alert(session, alert.alert_id) == alert
