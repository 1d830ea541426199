"""The page of the rules: what each watches for, who decided it, and, for those who may, forms. It needs no script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any, Final

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from alerts.registry import kind_of, rule_class
from alerts.setting_words import Names, differences, setting_name, setting_value
from command.api.account import reader_of
from command.api.forms import every_field, fields
from command.api.pages import field
from command.api.people_pages import Reader
from command.api.rule_forms import Form, Path, SettingsForm, read_settings, with_row
from command.i18n import text
from command.i18n.times import jst_minute
from command.operations.access import needs
from command.operations.console import Console
from command.operations.people import Permission, Person, current_person
from command.operations.rules import (
    REASON_LIMIT,
    BadSetting,
    KnownRule,
    RuleChanged,
    RuleRefused,
    RuleVersion,
    UnknownRuleName,
)

DONE = frozenset({"changed", "undone", "follows", "unchanged", "made"})
"""What a page may say was done just now, by the end of its text's key."""


NEW: Final = ("name", "name_ja", "name_en", "reason")
EXAMPLE: Final[Mapping[str, Any]] = {
    "enabled": False,
    "severity": "high",
    "when": [
        {
            "needs": "all",
            "conditions": [
                {"fact": "identity", "identity": "dark"},
                {"fact": "coast", "within_m": 5_556.0},
                {"fact": "sun", "sun": "night"},
            ],
        }
    ],
}
"""What a new rule of conditions begins as: a dark contact within three miles of the coast at night."""


class _Pages:
    """What the routes share."""

    def __init__(self, console: Console) -> None:
        self.book, self.realm, self._console = console.rule_book, console.realm, console

    async def known(self, name: str) -> KnownRule:
        try:
            return await asyncio.to_thread(self.book.one, name)
        except UnknownRuleName as exc:
            raise HTTPException(404, f"{exc}; the rules there are stand at /rules") from exc

    async def everything(
        self, request: Request, *, given: Mapping[str, str] | None = None, refused: RuleRefused | None = None
    ) -> Response:
        """All rules, and the form for one more. given: what was typed into it, where it was refused."""
        reader = reader_of(request, self.realm)
        rules = await asyncio.to_thread(self.book.everything)
        error = None if refused is None else refused.explain(reader.language)
        return _list_page(reader, rules, given=given or {}, error=error)

    async def one(
        self,
        request: Request,
        name: str,
        *,
        form: Form | None = None,
        values: Mapping[str, Any] | None = None,
        refused: RuleRefused | None = None,
    ) -> Response:
        """A rule's page. form, values: what was sent and not kept, to be gone on with. refused: why not."""
        reader, known = reader_of(request, self.realm), await self.known(name)
        versions = await asyncio.to_thread(self.book.versions, name)
        changes = await asyncio.to_thread(self.book.changes, versions, reader.language)
        names = await asyncio.to_thread(self.book.area_names)
        watched = {area.slug: names[area.slug] for area in self._console.areas if area.slug in names}
        done = request.query_params.get("done")
        wrong: dict[Path, str] = {}
        error = None if refused is None else refused.explain(reader.language)
        if isinstance(refused, BadSetting):
            told = refused.told(reader.language)
            wrong = {at: what for at, _, what in told if at}
            error = " ".join([text(reader.language, "rules.nothing_saved"), refused.explain(reader.language)])
        body = _facts(reader, known) + _other_settings(reader, known, names)
        if _may_edit(reader.person) and known.config is not None:
            schema = rule_class(name).Config.model_json_schema()
            shown = known.config.model_dump(mode="json") if values is None else values
            made = SettingsForm(name, schema, language=reader.language, areas=watched, wrong=wrong, given=form)
            body += _edit_form(reader, known, made.html(shown), reason=(form or {}).get("reason", ("",))[0])
        else:
            body += _read_only(reader, known, names)
        body += _history(reader, known, versions, changes)
        return reader.page(
            known.title(reader.language),
            body,
            error=error,
            note=text(reader.language, f"rules.done_{done}") if done in DONE else None,
        )

    async def act(self, request: Request, name: str, what: str, act: Callable[[Person], KnownRule]) -> Response:
        """Do something to a rule and say that it was done, or why not."""
        before = await self.known(name)
        try:
            after = await asyncio.to_thread(act, current_person())
        except RuleRefused as exc:
            return await self.one(request, name, refused=exc)
        done = "unchanged" if after.version.version == before.version.version else what
        return RedirectResponse(f"/rules/{name}?done={done}", status_code=303)


