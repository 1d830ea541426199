"""Areas: what people with the right do to what is watched. Every change is a version, so each can be undone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from shapely.geometry.base import BaseGeometry
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from command.domain.area import Area, AreaKind
from command.domain.clock import Clock
from command.domain.realm import Realm
from command.i18n import text
from command.operations.area_drafts import AreaDraft, AreaRefused
from command.operations.area_files import area_features, plan_import
from command.operations.imports import Imported, Outcome, free_slug
from command.operations.people import Permission, Person
from command.operations.territory import Where, must_at
from command.store.areas import area_version, area_versions, hold_areas, latest_areas, put_area, retire_area
from command.store.audit import append_audit
from command.store.engine import realm_session
from maps.area_geometry import BadAreaGeometry
from maps.areas import MAX_AREAS
from maps.exchange import Feature, Format, write_features

__all__ = [
    "AreaBook",
    "AreaChanged",
    "AreaDraft",
    "AreaRefused",
    "BadAreaGeometry",
    "UnknownArea",
]

VERSION_LIMIT: Final = 200


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

    def one(self, slug: str, *, version: int | None) -> Area:
        """A version of an area, None for the newest. Raises UnknownArea."""
        with realm_session(self._engine, self._realm) as session:
            if version is None:
                found = next(iter(area_versions(session, slug, limit=1)), None)
            else:
                found = area_version(session, slug, version)
        if found is None:
            raise UnknownArea("unknown", slug=slug)
        return found

    def versions(self, slug: str) -> list[Area]:
        """The newest VERSION_LIMIT versions of an area, newest first. Raises UnknownArea."""
        with realm_session(self._engine, self._realm) as session:
            found = area_versions(session, slug, limit=VERSION_LIMIT)
        if not found:
            raise UnknownArea("unknown", slug=slug)
        return found

    def as_file(self, form: Format) -> bytes:
        """What is watched, as a file that `bring_in` takes."""
        watched = [area for area in self.everything() if not area.retired]
        return write_features(area_features(watched), form, layer="areas")

    def create(self, draft: AreaDraft, *, person: Person) -> Area:
        """A new area, its slug made from its English name. Raises Forbidden, AreaRefused."""
        person.must_somewhere(Permission.EDIT_AREAS)
        with realm_session(self._engine, self._realm) as session:
            hold_areas(session)
            _must_cover(session, person, draft.geometry)
            known = latest_areas(session)
            refuse_too_many(known, adding=1)
            slug = free_slug(draft.name_en or draft.name_ja, taken={area.slug for area in known}, otherwise="area")
            return self._put(session, slug, draft, person=person, action="area.created")

    def change(self, slug: str, draft: AreaDraft, *, based_on: int, person: Person) -> Area:
        """Make the area like this from now on. Raises Forbidden, UnknownArea, AreaChanged, AreaRefused."""
        person.must_somewhere(Permission.EDIT_AREAS)
        with realm_session(self._engine, self._realm) as session:
            held = _held(session, slug, based_on=based_on)
            _must_cover(session, person, held.geometry, draft.geometry)
            if held.retired:
                raise AreaRefused("retired", slug=slug)
            return self._put(session, slug, draft, person=person, action="area.changed")

    def retire(self, slug: str, *, based_on: int, person: Person) -> Area:
        """Watch it no longer: rules clear its open alerts as withdrawn. Raises Forbidden, UnknownArea, AreaChanged."""
        person.must_somewhere(Permission.EDIT_AREAS)
        now_us = self._clock.now_us()
        with realm_session(self._engine, self._realm) as session:
            _must_cover(session, person, _held(session, slug, based_on=based_on).geometry)
            area = retire_area(session, slug, person.user.login, now_us)
            self._audit(session, area, action="area.retired", by=person.user.login, now_us=now_us)
        return area

    def restore(self, slug: str, version: int, *, based_on: int, person: Person) -> Area:
        """Make an earlier version hold again, as a new one. Raises Forbidden, UnknownArea, AreaChanged, AreaRefused."""
        person.must_somewhere(Permission.EDIT_AREAS)
        with realm_session(self._engine, self._realm) as session:
            held = _held(session, slug, based_on=based_on)
            found = area_version(session, slug, version)
            _must_cover(session, person, held.geometry, *([] if found is None else [found.geometry]))
            if found is None:
                raise UnknownArea("unknown_version", slug=slug, version=version)
            if held.retired:
                refuse_too_many(latest_areas(session), adding=1)
            draft = AreaDraft(kind=found.kind, name_ja=found.name_ja, name_en=found.name_en, geometry=found.geometry)
            return self._put(session, slug, draft, person=person, action="area.restored", of_version=version)

    def bring_in(
        self,
        features: Sequence[Feature],
        *,
        default_kind: AreaKind,
        by: str,
        dry_run: bool,
        person: Person | None = None,
    ) -> list[Imported[AreaDraft]]:
        """Take the areas of a file, all or none: a known slug, or else a known pair of names, is changed, others are
        made. default_kind: of what says none. by: who answers for it. person: whose rights count; None at the
        terminal of the machine. dry_run: say what would be done. Raises ImportRefused, AreaRefused, Forbidden.
        """
        if person is not None:
            person.must_somewhere(Permission.EDIT_AREAS)
        now_us = self._clock.now_us()
        with realm_session(self._engine, self._realm) as session:
            hold_areas(session)
            known = latest_areas(session)
            planned = plan_import(features, known, default_kind=default_kind)
            if person is not None:
                changed = {e.slug: e.draft.geometry for e in planned if e.outcome is not Outcome.UNCHANGED}
                before = [area.geometry for area in known if area.slug in changed]
                if changed:
                    _must_cover(session, person, *before, *changed.values())
            refuse_too_many(known, adding=sum(each.outcome in (Outcome.CREATED, Outcome.RESTORED) for each in planned))
            changing = [each for each in planned if not dry_run and each.outcome is not Outcome.UNCHANGED]
            for each in changing:
                area = _put(session, each.slug, each.draft, by=by, now_us=now_us)
                self._audit(session, area, action="area.imported", by=by, now_us=now_us, outcome=each.outcome.value)
        return planned

    def _put(
        self, session: Session, slug: str, draft: AreaDraft, *, person: Person, action: str, **detail: object
    ) -> Area:
        now_us = self._clock.now_us()
        by = person.user.login
        area = _put(session, slug, draft.cleaned(), by=by, now_us=now_us)
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


def _put(session: Session, slug: str, draft: AreaDraft, *, by: str, now_us: int) -> Area:
    return put_area(session, slug, draft.kind, draft.name_ja, draft.name_en, draft.geometry, by, now_us)


def _must_cover(session: Session, person: Person, *shapes: BaseGeometry) -> None:
    """Raises Forbidden where one of them reaches out of the person's areas: nobody widens what they are limited to."""
    must_at(session, person, Permission.EDIT_AREAS, *(Where(shape=shape) for shape in shapes))


def refuse_too_many(known: Sequence[Area], *, adding: int) -> None:
    """Raises AreaRefused where the realm would watch more areas than it can."""
    if sum(not area.retired for area in known) + adding > MAX_AREAS:
        raise AreaRefused("too_many", most=MAX_AREAS)


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
