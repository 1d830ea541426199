"""What publishes: the gateway's batches to intake, dispatch's alerts and heartbeats to the teams."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from time import time
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from command.bus.topology import (
    ALERTS,
    HEARTBEATS,
    OBSERVATIONS,
    RESPONSES,
    Topology,
    observation_topology,
    reply_queue,
    response_key,
)
from command.bus.window import Outgoing, Window


class _Publisher:
    """What both have: a window of messages that the broker has not confirmed, and a word on how it fares."""

    _window: Window

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def drain(self, timeout_s: float) -> bool:
        """Wait until the broker has answered for every message; False where it has not within `timeout_s`."""
        return self._window.drain(timeout_s)

    def wait_connected(self, timeout_s: float) -> bool:
        return self._window.link.wait_connected(timeout_s)

    @property
    def connected(self) -> bool:
        return self._window.link.connected

    @property
    def trouble(self) -> str | None:
        """Why messages do not flow, in one line; None while they do."""
        return self._window.link.trouble or self._window.link.blocked

    @property
    def in_flight(self) -> int:
        """Messages taken by `publish` and not confirmed yet."""
        return self._window.in_flight

    @property
    def refused(self) -> int:
        """How often the broker refused a message because a queue was full."""
        return self._window.nacked

    @property
    def resent(self) -> int:
        """Messages sent again because the connection was lost before their confirm."""
        return self._window.resent

    def close(self) -> int:
        """Close; how many messages were given up unconfirmed (`drain` before where they may take a while)."""
        self._window.close()
        return self._window.in_flight


class BatchPublisher(_Publisher):
    """The gateway's way to intake: one exchange, windowed confirms, messages in order unless the queue was full.

    Any thread may publish. A refused message (the queue is full) is tried again until it is taken, and counted in
    `refused`; the window then fills and `publish` answers False: that is the gateway's sign to shed or to wait.
    """

    def __init__(
        self,
        amqp_url: str,
        vhost: str,
        *,
        name: str = "mizugiwa gateway",
        window: int = 512,
        window_bytes: int = 64 * 1024 * 1024,
        topology: Topology | None = None,
    ) -> None:
        self._window = Window(
            amqp_url,
            vhost,
            name=name,
            topology=topology or observation_topology(),
            max_messages=window,
            max_bytes=window_bytes,
            settled=lambda _message, taken, routed: not (taken and routed),
        )

    def publish(self, body: bytes, *, kind: str, timeout_s: float | None = 0.0) -> bool:
        """Hand over one message of AMQP type `kind` (`observations` or `health`).

        False where the window stayed full for `timeout_s` (None waits for ever) or the publisher is closed; the
        message was then not taken. True means that it will reach the queue, unless the process dies before.
        """
        return self._window.put(
            Outgoing(
                exchange=OBSERVATIONS,
                routing_key=OBSERVATIONS,
                body=body,
                message_id=str(uuid.uuid4()),
                kind=kind,
                content_type="application/json" if kind == "health" else "application/octet-stream",
                created_at_s=int(time()),
            ),
            timeout_s=timeout_s,
        )

    @property
    def confirmed(self) -> int:
        return self._window.confirmed


class ReplyPublisher(_Publisher):
    """Dispatch's way to tell teams what became of their answers, each in the queue of its own."""

    def __init__(self, amqp_url: str, vhost: str, *, window: int = 64) -> None:
        self._window = Window(
            amqp_url,
            vhost,
            name="mizugiwa dispatch replies",
            topology=None,
            max_messages=window,
            max_bytes=window * 64 * 1024,
            settled=lambda _message, taken, _routed: not taken,
        )

    def publish(self, body: bytes, *, team: str, message_id: str) -> bool:
        """Hand over one reply; False where the window is full. A team that has no queue is not told."""
        return self._window.put(
            Outgoing(
                exchange="",
                routing_key=reply_queue(team),
                body=body,
                message_id=message_id,
                kind="reply",
                content_type="application/json",
                created_at_s=int(time()),
            ),
            timeout_s=0.0,
        )


