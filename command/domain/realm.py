"""Realms: `live`, `drill-NAME`, `replay-NAME`. Each has its own PostgreSQL schema and RabbitMQ vhost."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

_NAME = re.compile(r"live|(?:drill|replay)-[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")


class RealmKind(StrEnum):
    LIVE = "live"
    DRILL = "drill"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True)
class Realm:
    """A realm by its name. Build it with `Realm.parse`."""

    name: str

    @classmethod
    def parse(cls, name: str) -> Self:
        """The realm called `name`. Raises ValueError that says which names there can be."""
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"realm {name!r}: write live, drill-NAME or replay-NAME (small letters, digits, hyphens, 40 at most)"
            )
        return cls(name)

    @property
    def kind(self) -> RealmKind:
        return RealmKind(self.name.split("-", 1)[0])

    @property
    def schema(self) -> str:
        """The PostgreSQL schema: letters, digits and underscores only, so it is safe to quote as an identifier."""
        return "realm_" + self.name.replace("-", "_")

    @property
    def vhost(self) -> str:
        """The RabbitMQ virtual host."""
        return self.name
