"""The drawer: all that is known of the selected track or alert, its age first."""

from __future__ import annotations

import asyncio
import base64
import uuid
from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
from dash import Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component
from pydantic import Field

from command.domain.alert import Alert
from command.domain.clock import US_PER_S
from command.domain.geo import MPS_PER_KNOT, Position
from command.domain.track import Track, TrackStatus
from command.i18n import text
from command.i18n.times import jst
from command.operations.access import needs
from command.operations.console import Console
from command.operations.people import Permission, StoreUnavailable, current_language
from command.operations.triage import UnknownAlert, dms
from dashboards.marks import marks
from dashboards.panel import PanelConfig, Place, View
from dashboards.words import age, degrees, jst_clock, knots, number

_MEASURES = (
    ("altitude", "altitude_amsl_m", "m"),
    ("height", "height_m", "m"),
    ("depth", "depth_m", "m"),
    ("battery", "battery_percent", "%"),
    ("link", "link_percent", "%"),
)


LEAST_CHART_US: Final = 10 * 60 * US_PER_S
"""A chart of a track that was seen for the first time just now is not stretched over its width."""


class DrawerConfig(PanelConfig):
    """How far back the small chart looks, and how many states it reads at most."""

    history_hours: float = Field(default=6.0, gt=0, le=24)
    history_points: int = Field(default=2_000, ge=10, le=5_000)


