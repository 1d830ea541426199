"""The terminal client at a real broker, as its team's own user: what it shows, what it sends, and when it is loud."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from rich.cells import cell_len
from textual.pilot import Pilot
from textual.widgets import DataTable, Static

from alerts.message import (
    ALERT,
    HEARTBEAT,
    REPLY,
    RESPONSE,
    DispatchState,
    Grouped,
    alert_body,
    decode,
    encode,
    heartbeat_body,
    reply_body,
)
from command.bus import (
    RESPONSES,
    AlertPublisher,
    Consumer,
    ReplyPublisher,
    Team,
    alert_topology,
    declare_topology,
    response_topology,
    team_user,
)
from command.domain.alert import Alert, Severity
from command.domain.geo import Position
from command.domain.realm import Realm
from command.domain.response import TeamResponse, TeamState
from command.i18n import text
from command.operations.responder_notebook import Notebook
from command.operations.responder_terminal import Terminal
from command.operations.responder_watch import Watch
from command.operations.team_access import password_file, provision
from command.services import Endpoints

NIGHT_US = 1_795_390_865_123_456
TEAMS = [Team(name="duty")]


def an_alert(severity: Severity = Severity.HIGH, **changes: Any) -> Alert:
    facts: dict[str, Any] = {
        "alert_id": uuid.uuid4(),
        "revision": 1,
        "realm": "drill-x",
        "rule": "geofence_entry",
        "severity": severity,
        "subject": "mmsi:431002123",
        "subject_label": "第八博多丸",
        "area": None,
        "track_id": None,
        "position": Position(lon=129.4418, lat=34.6872),
        "because": "because.geofence_entry",
        "because_params": {},
        "evidence": (),
        "opened_at_us": NIGHT_US,
        "observed_at_us": NIGHT_US,
        "recorded_at_us": NIGHT_US,
    }
    return Alert(**(facts | changes))


@dataclass(frozen=True)
class Centre:
    """The operations centre's end of the broker, and the team's way to it."""

    realm: Realm
    url: str
    publisher: AlertPublisher
    replies: ReplyPublisher
    answers: Consumer

    def alert(self, *alerts: Alert, **more: Any) -> None:
        for alert in alerts:
            body = {**alert_body(alert, area_name=None), **more}
            self.raw(json.dumps(body).encode() if more else encode(body, kind=ALERT), alert.severity)

    def raw(self, body: bytes, severity: Severity = Severity.HIGH) -> None:
        key = f"alert.{severity.word}.none.geofence_entry"
        assert self.publisher.publish(body, routing_key=key, message_id=str(uuid.uuid4()))
        assert self.publisher.drain(20)

    def beat(self, state: DispatchState = DispatchState.RUNNING) -> None:
        body = heartbeat_body(
            self.realm, sent_at_us=time.time_ns() // 1_000, state=state, waiting=0, dead=0, unroutable=0
        )
        assert self.publisher.heartbeat(encode(body, kind=HEARTBEAT))

    def answer(self, within_s: float = 20.0) -> dict[str, Any] | None:
        """The next answer that came, under the team's own name."""
        message = self.answers.get(within_s)
        if message is None:
            return None
        message.ack()
        assert (message.user_id, message.routing_key) == (team_user("duty"), "response.duty")
        return decode(message.body, kind=RESPONSE)

    def reply(self, answer: dict[str, Any], *, why: str | None = None) -> None:
        body = reply_body(
            self.realm,
            team="duty",
            response_id=uuid.UUID(answer["response_id"]),
            alert_id=uuid.UUID(answer["alert_id"]),
            result="accepted" if why is None else "no_effect",
            code=None if why is None else "nothing_taken",
            why=None if why is None else {"ja": why, "en": why},
            state=None,
            revision=1,
        )
        assert self.replies.publish(encode(body, kind=REPLY), team="duty", message_id=str(uuid.uuid4()))

    def watch(self, notebook: Path | None = None, *, url: str | None = None, **more: Any) -> Watch:
        made = Watch(amqp_url=url or self.url, realm=self.realm, team="duty", notebook=notebook, **more)
        made.responder = made.responder or "森 健"
        return made


