"""What one message tells of: the alert that it is, and with `grouped` the others, as if each had come by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from command.domain.alert import AlertEventKind
from command.i18n import LANGUAGES, text

MEMBER_OF: Final = "member_of"
"""A field of ours: the body was made of what another message tells of an alert, whose reason and place it lacks."""


def others(body: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The members of a message besides the alert that it is."""
    return [each for each in body.get("grouped", {}).get("members", ()) if each["alert_id"] != body["alert_id"]]


def told_of(body: Mapping[str, Any], known: Callable[[str], Mapping[str, Any] | None]) -> list[Mapping[str, Any]]:
    """A body for each alert that a message tells of, the message's own first. known: the latest of an alert, if any.

    What a member lacks is taken from what is known of it.
    """
    return [body, *(_member_body(each, body, known(each["alert_id"])) for each in others(body))]


def _member_body(
    member: Mapping[str, Any], lead: Mapping[str, Any], before: Mapping[str, Any] | None
) -> Mapping[str, Any]:
    slug, event = member["area"], member["event"]
    area = None if slug is None else {"slug": slug, "name": {"ja": slug, "en": slug}}
    if area is not None and lead["area"] is not None and lead["area"]["slug"] == slug:
        area = lead["area"]
    words = {
        language: text(language, "terminal.member", lead=lead["subject_label"][language]) for language in LANGUAGES
    }
    fresh: dict[str, Any] = {
        "area": area,
        "position": None,
        "track_id": None,
        "opened_at": member["observed_at"],
        "cleared_at": None,
        "acknowledged": None,
        "because": words,
        "evidence": [],
        "responses": [],
    }
    if before is not None:
        fresh |= {name: before[name] for name in fresh if name in before}
    cleared_at = fresh["cleared_at"]
    if event in (AlertEventKind.CLEARED, AlertEventKind.OPENED):
        cleared_at = member["observed_at"] if event == AlertEventKind.CLEARED else None
    told = {name: member[name] for name in ("alert_id", "revision", "event", "rule", "severity", "subject")}
    return {
        **{name: lead[name] for name in ("schema", "schema_version", "realm", "status", "recorded_at")},
        **fresh,
        **told,
        "subject_label": member["subject_label"],
        "observed_at": member["observed_at"],
        "cleared_at": cleared_at,
        MEMBER_OF: lead["alert_id"],
    }
