"""How an Alert lies in rows and, as it was at one revision, in the JSON of its event."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from sqlalchemy import RowMapping

from command.domain.alert import Alert, Call, Severity
from command.domain.geo import Position
from command.domain.realm import Realm
from command.domain.response import TeamResponse, TeamState
from command.store.jsonb import json_text
from command.store.tables import ALERT
from command.store.types import lon_lat, point, position_of

READ: Final = (*(column for column in ALERT.c if column.name != "position"), *lon_lat(ALERT.c.position))

_SAME: Final = (
    "revision",
    "rule",
    "subject",
    "subject_label",
    "area",
    "track_id",
    "because",
    "acknowledged_by",
    "comment",
    "assigned_to",
    "assigned_by",
    "escalated_by",
    "escalation_reason",
)
_TIMES: Final = (
    "opened_at",
    "observed_at",
    "recorded_at",
    "cleared_at",
    "acknowledged_at",
    "assigned_at",
    "escalated_at",
    "waiting_since",
)


def plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """The params as they come back from a jsonb column: tuples are lists, keys are text, NaN is None."""
    read: dict[str, Any] = json.loads(json_text(dict(params)))
    return read


def alert_columns(alert: Alert) -> dict[str, Any]:
    """The values of the table `alert`."""
    return {
        "alert_id": alert.alert_id,
        **{name: getattr(alert, name) for name in _SAME},
        **{name: getattr(alert, f"{name}_us") for name in _TIMES},
        "severity": int(alert.severity),
        "rule_severity": _number(alert.rule_severity),
        "position": point(alert.position),
        "because_params": dict(alert.because_params),
        "evidence": list(alert.evidence),
        "called_at": None if alert.call is None else alert.call.at_us,
        "called": call_json(alert.call),
        "responses": [_response_json(each) for each in alert.responses],
    }


def alert_of(columns: RowMapping, realm: Realm) -> Alert:
    """The Alert of a row with the columns READ."""
    return Alert(
        alert_id=columns["alert_id"],
        realm=realm.name,
        severity=Severity(columns["severity"]),
        rule_severity=_severity(columns["rule_severity"]),
        position=position_of(columns["lon"], columns["lat"]),
        because_params=columns["because_params"],
        evidence=tuple(columns["evidence"]),
        call=call_from_json(columns["called"]),
        responses=tuple(_response(each) for each in columns["responses"]),
        **{name: columns[name] for name in _SAME},
        **{f"{name}_us": columns[name] for name in _TIMES},
    )


def alert_json(alert: Alert) -> dict[str, Any]:
    """The alert as its event keeps it; alert_from_json gives it back equal."""
    return {
        "alert_id": str(alert.alert_id),
        "realm": alert.realm,
        **{name: getattr(alert, name) for name in _SAME},
        **{f"{name}_us": getattr(alert, f"{name}_us") for name in _TIMES},
        "track_id": None if alert.track_id is None else str(alert.track_id),
        "severity": int(alert.severity),
        "rule_severity": _number(alert.rule_severity),
        "position": _place(alert.position),
        "because_params": dict(alert.because_params),
        "evidence": [observation_id.hex() for observation_id in alert.evidence],
        "call": call_json(alert.call),
        "responses": [_response_json(each) for each in alert.responses],
    }


def alert_from_json(kept: Mapping[str, Any]) -> Alert:
    """The alert that alert_json made this of; of an event that is older than a field, the field's default."""
    track_id = kept["track_id"]
    return Alert(
        **{
            **kept,
            "alert_id": uuid.UUID(kept["alert_id"]),
            "track_id": None if track_id is None else uuid.UUID(track_id),
            "severity": Severity(kept["severity"]),
            "rule_severity": _severity(kept.get("rule_severity")),
            "position": _position(kept["position"]),
            "evidence": tuple(bytes.fromhex(observation_id) for observation_id in kept["evidence"]),
            "call": call_from_json(kept.get("call")),
            "responses": tuple(_response(each) for each in kept.get("responses", ())),
        }
    )


def call_json(call: Call | None) -> dict[str, Any] | None:
    """A call as its column and its event keep it; call_from_json gives it back equal."""
    return None if call is None else asdict(call)


def call_from_json(kept: Mapping[str, Any] | None) -> Call | None:
    return None if kept is None else Call(**{**kept, "passed": tuple(kept["passed"]), "teams": tuple(kept["teams"])})


def _response_json(response: TeamResponse) -> dict[str, Any]:
    return {
        "team": response.team,
        "state": response.state.value,
        "response_id": str(response.response_id),
        "responder": response.responder,
        "answered_at_us": response.answered_at_us,
        "comment": response.comment,
        "position": _place(response.position),
    }


def _response(kept: Mapping[str, Any]) -> TeamResponse:
    return TeamResponse(
        **{
            **kept,
            "state": TeamState(kept["state"]),
            "response_id": uuid.UUID(kept["response_id"]),
            "position": _position(kept["position"]),
        }
    )


def _place(position: Position | None) -> list[float] | None:
    return None if position is None else [position.lon, position.lat]


def _position(kept: list[float] | None) -> Position | None:
    return None if kept is None else Position(lon=kept[0], lat=kept[1])


def _number(severity: Severity | None) -> int | None:
    return None if severity is None else int(severity)


def _severity(number: int | None) -> Severity | None:
    return None if number is None else Severity(number)
