"""Notices: the account of every revision on every route, the groups and their timers, and what inhibits what.

Every statement is about a whole round's rows: a round costs the same few statements for one alert and for five hundred.
"""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import bindparam, delete, func, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from command.domain.alert import Alert, Severity
from command.domain.clock import from_us
from command.domain.notice import AccountLine, Entry, Fate, Group, Standing, Told
from command.domain.realm import Realm
from command.store.alert_rows import READ, alert_from_json, alert_of
from command.store.engine import realm_of
from command.store.jsonb import json_text
from command.store.tables import ALERT, ALERT_EVENT, INHIBITOR, NOTICE, NOTICE_GROUP, NOTICE_TOLD, PLANNER

MAX_GROUPS: Final = 25
"""This many groups are told in one round."""

_ENTER: Final = text("""
INSERT INTO notice
    (alert_id, revision, route, group_id, severity, fate, pending, cause, cause_key, about, until, decided_at)
SELECT d.alert_id, d.revision, d.route, d.group_id, d.severity, d.fate, d.pending, d.cause, d.cause_key, d.about,
    d.until, :now
FROM json_to_recordset(:rows) AS d(alert_id uuid, revision int, route text, group_id uuid, severity smallint, fate text,
    pending boolean, cause text, cause_key text, about uuid, until timestamptz)
ON CONFLICT (alert_id, revision, route) DO UPDATE SET group_id = excluded.group_id, fate = excluded.fate,
    pending = excluded.pending, cause = excluded.cause, cause_key = excluded.cause_key, about = excluded.about,
    until = excluded.until, decided_at = excluded.decided_at
RETURNING (xmax = 0) AS is_new, pending, fate
""")
_FOLLOW: Final = text("""
UPDATE notice n SET group_id = d.group_id, fate = d.fate, pending = d.pending, cause = d.cause, cause_key = d.cause_key,
    about = d.about, until = d.until, decided_at = :now
FROM json_to_recordset(:rows) AS d(alert_id uuid, revision int, route text, group_id uuid, fate text, pending boolean,
    cause text, cause_key text, about uuid, until timestamptz)
WHERE n.alert_id = d.alert_id AND n.route = d.route AND n.revision < d.revision AND n.pending
RETURNING n.pending, n.fate
""")
_SETTLE: Final = text("""
UPDATE notice n SET fate = CASE WHEN d.alone AND n.revision = d.revision THEN 'delivered' ELSE 'grouped' END,
    pending = false, cause = NULL, cause_key = NULL, about = NULL, until = NULL, deliveries = d.deliveries,
    decided_at = :now
FROM json_to_recordset(:rows) AS d(alert_id uuid, revision int, route text, alone boolean, deliveries uuid[])
WHERE n.alert_id = d.alert_id AND n.route = d.route AND n.revision <= d.revision AND n.pending
RETURNING n.fate
""")
_OPENED: Final = text("""
INSERT INTO notice_told (alert_id, route, group_id, revision)
SELECT d.alert_id, d.route, d.group_id, d.revision
FROM json_to_recordset(:rows) AS d(alert_id uuid, route text, group_id uuid, revision int)
ON CONFLICT (alert_id, route) DO UPDATE SET group_id = excluded.group_id, revision = excluded.revision
""")
_CLOSED: Final = text("""
DELETE FROM notice_told t USING json_to_recordset(:rows) AS d(alert_id uuid, route text)
WHERE t.alert_id = d.alert_id AND t.route = d.route
""")
_WAITING: Final = text("""
SELECT group_id, alert FROM (
    SELECT w.group_id, e.alert,
        row_number() OVER (PARTITION BY w.group_id ORDER BY w.severity DESC, e.event_id) AS place
    FROM (
        SELECT DISTINCT ON (alert_id, route) alert_id, route, revision, group_id, severity
        FROM notice WHERE pending AND fate = 'waiting' AND group_id = ANY(:groups)
        ORDER BY alert_id, route, revision DESC
    ) w JOIN alert_event e USING (alert_id, revision)
) placed WHERE place <= :most ORDER BY group_id, place
""")
_LAPSED: Final = text("""
SELECT n.route, e.alert FROM (
    SELECT DISTINCT ON (alert_id, route) alert_id, route, revision FROM notice n
    WHERE pending AND fate <> 'waiting' AND (
        (fate = 'held' AND until <= :now)
        OR (fate = 'silenced' AND NOT about = ANY(:in_force))
        OR (fate = 'inhibited' AND NOT EXISTS (
            SELECT FROM inhibitor i WHERE i.inhibition = n.cause AND i.key = n.cause_key AND i.alert_id <> n.alert_id))
        OR decided_at < :policy_at
    ) ORDER BY alert_id, route, revision DESC LIMIT :most
) n JOIN alert_event e USING (alert_id, revision)
""")


