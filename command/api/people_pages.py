"""The pages on which people see to their own account, and an administrator to everybody's. They need no script."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Mapping, Sequence
from html import escape
from typing import Final

from starlette.responses import HTMLResponse

from command.api.pages import csrf_field, field, message, page
from command.domain.area import Area
from command.domain.people import Role, User
from command.domain.realm import Realm
from command.i18n import text
from command.i18n.times import jst_minute
from command.operations.codes import qr_svg, uri
from command.operations.desk_pages import pages_for
from command.operations.people import JUST_SIGNED_IN_S, Permission, Person, WebSession
from command.operations.tokens import SCOPES, ApiToken

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

    def ask(self, key: str, form: str, *, of: str = "") -> str:
        """What cannot be taken back asks first, without a script: the form opens under what it does. of: see button."""
        return (
            f'<details class="sure"><summary>{self.t(key)}{self._about(of)}</summary>'
            f"<p class=help>{self.t('account.sure')}</p>{form}</details>"
        )

    def button(self, key: str, *, kind: str = "quiet", name: str = "", value: str = "", of: str = "") -> str:
        """of: what it is about, for those who hear the page and not see it."""
        sent = f' name="{name}" value="{escape(value)}"' if name else ""
        return f'<button type="submit" class="{kind}"{sent}>{self.t(key)}{self._about(of)}</button>'

    @staticmethod
    def _about(of: str) -> str:
        return f'<span class="unseen"> {escape(of)}</span>' if of else ""

    def page(self, title: str, body: str, *, error: str | None = None, note: str | None = None) -> HTMLResponse:
        links = {"account.to_console": "/"} | {there.title: there.path for there in pages_for(self.person)}
        if self.person.due:
            links = {"login.change_title": "/password"}
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
    reader: Reader,
    *,
    sessions: Sequence[WebSession],
    codes_left: int | None,
    tokens: Sequence[ApiToken],
    longest_days: int,
    areas: Sequence[Area],
    error: str | None = None,
    note: str | None = None,
) -> HTMLResponse:
    """One's own account. codes_left: recovery codes, None where signing in asks for no one-time code. areas: of the
    realm, for their names.
    """
    user = reader.person.user
    body = (
        _facts(
            {
                reader.t("login.login"): escape(user.login),
                reader.t("people.name"): escape(user.display_name),
                reader.t("people.roles"): _roles(reader, user),
                reader.t("scope.title"): _areas_named(reader, user.areas, areas),
            }
        )
        + ("" if user.areas is None else f"<p class=help>{reader.t('scope.yours_help')}</p>")
        + (_password_and_codes(reader, codes_left) if user.issuer is None else f"<p>{_at_provider(reader, user)}</p>")
        + f"<h2>{reader.t('account.sessions')}</h2>"
        + _session_table(reader, sessions, action="/account/sessions/revoke")
        + reader.form("/account/sessions/revoke-others", reader.button("account.revoke_others"))
        + f"<h2>{reader.t('account.tokens')}</h2><p class=help>{reader.t('account.tokens_why')}</p>"
        + _token_table(reader, tokens, areas)
        + reader.form(
            "/account/tokens",
            _token_form(reader, longest_days, areas),
            name=text(reader.language, "account.token_make"),
        )
    )
    return reader.page(text(reader.language, "account.title"), body, error=error, note=note)


def _password_and_codes(reader: Reader, codes_left: int | None) -> str:
    change = "account.second_on" if codes_left is None else "account.second_change"
    return (
        f'<p><a href="/password">{reader.t("login.change_title")}</a></p>'
        f"<h2>{reader.t('account.second')}</h2><p>{_second_state(reader, codes_left)} "
        f'<a href="/account/second">{reader.t(change)}</a></p>'
    )


def _at_provider(reader: Reader, user: User) -> str:
    return reader.t("openid.theirs", issuer=user.issuer)


def _token_table(reader: Reader, tokens: Sequence[ApiToken], areas: Sequence[Area]) -> str:
    if not tokens:
        return ""
    heads = "".join(
        f'<th scope="col">{reader.t(f"account.{key}")}</th>'
        for key in ("token_name", "token_scopes", "token_expires", "last_seen", "end")
    )
    rows = "".join(
        f'<tr{" class=off" if each.expired else ""}><th scope="row">{escape(each.name)}</th>'
        f"<td>{', '.join(_permission(reader, p) for p in SCOPES if p in each.scopes)}"
        f"{'' if each.areas is None else ': ' + _areas_named(reader, each.areas, areas)}</td>"
        f"<td>{jst_minute(each.expires_at_us)}{' ' + reader.t('account.token_expired') if each.expired else ''}</td>"
        f"<td>{'-' if each.last_used_us is None else jst_minute(each.last_used_us)}</td><td>"
        + reader.ask(
            "account.token_revoke",
            reader.form(
                "/account/tokens/revoke",
                reader.button("account.token_revoke", kind="go", name="token", value=str(each.token_id), of=each.name),
            ),
        )
        + "</td></tr>"
        for each in tokens
    )
    return f'<div class="scroll"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _token_form(reader: Reader, longest_days: int, areas: Sequence[Area]) -> str:
    boxes = "".join(
        f'<label class="box"><input type="checkbox" name="scope" value="{each.value}">'
        f"<span>{_permission(reader, each)}</span></label>"
        for each in SCOPES
        if reader.person.may(each)
    )
    days = text(reader.language, "account.token_days", limit=longest_days)
    return (
        field("name", text(reader.language, "account.token_name"), autocomplete="off")
        + f"<fieldset><legend>{reader.t('account.token_scopes')}</legend>{boxes}</fieldset>"
        + _token_areas(reader, areas)
        + field("days", days, value=str(min(30, longest_days)), autocomplete="off")
        + password_proof(reader)
        + reader.button("account.token_make", kind="go")
    )


def password_proof(reader: Reader) -> str:
    """The password, or, of those who have none here, a word that a sign-in a moment ago does."""
    if reader.person.user.issuer is not None:
        minutes = JUST_SIGNED_IN_S // 60
        hidden = '<input type="hidden" name="password" value="-">'
        return f"<p class=help>{reader.t('login.again_elsewhere', minutes=minutes)}</p>{hidden}"
    return field(
        "password", text(reader.language, "login.current_password"), kind="password", autocomplete="current-password"
    )


def _token_areas(reader: Reader, areas: Sequence[Area]) -> str:
    """Where a token is limited to less than its owner; no box at all where there is nothing to choose."""
    theirs = reader.person.areas
    boxes = _area_boxes(reader, frozenset(), [a for a in areas if theirs is None or a.slug in theirs])
    if not boxes:
        return ""
    legend = reader.t("account.token_areas")
    return f'<fieldset><legend>{legend}</legend><div class="areas">{boxes}</div></fieldset>'


def _areas_named(reader: Reader, slugs: frozenset[str] | None, areas: Sequence[Area]) -> str:
    """What people call the areas of a scope; those that this realm does not have by their slugs."""
    if slugs is None:
        return reader.t("scope.whole_coast")
    names = {area.slug: _area_name(reader, area) for area in areas}
    return reader.t("area.refused.list_separator").join(escape(names.get(slug, slug)) for slug in sorted(slugs))


def _area_name(reader: Reader, area: Area) -> str:
    return area.name_ja if reader.language == "ja" else area.name_en


def _area_boxes(reader: Reader, held: frozenset[str], areas: Sequence[Area]) -> str:
    """A box for each area that is watched or held; those of other realms, which are held only, come last."""
    offered = {area.slug: _area_name(reader, area) for area in areas if not area.retired or area.slug in held}
    others = {slug: text(reader.language, "scope.elsewhere", slug=slug) for slug in sorted(held - offered.keys())}
    return "".join(
        f'<label class="box"><input type="checkbox" name="area" value="{escape(slug)}"'
        f"{' checked' if slug in held else ''}><span>{escape(name)}</span></label>"
        for slug, name in (offered | others).items()
    )


def _scope_form(reader: Reader, user: User, areas: Sequence[Area]) -> str:
    """Where a person may act: the whole coast, or the areas that are ticked."""
    ways = "".join(
        f'<label class="box"><input type="radio" name="reach" value="{value}"{" checked" if chosen else ""}>'
        f"<span>{reader.t(key)}</span></label>"
        for value, key, chosen in (
            ("coast", "scope.whole_coast", user.areas is None),
            ("areas", "scope.these_only", user.areas is not None),
        )
    )
    boxes = _area_boxes(reader, user.areas or frozenset(), areas)
    listed = f'<div class="areas">{boxes}</div>' if boxes else f"<p class=help>{reader.t('scope.no_areas')}</p>"
    return (
        f"<fieldset><legend class=unseen>{reader.t('scope.title')}</legend>{ways}{listed}</fieldset>"
        + reader.button("scope.save", kind="go")
    )


def _permission(reader: Reader, permission: Permission) -> str:
    return reader.t(f"permission.{permission.name.lower()}")


def second_factor_page(
    reader: Reader, *, secret: str | None, codes_left: int | None, error: str | None = None
) -> HTMLResponse:
    """Turning one-time codes on and off. secret: what was begun and waits for its first code."""
    password = field(
        "password", text(reader.language, "login.current_password"), kind="password", autocomplete="current-password"
    )
    if secret is not None:
        # the picture is markup of our own making, and the secret base32
        body = (
            f'<ol><li>{reader.t("account.second_scan")}<div class="qr" role="img" '
            f'aria-label="{reader.t("account.second_qr")}">{qr_svg(uri(secret, reader.person.user.login))}</div>'
            f"<p class=help>{reader.t('account.second_by_hand')} <code>{_spaced(secret)}</code></p></li>"
            f"<li>{reader.t('account.second_type')}"
            + reader.form(
                "/account/second/confirm",
                field("code", text(reader.language, "login.code"), autocomplete="one-time-code", focus=True)
                + reader.button("account.second_confirm", kind="go"),
            )
            + "</li></ol>"
        )
    elif codes_left is None:
        body = (
            (f'<p class="note">{reader.t("account.second_must")}</p>' if reader.person.due else "")
            + f"<p>{reader.t('account.second_why')}</p>"
            + reader.form("/account/second/begin", password + reader.button("account.second_begin", kind="go"))
        )
    else:
        off = reader.t("account.second_end")
        buttons = (
            reader.button("account.codes_renew")
            + f' <button type="submit" class="quiet" formaction="/account/second/off">{off}</button>'
        )
        body = f"<p>{_second_state(reader, codes_left)}</p>" + reader.form("/account/second/codes", password + buttons)
    return reader.page(text(reader.language, "account.second"), body, error=error)


def _second_state(reader: Reader, codes_left: int | None) -> str:
    return reader.t("account.second_is_off") if codes_left is None else reader.t("account.second_left", n=codes_left)


def _spaced(secret: str) -> str:
    return " ".join(secret[i : i + 4] for i in range(0, len(secret), 4))


def people_page(
    reader: Reader,
    *,
    people: Sequence[User],
    holders: Collection[uuid.UUID],
    sessions: Sequence[WebSession],
    areas: Sequence[Area],
    given: Mapping[str, str],
    error: str | None = None,
) -> HTMLResponse:
    """Every account, and the form that makes one. holders: of second factors. areas: of the realm, for their names.
    given: what was typed into the form, where it was refused.
    """
    open_by = {user.user_id: sum(each.user.user_id == user.user_id for each in sessions) for user in people}
    rows = "".join(
        f'<tr{" class=off" if user.disabled else ""}><th scope="row"><a href="/people/{user.user_id}">'
        f"{escape(user.login)}</a></th><td>{escape(user.display_name)}</td><td>{_roles(reader, user)}</td>"
        f"<td>{_areas_named(reader, user.areas, areas)}</td>"
        f"<td>{_state(reader, user)}</td><td>{reader.t('people.yes' if user.user_id in holders else 'people.no')}</td>"
        f"<td class=number>{open_by[user.user_id]}</td></tr>"
        for user in people
    )
    heads = "".join(
        f'<th scope="col">{reader.t(key)}</th>'
        for key in ("login.login", "people.name", "people.roles", "scope.title", "people.state", "account.second")
    )
    heads += f'<th scope="col" class="number">{reader.t("people.open_sessions")}</th>'
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
    reader: Reader,
    user: User,
    *,
    sessions: Sequence[WebSession],
    second_factor: bool,
    tokens: int,
    areas: Sequence[Area],
    error: str | None = None,
    note: str | None = None,
) -> HTMLResponse:
    """One account, for the administrator. areas: of the realm, to choose from."""
    at = f"/people/{user.user_id}"
    shut = "people.enable" if user.disabled else "people.disable"
    body = (
        _facts({reader.t("people.name"): escape(user.display_name), reader.t("people.state"): _state(reader, user)})
        + ("" if user.issuer is None else f'<p class="note">{_at_provider(reader, user)}</p>')
        + f"<h2>{reader.t('people.roles')}</h2>"
        + reader.form(
            f"{at}/roles", _role_boxes(reader, user.roles, named=False) + reader.button("people.save_roles", kind="go")
        )
        + f"<h2>{reader.t('scope.title')}</h2><p class=help>{reader.t('scope.help')}</p>"
        + reader.form(f"{at}/areas", _scope_form(reader, user, areas))
        + f"<h2>{reader.t('people.access')}</h2>"
        + '<div class="row">'
        + (_asked(reader, f"{at}/password", "people.reset_password") if user.issuer is None else "")
        + (_asked(reader, f"{at}/second-off", "people.second_off") if second_factor else "")
        + (_asked(reader, f"{at}/tokens/revoke-all", "people.revoke_tokens") if tokens else "")
        + reader.form(f"{at}/disabled", reader.button(shut, name="disabled", value="no" if user.disabled else "yes"))
        + f"</div><p class=help>{reader.t('people.access_help')}</p>"
        + f"<h2>{reader.t('account.sessions')}</h2>"
        + _session_table(reader, sessions, action=f"{at}/sessions/revoke")
        + (_asked(reader, f"{at}/sessions/revoke-all", "people.revoke_all") if sessions else "")
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


def _asked(reader: Reader, action: str, key: str) -> str:
    return reader.ask(key, reader.form(action, reader.button(key, kind="go")))


def _facts(facts: Mapping[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in facts.items()) + "</dl>"


def _roles(reader: Reader, user: User) -> str:
    return "、".join(_role(reader, user)) if reader.language == "ja" else ", ".join(_role(reader, user))


def _role(reader: Reader, user: User) -> list[str]:
    return [reader.t(f"role.{role.value}") for role in Role if role in user.roles]


def _state(reader: Reader, user: User) -> str:
    key = "disabled" if user.disabled else "first_password" if user.must_change_password else "active"
    return reader.t(f"people.state_{key}")


def _role_boxes(reader: Reader, held: frozenset[Role], *, named: bool = True) -> str:
    boxes = "".join(
        f'<label class="box"><input type="checkbox" name="role" value="{role.value}"'
        f"{' checked' if role in held else ''}><span>{reader.t(f'role.{role.value}')}</span></label>"
        for role in Role
    )
    hidden = "" if named else " class=unseen"
    return f"<fieldset><legend{hidden}>{reader.t('people.roles')}</legend>{boxes}</fieldset>"


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
