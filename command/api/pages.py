"""The few pages that stand outside the console: sign in, choose a password, database away. They need no script."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Final
from urllib.parse import urlencode, urlsplit

from starlette.responses import HTMLResponse

from command.domain.realm import Realm
from command.i18n import LANGUAGES, text
from command.operations.desk_pages import DESK_PAGES

LANGUAGE_COOKIE: Final = "language"
DEFAULT_LANGUAGE: Final = "ja"
FIELD_LIMIT: Final = 256
TO_LIMIT: Final = 1_000
WANTED: Final = frozenset({"/", *(page.path for page in DESK_PAGES)})
"""The pages that signing in may lead to. What stands behind # the browser keeps itself, with login.js."""
FONT_STYLE: Final = "/assets/map/mizugiwa-map.css"
"""Brings the Japanese font that the map ships, for workstations that have none."""


def language_of(cookies: Mapping[str, str]) -> str:
    """The language that this person's browser asked for; Japanese where it did not or asked for one there is not."""
    asked = cookies.get(LANGUAGE_COOKIE, DEFAULT_LANGUAGE)
    return asked if asked in LANGUAGES else DEFAULT_LANGUAGE


def page_of_ours(asked: str) -> str:
    """The page that somebody wanted before they signed in, with its query; the console where it is no page of ours."""
    parts = urlsplit(asked) if len(asked) <= TO_LIMIT and asked.isascii() and asked.isprintable() else urlsplit("/")
    if parts.scheme or parts.netloc or parts.path not in WANTED or "\\" in asked:
        return "/"
    return parts.path + (f"?{parts.query}" if parts.query else "")


def with_to(path: str, to: str) -> str:
    """The address of a step of signing in that leads to a page at its end."""
    return path if to == "/" else f"{path}?{urlencode({'to': to})}"


def login_page(
    language: str,
    *,
    realm: Realm,
    csrf: str,
    to: str,
    provider: str | None = None,
    login: str = "",
    error: str | None = None,
    note: str | None = None,
    status: int | None = None,
) -> HTMLResponse:
    """The sign-in form. error and note are texts for the reader, already in their language. to: the page of ours that
    they wanted. provider: what the identity provider is called, where there is one.
    """
    elsewhere = ""
    if provider is not None:
        words_of = escape(text(language, "openid.sign_in", name=provider))
        href = escape(with_to("/login/openid", to))
        elsewhere = (
            f'<p class="elsewhere"><a class="go" id="openid" href="{href}">{words_of}</a></p>'
            f'<p class="or"><span>{words(language, "openid.or")}</span></p>'
        )
    body = (
        message(error, note)
        + elsewhere
        + f'<form method="post" action="/login" data-keeps>{csrf_field(csrf)}{_hidden("to", to)}'
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
    status = status or (400 if error else 200)
    return page(language, text(language, "login.title"), body, realm=realm, csrf=csrf, status=status)


def onward_page(language: str, *, to: str) -> HTMLResponse:
    """Goes on to a page of ours by itself. After a sign-in elsewhere a redirect would not do: the browser takes the
    whole way for another site's, and keeps our cookies to itself (SameSite=Strict).
    """
    href = escape(to)
    body = f'<p><a href="{href}" data-onward>{words(language, "openid.onward")}</a></p>'
    refresh = f'<noscript><meta http-equiv="refresh" content="0;url={href}"></noscript>'
    return page(language, text(language, "openid.signed_in"), body, head=refresh)


def code_page(language: str, *, realm: Realm, csrf: str, to: str, error: str | None = None) -> HTMLResponse:
    """The second step of signing in: the form for a one-time code."""
    body = (
        message(error, None)
        + f'<form method="post" action="/second" data-keeps>{csrf_field(csrf)}{_hidden("to", to)}'
        + field("code", text(language, "login.code"), autocomplete="one-time-code", focus=True)
        + f'<button type="submit" class="go">{words(language, "login.enter")}</button></form>'
        + f'<p class="help">{words(language, "login.code_help")}</p>'
        + f'<form method="post" action="/logout">{csrf_field(csrf)}'
        + f'<button type="submit" class="quiet">{words(language, "login.leave")}</button></form>'
    )
    title = text(language, "login.code_title")
    return page(language, title, body, realm=realm, csrf=csrf, status=400 if error else 200)


def password_page(
    language: str, *, realm: Realm, csrf: str, to: str, who: str, minimum: int, must: bool, error: str | None = None
) -> HTMLResponse:
    """The form that changes a password; `must` where it is somebody's first sign-in."""
    note = text(language, "login.must_change") if must else None
    body = (
        message(error, note)
        + f'<form method="post" action="/password" data-keeps>{csrf_field(csrf)}{_hidden("to", to)}'
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


def _hidden(name: str, value: str) -> str:
    return f'<input type="hidden" name="{name}" value="{escape(value)}">'


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
    return f'<form method="post" action="/language" data-keeps class="languages" aria-label="{label}">{inside}</form>'


def _palettes(language: str) -> str:
    """Shown by the script that can do it."""
    buttons = "".join(
        f'<button type="button" data-choose="{palette}">{words(language, f"login.palette_{palette}")}</button>'
        for palette in ("day", "dusk", "night")
    )
    label = words(language, "login.palette")
    return f'<div class="palettes" id="palettes" role="group" aria-label="{label}" hidden>{buttons}</div>'


def page(
    language: str,
    title: str,
    body: str,
    *,
    realm: Realm | None = None,
    csrf: str = "",
    status: int = 200,
    back: Mapping[str, str] | None = None,
    head: str = "",
) -> HTMLResponse:
    """A whole page. back: for pages of those who are signed in, which are wider: where its links lead, by text key.
    head: markup for its head.
    """
    name = words(language, "console.name")
    banner = ""
    if realm is not None:
        word = words(language, f"console.realm_{realm.kind.value}")
        inside = f"<strong>{word}</strong><span>{escape(realm.name)}</span>"
        banner = f'<header class="realm realm-{realm.kind.value}">{inside}</header>'
    switch = f'<footer class="foot">{_languages(language, csrf) if csrf else ""}{_palettes(language)}</footer>'
    motto = words(language, "console.motto")
    links = "".join(f'<a href="{href}">{words(language, key)}</a>' for key, href in (back or {}).items())
    nav = f'<nav aria-label="{words(language, "account.ways")}">{links}</nav>' if links else ""
    return HTMLResponse(
        f'<!DOCTYPE html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{escape(title)} - {name}</title><link rel="stylesheet" href="{FONT_STYLE}">'
        f'<link rel="stylesheet" href="/login.css"><script src="/login.js"></script>{head}</head>'
        f"<body>{banner}<main{' class=wide' if nav else ''}>{nav}"
        f'<h1><span class="mark" aria-hidden="true"></span>{name}</h1>'
        f'<p class="motto">{motto}</p><h2>{escape(title)}</h2>{body}</main>{switch}</body></html>',
        status_code=status,
    )