@pytest.fixture
def centre(endpoints: Endpoints, realm: Realm, tmp_path: Path) -> Iterator[Centre]:
    if endpoints.management_url is None:
        pytest.skip("AMQP_MANAGEMENT_URL is not set; the team's user cannot be made")
    topology = alert_topology(TEAMS) + response_topology(TEAMS)
    declare_topology(endpoints.amqp_url, realm.vhost, topology)
    provision(endpoints, realm, ["duty"], passwords=tmp_path)
    parts = urlsplit(endpoints.amqp_url)
    password = quote(password_file(tmp_path, "duty").read_text(), safe="")
    with (
        AlertPublisher(endpoints.amqp_url, realm.vhost, topology=topology, wake=threading.Event()) as publisher,
        ReplyPublisher(endpoints.amqp_url, realm.vhost) as replies,
        Consumer(endpoints.amqp_url, realm.vhost, [RESPONSES], prefetch=10, name="test") as answers,
    ):
        assert publisher.wait_connected(20)
        assert answers.wait_connected(20)
        url = f"amqp://{team_user('duty')}:{password}@{parts.hostname}:{parts.port}"
        yield Centre(realm, url, publisher, replies, answers)


async def until(pilot: Pilot[None], condition: Callable[[], object], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, condition
        await pilot.pause(0.05)


def at(watch: Watch, play: Callable[[Terminal, Pilot[None]], Awaitable[None]], **more: Any) -> None:
    """Run the client on 80 columns by 24 lines and play."""

    async def run() -> None:
        app = Terminal(watch, language="ja", **more)
        async with app.run_test(size=(80, 24)) as pilot:
            await play(app, pilot)

    with watch:
        asyncio.run(run())


def said(app: Terminal, name: str) -> str:
    return str(app.query_one(f"#{name}", Static).content)


def rows(app: Terminal) -> list[list[str]]:
    table: DataTable[Any] = app.query_one(DataTable)
    return [[str(cell) for cell in table.get_row_at(i)] for i in range(table.row_count)]


def test_a_team_reads_its_alerts_worst_first_answers_and_sees_that_it_was_heard(centre: Centre) -> None:
    alerts = [
        an_alert(Severity.LOW, subject_label="HAKATA MARU"),
        an_alert(Severity.CRITICAL, subject_label="遭難信号発信船 第十七ひさかた丸"),
        an_alert(Severity.MEDIUM),
    ]
    centre.alert(*alerts)
    centre.beat()

    async def play(app: Terminal, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(rows(app)) == 3 and "受信中" in said(app, "line"))
        assert [row[0] for row in rows(app)] == ["▲▲ 緊急", "◆ 中", "○ 低"]
        assert app.bells >= 1
        # it fits, wide characters and all, in both languages
        await pilot.press("down")
        for _ in ("ja", "en"):
            table: DataTable[Any] = app.query_one(DataTable)
            assert table.virtual_size.width <= 80
            assert all(cell_len(cell) <= 24 for row in rows(app) for cell in row)
            assert table.cursor_row == 1
            assert max(cell_len(line) for line in said(app, "head").splitlines()) <= 80
            await pilot.press("l")
            await pilot.pause()
        assert "34-41.23N 129-26.51E" in said(app, "facts")
        # when the team accepts the critical one
        await pilot.press("up", "2")
        await pilot.press(*"03:40", "enter")
        await until(pilot, lambda: "送信待ち" in rows(app)[0][4])
        answer = await asyncio.to_thread(centre.answer)
        assert answer is not None
        assert (answer["kind"], answer["comment"], answer["responder"]) == ("accept", "03:40", "森 健")
        assert answer["alert_id"] == str(alerts[1].alert_id)
        # and the next revision says so
        centre.reply(answer)
        stands = TeamResponse(
            team="duty",
            state=TeamState.ACCEPTED,
            response_id=uuid.UUID(answer["response_id"]),
            responder="森 健",
            answered_at_us=NIGHT_US,
            comment="03:40",
            position=None,
        )
        centre.alert(
            an_alert(Severity.CRITICAL, alert_id=alerts[1].alert_id, revision=2, responses=(stands,), because="x")
        )
        await until(pilot, lambda: rows(app)[0][4] == "出動")
        assert "duty: 出動" in said(app, "facts")
        await pilot.press("h")
        await until(pilot, lambda: "第1版" in said(app, "facts") and "第2版" in said(app, "facts"))
        # when it wants to end it without a word, it is asked for one
        await pilot.press("5", "enter")
        await until(pilot, lambda: app.screen.query("#ask-error"))
        assert str(app.screen.query_one("#ask-error", Static).content) == text("ja", "terminal.ask.missing")
        await pilot.press(*"OK", "enter")
        ended = await asyncio.to_thread(centre.answer)
        assert ended is not None
        assert (ended["kind"], ended["comment"], ended["revision"]) == ("closed", "OK", 2)
        # and an answer that changes nothing is told with the reason
        centre.reply(ended, why="出動していません")
        await pilot.press("h")
        await until(pilot, lambda: "出動していません" in said(app, "facts"))

    at(centre.watch(), play)


def test_what_is_answered_while_the_line_is_cut_is_sent_once_later_even_by_the_next_start(
    centre: Centre, line: Any, tmp_path: Path
) -> None:
    url = centre.url.rpartition("@")[0] + "@" + line.url.rpartition("@")[2]
    notebook = tmp_path / "duty.notebook"
    first, second = an_alert(), an_alert(subject_label="HAKATA MARU")
    now_s = [0.0]
    centre.alert(first)

    async def cut(app: Terminal, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(rows(app)) == 1 and app._look.connected)
        line.cut()
        # then it is loud
        await until(pilot, lambda: app.query_one("#line").has_class("bad"))
        assert "警報を受信できません" in said(app, "line")
        rung = app.bells
        await until(pilot, lambda: app.bells > rung)
        # and an answer can be given all the same
        await pilot.press("1", "enter")
        await until(pilot, lambda: "未送達の応答 1件" in said(app, "head"))

    at(centre.watch(notebook, url=url, patience_s=0.2), cut, bell_every_s=0.2)
    assert centre.answer(0.2) is None
    assert notebook.stat().st_mode & 0o077 == 0
    # when it starts again and the line is there, and the same alert comes once more
    line.mend()
    centre.alert(first, second)

    async def later(app: Terminal, pilot: Pilot[None]) -> None:
        assert len(rows(app)) >= 1  # at once, before anything came
        await until(pilot, lambda: len(rows(app)) == 2)
        answer = await asyncio.to_thread(centre.answer)
        assert answer is not None
        assert (answer["kind"], answer["alert_id"]) == ("acknowledge", str(first.alert_id))
        # and as the same once more where nothing is heard of it for long
        now_s[0] = 31.0
        assert await asyncio.to_thread(centre.answer) == answer
        centre.reply(answer)
        await until(pilot, lambda: "未送達" not in said(app, "head"))
        # and after the reply not again
        now_s[0] = 100.0
        await pilot.pause(0.5)
        assert await asyncio.to_thread(centre.answer, 0.1) is None

    at(centre.watch(notebook, url=url, monotonic_s=lambda: now_s[0]), later)
    with Notebook(notebook) as kept:
        assert [(len(kept.history(str(a.alert_id)))) for a in (first, second)] == [1, 1]
        assert [answer.result for answer in kept.answers(str(first.alert_id))] == ["accepted"]


def test_silence_is_loud_and_what_dispatch_says_of_itself_is_shown(centre: Centre) -> None:
    now_s = [0.0]

    async def play(app: Terminal, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app._look.connected)
        now_s[0] = 26.0
        await until(pilot, lambda: app.query_one("#line").has_class("bad"))
        assert "定時信号が26秒途絶" in said(app, "line")
        centre.beat(DispatchState.STORE_AWAY)
        await until(pilot, lambda: "データベースの応答がなく" in said(app, "line"))
        centre.beat()
        await until(pilot, lambda: "受信中" in said(app, "line"))
        assert not app.query_one("#line").has_class("bad")

    at(centre.watch(monotonic_s=lambda: now_s[0]), play)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_watch_that_ended_by_a_defect_does_not_look_like_a_quiet_night(
    centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_watch: Watch, _message: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(Watch, "_take", fail)

    async def play(app: Terminal, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app._look.connected)
        centre.beat()
        await until(pilot, lambda: app.query_one("#line").has_class("bad"))
        assert "a defect" in said(app, "line")

    at(centre.watch(), play)


def test_what_it_does_not_know_is_shown_and_nothing_fails(centre: Centre) -> None:
    centre.alert(an_alert(), grouped_with=["x-17"])
    centre.raw(b'{"schema": "urn:mizugiwa:schema:digest:1", "words": "three alerts"}')

    async def play(app: Terminal, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(rows(app)) == 1 and "three alerts" in said(app, "told"))
        await until(pilot, lambda: "grouped_with: ['x-17']" in said(app, "facts"))

    at(centre.watch(), play)


def test_each_alert_of_a_group_stands_in_the_list_and_can_be_answered(centre: Centre) -> None:
    lead, member = an_alert(), an_alert(Severity.LOW, subject_label="HAKATA MARU")
    grouped = Grouped(
        group_id=uuid.uuid4(),
        labels={"rule": "geofence_entry"},
        message=1,
        repeat=False,
        members=[lead, member],
        more=0,
        open_alerts=2,
        cleared=0,
    )
    body = alert_body(lead, area_name=None, grouped=grouped)
    centre.raw(encode(body, kind=ALERT))

    async def play(app: Terminal, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(rows(app)) == 2)
        assert "継続中 2件" in said(app, "facts")
        await pilot.press("down")
        await until(pilot, lambda: "「第八博多丸」とまとめて届いた" in said(app, "facts"))
        await pilot.press("1", "enter")
        answer = await asyncio.to_thread(centre.answer)
        assert answer is not None
        assert (answer["alert_id"], answer["revision"]) == (str(member.alert_id), 1)
        # when it comes by itself as well, what it lacked is there
        centre.alert(member)
        await until(pilot, lambda: "34-41.23N" in said(app, "facts"))
        # and told again, it rings
        rung = app.bells
        centre.raw(encode(alert_body(lead, area_name=None, grouped=replace(grouped, repeat=True)), kind=ALERT))
        await until(pilot, lambda: app.bells > rung)
        assert len(rows(app)) == 2

    at(centre.watch(), play)


def test_who_is_not_connected_as_the_teams_user_is_told_and_sends_nothing(centre: Centre, amqp_url: str) -> None:
    centre.alert(an_alert())

    async def play(app: Terminal, pilot: Pilot[None]) -> None:
        await until(pilot, lambda: len(rows(app)) == 1)
        assert "mizugiwa broker provision" in said(app, "told")
        await pilot.press("1")
        await until(pilot, lambda: text("ja", "terminal.unable_now") in said(app, "told"))
        assert len(app.screen_stack) == 1

    at(centre.watch(url=amqp_url), play)


def test_a_notebook_that_cannot_be_kept_is_told_and_the_alerts_are_shown_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "notebook").write_text("not a database, and longer than a header of one" * 50)
    with Notebook(tmp_path / "notebook") as notebook:
        assert "not a database" in (notebook.problem or "")
        body = alert_body(an_alert(), area_name=None)
        assert [notebook.keep_alert(body), notebook.keep_alert(body)] == [True, False]
        assert notebook.alerts() == [body]


def test_a_drill_that_begins_anew_is_not_hidden_behind_what_is_known_of_the_last_one(tmp_path: Path) -> None:
    alert = an_alert(revision=3)
    first, again = alert_body(replace(alert, revision=1), area_name=None), alert_body(alert, area_name=None)
    anew = {**first, "recorded_at": "2026-11-23T01:00:00.000000Z"}
    with Notebook(tmp_path / "notebook") as notebook:
        assert [notebook.keep_alert(body) for body in (first, again, first)] == [True, True, False]
        notebook.put_answer({"response_id": str(uuid.uuid4()), "alert_id": str(alert.alert_id)})
        # when revision 1 comes with another time of recording
        assert notebook.keep_alert(anew)
        assert notebook.alerts() == [anew]
        assert notebook.waiting() == []


def test_a_real_process_on_a_real_terminal_shows_an_alert_and_sends_the_answer(
    centre: Centre, tmp_path: Path, repository: Path
) -> None:
    centre.alert(an_alert())
    centre.beat()
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    env = {
        **os.environ,
        "AMQP_URL": centre.url,
        "MIZUGIWA_DATA_DIR": str(tmp_path / "data"),
        "TERM": "xterm-256color",
        "LC_ALL": "C.UTF-8",
    }
    (tmp_path / "data").mkdir()
    words = [sys.executable, "-m", "command", "responder", "--team", "duty", "--realm", centre.realm.name]
    process = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=theirs, env=env, cwd=repository)
    os.close(theirs)
    shown = b""

    def wait_for(word: str, *, press: bytes = b"", within_s: float = 120.0) -> None:
        """Until the word was written on the terminal; press: typed again and again meanwhile."""
        nonlocal shown
        deadline = time.monotonic() + within_s
        while word.encode() not in shown:
            assert time.monotonic() < deadline, shown.decode("utf-8", "replace")[-2_000:]
            if press:
                os.write(ours, press)
            if select.select([ours], [], [], 0.2)[0]:
                shown += os.read(ours, 65_536)

    try:
        # it asks who answers
        wait_for(text("ja", "terminal.ask.name"))
        os.write(ours, "森\r".encode())
        wait_for("第八博多丸")
        wait_for(text("ja", "terminal.ask.comment"), press=b"4")
        os.write(ours, b"\r")
        answer = centre.answer()
        assert answer is not None
        assert (answer["kind"], answer["responder"]) == ("on_scene", "森")
        os.write(ours, b"q")
        while select.select([ours], [], [], 20.0)[0]:
            try:
                os.read(ours, 65_536)
            except OSError:  # the other end is closed
                break
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait(20)
        os.close(ours)
