"""RabbitMQ: the only place with pika. Connections that come back for ever, windowed confirms, the realm's queues."""

from __future__ import annotations

from command.bus.broker import BrokerUnavailable, TopologyMismatch
from command.bus.consumer import Consumer, Message
from command.bus.dead_letters import republish_dead_letters
from command.bus.declare import declare_topology, remove_bindings
from command.bus.depths import QueueDepth, QueueWatch, queue_depths
from command.bus.publisher import AlertPublisher, BatchPublisher, Outcome, OutcomeKind
from command.bus.topology import (
    ALERT_DEAD_LETTERS,
    ALERTS,
    OBSERVATION_DEAD_LETTERS,
    OBSERVATIONS,
    REOPEN_FRACTION,
    UNROUTABLE,
    Binding,
    BindSpec,
    Team,
    Topology,
    alert_topology,
    heartbeat_queue,
    observation_topology,
    team_bindings,
    team_queue,
)

__all__ = [
    "ALERTS",
    "ALERT_DEAD_LETTERS",
    "OBSERVATIONS",
    "OBSERVATION_DEAD_LETTERS",
    "REOPEN_FRACTION",
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
    "Team",
    "Topology",
    "TopologyMismatch",
    "alert_topology",
    "declare_topology",
    "heartbeat_queue",
    "observation_topology",
    "queue_depths",
    "remove_bindings",
    "republish_dead_letters",
    "team_bindings",
    "team_queue",
]
