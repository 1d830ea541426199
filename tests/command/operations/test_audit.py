"""The audit log against somebody who has the database and switches its triggers off."""

from __future__ import annotations

import json
import shutil
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from command.operations.audit_seal import (
    HEADS_FILE,
    AuditSealer,
    HeadsFile,
    SealRefused,
    Statement,
    keep_sealed,
    link_after,
    read_line,
    sign,
)
from command.operations.audit_verify import Verified, Wrong, export, verify
from command.operations.keys import AUDIT_KEY, BadKey, audit_key, public_hex
from command.store.audit import append_audit, audit_rows
from command.store.engine import make_engine, shared_session
from command.store.migrations import migrate

NOW_US = 1_764_000_000_000_000


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url)
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "audit"


@pytest.fixture
def sealer(engine: Engine, folder: Path, tmp_path: Path) -> AuditSealer:
    return AuditSealer(engine, key=audit_key(tmp_path / "keys"), folder=folder)


def write(engine: Engine, *targets: str) -> None:
    for target in targets:
        with shared_session(engine) as session:
            entry(session, target)


def entry(session: Session, target: str) -> None:
    append_audit(
        session,
        actor="佐藤",
        action="alert.acknowledged",
        target=target,
        detail={"comment": '船名「海洋丸」\u2028\n"x\\', "n": 1.50},
        now_us=NOW_US,
    )


def tamper(database_url: str, *statements: str) -> None:
    """As a superuser, with the triggers that make the log append-only switched off."""
    with psycopg.connect(database_url) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            connection.execute(statement)


def check(engine: Engine, folder: Path, keys: frozenset[str] | None = None) -> Verified:
    return verify(engine, folder=folder, keys=keys, sealed_within_s=0.0)


def found(verified: Verified) -> set[tuple[Wrong, int | None]]:
    return {(each.wrong, each.audit_id) for each in verified.found}


@pytest.fixture
def sealed(engine: Engine, sealer: AuditSealer, folder: Path) -> Path:
    """Entries 1 to 9 in three batches; its heads' folder."""
    for batch in range(3):
        write(engine, *(f"alert-{batch}{n}" for n in range(3)))
        assert sealer.seal(now_us=NOW_US) == 3
    return folder


def test_a_log_that_nobody_touched_is_as_it_was_sealed(engine: Engine, sealed: Path) -> None:
    verified = check(engine, sealed)

    assert verified.found == ()
    assert (verified.entries, verified.batches) == (9, 3)
    assert verified.head == json.loads((sealed / HEADS_FILE).read_text("utf-8").splitlines()[-1])["head"]


KEEP = "CREATE TABLE kept AS SELECT * FROM shared.audit WHERE audit_id = 5"
RESTORE = (
    "DELETE FROM shared.audit WHERE audit_id = 5",
    "INSERT INTO shared.audit OVERRIDING SYSTEM VALUE SELECT * FROM kept",
)


def test_a_changed_entry_is_named_and_no_other(database_url: str, engine: Engine, sealed: Path) -> None:
    tamper(database_url, KEEP)
    for change in (
        "actor = 'mori'",
        "target = 'alert-99'",
        "recorded_at = recorded_at + interval '1 microsecond'",
        "recorded_at = 'infinity'",
        "detail = detail || '{\"n\": 2}'",
        "action = ''",
    ):
        tamper(database_url, " ".join(("UPDATE shared.audit SET", change, "WHERE audit_id = 5")))
        assert found(check(engine, sealed)) == {(Wrong.CHANGED, 5)}, change
        tamper(database_url, *RESTORE)
        assert found(check(engine, sealed)) == set()


def test_an_entry_that_was_taken_away_is_named(database_url: str, engine: Engine, sealed: Path) -> None:
    tamper(database_url, "DELETE FROM shared.audit WHERE audit_id IN (1, 5)")

    assert found(check(engine, sealed)) == {(Wrong.MISSING, 1), (Wrong.MISSING, 5)}


