"""Sources by kind. One line a source, a string, so that a heavy library loads only when its source is enabled."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

from sensors.source import Source, UnknownSource

SOURCES: Final[Mapping[str, str]] = {
    "ais": "sensors.ais:AisSource",
    "cot": "sensors.cot.source:CotSource",
    "csv": "sensors.csv_table:CsvSource",
    "mavlink": "sensors.mavlink.link:MavlinkSource",
    "replay": "sensors.replay:ReplaySource",
}


def source_class(kind: str) -> type[Source]:
    """The class of a source kind. Raises UnknownSource with the kinds there are."""
    try:
        module_name, class_name = SOURCES[kind].split(":")
    except KeyError as exc:
        raise UnknownSource(f"source kind {kind!r} is not known; choose from {', '.join(sorted(SOURCES))}") from exc
    found: type[Source] = getattr(import_module(module_name), class_name)
    return found


def make_source(config: Mapping[str, Any]) -> Source:
    """A source from its table in the settings file. Raises UnknownSource or pydantic.ValidationError."""
    cls = source_class(str(config.get("kind", "")))
    return cls(cls.Config.model_validate(config))
