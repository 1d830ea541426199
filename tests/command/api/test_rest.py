"""REST under login: alerts, tracks, places, health and the basemap, and errors that say what to do."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

from alerts.channels.amqp import AmqpChannel
from command.domain.alert import Severity
from command.operations.planning import Planning


def test_alerts_come_worst_first_in_the_readers_language(web: Any, eventually: Callable[..., None]) -> None:
    vessel = web.vessel(431000001, 129.3, 34.2, name="KAIYO MARU")
    web.put_tracks([vessel])
    web.raise_alert(vessel, severity=Severity.LOW, rule="ais_gap")
    alert = web.raise_alert(vessel, severity=Severity.CRITICAL)
    with web.signed_in() as client:
        eventually(lambda: len(client.get("/api/alerts").json()["alerts"]) == 2)
        listed = client.get("/api/alerts").json()["alerts"]
        assert [a["severity"] for a in listed] == ["critical", "low"]
        assert "監視区域" in listed[0]["because"]["text"]
        client.cookies.set("language", "en")
        assert client.get(f"/api/alerts/{alert.alert_id}").json()["title"] == "Geofence entry"


def test_the_second_of_two_officers_is_told_who_was_first(web: Any) -> None:
    vessel = web.vessel(431000001, 129.3, 34.2)
    web.put_tracks([vessel])
    path = f"/api/alerts/{web.raise_alert(vessel).alert_id}/acknowledge"
    with web.signed_in() as first, web.signed_in() as second:
        assert first.post(path, json={"comment": "seen"}).json()["comment"] == "seen"
        answer = second.post(path, json={"comment": "me too"})
    assert answer.status_code == 409
    assert "officer-" in answer.json()["detail"]


def test_what_is_not_there_and_what_cannot_be_used_say_so(web: Any) -> None:
    nothing = uuid.uuid4()
    with web.signed_in() as client:
        for path, status in (
            (f"/api/alerts/{nothing}", 404),
            (f"/api/tracks/{nothing}", 404),
            ("/api/tracks/nonsense", 422),
            (f"/api/tracks/{nothing}/history?hours=1000", 422),
            ("/api/nothing", 404),
            ("/nothing", 404),
        ):
            answer = client.get(path)
            assert (path, answer.status_code) == (path, status)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["detail"]
        long = client.post(f"/api/alerts/{nothing}/acknowledge", json={"comment": "x" * 1_001})
        assert long.status_code == 422


def test_the_basemap_is_read_by_ranges_and_not_compressed_again(web: Any) -> None:
    with web.signed_in() as client:
        answer = client.get("/tiles/japan.pmtiles", headers={"Range": "bytes=500-1499", "Accept-Encoding": "gzip"})
    assert answer.status_code == 206
    assert answer.headers["content-range"] == "bytes 500-1499/10000"
    assert "content-encoding" not in answer.headers
    assert answer.content == bytes(i % 251 for i in range(500, 1_500))


def test_program_files_are_compressed_and_hold_no_outside_address(web: Any) -> None:
    with web.signed_in() as client:
        script = client.get("/assets/console.js")
        page = client.get("/").text
    assert script.headers["content-encoding"] == "gzip"
    assert "http://" not in page.replace(web.url, "")
    assert "https://" not in page


def test_realm_and_health_say_what_is_known(web: Any) -> None:
    with web.signed_in() as client:
        realm, health = client.get("/api/realm").json(), client.get("/api/health").json()
    assert (realm["realm"], realm["kind"], realm["newest_observation"]) == ("drill-console", "drill", None)
    assert health["database"]["connected"] is True
    assert health["queues"] is None
    assert [process["process"] for process in health["processes"]] == ["web"]


def test_an_alerts_account_says_what_became_of_each_revision_and_by_which_message(web: Any) -> None:
    # given one alert that goes out at once and one that waits with its group
    vessel = web.vessel(431000001, 129.3, 34.2)
    web.put_tracks([vessel])
    told = web.raise_alert(vessel, severity=Severity.CRITICAL)
    waits = web.raise_alert(vessel, severity=Severity.LOW, rule="ais_gap")
    channel = AmqpChannel(lambda body, *, routing_key, message_id: False)
    planning = Planning(web.engine, web.realm, clock=web.clock, channels=[channel], policy_file=None)
    while planning.round().more:  # what is pressing has a round of its own
        continue
    with web.signed_in() as client:
        (line,) = client.get(f"/api/alerts/{told.alert_id}/deliveries").json()
        (waiting,) = client.get(f"/api/alerts/{waits.alert_id}/deliveries").json()
        unknown = client.get(f"/api/alerts/{uuid.uuid4()}/deliveries")
    assert (line["revision"], line["route"], line["fate"], line["pending"]) == (1, "high", "delivered", False)
    assert [(d["channel"], d["state"]) for d in line["deliveries"]] == [("amqp", "pending")]
    assert (waiting["route"], waiting["fate"], waiting["pending"], waiting["deliveries"]) == (
        "low",
        "waiting",
        True,
        [],
    )
    assert unknown.status_code == 404
