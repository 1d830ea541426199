"""How full the queues are, for people who must see trouble before it is loss."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self

from command.bus.broker import BrokerUnavailable
from command.bus.link import Link
from command.bus.topology import Topology

_EVERY_S: Final = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueDepth:
    """ready: messages that wait to be given out. consumers: who takes from it."""

    ready: int
    consumers: int


class QueueWatch:
    """Reads the depths of `queues` every two seconds over one connection of its own."""

    def __init__(
        self, amqp_url: str, vhost: str, queues: Sequence[str], *, name: str, topology: Topology | None = None
    ) -> None:
        self._queues = tuple(queues)
        self._lock = threading.Condition()
        self._reading: dict[str, QueueDepth] = {}
        self._depths: dict[str, QueueDepth] = {}
        self._read_at_s: float | None = None
        self._link = Link(
            amqp_url, vhost, name=name, topology=topology, on_channel=self._channel_opened, on_lost=lambda: None
        )
        self._link.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def depths(self) -> Mapping[str, QueueDepth]:
        """The latest reading by queue; empty until there is one."""
        with self._lock:
            return dict(self._depths)

    @property
    def age_s(self) -> float | None:
        """How old the latest reading is; None until there is one."""
        with self._lock:
            return None if self._read_at_s is None else monotonic() - self._read_at_s

    @property
    def trouble(self) -> str | None:
        return self._link.trouble

    def wait(self, timeout_s: float) -> Mapping[str, QueueDepth]:
        """The first reading. Raises BrokerUnavailable where there is none within `timeout_s`."""
        with self._lock:
            if not self._lock.wait_for(lambda: self._read_at_s is not None, timeout_s):
                raise BrokerUnavailable(self.trouble or "the broker does not answer; see `mizugiwa doctor`")
            return dict(self._depths)

    def close(self) -> None:
        self._link.close()

    def _channel_opened(self, channel: Any) -> None:
        self._link.ready()
        self._read(channel)

    def _read(self, channel: Any) -> None:
        self._reading = {}
        for queue in self._queues:
            channel.queue_declare(queue, passive=True, callback=partial(self._counted, channel, queue))

    def _counted(self, channel: Any, queue: str, frame: Any) -> None:
        self._reading[queue] = QueueDepth(
            ready=int(frame.method.message_count), consumers=int(frame.method.consumer_count)
        )
        if len(self._reading) == len(self._queues):
            with self._lock:
                self._depths, self._read_at_s = self._reading, monotonic()
                self._lock.notify_all()
            self._link.call_later(_EVERY_S, partial(self._read_if_open, channel))

    def _read_if_open(self, channel: Any) -> None:
        if channel.is_open:
            self._read(channel)


def queue_depths(
    amqp_url: str, vhost: str, queues: Sequence[str], *, timeout_s: float = 20.0
) -> Mapping[str, QueueDepth]:
    """One reading. Raises BrokerUnavailable where the broker or a queue is not there within `timeout_s`."""
    with QueueWatch(amqp_url, vhost, queues, name="mizugiwa depths") as watch:
        return watch.wait(timeout_s)
