"""The stages between an alert's event and its deliveries, with a book that is kept in memory."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from alerts.channels.amqp import AmqpChannel
from alerts.message import AreaName
from alerts.pipeline import (
    NAMED_MEMBERS,
    TOLD_AT_ONCE,
    Channel,
    Notice,
    PlannedDelivery,
    Surroundings,
    find_sources,
    plan_deliveries,
)
from alerts.policy import Policy, parse_policy
from command.domain.alert import Alert, Severity
from command.domain.clock import US_PER_S
from command.domain.ids import delivery_id
from command.domain.notice import Entry, Fate, Group, Standing, Told
from command.domain.silence import Matcher, Silence

AT_ONCE = """
[route]
group_by = ["..."]
group_wait = "0s"
group_interval = "0s"
"""
WAITS = """
[route]
group_by = ["rule"]
group_wait = "10s"
group_interval = "60s"
repeat_interval = "10m"

[[route.routes]]
name = "minds-silences"
match = ["rule = ais_gap"]
hold_silenced = true

[[inhibitions]]
name = "known"
source = ["rule = distress"]
target = ["rule =~ ais_gap|geofence_.*"]
equal = ["subject"]
"""


@dataclass
class Line:
    """One line of the account."""

    entry: Entry
    fate: Fate
    pending: bool
    alert: Alert
    entered_us: int
    deliveries: Sequence[uuid.UUID] = ()


@dataclass
class MemoryBook:
    """The Book as the store keeps it. `alerts`: by alert and revision, as the events are."""

    alerts: dict[tuple[uuid.UUID, int], Alert] = field(default_factory=dict)
    lines: dict[tuple[uuid.UUID, int, str], Line] = field(default_factory=dict)
    told: dict[tuple[uuid.UUID, str], tuple[uuid.UUID, int]] = field(default_factory=dict)
    kept: dict[uuid.UUID, Group] = field(default_factory=dict)
    inhibitors: set[tuple[str, str, uuid.UUID]] = field(default_factory=set)

    def newest(self, alert_id: uuid.UUID) -> Alert:
        return max((a for (each, _), a in self.alerts.items() if each == alert_id), key=lambda a: a.revision)

    def sources_are(self, changed: Collection[uuid.UUID], sources: Iterable[tuple[str, str, uuid.UUID]]) -> None:
        self.inhibitors = {each for each in self.inhibitors if each[2] not in changed} | set(sources)

    def sources_of(self, wanted: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], Sequence[uuid.UUID]]:
        return {pair: [each[2] for each in self.inhibitors if each[:2] == pair][:2] for pair in wanted}

    def standing(self, alert_ids: Collection[uuid.UUID]) -> Mapping[tuple[uuid.UUID, str], Standing]:
        pairs = {pair for pair in self.told if pair[0] in alert_ids}
        pairs |= {(a, r) for (a, _, r), line in self.lines.items() if line.pending and a in alert_ids}
        return {
            pair: Standing(
                told=pair in self.told,
                waiting=any(
                    line.pending and line.fate is Fate.WAITING
                    for (a, _, r), line in self.lines.items()
                    if (a, r) == pair
                ),
            )
            for pair in pairs
        }

    def groups(self, group_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Group]:
        return {each: self.kept[each] for each in group_ids if each in self.kept}

    def enter(self, entries: Sequence[Entry], groups: Sequence[Group], now_us: int) -> None:
        self.kept.update({each.group_id: each for each in groups})
        for entry in entries:
            fate = Fate.WAITING if entry.cause is None else entry.cause.fate
            for (alert_id, revision, name), line in self.lines.items():
                if (alert_id, name) == (entry.alert_id, entry.route) and line.pending and revision < entry.revision:
                    line.entry = replace(entry, revision=revision)
                    line.fate, line.pending = fate, not entry.over
            key = (entry.alert_id, entry.revision, entry.route)
            entered_us = self.lines[key].entered_us if key in self.lines else now_us
            self.lines[key] = Line(entry, fate, not entry.over, self.alerts[key[:2]], entered_us)

    def due(self, now_us: int, longest_wait_us: int) -> Sequence[Group]:
        return [
            g for g in self.kept.values() if g.due_us is not None and not now_us < g.due_us <= now_us + longest_wait_us
        ]

    def waiting_in(self, group_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Sequence[Alert]]:
        newest: dict[tuple[uuid.UUID, str], Line] = {}
        for (alert_id, _, name), line in sorted(self.lines.items(), key=lambda each: each[0][1]):
            if line.pending and line.fate is Fate.WAITING and line.entry.group_id in group_ids:
                newest[alert_id, name] = line
        found: dict[uuid.UUID, list[Alert]] = defaultdict(list)
        for line in newest.values():
            found[line.entry.group_id].append(line.alert)
        return {each: sorted(alerts, key=lambda a: -a.severity)[:TOLD_AT_ONCE] for each, alerts in found.items()}

    def open_in(self, group_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Collection[uuid.UUID]]:
        return {g: {a for (a, _), (each, _) in self.told.items() if each == g} for g in group_ids}

    def settle(self, told: Sequence[Told], groups: Sequence[Group], now_us: int) -> None:
        self.kept.update({each.group_id: each for each in groups})
        for one in told:
            for (alert_id, revision, name), line in self.lines.items():
                if (alert_id, name) == (one.alert_id, one.route) and line.pending and revision <= one.revision:
                    line.fate = Fate.DELIVERED if one.alone and revision == one.revision else Fate.GROUPED
                    line.pending, line.deliveries = False, one.deliveries
            if one.cleared:
                self.told.pop((one.alert_id, one.route), None)
            else:
                self.told[one.alert_id, one.route] = (one.group_id, one.revision)

    def repeats(self, now_us: int, longest_us: int) -> Sequence[tuple[Group, Sequence[Alert], int]]:
        found = []
        for each in self.kept.values():
            if each.repeat_us is not None and not now_us < each.repeat_us <= now_us + longest_us:
                alerts = [self.newest(a) for (a, _), (g, _) in self.told.items() if g == each.group_id]
                alerts = [a for a in alerts if a.cleared_at_us is None and a.acknowledged_at_us is None]
                found.append((each, alerts, len(alerts)))
        return found

    def lapsed(self, silences: Sequence[Silence], now_us: int) -> list[tuple[Alert, str]]:
        in_force = {each.silence_id for each in silences}
        found: dict[tuple[uuid.UUID, str], Alert] = {}
        for (alert_id, _, name), line in sorted(self.lines.items(), key=lambda each: each[0][1]):
            cause = line.entry.cause
            if not line.pending or cause is None:
                continue
            others = [i for i in self.inhibitors if i[:2] == (cause.name, cause.key) and i[2] != alert_id]
            over = {
                Fate.HELD: cause.until_us is not None and cause.until_us <= now_us,
                Fate.SILENCED: cause.about not in in_force,
                Fate.INHIBITED: not others,
            }
            if over[line.fate]:
                found[alert_id, name] = line.alert
        return [(alert, name) for (_, name), alert in found.items()]


def an_alert(severity: Severity = Severity.HIGH, *, area: str | None = None, **changes: Any) -> Alert:
    facts: dict[str, Any] = {
        "alert_id": uuid.uuid4(),
        "revision": 2,
        "realm": "live",
        "rule": "geofence_entry",
        "subject": "mmsi:431002123",
        "subject_label": "HAKATA MARU",
        "track_id": None,
        "position": None,
        "because": "because.geofence_entry",
        "because_params": {},
        "evidence": (),
        "opened_at_us": 0,
        "observed_at_us": 0,
        "recorded_at_us": 0,
    }
    return Alert(severity=severity, area=area, **(facts | changes))


def publish(body: bytes, *, routing_key: str, message_id: str) -> bool:
    raise AssertionError("planning sends nothing")


def planned_at(
    now_us: int,
    *alerts: Alert,
    book: MemoryBook,
    policy: Policy,
    silences: Sequence[Silence] = (),
    channels: Sequence[Channel] = (AmqpChannel(publish),),
) -> list[PlannedDelivery]:
    """One round."""
    book.alerts.update({(alert.alert_id, alert.revision): alert for alert in alerts})
    around = Surroundings(
        area_names={"tsushima-east": AreaName(ja="対馬東", en="Tsushima east")},
        channels=channels,
        policy=policy,
        book=book,
        now_us=now_us,
        silences=silences,
        released=book.lapsed(silences, now_us),
        acts={(a.alert_id, a.revision) for a in alerts if a.acknowledged_at_us == a.recorded_at_us},
    )
    return plan_deliveries(alerts, around)


def planned(*alerts: Alert, policy: str = AT_ONCE) -> list[PlannedDelivery]:
    return planned_at(0, *alerts, book=MemoryBook(), policy=parse_policy(policy))


def test_a_revision_is_delivered_once_with_its_key_its_identity_and_its_areas_name() -> None:
    # given
    alert = an_alert(area="tsushima-east")
    # when
    (told,) = planned(alert)
    # then
    assert told.problem is None
    assert told.delivery_id == delivery_id(alert.alert_id, 2, "amqp")
    assert told.routing_key == "alert.high.tsushima-east.geofence_entry"
    assert told.body["area"] == {"slug": "tsushima-east", "name": {"ja": "対馬東", "en": "Tsushima east"}}
    assert told.body["event"] == "revised"


def test_an_alert_about_no_area_has_none_in_its_key() -> None:
    (told,) = planned(an_alert())
    assert told.routing_key == "alert.high.none.geofence_entry"


def test_the_worst_goes_first_and_equals_stay_in_order() -> None:
    severities = [Severity.LOW, Severity.HIGH, Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM]
    alerts = [an_alert(s) for s in severities]
    assert [p.alert_id for p in planned(*alerts)] == [alerts[i].alert_id for i in (2, 1, 3, 4, 0)]


def test_an_alert_that_breaks_the_schema_becomes_a_delivery_with_its_problem_and_stops_no_other() -> None:
    # given one alert whose rule has a name that the schema does not allow
    bad, good = an_alert(rule="No Such Rule"), an_alert()
    # when
    told = {p.alert_id: p for p in planned(bad, good)}
    # then
    assert told[good.alert_id].problem is None
    problem = told[bad.alert_id].problem
    assert problem is not None
    assert "rule" in problem


def test_more_members_than_a_message_names_are_counted() -> None:
    alerts = [an_alert(Severity.MEDIUM, subject=f"mmsi:{i}") for i in range(NAMED_MEMBERS + 20)]
    policy = AT_ONCE.replace('["..."]', '["rule"]')
    (told,) = planned(*alerts, policy=policy)
    assert told.problem is None
    grouped = told.body["grouped"]
    assert (len(grouped["members"]), grouped["more"], grouped["open"]) == (NAMED_MEMBERS, 20, NAMED_MEMBERS + 20)


def test_members_whose_keys_differ_come_by_different_messages_so_that_every_team_gets_what_it_is_bound_to() -> None:
    alerts = [an_alert(area=area, subject=f"mmsi:{i}") for i, area in enumerate(["a", "a", "b", "b"])]
    told = planned(*alerts, policy=AT_ONCE.replace('["..."]', '["rule"]'))
    assert sorted(p.routing_key for p in told) == ["alert.high.a.geofence_entry", "alert.high.b.geofence_entry"]
    assert all(len(p.body["grouped"]["members"]) == 2 for p in told)


class EachAlone:
    """A channel whose messages are about one alert each, as a CAP message is."""

    name = "each-alone"

    def plan(self, notice: Notice) -> PlannedDelivery:
        return replace(AmqpChannel(publish).plan(notice), channel=self.name, delivery_id=notice.message_id(self.name))


def test_a_channel_that_cannot_tell_of_several_gets_each_member_by_itself() -> None:
    alerts = [an_alert(Severity.MEDIUM, subject=f"mmsi:{i}") for i in range(3)]
    policy = parse_policy(AT_ONCE.replace('["..."]', '["rule"]'))
    told = planned_at(0, *alerts, book=MemoryBook(), policy=policy, channels=[AmqpChannel(publish), EachAlone()])
    assert [p.channel for p in told].count("amqp") == 1
    assert {p.alert_id for p in told if p.channel == "each-alone"} == {a.alert_id for a in alerts}
    assert len({p.delivery_id for p in told}) == 4


def test_two_alerts_that_would_inhibit_each_other_are_not_both_kept_from_people() -> None:
    policy = AT_ONCE + "".join(
        f'\n[[inhibitions]]\nname = "{a}"\nsource = ["rule = {b}"]\ntarget = ["rule = {c}"]\n'
        for a, b, c in (("one", "x", "y"), ("two", "y", "x"))
    )
    book, told = MemoryBook(), parse_policy(policy)
    first, second = an_alert(rule="x"), an_alert(rule="y")
    assert [p.alert_id for p in planned_at(0, first, second, book=book, policy=told)] == [first.alert_id]
    assert planned_at(1, replace(first, revision=3), book=book, policy=told)[0].alert_id == first.alert_id


def test_after_a_new_policy_what_inhibits_is_found_among_what_is_open() -> None:
    book, policy = MemoryBook(), parse_policy(WAITS)
    source = an_alert(rule="distress")
    around = Surroundings(area_names={}, channels=[], policy=policy, book=book, now_us=0)
    find_sources([source, an_alert(rule="ais_gap")], around)
    assert book.inhibitors == {("known", source.subject, source.alert_id)}


def test_a_message_tells_a_critical_one_by_itself_also_when_it_is_repeated() -> None:
    book, policy = MemoryBook(), parse_policy(WAITS)
    alerts = [
        an_alert(s, subject=f"mmsi:{i}") for i, s in enumerate([Severity.CRITICAL, Severity.CRITICAL, Severity.LOW])
    ]
    assert len(planned_at(0, *alerts, book=book, policy=policy)) == 2
    planned_at(10 * US_PER_S, book=book, policy=policy)
    again = planned_at(600 * US_PER_S, book=book, policy=policy)
    assert [len(p.body["grouped"]["members"]) for p in again] == [1, 1, 1]
    assert all(p.body["grouped"]["repeat"] for p in again)


class Watch(RuleBasedStateMachine):
    """Alerts open, change and clear, silences come and go, time passes, and the process may die between any two rounds:
    nothing but the book is handed from one round to the next, so every round here is the first after a start."""

    @initialize()
    def begin(self) -> None:
        self.book, self.policy = MemoryBook(), parse_policy(WAITS)
        self.now_us = 1_000 * US_PER_S
        self.open: dict[uuid.UUID, Alert] = {}
        self.silences: list[Silence] = []
        self.outbox: list[Alert] = []
        self.sent: list[tuple[tuple[int, int], PlannedDelivery]] = []
        """With the moment and the number of the round in which each was planned."""
        self.rounds = 0
        self.acts = self.made = 0

    @rule(
        name=st.sampled_from(["ais_gap", "geofence_entry", "distress"]),
        severity=st.sampled_from(list(Severity)),
        subject=st.integers(1, 3),
    )
    def open_one(self, name: str, severity: Severity, subject: int) -> None:
        self.made += 1
        self._change(
            an_alert(
                severity,
                alert_id=uuid.UUID(int=self.made),
                rule=name,
                subject=f"mmsi:{subject}",
                revision=1,
                recorded_at_us=self.now_us,
            )
        )

    @rule(data=st.data(), severity=st.sampled_from(list(Severity)))
    def revise(self, data: st.DataObject, severity: Severity) -> None:
        if self.open:
            alert = self.open[data.draw(st.sampled_from(sorted(self.open)))]
            self._change(replace(alert, severity=severity, revision=alert.revision + 1, recorded_at_us=self.now_us))

    @rule(data=st.data())
    def clear(self, data: st.DataObject) -> None:
        if self.open:
            alert = self.open[data.draw(st.sampled_from(sorted(self.open)))]
            self._change(
                replace(alert, cleared_at_us=self.now_us, revision=alert.revision + 1, recorded_at_us=self.now_us)
            )

    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        waiting = [each for each, alert in self.open.items() if alert.acknowledged_at_us is None]
        if waiting:
            alert = self.open[data.draw(st.sampled_from(sorted(waiting)))]
            self.acts += 1
            self._change(
                replace(
                    alert,
                    acknowledged_at_us=self.now_us,
                    acknowledged_by="sato",
                    revision=alert.revision + 1,
                    recorded_at_us=self.now_us,
                )
            )

    @rule(subject=st.integers(1, 3), for_s=st.integers(1, 300))
    def begin_silence(self, subject: int, for_s: int) -> None:
        self.silences.append(
            Silence(
                silence_id=uuid.UUID(int=10**6 + len(self.silences)),
                matcher=Matcher(subject=f"mmsi:{subject}"),
                reason="r",
                author="sato",
                created_at_us=self.now_us,
                expires_at_us=self.now_us + for_s * US_PER_S,
            )
        )

    @rule(for_s=st.sampled_from([1, 5, 10, 60, 400]))
    def time_passes(self, for_s: int) -> None:
        for _ in range(min(for_s, 8)):  # a round a second, or a few over a longer time
            self._round()
            self.now_us += for_s * US_PER_S // min(for_s, 8)
        self._round()

    @rule()
    def look(self) -> None:
        self._round()

    def _change(self, alert: Alert) -> None:
        self.outbox.append(alert)
        if alert.cleared_at_us is None:
            self.open[alert.alert_id] = alert
        else:
            del self.open[alert.alert_id]

    def _round(self) -> None:
        in_force = [each for each in self.silences if each.in_force(self.now_us)]
        alerts, self.outbox = self.outbox, []
        self.rounds += 1
        for told in planned_at(self.now_us, *alerts, book=self.book, policy=self.policy, silences=in_force):
            assert told.problem is None
            self.sent.append(((self.now_us, self.rounds), told))

    @invariant()
    def every_revision_is_in_the_account_once_and_what_ended_as_told_is_in_a_message(self) -> None:
        taken = {key for key in self.book.alerts if self.book.alerts[key] not in self.outbox}
        assert taken == {key[:2] for key in self.book.lines}
        sent = {told.delivery_id: told for _, told in self.sent}
        for (alert_id, revision, _), line in self.book.lines.items():
            if line.fate not in (Fate.DELIVERED, Fate.GROUPED):
                continue
            assert line.deliveries
            told = sent[line.deliveries[0]]
            named = told.body.get("grouped", {}).get("members", [told.body])
            assert any(m["alert_id"] == str(alert_id) and m["revision"] >= revision for m in named)

    @invariant()
    def nothing_waits_longer_than_its_waits_and_nothing_critical_waits_at_all(self) -> None:
        for line in self.book.lines.values():
            if line.pending:
                assert line.alert.severity < Severity.CRITICAL
            if line.pending and line.fate is Fate.WAITING:
                due_us = self.book.kept[line.entry.group_id].due_us
                assert due_us is not None
                assert due_us <= self.now_us + 60 * US_PER_S

    @invariant()
    def what_is_held_back_is_held_back_by_something_that_is_so(self) -> None:
        for (alert_id, _, _), line in self.book.lines.items():
            cause = line.entry.cause
            if not line.pending or cause is None:
                continue
            if line.fate is Fate.INHIBITED:
                about = self.book.newest(cause.about) if cause.about else None
                assert about is not None
                assert cause.about != alert_id
            else:
                assert line.fate is Fate.SILENCED
                assert line.entry.route == "minds-silences"

    @invariant()
    def no_group_speaks_more_often_than_its_settings_allow(self) -> None:
        # a group speaks at the end of its interval, at two rises of its severity at most, and when somebody acts; each
        # time in a message a key, of which there are three here: low, medium and high
        spoken: dict[str, Counter[tuple[int, int]]] = defaultdict(Counter)
        for moment, told in self.sent:
            repeat = told.body.get("grouped", {}).get("repeat", False)
            if not repeat and told.severity is not Severity.CRITICAL:
                spoken[told.body["rule"]][moment] += 1
        for moments in spoken.values():
            assert max(moments.values()) <= 3
            for first_us, _ in moments:
                within = [us for us, _ in moments if first_us <= us < first_us + 60 * US_PER_S]
                assert len(within) <= 3 + self.acts

    def teardown(self) -> None:
        """When everything ends and time goes on, everybody has been told of everything that they had to be told of."""
        if not hasattr(self, "book"):
            return
        self.silences.clear()
        for alert in list(self.open.values()):
            if alert.rule == "distress":
                self._change(replace(alert, cleared_at_us=self.now_us, revision=alert.revision + 1))
        for _ in range(8):
            self._round()
            self.now_us += 61 * US_PER_S
        assert not any(line.pending for line in self.book.lines.values())
        for alert in self.open.values():
            assert any(alert_id == alert.alert_id for alert_id, _ in self.book.told)
        assert {alert_id for alert_id, _ in self.book.told} == set(self.open)


TestWatch = Watch.TestCase
TestWatch.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
