"""The contract of a panel: one file, its Config beside it, one line in registry.py."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, Protocol, runtime_checkable

from dash import Dash
from dash.development.base_component import Component
from pydantic import BaseModel, ConfigDict

from command.i18n import text
from command.operations.console import Console
from command.operations.people import Permission, Person


class Place(StrEnum):
    """Where in the shell a panel stands. Panels of one place follow each other in the order of the registry."""

    TOP = "top"
    LEFT = "left"
    RIGHT = "right"
    BOTTOM = "bottom"


class PanelConfig(BaseModel):
    """What every panel's configuration has. A panel's own Config extends it, in the same file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    enabled: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class View:
    """Who opens the page, and in which language. A page has one language; switching loads it anew."""

    console: Console
    person: Person
    language: str

    def t(self, key: str, **params: Any) -> str:
        """The text `key` in the reader's language."""
        return text(self.language, key, **params)


class Panel(Protocol):
    """One panel. `layout` is made for each page load; `connect` adds its callbacks once.

    A callback is async, reads the console's memory, and asks the store only in a thread
    (asyncio.to_thread): it must not hold up the event loop that serves every screen.
    """

    Config: ClassVar[type[PanelConfig]]
    place: ClassVar[Place]

    def __init__(self, config: Any) -> None: ...

    def layout(self, view: View) -> Component: ...

    def connect(self, app: Dash, console: Console) -> None: ...


@runtime_checkable
class TabbedPanel(Panel, Protocol):
    """A panel on the left. They share the place as tabs: `console.tab_<tab>` is a tab's text, `left-<tab>` the id of
    its page; who lacks the permission has no such tab.
    """

    tab: ClassVar[str]
    needs: ClassVar[Permission]

    def under(self, view: View) -> list[Component]:
        """What stands under the tabs, whichever of them is open."""
        ...
