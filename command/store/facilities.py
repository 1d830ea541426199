"""Facilities, versioned and shared by every realm: what releases bring and what people import, told apart by origin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import Row, Select, func, insert, select, text
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from command.domain.facility import Facility, FacilityKind, FacilityOrigin, FacilityVersion
from command.domain.geo import Position
from command.store.tables import FACILITY_VERSION
from command.store.types import lon_lat, point

SHIPPED_BY: Final = "mizugiwa"
"""The author of what a release brings."""


def save_shipped(session: Session, facilities: Sequence[Facility], now_us: int) -> None:
    """Make these the facilities that the project ships: what differs is a new version, what is gone is retired.

    An id that people had given to one of their own becomes the release's; what they had stays among its versions.
    """
    hold_facilities(session)
    known = {each.facility.facility_id: each for each in latest_facilities(session)}
    for facility in facilities:
        _put(session, known.get(facility.facility_id), facility, FacilityOrigin.SHIPPED, SHIPPED_BY, now_us)
    shipped = {facility.facility_id for facility in facilities}
    for each in known.values():
        if each.origin is FacilityOrigin.SHIPPED and each.facility.facility_id not in shipped:
            retire_facility(session, each, SHIPPED_BY, now_us)


def list_facilities(session: Session) -> list[Facility]:
    """Every facility that is not retired, by id."""
    return [each.facility for each in latest_facilities(session) if not each.retired]


def latest_facilities(session: Session) -> list[FacilityVersion]:
    """The newest version of each facility, by id, those that are retired too."""
    newest_first = _versions().order_by(FACILITY_VERSION.c.facility_id, FACILITY_VERSION.c.version.desc())
    return [_version(row) for row in session.execute(newest_first.ext(distinct_on(FACILITY_VERSION.c.facility_id)))]


def facility_versions(session: Session, facility_id: str, *, limit: int) -> list[FacilityVersion]:
    """The versions of one facility, newest first; [] where there never was one."""
    of_one = _versions().where(FACILITY_VERSION.c.facility_id == facility_id)
    return [_version(row) for row in session.execute(of_one.order_by(FACILITY_VERSION.c.version.desc()).limit(limit))]


def facility_version(session: Session, facility_id: str, version: int) -> FacilityVersion | None:
    """One version of one facility; None where there is none."""
    table = FACILITY_VERSION.c
    row = session.execute(_versions().where(table.facility_id == facility_id, table.version == version)).one_or_none()
    return None if row is None else _version(row)


def facilities_revision(session: Session) -> int:
    """A number that rises when any facility changes; 0 before the first."""
    found: int | None = session.execute(select(func.max(FACILITY_VERSION.c.revision))).scalar_one()
    return found or 0


def hold_facilities(session: Session) -> None:
    """No one changes a facility until this transaction ends: what is read from now on may be decided upon."""
    session.execute(text("SELECT pg_advisory_xact_lock(hashtextextended('mizugiwa facilities', 0))"))


def put_facility(
    session: Session, facility: Facility, origin: FacilityOrigin, author: str, now_us: int
) -> FacilityVersion:
    """Make the facility of this id like this from now on, as a new version; one that holds already makes none."""
    hold_facilities(session)
    known = next(iter(facility_versions(session, facility.facility_id, limit=1)), None)
    return _put(session, known, facility, origin, author, now_us)


def retire_facility(session: Session, known: FacilityVersion, author: str, now_us: int) -> FacilityVersion:
    """Show it no longer, by a new version; one that is retired already makes none. known: its newest version, held."""
    if known.retired:
        return known
    return _append(
        session, replace(known, version=known.version + 1, author=author, valid_from_us=now_us, retired=True)
    )


def _put(
    session: Session,
    known: FacilityVersion | None,
    facility: Facility,
    origin: FacilityOrigin,
    author: str,
    now_us: int,
) -> FacilityVersion:
    if known is not None and (known.facility, known.origin, known.retired) == (facility, origin, False):
        return known
    version = 1 if known is None else known.version + 1
    return _append(
        session,
        FacilityVersion(facility=facility, version=version, origin=origin, author=author, valid_from_us=now_us),
    )


def _append(session: Session, made: FacilityVersion) -> FacilityVersion:
    facility = made.facility
    session.execute(
        insert(FACILITY_VERSION).values(
            facility_id=facility.facility_id,
            version=made.version,
            origin=made.origin.value,
            kind=facility.kind.value,
            name_ja=facility.name_ja,
            name_en=facility.name_en,
            prefecture=facility.prefecture,
            municipality=facility.municipality,
            position=point(facility.position),
            stated_distance_km=facility.stated_distance_km,
            source_note=facility.source_note,
            author=made.author,
            valid_from=made.valid_from_us,
            retired=made.retired,
        )
    )
    return made


def _versions() -> Select[Any]:
    columns = [column for column in FACILITY_VERSION.c if column.name not in ("position", "revision")]
    return select(*columns, *lon_lat(FACILITY_VERSION.c.position))


def _version(row: Row[Any]) -> FacilityVersion:
    return FacilityVersion(
        facility=Facility(
            facility_id=row.facility_id,
            kind=FacilityKind(row.kind),
            name_ja=row.name_ja,
            name_en=row.name_en,
            prefecture=row.prefecture,
            municipality=row.municipality,
            position=Position(lon=row.lon, lat=row.lat),
            stated_distance_km=row.stated_distance_km,
            source_note=row.source_note,
        ),
        version=row.version,
        origin=FacilityOrigin(row.origin),
        author=row.author,
        valid_from_us=row.valid_from,
        retired=row.retired,
    )
