"""Silences: for a stated time, alerts that match are quiet in the room. Nothing is dropped and nothing is held back."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Final

from command.domain.alert import Alert, Severity

LONGEST_S: Final = 8 * 3_600
"""One watch: whoever comes next decides for themselves."""
SHORTEST_S: Final = 60
MOST_AT_ONCE: Final = 50
"""How many silences one act may begin."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Matcher:
    """Which alerts: of this rule AND this subject AND this area, where given. At least one is."""

    rule: str | None = None
    subject: str | None = None
    area: str | None = None
    """The area's slug."""

    def __post_init__(self) -> None:
        if self.rule is None and self.subject is None and self.area is None:
            raise ValueError("a silence of everything; name a rule, a subject or an area")

    def matches(self, alert: Alert) -> bool:
        return (
            self.rule in (None, alert.rule)
            and self.subject in (None, alert.subject)
            and self.area in (None, alert.area)
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Silence:
    """A silence that somebody began. Times are the realm's."""

    silence_id: uuid.UUID
    matcher: Matcher
    reason: str
    author: str
    created_at_us: int
    expires_at_us: int
    ended_at_us: int | None = None
    ended_by: str | None = None

    def in_force(self, now_us: int) -> bool:
        return self.ended_at_us is None and now_us < self.expires_at_us

    def quiets(self, alert: Alert, now_us: int) -> bool:
        """Whether the alert makes no sound now. Never a critical one, nor one that an officer escalated."""
        return (
            self.in_force(now_us)
            and alert.severity < Severity.CRITICAL
            and alert.escalated_at_us is None
            and self.matcher.matches(alert)
        )
