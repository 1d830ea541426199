"""Who is never alarmed on as a contact: our own assets, and subjects that people allowed until a stated time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Exemption:
    """An entry of the allow-list. `rule` None stands for every rule about contacts, but not for `distress`."""

    subject: str
    rule: str | None
    expires_at_us: int


NEVER_BY_DEFAULT = frozenset({"distress"})
"""People in danger: only an entry that names the rule keeps it quiet, and being our own asset does not."""


class ExemptionList:
    """The assets and the allow-list as they stand; build a new one when either changes."""

    def __init__(self, *, assets: Iterable[str] = (), exemptions: Iterable[Exemption] = ()) -> None:
        self._assets = frozenset(assets)
        self._until_us: dict[tuple[str, str | None], int] = {}
        for entry in exemptions:
            key = (entry.subject, entry.rule)
            self._until_us[key] = max(entry.expires_at_us, self._until_us.get(key, entry.expires_at_us))

    def covers(self, subject: str, *, rule: str, now_us: int) -> bool:
        """Whether `rule` leaves `subject` alone at `now_us`. An entry covers up to, not including, its expiry."""
        if now_us < self._until_us.get((subject, rule), now_us):
            return True
        if rule in NEVER_BY_DEFAULT:
            return False
        return subject in self._assets or now_us < self._until_us.get((subject, None), now_us)
