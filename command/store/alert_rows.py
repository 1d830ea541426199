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
        "position": None if alert.position is None else [alert.position.lon, alert.position.lat],
        "because_params": dict(alert.because_params),
        "evidence": [observation_id.hex() for observation_id in alert.evidence],
        "call": call_json(alert.call),
    }


def alert_from_json(kept: Mapping[str, Any]) -> Alert:
    """The alert that alert_json made this of; of an event that is older than a field, the field's default."""
    track_id, position = kept["track_id"], kept["position"]
    return Alert(
        **{
            **kept,
            "alert_id": uuid.UUID(kept["alert_id"]),
            "track_id": None if track_id is None else uuid.UUID(track_id),
            "severity": Severity(kept["severity"]),
            "rule_severity": _severity(kept.get("rule_severity")),
            "position": None if position is None else Position(lon=position[0], lat=position[1]),
            "evidence": tuple(bytes.fromhex(observation_id) for observation_id in kept["evidence"]),
            "call": call_from_json(kept.get("call")),
        }
    )


def call_json(call: Call | None) -> dict[str, Any] | None:
    """A call as its column and its event keep it; call_from_json gives it back equal."""
    return None if call is None else asdict(call)


def call_from_json(kept: Mapping[str, Any] | None) -> Call | None:
    return None if kept is None else Call(**{**kept, "passed": tuple(kept["passed"]), "teams": tuple(kept["teams"])})


def _number(severity: Severity | None) -> int | None:
    return None if severity is None else int(severity)


def _severity(number: int | None) -> Severity | None:
    return None if number is None else Severity(number)
