"""Rules: their versioned configurations, and what each remembers between flushes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import delete, select, text
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session

from command.store.jsonb import json_text
from command.store.notify import notify
from command.store.sequencer import hold, last, take_next
from command.store.tables import RULE_MEMORY, RULE_VERSION

_KEEP: Final = text(
    """
    INSERT INTO rule_memory (rule, key, memory) SELECT :rule, key, value FROM jsonb_each(cast(:entries AS jsonb))
    ON CONFLICT (rule, key) DO UPDATE SET memory = excluded.memory
    """
)
"""All of a rule's entries in one document: a statement an entry was a fifth of what a full flush cost intake."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleVersion:
    """One version of a rule's configuration; the highest version holds."""

    rule: str
    version: int
    config: Mapping[str, Any]
    author: str
    valid_from_us: int


def load_rule_memory(session: Session) -> dict[str, dict[str, dict[str, Any]]]:
    """rule -> key -> what the rule remembers under it."""
    memory: dict[str, dict[str, dict[str, Any]]] = {}
    for rule, key, entry in session.execute(select(RULE_MEMORY)):
        memory.setdefault(rule, {})[key] = entry
    return memory


def save_rule_memory(session: Session, changes: Mapping[str, Mapping[str, Mapping[str, Any] | None]]) -> None:
    """Keep the changed entries, rule -> key -> JSON-able dict; None forgets an entry. What is not named stays."""
    for rule, entries in changes.items():
        kept = {key: dict(entry) for key, entry in entries.items() if entry is not None}
        if kept:
            session.execute(_KEEP, {"rule": rule, "entries": json_text(kept)})
        gone = [key for key, entry in entries.items() if entry is None]
        if gone:
            session.execute(delete(RULE_MEMORY).where(RULE_MEMORY.c.rule == rule, RULE_MEMORY.c.key.in_(gone)))


def current_rules(session: Session) -> list[RuleVersion]:
    """The version that holds of each rule, by name. A rule that was never put is not in it."""
    newest_first = select(RULE_VERSION).order_by(RULE_VERSION.c.rule, RULE_VERSION.c.version.desc())
    return [
        RuleVersion(
            rule=row.rule, version=row.version, config=row.config, author=row.author, valid_from_us=row.valid_from
        )
        for row in session.execute(newest_first.ext(distinct_on(RULE_VERSION.c.rule)))
    ]


def rule_changes(session: Session, since_us: int, until_us: int) -> list[RuleVersion]:
    """Every version that holds from a time in between on, first to last."""
    begun = RULE_VERSION.c.valid_from
    query = select(RULE_VERSION).where(begun >= since_us, begun < until_us)
    return [
        RuleVersion(
            rule=row.rule, version=row.version, config=row.config, author=row.author, valid_from_us=row.valid_from
        )
        for row in session.execute(query.order_by(begun, RULE_VERSION.c.rule, RULE_VERSION.c.version))
    ]


def rules_revision(session: Session) -> int:
    """A number that rises when any rule's configuration changes; 0 before the first."""
    return last(session, "rule")


def put_rule(session: Session, rule: str, config: Mapping[str, Any], author: str, now_us: int) -> RuleVersion:
    """Make `config` (JSON-able) hold from now on, as a new version. The configuration that holds already makes none."""
    hold(session, "rule")
    known = next((version for version in current_rules(session) if version.rule == rule), None)
    if known is not None and known.config == dict(config):
        return known
    revision = take_next(session, "rule")
    new = RuleVersion(
        rule=rule,
        version=1 if known is None else known.version + 1,
        config=dict(config),
        author=author,
        valid_from_us=now_us,
    )
    session.execute(
        insert(RULE_VERSION).values(rule=rule, version=new.version, config=new.config, author=author, valid_from=now_us)
    )
    notify(session, {"rules": revision})
    return new
