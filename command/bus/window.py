"""Publishing with a window of unconfirmed messages. A message leaves the window only when the broker took it.

Lost connections: what was not confirmed is sent again under the same message_id, so the far side may see it twice
and never misses it. pika loses messages silently without confirms (pika issues 357, 457, 748).
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pika

from command.bus.link import Link
from command.bus.topology import Topology

_FIRST_NACK_PAUSE_S: Final = 0.1
_LONGEST_NACK_PAUSE_S: Final = 5.0
_PERSISTENT: Final = 2
_TRANSIENT: Final = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Outgoing:
    exchange: str
    routing_key: str
    body: bytes
    message_id: str
    kind: str
    content_type: str
    created_at_s: int
    lasting: bool = True
    """False: sent once, not persisted, not sent again after a lost connection."""
    copies: tuple[str, ...] = ()
    """Further routing keys; a queue that several reach gets it once (RabbitMQ's sender-selected distribution)."""
    user_id: str | None = None
    """The user whose connection this is; the broker checks it."""

    def properties(self) -> Any:
        return pika.BasicProperties(
            content_type=self.content_type,
            delivery_mode=_PERSISTENT if self.lasting else _TRANSIENT,
            message_id=self.message_id,
            type=self.kind,
            timestamp=self.created_at_s,
            app_id="mizugiwa",
            headers={"CC": list(self.copies)} if self.copies else None,
            user_id=self.user_id,
        )


class Window:
    """Messages between `put` and the broker's confirm, bounded in number and bytes.

    settled(message, taken, routed) is called in the link's thread with the broker's word on each message and
    returns True where the message is to be sent again after a pause. It must not block: whoever learns of the outcome
    by it finds the message counted.
    """

    def __init__(
        self,
        amqp_url: str,
        vhost: str,
        *,
        name: str,
        topology: Topology | None,
        max_messages: int,
        max_bytes: int,
        settled: Callable[[Outgoing, bool, bool], bool],
    ) -> None:
        self._max_messages, self._max_bytes, self._settled = max_messages, max_bytes, settled
        self._changed = threading.Condition()
        self._waiting: deque[Outgoing] = deque()
        self._refused: deque[Outgoing] = deque()
        self._unconfirmed: OrderedDict[int, Outgoing] = OrderedDict()
        self._returned: set[str] = set()
        self._bytes = 0
        self._count = 0
        self._closed = False
        self._channel: Any = None
        self._next_tag = 1
        self._nack_pause_s = _FIRST_NACK_PAUSE_S
        self._pump_asked = False
        self.confirmed = 0
        self._nacked = 0
        self.resent = 0
        self.link = Link(
            amqp_url, vhost, name=name, topology=topology, on_channel=self._channel_opened, on_lost=self._lost
        )
        self.link.start()

    @property
    def in_flight(self) -> int:
        with self._changed:
            return self._count

    @property
    def nacked(self) -> int:
        with self._changed:
            return self._nacked

    def put(self, message: Outgoing, *, timeout_s: float | None) -> bool:
        """Take `message` into the window; False where it stayed full for `timeout_s` (None waits for ever)."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._closed or self._has_room(len(message.body)), timeout_s):
                return False
            if self._closed:
                return False
            self._count += 1
            self._bytes += len(message.body)
            self._waiting.append(message)
            ask, self._pump_asked = not self._pump_asked, True
        if ask and not self.link.call(self._pump):
            self._pump_asked = False
        return True

    def drain(self, timeout_s: float) -> bool:
        """Wait until every message was confirmed; False where some are not within `timeout_s`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count == 0, timeout_s)

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.link.close()

    def _has_room(self, body_bytes: int) -> bool:
        if self._count == 0:
            return True
        return self._count < self._max_messages and self._bytes + body_bytes <= self._max_bytes

    def _channel_opened(self, channel: Any) -> None:
        channel.add_on_return_callback(self._message_returned)
        channel.confirm_delivery(self._answered, callback=lambda _frame: self._confirms_on(channel))

    def _confirms_on(self, channel: Any) -> None:
        if not channel.is_open:  # closed while the broker's answer was on its way
            return
        self._channel, self._next_tag = channel, 1
        self.link.ready()
        self._pump()

    def _pump(self) -> None:
        self._pump_asked = False
        channel = self._channel
        while channel is not None and channel.is_open:
            with self._changed:
                if not self._waiting:
                    return
                message = self._waiting.popleft()
                self._unconfirmed[self._next_tag] = message
                self._next_tag += 1
            channel.basic_publish(
                message.exchange, message.routing_key, message.body, message.properties(), mandatory=message.lasting
            )

    def _message_returned(self, _channel: Any, _method: Any, properties: Any, _body: bytes) -> None:
        self._returned.add(str(properties.message_id))

    def _answered(self, frame: Any) -> None:
        tag, multiple = int(frame.method.delivery_tag), bool(frame.method.multiple)
        taken = isinstance(frame.method, pika.spec.Basic.Ack)
        if not multiple:
            self._settle(self._unconfirmed.pop(tag), taken=taken)
            return
        while self._unconfirmed and next(iter(self._unconfirmed)) <= tag:
            self._settle(self._unconfirmed.popitem(last=False)[1], taken=taken)

    def _settle(self, message: Outgoing, *, taken: bool) -> None:
        routed = message.message_id not in self._returned
        self._returned.discard(message.message_id)
        with self._changed:  # over the whole of it, so that nobody counts between the outcome and its count
            again = message.lasting and self._settled(message, taken, routed)
            if taken:
                self.confirmed += 1
                self._nack_pause_s = _FIRST_NACK_PAUSE_S
            else:
                self._nacked += 1
            if again:
                self._refused.append(message)
                first = len(self._refused) == 1
            else:
                self._count -= 1
                self._bytes -= len(message.body)
                self._changed.notify_all()
        if again and first:
            self.link.call_later(self._nack_pause_s, self._retry_refused)
            self._nack_pause_s = min(self._nack_pause_s * 2, _LONGEST_NACK_PAUSE_S)

    def _retry_refused(self) -> None:
        with self._changed:
            self._waiting.extendleft(reversed(self._refused))
            self._refused.clear()
        self._pump()

    def _lost(self) -> None:
        """Everything unconfirmed goes back to the front, oldest first; what is not lasting is given up."""
        with self._changed:
            self._channel = None
            self._returned.clear()
            unsettled = [*self._unconfirmed.values(), *self._refused, *self._waiting]
            keep = [m for m in unsettled if m.lasting]
            self.resent += sum(m.lasting for m in self._unconfirmed.values())
            self._unconfirmed.clear()
            self._refused.clear()
            self._waiting = deque(keep)
            self._count = len(keep)
            self._bytes = sum(len(m.body) for m in keep)
            self._changed.notify_all()
