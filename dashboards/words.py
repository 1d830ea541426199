"""Times and measures as officers write them: JST first, knots, whole degrees; the mark of a severity."""

from __future__ import annotations

import math

from dash import html
from dash.development.base_component import Component

from command.domain.alert import Severity
from command.domain.clock import from_us
from command.domain.geo import MPS_PER_KNOT
from command.i18n import text
from command.i18n.times import JST
from dashboards.marks import marks


def jst_clock(us: int) -> str:
    """`08:41:12`, for lists of today."""
    return f"{from_us(us).astimezone(JST):%H:%M:%S}"


def age(language: str, seconds: float) -> str:
    """`3秒前`, `12分前`, `2時間5分前`, `4日前`; what is ahead of the clock is just now."""
    whole = int(seconds)
    if whole < 0:
        return text(language, "console.ahead")
    if whole < 60:
        return text(language, "console.ago_s", n=whole)
    if whole < 3_600:
        return text(language, "console.ago_min", n=whole // 60)
    if whole < 172_800:
        return text(language, "console.ago_h", n=whole // 3_600, m=whole % 3_600 // 60)
    return text(language, "console.ago_d", n=whole // 86_400)


def knots(speed_mps: float | None) -> str | None:
    """`12.3`; None where the speed is not known."""
    return None if speed_mps is None or not math.isfinite(speed_mps) else f"{speed_mps / MPS_PER_KNOT:.1f}"


def degrees(value: float | None) -> str | None:
    """`047°`; None where it is not known."""
    return None if value is None or not math.isfinite(value) else f"{round(value) % 360:03d}°"


def number(value: float | None, unit: str, *, digits: int = 0) -> str | None:
    """`87%`, `12.4 m`; None where it is not known."""
    if value is None or not math.isfinite(value):
        return None
    return f"{value:.{digits}f}{'' if unit == '%' else ' '}{unit}"


def shape(severity: Severity) -> Component:
    """The mark of a severity beside its word: told apart without colour."""
    mark: Component = html.Span(className=f"shape shape-{severity.word}", **marks(aria_hidden="true"))
    return mark
