"""Signing in without a script: the first password is changed, failures lock, sessions end."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from command.domain.people import Role
from command.operations.people import AccountRules

OWN = "a long phrase of the watch 7"


def test_the_first_password_must_be_changed_before_anything_else(web: Any) -> None:
    with web.client() as client:
        # given the password that the terminal showed
        answer = web.sign_in(client, "admin", web.first_password)
        # then sign-in leads to the change, and nothing else is open until then
        assert answer.headers["location"] == "/password"
        assert client.get("/").headers["location"] == "/password"
        assert client.get("/api/alerts").status_code == 403
        token = client.cookies["_csrf_token"]
        # when it is changed
        form = {"csrf": token, "current": web.first_password, "new": OWN, "again": OWN}
        assert client.post("/password", data=form).headers["location"] == "/"
        # then the console opens, and the old password is of no use
        assert client.get("/").status_code == 200
    with web.client() as other:
        assert web.sign_in(other, "admin", web.first_password).status_code == 400


@pytest.mark.parametrize(
    ("current", "new", "again"),
    [
        ("not the one", OWN, OWN),
        ("FIRST", OWN, OWN + "x"),
        ("FIRST", "short", "short"),
        ("FIRST", "admin admin admin", "admin admin admin"),
        ("FIRST", "aaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaa"),
        ("FIRST", "FIRST", "FIRST"),
    ],
    ids=["wrong current", "not the same", "short", "has the login", "one letter", "unchanged"],
)
def test_a_password_that_cannot_be_taken_says_why(web: Any, current: str, new: str, again: str) -> None:
    with web.client() as client:
        web.sign_in(client, "admin", web.first_password)
        words = [web.first_password if w == "FIRST" else w for w in (current, new, again)]
        form = dict(zip(("current", "new", "again"), words, strict=True))
        answer = client.post("/password", data={"csrf": client.cookies["_csrf_token"], **form})
        assert answer.status_code == 400
        assert 'role="alert"' in answer.text
        assert client.get("/").headers["location"] == "/password"


def test_sign_in_says_the_same_of_a_wrong_login_and_a_wrong_password(web: Any) -> None:
    with web.client() as client:
        wrong = web.sign_in(client, "admin", "nonsense")
        unknown = web.sign_in(client, "nobody", "nonsense")
    assert wrong.status_code == unknown.status_code == 400
    assert wrong.text.replace('value="admin"', "") == unknown.text.replace('value="nobody"', "")


def test_failures_lock_a_login_for_a_while_even_for_the_right_password(web: Any) -> None:
    with web.client() as client:
        # given as many failures as are allowed
        for _ in range(AccountRules().failures_allowed):
            assert web.sign_in(client, "admin", "nonsense").status_code == 400
        # when the right password comes
        answer = web.sign_in(client, "admin", web.first_password)
        # then it is refused, and the page says when to come back
        assert answer.status_code == 400
        assert "15分" in answer.text
        # and another login is not locked
        first = web.accounts.create("officer", "Officer", frozenset({Role.OFFICER}), by="test")
        assert web.sign_in(client, "officer", first).status_code == 303


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(web: Any) -> None:
    with web.client() as client:
        answer = web.sign_in(client, "admin", web.first_password)
    session = next(c for c in answer.headers.get_list("set-cookie") if c.startswith("mizugiwa_session="))
    assert "HttpOnly" in session
    assert "SameSite=strict" in session
    assert "Max-Age=43200" in session
    with web.engine.connect() as connection:
        stored = connection.exec_driver_sql("SELECT token_sha256 FROM shared.web_session").scalar_one()
    assert stored.hex() not in session
    assert len(stored) == 32


def test_signing_in_anew_leaves_the_session_before_and_takes_no_token_that_was_there(web: Any) -> None:
    with web.client() as client:
        # given a token that somebody else put into the browser
        client.cookies.set("mizugiwa_session", "x" * 43, domain="127.0.0.1", path="/")
        web.sign_in(client, "admin", web.first_password)
        first = next(c.value for c in client.cookies.jar if c.name == "mizugiwa_session" and c.value != "x" * 43)
    # when the same person signs in once more in that browser, then the session before is over
    with web.client() as client:
        client.cookies.set("mizugiwa_session", first)
        answer = web.sign_in(client, "admin", web.first_password)
        assert answer.status_code == 303
        assert first not in answer.headers["set-cookie"]
    with web.client() as client:
        client.cookies.set("mizugiwa_session", first)
        assert client.get("/api/session").status_code == 401
    assert len(web.accounts.sessions("admin")) == 1


def test_leaving_ends_the_session(web: Any) -> None:
    with web.signed_in() as client:
        cookies = dict(client.cookies)
        assert client.post("/logout").headers["location"] == "/login"
        client.cookies.update(cookies)
        assert client.get("/api/session").status_code == 401


def test_the_page_is_in_the_language_that_was_chosen(web: Any) -> None:
    with web.client() as client:
        assert '<html lang="ja">' in client.get("/login").text
        form = {"csrf": client.cookies["mizugiwa_form"], "language": "en"}
        answer = client.post("/language", data=form, headers={"Referer": f"{web.url}/login"})
        assert answer.headers["location"] == "/login"
        page = client.get("/login").text
    assert '<html lang="en">' in page
    assert "DRILL" in page


def test_an_unknown_language_is_refused_by_name(web: Any) -> None:
    with web.client() as client:
        client.get("/login")
        answer = client.post("/language", data={"csrf": client.cookies["mizugiwa_form"], "language": "xx"})
    assert answer.status_code == 422
    assert "ja, en" in answer.json()["detail"]


def test_who_signs_in_while_the_database_is_away_is_told_so(web: Any) -> None:
    with web.client() as client:
        web.lose_database()
        answer = web.sign_in(client, "admin", web.first_password)
        assert answer.status_code == 503
        web.restore_database()


class TestIdleSessions:
    @pytest.fixture
    def account_rules(self) -> AccountRules:
        return AccountRules(idle_limit_s=0)

    def test_a_session_that_nobody_uses_ends(self, web: Any) -> None:
        with web.client() as client:
            assert web.sign_in(client, "admin", web.first_password).status_code == 303
            assert client.get("/api/session").status_code == 401


def test_signing_in_leads_to_the_page_that_was_asked_for_and_to_no_other(web: Any) -> None:
    with web.client() as client:
        # when somebody opens a page of ours, they are led to it through every step
        assert client.get("/people?x=1").headers["location"] == "/login?to=%2Fpeople%3Fx%3D1"
        page = client.get("/login?to=%2Fpeople%3Fx%3D1").text
        assert 'name="to" value="/people?x=1"' in page
        form = {"csrf": client.cookies["mizugiwa_form"], "login": "admin", "password": web.first_password}
        answer = client.post("/login", data={**form, "to": "/people?x=1"})
        assert answer.headers["location"] == "/password?to=%2Fpeople%3Fx%3D1"
        assert client.get("/account").headers["location"] == "/password?to=%2Faccount"
        own = {"current": web.first_password, "new": OWN, "again": OWN, "csrf": client.cookies["_csrf_token"]}
        assert client.post("/password", data={**own, "to": "/people?x=1"}).headers["location"] == "/people?x=1"
    # when a link names another site, or what is no page, then it is the console
    with web.client() as client:
        for to in (
            "//evil.test",
            "https://evil.test/",
            "/\\evil.test",
            "/api/alerts",
            "/x/../people",
            "/\n/evil",
            "a" * 2_000,
        ):
            assert 'name="to" value="/"' in client.get("/login", params={"to": to}).text, to
        form = {"csrf": client.cookies["mizugiwa_form"], "login": "admin", "password": OWN, "to": "//evil.test"}
        assert client.post("/login", data=form).headers["location"] == "/"


def test_a_shared_view_and_the_palette_come_along_through_signing_in(web: Any, page: Page) -> None:
    # given a shared link, opened by somebody who is not signed in and likes it dark
    page.goto(f"{web.url}/#at=34.45000,129.55000,8.60")
    page.click("[data-choose=night]")
    expect(page.locator("html")).to_have_attribute("data-palette", "night")
    # when they mistype their password, change the language, and sign in with the first password
    page.fill("#login", "admin")
    page.fill("#password", "wrong")
    page.keyboard.press("Enter")
    page.wait_for_selector("#error")
    page.click("button[lang=en]")
    page.fill("#login", "admin")
    page.fill("#password", web.first_password)
    page.keyboard.press("Enter")
    for name, word in (("current", web.first_password), ("new", OWN), ("again", OWN)):
        page.fill(f"#{name}", word)
    page.keyboard.press("Enter")
    # then the console opens at the place of the link, in their palette
    page.wait_for_selector("#clock-jst:not(:empty)")
    expect(page).to_have_url(re.compile(r"/#at=34\.45"))
    expect(page.locator("html")).to_have_attribute("data-palette", "night")
    # when their session ends meanwhile, they come back to the same
    web.accounts.revoke_all("admin", by="test")
    web.gate.forget_all()
    page.wait_for_url(re.compile(r"/login\?ended=1#at=34\.45"))
