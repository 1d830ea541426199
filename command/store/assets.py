"""Our own assets, and the allow-list whose entries expire: subjects that are never alarmed on as contacts."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.orm import Session

from command.domain.observation import SubjectKind
from command.store.tables import ASSET, EXEMPTION


@dataclass(frozen=True, kw_only=True, slots=True)
class Asset:
    """A vehicle or vessel of ours. subject: as observation.subject_of writes it."""

    subject: str
    kind: SubjectKind
    name_ja: str
    name_en: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Exemption:
    """A subject that a rule (None: any rule) says nothing about until it expires."""

    exemption_id: int
    subject: str
    rule: str | None
    reason: str
    author: str
    created_at_us: int
    expires_at_us: int


def put_asset(session: Session, subject: str, kind: SubjectKind, name_ja: str, name_en: str) -> None:
    """Add an asset, or change the one of this subject."""
    columns = {"subject": subject, "kind": int(kind), "name_ja": name_ja, "name_en": name_en}
    session.execute(upsert(ASSET).values(columns).on_conflict_do_update(index_elements=[ASSET.c.subject], set_=columns))


def list_assets(session: Session) -> list[Asset]:
    """Every asset of the realm, by subject."""
    return [
        Asset(subject=row.subject, kind=SubjectKind(row.kind), name_ja=row.name_ja, name_en=row.name_en)
        for row in session.execute(select(ASSET).order_by(ASSET.c.subject))
    ]


def put_exemption(
    session: Session,
    subject: str,
    rule: str | None,
    reason: str,
    author: str,
    expires_at_us: int,
    now_us: int,
) -> Exemption:
    """Exempt a subject from one rule, or from all where rule is None, until expires_at_us.

    Raises ValueError for an expiry that is not after now_us.
    """
    if expires_at_us <= now_us:
        raise ValueError(f"the exemption of {subject} would be over before it begins; give a later expiry")
    exemption_id = session.execute(
        insert(EXEMPTION)
        .values(subject=subject, rule=rule, reason=reason, author=author, created_at=now_us, expires_at=expires_at_us)
        .returning(EXEMPTION.c.exemption_id)
    ).scalar_one()
    return Exemption(
        exemption_id=exemption_id,
        subject=subject,
        rule=rule,
        reason=reason,
        author=author,
        created_at_us=now_us,
        expires_at_us=expires_at_us,
    )


def current_exemptions(session: Session, now_us: int) -> list[Exemption]:
    """The exemptions that have not expired at now_us, in the order they were made."""
    query = select(EXEMPTION).where(EXEMPTION.c.expires_at > now_us).order_by(EXEMPTION.c.exemption_id)
    return [
        Exemption(
            exemption_id=row.exemption_id,
            subject=row.subject,
            rule=row.rule,
            reason=row.reason,
            author=row.author,
            created_at_us=row.created_at,
            expires_at_us=row.expires_at,
        )
        for row in session.execute(query)
    ]