def rule_pages_router(console: Console) -> APIRouter:
    """GET /rules, GET /rules/{name} and the forms on it."""
    router = APIRouter(prefix="/rules", include_in_schema=False)
    pages = _Pages(console)
    book = pages.book

    @router.get("")
    @needs(Permission.WATCH)
    async def everything(request: Request) -> Response:
        return await pages.everything(request)

    @router.post("")
    @needs(Permission.EDIT_RULES)
    async def make(request: Request) -> Response:
        current_person().must(Permission.EDIT_RULES)
        given = dict(zip(NEW, await fields(request, *NEW), strict=True))
        name = f"conditions_{given['name'].strip()}"
        config = {"name_ja": given["name_ja"], "name_en": given["name_en"], **EXAMPLE}
        try:
            await asyncio.to_thread(lambda: book.create(name, config, reason=given["reason"], person=current_person()))
        except RuleRefused as exc:
            return await pages.everything(request, given=given, refused=exc)
        return RedirectResponse(f"/rules/{name}?done=made", status_code=303)

    @router.get("/{name}")
    @needs(Permission.WATCH)
    async def show(request: Request, name: str) -> Response:
        return await pages.one(request, name)

    @router.post("/{name}")
    @needs(Permission.EDIT_RULES)
    async def change(request: Request, name: str) -> Response:
        current_person().must(Permission.EDIT_RULES)
        known, form = await pages.known(name), await every_field(request)
        (what, seen) = (form.get(key, ("",))[0] for key in ("do", "version"))
        schema = rule_class(name).Config.model_json_schema()
        values = read_settings(form, schema)
        if what != "save":
            return await pages.one(request, name, form=form, values=with_row(values, schema, what, form))
        try:
            after = await asyncio.to_thread(
                lambda: book.change(
                    name,
                    values,
                    reason=form.get("reason", ("",))[0],
                    based_on=_version(seen),
                    person=current_person(),
                )
            )
        except RuleRefused as exc:
            kept = None if isinstance(exc, RuleChanged) else values
            return await pages.one(request, name, form=form, values=kept, refused=exc)
        done = "unchanged" if after.version.version == known.version.version else "changed"
        return RedirectResponse(f"/rules/{name}?done={done}", status_code=303)

    @router.post("/{name}/undo")
    @needs(Permission.EDIT_RULES)
    async def undo(request: Request, name: str) -> Response:
        version, reason, seen = await fields(request, "version", "reason", "seen")
        return await pages.act(
            request,
            name,
            "undone",
            lambda who: book.undo(name, _version(version), reason=reason, based_on=_version(seen), person=who),
        )

    @router.post("/{name}/follow-settings")
    @needs(Permission.EDIT_RULES)
    async def follow(request: Request, name: str) -> Response:
        reason, seen = await fields(request, "reason", "seen")
        return await pages.act(
            request,
            name,
            "follows",
            lambda who: book.follow_settings(name, reason=reason, based_on=_version(seen), person=who),
        )

    return router


def _version(written: str) -> int:
    if not written.isdecimal() or not 0 < int(written) < 2**31:
        raise HTTPException(422, "the form's version is no number; reload the page and send it again")
    return int(written)


def _may_edit(person: Person) -> bool:
    return person.may_everywhere(Permission.EDIT_RULES)


