"""Signing in at an identity provider that is not ours: oidc-provider-mock, which is Authlib's server side on Flask."""

from __future__ import annotations

import base64
import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc.jwk import RSAKey
from playwright.sync_api import Browser, Route, expect
from sqlalchemy import Engine

from command.app.doctor import examine_machine
from command.domain.people import Role
from command.i18n import text
from command.operations.codes import CodeKey
from command.operations.people import Accounts
from command.operations.single_sign_on import ClaimRules, SingleSignOn
from command.services.openid import Provider, Registration
from command.settings import BadSettings, load_settings
from command.store.audit import list_audit
from command.store.engine import shared_session

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
"""Of the libraries that the provider stands on."""
CLIENT: Final = "mizugiwa"
SECRET: Final = "quiet"  # noqa: S105 - the provider takes any
BACK: Final = "http://console.test/login/openid/back"
"""What the provider is told; the tests bring its answer to where the console really listens."""
PEOPLE: Final[Sequence[Mapping[str, Any]]] = (
    {
        "sub": "s-1",
        "preferred_username": "sato",
        "name": "佐藤",
        "groups": ["watch", "other"],
        "station": "tsushima",
    },
    {"sub": "s-2", "preferred_username": "nobody", "name": "誰か", "groups": ["other"], "station": "tsushima"},
    {"sub": "s-3", "preferred_username": "admin", "name": "偽者", "groups": ["watch"], "station": "tsushima"},
    {"sub": "s-4", "preferred_username": "mori", "name": "森", "groups": ["watch"], "station": "unknown"},
    {"sub": "s-5", "preferred_username": "kato", "name": "加藤", "groups": "chiefs", "station": ["hq", "tsushima"]},
)
RULES: Final = ClaimRules(
    roles={"watch": frozenset({Role.OFFICER}), "chiefs": frozenset({Role.OFFICER, Role.ADMIN})},
    areas_claim="station",
    areas={"tsushima": frozenset({"tsushima-north"}), "hq": frozenset({"*"})},
)


