"""/ws/tracks: each screen's view of the picture as binary frames, about one a second, and what else it must reload."""

from __future__ import annotations

import asyncio
import json
import struct
from contextlib import suppress
from typing import Any, Final

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from command.api.guard import SESSION_COOKIE
from command.domain.clock import from_us
from command.operations.console import Console
from command.operations.people import (
    Permission,
    SessionGate,
    StoreUnavailable,
    current_language,
    current_person,
)
from command.operations.picture import Box, Frame, FrameKind, Watcher
from command.operations.track_groups import TrackGroup

_HEAD: Final = struct.Struct("<BBHIdQ")
_VERSION: Final = 1
_EVERY_S: Final = 1.0
_SEND_TIMEOUT_S: Final = 30.0
_MESSAGE_LIMIT: Final = 4_096
_NAMES_A_MESSAGE: Final = 500
_SESSION_CHECK_S: Final = 15.0
SESSION_ENDED: Final = 4401
TOO_SLOW: Final = 4408
NOT_READABLE: Final = 4400


def encode(frame: Frame, *, realm_now_us: int, seq: int) -> bytes:
    """The wire form of a frame: 24 bytes of head, little-endian, then its records as they are."""
    return _head(frame.kind, len(frame.records), realm_now_us=realm_now_us, seq=seq) + frame.records.tobytes()


def _head(kind: FrameKind, count: int, *, realm_now_us: int, seq: int) -> bytes:
    return _HEAD.pack(_VERSION, kind, 0, count, realm_now_us / 1_000.0, seq)


class BadMessage(ValueError):
    """What a screen sent cannot be used; the text says what to send."""


class Screen:
    """One connection. What it asks for arrives by `hear`; `speak` sends what is due and never queues."""

    def __init__(self, socket: WebSocket, console: Console) -> None:
        self._socket = socket
        self._console = console
        self._watcher = Watcher(console.picture, language=current_language())
        self._asked = asyncio.Event()
        self._looking = False
        self._as_of_us: int | None = None
        self._as_of_due = False
        self._told: tuple[int, int] | None = None

    def hear(self, message: str) -> None:
        """Take one message of the screen. Raises BadMessage."""
        try:
            asked = json.loads(message)
            kind = asked["type"]
            if kind == "view":
                zoom = float(asked["zoom"])
                if not 0.0 <= zoom <= 24.0:
                    raise BadMessage(f"zoom {zoom}; send 0 to 24")
                hide = frozenset(TrackGroup(name) for name in asked.get("hide", ()))
                self._watcher.look(Box.around(asked["bbox"]), zoom=zoom, hide=hide)
                self._looking = True
                self._as_of_due = self._as_of_us is not None
            elif kind == "as_of":
                at_us = int(asked["at_ms"]) * 1_000
                from_us(at_us)
                self._as_of_us, self._as_of_due = at_us, True
            elif kind == "live":
                self._as_of_us, self._as_of_due = None, False
                self._watcher.start_over()
            else:
                raise BadMessage(f"type {kind!r}; send view, as_of or live")
        except (ValueError, KeyError, TypeError, OverflowError) as exc:
            raise BadMessage(str(exc) if isinstance(exc, BadMessage) else f"message not understood: {exc}") from exc
        self._asked.set()

    async def speak(self) -> None:
        """Send what is due, then wait a second or until the screen asks for another view."""
        console = self._console
        told = (console.alerts_revision, console.areas_revision)
        if told != self._told:
            await self._text({"type": "alerts", "revision": told[0]})
            await self._text({"type": "areas", "revision": told[1]})
            self._told = told
        now_us = console.clock.now_us()
        frames: list[Frame] = []
        if self._as_of_us is not None:
            if self._as_of_due:
                self._as_of_due = False
                frames = await self._then(self._as_of_us)
        elif self._looking:
            frames = self._watcher.advance(now_us=now_us)
        for frame in frames:
            for at in range(0, len(frame.names), _NAMES_A_MESSAGE):
                await self._text({"type": "names", "tracks": frame.names[at : at + _NAMES_A_MESSAGE]})
            await self._bytes(encode(frame, realm_now_us=now_us, seq=console.picture.seq))
        await self._bytes(_head(FrameKind.TICK, 0, realm_now_us=now_us, seq=console.picture.seq))
        with suppress(TimeoutError):
            async with asyncio.timeout(_EVERY_S):
                await self._asked.wait()
        self._asked.clear()

    async def _then(self, at_us: int) -> list[Frame]:
        try:
            tracks = await asyncio.to_thread(self._console.as_of, at_us, self._watcher.box)
        except StoreUnavailable as exc:
            await self._text({"type": "error", "detail": str(exc)})
            return []
        return [self._watcher.as_of(tracks)]

    async def _text(self, message: dict[str, Any]) -> None:
        text = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
        # not wait_for: Python 3.11's loses a cancellation that comes as the send ends, and the screen would never close
        async with asyncio.timeout(_SEND_TIMEOUT_S):
            await self._socket.send_text(text)

    async def _bytes(self, message: bytes) -> None:
        async with asyncio.timeout(_SEND_TIMEOUT_S):
            await self._socket.send_bytes(message)


def live_router(console: Console, gate: SessionGate) -> APIRouter:
    """The WebSocket. The guard has let only a signed-in person of this site come here."""
    router = APIRouter()

    @router.websocket("/ws/tracks")
    async def tracks(socket: WebSocket) -> None:
        current_person().must(Permission.WATCH)
        await socket.accept()
        screen = Screen(socket, console)
        tasks = [
            asyncio.create_task(_hear(socket, screen)),
            asyncio.create_task(_speak(screen)),
            asyncio.create_task(_watch_session(gate, socket.cookies.get(SESSION_COOKIE, ""))),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            code = next(iter(done)).result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if socket.client_state is WebSocketState.CONNECTED and socket.application_state is WebSocketState.CONNECTED:
            with suppress(RuntimeError, WebSocketDisconnect):
                await socket.close(code)

    return router


async def _hear(socket: WebSocket, screen: Screen) -> int:
    while True:
        try:
            message = await socket.receive_text()
        except (WebSocketDisconnect, KeyError, RuntimeError):
            return 1000
        if len(message) > _MESSAGE_LIMIT:
            return NOT_READABLE
        try:
            screen.hear(message)
        except BadMessage as exc:
            with suppress(WebSocketDisconnect, RuntimeError):
                await socket.send_text(json.dumps({"type": "error", "detail": str(exc)}, ensure_ascii=False))


async def _speak(screen: Screen) -> int:
    while True:
        try:
            await screen.speak()
        except TimeoutError:
            return TOO_SLOW
        except (WebSocketDisconnect, RuntimeError):
            return 1000


async def _watch_session(gate: SessionGate, token: str) -> int:
    while True:
        await asyncio.sleep(_SESSION_CHECK_S)
        with suppress(StoreUnavailable):
            if await asyncio.to_thread(gate.find, token) is None:
                return SESSION_ENDED