def _list_page(reader: Reader, rules: Sequence[KnownRule], *, given: Mapping[str, str], error: str | None) -> Response:
    heads = "".join(
        f'<th scope="col">{reader.t(key)}</th>'
        for key in (
            "rules.rule",
            "rules.state",
            "setting.severity",
            "setting.schedule",
            "rules.version",
            "rules.decided",
        )
    )
    rows = "".join(
        f"<tr{'' if each.config is not None and each.config.enabled else ' class=off'}>"
        f'<th scope="row"><a href="/rules/{escape(each.name)}">{escape(each.title(reader.language))}</a></th>'
        f"<td>{_state(reader, each)}</td><td>{_severity(reader, each)}</td><td>{_in_force(reader, each)}</td>"
        f'<td class="number">{each.version.version}</td><td>{_decided(reader, each.version)}</td></tr>'
        for each in rules
    )
    help_key = "rules.help" if _may_edit(reader.person) else "rules.help_reader"
    body = (
        f"<p class=help>{reader.t(help_key)}</p>"
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
        + (_new_form(reader, given) if _may_edit(reader.person) else "")
    )
    return reader.page(text(reader.language, "rules.title"), body, error=error)


def _new_form(reader: Reader, given: Mapping[str, str]) -> str:
    inside = (
        "".join(
            field(name, text(reader.language, key), value=given.get(name, ""), autocomplete="off")
            for name, key in (
                ("name", "rules.new_name"),
                ("name_ja", "setting.name_ja"),
                ("name_en", "setting.name_en"),
            )
        )
        + _reason(reader, "reason", given.get("reason", ""))
        + reader.button("rules.make", kind="go")
    )
    return f"<h2>{reader.t('rules.new')}</h2><p class=help>{reader.t('rules.new_help')}</p>" + reader.form(
        "/rules", inside
    )


def _state(reader: Reader, known: KnownRule) -> str:
    if known.config is None:
        return reader.t("rules.unusable")
    state = reader.t("rules.on" if known.config.enabled else "rules.off")
    return state if known.of_settings is None else f"{state} <small>{reader.t('rules.differs_short')}</small>"


def _severity(reader: Reader, known: KnownRule) -> str:
    return "-" if known.config is None else reader.t(f"severity.{known.config.severity}")


def _in_force(reader: Reader, known: KnownRule) -> str:
    if known.config is None or known.config.schedule is None:
        return reader.t("rules.always")
    schedule = known.config.schedule
    days = setting_value(("days",), schedule.days, reader.language, {})
    hours = "" if schedule.begins == schedule.ends else f" {schedule.begins}–{schedule.ends}"
    sun = "" if schedule.sun == "any" else " " + text(reader.language, f"sun.{schedule.sun}")
    every = text(reader.language, "rules.every_day") if len(set(schedule.days)) == 7 else days
    return escape(f"{every}{hours}{sun}")


def _decided(reader: Reader, version: RuleVersion) -> str:
    return f"{jst_minute(version.valid_from_us)} {_who(reader, version)}"


def _who(reader: Reader, version: RuleVersion) -> str:
    return escape(version.author) if version.by_person or version.reason else reader.t("rules.by_settings")


def _facts(reader: Reader, known: KnownRule) -> str:
    facts = {
        "rules.state": _state(reader, known),
        "rules.decided": _decided(reader, known.version),
        "rules.why": escape(known.version.reason) or "-",
        "rules.version": str(known.version.version),
    }
    listed = "".join(f"<dt>{reader.t(key)}</dt><dd>{value}</dd>" for key, value in facts.items())
    unusable = "" if known.config is not None else f'<p class="error">{reader.t("rules.unusable_help")}</p>'
    back = f'<p><a href="/rules">{reader.t("rules.all")}</a></p>'
    return f"{back}<p>{reader.t(f'rules.about.{kind_of(known.name) or known.name}')}</p><dl>{listed}</dl>{unusable}"


