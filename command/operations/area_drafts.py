"""What a person, or a file, wants an area to be, before it is one."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container
from dataclasses import dataclass, replace
from itertools import count
from typing import Any, Final

import shapely
from shapely.geometry.base import BaseGeometry

from command.domain.area import Area, AreaKind
from command.i18n import text

NAME_LIMIT: Final = 100
RESERVED_SLUGS: Final = frozenset({"check", "export", "import"})
"""Words that stand where a slug does in the addresses of the API."""
_SLUG_LENGTH: Final = 50
_SAME_DEG: Final = 1e-9
_NOT_IN_SLUG: Final = re.compile(r"[^a-z0-9]+")


class AreaRefused(ValueError):
    """A change to an area that cannot be made. `explain(language)` is the sentence for people."""

    def __init__(self, reason: str, **params: Any) -> None:
        self.reason = reason
        self.params = params
        super().__init__(self.explain("en"))

    def explain(self, language: str) -> str:
        return text(language, f"area.refused.{self.reason}", **self.params)


@dataclass(frozen=True, kw_only=True)
class AreaDraft:
    """name_en may be empty: then it is the Japanese name in both languages."""

    kind: AreaKind
    name_ja: str
    name_en: str
    geometry: BaseGeometry
    """As `clean_geometry` gives it."""

    def cleaned(self) -> AreaDraft:
        """With names that people can read. Raises AreaRefused."""
        name_ja = _name(self.name_ja)
        return replace(self, name_ja=name_ja, name_en=_name(self.name_en) if self.name_en.strip() else name_ja)

    def is_that_of(self, area: Area) -> bool:
        """Whether the area is as the draft wants it, to a tenth of a millimetre: KML keeps fifteen digits."""
        said, known = (self.kind, self.name_ja, self.name_en), (area.kind, area.name_ja, area.name_en)
        same_shape = bool(shapely.equals_exact(self.geometry, area.geometry, tolerance=_SAME_DEG))
        return not area.retired and said == known and same_shape


def free_slug(name: str, *, taken: Container[str]) -> str:
    """A slug made from the Latin letters of a name, `area` where it has none, with a number where it is taken."""
    latin = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = _NOT_IN_SLUG.sub("-", latin)[:_SLUG_LENGTH].strip("-") or "area"
    numbered = (slug if n == 1 else f"{slug}-{n}" for n in count(1))
    return next(candidate for candidate in numbered if candidate not in taken and candidate not in RESERVED_SLUGS)


def _name(given: str) -> str:
    name = " ".join(given.split())
    if not name:
        raise AreaRefused("name_ja_missing")
    if len(name) > NAME_LIMIT or not name.isprintable():
        raise AreaRefused("name", limit=NAME_LIMIT)
    return name
