"""The roster, versioned: each change of a shift is a new row. Times are the realm's."""

from __future__ import annotations

import uuid
from typing import Any, Final

from sqlalchemy import Row, Select, func, insert, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from command.domain.roster import Shift, WatchRole
from command.store.notify import notify
from command.store.sequencer import hold, last, take_next
from command.store.tables import SHIFT_VERSION

MAX_SHIFTS: Final = 5_000
"""No query gives more than this."""


def shifts_between(session: Session, from_us: int, until_us: int) -> list[Shift]:
    """The newest version of each shift that is on the roster and overlaps the time, in order of their beginning."""
    newest = _newest().subquery()
    query = select(newest).where(~newest.c.removed, newest.c.from_at < until_us, newest.c.until_at > from_us)
    rows = session.execute(query.order_by(newest.c.from_at, newest.c.login, newest.c.shift_id).limit(MAX_SHIFTS))
    return [_shift(row) for row in rows]


def _newest() -> Select[Any]:
    versions = SHIFT_VERSION.c
    return (
        select(SHIFT_VERSION).order_by(versions.shift_id, versions.version.desc()).ext(distinct_on(versions.shift_id))
    )


def shift_versions(session: Session, shift_id: uuid.UUID) -> list[Shift]:
    """Every version of a shift, the newest first; empty where there is no such shift."""
    query = select(SHIFT_VERSION).where(SHIFT_VERSION.c.shift_id == shift_id)
    return [_shift(row) for row in session.execute(query.order_by(SHIFT_VERSION.c.version.desc()))]


def shift_changes(session: Session, since_us: int, until_us: int) -> list[Shift]:
    """Every version that was written from since_us on and before until_us, first to last."""
    written = SHIFT_VERSION.c.changed_at
    query = select(SHIFT_VERSION).where(written >= since_us, written < until_us)
    return [_shift(row) for row in session.execute(query.order_by(SHIFT_VERSION.c.revision).limit(MAX_SHIFTS))]


def roster_began_us(session: Session) -> int | None:
    """When the first shift was written; None where the roster never held one."""
    found: int | None = session.execute(
        select(func.min(SHIFT_VERSION.c.changed_at, type_=SHIFT_VERSION.c.changed_at.type))
    ).scalar_one()
    return found


def roster_revision(session: Session) -> int:
    """A number that rises when any shift changes; 0 before the first."""
    return last(session, "shift")


def hold_roster(session: Session) -> None:
    """No one changes the roster until this transaction ends: what is read from now on may be decided upon."""
    hold(session, "shift")


def append_shift(session: Session, shift: Shift) -> None:
    """Store the next version of a shift, or the first of a new one, and tell every console."""
    revision = take_next(session, "shift")
    session.execute(
        insert(SHIFT_VERSION).values(
            shift_id=shift.shift_id,
            version=shift.version,
            login=shift.login,
            role=shift.role.value,
            team=shift.team,
            areas=list(shift.areas),
            skills=list(shift.skills),
            from_at=shift.from_us,
            until_at=shift.until_us,
            changed_by=shift.changed_by,
            changed_at=shift.changed_at_us,
            removed=shift.removed,
            revision=revision,
        )
    )
    notify(session, {"roster": revision})


def _shift(row: Row[Any]) -> Shift:
    return Shift(
        shift_id=row.shift_id,
        version=row.version,
        login=row.login,
        role=WatchRole(row.role),
        team=row.team,
        areas=tuple(row.areas),
        skills=tuple(row.skills),
        from_us=row.from_at,
        until_us=row.until_at,
        changed_by=row.changed_by,
        changed_at_us=row.changed_at,
        removed=row.removed,
    )
