"""One-time codes from setting them up to losing the telephone."""

from __future__ import annotations

import re
import time
from typing import Any

import httpx
import pyotp
import pytest

from command.domain.people import Role
from command.operations.codes import CodeKey, KeyLost, recovery_hash, right_step
from command.operations.people import AccountRules
from command.store.audit import list_audit
from command.store.engine import shared_session


def post(client: httpx.Client, path: str, **form: str) -> httpx.Response:
    return client.post(path, data={"csrf": client.cookies["_csrf_token"], **form}, headers={"X-CSRFToken": ""})


def set_up(client: httpx.Client, password: str) -> tuple[pyotp.TOTP, list[str]]:
    """Turn one-time codes on; the authenticator, and the recovery codes."""
    page = post(client, "/account/second/begin", password=password).text
    totp = pyotp.TOTP(re.findall(r"<code>([A-Z2-7 ]+)</code>", page)[0].replace(" ", ""))
    assert "<svg" in page
    shown = post(client, "/account/second/confirm", code=totp.now()).text
    return totp, re.findall(r"<code>([0-9a-z-]{19})</code>", shown)


def next_code(totp: pyotp.TOTP) -> str:
    """The one after that which set_up used."""
    return totp.at(int(time.time()) + 30)


def login_of(client: httpx.Client) -> str:
    login: str = client.get("/api/session").json()["login"]
    return login


def actions(web: Any, target: str) -> list[str]:
    with shared_session(web.engine) as session:
        return [each.action for each in reversed(list_audit(session, limit=50, target=target))]


def test_a_password_alone_is_no_longer_enough(web: Any) -> None:
    # given an officer who turned one-time codes on
    with web.signed_in(Role.OFFICER) as client:
        login = login_of(client)
        totp, recovery = set_up(client, web.password)
        assert len(set(recovery)) == 10
        assert "10個" in client.get("/account").text
    with web.client() as client:
        # when the password is given, then a code is asked for, and nothing else is open
        answer = web.sign_in(client, login, web.password)
        assert answer.headers["location"] == "/second"
        half = client.cookies["mizugiwa_session"]
        assert client.get("/").headers["location"] == "/second"
        assert client.get("/api/alerts").status_code == 403
        assert client.get("/account").headers["location"] == "/second?to=%2Faccount"
        assert post(client, "/account/second/off", password=web.password).status_code == 403
        assert web.accounts.sessions(login)[0].session_id.hex() not in client.get("/second").text
        # when the code is right, then the console opens, in a session whose token is new
        code = next_code(totp)
        assert post(client, "/second", code=f"{code[:3]} {code[3:]}").headers["location"] == "/"
        assert client.get("/api/alerts").status_code == 200
        assert client.cookies["mizugiwa_session"] != half
    with web.client() as thief:
        # and the token of the half-open session is of no use, nor is the code
        thief.cookies.set("mizugiwa_session", half)
        assert thief.get("/api/session").status_code == 401
    with web.client() as thief:
        web.sign_in(thief, login, web.password)
        answer = post(thief, "/second", code=code)
        assert answer.status_code == 400
        assert "既に使われています" in answer.text
        # but a recovery code is, once
        assert post(thief, "/second", code=recovery[3].upper().replace("-", " ")).headers["location"] == "/"
        assert "9個" in thief.get("/account").text
    with web.client() as thief:
        web.sign_in(thief, login, web.password)
        assert post(thief, "/second", code=recovery[3]).status_code == 400


def test_wrong_codes_lock_the_login_and_the_right_password_does_not_start_over(web: Any) -> None:
    with web.signed_in(Role.OFFICER) as client:
        login = login_of(client)
        set_up(client, web.password)
    with web.client() as client:
        # given somebody who knows the password and guesses, signing in anew before every guess
        for _ in range(AccountRules().failures_allowed):
            assert web.sign_in(client, login, web.password).headers["location"] == "/second"
            assert post(client, "/second", code="000000").status_code == 400
            client.cookies.delete("mizugiwa_session")
        # then the login is locked, for the right password too, and so is a half-open session for the right code
        assert "15分" in web.sign_in(client, login, web.password).text
    assert actions(web, login).count("session.refused") == AccountRules().failures_allowed


def test_a_half_open_session_of_a_locked_login_takes_no_code(web: Any) -> None:
    with web.signed_in(Role.OFFICER) as client:
        login = login_of(client)
        totp, _ = set_up(client, web.password)
    with web.client() as client, web.client() as other:
        web.sign_in(client, login, web.password)
        for _ in range(AccountRules().failures_allowed):
            web.sign_in(other, login, "nonsense")
        answer = post(client, "/second", code=next_code(totp))
        assert answer.status_code == 400
        assert "15分" in answer.text


