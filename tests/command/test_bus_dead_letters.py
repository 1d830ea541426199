"""What a client refused, given back to the queue that it died in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pika

from command.bus import (
    ALERT_DEAD_LETTERS,
    Consumer,
    Message,
    Team,
    alert_topology,
    declare_topology,
    queue_depths,
    republish_dead_letters,
    team_queue,
)
from command.bus.broker import connection_parameters
from command.domain.alert import Severity

QUEUE = team_queue("duty", Severity.HIGH)


def take(consumer: Consumer) -> Message:
    message = consumer.get(20)
    assert message is not None, "no message came"
    return message


def test_a_refused_alert_comes_again_as_it_was_and_what_belongs_to_no_team_stays(
    amqp_url: str, vhost: str, eventually: Callable[..., None]
) -> None:
    def dead() -> int:
        return queue_depths(amqp_url, vhost, [ALERT_DEAD_LETTERS])[ALERT_DEAD_LETTERS].ready

    # given an alert that its team's client refused, and a message that never was in a team's queue
    declare_topology(amqp_url, vhost, alert_topology([Team(name="duty")]))
    connection: Any = pika.BlockingConnection(connection_parameters(amqp_url, vhost, name="test"))
    channel = connection.channel()
    properties = pika.BasicProperties(message_id="m-1", type="alert", content_type="application/json")
    channel.basic_publish("alerts", "alert.high.none.ais_gap", b"{}", properties)
    channel.basic_publish("", ALERT_DEAD_LETTERS, b"stray")
    connection.close()
    with Consumer(amqp_url, vhost, [QUEUE], prefetch=1, name="test") as client:
        take(client).reject()
        eventually(lambda: dead() == 2)
        # when a person gives them back
        assert republish_dead_letters(amqp_url, vhost) == (1, 1)
        # then the team has the same message, and can take it now
        again = take(client)
        assert (again.body, again.message_id, again.kind) == (b"{}", "m-1", "alert")
        again.ack()
    eventually(lambda: dead() == 1)
