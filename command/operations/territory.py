"""Whose areas a thing lies in: the one place that limits what people do to what lies in their areas (docs/adr/0006)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import shapely
from shapely.geometry.base import BaseGeometry
from sqlalchemy.orm import Session

from command.domain.alert import Alert
from command.domain.area import Area
from command.domain.geo import Position
from command.domain.incident import Incident
from command.i18n import text
from command.operations.people import EVERYWHERE, Forbidden, Permission, Person
from command.store.areas import areas_called, latest_areas
from maps.areas import AreaIndex
from maps.coordinates import dms

_HAIR_DEG: Final = 1e-7
"""About a centimetre: what a union of shapes may be off its parts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Where:
    """Where something lies. It lies in every area that it touches by one of these, so that at a border two may act.

    areas: slugs of areas that it was raised for or linked to. position: the newest that is known. shape: all of it has
    to be inside. called: logins of those who were called in, wherever it lies.
    """

    areas: frozenset[str] = frozenset()
    position: Position | None = None
    shape: BaseGeometry | None = None
    called: frozenset[str] = frozenset()


def where_is(thing: Alert | Incident) -> Where:
    """Where an alert or an incident lies. Owner and participants of an incident were called in."""
    if isinstance(thing, Alert):
        return Where(areas=frozenset() if thing.area is None else frozenset({thing.area}), position=thing.position)
    called = frozenset(thing.participants) | (frozenset() if thing.owner is None else {thing.owner})
    return Where(areas=frozenset(thing.cited.areas), position=thing.position, called=called)


class OutsideAreas(Forbidden):
    """A person's roles allow it, in other areas. `explain(language)` is the sentence for people.

    theirs: slugs of the person's areas. lies_in: slugs of those that the thing lies in.
    """

    def __init__(self, permission: Permission, where: Where, *, person: Person, known: Sequence[Area]) -> None:
        self.theirs = tuple(sorted(person.areas or ()))
        watched = [area for area in known if not area.retired]
        self.lies_in = tuple(sorted(where.areas | _around(where, watched)))
        self._names = {area.slug: {"ja": area.name_ja, "en": area.name_en} for area in known}
        self._permission, self._where = permission, where
        super().__init__(self.explain("en"))

    def explain(self, language: str) -> str:
        mine = self._listed(self.theirs, language)
        here = [slug for slug in self.theirs if slug in self._names]
        return text(
            language,
            "scope.outside" if here else "scope.none_here",
            what=text(language, f"permission.{self._permission.name.lower()}"),
            mine=mine,
            where=self._told(language),
        )

    def _told(self, language: str) -> str:
        if self.lies_in:
            return text(language, "scope.in_areas", areas=self._listed(self.lies_in, language))
        position = self._where.position
        if position is None and self._where.shape is not None:
            point = self._where.shape.representative_point()
            position = Position(lon=point.x, lat=point.y)
        return text(language, "scope.nowhere") if position is None else text(language, "scope.at", where=dms(position))

    def _listed(self, slugs: Iterable[str], language: str) -> str:
        separator = text(language, "area.refused.list_separator")
        return separator.join(self._names.get(slug, {}).get(language, slug) for slug in slugs)


class Territory:
    """What some areas cover together. Whether an area is watched does not matter: its people stay the same."""

    def __init__(self, areas: Sequence[Area]) -> None:
        self._slugs = frozenset(area.slug for area in areas)
        self._index = AreaIndex(areas)
        self._areas = areas

    def holds(self, where: Where) -> bool:
        """Whether it lies in one of the areas; what has no place lies in none."""
        if where.areas & self._slugs:
            return True
        if where.position is not None and len(self._index.containing([where.position.lon], [where.position.lat])[0]):
            return True
        return where.shape is not None and self._covers(where.shape)

    def _covers(self, shape: BaseGeometry) -> bool:
        shapes = [area.geometry for area in self._areas]
        return bool(shapely.union_all(shapes).buffer(_HAIR_DEG).covers(shape)) if shapes else False


def must_at(session: Session, person: Person, permission: Permission, *things: Alert | Incident | Where) -> None:
    """What `person.must` is for things that lie somewhere; each of them has to be in the person's areas.

    session: of the realm, for the shapes as they are now. Raises Forbidden, OutsideAreas.
    """
    person.must_somewhere(permission)
    if person.areas is None or permission in EVERYWHERE:
        return
    if not things:
        person.must(permission)
    territory = Territory(areas_called(session, person.areas))
    for thing in things:
        where = thing if isinstance(thing, Where) else where_is(thing)
        if not _called(person, where) and not territory.holds(where):
            raise OutsideAreas(permission, where, person=person, known=latest_areas(session))


def as_seen_from(person: Person, territory: Territory, thing: Alert | Incident) -> Person:
    """The person with what they may do to this thing only, for what a screen offers. territory: of their areas."""
    where = where_is(thing)
    if person.areas is None or _called(person, where) or territory.holds(where):
        return person
    held = frozenset(Permission) if person.scopes is None else person.scopes
    # an order is a call: whoever has one reports on it wherever it is
    return replace(person, scopes=held & (EVERYWHERE | {Permission.MOVE_OWN_TASKS}))


def _called(person: Person, where: Where) -> bool:
    return person.user.login.casefold() in {login.casefold() for login in where.called}


def _around(where: Where, areas: Sequence[Area]) -> frozenset[str]:
    """Slugs of the areas that a position is in, or that a shape touches."""
    if where.shape is not None:
        return frozenset(area.slug for area in areas if area.geometry.intersects(where.shape))
    if where.position is None:
        return frozenset()
    _, found = AreaIndex(areas).containing([where.position.lon], [where.position.lat])
    return frozenset(areas[i].slug for i in found)
