"""Areas: what people with the right do to what is watched. Every change is a version, so each can be undone."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from shapely.geometry.base import BaseGeometry
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from command.domain.area import Area, AreaKind
from command.domain.clock import Clock
from command.domain.realm import Realm
from command.i18n import text
from command.operations.people import Permission, Person
from command.store.areas import area_version, area_versions, hold_areas, latest_areas, put_area, retire_area
from command.store.audit import append_audit
from command.store.engine import realm_session
from maps.area_geometry import BadAreaGeometry
from maps.areas import MAX_AREAS

__all__ = ["AreaBook", "AreaChanged", "AreaDraft", "AreaRefused", "BadAreaGeometry", "UnknownArea"]

NAME_LIMIT: Final = 100
VERSION_LIMIT: Final = 200
_SLUG_LENGTH: Final = 50
_NOT_IN_SLUG: Final = re.compile(r"[^a-z0-9]+")


class AreaRefused(ValueError):
    """A change to an area that cannot be made. `explain(language)` is the sentence for people."""

    def __init__(self, reason: str, **params: Any) -> None:
        self.reason = reason
        self.params = params
        super().__init__(self.explain("en"))

    def explain(self, language: str) -> str:
        return text(language, f"area.refused.{self.reason}", **self.params)


class UnknownArea(AreaRefused):
    """There is no area, or no version of it, of this name."""


class AreaChanged(AreaRefused):
    """Somebody else changed the area meanwhile: nothing was done. `current` is what holds now."""

    def __init__(self, *, current: Area, based_on: Area | None) -> None:
        self.current = current
        self.changed = _differences(based_on, current)
        super().__init__("changed", version=current.version, who=current.author)

    def explain(self, language: str) -> str:
        what = text(language, "area.refused.list_separator").join(
            text(language, f"area.field.{name}") for name in self.changed
        )
        return text(language, "area.refused.changed", what=what, **self.params)


@dataclass(frozen=True, kw_only=True)
class AreaDraft:
    """What a person wants an area to be. name_en may be empty: then it is the Japanese name in both languages."""

    kind: AreaKind
    name_ja: str
    name_en: str
    geometry: BaseGeometry
    """As `clean_geometry` gives it."""


class AreaBook:
    """The areas of one realm. Every method may raise StoreUnavailable; each change is audited in its transaction.

    A change names the version that the person saw and is refused with AreaChanged where another holds by now.
    """

    def __init__(self, engine: Engine, realm: Realm, *, clock: Clock) -> None:
        self._engine = engine
        self._realm = realm
        self._clock = clock

    def everything(self) -> list[Area]:
        """The newest version of each area, retired ones too, by slug."""
        with realm_session(self._engine, self._realm) as session:
            return latest_areas(session)

    def versions(self, slug: str) -> list[Area]:
        """The newest VERSION_LIMIT versions of an area, newest first. Raises UnknownArea."""
        with realm_session(self._engine, self._realm) as session:
            found = area_versions(session, slug, limit=VERSION_LIMIT)
        if not found:
            raise UnknownArea("unknown", slug=slug)
        return found

    def create(self, draft: AreaDraft, *, person: Person) -> Area:
        """A new area, its slug made from its English name. Raises Forbidden, AreaRefused."""
        person.must(Permission.EDIT_AREAS)
        with realm_session(self._engine, self._realm) as session:
            hold_areas(session)
            known = latest_areas(session)
            refuse_too_many(known, adding=1)
            slug = free_slug(draft.name_en or draft.name_ja, taken={area.slug for area in known})
            return self._put(session, slug, draft, person=person, action="area.created")

    def change(self, slug: str, draft: AreaDraft, *, based_on: int, person: Person) -> Area:
        """Make the area like this from now on. Raises Forbidden, UnknownArea, AreaChanged, AreaRefused."""
        person.must(Permission.EDIT_AREAS)
        with realm_session(self._engine, self._realm) as session:
            if _held(session, slug, based_on=based_on).retired:
                raise AreaRefused("retired", slug=slug)
            return self._put(session, slug, draft, person=person, action="area.changed")

    def retire(self, slug: str, *, based_on: int, person: Person) -> Area:
        """Watch it no longer: rules clear its open alerts as withdrawn. Raises Forbidden, UnknownArea, AreaChanged."""
        person.must(Permission.EDIT_AREAS)
        now_us = self._clock.now_us()
        with realm_session(self._engine, self._realm) as session:
            _held(session, slug, based_on=based_on)
            area = retire_area(session, slug, person.user.login, now_us)
            self._audit(session, area, action="area.retired", by=person.user.login, now_us=now_us)
        return area

    def restore(self, slug: str, version: int, *, based_on: int, person: Person) -> Area:
        """Make an earlier version hold again, as a new one. Raises Forbidden, UnknownArea, AreaChanged, AreaRefused."""
        person.must(Permission.EDIT_AREAS)
        with realm_session(self._engine, self._realm) as session:
            if _held(session, slug, based_on=based_on).retired:
                refuse_too_many(latest_areas(session), adding=1)
            found = area_version(session, slug, version)
            if found is None:
                raise UnknownArea("unknown_version", slug=slug, version=version)
            draft = AreaDraft(kind=found.kind, name_ja=found.name_ja, name_en=found.name_en, geometry=found.geometry)
            return self._put(session, slug, draft, person=person, action="area.restored", of_version=version)

    def _put(
        self, session: Session, slug: str, draft: AreaDraft, *, person: Person, action: str, **detail: object
    ) -> Area:
        now_us = self._clock.now_us()
        by = person.user.login
        area = put_checked(session, slug, draft, by=by, now_us=now_us)
        if (area.valid_from_us, area.author) == (now_us, by):
            self._audit(session, area, action=action, by=by, now_us=now_us, **detail)
        return area

    def _audit(self, session: Session, area: Area, *, action: str, by: str, now_us: int, **detail: object) -> None:
        append_audit(
            session,
            actor=by,
            action=action,
            target=area.slug,
            detail={"realm": self._realm.name, "version": area.version, **detail},
            now_us=now_us,
        )


def put_checked(session: Session, slug: str, draft: AreaDraft, *, by: str, now_us: int) -> Area:
    """put_area with names that people can read. Raises AreaRefused."""
    name_ja = _name(draft.name_ja)
    name_en = _name(draft.name_en) if draft.name_en.strip() else name_ja
    return put_area(session, slug, draft.kind, name_ja, name_en, draft.geometry, by, now_us)


def refuse_too_many(known: Sequence[Area], *, adding: int) -> None:
    """Raises AreaRefused where the realm would watch more areas than it can."""
    if sum(not area.retired for area in known) + adding > MAX_AREAS:
        raise AreaRefused("too_many", most=MAX_AREAS)


def free_slug(name: str, *, taken: set[str]) -> str:
    """A slug made from the Latin letters of a name, `area` where it has none, with a number where it is taken."""
    latin = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = _NOT_IN_SLUG.sub("-", latin)[:_SLUG_LENGTH].strip("-") or "area"
    numbered = (slug if n == 1 else f"{slug}-{n}" for n in range(1, len(taken) + 2))
    return next(candidate for candidate in numbered if candidate not in taken)


def _held(session: Session, slug: str, *, based_on: int) -> Area:
    """The version that holds, which nobody changes until this transaction ends."""
    hold_areas(session)
    current = next(iter(area_versions(session, slug, limit=1)), None)
    if current is None:
        raise UnknownArea("unknown", slug=slug)
    if current.version != based_on:
        raise AreaChanged(current=current, based_on=area_version(session, slug, based_on))
    return current


def _differences(before: Area | None, after: Area) -> tuple[str, ...]:
    """Which of an area's fields are other than they were; all where it is not known how they were."""
    fields = ("kind", "name_ja", "name_en", "geometry", "retired")
    return tuple(f for f in fields if before is None or getattr(before, f) != getattr(after, f)) or ("version",)


def _name(given: str) -> str:
    name = " ".join(given.split())
    if not name:
        raise AreaRefused("name_ja_missing")
    if len(name) > NAME_LIMIT or not name.isprintable():
        raise AreaRefused("name", limit=NAME_LIMIT)
    return name
