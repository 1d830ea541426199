"""What a realm holds, as files for other systems: areas, facilities, alerts and tracks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from alerts.explain import explain, rule_name
from command.domain.clock import from_us
from command.domain.geo import Position
from command.domain.realm import Realm
from command.domain.track import Track, TrackStatus
from command.i18n.names import Names
from command.operations.area_files import area_features
from command.operations.facility_files import facility_features
from command.store.alerts import MAX_ALERTS, list_alerts
from command.store.areas import current_areas
from command.store.assets import list_assets
from command.store.audit import append_audit
from command.store.engine import realm_session
from command.store.facilities import latest_facilities
from command.store.tracks import load_latest
from maps.exchange import Feature, Format, write_features

__all__ = ["EXPORTS", "Exported", "Format", "export", "export_tracks"]


class Exported(StrEnum):
    """What can be written to a file."""

    AREAS = "areas"
    FACILITIES = "facilities"
    ALERTS = "alerts"
    TRACKS = "tracks"


def export(engine: Engine, realm: Realm, what: Exported, form: Format, *, by: str, now_us: int) -> tuple[bytes, int]:
    """The file, and how many things are in it. Who took it out is audited. Raises StoreUnavailable."""
    with realm_session(engine, realm) as session:
        features = EXPORTS[what](session)
        detail = {"realm": realm.name, "format": form.value, "count": len(features)}
        append_audit(session, actor=by, action="exported", target=what.value, detail=detail, now_us=now_us)
    return write_features(features, form, layer=what.value), len(features)


def _areas(session: Session) -> list[Feature]:
    return area_features(current_areas(session))


def _facilities(session: Session) -> list[Feature]:
    return facility_features([each for each in latest_facilities(session) if not each.retired])


def _alerts(session: Session) -> list[Feature]:
    """Open and cleared alike, the MAX_ALERTS that come first in triage."""
    return [
        _feature(
            i,
            alert.position,
            alert_id=str(alert.alert_id),
            revision=alert.revision,
            rule=alert.rule,
            rule_ja=rule_name(alert.rule, "ja"),
            rule_en=rule_name(alert.rule, "en"),
            severity=alert.severity.word,
            subject=alert.subject,
            subject_label=alert.subject_label,
            area=alert.area,
            because_ja=explain(alert, "ja"),
            because_en=explain(alert, "en"),
            opened_at=_iso(alert.opened_at_us),
            observed_at=_iso(alert.observed_at_us),
            recorded_at=_iso(alert.recorded_at_us),
            cleared_at=_iso(alert.cleared_at_us),
            acknowledged_at=_iso(alert.acknowledged_at_us),
            acknowledged_by=alert.acknowledged_by,
            comment=alert.comment,
        )
        for i, alert in enumerate(list_alerts(session, limit=MAX_ALERTS, include_cleared=True), start=1)
    ]


def export_tracks(
    engine: Engine, realm: Realm, tracks: Sequence[Track], form: Format, *, by: str, now_us: int
) -> bytes:
    """These tracks as they are given, as a file. Who took it out is audited. Raises StoreUnavailable."""
    with realm_session(engine, realm) as session:
        features = _track_features(tracks, _asset_names(session))
        detail = {"realm": realm.name, "format": form.value, "count": len(features)}
        append_audit(session, actor=by, action="exported", target=Exported.TRACKS.value, detail=detail, now_us=now_us)
    return write_features(features, form, layer=Exported.TRACKS.value)


def _tracks(session: Session) -> list[Feature]:
    """The latest state of every track."""
    return _track_features([latest.track for latest in load_latest(session)], _asset_names(session))


def _asset_names(session: Session) -> Names:
    return Names({asset.subject: {"ja": asset.name_ja, "en": asset.name_en} for asset in list_assets(session)})


def _track_features(tracks: Sequence[Track], names: Names) -> list[Feature]:
    return [
        _feature(
            i,
            track.position,
            track_id=str(track.track_id),
            subject=track.subject,
            name_ja=names.of_track(track)["ja"],
            name_en=names.of_track(track)["en"],
            kind=track.kind.name.lower(),
            status=TrackStatus(track.status).name.lower(),
            source=track.source,
            observed_at=_iso(track.observed_at_us),
            recorded_at=_iso(track.recorded_at_us),
            speed_mps=track.speed_mps,
            course_deg=track.course_deg,
            heading_deg=track.heading_deg,
            altitude_amsl_m=track.altitude_amsl_m,
            depth_m=track.depth_m,
            position_error_m=track.position_error_m,
        )
        for i, track in enumerate(tracks, start=1)
    ]


EXPORTS: Final[Mapping[Exported, Callable[[Session], list[Feature]]]] = {
    Exported.AREAS: _areas,
    Exported.FACILITIES: _facilities,
    Exported.ALERTS: _alerts,
    Exported.TRACKS: _tracks,
}


def _feature(number: int, position: Position | None, **properties: Any) -> Feature:
    point = None if position is None else {"type": "Point", "coordinates": (position.lon, position.lat)}
    written = {name: "" if value is None else str(value) for name, value in properties.items()}
    return Feature(number=number, properties=written, geometry=point)


def _iso(us: int | None) -> str | None:
    return None if us is None else from_us(us).isoformat()
