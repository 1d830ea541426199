"""The JSON bodies that other systems exchange with us, published and versioned in schemas/: alert-1.json,
heartbeat-1.json and reply-1.json that they receive, response-1.json that they send.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Any, Final

import jsonschema_rs
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from alerts.explain import explain, subject_name
from command.domain.alert import Alert, AlertEventKind, Call, Severity
from command.domain.clock import from_us, to_us
from command.domain.geo import Position
from command.domain.realm import Realm, RealmKind
from command.domain.response import Response, ResponseKind, TeamResponse, TeamState
from command.i18n import LANGUAGES, text

ALERT: Final = "alert"
HEARTBEAT: Final = "heartbeat"
RESPONSE: Final = "response"
REPLY: Final = "reply"
SCHEMA_VERSION: Final = 1
MAX_BODY_BYTES: Final = 1024 * 1024
MAX_RESPONSE_BYTES: Final = 16 * 1024
MAX_LABEL: Final = 200
MAX_COMMENT: Final = 4_000
_NAMED: Final = 5
_SHORT: Final = 40
"""Longer texts are cut: a long name must not keep an alert from people. The console has them whole."""


class InvalidMessage(ValueError):
    """A body that does not meet the published schema; the text says where and how."""


@dataclass(frozen=True, kw_only=True, slots=True)
class AreaName:
    """What an area is called by people."""

    ja: str
    en: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Grouped:
    """Several alerts told by one message. members: what is new, or with `repeat` what is still open, worst first.

    labels: what the group has in common. open_alerts: how many of it are open, and `cleared` of the members are over.
    more: how many more there are than members are named.
    """

    group_id: uuid.UUID
    labels: Mapping[str, str]
    message: int
    repeat: bool
    members: Sequence[Alert]
    more: int
    open_alerts: int
    cleared: int


class UnknownKind(InvalidMessage):
    """A message of ours, by its schema's name, of a kind or version that this release does not know. `body` is it."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        super().__init__(f"a message of the schema {body['schema']}, which this release does not know")
        self.body = body


class DispatchState(StrEnum):
    """What dispatch says of itself in a heartbeat."""

    RUNNING = "running"
    STORE_AWAY = "store_away"
    STALLED = "stalled"
    STOPPING = "stopping"


@cache
def schema(kind: str) -> Mapping[str, Any]:
    """The published JSON Schema (draft 2020-12) of `alert`, `heartbeat`, `response` or `reply` messages."""
    path = resources.files("alerts").joinpath(f"schemas/{kind}-{SCHEMA_VERSION}.json")
    loaded: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return loaded


@cache
def _validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(schema(kind))


