"""The console's page: where the panels stand, and the stores between them and the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import dash_mantine_components as dmc
from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component
from fastapi import FastAPI

from command.domain.online_map import OnlineMap
from command.i18n import text
from command.operations.access import Mounted, Need, need_of, require
from command.operations.console import Console
from command.operations.people import Permission, current_language, current_person
from dashboards.dialog import dialog
from dashboards.in_script import in_script
from dashboards.marks import marks
from dashboards.panel import Panel, Place, TabbedPanel, View
from dashboards.registry import make_panels
from dashboards.tour import tour_button, tour_dialog, tour_offer

ASSETS: Final = Path(__file__).parent / "assets"

_INDEX: Final = """<!DOCTYPE html>
<html lang="{language}">
<head>{metas}<title>{title}</title><link rel="icon" href="/favicon.ico">
<script src="/texts/{language}.js"></script><script src="/keys.js"></script>{css}</head>
<body>{app_entry}{config}{scripts}{renderer}</body>
</html>"""


class ConsoleApp(Dash):
    """Dash whose page says its language to browser and screen reader, and whose callbacks say what they need."""

    def interpolate_index(self, *_: Any, **parts: Any) -> str:
        language = current_language()
        return _INDEX.format(language=language, **{**parts, "title": text(language, "console.name")})

    def _prepare_callback(self, g: Any, body: Any) -> Any:
        """Every way to a callback leads through here. Raises Forbidden; also where there is no such callback."""
        output = body.get("output") if isinstance(body, dict) else None
        found = self.callback_map.get(output, {}) if isinstance(output, str) else {}
        require(need_of(found.get("callback")), current_person(), what=f"the callback of {output!r}")
        return super()._prepare_callback(g, body)


NEEDS: Final[Mapping[str, Need]] = dict.fromkeys(
    (
        "/",
        "/_dash-layout",
        "/_dash-dependencies",
        "/_dash-update-component",
        "/_dash-component-suites/{package_name}/{fingerprinted_path:path}",
    ),
    Permission.WATCH,
)
"""The routes of Dash that the page uses. Those that are not named here are refused."""


def mount_console(
    web: FastAPI,
    console: Console,
    *,
    panels: Mapping[str, Mapping[str, Any]] | None = None,
    online_map: OnlineMap | None = None,
) -> Mounted:
    """Add the console at / to the application. panels: their configuration. online_map: drawn over the offline one."""
    app = ConsoleApp(
        __name__,
        server=web,  # type: ignore[arg-type]  # Dash's annotation leaves out the servers it takes
        assets_folder=str(ASSETS),
        assets_ignore=r"\.mjs$",  # MapLibre's worker: the map starts it, the page must not run it
        serve_locally=True,
        update_title="",
        title="Mizugiwa",
        suppress_callback_exceptions=True,
        websocket_inactivity_timeout=0,
    )
    app.enable_dev_tools(debug=False)
    made = make_panels(panels or {})
    app.layout = lambda: page(
        made, View(console=console, person=current_person(), language=current_language()), online_map
    )
    connect_map(app)
    for panel in made:
        panel.connect(app, console)
    return Mounted(script_hashes=app.csp_hashes(), needs=NEEDS, folders=("/assets",))


def page(panels: Sequence[Panel], view: View, online_map: OnlineMap | None = None) -> Component:
    """The whole page for one reader."""
    at = {place: [p.layout(view) for p in panels if p.place is place] for place in Place if place is not Place.LEFT}
    shell: Component = dmc.MantineProvider(
        forceColorScheme="dark",
        theme={"respectReducedMotion": True},
        children=html.Div(
            id="shell",
            className=f"shell realm-{view.console.realm.kind.value}",
            children=[
                html.A(view.t("console.skip_to_alerts"), href="#alert-list", className="skip"),
                *at[Place.TOP],
                _left([p for p in panels if isinstance(p, TabbedPanel)], view),
                html.Main(
                    [
                        html.Div(
                            id="map",
                            className="map",
                            role="region",
                            **marks(
                                aria_label=view.t("console.map"),
                                data_realm=view.console.realm.name,
                                data_person=str(view.person.user.user_id),
                                data_reads_incidents=str(view.person.may(Permission.READ_INCIDENTS)).lower(),
                                **_online(online_map),
                                data_writes_notes=str(view.person.may(Permission.WRITE_NOTES)).lower(),
                                data_links_incidents=str(view.person.may(Permission.LINK_TO_INCIDENTS)).lower(),
                            ),
                        ),
                        html.P(view.t("console.map_missing"), className="map-missing", id="map-missing"),
                        tour_offer(view),
                    ],
                    className="stage",
                ),
                html.Div(
                    [html.P(id="present-here", className="present-here", hidden=True), *at[Place.RIGHT]],
                    className="right",
                    id="side-panel",
                ),
                *at[Place.BOTTOM],
                html.Div(id="announce", className="unseen", role="alert", **marks(aria_live="assertive")),
                html.Div(id="toast", className="toast", role="status", **marks(aria_live="polite")),
                _help(view),
                tour_dialog(view),
                *_stores(view),
            ],
        ),
    )
    return shell


def _online(online_map: OnlineMap | None) -> dict[str, str]:
    if online_map is None:
        return {}
    return {
        "data_online_url": online_map.url,
        "data_online_attribution": online_map.attribution,
        "data_online_max_zoom": str(online_map.max_zoom),
        "data_online_tile_pixels": str(online_map.tile_pixels),
    }


def _left(panels: Sequence[TabbedPanel], view: View) -> Component:
    """The panels on the left as tabs, the first one open; the page's script (assets/incidents.js) turns them."""
    mine = [panel for panel in panels if view.person.may(panel.needs)]
    tabs = [
        html.Button(
            [view.t(f"console.tab_{panel.tab}"), html.Span(id=f"tab-{panel.tab}-count", className="count")],
            id=f"tab-{panel.tab}",
            type="button",
            role="tab",
            tabIndex=0 if panel is mine[0] else -1,
            **marks(aria_selected=str(panel is mine[0]).lower(), aria_controls=f"left-{panel.tab}", data_tab=panel.tab),
        )
        for panel in mine
    ]
    pages = [
        html.Div(
            panel.layout(view),
            id=f"left-{panel.tab}",
            className="tab-page",
            role="tabpanel",
            hidden=panel is not mine[0],
            **marks(aria_labelledby=f"tab-{panel.tab}"),
        )
        for panel in mine
    ]
    left: Component = html.Section(
        [
            html.Div(tabs, className="tabs", role="tablist", **marks(aria_label=view.t("console.tabs"))),
            *pages,
            *(part for panel in mine for part in panel.under(view)),
        ],
        className="left",
        **marks(aria_label=view.t("console.tabs")),
    )
    return left


