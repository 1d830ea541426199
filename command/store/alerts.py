"""Alerts: findings become revisions of one alert an episode, each an append-only event with its evidence copied."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from sqlalchemy import Row, and_, false, func, insert, not_, or_, select, text
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from command.domain.alert import Alert, AlertEventKind, Finding, FindingKind, Severity
from command.domain.alert_acts import ActRefused, acknowledged
from command.domain.ids import alert_id as alert_id_of
from command.domain.realm import Realm
from command.domain.silence import Matcher
from command.store.alert_rows import READ, alert_columns, alert_from_json, alert_json, alert_of, plain
from command.store.engine import realm_of
from command.store.evidence import copy_evidence
from command.store.jsonb import clean_text
from command.store.notify import notify
from command.store.tables import ALERT, ALERT_EVENT, ALERT_OUTBOX

MAX_ALERTS: Final = 10_000
"""No query gives more alerts than this, whatever its limit."""


_UNANSWERED: Final = text(
    """
    (called IS NULL OR NOT EXISTS (
        SELECT FROM jsonb_array_elements(responses) AS stands
        WHERE stands ->> 'state' <> 'declined'
            AND (called -> 'teams' @> jsonb_build_array(stands -> 'team') OR called -> 'teams' @> '["*"]')
    ))
    """
)
"""Of a row of `alert`: what escalation.next_call_at_us sees in it."""


class UnknownAlert(LookupError):
    """No alert of this realm has the id."""


class AlreadyAcknowledged(RuntimeError):
    """Someone else was first; `alert` says who and when."""

    def __init__(self, alert: Alert) -> None:
        super().__init__(f"alert {alert.alert_id} was acknowledged by {alert.acknowledged_by} before")
        self.alert = alert


@dataclass(frozen=True, kw_only=True, slots=True)
class AlertEvent:
    """One thing that happened to an alert: it and the alert as it was then are never changed."""

    event_id: int
    alert_id: uuid.UUID
    revision: int
    kind: AlertEventKind
    recorded_at_us: int
    actor: str | None
    alert: Alert
    evidence_missing: tuple[bytes, ...]
    """observation_ids that this revision cites and that were not found in the realm's observations."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Acted:
    """What came of an act on many alerts: each of them is in one of the three."""

    done: Sequence[Alert]
    """As they are after it."""
    refused: Sequence[tuple[Alert, ActRefused]]
    unknown: Sequence[uuid.UUID]


def record_findings(
    session: Session, realm: Realm, findings: Sequence[Finding], *, labels: Mapping[str, str], now_us: int
) -> list[Alert]:
    """Turn findings into alerts; returns each alert that changed, once, as it is after the last of its findings.

    labels: subject -> what a person calls it; the subject itself where missing. now_us: the realm's time.
    The same finding twice changes nothing: OPENED of a known episode, REVISED with nothing new, CLEARED of a
    cleared one. REVISED of an unknown episode opens it, CLEARED of an unknown one records it as over; REVISED of a
    cleared one opens it again. A revision that raises the severity takes an acknowledgement back, because a person
    has to look again; while an officer's escalation stands, no rule lowers it. Cited observations are copied to
    `evidence`; ids not found are named in the event.
    """
    ids = [alert_id_of(realm.name, f.rule, f.subject, f.area, f.episode_start_us) for f in findings]
    if not ids:
        return []
    known = {
        row["alert_id"]: alert_of(row, realm)
        for row in session.execute(select(*READ).where(ALERT.c.alert_id.in_(set(ids))).with_for_update()).mappings()
    }
    changed: dict[uuid.UUID, Alert] = {}
    for alert_id, finding in zip(ids, findings, strict=True):
        before = known.get(alert_id)
        label = labels.get(finding.subject, before.subject_label if before else finding.subject)
        after = _applied(before, finding, alert_id=alert_id, realm=realm, label=label, now_us=now_us)
        if after is None:
            continue
        _save(session, after, AlertEventKind(finding.kind.value), actor=None, cited=finding)
        known[alert_id] = changed[alert_id] = after
    if changed:
        notify(session, {"alerts": len(changed)})
    return list(changed.values())


