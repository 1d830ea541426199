"""API tokens: what a program may do for a person, and how often anybody may ask."""

from __future__ import annotations

import re
import uuid
from collections import deque
from dataclasses import replace
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from command.api.rate import RateLimit, RateRules
from command.domain.clock import US_PER_S
from command.domain.people import Role, User
from command.i18n import LANGUAGES, texts
from command.operations.people import Permission, Person
from command.operations.tokens import ApiTokens
from command.store.audit import list_audit
from command.store.engine import shared_session

NOBODYS = "00000000-0000-0000-0000-000000000000"


def post(client: httpx.Client, path: str, **form: Any) -> httpx.Response:
    return client.post(path, data={"csrf": client.cookies["_csrf_token"], **form}, headers={"X-CSRFToken": ""})


def make(web: Any, client: httpx.Client, *scopes: str, days: str = "30") -> str:
    page = post(client, "/account/tokens", name="報告", scope=list(scopes), days=days, password=web.password).text
    token: str = re.findall(r"<code>(mizugiwa_[\w-]{43})</code>", page)[0]
    return token


def program(web: Any, token: str) -> httpx.Client:
    """Without cookies, Origin or anything else of a browser."""
    return httpx.Client(base_url=web.url, headers={"Authorization": f"Bearer {token}"}, timeout=20.0)


def test_a_program_does_what_its_token_is_for_and_its_owner_may(web: Any) -> None:
    with web.signed_in(Role.OFFICER) as officer:
        login = officer.get("/api/session").json()["login"]
        watching, both = make(web, officer, "watch"), make(web, officer, "watch", "acknowledge")
        page = officer.get("/account").text
        assert watching not in page
        assert "報告" in page
    acknowledge = f"/api/alerts/{NOBODYS}/acknowledge"
    with program(web, watching) as one, program(web, both) as two:
        # given tokens for watching, and for acknowledging too: each is for its scopes
        assert one.get("/api/alerts").status_code == two.get("/api/alerts").status_code == 200
        assert one.post(acknowledge, json={}).status_code == 403
        assert two.post(acknowledge, json={}).status_code == 404
        assert two.get("/api/session").status_code == 403
        # and for nothing but the API
        for path in ("/", "/account", "/people", "/_dash-layout", "/password", "/login", "/texts/ja.js"):
            answer = two.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (403, "application/problem+json"), path
        assert two.post("/_dash-update-component", json={"output": "x"}).status_code == 403
        # when the owner may less, then so may the token, from the next request on
        web.accounts.set_roles(login, frozenset({Role.AUDITOR}), by="test")
        assert two.post(acknowledge, json={}).status_code == 403
        assert two.get("/api/alerts").status_code == 200
        # when the owner is disabled, then it is none
        web.accounts.set_disabled(login, True, by="test")
        answer = two.get("/api/alerts")
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        web.accounts.set_disabled(login, False, by="test")
        assert two.get("/api/alerts").status_code == 200
        # when the owner's password is reset, then it is none for good
        web.accounts.reset_password(login, by="test")
        assert two.get("/api/alerts").status_code == 401


def test_a_revoked_token_ends_at_once_and_so_does_its_screen(web: Any) -> None:
    with web.signed_in(Role.OFFICER) as officer:
        login = officer.get("/api/session").json()["login"]
        token = make(web, officer, "watch")
        address = web.url.replace("http", "ws") + "/ws/tracks"
        with (
            program(web, token) as client,
            connect(address, additional_headers={"Authorization": f"bearer {token}"}) as screen,
        ):
            assert client.get("/api/alerts").status_code == 200
            assert officer.get("/account").text.count('name="token"') == 1
            token_id = re.findall(r'name="token" value="([0-9a-f-]{36})"', officer.get("/account").text)[0]
            # nobody else revokes it
            with web.signed_in(Role.PILOT) as pilot:
                assert post(pilot, "/account/tokens/revoke", token=token_id).status_code == 400
            # when its owner does, then it is over
            assert post(officer, "/account/tokens/revoke", token=token_id).status_code == 303
            assert client.get("/api/alerts").status_code == 401
            with pytest.raises(ConnectionClosed):
                deque(screen, maxlen=0)
    with shared_session(web.engine) as session:
        entries = [e for e in list_audit(session, limit=50, target=login) if e.action.startswith("token")]
    assert [each.action for each in entries] == ["token.revoked", "token.created"]
    assert token not in str(entries)