def _stores(view: View) -> list[Component]:
    # alerts-revision and beat are set by the page's script from GET /api/pulse, one answer after the other: a
    # dcc.Interval that is faster than a busy server would have Dash throw away every answer as out of date
    return [
        dcc.Store(id="language", data=view.language),
        dcc.Store(
            id="may",
            data={
                "acknowledge": view.person.may(Permission.ACKNOWLEDGE),
                "assign_alerts": view.person.may(Permission.ASSIGN_ALERTS),
                "escalate_alerts": view.person.may(Permission.ESCALATE_ALERTS),
                "silence_alerts": view.person.may(Permission.SILENCE_ALERTS),
                "respond": view.person.may(Permission.RESPOND),
                "read_incidents": view.person.may(Permission.READ_INCIDENTS),
                "manage_incidents": view.person.may(Permission.MANAGE_INCIDENTS),
                "comment_on_incidents": view.person.may(Permission.COMMENT_ON_INCIDENTS),
                "link_to_incidents": view.person.may(Permission.LINK_TO_INCIDENTS),
                "login": view.person.user.login,
            },
        ),
        dcc.Store(id="map-selected"),
        dcc.Store(id="map-focus"),
        dcc.Store(id="map-status"),
        dcc.Store(id="map-hidden", data=[]),
        dcc.Store(id="side", data="closed"),
        dcc.Store(id="alerts-revision"),
        dcc.Store(id="incidents-revision"),
        dcc.Store(id="incident-selected"),
        dcc.Store(id="beat", data=0),
        dcc.Store(id="side-beat", data=0),
    ]


def _help(view: View) -> Component:
    """The keys as the reader set them, which assets/keys.js writes into the table and changes; and the tour."""
    children = html.Div([tour_button(view), html.Div(id="keys")])
    return dialog(view, "help-modal", title=view.t("console.keys"), children=children, size="lg")


def connect_map(app: Dash) -> None:
    """What the page's script passes on between the panels and the map."""
    in_script(app, "start", Output("shell", "data-started"), Input("may", "data"))
    in_script(app, "selected", Output("shell", "data-selected"), Input("map-selected", "data"))
    in_script(app, "focus", Output("shell", "data-focus"), Input("map-focus", "data"))
    in_script(app, "mapStatus", Output("shell", "data-map"), Input("map-status", "data"))
