"""Daily partitions, made when a row of their day comes; what is too late or too far ahead goes to DEFAULT."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import text
from sqlalchemy.orm import Session

from command.domain.clock import US_PER_S, from_us

LATE_DAYS: Final = 31
"""A row observed more than this many days before it is recorded makes no partition."""
AHEAD_DAYS: Final = 1
"""Nor does one that claims a day further ahead than this: a wrong clock must not fill the database with partitions."""

_DAY_US: Final = 86_400 * US_PER_S
_PARENTS: Final = ("observation", "track_state")
_SURE: Final = "days"
"""Where a session, which is one transaction (engine.realm_session), keeps the days that it is sure of."""


def ensure_days(session: Session, observed_at_us: npt.NDArray[np.int64], *, recorded_at_us: int) -> int:
    """Make the missing partitions of both histories for these times, (n,) int64; returns how many were made.

    A new partition takes over what DEFAULT holds of its day, so every row of a day is in one place. What this
    session made sure of is not asked again: a flush saves observations and the states made of them.
    """
    today = recorded_at_us // _DAY_US
    days = np.unique(observed_at_us // _DAY_US)
    near = days[(days >= today - LATE_DAYS) & (days <= today + AHEAD_DAYS)].tolist()
    sure: set[int] = session.info.setdefault(_SURE, set())
    wanted = [day for day in near if day not in sure]
    if not wanted:
        return 0
    dates = [from_us(0).date() + timedelta(days=day) for day in wanted]
    made = session.execute(
        text(
            "SELECT sum(ensure_partitions(parent, cast(:days AS date[]))) FROM unnest(cast(:parents AS text[])) parent"
        ),
        {"days": dates, "parents": list(_PARENTS)},
    ).scalar_one()
    sure.update(wanted)
    return int(made)
