"""Incidents as pure code: whatever people try, the state machine holds and the log alone tells the incident."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command.domain import incident_acts as acts
from command.domain.alert import Severity
from command.domain.geo import Position
from command.domain.incident import (
    INCIDENT_STEPS,
    OPEN_STATES,
    TASK_STEPS,
    Attachment,
    Change,
    Cited,
    Incident,
    IncidentEvent,
    IncidentState,
    IncidentType,
    TaskState,
)
from command.domain.incident_acts import IncidentRefused
from command.domain.incident_log import after, fold, next_event
from command.i18n import LANGUAGES, text, texts

NOW_US = 1_764_000_000_000_000
IDS = [uuid.UUID(int=n) for n in range(1, 5)]
AREAS = ["north", "west"]


class Log:
    """A log and what it tells, as the store keeps them: through JSON."""

    def __init__(self, **fields: Any) -> None:
        self.incident_id = uuid.uuid4()
        self.events: list[IncidentEvent] = []
        self.incident: Incident | None = None
        given = {
            "number": "2026-0001",
            "realm": "drill-x",
            "type": IncidentType.SMUGGLING,
            "title": "厳原沖の不審船",
            "severity": Severity.HIGH,
            "owner": "sato",
            "place": "",
            "position": Position(lon=129.3, lat=34.2),
            "cited": Cited(alerts=(IDS[0],)),
        }
        self.add(acts.open_incident(**(given | fields)))

    def add(self, change: Change | None) -> Incident:
        if change is not None:
            event = next_event(
                self.incident,
                replace(change, detail=json.loads(json.dumps(change.detail))),
                incident_id=self.incident_id,
                actor="sato",
                observed_at_us=NOW_US + len(self.events),
                recorded_at_us=NOW_US,
            )
            self.events.append(event)
            self.incident = after(self.incident, event)
        assert self.incident is not None
        return self.incident

    def attempt(self, act: Callable[[Incident], Change | None]) -> IncidentRefused | None:
        assert self.incident is not None
        try:
            self.add(act(self.incident))
        except IncidentRefused as refused:
            return refused
        return None


def a_file(n: int) -> Attachment:
    return Attachment(
        attachment_id=uuid.UUID(int=n),
        name="写真.jpg",
        media_type="image/jpeg",
        size_bytes=10,
        sha256="0" * 64,
        added_by="sato",
        added_at_us=NOW_US,
    )


ids, reasons = st.sampled_from(IDS), st.sampled_from(["", "無線で確認"])
cited = st.builds(
    Cited,
    alerts=st.lists(ids, max_size=2, unique=True).map(tuple),
    tracks=st.lists(ids, max_size=2, unique=True).map(tuple),
    areas=st.lists(st.sampled_from(AREAS), max_size=2, unique=True).map(tuple),
)
ANY_ACT = st.one_of(
    st.tuples(st.sampled_from(IncidentState), reasons).map(lambda x: lambda i: acts.move(i, x[0], reason=x[1])),
    st.text(max_size=20).map(lambda x: lambda i: acts.comment(i, x)),
    st.tuples(ids, st.text(max_size=9)).map(
        lambda x: lambda i: None if i.task(x[0]) else acts.give_task(i, task_id=x[0], title=x[1], assignee="対馬班")
    ),
    st.tuples(ids, st.sampled_from(TaskState), reasons).map(
        lambda x: lambda i: acts.move_task(i, x[0], x[1], reason=x[2])
    ),
    cited.map(lambda x: lambda i: acts.link(i, x)),
    st.tuples(cited, reasons).map(lambda x: lambda i: acts.unlink(i, x[0], reason=x[1])),
    st.sampled_from(["sato", "suzuki"]).map(lambda x: lambda i: acts.join(i, x)),
    st.sampled_from(["sato", "suzuki"]).map(lambda x: lambda i: acts.leave(i, x)),
    st.tuples(st.sampled_from(Severity), st.text(max_size=5)).map(
        lambda x: lambda i: acts.edit(i, severity=x[0], title=x[1], position=None)
    ),
    st.integers(1, 9).map(lambda n: lambda i: acts.attach(i, a_file(n))),
)
STORY = st.lists(ANY_ACT, max_size=25)


@given(story=STORY)
def test_whatever_people_try_the_log_alone_tells_the_incident(story: list[Callable[[Incident], Change | None]]) -> None:
    log = Log()
    for act in story:
        before = log.incident
        assert before is not None
        count = len(log.events)
        refused = log.attempt(act)
        now = log.incident
        assert now is not None
        # a refused act leaves no trace; a taken one is one entry
        assert len(log.events) - count <= (0 if refused else 1)
        assert now.entries == len(log.events)
        # the state goes by the table, and tasks too; what has ended stays ended
        assert now.state is before.state or now.state in INCIDENT_STEPS[before.state]
        for task in before.tasks:
            kept = now.task(task.task_id)
            assert kept is not None
            assert kept.state is task.state or kept.state in TASK_STEPS[task.state]
        # nobody's order is open in an incident that was closed
        assert now.state is not IncidentState.CLOSED or now.open_tasks == 0
        # the revision rises by one with what could undo another's change, and with nothing else
        assert now.revision - before.revision in (0, 1)
        assert (now.closed_at_us is not None) == (now.state is IncidentState.CLOSED)
        if now.revision == before.revision:
            assert (now.state, now.tasks, now.cited, now.title) == (
                before.state,
                before.tasks,
                before.cited,
                before.title,
            )
    assert fold(log.events) == log.incident
    # and so does every part of it: the incident as it was after each entry
    for n in range(1, len(log.events) + 1):
        assert fold(log.events[:n]).entries == n


@given(first=STORY, second=STORY, reason=st.sampled_from(["", "同一の船と判明"]))
def test_merging_loses_nothing_and_both_logs_stay_whole(
    first: list[Callable[[Incident], Change | None]], second: list[Callable[[Incident], Change | None]], reason: str
) -> None:
    source, target = Log(), Log(number="2026-0002", cited=Cited(tracks=(IDS[3],)))
    for log, story in ((source, first), (target, second)):
        for act in story:
            log.attempt(act)
    a, b = source.incident, target.incident
    assert a is not None
    assert b is not None
    if not reason or b.state not in OPEN_STATES:
        with pytest.raises(IncidentRefused, match=r"incident\.error\.(reason|closed)"):
            acts.merge(a, b, reason=reason)
        return
    gone, taken = acts.merge(a, b, reason=reason)
    merged, whole = source.add(gone), target.add(taken)
    assert (merged.state, merged.merged_into) == (IncidentState.MERGED, target.incident_id)
    assert not (a.cited + b.cited) - whole.cited
    assert {t.task_id for t in a.tasks} | {t.task_id for t in b.tasks} == {t.task_id for t in whole.tasks}
    assert {f.attachment_id for f in (*a.attachments, *b.attachments)} == {f.attachment_id for f in whole.attachments}
    assert fold(source.events) == merged
    assert fold(target.events) == whole
    # nothing more can be done to what was merged
    for act in (lambda i: acts.comment(i, "x"), lambda i: acts.link(i, Cited(areas=("south",)))):
        refused_now = source.attempt(act)
        assert refused_now is not None
        assert refused_now.key == "incident.error.merged"


def test_a_split_takes_what_it_names_and_leaves_the_rest() -> None:
    # given an incident of two alerts with a task each
    log = Log(cited=Cited(alerts=(IDS[0], IDS[1]), areas=("north",)))
    for task_id in IDS[:2]:
        assert log.incident is not None
        log.add(acts.give_task(log.incident, task_id=task_id, title="臨検", assignee="対馬班"))
    assert log.incident is not None
    # when the second alert turns out to be another ship's
    new = uuid.uuid4()
    change, taken, tasks = acts.split(
        log.incident,
        into=new,
        into_number="2026-0002",
        cited=Cited(alerts=(IDS[1],)),
        task_ids=(IDS[1],),
        reason="別の船と判明",
    )
    rest = log.add(change)
    part = Log(number="2026-0002", cited=taken, tasks=tasks, split_from=rest).incident
    # then each has its own, and the log says where the rest went
    assert part is not None
    assert (rest.cited.alerts, [t.task_id for t in rest.tasks]) == ((IDS[0],), [IDS[0]])
    assert (part.cited.alerts, [t.task_id for t in part.tasks]) == ((IDS[1],), [IDS[1]])
    assert (part.split_from, log.events[-1].detail["into_number"]) == (rest.incident_id, "2026-0002")
    # and what is not in the incident cannot be split off it
    for absent in (Cited(alerts=(IDS[2],)), Cited(alerts=(IDS[0], IDS[2]))):
        with pytest.raises(IncidentRefused, match="split_of_another"):
            acts.split(rest, into=new, into_number="2026-0003", cited=absent, task_ids=(), reason="x")
    with pytest.raises(IncidentRefused, match="split_nothing"):
        acts.split(rest, into=new, into_number="2026-0003", cited=Cited(), task_ids=(), reason="x")


@pytest.mark.parametrize("state", IncidentState)
def test_every_state_is_reached_from_the_first_one(state: IncidentState) -> None:
    reached, pending = {IncidentState.MERGED}, [IncidentState.OPEN]
    while pending:
        at = pending.pop()
        if at not in reached:
            reached.add(at)
            pending += INCIDENT_STEPS[at]
    assert state in reached


def test_a_step_that_someone_would_ask_about_needs_a_reason() -> None:
    log = Log()
    assert log.incident is not None
    for to, needed in INCIDENT_STEPS[IncidentState.OPEN].items():
        if needed:
            with pytest.raises(IncidentRefused, match="reason"):
                acts.move(log.incident, to, reason="  ")
    assert log.attempt(lambda i: acts.move(i, IncidentState.RESPONDING, reason="")) is None


def test_an_incident_with_an_open_task_is_not_closed() -> None:
    log = Log()
    assert log.incident is not None
    log.add(acts.give_task(log.incident, task_id=IDS[0], title="臨検", assignee="対馬班"))
    refused = log.attempt(lambda i: acts.move(i, IncidentState.CLOSED, reason="終わり"))
    assert refused is not None
    assert (refused.key, refused.params) == ("incident.error.open_tasks", {"n": 1})
    assert log.attempt(lambda i: acts.move_task(i, IDS[0], TaskState.DONE, reason="")) is None
    assert log.attempt(lambda i: acts.move(i, IncidentState.CLOSED, reason="異常なし")) is None


@pytest.mark.parametrize(
    ("act", "key"),
    [
        (lambda i: acts.edit(i, title=" \n "), "incident.error.empty"),
        (lambda i: acts.edit(i, title="x" * 121), "incident.error.too_long"),
        (lambda i: acts.comment(i, "x" * 4_001), "incident.error.too_long"),
        (lambda i: acts.comment(i, "\n"), "incident.error.empty"),
        (lambda i: acts.give_task(i, task_id=IDS[0], title="臨検", assignee=""), "incident.error.empty"),
        (lambda i: acts.move_task(i, IDS[0], TaskState.DONE, reason=""), "incident.error.no_task"),
        (lambda i: acts.move(i, IncidentState.OPEN, reason=""), "incident.error.step"),
        (lambda i: acts.link(i, Cited(tracks=tuple(uuid.UUID(int=n) for n in range(501)))), "incident.error.too_many"),
        (lambda i: acts.merge(i, i, reason="x"), "incident.error.merge_itself"),
    ],
)
def test_what_cannot_be_kept_is_refused_in_words_of_both_languages(act: Callable[[Incident], Any], key: str) -> None:
    log = Log()
    assert log.incident is not None
    with pytest.raises(IncidentRefused) as refused:
        act(log.incident)
    assert refused.value.key == key
    for language in LANGUAGES:
        params = {
            name: text(language, value[1:]) if isinstance(value, str) and value.startswith("@") else value
            for name, value in refused.value.params.items()
        }
        assert "{" not in text(language, key, **params)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_word_of_an_incident_has_its_text(language: str) -> None:
    for group, words in (("type", IncidentType), ("state", IncidentState), ("task", TaskState)):
        for word in words:
            assert texts(language)[f"incident.{group}.{word.value}"]
