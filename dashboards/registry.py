"""Panels by name: one line each, a string, loaded when enabled. Their order is the order on the page."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from dashboards.panel import Panel

PANELS: Final[Mapping[str, str]] = {
    "banner": "dashboards.panels.banner:Banner",
    "triage": "dashboards.panels.triage:Triage",
    "silences": "dashboards.panels.silences:Silences",
    "incidents": "dashboards.panels.incidents:Incidents",
    "incident_drawer": "dashboards.panels.incident_drawer:IncidentDrawer",
    "drawer": "dashboards.panels.drawer:Drawer",
    "track_list": "dashboards.panels.track_list:TrackList",
    "areas": "dashboards.panels.areas:Areas",
    "facilities": "dashboards.panels.facilities:Facilities",
    "health": "dashboards.panels.health:Health",
}


class UnknownPanel(ValueError):
    """A configured panel that no registry line names."""


def make_panels(configs: Mapping[str, Mapping[str, Any]]) -> list[Panel]:
    """The enabled panels. configs: what differs from each panel's defaults. Raises UnknownPanel, ValidationError."""
    unknown = sorted(set(configs) - set(PANELS))
    if unknown:
        raise UnknownPanel(f"panel {', '.join(unknown)}; choose from {', '.join(sorted(PANELS))}")
    panels: list[Panel] = []
    for name, line in PANELS.items():
        module_name, class_name = line.split(":")
        cls: type[Panel] = getattr(import_module(module_name), class_name)
        config = cls.Config.model_validate(configs.get(name, {}))
        if config.enabled:
            panels.append(cls(config))
    return panels
