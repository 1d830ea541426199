"""A handover sheet to print and to file."""

from __future__ import annotations

import hashlib
import uuid

from command.documents.document import Block, Column, Document, Facts, Heading, Paragraph, Table
from command.documents.pdf import render_pdf
from command.domain.clock import SystemClock, from_us
from command.domain.handover import SheetVersion
from command.domain.realm import RealmKind
from command.i18n import text
from command.i18n.times import JST, jst, jst_minute
from command.operations.console import Console
from command.operations.handover import version_of
from command.operations.handover_words import Section, sections, signature_rows, state_words
from command.operations.people import Person


def handover_pdf(
    console: Console, sheet_id: uuid.UUID, *, version: int | None, person: Person, language: str
) -> tuple[str, bytes]:
    """The file's name and its bytes. version: None for the newest.

    Raises Forbidden, UnknownSheet, StoreUnavailable, TypefaceMissing.
    """
    sheet = version_of(console.handover.versions(sheet_id, person=person), version)
    pdf = render_pdf(_document(console, sheet, person=person, language=language))
    console.handover.note_printed(sheet, by=person, language=language, sha256=hashlib.sha256(pdf).hexdigest())
    day = f"{from_us(sheet.until_us).astimezone(JST):%Y%m%d-%H%M}"
    return f"handover-{console.realm.name}-{day}-v{sheet.version}.pdf", pdf


def _document(console: Console, sheet: SheetVersion, *, person: Person, language: str) -> Document:
    kind = console.realm.kind
    user = person.user
    who = user.login if user.display_name == user.login else f"{user.display_name} ({user.login})"
    blocks: list[Block] = [
        Facts(rows=facts_of(sheet, language)),
        Heading(words=text(language, "handover.remarks")),
        Paragraph(words=sheet.remarks or text(language, "handover.no_remarks")),
    ]
    for section in sections(sheet.content, language):
        blocks += _blocks(section)
    return Document(
        language=language,
        title=text(language, "handover.document_title"),
        head=text(language, "handover.document_head", realm=console.realm.name, version=sheet.version),
        made=text(language, "document.made", time=jst(console.clock.now_us()), who=who),
        made_at_us=SystemClock().now_us(),
        banner=None if kind is RealmKind.LIVE else text(language, f"document.banner_{kind.value}"),
        blocks=blocks,
    )


def facts_of(sheet: SheetVersion, language: str) -> list[tuple[str, str]]:
    """What stands at the top of a sheet: its time, its signatures, and the hash that they are about."""
    return [
        (
            text(language, "handover.period"),
            f"{jst_minute(sheet.from_us)} – {jst_minute(sheet.until_us)}",
        ),
        (text(language, "handover.state"), state_words(sheet, language)),
        *signature_rows(sheet, language),
        (text(language, "handover.version"), str(sheet.version)),
        ("SHA-256", sheet.sha256.hex()),
    ]


def _blocks(section: Section) -> list[Block]:
    blocks: list[Block] = [Heading(words=section.title)]
    if section.note:
        blocks.append(Paragraph(words=section.note))
    if section.rows:
        columns = [Column(title=t, share=s) for t, s in zip(section.columns, section.shares, strict=True)]
        blocks.append(Table(columns=columns, rows=section.rows))
    return blocks
