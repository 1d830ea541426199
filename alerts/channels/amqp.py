"""Alerts to the responders' teams over RabbitMQ: routing key `alert.<severity>.<area or none>.<rule>`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from alerts.message import ALERT, InvalidMessage, alert_body, check_body, encode
from alerts.pipeline import Notice, PlannedDelivery


class Publish(Protocol):
    """Hands one message to the broker's window; False where there is no room or no connection now."""

    def __call__(self, body: bytes, *, routing_key: str, message_id: str) -> bool: ...


class AmqpChannel:
    """The channel `amqp`. The message_id is the delivery's id, so a message sent again is known as the same one."""

    name: ClassVar[str] = "amqp"
    digests: ClassVar[bool] = True

    def __init__(self, publish: Publish) -> None:
        self._publish = publish

    def plan(self, notice: Notice) -> PlannedDelivery:
        """The delivery of a notice. One that breaks the schema says so in `problem`: it is kept as dead, not lost."""
        alert = notice.alert
        body: Mapping[str, Any] = {}
        problem: str | None = None
        try:
            body = alert_body(
                alert, area_name=notice.area_name, place=notice.place, owner=notice.owner, grouped=notice.grouped
            )
            check_body(body, kind=ALERT)
        except (InvalidMessage, LookupError, ValueError, TypeError) as exc:
            problem = f"{type(exc).__name__}: {exc}"
        return PlannedDelivery(
            delivery_id=notice.message_id(self.name),
            alert_id=alert.alert_id,
            revision=alert.revision,
            severity=alert.severity,
            channel=self.name,
            routing_key=notice.routing_key,
            body=body,
            problem=problem,
        )

    def send(self, *, delivery: str, key: str, body: Mapping[str, Any]) -> bool:
        """Publish one stored delivery; False: not now. Raises InvalidMessage: not ever."""
        return self._publish(encode(body, kind=ALERT), routing_key=key, message_id=delivery)
