"""Areas out of files and into them: what each feature of a file would do, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from shapely.geometry import mapping

from command.domain.area import Area, AreaKind
from command.domain.clock import from_us
from command.i18n import LANGUAGES, text
from command.operations.area_drafts import RESERVED_SLUGS, AreaDraft, AreaRefused, free_slug
from command.store.areas import MAX_SLUG_LENGTH, is_slug
from maps.area_geometry import BadAreaGeometry
from maps.area_table import read_table, rings_of_geojson
from maps.coordinates import BadPosition
from maps.exchange import Feature

_KIND_WORDS: Final = {
    **{kind.value: kind for kind in AreaKind},
    **{text(language, f"area.kind.{kind.value}").lower(): kind for kind in AreaKind for language in LANGUAGES},
}


class Outcome(StrEnum):
    """What a feature of a file does to the areas."""

    CREATED = "created"
    CHANGED = "changed"
    RESTORED = "restored"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, kw_only=True)
class Imported:
    """One feature that can be taken. number: which one of the file, from 1; of a CSV file its line."""

    number: int
    slug: str
    draft: AreaDraft
    outcome: Outcome


class BadFeature(ValueError):
    """Why a feature cannot be taken, as a text of area.file.*."""

    def __init__(self, reason: str, **params: Any) -> None:
        self.reason = reason
        self.params = params
        super().__init__(self.explain("en"))

    def explain(self, language: str) -> str:
        return text(language, f"area.file.{self.reason}", **self.params)


Problem = BadFeature | BadPosition | BadAreaGeometry | AreaRefused


class ImportRefused(ValueError):
    """Some features cannot be taken, so none was. problems: (feature, its row from 1 or None, what is wrong)."""

    def __init__(self, problems: Sequence[tuple[int, int | None, Problem]]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.explain("en"))

    def explain(self, language: str) -> str:
        return text(language, "area.file.problems", n=len({number for number, _, _ in self.problems}))


def plan_import(features: Sequence[Feature], known: Sequence[Area], *, default_kind: AreaKind) -> list[Imported]:
    """What taking the features would do. Raises ImportRefused with everything that is wrong."""
    by_slug = {area.slug: area for area in known}
    by_names = {(area.name_ja, area.name_en): area for area in known if not area.retired}
    taken, first_of = set(by_slug), dict[str, int]()
    planned: list[Imported] = []
    problems: list[tuple[int, int | None, Problem]] = []
    for feature in features:
        try:
            draft, wrong = _draft(feature, default_kind)
            problems += [_placed(feature, row, what) for row, what in wrong]
            if draft is None:
                continue
            slug = feature.properties.get("slug") or _slug_of(draft, by_names, taken)
            if not is_slug(slug) or slug in RESERVED_SLUGS:
                raise BadFeature("slug", found=slug[:40], most=MAX_SLUG_LENGTH)
            if slug in first_of:
                raise BadFeature("twice", first=first_of[slug])
        except (BadFeature, BadAreaGeometry, AreaRefused) as exc:
            problems.append((feature.number, None, exc))
            continue
        taken.add(slug)
        first_of[slug] = feature.number
        outcome = _outcome(draft, by_slug.get(slug))
        planned.append(Imported(number=feature.number, slug=slug, draft=draft, outcome=outcome))
    if problems:
        raise ImportRefused(problems)
    return planned


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


def _draft(feature: Feature, default_kind: AreaKind) -> tuple[AreaDraft | None, list[tuple[int | None, Problem]]]:
    said = feature.properties
    written = said.get("kind", "")
    kind = _KIND_WORDS.get(written.lower(), default_kind if not written else None)
    if kind is None:
        raise BadFeature("kind", found=written[:40])
    if feature.geometry is None:
        raise BadFeature("no_shape")
    table = read_table(rings_of_geojson(feature.geometry))
    if table.geometry is None:
        rows: list[tuple[int | None, Problem]] = [(row + 1, problem) for _, row, problem in table.bad_rows]
        return None, rows or [(None, table.problem or BadAreaGeometry("empty"))]
    name = said.get("name_ja") or said.get("name") or said.get("name_en", "")
    draft = AreaDraft(kind=kind, name_ja=name, name_en=said.get("name_en", ""), geometry=table.geometry.geometry)
    return draft.cleaned(), []


def _placed(feature: Feature, row: int | None, what: Problem) -> tuple[int, int | None, Problem]:
    """A point with a line of its own in the file is told by that line."""
    lined = row is not None and row <= len(feature.lines)
    return (feature.lines[row - 1], None, what) if row is not None and lined else (feature.number, row, what)


def _slug_of(draft: AreaDraft, by_names: dict[tuple[str, str], Area], taken: set[str]) -> str:
    same = by_names.get((draft.name_ja, draft.name_en))
    return free_slug(draft.name_en, taken=taken) if same is None else same.slug


def _outcome(draft: AreaDraft, known: Area | None) -> Outcome:
    if known is None:
        return Outcome.CREATED
    if known.retired:
        return Outcome.RESTORED
    return Outcome.UNCHANGED if draft.is_that_of(known) else Outcome.CHANGED
