"""What the teams are bound to, as it is kept beside dispatch's heartbeat row: AMQP cannot list bindings.

So a binding that was taken out of the settings is known at the next start and taken off the broker. A team that
was taken out would else keep its queues filling until they refuse, and with them every alert.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from command.bus import Binding, BindSpec, Team, team_bindings


def described(teams: Sequence[Team]) -> list[dict[str, Any]]:
    """The teams' bindings as JSON-able facts, each once."""
    found: list[dict[str, Any]] = []
    for team in teams:
        for binding in team.bindings:
            fact = {
                "team": team.name,
                "severities": list(binding.severities),
                "areas": list(binding.areas),
                "rules": list(binding.rules),
            }
            if fact not in found:
                found.append(fact)
    return found


def teams_described(facts: Sequence[Mapping[str, Any]]) -> list[Team]:
    """The teams of `described`, one binding each. What an older release wrote otherwise is passed over."""
    teams = []
    for fact in facts:
        try:
            binding = Binding(
                severities=tuple(fact["severities"]), areas=tuple(fact["areas"]), rules=tuple(fact["rules"])
            )
            teams.append(Team(name=fact["team"], bindings=(binding,)))
        except (KeyError, TypeError, ValueError):
            continue
    return teams


def stale_bindings(before: Sequence[Mapping[str, Any]], teams: Sequence[Team]) -> list[BindSpec]:
    """What was bound before and is not wanted by `teams` now."""
    wanted = set(team_bindings(teams))
    return [binding for binding in dict.fromkeys(team_bindings(teams_described(before))) if binding not in wanted]
