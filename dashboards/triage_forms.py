"""What officers fill in to act on alerts, and the bar that shows how many they chose. assets/triage.js opens them."""

from __future__ import annotations

from typing import Final

from dash import html
from dash.development.base_component import Component

from command.domain.alert_acts import COMMENT_LIMIT, REASON_LIMIT
from command.domain.response import COMMENT_LIMIT as RESPONSE_LIMIT
from command.domain.response import RESPONDER_LIMIT, ResponseKind
from command.i18n import text
from command.operations.people import Permission, Person
from dashboards.marks import marks
from dashboards.panel import View
from dashboards.plain_input import plain_input

MINUTES: Final = (30, 60, 120, 240, 480)
"""How long a silence can be begun for here."""
MATCHED: Final = ("rule", "subject", "area")

ACTS: Final = (
    ("acknowledge", Permission.ACKNOWLEDGE),
    ("assign", Permission.ASSIGN_ALERTS),
    ("escalate", Permission.ESCALATE_ALERTS),
    ("silence", Permission.SILENCE_ALERTS),
    ("open_incident", Permission.MANAGE_INCIDENTS),
)
"""What can be done to alerts, and who may."""


def act_buttons(person: Person, language: str) -> list[Component]:
    """A button for each act that the reader may do."""
    return [
        html.Button(text(language, f"triage.act.{act}"), type="button", **marks(data_act=act))
        for act, permission in ACTS
        if person.may(permission)
    ]


def bulk_bar(view: View) -> Component:
    """Stands under the list while several alerts are chosen."""
    bar: Component = html.Div(
        id="bulk",
        className="bulk",
        hidden=True,
        role="toolbar",
        **marks(aria_label=view.t("triage.bulk")),
        children=[
            html.Div(
                [
                    html.Strong(id="bulk-count", role="status"),
                    html.Button(view.t("triage.choose_all"), id="bulk-all", type="button"),
                    html.Button(view.t("triage.choose_none"), id="bulk-none", type="button"),
                ],
                className="bulk-head",
            ),
            html.Div(act_buttons(view.person, view.language), className="bulk-acts"),
        ],
    )
    return bar


def act_forms(view: View) -> list[Component]:
    """One a kind of act, and the place of what was not done."""
    return [
        _form(
            view,
            "ack-form",
            [
                html.Label(view.t("triage.comment"), htmlFor="ack-comment"),
                plain_input("ack-comment", limit=COMMENT_LIMIT),
            ],
            send="triage.send",
        ),
        _form(
            view,
            "assign-form",
            [
                html.Label(view.t("triage.assign_to"), htmlFor="assign-to"),
                html.Select([], id="assign-to"),
                html.Div(
                    html.Label([_box("assign-over"), html.Span(id="assign-over-words")], className="box"),
                    id="assign-over-line",
                ),
            ],
            send="triage.act.assign",
        ),
        _form(
            view,
            "escalate-form",
            [
                html.P(view.t("triage.escalate_help"), className="help"),
                html.Label(view.t("triage.reason"), htmlFor="escalate-reason"),
                plain_input("escalate-reason", limit=REASON_LIMIT, needed=True),
            ],
            send="triage.act.escalate",
        ),
        _form(
            view,
            "withdraw-form",
            [
                html.P(view.t("triage.withdraw_help"), className="help"),
                html.Label(view.t("triage.reason"), htmlFor="withdraw-reason"),
                plain_input("withdraw-reason", limit=REASON_LIMIT, needed=True),
            ],
            send="triage.act.withdraw",
        ),
        _form(
            view,
            "silence-form",
            [
                html.Fieldset(
                    [
                        html.Legend(view.t("silence.of")),
                        *(
                            html.Label(
                                [_box(f"silence-{name}"), html.Span(id=f"silence-{name}-words")], className="box"
                            )
                            for name in MATCHED
                        ),
                    ]
                ),
                html.Label(view.t("silence.lasts"), htmlFor="silence-minutes"),
                html.Select(
                    [html.Option(_lasts(view, minutes), value=str(minutes)) for minutes in MINUTES],
                    id="silence-minutes",
                ),
                html.Label(view.t("triage.reason"), htmlFor="silence-reason"),
                plain_input("silence-reason", limit=REASON_LIMIT, needed=True),
                html.P(view.t("silence.help"), className="help"),
            ],
            send="silence.begin",
        ),
        _form(
            view,
            "respond-form",
            [
                html.P(view.t("triage.respond_help"), className="help"),
                html.Label(view.t("triage.respond_team"), htmlFor="respond-team"),
                html.Select(
                    [html.Option(team, value=team) for team in view.console.response_desk.teams], id="respond-team"
                ),
                html.Label(view.t("triage.respond_kind"), htmlFor="respond-kind"),
                html.Select(
                    [html.Option(view.t(f"response.kind.{kind.value}"), value=kind.value) for kind in ResponseKind],
                    id="respond-kind",
                ),
                html.Label(view.t("triage.respond_responder"), htmlFor="respond-responder"),
                plain_input("respond-responder", limit=RESPONDER_LIMIT),
                html.Label(view.t("triage.respond_comment"), htmlFor="respond-comment"),
                plain_input("respond-comment", limit=RESPONSE_LIMIT),
            ],
            send="triage.act.respond",
        ),
        html.Section(
            id="act-result",
            className="ack",
            hidden=True,
            tabIndex=-1,
            **marks(aria_labelledby="act-result-what"),
            children=[
                html.P(id="act-result-what", className="ack-what"),
                html.Ul(id="act-result-list"),
                html.Div(
                    html.Button(view.t("triage.result_close"), type="button", **marks(data_act_close="")),
                    className="buttons",
                ),
            ],
        ),
    ]


def _form(view: View, name: str, fields: list[Component], *, send: str) -> Component:
    form: Component = html.Form(
        id=name,
        className="ack",
        hidden=True,
        **marks(aria_labelledby=f"{name}-what"),
        children=[
            html.P(id=f"{name}-what", className="ack-what"),
            *fields,
            html.P(view.t("triage.comment_help"), className="help"),
            html.P(id=f"{name}-error", className="error", role="alert", hidden=True),
            html.Div(
                [
                    html.Button(view.t(send), id=f"{name}-send", type="submit", className="go"),
                    html.Button(view.t("triage.cancel"), type="button", **marks(data_act_close="")),
                ],
                className="buttons",
            ),
        ],
    )
    return form


def _box(name: str) -> Component:
    """The place of a checkbox that the page's script makes, as plain_input's."""
    box: Component = html.Span(**marks(data_box=name))
    return box


def _lasts(view: View, minutes: int) -> str:
    return view.t("silence.minutes", n=minutes) if minutes < 60 else view.t("silence.hours", n=minutes // 60)
