"""The words that channels share: a stored message's facts as people read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from alerts.explain import format_moment, rule_name
from command.domain.clock import to_us
from command.domain.geo import Position
from command.i18n import text
from maps.coordinates import dms

_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML 1.0 cannot hold (section 2.2)."""


def xml_text(value: str) -> str:
    """`value` with U+FFFD in place of each letter that XML cannot hold: no name keeps an alert from going out."""
    return _CONTROLS.sub("\ufffd", value)


def event_word(body: Mapping[str, Any], language: str) -> str:
    """What made this revision: opened, revised, cleared or acknowledged."""
    return text(language, f"message.event_{body['event']}")


def headline(body: Mapping[str, Any], language: str, *, limit: int) -> str:
    """What fits on a locked telephone: whether it is real, how bad, what, who, where. One line."""
    exercise = "" if body["status"] == "actual" else text(language, "message.exercise_mark")
    said = text(
        language,
        "message.headline",
        severity=text(language, f"severity.{body['severity']}"),
        event=event_word(body, language),
        rule=rule_name(body["rule"], language),
        subject=body["subject_label"][language],
        area="" if body["area"] is None else f" {body['area']['name'][language]}",
    )
    return " ".join(f"{exercise}{said}".split())[:limit]


def moment_of(rfc3339: str, language: str) -> str:
    """A message's time as people write it."""
    return format_moment(to_us(datetime.fromisoformat(rfc3339)), language)


def position_words(body: Mapping[str, Any], language: str) -> str:
    """Where it is: the area, the position, what is near, or that nothing is known."""
    position = body["position"]
    named = None if body["area"] is None else str(body["area"]["name"][language])
    at = None if position is None else dms(Position(lon=position["lon"], lat=position["lat"]))
    near = None if "place" not in body else text(language, "message.near", place=body["place"][language])
    return " ".join(filter(None, (named, at, near))) or text(language, "message.nowhere")
