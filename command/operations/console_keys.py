"""The keys of the console: one table, from which each person may give an act another key or none (WCAG 2.2, 2.1.4)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Engine

from command.domain.people import User
from command.i18n import text
from command.store.engine import StoreUnavailable, shared_session
from command.store.person_keys import load_keys, save_keys

__all__ = ["FIXED", "KEYS", "BadKeys", "KeySettings", "KeyTaken", "PersonKeys", "StoreUnavailable"]

KEYS: Final[Mapping[str, str]] = {
    "next": "j",
    "previous": "k",
    "acknowledge": "a",
    "assign": "u",
    "escalate": "e",
    "silence": "q",
    "group": "z",
    "evidence": "x",
    "filter_critical": "1",
    "filter_high": "2",
    "filter_medium": "3",
    "filter_low": "4",
    "alerts_tab": "w",
    "incidents_tab": "c",
    "open_incident": "i",
    "link_incident": "l",
    "task": "o",
    "comment": "m",
    "find": ".",
    "search": "/",
    "list": "t",
    "areas": "g",
    "facilities": "b",
    "walk": "n",
    "measure": "r",
    "box": "[",
    "notes": ";",
    "coordinates": "d",
    "kinds": "f",
    "layers": "y",
    "symbols": "0",
    "views": "v",
    "past": ",",
    "palette": "p",
    "sound": "s",
    "health": "h",
    "help": "?",
}
"""What an act is called (its text is console.key_<act>) and the key that it has where nobody chose another. What is not
in this table has no key: the page's scripts ask it, and know the acts alone."""

FIXED: Final[tuple[tuple[str, str], ...]] = (
    ("↓ ↑", "arrows"),
    ("Enter", "show"),
    ("Space", "choose"),
    ("Shift+↓ Shift+↑", "choose_more"),
    ("Ctrl+A", "choose_all"),
    ("← →", "fold"),
    ("Home", "home"),
    ("Esc", "close"),
)
"""Keys that are no letters: they stay as they are."""

_USABLE: Final = re.compile(r"[!-@\[-~]|F(?:2|4|[6-9]|10)")
"""One printable character, no capital letter; or a function key that browsers leave to the page."""


class BadKeys(ValueError):
    """Keys that cannot be kept, in the reader's language; `key` names the text."""

    def __init__(self, words: str, *, key: str) -> None:
        super().__init__(words)
        self.key = key


class KeyTaken(BadKeys):
    """A key that another act has."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeySettings:
    """What a person changed. letters_off: no key that is one character does anything. keys: act -> key, None where it
    has none; an act that is not named has its own.
    """

    letters_off: bool = False
    keys: Mapping[str, str | None] = field(default_factory=dict)

    def in_force(self) -> dict[str, str | None]:
        """act -> key for every act of the table, as set; also while letters are off."""
        return {act: self.keys.get(act, own) for act, own in KEYS.items()}


def check_keys(settings: KeySettings, language: str) -> None:
    """Raises BadKeys and KeyTaken where these cannot be a person's keys."""
    unknown = sorted(set(settings.keys) - set(KEYS))
    if unknown:
        raise BadKeys(text(language, "keys.error.unknown", act=unknown[0], acts=", ".join(KEYS)), key="unknown")
    holders: dict[str, str] = {}
    for act, key in settings.in_force().items():
        if key is None:
            continue
        if not _USABLE.fullmatch(key):
            raise BadKeys(text(language, "keys.error.unusable", pressed=key), key="unusable")
        if key in holders:
            # the act that was given the key is the one to tell of, and the other one holds it
            given, holder = (act, holders[key]) if act in settings.keys else (holders[key], act)
            raise KeyTaken(
                text(
                    language,
                    "keys.error.taken",
                    pressed=shown_key(key),
                    holder=text(language, f"console.key_{holder}"),
                    act=text(language, f"console.key_{given}"),
                ),
                key="taken",
            )
        holders[key] = act


def shown_key(key: str) -> str:
    """As it stands on the key."""
    return key.upper() if len(key) == 1 else key


class PersonKeys:
    """The keys of each person, so that they follow an officer to another desk. Methods may raise StoreUnavailable."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, user: User) -> KeySettings:
        """What this person set; acts that no longer exist are left out."""
        with shared_session(self._engine) as session:
            kept = load_keys(session, user.user_id)
        if kept is None:
            return KeySettings()
        letters_off, keys = kept
        return KeySettings(letters_off=letters_off, keys={act: key for act, key in keys.items() if act in KEYS})

    def save(self, user: User, settings: KeySettings, *, language: str) -> KeySettings:
        """Keep them; what is an act's own key anyway is not kept. Raises BadKeys, KeyTaken."""
        check_keys(settings, language)
        changed = {act: key for act, key in settings.keys.items() if key != KEYS[act]}
        with shared_session(self._engine) as session:
            save_keys(session, user.user_id, letters_off=settings.letters_off, keys=changed)
        return KeySettings(letters_off=settings.letters_off, keys=changed)