def rfc3339(us: int) -> str:
    """Microseconds since 1970 as RFC 3339 in UTC, to the microsecond: `2026-11-22T23:41:05.000000Z`."""
    return from_us(us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def event_of(alert: Alert) -> AlertEventKind:
    """What made this revision, as the alert was at it. The first one opens it to its readers, whatever it was."""
    if alert.acknowledged_at_us is not None and alert.acknowledged_at_us == alert.recorded_at_us:
        return AlertEventKind.ACKNOWLEDGED
    if alert.cleared_at_us is not None:
        return AlertEventKind.CLEARED
    if alert.call is not None and alert.call.at_us == alert.recorded_at_us:
        return AlertEventKind.CALLED
    return AlertEventKind.OPENED if alert.revision == 1 else AlertEventKind.REVISED


def alert_body(
    alert: Alert,
    *,
    area_name: AreaName | None,
    place: AreaName | None = None,
    owner: str | None = None,
    grouped: Grouped | None = None,
) -> dict[str, Any]:
    """The body of one revision of an alert. `area_name` None with an area that has gone: its slug stands for it.

    place: where it is in words. owner: the slug of the area that it lies in. grouped: who else the message tells of.
    """
    name = area_name or (AreaName(ja=alert.area, en=alert.area) if alert.area else None)
    body = {
        "schema": f"urn:mizugiwa:schema:{ALERT}:{SCHEMA_VERSION}",
        "schema_version": SCHEMA_VERSION,
        "realm": alert.realm,
        "status": _status(Realm.parse(alert.realm)),
        "alert_id": str(alert.alert_id),
        "revision": alert.revision,
        "event": event_of(alert).value,
        "rule": alert.rule,
        "severity": alert.severity.word,
        "subject": alert.subject,
        "subject_label": {language: subject_name(alert, language)[:MAX_LABEL] for language in LANGUAGES},
        "track_id": None if alert.track_id is None else str(alert.track_id),
        "area": None if name is None else {"slug": alert.area, "name": {"ja": name.ja, "en": name.en}},
        "position": _place(alert.position),
        "opened_at": rfc3339(alert.opened_at_us),
        "observed_at": rfc3339(alert.observed_at_us),
        "recorded_at": rfc3339(alert.recorded_at_us),
        "cleared_at": None if alert.cleared_at_us is None else rfc3339(alert.cleared_at_us),
        "because": {language: _because(alert, language, grouped) for language in LANGUAGES},
        "evidence": [observation.hex() for observation in alert.evidence],
        "acknowledged": None
        if alert.acknowledged_at_us is None
        else {
            "at": rfc3339(alert.acknowledged_at_us),
            "by": (alert.acknowledged_by or "")[:MAX_LABEL],
            "comment": None if alert.comment is None else alert.comment[:MAX_COMMENT],
        },
        "called": None if alert.call is None else _called(alert.call),
        "responses": [_team_response(each) for each in alert.responses],
    }
    if place is not None:
        body["place"] = {"ja": place.ja[:MAX_LABEL], "en": place.en[:MAX_LABEL]}
    if owner is not None:
        body["owner"] = owner
    if grouped is not None:
        body["grouped"] = _grouped_body(grouped)
    return body


def _called(call: Call) -> dict[str, Any]:
    """Everybody is nobody in particular: then login, name and team are null."""
    return {
        "login": None if call.everybody else call.login[:MAX_LABEL],
        "name": None if call.everybody else call.name[:MAX_LABEL],
        "team": None if call.everybody else call.team,
        "step": call.step,
        "since": rfc3339(call.at_us),
    }


def _team_response(response: TeamResponse) -> dict[str, Any]:
    return {
        "team": response.team,
        "state": response.state.value,
        "response_id": str(response.response_id),
        "responder": response.responder,
        "answered_at": rfc3339(response.answered_at_us),
        "comment": response.comment,
        "position": _place(response.position),
    }


def _place(position: Position | None) -> dict[str, float] | None:
    return None if position is None else {"lon": position.lon, "lat": position.lat}


def alert_of_body(body: Mapping[str, Any]) -> Alert:
    """The alert that a body (which met the schema) tells of; its reason's parameters are not in it."""
    position, acknowledged, cleared_at = body["position"], body["acknowledged"], body["cleared_at"]
    return Alert(
        alert_id=uuid.UUID(body["alert_id"]),
        revision=body["revision"],
        realm=body["realm"],
        rule=body["rule"],
        severity=Severity.from_word(body["severity"]),
        subject=body["subject"],
        subject_label=body["subject_label"]["en"],
        area=None if body["area"] is None else body["area"]["slug"],
        track_id=None if body["track_id"] is None else uuid.UUID(body["track_id"]),
        position=None if position is None else Position(lon=position["lon"], lat=position["lat"]),
        because=body["because"]["en"],
        because_params={},
        evidence=tuple(bytes.fromhex(each) for each in body["evidence"]),
        opened_at_us=_us(body["opened_at"]),
        observed_at_us=_us(body["observed_at"]),
        recorded_at_us=_us(body["recorded_at"]),
        cleared_at_us=None if cleared_at is None else _us(cleared_at),
        acknowledged_at_us=None if acknowledged is None else _us(acknowledged["at"]),
        acknowledged_by=None if acknowledged is None else acknowledged["by"],
    )


def _us(written: str) -> int:
    return to_us(datetime.fromisoformat(written))


def _grouped_body(grouped: Grouped) -> dict[str, Any]:
    return {
        "group": str(grouped.group_id),
        "by": {label: value[:MAX_LABEL] for label, value in grouped.labels.items()},
        "message": grouped.message,
        "repeat": grouped.repeat,
        "open": grouped.open_alerts,
        "cleared": grouped.cleared,
        "more": grouped.more,
        "members": [
            {
                "alert_id": str(member.alert_id),
                "revision": member.revision,
                "event": event_of(member).value,
                "severity": member.severity.word,
                "rule": member.rule,
                "area": member.area,
                "subject": member.subject,
                "subject_label": {language: subject_name(member, language)[:MAX_LABEL] for language in LANGUAGES},
                "position": _place(member.position),
                "observed_at": rfc3339(member.observed_at_us),
                "because": {language: _because(member, language, None) for language in LANGUAGES},
            }
            for member in grouped.members
        ],
    }


def _because(alert: Alert, language: str, grouped: Grouped | None) -> str:
    """Why the machine says so; where an officer raised it above that, also who did and why.

    Whoever reads nothing but this text learns here too that the message tells of others.
    """
    said = explain(alert, language)
    if alert.escalated_by is not None:
        said = text(
            language, "because.escalated", because=said, who=alert.escalated_by, reason=alert.escalation_reason or ""
        )
    others = 0 if grouped is None else len(grouped.members) + grouped.more - 1
    if grouped is None or others < 1:
        return said
    named = [subject_name(each, language) for each in grouped.members if each.alert_id != alert.alert_id][:_NAMED]
    names = text(language, "grouped.separator").join(name[:_SHORT] for name in named)
    key = "grouped.and_more" if others > len(named) else "grouped.all"
    return text(language, key, because=said, others=others, names=names)


def heartbeat_body(
    realm: Realm, *, sent_at_us: int, state: DispatchState, waiting: int, dead: int, unroutable: int
) -> dict[str, Any]:
    """The body of a heartbeat. sent_at_us by the host's clock; the counts as in the schema."""
    return {
        "schema": f"urn:mizugiwa:schema:{HEARTBEAT}:{SCHEMA_VERSION}",
        "schema_version": SCHEMA_VERSION,
        "realm": realm.name,
        "status": _status(realm),
        "sent_at": rfc3339(sent_at_us),
        "state": state.value,
        "waiting": waiting,
        "dead": dead,
        "unroutable": unroutable,
    }


def response_body(realm: Realm, response: Response) -> dict[str, Any]:
    """The body of an answer. answered_at_us here by the sender's own clock."""
    return {
        "schema": f"urn:mizugiwa:schema:{RESPONSE}:{SCHEMA_VERSION}",
        "schema_version": SCHEMA_VERSION,
        "realm": realm.name,
        "response_id": str(response.response_id),
        "alert_id": str(response.alert_id),
        "revision": response.revision_seen,
        "team": response.team,
        "kind": response.kind.value,
        "responder": response.responder,
        "answered_at": rfc3339(response.answered_at_us),
        "comment": response.comment,
        "position": _place(response.position),
    }


def read_response(body: Mapping[str, Any]) -> Response:
    """The answer of a body that met the schema; its time by the sender's clock. Raises InvalidMessage where that is no
    time, 31 February say.
    """
    position = body.get("position")
    try:
        answered_at_us = to_us(datetime.fromisoformat(body["answered_at"]))
    except ValueError as exc:
        raise InvalidMessage(f"{RESPONSE} body at $.answered_at: {exc}") from exc
    return Response(
        response_id=uuid.UUID(body["response_id"]),
        alert_id=uuid.UUID(body["alert_id"]),
        team=body["team"],
        kind=ResponseKind(body["kind"]),
        revision_seen=body["revision"],
        responder=body["responder"],
        answered_at_us=answered_at_us,
        comment=body.get("comment", ""),
        position=None if position is None else Position(lon=position["lon"], lat=position["lat"]),
    )


def reply_body(
    realm: Realm,
    *,
    team: str,
    response_id: uuid.UUID | None,
    alert_id: uuid.UUID | None,
    result: str,
    code: str | None,
    why: Mapping[str, str] | None,
    state: TeamState | None,
    revision: int | None,
) -> dict[str, Any]:
    """The body of what a team is told of one of its answers. result, code and why: as in the schema."""
    return {
        "schema": f"urn:mizugiwa:schema:{REPLY}:{SCHEMA_VERSION}",
        "schema_version": SCHEMA_VERSION,
        "realm": realm.name,
        "status": _status(realm),
        "response_id": None if response_id is None else str(response_id),
        "alert_id": None if alert_id is None else str(alert_id),
        "team": team,
        "result": result,
        "code": code,
        "why": None if why is None else dict(why),
        "state": None if state is None else state.value,
        "revision": revision,
    }


def _status(realm: Realm) -> str:
    return "actual" if realm.kind is RealmKind.LIVE else "exercise"


@cache
def _quick(kind: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(dict(schema(kind)))


def check_body(body: object, *, kind: str) -> None:
    """Raises InvalidMessage where `body` does not meet the schema of `kind`."""
    try:
        if _quick(kind).is_valid(body):
            return
    except ValueError:  # holds what is no JSON: the other one says where
        pass
    error = best_match(_validator(kind).iter_errors(body))
    if error is not None:
        raise InvalidMessage(f"{kind} body at {error.json_path}: {error.message[:300]} ({schema(kind)['$id']})")


def encode(body: Mapping[str, Any], *, kind: str) -> bytes:
    """The bytes that travel, checked against the schema. Raises InvalidMessage."""
    check_body(body, kind=kind)
    try:
        data = json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except ValueError as exc:
        raise InvalidMessage(f"{kind} body cannot be written as JSON: {exc}") from exc
    if len(data) > MAX_BODY_BYTES:
        raise InvalidMessage(f"{kind} body has {len(data)} bytes; {MAX_BODY_BYTES} at most")
    return data


def decode(data: bytes, *, kind: str) -> dict[str, Any]:
    """The body in `data`, checked against the schema of `kind`. Raises InvalidMessage for anything else."""
    body = _read(data, most=MAX_RESPONSE_BYTES if kind == RESPONSE else MAX_BODY_BYTES)
    check_body(body, kind=kind)
    return body


def _read(data: bytes, *, most: int) -> dict[str, Any]:
    """The JSON object in `data`. Raises InvalidMessage."""
    if len(data) > most:
        raise InvalidMessage(f"{len(data)} bytes; {most} at most")
    try:
        body = json.loads(data, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise InvalidMessage(f"not JSON: {exc}") from exc
    if not isinstance(body, dict):
        raise InvalidMessage(f"a JSON object is wanted and not {type(body).__name__}")
    return body


def decode_known(data: bytes, *, kind: str) -> dict[str, Any]:
    """As decode, for a client that may be older than its centre: fields that it does not know are allowed at the top,
    since a version may get new ones, and are handed on. Raises InvalidMessage, UnknownKind.
    """
    body = _read(data, most=MAX_BODY_BYTES)
    named = body.get("schema")
    if isinstance(named, str) and named.startswith("urn:mizugiwa:schema:") and named != schema(kind)["$id"]:
        raise UnknownKind(body)
    known = schema(kind)["properties"]
    check_body({name: value for name, value in body.items() if name in known}, kind=kind)
    return body


def unknown_fields(body: Mapping[str, Any], *, kind: str) -> dict[str, Any]:
    """The fields of a body that this release does not know."""
    known = schema(kind)["properties"]
    return {name: value for name, value in body.items() if name not in known}


def _no_constant(word: str) -> float:
    raise ValueError(f"{word} is not JSON (RFC 8259, section 6)")
