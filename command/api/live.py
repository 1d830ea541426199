"""/ws/tracks: each screen's view of the picture as binary frames, three a second, and what else it must reload."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import asdict
from time import monotonic
from typing import Any, Final

from fastapi import APIRouter, WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState

from command.domain.clock import from_us
from command.operations.access import need_of, needs, require
from command.operations.console import Console
from command.operations.people import (
    Forbidden,
    Permission,
    Person,
    StoreUnavailable,
    current_language,
    current_person,
)
from command.operations.picture import Box, Frame, FrameKind, Watcher
from command.operations.presence import ThingKind, looking_at
from command.operations.track_groups import TrackGroup

_HEAD: Final = struct.Struct("<BBHIdQ")
_VERSION: Final = 1
_EVERY_S: Final = 0.35
_SEND_TIMEOUT_S: Final = 30.0
_MESSAGE_LIMIT: Final = 4_096
_NAMES_A_MESSAGE: Final = 500
_SESSION_CHECK_S: Final = 5.0
_PRESENCE_EVERY_S: Final = 0.25
SESSION_ENDED: Final = 4401
TOO_SLOW: Final = 4408
NOT_READABLE: Final = 4400


def encode(frame: Frame, *, realm_now_us: int, seq: int) -> bytes:
    """The wire form of a frame: 24 bytes of head, little-endian, then its records as they are."""
    return _head(frame.kind, len(frame.records), realm_now_us=realm_now_us, seq=seq) + frame.records.tobytes()


def _head(kind: FrameKind, count: int, *, realm_now_us: int, seq: int) -> bytes:
    return _HEAD.pack(_VERSION, kind, 0, count, realm_now_us / 1_000.0, seq)


Again = Callable[[Person], Person | None]
"""A person as they are now; None where their session or token is over. May raise StoreUnavailable."""


class BadMessage(ValueError):
    """What a screen sent cannot be used; the text says what to send."""


class Screen:
    """One connection. What it asks for arrives by `hear`; `speak` sends what is due and never queues. person: whose
    it is, as they are now."""

    def __init__(self, socket: WebSocket, console: Console, person: Person) -> None:
        self.person = person
        self._socket = socket
        self._console = console
        self._watcher = Watcher(console.picture, language=current_language())
        self._asked = asyncio.Event()
        self._looking = False
        self._as_of_us: int | None = None
        self._as_of_due = False
        self._told: dict[str, int] = {}
        self._present: int | None = None

    def hear(self, message: str) -> None:
        """Take one message of the screen. Raises BadMessage, and Forbidden where the person may not send it."""
        try:
            asked = json.loads(message)
            kind = asked["type"]
            hear = HEARD.get(kind)
            if hear is None:
                raise BadMessage(f"type {kind!r}; send {', '.join(HEARD)}")
            require(need_of(hear), self.person, what=f"the message {kind!r}")
            hear(self, asked)
        except (ValueError, KeyError, TypeError, OverflowError) as exc:
            raise BadMessage(str(exc) if isinstance(exc, BadMessage) else f"message not understood: {exc}") from exc
        self._asked.set()

    @needs(Permission.WATCH)
    def _view(self, asked: Mapping[str, Any]) -> None:
        zoom = float(asked["zoom"])
        if not 0.0 <= zoom <= 24.0:
            raise BadMessage(f"zoom {zoom}; send 0 to 24")
        hide = frozenset(TrackGroup(name) for name in asked.get("hide", ()))
        self._watcher.look(Box.around(asked["bbox"]), zoom=zoom, hide=hide)
        self._looking = True
        self._as_of_due = self._as_of_us is not None

    @needs(Permission.WATCH)
    def _then_picture(self, asked: Mapping[str, Any]) -> None:
        at_us = int(asked["at_ms"]) * 1_000
        from_us(at_us)
        self._as_of_us, self._as_of_due = at_us, True

    @needs(Permission.WATCH)
    def _live_picture(self, _: Mapping[str, Any]) -> None:
        self._as_of_us, self._as_of_due = None, False
        self._watcher.start_over()

    @needs(Permission.WATCH)
    def _look(self, asked: Mapping[str, Any]) -> None:
        at = None if asked["at"] is None else looking_at(asked["at"])
        if at is not None and at.kind is ThingKind.INCIDENT:
            self.person.must(Permission.READ_INCIDENTS)
        if self._present is not None:
            self._console.presence.look(self._present, at, now_s=monotonic())

    def come(self) -> None:
        """Somebody sits here now; of a program nobody is told."""
        if self.person.scopes is None:
            self._present = self._console.presence.enter(self.person, now_s=monotonic())

    def go(self) -> None:
        """Nobody sits here any more."""
        if self._present is not None:
            self._console.presence.leave(self._present)

    async def tell_presence(self) -> None:
        """Who is on watch, whenever that changes, to people. Looked at often, for it is to be told within a second."""
        told, presence = None, self._console.presence
        while True:
            revision = presence.revision(now_s=monotonic())
            if revision != told and self.person.scopes is None:
                incidents = self.person.may(Permission.READ_INCIDENTS)
                async with asyncio.timeout(_SEND_TIMEOUT_S):
                    await self._socket.send_text(presence.message(incidents=incidents, now_s=monotonic()))
                told = revision
            await asyncio.sleep(_PRESENCE_EVERY_S)

    async def speak(self) -> None:
        """Send what is due, then wait a third of a second or until the screen asks for another view."""
        console = self._console
        told = {
            "alerts": console.alerts_revision,
            "areas": console.areas_revision,
            "facilities": console.facilities_revision,
            "notes": console.notes_revision,
        }
        if self.person.may(Permission.READ_INCIDENTS):
            told["incidents"] = console.incidents_revision
        for what, revision in told.items():
            if self._told.get(what) != revision:
                await self._text({"type": what, "revision": revision})
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
            if frame.counts is not None:
                await self._text({"type": "counts", **asdict(frame.counts)})
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


HEARD: Final[Mapping[str, Callable[[Screen, Mapping[str, Any]], None]]] = {
    "view": Screen._view,
    "as_of": Screen._then_picture,
    "live": Screen._live_picture,
    "looking": Screen._look,
}
"""The messages that a screen may send, by their type."""


def live_router(console: Console, again: Again) -> APIRouter:
    """The WebSocket. The guard has let only somebody come here who is signed in or has a token."""
    router = APIRouter()

    @router.websocket("/ws/tracks")
    @needs(Permission.WATCH)
    async def tracks(socket: WebSocket) -> None:
        await socket.accept()
        screen = Screen(socket, console, current_person())
        screen.come()
        tasks = [
            asyncio.create_task(_hear(socket, screen)),
            asyncio.create_task(_ending(_speak(screen))),
            asyncio.create_task(_ending(screen.tell_presence())),
            asyncio.create_task(_watch_session(again, screen)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            code = next(iter(done)).result()
        finally:
            screen.go()
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
        except (BadMessage, Forbidden) as exc:
            with suppress(WebSocketDisconnect, RuntimeError):
                await socket.send_text(json.dumps({"type": "error", "detail": str(exc)}, ensure_ascii=False))


async def _speak(screen: Screen) -> None:
    while True:
        await screen.speak()


async def _ending(speaking: Coroutine[Any, Any, None]) -> int:
    """What it means that nothing can be said any more."""
    try:
        await speaking
    except TimeoutError:
        return TOO_SLOW
    except (WebSocketDisconnect, RuntimeError):
        pass
    return 1000


async def _watch_session(again: Again, screen: Screen) -> int:
    """Whether the person still may be here, and what they may do now."""
    while True:
        await asyncio.sleep(_SESSION_CHECK_S)
        with suppress(StoreUnavailable):
            person = await asyncio.to_thread(again, screen.person)
            if person is None or not person.may(Permission.WATCH):
                return SESSION_ENDED
            screen.person = person
