"""One search over all that has a name or a place: a position as written, tracks, incidents, areas, facilities, and the
names of the map. Kana, width and case do not matter (command/i18n/folding.py)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from command.domain.area import Area
from command.domain.geo import Position
from command.domain.incident import Incident
from command.domain.track import Track
from command.i18n import text
from command.i18n.folding import folded, holds_all
from command.operations.console import Console
from command.operations.incidents import IncidentFilter
from command.operations.people import Permission, Person, StoreUnavailable
from maps.coordinates import BadPosition, dms, read_position
from maps.names import named_places

WORDS_LIMIT: Final = 100
MOST_OF_A_KIND: Final = 20
CLOSED_LOOKED_AT: Final = 500
"""Of the incidents that are over, so many of the newest are looked at."""
_A_NUMBER: Final = re.compile(r"[0-9]")


class FoundKind(StrEnum):
    """What was found, in the order in which groups are shown."""

    POSITION = "position"
    TRACK = "track"
    INCIDENT = "incident"
    AREA = "area"
    FACILITY = "facility"
    PLACE = "place"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """One thing. key: its id, an area's slug; empty for what has none. title, detail: in the reader's language.
    position: None for what has no place yet. box: of an area, (west, south, east, north) in degrees."""

    kind: FoundKind
    key: str
    title: str
    detail: str
    position: Position | None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What was found, by kind, at most `limit` of each. more: the kinds of which there is more. hint: why what was
    meant as a position is none; empty where it is one or was not meant so."""

    found: tuple[Found, ...]
    more: frozenset[FoundKind]
    hint: str = ""


def search(console: Console, words: str, *, person: Person, language: str, limit: int = 8) -> Answer:
    """Look for `words`. Asks the store for incidents that are over alone: where it is away, those are left out."""
    words = words[:WORDS_LIMIT].strip()
    if not folded(words):
        return Answer(found=(), more=frozenset())
    found: list[Found] = []
    hint = ""
    try:
        found.append(_position(read_position(words)))
    except BadPosition as exc:
        # a sentence about coordinates helps only who has written some
        if len(_A_NUMBER.findall(words)) >= 4 and exc.reason != "not_understood":
            hint = exc.explain(language)
    more: set[FoundKind] = set()
    for kind, hits in (
        (FoundKind.TRACK, _tracks(console, words, language, limit)),
        (FoundKind.INCIDENT, _incidents(console, words, person, language)),
        (FoundKind.AREA, _areas(console, words, language)),
        (FoundKind.FACILITY, _facilities(console, words, language)),
        (FoundKind.PLACE, _places(words, language)),
    ):
        ranked = _ranked(hits, words)
        found += ranked[:limit]
        if len(ranked) > limit:
            more.add(kind)
    return Answer(found=tuple(found), more=frozenset(more), hint="" if found else hint)


def _ranked(hits: Sequence[Found], words: str) -> list[Found]:
    """Those first whose title is what was written, then those that begin with it; else in the order that they have."""
    asked = folded(words)

    def rank(hit: Found) -> int:
        title = folded(hit.title)
        return 0 if title == asked else 1 if title.startswith(asked) else 2

    return sorted(hits, key=rank)


def _position(position: Position) -> Found:
    return Found(kind=FoundKind.POSITION, key="", title=dms(position), detail="", position=position)


def _tracks(console: Console, words: str, language: str, limit: int) -> list[Found]:
    # one more than is shown says that there is more; a little deeper, so that an exact name comes before a newer track
    found = console.picture.find(words, limit=max(limit + 1, 100))
    return [_track(console, track, language) for track in found]


def _track(console: Console, track: Track, language: str) -> Found:
    facts = track.attributes
    mmsi = track.subject.removeprefix("mmsi:") if track.subject.startswith("mmsi:") else ""
    detail = (
        text(language, f"kind.{track.kind.name.lower()}"),
        text(language, f"status.{track.status.name.lower()}"),
        f"MMSI {mmsi}" if mmsi else "",
        str(facts.get("callsign") or ""),
    )
    return Found(
        kind=FoundKind.TRACK,
        key=str(track.track_id),
        title=console.picture.label(track, language),
        detail=" · ".join(part for part in detail if part),
        position=track.position,
    )


def _incidents(console: Console, words: str, person: Person, language: str) -> list[Found]:
    if not person.may(Permission.READ_INCIDENTS):
        return []
    known = {incident.incident_id: incident for incident in console.incidents}
    with suppress(StoreUnavailable):
        for incident in console.desk.find(IncidentFilter(), limit=CLOSED_LOOKED_AT):
            known.setdefault(incident.incident_id, incident)
    newest = sorted(known.values(), key=lambda i: (i.is_open, i.opened_at_us), reverse=True)
    return [
        _incident(incident, language)
        for incident in newest
        if holds_all(words, f"{incident.number} {incident.title} {incident.place}")
    ]


def _incident(incident: Incident, language: str) -> Found:
    severity = text(language, f"severity.{incident.severity.word}")
    return Found(
        kind=FoundKind.INCIDENT,
        key=str(incident.incident_id),
        title=f"{incident.number} {incident.title}",
        detail=f"{severity} · {text(language, f'incident.state.{incident.state.value}')}",
        position=incident.position,
    )


def _areas(console: Console, words: str, language: str) -> list[Found]:
    return [
        _area(area, language)
        for area in console.areas
        if holds_all(words, f"{area.name_ja} {area.name_en} {area.slug}")
    ]


def _area(area: Area, language: str) -> Found:
    west, south, east, north = area.geometry.bounds
    return Found(
        kind=FoundKind.AREA,
        key=area.slug,
        title=area.name_ja if language == "ja" else area.name_en,
        detail=text(language, f"area.kind.{area.kind.value}"),
        position=Position(lon=(west + east) / 2, lat=(south + north) / 2),
        box=(west, south, east, north),
    )


def _facilities(console: Console, words: str, language: str) -> list[Found]:
    return [
        Found(
            kind=FoundKind.FACILITY,
            key=facility.facility_id,
            title=facility.name_ja if language == "ja" else facility.name_en,
            detail=" · ".join(
                part for part in (text(language, f"facility.kind.{facility.kind.value}"), facility.municipality) if part
            ),
            position=facility.position,
        )
        for facility in console.facilities
        if holds_all(words, f"{facility.name_ja} {facility.name_en} {facility.prefecture} {facility.municipality}")
    ]


def _places(words: str, language: str) -> list[Found]:
    return [
        Found(
            kind=FoundKind.PLACE,
            key="",
            title=place.name_ja if language == "ja" else place.name_en,
            detail=text(language, f"search.place.{place.kind}"),
            position=place.position,
        )
        for place in named_places()
        if holds_all(words, f"{place.name_ja} {place.name_en}")
    ]
