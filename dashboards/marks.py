"""ARIA and data attributes of Dash's HTML components, which take them as names with hyphens; the key of an act."""

from __future__ import annotations

from typing import Any

from dash import html
from dash.development.base_component import Component


def marks(**attributes: str) -> dict[str, Any]:
    """`marks(aria_label="x", data_side="list")` -> `{"aria-label": "x", "data-side": "list"}`, given on with `**`."""
    return {name.replace("_", "-"): value for name, value in attributes.items()}


def key_hint(act: str) -> Component:
    """Where the key of an act (command/operations/console_keys.py) stands as the reader set it: assets/keys.js."""
    hint: Component = html.Kbd(**marks(data_key=act))
    return hint
