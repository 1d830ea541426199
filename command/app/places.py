"""Areas and facilities in and everything out, from the terminal, for the administrator of the machine."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from command.app.program import opened
from command.domain.area import AreaKind
from command.domain.facility import FacilityKind
from command.domain.realm import Realm
from command.operations.areas import AreaBook
from command.operations.exports import Exported, Format, export
from command.operations.facilities import FacilityBook
from command.operations.imports import Imported, ImportRefused
from command.operations.realms import realm_clock
from command.settings import BadSettings, Settings
from maps.exchange import MAX_BYTES, read_features


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What an import says, line by line."""

    lines: tuple[str, ...]
    failed: bool


def import_areas(settings: Settings, realm: Realm, file: Path, *, kind: str, dry_run: bool) -> Told:
    """Take the areas of a file. Raises BadSettings, BadFile, UnknownRealm, StoreUnavailable."""
    if kind not in set(AreaKind):
        raise BadSettings(f"--kind {kind!r}; choose from {', '.join(AreaKind)}")
    form, data = Format.of_name(file.name), _read(file)
    with opened(settings, realm) as program:
        book = AreaBook(program.engine, realm, clock=realm_clock(program.engine, realm))
        return _told(
            lambda: book.bring_in(
                read_features(data, form), default_kind=AreaKind(kind), by=_operator(), dry_run=dry_run
            ),
            settings.language,
            dry_run=dry_run,
        )


def import_facilities(settings: Settings, realm: Realm, file: Path, *, kind: str, dry_run: bool) -> Told:
    """Take the facilities of a file, which every realm shares. Raises as `import_areas`, and FacilityRefused."""
    if kind not in set(FacilityKind):
        raise BadSettings(f"--kind {kind!r}; choose from {', '.join(FacilityKind)}")
    form, data = Format.of_name(file.name), _read(file)
    with opened(settings, realm) as program:
        book = FacilityBook(program.engine, realm)
        return _told(
            lambda: book.bring_in(
                read_features(data, form, a_point_a_line=True),
                default_kind=FacilityKind(kind),
                by=_operator(),
                dry_run=dry_run,
            ),
            settings.language,
            dry_run=dry_run,
        )


def _told(bring_in: Callable[[], Sequence[Imported[Any]]], language: str, *, dry_run: bool) -> Told:
    """What came of an import, or each thing that is wrong with it."""
    try:
        taken = bring_in()
    except ImportRefused as exc:
        wrong = (
            f"{number}{'' if row is None else f' / {row}'}: {what.explain(language)}"
            for number, row, what in exc.problems
        )
        return Told(lines=(exc.explain(language), *wrong), failed=True)
    lines = [f"{each.number}: {each.outcome.value} {each.slug} ({each.draft.name_ja})" for each in taken]
    return Told(lines=(*lines, "nothing was changed (--dry-run)") if dry_run else tuple(lines), failed=False)


def export_to(settings: Settings, realm: Realm, what: str, *, form: str | None, to: Path | None) -> tuple[Path, int]:
    """Write a file, GeoJSON named after what it holds unless said; which file, and how many things are in it.

    Raises BadSettings, BadFile, UnknownRealm, StoreUnavailable.
    """
    if what not in set(Exported):
        raise BadSettings(f"{what!r} cannot be exported; choose from {', '.join(Exported)}")
    if form is not None and form not in set(Format):
        raise BadSettings(f"--format {form!r}; choose from {', '.join(Format)}")
    chosen = Format(form or Format.GEOJSON) if form is not None or to is None else Format.of_name(to.name)
    to = to or Path(f"{what}-{realm.name}.{chosen.value}")
    with opened(settings, realm) as program:
        now_us = realm_clock(program.engine, realm).now_us()
        data, count = export(program.engine, realm, Exported(what), chosen, by=_operator(), now_us=now_us)
    try:
        with to.open("xb") as out:
            out.write(data)
    except OSError as exc:
        raise BadSettings(f"{to} cannot be written ({exc.strerror}); name a file that is not there yet") from exc
    return to, count


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as exc:
        raise BadSettings(f"{file} cannot be read ({exc.strerror}); name a file") from exc


def _operator() -> str:
    return f"{getpass.getuser()} (terminal)"
