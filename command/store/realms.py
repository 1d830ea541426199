"""The realms there are and the clock of each: stored, so that every process of a realm sees the same time."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, delete, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from command.domain.clock import Clock, DataClock, ScenarioClock, SystemClock
from command.domain.realm import Realm
from command.store.engine import shared_session
from command.store.tables import REALM


class UnknownRealm(LookupError):
    """A realm that was never made in this database."""


def _clock_columns(clock: Clock | None) -> dict[str, Any]:
    columns: dict[str, Any] = {"scenario_start_us": None, "host_start_us": None, "speed": None, "latest_us": None}
    if isinstance(clock, ScenarioClock):
        return columns | {
            "clock": "scenario",
            "scenario_start_us": clock.scenario_start_us,
            "host_start_us": clock.host_start_us,
            "speed": clock.speed,
        }
    if isinstance(clock, DataClock):
        return columns | {"clock": "data", "latest_us": clock.latest_us}
    return columns | {"clock": "system"}


def add_realm(session: Session, realm: Realm, *, clock: ScenarioClock | DataClock | None, now_us: int) -> None:
    """List a realm with its clock; one that is listed already keeps its own. now_us: the host's time."""
    session.execute(
        insert(REALM).values(name=realm.name, created_at=now_us, **_clock_columns(clock)).on_conflict_do_nothing()
    )


def forget_realm(session: Session, realm: Realm) -> None:
    session.execute(delete(REALM).where(REALM.c.name == realm.name))


def list_realms(engine: Engine) -> list[Realm]:
    """Every realm of the database, by name."""
    with shared_session(engine) as session:
        return [Realm.parse(name) for name in session.scalars(select(REALM.c.name).order_by(REALM.c.name))]


def load_realm_clock(session: Session, realm: Realm) -> Clock:
    """The realm's clock as stored: SystemClock, ScenarioClock, or a DataClock at the latest time that was saved.

    Raises UnknownRealm.
    """
    row = session.execute(select(REALM).where(REALM.c.name == realm.name)).one_or_none()
    if row is None:
        raise UnknownRealm(f"there is no realm {realm.name} in this database; start it once with `mizugiwa up`")
    if row.clock == "scenario":
        return ScenarioClock(scenario_start_us=row.scenario_start_us, host_start_us=row.host_start_us, speed=row.speed)
    if row.clock == "data":
        return DataClock(latest_us=row.latest_us)
    return SystemClock()


def save_realm_clock(session: Session, realm: Realm, clock: Clock) -> None:
    """Give the realm this clock. Raises UnknownRealm."""
    changed = session.execute(update(REALM).where(REALM.c.name == realm.name).values(**_clock_columns(clock)))
    if changed.rowcount == 0:  # type: ignore[attr-defined]  # Session.execute of an UPDATE gives a CursorResult
        raise UnknownRealm(f"there is no realm {realm.name} in this database; start it once with `mizugiwa up`")
