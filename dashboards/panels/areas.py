"""Areas: what is watched, listed and edited beside the map. The map's script fills it (dashboards/map/src/areas)."""

from __future__ import annotations

from typing import ClassVar

from dash import Dash, html
from dash.development.base_component import Component

from command.operations.console import Console
from command.operations.people import Permission
from dashboards.marks import marks
from dashboards.panel import PanelConfig, Place, View


class AreasConfig(PanelConfig):
    """Nothing to set."""


class Areas:
    """The frame of the panel, and whether this person may edit: the API asks again at each change."""

    Config: ClassVar[type[PanelConfig]] = AreasConfig
    place: ClassVar[Place] = Place.RIGHT

    def __init__(self, config: AreasConfig) -> None:
        self._config = config

    def layout(self, view: View) -> Component:
        return html.Section(
            id="areas-panel",
            className="areas-panel",
            **marks(aria_labelledby="areas-title", data_may_edit=str(view.person.may(Permission.EDIT_AREAS)).lower()),
            children=[
                html.Div(
                    className="panel-head",
                    children=[
                        html.H2(view.t("areas.title"), id="areas-title"),
                        html.Button(
                            "×",
                            type="button",
                            title=view.t("console.close"),
                            **marks(data_side="closed", aria_label=view.t("console.close")),
                        ),
                    ],
                ),
            ],
        )

    def connect(self, app: Dash, console: Console) -> None:
        """The script speaks to /api/areas."""
