"""A document as PDF: A4 pages whose every letter is embedded, each with its head, its foot and its number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from fpdf import FPDF
from fpdf.fonts import TTFFont

from command.documents.chart import draw_chart
from command.documents.document import Block, Chart, Document, Facts, Heading, Paragraph, Table
from command.documents.lines import break_lines
from command.documents.typeface import BOLD, GETA, REGULAR, Printable, TypefaceMissing, named
from command.domain.clock import from_us
from command.i18n import text

WIDTH_MM: Final = 210.0
HEIGHT_MM: Final = 297.0
LEFT_MM: Final = 17.0
RIGHT_MM: Final = WIDTH_MM - LEFT_MM
TOP_MM: Final = 25.0
BOTTOM_MM: Final = HEIGHT_MM - 20.0
CHART_MM: Final = 92.0
_MM_PER_PT: Final = 25.4 / 72.0
_BODY_PT: Final = 9.0
_SMALL_PT: Final = 7.5
_TITLE_PT: Final = 15.0
_HEADING_PT: Final = 10.5
_LEADING: Final = 1.55
"""Line height over type size: kanji need more room than Latin letters."""
_CELL_MM: Final = 1.2
_FACTS_SHARE: Final = 0.2
_MOST_NAMED: Final = 20
_INK: Final = 25
_RULE: Final = 150
_SHADE: Final = 238

Draw = Callable[[FPDF], None]


def render_pdf(document: Document) -> bytes:
    """The PDF. Raises TypefaceMissing, and what the coastline of a chart raises."""
    pdf = _new(document)
    pages = _Pages(pdf)
    pages.text(document.title, size_pt=_TITLE_PT, bold=True)
    pages.skip(1.5)
    for block in document.blocks:
        _lay_out(block, pages, document.language)
    if pages.printable.missing:
        pages.skip(3.0)
        pages.text(_missing(pages.printable, document.language), size_pt=_SMALL_PT)
    marks = [pages.printable(words) for words in (document.head, document.made, document.banner or "")]
    for number, drawn in enumerate(pages.finished(), start=1):
        pdf.add_page()
        for draw in drawn:
            draw(pdf)
        page_of = text(document.language, "document.page", page=number, pages=pages.count)
        _draw_frame(pdf, *marks, page_of=page_of)
    return bytes(pdf.output())


def _new(document: Document) -> FPDF:
    if not (REGULAR.exists() and BOLD.exists()):
        raise TypefaceMissing
    pdf = FPDF(format="A4", unit="mm")
    pdf.set_auto_page_break(False)
    pdf.add_font("print", "", REGULAR)
    pdf.add_font("print", "B", BOLD)
    pdf.set_title(document.title)
    pdf.set_subject(document.head)
    pdf.set_lang(document.language)
    pdf.set_creator("Mizugiwa")
    pdf.set_creation_date(from_us(document.made_at_us))
    return pdf


class _Pages:
    """Where the next thing goes. It lays out first and draws later, when it is known how many pages there are."""

    def __init__(self, pdf: FPDF) -> None:
        self._pdf = pdf
        known = [set(font.cmap) for font in pdf.fonts.values() if isinstance(font, TTFFont)]
        self.printable = Printable(set.intersection(*known))
        self._pages: list[list[Draw]] = [[]]
        self.y = TOP_MM

    @property
    def count(self) -> int:
        return len(self._pages)

    def finished(self) -> Iterator[list[Draw]]:
        return iter(self._pages)

    @property
    def left_mm(self) -> float:
        return BOTTOM_MM - self.y

    @property
    def at_top(self) -> bool:
        return self.y == TOP_MM

    def new_page(self) -> None:
        self._pages.append([])
        self.y = TOP_MM

    def skip(self, mm: float) -> None:
        """Space, which falls away at the top of a page."""
        if not self.at_top:
            self.y += mm

    def draw(self, draw: Draw) -> None:
        self._pages[-1].append(draw)

    def lines(self, words: str, width_mm: float, *, size_pt: float, bold: bool = False) -> list[str]:
        """The words in lines of this width, printable."""
        self._pdf.set_font("print", "B" if bold else "", size_pt)
        return break_lines(self.printable(words), width_mm, self._pdf.get_string_width)

    def put(self, lines: Sequence[str], x: float, *, size_pt: float, bold: bool = False) -> None:
        """Draw lines from the current height on; they must have room."""
        height = line_mm(size_pt)
        placed = [(self.y + (i + 0.74) * height, line) for i, line in enumerate(lines) if line]

        def draw(pdf: FPDF) -> None:
            pdf.set_font("print", "B" if bold else "", size_pt)
            for y, line in placed:
                pdf.text(x, y, line)

        self.draw(draw)

    def text(self, words: str, *, size_pt: float, bold: bool = False) -> None:
        """Running text over the whole width, on as many pages as it needs."""
        for line in self.lines(words, RIGHT_MM - LEFT_MM, size_pt=size_pt, bold=bold):
            if self.left_mm < line_mm(size_pt):
                self.new_page()
            self.put([line], LEFT_MM, size_pt=size_pt, bold=bold)
            self.y += line_mm(size_pt)


def line_mm(size_pt: float) -> float:
    """The height of a line of this type size."""
    return size_pt * _MM_PER_PT * _LEADING


def _lay_out(block: Block, pages: _Pages, language: str) -> None:
    match block:
        case Heading():
            _heading(block.words, pages)
        case Paragraph():
            pages.text(block.words, size_pt=_SMALL_PT if block.small else _BODY_PT)
            pages.skip(1.0)
        case Facts():
            for name, value in block.rows:
                _row(pages, (name, value), (_FACTS_SHARE, 1.0 - _FACTS_SHARE), size_pt=_BODY_PT, bold_first=True)
            pages.skip(1.0)
        case Table():
            _table(block, pages)
        case Chart():
            _chart(block, pages, language)


def _heading(words: str, pages: _Pages) -> None:
    if pages.left_mm < 30.0:
        pages.new_page()
    pages.skip(4.0)
    y = pages.y + line_mm(_HEADING_PT) + 0.4
    shown = pages.printable(words)

    def draw(pdf: FPDF) -> None:
        pdf.start_section(shown)
        pdf.set_draw_color(_INK)
        pdf.set_line_width(0.35)
        pdf.line(LEFT_MM, y, RIGHT_MM, y)

    pages.put(
        pages.lines(words, RIGHT_MM - LEFT_MM, size_pt=_HEADING_PT, bold=True)[:1],
        LEFT_MM,
        size_pt=_HEADING_PT,
        bold=True,
    )
    pages.draw(draw)
    pages.y = y + 1.4


def _table(table: Table, pages: _Pages) -> None:
    shares = [column.share for column in table.columns]
    titles = [column.title for column in table.columns]

    def head() -> None:
        _row(pages, titles, shares, size_pt=_SMALL_PT, bold=True, shaded=True)

    if pages.left_mm < 20.0:
        pages.new_page()
    head()
    for row in table.rows:
        _row(pages, row, shares, size_pt=8.0, on_new_page=head)
    pages.skip(1.5)


def _row(
    pages: _Pages,
    cells: Sequence[str],
    shares: Sequence[float],
    *,
    size_pt: float,
    bold: bool = False,
    bold_first: bool = False,
    shaded: bool = False,
    on_new_page: Callable[[], None] = lambda: None,
) -> None:
    """One row with a rule under it. One that is higher than a third of a page goes on over the page's end."""
    wide = RIGHT_MM - LEFT_MM
    bolds = [bold or (bold_first and i == 0) for i in range(len(cells))]
    lines = [
        pages.lines(cell, share * wide - 2 * _CELL_MM, size_pt=size_pt, bold=is_bold)
        for cell, share, is_bold in zip(cells, shares, bolds, strict=True)
    ]
    height = line_mm(size_pt)
    done, most = 0, max(map(len, lines))
    while done < most:
        room = int((pages.left_mm - 1.0) / height)
        whole = most - done
        if room < min(whole, 2) or (room < whole and whole * height < (BOTTOM_MM - TOP_MM) / 3.0):
            pages.new_page()
            on_new_page()
            room = int((pages.left_mm - 1.0) / height)
        taken = min(whole, room)
        top, bottom = pages.y, pages.y + taken * height + 0.8
        pages.draw(_under(top, bottom, shaded=shaded))
        pages.y += 0.4
        x = LEFT_MM
        for cell, share, is_bold in zip(lines, shares, bolds, strict=True):
            pages.put(cell[done : done + taken], x + _CELL_MM, size_pt=size_pt, bold=is_bold)
            x += share * wide
        pages.y = bottom
        done += taken


