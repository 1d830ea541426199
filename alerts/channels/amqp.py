"""Alerts to the responders' teams over RabbitMQ: routing key `alert.<severity>.<area or none>.<rule>`.

An alert that somebody was called about goes to their team as well, whatever it is bound to, from then on to its end: by
further keys, `call.<team>.<severity>` and, where everybody was called, `call-all.<severity>`. A team that several keys
reach gets it once. A stored delivery has them all in its routing_key, the alert's own first, with a space between.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from alerts.message import ALERT, InvalidMessage, alert_body, check_body, encode
from alerts.pipeline import Notice, PlannedDelivery
from command.domain.alert import EVERYBODY, Alert, routing_key
from command.domain.ids import delivery_id


class Publish(Protocol):
    """Hands one message to the broker's window; False where there is no room or no connection now."""

    def __call__(self, body: bytes, *, routing_key: str, message_id: str, copies: tuple[str, ...] = ()) -> bool: ...


def calling_keys(alert: Alert) -> tuple[str, ...]:
    """The further keys of an alert: one for each team that was called about it so far."""
    teams = () if alert.call is None else alert.call.teams
    word = alert.severity.word
    return tuple(f"call-all.{word}" if team == EVERYBODY else f"call.{team}.{word}" for team in teams)


class AmqpChannel:
    """The channel `amqp`. The message_id is the delivery's id, so a message sent again is known as the same one."""

    name: ClassVar[str] = "amqp"

    def __init__(self, publish: Publish) -> None:
        self._publish = publish

    def plan(self, notice: Notice) -> PlannedDelivery:
        """The delivery of a notice. One that breaks the schema says so in `problem`: it is kept as dead, not lost."""
        alert = notice.alert
        body: Mapping[str, Any] = {}
        problem: str | None = None
        try:
            body = alert_body(alert, area_name=notice.area_name)
            check_body(body, kind=ALERT)
        except (InvalidMessage, LookupError, ValueError, TypeError) as exc:
            problem = f"{type(exc).__name__}: {exc}"
        return PlannedDelivery(
            delivery_id=delivery_id(alert.alert_id, alert.revision, self.name),
            alert_id=alert.alert_id,
            revision=alert.revision,
            severity=alert.severity,
            channel=self.name,
            routing_key=" ".join((routing_key(alert), *calling_keys(alert))),
            body=body,
            problem=problem,
        )

    def send(self, *, delivery: str, key: str, body: Mapping[str, Any]) -> bool:
        """Publish one stored delivery; False: not now. Raises InvalidMessage: not ever."""
        first, *copies = key.split(" ")
        return self._publish(encode(body, kind=ALERT), routing_key=first, message_id=delivery, copies=tuple(copies))
