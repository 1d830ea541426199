"""What a person, or a file, wants an area to be, before it is one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Final

import shapely
from shapely.geometry.base import BaseGeometry

from command.domain.area import Area, AreaKind
from command.operations.imports import PlaceRefused, clean_names

_SAME_DEG: Final = 1e-9


class AreaRefused(PlaceRefused):
    """A change to an area that cannot be made."""

    about: ClassVar[str] = "area"


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
        name_ja, name_en = clean_names(self.name_ja, self.name_en, AreaRefused)
        return replace(self, name_ja=name_ja, name_en=name_en)

    def is_that_of(self, area: Area) -> bool:
        """Whether the area is as the draft wants it, to a tenth of a millimetre: KML keeps fifteen digits."""
        said, known = (self.kind, self.name_ja, self.name_en), (area.kind, area.name_ja, area.name_en)
        same_shape = bool(shapely.equals_exact(self.geometry, area.geometry, tolerance=_SAME_DEG))
        return not area.retired and said == known and same_shape