def _under(top: float, bottom: float, *, shaded: bool) -> Draw:
    def draw(pdf: FPDF) -> None:
        if shaded:
            pdf.set_fill_color(_SHADE)
            pdf.rect(LEFT_MM, top, RIGHT_MM - LEFT_MM, bottom - top, style="F")
        pdf.set_draw_color(_RULE)
        pdf.set_line_width(0.12)
        pdf.line(LEFT_MM, bottom, RIGHT_MM, bottom)

    return draw


def _chart(chart: Chart, pages: _Pages, language: str) -> None:
    if not chart:
        return
    if pages.left_mm < CHART_MM + 8.0:
        pages.new_page()
    top = pages.y + 1.0
    wide = RIGHT_MM - LEFT_MM
    notes = draw_chart(chart, pages.draw, pages.printable, language, left=LEFT_MM, top=top, width=wide, height=CHART_MM)
    pages.y = top + CHART_MM + 1.0
    words = [chart.alt, *(text(language, f"document.chart.{note}") for note in notes)]
    pages.text(" ".join(words), size_pt=_SMALL_PT)
    pages.skip(1.0)


def _missing(printable: Printable, language: str) -> str:
    listed = [named(char) for char, _ in printable.missing.most_common(_MOST_NAMED)]
    more = len(printable.missing) - len(listed)
    words = text(language, "document.missing", mark=GETA, listed=", ".join(listed))
    return words if more <= 0 else words + text(language, "document.missing_more", n=more)


