"""The published message: every alert that can exist meets the schema, in both directions."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from alerts.message import (
    ALERT,
    HEARTBEAT,
    MAX_BODY_BYTES,
    MAX_RESPONSE_BYTES,
    RESPONSE,
    AreaName,
    DispatchState,
    InvalidMessage,
    alert_body,
    decode,
    encode,
    event_of,
    heartbeat_body,
    read_response,
    response_body,
    rfc3339,
    schema,
)
from command.domain.alert import EVERYBODY, Alert, Call, Severity
from command.domain.geo import Position
from command.domain.realm import Realm
from command.domain.response import NEEDS_COMMENT, Response, ResponseKind, TeamResponse, TeamState

NIGHT_US = 1_795_390_865_123_456  # 2026-11-22T23:41:05.123456Z


STANDS = TeamResponse(
    team="tsushima",
    state=TeamState.ACCEPTED,
    response_id=uuid.UUID(int=5),
    responder="森",
    answered_at_us=NIGHT_US,
    comment="",
    position=Position(lon=129.35, lat=34.5),
)


def an_alert(**changes: Any) -> Alert:
    facts: dict[str, Any] = {
        "alert_id": uuid.UUID("8d9a2b0c-3a51-5e0f-9a3d-51f2f7a0c001"),
        "revision": 1,
        "realm": "live",
        "rule": "distress",
        "severity": Severity.CRITICAL,
        "subject": "mmsi:970012345",
        "subject_label": "970012345",
        "area": None,
        "track_id": None,
        "position": Position(lon=129.4418, lat=34.6872),
        "because": "because.unknown_to_every_release",
        "because_params": {"beacon": "970012345"},
        "evidence": (bytes(range(16)),),
        "opened_at_us": NIGHT_US,
        "observed_at_us": NIGHT_US,
        "recorded_at_us": NIGHT_US + 250_000,
    }
    return Alert(**(facts | changes))


def a_call(**changes: Any) -> Call:
    facts: dict[str, Any] = {
        "login": "mori",
        "name": "森 由美",
        "team": "boats",
        "step": 2,
        "at_us": NIGHT_US,
        "passed": ("sato", "mori"),
        "teams": ("boats",),
    }
    return Call(**(facts | changes))


def test_an_alert_reads_as_published() -> None:
    # given
    alert = an_alert(
        revision=2,
        area="tsushima-east",
        acknowledged_at_us=NIGHT_US,
        acknowledged_by="sato",
        comment="巡視艇に連絡",
        call=a_call(at_us=NIGHT_US - 1),
        responses=(STANDS,),
    )
    # when
    body = json.loads(
        encode(
            alert_body(alert, area_name=AreaName(ja="対馬東", en="Tsushima east")),
            kind=ALERT,
        )
    )
    # then
    because = body.pop("because")
    assert body == {
        "schema": "urn:mizugiwa:schema:alert:1",
        "schema_version": 1,
        "realm": "live",
        "status": "actual",
        "alert_id": "8d9a2b0c-3a51-5e0f-9a3d-51f2f7a0c001",
        "revision": 2,
        "event": "revised",
        "rule": "distress",
        "severity": "critical",
        "subject": "mmsi:970012345",
        "subject_label": {"ja": "970012345", "en": "970012345"},
        "track_id": None,
        "area": {"slug": "tsushima-east", "name": {"ja": "対馬東", "en": "Tsushima east"}},
        "position": {"lon": 129.4418, "lat": 34.6872},
        "opened_at": rfc3339(NIGHT_US),
        "observed_at": rfc3339(NIGHT_US),
        "recorded_at": rfc3339(NIGHT_US + 250_000),
        "cleared_at": None,
        "evidence": ["000102030405060708090a0b0c0d0e0f"],
        "acknowledged": {"at": rfc3339(NIGHT_US), "by": "sato", "comment": "巡視艇に連絡"},
        "called": {"login": "mori", "name": "森 由美", "team": "boats", "step": 2, "since": rfc3339(NIGHT_US - 1)},
        "responses": [
            {
                "team": "tsushima",
                "state": "accepted",
                "response_id": "00000000-0000-0000-0000-000000000005",
                "responder": "森",
                "answered_at": rfc3339(NIGHT_US),
                "comment": "",
                "position": {"lon": 129.35, "lat": 34.5},
            }
        ],
    }
    assert set(because) == {"ja", "en"}


@pytest.mark.parametrize(
    ("changes", "event"),
    [
        ({"revision": 1}, "opened"),
        ({"revision": 2}, "revised"),
        ({"revision": 3, "cleared_at_us": NIGHT_US}, "cleared"),
        ({"revision": 2, "acknowledged_at_us": NIGHT_US, "recorded_at_us": NIGHT_US}, "acknowledged"),
        ({"revision": 3, "acknowledged_at_us": NIGHT_US, "recorded_at_us": NIGHT_US + 1}, "revised"),
        ({"revision": 2, "recorded_at_us": NIGHT_US, "call": a_call()}, "called"),
        ({"revision": 3, "recorded_at_us": NIGHT_US + 1, "call": a_call()}, "revised"),
        (
            {"revision": 3, "cleared_at_us": 1, "acknowledged_at_us": NIGHT_US, "recorded_at_us": NIGHT_US},
            "acknowledged",
        ),
    ],
)
def test_the_event_is_what_made_the_revision(changes: dict[str, Any], event: str) -> None:
    assert event_of(an_alert(**changes)) == event


def test_times_are_rfc_3339_in_utc_to_the_microsecond() -> None:
    assert rfc3339(0) == "1970-01-01T00:00:00.000000Z"
    assert rfc3339(1_795_390_865_123_456) == "2026-11-22T23:41:05.123456Z"


@pytest.mark.parametrize(("realm", "status"), [("live", "actual"), ("drill-x", "exercise"), ("replay-x", "exercise")])
def test_only_the_live_realm_is_actual(realm: str, status: str) -> None:
    body = alert_body(an_alert(realm=realm), area_name=None)
    assert body["status"] == status


def test_an_area_that_has_gone_is_named_by_its_slug() -> None:
    body = alert_body(an_alert(area="old-fence"), area_name=None)
    assert body["area"] == {"slug": "old-fence", "name": {"ja": "old-fence", "en": "old-fence"}}


@given(
    st.builds(
        an_alert,
        revision=st.integers(1, 10**6),
        severity=st.sampled_from(Severity),
        realm=st.sampled_from(["live", "drill-tsushima-night", "replay-1"]),
        subject_label=st.text(st.characters(codec="utf-8"), max_size=400),
        comment=st.none() | st.text(st.characters(codec="utf-8"), max_size=5_000),
        acknowledged_at_us=st.none() | st.integers(0, 4 * 10**15),
        acknowledged_by=st.none() | st.text(st.characters(codec="utf-8"), max_size=300),
        cleared_at_us=st.none() | st.integers(0, 4 * 10**15),
        track_id=st.none() | st.uuids(),
        area=st.none() | st.from_regex(r"[a-z0-9][a-z0-9-]{0,30}", fullmatch=True),
        call=st.none()
        | st.builds(
            a_call,
            login=st.sampled_from(["mori", EVERYBODY]),
            name=st.sampled_from(["森 由美", "x" * 300]),
            team=st.sampled_from([None, "boats"]),
            step=st.integers(1, 10**6),
        ),
        position=st.none() | st.builds(Position, lon=st.floats(-180, 180), lat=st.floats(-90, 90)),
        evidence=st.lists(st.binary(min_size=16, max_size=16), max_size=5).map(tuple),
        because_params=st.dictionaries(
            st.sampled_from(["language", "key", "gap_s", "distance_m", "said", "rule"]),
            st.none() | st.integers() | st.floats() | st.text(st.characters(codec="utf-8")),
        ),
    ),
)
def test_whatever_an_alert_holds_its_message_meets_the_schema_and_comes_back_the_same(alert: Alert) -> None:
    body = alert_body(alert, area_name=None)
    assert decode(encode(body, kind=ALERT), kind=ALERT) == body


@pytest.mark.parametrize("kind", [ALERT, HEARTBEAT])
def test_the_published_schemas_are_json_schemas(kind: str) -> None:
    Draft202012Validator.check_schema(schema(kind))
    assert schema(kind)["$id"] == f"urn:mizugiwa:schema:{kind}:1"


@pytest.mark.parametrize("state", list(DispatchState))
def test_a_heartbeat_in_every_state_meets_its_schema(state: DispatchState) -> None:
    body = heartbeat_body(Realm.parse("drill-x"), sent_at_us=NIGHT_US, state=state, waiting=3, dead=0, unroutable=1)
    assert decode(encode(body, kind=HEARTBEAT), kind=HEARTBEAT) == body
    assert body["status"] == "exercise"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"severity": "urgent"}, "severity"),
        ({"revision": 0}, "revision"),
        ({"position": {"lon": 129.0, "lat": 95.0}}, r"position"),
        ({"observed_at": "2026-11-22 23:41"}, "observed_at"),
        ({"observed_at": "2026-11-22T23:41:05.123456+09:00"}, "observed_at"),
        ({"evidence": ["xyz"]}, "evidence"),
        ({"because": {"ja": "理由"}}, "because"),
        ({"grouped": {"members": []}}, "grouped"),
        ({"schema_version": 2}, "schema_version"),
    ],
)
def test_a_body_that_breaks_the_schema_is_refused_with_the_place(change: dict[str, Any], says: str) -> None:
    body = alert_body(an_alert(), area_name=None) | change
    with pytest.raises(InvalidMessage, match=says):
        encode(body, kind=ALERT)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"revision": NaN}', b"[" * 100_000, b" " * (MAX_BODY_BYTES + 1)],
)
def test_bytes_that_are_no_message_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidMessage):
        decode(data, kind=ALERT)


@given(st.binary(max_size=300))
def test_noise_never_does_anything_but_be_refused(data: bytes) -> None:
    with pytest.raises(InvalidMessage):
        decode(data, kind=ALERT)


def test_a_field_that_a_later_release_adds_is_passed_over() -> None:
    body = alert_body(an_alert(), area_name=None) | {"surprise": 1}
    assert decode(encode(body, kind=ALERT), kind=ALERT)["surprise"] == 1


@given(
    st.builds(
        Response,
        response_id=st.uuids(),
        alert_id=st.uuids(),
        team=st.from_regex(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", fullmatch=True),
        kind=st.sampled_from(ResponseKind),
        revision_seen=st.integers(1, 2**31 - 1),
        responder=st.text(max_size=100).map(lambda name: f"森{name}"[:100]),
        answered_at_us=st.integers(NIGHT_US - 10**14, NIGHT_US + 10**14),
        comment=st.text(max_size=999).map(lambda words: f"x{words}"),
        position=st.none() | st.builds(Position, lon=st.floats(-180, 180), lat=st.floats(-90, 90)),
    )
)
def test_every_answer_travels_whole(response: Response) -> None:
    realm = Realm.parse("drill-x")
    comment = response.comment.encode("utf-8", "replace").decode()
    said = replace(response, comment=comment, responder=response.responder.encode("utf-8", "replace").decode())
    assert read_response(decode(encode(response_body(realm, said), kind=RESPONSE), kind=RESPONSE)) == said
    if said.kind in NEEDS_COMMENT:
        with pytest.raises(InvalidMessage):
            encode(response_body(realm, replace(said, comment=" ")), kind=RESPONSE)


def test_an_answer_that_is_too_long_or_at_no_time_is_refused() -> None:
    said = Response(
        response_id=uuid.UUID(int=1),
        alert_id=uuid.UUID(int=2),
        team="duty",
        kind=ResponseKind.ACCEPT,
        revision_seen=1,
        responder="森",
        answered_at_us=NIGHT_US,
    )
    body = response_body(Realm.parse("live"), said)
    with pytest.raises(InvalidMessage, match="bytes"):
        decode(json.dumps(body).encode() + b" " * MAX_RESPONSE_BYTES, kind=RESPONSE)
    with pytest.raises(InvalidMessage, match="answered_at"):
        read_response(body | {"answered_at": "2026-02-31T00:00:00Z"})
