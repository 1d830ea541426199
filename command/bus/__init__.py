"""RabbitMQ: the only place with pika. Connections that come back for ever, windowed confirms, the realm's queues."""

from __future__ import annotations

from command.bus.broker import BrokerUnavailable, TopologyMismatch
from command.bus.consumer import Consumer, Message
from command.bus.dead_letters import republish_dead_letters
from command.bus.declare import declare_topology, remove_bindings
from command.bus.depths import QueueDepth, QueueWatch, queue_depths
from command.bus.publisher import (
    AlertPublisher,
    BatchPublisher,
    Outcome,
    OutcomeKind,
    ReplyPublisher,
    ResponsePublisher,
    user_of,
)
from command.bus.topology import (
    ALERT_DEAD_LETTERS,
    ALERTS,
    OBSERVATION_DEAD_LETTERS,
    OBSERVATIONS,
    REOPEN_FRACTION,
    RESPONSE_DEAD_LETTERS,
    RESPONSES,
    TEAM_USER_PREFIX,
    UNROUTABLE,
    Binding,
    BindSpec,
    Team,
    Topology,
    alert_topology,
    heartbeat_queue,
    observation_topology,
    reply_queue,
    response_key,
    response_topology,
    team_bindings,
    team_queue,
    team_user,
)

__all__ = [
    "ALERTS",
    "ALERT_DEAD_LETTERS",
    "OBSERVATIONS",
    "OBSERVATION_DEAD_LETTERS",
    "REOPEN_FRACTION",
    "RESPONSES",
    "RESPONSE_DEAD_LETTERS",
    "TEAM_USER_PREFIX",
    "UNROUTABLE",
    "AlertPublisher",
    "BatchPublisher",
    "BindSpec",
    "Binding",
    "BrokerUnavailable",
    "Consumer",
    "Message",
    "Outcome",
    "OutcomeKind",
    "QueueDepth",
    "QueueWatch",
    "ReplyPublisher",
    "ResponsePublisher",
    "Team",
    "Topology",
    "TopologyMismatch",
    "alert_topology",
    "declare_topology",
    "heartbeat_queue",
    "observation_topology",
    "queue_depths",
    "remove_bindings",
    "reply_queue",
    "republish_dead_letters",
    "response_key",
    "response_topology",
    "team_bindings",
    "team_queue",
    "team_user",
    "user_of",
]