def test_a_tail_that_was_cut_off_with_its_heads_and_the_counter_is_named(
    database_url: str, engine: Engine, sealer: AuditSealer, sealed: Path
) -> None:
    # given somebody who removes every trace of the last batch from the database
    tamper(
        database_url,
        "DELETE FROM shared.audit WHERE audit_id > 6",
        "DELETE FROM shared.audit_head WHERE upto_id > 6",
        "SELECT setval('shared.audit_audit_id_seq', 6)",
    )
    # then what stands outside tells which entries there were
    assert {(Wrong.CUT_OFF, 7), (Wrong.CUT_OFF, 8), (Wrong.CUT_OFF, 9)} <= found(check(engine, sealed))
    # and when new entries take their numbers, nothing is sealed over it, and they are not taken for the old ones
    write(engine, "x", "y", "z", "more")
    with pytest.raises(SealRefused, match="audit verify"):
        sealer.seal(now_us=NOW_US)
    assert {(Wrong.CHANGED, 7), (Wrong.CHANGED, 8), (Wrong.CHANGED, 9)} <= found(check(engine, sealed))


def test_an_entry_that_was_put_in_by_hand_is_named(database_url: str, engine: Engine, sealed: Path) -> None:
    put_in = (0, -4, 10, 4_000_000)
    values = ", ".join(f"({audit_id}, now(), 'mori', 'x', 'y', '{{}}')" for audit_id in put_in)
    tamper(database_url, f"INSERT INTO shared.audit OVERRIDING SYSTEM VALUE VALUES {values}")  # noqa: S608

    assert found(check(engine, sealed)) == {(Wrong.INSERTED, audit_id) for audit_id in put_in}


def test_an_entry_in_the_number_of_a_transaction_that_was_rolled_back_is_named(
    database_url: str, engine: Engine, sealer: AuditSealer, folder: Path
) -> None:
    # given a number that no entry has, because its transaction was rolled back
    write(engine, "first")
    with Session(engine) as undone:
        entry(undone, "never")
        undone.rollback()
    write(engine, "third")
    assert sealer.seal(now_us=NOW_US) == 2
    # then nothing is missing
    assert found(check(engine, folder)) == set()
    # and when somebody puts an entry there, it is named
    tamper(
        database_url,
        "INSERT INTO shared.audit OVERRIDING SYSTEM VALUE VALUES (2, now(), 'mori', 'x', 'y', '{}')",
    )
    assert found(check(engine, folder)) == {(Wrong.INSERTED, 2)}


def test_an_entry_that_commits_late_is_sealed_and_never_looks_put_in(
    engine: Engine, sealer: AuditSealer, folder: Path
) -> None:
    # given a transaction that has entry 1 and is not over, and entry 2, which is
    with shared_session(engine) as late:
        entry(late, "late")
        write(engine, "early")
        # when the log is to be sealed, then it waits for the former: no number may be passed over
        assert sealer.seal(now_us=NOW_US) == 0
    assert sealer.seal(now_us=NOW_US) == 2
    assert found(check(engine, folder)) == set()


def test_many_writers_some_of_which_fail_and_two_sealers_leave_a_whole_log(
    engine: Engine, folder: Path, tmp_path: Path
) -> None:
    # given writers of which every third rolls back, and two processes that seal meanwhile
    key, done = audit_key(tmp_path / "keys"), threading.Event()

    def writer(name: int) -> None:
        for n in range(30):
            try:
                with shared_session(engine) as session:
                    entry(session, f"{name}-{n}")
                    if n % 3 == 0:
                        raise RuntimeError
            except RuntimeError:
                continue

    def seal() -> None:
        ours = AuditSealer(engine, key=key, folder=folder)
        while not done.is_set():
            ours.seal(now_us=NOW_US)

    writers = [threading.Thread(target=writer, args=(name,)) for name in range(4)]
    sealers = [threading.Thread(target=seal) for _ in range(2)]
    for thread in writers + sealers:
        thread.start()
    # and somebody who verifies all the while finds nothing
    while any(thread.is_alive() for thread in writers):
        assert verify(engine, folder=folder, keys=None, sealed_within_s=60.0).found == ()
    for thread in writers:
        thread.join()
    done.set()
    for thread in sealers:
        thread.join()
    # when the rest is sealed, then every entry is, once
    AuditSealer(engine, key=key, folder=folder).seal(now_us=NOW_US)
    verified = check(engine, folder)
    assert verified.found == ()
    assert verified.entries == 80


