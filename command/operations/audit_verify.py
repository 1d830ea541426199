"""Verifying the audit log: each entry against the signed heads, those in the database and those outside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from command.domain.clock import from_us
from command.operations.audit_seal import (
    NOTHING_BEFORE,
    SEAL_EVERY_S,
    BadLine,
    HeadsFile,
    SignedHead,
    known_keys,
    link_after,
    read_line,
)
from command.store.audit import (
    AuditRow,
    append_audit,
    audit_rows,
    audit_rows_outside,
    heads_after,
    last_audit_id,
    last_head,
)
from command.store.engine import shared_session

SEALED_WITHIN_S: Final = 3 * SEAL_EVERY_S
"""How long an entry may wait for its seal before nothing vouches for it."""
_LOOK_EVERY_S: Final = 0.2
_PAGE: Final = 1_000
_HEADS_A_PAGE: Final = 100


class Wrong(StrEnum):
    """What a finding is about."""

    CHANGED = "changed"
    MISSING = "missing"
    CUT_OFF = "cut off"
    INSERTED = "inserted"
    HEAD = "head"
    NOT_SEALED = "not sealed"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """One thing that is not as it was sealed. audit_id: the entry's, where it is about one."""

    wrong: Wrong
    detail: str
    audit_id: int | None = None

    def __str__(self) -> str:
        entry = "" if self.audit_id is None else f" entry {self.audit_id}"
        return f"{self.wrong.value}{entry}: {self.detail}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verified:
    """The result. head: the newest, in hexadecimal; keys: every key that signed a head, in order of use."""

    found: tuple[Found, ...]
    entries: int
    batches: int
    head: str
    keys: tuple[str, ...]


class _Check:
    def __init__(self, session: Session, trusted: frozenset[str]) -> None:
        self._session = session
        self._trusted = trusted
        self.found: list[Found] = []
        self.keys: list[str] = []
        self.before: SignedHead | None = None
        self.entries = self.batches = 0

    def say(self, wrong: Wrong, detail: str, audit_id: int | None = None) -> None:
        self.found.append(Found(wrong=wrong, detail=detail, audit_id=audit_id))

    def outside(self, heads: HeadsFile, *, size: int) -> Iterator[SignedHead]:
        """The heads of the file, in order; what is no head, or a second one of its batch, is said."""
        at, seen = 0, ""
        for number, line in heads.lines(size=size):
            try:
                head = read_line(line)
            except BadLine as exc:
                # a line that a crash tore is followed by the whole one; a head that is lacking is said below
                if line:
                    self.say(Wrong.HEAD, f"line {number} of {heads.path}: {exc}")
                continue
            if head.statement.batch <= at:
                if line != seen:
                    self.say(
                        Wrong.HEAD, f"line {number} of {heads.path} is another head of batch {head.statement.batch}"
                    )
                continue
            at, seen = head.statement.batch, line
            yield head

    def inside(self) -> Iterator[SignedHead | int]:
        """The heads of the database, in order; the number alone where one cannot be read."""
        at = 0
        while page := heads_after(self._session, at, limit=_HEADS_A_PAGE):
            for stored in page:
                try:
                    head = read_line(stored.line)
                except BadLine as exc:
                    self.say(Wrong.HEAD, f"the head of batch {stored.batch} in the database: {exc}")
                    yield stored.batch
                    continue
                if (head.statement.batch, head.statement.upto_id) != (stored.batch, stored.upto_id):
                    self.say(Wrong.HEAD, f"the head of batch {stored.batch} in the database is another batch's")
                    yield stored.batch
                    continue
                yield head
            at = page[-1].batch

    def batch(self, head: SignedHead, *, in_database: bool) -> None:
        """One batch: its head against the one before, then each of its entries."""
        said, before = head.statement, self.before
        if head.key not in self._trusted:
            self.say(Wrong.HEAD, f"batch {said.batch} is signed by {head.key}, which is no key that you trust")
        if not self.keys or self.keys[-1] != head.key:
            self.keys.append(head.key)
        expected = (
            (before.statement.batch + 1, before.head, before.statement.upto_id) if before else (1, NOTHING_BEFORE, 0)
        )
        if (said.batch, said.previous, said.after_id) != expected:
            self.say(Wrong.HEAD, f"batch {said.batch} does not follow batch {expected[0] - 1}; heads between are gone")
        self.before = head
        self.batches += 1
        self._entries(head, missing=Wrong.MISSING if in_database else Wrong.CUT_OFF)

    def _entries(self, head: SignedHead, *, missing: Wrong) -> None:
        said = head.statement
        links = dict(said.links)
        before, link = said.previous, said.previous
        rows = self._rows(said.after_id, said.upto_id)
        row = next(rows, None)
        for audit_id, link in said.links:
            while row is not None and row.audit_id < audit_id:
                self._inserted(row)
                row = next(rows, None)
            if row is None or row.audit_id != audit_id:
                when = from_us(said.sealed_at_us).isoformat(timespec="seconds")
                self.say(missing, f"it was sealed in batch {said.batch} at {when} and is not there", audit_id)
            else:
                if link_after(before, row) != link:
                    self.say(Wrong.CHANGED, f"it now says {_told(row)}", audit_id)
                row = next(rows, None)
            before = link
        while row is not None:
            if row.audit_id not in links:
                self._inserted(row)
            row = next(rows, None)
        self.entries += len(links)

    def _rows(self, after_id: int, upto_id: int) -> Iterator[AuditRow]:
        while page := audit_rows(self._session, after_id=after_id, upto_id=upto_id, limit=_PAGE):
            yield from page
            after_id = page[-1].audit_id

    def _inserted(self, row: AuditRow) -> None:
        self.say(Wrong.INSERTED, f"it came after its numbers were sealed: {_told(row)}", row.audit_id)


