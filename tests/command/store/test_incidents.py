"""Incidents in the store: a log that no one can change, a row that is its sum, and requests that came before."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from command.domain import incident_acts as acts
from command.domain.alert import Severity
from command.domain.clock import US_PER_S
from command.domain.geo import Position
from command.domain.incident import Cited, Incident, IncidentState, IncidentType, TaskState
from command.domain.realm import Realm
from command.store.attachments import ContentDamaged, content_of, keep_content
from command.store.engine import realm_session
from command.store.idempotency import KEPT_US, KeyReused, claim_key, keep_outcome
from command.store.incidents import (
    Act,
    IncidentFilter,
    UnknownIncident,
    append_acts,
    events_since,
    get_incident,
    incident_at,
    incident_log,
    list_incidents,
    lock_incidents,
    next_number,
    open_incidents_of,
)
from command.store.notify import listen

NOW_US = 1_764_000_000 * US_PER_S
ALERT, TRACK = uuid.UUID(int=1), uuid.UUID(int=2)


def opened(engine: Engine, realm: Realm, *, at_us: int = NOW_US, **fields: Any) -> Incident:
    given: dict[str, Any] = {
        "type": IncidentType.SMUGGLING,
        "title": "厳原沖の不審船",
        "severity": Severity.HIGH,
        "owner": "sato",
        "place": "厳原港の東",
        "position": Position(lon=129.3, lat=34.2),
        "cited": Cited(alerts=(ALERT,), tracks=(TRACK,), areas=("north",)),
    }
    with realm_session(engine, realm) as session:
        change = acts.open_incident(number=next_number(session, 2026), realm=realm.name, **(given | fields))
        act = Act(incident_id=uuid.uuid4(), before=None, change=change)
        (incident,) = append_acts(session, [act], actor="sato", observed_at_us=at_us, recorded_at_us=at_us + 1)
    return incident


def act_on(engine: Engine, realm: Realm, incident: Incident, verb: Any, **given: Any) -> Incident:
    with realm_session(engine, realm) as session:
        (before,) = lock_incidents(session, incident.incident_id)
        act = Act(incident_id=incident.incident_id, before=before, change=verb(before, **given))
        (after,) = append_acts(session, [act], actor="suzuki", observed_at_us=NOW_US + 5, recorded_at_us=NOW_US + 6)
    return after


def test_the_row_is_the_sum_of_its_log_at_every_entry(engine: Engine, realm: Realm) -> None:
    # given an incident with a history
    first = opened(engine, realm)
    second = act_on(engine, realm, first, acts.move, to=IncidentState.RESPONDING, reason="")
    third = act_on(engine, realm, second, acts.give_task, task_id=uuid.UUID(int=9), title="臨検", assignee="対馬班")
    fourth = act_on(engine, realm, third, acts.move_task, task_id=uuid.UUID(int=9), to=TaskState.ACCEPTED, reason="")
    fifth = act_on(engine, realm, fourth, acts.edit, position=None, severity=Severity.CRITICAL)
    sixth = act_on(engine, realm, fifth, acts.comment, words="無線\x00で確認")
    # then the row and what the log tells are the same, now and then
    with realm_session(engine, realm) as session:
        assert get_incident(session, first.incident_id) == sixth
        told = [incident_at(session, first.incident_id, entry) for entry in range(1, 7)]
        log = incident_log(session, first.incident_id, limit=10)
        since = events_since(session, first.incident_id, third.revision)
    assert told == [first, second, third, fourth, fifth, sixth]
    assert (sixth.entries, sixth.revision) == (6, 5)
    # and the log has both clocks, newest first
    assert [event.kind.value for _, event in log][:2] == ["commented", "edited"]
    assert log[0][1].detail["text"] == "無線\ufffdで確認"
    assert {(e.observed_at_us, e.recorded_at_us) for _, e in log} == {(NOW_US, NOW_US + 1), (NOW_US + 5, NOW_US + 6)}
    # and it says what changed since a revision, without what only adds
    assert [event.kind.value for event in since] == ["task_changed", "edited"]


@pytest.mark.parametrize("table", ["incident_event", "attachment_content"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET recorded_at = now()", "DELETE FROM {}", "TRUNCATE {}"])
def test_nobody_changes_what_was_written(engine: Engine, realm: Realm, table: str, statement: str) -> None:
    opened(engine, realm)
    with realm_session(engine, realm) as session:
        keep_content(session, b"%PDF-1.7", now_us=NOW_US)
    with pytest.raises(DBAPIError, match="append-only"), realm_session(engine, realm) as session:
        session.execute(text(statement.format(table)))


def test_numbers_run_on_without_a_gap_even_when_many_open_at_once(engine: Engine, realm: Realm) -> None:
    # when eight open incidents at once and one of them fails
    def fail() -> None:
        with realm_session(engine, realm) as session:
            next_number(session, 2026)
            raise RuntimeError

    def one(n: int) -> None:
        if n == 3:
            with pytest.raises(RuntimeError):
                fail()
        else:
            opened(engine, realm, at_us=NOW_US + n)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(8)))
    # then the numbers are 1 to 7, and the next year begins anew
    with realm_session(engine, realm) as session:
        numbers = [incident.number for incident in list_incidents(session, limit=100)]
        assert next_number(session, 2027) == "2027-0001"
    assert sorted(numbers) == [f"2026-{n:04d}" for n in range(1, 8)]


def test_of_two_who_act_at_once_the_second_sees_what_the_first_did(engine: Engine, realm: Realm) -> None:
    incident = opened(engine, realm)
    inside, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        with realm_session(engine, realm) as session:
            (before,) = lock_incidents(session, incident.incident_id)
            inside.set()
            go_on.wait(20)
            act = Act(incident_id=before.incident_id, before=before, change=acts.comment(before, "first"))
            append_acts(session, [act], actor="a", observed_at_us=NOW_US, recorded_at_us=NOW_US)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(slow)
        assert inside.wait(20)
        second = pool.submit(act_on, engine, realm, incident, acts.comment, words="second")
        go_on.set()
        first.result(20)
        assert second.result(20).entries == 3


def test_a_list_is_read_page_by_page_and_filtered(engine: Engine, realm: Realm) -> None:
    # given incidents of which two were opened in the same microsecond
    kept = [opened(engine, realm, at_us=NOW_US + n // 2, cited=Cited(), owner=None) for n in range(5)]
    other = opened(engine, realm, at_us=NOW_US - 1, type=IncidentType.RESCUE, severity=Severity.LOW)
    act_on(engine, realm, other, acts.move, to=IncidentState.CLOSED, reason="救助完了")
    with realm_session(engine, realm) as session:
        # when the list is read in pages of two
        read: list[Incident] = []
        while page := list_incidents(
            session,
            limit=2,
            after_us=read[-1].opened_at_us if read else None,
            after_id=read[-1].incident_id if read else None,
        ):
            read += page
        # then each comes once, newest first
        assert [i.incident_id for i in read] == [i.incident_id for i in list_incidents(session, limit=10)]
        assert {i.incident_id for i in read} == {i.incident_id for i in (*kept, other)}
        # and each filter finds the one
        for wanted in (
            IncidentFilter(states=[IncidentState.CLOSED]),
            IncidentFilter(types=[IncidentType.RESCUE]),
            IncidentFilter(severities=[Severity.LOW]),
            IncidentFilter(owner="SATO"),
            IncidentFilter(alert_id=ALERT),
            IncidentFilter(track_id=TRACK),
            IncidentFilter(area="north"),
        ):
            assert [i.incident_id for i in list_incidents(session, limit=10, wanted=wanted)] == [other.incident_id]
        # and an alert of a closed incident is free again
        assert open_incidents_of(session, [ALERT]) == []


def test_a_merged_log_is_read_with_the_one_it_went_into(engine: Engine, realm: Realm) -> None:
    # given three incidents, the first merged into the second and that into the third
    a, b, c = (opened(engine, realm) for _ in range(3))
    for source, target in ((a, b), (b, c)):
        with realm_session(engine, realm) as session:
            before, into = lock_incidents(session, source.incident_id, target.incident_id)
            gone, taken = acts.merge(before, into, reason="同一")
            append_acts(
                session,
                [
                    Act(incident_id=before.incident_id, before=before, change=gone),
                    Act(incident_id=into.incident_id, before=into, change=taken),
                ],
                actor="sato",
                observed_at_us=NOW_US,
                recorded_at_us=NOW_US,
            )
    # then the last one's log tells all three, by number, and the first one's its own
    with realm_session(engine, realm) as session:
        whole = incident_log(session, c.incident_id, limit=100)
        own = incident_log(session, a.incident_id, limit=100)
        page = incident_log(session, c.incident_id, limit=3)
        rest = incident_log(session, c.incident_id, limit=100, before_event=page[-1][1].event_id)
    assert {number for number, _ in whole} == {a.number, b.number, c.number}
    assert [event.kind.value for _, event in own] == ["merged", "opened"]
    assert [*page, *rest] == whole


def test_a_change_is_told_once_a_transaction(engine: Engine, realm: Realm, store_url: str) -> None:
    a, b = opened(engine, realm), opened(engine, realm)
    with closing(listen(store_url, realm, timeout_s=0.2)) as heard:
        assert next(heard) is None
        with realm_session(engine, realm) as session:
            both = lock_incidents(session, b.incident_id, a.incident_id)
            append_acts(
                session,
                [Act(incident_id=i.incident_id, before=i, change=acts.comment(i, "x")) for i in both],
                actor="sato",
                observed_at_us=NOW_US,
                recorded_at_us=NOW_US,
            )
        told = [payload for payload in (next(heard), next(heard)) if payload]
    assert told == [{"incidents": 2}]


def test_what_is_not_there_is_named(engine: Engine, realm: Realm) -> None:
    known, unknown = opened(engine, realm), uuid.uuid4()
    with realm_session(engine, realm) as session:
        with pytest.raises(UnknownIncident, match=str(unknown)):
            get_incident(session, unknown)
        with pytest.raises(UnknownIncident, match=str(unknown)):
            lock_incidents(session, known.incident_id, unknown)
        with pytest.raises(UnknownIncident, match=str(unknown)):
            incident_at(session, unknown, 1)
        assert incident_log(session, unknown, limit=5) == []


def test_the_bytes_of_a_file_are_kept_once_and_a_changed_one_is_found_out(engine: Engine, realm: Realm) -> None:
    with realm_session(engine, realm) as session:
        first, again = (keep_content(session, b"%PDF-1.7 report", now_us=NOW_US) for _ in range(2))
        assert first == again
        assert content_of(session, first) == b"%PDF-1.7 report"
        assert session.execute(text("SELECT count(*) FROM attachment_content")).scalar_one() == 1
        with pytest.raises(ContentDamaged, match="restore"):
            content_of(session, "0" * 64)
    # when somebody with the keys of the database changes it behind the program's back
    with realm_session(engine, realm) as session:
        session.execute(text("ALTER TABLE attachment_content DISABLE TRIGGER append_only"))
        session.execute(text("UPDATE attachment_content SET content = 'forged'"))
        with pytest.raises(ContentDamaged, match=first):
            content_of(session, first)


def test_a_request_that_comes_again_finds_what_the_first_one_did(engine: Engine, realm: Realm) -> None:
    def claim(session: Any, digest: bytes = b"x" * 32, *, now_us: int = NOW_US, actor: str = "sato") -> Any:
        return claim_key(session, actor=actor, key="k1", request_sha256=digest, now_us=now_us)

    def fail() -> None:
        with realm_session(engine, realm) as session:
            assert claim(session) is None
            raise RuntimeError

    # given a request that was done, after one with its key that failed
    with pytest.raises(RuntimeError):
        fail()
    with realm_session(engine, realm) as session:
        assert claim(session) is None
        keep_outcome(session, actor="sato", key="k1", outcome={"entry": 1})
    with realm_session(engine, realm) as session:
        # then the same finds its outcome, another with the key is refused, another person's is another
        assert claim(session) == {"entry": 1}
        with pytest.raises(KeyReused):
            claim(session, b"y" * 32)
        assert claim(session, b"y" * 32, actor="suzuki") is None
        # and after a week it is forgotten
        assert claim(session, b"y" * 32, now_us=NOW_US + KEPT_US + 1) is None


def test_the_same_request_twice_at_once_is_done_once(engine: Engine, realm: Realm) -> None:
    done: list[int] = []
    start = threading.Barrier(4)

    def request(n: int) -> Any:
        start.wait(20)
        with realm_session(engine, realm) as session:
            before = claim_key(session, actor="sato", key="k2", request_sha256=b"x" * 32, now_us=NOW_US)
            if before is None:
                done.append(n)
                keep_outcome(session, actor="sato", key="k2", outcome={"n": n})
            return before

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(request, range(4)))
    assert len(done) == 1
    assert [a for a in answers if a is not None] == [{"n": done[0]}] * 3
