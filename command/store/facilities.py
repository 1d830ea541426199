"""Facilities: reference data that every realm shares, replaced as a whole by each release's list."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from command.domain.facility import Facility, FacilityKind
from command.domain.geo import Position
from command.store.tables import FACILITY
from command.store.types import lon_lat, point


def save_facilities(session: Session, facilities: Sequence[Facility]) -> None:
    """Make these the facilities there are: known ones are changed, the others go."""
    ids = [facility.facility_id for facility in facilities]
    session.execute(delete(FACILITY).where(FACILITY.c.facility_id.not_in(ids)))
    for facility in facilities:
        columns = {
            "facility_id": facility.facility_id,
            "kind": facility.kind.value,
            "name_ja": facility.name_ja,
            "name_en": facility.name_en,
            "prefecture": facility.prefecture,
            "municipality": facility.municipality,
            "position": point(facility.position),
            "stated_distance_km": facility.stated_distance_km,
            "source_note": facility.source_note,
        }
        session.execute(
            insert(FACILITY)
            .values(columns)
            .on_conflict_do_update(index_elements=[FACILITY.c.facility_id], set_=columns)
        )


def list_facilities(session: Session) -> list[Facility]:
    """Every facility, by id."""
    columns = [column for column in FACILITY.c if column.name != "position"]
    query = select(*columns, *lon_lat(FACILITY.c.position)).order_by(FACILITY.c.facility_id)
    return [
        Facility(
            facility_id=row.facility_id,
            kind=FacilityKind(row.kind),
            name_ja=row.name_ja,
            name_en=row.name_en,
            prefecture=row.prefecture,
            municipality=row.municipality,
            position=Position(lon=row.lon, lat=row.lat),
            stated_distance_km=row.stated_distance_km,
            source_note=row.source_note,
        )
        for row in session.execute(query)
    ]
