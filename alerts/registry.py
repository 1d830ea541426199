"""Rules and channels by name: one line each, a string, loaded when enabled."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any, Final

from alerts.channel import ChannelConfig, ChannelSetup, ChannelTools, SendingChannel
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

RULE_KINDS: Final[Mapping[str, str]] = {
    "conditions": "alerts.rules.conditions:Conditions",
}
"""Kinds of which people make as many rules as they need; each is called `<kind>_<its own name>`."""
RULE_NAME: Final = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")
MAX_RULE_NAME: Final = 64
"""As long as a rule may be called in an alert's message."""

CHANNELS: Final[Mapping[str, str]] = {
    "amqp": "alerts.channels.amqp:AmqpChannel",
    "cap": "alerts.channels.cap:CapChannel",
    "cot": "alerts.channels.cot:CotChannel",
    "email": "alerts.channels.mail:MailChannel",
    "webhook": "alerts.channels.webhook:WebhookChannel",
}
"""By type. `amqp` is there by itself; of the others there are as many as [[channels]] tables name."""
SENDING: Final = tuple(sorted(CHANNELS.keys() - {"amqp"}))


class UnknownRule(ValueError):
    """A configured rule that no registry line names."""


class UnknownChannel(ValueError):
    """A configured channel of a type that no registry line names."""


def _load(line: str) -> Any:
    module_name, class_name = line.split(":")
    return getattr(import_module(module_name), class_name)


def rule_class(name: str) -> type[Rule]:
    """The class of a rule. Raises UnknownRule with the rules there are."""
    if name in RULES:
        found: type[Rule] = _load(RULES[name])
        return found
    if kind_of(name) is None:
        kinds = "".join(f", or {kind}_NAME" for kind in sorted(RULE_KINDS))
        raise UnknownRule(f"rule {name!r} is not known; choose from {', '.join(sorted(RULES))}{kinds}")
    return _own(name)


def kind_of(name: str) -> str | None:
    """The kind of a rule that people made; None where it is none."""
    kind, _, own = name.partition("_")
    return kind if kind in RULE_KINDS and RULE_NAME.fullmatch(own) and len(name) <= MAX_RULE_NAME else None


@cache
def _own(name: str) -> type[Rule]:
    """The class of a kind under the name that people gave it."""
    made: type[Rule] = type(name, (_load(RULE_KINDS[name.partition("_")[0]]),), {"name": name})
    return made


def channel_class(kind: str) -> type[SendingChannel]:
    """The class of a type of [[channels]]. Raises UnknownChannel with the types there are."""
    if kind not in SENDING:
        raise UnknownChannel(f"type {kind!r} is not known; choose from {', '.join(SENDING)}")
    found: type[SendingChannel] = _load(CHANNELS[kind])
    return found


def channel_config(table: Mapping[str, Any]) -> ChannelConfig:
    """The configuration in a [[channels]] table. Raises UnknownChannel, pydantic.ValidationError."""
    return channel_class(str(table.get("type", ""))).Config.model_validate(table)


def make_channel(setup: ChannelSetup, tools: ChannelTools) -> SendingChannel:
    """The channel, for a realm that it serves. Raises ValueError for any other, and for a secret of no use."""
    config = setup.config
    if not config.serves_realm(tools.realm):
        raise ValueError(f"channel {config.name} serves {config.serves}; {tools.realm.name} has nothing to do with it")
    made: Any = channel_class(config.type)
    channel: SendingChannel = made(config, secret=setup.secret, tools=tools)
    return channel
