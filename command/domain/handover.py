"""The handover of the watch: sheets that fill themselves, versions of them, and who signed which."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Part(StrEnum):
    """For which side somebody signs."""

    OUTGOING = "outgoing"
    INCOMING = "incoming"


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """Who holds the watch. since_us: the realm's time. sheet_id: by which sheet it came to them."""

    login: str
    name: str
    since_us: int
    sheet_id: uuid.UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class Signature:
    """Somebody signed one version of a sheet. signed_at_us: the realm's time. recorded_at_us: the host's."""

    part: Part
    login: str
    name: str
    signed_at_us: int
    recorded_at_us: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetVersion:
    """One version of a sheet, never changed. It is about the time from from_us until until_us, the realm's.

    outgoing: who held the watch then; None where nobody did. content: what the program filled in, JSON. sha256: of all
    that is signed, as digest() gives it.
    """

    sheet_id: uuid.UUID
    version: int
    outgoing: str | None
    from_us: int
    until_us: int
    content: Mapping[str, Any]
    remarks: str
    made_by: str
    sha256: bytes
    signatures: tuple[Signature, ...] = ()

    def signature(self, part: Part) -> Signature | None:
        return next((each for each in self.signatures if each.part is part), None)

    @property
    def complete(self) -> bool:
        """Whether everybody signed who has to: the incoming officer, and the outgoing one where there was one."""
        needed = {Part.INCOMING} if self.outgoing is None or self.taken else set(Part)
        return needed <= {each.part for each in self.signatures}

    @property
    def taken(self) -> bool:
        """Whether the watch was taken without the outgoing officer's signature."""
        return "taken_because" in self.content


def digest(
    *,
    sheet_id: uuid.UUID,
    version: int,
    outgoing: str | None,
    from_us: int,
    until_us: int,
    content: Mapping[str, Any],
    remarks: str,
) -> bytes:
    """32 bytes: the SHA-256 of what is signed, as JSON with sorted keys and no spaces."""
    signed = {
        "sheet_id": str(sheet_id),
        "version": version,
        "outgoing": outgoing,
        "from_us": from_us,
        "until_us": until_us,
        "content": content,
        "remarks": remarks,
    }
    written = json.dumps(signed, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(written.encode()).digest()