def test_turning_them_off_or_making_new_codes_asks_for_the_password(web: Any) -> None:
    with web.signed_in(Role.OFFICER) as client:
        login = login_of(client)
        assert post(client, "/account/second/begin", password="nonsense").status_code == 400  # noqa: S106
        _, recovery = set_up(client, web.password)
        assert post(client, "/account/second/begin", password=web.password).status_code == 400
        renewed = post(client, "/account/second/codes", password=web.password).text
        assert recovery[0] not in renewed
        assert post(client, "/account/second/off", password="nonsense").status_code == 400  # noqa: S106
        answer = post(client, "/account/second/off", password=web.password)
        assert answer.headers["location"] == "/account?done=second_off"
    with web.client() as client:
        assert web.sign_in(client, login, web.password).headers["location"] == "/"
    done = [each for each in actions(web, login) if each.startswith("second_factor")]
    assert done == ["second_factor.on", "second_factor.codes", "second_factor.off"]


def test_the_administrator_turns_them_off_for_who_lost_everything(web: Any) -> None:
    with web.signed_in(Role.OFFICER) as officer, web.signed_in(Role.ADMIN) as admin:
        login = login_of(officer)
        set_up(officer, web.password)
        person = re.findall(rf'href="(/people/[0-9a-f-]+)">{login}<', admin.get("/people").text)[0]
        assert post(admin, f"{person}/second-off").status_code == 303
        assert officer.get("/api/session").status_code == 401
    with web.client() as client:
        assert web.sign_in(client, login, web.password).headers["location"] == "/"
    assert "second_factor.reset" in actions(web, login)


def test_a_wrong_first_code_turns_nothing_on(web: Any) -> None:
    with web.signed_in(Role.OFFICER) as client:
        page = post(client, "/account/second/begin", password=web.password).text
        answer = post(client, "/account/second/confirm", code="12345x")
        assert answer.status_code == 400
        # the same picture is shown again
        assert re.findall(r"<code>([A-Z2-7 ]+)</code>", page) == re.findall(r"<code>([A-Z2-7 ]+)</code>", answer.text)
        assert "設定していません" in client.get("/account").text


def test_the_secret_is_not_readable_in_the_database(web: Any) -> None:
    with web.signed_in(Role.OFFICER) as client:
        totp, recovery = set_up(client, web.password)
    with web.engine.connect() as connection:
        row = connection.exec_driver_sql("SELECT sealed_secret, user_id FROM shared.second_factor").one()
        hashes = set(connection.exec_driver_sql("SELECT code_sha256 FROM shared.recovery_code").scalars())
    assert totp.secret.encode() not in row.sealed_secret
    assert CodeKey(bytes(range(32))).open(row.sealed_secret, row.user_id) == totp.secret
    with pytest.raises(KeyLost):
        CodeKey(bytes(32)).open(row.sealed_secret, row.user_id)
    assert hashes == {recovery_hash(code) for code in recovery}


class TestWhereARoleRequiresThem:
    @pytest.fixture
    def account_rules(self) -> AccountRules:
        return AccountRules(second_factor_roles=frozenset({Role.ANALYST}))

    def test_nothing_else_is_open_until_they_are_set_up(self, web: Any) -> None:
        # given an analyst, whose role requires it
        with web.signed_in(Role.ANALYST) as client:
            assert client.get("/").headers["location"] == "/account/second"
            assert client.get("/api/alerts").status_code == 403
            assert "必要です" in client.get("/account/second").text
            # when they have set it up, then the console opens
            set_up(client, web.password)
            assert client.get("/").status_code == 200
            # and they cannot turn it off
            assert post(client, "/account/second/off", password=web.password).status_code == 400
        with web.signed_in(Role.OFFICER) as client:
            assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    ("second", "code"), [(59, "287082"), (1111111109, "081804"), (1234567890, "005924"), (20000000000, "353130")]
)
def test_codes_are_those_of_rfc_6238(second: int, code: str) -> None:
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # noqa: S105 - of appendix B, in base32
    step = right_step(secret, code, now_us=second * 1_000_000, after_step=0)
    assert step == second // 30
    assert right_step(secret, code, now_us=(second + 30) * 1_000_000, after_step=0) == step
    assert right_step(secret, code, now_us=(second + 60) * 1_000_000, after_step=0) is None
    assert right_step(secret, code, now_us=second * 1_000_000, after_step=second // 30) is None