def _applied(
    before: Alert | None, finding: Finding, *, alert_id: uuid.UUID, realm: Realm, label: str, now_us: int
) -> Alert | None:
    """The alert after a finding; None where nothing changes."""
    over = finding.kind is FindingKind.CLEARED
    fresh = Alert(
        alert_id=alert_id,
        revision=1,
        realm=realm.name,
        rule=finding.rule,
        severity=finding.severity,
        subject=finding.subject,
        subject_label=label,
        area=finding.area,
        track_id=finding.track_id,
        position=finding.position,
        because=finding.because,
        because_params=plain(finding.because_params),
        evidence=tuple(dict.fromkeys(finding.evidence)),
        opened_at_us=finding.episode_start_us,
        observed_at_us=finding.observed_at_us,
        recorded_at_us=now_us,
        cleared_at_us=finding.observed_at_us if over else None,
        waiting_since_us=now_us,
    )
    if before is None:
        return fresh
    if finding.kind is FindingKind.OPENED or (over and before.cleared_at_us is not None):
        return None
    worse = finding.severity > before.severity
    raised = before.escalated_at_us is not None
    seen = before.acknowledged_at_us is not None
    waits_anew = before.cleared_at_us is not None or (worse and seen)
    after = replace(
        fresh,
        revision=before.revision + 1,
        severity=max(finding.severity, before.severity) if raised else finding.severity,
        rule_severity=finding.severity if raised else None,
        escalated_by=before.escalated_by,
        escalated_at_us=before.escalated_at_us,
        escalation_reason=before.escalation_reason,
        assigned_to=before.assigned_to,
        assigned_by=before.assigned_by,
        assigned_at_us=before.assigned_at_us,
        responses=before.responses,
        track_id=finding.track_id or before.track_id,
        position=finding.position or before.position,
        evidence=tuple(dict.fromkeys((*before.evidence, *finding.evidence))),
        acknowledged_at_us=None if worse else before.acknowledged_at_us,
        acknowledged_by=None if worse else before.acknowledged_by,
        comment=None if worse else before.comment,
        waiting_since_us=None if seen and not worse else now_us if waits_anew else before.waiting_since_us,
        call=None if waits_anew else before.call,
    )
    unmoved = replace(
        after, revision=before.revision, recorded_at_us=before.recorded_at_us, observed_at_us=before.observed_at_us
    )
    return None if unmoved == before else after


def _save(
    session: Session,
    alert: Alert,
    kind: AlertEventKind,
    *,
    actor: str | None,
    cited: Finding | None,
    delivered: bool = True,
) -> None:
    columns = alert_columns(alert)
    session.execute(
        upsert(ALERT).values(columns).on_conflict_do_update(index_elements=[ALERT.c.alert_id], set_=columns)
    )
    missing = copy_evidence(session, alert.alert_id, cited) if cited is not None else ()
    session.execute(
        insert(ALERT_EVENT).values(
            alert_id=alert.alert_id,
            revision=alert.revision,
            kind=kind.value,
            recorded_at=alert.recorded_at_us,
            actor=actor,
            alert=alert_json(alert),
            evidence_missing=list(missing),
        )
    )
    if delivered:
        session.execute(insert(ALERT_OUTBOX).values(alert_id=alert.alert_id, revision=alert.revision))


def acknowledge_alert(session: Session, alert_id: uuid.UUID, *, by: str, comment: str, now_us: int) -> Alert:
    """`by` (a login) takes note of the alert. Of two at the same time one wins.

    Raises UnknownAlert, and AlreadyAcknowledged, whose `alert` says who was first.
    """

    def acknowledge(before: Alert) -> Alert:
        return acknowledged(before, by=clean_text(by), comment=clean_text(comment), now_us=now_us)

    acted = act_on_alerts(session, [alert_id], acknowledge, kind=AlertEventKind.ACKNOWLEDGED, by=by)
    if acted.refused:
        raise AlreadyAcknowledged(acted.refused[0][0])
    if not acted.done:
        raise UnknownAlert(f"there is no alert {alert_id} in {realm_of(session).name}; reload the list")
    return acted.done[0]


def act_on_alerts(
    session: Session,
    alert_ids: Sequence[uuid.UUID],
    act: Callable[[Alert], Alert],
    *,
    kind: AlertEventKind,
    by: str,
    delivered: bool = True,
) -> Acted:
    """Do `act` (see domain/alert_acts.py) to each alert that allows it, as a revision by `by` (a login).

    The alerts are locked in the order of their ids, so that two acts on many never wait for each other in a circle.
    delivered: whether the revision goes out to the teams.
    """
    done: list[Alert] = []
    refused: list[tuple[Alert, ActRefused]] = []
    before = lock_alerts(session, alert_ids)
    for alert in before:
        try:
            after = act(alert)
        except ActRefused as exc:
            refused.append((alert, exc))
            continue
        _save(session, after, kind, actor=clean_text(by), cited=None, delivered=delivered)
        done.append(after)
    if done:
        notify(session, {"alerts": len(done)})
    known = {alert.alert_id for alert in before}
    return Acted(done=done, refused=refused, unknown=[each for each in dict.fromkeys(alert_ids) if each not in known])


def get_alert(session: Session, alert_id: uuid.UUID) -> Alert | None:
    """The alert as it is now, or None where the realm has none of this id."""
    row = session.execute(select(*READ).where(ALERT.c.alert_id == alert_id)).mappings().one_or_none()
    return None if row is None else alert_of(row, realm_of(session))


def alerts_by_id(session: Session, alert_ids: Sequence[uuid.UUID]) -> list[Alert]:
    """Those of the alerts that there are, in no order."""
    realm = realm_of(session)
    rows = session.execute(select(*READ).where(ALERT.c.alert_id.in_(set(alert_ids)))).mappings()
    return [alert_of(row, realm) for row in rows]


