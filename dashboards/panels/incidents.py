"""Incidents: the open ones in the list beside the alerts, and the forms that open, edit, merge and link."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component
from pydantic import Field

from command.domain.clock import US_PER_S
from command.domain.incident import Incident, IncidentType
from command.domain.incident_acts import PLACE_LIMIT, REASON_LIMIT, TITLE_LIMIT
from command.i18n import text
from command.operations.access import needs
from command.operations.console import Console
from command.operations.incidents import IncidentFilter
from command.operations.people import Permission, StoreUnavailable, current_language
from dashboards.marks import key_hint, marks
from dashboards.panel import PanelConfig, Place, View
from dashboards.plain_input import plain_input
from dashboards.triage_facets import SEVERITIES
from dashboards.words import age

LOGIN_LIMIT = 256


class IncidentsConfig(PanelConfig):
    """rows: how many incidents the list holds at once, the newest."""

    rows: int = Field(default=150, ge=10, le=300)


class Incidents:
    """A listbox like the alerts' one. Open ones come from memory; closed ones are read where the officer asks."""

    Config: ClassVar[type[PanelConfig]] = IncidentsConfig
    place: ClassVar[Place] = Place.LEFT
    tab: ClassVar[str] = "incidents"
    needs: ClassVar[Permission] = Permission.READ_INCIDENTS

    def __init__(self, config: IncidentsConfig) -> None:
        self._rows = config.rows

    def layout(self, view: View) -> Component:
        rows, note, summary, count = self._shown(view.console, view.console.incidents, view.language)
        new = html.Button([view.t("incident.desk.new"), key_hint("open_incident")], id="incident-new", type="button")
        return html.Section(
            className="incidents",
            **marks(aria_label=view.t("incident.desk.list")),
            children=[
                html.Div(
                    className="panel-head",
                    children=[
                        html.Span(summary, id="incident-summary", className="summary"),
                        *([new] if view.person.may(Permission.MANAGE_INCIDENTS) else []),
                        html.Button(
                            view.t("incident.desk.all"),
                            id="incident-all",
                            type="button",
                            **marks(aria_pressed="false"),
                        ),
                    ],
                ),
                html.Div(
                    rows,
                    id="incident-list",
                    className="alerts",
                    role="listbox",
                    tabIndex=0,
                    **marks(aria_label=view.t("incident.desk.list")),
                ),
                html.Div(note, id="incident-note"),
                html.Div(count, id="incident-count", hidden=True),
                dcc.Store(id="incident-scope", data="open"),
            ],
        )

    def under(self, view: View) -> list[Component]:
        """The forms: an incident is opened from the alerts' list as well."""
        return [_form(view), _choose_form(view)]

    def connect(self, app: Dash, console: Console) -> None:
        @app.callback(
            Output("incident-list", "children"),
            Output("incident-note", "children"),
            Output("incident-summary", "children"),
            Output("incident-count", "children"),
            Input("incidents-revision", "data"),
            Input("incident-scope", "data"),
            prevent_initial_call=True,  # the page comes with the list; the pulse tells of what is newer
        )
        @needs(Permission.READ_INCIDENTS)
        async def show(_: int | str | None, scope: str) -> tuple[Any, ...]:
            language, found = current_language(), console.incidents
            if scope == "all":
                try:
                    found = tuple(await asyncio.to_thread(console.desk.find, IncidentFilter(), limit=self._rows))
                except StoreUnavailable:
                    away = html.Div(html.P(text(language, "incident.desk.none_read")), className="empty")
                    return [], away, "", str(len(console.incidents))
            return self._shown(console, found, language)

    def _shown(self, console: Console, incidents: Sequence[Incident], language: str) -> tuple[Any, ...]:
        """The list, the note under it, the summary, and how many are open."""
        opened = len(console.incidents)
        note = None
        if not incidents:
            note = html.Div(
                [
                    html.Strong(text(language, "incident.desk.none")),
                    html.P(text(language, "incident.desk.none_next")),
                ],
                className="empty",
            )
        return (
            [_row(console, incident, language) for incident in incidents[: self._rows]],
            note,
            text(language, "incident.desk.count", n=opened),
            str(opened),
        )


