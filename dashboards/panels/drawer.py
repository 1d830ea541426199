"""The drawer: all that is known of the selected track or alert, its age first."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
from dash import Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component
from pydantic import Field

from alerts.explain import severity_word
from command.domain.alert import Alert
from command.domain.clock import US_PER_S
from command.domain.geo import MPS_PER_KNOT, Position
from command.domain.track import Track, TrackStatus
from command.i18n import text
from command.i18n.times import jst
from command.operations.access import needs
from command.operations.console import Console
from command.operations.people import Permission, StoreUnavailable, current_language, current_person
from command.operations.roster import callee_words
from command.operations.triage import Explained, UnknownAlert, dms
from dashboards.alert_facts import alert_facts
from dashboards.asset_facts import asset_facts, freshness_of_source, source_line
from dashboards.chart import line_chart, round_top
from dashboards.marks import marks
from dashboards.panel import PanelConfig, Place, View
from dashboards.triage_forms import act_buttons
from dashboards.words import age, degrees, jst_clock, knots, number

_MEASURES = (
    ("altitude", "altitude_amsl_m", "m"),
    ("height", "height_m", "m"),
    ("depth", "depth_m", "m"),
    ("battery", "battery_percent", "%"),
    ("link", "link_percent", "%"),
)


_ANSWERS_SHOWN: Final = 100
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
            source = None if track is None else source_line(console, track)
            mark = [
                str(track_id),
                str(alert_id),
                console.alerts_revision,
                console.incidents_revision,
                None if source is None else source.state,
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
        silence, next_us = console.silence_of(alert), console.next_call_at_us(alert)
        return [
            _head(language, told.title, kind=told.severity, severity=alert.severity.word, position=alert.position),
            _acts(console, alert, told, language),
            _facts(
                language,
                ("triage.subject", told.subject),
                ("drawer.because", told.because),
                ("drawer.area", told.area),
                ("drawer.place", told.place),
                ("drawer.position", None if alert.track_id else _place(alert.position, language)),
                ("drawer.opened", jst(alert.opened_at_us)),
                ("drawer.acknowledged", done),
                ("drawer.held", alert.assigned_to),
                ("drawer.escalated", _escalation(alert, language)),
                ("drawer.called", _called(alert, language)),
                ("drawer.next_call", next_us and jst(next_us)),
                ("drawer.silenced", silence and f"{jst(silence.expires_at_us)} {silence.reason}"),
                ("drawer.evidence", text(language, "drawer.evidence_count", n=len(alert.evidence))),
                ("drawer.revision", str(alert.revision)),
            ),
            *await _responses(console, alert, language),
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
        ours = console.picture.is_ours(track)
        kind = text(language, f"kind.{track.kind.name.lower()}")
        return [
            _head(
                language,
                console.picture.label(track, language),
                kind=text(language, "drawer.asset_kind", kind=kind) if ours else kind,
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
            *(freshness_of_source(console, track, language) if ours else []),
            _facts(
                language,
                *(asset_facts(console, track) if ours else ()),
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
            *await self._history(console, track_id, language, ours=ours),
            html.H3(text(language, "drawer.alerts")),
            _alerts(console, console.alerts_of(track_id), language),
            *_incidents(console, track_id, language),
        ]

    async def _history(self, console: Console, track_id: uuid.UUID, language: str, *, ours: bool) -> list[Component]:
        """The speed over the last hours; of an asset its battery and its link as well, where it tells them."""
        to_us = console.clock.now_us()
        from_us = to_us - int(self._config.history_hours * 3_600 * US_PER_S)
        try:
            states = await asyncio.to_thread(
                console.history, track_id, from_us=from_us, to_us=to_us, limit=self._config.history_points
            )
        except StoreUnavailable:
            return [html.P(text(language, "drawer.history_away"), className="empty")]
        charts = [_chart(states, "speed_mps", language, to_us=to_us)]
        if ours:
            charts += [_chart(states, name, language, to_us=to_us) for name in ("battery_percent", "link_percent")]
        shown = [part for chart in charts for part in chart]
        return shown or [html.P(text(language, "drawer.history_none"), className="empty")]


_CHARTED: Final = {
    "speed_mps": ("history", "kn", 5.0, 1.0 / MPS_PER_KNOT),
    "battery_percent": ("battery_history", "%", 100.0, 1.0),
    "link_percent": ("link_history", "%", 100.0, 1.0),
}
"""Of each measure: its texts drawer.<name> and drawer.<name>_alt, its unit, what the top of its chart is a multiple of,
and its factor."""


def _chart(states: npt.NDArray[np.void], measure: str, language: str, *, to_us: int) -> Sequence[Component]:
    """A title and a chart; nothing where fewer than two values are known."""
    name, unit, step, factor = _CHARTED[measure]
    values = states[measure] * factor
    known = np.isfinite(values)
    if np.count_nonzero(known) < 2:
        return []
    values, times = values[known], states["observed_at_us"][known]
    alt = text(
        language,
        f"drawer.{name}_alt",
        low=f"{values.min():.1f}",
        high=f"{values.max():.1f}",
        last=f"{values[-1]:.1f}",
        count=len(values),
    )
    chart = line_chart(
        times,
        values,
        top=round_top(values, step=step),
        unit=unit,
        from_us=min(int(times[0]), to_us - LEAST_CHART_US),
        to_us=to_us,
    )
    return [html.H3(text(language, f"drawer.{name}")), html.Img(src=chart, alt=alt, className="history")]


def _acts(console: Console, alert: Alert, told: Explained, language: str) -> Component:
    """What can be done to this alert, whichever are chosen in the list."""
    person = console.hand_of(current_person(), alert)
    buttons = act_buttons(person, language)
    more = ["withdraw"] if alert.escalated_at_us is not None and person.may(Permission.ESCALATE_ALERTS) else []
    if console.response_desk.teams and person.may(Permission.RESPOND):
        more.append("respond")
    for act in (*more, "evidence"):
        buttons.append(html.Button(text(language, f"triage.act.{act}"), type="button", **marks(data_act=act)))
    handled = console.incident_of(alert.alert_id) if person.may(Permission.READ_INCIDENTS) else None
    facts = alert_facts(alert, told, silenced=console.silence_of(alert) is not None, handled=handled)
    acts: Component = html.Div(
        buttons,
        id="alert-acts",
        className="steps",
        role="group",
        **marks(aria_label=text(language, "drawer.acts"), data_about=str(alert.alert_id), **facts),
    )
    return acts


async def _responses(console: Console, alert: Alert, language: str) -> list[Component]:
    """Where each team stands, and under it all that was answered; nothing in a realm without teams."""
    if not console.response_desk.teams and not alert.responses:
        return []
    parts: list[Component] = [html.H3(text(language, "drawer.responses"))]
    if not alert.responses:
        return [*parts, html.P(text(language, "drawer.responses_none"), className="empty")]
    parts.append(
        html.Ul(
            [
                html.Li(
                    [
                        html.Strong(each.team),
                        html.Span(text(language, f"response.state.{each.state.value}"), className="state"),
                        html.Span(_answer(each.answered_at_us, each.responder, each.comment, language)),
                    ],
                    className=f"stands-{each.state.value}",
                )
                for each in alert.responses
            ],
            className="responses",
        )
    )
    try:
        listed = await asyncio.to_thread(console.response_desk.listed, alert.alert_id)
    except StoreUnavailable:
        return [*parts, html.P(text(language, "drawer.responses_away"), className="empty")]
    rows = [
        html.Li(
            [
                html.Strong(f"{kept.response.team} {text(language, f'response.kind.{kept.response.kind.value}')}"),
                html.Span(
                    _answer(kept.response.answered_at_us, kept.response.responder, kept.response.comment, language)
                ),
                html.Span(
                    text(
                        language,
                        "drawer.response_way",
                        channel=text(language, f"response.channel.{kept.channel.value}"),
                        sender=kept.sender,
                    ),
                    className="way",
                ),
            ]
        )
        for kept in listed[:_ANSWERS_SHOWN]
    ]
    summary = html.Summary(text(language, "drawer.responses_all", n=len(listed)))
    return [*parts, html.Details([summary, html.Ul(rows, className="responses")], className="answers")]


def _answer(at_us: int, who: str, words: str, language: str) -> str:
    return text(language, "drawer.response_line", time=jst_clock(at_us), who=who, words=words).removesuffix(": ")


def _escalation(alert: Alert, language: str) -> str | None:
    if alert.escalated_at_us is None or alert.rule_severity is None:
        return None
    said = text(language, "triage.said", words=alert.escalation_reason or "")
    steps = dict.fromkeys(severity_word(each, language) for each in (alert.rule_severity, alert.severity))
    return f"{jst_clock(alert.escalated_at_us)} {alert.escalated_by} {' → '.join(steps)} {said}"


def _called(alert: Alert, language: str) -> str | None:
    call = alert.call
    if call is None:
        return None
    who = callee_words(call, language)
    return text(language, "drawer.called_is", time=jst_clock(call.at_us), who=who, n=call.step)


def _affiliation(facts: Mapping[str, Any], language: str) -> str | None:
    given = facts.get("affiliation")
    return None if given is None else text(language, f"affiliation.{given}")


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
        dms(position), type="button", className="where", title=text(language, "drawer.switch_coordinates"), **where
    )


def _incidents(console: Console, track_id: uuid.UUID, language: str) -> list[Component]:
    """The open incidents that are about this track, each a way to it; nothing for who may not read incidents."""
    if not current_person().may(Permission.READ_INCIDENTS):
        return []
    about = [incident for incident in console.incidents if track_id in incident.cited.tracks]
    if not about:
        return []
    rows = [
        html.Li(
            html.Button(
                [
                    html.Span(className=f"shape shape-{incident.severity.word}", **marks(aria_hidden="true")),
                    html.Strong(f"{incident.number} {incident.title}"),
                    html.Span(text(language, f"incident.state.{incident.state.value}")),
                ],
                id=f"of-track-{incident.incident_id}",
                type="button",
                className=f"sev-{incident.severity.word}",
                **marks(data_goto=str(incident.incident_id)),
            )
        )
        for incident in about
    ]
    return [html.H3(text(language, "drawer.incidents")), html.Ul(rows, className="near")]


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
