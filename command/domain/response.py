"""What teams answer to an alert, and where a team stands after all that it said: the same in whatever order it came."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from command.domain.geo import Position

RESPONDER_LIMIT: Final = 100
COMMENT_LIMIT: Final = 1_000


class ResponseKind(StrEnum):
    """What a team says, in the order in which a team usually says it."""

    ACKNOWLEDGE = "acknowledge"
    """We have seen it."""
    ACCEPT = "accept"
    """We take it and are on our way."""
    DECLINE = "decline"
    """We cannot go, or have to turn back. Says why."""
    ON_SCENE = "on_scene"
    CLOSED = "closed"
    """We are done with it. Says what came of it."""


class ResponseChannel(StrEnum):
    """How it came."""

    AMQP = "amqp"
    API = "api"
    CONSOLE = "console"


class TeamState(StrEnum):
    """Where a team stands with an alert."""

    ACKNOWLEDGED = "acknowledged"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    ON_SCENE = "on_scene"
    CLOSED = "closed"


NEEDS_COMMENT: Final = frozenset({ResponseKind.DECLINE, ResponseKind.CLOSED})
"""Others must know why nobody comes, and what was found."""

_LEADS_TO: Final[Mapping[ResponseKind, TeamState]] = {
    ResponseKind.ACKNOWLEDGE: TeamState.ACKNOWLEDGED,
    ResponseKind.ACCEPT: TeamState.ACCEPTED,
    ResponseKind.DECLINE: TeamState.DECLINED,
    ResponseKind.ON_SCENE: TeamState.ON_SCENE,
    ResponseKind.CLOSED: TeamState.CLOSED,
}
_AFTER: Final[Mapping[ResponseKind, frozenset[TeamState | None]]] = {
    # seen is the least that a team can say: it takes nothing back
    ResponseKind.ACKNOWLEDGE: frozenset({None}),
    # again with other words (a new time of arrival); after a refusal, because a boat came free; out again after the end
    ResponseKind.ACCEPT: frozenset(
        {None, TeamState.ACKNOWLEDGED, TeamState.ACCEPTED, TeamState.DECLINED, TeamState.CLOSED}
    ),
    # also from the way and from the scene: engine, weather, a worse case elsewhere
    ResponseKind.DECLINE: frozenset({None, *TeamState}),
    # also by who said nothing before: a patrol that happens to be there has better to do than to accept first
    ResponseKind.ON_SCENE: frozenset({None, *TeamState}),
    # without having been there, because it was called off or seen from afar; but not by who never took it
    ResponseKind.CLOSED: frozenset({TeamState.ACCEPTED, TeamState.ON_SCENE}),
}
"""What a team may say when it stands there; None before it said anything."""
_ORDER: Final = {kind: place for place, kind in enumerate(ResponseKind)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """One answer of a team. answered_at_us: the realm's time at which somebody gave it, by the sender's clock."""

    response_id: uuid.UUID
    alert_id: uuid.UUID
    team: str
    kind: ResponseKind
    revision_seen: int
    responder: str
    """The name of whoever answers for the team."""
    answered_at_us: int
    comment: str = ""
    position: Position | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class TeamResponse:
    """Where a team stands with an alert, and the answer that says so."""

    team: str
    state: TeamState
    response_id: uuid.UUID
    responder: str
    answered_at_us: int
    comment: str
    position: Position | None


def may_follow(kind: ResponseKind, state: TeamState | None) -> bool:
    """Whether an answer changes anything for a team that stands there; None before it said anything."""
    return state in _AFTER[kind]


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """Where one team stands, and the answers that changed nothing, each with where the team stood then."""

    response: TeamResponse | None
    idle: Mapping[uuid.UUID, TeamState | None]


def standing(responses: Iterable[Response]) -> Standing:
    """Where a team stands after these answers of it to one alert.

    They count in the order in which they were given, not in which they came: an answer that waited in a boat's outbox
    takes its place among the others. So the same answers give the same, however late, often or mixed up they come.
    """
    now: TeamResponse | None = None
    idle: dict[uuid.UUID, TeamState | None] = {}
    once = {each.response_id: each for each in responses}
    for each in sorted(once.values(), key=lambda r: (r.answered_at_us, _ORDER[r.kind], r.response_id)):
        before = None if now is None else now.state
        if not may_follow(each.kind, before):
            idle[each.response_id] = before
            continue
        now = TeamResponse(
            team=each.team,
            state=_LEADS_TO[each.kind],
            response_id=each.response_id,
            responder=each.responder,
            answered_at_us=each.answered_at_us,
            comment=each.comment,
            position=each.position,
        )
    return Standing(response=now, idle=idle)
