"""Planning on a real PostGIS: groups, waits, inhibitions, silences and quiet hours, all of it true after a restart."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Engine

from alerts.channels.amqp import AmqpChannel
from command.domain.alert import Alert, Finding, FindingKind, Severity
from command.domain.clock import US_PER_S
from command.domain.geo import Position
from command.domain.notice import Fate
from command.domain.realm import Realm
from command.domain.silence import Matcher, Silence
from command.operations.planning import Planning
from command.services import Endpoints
from command.store.alerts import acknowledge_alert, record_findings
from command.store.deliveries import Delivery
from command.store.engine import make_engine, realm_session
from command.store.migrations import ensure_realm, migrate
from command.store.notices import account, account_of
from command.store.silences import begin_silences, end_silence

REALM = Realm.parse("drill-planning")
START_US = 1_790_000_000 * US_PER_S
POLICY = """
[route]
group_by = ["rule", "area"]
group_wait = "10s"
group_interval = "1m"
repeat_interval = "1h"

[[route.routes]]
name = "quiet"
match = ["rule = geofence_exit"]
quiet = ["night"]
hold_silenced = true

[[inhibitions]]
name = "gap-in-distress"
source = ["rule = drone_link_lost"]
target = ["rule = ais_gap"]
equal = ["subject"]

[[hours]]
name = "night"
times = ["22:00-06:00"]
"""


@dataclass
class HandClock:
    """A realm's clock that the test moves."""

    us: int = START_US

    def now_us(self) -> int:
        return self.us


def never(body: bytes, *, routing_key: str, message_id: str) -> bool:
    raise AssertionError("planning sends nothing")


@dataclass
class Desk:
    """A realm whose planning the test drives round by round; areas keep the tests of one database apart."""

    engine: Engine
    policy: Path
    clock: HandClock
    area: str = field(default_factory=lambda: f"a{uuid.uuid4().hex[:8]}")
    planning: Planning = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """The process dies and comes back: only what is stored is left."""
        self.planning = Planning(
            self.engine, REALM, clock=self.clock, channels=[AmqpChannel(never)], policy_file=self.policy
        )

    def round(self, after_s: float = 0.0) -> list[Delivery]:
        """What goes out now, `after_s` later."""
        self.clock.us += round(after_s * US_PER_S)
        deliveries: list[Delivery] = []
        while True:
            planned = self.planning.round()
            deliveries += planned.deliveries
            if not planned.more:
                return deliveries

    def finding(self, severity: Severity = Severity.MEDIUM, *, subject: str = "mmsi:1", **changes: Any) -> Finding:
        facts: dict[str, Any] = {
            "kind": FindingKind.OPENED,
            "rule": "geofence_entry",
            "severity": severity,
            "subject": subject,
            "area": self.area,
            "episode_start_us": START_US,
            "observed_at_us": self.clock.us,
            "position": Position(lon=129.44, lat=34.68),
            "because": "because.geofence_entry",
        }
        return Finding(**(facts | changes))

    def record(self, *findings: Finding) -> list[Alert]:
        with realm_session(self.engine, REALM) as session:
            return record_findings(session, REALM, findings, labels={}, now_us=self.clock.us)

    def raised(self, *severities: Severity, rule: str = "geofence_entry") -> list[Alert]:
        return self.record(*(self.finding(s, subject=f"mmsi:{i}", rule=rule) for i, s in enumerate(severities, 1)))

    def cleared(self, alert: Alert) -> None:
        self.record(self.finding(alert.severity, subject=alert.subject, kind=FindingKind.CLEARED, rule=alert.rule))

    def silenced(self, *, until_s: float, **matcher: str) -> Silence:
        made = Silence(
            silence_id=uuid.uuid4(),
            matcher=Matcher(area=self.area, **matcher),
            reason="訓練の標的",
            author="sato",
            created_at_us=self.clock.us,
            expires_at_us=self.clock.us + round(until_s * US_PER_S),
        )
        with realm_session(self.engine, REALM) as session:
            begin_silences(session, [made])
        return made

    def fates(self, alert: Alert) -> list[Fate]:
        with realm_session(self.engine, REALM) as session:
            return [line.fate for line in account_of(session, alert.alert_id)]