@dataclass
class Issuer:
    """The provider, and what it was asked for: (path, form)."""

    url: str
    module: Any
    server: Any
    asked: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    from oidc_provider_mock import User, _app
    from werkzeug.serving import make_server

    app = _app.app(user_claims=[User(sub=each["sub"], claims=dict(each)) for each in PEOPLE])
    inside = app.wsgi_app

    def recording(environ: dict[str, Any], start: Any) -> Any:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        made.asked.append((environ["PATH_INFO"], parse_qs(body.decode())))
        return inside(environ, start)

    server = make_server("127.0.0.1", 0, recording, threaded=True)
    made = Issuer(url=f"http://localhost:{server.server_port}", module=_app, server=server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield made
    made.stop()
    thread.join(10)


@pytest.fixture
def identity(issuer: Issuer) -> Callable[[Engine, Accounts], SingleSignOn]:
    return lambda engine, accounts: SingleSignOn(
        engine,
        accounts=accounts,
        provider=Provider(
            Registration(
                issuer=issuer.url, client_id=CLIENT, client_secret=SECRET, redirect_uri=BACK, scope="openid profile"
            )
        ),
        rules=RULES,
        names={"ja": "税関の認証", "en": "Customs ID"},
        key=CodeKey(bytes(range(32))),
    )


def at_provider(address: str, sub: str) -> str:
    """What somebody does at the provider; where it sends them."""
    answer = httpx.post(address, data={"sub": sub}, timeout=20.0)
    assert answer.status_code == 302, answer.text
    return answer.headers["location"]


def came_back(client: httpx.Client, sub: str, *, begin: str = "/login/openid") -> httpx.Response:
    """All of it: to the provider, and back here."""
    sent = client.get(begin)
    assert sent.status_code == 303, sent.text
    back = urlsplit(at_provider(sent.headers["location"], sub))
    return client.get(f"{back.path}?{back.query}")


def test_somebody_signs_in_at_the_provider_and_has_the_roles_and_areas_that_it_says(web: Any, issuer: Issuer) -> None:
    with web.client() as client:
        # given the sign-in page, which offers the provider beside the password
        assert "税関の認証でログイン" in client.get("/login?to=%2Faccount").text
        sent = client.get("/login/openid?to=%2Faccount")
        asked = parse_qs(urlsplit(sent.headers["location"]).query)
        assert sent.headers["location"].startswith(f"{issuer.url}/oauth2/authorize?")
        assert (asked["response_type"], asked["code_challenge_method"]) == (["code"], ["S256"])
        # when they come back from it
        back = urlsplit(at_provider(sent.headers["location"], "s-1"))
        answer = client.get(f"{back.path}?{back.query}")
        # then they are in, on the page that they wanted, by a page of ours and not by a redirect
        assert (answer.status_code, 'href="/account" data-onward' in answer.text) == (200, True)
        assert client.get("/api/session").json()["roles"] == ["officer"]
        page = client.get("/account").text
        assert "tsushima-north" in page
        assert "確認コードは認証基盤で管理します" in page
        # and the provider was given the verifier of the challenge, and our secret
        (form,) = [form for path, form in issuer.asked if path == "/oauth2/token"]
        hashed = hashlib.sha256(form["code_verifier"][0].encode()).digest()
        assert [base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()] == asked["code_challenge"]
        # and the same answer lets nobody in again
        assert client.get(f"{back.path}?{back.query}").status_code == 400
    (user,) = [each for each in web.accounts.everyone() if each.login == "sato"]
    assert (user.display_name, user.roles, user.areas) == (
        "佐藤",
        frozenset({Role.OFFICER}),
        frozenset({"tsushima-north"}),
    )
    with shared_session(web.engine) as session:
        entries = list_audit(session, limit=10, target="sato")
    assert [(e.action, e.actor) for e in entries] == [
        ("session.opened", "sato"),
        ("account.created", f"openid:{issuer.url}"),
    ]
    # and there is no password that would open the account
    with web.client() as client:
        for password in ("!", "-", ""):
            assert web.sign_in(client, "sato", password).status_code in (400, 422)


def test_roles_follow_the_provider_and_a_disabled_person_stays_out(web: Any, issuer: Issuer) -> None:
    with web.client() as client:
        came_back(client, "s-5")
        (user,) = [each for each in web.accounts.everyone() if each.login == "kato"]
        assert (user.roles, user.areas) == (frozenset({Role.OFFICER, Role.ADMIN}), None)
        # when the provider says another group, then the next sign-in brings other roles
        claims = {**PEOPLE[4], "groups": ["watch"], "station": "tsushima"}
        assert httpx.put(f"{issuer.url}/users/s-5", json=claims).status_code == 204
        came_back(client, "s-5")
        changed = web.accounts.one(user.user_id)
        assert (changed.login, changed.roles, changed.areas) == ("kato", {Role.OFFICER}, {"tsushima-north"})
        # when it says none, or we disabled them, they stay out
        assert httpx.put(f"{issuer.url}/users/s-5", json={**claims, "groups": []}).status_code == 204
        assert text("ja", "openid.no_role") in came_back(client, "s-5").text
        assert httpx.put(f"{issuer.url}/users/s-5", json=claims).status_code == 204
        web.accounts.set_disabled("kato", True, by="test")
        web.gate.forget_all()
        refused = came_back(client, "s-5")
        assert (refused.status_code, text("ja", "openid.disabled") in refused.text) == (403, True)
        assert client.get("/api/session").status_code == 401
    with shared_session(web.engine) as session:
        reasons = [e.detail.get("reason") for e in list_audit(session, limit=20, target="kato")]
    assert reasons[:1] + reasons[2:3] == ["openid.disabled", "openid.no_role"]


def test_who_has_nothing_here_is_told_what_and_gets_no_account(web: Any) -> None:
    with web.client() as client:
        for sub, why in (("s-2", "openid.no_role"), ("s-3", "openid.login_taken"), ("s-4", "openid.no_area")):
            answer = came_back(client, sub)
            assert (answer.status_code, text("ja", why, login="admin") in answer.text) == (403, True), why
            assert client.get("/api/session").status_code == 401
    assert [each.login for each in web.accounts.everyone()] == ["admin"]


def _another_key() -> dict[str, Any]:
    return RSAKey.generate_key(2048, auto_kid=True).as_dict(private=True)


def test_a_token_that_proves_nothing_lets_nobody_in(web: Any, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    # given a provider whose tokens are wrong in one point
    code = issuer.module.OpenIDCode
    config = code.get_jwt_config
    wrong: dict[str, Callable[[], dict[str, Any]]] = {
        "signature": lambda: {"key": _another_key()},
        "issuer": lambda: {"iss": "http://localhost:1"},
        "audience": lambda: {"aud": ["somebody-else"]},
        "expired": lambda: {"exp": -3_600},
        "nonce": dict,
    }
    with web.client() as client:
        for point, other in wrong.items():
            with monkeypatch.context() as patched:
                patched.setattr(code, "get_jwt_config", lambda *a, other=other, **k: config(*a, **k) | other())
                if point == "nonce":
                    patched.setattr(issuer.module.AuthorizationCode, "get_nonce", lambda _: "another")
                # when somebody comes back with one, then they are not let in
                answer = came_back(client, "s-1")
            assert (answer.status_code, text("ja", "openid.not_ours") in answer.text) == (400, True), point
        # and no account was made; with what is right they are in
        assert [each.login for each in web.accounts.everyone()] == ["admin"]
        assert came_back(client, "s-1").status_code == 200


def test_an_answer_that_nobody_here_asked_for_is_refused(web: Any) -> None:
    with web.client() as client, web.client() as other:
        first, second = (c.get("/login/openid").headers["location"] for c in (client, other))
        # when one brings the answer to another's question, or none, or a denial, or a mangled cookie
        theirs = urlsplit(at_provider(second, "s-1"))
        assert client.get(f"{theirs.path}?{theirs.query}").status_code == 400
        assert client.get(f"{theirs.path}?{theirs.query}").status_code == 400
        state = parse_qs(urlsplit(client.get("/login/openid").headers["location"]).query)["state"][0]
        denied = client.get(f"/login/openid/back?error=access_denied&state={state}")
        assert (denied.status_code, text("ja", "openid.denied") in denied.text) == (403, True)
        for kept in ("", "AAAA", "é"):
            answer = client.get(
                "/login/openid/back?code=x&state=x",
                headers={"Cookie": f"mizugiwa_sign_in={kept}".encode()},
            )
            assert (answer.status_code, text("ja", "openid.too_late") in answer.text) == (400, True)
        # then nobody is in
        assert client.get("/api/session").status_code == 401
    assert first != second


def test_passwords_go_on_while_the_provider_is_away(web: Any, issuer: Issuer) -> None:
    issuer.stop()
    with web.client() as client:
        client.cookies.set("language", "en")
        answer = client.get("/login/openid?to=%2Fpeople")
        assert (answer.status_code, "Customs ID does not answer" in answer.text) == (503, True)
        assert 'name="to" value="/people"' in answer.text
        assert web.sign_in(client, "admin", web.first_password).headers["location"] == "/password"


def test_who_has_no_password_here_makes_tokens_just_after_signing_in_only(web: Any) -> None:
    with web.client() as client:
        came_back(client, "s-5")
        form = {"csrf": client.cookies["_csrf_token"]}
        token = {**form, "name": "x", "days": "3", "scope": "watch", "password": "-"}
        assert "<code>mizugiwa_" in client.post("/account/tokens", data=token).text
        change = {**form, "current": "-", "new": "a long phrase 7 x", "again": "a long phrase 7 x"}
        assert text("ja", "login.elsewhere") in client.post("/password", data=change).text
        # when the sign-in was longer ago
        with web.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE shared.web_session SET expires_at = expires_at - interval '11 minutes'")
        web.gate.forget_all()
        assert text("ja", "login.again_elsewhere", minutes=10) in client.post("/account/tokens", data=token).text
        # and an administrator issues them no password
        user = next(each for each in web.accounts.everyone() if each.login == "kato")
        refused = client.post(f"/people/{user.user_id}/password", data=form)
        assert (refused.status_code, text("ja", "people.signs_in_elsewhere") in refused.text) == (400, True)


def test_doctor_says_whether_the_provider_answers(issuer: Issuer, tmp_path: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("MIZUGIWA_DATA_DIR", str(tmp_path))
    file, secret = tmp_path / "mizugiwa.toml", tmp_path / "secret"
    secret.write_text("quiet\n")
    secret.chmod(0o600)

    def settings(at: str) -> Any:
        file.write_text(
            f'[people.openid]\nissuer = "{at}"\nclient_id = "m"\nclient_secret_file = "{secret}"\n'
            'public_url = "https://console.test"\nname_ja = "a"\nname_en = "a"\nroles = {watch = ["officer"]}\n'
        )
        return load_settings(file)

    def told(at: str) -> Any:
        return next(each for each in examine_machine(settings(at)) if each.what == "people.openid")

    assert (told(issuer.url).well, issuer.url in told(issuer.url).detail) == (True, True)
    # an issuer that calls itself otherwise is not the one that was meant
    assert not told(issuer.url + "/").well
    secret.chmod(0o644)
    assert "chmod 600" in told(issuer.url).detail
    secret.chmod(0o600)
    issuer.stop()
    assert not told(issuer.url).well
    # and what cannot be meant is refused before anything starts
    with pytest.raises(BadSettings, match="write https"):
        settings("http://idp.example")
    monkeypatch.setenv("MIZUGIWA_OPENID_SECRET", "from the environment")
    assert settings(issuer.url).people.openid.client_secret() == "from the environment"


def test_a_browser_comes_back_from_another_site_to_the_view_of_a_shared_link(
    web: Any, issuer: Issuer, browser: Browser
) -> None:
    # given a provider at another site, and somebody who opens a shared link
    context = browser.new_context()
    context.set_default_timeout(60_000)
    page = context.new_page()

    def bring(route: Route) -> None:
        route.fulfill(status=302, headers={"Location": web.url + route.request.url.removeprefix("http://console.test")})

    page.route(f"{BACK}**", bring)
    page.goto(f"{web.url}/#at=34.45000,129.55000,8.60")
    # when they sign in there
    page.click("#openid")
    page.wait_for_url(re.compile(r"/oauth2/authorize"))
    page.click("button:has-text('佐藤'), button:has-text('s-1')")
    # then the console opens at the place of the link
    page.wait_for_selector("#clock-jst:not(:empty)")
    expect(page).to_have_url(re.compile(re.escape(web.url) + r"/#at=34\.45"))
    context.close()
