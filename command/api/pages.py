"""The few pages that stand outside the console: sign in, choose a password, database away. They need no script."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Final

from starlette.responses import HTMLResponse

from command.domain.realm import Realm
from command.i18n import LANGUAGES, text

LANGUAGE_COOKIE: Final = "language"
DEFAULT_LANGUAGE: Final = "ja"
FIELD_LIMIT: Final = 256
FONT_STYLE: Final = "/assets/map/mizugiwa-map.css"
"""Brings the Japanese font that the map ships, for workstations that have none."""


def language_of(cookies: Mapping[str, str]) -> str:
    """The language that this person's browser asked for; Japanese where it did not or asked for one there is not."""
    asked = cookies.get(LANGUAGE_COOKIE, DEFAULT_LANGUAGE)
    return asked if asked in LANGUAGES else DEFAULT_LANGUAGE


def login_page(
    language: str, *, realm: Realm, csrf: str, login: str = "", error: str | None = None, note: str | None = None
) -> HTMLResponse:
    """The sign-in form. error and note are texts for the reader, already in their language."""
    body = (
        message(error, note)
        + f'<form method="post" action="/login">{csrf_field(csrf)}'
        + field("login", text(language, "login.login"), value=login, autocomplete="username", focus=not login)
        + field(
            "password",
            text(language, "login.password"),
            kind="password",
            autocomplete="current-password",
            focus=bool(login),
        )
        + f'<button type="submit" class="go">{words(language, "login.enter")}</button></form>'
        + f'<p class="help">{words(language, "login.help")}</p>'
    )
    return page(language, text(language, "login.title"), body, realm=realm, csrf=csrf, status=400 if error else 200)


def code_page(language: str, *, realm: Realm, csrf: str, error: str | None = None) -> HTMLResponse:
    """The second step of signing in: the form for a one-time code."""
    body = (
        message(error, None)
        + f'<form method="post" action="/second">{csrf_field(csrf)}'
        + field("code", text(language, "login.code"), autocomplete="one-time-code", focus=True)
        + f'<button type="submit" class="go">{words(language, "login.enter")}</button></form>'
        + f'<p class="help">{words(language, "login.code_help")}</p>'
        + f'<form method="post" action="/logout">{csrf_field(csrf)}'
        + f'<button type="submit" class="quiet">{words(language, "login.leave")}</button></form>'
    )
    title = text(language, "login.code_title")
    return page(language, title, body, realm=realm, csrf=csrf, status=400 if error else 200)


def password_page(
    language: str, *, realm: Realm, csrf: str, who: str, minimum: int, must: bool, error: str | None = None
) -> HTMLResponse:
    """The form that changes a password; `must` where it is somebody's first sign-in."""
    note = text(language, "login.must_change") if must else None
    body = (
        message(error, note)
        + f'<form method="post" action="/password">{csrf_field(csrf)}'
        + f'<input type="text" name="username" value="{escape(who)}" autocomplete="username" hidden>'
        + field(
            "current",
            text(language, "login.current_password"),
            kind="password",
            autocomplete="current-password",
            focus=True,
        )
        + field("new", text(language, "login.new_password"), kind="password", autocomplete="new-password")
        + field("again", text(language, "login.new_again"), kind="password", autocomplete="new-password")
        + f'<p class="help">{escape(text(language, "login.password_rules", minimum=minimum))}</p>'
        + f'<button type="submit" class="go">{words(language, "login.change")}</button></form>'
        + f'<form method="post" action="/logout">{csrf_field(csrf)}'
        + f'<button type="submit" class="quiet">{words(language, "login.leave")}</button></form>'
    )
    title = text(language, "login.change_title")
    return page(language, title, body, realm=realm, csrf=csrf, status=400 if error else 200)


def database_away_page(language: str) -> HTMLResponse:
    """What somebody sees who is not known to this process yet while the database is away."""
    what, next_step = words(language, "login.database_away"), words(language, "login.database_away_next")
    body = f'<p class="error" role="alert">{what}</p><p class="help">{next_step}</p>'
    return page(language, text(language, "login.database_away_title"), body, status=503)


def words(language: str, key: str) -> str:
    """A text as HTML."""
    return escape(text(language, key))


def csrf_field(token: str) -> str:
    """What every form sends back; see command.api.guard."""
    return f'<input type="hidden" name="csrf" value="{escape(token)}">'


def message(error: str | None, note: str | None) -> str:
    """What went wrong, and what there is to know, above a form."""
    shown = f'<p class="note">{escape(note)}</p>' if note else ""
    return shown + (f'<p class="error" role="alert" id="error">{escape(error)}</p>' if error else "")


def field(name: str, label: str, *, kind: str = "text", value: str = "", autocomplete: str, focus: bool = False) -> str:
    """A labelled input that must be filled in."""
    attributes = f' value="{escape(value)}"' if value else ""
    attributes += " autofocus" if focus else ""
    return (
        f'<label for="{name}">{escape(label)}</label>'
        f'<input id="{name}" name="{name}" type="{kind}" required{attributes}'
        f' maxlength="{FIELD_LIMIT}" autocomplete="{autocomplete}" autocapitalize="none" spellcheck="false">'
    )


def _languages(language: str, csrf: str) -> str:
    buttons = "".join(
        f'<button type="submit" name="language" value="{code}" lang="{code}"'
        f"{' aria-current=true' if code == language else ''}>{words(code, 'console.language_name')}</button>"
        for code in LANGUAGES
    )
    label = words(language, "console.language")
    inside = csrf_field(csrf) + buttons
    return f'<form method="post" action="/language" class="languages" aria-label="{label}">{inside}</form>'


def page(
    language: str,
    title: str,
    body: str,
    *,
    realm: Realm | None = None,
    csrf: str = "",
    status: int = 200,
    back: Mapping[str, str] | None = None,
) -> HTMLResponse:
    """A whole page. back: for pages of those who are signed in, which are wider: where its links lead, by text key."""
    name = words(language, "console.name")
    banner = ""
    if realm is not None:
        word = words(language, f"console.realm_{realm.kind.value}")
        inside = f"<strong>{word}</strong><span>{escape(realm.name)}</span>"
        banner = f'<header class="realm realm-{realm.kind.value}">{inside}</header>'
    switch = _languages(language, csrf) if csrf else ""
    motto = words(language, "console.motto")
    links = "".join(f'<a href="{href}">{words(language, key)}</a>' for key, href in (back or {}).items())
    nav = f'<nav aria-label="{words(language, "account.ways")}">{links}</nav>' if links else ""
    return HTMLResponse(
        f'<!DOCTYPE html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)} - {name}</title><link rel="stylesheet" href="{FONT_STYLE}">'
        '<link rel="stylesheet" href="/login.css"></head>'
        f"<body>{banner}<main{' class=wide' if nav else ''}>{nav}"
        f'<h1><span class="mark" aria-hidden="true"></span>{name}</h1>'
        f'<p class="motto">{motto}</p><h2>{escape(title)}</h2>{body}</main>{switch}</body></html>',
        status_code=status,
    )
