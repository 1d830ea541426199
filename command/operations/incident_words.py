"""What an entry of an incident's log says to a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from command.domain.geo import Position
from command.domain.incident import IncidentEvent, IncidentEventKind
from command.i18n import text
from command.operations.triage import dms

_COUNTED = ("alerts", "tracks", "areas", "tasks", "attachments")


def event_words(event: IncidentEvent, language: str) -> str:
    """One entry as a line, or as its writer wrote it where it is a comment."""
    detail = event.detail
    if event.kind is IncidentEventKind.COMMENTED:
        return str(detail["text"])
    reason = detail.get("reason")
    said = _said(event, language)
    return text(language, "incident.log.reason", what=said, reason=reason) if reason else said


def _said(event: IncidentEvent, language: str) -> str:
    detail = event.detail
    match event.kind:
        case IncidentEventKind.EDITED:
            return _joined(
                language,
                [
                    text(
                        language,
                        "incident.log.changed",
                        field=text(language, f"incident.{name}"),
                        before=_value(name, pair[0], language),
                        after=_value(name, pair[1], language),
                    )
                    for name, pair in detail["changed"].items()
                ],
            )
        case IncidentEventKind.STATE_CHANGED:
            before, after = (text(language, f"incident.state.{detail[end]}") for end in ("from", "to"))
            return f"{before} → {after}"
    return text(language, f"incident.log.{event.kind.value}", **_blanks(detail, language))


def _blanks(detail: Mapping[str, Any], language: str) -> dict[str, Any]:
    """Whatever the texts of incident.log.* may name."""
    blanks: dict[str, Any] = {
        "number": detail.get("into_number") or detail.get("from_number"),
        "task": detail.get("title"),
        "what": _counted(detail, language),
    }
    if "split_from" in detail:
        blanks["type"] = text(language, f"incident.type.{detail['type']}")
        if detail["split_from"] is not None:
            from_ = text(language, "incident.log.split_from", number=detail["split_from_number"])
            blanks["title"] = f"{detail['title']} ({from_})"
    if "task_id" in detail and "to" in detail:
        blanks["before"], blanks["after"] = (text(language, f"incident.task.{detail[end]}") for end in ("from", "to"))
    if "size_bytes" in detail:
        blanks["size"] = size_words(detail["size_bytes"])
    return {**detail, **blanks}


def size_words(size_bytes: int) -> str:
    """`312 kB`, `4.2 MB`."""
    return f"{size_bytes / 1e6:.1f} MB" if size_bytes >= 1_000_000 else f"{max(1, round(size_bytes / 1e3))} kB"


def _counted(detail: Mapping[str, Any], language: str) -> str:
    names = {"attachments": "files"}
    counts = [
        text(language, f"incident.log.n_{names.get(name, name)}", n=len(detail[name]))
        for name in _COUNTED
        if detail.get(name)
    ]
    return _joined(language, counts) or text(language, "incident.log.nothing")


def _joined(language: str, parts: Sequence[str]) -> str:
    return ("、" if language == "ja" else ", ").join(parts)


def _value(name: str, kept: Any, language: str) -> str:
    if kept in (None, ""):
        return "–"
    if name in ("type", "severity"):
        return text(language, f"incident.type.{kept}" if name == "type" else f"severity.{kept}")
    return dms(Position(lon=kept[0], lat=kept[1])) if name == "position" else str(kept)
