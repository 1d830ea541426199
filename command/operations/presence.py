"""Who is on watch and what each has open: told to every screen of a realm, kept nowhere.

Each web process knows its own screens and tells the others by NOTIFY, all of them each time, when something changed and
every few seconds besides. So a lost message is made good by the next, and a process that died is forgotten.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from command.operations.people import Person
from command.store.areas import is_slug

SCREEN_SILENT_S: Final = 25.0
"""A screen says what it shows every 10 s; one that is not heard of for so long is gone."""
PROCESS_SILENT_S: Final = 15.0
TELL_EVERY_S: Final = 5.0
SWEEP_EVERY_S: Final = 0.5
SCREENS: Final = 500
"""The most that a process follows; who comes after that is not shown."""
TOLD_BYTES: Final = 7_500
"""What fits into a notification; who does not fit is counted."""
_NAME_LIMIT: Final = 40
_OPEN_LIMIT: Final = 6


class ThingKind(StrEnum):
    """What can be open on a screen."""

    ALERT = "alert"
    INCIDENT = "incident"
    TRACK = "track"
    AREA = "area"


@dataclass(frozen=True, kw_only=True, slots=True)
class Looking:
    """What is open on a screen. key: an id, or the slug of an area. editing: it is being changed there."""

    kind: ThingKind
    key: str
    editing: bool = False


def looking_at(said: Mapping[str, Any]) -> Looking:
    """What a screen or another process says is open. Raises ValueError, KeyError and TypeError for what cannot be."""
    kind, key = ThingKind(said["kind"]), str(said["key"])
    if kind is not ThingKind.AREA:
        key = str(uuid.UUID(key))
    elif not is_slug(key):
        raise ValueError(f"area {key[:60]!r}; send its slug")
    return Looking(kind=kind, key=key, editing=bool(said.get("editing", False)))


@dataclass(frozen=True, kw_only=True, slots=True)
class Present:
    """One person on watch, and what their screens have open."""

    user_id: uuid.UUID
    login: str
    name: str
    at: tuple[Looking, ...]


@dataclass(slots=True)
class _Screen:
    person: Person
    at: Looking | None
    heard_s: float


@dataclass(slots=True)
class _Process:
    people: tuple[Present, ...]
    more: int
    heard_s: float


class Presence:
    """What the screens of one realm show. All times are a monotonic clock's seconds."""

    def __init__(self) -> None:
        self._process = uuid.uuid4().hex
        self._screens: dict[int, _Screen] = {}
        self._others: dict[str, _Process] = {}
        self._numbers = 0
        self._revision = 0
        self._dirty = False
        self._told_s = self._swept_s = -1e9
        self._messages: tuple[int, dict[bool, str]] = (-1, {})
        self._lock = threading.Lock()

    def enter(self, person: Person, *, now_s: float) -> int | None:
        """A screen was opened; its number, None where there are too many already."""
        with self._lock:
            if len(self._screens) >= SCREENS:
                return None
            self._numbers += 1
            self._screens[self._numbers] = _Screen(person, None, now_s)
            self._changed()
            return self._numbers

    def look(self, screen: int, at: Looking | None, *, now_s: float) -> None:
        """What a screen shows now, or still. One that was taken for gone is there again."""
        with self._lock:
            known = self._screens.get(screen)
            if known is None:
                return
            back = now_s - known.heard_s > SCREEN_SILENT_S
            known.heard_s = now_s
            if back or known.at != at:
                known.at = at
                self._changed()

    def leave(self, screen: int) -> None:
        """A screen was closed."""
        with self._lock:
            if self._screens.pop(screen, None) is not None:
                self._changed()

    def revision(self, *, now_s: float) -> int:
        """Rises whenever somebody came, went or opened something."""
        with self._lock:
            if now_s - self._swept_s >= SWEEP_EVERY_S:
                self._sweep(now_s)
            return self._revision

    def to_tell(self, *, now_s: float) -> dict[str, Any] | None:
        """What the other processes are to hear now; None where they know it."""
        with self._lock:
            due = self._screens and now_s - self._told_s >= TELL_EVERY_S
            if not (self._dirty or due):
                return None
            self._dirty, self._told_s = False, now_s
            people, told, size = self._mine(now_s), [], 0
            for each in people:
                said = _json(each)
                size += len(json.dumps(said, ensure_ascii=False).encode()) + 1
                if size > TOLD_BYTES:
                    break
                told.append(said)
            more = len(people) - len(told)
            return {"presence": {"process": self._process, "people": told, "more": more}}

    def heard(self, payload: Mapping[str, Any], *, now_s: float) -> None:
        """What another process, or this one, told."""
        told = payload["presence"]
        process = str(told["process"])
        if process == self._process:
            return
        people = tuple(_present(each) for each in told["people"])
        with self._lock:
            before = self._others.get(process)
            self._others[process] = _Process(people, int(told["more"]), now_s)
            if before is None or (before.people, before.more) != (people, int(told["more"])):
                self._revision += 1

    def everybody(self, *, now_s: float) -> tuple[tuple[Present, ...], int]:
        """Who is on watch, by login, and how many more are whom no message had room for."""
        with self._lock:
            return self._everybody(now_s)

    def message(self, *, incidents: bool, now_s: float) -> str:
        """For a screen, as JSON. incidents: whether its person may know of them."""
        with self._lock:
            revision, kept = self._messages
            if revision != self._revision:
                kept = {}
                self._messages = self._revision, kept
            if incidents not in kept:
                people, more = self._everybody(now_s)
                said = [_json(each, incidents=incidents) for each in people]
                message = {"type": "presence", "people": said, "more": more}
                kept[incidents] = json.dumps(message, ensure_ascii=False, separators=(",", ":"))
            return kept[incidents]

    def _changed(self) -> None:
        self._revision += 1
        self._dirty = True

    def _sweep(self, now_s: float) -> None:
        """The screen of a lost connection stays known, in case it is heard of again; its person is not shown."""
        before_s, self._swept_s = self._swept_s, now_s
        went = [s for s in self._screens.values() if before_s - s.heard_s <= SCREEN_SILENT_S < now_s - s.heard_s]
        dead = [name for name, each in self._others.items() if now_s - each.heard_s > PROCESS_SILENT_S]
        for name in dead:
            del self._others[name]
        if went:
            self._changed()
        elif dead:
            self._revision += 1

    def _mine(self, now_s: float) -> list[Present]:
        mine: dict[uuid.UUID, Present] = {}
        for screen in self._screens.values():
            if now_s - screen.heard_s <= SCREEN_SILENT_S:
                user = screen.person.user
                at = () if screen.at is None else (screen.at,)
                one = Present(user_id=user.user_id, login=user.login, name=user.display_name[:_NAME_LIMIT], at=at)
                mine[user.user_id] = _together(mine.get(user.user_id), one)
        return sorted(mine.values(), key=lambda each: each.login)

    def _everybody(self, now_s: float) -> tuple[tuple[Present, ...], int]:
        found = {each.user_id: each for each in self._mine(now_s)}
        for process in self._others.values():
            for each in process.people:
                found[each.user_id] = _together(found.get(each.user_id), each)
        more = sum(process.more for process in self._others.values())
        return tuple(sorted(found.values(), key=lambda each: each.login)), more


def _together(one: Present | None, other: Present) -> Present:
    """One person at several screens."""
    if one is None:
        return other
    at = tuple(dict.fromkeys((*one.at, *other.at)))[:_OPEN_LIMIT]
    return Present(user_id=one.user_id, login=one.login, name=one.name, at=at)


def _json(each: Present, *, incidents: bool = True) -> dict[str, Any]:
    at = [
        {"kind": thing.kind.value, "key": thing.key, "editing": thing.editing}
        for thing in each.at
        if incidents or thing.kind is not ThingKind.INCIDENT
    ]
    return {"id": str(each.user_id), "login": each.login, "name": each.name, "at": at}


def _present(said: Mapping[str, Any]) -> Present:
    at = tuple(looking_at(each) for each in said["at"])
    return Present(user_id=uuid.UUID(said["id"]), login=str(said["login"]), name=str(said["name"]), at=at)
