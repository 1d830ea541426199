"""Notes: what an officer writes upon the map for the others."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from command.domain.geo import Position


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """One version of a note. Times are the realm's. expires_at_us: None for a note that stays until it is removed.
    removed: from this version on it is not shown; its text is the one that it had."""

    note_id: uuid.UUID
    version: int
    text: str
    position: Position
    created_by: str
    created_at_us: int
    changed_by: str
    changed_at_us: int
    expires_at_us: int | None
    removed: bool = False

    def shown(self, now_us: int) -> bool:
        """Whether it stands on the map at `now_us`."""
        return not self.removed and (self.expires_at_us is None or now_us < self.expires_at_us)
