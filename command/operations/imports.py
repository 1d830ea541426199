"""Things out of files, whatever they are: what each feature would do, and everything that is wrong, told at once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Container, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from typing import Any, ClassVar, Final, Generic, Protocol, TypeVar

from command.i18n import text
from maps.exchange import Feature

NAME_LIMIT: Final = 100
_SLUG_LENGTH: Final = 50
_NOT_IN_SLUG: Final = re.compile(r"[^a-z0-9]+")

Draft = TypeVar("Draft")


class Outcome(StrEnum):
    """What a feature of a file does to what is there."""

    CREATED = "created"
    CHANGED = "changed"
    RESTORED = "restored"
    UNCHANGED = "unchanged"


class Problem(Protocol):
    """What is wrong, in the reader's language."""

    def explain(self, language: str) -> str: ...


class PlaceRefused(ValueError):
    """A change to something on the map that cannot be made. `explain(language)` is the sentence for people."""

    about: ClassVar[str]
    """What it is about: the first word of its texts, <about>.refused.<reason>."""

    def __init__(self, reason: str, **params: Any) -> None:
        self.reason = reason
        self.params = params
        super().__init__(self.explain("en"))

    def explain(self, language: str) -> str:
        return text(language, f"{self.about}.refused.{self.reason}", **self.params)


class BadFeature(ValueError):
    """Why a feature cannot be taken, as a text of <about>.file.*."""

    def __init__(self, about: str, reason: str, **params: Any) -> None:
        self.about = about
        self.reason = reason
        self.params = params
        super().__init__(self.explain("en"))

    def explain(self, language: str) -> str:
        return text(language, f"{self.about}.file.{self.reason}", **self.params)


@dataclass(frozen=True, kw_only=True)
class Imported(Generic[Draft]):
    """One feature that can be taken. number: which one of the file, from 1; of a CSV file its line. slug: what it is
    known by from now on."""

    number: int
    slug: str
    draft: Draft
    outcome: Outcome


class ImportRefused(ValueError):
    """Some features cannot be taken, so none was. problems: (feature, its row from 1 or None, what is wrong)."""

    def __init__(self, problems: Sequence[tuple[int, int | None, Problem]]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.explain("en"))

    def explain(self, language: str) -> str:
        return text(language, "import.problems", n=len({number for number, _, _ in self.problems}))


Wrong = Sequence[tuple[int | None, Problem]]
"""(row from 1, or None for the whole, what is wrong with it)."""


def plan_features(
    about: str,
    features: Sequence[Feature],
    *,
    read: Callable[[Feature], tuple[Draft | None, Wrong]],
    slug_of: Callable[[Feature, Draft, Collection[str]], str],
    outcome_of: Callable[[str, Draft], Outcome],
) -> list[Imported[Draft]]:
    """What taking the features would do. slug_of: its third argument is what features before it are called; it raises
    BadFeature. Raises ImportRefused with everything that is wrong.
    """
    first_of: dict[str, int] = {}
    planned: list[Imported[Draft]] = []
    problems: list[tuple[int, int | None, Problem]] = []
    for feature in features:
        draft, wrong = read(feature)
        problems += [_placed(feature, row, what) for row, what in wrong]
        if draft is None:
            continue
        try:
            slug = slug_of(feature, draft, first_of)
            if slug in first_of:
                raise BadFeature(about, "twice", first=first_of[slug])
            outcome = outcome_of(slug, draft)
        except (BadFeature, PlaceRefused) as exc:
            problems.append((feature.number, None, exc))
            continue
        first_of[slug] = feature.number
        planned.append(Imported(number=feature.number, slug=slug, draft=draft, outcome=outcome))
    if problems:
        raise ImportRefused(problems)
    return planned


def names_of(feature: Feature) -> tuple[str, str]:
    """The Japanese and the English name that a feature gives; where there is one name only it is the Japanese one."""
    said = feature.properties
    return said.get("name_ja") or said.get("name") or said.get("name_en", ""), said.get("name_en", "")


def clean_names(name_ja: str, name_en: str, refused: type[PlaceRefused]) -> tuple[str, str]:
    """Names that people can read, the Japanese one in place of a missing English one. Raises `refused`."""
    japanese = _clean_name(name_ja, refused)
    return japanese, _clean_name(name_en, refused) if name_en.strip() else japanese


def free_slug(name: str, *, taken: Container[str], otherwise: str) -> str:
    """A slug made from the Latin letters of a name, `otherwise` where it has none, with a number where it is taken."""
    latin = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    slug = _NOT_IN_SLUG.sub("-", latin)[:_SLUG_LENGTH].strip("-") or otherwise
    numbered = (slug if n == 1 else f"{slug}-{n}" for n in count(1))
    return next(candidate for candidate in numbered if candidate not in taken and candidate not in RESERVED_SLUGS)


RESERVED_SLUGS: Final = frozenset({"check", "export", "import"})
"""Words that stand where a slug does in the addresses of the API."""


def _clean_name(given: str, refused: type[PlaceRefused]) -> str:
    name = " ".join(given.split())
    if not name:
        raise refused("name_ja_missing")
    if len(name) > NAME_LIMIT or not name.isprintable():
        raise refused("name", limit=NAME_LIMIT)
    return name


def _placed(feature: Feature, row: int | None, what: Problem) -> tuple[int, int | None, Problem]:
    """A point with a line of its own in the file is told by that line."""
    lined = row is not None and row <= len(feature.lines)
    return (feature.lines[row - 1], None, what) if row is not None and lined else (feature.number, row, what)