@pytest.fixture(scope="module")
def engine(endpoints: Endpoints, database_template: str) -> Iterator[Engine]:
    name = f"planning_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(endpoints.database_url, autocommit=True) as admin:
        admin.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(sql.Identifier(name), sql.Identifier(database_template))
        )
    made = make_engine(psycopg.conninfo.make_conninfo(endpoints.database_url, dbname=name))
    migrate(made)
    ensure_realm(made, REALM, clock=None)
    yield made
    made.dispose()
    with psycopg.connect(endpoints.database_url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


_CLOCK = HandClock()


@pytest.fixture
def desk(engine: Engine, tmp_path: Path) -> Desk:
    policy = tmp_path / "alerts.toml"
    policy.write_text(POLICY, "utf-8")
    _CLOCK.us += 7 * 86_400 * US_PER_S  # what an earlier test left open has been told again by then, and is over
    made = Desk(engine, policy, _CLOCK)
    made.round()
    return made


def members(delivery: Delivery) -> list[tuple[str, str]]:
    return [(m["subject"], m["event"]) for m in delivery.body["grouped"]["members"]]


def of(deliveries: Sequence[Delivery], desk: Desk) -> list[Delivery]:
    return [each for each in deliveries if desk.area in each.routing_key]


def test_what_comes_within_the_group_wait_goes_out_as_one_message_that_names_each(desk: Desk) -> None:
    # given three alerts of one group
    alerts = desk.raised(Severity.MEDIUM, Severity.MEDIUM, Severity.MEDIUM)
    assert of(desk.round(), desk) == []
    assert [desk.fates(alert) for alert in alerts] == [[Fate.WAITING]] * 3
    # when the wait is over
    (told,) = of(desk.round(after_s=10), desk)
    # then
    assert sorted(members(told)) == [("mmsi:1", "opened"), ("mmsi:2", "opened"), ("mmsi:3", "opened")]
    assert told.body["grouped"]["open"] == 3
    assert told.body["grouped"]["by"] == {"rule": "geofence_entry", "area": desk.area}
    assert "mmsi:2" in told.body["because"]["en"] or "mmsi:3" in told.body["because"]["en"]
    assert [desk.fates(alert) for alert in alerts] == [[Fate.GROUPED]] * 3
    assert of(desk.round(after_s=600), desk) == []


def test_a_critical_one_goes_out_at_once_by_itself_and_leaves_the_others_waiting(desk: Desk) -> None:
    low, critical = desk.raised(Severity.MEDIUM, Severity.CRITICAL)
    (told,) = of(desk.round(), desk)
    assert told.alert_id == critical.alert_id
    assert "grouped" not in told.body
    assert (desk.fates(low), desk.fates(critical)) == ([Fate.WAITING], [Fate.DELIVERED])
    (later,) = of(desk.round(after_s=10), desk)
    assert (later.alert_id, "grouped" in later.body) == (low.alert_id, False)


def test_one_that_makes_the_group_worse_goes_out_at_once_and_an_equal_one_waits_for_the_interval(desk: Desk) -> None:
    desk.raised(Severity.LOW)
    assert len(of(desk.round(after_s=10) + desk.round(after_s=10), desk)) == 1
    # when the group becomes worse
    desk.record(desk.finding(Severity.HIGH, subject="mmsi:7"))
    (told,) = of(desk.round(after_s=1), desk)
    assert told.routing_key.startswith("alert.high.")
    # and then as bad again
    desk.record(desk.finding(Severity.HIGH, subject="mmsi:8"))
    assert of(desk.round() + desk.round(after_s=58), desk) == []
    assert len(of(desk.round(after_s=3), desk)) == 1


def test_when_members_clear_the_group_says_so(desk: Desk) -> None:
    alerts = desk.raised(Severity.MEDIUM, Severity.MEDIUM, Severity.MEDIUM)
    desk.round()
    desk.round(after_s=10)
    desk.cleared(alerts[0])
    desk.cleared(alerts[1])
    told = of(desk.round() + desk.round(after_s=60), desk)
    assert len(told) == 1
    assert sorted(members(told[0])) == [("mmsi:1", "cleared"), ("mmsi:2", "cleared")]
    assert (told[0].body["grouped"]["open"], told[0].body["grouped"]["cleared"]) == (1, 2)


def test_revisions_that_come_together_are_told_as_the_last_of_them(desk: Desk) -> None:
    (alert,) = desk.raised(Severity.LOW)
    desk.record(desk.finding(Severity.MEDIUM, kind=FindingKind.REVISED))
    desk.round()
    desk.cleared(replace(alert, severity=Severity.MEDIUM))
    (told,) = of(desk.round(after_s=10), desk)
    assert (told.body["revision"], told.body["event"]) == (3, "cleared")
    assert desk.fates(alert) == [Fate.GROUPED, Fate.GROUPED, Fate.DELIVERED]


def test_what_is_open_and_acknowledged_by_nobody_is_told_again(desk: Desk) -> None:
    alerts = desk.raised(Severity.MEDIUM, Severity.MEDIUM)
    desk.round()
    desk.round(after_s=10)
    with realm_session(desk.engine, REALM) as session:
        acknowledge_alert(session, alerts[0].alert_id, by="sato", comment="", now_us=desk.clock.us)
    assert len(of(desk.round(after_s=61), desk)) == 1  # the acknowledgement, at once
    assert of(desk.round(after_s=3_000), desk) == []
    (told,) = of(desk.round(after_s=600), desk)
    assert told.body["grouped"]["repeat"] is True
    assert [m["alert_id"] for m in told.body["grouped"]["members"]] == [str(alerts[1].alert_id)]
    # and no more when the last is over
    desk.cleared(alerts[1])
    assert len(of(desk.round() + desk.round(after_s=61), desk)) == 1
    assert of(desk.round(after_s=8_000), desk) == []


def test_what_another_alert_inhibits_goes_out_when_that_is_over_and_it_is_still_open(desk: Desk) -> None:
    # given an alert that inhibits those about the same subject
    (source,) = desk.record(desk.finding(Severity.HIGH, rule="drone_link_lost"))
    desk.round(after_s=1)
    same, other = desk.raised(Severity.MEDIUM, Severity.MEDIUM, rule="ais_gap")
    desk.round()
    told = of(desk.round(after_s=10), desk)
    assert same.alert_id not in {each.alert_id for each in told}
    assert other.alert_id in {each.alert_id for each in told}
    with realm_session(desk.engine, REALM) as session:
        (line,) = account_of(session, same.alert_id)
    assert (line.fate, line.cause, line.about, line.pending) == (
        Fate.INHIBITED,
        "gap-in-distress",
        source.alert_id,
        True,
    )
    # when the source is over
    desk.restart()
    desk.cleared(source)
    told = [each for _ in range(3) for each in of(desk.round(after_s=61), desk)]
    assert same.alert_id in {each.alert_id for each in told}
    assert desk.fates(same) == [Fate.DELIVERED]


def test_what_was_inhibited_and_is_over_before_its_source_is_told_to_nobody_and_stays_in_the_account(
    desk: Desk,
) -> None:
    desk.record(desk.finding(Severity.HIGH, rule="drone_link_lost"))
    desk.round(after_s=1)
    (gone,) = desk.raised(Severity.MEDIUM, rule="ais_gap")
    desk.round()
    desk.cleared(gone)
    told = [each for _ in range(4) for each in of(desk.round(after_s=61), desk)]
    assert gone.alert_id not in {each.alert_id for each in told}
    with realm_session(desk.engine, REALM) as session:
        assert [(line.fate, line.pending) for line in account_of(session, gone.alert_id)] == [
            (Fate.INHIBITED, False),
            (Fate.INHIBITED, False),
        ]


def test_a_route_that_minds_silences_holds_back_until_the_silence_is_over_and_others_do_not(desk: Desk) -> None:
    at_day_us = (desk.clock.us // (86_400 * US_PER_S)) * 86_400 * US_PER_S + 3 * 3_600 * US_PER_S  # noon in Japan
    desk.clock.us = at_day_us + 86_400 * US_PER_S
    silence = desk.silenced(until_s=600)
    held = desk.raised(Severity.MEDIUM, rule="geofence_exit")[0]
    free = desk.raised(Severity.MEDIUM)[0]
    desk.round()
    assert [each.alert_id for each in of(desk.round(after_s=10), desk)] == [free.alert_id]
    with realm_session(desk.engine, REALM) as session:
        (line,) = account_of(session, held.alert_id)
    assert (line.fate, line.cause, line.about, line.until_us) == (
        Fate.SILENCED,
        "sato",
        silence.silence_id,
        silence.expires_at_us,
    )
    # when somebody ends it before its time
    with realm_session(desk.engine, REALM) as session:
        end_silence(session, silence.silence_id, by="mori", now_us=desk.clock.us)
    desk.round(after_s=1)
    assert [each.alert_id for each in of(desk.round(after_s=10), desk)] == [held.alert_id]


def test_quiet_hours_hold_back_until_their_end_but_never_a_critical_one(desk: Desk) -> None:
    at_night_us = (desk.clock.us // (86_400 * US_PER_S)) * 86_400 * US_PER_S + 14 * 3_600 * US_PER_S  # 23:00 in Japan
    desk.clock.us = at_night_us + 86_400 * US_PER_S
    held, critical = desk.raised(Severity.MEDIUM, Severity.CRITICAL, rule="geofence_exit")
    assert [each.alert_id for each in of(desk.round() + desk.round(after_s=60), desk)] == [critical.alert_id]
    with realm_session(desk.engine, REALM) as session:
        (line,) = account_of(session, held.alert_id)
    assert (line.fate, line.cause) == (Fate.HELD, "night")
    assert line.until_us == at_night_us + (86_400 + 7 * 3_600) * US_PER_S
    # when the night is over, after a restart
    desk.restart()
    assert of(desk.round(after_s=7 * 3_600 - 61), desk) != [held.alert_id]
    told = of(desk.round(after_s=2) + desk.round(after_s=10), desk)
    assert held.alert_id in {each.alert_id for each in told}


def test_the_account_adds_up(desk: Desk) -> None:
    desk.raised(Severity.MEDIUM, Severity.CRITICAL, Severity.LOW)
    desk.round()
    with realm_session(desk.engine, REALM) as session:
        told = account(session)
    assert told.taken == sum(told.ended.values()) + sum(told.pending.values())
    assert Counter(told.pending)[Fate.WAITING] >= 1


def test_a_clock_set_back_keeps_nothing_waiting(desk: Desk) -> None:
    (alert,) = desk.raised(Severity.MEDIUM)
    desk.round()
    desk.clock.us -= 3_600 * US_PER_S
    assert [each.alert_id for each in of(desk.round(), desk)] == [alert.alert_id]


def test_what_breaks_the_planning_of_one_alert_keeps_none_from_people(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a defect that one alert meets
    def fails(notices: object, around: object) -> None:
        raise ZeroDivisionError("a defect")

    alerts = desk.raised(Severity.MEDIUM, Severity.LOW)
    monkeypatch.setattr("alerts.pipeline.STAGES", (fails,))
    # then everything goes out by itself, and the operator is told
    told = of(desk.round(), desk)
    assert {each.alert_id for each in told} == {alert.alert_id for alert in alerts}
    assert "planning failed (ZeroDivisionError: a defect)" in str(desk.planning.trouble)


def test_a_revision_that_became_critical_is_told_with_those_before_it(desk: Desk) -> None:
    (alert,) = desk.raised(Severity.MEDIUM)
    desk.record(desk.finding(Severity.CRITICAL, kind=FindingKind.REVISED))
    told = of(desk.round(), desk)
    assert [(each.alert_id, each.revision) for each in told] == [(alert.alert_id, 2)]
    assert desk.fates(alert) == [Fate.GROUPED, Fate.DELIVERED]
    assert of(desk.round(after_s=61), desk) == []
