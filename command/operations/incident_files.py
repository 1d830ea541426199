"""Files that may be attached: what they are is read from their first bytes, never from their name."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from command.domain.incident_acts import NAME_LIMIT, IncidentRefused

MAX_FILE_BYTES: Final = 10_000_000
MAX_TOTAL_BYTES: Final = 100_000_000
"""Of one file, and of all files of one incident."""

_MARKS: Final = (
    ("image/jpeg", re.compile(rb"\xff\xd8\xff")),
    ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("image/webp", re.compile(rb"RIFF....WEBP", re.DOTALL)),
    ("image/tiff", re.compile(rb"II\*\x00|MM\x00\*")),
    ("application/pdf", re.compile(rb"%PDF-1\.|%PDF-2\.")),
    ("video/mp4", re.compile(rb"....ftyp(?:isom|iso[2-9]|mp4[12]|avc1|M4V |dash)", re.DOTALL)),
)
"""The first bytes of each allowed type (WHATWG MIME Sniffing, sections 6.1 and 6.2; ISO/IEC 14496-12, section 4.3;
ISO 32000-2, section 7.5.2; TIFF 6.0, section 2). Text is what decodes as UTF-8 and has no control characters."""

TEXT: Final = "text/plain"
MEDIA_TYPES: Final = (*(media_type for media_type, _ in _MARKS), TEXT)
SHOWN_TYPES: Final = "JPEG, PNG, WebP, TIFF, PDF, MP4, UTF-8 text"
_NOT_IN_TEXT: Final = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")
_NOT_IN_NAMES: Final = re.compile(r'[/\\:*?"<>|]')


def checked_file(name: str, content: bytes) -> tuple[str, str]:
    """The name to show and the media type. Raises IncidentRefused for what is too large, empty or not allowed."""
    if not content:
        raise IncidentRefused("incident.error.file_empty")
    if len(content) > MAX_FILE_BYTES:
        given = f"{len(content) / 1e6:.1f}"
        raise IncidentRefused("incident.error.file_large", given=given, limit=MAX_FILE_BYTES // 1_000_000)
    media_type = sniffed(content)
    if media_type is None:
        raise IncidentRefused("incident.error.file_type", types=SHOWN_TYPES)
    return shown_name(name), media_type


def sniffed(content: bytes) -> str | None:
    """The media type of the bytes; None where it is not one that may be attached."""
    for media_type, mark in _MARKS:
        if mark.match(content):
            return media_type
    try:
        words = content.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if _NOT_IN_TEXT.search(words) else TEXT


def shown_name(name: str) -> str:
    """A name for people: the last part of a path, without what breaks a line, turns the reading direction or means
    something to a shell or a file system."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    plain = "".join(c for c in last if unicodedata.category(c)[0] not in "CZ" or c == " ")
    kept = _NOT_IN_NAMES.sub("_", " ".join(plain.split())).strip(". ")
    return kept[:NAME_LIMIT] or "file"
