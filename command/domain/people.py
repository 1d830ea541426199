"""People and their roles."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    OFFICER = "officer"
    PILOT = "pilot"
    RESPONDER = "responder"
    ANALYST = "analyst"
    MANAGER = "manager"
    AUDITOR = "auditor"
    ADMIN = "admin"


@dataclass(frozen=True, kw_only=True, slots=True)
class User:
    """A person with an account. The password's hash stays in the store."""

    user_id: uuid.UUID
    login: str
    display_name: str
    roles: frozenset[Role]
    must_change_password: bool
    disabled: bool = False
    areas: frozenset[str] | None = None
    """Slugs of the areas that their roles are limited to (docs/adr/0006); None for the whole coast."""
    issuer: str | None = None
    """The provider that they sign in at; None where they have a password here."""
