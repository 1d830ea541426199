"""What a team's terminal client knows, in one SQLite file: alerts with every revision that came, and its own answers.

An alert is written down before its message is acknowledged, and an answer before it is sent, so that a client that is
killed or a battery that is empty loses neither; both are known by their ids, so that neither doubles.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from command.operations.responder_members import MEMBER_OF

KEEP_ALERTS: Final = 5_000
KEEP_ANSWERS: Final = 5_000
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS alert (
    alert_id TEXT NOT NULL, revision INTEGER NOT NULL, body TEXT NOT NULL, PRIMARY KEY (alert_id, revision)
);
CREATE TABLE IF NOT EXISTS answer (
    number INTEGER PRIMARY KEY AUTOINCREMENT, response_id TEXT NOT NULL UNIQUE, alert_id TEXT NOT NULL,
    body TEXT NOT NULL, result TEXT, why TEXT
);
CREATE TABLE IF NOT EXISTS fact (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
_KEEP: Final = "INSERT OR REPLACE INTO alert VALUES (?, ?, ?)"
_KEEP_IF_NEW: Final = "INSERT OR IGNORE INTO alert VALUES (?, ?, ?)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """An answer of ours. body: of the schema response-1. result: as in reply-1; None while it waits to be heard of."""

    body: Mapping[str, Any]
    result: str | None = None
    why: Mapping[str, str] | None = None

    @property
    def response_id(self) -> str:
        return str(self.body["response_id"])


class Notebook:
    """The notebook in `path`, or one in memory where that cannot be used: `problem` says why. For one thread."""

    def __init__(self, path: Path | None) -> None:
        self.problem: str | None = None
        self._file = self._opened(path)
        self._drop_oldest()

    def _opened(self, path: Path | None) -> sqlite3.Connection:
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch(0o600)
                return _connect(str(path))
            except (OSError, sqlite3.Error) as exc:
                self.problem = f"{path}: {exc}"
        return _connect(":memory:")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._file.close()

    def keep_alert(self, body: Mapping[str, Any]) -> bool:
        """Write a revision down; whether it is higher than all that were known of its alert.

        A revision that is known and was recorded at another time is of another run: a drill that began anew, a centre
        that went back to a copy. Then what was known of the alert, and what we said to it, is forgotten.
        """
        known = self._one(
            "SELECT body FROM alert WHERE alert_id = ? AND revision = ?", body["alert_id"], body["revision"]
        )
        kept = None if known is None else json.loads(known)
        partly = MEMBER_OF in body or (kept is not None and MEMBER_OF in kept)  # and says nothing of its recording
        if kept is not None and not partly and kept["recorded_at"] != body["recorded_at"]:
            with self._file:
                for table in ("alert", "answer"):
                    self._file.execute(f"DELETE FROM {table} WHERE alert_id = ?", (body["alert_id"],))  # noqa: S608 - ours
        highest = self._one("SELECT max(revision) FROM alert WHERE alert_id = ?", body["alert_id"])
        with self._file:
            self._file.execute(
                _KEEP_IF_NEW if MEMBER_OF in body else _KEEP,
                (body["alert_id"], body["revision"], json.dumps(body, ensure_ascii=False)),
            )
        return highest is None or body["revision"] > highest

    def alerts(self) -> list[dict[str, Any]]:
        """The latest revision of each alert, in no order."""
        rows = self._file.execute("SELECT body, max(revision) FROM alert GROUP BY alert_id")
        return [json.loads(body) for body, _ in rows]

    def history(self, alert_id: str) -> list[dict[str, Any]]:
        """Every revision of an alert that came, the first one first."""
        rows = self._file.execute("SELECT body FROM alert WHERE alert_id = ? ORDER BY revision", (alert_id,))
        return [json.loads(body) for (body,) in rows]

    def put_answer(self, body: Mapping[str, Any]) -> None:
        """Write an answer down that is to be sent."""
        with self._file:
            self._file.execute(
                "INSERT OR IGNORE INTO answer (response_id, alert_id, body) VALUES (?, ?, ?)",
                (body["response_id"], body["alert_id"], json.dumps(body, ensure_ascii=False)),
            )

    def settle(self, response_id: str, *, result: str, why: Mapping[str, str] | None = None) -> bool:
        """What became of an answer; False for one that is not ours, or that is known to have been kept."""
        told = None if why is None else json.dumps(dict(why), ensure_ascii=False)
        with self._file:
            done = self._file.execute(
                "UPDATE answer SET result = ?, why = ? WHERE response_id = ? AND result IS NOT 'accepted'",
                (result, told, response_id),
            )
        return done.rowcount > 0

    def waiting(self) -> list[Answer]:
        """Answers of which nothing was heard, in the order in which they were given."""
        return self._answers("WHERE result IS NULL")

    def answers(self, alert_id: str) -> list[Answer]:
        """Our answers to an alert, in the order in which they were given."""
        return self._answers("WHERE alert_id = ?", alert_id)

    def all_answers(self) -> list[Answer]:
        return self._answers("")

    def fact(self, name: str) -> str | None:
        """Something that the client remembers, such as who sits at it."""
        found = self._one("SELECT value FROM fact WHERE name = ?", name)
        return None if found is None else str(found)

    def keep_fact(self, name: str, value: str) -> None:
        with self._file:
            self._file.execute("INSERT OR REPLACE INTO fact VALUES (?, ?)", (name, value))

    def _answers(self, where: str, *values: str) -> list[Answer]:
        rows = self._file.execute(f"SELECT body, result, why FROM answer {where} ORDER BY number", values)  # noqa: S608 - ours
        return [
            Answer(body=json.loads(body), result=result, why=None if why is None else json.loads(why))
            for body, result, why in rows
        ]

    def _one(self, query: str, *values: object) -> Any:
        row = self._file.execute(query, values).fetchone()
        return None if row is None else row[0]

    def _drop_oldest(self) -> None:
        """What is beyond the limits, by when it came; an answer that waits is never dropped."""
        with self._file:
            self._file.execute(
                "DELETE FROM alert WHERE alert_id NOT IN "
                "(SELECT alert_id FROM alert GROUP BY alert_id ORDER BY max(rowid) DESC LIMIT ?)",
                (KEEP_ALERTS,),
            )
            self._file.execute(
                "DELETE FROM answer WHERE result IS NOT NULL AND number <= "
                "(SELECT coalesce(max(number), 0) FROM answer) - ?",
                (KEEP_ANSWERS,),
            )


def _connect(where: str) -> sqlite3.Connection:
    """Raises sqlite3.Error where it cannot be read or written."""
    file = sqlite3.connect(where, check_same_thread=False, timeout=5.0)
    try:
        file.executescript(_TABLES)
        file.execute("PRAGMA synchronous = FULL")
        with file:
            file.execute("INSERT OR REPLACE INTO fact VALUES ('opened', '1')")
    except sqlite3.Error:
        file.close()
        raise
    return file


def severities_first(bodies: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The worst first, of one severity the newest."""
    order = {"critical": 0, "high": 1, "medium": 2, "low": 3}
    newest = sorted(bodies, key=lambda body: str(body["opened_at"]), reverse=True)
    return sorted(newest, key=lambda body: order[body["severity"]])
