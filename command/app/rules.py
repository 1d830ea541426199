"""Rules from the terminal, for the administrator of the machine."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager

from alerts.explain import rule_name
from alerts.setting_words import setting_name, setting_value
from command.app.program import opened
from command.domain.realm import Realm
from command.i18n import text
from command.i18n.times import jst_minute
from command.operations.realms import realm_clock
from command.operations.rules import RuleBook, RuleVersion
from command.settings import Settings


@contextmanager
def _book(settings: Settings, realm: Realm) -> Iterator[RuleBook]:
    with opened(settings, realm) as program:
        yield RuleBook(program.engine, realm, clock=realm_clock(program.engine, realm))


def list_rules(settings: Settings, realm: Realm) -> list[str]:
    """A line a rule: its name, what people call it, whether it is on, its version and who decided it."""
    language = settings.language
    with _book(settings, realm) as book:
        return [
            "\t".join(
                (
                    known.name,
                    rule_name(known.name, language),
                    text(language, _state(known.config is not None, known.config is not None and known.config.enabled)),
                    _decided(known.version, language),
                    text(language, "rules.differs_short") if known.of_settings is not None else "",
                )
            ).rstrip("\t")
            for known in book.everything()
        ]


def show_rule(settings: Settings, realm: Realm, rule: str) -> list[str]:
    """A line a setting, by its name in the settings file, what people call it, and what it says. Raises RuleRefused."""
    language = settings.language
    with _book(settings, realm) as book:
        known, areas = book.one(rule), book.area_names()
    config = {} if known.config is None else known.config.model_dump(mode="json")
    lines = [f"{rule_name(rule, language)}\t{_decided(known.version, language)}"]
    if known.config is None:
        lines.append(text(language, "rules.unusable_help"))
    return lines + [
        f"{name}\t{setting_name(rule, (name,), language, areas)}\t{setting_value((name,), value, language, areas)}"
        for name, value in config.items()
    ]


def rule_history(settings: Settings, realm: Realm, rule: str) -> list[str]:
    """The versions, newest first, each followed by what it changed. Raises RuleRefused."""
    lines: list[str] = []
    with _book(settings, realm) as book:
        versions = book.versions(rule)
        for version, changed in zip(versions, book.changes(versions, settings.language), strict=True):
            lines += [_decided(version, settings.language), *(f"    {each}" for each in changed)]
    return lines


def undo_rule(settings: Settings, realm: Realm, rule: str, version: int, *, reason: str) -> str:
    """Bring an older version back; the line that says what holds now. Raises RuleRefused."""
    with _book(settings, realm) as book:
        made = book.undo(rule, version, reason=reason, by=f"{getpass.getuser()} (terminal)")
    return _decided(made.version, settings.language)


def _state(usable: bool, enabled: bool) -> str:
    return f"rules.{'on' if enabled else 'off'}" if usable else "rules.unusable"


def _decided(version: RuleVersion, language: str) -> str:
    why = [text(language, "rules.restores", version=version.restores)] if version.restores is not None else []
    why += [version.reason] if version.reason else []
    return "\t".join((f"v{version.version}", jst_minute(version.valid_from_us), version.author, " ".join(why))).rstrip()