def _row(console: Console, incident: Incident, language: str) -> Component:
    position, word = incident.position, incident.severity.word
    owner = text(language, "incident.desk.no_owner")
    if incident.owner is not None:
        owner = text(language, "incident.desk.owner", who=incident.owner)
    facts = [html.Span(owner)]
    if incident.open_tasks and incident.is_open:
        facts.append(html.Span(text(language, "incident.desk.tasks", n=incident.open_tasks), className="todo"))
    return html.Div(
        key=str(incident.incident_id),
        id=f"incident-{incident.incident_id}",
        role="option",
        className=f"alert incident sev-{word} {'waiting' if incident.is_open else 'seen'}",
        **marks(
            aria_selected="false",
            data_incident=str(incident.incident_id),
            data_number=incident.number,
            data_title=incident.title,
            data_open=str(incident.is_open).lower(),
            data_lon="" if position is None else str(position.lon),
            data_lat="" if position is None else str(position.lat),
        ),
        children=[
            html.Div(
                className="alert-top",
                children=[
                    html.Span(
                        [
                            html.Span(className=f"shape shape-{word}", **marks(aria_hidden="true")),
                            text(language, f"severity.{word}"),
                        ],
                        className="sev",
                    ),
                    html.Strong(incident.number, className="rule"),
                    html.Span(text(language, f"incident.state.{incident.state.value}"), className="badge"),
                    html.Span(
                        age(language, (console.clock.now_us() - incident.opened_at_us) / US_PER_S),
                        className="age",
                        **marks(data_age_of=str(incident.opened_at_us // 1_000)),
                    ),
                ],
            ),
            html.Div(incident.title, className="subject"),
            html.Div(
                " / ".join(
                    (
                        text(language, f"incident.type.{incident.type.value}"),
                        incident.place or console.place(incident, language),
                    )
                ),
                className="place",
            ),
            html.Div(facts, className="state facts-line"),
        ],
    )


def _form(view: View) -> Component:
    """Opens an incident, or edits one: the page's script fills it."""
    return html.Form(
        id="incident-form",
        className="ack",
        hidden=True,
        **marks(aria_labelledby="incident-form-title"),
        children=[
            html.P(id="incident-form-title", className="ack-what"),
            html.P(id="incident-form-from", className="help"),
            html.Label(view.t("incident.type"), htmlFor="incident-type"),
            html.Select(
                [html.Option(view.t(f"incident.type.{kind.value}"), value=kind.value) for kind in IncidentType],
                id="incident-type",
            ),
            html.Label(view.t("incident.title"), htmlFor="incident-title"),
            plain_input("incident-title", limit=TITLE_LIMIT, needed=True),
            html.Label(view.t("incident.severity"), htmlFor="incident-severity"),
            html.Select(
                [html.Option(view.t(f"severity.{s.word}"), value=s.word) for s in SEVERITIES], id="incident-severity"
            ),
            html.Label(view.t("incident.place"), htmlFor="incident-place"),
            plain_input("incident-place", limit=PLACE_LIMIT),
            html.Label(view.t("incident.owner"), htmlFor="incident-owner"),
            plain_input("incident-owner", limit=LOGIN_LIMIT),
            html.P(view.t("incident.desk.form_help"), className="help"),
            html.P(id="incident-form-error", className="error", role="alert", hidden=True),
            _buttons(view, "incident-form", view.t("incident.desk.open_it")),
        ],
    )


def _choose_form(view: View) -> Component:
    """Chooses the incident that another is merged into, or that an alert is linked to."""
    return html.Form(
        id="incident-choose",
        className="ack",
        hidden=True,
        **marks(aria_labelledby="incident-choose-title"),
        children=[
            html.P(id="incident-choose-title", className="ack-what"),
            html.Label(id="incident-choose-label", htmlFor="incident-choice"),
            html.Select([], id="incident-choice"),
            html.Div(
                [
                    html.Label(view.t("incident.desk.reason_needed"), htmlFor="incident-choose-reason"),
                    plain_input("incident-choose-reason", limit=REASON_LIMIT, needed=True),
                ],
                id="incident-choose-why",
            ),
            html.P(view.t("incident.desk.form_help"), className="help"),
            html.P(id="incident-choose-error", className="error", role="alert", hidden=True),
            _buttons(view, "incident-choose", view.t("incident.desk.send")),
        ],
    )


def _buttons(view: View, form: str, send: str) -> Component:
    return html.Div(
        [
            html.Button(send, id=f"{form}-send", type="submit", className="go"),
            html.Button(view.t("incident.desk.cancel"), type="button", **marks(data_close=form)),
        ],
        className="buttons",
    )
