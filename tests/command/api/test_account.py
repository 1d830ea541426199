"""One's own account and everybody's: forms that work without a script, and what they change at once."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from command.api.people_pages import browser_name
from command.domain.people import Role
from command.store.audit import list_audit
from command.store.engine import shared_session

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def post(client: httpx.Client, path: str, **form: Any) -> httpx.Response:
    """A form as a browser sends it, with the token that stood in it."""
    return client.post(path, data={"csrf": client.cookies["_csrf_token"], **form}, headers={"X-CSRFToken": ""})


def ids(page: str) -> list[str]:
    """The sessions that a page offers to end."""
    return re.findall(r'name="session" value="([0-9a-f]{64})"', page)


@contextmanager
def elsewhere(web: Any, client: httpx.Client) -> Iterator[httpx.Client]:
    """The same person at another workstation."""
    login = client.get("/api/session").json()["login"]
    with web.client() as other:
        other.headers["User-Agent"] = FIREFOX
        assert web.sign_in(other, login, web.password).status_code == 303
        yield other


def actions(web: Any, target: str) -> list[tuple[str, str]]:
    with shared_session(web.engine) as session:
        return [(each.actor, each.action) for each in reversed(list_audit(session, limit=50, target=target))]


def test_a_person_sees_where_they_are_signed_in_and_ends_one_session(web: Any) -> None:
    # given somebody who is signed in at two workstations
    with web.signed_in(Role.PILOT) as client, elsewhere(web, client) as other:
        page = client.get("/account").text
        # then they see both, from where and with what, and which one is this
        assert "Firefox 140, Linux" in page
        assert "127.0.0.1" in page
        assert page.count("この画面</strong>") == 1
        (session,) = ids(page)
        # when they end the other, then it is over at once, and this one goes on
        answer = post(client, "/account/sessions/revoke", session=session)
        assert answer.headers["location"] == "/account?done=session_revoked"
        assert other.get("/api/session").status_code == 401
        assert "終了しました" in client.get(answer.headers["location"]).text
        assert ids(client.get("/account").text) == []
        # and ending it again says that it is over
        again = post(client, "/account/sessions/revoke", session=session)
        assert again.status_code == 400
        assert "既に終了" in again.text


def test_every_session_but_this_one_ends_together(web: Any) -> None:
    with web.signed_in() as client, elsewhere(web, client) as one, elsewhere(web, client) as two:
        post(client, "/account/sessions/revoke-others")
        assert [each.get("/api/session").status_code for each in (client, one, two)] == [200, 401, 401]


def test_nobody_ends_the_session_of_another_but_an_administrator(web: Any) -> None:
    with web.signed_in(Role.OFFICER) as officer, web.signed_in(Role.ADMIN) as admin:
        login = officer.get("/api/session").json()["login"]
        (session,) = [each.session_id.hex() for each in web.accounts.sessions(login)]
        with web.signed_in(Role.ANALYST) as analyst:
            assert post(analyst, "/account/sessions/revoke", session=session).status_code == 400
            assert post(analyst, "/account/sessions/revoke", session="zz").status_code == 400
            assert analyst.get("/people").status_code == 403
        assert officer.get("/api/session").status_code == 200
        # when the administrator does
        person = re.findall(rf'href="(/people/[0-9a-f-]+)">{login}<', admin.get("/people").text)[0]
        assert ids(admin.get(person).text) == [session]
        post(admin, f"{person}/sessions/revoke", session=session)
        # then it is over, and the log says who did it
        assert officer.get("/api/session").status_code == 401
        assert actions(web, login)[-1] == (admin_login(admin, web), "session.revoked")


def admin_login(admin: httpx.Client, web: Any) -> str:
    login: str = admin.get("/api/session").json()["login"]
    return login


def test_the_last_use_is_written_down_and_a_revoked_screen_is_closed(web: Any, eventually: Callable[..., None]) -> None:
    with web.signed_in() as client, web.socket(client, "/ws/tracks") as screen:
        login = client.get("/api/session").json()["login"]
        (before,) = web.accounts.sessions(login)
        assert client.post("/api/session/active").status_code == 204
        eventually(lambda: web.accounts.sessions(login)[0].last_seen_us > before.last_seen_us)
        web.accounts.revoke_all(login, by="test")
        web.gate.forget_all()
        with pytest.raises(ConnectionClosed) as ended:
            deque(screen, maxlen=0)
    assert ended.value.rcvd is not None
    assert ended.value.rcvd.code == 4401


def test_the_administrator_adds_a_person_whose_password_is_shown_once(web: Any) -> None:
    with web.signed_in(Role.ADMIN) as admin:
        # when a person is added
        page = post(admin, "/people", login="mori", name="森 <b>", role=["analyst", "manager"]).text
        password = re.findall(r"<code>([^<]+)</code>", page)[0]
        # then they are in the list, by their name and not as markup, and the password is nowhere else
        listed = admin.get("/people").text
        assert "森 &lt;b&gt;" in listed
        assert "分析官、管理職" in listed
        assert "初回ログイン前" in listed
        assert password not in listed
    with web.client() as mori:
        assert web.sign_in(mori, "mori", password).headers["location"] == "/password"


def test_a_person_that_cannot_be_added_is_told_of_with_what_was_typed(web: Any) -> None:
    with web.signed_in(Role.ADMIN) as admin:
        for form, said in (
            ({"login": "a b", "name": "x", "role": "pilot"}, "利用者IDは"),
            ({"login": "x" * 65, "name": "x", "role": "pilot"}, "利用者IDは"),
            ({"login": "mori", "name": " ", "role": "pilot"}, "氏名は"),
            ({"login": "mori", "name": "森"}, "役割を一つ以上"),
            ({"login": "ADMIN", "name": "x", "role": "pilot"}, "既に使われています"),
        ):
            answer = post(admin, "/people", **form)
            assert answer.status_code == 400
            assert said in answer.text
            assert f'value="{form["login"]}"' in answer.text
        assert post(admin, "/people", login="mori", name="x", role="king").status_code == 422


def test_roles_and_disabling_count_in_an_open_session_and_are_written_down(web: Any) -> None:
    with web.signed_in(Role.OFFICER) as officer, web.signed_in(Role.ADMIN) as admin:
        login = officer.get("/api/session").json()["login"]
        person = re.findall(rf'href="(/people/[0-9a-f-]+)">{login}<', admin.get("/people").text)[0]
        alert = "/api/alerts/00000000-0000-0000-0000-000000000000/acknowledge"
        assert officer.post(alert, json={}).status_code == 404
        # when the roles are taken away, then what they allowed is over
        post(admin, f"{person}/roles", role="auditor")
        assert officer.post(alert, json={}).status_code == 403
        # when the account is disabled, then its session is over, and it cannot sign in
        post(admin, f"{person}/disabled", disabled="yes")
        assert officer.get("/api/session").status_code == 401
        with web.client() as again:
            assert web.sign_in(again, login, web.password).status_code == 400
        assert "停止中" in admin.get("/people").text
        # when it is enabled again and gets a new password, then they can
        post(admin, f"{person}/disabled", disabled="no")
        password = re.findall(r"<code>([^<]+)</code>", post(admin, f"{person}/password").text)[0]
        with web.client() as again:
            assert web.sign_in(again, login, password).headers["location"] == "/password"
        done = [action for _, action in actions(web, login)]
        assert [each for each in done if each.startswith(("account", "password.reset"))] == [
            "account.created",
            "account.roles",
            "account.disabled",
            "account.enabled",
            "password.reset",
        ]


def test_the_last_administrator_stays_one(web: Any) -> None:
    with web.client() as client:
        web.sign_in(client, "admin", web.first_password)
        form = {"current": web.first_password, "new": web.password, "again": web.password}
        post(client, "/password", **form)
        person = re.findall(r'href="(/people/[0-9a-f-]+)">admin<', client.get("/people").text)[0]
        for path, change in ((f"{person}/disabled", {"disabled": "yes"}), (f"{person}/roles", {"role": "officer"})):
            answer = post(client, path, **change)
            assert answer.status_code == 400
            assert "一人もいなくなる" in answer.text
        assert client.get("/people").status_code == 200


def test_the_pages_are_in_the_language_that_was_chosen_and_the_switch_stays_there(web: Any) -> None:
    with web.signed_in(Role.ADMIN) as admin:
        form = {"csrf": admin.cookies["_csrf_token"], "language": "en"}
        answer = admin.post("/language", data=form, headers={"Referer": f"{web.url}/people", "X-CSRFToken": ""})
        assert answer.headers["location"] == "/people"
        assert "Add a person" in admin.get("/people").text
        assert "Sessions" in admin.get("/account").text


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (FIREFOX, "Firefox 140, Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/141.0.0.0 Safari/537.36 Edg/141.0",
            "Edge 141, Windows",
        ),
        ("Mozilla/5.0 (iPhone; CPU OS 19 like Mac OS X) Version/19.0 Mobile Safari/604.1", "Safari 19, iPhone"),
        ("curl/8", "curl/8"),
        ("", ""),
    ],
)
def test_a_browser_is_named_as_people_name_it(said: str, shown: str) -> None:
    assert browser_name(said) == shown


def test_every_form_of_these_pages_is_refused_without_its_token(web: Any) -> None:
    with web.signed_in(Role.ADMIN) as admin, elsewhere(web, admin):
        pages = "".join(admin.get(path).text for path in ("/account", "/account/second", "/password", "/people"))
        pages += admin.get(re.findall(r'href="(/people/[0-9a-f-]+)">admin<', pages)[0]).text
        forms = set(re.findall(r'<form method="post" action="([^"]+)"', pages))
        assert len(forms) >= 10
        for path in forms:
            answer = admin.post(path, data={"csrf": "0" * 64}, headers={"X-CSRFToken": ""})
            assert answer.status_code == 403, path


def test_looking_at_another_person_or_a_file_is_in_the_audit_log_once_in_a_while(web: Any) -> None:
    with web.signed_in(Role.ADMIN) as admin, web.signed_in() as officer:
        who, login = (client.get("/api/session").json()["login"] for client in (admin, officer))
        ids = {each.login: each.user_id for each in web.accounts.everyone()}
        sent = {"type": "smuggling", "title": "x", "severity": "low"}
        at = f"/api/incidents/{officer.post('/api/incidents', json=sent).json()['incident_id']}"
        png = b"\x89PNG\r\n\x1a\n" + bytes(64)
        (file,) = officer.post(f"{at}/attachments?name=x.png", content=png).json()["attachments"]
        # when an administrator opens the list, a person and a file, each twice, and their own record
        for path in ("/people", f"/people/{ids[login]}", f"{at}/attachments/{file['attachment_id']}") * 2:
            assert admin.get(path).status_code == 200
        admin.get(f"/people/{ids[who]}")
        # then each is one entry, with what it was about; one's own is none
        with shared_session(web.engine) as session:
            entries = [
                e for e in list_audit(session, limit=50) if e.actor == who and e.action.endswith(("viewed", "opened"))
            ]
        assert [(e.action, e.target) for e in reversed(entries)][1:] == [
            ("account.viewed", "*"),
            ("account.viewed", login),
            ("incident.file_opened", at.rpartition("/")[2]),
        ]
        assert (entries[0].detail["file"], entries[0].detail["sha256"]) == ("x.png", file["sha256"])
        # and after a while it is another
        with web.engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE shared.audit DISABLE TRIGGER ALL")
            connection.exec_driver_sql("UPDATE shared.audit SET recorded_at = recorded_at - interval '11 minutes'")
            connection.exec_driver_sql("ALTER TABLE shared.audit ENABLE TRIGGER ALL")
        admin.get("/people")
        with shared_session(web.engine) as session:
            assert [e.action for e in list_audit(session, limit=50, target="*")] == ["account.viewed"] * 2
        # who may not look leaves no trace of having looked
        assert officer.get("/people").status_code == 403
