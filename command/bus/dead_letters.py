"""What clients refused, back to the queues that it came from; and answers that dispatch did not believe."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import pika
from pika.exceptions import NackError, UnroutableError

from command.bus.declare import short_connection
from command.bus.topology import ALERT_DEAD_LETTERS, RESPONSE_DEAD_LETTERS

_TEAM_QUEUE: Final = re.compile(r"team\.[a-z0-9-]{1,40}\.(?:critical|high|medium|low)")
_OF_THE_WAY_HERE: Final = (
    "x-death",
    "x-first-death-queue",
    "x-first-death-exchange",
    "x-first-death-reason",
    "x-delivery-count",
    "CC",  # the further keys by which it came: it goes back to one queue
)


@dataclass(frozen=True, kw_only=True, slots=True)
class DeadResponse:
    """An answer that was not believed. user_id: who sent it, by the broker's word; None where nobody was named."""

    user_id: str | None
    routing_key: str
    sent_at_s: int | None
    body: bytes


def dead_responses(amqp_url: str, vhost: str, *, discard: bool) -> list[DeadResponse]:
    """What is in the responses' dead-letter queue, the oldest first; taken out of it where `discard`, else left there.

    Raises BrokerUnavailable.
    """
    found = []
    with short_connection(amqp_url, vhost, name="mizugiwa dead letters") as connection:
        channel = connection.channel()
        for _ in range(channel.queue_declare(RESPONSE_DEAD_LETTERS, passive=True).method.message_count):
            method, properties, body = channel.basic_get(RESPONSE_DEAD_LETTERS)
            if method is None:
                break
            routed = (properties.headers or {}).get("x-death", [{}])[0].get("routing-keys", [method.routing_key])
            found.append(
                DeadResponse(
                    user_id=properties.user_id,
                    routing_key=str(routed[0]),
                    sent_at_s=properties.timestamp,
                    body=body,
                )
            )
            if discard:
                channel.basic_ack(method.delivery_tag)
    return found  # what was not acknowledged goes back when the connection closes


def republish_dead_letters(amqp_url: str, vhost: str) -> tuple[int, int]:
    """Give each message of the alerts' dead-letter queue back to the team's queue that it died in.

    Returns how many went, and how many stay: their queue is full or gone, or nobody knows which it was. A message
    leaves the dead letters when the broker has confirmed it in its queue: killed in between, the team has it twice.
    Raises BrokerUnavailable.
    """
    went, stay = 0, []
    with short_connection(amqp_url, vhost, name="mizugiwa dead letters") as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for _ in range(channel.queue_declare(ALERT_DEAD_LETTERS, passive=True).method.message_count):
            method, properties, body = channel.basic_get(ALERT_DEAD_LETTERS)
            if method is None:
                break
            if _give_back(channel, properties, body):
                channel.basic_ack(method.delivery_tag)
                went += 1
            else:
                stay.append(method.delivery_tag)  # held until the end, so that none is looked at twice
        for tag in stay:
            channel.basic_nack(tag, requeue=True)
    return went, len(stay)


def _give_back(channel: Any, properties: Any, body: bytes) -> bool:
    headers = dict(properties.headers or {})
    queue = str(headers.get("x-first-death-queue", ""))
    if not _TEAM_QUEUE.fullmatch(queue):
        return False
    again = pika.BasicProperties(
        content_type=properties.content_type,
        delivery_mode=2,
        message_id=properties.message_id,
        type=properties.type,
        timestamp=properties.timestamp,
        app_id=properties.app_id,
        headers={name: value for name, value in headers.items() if name not in _OF_THE_WAY_HERE} or None,
    )
    try:
        channel.basic_publish("", queue, body, again, mandatory=True)
    except (NackError, UnroutableError):
        return False
    return True
