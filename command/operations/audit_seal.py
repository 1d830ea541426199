"""Sealing the audit log: batches of entries, hash-chained, signed, and written down outside the database.

The canonical form of an entry is the UTF-8 of the JSON array

    [audit_id, recorded_at, actor, action, target, detail]

without spaces and without escapes that JSON does not require, where recorded_at is integer microseconds since 1970 UTC
and detail is a string: the jsonb as PostgreSQL writes it (`detail::text`). The link of an entry is

    SHA-256(the link before it || canonical form)

and before the first entry of a batch comes the head of the batch before (32 zero bytes before the first batch of all).
A batch's statement is a JSON object: `batch` (1, 2, ...), `previous` (head), `after_id` < audit_id <= `upto_id`,
`links` ([audit_id, link] of every entry there is in that range), `sealed_at_us`. Its head is the SHA-256 of the
statement's UTF-8, and that is what is signed (Ed25519, RFC 8032). So a head stands for every entry before it, and a
statement names each: whoever has it can tell which entry was changed, taken away or put in.

A line of heads.jsonl is a JSON object: `statement` (the very text) and, in hexadecimal, `head`, `key` (public) and
`signature`.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from command.domain.clock import SystemClock
from command.operations.keys import BadKey, audit_key, public_hex
from command.store.audit import (
    AuditRow,
    StoredHead,
    add_head,
    audit_rows,
    heads_after,
    last_audit_id,
    last_head,
    settled_audit_id,
    try_sealing_lock,
)
from command.store.engine import StoreUnavailable, shared_session

HEADS_FILE: Final = "heads.jsonl"
KEYS_FILE: Final = "keys.txt"
NOTHING_BEFORE: Final = bytes(32)
BATCH_ROWS: Final = 1_000
SEAL_EVERY_S: Final = 5.0
_WAIT_MS: Final = 250
_TAIL_BYTES: Final = 1024 * 1024
_HEADS_A_PAGE: Final = 100

_log = structlog.get_logger(__name__)


class SealRefused(RuntimeError):
    """Going on would cover up that the database and the exported heads disagree; the text says what to do."""


class BadLine(ValueError):
    """A line that is no head of ours, or was cut or changed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    """What a head says of one batch. links: (audit_id, 32 bytes) in order."""

    batch: int
    previous: bytes
    after_id: int
    upto_id: int
    links: Sequence[tuple[int, bytes]]
    sealed_at_us: int

    def text(self) -> str:
        return _json(
            {
                "batch": self.batch,
                "previous": self.previous.hex(),
                "after_id": self.after_id,
                "upto_id": self.upto_id,
                "links": [[audit_id, link.hex()] for audit_id, link in self.links],
                "sealed_at_us": self.sealed_at_us,
            }
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class SignedHead:
    """A line of the heads' file, its signature checked against the key that it names."""

    statement: Statement
    head: bytes
    key: str
    line: str


def canonical(row: AuditRow) -> bytes:
    """The bytes that are hashed; see the module's docstring."""
    return _json([row.audit_id, row.recorded_at_us, row.actor, row.action, row.target, row.detail_text]).encode()


def link_after(before: bytes, row: AuditRow) -> bytes:
    """32 bytes."""
    return hashlib.sha256(before + canonical(row)).digest()


def sign(statement: Statement, key: Ed25519PrivateKey) -> SignedHead:
    text = statement.text()
    head = hashlib.sha256(text.encode()).digest()
    line = _json({"statement": text, "head": head.hex(), "key": public_hex(key), "signature": key.sign(head).hex()})
    return SignedHead(statement=statement, head=head, key=public_hex(key), line=line)


def read_line(line: str) -> SignedHead:
    """Raises BadLine, also where the signature is not that of the key which the line names."""
    try:
        found = json.loads(line)
        text, key = found["statement"], found["key"]
        head = hashlib.sha256(text.encode()).digest()
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(key)).verify(bytes.fromhex(found["signature"]), head)
        said = json.loads(text)
        statement = Statement(
            batch=said["batch"],
            previous=bytes.fromhex(said["previous"]),
            after_id=said["after_id"],
            upto_id=said["upto_id"],
            links=tuple((audit_id, bytes.fromhex(link)) for audit_id, link in said["links"]),
            sealed_at_us=said["sealed_at_us"],
        )
    except InvalidSignature as exc:
        raise BadLine("its signature is not that of its key") from exc
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise BadLine("it is not a head as this program writes it") from exc
    return SignedHead(statement=statement, head=head, key=key, line=line)


