"""Why an alert was raised, in a person's language: the text that `because` names, its parameters written out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta, timezone
from typing import Any, Final

from command.domain.alert import Alert, Finding, Severity
from command.domain.clock import from_us
from command.domain.geo import METRES_PER_NAUTICAL_MILE, MPS_PER_KNOT
from command.i18n import text, texts

JST: Final = timezone(timedelta(hours=9), "JST")


def explain(said: Finding | Alert, language: str) -> str:
    """The sentence that says why, in `language`. Never raises for what an alert holds.

    A parameter's ending says what it is and falls away in the text: `_us` a moment, `_s` a duration, `_m` a distance,
    `_mps` a speed, `_percent`, `_key` the key of a text, `_list` texts each with its `key` and parameters. A mapping
    with `ja` and `en` is a name in both languages.
    """
    try:
        return text(language, said.because, **_written(said.because_params, language))
    except (KeyError, IndexError, ValueError, TypeError, OverflowError):
        # An alert outlives the release that wrote it: say what is known instead of showing nothing.
        facts = ", ".join(f"{name}={value}" for name, value in said.because_params.items())
        return text(language, "because.unreadable", rule=rule_name(said.rule, language), facts=facts)


def subject_name(alert: Alert, language: str) -> str:
    """What people call the subject of an alert: as it was told with the reason, else as it was written down."""
    told = alert.because_params.get("subject")
    if isinstance(told, Mapping) and told.get(language):
        return str(told[language])
    return alert.subject_label or alert.subject


def rule_name(rule: str, language: str) -> str:
    """What people call a rule, one that they made (`<kind>_<name>`) by its kind and name; else as it is."""
    kind, _, name = rule.partition("_")
    known = texts(language)
    if f"rule.{rule}" in known:
        return known[f"rule.{rule}"]
    return text(language, f"rule.{kind}.own", name=name) if f"rule.{kind}.own" in known else rule


def severity_word(severity: Severity, language: str) -> str:
    """What people call a severity."""
    return text(language, f"severity.{severity.word}")


def format_moment(us: int, language: str) -> str:
    """`2026-11-22 08:41 JST (23:41Z)`, the same in both languages."""
    moment = from_us(us)
    return text(language, "format.moment", local=f"{moment.astimezone(JST):%Y-%m-%d %H:%M}", utc=f"{moment:%H:%M}")


def format_duration(seconds: float, language: str) -> str:
    """A duration as people say it: seconds up to 90, then minutes, hours and minutes, days and hours."""
    whole = round(seconds)
    if whole <= 90:
        return text(language, "format.seconds", seconds=whole)
    minutes = round(whole / 60)
    if minutes < 60:
        return text(language, "format.minutes", minutes=minutes)
    if minutes < 24 * 60:
        return text(language, "format.hours", hours=minutes // 60, minutes=minutes % 60)
    hours = round(minutes / 60)
    return text(language, "format.days", days=hours // 24, hours=hours % 24)


def format_distance(metres: float, language: str) -> str:
    """Metres up to one nautical mile, then nautical miles."""
    if abs(metres) < METRES_PER_NAUTICAL_MILE:
        return text(language, "format.metres", metres=round(metres))
    return text(language, "format.nautical_miles", miles=f"{metres / METRES_PER_NAUTICAL_MILE:.1f}")


def format_speed(mps: float, language: str) -> str:
    return text(language, "format.knots", knots=f"{mps / MPS_PER_KNOT:.1f}")


_WRITERS: Final = {
    "_us": lambda value, language: format_moment(int(value), language),
    "_s": lambda value, language: format_duration(_finite(value), language),
    "_m": lambda value, language: format_distance(_finite(value), language),
    "_mps": lambda value, language: format_speed(_finite(value), language),
    "_percent": lambda value, language: f"{round(_finite(value))}%",
    "_key": lambda value, language: text(language, str(value)),
    "_list": lambda value, language: text(language, "area.refused.list_separator").join(
        text(language, str(each["key"]), **_written({k: v for k, v in each.items() if k != "key"}, language))
        for each in value
    ),
}


def _written(params: Mapping[str, Any], language: str) -> dict[str, str]:
    written: dict[str, str] = {}
    for name, value in params.items():
        ending = next((ending for ending in _WRITERS if name.endswith(ending)), None)
        if ending is not None:
            written[name.removesuffix(ending)] = _WRITERS[ending](value, language)
        else:
            written[name] = str(value[language] if isinstance(value, Mapping) else value)
    return written


def _finite(value: Any) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError(f"{value!r} is no number")
    return number
