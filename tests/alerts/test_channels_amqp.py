"""The channel amqp."""

from __future__ import annotations

import json

import pytest

from alerts.channels.amqp import AmqpChannel
from alerts.message import InvalidMessage
from alerts.registry import CHANNELS


def test_it_is_registered() -> None:
    assert CHANNELS[AmqpChannel.name] == f"{AmqpChannel.__module__}:{AmqpChannel.__name__}"


def test_a_stored_body_that_breaks_the_schema_is_never_published() -> None:
    published: list[bytes] = []

    def publish(body: bytes, *, routing_key: str, message_id: str, copies: tuple[str, ...] = ()) -> bool:
        published.append(body)
        return True

    with pytest.raises(InvalidMessage, match="alert body"):
        AmqpChannel(publish).send(delivery="d", key="alert.low.none.ais_gap", body=json.loads("{}"))
    assert published == []