class HeadsFile:
    """The heads outside the database: lines are only ever added, so the folder may be write-once (chattr +a)."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / HEADS_FILE

    def append(self, lines: Sequence[str]) -> None:
        """Write lines and wait until the disk has them."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            size = file.seek(0, os.SEEK_END)
            torn = size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"  # a crash while it was written
            file.write(("\n" if torn else "").encode() + "".join(f"{line}\n" for line in lines).encode())
            os.fsync(file.fileno())

    def last(self) -> SignedHead | None:
        """The last line that is whole; None where there is none."""
        if not self.path.exists():
            return None
        with self.path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read().decode("utf-8", "replace").splitlines()
        for line in reversed(tail):
            try:
                return read_line(line)
            except BadLine:
                continue
        return None

    def size(self) -> int:
        """Bytes; 0 where there is no file."""
        return self.path.stat().st_size if self.path.exists() else 0

    def lines(self, *, size: int) -> Iterator[tuple[int, str]]:
        """Every line of the first `size` bytes with its number, from 1."""
        if size == 0:
            return
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if file.tell() > size:
                    return
                yield number, line.decode("utf-8", "replace").rstrip("\n")


def remember_key(folder: Path, key: str) -> None:
    """Write a public key beside the heads, once, so that whoever verifies knows which to believe."""
    if key in known_keys(folder):
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / KEYS_FILE).open("a", encoding="ascii") as file:
        file.write(f"{key}\n")


def known_keys(folder: Path) -> frozenset[str]:
    """The public keys that stand beside the heads."""
    path = folder / KEYS_FILE
    return frozenset(path.read_text("ascii", "replace").split()) if path.exists() else frozenset()


class AuditSealer:
    """Seals what was written since the last time. Any number of processes may try: one at a time does."""

    def __init__(self, engine: Engine, *, key: Ed25519PrivateKey, folder: Path) -> None:
        self._engine = engine
        self._key = key
        self._heads = HeadsFile(folder)
        self._exported = False
        remember_key(folder, public_hex(key))

    def seal(self, *, now_us: int) -> int:
        """Seal every entry that is settled; how many. 0 where another process is at it or a writer takes long.

        Raises SealRefused, StoreUnavailable, and OSError where the heads cannot be written.
        """
        with shared_session(self._engine) as session:
            newest, given_out = last_head(session), last_audit_id(session)
        if self._exported and given_out == (newest.upto_id if newest else 0):
            return 0
        settled = settled_audit_id(self._engine, wait_ms=_WAIT_MS)
        if settled is None:
            return 0
        sealed = 0
        while (rows := self._seal_one(settled, now_us=now_us)) is not None:
            sealed += rows
        return sealed

    def _seal_one(self, settled: int, *, now_us: int) -> int | None:
        """Export what was sealed before, then seal one batch; its rows. None where nothing is left to do."""
        with shared_session(self._engine) as session:
            if not try_sealing_lock(session):
                return None
            newest = last_head(session)
            self._export(session, newest)
            after_id = newest.upto_id if newest else 0
            if settled <= after_id:
                return None
            rows = audit_rows(session, after_id=after_id, upto_id=settled, limit=BATCH_ROWS)
            upto_id = rows[-1].audit_id if len(rows) == BATCH_ROWS else settled
            previous = read_line(newest.line).head if newest else NOTHING_BEFORE
            links, link = [], previous
            for row in rows:
                link = link_after(link, row)
                links.append((row.audit_id, link))
            batch = newest.batch + 1 if newest else 1
            statement = Statement(
                batch=batch, previous=previous, after_id=after_id, upto_id=upto_id, links=links, sealed_at_us=now_us
            )
            add_head(session, StoredHead(batch=batch, upto_id=upto_id, line=sign(statement, self._key).line))
            self._exported = False
        return len(rows)

    def _export(self, session: Session, newest: StoredHead | None) -> None:
        """Bring the file up to the database. Raises SealRefused where it knows what the database does not."""
        outside = self._heads.last()
        at = outside.statement.batch if outside else 0
        if outside is not None and (newest is None or newest.batch < at or not _has(session, outside)):
            raise SealRefused(
                f"{self._heads.path} has a head of batch {at} that the database does not have: entries were cut off, "
                "or an old copy of the database was restored. Nothing more is sealed until somebody looks: run "
                "`mizugiwa audit verify`; after a restore that was meant, move the file to a safe place and restart"
            )
        while heads := heads_after(session, at, limit=_HEADS_A_PAGE):
            self._heads.append([head.line for head in heads])
            at = heads[-1].batch
        self._exported = True


def _has(session: Session, outside: SignedHead) -> bool:
    found = heads_after(session, outside.statement.batch - 1, limit=1)
    return bool(found) and found[0].line == outside.line


def keep_sealed(engine: Engine, stop: threading.Event, *, keys_dir: Path, folder: Path) -> None:
    """Seal every few seconds until `stop`, and once more then. What stands in the way is said once and tried again:
    a log that is not sealed must not keep an alert from going out.
    """
    sealer: AuditSealer | None = None
    trouble, last = "", False
    while not last:
        last = stop.wait(SEAL_EVERY_S)
        try:
            sealer = sealer or AuditSealer(engine, key=audit_key(keys_dir), folder=folder)
            sealer.seal(now_us=SystemClock().now_us())
        except (BadKey, SealRefused, BadLine, StoreUnavailable, OSError) as exc:
            if str(exc) != trouble:
                _log.error("the audit log is not sealed", reason=str(exc))
            trouble = str(exc)
        else:
            trouble = ""


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
