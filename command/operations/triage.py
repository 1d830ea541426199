"""Triage: the alerts as a duty officer reads them, in their language, and what an officer does to them."""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from sqlalchemy import Engine

from alerts.explain import explain as explain_because
from alerts.explain import rule_name, severity_word, subject_name
from command.domain.alert import Alert
from command.domain.alert_acts import COMMENT_LIMIT
from command.domain.facility import Facility
from command.domain.geo import METRES_PER_NAUTICAL_MILE, Position, distances_m
from command.domain.realm import Realm
from command.i18n import text
from command.operations.people import Permission, Person
from command.operations.territory import must_at
from command.store.alerts import AlreadyAcknowledged, UnknownAlert, acknowledge_alert
from command.store.audit import append_audit
from command.store.engine import realm_session
from maps.coordinates import dms

__all__ = [
    "COMMENT_LIMIT",
    "AlreadyAcknowledged",
    "BadComment",
    "Explained",
    "Gazetteer",
    "UnknownAlert",
    "acknowledge",
    "compass_point",
    "dms",
    "explain",
    "initial_bearing_deg",
]

_AT_M: Final = 500.0


class BadComment(ValueError):
    """A comment that cannot be kept; the text says why."""


class Gazetteer:
    """Says where a position is by the nearest facility, as people at sea do."""

    def __init__(self, facilities: Sequence[Facility]) -> None:
        self._facilities = tuple(facilities)
        self._lon = np.array([f.position.lon for f in facilities], dtype=np.float64)
        self._lat = np.array([f.position.lat for f in facilities], dtype=np.float64)

    def nearest(self, position: Position | None) -> tuple[Facility, float] | None:
        """The facility that a place is told from, and how many metres away; None where there is none to tell from."""
        if position is None or not self._facilities:
            return None
        metres = distances_m(self._lon, self._lat, np.float64(position.lon), np.float64(position.lat))
        index = int(np.argmin(metres))
        return self._facilities[index], float(metres[index])

    def place(self, position: Position | None, language: str) -> str:
        """`厳原港の北東 6.2海里`; coordinates where no facility is known, a word where there is no position."""
        if position is None:
            return text(language, "place.none")
        found = self.nearest(position)
        if found is None:
            return dms(position)
        facility, metres = found
        name = facility.name_ja if language == "ja" else facility.name_en
        if metres < _AT_M:
            return text(language, "place.at", name=name)
        distance = metres / METRES_PER_NAUTICAL_MILE
        return text(
            language,
            "place.from",
            name=name,
            bearing=compass_point(initial_bearing_deg(facility.position, position), language),
            distance=f"{distance:.1f}" if distance < 10.0 else f"{distance:.0f}",
        )


def compass_point(bearing_deg: float, language: str) -> str:
    """One of the sixteen points, `北北東`."""
    return text(language, "place.compass").split(",")[round(bearing_deg / 22.5) % 16]


def initial_bearing_deg(a: Position, b: Position) -> float:
    """Course of the great circle from a to b at a, clockwise from true north, 0 <= x < 360."""
    phi1, phi2 = math.radians(a.lat), math.radians(b.lat)
    dlam = math.radians(b.lon - a.lon)
    east = math.sin(dlam) * math.cos(phi2)
    north = math.cos(phi1) * math.sin(phi2) - math.sin(phi1) * math.cos(phi2) * math.cos(dlam)
    return math.degrees(math.atan2(east, north)) % 360.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Explained:
    """One alert in the reader's language. area is the area's name, None where the rule is about none."""

    alert: Alert
    title: str
    because: str
    subject: str
    place: str
    area: str | None
    severity: str


def explain(alert: Alert, language: str, *, gazetteer: Gazetteer, area_names: Mapping[str, str]) -> Explained:
    """What an alert says to a person."""
    return Explained(
        alert=alert,
        title=rule_name(alert.rule, language),
        because=explain_because(alert, language),
        subject=subject_name(alert, language),
        place=gazetteer.place(alert.position, language),
        area=None if alert.area is None else area_names.get(alert.area, alert.area),
        severity=severity_word(alert.severity, language),
    )


def acknowledge(
    engine: Engine, realm: Realm, alert_id: uuid.UUID, *, person: Person, comment: str, language: str, now_us: int
) -> Alert:
    """The officer has seen it. now_us is the realm's time.

    Raises Forbidden, BadComment, UnknownAlert, AlreadyAcknowledged and StoreUnavailable.
    """
    person.must_somewhere(Permission.ACKNOWLEDGE)
    kept = " ".join(comment.split())
    if len(kept) > COMMENT_LIMIT:
        raise BadComment(text(language, "triage.comment_too_long", limit=COMMENT_LIMIT, given=len(kept)))
    with realm_session(engine, realm) as session:
        alert = acknowledge_alert(session, alert_id, by=person.user.login, comment=kept, now_us=now_us)
        must_at(session, person, Permission.ACKNOWLEDGE, alert)
        append_audit(
            session,
            actor=person.user.login,
            action="alert.acknowledged",
            target=str(alert_id),
            detail={"realm": realm.name, "comment": kept},
            now_us=now_us,
        )
    return alert
