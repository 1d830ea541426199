"""The pages of the handover: the watch as it stands, and one sheet with its signatures. They need no script."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from starlette.responses import HTMLResponse

from command.api.people_pages import Reader, password_proof
from command.domain.handover import Part, SheetVersion
from command.i18n import text
from command.i18n.times import jst_minute
from command.operations.handover import REASON_LIMIT, REMARKS_LIMIT, Watch
from command.operations.handover_content import Content
from command.operations.handover_document import facts_of
from command.operations.handover_words import Section, sections, state_words
from command.operations.people import Permission


def handover_page(
    reader: Reader,
    watch: Watch,
    sheets: Sequence[SheetVersion],
    *,
    given: str = "",
    error: str | None = None,
    note: str | None = None,
) -> HTMLResponse:
    """The watch as it stands, the forms that hand it over or take it, and the sheets there are. given: what was typed,
    where a form was refused."""
    holder = watch.outgoing
    held = reader.t("watch.holder_nobody")
    if holder is not None:
        held = reader.t("watch.holder_is", who=f"{holder.name} ({holder.login})", time=jst_minute(holder.since_us))
    facts = {
        reader.t("watch.holder"): held,
        reader.t("handover.period"): f"{jst_minute(watch.from_us)} – {jst_minute(watch.until_us)}",
    }
    body = _facts(facts)
    if watch.waiting is not None:
        at = f"/handover/{watch.waiting.sheet_id}"
        words = reader.t("handover.waiting", who=watch.content.get("outgoing") or watch.waiting.made_by)
        body += f'<p class="note">{words} <a href="{at}">{reader.t("handover.to_sheet")}</a></p>'
    body += _parts(reader, watch.content)
    if reader.person.may(Permission.HAND_OVER):
        mine = holder is not None and holder.login.casefold() == reader.person.user.login.casefold()
        body += _handing_over(reader, given) if mine else _taking(reader, watch, given)
    body += f"<h2>{reader.t('handover.past')}</h2>" + _list(reader, sheets)
    return reader.page(text(reader.language, "handover.title"), body, error=error, note=note)


def sheet_page(
    reader: Reader,
    sheet: SheetVersion,
    versions: Sequence[SheetVersion],
    *,
    holder: str | None,
    given: str | None = None,
    error: str | None = None,
    note: str | None = None,
) -> HTMLResponse:
    """One version of a sheet. holder: the login of who holds the watch."""
    at, language = f"/handover/{sheet.sheet_id}", reader.language
    facts = {escape(name): escape(value) for name, value in facts_of(sheet, language)}
    documents = " ".join(
        f'<a href="/api{at}.pdf?version={sheet.version}&amp;language={code}" lang="{code}">'
        f"PDF ({text(code, 'console.language_name')})</a>"
        for code in ("ja", "en")
    )
    remarks = escape(sheet.remarks) if sheet.remarks else reader.t("handover.no_remarks")
    body = (
        _facts(facts)
        + f'<p class="documents">{documents}</p>'
        + f"<h2>{reader.t('handover.remarks')}</h2><p class=remarks>{remarks}</p>"
        + _parts(reader, sheet.content)
    )
    if sheet is versions[0] and reader.person.may(Permission.HAND_OVER):
        body += _acts(reader, sheet, versions, holder=holder, given=given)
    if len(versions) > 1:
        body += f"<h2>{reader.t('watch.versions')}</h2>" + _versions(reader, versions)
    body += f'<p><a href="/handover">{reader.t("handover.back")}</a></p>'
    return reader.page(text(language, "handover.title"), body, error=error, note=note)


def _acts(
    reader: Reader, sheet: SheetVersion, versions: Sequence[SheetVersion], *, holder: str | None, given: str | None
) -> str:
    """What this reader can do to the newest version: sign it, or put another text in its place."""
    login = reader.person.user.login.casefold()
    passed = next((each for each in versions if each.complete), None)
    party = passed is not None and any(each.login.casefold() == login for each in passed.signatures)
    signed = any(each.login.casefold() == login for each in sheet.signatures)
    seen = f'<input type="hidden" name="version" value="{sheet.version}">'
    at = f"/handover/{sheet.sheet_id}"
    acts = ""
    taking = passed is None and sheet.outgoing == holder
    if not signed and (taking or (party and not sheet.complete)):
        key = "handover.sign_incoming" if taking else "handover.sign_again"
        acts += f"<h2>{reader.t(key)}</h2><p class=help>{reader.t(f'{key}_help')}</p>" + reader.form(
            f"{at}/sign",
            seen + password_proof(reader) + reader.button("handover.sign", kind="go"),
            name=text(reader.language, key),
        )
    if party:
        words = sheet.remarks if given is None else given
        acts += (
            f"<h2>{reader.t('handover.correct')}</h2><p class=help>{reader.t('handover.correct_help')}</p>"
            + reader.form(
                f"{at}/correct",
                seen + _remarks(reader, words) + reader.button("handover.correct_go", kind="go"),
                name=text(reader.language, "handover.correct"),
            )
        )
    return acts


def _handing_over(reader: Reader, given: str) -> str:
    return (
        f"<h2>{reader.t('handover.hand_over')}</h2><p class=help>{reader.t('handover.hand_over_help')}</p>"
        + reader.form(
            "/handover",
            _remarks(reader, given) + reader.button("handover.hand_over_go", kind="go"),
            name=text(reader.language, "handover.hand_over"),
        )
    )


def _taking(reader: Reader, watch: Watch, given: str) -> str:
    """Where somebody holds the watch, taking it from them asks first."""
    if watch.outgoing is None:
        fields = password_proof(reader) + reader.button("handover.take_go", kind="go")
        form = reader.form("/handover/take", fields, name=text(reader.language, "handover.take"))
        return f"<h2>{reader.t('handover.take')}</h2><p class=help>{reader.t('handover.take_help')}</p>{form}"
    reason = (
        f'<label for="reason">{reader.t("handover.reason")}</label>'
        f'<input id="reason" name="reason" required maxlength="{min(REASON_LIMIT, 256)}" autocomplete="off" '
        f'value="{escape(given)}">'
    )
    fields = reason + password_proof(reader) + reader.button("handover.take_go", kind="go")
    form = reader.form("/handover/take", fields, name=text(reader.language, "handover.take_from"))
    help_words = reader.t("handover.take_from_help", who=watch.outgoing.name)
    return (
        f"<h2>{reader.t('handover.take_from')}</h2><p class=help>{help_words}</p>"
        f'<details class="sure"{" open" if given else ""}><summary>{reader.t("handover.take_from")}</summary>'
        f"{form}</details>"
    )


def _remarks(reader: Reader, words: str) -> str:
    return (
        f'<label for="remarks">{reader.t("handover.remarks_field")}</label>'
        f'<textarea id="remarks" name="remarks" class="words" rows="6" maxlength="{REMARKS_LIMIT}">'
        f"{escape(words)}</textarea>"
    )


def _parts(reader: Reader, content: Content) -> str:
    return "".join(_section(section) for section in sections(content, reader.language))


def _section(section: Section) -> str:
    note = f"<p class=help>{escape(section.note)}</p>" if section.note else ""
    table = ""
    if section.rows:
        heads = "".join(f'<th scope="col">{escape(column)}</th>' for column in section.columns)
        rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in section.rows)
        table = f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    return f'<section id="part-{section.key}"><h3>{escape(section.title)}</h3>{note}{table}</section>'


def _list(reader: Reader, sheets: Sequence[SheetVersion]) -> str:
    if not sheets:
        return f"<p class=help>{reader.t('handover.no_sheets')}</p>"
    heads = "".join(
        f'<th scope="col">{reader.t(key)}</th>'
        for key in ("handover.period", "handover.outgoing", "handover.incoming", "handover.state", "watch.version")
    )
    rows = "".join(
        f'<tr><th scope="row"><a href="/handover/{each.sheet_id}">'
        f"{jst_minute(each.from_us)} – {jst_minute(each.until_us)}</a></th>"
        f"<td>{escape(_signer(each, Part.OUTGOING))}</td><td>{escape(_signer(each, Part.INCOMING))}</td>"
        f"<td>{escape(state_words(each, reader.language))}</td><td>{each.version}</td></tr>"
        for each in sheets
    )
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _versions(reader: Reader, versions: Sequence[SheetVersion]) -> str:
    items = "".join(
        f'<li><a href="/handover/{each.sheet_id}?version={each.version}">'
        f"{reader.t('handover.version_of', version=each.version, who=each.made_by)}</a> "
        f"{escape(state_words(each, reader.language))}</li>"
        for each in versions
    )
    return f"<ul>{items}</ul>"


def _signer(sheet: SheetVersion, part: Part) -> str:
    signature = sheet.signature(part)
    if signature is not None:
        return signature.name
    return str(sheet.content.get("outgoing") or "-") if part is Part.OUTGOING else "-"


def _facts(facts: dict[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items()) + "</dl>"
