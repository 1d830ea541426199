"""A sending channel's own thread: however long the other side takes, it holds up nobody else."""

from __future__ import annotations

import threading
import uuid
from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from queue import Empty, Full, Queue
from typing import Final

import structlog

from alerts.channel import NeverAgain, NotNow, Parcel, SendingChannel

ROOM: Final = 2
"""Handed over and not begun yet. The others wait at dispatch, where what is worse overtakes them."""
_LOOK_EVERY_S: Final = 0.5
_MAX_REASON: Final = 500

_log = structlog.get_logger(__name__)


class Result(StrEnum):
    SENT = "sent"
    FAILED = "failed"
    """To be tried again."""
    REFUSED = "refused"
    """Never to be tried again by itself."""
    UNTRIED = "untried"
    """Handed back because the one before it failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Settled:
    """What became of one parcel. said: why it failed, or what was not quite right with one that was sent."""

    delivery_id: uuid.UUID
    result: Result
    said: str | None = None
    retry_after_s: float = 0.0


class Carrier:
    """Hands parcels to a channel, one after the other.

    `wake` is set whenever there is a result. After a failure the rest comes back untried: it would fail like that.
    """

    def __init__(self, channel: SendingChannel, *, wake: threading.Event) -> None:
        self._channel, self._wake = channel, wake
        self._parcels: Queue[Parcel] = Queue(ROOM)
        self._settled: deque[Settled] = deque()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"channel {channel.name}", daemon=True)
        self._thread.start()

    def offer(self, parcel: Parcel) -> bool:
        """Take a parcel; False where there is no room."""
        try:
            self._parcels.put_nowait(parcel)
        except Full:
            return False
        return True

    def settled(self) -> list[Settled]:
        """What became of parcels since the last call."""
        return [self._settled.popleft() for _ in range(len(self._settled))]

    def close(self, within_s: float) -> None:
        """Begin no other parcel, and wait for the one that is being sent; what is not settled then is sent again."""
        self._ending.set()
        self._thread.join(within_s)

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                parcel = self._parcels.get(timeout=_LOOK_EVERY_S)
            except Empty:
                continue
            settled = self._send(parcel)
            self._settled.append(settled)
            if settled.result is Result.FAILED:
                self._hand_back()
            self._wake.set()

    def _send(self, parcel: Parcel) -> Settled:
        try:
            said = self._channel.send(parcel)
        except NotNow as exc:
            return Settled(
                delivery_id=parcel.delivery_id,
                result=Result.FAILED,
                said=str(exc)[:_MAX_REASON],
                retry_after_s=exc.retry_after_s or 0.0,
            )
        except NeverAgain as exc:
            return Settled(delivery_id=parcel.delivery_id, result=Result.REFUSED, said=str(exc)[:_MAX_REASON])
        except Exception as exc:  # noqa: BLE001 - a channel is a plug-in: whatever it raises, the thread goes on
            _log.exception("channel_failed", channel=self._channel.name)
            told = f"{type(exc).__name__}: {exc}"[:_MAX_REASON]
            return Settled(delivery_id=parcel.delivery_id, result=Result.FAILED, said=told)
        return Settled(delivery_id=parcel.delivery_id, result=Result.SENT, said=said)

    def _hand_back(self) -> None:
        while True:
            try:
                parcel = self._parcels.get_nowait()
            except Empty:
                return
            self._settled.append(Settled(delivery_id=parcel.delivery_id, result=Result.UNTRIED))
