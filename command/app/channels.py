"""The channels that alerts go out by besides the teams' queues, as the settings have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from alerts.channel import ChannelConfig, ChannelSetup, ChannelTools
from alerts.registry import channel_config, make_channel
from command.domain.realm import Realm
from command.settings import BadSettings, one_line, read_secret


def channel_setups(tables: Sequence[Mapping[str, Any]]) -> tuple[ChannelSetup, ...]:
    """The configured channels with their secrets, each tried out. Raises BadSettings in one line."""
    setups = tuple(_setup(table) for table in tables)
    configs = [setup.config for setup in setups]
    names = [config.name for config in configs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadSettings(f"two channels are called {', '.join(twice)}; give each its own name")
    _keep_apart(configs)
    return setups


def _setup(table: Mapping[str, Any]) -> ChannelSetup:
    name = str(table.get("name", "?"))
    try:
        config = channel_config(table)
        variable = f"MIZUGIWA_CHANNEL_SECRET_{config.name.upper().replace('-', '_')}"
        setup = ChannelSetup(config=config, secret=read_secret(config.secret_file, variable=variable))
        realm = Realm.parse("live" if config.serves == "live" else "drill-check")
        make_channel(setup, ChannelTools(realm=realm, earlier=lambda _: (), shape_of=lambda _: None))
    except ValidationError as exc:
        raise BadSettings(f"channels.{name}: {one_line(exc)}") from exc
    except BadSettings:
        raise
    except ValueError as exc:
        raise BadSettings(f"channels.{name}: {exc}") from exc
    return setup


def _keep_apart(configs: Sequence[ChannelConfig]) -> None:
    """Raises BadSettings where an exercise would reach somebody who gets real alerts."""
    for exercise in (config for config in configs if config.serves == "exercises"):
        for live in (config for config in configs if config.serves == "live"):
            if both := sorted(exercise.destinations & live.destinations):
                raise BadSettings(
                    f"channels.{exercise.name}: it is for exercises and goes to {both[0]}, where channel {live.name} "
                    "sends real alerts; give exercises receivers of their own"
                )