def verify(
    engine: Engine, *, folder: Path, keys: frozenset[str] | None, sealed_within_s: float, copy: bool = False
) -> Verified:
    """Compare every entry with the heads in the database and in `folder`. Changes nothing.

    keys: the public keys to believe; None for those that stand in the folder, which whoever can write there can
    change as well. sealed_within_s: entries that wait for their seal get so long. copy: the folder is a copy, which may
    be older than the database. Raises StoreUnavailable and OSError.
    """
    asked_id = _wait_for_seal(engine, within_s=sealed_within_s)
    heads = HeadsFile(folder)
    with shared_session(engine) as session:
        # before a batch is sealed, the one before is written to the file
        written = 0 if copy or (known := last_head(session)) is None else known.batch - 1
    # sealing goes on meanwhile, and a head is in the database before it is in the file: what the file has now, the
    # database has; what comes later is for the next time
    size = heads.size()
    with shared_session(engine) as session:
        check = _Check(session, known_keys(folder) if keys is None else keys)
        newest = last_head(session)
        inside, outside = check.inside(), check.outside(heads, size=size)
        here, there = next(inside, None), next(outside, None)
        while here is not None or there is not None:
            at = min(_batch(each) for each in (here, there) if each is not None)
            head = there if there is not None and there.statement.batch == at else None
            stored = here if here is not None and _batch(here) == at else None
            if head is not None and isinstance(stored, SignedHead) and stored.line != head.line:
                check.say(Wrong.HEAD, f"batch {at} has one head in the database and another in {heads.path}")
            if head is None and there is not None:
                check.say(Wrong.HEAD, f"the head of batch {at} is not in {heads.path}, and later ones are")
            elif head is None and at <= written:
                written = 0  # said once
                check.say(Wrong.HEAD, f"the heads from batch {at} on are not in {heads.path}: it was cut or taken away")
            if stored is None and (newest is None or at > newest.batch):
                check.say(Wrong.CUT_OFF, f"batch {at} is in {heads.path} and no longer in the database")
            elif stored is None:
                check.say(Wrong.HEAD, f"the head of batch {at} is gone from the database")
            best = head or (stored if isinstance(stored, SignedHead) else None)
            if best is not None:
                check.batch(best, in_database=stored is not None)
            here = next(inside, None) if stored is not None else here
            there = next(outside, None) if head is not None else there
        _beyond(session, check, asked_id=asked_id)
    before = check.before
    return Verified(
        found=tuple(check.found),
        entries=check.entries,
        batches=check.batches,
        head=before.head.hex() if before else "",
        keys=tuple(check.keys),
    )


def _batch(head: SignedHead | int) -> int:
    return head if isinstance(head, int) else head.statement.batch


def _wait_for_seal(engine: Engine, *, within_s: float) -> int:
    """An entry of the last seconds is sealed in a moment, where dispatch runs. The highest number there was."""
    with shared_session(engine) as session:
        upto_id = last_audit_id(session)
    deadline_s = monotonic() + within_s
    while monotonic() < deadline_s:
        with shared_session(engine) as session:
            newest = last_head(session)
        if upto_id <= (newest.upto_id if newest else 0):
            break
        sleep(_LOOK_EVERY_S)
    return upto_id


def _beyond(session: Session, check: _Check, *, asked_id: int) -> None:
    """What no head covers: entries without a seal, and entries that the log itself never wrote."""
    given_out, upto_id = last_audit_id(session), check.before.statement.upto_id if check.before else 0
    if given_out < upto_id:
        check.say(Wrong.HEAD, f"the log's counter stands at {given_out} and {upto_id} was sealed: it was set back")
    for row in audit_rows_outside(session, lowest_id=1, highest_id=max(given_out, upto_id), limit=_PAGE):
        check.say(Wrong.INSERTED, f"the log never gave out this number: {_told(row)}", row.audit_id)
    for row in audit_rows(session, after_id=upto_id, upto_id=asked_id, limit=_PAGE):
        check.say(
            Wrong.NOT_SEALED, f"nothing vouches for it yet; dispatch seals, is it running? {_told(row)}", row.audit_id
        )


def _told(row: AuditRow) -> str:
    return f"{row.actor!r} {row.action!r} {row.target!r} {row.detail_text}"


def export(engine: Engine, *, by: str, now_us: int) -> Iterator[str]:
    """Every entry as a line of JSON, in order, as far as the log went when it was asked; that it was, is an entry too.

    detail is a string, as in the canonical form: whoever has the heads can compute every link anew.
    """
    with shared_session(engine) as session:
        append_audit(session, actor=by, action="audit.exported", target="audit", detail={}, now_us=now_us)
        upto_id = last_audit_id(session)
    after_id = 0
    while True:
        with shared_session(engine) as session:
            rows = audit_rows(session, after_id=after_id, upto_id=upto_id, limit=_PAGE)
        if not rows:
            return
        for row in rows:
            yield json.dumps(
                {
                    "audit_id": row.audit_id,
                    "recorded_at_us": row.recorded_at_us,
                    "actor": row.actor,
                    "action": row.action,
                    "target": row.target,
                    "detail": row.detail_text,
                },
                ensure_ascii=False,
            )
        after_id = rows[-1].audit_id
