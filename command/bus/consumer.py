"""Taking messages: pika in its own thread, the work in the caller's, answers from any thread.

pika drops its heartbeats during work done in its callbacks (pika issues 93, 418, 564, 636), so nothing is done
there but to hand the message over.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from command.bus.link import Link
from command.bus.topology import Topology


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One message given out. Answer it once: `ack` when its work is committed, `nack` to have it given out again,
    `reject` for poison (to the dead-letter queue). Any thread may answer.

    An answer after the connection was lost does nothing: the broker gives the message out again by itself.
    """

    queue: str
    body: bytes
    message_id: str | None
    kind: str | None
    """The AMQP property `type`."""
    routing_key: str
    redelivered: bool
    user_id: str | None
    """The sender's user at the broker: the broker lets nobody name another's. None where the sender names none."""
    timestamp_s: int | None
    """When it was published, unix seconds by the publisher's clock."""
    _consumer: Consumer
    _connection_number: int
    _tag: int

    def ack(self) -> None:
        self._consumer.answer(self._connection_number, lambda channel: channel.basic_ack(self._tag))

    def nack(self) -> None:
        self._consumer.answer(self._connection_number, lambda channel: channel.basic_nack(self._tag, requeue=True))

    def reject(self) -> None:
        self._consumer.answer(self._connection_number, lambda channel: channel.basic_reject(self._tag, requeue=False))


class Consumer:
    """Messages of `queues`, those of an earlier queue first; at most `prefetch` of each queue are out unanswered.

    It connects again for ever. With `exclusive` it is the only consumer of the first queue (which must be a classic
    queue): another one stands by and takes over when this one is gone.
    """

    def __init__(
        self,
        amqp_url: str,
        vhost: str,
        queues: Sequence[str],
        *,
        prefetch: int,
        name: str,
        topology: Topology | None = None,
        exclusive: bool = False,
    ) -> None:
        if not queues or not 1 <= prefetch <= 65_535:
            raise ValueError(f"a consumer needs a queue and a prefetch of 1 to 65535, got {queues!r} and {prefetch}")
        self._queues, self._prefetch, self._exclusive = tuple(queues), prefetch, exclusive
        self._arrived = threading.Condition()
        self._ready: list[tuple[int, int, Message]] = []
        self._sequence = 0
        self._connection_number = 0
        self._channel: Any = None
        self._closed = False
        self._link = Link(
            amqp_url, vhost, name=name, topology=topology, on_channel=self._channel_opened, on_lost=self._lost
        )
        self._link.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def get(self, timeout_s: float) -> Message | None:
        """The next message; None where none came within `timeout_s`, or the consumer is closed."""
        with self._arrived:
            self._arrived.wait_for(lambda: bool(self._ready) or self._closed, timeout_s)
            return heapq.heappop(self._ready)[2] if self._ready else None

    @property
    def waiting(self) -> int:
        """Messages that have come and were not taken yet."""
        with self._arrived:
            return len(self._ready)

    def wait_connected(self, timeout_s: float) -> bool:
        return self._link.wait_connected(timeout_s)

    @property
    def connected(self) -> bool:
        """Whether the broker gives this consumer messages."""
        return self._link.connected

    @property
    def standing_by(self) -> bool:
        """Whether another exclusive consumer has the queues and this one waits for it to go."""
        return self._link.standing_by

    @property
    def trouble(self) -> str | None:
        """Why no messages come, in one line; None while they may."""
        return self._link.trouble

    def close(self) -> None:
        """Stop. Answers given before are sent; what was given out and not answered goes back to its queue."""
        with self._arrived:
            self._closed = True
            self._ready.clear()
            self._arrived.notify_all()
        self._link.close()

    def answer(self, connection_number: int, send: Any) -> None:
        """Send a message's answer on the connection that it came by; nothing where that one is gone."""

        def on_link() -> None:
            channel = self._channel
            if connection_number == self._connection_number and channel is not None and channel.is_open:
                send(channel)

        self._link.call(on_link)

    def _channel_opened(self, channel: Any) -> None:
        self._connection_number += 1
        self._channel = channel
        channel.add_on_cancel_callback(self._cancelled_by_broker)
        channel.basic_qos(prefetch_count=self._prefetch, callback=lambda _frame: self._subscribe(channel, 0))

    def _subscribe(self, channel: Any, index: int) -> None:
        """One queue after the other, so that an exclusive first one guards the rest."""
        if not channel.is_open:  # closed while the broker's answer was on its way
            return
        if index == len(self._queues):
            self._link.ready()
            return
        connection_number = self._connection_number

        def take(_channel: Any, method: Any, properties: Any, body: bytes) -> None:
            self._take(index, connection_number, method, properties, body)

        channel.basic_consume(
            self._queues[index],
            on_message_callback=take,
            exclusive=self._exclusive and index == 0,
            callback=lambda _frame: self._subscribe(channel, index + 1),
        )

    def _take(self, index: int, connection_number: int, method: Any, properties: Any, body: bytes) -> None:
        message = Message(
            queue=self._queues[index],
            body=body,
            message_id=properties.message_id,
            kind=properties.type,
            routing_key=method.routing_key,
            redelivered=bool(method.redelivered),
            user_id=properties.user_id,
            timestamp_s=properties.timestamp,
            _consumer=self,
            _connection_number=connection_number,
            _tag=int(method.delivery_tag),
        )
        with self._arrived:
            if self._closed:
                return
            self._sequence += 1
            heapq.heappush(self._ready, (index, self._sequence, message))
            self._arrived.notify()

    def _cancelled_by_broker(self, frame: Any) -> None:
        self._link.reopen(RuntimeError(f"the broker ended consumer {frame.method.consumer_tag}: is its queue deleted?"))

    def _lost(self) -> None:
        with self._arrived:
            self._channel = None
            self._ready.clear()
