"""What people want a shift to be, in a form or in the row of a file, and why it cannot be taken."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from command.domain.clock import to_us
from command.domain.roster import WatchRole
from command.i18n import LANGUAGES, text
from command.i18n.times import JST
from maps.exchange import BadFile, spreadsheet_text

MOST_ROWS: Final = 1_000
MAX_FILE_BYTES: Final = 256 * 1024
COLUMNS: Final = ("login", "role", "from", "until", "team", "areas", "skills")
"""Of a file, in English or in Japanese; the first four must be there."""
_NEEDED: Final = 4
_TIME: Final = re.compile(r"(\d{4})[-/](\d{1,2})[-/](\d{1,2})[ T]+(\d{1,2}):(\d{2})(?::00)?")
_TITLES: Final[Mapping[str, str]] = {
    **{column: column for column in COLUMNS},
    **{text(language, f"roster.column.{column}").casefold(): column for column in COLUMNS for language in LANGUAGES},
}
_ROLES: Final[Mapping[str, WatchRole]] = {
    **{role.value: role for role in WatchRole},
    **{text(language, f"watch.role.{role.value}").casefold(): role for role in WatchRole for language in LANGUAGES},
}


class RosterRefused(ValueError):
    """A change of the roster that cannot be made. `explain(language)` is the sentence for people."""

    def __init__(self, reason: str, **params: Any) -> None:
        self.reason = reason
        self.params = params
        super().__init__(self.explain("en"))

    def explain(self, language: str) -> str:
        return text(language, f"roster.refused.{self.reason}", **self.params)


@dataclass(frozen=True, kw_only=True, slots=True)
class WrongRow:
    """A row of a file, counted as a spreadsheet counts (the titles are row 1), and why it cannot be taken."""

    row: int
    why: RosterRefused


class ImportRefused(RosterRefused):
    """Nothing of the file was taken; `rows` says why of each row that is wrong."""

    def __init__(self, rows: Sequence[WrongRow]) -> None:
        self.rows = tuple(rows)
        super().__init__("rows", n=len(rows))


@dataclass(frozen=True, kw_only=True, slots=True)
class ShiftDraft:
    """What a shift is to be. areas, skills: see Shift. Times are the realm's."""

    login: str
    role: WatchRole
    from_us: int
    until_us: int
    team: str | None = None
    areas: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()


def draft_of(said: Mapping[str, str]) -> ShiftDraft:
    """What the texts of a form or of a row say, by the names of COLUMNS. Raises RosterRefused."""
    role = _ROLES.get(said.get("role", "").strip().casefold())
    if role is None:
        raise RosterRefused("role", found=said.get("role", "")[:40], roles=", ".join(WatchRole))
    return ShiftDraft(
        login=said.get("login", "").strip(),
        role=role,
        from_us=read_time(said.get("from", "")),
        until_us=read_time(said.get("until", "")),
        team=said.get("team", "").strip() or None,
        areas=split_words(said.get("areas", "")),
        skills=split_words(said.get("skills", "")),
    )


def split_words(written: str) -> tuple[str, ...]:
    """Words as people separate them: by spaces, commas, 、 or ;."""
    return tuple(filter(None, re.split(r"[\s,、;;,]+", written)))


def read_time(written: str) -> int:
    """A time of Japan as people write it, `2026-11-25 08:30`, or one that says its zone. Raises RosterRefused."""
    found = _TIME.fullmatch(written.strip())
    try:
        if found is not None:
            return to_us(datetime.strptime(" ".join(found.groups()), "%Y %m %d %H %M").replace(tzinfo=JST))
        return to_us(datetime.fromisoformat(written.strip()))
    except (ValueError, OverflowError) as exc:
        raise RosterRefused("time", found=written[:40]) from exc


def read_rows(data: bytes) -> list[dict[str, str]]:
    """The rows of a CSV file (UTF-8, or Shift_JIS as a spreadsheet in Japan saves it) under their titles.

    Raises RosterRefused.
    """
    if len(data) > MAX_FILE_BYTES:
        raise RosterRefused("file_large", kib=MAX_FILE_BYTES // 1024)
    try:
        table = list(csv.reader(io.StringIO(spreadsheet_text(data), newline=""), strict=True))
    except (csv.Error, BadFile) as exc:
        raise RosterRefused("file_unreadable") from exc
    filled = [row for row in table if any(cell.strip() for cell in row)]
    if len(filled) < 2:
        raise RosterRefused("file_empty")
    if len(filled) - 1 > MOST_ROWS:
        raise RosterRefused("file_long", most=MOST_ROWS)
    columns = [_TITLES.get(title.strip().casefold()) for title in filled[0]]
    if missing := [column for column in COLUMNS[:_NEEDED] if column not in columns]:
        raise RosterRefused("columns", missing=", ".join(missing), columns=", ".join(COLUMNS))
    return [{c: cell for c, cell in zip(columns, row, strict=False) if c is not None} for row in filled[1:]]
