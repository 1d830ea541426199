"""The pages on which people see to their own account, and an administrator to everybody's. They need no script."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from starlette.responses import HTMLResponse

from command.api.pages import csrf_field, field, message, page
from command.domain.people import Role, User
from command.domain.realm import Realm
from command.i18n import text
from command.i18n.times import jst_minute
from command.operations.people import Permission, Person, WebSession

_BROWSERS: Final = (
    ("Edge", r"Edg/(\d+)"),
    ("Firefox", r"Firefox/(\d+)"),
    ("Chrome", r"Chrome/(\d+)"),
    ("Safari", r"Version/(\d+)[\d.]* .*Safari/"),
)
_SYSTEMS: Final = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("macOS", "Mac OS X"),
    ("Linux", "Linux"),
)


class Reader:
    """Who reads the page, and what every page of this kind needs from them."""

    def __init__(self, person: Person, *, language: str, csrf: str, realm: Realm) -> None:
        self.person, self.language, self.csrf, self.realm = person, language, csrf, realm

    def t(self, key: str, **params: object) -> str:
        """A text as HTML."""
        return escape(text(self.language, key, **params))

    def form(self, action: str, inside: str, *, name: str = "") -> str:
        label = f' aria-label="{escape(name)}"' if name else ""
        return f'<form method="post" action="{action}"{label}>{csrf_field(self.csrf)}{inside}</form>'

    def button(self, key: str, *, kind: str = "quiet", name: str = "", value: str = "", of: str = "") -> str:
        """of: what it is about, for those who hear the page and not see it."""
        sent = f' name="{name}" value="{escape(value)}"' if name else ""
        about = f'<span class="unseen"> {escape(of)}</span>' if of else ""
        return f'<button type="submit" class="{kind}"{sent}>{self.t(key)}{about}</button>'

    def page(self, title: str, body: str, *, error: str | None = None, note: str | None = None) -> HTMLResponse:
        links = {"account.to_console": "/", "account.title": "/account"}
        if self.person.may(Permission.MANAGE_PEOPLE):
            links["people.title"] = "/people"
        return page(
            self.language,
            title,
            message(error, note) + body,
            realm=self.realm,
            csrf=self.csrf,
            status=400 if error else 200,
            back=links,
        )


def browser_name(said: str) -> str:
    """`Firefox 140, Linux` from what a browser says of itself; what it says where that is nothing we know."""
    browser = next((f"{name} {m[1]}" for name, pattern in _BROWSERS if (m := re.search(pattern, said))), "")
    system = next((name for name, word in _SYSTEMS if word in said), "")
    return ", ".join(filter(None, (browser, system))) or said[:60]


def account_page(
    reader: Reader, *, sessions: Sequence[WebSession], error: str | None = None, note: str | None = None
) -> HTMLResponse:
    """One's own account."""
    user = reader.person.user
    body = (
        _facts(
            {
                reader.t("login.login"): escape(user.login),
                reader.t("people.name"): escape(user.display_name),
                reader.t("people.roles"): _roles(reader, user),
            }
        )
        + f'<p><a href="/password">{reader.t("login.change_title")}</a></p>'
        + f"<h2>{reader.t('account.sessions')}</h2>"
        + _session_table(reader, sessions, action="/account/sessions/revoke")
        + reader.form("/account/sessions/revoke-others", reader.button("account.revoke_others"))
    )
    return reader.page(text(reader.language, "account.title"), body, error=error, note=note)


def people_page(
    reader: Reader,
    *,
    people: Sequence[User],
    sessions: Sequence[WebSession],
    given: Mapping[str, str],
    error: str | None = None,
) -> HTMLResponse:
    """Every account, and the form that makes one. given: what was typed into it, where it was refused."""
    open_by = {user.user_id: sum(each.user.user_id == user.user_id for each in sessions) for user in people}
    rows = "".join(
        f'<tr{" class=off" if user.disabled else ""}><th scope="row"><a href="/people/{user.user_id}">'
        f"{escape(user.login)}</a></th><td>{escape(user.display_name)}</td><td>{_roles(reader, user)}</td>"
        f"<td>{_state(reader, user)}</td><td class=number>{open_by[user.user_id]}</td></tr>"
        for user in people
    )
    heads = "".join(
        f'<th scope="col">{reader.t(key)}</th>'
        for key in ("login.login", "people.name", "people.roles", "people.state", "account.sessions")
    )
    form = (
        field("login", text(reader.language, "login.login"), value=given.get("login", ""), autocomplete="off")
        + field("name", text(reader.language, "people.name"), value=given.get("name", ""), autocomplete="off")
        + _role_boxes(reader, frozenset())
        + reader.button("people.add", kind="go")
    )
    body = (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
        f"<h2>{reader.t('people.add_title')}</h2>{reader.form('/people', form)}"
    )
    return reader.page(text(reader.language, "people.title"), body, error=error)


