"""The pages beside the console for those who are signed in: one line each, from which every menu is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from command.operations.people import Permission, Person


@dataclass(frozen=True, kw_only=True, slots=True)
class DeskPage:
    """One page. title: its text's key. needs: who sees it; None: whoever is signed in."""

    path: str
    title: str
    needs: Permission | None = None


DESK_PAGES: Final = (
    DeskPage(path="/account", title="account.title"),
    DeskPage(path="/watch", title="watch.title", needs=Permission.WATCH),
    DeskPage(path="/handover", title="handover.title", needs=Permission.READ_INCIDENTS),
    DeskPage(path="/deliveries", title="deliveries.title", needs=Permission.WATCH),
    DeskPage(path="/rules", title="rules.title", needs=Permission.WATCH),
    DeskPage(path="/people", title="people.title", needs=Permission.MANAGE_PEOPLE),
)


def pages_for(person: Person) -> tuple[DeskPage, ...]:
    """The pages that this person may open, in the order of the menus."""
    return tuple(page for page in DESK_PAGES if page.needs is None or person.may(page.needs))
