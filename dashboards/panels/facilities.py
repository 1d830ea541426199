"""Facilities: the list beside the map, which the map's script fills, and all that is known of the one that is open."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, ClassVar

from dash import Dash, Input, Output, dcc, html
from dash.development.base_component import Component
from pydantic import Field

from command.domain.alert import Alert
from command.domain.facility import FacilityOrigin, FacilityVersion
from command.domain.geo import METRES_PER_NAUTICAL_MILE, Position, distance_m
from command.domain.incident import Incident
from command.i18n import text
from command.i18n.times import jst
from command.operations.access import needs
from command.operations.console import Console
from command.operations.facilities import UnknownFacility
from command.operations.people import Permission, Person, StoreUnavailable, current_language, current_person
from command.operations.triage import compass_point, dms, initial_bearing_deg
from dashboards.marks import marks
from dashboards.panel import PanelConfig, Place, View


class FacilitiesConfig(PanelConfig):
    """near_nm: how far from a facility its alerts and incidents are. near: how many of each are shown, the nearest."""

    near_nm: float = Field(default=10.0, gt=0, le=100)
    near: int = Field(default=10, ge=1, le=50)


class Facilities:
    """Loaded when another facility is chosen, and again when the alerts or the incidents changed."""

    Config: ClassVar[type[PanelConfig]] = FacilitiesConfig
    place: ClassVar[Place] = Place.RIGHT

    def __init__(self, config: FacilitiesConfig) -> None:
        self._config = config

    def layout(self, view: View) -> Component:
        may_edit = str(view.person.may_everywhere(Permission.EDIT_FACILITIES)).lower()
        return html.Section(
            id="facilities-panel",
            className="facilities-panel",
            **marks(aria_labelledby="facilities-title", data_may_edit=may_edit),
            children=[
                html.Div(
                    className="panel-head",
                    children=[
                        html.H2(view.t("facilities.title"), id="facilities-title"),
                        html.Button(
                            "×",
                            type="button",
                            title=view.t("console.close"),
                            **marks(data_side="closed", aria_label=view.t("console.close")),
                        ),
                    ],
                ),
                html.Div(id="facility", className="detail", tabIndex=-1),
                dcc.Store(id="facility-selected"),
            ],
        )

    def connect(self, app: Dash, console: Console) -> None:
        @app.callback(
            Output("facility", "children"),
            Input("facility-selected", "data"),
            Input("alerts-revision", "data"),
            Input("incidents-revision", "data"),
            prevent_initial_call=True,
        )
        @needs(Permission.WATCH)
        async def show(selected: dict[str, Any] | None, _: int | None, __: int | None) -> Any:
            facility_id = (selected or {}).get("id")
            if not isinstance(facility_id, str) or not facility_id:
                return None
            person, language = current_person(), current_language()
            try:
                versions = await asyncio.to_thread(console.facility_book.versions, facility_id)
            except (UnknownFacility, StoreUnavailable) as exc:
                why = exc.explain(language) if isinstance(exc, UnknownFacility) else text(language, "facilities.away")
                return [_back(language), html.P(why, className="empty")]
            return self._facility(console, versions, person, language)

    def _facility(
        self, console: Console, versions: Sequence[FacilityVersion], person: Person, language: str
    ) -> list[Component]:
        now, at = versions[0], versions[0].facility.position
        incidents = console.incidents if person.may(Permission.READ_INCIDENTS) else ()
        alerts = _near(at, console.open_alerts(), self._config)
        return [
            _back(language),
            _head(now, language),
            _facts(now, language),
            html.H3(text(language, "facilities.near_alerts", nm=f"{self._config.near_nm:g}")),
            _list([_alert(console, at, a, language) for a in alerts], text(language, "facilities.near_no_alerts")),
            *(
                [
                    html.H3(text(language, "facilities.near_incidents", nm=f"{self._config.near_nm:g}")),
                    _list(
                        [_incident(at, i, language) for i in _near(at, incidents, self._config)],
                        text(language, "facilities.near_no_incidents"),
                    ),
                ]
                if person.may(Permission.READ_INCIDENTS)
                else []
            ),
            *_acts(versions, person, language),
        ]


def _back(language: str) -> Component:
    return html.Div(
        [html.Button(text(language, "facilities.back"), id="facility-back", type="button")], className="buttons"
    )


def _head(now: FacilityVersion, language: str) -> Component:
    facility = now.facility
    where = marks(data_show_lon=str(facility.position.lon), data_show_lat=str(facility.position.lat))
    return html.Div(
        [
            html.Span(text(language, f"facility.kind.{facility.kind.value}"), className="badge"),
            html.H2(facility.name_ja if language == "ja" else facility.name_en),
            html.Div(
                [html.Button(text(language, "drawer.show"), id="facility-show", type="button", **where)],
                className="buttons",
            ),
        ],
        className="panel-head",
    )


def _facts(now: FacilityVersion, language: str) -> Component:
    facility = now.facility
    at = marks(data_place_lon=f"{facility.position.lon:.7f}", data_place_lat=f"{facility.position.lat:.7f}")
    switch = text(language, "drawer.switch_coordinates")
    position = html.Button(dms(facility.position), type="button", className="where", title=switch, **at)
    version = text(language, "facilities.version", version=now.version, time=jst(now.valid_from_us), who=now.author)
    rows: list[Component] = []
    for key, value in (
        ("facilities.state", text(language, "facilities.retired") if now.retired else ""),
        ("facilities.name_ja", facility.name_ja),
        ("facilities.name_en", facility.name_en),
        ("facilities.municipality", " ".join(part for part in (facility.prefecture, facility.municipality) if part)),
        ("drawer.position", position),
        ("facilities.id", facility.facility_id),
        ("facilities.origin", text(language, f"facility.origin.{now.origin.value}")),
        ("facilities.source", facility.source_note),
        ("facilities.version_label", version),
    ):
        if value:
            rows += [html.Dt(text(language, key)), html.Dd(value)]
    return html.Dl(rows, className="facts")


def _near(at: Position, things: Sequence[Any], config: FacilitiesConfig) -> list[Any]:
    """Those of the alerts or incidents that are near, the nearest first."""
    placed = [(distance_m(at, thing.position), i, thing) for i, thing in enumerate(things) if thing.position]
    near = sorted(one for one in placed if one[0] <= config.near_nm * METRES_PER_NAUTICAL_MILE)
    return [thing for _, _, thing in near[: config.near]]


def _list(rows: Sequence[Component], none: str) -> Component:
    return html.Ul([html.Li(row) for row in rows], className="near") if rows else html.P(none, className="empty")


def _way(at: Position, to: Position | None, language: str) -> str:
    """`北東 3.2海里`."""
    if to is None:
        return ""
    metres = distance_m(at, to)
    bearing = compass_point(initial_bearing_deg(at, to), language)
    return text(language, "facilities.way", bearing=bearing, nm=f"{metres / METRES_PER_NAUTICAL_MILE:.1f}")


def _alert(console: Console, at: Position, alert: Alert, language: str) -> Component:
    told = console.explained(alert, language)
    return html.Button(
        [
            html.Span(className=f"shape shape-{alert.severity.word}", **marks(aria_hidden="true")),
            html.Strong(f"{told.severity} {told.title} {told.subject}"),
            html.Span(_way(at, alert.position, language)),
        ],
        id=f"near-{alert.alert_id}",
        type="button",
        className=f"sev-{alert.severity.word}",
        **marks(data_near_alert=str(alert.alert_id), data_track=str(alert.track_id or "")),
    )


def _incident(at: Position, incident: Incident, language: str) -> Component:
    return html.Button(
        [
            html.Span(className=f"shape shape-{incident.severity.word}", **marks(aria_hidden="true")),
            html.Strong(f"{incident.number} {incident.title}"),
            html.Span(_way(at, incident.position, language)),
        ],
        id=f"near-{incident.incident_id}",
        type="button",
        className=f"sev-{incident.severity.word}",
        **marks(data_goto=str(incident.incident_id)),
    )


def _acts(versions: Sequence[FacilityVersion], person: Person, language: str) -> list[Component]:
    """What this person may do to it. What the project ships is nobody's to change."""
    now = versions[0]
    if now.origin is FacilityOrigin.SHIPPED or not person.may_everywhere(Permission.EDIT_FACILITIES):
        return []
    name = now.facility.name_ja if language == "ja" else now.facility.name_en
    of_now = marks(data_version=str(now.version), data_name=name)
    before = next((each.version for each in versions[1:] if not each.retired), None)
    buttons = []
    if not now.retired:
        buttons.append(
            html.Button(
                text(language, "facilities.retire"), id="facility-retire", type="button", className="danger", **of_now
            )
        )
    if before is not None:
        words = text(language, "facilities.bring_back" if now.retired else "facilities.restore", version=before)
        buttons.append(
            html.Button(words, id="facility-restore", type="button", **of_now, **marks(data_back=str(before)))
        )
    return [html.Div(buttons, className="buttons")]