class Drawer:
    """Loaded when the selection changes, and again when the track or the alerts did."""

    Config: ClassVar[type[PanelConfig]] = DrawerConfig
    place: ClassVar[Place] = Place.RIGHT

    def __init__(self, config: DrawerConfig) -> None:
        self._config = config

    def layout(self, view: View) -> Component:
        return html.Section(
            id="detail-panel",
            className="detail-panel",
            **marks(aria_label=view.t("drawer.title")),
            children=[
                html.Div(id="detail", className="detail"),
                dcc.Store(id="detail-shown"),
            ],
        )

    def connect(self, app: Dash, console: Console) -> None:
        @app.callback(
            Output("detail", "children"),
            Output("detail-shown", "data"),
            Input("map-selected", "data"),
            Input("side-beat", "data"),
            State("detail-shown", "data"),
            prevent_initial_call=True,
        )
        @needs(Permission.WATCH)
        async def show(selected: dict[str, Any] | None, _: int | None, shown: list[Any] | None) -> tuple[Any, Any]:
            track_id, alert_id = _uuid(selected, "track_id"), _uuid(selected, "alert_id")
            if track_id is None and alert_id is None:
                return (None, None) if shown else (no_update, no_update)
            track = console.picture.track(track_id) if track_id else None
            mark = [
                str(track_id),
                str(alert_id),
                console.alerts_revision,
                None if track is None else track.observed_at_us,
                None if track is None else int(track.status),
            ]
            if mark == shown:
                return no_update, no_update
            language = current_language()
            parts: list[Component] = []
            if alert_id is not None:
                parts += await self._alert(console, alert_id, language)
            if track_id is not None:
                parts += await self._track(console, track, track_id, language, first=not parts)
            return parts, mark

    async def _alert(self, console: Console, alert_id: uuid.UUID, language: str) -> list[Component]:
        try:
            alert = await asyncio.to_thread(console.alert, alert_id)
        except (UnknownAlert, StoreUnavailable):
            return [_head(language, text(language, "drawer.alert_gone"))]
        told = console.explained(alert, language)
        done = text(language, "drawer.not_acknowledged")
        if alert.acknowledged_at_us is not None:
            done = f"{jst_clock(alert.acknowledged_at_us)} {alert.acknowledged_by} {alert.comment or ''}"
        return [
            _head(language, told.title, kind=told.severity, severity=alert.severity.word, position=alert.position),
            _facts(
                language,
                ("triage.subject", told.subject),
                ("drawer.because", told.because),
                ("drawer.area", told.area),
                ("drawer.place", told.place),
                ("drawer.position", None if alert.track_id else _place(alert.position, language)),
                ("drawer.opened", jst(alert.opened_at_us)),
                ("drawer.acknowledged", done),
                ("drawer.evidence", text(language, "drawer.evidence_count", n=len(alert.evidence))),
                ("drawer.revision", str(alert.revision)),
            ),
        ]

    async def _track(
        self, console: Console, track: Track | None, track_id: uuid.UUID, language: str, *, first: bool
    ) -> list[Component]:
        if track is None:
            return [_head(language, text(language, "drawer.gone"), close=first)]
        facts, position = track.attributes, track.position
        mmsi = track.subject.partition(":")[2] if track.subject.startswith("mmsi:") else None
        size = None
        if facts.get("length_m") and facts.get("beam_m"):
            size = f"{facts['length_m']:g} × {facts['beam_m']:g} m"
        speed = knots(track.speed_mps)
        status = TrackStatus(track.status).name.lower()
        return [
            _head(
                language,
                console.picture.label(track, language),
                kind=text(language, f"kind.{track.kind.name.lower()}"),
                position=position if first else None,
                close=first,
            ),
            html.Div(
                className=f"freshness status-{status}",
                children=[
                    html.Strong(text(language, f"status.{status}")),
                    html.Span(
                        age(language, (console.clock.now_us() - track.observed_at_us) / US_PER_S),
                        className="age",
                        **marks(data_age_of=str(track.observed_at_us // 1_000)),
                    ),
                    html.Span(track.source, title=text(language, "drawer.source"), className="source"),
                ],
            ),
            _facts(
                language,
                ("drawer.mmsi" if mmsi else "drawer.subject", mmsi or track.subject),
                ("drawer.speed", None if speed is None else text(language, "drawer.knots", n=speed)),
                ("drawer.course", degrees(track.course_deg)),
                ("drawer.heading", degrees(track.heading_deg)),
                ("drawer.position", _place(position, language)),
                ("drawer.place", console.place(track, language)),
                ("drawer.error", number(track.position_error_m, "m")),
                *((f"drawer.{key}", number(getattr(track, name), unit)) for key, name, unit in _MEASURES),
                ("drawer.mode", facts.get("mode")),
                ("drawer.callsign", facts.get("callsign")),
                ("drawer.imo", facts.get("imo")),
                ("drawer.destination", facts.get("destination")),
                ("drawer.affiliation", _affiliation(facts, language)),
                ("drawer.emergency", facts.get("emergency") or None),
                ("drawer.text", facts.get("text")),
                ("drawer.size", size),
                ("drawer.observed", jst(track.observed_at_us)),
            ),
            html.H3(text(language, "drawer.history")),
            await self._history(console, track_id, language),
            html.H3(text(language, "drawer.alerts")),
            _alerts(console, console.alerts_of(track_id), language),
        ]

    async def _history(self, console: Console, track_id: uuid.UUID, language: str) -> Component:
        to_us = console.clock.now_us()
        from_us = to_us - int(self._config.history_hours * 3_600 * US_PER_S)
        try:
            states = await asyncio.to_thread(
                console.history, track_id, from_us=from_us, to_us=to_us, limit=self._config.history_points
            )
        except StoreUnavailable:
            return html.P(text(language, "drawer.history_away"), className="empty")
        speeds = states["speed_mps"] / MPS_PER_KNOT
        known = np.isfinite(speeds)
        if np.count_nonzero(known) < 2:
            return html.P(text(language, "drawer.history_none"), className="empty")
        speeds, times = speeds[known], states["observed_at_us"][known]
        from_us = min(int(times[0]), to_us - LEAST_CHART_US)
        low, high = float(speeds.min()), float(speeds.max())
        alt = text(language, "drawer.history_alt", low=f"{low:.1f}", high=f"{high:.1f}", count=len(speeds))
        return html.Img(src=speed_chart(times, speeds, from_us=from_us, to_us=to_us), alt=alt, className="history")


def _affiliation(facts: Mapping[str, Any], language: str) -> str | None:
    given = facts.get("affiliation")
    return None if given is None else text(language, f"affiliation.{given}")


def speed_chart(
    times_us: npt.NDArray[np.int64], speeds_kn: npt.NDArray[np.floating[Any]], *, from_us: int, to_us: int
) -> str:
    """A line of speed over time as an SVG data URI, 324 by 84 pixels; the top line is at a round number of knots."""
    width, height, left, bottom = 324.0, 84.0, 26.0, 14.0
    top_kn = max(5.0, float(np.ceil(speeds_kn.max() / 5.0) * 5.0))
    step = max(1, len(times_us) // 300)
    x = left + (times_us[::step] - from_us) / max(1, to_us - from_us) * (width - left - 2)
    y = 6.0 + (1.0 - speeds_kn[::step] / top_kn) * (height - bottom - 6.0)
    line = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))
    base = height - bottom
    label = "fill='#9fb2c3' font-size='10' font-family='sans-serif'"
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:.0f} {height:.0f}'>"
        f"<path d='M{left} 6H{width}M{left} {(base + 6) / 2}H{width}M{left} {base}H{width}' stroke='#2c4052'/>"
        f"<text x='0' y='10' {label}>{top_kn:.0f}</text><text x='0' y='{base + 3}' {label}>0 kn</text>"
        f"<text x='{left}' y='{height - 2}' {label}>{jst_clock(from_us)[:5]}</text>"
        f"<text x='{width}' y='{height - 2}' text-anchor='end' {label}>{jst_clock(to_us)[:5]}</text>"
        f"<polyline points='{line}' fill='none' stroke='#6fc3ff' stroke-width='1.6'/></svg>"
    )
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _uuid(selected: dict[str, Any] | None, name: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(str((selected or {}).get(name) or ""))
    except ValueError:
        return None


def _head(
    language: str,
    title: str,
    *,
    kind: str | None = None,
    severity: str | None = None,
    position: Position | None = None,
    close: bool = True,
) -> Component:
    badge = []
    if kind is not None:
        shape = [html.Span(className=f"shape shape-{severity}", **marks(aria_hidden="true"))] if severity else []
        badge = [html.Span([*shape, kind], className=f"badge{f' sev-{severity}' if severity else ''}")]
    show = []
    if position is not None:
        where = marks(data_show_lon=str(position.lon), data_show_lat=str(position.lat))
        show = [html.Button(text(language, "drawer.show"), type="button", **where)]
    buttons = [*show]
    if close:
        buttons.append(
            html.Button("×", type="button", title=text(language, "drawer.back"), **marks(data_side="closed"))
        )
    return html.Div([*badge, html.H2(title), html.Div(buttons, className="buttons")], className="panel-head")


def _facts(language: str, *facts: tuple[str, Any]) -> Component:
    rows: list[Component] = []
    for key, value in facts:
        if value not in (None, ""):
            rows += [html.Dt(text(language, key)), html.Dd(value if isinstance(value, Component) else str(value))]
    return html.Dl(rows, className="facts")


def _place(position: Position | None, language: str) -> Component | None:
    """The coordinates; the map's script writes them in the notation that the reader chose, and a press changes it."""
    if position is None:
        return None
    where = marks(data_place_lon=f"{position.lon:.7f}", data_place_lat=f"{position.lat:.7f}")
    return html.Button(
        dms(position), type="button", className="where", title=text(language, "map.coordinates.switch"), **where
    )


def _alerts(console: Console, alerts: list[Alert], language: str) -> Component:
    if not alerts:
        return html.P(text(language, "drawer.alerts_none"), className="empty")
    rows = []
    for alert in alerts[:20]:
        told = console.explained(alert, language)
        ended = f" / {text(language, 'triage.cleared')}" if alert.cleared_at_us is not None else ""
        rows.append(
            html.Li(
                [
                    html.Span(className=f"shape shape-{alert.severity.word}", **marks(aria_hidden="true")),
                    html.Strong(f"{told.severity} {told.title}"),
                    html.Span(f"{jst_clock(alert.opened_at_us)}{ended}"),
                ],
                className=f"sev-{alert.severity.word}",
            )
        )
    return html.Ul(rows, className="track-alerts")
