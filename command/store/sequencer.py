"""Numbers that rise by one, given in the order of commit: the row stays locked until the transaction ends."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from command.store.tables import SEQUENCER

Counted = Literal["flush", "area", "rule", "note", "shift", "handover"]


def take_next(session: Session, name: Counted) -> int:
    """The next number. Whoever asks at the same time waits for this transaction's end, so a reader that has seen n
    has seen all up to n."""
    counted = update(SEQUENCER).where(SEQUENCER.c.name == name).values(seq=SEQUENCER.c.seq + 1)
    taken: int = session.execute(counted.returning(SEQUENCER.c.seq)).scalar_one()
    return taken


def hold(session: Session, name: Counted) -> int:
    """The last number, with the row locked until the transaction ends: no one takes the next meanwhile."""
    held: int = session.execute(select(SEQUENCER.c.seq).where(SEQUENCER.c.name == name).with_for_update()).scalar_one()
    return held


def last(session: Session, name: Counted) -> int:
    """The last number that was given and committed; 0 before the first."""
    found: int = session.execute(select(SEQUENCER.c.seq).where(SEQUENCER.c.name == name)).scalar_one()
    return found
