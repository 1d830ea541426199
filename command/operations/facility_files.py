"""Facilities out of files and into them: what each feature of a file would do, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

from command.domain.clock import from_us
from command.domain.facility import (
    MAX_FACILITY_ID_LENGTH,
    Facility,
    FacilityKind,
    FacilityOrigin,
    FacilityVersion,
    is_facility_id,
)
from command.domain.geo import Position
from command.i18n import LANGUAGES, text
from command.operations.imports import (
    RESERVED_SLUGS,
    BadFeature,
    Imported,
    Outcome,
    PlaceRefused,
    Wrong,
    clean_names,
    free_slug,
    names_of,
    plan_features,
)
from maps.coordinates import BadPosition, read_position
from maps.exchange import Feature

WORDS_LIMIT: Final = 60
NOTE_LIMIT: Final = 500
_SAME_DEG: Final = 1e-9
_KIND_WORDS: Final = {
    **{kind.value: kind for kind in FacilityKind},
    **{text(language, f"facility.kind.{kind.value}").lower(): kind for kind in FacilityKind for language in LANGUAGES},
}


class FacilityRefused(PlaceRefused):
    """A change to a facility that cannot be made."""

    about: ClassVar[str] = "facility"


@dataclass(frozen=True, kw_only=True)
class FacilityDraft:
    """What a file wants a facility to be."""

    kind: FacilityKind
    name_ja: str
    name_en: str
    prefecture: str
    municipality: str
    position: Position
    source_note: str

    def facility(self, facility_id: str) -> Facility:
        return Facility(
            facility_id=facility_id,
            kind=self.kind,
            name_ja=self.name_ja,
            name_en=self.name_en,
            prefecture=self.prefecture,
            municipality=self.municipality,
            position=self.position,
            stated_distance_km=None,
            source_note=self.source_note,
        )

    def is_that_of(self, facility: Facility) -> bool:
        """Whether the facility is as the file wants it, to a tenth of a millimetre."""
        at, wanted = facility.position, self.position
        near = abs(at.lon - wanted.lon) < _SAME_DEG and abs(at.lat - wanted.lat) < _SAME_DEG
        said = replace(self.facility(facility.facility_id), position=at, stated_distance_km=facility.stated_distance_km)
        return near and said == facility


def plan_import(
    features: Sequence[Feature], known: Sequence[FacilityVersion], *, default_kind: FacilityKind
) -> list[Imported[FacilityDraft]]:
    """What taking the features would do. What the project ships stays as it is: a feature that would change it is
    wrong. Raises ImportRefused with everything that is wrong."""
    by_id = {each.facility.facility_id: each for each in known}
    by_names = {
        (each.facility.kind, each.facility.name_ja, each.facility.name_en): each.facility.facility_id
        for each in known
        if each.origin is FacilityOrigin.IMPORTED and not each.retired
    }

    def read(feature: Feature) -> tuple[FacilityDraft | None, Wrong]:
        try:
            return _draft(feature, default_kind), []
        except (BadFeature, BadPosition, FacilityRefused) as exc:
            return None, [(None, exc)]

    def id_of(feature: Feature, draft: FacilityDraft, before: Collection[str]) -> str:
        said = feature.properties
        facility_id = said.get("facility_id") or said.get("slug")
        facility_id = facility_id or by_names.get((draft.kind, draft.name_ja, draft.name_en))
        if facility_id is None:
            return free_slug(draft.name_en, taken={*by_id, *before}, otherwise="facility")
        if not is_facility_id(facility_id) or facility_id in RESERVED_SLUGS:
            raise BadFeature("facility", "slug", found=facility_id[:40], most=MAX_FACILITY_ID_LENGTH)
        return facility_id

    def outcome_of(facility_id: str, draft: FacilityDraft) -> Outcome:
        one = by_id.get(facility_id)
        if one is None:
            return Outcome.CREATED
        same = draft.is_that_of(one.facility)
        if one.origin is FacilityOrigin.SHIPPED:
            if same and not one.retired:
                return Outcome.UNCHANGED
            raise BadFeature("facility", "shipped", id=facility_id)
        if one.retired:
            return Outcome.RESTORED
        return Outcome.UNCHANGED if same else Outcome.CHANGED

    return plan_features("facility", features, read=read, slug_of=id_of, outcome_of=outcome_of)


def facility_features(facilities: Sequence[FacilityVersion]) -> list[Feature]:
    """Facilities as a file holds them; taken in again they change nothing."""
    return [
        Feature(
            number=i,
            properties={
                "facility_id": each.facility.facility_id,
                "kind": each.facility.kind.value,
                "name_ja": each.facility.name_ja,
                "name_en": each.facility.name_en,
                "prefecture": each.facility.prefecture,
                "municipality": each.facility.municipality,
                "source_note": each.facility.source_note,
                "origin": each.origin.value,
                "version": str(each.version),
                "author": each.author,
                "valid_from": from_us(each.valid_from_us).isoformat(),
            },
            geometry={"type": "Point", "coordinates": (each.facility.position.lon, each.facility.position.lat)},
        )
        for i, each in enumerate(facilities, start=1)
    ]


def _draft(feature: Feature, default_kind: FacilityKind) -> FacilityDraft:
    said = feature.properties
    written = said.get("kind", "")
    kind = _KIND_WORDS.get(written.lower(), default_kind if not written else None)
    if kind is None:
        raise BadFeature("facility", "kind", found=written[:40], known=", ".join(FacilityKind))
    name_ja, name_en = clean_names(*names_of(feature), FacilityRefused)
    return FacilityDraft(
        kind=kind,
        name_ja=name_ja,
        name_en=name_en,
        prefecture=_words(said, "prefecture", WORDS_LIMIT),
        municipality=_words(said, "municipality", WORDS_LIMIT),
        position=_position(feature.geometry),
        source_note=_words(said, "source_note", NOTE_LIMIT) or _words(said, "source", NOTE_LIMIT),
    )


def _words(said: Mapping[str, str], name: str, limit: int) -> str:
    words = " ".join(said.get(name, "").split())
    if len(words) > limit or not words.isprintable():
        raise BadFeature("facility", "words", field=name, limit=limit)
    return words


def _position(geometry: Mapping[str, Any] | None) -> Position:
    """Raises BadFeature, BadPosition."""
    if geometry is None:
        raise BadFeature("facility", "no_point")
    kind, at = geometry.get("type"), geometry.get("coordinates")
    if kind == "MultiPoint" and isinstance(at, (list, tuple)) and len(at) == 1:
        kind, at = "Point", at[0]
    if kind != "Point":
        raise BadFeature("facility", "not_point", found=str(kind)[:40])
    if isinstance(at, str):
        return read_position(at)
    numbers = at if isinstance(at, (list, tuple)) and len(at) >= 2 else ()
    if len(numbers) < 2 or not all(isinstance(n, (int, float)) and not isinstance(n, bool) for n in numbers[:2]):
        raise BadFeature("facility", "no_point")
    try:
        return Position(lon=float(numbers[0]), lat=float(numbers[1]))
    except (ValueError, OverflowError) as exc:
        raise BadFeature("facility", "off_the_globe", lon=str(numbers[0])[:20], lat=str(numbers[1])[:20]) from exc