class ResponsePublisher(_Publisher):
    """A team's way to answer. It declares nothing: a team may not.

    settled(message_id, taken): the broker's word on each answer, in the link's thread; must not block. What it did not
    take is not tried again here: the client has it in its outbox.
    """

    def __init__(
        self, amqp_url: str, vhost: str, *, team: str, settled: Callable[[str, bool], None], window: int = 64
    ) -> None:
        self._team = team
        self._user = user_of(amqp_url)

        def told(message: Outgoing, taken: bool, routed: bool) -> bool:
            settled(message.message_id, taken and routed)
            return False

        self._window = Window(
            amqp_url,
            vhost,
            name=f"mizugiwa responder {team} answers",
            topology=None,
            max_messages=window,
            max_bytes=window * 64 * 1024,
            settled=told,
        )

    def publish(self, body: bytes, *, message_id: str) -> bool:
        """Hand over one answer; False where there is no connection or no room now. `settled` tells of it."""
        if not self.connected:
            return False
        return self._window.put(
            Outgoing(
                exchange=RESPONSES,
                routing_key=response_key(self._team),
                body=body,
                message_id=message_id,
                kind="response",
                content_type="application/json",
                created_at_s=int(time()),
                user_id=self._user,
            ),
            timeout_s=0.0,
        )


def user_of(amqp_url: str) -> str:
    """The broker's user in an AMQP_URL."""
    return unquote(urlsplit(amqp_url).username or "guest")


class OutcomeKind(StrEnum):
    CONFIRMED = "confirmed"
    REFUSED = "refused"
    """A queue that it is bound to is full; other teams may have it."""
    UNROUTABLE = "unroutable"
    """The broker gave it back: no queue took it, not even the one for unroutable alerts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The broker's word on one published alert."""

    message_id: str
    kind: OutcomeKind


class AlertPublisher(_Publisher):
    """Dispatch's way to the teams: windowed confirms, mandatory, and an outcome for every message.

    A refused alert is not tried again here: dispatch has it in the store and knows when there is room.
    """

    def __init__(
        self,
        amqp_url: str,
        vhost: str,
        *,
        topology: Topology,
        wake: threading.Event,
        name: str = "mizugiwa dispatch",
        window: int = 1_000,
        window_bytes: int = 64 * 1024 * 1024,
    ) -> None:
        self._outcomes: deque[Outcome] = deque()
        self._wake = wake
        self._window = Window(
            amqp_url,
            vhost,
            name=name,
            topology=topology,
            max_messages=window,
            max_bytes=window_bytes,
            settled=self._settled,
        )

    def publish(
        self, body: bytes, *, routing_key: str, message_id: str, kind: str = "alert", copies: tuple[str, ...] = ()
    ) -> bool:
        """Hand over one JSON alert; False where the window is full or there is no connection. Its outcome follows.

        copies: further routing keys; a queue that several reach gets it once.
        """
        if not self.connected:
            return False
        return self._window.put(
            Outgoing(
                exchange=ALERTS,
                routing_key=routing_key,
                body=body,
                message_id=message_id,
                kind=kind,
                content_type="application/json",
                created_at_s=int(time()),
                copies=copies,
            ),
            timeout_s=0.0,
        )

    def heartbeat(self, body: bytes) -> bool:
        """Tell every team that dispatch lives; False where there is no connection: a late one is worth nothing."""
        if not self.connected:
            return False
        return self._window.put(
            Outgoing(
                exchange=HEARTBEATS,
                routing_key="",
                body=body,
                message_id=str(uuid.uuid4()),
                kind="heartbeat",
                content_type="application/json",
                created_at_s=int(time()),
                lasting=False,
            ),
            timeout_s=0.0,
        )

    def outcomes(self) -> list[Outcome]:
        """What the broker said since the last call; `wake` is set whenever there is something."""
        return [self._outcomes.popleft() for _ in range(len(self._outcomes))]

    def _settled(self, message: Outgoing, taken: bool, routed: bool) -> bool:
        kind = OutcomeKind.CONFIRMED if taken else OutcomeKind.REFUSED
        self._outcomes.append(Outcome(message_id=message.message_id, kind=kind if routed else OutcomeKind.UNROUTABLE))
        self._wake.set()
        return False