def test_a_head_that_somebody_signed_with_another_key_is_not_believed(
    database_url: str, engine: Engine, sealed: Path, tmp_path: Path
) -> None:
    # given somebody who changes an entry, computes every link anew and signs with a key of their own
    tamper(database_url, "UPDATE shared.audit SET actor = 'mori' WHERE audit_id = 8")
    theirs = Ed25519PrivateKey.generate()
    *kept, last = (read_line(line) for line in (sealed / HEADS_FILE).read_text("utf-8").splitlines())
    said, links = last.statement, []
    link = said.previous
    with shared_session(engine) as session:
        for row in audit_rows(session, after_id=said.after_id, upto_id=said.upto_id, limit=9):
            link = link_after(link, row)
            links.append((row.audit_id, link))
    forged = sign(
        Statement(
            batch=said.batch,
            previous=said.previous,
            after_id=said.after_id,
            upto_id=said.upto_id,
            links=links,
            sealed_at_us=said.sealed_at_us,
        ),
        theirs,
    )
    (sealed / HEADS_FILE).write_text("".join(f"{head.line}\n" for head in (*kept, forged)), "utf-8")
    with psycopg.connect(database_url) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE shared.audit_head SET line = %s WHERE batch = 3", [forged.line])
    # then their key is named, unless one believes it
    (problem,) = check(engine, sealed).found
    assert problem.wrong is Wrong.HEAD
    assert public_hex(theirs) in problem.detail
    # and who wrote their key beside the heads as well does not fool who has the right one elsewhere
    (sealed / "keys.txt").write_text(f"{public_hex(theirs)}\n{public_hex(audit_key(tmp_path / 'keys'))}\n", "ascii")
    assert check(engine, sealed).found == ()
    assert found(check(engine, sealed, frozenset({public_hex(audit_key(tmp_path / "keys"))}))) == {(Wrong.HEAD, None)}


