"""What has not gone out: seen, sent again and given up, on the page and over REST."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from alerts.message import alert_body
from command.domain.alert import Alert, Severity, routing_key
from command.domain.ids import delivery_id
from command.domain.people import Role
from command.i18n import text
from command.store.audit import list_audit
from command.store.deliveries import Delivery, Failure, get_delivery, mark_delivered, mark_failed, save_deliveries
from command.store.engine import realm_session, shared_session
from command.store.health import save_heartbeat


class Outbox:
    """Deliveries by a channel called mail, as dispatch left them."""

    def __init__(self, web: Any) -> None:
        self.web = web

    def plan(self, severity: Severity = Severity.HIGH) -> uuid.UUID:
        vessel = self.web.vessel(431_000_000 + uuid.uuid4().int % 900_000, 129.3, 34.3, name="第八<b>海進丸")
        self.web.put_tracks([vessel])
        alert: Alert = self.web.raise_alert(vessel, severity=severity)
        planned = Delivery(
            delivery_id=delivery_id(alert.alert_id, 1, "mail"),
            alert_id=alert.alert_id,
            revision=1,
            channel="mail",
            routing_key=routing_key(alert),
            body=alert_body(alert, area_name=None),
            created_at_us=self.web.clock.now_us(),
        )
        with realm_session(self.web.engine, self.web.realm) as session:
            save_deliveries(session, [planned], planned=[alert])
        return planned.delivery_id

    def fail(self, of: uuid.UUID, why: str, *, dead: bool) -> None:
        now_us = self.web.clock.now_us()
        failure = Failure(delivery_id=of, reason=why, next_attempt_at_us=None if dead else now_us + 60_000_000)
        with realm_session(self.web.engine, self.web.realm) as session:
            mark_failed(session, [failure], now_us)

    def state(self, of: uuid.UUID) -> str:
        with realm_session(self.web.engine, self.web.realm) as session:
            found = get_delivery(session, of)
        assert found is not None
        return found.state.value


@pytest.fixture
def outbox(web: Any) -> Outbox:
    return Outbox(web)


@pytest.fixture
def officer(web: Any) -> Iterator[httpx.Client]:
    with web.signed_in() as client:
        client.cookies.set("language", "ja")
        yield client


def test_a_dead_delivery_is_seen_with_its_reason_sent_again_and_given_up_and_all_of_it_is_audited(
    web: Any, outbox: Outbox, officer: httpx.Client
) -> None:
    # given two dead ones, one that is retried and one that waits, and what dispatch says of the channel
    again, gone, retried, waits = (outbox.plan() for _ in range(4))
    for each in (again, gone):
        outbox.fail(each, "refused: SMTP 550 <nobody>", dead=True)
    outbox.fail(retried, "no answer in time", dead=False)
    now_us = web.clock.now_us()
    told = {"last_sent_us": now_us, "trouble": "no answer in time", "failing_since_us": now_us}
    with realm_session(web.engine, web.realm) as session:
        save_heartbeat(session, "dispatch", now_us=now_us, pid=1, detail={"channels": {"mail": told}})
    # when an officer looks
    listed = officer.get("/api/deliveries").json()
    (channel,) = listed["channels"]
    assert (channel["waiting"], channel["failing"], channel["dead"]) == (1, 1, 2)
    assert channel["trouble"] == "no answer in time"
    assert [each["state"] for each in listed["deliveries"]] == ["dead", "dead", "failed", "pending"]
    assert len(officer.get("/api/deliveries?state=failed&channel=mail").json()["deliveries"]) == 1
    page = officer.get("/deliveries").text
    assert "第八&lt;b&gt;海進丸" in page
    assert "SMTP 550 &lt;nobody&gt;" in page
    assert text("ja", "deliveries.state_dead", n=1) in page
    assert f'href="/#alert={officer.get("/api/deliveries").json()["deliveries"][0]["alert_id"]}"' in page
    # and has one sent again on the page and gives the other up over REST
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)
    assert csrf is not None
    sent = officer.post("/deliveries", data={"csrf": csrf[1], "what": "resend", "of": str(again)})
    assert sent.headers["location"] == "/deliveries?done=resend"
    assert text("ja", "deliveries.done_resend") in officer.get("/deliveries?done=resend").text
    given_up = officer.post(f"/api/deliveries/{gone}/give-up", json={"reason": "電話で伝達済み"})
    assert (given_up.status_code, given_up.json()["state"]) == (200, "given_up")
    # then
    assert [outbox.state(each) for each in (again, gone, retried, waits)] == [
        "pending",
        "given_up",
        "failed",
        "pending",
    ]
    assert officer.post("/api/deliveries/resend", json={"channel": "mail"}).json() == {"deliveries": 1}
    assert officer.get("/api/deliveries").json()["channels"][0]["dead"] == 0
    with shared_session(web.engine) as session:
        done = {entry.action: entry for entry in list_audit(session, limit=100)}
    assert done["delivery.resent"].target == str(again)
    assert done["delivery.given_up"].detail["reason"] == "電話で伝達済み"
    assert done["channel.resent"].detail["deliveries"] == 1


def test_what_has_gone_or_is_not_there_is_refused_in_words_and_who_may_only_look_is_offered_nothing(
    web: Any, outbox: Outbox, officer: httpx.Client
) -> None:
    sent, dead = outbox.plan(), outbox.plan()
    outbox.fail(dead, "refused", dead=True)
    with realm_session(web.engine, web.realm) as session:
        mark_delivered(session, [sent], web.clock.now_us())
    gone = officer.post(f"/api/deliveries/{sent}/resend")
    assert (gone.status_code, gone.json()["detail"]) == (409, text("ja", "deliveries.refused.confirmed"))
    assert officer.post(f"/api/deliveries/{sent}/give-up", json={"reason": "x"}).status_code == 409
    assert officer.post(f"/api/deliveries/{uuid.uuid4()}/resend").status_code == 404
    assert officer.post(f"/api/deliveries/{dead}/give-up", json={"reason": " \n"}).json()["code"] == "reason"
    assert officer.post("/api/deliveries/dead-letters/republish").status_code == 503
    with web.signed_in(Role.ANALYST) as analyst:
        page = analyst.get("/deliveries").text
        assert 'name="what"' not in page
        assert "refused" in page
        assert analyst.post(f"/api/deliveries/{dead}/resend").status_code == 403
        assert analyst.post("/deliveries", data={"what": "resend", "of": str(dead)}).status_code == 403
    assert outbox.state(dead) == "dead"