def _draw_frame(pdf: FPDF, head: str, made: str, banner: str, *, page_of: str) -> None:
    """What every page has. The banner is at the head and at the foot, white on black, so that no copy is without it."""
    pdf.set_text_color(_INK)
    pdf.set_font("print", "B", 8.0)
    pdf.text(LEFT_MM, 15.0, head)
    pdf.set_draw_color(_RULE)
    pdf.set_line_width(0.2)
    pdf.line(LEFT_MM, 19.0, RIGHT_MM, 19.0)
    pdf.line(LEFT_MM, HEIGHT_MM - 16.0, RIGHT_MM, HEIGHT_MM - 16.0)
    pdf.set_font("print", "", _SMALL_PT)
    pdf.text(LEFT_MM, HEIGHT_MM - 11.5, made)
    pdf.text(RIGHT_MM - pdf.get_string_width(page_of), HEIGHT_MM - 11.5, page_of)
    if banner:
        for right, y in ((RIGHT_MM, 10.6), (WIDTH_MM / 2.0 + 10.0, HEIGHT_MM - 14.6)):
            _draw_banner(pdf, banner, right=right, top=y)


def _draw_banner(pdf: FPDF, banner: str, *, right: float, top: float) -> None:
    pdf.set_font("print", "B", 10.0)
    width = pdf.get_string_width(banner) + 8.0
    pdf.set_fill_color(0)
    pdf.rect(right - width, top, width, 6.0, style="F")
    pdf.set_text_color(255)
    pdf.text(right - width + 4.0, top + 4.3, banner)
    pdf.set_text_color(_INK)