def _other_settings(reader: Reader, known: KnownRule, names: Names) -> str:
    """What the settings file says, where a person decided otherwise."""
    if known.of_settings is None or known.config is None:
        return ""
    listed = _listed(differences(known.name, known.config, known.of_settings, reader.language, names))
    form = ""
    if _may_edit(reader.person):
        seen = f'<input type="hidden" name="seen" value="{known.version.version}">'
        asked = seen + _reason(reader, "follow-reason") + reader.button("rules.follow", kind="go")
        form = reader.ask("rules.follow", reader.form(f"/rules/{known.name}/follow-settings", asked))
    return f'<div class="note"><p>{reader.t("rules.differs")}</p>{listed}{form}</div>'


def _reason(reader: Reader, identity: str, value: str = "") -> str:
    return (
        f'<label for="{identity}">{reader.t("rules.reason")}</label><input type="text" id="{identity}" name="reason" '
        f'required maxlength="{REASON_LIMIT}" value="{escape(value)}" autocomplete="off">'
    )


def _edit_form(reader: Reader, known: KnownRule, settings: str, *, reason: str) -> str:
    # the first button is the one that the Enter key presses
    first = '<button type="submit" class="unseen" name="do" value="save" tabindex="-1" aria-hidden="true"></button>'
    inside = (
        first
        + f'<input type="hidden" name="version" value="{known.version.version}">'
        + settings
        + '<div class="settings"><div class="setting">'
        + _reason(reader, "reason", reason)
        + "</div></div>"
        + reader.button("rules.save", kind="go", name="do", value="save")
    )
    return f"<h2>{reader.t('rules.settings')}</h2>" + reader.form(f"/rules/{known.name}", inside)


def _read_only(reader: Reader, known: KnownRule, names: Names) -> str:
    if known.config is None:
        return ""
    listed = "".join(
        f"<dt>{escape(setting_name(known.name, (name,), reader.language, names))}</dt>"
        f"<dd>{escape(setting_value((name,), value, reader.language, names))}</dd>"
        for name, value in known.config.model_dump(mode="json").items()
    )
    return f"<h2>{reader.t('rules.settings')}</h2><dl>{listed}</dl>"


def _history(
    reader: Reader, known: KnownRule, versions: Sequence[RuleVersion], changes: Sequence[Sequence[str]]
) -> str:
    heads = "".join(
        f'<th scope="col">{reader.t(key)}</th>'
        for key in ("rules.version", "rules.decided", "rules.why", "rules.changed", "rules.undo")
    )
    rows = "".join(
        f'<tr><th scope="row" class="number">{each.version}</th><td>{_decided(reader, each)}</td>'
        f"<td>{_why(reader, each)}</td><td>{_listed(changed) or '-'}</td><td>{_undo(reader, known, each)}</td></tr>"
        for each, changed in zip(versions, changes, strict=True)
    )
    return (
        f"<h2>{reader.t('rules.history')}</h2>"
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _why(reader: Reader, version: RuleVersion) -> str:
    back = "" if version.restores is None else reader.t("rules.restores", version=version.restores)
    return " ".join(filter(None, (back, escape(version.reason)))) or "-"


def _undo(reader: Reader, known: KnownRule, version: RuleVersion) -> str:
    if version.version == known.version.version:
        return f"<strong>{reader.t('rules.holds')}</strong>"
    if not _may_edit(reader.person):
        return "-"
    inside = (
        f'<input type="hidden" name="version" value="{version.version}">'
        f'<input type="hidden" name="seen" value="{known.version.version}">'
        + _reason(reader, f"undo-{version.version}")
        + reader.button("rules.undo_to", kind="go", of=str(version.version))
    )
    return reader.ask("rules.undo_to", reader.form(f"/rules/{known.name}/undo", inside))


def _listed(sentences: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(each)}</li>" for each in sentences)
    return f'<ul class="changes">{items}</ul>' if items else ""
