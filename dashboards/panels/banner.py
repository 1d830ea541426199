"""The banner: which realm this is, by colour, pattern and words; its clock; how old the data are; who is signed in."""

from __future__ import annotations

from typing import ClassVar

from dash import Dash, html
from dash.development.base_component import Component

from command.i18n import LANGUAGES, text
from command.operations.console import Console
from command.operations.desk_pages import pages_for
from dashboards.marks import marks
from dashboards.panel import PanelConfig, Place, View


class BannerConfig(PanelConfig):
    """Nothing to set."""


class Banner:
    """The page's script fills clock, age and trouble every second from the pulse."""

    Config: ClassVar[type[PanelConfig]] = BannerConfig
    place: ClassVar[Place] = Place.TOP

    def __init__(self, config: BannerConfig) -> None:
        self._config = config

    def layout(self, view: View) -> Component:
        realm = view.console.realm
        kind = realm.kind.value
        return html.Header(
            className="banner",
            children=[
                html.H1(view.t("console.name"), className="unseen"),
                html.Div(
                    className="banner-row",
                    children=[
                        html.Div(
                            className="realm",
                            children=[
                                html.Strong(view.t(f"console.realm_{kind}")),
                                html.Div(
                                    [
                                        html.Span(realm.name, className="realm-name", title=realm.name),
                                        html.Small(view.t(f"console.realm_{kind}_note")),
                                    ]
                                ),
                            ],
                        ),
                        html.Div(
                            className="clock",
                            role="timer",
                            **marks(aria_label=view.t("console.clock")),
                            children=[html.Span(id="clock-jst", className="clock-jst"), html.Span(id="clock-utc")],
                        ),
                        _fact(view.t("console.data_age"), "data-age"),
                        _fact(view.t("console.tracks"), "track-count"),
                        _fact(view.t("console.link"), "link-state"),
                        html.A(
                            [
                                html.Span(view.t("watch.watch"), className="label"),
                                html.Span(id="watch-holder", className="value"),
                            ],
                            id="watch-fact",
                            className="fact",
                            href="/watch",
                        ),
                        html.Div(className="grow"),
                        html.Div(
                            className="switch",
                            role="group",
                            **marks(aria_label=view.t("console.language")),
                            children=[
                                html.Button(
                                    text(code, "console.language_name"),
                                    lang=code,
                                    type="button",
                                    **marks(data_language=code, aria_pressed=str(code == view.language).lower()),
                                )
                                for code in LANGUAGES
                            ],
                        ),
                        html.Button("?", id="help-open", type="button", title=view.t("console.help")),
                        html.Details(
                            className="who watchers",
                            id="watchers",
                            hidden=True,
                            children=[
                                html.Summary(id="watch-count", title=view.t("presence.title")),
                                html.Div(html.Ul(id="watch-list", **marks(aria_label=view.t("presence.title")))),
                            ],
                        ),
                        html.Details(
                            className="who",
                            children=[
                                html.Summary(view.person.user.display_name, title=view.t("console.signed_in_as")),
                                html.Div(
                                    [
                                        *(html.A(view.t(p.title), href=p.path) for p in pages_for(view.person)),
                                        html.A(view.t("console.change_password"), href="/password"),
                                        html.Button(view.t("console.sign_out"), id="sign-out", type="button"),
                                    ]
                                ),
                            ],
                        ),
                    ],
                ),
                html.P(id="trouble", className="trouble", role="alert", hidden=True),
            ],
        )

    def connect(self, app: Dash, console: Console) -> None:
        """The pulse does it."""


def _fact(label: str, where: str) -> Component:
    return html.Div([html.Span(label, className="label"), html.Span(id=where, className="value")], className="fact")
