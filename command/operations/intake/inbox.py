"""What a message of the observation queue holds: a batch of observations, or the health of a gateway's sources."""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, fields
from typing import Any, Final

from command.bus import Message
from command.domain.clock import EARLIEST_US, LATEST_US
from command.domain.health import SourceHealth
from command.domain.observation import BadBatch, ObservationBatch, ObservationFlag

MAX_HEALTH_BYTES: Final = 1024 * 1024
MAX_SOURCES: Final = 1_000

_DISTRESS: Final = int(ObservationFlag.DISTRESS)
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "int": (int,),
    "int | None": (int, type(None)),
    "float | None": (float, int, type(None)),
    "str": (str,),
    "Mapping[str, int]": (dict,),
}


class BadHealth(ValueError):
    """Bytes that are not a list of SourceHealth."""


class UnknownMessage(ValueError):
    """A message of a type that intake does not take."""


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One message and what it holds."""

    message: Message
    batch: ObservationBatch | None = None
    health: tuple[SourceHealth, ...] = ()

    @property
    def rows(self) -> int:
        return 0 if self.batch is None else len(self.batch)

    @property
    def urgent(self) -> bool:
        """Whether somebody calls for help in it: such a flush waits for nothing more."""
        return self.batch is not None and bool((self.batch.rows["flags"] & _DISTRESS).any())


def open_letter(message: Message) -> Letter:
    """What `message` holds. Raises BadBatch, BadHealth or UnknownMessage: it will never be readable."""
    if message.kind == "observations":
        return Letter(message=message, batch=ObservationBatch.from_bytes(message.body))
    if message.kind == "health":
        return Letter(message=message, health=health_from_json(message.body))
    raise UnknownMessage(f"message type {str(message.kind)[:40]!r}; intake takes observations and health")


def health_from_json(body: bytes) -> tuple[SourceHealth, ...]:
    """A JSON list of SourceHealth, each an object with its fields. Raises BadHealth."""
    if len(body) > MAX_HEALTH_BYTES:
        raise BadHealth(f"{len(body)} bytes; at most {MAX_HEALTH_BYTES}")
    try:
        entries = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise BadHealth(f"not JSON: {exc}") from exc
    if not isinstance(entries, list) or len(entries) > MAX_SOURCES:
        raise BadHealth(f"not a list of at most {MAX_SOURCES} sources")
    return tuple(_health(entry) for entry in entries)


def _health(entry: Any) -> SourceHealth:
    if not isinstance(entry, dict):
        raise BadHealth(f"a source's health is an object, not {type(entry).__name__}")
    values: dict[str, Any] = {}
    for field in fields(SourceHealth):
        if field.name not in entry:
            if field.default is MISSING and field.default_factory is MISSING:
                raise BadHealth(f"{field.name} is missing")
            continue
        value = entry[field.name]
        if isinstance(value, bool) or not isinstance(value, _TYPES[str(field.type)]):
            raise BadHealth(f"{field.name} is {str(value)[:40]!r}; expected {field.type}")
        if isinstance(value, int) and not EARLIEST_US <= value <= LATEST_US:
            raise BadHealth(f"{field.name} is {str(value)[:40]}; no time and no count that can be stored")
        if isinstance(value, dict) and not all(isinstance(n, int) and not isinstance(n, bool) for n in value.values()):
            raise BadHealth(f"{field.name} has a count that is not a whole number")
        values[field.name] = value
    return SourceHealth(**values)


__all__ = ["BadBatch", "BadHealth", "Letter", "UnknownMessage", "health_from_json", "open_letter"]
