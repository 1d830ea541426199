"""A small chart drawn as lines: coast, graticule, scale, and what a document is about, with nothing from outside."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import shapely
from fpdf import FPDF

from command.documents.document import Chart, Mark, MarkShape
from command.domain.geo import METRES_PER_NAUTICAL_MILE
from command.i18n import text
from maps.coastline import COVERAGE, land_within

_LEAST_SPAN_DEG: Final = 0.1
_AROUND: Final = 0.22
"""How much of the span is left free around what is shown."""
_STEPS_MIN: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600)
_SCALES_NM: Final = (0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
_DEG_NM: Final = 60.0
_LABEL_PT: Final = 7.0
_SEA: Final = (244, 248, 251)
_LAND: Final = (222, 218, 205)
_COAST: Final = (120, 116, 104)
_GRID: Final = (200, 210, 218)
_ZONE: Final = (150, 60, 20)
_PATH: Final = (20, 70, 130)

Draw = Callable[[FPDF], None]
Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, kw_only=True)
class _Frame:
    """Equirectangular about its middle, which is true enough over the span of an incident. Degrees in, mm out."""

    west: float
    south: float
    east: float
    north: float
    left: float
    top: float
    width: float
    height: float

    def place(self, lon: float, lat: float) -> tuple[float, float]:
        x = self.left + (lon - self.west) / (self.east - self.west) * self.width
        y = self.top + (self.north - lat) / (self.north - self.south) * self.height
        return x, y

    def places(self, ring: npt.NDArray[np.float64]) -> list[tuple[float, float]]:
        x = self.left + (ring[:, 0] - self.west) / (self.east - self.west) * self.width
        y = self.top + (self.north - ring[:, 1]) / (self.north - self.south) * self.height
        return list(zip(x.tolist(), y.tolist(), strict=True))

    def has(self, x: float, y: float) -> bool:
        return self.left <= x <= self.left + self.width and self.top <= y <= self.top + self.height


def draw_chart(
    chart: Chart,
    draw: Callable[[Draw], None],
    printable: Callable[[str], str],
    language: str,
    *,
    left: float,
    top: float,
    width: float,
    height: float,
) -> list[str]:
    """Draw it in this frame, mm. The answer names the texts of document.chart.* that belong under it."""
    frame = _frame(chart, left=left, top=top, width=width, height=height)
    land = [
        frame.places(shapely.get_coordinates(ring))
        for shape in shapely.simplify(_land(frame), (frame.north - frame.south) / 2_000.0)
        for polygon in shapely.get_parts(shape)
        for ring in shapely.get_rings(polygon)[:1]
    ]
    zones = [
        ([[frame.place(*_near(p, frame)) for p in ring] for ring in zone.rings], zone.label) for zone in chart.zones
    ]
    paths = [[frame.place(*_near((p.lon, p.lat), frame)) for p in path.positions] for path in chart.paths]
    marks = [(frame.place(*_near((m.position.lon, m.position.lat), frame)), m) for m in chart.marks]

    def drawing(pdf: FPDF) -> None:
        with pdf.rect_clip(left, top, width, height):
            pdf.set_fill_color(*_SEA)
            pdf.rect(left, top, width, height, style="F")
            _draw_land(pdf, land)
            _draw_grid(pdf, frame)
            _draw_zones(pdf, zones, printable, frame)
            _draw_paths(pdf, paths)
            _draw_marks(pdf, marks, printable)
            _draw_scale(pdf, frame, language)
        pdf.set_draw_color(60)
        pdf.set_line_width(0.3)
        pdf.rect(left, top, width, height)
        pdf.set_text_color(25)

    draw(drawing)
    west, south, east, north = COVERAGE
    whole = west <= frame.west and frame.east <= east and south <= frame.south and frame.north <= north
    return ["coast"] if whole else ["coast", "coverage"]


def _frame(chart: Chart, *, left: float, top: float, width: float, height: float) -> _Frame:
    """The box that shows all there is, in the shape of the frame."""
    places = [(m.position.lon, m.position.lat) for m in chart.marks]
    places += [(p.lon, p.lat) for path in chart.paths for p in path.positions]
    places = places or [p for zone in chart.zones for ring in zone.rings for p in ring]
    lons, lats = np.array([p[0] for p in places]), np.array([p[1] for p in places])
    if np.ptp(lons) > 180.0:
        lons = lons % 360.0
    middle_lon, middle_lat = (lons.min() + lons.max()) / 2.0, (lats.min() + lats.max()) / 2.0
    squeeze = max(0.1, math.cos(math.radians(middle_lat)))
    tall = max(np.ptp(lats), np.ptp(lons) * squeeze * height / width, _LEAST_SPAN_DEG) * (1.0 + 2.0 * _AROUND)
    wide = tall * width / height / squeeze
    return _Frame(
        west=float(middle_lon - wide / 2.0),
        east=float(middle_lon + wide / 2.0),
        south=float(middle_lat - tall / 2.0),
        north=float(middle_lat + tall / 2.0),
        left=left,
        top=top,
        width=width,
        height=height,
    )


def _near(point: tuple[float, float], frame: _Frame) -> tuple[float, float]:
    """The same place with the longitude that lies nearest to the frame, on whichever side of 180°."""
    middle = (frame.west + frame.east) / 2.0
    return point[0] + 360.0 * round((middle - point[0]) / 360.0), point[1]


def _land(frame: _Frame) -> npt.NDArray[np.object_]:
    return land_within(frame.west, frame.south, frame.east, frame.north)


def _draw_land(pdf: FPDF, land: Iterable[Points]) -> None:
    pdf.set_fill_color(*_LAND)
    pdf.set_draw_color(*_COAST)
    pdf.set_line_width(0.1)
    for ring in land:
        pdf.polygon(ring, style="DF")


def _draw_grid(pdf: FPDF, frame: _Frame) -> None:
    """Meridians and parallels at a round number of minutes, written at the left and the lower edge."""
    pdf.set_font("print", "", 6.0)
    pdf.set_text_color(90)
    pdf.set_line_width(0.1)
    pdf.set_draw_color(*_GRID)
    for lon in _round_minutes(frame.west, frame.east, most=6):
        x, _ = frame.place(lon, frame.south)
        pdf.line(x, frame.top, x, frame.top + frame.height)
        pdf.text(x + 0.6, frame.top + frame.height - 0.9, _minutes(lon, "EW"))
    for lat in _round_minutes(frame.south, frame.north, most=4):
        _, y = frame.place(frame.west, lat)
        pdf.line(frame.left, y, frame.left + frame.width, y)
        pdf.text(frame.left + 0.7, y - 0.6, _minutes(lat, "NS"))


def _round_minutes(low: float, high: float, *, most: int) -> list[float]:
    step = next((s for s in _STEPS_MIN if (high - low) * 60.0 / s <= most), _STEPS_MIN[-1])
    first = math.ceil(low * 60.0 / step)
    return [i * step / 60.0 for i in range(first, math.floor(high * 60.0 / step) + 1)]


def _minutes(degrees: float, ends: str) -> str:
    turned = (degrees + 180.0) % 360.0 - 180.0 if ends == "EW" else degrees
    whole, minutes = divmod(round(abs(turned) * 60.0), 60)
    return f"{whole}°{minutes:02d}′{ends[0] if turned >= 0 else ends[1]}"


def _draw_zones(
    pdf: FPDF,
    zones: Sequence[tuple[list[list[tuple[float, float]]], str]],
    printable: Callable[[str], str],
    frame: _Frame,
) -> None:
    pdf.set_draw_color(*_ZONE)
    pdf.set_text_color(*_ZONE)
    pdf.set_font("print", "", _LABEL_PT)
    for rings, label in zones:
        pdf.set_line_width(0.3)
        with pdf.local_context(dash_pattern={"dash": 1.6, "gap": 1.0, "phase": 0}):
            for ring in rings:
                pdf.polygon(ring, style="D")
        x, y = _corner(rings, frame)
        if frame.has(x, y):
            _label(pdf, printable(label), x + 1.0, y + 3.4)


def _corner(rings: Sequence[Points], frame: _Frame) -> tuple[float, float]:
    """The uppermost and then leftmost point of what the frame shows of an area; outside it where that is nothing."""
    right, bottom = frame.left + frame.width, frame.top + frame.height
    shown = shapely.clip_by_rect(shapely.polygons(list(rings[0])), frame.left, frame.top, right, bottom)
    corners: list[list[float]] = shapely.get_coordinates(shown).tolist()
    x, y = min(corners, key=lambda corner: (round(corner[1], 1), corner[0]), default=(-1.0, -1.0))
    return x, y


def _draw_paths(pdf: FPDF, paths: Iterable[Points]) -> None:
    pdf.set_draw_color(*_PATH)
    pdf.set_line_width(0.4)
    for path in paths:
        pdf.polyline(path, style="D")


def _draw_marks(pdf: FPDF, marks: Sequence[tuple[tuple[float, float], Mark]], printable: Callable[[str], str]) -> None:
    pdf.set_draw_color(20)
    pdf.set_line_width(0.35)
    placed: list[tuple[float, float]] = []
    for (x, y), mark in marks:
        match mark.shape:
            case MarkShape.CROSS:
                pdf.set_fill_color(255)
                pdf.circle(x, y, 2.2, style="D")
                pdf.line(x - 3.4, y, x + 3.4, y)
                pdf.line(x, y - 3.4, x, y + 3.4)
            case MarkShape.TRIANGLE:
                pdf.set_fill_color(255)
                pdf.polygon([(x, y - 1.7), (x + 1.6, y + 1.2), (x - 1.6, y + 1.2)], style="DF")
            case MarkShape.DOT:
                pdf.set_fill_color(*_PATH)
                pdf.circle(x, y, 1.0, style="DF")
    pdf.set_text_color(20)
    pdf.set_font("print", "B", _LABEL_PT)
    for (x, y), mark in marks:
        low = y
        while any(abs(x - a) < 14.0 and abs(low - b) < 3.0 for a, b in placed):
            low += 3.0
        placed.append((x, low))
        _label(pdf, printable(mark.label), x + 3.0, low + 1.0)


def _label(pdf: FPDF, words: str, x: float, y: float) -> None:
    """Words on a ground of their own, so that lines under them do not cross the letters."""
    pdf.set_fill_color(255)
    with pdf.local_context(fill_opacity=0.75):
        pdf.rect(x - 0.4, y - 2.3, pdf.get_string_width(words) + 0.8, 3.0, style="F")
    pdf.text(x, y, words)


def _draw_scale(pdf: FPDF, frame: _Frame, language: str) -> None:
    """A bar of a round number of nautical miles, lower right."""
    mm_per_nm = frame.height / ((frame.north - frame.south) * _DEG_NM)
    nm = max((s for s in _SCALES_NM if s * mm_per_nm <= frame.width * 0.3), default=_SCALES_NM[0])
    right, y = frame.left + frame.width - 4.0, frame.top + frame.height - 5.0
    left = right - nm * mm_per_nm
    pdf.set_text_color(20)
    pdf.set_font("print", "", _LABEL_PT)
    km = f"{nm * METRES_PER_NAUTICAL_MILE / 1_000.0:.3g}"
    _label(pdf, text(language, "document.chart.scale", nm=f"{nm:g}", km=km), left, y - 1.6)
    pdf.set_draw_color(20)
    pdf.set_line_width(0.5)
    pdf.line(left, y, right, y)
    for x in (left, right):
        pdf.line(x, y - 1.0, x, y + 1.0)
