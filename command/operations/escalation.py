"""Calls: dispatch calls the next of the roster about alerts that nobody acknowledges in time."""

from __future__ import annotations

from time import monotonic
from typing import Final

import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from command.domain.alert import Alert, AlertEventKind
from command.domain.alert_acts import called
from command.domain.clock import Clock
from command.domain.escalation import EscalationRules, line_up, next_call
from command.domain.people import Role
from command.domain.realm import Realm
from command.domain.roster import on_duty
from command.store.alerts import act_on_alerts, alerts_to_call
from command.store.areas import areas_revision, current_areas
from command.store.engine import realm_session
from command.store.people import list_users
from command.store.roster import roster_began_us, shifts_between
from command.store.silences import silences_in_force
from maps.areas import AreaIndex

CALLER: Final = "dispatch"
"""Who acts, in the events of alerts."""
LOOK_EVERY_S: Final = 1.0
_AT_ONCE: Final = 50
"""In a storm the worst come first, and dispatch goes on sending in between."""

_log = structlog.get_logger(__name__)


class Caller:
    """Calls about the alerts of one realm. A realm whose roster never held a shift calls nobody."""

    def __init__(self, engine: Engine, realm: Realm, *, clock: Clock, rules: EscalationRules) -> None:
        self._engine, self._realm, self._clock, self._rules = engine, realm, clock, rules
        self._looked_at_s = -LOOK_EVERY_S
        self._areas = AreaIndex()
        self._areas_revision: int | None = None

    def step(self) -> int:
        """Call about what is due, once a second at most; how many calls there were. Raises StoreUnavailable.

        Each call is one revision of its alert and goes out as any other. Alerts are locked and looked at again, so that
        of two processes one calls, and nobody is called about what was acknowledged meanwhile.
        """
        if monotonic() - self._looked_at_s < LOOK_EVERY_S:
            return 0
        self._looked_at_s = monotonic()
        with realm_session(self._engine, self._realm) as session:
            began_us = roster_began_us(session)
            return 0 if began_us is None else self._call(session, began_us)

    def _call(self, session: Session, began_us: int) -> int:
        now_us = self._clock.now_us()
        since_us = {
            severity: now_us - within_us
            for severity, within_us in self._rules.within_us.items()
            if began_us <= now_us - within_us
        }
        silences = silences_in_force(session, now_us)
        due = alerts_to_call(session, since_us, silenced=[each.matcher for each in silences], limit=_AT_ONCE)
        if not due:
            return 0
        there = on_duty(shifts_between(session, now_us, now_us + 1), now_us)
        users = [user for user in list_users(session) if not user.disabled]
        names = {user.login: user.display_name for user in users}
        managers = [user.login for user in users if Role.MANAGER in user.roles]
        self._read_areas(session)

        def call(alert: Alert) -> Alert:
            skill = self._rules.skills.get(alert.rule)
            line = line_up(there, managers, names=names, lies_in=self._lies_in(alert), skill=skill)
            quiet = any(each.quiets(alert, now_us) for each in silences)
            due = next_call(alert, line, self._rules, now_us=now_us, began_us=began_us, silenced=quiet)
            return called(alert, due, now_us=now_us)

        done = act_on_alerts(session, due, call, kind=AlertEventKind.CALLED, by=CALLER).done
        for alert in done:
            if alert.call is not None:
                _log.info("called", alert_id=str(alert.alert_id), login=alert.call.login, step=alert.call.step)
        return len(done)

    def _read_areas(self, session: Session) -> None:
        revision = areas_revision(session)
        if revision != self._areas_revision:
            self._areas = AreaIndex(current_areas(session))
            self._areas_revision = revision

    def _lies_in(self, alert: Alert) -> frozenset[str]:
        """Slugs of the areas that an alert is of or lies in."""
        found = frozenset() if alert.area is None else frozenset({alert.area})
        if alert.position is None:
            return found
        _, hits = self._areas.containing([alert.position.lon], [alert.position.lat])
        return found | {self._areas.areas[i].slug for i in hits}
