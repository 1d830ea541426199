"""The stages between an alert's event and its deliveries."""

from __future__ import annotations

import uuid
from dataclasses import replace

from alerts.channels.amqp import AmqpChannel
from alerts.message import AreaName
from alerts.pipeline import Surroundings, plan_deliveries
from command.domain.alert import Alert, Severity
from command.domain.ids import delivery_id


def an_alert(severity: Severity = Severity.HIGH, *, area: str | None = None, realm: str = "live") -> Alert:
    return Alert(
        alert_id=uuid.uuid4(),
        revision=2,
        realm=realm,
        rule="geofence_entry",
        severity=severity,
        subject="mmsi:431002123",
        subject_label="HAKATA MARU",
        area=area,
        track_id=None,
        position=None,
        because="because.geofence_entry",
        because_params={},
        evidence=(),
        opened_at_us=0,
        observed_at_us=0,
        recorded_at_us=0,
    )


def surroundings(published: list[str] | None = None) -> Surroundings:
    def publish(body: bytes, *, routing_key: str, message_id: str) -> bool:
        (published if published is not None else []).append(routing_key)
        return True

    return Surroundings(
        area_names={"tsushima-east": AreaName(ja="対馬東", en="Tsushima east")}, channels=[AmqpChannel(publish)]
    )


def test_a_revision_is_delivered_once_with_its_key_its_identity_and_its_areas_name() -> None:
    # given
    alert = an_alert(area="tsushima-east")
    # when
    (planned,) = plan_deliveries([alert], surroundings())
    # then
    assert planned.problem is None
    assert planned.delivery_id == delivery_id(alert.alert_id, 2, "amqp")
    assert planned.routing_key == "alert.high.tsushima-east.geofence_entry"
    assert planned.body["area"] == {"slug": "tsushima-east", "name": {"ja": "対馬東", "en": "Tsushima east"}}
    assert planned.body["event"] == "revised"


def test_an_alert_about_no_area_has_none_in_its_key() -> None:
    (planned,) = plan_deliveries([an_alert()], surroundings())
    assert planned.routing_key == "alert.high.none.geofence_entry"


def test_the_worst_goes_first_and_equals_stay_in_order() -> None:
    severities = [Severity.LOW, Severity.HIGH, Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM]
    notices = [an_alert(s) for s in severities]
    planned = plan_deliveries(notices, surroundings())
    assert [p.alert_id for p in planned] == [notices[i].alert_id for i in (2, 1, 3, 4, 0)]


def test_an_alert_that_breaks_the_schema_becomes_a_delivery_with_its_problem_and_stops_no_other() -> None:
    # given one alert whose rule has a name that the schema does not allow
    bad = replace(an_alert(), rule="No Such Rule")
    good = an_alert()
    # when
    planned = {p.alert_id: p for p in plan_deliveries([bad, good], surroundings())}
    # then
    assert planned[good.alert_id].problem is None
    problem = planned[bad.alert_id].problem
    assert problem is not None
    assert "rule" in problem
