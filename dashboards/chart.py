"""Small line charts of one measure over time, as pictures with a text of their own."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import numpy.typing as npt

from dashboards.words import jst_clock


def line_chart(
    times_us: npt.NDArray[np.int64],
    values: npt.NDArray[np.floating[Any]],
    *,
    top: float,
    unit: str,
    from_us: int,
    to_us: int,
) -> str:
    """A line of values, 0 to `top`, over time as an SVG data URI, 324 by 84 pixels."""
    width, height, left, bottom = 324.0, 84.0, 26.0, 14.0
    step = max(1, len(times_us) // 300)
    x = left + (times_us[::step] - from_us) / max(1, to_us - from_us) * (width - left - 2)
    y = 6.0 + (1.0 - values[::step] / top) * (height - bottom - 6.0)
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    base = height - bottom
    label = "fill='#9fb2c3' font-size='10' font-family='sans-serif'"
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:.0f} {height:.0f}'>"
        f"<path d='M{left} 6H{width}M{left} {(base + 6) / 2}H{width}M{left} {base}H{width}' stroke='#2c4052'/>"
        f"<text x='0' y='10' {label}>{top:.0f}</text><text x='0' y='{base + 3}' {label}>0 {unit}</text>"
        f"<text x='{left}' y='{height - 2}' {label}>{jst_clock(from_us)[:5]}</text>"
        f"<text x='{width}' y='{height - 2}' text-anchor='end' {label}>{jst_clock(to_us)[:5]}</text>"
        f"<polyline points='{line}' fill='none' stroke='#6fc3ff' stroke-width='1.6'/></svg>"
    )
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def round_top(values: npt.NDArray[np.floating[Any]], *, step: float) -> float:
    """The multiple of `step` that holds every value, one at least."""
    return max(step, float(np.ceil(values.max() / step) * step))
