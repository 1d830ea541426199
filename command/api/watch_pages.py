"""The pages of the roster: who is on duty now, a week of shifts, and the forms that change it. They need no script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from html import escape
from typing import Final

from starlette.responses import HTMLResponse

from command.api.pages import field
from command.api.people_pages import Reader
from command.domain.alert import Severity
from command.domain.area import Area
from command.domain.clock import US_PER_S, from_us
from command.domain.escalation import EscalationRules
from command.domain.people import User
from command.domain.roster import DAY_US, WEEK_US, Shift, WatchRole
from command.i18n import text
from command.i18n.times import JST, jst_minute
from command.operations.people import Permission
from command.operations.roster import WatchNow
from command.operations.roster_drafts import COLUMNS, ImportRefused, RosterRefused

_ROWS_SHOWN: Final = 50
_VERSION_COLUMNS: Final = (
    *("version", "person", "role", "from", "until_title"),
    *("team", "areas", "skills", "changed_by", "changed_at"),
)


def watch_page(
    reader: Reader,
    watch: WatchNow,
    *,
    shifts: Sequence[Shift],
    monday_us: int,
    now_us: int,
    people: Sequence[User],
    teams: Sequence[str],
    areas: Sequence[Area],
    rules: EscalationRules,
    given: Mapping[str, str],
    chosen: Sequence[str] = (),
    error: RosterRefused | None = None,
    note: str | None = None,
) -> HTMLResponse:
    """The roster. shifts: of the week that begins at monday_us. given, chosen: what was typed and which areas were
    ticked, where a form was refused."""
    board = _Board(reader, watch, areas=areas, now_us=now_us)
    edits = reader.person.may(Permission.EDIT_ROSTER)
    hidden = f'<input type="hidden" name="week" value="{_day(monday_us)}">'
    body = (
        (_wrong_rows(reader, error) if isinstance(error, ImportRefused) else "")
        + f"<h2>{reader.t('watch.now')}</h2>"
        + board.now()
        + _week_head(reader, monday_us, now_us)
        + board.week(shifts, monday_us, linked=edits)
        + (reader.form("/watch/copy-week", hidden + reader.button("watch.copy")) if edits else "")
        + f"<h2>{reader.t('watch.acknowledge_within')}</h2>"
        + _within(reader, rules)
    )
    if edits:
        body += (
            f"<h2>{reader.t('watch.add_title')}</h2>"
            + reader.form(
                "/watch",
                hidden
                + _shift_fields(reader, given, chosen, people=people, teams=teams, areas=areas)
                + reader.button("watch.add", kind="go"),
                name=text(reader.language, "watch.add_title"),
            )
            + f"<h2>{reader.t('watch.import_title')}</h2>"
            + f"<p class=help>{reader.t('watch.import_help', columns=_columns(reader))}</p>"
            + reader.form(
                "/watch/import",
                hidden
                + f'<label for="csv">{reader.t("watch.import_field")}</label>'
                + f'<textarea id="csv" name="csv" rows="6" required spellcheck="false">{escape(given.get("csv", ""))}'
                + "</textarea>"
                + reader.button("watch.import", kind="go"),
                name=text(reader.language, "watch.import_title"),
            )
        )
    words = None if error is None else error.explain(reader.language)
    return reader.page(text(reader.language, "watch.title"), body, error=words, note=note)


def shift_page(
    reader: Reader,
    versions: Sequence[Shift],
    watch: WatchNow,
    *,
    people: Sequence[User],
    teams: Sequence[str],
    areas: Sequence[Area],
    given: Mapping[str, str] | None = None,
    chosen: Sequence[str] = (),
    error: RosterRefused | None = None,
) -> HTMLResponse:
    """One shift: the form that changes it, and its versions, the newest first."""
    newest = versions[0]
    at = f"/watch/{newest.shift_id}"
    seen = f'<input type="hidden" name="version" value="{newest.version}">'
    told = given if given is not None else _told(newest)
    ticked = chosen if given is not None else newest.areas
    body = ""
    if not newest.removed:
        body += reader.form(
            at,
            seen
            + _shift_fields(reader, told, ticked, people=people, teams=teams, areas=areas)
            + reader.button("watch.save", kind="go"),
            name=text(reader.language, "watch.change_title"),
        ) + reader.ask("watch.end", reader.form(f"{at}/end", seen + reader.button("watch.end", kind="go")))
    body += f"<h2>{reader.t('watch.versions')}</h2>" + _version_table(reader, versions, watch, areas)
    body += f'<p><a href="/watch?week={_day(newest.from_us)}">{reader.t("watch.back")}</a></p>'
    words = None if error is None else error.explain(reader.language)
    return reader.page(text(reader.language, "watch.change_title"), body, error=words)


def clock(us: int) -> str:
    """`08:30`, in Japan."""
    return f"{from_us(us).astimezone(JST):%H:%M}"


def _day(us: int) -> str:
    return f"{from_us(us).astimezone(JST):%Y-%m-%d}"


def _told(shift: Shift) -> dict[str, str]:
    return {
        "login": shift.login,
        "role": shift.role.value,
        "from": jst_minute(shift.from_us).removesuffix(" JST"),
        "until": jst_minute(shift.until_us).removesuffix(" JST"),
        "team": shift.team or "",
        "skills": " ".join(shift.skills),
    }


class _Board:
    """Shifts as people read them."""

    def __init__(self, reader: Reader, watch: WatchNow, *, areas: Sequence[Area], now_us: int) -> None:
        self._reader, self._watch, self._now_us = reader, watch, now_us
        self._names = {area.slug: area.name_ja if reader.language == "ja" else area.name_en for area in areas}

    def now(self) -> str:
        """Who holds the watch, and who is on duty, in the order in which they are called."""
        reader, holder = self._reader, self._watch.holder
        held = reader.t("watch.holder_nobody")
        if holder is not None:
            held = reader.t("watch.holder_is", who=holder.name, time=jst_minute(holder.since_us))
        link = ""
        if reader.person.may(Permission.READ_INCIDENTS):
            link = f' <a href="/handover">{reader.t("watch.to_handover")}</a>'
        facts = f"<dl><dt>{reader.t('watch.holder')}</dt><dd>{held}{link}</dd></dl>"
        there = self._watch.on_duty(self._now_us)
        if not there:
            empty = "watch.none_now" if self._watch.began_us is not None else "watch.no_roster"
            return facts + f'<p class="error">{reader.t(empty)}</p>'
        heads = "".join(
            f'<th scope="col">{reader.t(f"watch.{key}")}</th>'
            for key in ("role", "person", "team", "areas", "skills", "until_title")
        )
        rows = "".join(
            f"<tr><td>{reader.t(f'watch.role.{shift.role.value}')}</td>"
            f'<th scope="row">{escape(self._watch.name(shift.login))}</th><td>{escape(shift.team or "-")}</td>'
            f"<td>{escape(self.areas(shift))}</td><td>{escape(', '.join(shift.skills) or '-')}</td>"
            f"<td>{jst_minute(shift.until_us)}</td></tr>"
            for shift in there
        )
        return facts + f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'

    def areas(self, shift: Shift) -> str:
        if not shift.areas:
            return text(self._reader.language, "watch.whole_coast")
        separator = text(self._reader.language, "area.refused.list_separator")
        return separator.join(self._names.get(slug, slug) for slug in shift.areas)

    def week(self, shifts: Sequence[Shift], monday_us: int, *, linked: bool) -> str:
        """A row a role, a column a day."""
        reader = self._reader
        days = [monday_us + n * DAY_US for n in range(7)]
        heads = "".join(self._day_head(day) for day in days)
        rows = "".join(
            f'<tr><th scope="row">{reader.t(f"watch.role.{role.value}")}</th>'
            + "".join(
                f"<td{self._today(day)}>"
                + self._cell([s for s in shifts if s.role is role and s.overlaps(day, day + DAY_US)], day, linked)
                + "</td>"
                for day in days
            )
            + "</tr>"
            for role in WatchRole
        )
        corner = f'<td class="corner"><span class="unseen">{reader.t("watch.role")}</span></td>'
        return (
            f'<div class="scroll"><table class="board"><thead><tr>{corner}{heads}</tr></thead>'
            f"<tbody>{rows}</tbody></table></div>"
        )

    def _today(self, day_us: int) -> str:
        return ' class="today"' if day_us <= self._now_us < day_us + DAY_US else ""

    def _day_head(self, day_us: int) -> str:
        day = from_us(day_us).astimezone(JST)
        weekday = self._reader.t(f"watch.day_{day.weekday()}")
        today = f" <span>{self._reader.t('watch.today')}</span>" if self._today(day_us) else ""
        return f'<th scope="col"{self._today(day_us)}>{day.month}/{day.day} {weekday}{today}</th>'

    def _cell(self, shifts: Sequence[Shift], day_us: int, linked: bool) -> str:
        if not shifts:
            return f'<span class="unseen">{self._reader.t("watch.empty")}</span>'
        return "<ul>" + "".join(f"<li>{self._entry(shift, day_us, linked)}</li>" for shift in shifts) + "</ul>"

    def _entry(self, shift: Shift, day_us: int, linked: bool) -> str:
        reader, next_day_us = self._reader, day_us + DAY_US
        begins, ends = shift.from_us >= day_us, shift.until_us <= next_day_us
        hours = f"{clock(shift.from_us) if begins else ''}–{_end(shift.until_us, next_day_us) if ends else ''}"
        if not begins and not ends:
            hours = reader.t("watch.all_day")
        name = escape(self._watch.name(shift.login))
        inside = f"<b>{hours}</b> {name}"
        entry = f'<a href="/watch/{shift.shift_id}">{inside}</a>' if linked else inside
        here = shift.on_duty(self._now_us) and self._today(day_us)
        entry += f" <em>{reader.t('watch.on_duty_mark')}</em>" if here else ""
        if not begins:
            return f'{entry}<span class="unseen"> {reader.t("watch.continues")}</span>'
        more = " / ".join(filter(None, (shift.team, self.areas(shift) if shift.areas else "", *shift.skills)))
        return entry + (f"<small>{escape(more)}</small>" if more else "")


def _end(until_us: int, next_day_us: int) -> str:
    return "24:00" if until_us == next_day_us else clock(until_us)


def _week_head(reader: Reader, monday_us: int, now_us: int) -> str:
    first = from_us(monday_us).astimezone(JST)
    last = first + timedelta(days=6)
    ways = "".join(
        f'<a href="/watch?week={_day(us)}">{reader.t(key)}</a>'
        for key, us in (
            ("watch.week_before", monday_us - WEEK_US),
            ("watch.week_this", now_us),
            ("watch.week_after", monday_us + WEEK_US),
        )
    )
    title = reader.t("watch.week", first=f"{first:%Y-%m-%d}", last=f"{last:%Y-%m-%d}")
    return f'<h2>{title}</h2><nav class="weeks" aria-label="{reader.t("watch.weeks")}">{ways}</nav>'


def _within(reader: Reader, rules: EscalationRules) -> str:
    items = "".join(
        f"<li>{_severity_within(reader, severity, rules.within_us.get(severity))}</li>"
        for severity in sorted(Severity, reverse=True)
    )
    return f'<ul class="within">{items}</ul><p class=help>{reader.t("watch.within_help")}</p>'


def _severity_within(reader: Reader, severity: Severity, within_us: int | None) -> str:
    word = text(reader.language, f"severity.{severity.word}")
    if within_us is None:
        return reader.t("watch.within_never", severity=word)
    return reader.t("watch.within", severity=word, minutes=f"{within_us / (60 * US_PER_S):g}")


def _shift_fields(
    reader: Reader,
    given: Mapping[str, str],
    chosen: Sequence[str],
    *,
    people: Sequence[User],
    teams: Sequence[str],
    areas: Sequence[Area],
) -> str:
    roles = [(role.value, text(reader.language, f"watch.role.{role.value}")) for role in WatchRole]
    logins = [(user.login, f"{user.display_name} ({user.login})") for user in people]
    if given.get("login") and given["login"] not in {login for login, _ in logins}:
        logins.append((given["login"], given["login"]))
    called = [("", text(reader.language, "watch.team_none")), *((team, team) for team in teams)]
    boxes = "".join(
        f'<label class="box"><input type="checkbox" name="area" value="{escape(area.slug)}"'
        f"{' checked' if area.slug in chosen else ''}>"
        f"<span>{escape(area.name_ja if reader.language == 'ja' else area.name_en)}</span></label>"
        for area in areas
        if not area.retired
    )
    listed = f'<div class="areas">{boxes}</div>' if boxes else ""
    return (
        '<div class="pairs">'
        + _select(reader, "login", "watch.person", logins, given.get("login", ""))
        + _select(reader, "role", "watch.role", roles, given.get("role", ""))
        + _labelled(reader, "from", "watch.time_field_from", given.get("from", ""))
        + _labelled(reader, "until", "watch.time_field_until", given.get("until", ""))
        + _select(reader, "team", "watch.team", called, given.get("team", ""))
        + f'<div><label for="skills">{reader.t("watch.skills_field")}</label>'
        + f'<input id="skills" name="skills" value="{escape(given.get("skills", ""))}" maxlength="256" '
        + 'autocomplete="off" autocapitalize="none" spellcheck="false"></div></div>'
        + f"<fieldset><legend>{reader.t('watch.areas')}: {reader.t('watch.areas_help')}</legend>{listed}</fieldset>"
    )


def _labelled(reader: Reader, name: str, key: str, value: str) -> str:
    return f"<div>{field(name, text(reader.language, key), value=value, autocomplete='off')}</div>"


def _select(reader: Reader, name: str, key: str, options: Sequence[tuple[str, str]], value: str) -> str:
    listed = "".join(
        f'<option value="{escape(each)}"{" selected" if each == value else ""}>{escape(words)}</option>'
        for each, words in options
    )
    return f'<div><label for="{name}">{reader.t(key)}</label><select id="{name}" name="{name}">{listed}</select></div>'


def _columns(reader: Reader) -> str:
    return ",".join(text(reader.language, f"roster.column.{column}") for column in COLUMNS)


def _wrong_rows(reader: Reader, refused: ImportRefused) -> str:
    rows = "".join(
        f"<li>{reader.t('watch.row', row=each.row, why=each.why.explain(reader.language))}</li>"
        for each in refused.rows[:_ROWS_SHOWN]
    )
    more = len(refused.rows) - _ROWS_SHOWN
    rest = f"<li>{reader.t('watch.more_rows', n=more)}</li>" if more > 0 else ""
    return f'<ul class="wrong">{rows}{rest}</ul>'


def _version_table(reader: Reader, versions: Sequence[Shift], watch: WatchNow, areas: Sequence[Area]) -> str:
    board = _Board(reader, watch, areas=areas, now_us=0)
    heads = "".join(f'<th scope="col">{reader.t(f"watch.{key}")}</th>' for key in _VERSION_COLUMNS)
    rows = "".join(
        f'<tr{" class=off" if shift.removed else ""}><th scope="row">{shift.version}'
        f"{' ' + reader.t('watch.removed') if shift.removed else ''}</th>"
        f"<td>{escape(watch.name(shift.login))}</td><td>{reader.t(f'watch.role.{shift.role.value}')}</td>"
        f"<td>{jst_minute(shift.from_us)}</td><td>{jst_minute(shift.until_us)}</td><td>{escape(shift.team or '-')}</td>"
        f"<td>{escape(board.areas(shift))}</td><td>{escape(', '.join(shift.skills) or '-')}</td>"
        f"<td>{escape(shift.changed_by)}</td><td>{jst_minute(shift.changed_at_us)}</td></tr>"
        for shift in versions
    )
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
