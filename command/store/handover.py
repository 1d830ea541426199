"""Handover sheets and who holds the watch: rows that are only ever added. Times are the realm's."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Row, insert, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.orm import Session

from command.domain.handover import Holder, Part, SheetVersion, Signature
from command.store.notify import notify
from command.store.sequencer import hold, take_next
from command.store.tables import HANDOVER_SIGNATURE, HANDOVER_VERSION, WATCH_HELD

MAX_SHEETS: Final = 500
"""No query gives more than this, whatever its limit."""


def watch_holder(session: Session) -> Holder | None:
    """Who holds the watch; None where nobody ever took it."""
    row = session.execute(select(WATCH_HELD).order_by(WATCH_HELD.c.held_id.desc()).limit(1)).one_or_none()
    return None if row is None else _holder(row)


def holders_between(session: Session, from_us: int, until_us: int) -> list[Holder]:
    """Whoever took the watch from from_us on and before until_us, first to last."""
    query = select(WATCH_HELD).where(WATCH_HELD.c.since >= from_us, WATCH_HELD.c.since < until_us)
    return [_holder(row) for row in session.execute(query.order_by(WATCH_HELD.c.held_id).limit(MAX_SHEETS))]


def pass_watch(session: Session, holder: Holder) -> None:
    """Somebody holds the watch from now on; every console is told."""
    session.execute(
        insert(WATCH_HELD).values(login=holder.login, name=holder.name, since=holder.since_us, sheet_id=holder.sheet_id)
    )
    notify(session, {"roster": 0})


def hold_handover(session: Session) -> None:
    """No one writes or signs a sheet until this transaction ends: what is read from now on may be decided upon."""
    hold(session, "handover")


def append_sheet(session: Session, sheet: SheetVersion) -> None:
    """Store the next version of a sheet, or the first of a new one."""
    session.execute(
        insert(HANDOVER_VERSION).values(
            sheet_id=sheet.sheet_id,
            version=sheet.version,
            outgoing=sheet.outgoing,
            from_at=sheet.from_us,
            until_at=sheet.until_us,
            content=dict(sheet.content),
            remarks=sheet.remarks,
            made_by=sheet.made_by,
            sha256=sheet.sha256,
            revision=take_next(session, "handover"),
        )
    )


def append_signature(session: Session, sheet: SheetVersion, signature: Signature) -> None:
    """Sign a version of a sheet; each part signs once, and nobody signs for both."""
    session.execute(
        insert(HANDOVER_SIGNATURE).values(
            sheet_id=sheet.sheet_id,
            version=sheet.version,
            part=signature.part.value,
            login=signature.login,
            name=signature.name,
            signed_at=signature.signed_at_us,
            recorded_at=signature.recorded_at_us,
            sha256=sheet.sha256,
        )
    )


def sheet_versions(session: Session, sheet_id: uuid.UUID) -> list[SheetVersion]:
    """Every version of a sheet with its signatures, the newest first; empty where there is no such sheet."""
    query = select(HANDOVER_VERSION).where(HANDOVER_VERSION.c.sheet_id == sheet_id)
    rows = session.execute(query.order_by(HANDOVER_VERSION.c.version.desc())).all()
    return _signed(session, rows)


def newest_sheets(session: Session, *, limit: int) -> list[SheetVersion]:
    """The newest version of each sheet, the sheet that was begun last first."""
    versions = HANDOVER_VERSION.c
    newest = (
        select(HANDOVER_VERSION)
        .order_by(versions.sheet_id, versions.version.desc())
        .ext(distinct_on(versions.sheet_id))
        .subquery()
    )
    query = select(newest).order_by(newest.c.until_at.desc(), newest.c.revision.desc()).limit(min(limit, MAX_SHEETS))
    return _signed(session, session.execute(query).all())


def _signed(session: Session, rows: Sequence[Row[Any]]) -> list[SheetVersion]:
    signatures = HANDOVER_SIGNATURE.c
    query = select(HANDOVER_SIGNATURE).where(signatures.sheet_id.in_({row.sheet_id for row in rows}))
    by_version: dict[tuple[uuid.UUID, int], list[Signature]] = {}
    for row in session.execute(query.order_by(signatures.recorded_at, signatures.part)):
        by_version.setdefault((row.sheet_id, row.version), []).append(
            Signature(
                part=Part(row.part),
                login=row.login,
                name=row.name,
                signed_at_us=row.signed_at,
                recorded_at_us=row.recorded_at,
            )
        )
    return [_sheet(row, by_version) for row in rows]


def _sheet(row: Row[Any], by_version: Mapping[tuple[uuid.UUID, int], Sequence[Signature]]) -> SheetVersion:
    return SheetVersion(
        sheet_id=row.sheet_id,
        version=row.version,
        outgoing=row.outgoing,
        from_us=row.from_at,
        until_us=row.until_at,
        content=row.content,
        remarks=row.remarks,
        made_by=row.made_by,
        sha256=row.sha256,
        signatures=tuple(by_version.get((row.sheet_id, row.version), ())),
    )


def _holder(row: Row[Any]) -> Holder:
    return Holder(login=row.login, name=row.name, since_us=row.since, sheet_id=row.sheet_id)
