"""ARIA and data attributes of Dash's HTML components, which take them as names with hyphens."""

from __future__ import annotations

from typing import Any


def marks(**attributes: str) -> dict[str, Any]:
    """`marks(aria_label="x", data_side="list")` -> `{"aria-label": "x", "data-side": "list"}`, given on with `**`."""
    return {name.replace("_", "-"): value for name, value in attributes.items()}
