"""Alerts to the responders' teams over RabbitMQ: routing key `alert.<severity>.<area or none>.<rule>`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from alerts.channel import AMQP, plan_alert
from alerts.message import ALERT, encode
from alerts.pipeline import Notice, PlannedDelivery


class Publish(Protocol):
    """Hands one message to the broker's window; False where there is no room or no connection now."""

    def __call__(self, body: bytes, *, routing_key: str, message_id: str) -> bool: ...


class AmqpChannel:
    """The channel `amqp`. The message_id is the delivery's id, so a message sent again is known as the same one."""

    name: ClassVar[str] = AMQP
    digests: ClassVar[bool] = True

    def __init__(self, publish: Publish) -> None:
        self._publish = publish

    def plan(self, notice: Notice) -> PlannedDelivery:
        return plan_alert(notice, channel=self.name)

    def send(self, *, delivery: str, key: str, body: Mapping[str, Any]) -> bool:
        """Publish one stored delivery; False: not now. Raises InvalidMessage: not ever."""
        return self._publish(encode(body, kind=ALERT), routing_key=key, message_id=delivery)
