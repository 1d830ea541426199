"""Whom to call about an alert that nobody acknowledges, and when: pure, by the realm's clock.

Each severity has a time to acknowledge. When it is over, the next of the roster is called, and when that time is over
again, the one after them. All that decides is kept with the alert (its last call), so that a restart changes nothing,
and after an outage there is one call, to whoever is next, and not one for each that was missed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from command.domain.alert import EVERYBODY, Alert, Call, Severity
from command.domain.clock import US_PER_S
from command.domain.response import TeamState
from command.domain.roster import Shift, WatchRole

_MINUTE_US: Final = 60 * US_PER_S


@dataclass(frozen=True, kw_only=True, slots=True)
class EscalationRules:
    """within_us: how long an alert of a severity may wait for somebody to acknowledge it; a severity that is not in it
    calls nobody. skills: by rule, the skill that its alerts ask for.
    """

    within_us: Mapping[Severity, int] = field(
        default_factory=lambda: {
            Severity.CRITICAL: 3 * _MINUTE_US,
            Severity.HIGH: 10 * _MINUTE_US,
            Severity.MEDIUM: 60 * _MINUTE_US,
        }
    )
    skills: Mapping[str, str] = field(
        default_factory=lambda: {"drone_link_lost": "drone", "drone_low_battery": "drone", "source_silent": "technical"}
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Callee:
    """Somebody who can be called."""

    login: str
    name: str
    team: str | None


_ALL: Final = Callee(login=EVERYBODY, name="", team=EVERYBODY)


def line_up(
    shifts: Sequence[Shift],
    managers: Sequence[str],
    *,
    names: Mapping[str, str],
    lies_in: Collection[str],
    skill: str | None,
) -> list[Callee]:
    """Who is called about an alert, in this order, each once: those on duty, and then the managers.

    First those who are responsible for where it lies, of these first who has the skill, of these duty officers before
    deputies before those on call. Nobody is left out for another area or a missing skill: they come later. Where
    nobody is on duty, everybody comes first.

    shifts: of those on duty now. managers: logins. names: by login; who has none is no longer there and not called.
    lies_in: slugs of the areas that the alert lies in. skill: what it asks for.
    """
    order = list(WatchRole)
    ranked = sorted(
        (shift for shift in shifts if shift.login in names),
        key=lambda shift: (
            bool(shift.areas) and not set(shift.areas) & set(lies_in),
            skill is not None and skill not in shift.skills,
            order.index(shift.role),
            shift.from_us,
            shift.login,
        ),
    )
    teams: dict[str, str | None] = {}
    for shift in ranked:
        teams.setdefault(shift.login, shift.team)
    people = [Callee(login=login, name=names[login], team=team) for login, team in teams.items()]
    last = [Callee(login=login, name=names[login], team=None) for login in managers if login not in teams]
    return [*(people or [_ALL]), *last]


def next_call_at_us(alert: Alert, rules: EscalationRules, *, began_us: int) -> int | None:
    """When the next one is called about the alert, if it is not silenced then; None where nobody is.

    began_us: when the roster was first written; before that nobody could have been called.
    """
    within_us = rules.within_us.get(alert.severity)
    if within_us is None or alert.acknowledged_at_us is not None or alert.cleared_at_us is not None or _answered(alert):
        return None
    if alert.call is not None:
        return alert.call.at_us + within_us
    since_us = alert.opened_at_us if alert.waiting_since_us is None else alert.waiting_since_us
    return max(since_us, began_us) + within_us


def _answered(alert: Alert) -> bool:
    """Whether a team that was called has answered, before or after the call, and not declined: then somebody has it."""
    teams = () if alert.call is None else alert.call.teams
    return any(
        each.state is not TeamState.DECLINED and (each.team in teams or EVERYBODY in teams) for each in alert.responses
    )


def next_call(
    alert: Alert, line: Sequence[Callee], rules: EscalationRules, *, now_us: int, began_us: int, silenced: bool
) -> Call | None:
    """The call that is due now; None where none is. line: as line_up gives it. silenced: by a silence, which never
    keeps a critical alert quiet.
    """
    due_us = next_call_at_us(alert, rules, began_us=began_us)
    if due_us is None or now_us < due_us or (silenced and alert.severity < Severity.CRITICAL):
        return None
    before = alert.call
    passed = () if before is None else before.passed
    callee = next((each for each in line if each.login not in passed), None)
    if callee is None:  # all were called: the line begins again
        callee, passed = line[0], ()
    teams = () if before is None else before.teams
    if callee.team is not None and callee.team not in teams:
        teams = (*teams, callee.team)
    return Call(
        login=callee.login,
        name=callee.name,
        team=callee.team,
        step=1 if before is None else before.step + 1,
        at_us=now_us,
        passed=(*passed, callee.login),
        teams=teams,
    )
