"""What the page's script must know of an alert to act on it: data attributes of its row, and of its drawer."""

from __future__ import annotations

from command.domain.alert import Alert
from command.domain.incident import Incident
from command.operations.incidents import suggested_type
from command.operations.triage import Explained


def alert_facts(alert: Alert, told: Explained, *, silenced: bool, handled: Incident | None) -> dict[str, str]:
    """For `marks`, beside the alert's id. handled: the open incident that it belongs to, where the reader may know."""
    position = alert.position
    return {
        "data_track": str(alert.track_id or ""),
        "data_lon": "" if position is None else str(position.lon),
        "data_lat": "" if position is None else str(position.lat),
        "data_severity": alert.severity.word,
        "data_waiting": str(alert.acknowledged_at_us is None).lower(),
        "data_escalated": str(alert.escalated_at_us is not None).lower(),
        "data_silenced": str(silenced).lower(),
        "data_held": alert.assigned_to or "",
        "data_revision": str(alert.revision),
        "data_rule": alert.rule,
        "data_title": told.title,
        "data_subject": alert.subject,
        "data_name": told.subject,
        "data_area": alert.area or "",
        "data_area_name": told.area or "",
        "data_what": f"{told.title} {told.subject}",
        "data_type": suggested_type(alert).value,
        "data_incident": "" if handled is None else str(handled.incident_id),
    }
