"""Facilities: what people with the right bring in beside what the project ships. Every change is a version.

All times here are the host's, not the realm's: facilities are shared by every realm.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from command.domain.clock import SystemClock
from command.domain.facility import FacilityKind, FacilityOrigin, FacilityVersion
from command.domain.realm import Realm
from command.operations.facility_files import FacilityDraft, FacilityRefused, facility_features, plan_import
from command.operations.imports import Imported, Outcome
from command.operations.people import Permission, Person
from command.store.audit import append_audit
from command.store.engine import realm_session
from command.store.facilities import (
    facilities_revision,
    facility_version,
    facility_versions,
    hold_facilities,
    latest_facilities,
    put_facility,
    retire_facility,
)
from command.store.notify import notify
from maps.exchange import Feature, Format, write_features

__all__ = ["FacilityBook", "FacilityChanged", "FacilityDraft", "FacilityRefused", "UnknownFacility"]

MAX_FACILITIES: Final = 5_000
VERSION_LIMIT: Final = 200


class UnknownFacility(FacilityRefused):
    """There is no facility, or no version of it, of this id."""


class FacilityChanged(FacilityRefused):
    """Somebody else changed the facility meanwhile: nothing was done. `current` is what holds now."""

    def __init__(self, current: FacilityVersion) -> None:
        self.current = current
        super().__init__("changed", version=current.version, who=current.author)


class FacilityBook:
    """The facilities, as the screens and the terminal of one realm see and change them. Every method may raise
    StoreUnavailable; each change is audited in its transaction.

    changed: called after each change of this process, before it is answered.
    """

    def __init__(self, engine: Engine, realm: Realm, *, changed: Callable[[], None] = lambda: None) -> None:
        self._engine = engine
        self._realm = realm
        self._host = SystemClock()
        self._changed = changed

    def everything(self) -> list[FacilityVersion]:
        """The newest version of each facility, retired ones too, by id."""
        with realm_session(self._engine, self._realm) as session:
            return latest_facilities(session)

    def one(self, facility_id: str) -> FacilityVersion:
        """The newest version of a facility. Raises UnknownFacility."""
        return self.versions(facility_id)[0]

    def versions(self, facility_id: str) -> list[FacilityVersion]:
        """The newest VERSION_LIMIT versions of a facility, newest first. Raises UnknownFacility."""
        with realm_session(self._engine, self._realm) as session:
            found = facility_versions(session, facility_id, limit=VERSION_LIMIT)
        if not found:
            raise UnknownFacility("unknown", id=facility_id)
        return found

    def as_file(self, form: Format) -> bytes:
        """What is not retired, as a file that `bring_in` takes."""
        shown = [each for each in self.everything() if not each.retired]
        return write_features(facility_features(shown), form, layer="facilities")

    def bring_in(
        self,
        features: Sequence[Feature],
        *,
        default_kind: FacilityKind,
        by: str,
        dry_run: bool,
        person: Person | None = None,
    ) -> list[Imported[FacilityDraft]]:
        """Take the facilities of a file, all or none: a known id, or else a known kind and pair of names, is changed,
        others are made. default_kind: of what says none. by: who answers for it. person: whose rights count; None at
        the terminal of the machine. dry_run: say what would be done. Raises ImportRefused, FacilityRefused, Forbidden.
        """
        if person is not None:
            person.must(Permission.EDIT_FACILITIES)
        now_us = self._host.now_us()
        with realm_session(self._engine, self._realm) as session:
            hold_facilities(session)
            known = latest_facilities(session)
            planned = plan_import(features, known, default_kind=default_kind)
            adding = sum(each.outcome in (Outcome.CREATED, Outcome.RESTORED) for each in planned)
            _refuse_too_many(known, adding=adding)
            changing = [each for each in planned if not dry_run and each.outcome is not Outcome.UNCHANGED]
            for each in changing:
                made = put_facility(session, each.draft.facility(each.slug), FacilityOrigin.IMPORTED, by, now_us)
                self._note(session, made, action="facility.imported", by=by, outcome=each.outcome.value)
            if changing:
                _tell(session)
        if changing:
            self._changed()
        return planned

    def retire(self, facility_id: str, *, based_on: int, person: Person) -> FacilityVersion:
        """Show it no longer. Raises Forbidden, UnknownFacility, FacilityChanged, FacilityRefused for a shipped one."""
        person.must(Permission.EDIT_FACILITIES)
        with realm_session(self._engine, self._realm) as session:
            known = _held(session, facility_id, based_on=based_on)
            made = retire_facility(session, known, person.user.login, self._host.now_us())
            if made is not known:
                self._note(session, made, action="facility.retired", by=person.user.login)
                _tell(session)
        self._changed()
        return made

    def restore(self, facility_id: str, version: int, *, based_on: int, person: Person) -> FacilityVersion:
        """Make an earlier version hold again, as a new one. Raises as `retire`."""
        person.must(Permission.EDIT_FACILITIES)
        with realm_session(self._engine, self._realm) as session:
            if _held(session, facility_id, based_on=based_on).retired:
                _refuse_too_many(latest_facilities(session), adding=1)
            found = facility_version(session, facility_id, version)
            if found is None:
                raise UnknownFacility("unknown_version", id=facility_id, version=version)
            by = person.user.login
            made = put_facility(session, found.facility, FacilityOrigin.IMPORTED, by, self._host.now_us())
            if made.version != based_on:
                self._note(session, made, action="facility.restored", by=by, of_version=version)
                _tell(session)
        self._changed()
        return made

    def _note(self, session: Session, made: FacilityVersion, *, action: str, by: str, **detail: object) -> None:
        append_audit(
            session,
            actor=by,
            action=action,
            target=made.facility.facility_id,
            detail={"realm": self._realm.name, "version": made.version, **detail},
            now_us=made.valid_from_us,
        )


def _tell(session: Session) -> None:
    """The screens of this realm hear of it at once; those of others look every few seconds."""
    notify(session, {"facilities": facilities_revision(session)})


def _refuse_too_many(known: Sequence[FacilityVersion], *, adding: int) -> None:
    """Raises FacilityRefused."""
    if sum(not each.retired for each in known) + adding > MAX_FACILITIES:
        raise FacilityRefused("too_many", most=MAX_FACILITIES)


def _held(session: Session, facility_id: str, *, based_on: int) -> FacilityVersion:
    """The version that holds, which nobody changes until this transaction ends; of what people imported only."""
    hold_facilities(session)
    current = next(iter(facility_versions(session, facility_id, limit=1)), None)
    if current is None:
        raise UnknownFacility("unknown", id=facility_id)
    if current.origin is FacilityOrigin.SHIPPED:
        raise FacilityRefused("shipped", id=facility_id)
    if current.version != based_on:
        raise FacilityChanged(current)
    return current