@dataclass(frozen=True, kw_only=True, slots=True)
class Planner:
    """What the planning keeps beside its rows. policy: the last good one; policy_at_us: since when it is in force."""

    policy: str | None
    policy_at_us: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Account:
    """How many revisions were taken up (counted on each of their routes), and what became of them. taken is the sum."""

    taken: int
    ended: Mapping[Fate, int]
    pending: Mapping[Fate, int]


def hold_planner(session: Session) -> Planner | None:
    """Plan alone until the transaction ends; None where another dispatcher plans now."""
    row = session.execute(select(PLANNER).with_for_update(skip_locked=True)).one_or_none()
    return None if row is None else Planner(policy=row.policy, policy_at_us=row.policy_at)


def keep_policy(session: Session, policy: str, now_us: int) -> None:
    """From now on this policy is the last good one."""
    session.execute(update(PLANNER).values(policy=policy, policy_at=now_us))


def last_policy(session: Session) -> str | None:
    """The last policy that alerts were planned by; None before the first."""
    return session.execute(select(PLANNER.c.policy)).scalar_one_or_none()


def account(session: Session) -> Account:
    """The whole of the account, in numbers."""
    row = session.execute(select(PLANNER.c.taken, PLANNER.c.ended)).one()
    pending = session.execute(select(NOTICE.c.fate, func.count()).where(NOTICE.c.pending).group_by(NOTICE.c.fate))
    return Account(
        taken=row.taken,
        ended={Fate(fate): count for fate, count in row.ended.items()},
        pending={Fate(fate): count for fate, count in pending},
    )


def account_of(session: Session, alert_id: uuid.UUID) -> list[AccountLine]:
    """What became of each revision of an alert, first to last."""
    rows = session.execute(
        select(NOTICE).where(NOTICE.c.alert_id == alert_id).order_by(NOTICE.c.revision, NOTICE.c.route)
    )
    return [
        AccountLine(
            revision=row.revision,
            route=row.route,
            fate=Fate(row.fate),
            pending=row.pending,
            cause=row.cause,
            about=row.about,
            until_us=row.until,
            decided_at_us=row.decided_at,
            deliveries=tuple(row.deliveries),
        )
        for row in rows
    ]


def lapsed(
    session: Session, *, in_force: Collection[uuid.UUID], policy_at_us: int, now_us: int, limit: int
) -> list[tuple[Alert, str]]:
    """What was held back and has to be looked at again, with its route: its quiet hours, its silence (in_force: those
    that are not over) or what inhibited it has ended, or it was decided by an earlier policy."""
    rows = session.execute(
        _LAPSED,
        {"now": from_us(now_us), "in_force": list(in_force), "policy_at": from_us(policy_at_us), "most": limit},
    )
    return [(alert_from_json(row.alert), row.route) for row in rows]


def revisions_by_people(session: Session, alerts: Sequence[Alert]) -> set[tuple[uuid.UUID, int]]:
    """Those of the revisions that somebody made, by alert_id and revision."""
    if not alerts:
        return set()
    rows = session.execute(
        select(ALERT_EVENT.c.alert_id, ALERT_EVENT.c.revision).where(
            ALERT_EVENT.c.alert_id == func.any(_uuids(alert.alert_id for alert in alerts)),
            ALERT_EVENT.c.actor.is_not(None),
        )
    )
    return {(row.alert_id, row.revision) for row in rows}


def open_alerts(session: Session) -> list[Alert]:
    """Every alert that is open: what inhibits is found anew of these when the policy changes."""
    realm = realm_of(session)
    rows = session.execute(select(*READ).where(ALERT.c.cleared_at.is_(None)).order_by(ALERT.c.severity.desc()))
    return [alert_of(row, realm) for row in rows.mappings()]


