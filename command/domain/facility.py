"""Facilities: the fixed places that matter to a customs authority, as the project ships them and as people add them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from command.domain.geo import Position

_FACILITY_ID: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
MAX_FACILITY_ID_LENGTH: Final = 60


class FacilityKind(StrEnum):
    CUSTOMS_HEADQUARTERS = "customs_headquarters"
    """税関本関 (本庁)."""
    CUSTOMS_BRANCH = "customs_branch"
    """税関支署, at a port or at an airport."""
    OPEN_PORT = "open_port"
    """開港: a port open to foreign trade (Customs Act, article 2)."""
    CUSTOMS_AIRPORT = "customs_airport"
    """税関空港 (Customs Act, article 2)."""
    BONDED_AREA = "bonded_area"
    """保税地域 (Customs Act, article 29)."""
    PORT_FACILITY = "port_facility"
    """港湾施設: a quay, a terminal, a marina."""
    COAST_GUARD = "coast_guard"
    """海上保安部署."""
    POLICE = "police"
    """警察施設."""
    LOOKOUT = "lookout"
    """監視所: an observation post, a radar or receiving site."""
    OTHER = "other"


class FacilityOrigin(StrEnum):
    """Who answers for a facility. Neither changes what is the other's."""

    SHIPPED = "shipped"
    """The project's reference data, which each release brings along."""
    IMPORTED = "imported"
    """People's own, out of their files."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Facility:
    """One facility. Raises ValueError for an id that is not small letters, digits and hyphens."""

    facility_id: str
    """A readable key that stays the same over releases, `open-port-hakata`."""
    kind: FacilityKind
    name_ja: str
    name_en: str
    prefecture: str
    """In Japanese, with its 都道府県, as in the national list of local governments (長崎県); may be empty."""
    municipality: str
    """In Japanese, as in the national list of local governments (対馬市; a ward as `福岡市 博多区`);
    may be empty."""
    position: Position
    """WGS 84. A port's point is its main wharf or harbour, an airport's its reference point."""
    stated_distance_km: float | None
    """No further than this from the municipality's office: what the reference data claim and a test holds them to.
    None for what people imported."""
    source_note: str
    """Where the facts are from, and how the point was placed."""

    def __post_init__(self) -> None:
        if not is_facility_id(self.facility_id):
            raise ValueError(
                f"facility id {self.facility_id!r}: write small letters, digits and single hyphens, "
                f"{MAX_FACILITY_ID_LENGTH} at most"
            )
        if self.stated_distance_km is not None and not 0.0 < self.stated_distance_km < 1_000.0:
            raise ValueError(
                f"facility {self.facility_id}: stated distance {self.stated_distance_km!r} km; give a number above 0"
            )


def is_facility_id(written: str) -> bool:
    """Whether it can be a facility's id: small letters, digits, single hyphens, MAX_FACILITY_ID_LENGTH at most."""
    return _FACILITY_ID.fullmatch(written) is not None and len(written) <= MAX_FACILITY_ID_LENGTH


@dataclass(frozen=True, kw_only=True, slots=True)
class FacilityVersion:
    """One version of a facility. retired: it is shown no longer. valid_from_us: the host's time; realms share them."""

    facility: Facility
    version: int
    origin: FacilityOrigin
    author: str
    valid_from_us: int
    retired: bool = False
