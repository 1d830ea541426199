"""Areas, versioned: each change is a new row, so that the picture of a past time has the areas of that time."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection
from dataclasses import replace
from typing import Any, Final

import shapely
from geoalchemy2.shape import from_shape, to_shape
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Row, insert, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from command.domain.area import Area, AreaKind
from command.store.notify import notify
from command.store.sequencer import hold, last, take_next
from command.store.tables import AREA_VERSION
from command.store.types import WGS84_SRID

MAX_VERTICES: Final = 100_000
MAX_SLUG_LENGTH: Final = 60
_SLUG: Final = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class BadArea(ValueError):
    """An area that cannot be watched; the text says what to write or draw instead."""


def latest_areas(session: Session) -> list[Area]:
    """The newest version of each area, by slug, those that are retired too."""
    newest_first = select(AREA_VERSION).order_by(AREA_VERSION.c.slug, AREA_VERSION.c.version.desc())
    return [_area(row) for row in session.execute(newest_first.ext(distinct_on(AREA_VERSION.c.slug)))]


def current_areas(session: Session) -> list[Area]:
    """The version that holds of each area that is watched, by slug."""
    return [area for area in latest_areas(session) if not area.retired]


def areas_called(session: Session, slugs: Collection[str]) -> list[Area]:
    """The newest version of each area that has one of these slugs, those that are retired too, by slug."""
    newest_first = select(AREA_VERSION).order_by(AREA_VERSION.c.slug, AREA_VERSION.c.version.desc())
    of_these = newest_first.where(AREA_VERSION.c.slug.in_(slugs))
    return [_area(row) for row in session.execute(of_these.ext(distinct_on(AREA_VERSION.c.slug)))]


def area_versions(session: Session, slug: str, *, limit: int) -> list[Area]:
    """The versions of one area, newest first; [] where there never was one."""
    of_one = select(AREA_VERSION).where(AREA_VERSION.c.slug == slug)
    return [_area(row) for row in session.execute(of_one.order_by(AREA_VERSION.c.version.desc()).limit(limit))]


def area_version(session: Session, slug: str, version: int) -> Area | None:
    """One version of one area; None where there is none."""
    one = select(AREA_VERSION).where(AREA_VERSION.c.slug == slug, AREA_VERSION.c.version == version)
    row = session.execute(one).one_or_none()
    return None if row is None else _area(row)


def area_as_of(session: Session, slug: str, at_us: int) -> Area | None:
    """The version that was in force at a time of the realm, else the first one; None where there is no such area."""
    versions = select(AREA_VERSION).where(AREA_VERSION.c.slug == slug)
    then = versions.where(AREA_VERSION.c.valid_from <= at_us).order_by(AREA_VERSION.c.version.desc()).limit(1)
    row = session.execute(then).one_or_none()
    row = row or session.execute(versions.order_by(AREA_VERSION.c.version).limit(1)).one_or_none()
    return None if row is None else _area(row)


def area_changes(session: Session, since_us: int, until_us: int) -> list[Area]:
    """Every version that holds from a time in between on, first to last."""
    begun = AREA_VERSION.c.valid_from
    query = select(AREA_VERSION).where(begun >= since_us, begun < until_us).order_by(AREA_VERSION.c.revision)
    return [_area(row) for row in session.execute(query)]


def areas_revision(session: Session) -> int:
    """A number that rises when any area changes; 0 before the first. One row, cheap to ask often."""
    return last(session, "area")


def hold_areas(session: Session) -> None:
    """No one changes an area until this transaction ends: what is read from now on may be decided upon."""
    hold(session, "area")


def put_area(
    session: Session,
    slug: str,
    kind: AreaKind,
    name_ja: str,
    name_en: str,
    geometry: BaseGeometry,
    author: str,
    now_us: int,
) -> Area:
    """Make this the area called `slug` from now on, as a new version; one that holds already makes none.

    An area that was retired is watched again. geometry: valid Polygon or MultiPolygon, WGS 84 degrees. Raises BadArea.
    """
    _check(slug, geometry)
    hold_areas(session)
    known = next(iter(area_versions(session, slug, limit=1)), None)
    if known is not None and (known.kind, known.name_ja, known.name_en, known.geometry, known.retired) == (
        kind,
        name_ja,
        name_en,
        geometry,
        False,
    ):
        return known
    area = Area(
        area_id=uuid.uuid4() if known is None else known.area_id,
        version=1 if known is None else known.version + 1,
        slug=slug,
        kind=kind,
        name_ja=name_ja,
        name_en=name_en,
        geometry=geometry,
        valid_from_us=now_us,
        author=author,
    )
    _append(session, area)
    return area


def retire_area(session: Session, slug: str, author: str, now_us: int) -> Area:
    """Watch the area called `slug` no longer, by a new version; one that is retired already makes none.

    Raises BadArea where there is no such area.
    """
    hold_areas(session)
    known = next(iter(area_versions(session, slug, limit=1)), None)
    if known is None:
        raise BadArea(f"there is no area {slug!r}; reload the list of areas")
    if known.retired:
        return known
    area = replace(known, version=known.version + 1, author=author, valid_from_us=now_us, retired=True)
    _append(session, area)
    return area


def _append(session: Session, area: Area) -> None:
    revision = take_next(session, "area")
    session.execute(
        insert(AREA_VERSION).values(
            area_id=area.area_id,
            version=area.version,
            slug=area.slug,
            kind=area.kind.value,
            name_ja=area.name_ja,
            name_en=area.name_en,
            geometry=from_shape(area.geometry, srid=WGS84_SRID),
            author=area.author,
            valid_from=area.valid_from_us,
            revision=revision,
            retired=area.retired,
        )
    )
    notify(session, {"areas": revision})


def _area(row: Row[Any]) -> Area:
    return Area(
        area_id=row.area_id,
        version=row.version,
        slug=row.slug,
        kind=AreaKind(row.kind),
        name_ja=row.name_ja,
        name_en=row.name_en,
        geometry=to_shape(row.geometry),
        valid_from_us=row.valid_from,
        author=row.author,
        retired=row.retired,
    )


def is_slug(written: str) -> bool:
    """Whether it can be an area's slug: small letters, digits, single hyphens, MAX_SLUG_LENGTH at most."""
    return _SLUG.fullmatch(written) is not None and len(written) <= MAX_SLUG_LENGTH


def _check(slug: str, geometry: BaseGeometry) -> None:
    if not is_slug(slug):
        raise BadArea(f"area {slug!r}: write small letters, digits and single hyphens, {MAX_SLUG_LENGTH} at most")
    if geometry.geom_type not in ("Polygon", "MultiPolygon") or geometry.is_empty:
        raise BadArea(f"area {slug}: a {geometry.geom_type} has no inside; draw a polygon")
    vertices = shapely.get_num_coordinates(geometry)
    if vertices > MAX_VERTICES:
        raise BadArea(f"area {slug}: {vertices} vertices; simplify it to {MAX_VERTICES} at most")
    west, south, east, north = geometry.bounds
    if not (max(-west, east) <= 180.0 and max(-south, north) <= 90.0):
        raise BadArea(f"area {slug}: reaches {geometry.bounds}; give degrees on the globe, longitude first")
    if not geometry.is_valid:
        raise BadArea(f"area {slug}: {shapely.is_valid_reason(geometry)}; draw it without crossing its own edge")
