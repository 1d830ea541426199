"""The track list: every track by name beside the canvas, so that nothing on the map needs a pointer to be reached."""

from __future__ import annotations

from typing import Any, ClassVar

import dash_ag_grid as dag
from dash import Dash, Input, Output, State, dcc, html, no_update
from dash.development.base_component import Component
from pydantic import Field

from command.domain.clock import US_PER_S
from command.domain.track import Track, TrackStatus
from command.i18n import text
from command.operations.access import needs
from command.operations.console import Console
from command.operations.people import Permission, current_language
from command.operations.track_groups import TrackGroup
from dashboards.in_script import in_script
from dashboards.marks import marks
from dashboards.panel import PanelConfig, Place, View
from dashboards.plain_input import plain_input
from dashboards.words import age, degrees, knots


class TrackListConfig(PanelConfig):
    """rows: how many tracks the list shows, the newest first; the search looks at all."""

    rows: int = Field(default=300, ge=10, le=2_000)


class TrackList:
    """Rows come only while the list is open."""

    Config: ClassVar[type[PanelConfig]] = TrackListConfig
    place: ClassVar[Place] = Place.RIGHT

    def __init__(self, config: TrackListConfig) -> None:
        self._config = config

    def layout(self, view: View) -> Component:
        columns = [
            {
                "field": "label",
                "headerName": view.t("tracks.name"),
                "flex": 3,
                "minWidth": 140,
                "tooltipField": "label",
            },
            {"field": "kind", "headerName": view.t("tracks.kind"), "flex": 2, "minWidth": 100},
            {"field": "speed", "headerName": view.t("tracks.speed"), "width": 70, "type": "rightAligned"},
            {"field": "course", "headerName": view.t("tracks.course"), "width": 62, "type": "rightAligned"},
            {"field": "age", "headerName": view.t("tracks.age"), "width": 84},
        ]
        return html.Section(
            id="list-panel",
            className="list-panel",
            **marks(aria_labelledby="tracks-title"),
            children=[
                html.Div(
                    className="panel-head",
                    children=[
                        html.H2(view.t("tracks.title"), id="tracks-title"),
                        html.Span(id="tracks-count", className="summary"),
                        html.Button("×", type="button", title=view.t("console.close"), **marks(data_side="closed")),
                    ],
                ),
                html.Label(view.t("tracks.search"), htmlFor="track-search", className="unseen"),
                plain_input("track-search", limit=100, hint=view.t("tracks.search_hint")),
                dcc.Store(id="search", data=""),
                html.P(id="tracks-note", className="empty", hidden=True),
                dag.AgGrid(
                    id="track-grid",
                    columnDefs=columns,
                    rowData=[],
                    getRowId="params.data.track_id",
                    defaultColDef={"sortable": True, "resizable": True, "suppressHeaderMenuButton": True},
                    dashGridOptions={
                        "rowSelection": {"mode": "singleRow", "checkboxes": False, "enableClickSelection": True},
                        "animateRows": False,
                        "rowHeight": 32,
                        "headerHeight": 32,
                        "suppressNoRowsOverlay": True,
                        "domLayout": "normal",
                    },
                    className="grid",
                ),
            ],
        )

    def connect(self, app: Dash, console: Console) -> None:
        @app.callback(
            Output("track-grid", "rowData"),
            Output("tracks-count", "children"),
            Output("tracks-note", "children"),
            Output("tracks-note", "hidden"),
            Input("side", "data"),
            Input("search", "data"),
            Input("map-hidden", "data"),
            Input("side-beat", "data"),
            prevent_initial_call=True,
        )
        @needs(Permission.WATCH)
        async def rows(side: str, words: str | None, hidden: list[str] | None, _: int | None) -> tuple[Any, ...]:
            if side != "list":
                return (no_update,) * 4
            language, now_us = current_language(), console.clock.now_us()
            hide = [group for group in TrackGroup if group in (hidden or ())]
            found = console.picture.find((words or "")[:100], limit=self._config.rows, hide=hide)
            note = ""
            if not found:
                none = "tracks.none_filtered" if hide else "tracks.none_found" if words else "tracks.none"
                note = text(language, none)
            count = text(
                language,
                "tracks.count_filtered" if hide else "tracks.count",
                shown=len(found),
                all=len(console.picture),
            )
            return [_row(console, track, language, now_us=now_us) for track in found], count, note, bool(found)

        in_script(
            app,
            "chosen",
            Output("map-selected", "data", allow_duplicate=True),
            Output("map-focus", "data", allow_duplicate=True),
            Input("track-grid", "selectedRows"),
            State("map-selected", "data"),
            prevent_initial_call=True,
        )


def _row(console: Console, track: Track, language: str, *, now_us: int) -> dict[str, Any]:
    position = track.position
    status = TrackStatus(track.status)
    seconds = (now_us - track.observed_at_us) / US_PER_S
    return {
        "track_id": str(track.track_id),
        "label": console.picture.label(track, language),
        "kind": text(language, f"kind.{track.kind.name.lower()}"),
        "speed": knots(track.speed_mps) or "–",
        "course": degrees(track.course_deg) or "–",
        "age": age(language, seconds)
        if status in (TrackStatus.LIVE, TrackStatus.TENTATIVE)
        else text(language, f"status.{status.name.lower()}"),
        "lon": None if position is None else position.lon,
        "lat": None if position is None else position.lat,
    }
