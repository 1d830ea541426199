"""Triage: every alert that needs a person, worst first, read and acknowledged without leaving the keyboard."""

from __future__ import annotations

from collections import Counter
from typing import Any, ClassVar, Final

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component
from pydantic import Field

from command.domain.alert import Alert, Severity
from command.domain.clock import US_PER_S
from command.i18n import text
from command.operations.access import needs
from command.operations.console import Console
from command.operations.incidents import suggested_type
from command.operations.people import Permission, current_language, current_person
from command.operations.triage import COMMENT_LIMIT
from dashboards.marks import marks
from dashboards.panel import PanelConfig, Place, View
from dashboards.plain_input import plain_input
from dashboards.words import age, jst_clock

SEVERITIES: Final = tuple(sorted(Severity, reverse=True))


class TriageConfig(PanelConfig):
    """rows: how many alerts the list holds at once; the rest is counted and found by filtering."""

    rows: int = Field(default=150, ge=10, le=500)


class Triage:
    """The list is a listbox: the focus stays on it, the selected alert is named by aria-activedescendant."""

    Config: ClassVar[type[PanelConfig]] = TriageConfig
    place: ClassVar[Place] = Place.LEFT
    tab: ClassVar[str] = "alerts"
    needs: ClassVar[Permission] = Permission.WATCH

    def __init__(self, config: TriageConfig) -> None:
        self._rows = config.rows

    def layout(self, view: View) -> Component:
        rows, note, chips, summary = self._shown(view.console, [], view.language)
        return html.Section(
            className="triage",
            **marks(aria_labelledby="triage-title"),
            children=[
                html.Div(
                    className="panel-head",
                    children=[
                        html.H2(view.t("triage.title"), id="triage-title", className="unseen"),
                        html.Span(summary, id="triage-summary", className="summary"),
                        _sound(view),
                        html.Button(
                            view.t("triage.compact"),
                            id="density",
                            type="button",
                            title=view.t("triage.density"),
                            **marks(aria_pressed="false"),
                        ),
                    ],
                ),
                html.Div(
                    chips,
                    id="severity-chips",
                    className="chips",
                    role="group",
                    **marks(aria_label=view.t("triage.filter")),
                ),
                html.Button(id="new-above", className="new-above", type="button", hidden=True),
                html.Div(
                    rows,
                    id="alert-list",
                    className="alerts",
                    role="listbox",
                    tabIndex=0,
                    **marks(aria_labelledby="triage-title"),
                ),
                html.Div(note, id="alert-note"),
                _acknowledge_form(view),
                dcc.Store(id="severity-filter", data=[]),
            ],
        )

    def under(self, view: View) -> list[Component]:
        return []

    def connect(self, app: Dash, console: Console) -> None:
        @app.callback(
            Output("alert-list", "children"),
            Output("alert-note", "children"),
            Output("severity-chips", "children"),
            Output("triage-summary", "children"),
            Input("alerts-revision", "data"),
            Input("severity-filter", "data"),
            prevent_initial_call=True,  # the page comes with the list; the pulse tells of what is newer
        )
        @needs(Permission.WATCH)
        async def show(_: int | None, chosen: list[str]) -> tuple[Any, ...]:
            return self._shown(console, chosen, current_language())

    def _shown(self, console: Console, chosen: list[str], language: str) -> tuple[Any, ...]:
        """The list, the note under it, the filter chips and the summary."""
        alerts = console.open_alerts()
        wanted = [a for a in alerts if not chosen or a.severity.word in chosen]
        waiting = sum(a.acknowledged_at_us is None for a in alerts)
        return (
            self._list(console, wanted[: self._rows], language),
            self._note(alerts, wanted, language),
            _chips(alerts, chosen, language),
            html.Span(
                text(language, "triage.unacknowledged", n=waiting) if alerts else "",
                **marks(data_count=str(waiting)),
            ),
        )

    def _list(self, console: Console, alerts: list[Alert], language: str) -> list[Component]:
        rows: list[Component] = []
        counts = Counter(a.severity for a in alerts)
        group: Severity | None = None
        for alert in alerts:
            if alert.severity is not group:
                group = alert.severity
                rows.append(
                    html.Div(
                        [_shape(group), text(language, f"severity.{group.word}"), html.Span(counts[group])],
                        className=f"group sev-{group.word}",
                        role="presentation",
                        key=f"group-{group.word}",
                    )
                )
            rows.append(_row(console, alert, language))
        return rows

    def _note(self, alerts: list[Alert], wanted: list[Alert], language: str) -> Component | None:
        if not alerts:
            return html.Div(
                [html.Strong(text(language, "triage.none")), html.P(text(language, "triage.none_next"))],
                className="empty",
            )
        if not wanted:
            return html.Div(html.P(text(language, "triage.none_filtered")), className="empty")
        more = len(wanted) - self._rows
        return html.P(text(language, "triage.more", n=more), className="more") if more > 0 else None


