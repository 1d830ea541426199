"""Making a topology at the broker, and taking bindings off it. Both may be repeated."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pika
from pika.exceptions import AMQPError, ChannelClosedByBroker

from command.bus.broker import BrokerUnavailable, TopologyMismatch, connection_parameters, explain
from command.bus.topology import BindSpec, Topology


@contextmanager
def short_connection(amqp_url: str, vhost: str, *, name: str = "mizugiwa topology") -> Iterator[Any]:
    """A short connection. Raises BrokerUnavailable where the broker is away or refuses."""
    parameters = connection_parameters(amqp_url, vhost, name=name)
    parameters.blocked_connection_timeout = parameters.stack_timeout
    try:
        connection = pika.BlockingConnection(parameters)
        try:
            yield connection
        finally:
            if connection.is_open:
                connection.close()
    except (AMQPError, OSError) as exc:
        raise BrokerUnavailable(explain(exc, parameters)) from exc


def declare_topology(amqp_url: str, vhost: str, topology: Topology) -> None:
    """Make what of `topology` is not there; changes nothing that is there.

    Raises TopologyMismatch where something is there with other arguments, BrokerUnavailable where the broker is
    away or refuses.
    """
    declaring = ""
    with short_connection(amqp_url, vhost) as connection:
        channel = connection.channel()
        try:
            for exchange in topology.exchanges:
                declaring = f"exchange {exchange.name!r}"
                channel.exchange_declare(exchange.name, exchange.kind, durable=True, arguments=dict(exchange.arguments))
            for queue in topology.queues:
                declaring = f"queue {queue.name!r}"
                channel.queue_declare(queue.name, durable=True, arguments=dict(queue.arguments))
            for binding in topology.bindings:
                channel.queue_bind(binding.queue, binding.exchange, binding.routing_key)
        except ChannelClosedByBroker as exc:
            if exc.reply_code != 406:
                raise
            raise TopologyMismatch(
                f"{declaring} is in vhost {vhost!r} with other arguments than this version of the program gives it "
                f"({exc.reply_text}); stop the realm's processes, empty it, delete it (rabbitmqctl -p {vhost} "
                "delete_queue NAME, or the management page for an exchange) and start again: it is made anew"
            ) from exc


def remove_bindings(amqp_url: str, vhost: str, bindings: Sequence[BindSpec]) -> None:
    """Take these off; one that is not there, or whose queue is not, is no error. The queues keep their messages.

    Raises BrokerUnavailable where the broker is away or refuses.
    """
    with short_connection(amqp_url, vhost) as connection:
        channel = connection.channel()
        for binding in bindings:
            try:
                channel.queue_unbind(binding.queue, binding.exchange, binding.routing_key)
            except ChannelClosedByBroker as exc:
                if exc.reply_code != 404:
                    raise
                channel = connection.channel()
