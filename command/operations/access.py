"""What a route, a callback or a screen's message asks for, said where it is written; what says nothing is refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, TypeVar

from command.operations.people import EVERYWHERE, Forbidden, Permission, Person

_ATTRIBUTE: Final = "__mizugiwa_needs__"
_NOWHERE: Final = "__mizugiwa_lies_nowhere__"
_Function = TypeVar("_Function", bound=Callable[..., object])


class Open(StrEnum):
    """What asks for no permission."""

    EVERYBODY = "everybody"
    """Before signing in as well."""
    SIGNED_IN = "signed in"
    """Whoever has a session, for what is their own. Not for API tokens."""


Need = Permission | Open


@dataclass(frozen=True, kw_only=True, slots=True)
class Mounted:
    """What the pages tell the API of themselves: the CSP hashes of their inline scripts, what the routes need that
    their framework made (by path), and the folders that whoever is signed in may read files from."""

    script_hashes: Sequence[str]
    needs: Mapping[str, Need]
    folders: Sequence[str]


def needs(need: Need, *, lies_nowhere: bool = False) -> Callable[[_Function], _Function]:
    """Decorator, under the one that registers the function: whoever calls it must have this.

    lies_nowhere: what it does, it does to nothing that lies in an area, so that nobody's areas limit it.
    """

    def declare(function: _Function) -> _Function:
        setattr(function, _ATTRIBUTE, need)
        setattr(function, _NOWHERE, lies_nowhere)
        return function

    return declare


def need_of(function: object) -> Need | None:
    """What a function was declared to need; None where nobody said."""
    found: Need | None = getattr(function, _ATTRIBUTE, None)
    return found


def limited_to_areas(function: object) -> bool:
    """Whether a person whose roles are limited to areas may call it for what lies in them only."""
    need = need_of(function)
    return isinstance(need, Permission) and need not in EVERYWHERE and not getattr(function, _NOWHERE, False)


def require(need: Need | None, person: Person | None, *, what: str) -> None:
    """Raises Forbidden where the person may not anywhere, and where `what` declares no need: then nobody may.

    Where something lies is asked by what acts on it, with operations.territory.must_at.
    """
    if need is Open.EVERYBODY:
        return
    if person is None:
        raise Forbidden("no one is signed in; sign in at /login")
    if need is None:
        raise Forbidden(f"{what} says no permission that it needs, so nobody may; declare it with needs(...)")
    if isinstance(need, Permission):
        person.must_somewhere(need)
    elif person.scopes is not None:
        raise Forbidden(f"{what} is a person's own and not for API tokens; sign in at /login")
