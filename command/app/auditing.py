"""The audit log as a process and from the terminal: who seals, verifies and exports it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from command.app.accounts import terminal_user
from command.app.program import Program, endpoints_of
from command.domain.clock import SystemClock
from command.operations import audit_verify
from command.operations.audit_seal import keep_sealed
from command.operations.audit_verify import SEALED_WITHIN_S, Verified
from command.settings import Settings
from command.store.engine import make_engine


@contextmanager
def sealing(program: Program) -> Iterator[None]:
    """Seal the log in a thread for as long as the block lasts."""
    settings, stop = program.settings, threading.Event()
    thread = threading.Thread(
        target=keep_sealed,
        args=(program.engine, stop),
        kwargs={"keys_dir": settings.keys_dir, "folder": settings.audit_dir},
        name="audit seal",
        daemon=True,
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


def verify_audit(settings: Settings, *, heads: Path | None, keys: list[str]) -> Verified:
    """Every entry against the heads in the settings' folder, or in a copy of it."""
    engine = make_engine(endpoints_of(settings).database_url)
    try:
        return audit_verify.verify(
            engine,
            folder=heads or settings.audit_dir,
            keys=frozenset(keys) or None,
            sealed_within_s=SEALED_WITHIN_S,
            copy=heads is not None,
        )
    finally:
        engine.dispose()


def export_audit(settings: Settings) -> Iterator[str]:
    """Every entry as a line of JSON."""
    engine = make_engine(endpoints_of(settings).database_url)
    try:
        yield from audit_verify.export(engine, by=terminal_user(), now_us=SystemClock().now_us())
    finally:
        engine.dispose()
