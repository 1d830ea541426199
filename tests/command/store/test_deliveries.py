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
    Failure,
    bury_strays,
    count_deliveries,
    earlier_bodies,
    events_without_delivery,
    give_up,
    list_deliveries,
    mark_delivered,
    mark_failed,
    pending_deliveries,
    save_deliveries,
    send_again,
    still_open,
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


def failure(alert: Alert, reason: str, next_attempt_at_us: int | None) -> Failure:
    return Failure(
        delivery_id=delivery(alert).delivery_id, reason=reason, next_attempt_at_us=next_attempt_at_us, attempted=True
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
        mark_failed(session, [failure(alert, "unroutable\x00", NOW_US + 9)], NOW_US + 2)
    with realm_session(engine, realm) as session:
        (failed,) = pending_deliveries(session, 100)
        assert count_deliveries(session)["amqp"][DeliveryState.FAILED] == 1
    assert (failed.state, failed.attempts, failed.last_error) == (DeliveryState.FAILED, 1, "unroutable\ufffd")
    assert (failed.attempted_at_us, failed.next_attempt_at_us) == (NOW_US + 2, NOW_US + 9)

    with realm_session(engine, realm) as session:
        mark_delivered(session, [failed.delivery_id], NOW_US + 3)
        mark_delivered(session, [failed.delivery_id, uuid.uuid4()], NOW_US + 4)
        mark_failed(session, [failure(alert, "too late to fail", None)], NOW_US + 5)
    with realm_session(engine, realm) as session:
        assert pending_deliveries(session, 100) == []
        assert count_deliveries(session) == {}


def test_a_delivery_that_always_fails_holds_up_no_other_and_the_worst_goes_first(engine: Engine, realm: Realm) -> None:
    poison = record(engine, realm, FindingKind.OPENED, Severity.CRITICAL, 1)
    low = record(engine, realm, FindingKind.OPENED, Severity.LOW, 2)
    high = record(engine, realm, FindingKind.OPENED, Severity.HIGH, 3)
    plan(engine, realm)
    with realm_session(engine, realm) as session:
        mark_failed(session, [failure(poison, "no", NOW_US)], NOW_US)

    with realm_session(engine, realm) as session:
        order = [pending.alert_id for pending in pending_deliveries(session, 100)]
        assert [pending.alert_id for pending in pending_deliveries(session, 1)] == order[:1]
        others = pending_deliveries(session, 100, channel="amqp", but_not=[delivery(high).delivery_id])
        assert [pending.alert_id for pending in others] == order[1:]
    assert order == [high.alert_id, low.alert_id, poison.alert_id]


def states(engine: Engine, realm: Realm) -> dict[uuid.UUID, DeliveryState]:
    with realm_session(engine, realm) as session:
        return {d.alert_id: d.state for d in list_deliveries(session, set(DeliveryState), limit=100)}


def test_what_is_dead_is_sent_again_or_given_up_by_a_persons_word_and_by_nothing_else(
    engine: Engine, realm: Realm
) -> None:
    again, gone, waits = (record(engine, realm, FindingKind.OPENED, Severity.LOW, i) for i in (1, 2, 3))
    plan(engine, realm)
    with realm_session(engine, realm) as session:
        mark_failed(session, [failure(again, "no", None), failure(gone, "no", None)], NOW_US)
    with realm_session(engine, realm) as session:
        assert [d.alert_id for d in pending_deliveries(session, 100)] == [waits.alert_id]
        assert count_deliveries(session)["amqp"] == {
            DeliveryState.PENDING: 1,
            DeliveryState.FAILED: 0,
            DeliveryState.DEAD: 2,
        }
        # when
        assert give_up(session, delivery(gone).delivery_id, "sato: told by telephone")
        assert send_again(session, NOW_US + 7, channel="amqp") == [delivery(again).delivery_id]
    # then
    assert states(engine, realm) == {
        again.alert_id: DeliveryState.PENDING,
        gone.alert_id: DeliveryState.GIVEN_UP,
        waits.alert_id: DeliveryState.PENDING,
    }
    with realm_session(engine, realm) as session:
        resent = next(d for d in pending_deliveries(session, 100) if d.alert_id == again.alert_id)
        assert (resent.attempts, resent.resent_at_us, resent.last_error) == (0, NOW_US + 7, "no")
        assert still_open(session, [delivery(a).delivery_id for a in (again, gone)]) == {resent.delivery_id}
        assert not give_up(session, delivery(gone).delivery_id, "again")
        assert send_again(session, NOW_US + 8, delivery_id=delivery(gone).delivery_id) == []


def test_what_waits_for_a_channel_that_there_is_no_more_is_dead_with_the_reason(engine: Engine, realm: Realm) -> None:
    alert = record(engine, realm, FindingKind.OPENED, Severity.LOW, 1)
    plan(engine, realm)
    with realm_session(engine, realm) as session:
        assert bury_strays(session, ["amqp"], "no such channel") == []
        assert bury_strays(session, ["prefecture"], "no such channel") == ["amqp"]
    assert states(engine, realm) == {alert.alert_id: DeliveryState.DEAD}


def test_what_went_out_before_about_an_alert_leaves_out_what_will_never_reach_anybody(
    engine: Engine, realm: Realm
) -> None:
    first = record(engine, realm, FindingKind.OPENED, Severity.LOW, 1)
    second = record(engine, realm, FindingKind.REVISED, Severity.LOW, 1)
    third = record(engine, realm, FindingKind.REVISED, Severity.HIGH, 1)
    other = record(engine, realm, FindingKind.OPENED, Severity.LOW, 2)
    plan(engine, realm)
    with realm_session(engine, realm) as session:
        mark_delivered(session, [delivery(first).delivery_id, delivery(other).delivery_id], NOW_US)
        mark_failed(session, [failure(second, "refused", None)], NOW_US)
    with realm_session(engine, realm) as session:
        bodies = earlier_bodies(session, delivery(third).delivery_id)
    assert [(body["alert_id"], body["revision"]) for body in bodies] == [(str(first.alert_id), 1)]
