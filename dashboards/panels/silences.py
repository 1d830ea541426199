"""Silences: what is quiet now, why, by whom and until when; ended here before its time."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from dash import Dash, Input, Output, html, no_update
from dash.development.base_component import Component

from command.domain.silence import Silence
from command.i18n import text
from command.i18n.times import jst
from command.operations.access import needs
from command.operations.console import Console
from command.operations.people import Permission, StoreUnavailable, current_language, current_person
from dashboards.dialog import dialog
from dashboards.marks import marks
from dashboards.panel import PanelConfig, Place, View


class Silences:
    """A dialog, opened from the list of alerts."""

    Config: ClassVar[type[PanelConfig]] = PanelConfig
    place: ClassVar[Place] = Place.BOTTOM

    def __init__(self, config: PanelConfig) -> None:
        pass

    def layout(self, view: View) -> Component:
        children = html.Div(id="silences", className="table")
        return dialog(view, "silences-modal", title=view.t("silence.list"), children=children, size="xl")

    def connect(self, app: Dash, console: Console) -> None:
        @app.callback(
            Output("silences", "children"),
            Input("silences-modal", "opened"),
            Input("alerts-revision", "data"),
            prevent_initial_call=True,
        )
        @needs(Permission.WATCH)
        async def show(opened: bool | None, _: int | None) -> Any:
            if not opened:
                return no_update
            language = current_language()
            try:
                listed = await asyncio.to_thread(console.alert_desk.silences)
            except StoreUnavailable:
                return html.P(text(language, "silence.away"), className="empty")
            if not listed:
                return html.P(text(language, "silence.empty"), className="empty")
            heads = ("what", "reason", "author", "until", "matched")
            return html.Table(
                [
                    html.Thead(
                        html.Tr([*(html.Th(text(language, f"silence.{h}"), scope="col") for h in heads), html.Td()])
                    ),
                    html.Tbody([_line(console, silence, matched, language) for silence, matched in listed]),
                ]
            )


def _line(console: Console, silence: Silence, matched: int, language: str) -> Component:
    in_force = silence.in_force(console.clock.now_us())
    until = jst(silence.expires_at_us)
    if silence.ended_at_us is not None:
        until = text(language, "silence.ended", time=jst(silence.ended_at_us), who=silence.ended_by or "")
    elif not in_force:
        until = text(language, "silence.over", time=until)
    counted = text(language, "silence.counted", n=matched)
    if in_force:
        counted = text(language, "silence.counted_now", n=matched, quiet=len(console.quieted(silence)))
    end = []
    if in_force and current_person().may(Permission.SILENCE_ALERTS):
        end = [html.Button(text(language, "silence.end"), type="button", **marks(data_end=str(silence.silence_id)))]
    line: Component = html.Tr(
        [
            html.Td(console.matcher_words(silence.matcher, language)),
            html.Td(silence.reason),
            html.Td(silence.author),
            html.Td(until),
            html.Td(counted),
            html.Td(end),
        ],
        className="" if in_force else "over",
    )
    return line
