"""What a handover sheet fills in by itself: the state of everything, and what changed since the watch began.

It is JSON that is kept and signed, in no language: names are kept in both, words are chosen when somebody reads it. A
part that lists fewer than there are says how many there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy.orm import Session

from alerts.explain import subject_name
from command.domain.alert import Alert
from command.domain.area import Area
from command.domain.incident import Incident
from command.domain.realm import RealmKind
from command.domain.roster import Shift
from command.domain.silence import Silence
from command.domain.track import TrackStatus
from command.i18n import LANGUAGES
from command.operations.console_health import Level, StoreState, judge
from command.store.alerts import list_alerts, open_alerts_by_severity
from command.store.areas import area_changes, latest_areas
from command.store.assets import list_assets
from command.store.handover import holders_between
from command.store.health import list_source_health
from command.store.incidents import incidents_worked_on
from command.store.people import list_users
from command.store.roster import shift_changes, shifts_between
from command.store.rules import rule_changes
from command.store.silences import list_silences, silences_in_force
from command.store.tracks import tracks_of_subjects

LISTED: Final = 300
"""How many alerts, and how many incidents, a sheet lists; it counts all."""
_SILENCES: Final = 200

Content = Mapping[str, Any]


def gather(session: Session, *, from_us: int, until_us: int, speed: float = 1.0) -> dict[str, Any]:
    """The content of a sheet about the time from from_us until until_us, which is now, all of one moment of the store.

    speed: realm seconds a host second, for how late a source's report may be.
    """
    names = {area.slug: {"ja": area.name_ja, "en": area.name_en} for area in latest_areas(session)}
    people = {user.login: user.display_name for user in list_users(session)}
    by_severity = open_alerts_by_severity(session)
    alerts = list_alerts(session, limit=LISTED)
    incidents, worked_on, still_open = incidents_worked_on(session, from_us)
    silences = silences_in_force(session, until_us)
    return {
        "at_us": until_us,
        "on_duty": [_shift(each, people) for each in shifts_between(session, from_us, max(until_us, from_us + 1))],
        "held": [{"name": each.name, "at_us": each.since_us} for each in holders_between(session, from_us, until_us)],
        "alerts": {
            "total": sum(n for n, _ in by_severity.values()),
            "by_severity": {each.word: {"open": n, "waiting": m} for each, (n, m) in by_severity.items()},
            "listed": [_alert(each, names) for each in alerts],
        },
        "incidents": {
            "total": worked_on,
            "open": still_open,
            "listed": [_incident(each, from_us) for each in incidents[:LISTED]],
        },
        "tasks": _tasks(incidents),
        "changes": _changes(session, from_us, until_us, names),
        "silences": [_silence(each, names) for each in silences],
        "sources": _sources(session, until_us, speed),
        "drones": _drones(session),
    }


def _shift(shift: Shift, people: Mapping[str, str]) -> dict[str, Any]:
    return {
        "login": shift.login,
        "name": people.get(shift.login, shift.login),
        "role": shift.role.value,
        "team": shift.team,
        "from_us": shift.from_us,
        "until_us": shift.until_us,
    }


def _alert(alert: Alert, names: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    return {
        "alert_id": str(alert.alert_id),
        "revision": alert.revision,
        "severity": alert.severity.word,
        "rule": alert.rule,
        "subject": {language: subject_name(alert, language) for language in LANGUAGES},
        "area": None if alert.area is None else _named(alert.area, names),
        "opened_us": alert.opened_at_us,
        "cleared_us": alert.cleared_at_us,
        "acknowledged_by": alert.acknowledged_by,
        "assigned_to": alert.assigned_to,
        "called": None if alert.call is None else {"name": alert.call.name, "everybody": alert.call.everybody},
    }


def _incident(incident: Incident, from_us: int) -> dict[str, Any]:
    return {
        "incident_id": str(incident.incident_id),
        "number": incident.number,
        "title": incident.title,
        "type": incident.type.value,
        "severity": incident.severity.word,
        "state": incident.state.value,
        "owner": incident.owner,
        "opened_us": incident.opened_at_us,
        "changed_us": incident.changed_at_us,
        "changed": incident.changed_at_us >= from_us,
    }


def _tasks(incidents: Sequence[Incident]) -> list[dict[str, Any]]:
    """The orders of open incidents that are not done, the oldest first."""
    tasks = [
        {
            "number": incident.number,
            "title": task.title,
            "assignee": task.assignee,
            "state": task.state.value,
            "given_us": task.given_at_us,
        }
        for incident in incidents
        if incident.is_open
        for task in incident.tasks
        if task.is_open
    ]
    return sorted(tasks, key=lambda task: (task["given_us"], task["number"], task["title"]))


def _changes(
    session: Session, from_us: int, until_us: int, names: Mapping[str, Mapping[str, str]]
) -> list[dict[str, Any]]:
    """Who changed what the watch goes by, first to last: rules, areas, silences, the roster."""
    found: list[dict[str, Any]] = [
        *(
            _change("rule", each.rule, each.author, each.valid_from_us)
            for each in rule_changes(session, from_us, until_us)
        ),
        *(_area_change(each) for each in area_changes(session, from_us, until_us)),
    ]
    for silence, _ in list_silences(session, since_us=from_us, limit=_SILENCES):
        what = _silence(silence, names)
        if from_us <= silence.created_at_us < until_us:
            found.append(_change("silence_begun", what, silence.author, silence.created_at_us))
        if silence.ended_at_us is not None and from_us <= silence.ended_at_us < until_us:
            found.append(_change("silence_ended", what, silence.ended_by or "", silence.ended_at_us))
    shifts = shift_changes(session, from_us, until_us)
    found += [_change("shift", each.login, each.changed_by, each.changed_at_us) for each in shifts]
    return sorted(found, key=lambda change: int(change["at_us"]))


def _area_change(area: Area) -> dict[str, Any]:
    kind = "area_retired" if area.retired else "area"
    return _change(kind, {"ja": area.name_ja, "en": area.name_en}, area.author, area.valid_from_us)


def _change(kind: str, what: object, by: str, at_us: int) -> dict[str, Any]:
    return {"kind": kind, "what": what, "by": by, "at_us": at_us}


def _silence(silence: Silence, names: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    matcher = silence.matcher
    return {
        "rule": matcher.rule,
        "subject": matcher.subject,
        "area": None if matcher.area is None else _named(matcher.area, names),
        "reason": silence.reason,
        "author": silence.author,
        "expires_us": silence.expires_at_us,
    }


def _sources(session: Session, now_us: int, speed: float) -> list[dict[str, Any]]:
    """Those that do not do what they should, as the console's health judges them."""
    judged = judge(
        store=StoreState(connected=True, since_us=0),
        sources=list_source_health(session),
        heartbeats=(),
        queues=None,
        realm_kind=RealmKind.LIVE,
        realm_now_us=now_us,
        host_now_us=0,
        realm_speed=speed,
    )
    return [
        {
            "source": line.health.source,
            "gateway": line.health.gateway,
            "state": line.state,
            "since_us": line.health.last_seen_us,
            "detail": line.health.detail,
        }
        for line in judged.sources
        if line.level >= Level.WATCH and line.state != "running"
    ]


def _drones(session: Session) -> list[dict[str, Any]]:
    """Every asset of ours, seen or not."""
    assets = list_assets(session)
    tracks = tracks_of_subjects(session, [asset.subject for asset in assets])
    found = []
    for asset in assets:
        track = tracks.get(asset.subject)
        battery = None if track is None else track.battery_percent
        found.append(
            {
                "subject": asset.subject,
                "name": {"ja": asset.name_ja, "en": asset.name_en},
                "kind": asset.kind.name.lower(),
                "status": None if track is None else TrackStatus(track.status).name.lower(),
                "seen_us": None if track is None else track.observed_at_us,
                "battery_percent": None if battery is None else round(battery),
            }
        )
    return found


def _named(slug: str, names: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return dict(names.get(slug, dict.fromkeys(LANGUAGES, slug)))
