"""Rules: their versioned configurations, and what each remembers between flushes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, delete, select, text
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlalchemy.orm import Session

from command.store.jsonb import json_text
from command.store.notify import notify
from command.store.sequencer import hold, last, take_next
from command.store.tables import RULE_MEMORY, RULE_SETTING, RULE_VERSION

_KEEP: Final = text(
    """
    INSERT INTO rule_memory (rule, key, memory) SELECT :rule, key, value FROM jsonb_each(cast(:entries AS jsonb))
    ON CONFLICT (rule, key) DO UPDATE SET memory = excluded.memory
    """
)
"""All of a rule's entries in one document: a statement an entry was a fifth of what a full flush cost intake."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RuleVersion:
    """One version of a rule's configuration; the highest version holds.

    by_person: a person decided it, so that no settings file undoes it (docs/adr/0010). reason: why, in their words.
    restores: the older version that it brings back.
    """

    rule: str
    version: int
    config: Mapping[str, Any]
    author: str
    valid_from_us: int
    by_person: bool = False
    reason: str = ""
    restores: int | None = None


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
    return [_version(row) for row in session.execute(newest_first.ext(distinct_on(RULE_VERSION.c.rule)))]


def rule_versions(session: Session, rule: str, *, limit: int) -> list[RuleVersion]:
    """The versions of one rule, newest first; [] where it was never put."""
    of_one = select(RULE_VERSION).where(RULE_VERSION.c.rule == rule)
    return [_version(row) for row in session.execute(of_one.order_by(RULE_VERSION.c.version.desc()).limit(limit))]


def rule_version(session: Session, rule: str, version: int) -> RuleVersion | None:
    """One version of one rule; None where there is none."""
    one = select(RULE_VERSION).where(RULE_VERSION.c.rule == rule, RULE_VERSION.c.version == version)
    row = session.execute(one).one_or_none()
    return None if row is None else _version(row)


def rule_changes(session: Session, since_us: int, until_us: int) -> list[RuleVersion]:
    """Every version that holds from a time in between on, first to last."""
    begun = RULE_VERSION.c.valid_from
    query = select(RULE_VERSION).where(begun >= since_us, begun < until_us)
    rows = session.execute(query.order_by(begun, RULE_VERSION.c.rule, RULE_VERSION.c.version))
    return [_version(row) for row in rows]


def rules_revision(session: Session) -> int:
    """A number that rises when any rule's configuration changes; 0 before the first."""
    return last(session, "rule")


def hold_rules(session: Session) -> None:
    """No one changes a rule until this transaction ends: what is read from now on may be decided upon."""
    hold(session, "rule")


def put_rule(
    session: Session,
    rule: str,
    config: Mapping[str, Any],
    author: str,
    now_us: int,
    *,
    by_person: bool = False,
    reason: str = "",
    restores: int | None = None,
) -> RuleVersion:
    """Make `config` (JSON-able) hold from now on, as a new version.

    The configuration that holds already makes none, unless who decides changes from a person to the settings file.
    """
    hold_rules(session)
    known = next(iter(rule_versions(session, rule, limit=1)), None)
    if known is not None and known.config == dict(config) and known.by_person <= by_person:
        return known
    revision = take_next(session, "rule")
    new = RuleVersion(
        rule=rule,
        version=1 if known is None else known.version + 1,
        config=dict(config),
        author=author,
        valid_from_us=now_us,
        by_person=by_person,
        reason=reason,
        restores=restores,
    )
    session.execute(
        insert(RULE_VERSION).values(
            rule=rule,
            version=new.version,
            config=new.config,
            author=author,
            valid_from=now_us,
            by_person=by_person,
            reason=reason,
            restores=restores,
        )
    )
    notify(session, {"rules": revision})
    return new


def rules_of_settings(session: Session) -> dict[str, Mapping[str, Any]]:
    """rule -> configuration, as the settings file had them when the realm was last opened."""
    return {row.rule: row.config for row in session.execute(select(RULE_SETTING))}


def keep_rules_of_settings(session: Session, configs: Mapping[str, Mapping[str, Any]]) -> None:
    """Note what the settings file says now, whether it holds or not."""
    if rules_of_settings(session) == {rule: dict(config) for rule, config in configs.items()}:
        return
    session.execute(delete(RULE_SETTING))
    if configs:
        session.execute(insert(RULE_SETTING), [{"rule": r, "config": dict(c)} for r, c in configs.items()])


def _version(row: Row[Any]) -> RuleVersion:
    return RuleVersion(
        rule=row.rule,
        version=row.version,
        config=row.config,
        author=row.author,
        valid_from_us=row.valid_from,
        by_person=row.by_person,
        reason=row.reason,
        restores=row.restores,
    )
