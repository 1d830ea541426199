"""The bytes of attachments, kept by their hash: the same file is kept once, and a changed one is found out."""

from __future__ import annotations

import hashlib

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from command.store.tables import ATTACHMENT_CONTENT


class ContentDamaged(RuntimeError):
    """The bytes in the store are not those that were attached."""


def keep_content(session: Session, content: bytes, *, now_us: int) -> str:
    """Keep the bytes; their SHA-256, 64 hexadecimal digits. now_us: the host's time."""
    digest = hashlib.sha256(content)
    session.execute(
        insert(ATTACHMENT_CONTENT)
        .values(sha256=digest.digest(), content=content, recorded_at=now_us)
        .on_conflict_do_nothing()
    )
    return digest.hexdigest()


def content_of(session: Session, sha256: str) -> bytes:
    """The bytes with this hash. Raises ContentDamaged where they are gone or are others."""
    query = select(ATTACHMENT_CONTENT.c.content).where(ATTACHMENT_CONTENT.c.sha256 == bytes.fromhex(sha256))
    content: bytes | None = session.execute(query).scalar_one_or_none()
    if content is None or hashlib.sha256(content).hexdigest() != sha256:
        raise ContentDamaged(
            f"the attachment {sha256} is missing or was changed in the database; restore attachment_content from a "
            "backup and report it: nothing in this program changes that table"
        )
    return content