def test_an_administrator_revokes_every_token_of_a_person(web: Any) -> None:
    with web.signed_in(Role.OFFICER) as officer, web.signed_in(Role.ADMIN) as admin:
        login = officer.get("/api/session").json()["login"]
        token = make(web, officer, "watch")
        person = re.findall(rf'href="(/people/[0-9a-f-]+)">{login}<', admin.get("/people").text)[0]
        assert post(admin, f"{person}/tokens/revoke-all").status_code == 303
        with program(web, token) as client:
            assert client.get("/api/alerts").status_code == 401


def test_a_browser_that_sends_a_token_is_whom_the_token_says_and_never_its_cookies(web: Any) -> None:
    with web.signed_in(Role.ADMIN) as admin:
        for sent in ("Bearer nonsense", "Bearer", "BEARER x", "Bearer mizugiwa_" + "x" * 43):
            answer = admin.get("/api/alerts", headers={"Authorization": sent})
            assert answer.status_code == 401, sent
            assert "mizugiwa_x" not in answer.text


def test_a_token_that_cannot_be_made_says_why(web: Any) -> None:
    with web.signed_in(Role.ANALYST) as analyst:
        good = {"name": "x", "scope": "watch", "days": "30", "password": web.password}
        for wrong, said in (
            ({"name": " "}, "名称は"),
            ({"scope": ""}, "一つ以上"),
            ({"scope": "manage people"}, "一つ以上"),
            ({"days": "0"}, "有効日数"),
            ({"days": "91"}, "有効日数"),
            ({"days": "³"}, "有効日数"),
            ({"password": "nonsense"}, "現在のパスワード"),
        ):
            answer = post(analyst, "/account/tokens", **{**good, **wrong})
            assert answer.status_code == 400
            assert said in answer.text
        # more than the person may is no scope of a token
        assert post(analyst, "/account/tokens", **{**good, "scope": "acknowledge"}).status_code == 403


def test_a_token_expires_and_its_last_use_is_written_down(web: Any) -> None:
    with web.signed_in(Role.OFFICER) as officer:
        user = web.gate.find(officer.cookies["mizugiwa_session"]).user
        token = make(web, officer, "watch", days="1")
        with program(web, token) as client:
            client.get("/api/alerts")

    class Later:
        def now_us(self) -> int:
            return int(web.clock.now_us() + 25 * 3_600 * US_PER_S)

    assert ApiTokens(web.engine, accounts=web.accounts).of(user)[0].last_used_us is not None
    later = ApiTokens(web.engine, accounts=web.accounts, clock=Later())
    assert later.find(token) is None
    assert later.of(user)[0].expired


def test_every_permission_has_a_name_in_both_languages() -> None:
    for language in LANGUAGES:
        for permission in Permission:
            assert texts(language)[f"permission.{permission.name.lower()}"]


class TestWhereRequestsAreFew:
    @pytest.fixture
    def rate_rules(self) -> RateRules:
        return RateRules(requests_per_s=0.05, burst=60)

    def test_who_asks_too_often_is_told_when_to_come_back_and_nobody_else_is(self, web: Any) -> None:
        with web.signed_in(Role.OFFICER) as one, web.signed_in(Role.OFFICER) as two:
            answers = [one.get("/api/pulse") for _ in range(65)]
            refused = answers[-1]
            assert answers[0].status_code == 200
            assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
            assert 1 <= int(refused.headers["retry-after"]) <= 20
            assert two.get("/api/pulse").status_code == 200


def test_a_bucket_fills_up_again_and_never_beyond_its_rim() -> None:
    limit = RateLimit(RateRules(requests_per_s=2.0, burst=3))
    assert [limit.wait_s(b"a", now_s=0.0) for _ in range(4)] == [0.0, 0.0, 0.0, 0.5]
    assert limit.wait_s(b"b", now_s=0.0) == 0.0
    assert limit.wait_s(b"a", now_s=0.5) == 0.0
    assert [limit.wait_s(b"a", now_s=1_000.0) for _ in range(4)][2:] == [0.0, 0.5]
    # and what costs more leaves less
    assert limit.wait_s(b"c", now_s=0.0, cost=2.0) == 0.0
    assert limit.wait_s(b"c", now_s=0.0, cost=2.0) == 0.5
    assert limit.wait_s(b"c", now_s=0.0) == 0.0


def test_scopes_never_add_to_what_roles_grant() -> None:
    user = User(
        user_id=uuid.uuid4(),
        login="x",
        display_name="x",
        roles=frozenset({Role.AUDITOR}),
        must_change_password=False,
    )
    person = Person(user=user, session_id=b"", expires_at_us=0, active_at_us=0)
    wide = replace(person, scopes=frozenset(Permission))
    assert {each for each in Permission if wide.may(each)} == {each for each in Permission if person.may(each)}
    assert not any(replace(person, scopes=frozenset()).may(each) for each in Permission)
