"""The tour of the console: offered at a person's first visit, called again from the help, never in an alarm's way.

The page's script (assets/tour.js) shows the steps and remembers who has seen them.
"""

from __future__ import annotations

from typing import Final

from dash import html
from dash.development.base_component import Component

from dashboards.marks import marks
from dashboards.panel import View

STEPS: Final = (
    ("realm", ".realm"),
    ("alerts", ".left"),
    ("map", "#map"),
    ("incidents", "#tab-incidents"),
    ("areas", ".mz-areas"),
    ("health", ".health"),
    ("help", "#help-open"),
)
"""Each step's texts, tour.<name> and tour.<name>_words, and what it is about; left out where that is not there."""


def tour_offer(view: View) -> Component:
    """A line over the map that asks for nothing: it takes neither focus nor key."""
    offer: Component = html.Section(
        id="tour-offer",
        className="tour-offer",
        hidden=True,
        **marks(aria_label=view.t("tour.name")),
        children=[
            html.P(view.t("tour.offer")),
            html.Div(
                [
                    html.Button(view.t("tour.start"), id="tour-take", type="button", className="go"),
                    html.Button(view.t("tour.not_now"), id="tour-refuse", type="button"),
                ],
                className="buttons",
            ),
        ],
    )
    return offer


def tour_dialog(view: View) -> Component:
    """The steps, with their words, and the dialog that shows one of them."""
    steps = [
        html.Li([html.Span(view.t(f"tour.{name}")), html.Span(view.t(f"tour.{name}_words"))], **marks(data_about=about))
        for name, about in STEPS
    ]
    dialog: Component = html.Div(
        id="tour",
        className="tour",
        hidden=True,
        children=[
            html.Ol(steps, id="tour-steps", hidden=True),
            html.Div(id="tour-ring", className="tour-ring"),
            html.Div(
                id="tour-card",
                className="tour-card",
                role="dialog",
                tabIndex=-1,
                **marks(aria_modal="true", aria_labelledby="tour-title", aria_describedby="tour-words"),
                children=[
                    html.Div(
                        [
                            html.P(id="tour-step", className="tour-step"),
                            html.H2(id="tour-title"),
                            html.P(id="tour-words"),
                        ],
                        **marks(aria_live="polite"),
                    ),
                    html.Div(
                        [
                            html.Button(view.t("tour.end"), id="tour-end", type="button"),
                            html.Span(className="grow"),
                            html.Button(view.t("tour.back"), id="tour-back", type="button"),
                            html.Button(view.t("tour.next"), id="tour-next", type="button", className="go"),
                        ],
                        className="buttons",
                    ),
                    html.P(view.t("tour.keys"), className="help"),
                ],
            ),
        ],
    )
    return dialog


def tour_button(view: View) -> Component:
    """The way to it from the help."""
    return html.Button(view.t("tour.start"), id="tour-start", type="button", className="tour-start")
