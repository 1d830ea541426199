"""Alerts to the responders' teams over RabbitMQ: routing key `alert.<severity>.<area or none>.<rule>`.

An alert that somebody was called about goes to their team as well, whatever it is bound to, from then on to its end: by
further keys, `call.<team>.<severity>` and, where everybody was called, `call-all.<severity>`. A team that several keys
reach gets it once. A stored delivery has them all in its routing_key, the alert's own first, with a space between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Protocol

from alerts.channel import AMQP, plan_alert
from alerts.message import ALERT, encode
from alerts.pipeline import Notice, PlannedDelivery
from command.domain.alert import call_key


class Publish(Protocol):
    """Hands one message to the broker's window; False where there is no room or no connection now."""

    def __call__(self, body: bytes, *, routing_key: str, message_id: str, copies: tuple[str, ...] = ()) -> bool: ...


class AmqpChannel:
    """The channel `amqp`. The message_id is the delivery's id, so a message sent again is known as the same one."""

    name: ClassVar[str] = AMQP
    digests: ClassVar[bool] = True

    def __init__(self, publish: Publish) -> None:
        self._publish = publish

    def plan(self, notice: Notice) -> PlannedDelivery:
        """The delivery of a notice, with the keys of the teams that were called about it."""
        plan, alert = plan_alert(notice, channel=self.name), notice.alert
        called = () if alert.call is None else alert.call.teams
        return replace(plan, routing_key=" ".join((plan.routing_key, *(call_key(t, alert.severity) for t in called))))

    def send(self, *, delivery: str, key: str, body: Mapping[str, Any]) -> bool:
        """Publish one stored delivery; False: not now. Raises InvalidMessage: not ever."""
        first, *copies = key.split(" ")
        return self._publish(encode(body, kind=ALERT), routing_key=first, message_id=delivery, copies=tuple(copies))