def test_a_copy_of_the_heads_elsewhere_finds_what_was_done_to_database_and_file_alike(
    database_url: str, engine: Engine, sealed: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(sealed, copy)
    tamper(
        database_url,
        "DELETE FROM shared.audit WHERE audit_id > 6",
        "DELETE FROM shared.audit_head WHERE upto_id > 6",
    )
    lines = (sealed / HEADS_FILE).read_text("utf-8").splitlines(keepends=True)
    (sealed / HEADS_FILE).write_text("".join(lines[:-1]), "utf-8")

    assert {(Wrong.CUT_OFF, 7), (Wrong.CUT_OFF, 8), (Wrong.CUT_OFF, 9)} <= found(check(engine, copy))


def test_a_file_of_heads_that_was_cut_or_taken_away_is_told_of_and_an_older_copy_is_not(
    engine: Engine, sealed: Path, tmp_path: Path
) -> None:
    lines = (sealed / HEADS_FILE).read_text("utf-8").splitlines(keepends=True)
    (sealed / HEADS_FILE).write_text(lines[0], "utf-8")
    (cut,) = check(engine, sealed).found
    assert "from batch 2 on" in cut.detail
    assert verify(engine, folder=sealed, keys=None, sealed_within_s=0.0, copy=True).found == ()
    (sealed / HEADS_FILE).unlink()
    (gone,) = check(engine, sealed).found
    assert "from batch 1 on" in gone.detail


def test_heads_that_were_taken_out_of_file_and_database_leave_a_hole(
    database_url: str, engine: Engine, sealed: Path
) -> None:
    lines = (sealed / HEADS_FILE).read_text("utf-8").splitlines(keepends=True)
    (sealed / HEADS_FILE).write_text(lines[0] + lines[2], "utf-8")
    assert "is not in" in str(check(engine, sealed).found[0])

    tamper(database_url, "DELETE FROM shared.audit_head WHERE batch = 2", "DELETE FROM shared.audit WHERE audit_id = 5")
    (hole,) = check(engine, sealed).found
    assert "heads between are gone" in hole.detail


def test_what_nobody_sealed_is_not_vouched_for(engine: Engine, sealed: Path) -> None:
    write(engine, "later")

    assert found(check(engine, sealed)) == {(Wrong.NOT_SEALED, 10)}


def test_a_crash_between_database_and_file_or_within_a_line_is_made_good(
    database_url: str, engine: Engine, sealer: AuditSealer, sealed: Path, tmp_path: Path
) -> None:
    # given a file whose last lines never came to the disk whole
    whole = (sealed / HEADS_FILE).read_text("utf-8")
    lines = whole.splitlines(keepends=True)
    (sealed / HEADS_FILE).write_text(lines[0] + lines[1][:40], "utf-8")
    # when a process starts and seals
    again = AuditSealer(engine, key=audit_key(tmp_path / "keys"), folder=sealed)
    again.seal(now_us=NOW_US)
    # then the heads are all there, and only the torn line is told of
    assert [head.statement.batch for head in _heads(sealed)] == [1, 2, 3]
    (torn,) = check(engine, sealed).found
    assert "line 2" in torn.detail


def _heads(folder: Path) -> list[object]:
    from command.operations.audit_seal import BadLine, SignedHead

    found: list[object] = []
    for _, line in HeadsFile(folder).lines(size=HeadsFile(folder).size()):
        try:
            head: SignedHead = read_line(line)
        except BadLine:
            continue
        found.append(head)
    return found


def test_the_export_and_the_heads_are_enough_to_compute_every_link(engine: Engine, sealed: Path) -> None:
    import hashlib

    # given the export, read by nothing of ours
    rows = [json.loads(line) for line in export(engine, by="terminal:root", now_us=NOW_US)]
    assert [row["action"] for row in rows[-1:]] == ["audit.exported"]
    # when the links are computed by the definition
    by_id = {row["audit_id"]: row for row in rows}
    link = bytes(32)
    for line in (sealed / HEADS_FILE).read_text("utf-8").splitlines():
        head = json.loads(line)
        for audit_id, said in json.loads(head["statement"])["links"]:
            form = json.dumps(list(by_id[audit_id].values()), ensure_ascii=False, separators=(",", ":"))
            link = hashlib.sha256(link + form.encode()).digest()
            # then they are those of the heads
            assert link.hex() == said
        link = hashlib.sha256(head["statement"].encode()).digest()
        assert link.hex() == head["head"]


def test_the_key_is_made_once_for_its_owner_only_and_a_readable_one_is_refused(tmp_path: Path) -> None:
    first = audit_key(tmp_path / "keys")
    path = tmp_path / "keys" / AUDIT_KEY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert public_hex(audit_key(tmp_path / "keys")) == public_hex(first)
    assert [each.name for each in path.parent.iterdir()] == [AUDIT_KEY]

    path.chmod(0o644)
    with pytest.raises(BadKey, match="chmod 600"):
        audit_key(tmp_path / "keys")
    path.chmod(0o600)
    path.write_text("nonsense")
    with pytest.raises(BadKey, match="put it back"):
        audit_key(tmp_path / "keys")


def test_the_log_is_sealed_when_the_process_stops(
    engine: Engine, folder: Path, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    write(engine, "last")
    stop = threading.Event()
    stop.set()
    keep_sealed(engine, stop, keys_dir=tmp_path / "keys", folder=folder)

    assert check(engine, folder).found == ()


def test_entries_of_the_last_seconds_are_waited_for(engine: Engine, sealer: AuditSealer, sealed: Path) -> None:
    # given an entry that no head covers, and dispatch, which seals it in a moment
    write(engine, "later")
    moment = threading.Timer(0.3, lambda: sealer.seal(now_us=NOW_US))
    moment.start()
    # when the log is verified, then it has waited for that
    assert verify(engine, folder=sealed, keys=None, sealed_within_s=30.0).found == ()
    moment.join()
