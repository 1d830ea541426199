"""What stands in a document, top to bottom, whatever it is about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from command.domain.geo import Position


@dataclass(frozen=True, kw_only=True, slots=True)
class Heading:
    """The title of a part. It stays with what follows it and is an entry of the PDF's outline."""

    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Paragraph:
    """Running text; a newline ends a line. small: a note."""

    words: str
    small: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What is what: (name, value) each."""

    rows: Sequence[tuple[str, str]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A column of a table. share: of the width, all columns together 1."""

    title: str
    share: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows under column titles, which are repeated on each page. A row stays together where a page has room for it."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]


class MarkShape(StrEnum):
    """How a place is marked: told apart without colour."""

    CROSS = "cross"
    TRIANGLE = "triangle"
    DOT = "dot"


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """One place on a chart."""

    position: Position
    shape: MarkShape
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Path:
    """A way that something took. positions: oldest first, two at least."""

    positions: Sequence[Position]


@dataclass(frozen=True, kw_only=True, slots=True)
class Zone:
    """An area. rings: closed, (longitude, latitude) degrees."""

    rings: Sequence[Sequence[tuple[float, float]]]
    label: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """A small chart with the coastline. It shows every mark and path, and of the zones what lies there; the zones
    themselves where there is nothing else. alt: what it shows, in words."""

    marks: Sequence[Mark]
    paths: Sequence[Path]
    zones: Sequence[Zone]
    alt: str

    def __bool__(self) -> bool:
        return bool(self.marks or self.paths or self.zones)


Block = Heading | Paragraph | Facts | Table | Chart


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """A document of A4 pages.

    head: at the top of every page, what it is. made: at the foot of every page, when and by whom. banner: a word that
    no page may be without, such as that all of it is a drill. made_at_us: the file's own time.
    """

    language: str
    title: str
    head: str
    made: str
    made_at_us: int
    blocks: Sequence[Block]
    banner: str | None = None
