"""A modal dialog of the console: named, closed by its button or Escape, and nothing behind it takes the focus."""

from __future__ import annotations

import dash_mantine_components as dmc
from dash import html
from dash.development.base_component import Component

from dashboards.panel import View


def dialog(view: View, name: str, *, title: str, children: Component, size: str = "md") -> Component:
    """A closed dialog; `opened` of the component `name` opens it. size: of Mantine, or a length of CSS.

    It stands inside a section, and not in Mantine's portal: there its header would be a second banner of the page.
    """
    modal = dmc.Modal(
        id=name,
        title=title,
        children=children,
        size=size,
        withinPortal=False,
        closeButtonProps={"aria-label": view.t("console.close")},
    )
    return html.Section(modal, className="dialog")
