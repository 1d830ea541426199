"""Silences: rows that are begun, ended early by somebody, or over when the realm's clock says so."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import func, insert, or_, select, update
from sqlalchemy.orm import Session

from command.domain.silence import Matcher, Silence
from command.store.jsonb import clean_text
from command.store.notify import notify
from command.store.tables import ALERT, SILENCE

MAX_SILENCES: Final = 1_000
"""No query gives more than this, whatever its limit."""


class UnknownSilence(LookupError):
    """No silence of this realm has the id."""


class SilenceOver(RuntimeError):
    """It ended before; `silence` says when and by whom."""

    def __init__(self, silence: Silence) -> None:
        super().__init__(f"silence {silence.silence_id} is over; reload the list")
        self.silence = silence


def begin_silences(session: Session, silences: Sequence[Silence]) -> None:
    """Keep new silences and tell every screen."""
    session.execute(
        insert(SILENCE),
        [
            {
                "silence_id": each.silence_id,
                "rule": each.matcher.rule,
                "subject": each.matcher.subject,
                "area": each.matcher.area,
                "reason": clean_text(each.reason),
                "author": each.author,
                "created_at": each.created_at_us,
                "expires_at": each.expires_at_us,
            }
            for each in silences
        ],
    )
    notify(session, {"alerts": 0})


def end_silence(session: Session, silence_id: uuid.UUID, *, by: str, now_us: int) -> Silence:
    """End it before its time. now_us: the realm's time. Raises UnknownSilence, SilenceOver."""
    row = session.execute(select(SILENCE).where(SILENCE.c.silence_id == silence_id).with_for_update()).one_or_none()
    if row is None:
        raise UnknownSilence(f"there is no silence {silence_id}; reload the list")
    silence = _silence(row)
    if not silence.in_force(now_us):
        raise SilenceOver(silence)
    ended = session.execute(
        update(SILENCE)
        .where(SILENCE.c.silence_id == silence_id)
        .values(ended_at=now_us, ended_by=by)
        .returning(*SILENCE.c)
    ).one()
    notify(session, {"alerts": 0})
    return _silence(ended)


def silences_in_force(session: Session, now_us: int) -> list[Silence]:
    """Those that quiet something now, the one that ends first at the top. now_us: the realm's time."""
    query = select(SILENCE).where(SILENCE.c.ended_at.is_(None), SILENCE.c.expires_at > now_us)
    rows = session.execute(query.order_by(SILENCE.c.expires_at, SILENCE.c.silence_id).limit(MAX_SILENCES))
    return [_silence(row) for row in rows]


def list_silences(session: Session, *, since_us: int, limit: int) -> list[tuple[Silence, int]]:
    """Silences that were in force at or after since_us, the newest first, each with how many alerts it was about.

    An alert counts where it matched and was open while the silence was in force.
    """
    over = func.coalesce(SILENCE.c.ended_at, SILENCE.c.expires_at)
    matched = (
        select(func.count())
        .select_from(ALERT)
        .where(
            or_(SILENCE.c.rule.is_(None), SILENCE.c.rule == ALERT.c.rule),
            or_(SILENCE.c.subject.is_(None), SILENCE.c.subject == ALERT.c.subject),
            or_(SILENCE.c.area.is_(None), SILENCE.c.area == ALERT.c.area),
            ALERT.c.opened_at < over,
            or_(ALERT.c.cleared_at.is_(None), ALERT.c.cleared_at >= SILENCE.c.created_at),
        )
        .correlate(SILENCE)
        .scalar_subquery()
    )
    query = select(*SILENCE.c, matched.label("matched")).where(over >= since_us)
    rows = session.execute(query.order_by(SILENCE.c.created_at.desc(), SILENCE.c.silence_id).limit(min(limit, 200)))
    return [(_silence(row), row.matched) for row in rows]


def _silence(row: Any) -> Silence:
    return Silence(
        silence_id=row.silence_id,
        matcher=Matcher(rule=row.rule, subject=row.subject, area=row.area),
        reason=row.reason,
        author=row.author,
        created_at_us=row.created_at,
        expires_at_us=row.expires_at,
        ended_at_us=row.ended_at,
        ended_by=row.ended_by,
    )
