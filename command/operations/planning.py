"""Planning: the outbox and what waited become deliveries, in one transaction, by whoever plans at the time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from alerts.message import AreaName
from alerts.pipeline import (
    TOLD_AT_ONCE,
    Channel,
    PlannedDelivery,
    Surroundings,
    find_sources,
    plan_deliveries,
    plan_plainly,
)
from alerts.policy import pressing
from command.domain.alert import Alert
from command.domain.clock import US_PER_S, Clock
from command.domain.geo import Position
from command.domain.realm import Realm
from command.operations.alert_policy import InForce, PolicyFile
from command.operations.triage import Gazetteer
from command.store.areas import areas_revision, latest_areas
from command.store.deliveries import Delivery, DeliveryState, events_without_delivery, save_deliveries
from command.store.engine import StoreNotMigrated, StoreUnavailable, realm_session
from command.store.facilities import list_facilities
from command.store.notices import (
    NoticeBook,
    Planner,
    forget_groups,
    hold_planner,
    keep_policy,
    lapsed,
    last_policy,
    open_alerts,
    revisions_by_people,
)
from command.store.silences import silences_in_force
from maps.areas import AreaIndex

AT_ONCE: Final = 250
"""So many revisions a round: a critical one that comes meanwhile waits for no more than these, and then goes first."""
_FORGET_AFTER_US: Final = 2 * 86_400 * US_PER_S
_FORGET_EVERY_US: Final = 3_600 * US_PER_S

_Plan = Callable[[Sequence[Alert], Surroundings], list[PlannedDelivery]]
_log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """What a round came to. more: there may be more to do at once."""

    deliveries: Sequence[Delivery]
    more: bool


class Places:
    """What the stages are told of where an alert lies: names of areas, the area that it lies in, and the place in
    words. Areas are read again when they change; facilities, which change rarely, at a start and with the areas."""

    def __init__(self) -> None:
        self.area_names: Mapping[str, AreaName] = {}
        self._gazetteer = Gazetteer(())
        self._index = AreaIndex()
        self._revision: int | None = None

    def look(self, session: Session) -> None:
        revision = areas_revision(session)
        if revision == self._revision:
            return
        areas = latest_areas(session)
        self.area_names = {area.slug: AreaName(ja=area.name_ja, en=area.name_en) for area in areas}
        self._index = AreaIndex([area for area in areas if not area.retired])
        self._gazetteer = Gazetteer(list_facilities(session))
        self._revision = revision

    def place_of(self, position: Position | None) -> AreaName | None:
        if position is None:
            return None
        return AreaName(ja=self._gazetteer.place(position, "ja"), en=self._gazetteer.place(position, "en"))

    def owners(self, alerts: Sequence[Alert]) -> list[str | None]:
        """The slug of the area that each alert is about; of one about none, of the narrowest that it lies in."""
        lon = np.array([np.nan if a.position is None else a.position.lon for a in alerts], dtype=np.float64)
        lat = np.array([np.nan if a.position is None else a.position.lat for a in alerts], dtype=np.float64)
        found: list[str | None] = [alert.area for alert in alerts]
        if not len(self._index) or not alerts:
            return found
        narrowest: dict[int, float] = {}
        for point, area in zip(*self._index.containing(lon, lat), strict=True):
            width_m = float(self._index.half_width_m[area])
            if alerts[point].area is None and width_m < narrowest.get(int(point), np.inf):
                narrowest[int(point)] = width_m
                found[int(point)] = self._index.areas[area].slug
        return found


class Planning:
    """The planning of one realm. What it holds between two rounds is read anew at a start.

    known_channels: names that a policy may use, also of channels that do not serve this realm.
    """

    def __init__(
        self,
        engine: Engine,
        realm: Realm,
        *,
        clock: Clock,
        channels: Sequence[Channel],
        policy_file: Path | None,
        known_channels: Collection[str] = (),
    ) -> None:
        self._engine, self._realm, self._clock = engine, realm, clock
        self._channels = channels
        known = {*known_channels, *(channel.name for channel in channels)}
        self._policy_file = PolicyFile(policy_file, channels=known)
        self._places = Places()
        self._forgot_us = 0
        self.trouble: str | None = None

    def round(self) -> Planned:
        """Plan what there is; where something is pressing, that alone, so that it waits for nothing else.

        Raises StoreUnavailable and StoreNotMigrated; then nothing of it was kept.
        """
        try:
            with realm_session(self._engine, self._realm) as session:
                return self._planned(session, plan_deliveries)
        except (StoreUnavailable, StoreNotMigrated):
            raise
        except Exception as exc:  # noqa: BLE001 - an alert must reach people, whatever the policy makes of another one
            _log.exception("planning_failed")
            with realm_session(self._engine, self._realm) as session:
                planned = self._planned(session, plan_plainly)
            self.trouble = (
                f"planning failed ({type(exc).__name__}: {exc}): every alert goes out at once and by itself. "
                "Report it with dispatch's log"
            )
            return planned

    def _planned(self, session: Session, plan: _Plan) -> Planned:
        planner = hold_planner(session)
        if planner is None:  # another dispatcher plans; what it plans is sent by both
            return Planned(deliveries=(), more=False)
        now_us = self._clock.now_us()
        in_force = self._policy_file.in_force(stored=lambda: last_policy(session))
        self.trouble = in_force.trouble
        self._places.look(session)
        book = NoticeBook(session, self._realm, told_at_once=TOLD_AT_ONCE)
        silences = silences_in_force(session, now_us)
        around = Surroundings(
            area_names=self._places.area_names,
            channels=self._channels,
            policy=in_force.policy,
            book=book,
            now_us=now_us,
            silences=silences,
            place_of=self._places.place_of,
            owners=self._places.owners,
        )
        policy_at_us = self._take_policy(session, planner, in_force, book, around)
        found = events_without_delivery(session, AT_ONCE)
        urgent = {alert.alert_id for alert in found if pressing(alert) is not None}
        alerts = [alert for alert in found if alert.alert_id in urgent] or found
        book.only_these = bool(urgent)
        in_force_ids = [silence.silence_id for silence in silences]
        released = (
            ()
            if book.only_these
            else lapsed(session, in_force=in_force_ids, policy_at_us=policy_at_us, now_us=now_us, limit=AT_ONCE)
        )
        acts = revisions_by_people(session, alerts)
        deliveries = [_stored(each, now_us) for each in plan(alerts, replace(around, released=released, acts=acts))]
        save_deliveries(session, deliveries, planned=alerts)
        book.close()
        if not self._forgot_us <= now_us < self._forgot_us + _FORGET_EVERY_US:
            forget_groups(session, now_us - _FORGET_AFTER_US)
            self._forgot_us = now_us
        full = book.full or AT_ONCE in (len(found), len(released))
        return Planned(deliveries=deliveries, more=book.only_these or full)

    @staticmethod
    def _take_policy(
        session: Session, planner: Planner, in_force: InForce, book: NoticeBook, around: Surroundings
    ) -> int:
        """Since when the policy is in force. With a new one, what inhibits is found anew, and what is held back is
        looked at again."""
        if planner.policy == in_force.policy.text and planner.policy_at_us is not None:
            return planner.policy_at_us
        keep_policy(session, in_force.policy.text, around.now_us)
        book.forget_sources()
        find_sources(open_alerts(session), around)
        return around.now_us


def _stored(plan: PlannedDelivery, now_us: int) -> Delivery:
    return Delivery(
        delivery_id=plan.delivery_id,
        alert_id=plan.alert_id,
        revision=plan.revision,
        channel=plan.channel,
        routing_key=plan.routing_key,
        body=plan.body,
        created_at_us=now_us,
        state=DeliveryState.PENDING if plan.problem is None else DeliveryState.DEAD,
        last_error=plan.problem,
    )