def person_page(
    reader: Reader, user: User, *, sessions: Sequence[WebSession], error: str | None = None, note: str | None = None
) -> HTMLResponse:
    """One account, for the administrator."""
    at = f"/people/{user.user_id}"
    shut = "people.enable" if user.disabled else "people.disable"
    body = (
        _facts({reader.t("people.name"): escape(user.display_name), reader.t("people.state"): _state(reader, user)})
        + f"<h2>{reader.t('people.roles')}</h2>"
        + reader.form(f"{at}/roles", _role_boxes(reader, user.roles) + reader.button("people.save_roles", kind="go"))
        + f"<h2>{reader.t('people.access')}</h2>"
        + f'<div class="row">{reader.form(f"{at}/password", reader.button("people.reset_password"))}'
        + reader.form(f"{at}/disabled", reader.button(shut, name="disabled", value="no" if user.disabled else "yes"))
        + f"</div><p class=help>{reader.t('people.access_help')}</p>"
        + f"<h2>{reader.t('account.sessions')}</h2>"
        + _session_table(reader, sessions, action=f"{at}/sessions/revoke")
        + (reader.form(f"{at}/sessions/revoke-all", reader.button("people.revoke_all")) if sessions else "")
    )
    return reader.page(user.login, body, error=error, note=note)


def secret_page(reader: Reader, title: str, shown: Sequence[str], *, what: str, back: str) -> HTMLResponse:
    """What is shown once and never again: a first password, a token, recovery codes."""
    codes = "".join(f"<li><code>{escape(each)}</code></li>" for each in shown)
    body = (
        f'<p class="note">{escape(what)}</p><ul class="secrets">{codes}</ul>'
        f'<p><a href="{back}">{reader.t("account.noted")}</a></p>'
    )
    return reader.page(title, body)


def _facts(facts: Mapping[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items()) + "</dl>"


def _roles(reader: Reader, user: User) -> str:
    return "、".join(_role(reader, user)) if reader.language == "ja" else ", ".join(_role(reader, user))


def _role(reader: Reader, user: User) -> list[str]:
    return [reader.t(f"role.{role.value}") for role in Role if role in user.roles]


def _state(reader: Reader, user: User) -> str:
    key = "disabled" if user.disabled else "first_password" if user.must_change_password else "active"
    return reader.t(f"people.state_{key}")


def _role_boxes(reader: Reader, held: frozenset[Role]) -> str:
    boxes = "".join(
        f'<label class="box"><input type="checkbox" name="role" value="{role.value}"'
        f"{' checked' if role in held else ''}><span>{reader.t(f'role.{role.value}')}</span></label>"
        for role in Role
    )
    return f"<fieldset><legend>{reader.t('people.roles')}</legend>{boxes}</fieldset>"


def _session_table(reader: Reader, sessions: Sequence[WebSession], *, action: str) -> str:
    if not sessions:
        return f'<p class="help">{reader.t("account.no_sessions")}</p>'
    heads = "".join(
        f'<th scope="col">{reader.t(f"account.{key}")}</th>'
        for key in ("opened", "last_seen", "address", "browser", "end")
    )
    return (
        f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>'
        + "".join(_session_row(reader, each, action) for each in sessions)
        + "</tbody></table></div>"
    )


def _session_row(reader: Reader, each: WebSession, action: str) -> str:
    opened = jst_minute(each.opened_at_us)
    if each.session_id == reader.person.session_id:
        end = f"<strong>{reader.t('account.this_session')}</strong>"
    else:
        end = reader.form(
            action,
            reader.button("account.revoke", name="session", value=each.session_id.hex(), of=f"{opened} {each.address}"),
        )
    return (
        f'<tr><th scope="row">{opened}</th><td>{jst_minute(each.last_seen_us)}</td>'
        f'<td>{escape(each.address or "-")}</td><td title="{escape(each.browser)}">'
        f"{escape(browser_name(each.browser) or '-')}</td><td>{end}</td></tr>"
    )