def _row(console: Console, alert: Alert, language: str) -> Component:
    told = console.explained(alert, language)
    position = alert.position
    state = []
    if alert.acknowledged_at_us is not None:
        when = jst_clock(alert.acknowledged_at_us)
        state.append(text(language, "triage.acknowledged_by", time=when, who=alert.acknowledged_by or ""))
    if alert.comment:
        state.append(f"「{alert.comment}」" if language == "ja" else f"“{alert.comment}”")
    if alert.cleared_at_us is not None:
        state.append(text(language, "triage.cleared_at", time=jst_clock(alert.cleared_at_us)))
    handled = console.incident_of(alert.alert_id) if current_person().may(Permission.READ_INCIDENTS) else None
    if handled is not None:
        state.append(text(language, "triage.incident", number=handled.number))
    if console.hand_of(current_person(), alert) is not current_person():
        state.append(text(language, "scope.mark"))
    waiting = alert.acknowledged_at_us is None
    return html.Div(
        key=str(alert.alert_id),
        id=f"alert-{alert.alert_id}",
        role="option",
        className=f"alert sev-{alert.severity.word} {'waiting' if waiting else 'seen'}"
        f"{' cleared' if alert.cleared_at_us is not None else ''}",
        **marks(
            aria_selected="false",
            data_alert=str(alert.alert_id),
            data_track=str(alert.track_id or ""),
            data_lon="" if position is None else str(position.lon),
            data_lat="" if position is None else str(position.lat),
            data_severity=alert.severity.word,
            data_waiting=str(waiting).lower(),
            data_what=f"{told.title} {told.subject}",
            data_type=suggested_type(alert).value,
            data_incident="" if handled is None else str(handled.incident_id),
        ),
        children=[
            html.Div(
                className="alert-top",
                children=[
                    html.Span([_shape(alert.severity), told.severity], className="sev"),
                    html.Strong(told.title, className="rule"),
                    html.Time(jst_clock(alert.opened_at_us)),
                    html.Span(
                        age(language, (console.clock.now_us() - alert.opened_at_us) / US_PER_S),
                        className="age",
                        **marks(data_age_of=str(alert.opened_at_us // 1_000)),
                    ),
                ],
            ),
            html.Div(told.subject, className="subject"),
            html.Div(told.because, className="because"),
            html.Div(" / ".join(filter(None, (told.area, told.place))), className="place"),
            *([html.Div(" ".join(state), className="state")] if state else []),
        ],
    )


def _shape(severity: Severity) -> Component:
    return html.Span(className=f"shape shape-{severity.word}", **marks(aria_hidden="true"))


def _chips(alerts: list[Alert], chosen: list[str], language: str) -> list[Component]:
    counts = Counter(a.severity for a in alerts)
    return [
        html.Button(
            [_shape(s), text(language, f"severity.{s.word}"), html.Span(counts[s], className="count")],
            type="button",
            className=f"chip sev-{s.word}",
            title=f"{text(language, 'triage.filter')} ({5 - s})",
            **marks(data_chip=s.word, aria_pressed=str(s.word in chosen).lower()),
        )
        for s in SEVERITIES
    ]


def _sound(view: View) -> Component:
    """What assets/alarm.js says of its sound, with its settings behind it."""
    return html.Details(
        className="sound",
        children=[
            html.Summary(html.Span(id="sound-state"), title=view.t("alarm.settings")),
            html.Div(id="sound-settings"),
        ],
    )


def _acknowledge_form(view: View) -> Component:
    return html.Form(
        id="ack-form",
        className="ack",
        hidden=True,
        **marks(aria_labelledby="ack-what"),
        children=[
            html.P(id="ack-what", className="ack-what"),
            html.Label(view.t("triage.comment"), htmlFor="ack-comment"),
            plain_input("ack-comment", limit=COMMENT_LIMIT),
            html.P(view.t("triage.comment_help"), className="help"),
            html.P(id="ack-error", className="error", role="alert", hidden=True),
            html.Div(
                [
                    html.Button(view.t("triage.send"), id="ack-send", type="submit", className="go"),
                    html.Button(view.t("triage.cancel"), id="ack-cancel", type="button"),
                ],
                className="buttons",
            ),
        ],
    )