class NoticeBook:
    """The Book of alerts/pipeline.py in one transaction.

    `full`: a limit was met, there may be more to do at once. `only_these`: no group is due in this round.
    """

    def __init__(self, session: Session, realm: Realm, *, told_at_once: int) -> None:
        self._session = session
        self._realm = realm
        self._told_at_once = told_at_once
        self._taken = 0
        self._ended: Counter[str] = Counter()
        self.full = False
        self.only_these = False

    def close(self) -> None:
        """Add what ended in this round to the account."""
        if not self._taken and not self._ended:
            return
        ended = self._session.execute(select(PLANNER.c.ended)).scalar_one()
        total = Counter(ended) + self._ended
        self._session.execute(update(PLANNER).values(taken=PLANNER.c.taken + self._taken, ended=dict(total)))

    def forget_sources(self) -> None:
        """Nothing inhibits anything any more; the sources are to be found anew."""
        self._session.execute(delete(INHIBITOR))

    def sources_are(self, changed: Collection[uuid.UUID], sources: Iterable[tuple[str, str, uuid.UUID]]) -> None:
        if changed:
            self._session.execute(delete(INHIBITOR).where(INHIBITOR.c.alert_id == func.any(_uuids(changed))))
        rows = [{"inhibition": name, "key": key, "alert_id": alert_id} for name, key, alert_id in sources]
        if rows:
            self._session.execute(upsert(INHIBITOR).on_conflict_do_nothing(), rows)

    def sources_of(self, wanted: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], Sequence[uuid.UUID]]:
        if not wanted:
            return {}
        rows = self._session.execute(
            text(
                "SELECT w.name, w.key, i.alert_id FROM json_to_recordset(:wanted) AS w(name text, key text) "
                "CROSS JOIN LATERAL (SELECT alert_id FROM inhibitor "
                "WHERE inhibition = w.name AND key = w.key LIMIT 2) i"
            ),
            {"wanted": json_text([{"name": name, "key": key} for name, key in wanted])},
        )
        found: dict[tuple[str, str], list[uuid.UUID]] = defaultdict(list)
        for row in rows:
            found[row.name, row.key].append(row.alert_id)
        return found

    def standing(self, alert_ids: Collection[uuid.UUID]) -> Mapping[tuple[uuid.UUID, str], Standing]:
        if not alert_ids:
            return {}
        rows = self._session.execute(
            text(
                "SELECT alert_id, route, bool_or(told) AS told, bool_or(waiting) AS waiting FROM ("
                "SELECT alert_id, route, true AS told, false AS waiting FROM notice_told WHERE alert_id = ANY(:ids) "
                "UNION ALL SELECT alert_id, route, false, fate = 'waiting' FROM notice "
                "WHERE pending AND alert_id = ANY(:ids)) both_kinds GROUP BY alert_id, route"
            ),
            {"ids": list(alert_ids)},
        )
        return {(row.alert_id, row.route): Standing(told=row.told, waiting=row.waiting) for row in rows}

    def groups(self, group_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Group]:
        if not group_ids:
            return {}
        rows = self._session.execute(select(NOTICE_GROUP).where(NOTICE_GROUP.c.group_id == func.any(_uuids(group_ids))))
        return {row.group_id: _group(row) for row in rows}

    def enter(self, entries: Sequence[Entry], groups: Sequence[Group], now_us: int) -> None:
        self._save(groups)
        if not entries:
            return
        rows = [_entry(each) for each in entries]
        now = from_us(now_us)
        for row in self._session.execute(_ENTER, {"rows": json_text(rows), "now": now}):
            self._taken += row.is_new
            if not row.pending:
                self._ended[row.fate] += 1
        newest = {(row["alert_id"], row["route"]): row for row in rows}
        followed = self._session.execute(_FOLLOW, {"rows": json_text(list(newest.values())), "now": now})
        self._ended.update(row.fate for row in followed if not row.pending)

    def due(self, now_us: int, longest_wait_us: int) -> Sequence[Group]:
        return self._timed(NOTICE_GROUP.c.due_at, now_us, longest_wait_us)

    def waiting_in(self, group_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Sequence[Alert]]:
        found: dict[uuid.UUID, list[Alert]] = defaultdict(list)
        if group_ids:
            for row in self._session.execute(_WAITING, {"groups": list(group_ids), "most": self._told_at_once}):
                found[row.group_id].append(alert_from_json(row.alert))
        self.full |= any(len(alerts) >= self._told_at_once for alerts in found.values())
        return found

    def open_in(self, group_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Collection[uuid.UUID]]:
        found: dict[uuid.UUID, set[uuid.UUID]] = defaultdict(set)
        if group_ids:
            query = select(NOTICE_TOLD.c.group_id, NOTICE_TOLD.c.alert_id)
            for row in self._session.execute(query.where(NOTICE_TOLD.c.group_id == func.any(_uuids(group_ids)))):
                found[row.group_id].add(row.alert_id)
        return found

    def settle(self, told: Sequence[Told], groups: Sequence[Group], now_us: int) -> None:
        self._save(groups)
        if not told:
            return
        rows = [
            {
                "alert_id": str(each.alert_id),
                "revision": each.revision,
                "route": each.route,
                "group_id": str(each.group_id),
                "alone": each.alone,
                "deliveries": [str(one) for one in each.deliveries],
                "cleared": each.cleared,
            }
            for each in told
        ]
        settled = self._session.execute(_SETTLE, {"rows": json_text(rows), "now": from_us(now_us)})
        self._ended.update(row.fate for row in settled)
        if opened := [row for row in rows if not row["cleared"]]:
            self._session.execute(_OPENED, {"rows": json_text(opened)})
        if closed := [row for row in rows if row["cleared"]]:
            self._session.execute(_CLOSED, {"rows": json_text(closed)})

    def repeats(self, now_us: int, longest_us: int) -> Sequence[tuple[Group, Sequence[Alert], int]]:
        groups = self._timed(NOTICE_GROUP.c.repeat_at, now_us, longest_us)
        if not groups:
            return ()
        place = func.row_number().over(
            partition_by=NOTICE_TOLD.c.group_id, order_by=(ALERT.c.severity.desc(), ALERT.c.opened_at, ALERT.c.alert_id)
        )
        count = func.count().over(partition_by=NOTICE_TOLD.c.group_id)
        placed = (
            select(*READ, NOTICE_TOLD.c.group_id, place.label("place"), count.label("open_alerts"))
            .join(ALERT, ALERT.c.alert_id == NOTICE_TOLD.c.alert_id)
            .where(
                NOTICE_TOLD.c.group_id == func.any(_uuids(each.group_id for each in groups)),
                ALERT.c.cleared_at.is_(None),
                ALERT.c.acknowledged_at.is_(None),
            )
            .subquery()
        )
        rows = self._session.execute(
            select(placed).where(placed.c.place <= self._told_at_once).order_by(placed.c.place)
        )
        alerts: dict[uuid.UUID, list[Alert]] = defaultdict(list)
        counts: dict[uuid.UUID, int] = {}
        for row in rows.mappings():
            alerts[row["group_id"]].append(alert_of(row, self._realm))
            counts[row["group_id"]] = row["open_alerts"]
        return [(each, alerts[each.group_id], counts.get(each.group_id, 0)) for each in groups]

    def _timed(self, column: Any, now_us: int, longest_us: int) -> Sequence[Group]:
        if self.only_these:
            return ()
        query = (
            select(NOTICE_GROUP)
            .where(or_(column <= now_us, column > now_us + longest_us))
            .order_by(NOTICE_GROUP.c.worst.desc().nulls_last(), column)
            .limit(MAX_GROUPS)
        )
        groups = [_group(row) for row in self._session.execute(query)]
        self.full |= len(groups) == MAX_GROUPS
        return groups

    def _save(self, groups: Sequence[Group]) -> None:
        if not groups:
            return
        kept = upsert(NOTICE_GROUP)
        changed = {name: kept.excluded[name] for name in ("due_at", "sent_at", "repeat_at", "messages", "worst")}
        self._session.execute(
            kept.on_conflict_do_update(index_elements=[NOTICE_GROUP.c.group_id], set_=changed),
            [
                {
                    "group_id": each.group_id,
                    "route": each.route,
                    "labels": dict(each.labels),
                    "due_at": each.due_us,
                    "sent_at": each.sent_us,
                    "repeat_at": each.repeat_us,
                    "messages": each.messages,
                    "worst": None if each.worst is None else int(each.worst),
                }
                for each in groups
            ],
        )


