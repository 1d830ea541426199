"""The roster over REST and as a page: written by managers, read by everybody, and never lost in a change."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from command.domain.clock import from_us
from command.domain.people import Role
from command.domain.roster import WEEK_US, monday_of
from command.i18n.times import JST


def now() -> datetime:
    return datetime.now(UTC)


def sent(login: str, *, hours: tuple[float, float] = (-1, 8), **more: Any) -> dict[str, Any]:
    starts, ends = (now() + timedelta(hours=each) for each in hours)
    return {
        "login": login,
        "role": "duty_officer",
        "starts_at": starts.isoformat(),
        "ends_at": ends.isoformat(),
        **more,
    }


def login_of(client: httpx.Client) -> str:
    login: str = client.get("/api/session").json()["login"]
    return login


def test_a_manager_writes_the_roster_and_every_screen_says_who_is_on_duty(
    web: Any, eventually: Callable[..., None]
) -> None:
    with web.signed_in(Role.MANAGER) as chief, web.signed_in() as officer, web.signed_in(Role.AUDITOR) as reader:
        sato = login_of(officer)
        assert reader.get("/api/pulse").json()["watch"]["state"] == "none"
        # when a manager puts an officer on duty
        made = chief.post("/api/roster", json=sent(sato, skills=["drone"]))
        assert made.status_code == 201, made.text
        at, tag = f"/api/roster/{made.json()['shift_id']}", made.headers["etag"]
        # then everybody reads it, and nobody else may
        assert [each["login"] for each in reader.get("/api/roster/now").json()["on_duty"]] == [sato]
        assert [each["login"] for each in reader.get("/api/roster").json()["shifts"]] == [sato]
        assert reader.get("/api/pulse").json()["watch"] == {"state": "open", "words": f"{sato}(未引継)"}
        assert reader.get("/api/roster/now").json()["acknowledge_within_s"]["critical"] == 180
        for client in (officer, reader):
            assert client.post("/api/roster", json=sent(sato)).status_code == 403
        # and an alert says when the next one is called, until it is acknowledged
        alert = f"/api/alerts/{web.raise_alert(web.vessel(431000001, 129.3, 34.2)).alert_id}"
        eventually(lambda: reader.get(alert).json()["next_call_at"] is not None)
        shown = reader.get(alert).json()
        waits = datetime.fromisoformat(shown["next_call_at"]) - datetime.fromisoformat(shown["recorded_at"])
        assert (shown["called"], waits) == (None, timedelta(minutes=10))
        officer.post(f"{alert}/acknowledge", json={})
        assert reader.get(alert).json()["next_call_at"] is None
        # when it is changed by two who saw the same, one is told what holds now
        assert chief.put(at, json=sent(sato, role="deputy")).status_code == 428
        later = chief.put(at, json=sent(sato, hours=(-2, 9)), headers={"If-Match": tag})
        assert (later.status_code, later.headers["etag"]) == (200, '"2"')
        lost = chief.put(at, json=sent(sato), headers={"If-Match": tag})
        assert (lost.status_code, lost.json()["code"], lost.json()["current"]["version"]) == (412, "changed_by", 2)
        # when it is ended, nobody is on duty, and everybody is told
        assert chief.post(f"{at}/end", headers={"If-Match": '"2"'}).json()["version"] == 3
        eventually(lambda: reader.get("/api/pulse").json()["watch"]["state"] == "unmanned")
        eventually(lambda: reader.get("/api/health").json()["on_duty"] == 0)
        assert reader.get("/api/health").json()["level"] == "bad"
        versions = reader.get(at).json()["shifts"]
        assert [each["version"] for each in versions] == [3, 2, 1]
        # and what cannot be is refused with a word on what to write instead
        for wrong, code in (
            (sent("nobody-of-ours"), "nobody"),
            (sent(sato, hours=(2, 1)), "backwards"),
            (sent(sato, hours=(1, 1.1)), "length"),
            (sent(sato, team="no-such"), "team"),
            (sent(sato, areas=["atlantis"]), "area"),
            (sent(sato, skills=["Drone!"]), "skill"),
        ):
            refused = chief.post("/api/roster", json=wrong)
            assert (refused.status_code, refused.json()["code"]) == (422, code), refused.text
            assert refused.headers["content-type"] == "application/problem+json"
        chief.post("/api/roster", json=sent(sato, hours=(20, 30)))
        assert chief.post("/api/roster", json=sent(sato, hours=(29, 40))).json()["code"] == "overlaps"
        # and it is all in the audit log
        with web.engine.connect() as connection:
            kept = connection.exec_driver_sql(
                "SELECT action FROM shared.audit WHERE action LIKE 'shift.%%' ORDER BY audit_id"
            )
            assert [row[0] for row in kept] == ["shift.written", "shift.changed", "shift.ended", "shift.written"]


def test_a_file_is_taken_whole_or_not_at_all_and_a_week_is_copied_once(web: Any) -> None:
    monday_us = monday_of(web.clock.now_us())
    day = from_us(monday_us).astimezone(JST)
    with web.signed_in(Role.MANAGER) as chief, web.signed_in() as officer, web.signed_in() as deputy:
        sato, mori = login_of(officer), login_of(deputy)
        rows = [
            "利用者ID,役割,開始,終了,対応班,区域,技能,備考",
            f"{sato},当直官,{day:%Y-%m-%d} 08:30,{day:%Y-%m-%d} 17:15,,,drone technical,早番",
            f"{mori},deputy,{day:%Y/%m/%d} 17:15,{day + timedelta(days=1):%Y-%m-%d} 08:30,,,,",
            "",
        ]
        good = "\r\n".join(rows)
        bad = good + f"{sato},当直官,{day:%Y-%m-%d} 09:00,{day:%Y-%m-%d} 10:00,,,,\r\nnobody,船長,いつか,,,,,\r\n"
        # when a file has wrong rows, nothing of it is taken and each is named
        refused = chief.post("/api/roster/import", content=bad.encode("cp932"))
        assert refused.status_code == 422
        assert [(each["row"], each["code"]) for each in refused.json()["rows"]] == [(4, "overlaps"), (5, "role")]
        assert chief.get("/api/roster").json() == {"shifts": []}
        for content, code in (
            (b"a,b\n1,2\n", "columns"),
            (b"login,role\n\x81", "file_unreadable"),
            (b"", "file_empty"),
            (b"x" * 300_000, "file_large"),
        ):
            assert chief.post("/api/roster/import", content=content).json()["code"] == code
        # when none is wrong, all are
        taken = chief.post("/api/roster/import", content=good.encode("utf-8-sig")).json()["shifts"]
        assert [(each["login"], each["role"]) for each in taken] == [(sato, "duty_officer"), (mori, "deputy")]
        assert taken[0]["skills"] == ["drone", "technical"]
        assert taken[0]["starts_at"] == (day + timedelta(hours=8.5)).astimezone(UTC).isoformat().replace("+00:00", "Z")
        # and the next week takes them over, once
        next_week = {"week": f"{from_us(monday_us + WEEK_US + WEEK_US // 2).astimezone(JST):%Y-%m-%d}"}
        assert chief.post("/api/roster/copy-week", json=next_week).json() == {"made": 2, "there": 0}
        assert chief.post("/api/roster/copy-week", json=next_week).json() == {"made": 0, "there": 2}
        starts = from_us(monday_us + WEEK_US).isoformat()
        copied = chief.get("/api/roster", params={"from": starts}).json()["shifts"]
        assert [each["login"] for each in copied] == [sato, mori]
        assert chief.post("/api/roster/copy-week", json={"week": "2001-01-01"}).json()["code"] == "nothing_to_copy"


def test_the_page_shows_the_week_and_its_forms_change_it_without_a_script(web: Any) -> None:
    with web.signed_in(Role.MANAGER) as chief, web.signed_in() as officer:
        sato = login_of(officer)
        for client in (chief, officer):
            client.headers["X-CSRFToken"] = ""
        csrf = {"csrf": chief.cookies["_csrf_token"]}
        begins = datetime.now(JST).replace(minute=0)
        form = {
            **csrf,
            "login": sato,
            "role": "duty_officer",
            "from": f"{begins - timedelta(hours=2):%Y-%m-%d %H:%M}",
            "until": f"{begins + timedelta(hours=6):%Y-%m-%d %H:%M}",
            "skills": "drone、technical",
        }
        # when a manager adds a shift with a slip, what was typed is still there
        wrong = chief.post("/watch", data={**form, "until": "あした"})
        assert wrong.status_code == 400
        assert "あした" in wrong.text
        assert f'value="{form["from"]}"' in wrong.text
        added = chief.post("/watch", data=form)
        assert added.status_code == 303
        # then everybody sees it, and only who may is offered to change it
        page, theirs = chief.get(added.headers["location"]).text, officer.get("/watch").text
        assert "当直を追加しました" in page
        assert "当直中" in theirs
        assert (sato in theirs, "<form" in theirs.partition("</main>")[0]) == (True, False)
        (at,) = set(re.findall(r'href="(/watch/[0-9a-f-]{36})"', page))
        assert at not in theirs
        assert officer.get(at).status_code == 403
        # when it is changed, and then changed again by somebody who saw the version before
        assert 'name="version" value="1"' in chief.get(at).text
        changed = chief.post(at, data={**form, "role": "deputy", "version": "1"})
        assert changed.headers["location"].endswith("done=changed")
        lost = chief.post(at, data={**form, "version": "1"})
        assert lost.status_code == 400
        assert "先に変更しました" in lost.text
        assert chief.post(f"{at}/end", data={**csrf, "version": "2"}).headers["location"] == "/watch?done=ended"
        # and a file is pasted, with what is wrong by row
        csv = f"login,role,from,until\n{sato},on_call,2026-01-05 08:30,2026-01-06 08:30\nx,on_call,2026-01-05 08:30,1\n"
        refused = chief.post("/watch/import", data={**csrf, "csv": csv, "week": "2026-01-05"})
        assert "3行目" in refused.text
        taken = chief.post("/watch/import", data={**csrf, "csv": csv.rpartition("x,")[0], "week": "2026-01-05"})
        assert "1件を取り込みました" in taken.text
        assert "08:30" in taken.text
        assert "24:00" not in taken.text
        copied = chief.post("/watch/copy-week", data={**csrf, "week": "2026-01-12"})
        assert "1件を複写しました" in copied.text
        assert chief.get("/watch?week=neverday").status_code == 400
