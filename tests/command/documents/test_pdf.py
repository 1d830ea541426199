"""Documents read back by another library: every letter embedded, every page marked, nothing blank without a word."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from pypdf import PdfReader

import command.documents.pdf as pdf_module
from command.documents.document import (
    Block,
    Chart,
    Column,
    Document,
    Facts,
    Heading,
    Mark,
    MarkShape,
    Paragraph,
    Table,
    Zone,
)
from command.documents.document import Path as Way
from command.documents.pdf import render_pdf
from command.documents.typeface import TypefaceMissing
from command.domain.geo import Position


def document(*blocks: Block, language: str = "ja", banner: str | None = None) -> Document:
    return Document(
        language=language,
        title="事案記録 2026-0007",
        head="事案記録 2026-0007 / live",
        made="作成 2026-11-22 08:41:12 JST (23:41Z) 山田",
        made_at_us=1_795_304_472_000_000,
        blocks=blocks,
        banner=banner,
    )


def read(data: bytes) -> PdfReader:
    return PdfReader(io.BytesIO(data), strict=True)


def words(reader: PdfReader) -> str:
    return "\n".join(page.extract_text() for page in reader.pages)


def fonts(reader: PdfReader) -> list[tuple[str, bool]]:
    """(name, whether its outlines are in the file) of every font of every page."""
    found: list[tuple[str, bool]] = []
    for page in reader.pages:
        resources: Any = page["/Resources"]
        for entry in resources["/Font"].values():
            font: Any = entry.get_object()
            descendant = font["/DescendantFonts"][0].get_object()
            found.append((str(font["/BaseFont"]), "/FontFile2" in descendant["/FontDescriptor"].get_object()))
    return found


def test_names_with_rare_characters_are_there_and_every_font_is_embedded() -> None:
    # given names as people and ships have them
    names = "𠮷野 﨑山 髙橋 德川 神\ufa19 ｶｲﾖｳﾏﾙ が"
    # when they are printed in both weights
    data = render_pdf(document(Heading(words=names), Paragraph(words=names), Facts(rows=[("件名", names)])))
    # then another library reads them back as they were written, and every font is in the file, as a subset
    reader = read(data)
    assert words(reader).count(names) == 3
    assert fonts(reader)
    assert all(embedded and "+NotoSansJP" in name for name, embedded in fonts(reader))
    assert len(data) < 300_000
    assert (reader.metadata or {})["/Title"] == "事案記録 2026-0007"
    assert reader.trailer["/Root"]["/Lang"] == "ja"  # type: ignore[index] # a dictionary, which pypdf does not say


def test_a_character_that_the_typeface_lacks_is_marked_and_named() -> None:
    said = words(read(render_pdf(document(Paragraph(words="通報😀😀 배 葛\U000e0100城 \u202eABC")))))
    assert "通報〓〓 〓 葛城 ABC" in said
    assert (
        "〓: この文書の書体にない文字です。原文の文字: U+1F600 GRINNING FACE, U+BC30 HANGUL SYLLABLE BAE"
        in " ".join(said.split("\n"))
    )
    assert "〓" not in words(read(render_pdf(document(Paragraph(words="通報")))))


def test_a_long_table_repeats_its_titles_and_loses_no_row_and_every_page_says_what_it_is() -> None:
    # given more rows than a page holds, one of them higher than a page
    columns = [Column(title="番号", share=0.2), Column(title="内容", share=0.8)]
    rows = [(f"r{n}", "経過を記録した。" * 6) for n in range(60)]
    rows[30] = ("r30", "\n".join(f"行{n}" for n in range(120)))
    # when it is printed in a drill
    reader = read(render_pdf(document(Table(columns=columns, rows=rows), banner="訓練")))
    pages = [page.extract_text().split() for page in reader.pages]
    # then
    assert len(pages) > 3
    for number, said in enumerate(pages, start=1):
        assert said.count("訓練") == 2
        assert said.count("内容") == 1
        assert f"{number} / {len(pages)} ページ" in " ".join(said)
        assert "作成 2026-11-22 08:41:12 JST (23:41Z) 山田" in " ".join(said)
    everything = [word for said in pages for word in said]
    assert [word for word in everything if word.startswith("r")] == [f"r{n}" for n in range(60)]
    assert [word for word in everything if word.startswith("行")] == [f"行{n}" for n in range(120)]


@pytest.mark.parametrize(
    ("marks", "note"),
    [
        ([(129.29, 34.20), (129.60, 34.40)], "海岸線: © OpenStreetMap"),
        ([(179.9, 10.0), (-179.9, 10.2)], "収録範囲外"),
        ([(0.0, -89.0)], "収録範囲外"),
    ],
)
def test_a_chart_shows_places_anywhere_on_the_globe(marks: list[tuple[float, float]], note: str) -> None:
    chart = Chart(
        marks=[
            Mark(position=Position(lon=lon, lat=lat), shape=shape, label=f"警{i}")
            for i, (lon, lat) in enumerate(marks)
            for shape in MarkShape
        ],
        paths=[Way(positions=[Position(lon=lon, lat=lat + d) for lon, lat in marks for d in (0.0, 0.01)])],
        zones=[Zone(rings=[[(129.0, 34.0), (129.5, 34.0), (129.3, 34.6)]], label="北方区域")],
        alt="位置図",
    )
    reader = read(render_pdf(document(chart)))
    said = words(reader)
    assert note in said
    assert all(f"警{i}" in said for i in range(len(marks)))
    assert "海里" in said
    assert len(reader.pages) == 1


def test_a_chart_of_zones_alone_and_of_nothing() -> None:
    zone = Zone(rings=[[(129.0, 34.0), (129.5, 34.0), (129.3, 34.6)]], label="北方区域")
    assert "北方区域" in words(read(render_pdf(document(Chart(marks=[], paths=[], zones=[zone], alt="位置図")))))
    assert "位置図" not in words(read(render_pdf(document(Chart(marks=[], paths=[], zones=[], alt="位置図")))))


def test_a_missing_typeface_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(pdf_module, "REGULAR", tmp_path / "gone.ttf")
    with pytest.raises(TypefaceMissing, match=r"deploy/bundle\.sh"):
        render_pdf(document())
