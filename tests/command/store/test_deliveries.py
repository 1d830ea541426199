"""Deliveries: every revision goes out at least once, whoever dispatches and whatever fails."""

from __future__ import annotations

import uuid

from sqlalchemy import Engine

from command.domain.alert import Alert, Finding, FindingKind, Severity, routing_key
from command.domain.ids import delivery_id
from command.domain.realm import Realm
from command.store.alerts import acknowledge_alert, record_findings
from command.store.deliveries import (
    Delivery,
    DeliveryState,
    count_pending,
    events_without_delivery,
    mark_delivered,
    mark_failed,
    pending_deliveries,
    save_deliveries,
)
from command.store.engine import realm_session

NOW_US = 1_764_000_000_000_000


def record(engine: Engine, realm: Realm, kind: FindingKind, severity: Severity, episode: int) -> Alert:
    finding = Finding(
        kind=kind,
        rule="distress",
        severity=severity,
        subject=f"mmsi:{970_000_000 + episode}",
        area=None,
        episode_start_us=NOW_US + episode,
        observed_at_us=NOW_US + episode,
        position=None,
        because="because.distress",
        because_params={"kind": kind.value},
    )
    with realm_session(engine, realm) as session:
        return record_findings(session, realm, [finding], labels={}, now_us=NOW_US)[0]


def delivery(alert: Alert, created_at_us: int = NOW_US) -> Delivery:
    return Delivery(
        delivery_id=delivery_id(alert.alert_id, alert.revision, "amqp"),
        alert_id=alert.alert_id,
        revision=alert.revision,
        channel="amqp",
        routing_key=routing_key(alert),
        body={"alert_id": str(alert.alert_id), "revision": alert.revision},
        created_at_us=created_at_us,
    )


def plan(engine: Engine, realm: Realm) -> list[Alert]:
    with realm_session(engine, realm) as session:
        taken = events_without_delivery(session, 100)
        save_deliveries(session, [delivery(alert) for alert in taken], planned=taken)
    return taken


def test_every_revision_is_planned_once_the_worst_first_each_as_it_was(engine: Engine, realm: Realm) -> None:
    low = record(engine, realm, FindingKind.OPENED, Severity.LOW, 1)
    worst = record(engine, realm, FindingKind.OPENED, Severity.CRITICAL, 2)
    cleared = record(engine, realm, FindingKind.CLEARED, Severity.CRITICAL, 2)
    with realm_session(engine, realm) as session:
        seen = acknowledge_alert(session, low.alert_id, by="sato", comment="", now_us=NOW_US)

    assert plan(engine, realm) == [worst, cleared, low, seen]
    assert plan(engine, realm) == []


def test_a_plan_that_fails_is_made_again(engine: Engine, realm: Realm) -> None:
    alert = record(engine, realm, FindingKind.OPENED, Severity.LOW, 1)
    with realm_session(engine, realm) as session:
        assert events_without_delivery(session, 100) == [alert]

    assert plan(engine, realm) == [alert]


def test_two_dispatchers_share_the_outbox_and_do_not_wait_for_each_other(engine: Engine, realm: Realm) -> None:
    first = record(engine, realm, FindingKind.OPENED, Severity.LOW, 1)
    second = record(engine, realm, FindingKind.OPENED, Severity.LOW, 2)
    with realm_session(engine, realm) as one, realm_session(engine, realm) as other:
        assert events_without_delivery(one, 1) == [first]
        assert events_without_delivery(other, 100) == [second]


def test_a_revision_that_goes_nowhere_is_not_offered_again(engine: Engine, realm: Realm) -> None:
    record(engine, realm, FindingKind.OPENED, Severity.LOW, 1)
    with realm_session(engine, realm) as session:
        taken = events_without_delivery(session, 100)
        assert save_deliveries(session, [], planned=taken) == 0

    assert plan(engine, realm) == []
    with realm_session(engine, realm) as session:
        assert pending_deliveries(session, 100) == []


def test_a_delivery_is_kept_once_and_comes_back_until_it_is_confirmed(engine: Engine, realm: Realm) -> None:
    alert = record(engine, realm, FindingKind.OPENED, Severity.LOW, 1)
    plan(engine, realm)
    with realm_session(engine, realm) as session:
        assert save_deliveries(session, [delivery(alert, NOW_US + 99)], planned=[]) == 0
        assert pending_deliveries(session, 100) == [delivery(alert)]

    with realm_session(engine, realm) as session:
        mark_failed(session, delivery(alert).delivery_id, "unroutable\x00", NOW_US + 2)
    with realm_session(engine, realm) as session:
        (failed,) = pending_deliveries(session, 100)
        assert count_pending(session) == 1
    assert (failed.state, failed.attempts, failed.last_error) == (DeliveryState.FAILED, 1, "unroutable\ufffd")
    assert failed.attempted_at_us == NOW_US + 2

    with realm_session(engine, realm) as session:
        mark_delivered(session, [failed.delivery_id], NOW_US + 3)
        mark_delivered(session, [failed.delivery_id, uuid.uuid4()], NOW_US + 4)
        mark_failed(session, failed.delivery_id, "too late to fail", NOW_US + 5)
    with realm_session(engine, realm) as session:
        assert pending_deliveries(session, 100) == []
        assert count_pending(session) == 0


def test_a_delivery_that_always_fails_holds_up_no_other_and_the_worst_goes_first(engine: Engine, realm: Realm) -> None:
    poison = record(engine, realm, FindingKind.OPENED, Severity.CRITICAL, 1)
    low = record(engine, realm, FindingKind.OPENED, Severity.LOW, 2)
    high = record(engine, realm, FindingKind.OPENED, Severity.HIGH, 3)
    plan(engine, realm)
    with realm_session(engine, realm) as session:
        mark_failed(session, delivery(poison).delivery_id, "no", NOW_US)

    with realm_session(engine, realm) as session:
        order = [pending.alert_id for pending in pending_deliveries(session, 100)]
        assert [pending.alert_id for pending in pending_deliveries(session, 1)] == order[:1]
    assert order == [high.alert_id, low.alert_id, poison.alert_id]