def lock_alerts(session: Session, alert_ids: Sequence[uuid.UUID]) -> list[Alert]:
    """Those of the alerts that there are; no one changes or locks them until this transaction ends."""
    if not alert_ids:
        return []
    locked = select(*READ).where(ALERT.c.alert_id.in_(set(alert_ids))).order_by(ALERT.c.alert_id).with_for_update()
    realm = realm_of(session)
    return [alert_of(row, realm) for row in session.execute(locked).mappings()]


def list_alerts(
    session: Session, *, limit: int, include_cleared: bool = False, track_id: uuid.UUID | None = None
) -> list[Alert]:
    """Alerts in the order of triage: severity, unacknowledged first, newest first.

    An alert leaves the list when it is cleared AND acknowledged (what came and went unseen stays until someone has
    looked), unless include_cleared. track_id: those of one track only.
    """
    query = select(*READ).order_by(
        ALERT.c.severity.desc(), ALERT.c.acknowledged_at.is_not(None), ALERT.c.opened_at.desc(), ALERT.c.alert_id
    )
    if not include_cleared:
        query = query.where(or_(ALERT.c.cleared_at.is_(None), ALERT.c.acknowledged_at.is_(None)))
    if track_id is not None:
        query = query.where(ALERT.c.track_id == track_id)
    realm = realm_of(session)
    return [alert_of(row, realm) for row in session.execute(query.limit(min(limit, MAX_ALERTS))).mappings()]


def count_open_alerts(session: Session) -> int:
    """How many alerts list_alerts has without a limit."""
    query = select(func.count()).select_from(ALERT)
    return session.execute(
        query.where(or_(ALERT.c.cleared_at.is_(None), ALERT.c.acknowledged_at.is_(None)))
    ).scalar_one()


def open_alerts_by_severity(session: Session) -> dict[Severity, tuple[int, int]]:
    """(how many count_open_alerts counts, how many of these nobody acknowledged), by severity."""
    query = (
        select(
            ALERT.c.severity,
            func.count().label("open"),
            func.count().filter(ALERT.c.acknowledged_at.is_(None)).label("waiting"),
        )
        .where(or_(ALERT.c.cleared_at.is_(None), ALERT.c.acknowledged_at.is_(None)))
        .group_by(ALERT.c.severity)
    )
    found = {Severity(row.severity): (row.open, row.waiting) for row in session.execute(query)}
    return {severity: found.get(severity, (0, 0)) for severity in sorted(Severity, reverse=True)}


def alerts_to_call(
    session: Session, since_us: Mapping[Severity, int], *, silenced: Sequence[Matcher], limit: int
) -> list[uuid.UUID]:
    """Alerts that wait to be acknowledged, and that nobody was called about, since the time given for their severity;
    without those that a team which was called has answered and not declined.

    The worst first, then those that wait longest. since_us: by severity; alerts of a severity that is not in it are
    left out, and so are those of `silenced` that a silence can keep quiet.
    """
    begun = func.coalesce(ALERT.c.called_at, ALERT.c.waiting_since)
    waiting = [and_(ALERT.c.severity == int(severity), begun <= us) for severity, us in since_us.items()]
    quiet = [
        and_(
            *(
                column == wanted
                for column, wanted in ((ALERT.c.rule, m.rule), (ALERT.c.subject, m.subject), (ALERT.c.area, m.area))
                if wanted is not None
            )
        )
        for m in silenced
    ]
    query = select(ALERT.c.alert_id).where(
        ALERT.c.acknowledged_at.is_(None), ALERT.c.cleared_at.is_(None), or_(false(), *waiting), _UNANSWERED
    )
    if quiet:
        heard = or_(ALERT.c.severity == int(Severity.CRITICAL), ALERT.c.escalated_at.is_not(None))
        query = query.where(or_(heard, not_(func.coalesce(or_(*quiet), false()))))
    return list(session.execute(query.order_by(ALERT.c.severity.desc(), begun).limit(limit)).scalars())


def alert_events(session: Session, alert_id: uuid.UUID) -> list[AlertEvent]:
    """What happened to the alert, first to last; empty for an unknown id."""
    rows = session.execute(
        select(ALERT_EVENT).where(ALERT_EVENT.c.alert_id == alert_id).order_by(ALERT_EVENT.c.revision)
    )
    return [_event(row) for row in rows]


def _event(row: Row[Any]) -> AlertEvent:
    return AlertEvent(
        event_id=row.event_id,
        alert_id=row.alert_id,
        revision=row.revision,
        kind=AlertEventKind(row.kind),
        recorded_at_us=row.recorded_at,
        actor=row.actor,
        alert=alert_from_json(row.alert),
        evidence_missing=tuple(row.evidence_missing),
    )


def counts_by_rule(session: Session) -> dict[str, int]:
    """rule -> how many alerts it has raised in this realm, cleared ones too."""
    rows = session.execute(
        select(ALERT.c.rule, func.count().label("raised")).group_by(ALERT.c.rule).order_by(ALERT.c.rule)
    )
    return {row.rule: row.raised for row in rows}
