"""One connection to one vhost that a thread of its own keeps, and opens again for ever."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from math import inf
from time import monotonic
from typing import Any, Final

import pika
import structlog

from command.bus.broker import BrokerUnavailable, connection_parameters, explain, in_exclusive_use
from command.bus.declare import declare_topology
from command.bus.topology import Topology

_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 5.0
_STEADY_AFTER_S: Final = 10.0
"""A connection that lasted this long was a good one: the next pause is the first again."""

_log = structlog.get_logger(__name__)


class Link:
    """A connection with one channel. Everything of pika happens in its thread; other threads use `call`.

    on_channel(channel) is called in that thread when the channel is open; its owner sets the channel up and then calls
    `ready`. on_lost() is called when it is gone, and after each attempt that failed. Both must not block or raise. The
    topology is declared before each opening, so a broker that lost everything is made whole. `trouble` says in one
    line why there is no connection: whoever reads that there is none finds it said. None while there is one.
    """

    def __init__(
        self,
        amqp_url: str,
        vhost: str,
        *,
        name: str,
        topology: Topology | None,
        on_channel: Callable[[Any], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._amqp_url, self._vhost, self._topology = amqp_url, vhost, topology
        self._parameters = connection_parameters(amqp_url, vhost, name=name)
        self._name = name
        self._on_channel, self._on_lost = on_channel, on_lost
        self._lock = threading.Lock()
        self._connection: Any = None
        self._stopping = threading.Event()
        self._open = threading.Event()
        self._reason: BaseException | None = None
        self._opened_at_s = inf
        self.trouble: str | None = "not connected yet"
        self.standing_by = False
        """Whether there is no connection because another consumer has the queue for itself."""
        self.blocked: str | None = None
        """Why the broker takes no messages at present (memory or disk alarm), else None."""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def connected(self) -> bool:
        return self._open.is_set()

    def wait_connected(self, timeout_s: float) -> bool:
        """Wait until the channel is open; False where it is not within `timeout_s`."""
        return self._open.wait(timeout_s)

    def call(self, function: Callable[[], None]) -> bool:
        """Have `function` called in the link's thread, in order; False where there is no connection now."""
        with self._lock:
            if self._connection is None:
                return False
            self._connection.ioloop.add_callback_threadsafe(function)
            return True

    def call_later(self, delay_s: float, function: Callable[[], None]) -> None:
        """From the link's thread only: call `function` after `delay_s`, unless the connection is lost before."""
        if self._connection is not None:
            self._connection.ioloop.call_later(delay_s, function)

    def reopen(self, reason: BaseException) -> None:
        """From the link's thread only: give this connection up for `reason` and open another."""
        self._reason = reason
        if self._connection is not None and not (self._connection.is_closing or self._connection.is_closed):
            self._connection.close()

    def ready(self) -> None:
        """From the link's thread only: the channel is set up and messages may flow."""
        if self.trouble is not None:
            _log.info("broker_connected", link=self._name)
        self.trouble, self.standing_by = None, False
        self._opened_at_s = monotonic()
        self._open.set()

    def close(self, timeout_s: float = 10.0) -> None:
        """Close for good: what was called before is done first. Returns after `timeout_s` at the latest."""
        self._stopping.set()
        self.call(lambda: self._close_connection(timeout_s / 2))
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _close_connection(self, within_s: float) -> None:
        connection = self._connection
        if connection is not None and not (connection.is_closing or connection.is_closed):
            connection.ioloop.call_later(within_s, connection.ioloop.stop)
            connection.close()

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            self._opened_at_s = inf
            standing_by = False
            try:
                if self._topology is not None:
                    declare_topology(self._amqp_url, self._vhost, self._topology)
                self._connect_and_serve()
                trouble = explain(self._reason, self._parameters) if self._reason else "closed"
                standing_by = self._reason is not None and in_exclusive_use(self._reason)
            except BrokerUnavailable as exc:
                trouble = str(exc)
            except Exception as exc:  # noqa: BLE001 - whatever pika raises, the link must come back; it is told
                trouble = explain(exc, self._parameters)
                _log.exception("link_failed", link=self._name)
            if trouble != self.trouble and not self._stopping.is_set():
                _log.warning("broker_away", link=self._name, trouble=trouble)
            self.trouble = trouble
            self.standing_by = standing_by
            self._open.clear()
            self._on_lost()
            if monotonic() - self._opened_at_s > _STEADY_AFTER_S:
                pause_s = _FIRST_PAUSE_S
            self._stopping.wait(pause_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        self.trouble = "closed"

    def _connect_and_serve(self) -> None:
        """Returns when the connection is gone; `_reason` says why."""
        self._reason = None
        connection = pika.SelectConnection(
            self._parameters,
            on_open_callback=self._connection_opened,
            on_open_error_callback=self._connection_failed,
            on_close_callback=self._connection_failed,
        )
        connection.add_on_connection_blocked_callback(self._connection_blocked)
        connection.add_on_connection_unblocked_callback(self._connection_unblocked)
        with self._lock:
            self._connection = connection
        try:
            if self._stopping.is_set():  # set between the loop's look and this connection: nobody else closes it
                self.call(lambda: self._close_connection(1.0))
            connection.ioloop.start()
        finally:
            with self._lock:
                self._connection = None
            self.blocked = None
            connection.ioloop.close()

    def _connection_opened(self, connection: Any) -> None:
        connection.channel(on_open_callback=self._channel_opened)

    def _connection_failed(self, connection: Any, reason: BaseException) -> None:
        self._reason = self._reason or reason
        connection.ioloop.stop()

    def _connection_blocked(self, _connection: Any, frame: Any) -> None:
        self.blocked = str(frame.method.reason)
        _log.warning("broker_blocks", link=self._name, reason=self.blocked)

    def _connection_unblocked(self, _connection: Any, _frame: Any) -> None:
        self.blocked = None
        _log.info("broker_unblocks", link=self._name)

    def _channel_opened(self, channel: Any) -> None:
        channel.add_on_close_callback(self._channel_closed)
        self._on_channel(channel)

    def _channel_closed(self, _channel: Any, reason: BaseException) -> None:
        if not self._stopping.is_set():
            self.reopen(reason)
