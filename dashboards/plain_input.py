"""A text field that the page's script makes. dcc.Input writes its value back while a person types: on a busy
workstation the cursor jumps and the letters of a comment change places."""

from __future__ import annotations

from dash import html
from dash.development.base_component import Component

from dashboards.marks import marks


def plain_input(name: str, *, limit: int, hint: str = "", lines: int = 0, needed: bool = False) -> Component:
    """The place of an input with the id `name` that takes at most `limit` characters; `lines` high where it takes
    more than one line. needed: its form is not sent without it, and says so."""
    high = marks(data_lines=str(lines)) if lines else {}
    must = marks(data_needed="true") if needed else {}
    return html.Div(className="field", **marks(data_input=name, data_limit=str(limit), data_hint=hint), **high, **must)
