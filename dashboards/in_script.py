"""Callbacks that the page's own script (assets/console.js) answers, without asking the server."""

from __future__ import annotations

from typing import Any

from dash import ClientsideFunction, Dash


def in_script(app: Dash, function: str, *dependencies: Any, prevent_initial_call: bool = False) -> None:
    """Call window.dash_clientside.mizugiwa.<function> with the inputs and states of `dependencies`."""
    app.clientside_callback(  # type: ignore[no-untyped-call]  # Dash does not annotate it
        ClientsideFunction(namespace="mizugiwa", function_name=function),
        *dependencies,
        prevent_initial_call=prevent_initial_call,
    )
