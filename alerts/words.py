"""The words that channels share: a stored message's facts as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from alerts.explain import format_moment
from command.domain.clock import to_us
from command.domain.geo import Position
from command.i18n import text
from maps.coordinates import dms


def event_word(body: Mapping[str, Any], language: str) -> str:
    """What made this revision: opened, revised, cleared or acknowledged."""
    return text(language, f"message.event_{body['event']}")


def moment_of(rfc3339: str, language: str) -> str:
    """A message's time as people write it."""
    return format_moment(to_us(datetime.fromisoformat(rfc3339)), language)


def position_words(body: Mapping[str, Any], language: str) -> str:
    """Where it is: the area, the position, both, or that neither is known."""
    position = body["position"]
    named = None if body["area"] is None else str(body["area"]["name"][language])
    at = None if position is None else dms(Position(lon=position["lon"], lat=position["lat"]))
    return " ".join(filter(None, (named, at))) or text(language, "message.nowhere")