def forget_groups(session: Session, before_us: int) -> None:
    """Drop groups of which nothing waits, is repeated or was told since; one that is needed again is made anew."""
    group = NOTICE_GROUP.c
    session.execute(
        delete(NOTICE_GROUP).where(
            group.due_at.is_(None),
            group.repeat_at.is_(None),
            or_(group.sent_at.is_(None), group.sent_at < before_us),
        )
    )


def _uuids(values: Iterable[uuid.UUID]) -> Any:
    return bindparam(None, list(values), type_=NOTICE.c.deliveries.type)


def _entry(each: Entry) -> dict[str, Any]:
    cause = each.cause
    return {
        "alert_id": str(each.alert_id),
        "revision": each.revision,
        "route": each.route,
        "group_id": str(each.group_id),
        "severity": int(each.severity),
        "fate": (Fate.WAITING if cause is None else cause.fate).value,
        "pending": not each.over,
        "cause": None if cause is None else cause.name,
        "cause_key": None if cause is None else cause.key,
        "about": None if cause is None or cause.about is None else str(cause.about),
        "until": None if cause is None or cause.until_us is None else from_us(cause.until_us).isoformat(),
    }


def _group(row: Any) -> Group:
    return Group(
        group_id=row.group_id,
        route=row.route,
        labels=row.labels,
        due_us=row.due_at,
        sent_us=row.sent_at,
        repeat_us=row.repeat_at,
        messages=row.messages,
        worst=None if row.worst is None else Severity(row.worst),
    )
