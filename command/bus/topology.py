"""The exchanges and queues of a realm's vhost, as values.

Observations: a direct exchange and one quorum queue. Alerts: a topic exchange, and for every team one quorum queue
a severity, so that each team gets each alert that it is bound to and a critical one never waits behind a low one
(quorum queues have no priorities: RabbitMQ refuses x-max-priority on them with 406). Responses: a topic exchange, so
that the broker can hold each team to its own routing key, one quorum queue to dispatch, and a queue of replies a team.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Final

from command.domain.alert import EVERYBODY, Severity, call_key

OBSERVATIONS: Final = "observations"
OBSERVATION_DEAD_LETTERS: Final = "observations.dead-letter"
ALERTS: Final = "alerts"
UNROUTABLE: Final = "alerts.unroutable"
ALERT_DEAD_LETTERS: Final = "alerts.dead-letter"
HEARTBEATS: Final = "heartbeats"
RESPONSES: Final = "responses"
RESPONSE_DEAD_LETTERS: Final = "responses.dead-letter"
_DEAD_OBSERVATIONS: Final = "observations.dead"
DEAD_ALERTS: Final = "alerts.dead"
_DEAD_RESPONSES: Final = "responses.dead"

OBSERVATION_QUEUE_MESSAGES: Final = 20_000
OBSERVATION_QUEUE_BYTES: Final = 2 * 1024**3
TEAM_QUEUE_MESSAGES: Final = 10_000
RESPONSE_QUEUE_MESSAGES: Final = 10_000
REPLY_QUEUE_MESSAGES: Final = 1_000
REPLY_TTL_MS: Final = 7 * 24 * 3_600 * 1_000
"""A reply that nobody took for a week: whoever still wants to know sends the answer again and gets another."""
UNROUTABLE_MESSAGES: Final = 10_000
DEAD_LETTER_MESSAGES: Final = 10_000
DEAD_LETTER_BYTES: Final = 256 * 1024**2
DELIVERY_LIMIT: Final = 5
"""A message that was given out and came back this often is poison and goes to the dead-letter queue."""
HEARTBEAT_TTL_MS: Final = 15_000
"""A heartbeat that nobody took within this time is old news, and old news must not pass for life."""

TEAM_USER_PREFIX: Final = "team-"

REOPEN_FRACTION: Final = 0.8
"""A full quorum queue takes messages again below this part of its limit (LOW_LIMIT in RabbitMQ's rabbit_fifo)."""

_TEAM_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_PATTERN: Final = re.compile(r"\*|[a-z0-9](?:[a-z0-9_-]{0,62}[a-z0-9])?")
_MAX_BINDINGS_PER_TEAM: Final = 2_000


@dataclass(frozen=True, kw_only=True)
class Binding:
    """Which alerts a team gets: any of these severities AND any of these areas AND any of these rules.

    An area or a rule is its name, `*` for every one; the area `none` means alerts that are about no area.
    Raises ValueError that says what to write.
    """

    severities: tuple[str, ...] = tuple(s.word for s in sorted(Severity, reverse=True))
    areas: tuple[str, ...] = ("*",)
    rules: tuple[str, ...] = ("*",)

    def __post_init__(self) -> None:
        for word in self.severities:
            Severity.from_word(word)
        for what, patterns in (("area", self.areas), ("rule", self.rules)):
            for pattern in patterns:
                if not _PATTERN.fullmatch(pattern):
                    raise ValueError(
                        f"{what} {pattern!r} of a team's binding: write the {what}'s name (small letters, digits, "
                        f"hyphens, underscores) or * for every {what}"
                    )
        if not (self.severities and self.areas and self.rules):
            raise ValueError(
                "a team's binding needs at least one severity, area and rule; write * for every area or rule"
            )

    def routing_keys(self) -> list[tuple[str, str]]:
        """(severity, binding key) of each of its topic bindings."""
        return [
            (severity, f"alert.{severity}.{area}.{rule}")
            for severity, area, rule in product(self.severities, self.areas, self.rules)
        ]


@dataclass(frozen=True, kw_only=True)
class Team:
    """A team of responders and what it is bound to; with nothing said, to every alert."""

    name: str
    bindings: tuple[Binding, ...] = (Binding(),)

    def __post_init__(self) -> None:
        if not _TEAM_NAME.fullmatch(self.name):
            raise ValueError(f"team {self.name!r}: write small letters, digits and hyphens, 40 at most")
        if not 1 <= sum(len(b.routing_keys()) for b in self.bindings) <= _MAX_BINDINGS_PER_TEAM:
            raise ValueError(
                f"team {self.name!r}: its bindings multiply to none or to more than {_MAX_BINDINGS_PER_TEAM}; "
                "use * instead of long lists"
            )


@dataclass(frozen=True, kw_only=True)
class ExchangeSpec:
    name: str
    kind: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class QueueSpec:
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class BindSpec:
    exchange: str
    queue: str
    routing_key: str = ""


@dataclass(frozen=True, kw_only=True)
class Topology:
    """What must be there before messages flow, in the order of declaration: exchanges, queues, bindings."""

    exchanges: tuple[ExchangeSpec, ...]
    queues: tuple[QueueSpec, ...]
    bindings: tuple[BindSpec, ...]

    def __add__(self, other: Topology) -> Topology:
        return Topology(
            exchanges=self.exchanges + other.exchanges,
            queues=self.queues + other.queues,
            bindings=self.bindings + other.bindings,
        )

    def limit_of(self, queue: str) -> int | None:
        """How many messages a queue takes; None where it has no limit or is not of this topology."""
        found = next((q.arguments.get("x-max-length") for q in self.queues if q.name == queue), None)
        return None if found is None else int(found)


def team_queue(team: str, severity: Severity) -> str:
    return f"team.{team}.{severity.word}"


def heartbeat_queue(team: str) -> str:
    return f"team.{team}.heartbeat"


def reply_queue(team: str) -> str:
    return f"team.{team}.replies"


def response_key(team: str) -> str:
    """The routing key of a team's answers."""
    return f"response.{team}"


def team_user(team: str) -> str:
    """The broker's user that a team connects as, and that its answers must come from."""
    return f"{TEAM_USER_PREFIX}{team}"


def _work_queue(name: str, *, max_messages: int, dead_letters: str, **more: Any) -> QueueSpec:
    """A quorum queue that refuses when full and hands its dead to an exchange without loss."""
    return QueueSpec(
        name=name,
        arguments={
            "x-queue-type": "quorum",
            "x-max-length": max_messages,
            "x-overflow": "reject-publish",
            "x-delivery-limit": DELIVERY_LIMIT,
            "x-dead-letter-exchange": dead_letters,
            "x-dead-letter-strategy": "at-least-once",
            **more,
        },
    )


def _dead_letter_queue(name: str) -> QueueSpec:
    """Bounded, and the oldest goes first: were it to refuse, poison would in time stop the queues that feed it."""
    return QueueSpec(
        name=name,
        arguments={
            "x-queue-type": "quorum",
            "x-max-length": DEAD_LETTER_MESSAGES,
            "x-max-length-bytes": DEAD_LETTER_BYTES,
            "x-overflow": "drop-head",
        },
    )


def observation_topology(*, max_messages: int = OBSERVATION_QUEUE_MESSAGES) -> Topology:
    """The way from the gateways to intake."""
    return Topology(
        exchanges=(
            ExchangeSpec(name=_DEAD_OBSERVATIONS, kind="fanout"),
            ExchangeSpec(name=OBSERVATIONS, kind="direct"),
        ),
        queues=(
            _dead_letter_queue(OBSERVATION_DEAD_LETTERS),
            _work_queue(
                OBSERVATIONS,
                max_messages=max_messages,
                dead_letters=_DEAD_OBSERVATIONS,
                **{"x-max-length-bytes": OBSERVATION_QUEUE_BYTES},
            ),
        ),
        bindings=(
            BindSpec(exchange=_DEAD_OBSERVATIONS, queue=OBSERVATION_DEAD_LETTERS),
            BindSpec(exchange=OBSERVATIONS, queue=OBSERVATIONS, routing_key=OBSERVATIONS),
        ),
    )


def team_bindings(teams: Sequence[Team]) -> list[BindSpec]:
    """What ties the teams' queues to the alerts and the heartbeats."""
    return [
        *(
            BindSpec(exchange=ALERTS, queue=team_queue(team.name, Severity.from_word(severity)), routing_key=key)
            for team in teams
            for binding in team.bindings
            for severity, key in binding.routing_keys()
        ),
        *(
            BindSpec(exchange=ALERTS, queue=team_queue(team.name, severity), routing_key=key)
            for team in teams
            for severity in Severity
            for key in (call_key(team.name, severity), call_key(EVERYBODY, severity))
        ),
        *(BindSpec(exchange=HEARTBEATS, queue=heartbeat_queue(team.name)) for team in teams),
    ]


def alert_topology(teams: Sequence[Team], *, max_messages: int = TEAM_QUEUE_MESSAGES) -> Topology:
    """The way from dispatch to the teams. Raises ValueError where two teams have one name."""
    names = [team.name for team in teams]
    if doubled := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"team {min(doubled)!r} is named twice; give every team one entry with all its bindings")
    return Topology(
        exchanges=(
            ExchangeSpec(name=DEAD_ALERTS, kind="fanout"),
            ExchangeSpec(name=UNROUTABLE, kind="fanout"),
            ExchangeSpec(name=ALERTS, kind="topic", arguments={"alternate-exchange": UNROUTABLE}),
            ExchangeSpec(name=HEARTBEATS, kind="fanout"),
        ),
        queues=(
            _dead_letter_queue(ALERT_DEAD_LETTERS),
            QueueSpec(
                name=UNROUTABLE,
                arguments={
                    "x-queue-type": "quorum",
                    "x-max-length": UNROUTABLE_MESSAGES,
                    "x-overflow": "reject-publish",
                },
            ),
            *(
                _work_queue(team_queue(team.name, severity), max_messages=max_messages, dead_letters=DEAD_ALERTS)
                for team in teams
                for severity in Severity
            ),
            *(
                QueueSpec(
                    name=heartbeat_queue(team.name),
                    arguments={
                        "x-queue-type": "classic",
                        "x-max-length": 1,
                        "x-overflow": "drop-head",
                        "x-message-ttl": HEARTBEAT_TTL_MS,
                    },
                )
                for team in teams
            ),
        ),
        bindings=(
            BindSpec(exchange=DEAD_ALERTS, queue=ALERT_DEAD_LETTERS),
            BindSpec(exchange=UNROUTABLE, queue=UNROUTABLE),
            *team_bindings(teams),
        ),
    )


def response_topology(teams: Sequence[Team]) -> Topology:
    """The way from the teams to dispatch, and the way of its replies."""
    return Topology(
        exchanges=(
            ExchangeSpec(name=_DEAD_RESPONSES, kind="fanout"),
            ExchangeSpec(name=RESPONSES, kind="topic"),
        ),
        queues=(
            _dead_letter_queue(RESPONSE_DEAD_LETTERS),
            _work_queue(RESPONSES, max_messages=RESPONSE_QUEUE_MESSAGES, dead_letters=_DEAD_RESPONSES),
            *(
                QueueSpec(
                    name=reply_queue(team.name),
                    arguments={
                        "x-queue-type": "quorum",
                        "x-max-length": REPLY_QUEUE_MESSAGES,
                        "x-overflow": "drop-head",
                        "x-message-ttl": REPLY_TTL_MS,
                    },
                )
                for team in teams
            ),
        ),
        bindings=(
            BindSpec(exchange=_DEAD_RESPONSES, queue=RESPONSE_DEAD_LETTERS),
            BindSpec(exchange=RESPONSES, queue=RESPONSES, routing_key="response.#"),
        ),
    )
