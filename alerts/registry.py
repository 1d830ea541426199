"""Rules and channels by name: one line each, a string, loaded when enabled."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from alerts.rule import Rule

RULES: Final[Mapping[str, str]] = {
    "geofence_entry": "alerts.rules.geofence_entry:GeofenceEntry",
    "geofence_exit": "alerts.rules.geofence_exit:GeofenceExit",
    "geofence_dwell": "alerts.rules.geofence_dwell:GeofenceDwell",
    "geofence_absence": "alerts.rules.geofence_absence:GeofenceAbsence",
    "ais_gap": "alerts.rules.ais_gap:AisGap",
    "distress": "alerts.rules.distress:Distress",
    "drone_low_battery": "alerts.rules.drone_low_battery:DroneLowBattery",
    "drone_link_lost": "alerts.rules.drone_link_lost:DroneLinkLost",
    "source_silent": "alerts.rules.source_silent:SourceSilent",
}

CHANNELS: Final[Mapping[str, str]] = {
    "amqp": "alerts.channels.amqp:AmqpChannel",
}


class UnknownRule(ValueError):
    """A configured rule that no registry line names."""


def _load(line: str) -> Any:
    module_name, class_name = line.split(":")
    return getattr(import_module(module_name), class_name)


def rule_class(name: str) -> type[Rule]:
    """The class of a rule. Raises UnknownRule with the rules there are."""
    if name not in RULES:
        raise UnknownRule(f"rule {name!r} is not known; choose from {', '.join(sorted(RULES))}")
    found: type[Rule] = _load(RULES[name])
    return found
