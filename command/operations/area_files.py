"""Areas out of files and into them: what each feature of a file would do, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from shapely.geometry import mapping

from command.domain.area import Area, AreaKind
from command.domain.clock import from_us
from command.i18n import LANGUAGES, text
from command.operations.area_drafts import AreaDraft, AreaRefused
from command.operations.imports import (
    RESERVED_SLUGS,
    BadFeature,
    Imported,
    Outcome,
    Wrong,
    free_slug,
    names_of,
    plan_features,
)
from command.store.areas import MAX_SLUG_LENGTH, is_slug
from maps.area_geometry import BadAreaGeometry
from maps.area_table import read_table, rings_of_geojson
from maps.exchange import Feature

_KIND_WORDS: Final = {
    **{kind.value: kind for kind in AreaKind},
    **{text(language, f"area.kind.{kind.value}").lower(): kind for kind in AreaKind for language in LANGUAGES},
}


def plan_import(
    features: Sequence[Feature], known: Sequence[Area], *, default_kind: AreaKind
) -> list[Imported[AreaDraft]]:
    """What taking the features would do. Raises ImportRefused with everything that is wrong."""
    by_slug = {area.slug: area for area in known}
    by_names = {(area.name_ja, area.name_en): area.slug for area in known if not area.retired}

    def read(feature: Feature) -> tuple[AreaDraft | None, Wrong]:
        try:
            return _draft(feature, default_kind)
        except (BadFeature, BadAreaGeometry, AreaRefused) as exc:
            return None, [(None, exc)]

    def slug_of(feature: Feature, draft: AreaDraft, before: Collection[str]) -> str:
        slug = feature.properties.get("slug") or by_names.get((draft.name_ja, draft.name_en))
        if slug is None:
            return free_slug(draft.name_en, taken={*by_slug, *before}, otherwise="area")
        if not is_slug(slug) or slug in RESERVED_SLUGS:
            raise BadFeature("area", "slug", found=slug[:40], most=MAX_SLUG_LENGTH)
        return slug

    def outcome_of(slug: str, draft: AreaDraft) -> Outcome:
        area = by_slug.get(slug)
        if area is None:
            return Outcome.CREATED
        if area.retired:
            return Outcome.RESTORED
        return Outcome.UNCHANGED if draft.is_that_of(area) else Outcome.CHANGED

    return plan_features("area", features, read=read, slug_of=slug_of, outcome_of=outcome_of)


def area_features(areas: Sequence[Area]) -> list[Feature]:
    """Areas as a file holds them; taken in again they change nothing."""
    return [
        Feature(
            number=i,
            properties={
                "slug": area.slug,
                "kind": area.kind.value,
                "name_ja": area.name_ja,
                "name_en": area.name_en,
                "version": str(area.version),
                "author": area.author,
                "valid_from": from_us(area.valid_from_us).isoformat(),
            },
            geometry=mapping(area.geometry),
        )
        for i, area in enumerate(areas, start=1)
    ]


def _draft(feature: Feature, default_kind: AreaKind) -> tuple[AreaDraft | None, Wrong]:
    written = feature.properties.get("kind", "")
    kind = _KIND_WORDS.get(written.lower(), default_kind if not written else None)
    if kind is None:
        raise BadFeature("area", "kind", found=written[:40])
    if feature.geometry is None:
        raise BadFeature("area", "no_shape")
    table = read_table(rings_of_geojson(feature.geometry))
    if table.geometry is None:
        rows = [(row + 1, problem) for _, row, problem in table.bad_rows]
        return None, rows or [(None, table.problem or BadAreaGeometry("empty"))]
    name_ja, name_en = names_of(feature)
    draft = AreaDraft(kind=kind, name_ja=name_ja, name_en=name_en, geometry=table.geometry.geometry)
    return draft.cleaned(), []
