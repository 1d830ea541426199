"""An incident as a document to print and to file: all that is known of it, and every entry of its log."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from typing import Final

import numpy as np
import shapely

from command.documents.document import (
    Block,
    Chart,
    Column,
    Document,
    Facts,
    Heading,
    Mark,
    MarkShape,
    Paragraph,
    Path,
    Table,
    Zone,
)
from command.documents.pdf import render_pdf
from command.domain.alert import Alert
from command.domain.area import Area
from command.domain.clock import US_PER_S, SystemClock
from command.domain.geo import Position
from command.domain.incident import Incident, IncidentEvent
from command.domain.realm import RealmKind
from command.domain.track import Track
from command.i18n import text
from command.i18n.times import jst, jst_over_utc
from command.operations.console import Console
from command.operations.incident_words import event_words, size_words
from command.operations.people import Permission, Person
from command.operations.triage import dms

LOG_LIMIT: Final = 5_000
_LOG_PAGE: Final = 500
_TRAIL_BEFORE_US: Final = 3 * 3_600 * US_PER_S
_TRAIL_STATES: Final = 1_000
_TRAILS: Final = 20
_HOST_DIFFERS_US: Final = 60 * US_PER_S


def incident_pdf(console: Console, incident_id: uuid.UUID, *, person: Person, language: str) -> tuple[str, bytes]:
    """The file's name and its bytes, whose hash is audited with who took it.

    Raises Forbidden, IncidentNotFound, StoreUnavailable, TypefaceMissing and CoastlineUnavailable.
    """
    person.must(Permission.READ_INCIDENTS)
    incident = console.desk.get(incident_id, language=language)
    log = _whole_log(console, incident_id, language)
    pdf = render_pdf(_document(console, incident, log, person=person, language=language))
    console.desk.note_printed(incident, by=person, language=language, sha256=hashlib.sha256(pdf).hexdigest())
    return f"incident-{console.realm.name}-{incident.number}.pdf", pdf


def _whole_log(console: Console, incident_id: uuid.UUID, language: str) -> list[tuple[str, IncidentEvent]]:
    """Newest first; LOG_LIMIT + 1 where there are more."""
    log: list[tuple[str, IncidentEvent]] = []
    before: int | None = None
    while len(log) <= LOG_LIMIT:
        page = console.desk.log(incident_id, limit=_LOG_PAGE, language=language, before_event=before)
        log += page
        if len(page) < _LOG_PAGE:
            break
        before = page[-1][1].event_id
    return log[: LOG_LIMIT + 1]


def _document(
    console: Console,
    incident: Incident,
    log: Sequence[tuple[str, IncidentEvent]],
    *,
    person: Person,
    language: str,
) -> Document:
    now_us, host_us = console.clock.now_us(), SystemClock().now_us()
    kind = console.realm.kind
    alerts = console.alerts_named(incident.cited.alerts)
    tracks = {track_id: console.picture.track(track_id) for track_id in incident.cited.tracks}
    areas = [area for area in console.area_book.everything() if area.slug in incident.cited.areas]
    made = text(language, "document.made", time=jst(now_us), who=_who(person))
    if abs(host_us - now_us) > _HOST_DIFFERS_US:
        made = text(language, "document.made_host", made=made, host=jst(host_us))
    return Document(
        language=language,
        title=text(language, "incident.document.title", number=incident.number, title=incident.title),
        head=text(language, "incident.document.head", number=incident.number, realm=console.realm.name),
        made=made,
        made_at_us=host_us,
        banner=None if kind is RealmKind.LIVE else text(language, f"document.banner_{kind.value}"),
        blocks=[
            Facts(rows=_facts(console, incident, language)),
            _chart(console, incident, alerts, tracks, areas, now_us=now_us, language=language),
            *_tasks(incident, language),
            *_alerts(console, incident, alerts, language),
            *_tracks(console, incident, tracks, language),
            *_areas(incident, areas, language),
            *_files(incident, language),
            *_log(log, language),
        ],
    )


def _who(person: Person) -> str:
    user = person.user
    return user.login if user.display_name == user.login else f"{user.display_name} ({user.login})"


def _facts(console: Console, incident: Incident, language: str) -> list[tuple[str, str]]:
    opened = text(language, "incident.desk.opened_by", time=jst(incident.opened_at_us), who=incident.opened_by)
    position = "" if incident.position is None else f"{dms(incident.position)}  {_decimal(incident.position)}"
    facts = [
        ("incident.type", text(language, f"incident.type.{incident.type.value}")),
        ("incident.severity", text(language, f"severity.{incident.severity.word}")),
        ("incident.desk.state", text(language, f"incident.state.{incident.state.value}")),
        ("incident.owner", incident.owner or text(language, "incident.desk.no_owner")),
        ("incident.participants", ", ".join(incident.participants)),
        ("incident.place", incident.place),
        ("incident.document.near", _near(console, incident, language)),
        ("incident.position", position),
        ("incident.desk.opened_at", opened),
        ("incident.state.closed", "" if incident.closed_at_us is None else jst(incident.closed_at_us)),
        ("incident.desk.merged_into", _number_of(console, incident.merged_into, language)),
        ("incident.desk.split_from", _number_of(console, incident.split_from, language)),
        (
            "incident.document.version",
            text(language, "incident.document.version_is", revision=incident.revision, entries=incident.entries),
        ),
    ]
    return [(text(language, name), value) for name, value in facts if value]


def _near(console: Console, incident: Incident, language: str) -> str:
    """By the nearest facility, where any is known."""
    words = "" if incident.position is None else console.place(incident, language)
    return "" if incident.position is not None and words == dms(incident.position) else words


def _number_of(console: Console, incident_id: uuid.UUID | None, language: str) -> str:
    return "" if incident_id is None else console.desk.get(incident_id, language=language).number


def _decimal(position: Position) -> str:
    return f"({position.lat:.5f}, {position.lon:.5f})"


def _chart(
    console: Console,
    incident: Incident,
    alerts: Sequence[Alert],
    tracks: dict[uuid.UUID, Track | None],
    areas: Sequence[Area],
    *,
    now_us: int,
    language: str,
) -> Chart:
    marks = [
        Mark(position=alert.position, shape=MarkShape.TRIANGLE, label=_nth("alert", i, language))
        for i, alert in enumerate(alerts, start=1)
        if alert.position is not None
    ]
    marks += [
        Mark(position=track.position, shape=MarkShape.DOT, label=_nth("track", i, language))
        for i, track in enumerate(tracks.values(), start=1)
        if track is not None and track.position is not None
    ]
    if incident.position is not None:
        words = text(language, "incident.document.here")
        marks.insert(0, Mark(position=incident.position, shape=MarkShape.CROSS, label=words))
    trails = [_trail(console, incident, track_id, now_us) for track_id in list(tracks)[:_TRAILS]]
    return Chart(
        marks=marks,
        paths=[Path(positions=trail) for trail in trails if len(trail) > 1],
        zones=[Zone(rings=_rings(area), label=_named(area, language)) for area in areas],
        alt=text(language, "incident.document.chart"),
    )


def _rings(area: Area) -> list[list[tuple[float, float]]]:
    return [
        [(lon, lat) for lon, lat in shapely.get_coordinates(ring).tolist()]
        for polygon in shapely.get_parts(area.geometry)
        for ring in shapely.get_rings(polygon)
    ]


def _trail(console: Console, incident: Incident, track_id: uuid.UUID, now_us: int) -> list[Position]:
    """Where a track was, from some hours before the incident until its end or now."""
    until_us = now_us if incident.closed_at_us is None else incident.closed_at_us
    states = console.history(
        track_id, from_us=incident.opened_at_us - _TRAIL_BEFORE_US, to_us=until_us, limit=_TRAIL_STATES
    )
    lon, lat = states["lon"], states["lat"]
    known = np.isfinite(lon) & np.isfinite(lat)
    return [Position(lon=float(x), lat=float(y)) for x, y in zip(lon[known], lat[known], strict=True)]


def _nth(what: str, number: int, language: str) -> str:
    """What a place on the chart and its row in a table are called alike."""
    return text(language, f"incident.document.nth_{what}", n=number)


def _named(area: Area, language: str) -> str:
    return area.name_ja if language == "ja" else area.name_en


def _part(title: str, columns: Sequence[tuple[str, float]], rows: Sequence[Sequence[str]], none: str) -> list[Block]:
    """A part with its table, or what it says where there is nothing."""
    if not rows:
        return [Heading(words=title), Paragraph(words=none)]
    return [Heading(words=title), Table(columns=[Column(title=t, share=s) for t, s in columns], rows=rows)]


def _tasks(incident: Incident, language: str) -> list[Block]:
    rows = [
        (
            task.title,
            task.assignee,
            text(language, f"incident.task.{task.state.value}") + (f"\n{task.reason}" if task.reason else ""),
            f"{jst_over_utc(task.given_at_us)}\n{task.given_by}",
            f"{jst_over_utc(task.changed_at_us)}\n{task.changed_by}",
        )
        for task in sorted(incident.tasks, key=lambda task: task.given_at_us)
    ]
    columns = [
        (text(language, "incident.task"), 0.3),
        (text(language, "incident.assignee"), 0.14),
        (text(language, "incident.desk.state"), 0.16),
        (text(language, "incident.document.given"), 0.2),
        (text(language, "incident.document.changed"), 0.2),
    ]
    return _part(text(language, "incident.tasks"), columns, rows, text(language, "incident.desk.no_tasks"))


def _alerts(console: Console, incident: Incident, alerts: Sequence[Alert], language: str) -> list[Block]:
    rows = []
    for i, alert in enumerate(alerts, start=1):
        told = console.explained(alert, language)
        done = text(language, "drawer.not_acknowledged")
        if alert.acknowledged_at_us is not None:
            said = f"{alert.acknowledged_by or ''} {alert.comment or ''}".rstrip()
            done = f"{jst_over_utc(alert.acknowledged_at_us)}\n{said}"
        place = [] if alert.position is None else dict.fromkeys((told.place, dms(alert.position)))
        rows.append(
            (
                _nth("alert", i, language),
                f"{told.severity}\n{told.title}",
                "\n".join([told.subject, told.because, *place]),
                jst_over_utc(alert.opened_at_us),
                done,
            )
        )
    gone = len(incident.cited.alerts) - len(alerts)
    columns = [
        (text(language, "incident.document.no"), 0.07),
        (text(language, "incident.document.rule"), 0.16),
        (text(language, "drawer.because"), 0.37),
        (text(language, "incident.document.opened"), 0.2),
        (text(language, "incident.document.acknowledged"), 0.2),
    ]
    none = text(language, "incident.document.none")
    parts = _part(text(language, "incident.alerts"), columns, rows, none)
    return [*parts, Paragraph(words=text(language, "incident.document.gone", n=gone), small=True)] if gone else parts


def _tracks(console: Console, incident: Incident, tracks: dict[uuid.UUID, Track | None], language: str) -> list[Block]:
    rows = []
    for i, (track_id, track) in enumerate(tracks.items(), start=1):
        if track is None:
            rows.append((_nth("track", i, language), str(track_id), text(language, "drawer.gone"), "", ""))
            continue
        rows.append(
            (
                _nth("track", i, language),
                f"{console.picture.label(track, language)}\n{track.subject}",
                text(language, f"kind.{track.kind.name.lower()}"),
                "" if track.position is None else dms(track.position),
                f"{jst_over_utc(track.observed_at_us)}\n{track.source}",
            )
        )
    columns = [
        (text(language, "incident.document.no"), 0.07),
        (text(language, "incident.document.identity"), 0.28),
        (text(language, "incident.document.kind"), 0.15),
        (text(language, "incident.document.last_position"), 0.28),
        (text(language, "incident.document.last_seen"), 0.22),
    ]
    return _part(text(language, "incident.tracks"), columns, rows, text(language, "incident.document.none"))


def _areas(incident: Incident, areas: Sequence[Area], language: str) -> list[Block]:
    known = {area.slug: area for area in areas}
    rows = [
        (
            _named(known[slug], language) if slug in known else slug,
            text(language, f"area.kind.{known[slug].kind.value}") if slug in known else "",
            slug,
            str(known[slug].version) if slug in known else "",
        )
        for slug in incident.cited.areas
    ]
    columns = [
        (text(language, "incident.document.name"), 0.4),
        (text(language, "incident.document.kind"), 0.2),
        (text(language, "incident.document.slug"), 0.3),
        (text(language, "incident.document.of_version"), 0.1),
    ]
    return _part(text(language, "incident.areas"), columns, rows, text(language, "incident.document.none"))


def _files(incident: Incident, language: str) -> list[Block]:
    rows = [
        (
            file.name,
            f"{file.media_type}\n{size_words(file.size_bytes)}",
            f"{jst_over_utc(file.added_at_us)}\n{file.added_by}",
            file.sha256,
        )
        for file in incident.attachments
    ]
    columns = [
        (text(language, "incident.document.name"), 0.24),
        (text(language, "incident.document.kind"), 0.16),
        (text(language, "incident.document.added"), 0.2),
        ("SHA-256", 0.4),
    ]
    return _part(text(language, "incident.attachments"), columns, rows, text(language, "incident.desk.no_files"))


def _log(log: Sequence[tuple[str, IncidentEvent]], language: str) -> list[Block]:
    """Oldest first, as one reads a record. Entries of merged incidents have their own incident's number."""
    merged = len({number for number, _ in log}) > 1
    rows = [
        (
            f"{event.entry}\n{number}" if merged else str(event.entry),
            jst_over_utc(event.observed_at_us),
            jst_over_utc(event.recorded_at_us),
            f"{text(language, f'incident.event.{event.kind.value}')}\n{event.actor}",
            event_words(event, language),
        )
        for number, event in reversed(log[:LOG_LIMIT])
    ]
    columns = [
        (text(language, "incident.document.no"), 0.1 if merged else 0.06),
        (text(language, "incident.document.observed"), 0.2),
        (text(language, "incident.document.recorded"), 0.2),
        (text(language, "incident.document.who_did"), 0.16),
        (text(language, "incident.document.what"), 0.34 if merged else 0.38),
    ]
    parts = _part(text(language, "incident.document.log"), columns, rows, text(language, "incident.document.none"))
    older = [Paragraph(words=text(language, "incident.document.log_cut", n=LOG_LIMIT))] if len(log) > LOG_LIMIT else []
    return [*parts, *older]
