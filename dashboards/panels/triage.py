"""Triage: every alert that needs a person, worst first, read and acted on without leaving the keyboard."""

from __future__ import annotations

from typing import Any, ClassVar

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component
from pydantic import Field

from command.domain.alert import Alert
from command.domain.clock import US_PER_S
from command.i18n import text
from command.operations.access import needs
from command.operations.console import Console
from command.operations.people import Permission, current_language, current_person
from command.operations.roster import callee_words
from command.operations.triage_view import Arranged, Group, Grouping, TriageView
from dashboards.alert_facts import alert_facts
from dashboards.marks import marks
from dashboards.panel import PanelConfig, Place, View
from dashboards.triage_facets import facet_panel, filtered_note, grouping_switch, severity_chips
from dashboards.triage_forms import act_forms, bulk_bar
from dashboards.words import age, jst_clock, shape


class TriageConfig(PanelConfig):
    """rows: how many alerts the list holds at once; the rest is counted, and found by filtering and folding."""

    rows: int = Field(default=150, ge=10, le=500)


class Triage:
    """A listbox for several: the focus stays on it, the current alert is named by aria-activedescendant, and those that
    an act is about are selected (assets/triage.js). What an officer chose to see comes from their browser.
    """

    Config: ClassVar[type[PanelConfig]] = TriageConfig
    place: ClassVar[Place] = Place.LEFT
    tab: ClassVar[str] = "alerts"
    needs: ClassVar[Permission] = Permission.WATCH

    def __init__(self, config: TriageConfig) -> None:
        self._rows = config.rows

    def layout(self, view: View) -> Component:
        rows, note, chips, summary, facets, filtered, quiet = self._shown(view.console, TriageView(), view.language)
        return html.Section(
            className="triage",
            **marks(aria_labelledby="triage-title"),
            children=[
                html.Div(
                    className="panel-head",
                    children=[
                        html.H2(view.t("triage.title"), id="triage-title", className="unseen"),
                        html.Span(summary, id="triage-summary", className="summary"),
                        html.Button(quiet, id="silences-open", type="button", title=view.t("silence.list")),
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
                html.Div(
                    className="sieve",
                    children=[
                        html.Details(
                            id="triage-filters",
                            className="facets",
                            children=[
                                html.Summary(view.t("triage.filters")),
                                html.Div(facets, id="triage-facets"),
                            ],
                        ),
                        grouping_switch(view),
                    ],
                ),
                html.Div(filtered, id="triage-filtered"),
                html.Div(
                    html.Button(id="new-above", className="new-above", type="button", hidden=True), className="above"
                ),
                html.Div(
                    rows,
                    id="alert-list",
                    className="alerts",
                    role="listbox",
                    tabIndex=0,
                    **marks(aria_labelledby="triage-title", aria_multiselectable="true"),
                ),
                html.Div(note, id="alert-note"),
                bulk_bar(view),
                *act_forms(view),
                dcc.Store(id="triage-view", data={}),
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
            Output("triage-facets", "children"),
            Output("triage-filtered", "children"),
            Output("silences-open", "children"),
            Input("alerts-revision", "data"),
            Input("triage-view", "data"),
            prevent_initial_call=True,  # the page comes with the list; the pulse tells of what is newer
        )
        @needs(Permission.WATCH)
        async def show(_: int | None, chosen: object) -> tuple[Any, ...]:
            return self._shown(console, TriageView.from_json(chosen), current_language())

    def _shown(self, console: Console, view: TriageView, language: str) -> tuple[Any, ...]:
        """The list, the note under it, the filters with what they let pass, the summary, and what is quiet."""
        found = console.arranged(view, login=current_person().user.login)
        alerts = console.open_alerts()
        waiting = sum(a.acknowledged_at_us is None for a in alerts)
        in_force = [each for each in console.silences if each.in_force(console.clock.now_us())]
        quiet = text(language, "silence.button", n=len(in_force)) if in_force else text(language, "silence.none")
        return (
            self._list(console, found, view.grouping, language),
            self._note(console, found, language),
            severity_chips(found, view, language),
            html.Span(
                text(language, "triage.unacknowledged", n=waiting) if alerts else "",
                **marks(data_count=str(waiting)),
            ),
            facet_panel(console, found, view, language),
            filtered_note(found, view, language),
            html.Span(quiet, **marks(data_quiet=str(len(in_force)))),
        )

    def _list(self, console: Console, found: Arranged, grouping: Grouping, language: str) -> list[Component]:
        rows: list[Component] = []
        left = self._rows
        for group in found.groups:
            if left <= 0:
                break
            rows.append(_head(console, group, grouping, language))
            if not group.folded:
                rows += [_row(console, alert, group.key, language) for alert in group.alerts[:left]]
                left -= len(group.alerts)
        return rows

    def _note(self, console: Console, found: Arranged, language: str) -> Component | None:
        if not found.total:
            return html.Div(
                [html.Strong(text(language, "triage.none")), html.P(text(language, "triage.none_next"))],
                className="empty",
            )
        if not found.passed:
            return html.Div(html.P(text(language, "triage.none_filtered")), className="empty")
        open_rows = sum(len(group.alerts) for group in found.groups if not group.folded)
        more = max(0, open_rows - self._rows) + console.alerts_beyond
        return html.P(text(language, "triage.more", n=more), className="more") if more > 0 else None


def _head(console: Console, group: Group, grouping: Grouping, language: str) -> Component:
    """The line above a group. A folded one can be gone to and opened with the keyboard, so it is an option itself."""
    count = len(group.alerts)
    words = [
        shape(group.worst),
        html.Span(_group_name(console, group, grouping, language), className="name"),
        html.Span(text(language, "triage.group_waiting", n=group.waiting), className="todo") if group.waiting else None,
        html.Span(str(count), className="count"),
    ]
    attributes = marks(data_group=group.key, data_folded=str(group.folded).lower())
    if group.folded:
        words.append(html.Span(text(language, "triage.folded"), className="unseen"))
        attributes |= marks(aria_selected="false")
    return html.Div(
        [each for each in words if each is not None],
        key=f"group-{group.key}",
        id=f"group-{group.key}",
        className=f"group sev-{group.worst.word}{' folded' if group.folded else ''}",
        role="option" if group.folded else "presentation",
        title=text(language, "triage.unfold" if group.folded else "triage.fold"),
        **attributes,
    )


def _group_name(console: Console, group: Group, grouping: Grouping, language: str) -> str:
    told = console.explained(group.alerts[0], language)
    match grouping:
        case Grouping.SEVERITY:
            return told.severity
        case Grouping.RULE:
            return told.title
        case Grouping.PLACE:
            return console.place_name(group.key, language)
        case Grouping.SUBJECT:
            return told.subject


def _row(console: Console, alert: Alert, group: str, language: str) -> Component:
    told = console.explained(alert, language)
    person = current_person()
    handled = console.incident_of(alert.alert_id) if person.may(Permission.READ_INCIDENTS) else None
    silence = console.silence_of(alert)
    state = []
    if alert.acknowledged_at_us is not None:
        when = jst_clock(alert.acknowledged_at_us)
        state.append(text(language, "triage.acknowledged_by", time=when, who=alert.acknowledged_by or ""))
    if alert.comment:
        state.append(text(language, "triage.said", words=alert.comment))
    if alert.cleared_at_us is not None:
        state.append(text(language, "triage.cleared_at", time=jst_clock(alert.cleared_at_us)))
    if handled is not None:
        state.append(text(language, "triage.incident", number=handled.number))
    if console.hand_of(person, alert) is not person:
        state.append(text(language, "scope.mark"))
    flags = []
    if alert.escalated_at_us is not None:
        by = text(language, "triage.escalated_by", time=jst_clock(alert.escalated_at_us), who=alert.escalated_by or "")
        said = text(language, "triage.said", words=alert.escalation_reason or "")
        flags.append(html.Div(f"{by} {said}", className="flag raised"))
    if alert.call is not None and alert.acknowledged_at_us is None and alert.cleared_at_us is None:
        who = callee_words(alert.call, language)
        told_at = text(language, "triage.called", time=jst_clock(alert.call.at_us)[:5], who=who, n=alert.call.step)
        flags.append(html.Div(told_at, className="flag called"))
    if silence is not None:
        until = text(language, "triage.silenced_until", time=jst_clock(silence.expires_at_us)[:5])
        flags.append(html.Div(until, className="flag quiet"))
    for each in alert.responses:
        stands = text(
            language,
            "triage.respond_flag",
            team=each.team,
            state=text(language, f"response.state.{each.state.value}"),
            time=jst_clock(each.answered_at_us)[:5],
        )
        flags.append(html.Div(stands, className=f"flag stands-{each.state.value}"))
    if alert.assigned_to is not None:
        mine = alert.assigned_to == person.user.login
        held = text(language, "triage.held_by_me" if mine else "triage.held_by", who=alert.assigned_to)
        flags.append(html.Div(held, className=f"flag held{' mine' if mine else ''}"))
    waiting = alert.acknowledged_at_us is None
    return html.Div(
        key=str(alert.alert_id),
        id=f"alert-{alert.alert_id}",
        role="option",
        className=f"alert sev-{alert.severity.word} {'waiting' if waiting else 'seen'}"
        f"{' cleared' if alert.cleared_at_us is not None else ''}{' silenced' if silence is not None else ''}",
        **marks(
            aria_selected="false",
            data_alert=str(alert.alert_id),
            data_of=group,
            **alert_facts(alert, told, silenced=silence is not None, handled=handled),
        ),
        children=[
            html.Div(
                className="alert-top",
                children=[
                    html.Span(className="tick", **marks(aria_hidden="true", data_tick="")),
                    html.Span([shape(alert.severity), told.severity], className="sev"),
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
            *flags,
            *([html.Div(" ".join(state), className="state")] if state else []),
        ],
    )


def _sound(view: View) -> Component:
    """What assets/alarm.js says of its sound, with its settings behind it."""
    return html.Details(
        className="sound",
        children=[
            html.Summary(html.Span(id="sound-state"), title=view.t("alarm.settings")),
            html.Div(id="sound-settings"),
        ],
    )
