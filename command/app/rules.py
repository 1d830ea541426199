"""Rules from the terminal, for the administrator of the machine."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from alerts.explain import rule_name, severity_word, subject_name
from alerts.setting_words import setting_name, setting_value
from command.app.program import opened
from command.domain.alert import Alert
from command.domain.clock import from_us as datetime_of
from command.domain.clock import to_us as us_of
from command.domain.realm import Realm
from command.i18n import text
from command.i18n.times import JST, jst_minute
from command.operations.backtest import Backtest, backtest, parse_changes
from command.operations.realms import realm_clock
from command.operations.rules import RuleBook, RuleVersion
from command.settings import BadSettings, Settings


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


def run_backtest(
    settings: Settings,
    realm: Realm,
    rule: str,
    *,
    begin: str,
    end: str,
    changes: Sequence[str],
    warm_up_hours: float,
    say: Callable[[str], None],
) -> Backtest:
    """Run a rule again over stored history. Raises BadSettings for a time, BacktestRefused, RuleRefused,
    BadRuleConfig.
    """
    from_us, to_us, wanted = _moment("--from", begin), _moment("--to", end), parse_changes(changes)
    told = 0.0

    def progress(done: float) -> None:
        nonlocal told
        if done - told >= 0.1 and done < 1.0:
            told = done
            say(f"{done:.0%}")

    with opened(settings, realm) as program:
        return backtest(
            program.engine,
            realm,
            rule,
            from_us=from_us,
            to_us=to_us,
            changes=wanted,
            warm_up_s=warm_up_hours * 3_600,
            now_us=realm_clock(program.engine, realm).now_us(),
            progress=progress,
        )


def backtest_json(done: Backtest) -> dict[str, Any]:
    """What came of a backtest, for programs."""
    then, now = len(done.both) + len(done.only_then), len(done.both) + len(done.only_now)
    return {
        "rule": done.rule,
        "realm": done.realm,
        "from": _iso(done.from_us),
        "to": _iso(done.to_us),
        "versions_then": list(done.versions_then),
        "changed": dict(done.changed),
        "then": {"alerts": then, "an_hour": done.an_hour(then)},
        "now": {"alerts": now, "an_hour": done.an_hour(now)},
        "both": [_alert_json(each) for each in done.both],
        "only_then": [_alert_json(each) for each in done.only_then],
        "only_now": [_alert_json(each) for each in done.only_now],
        "observations": done.observations,
        "seconds": round(done.seconds, 3),
        "times_real_time": round(done.hours * 3_600 / done.seconds, 1),
    }


def backtest_lines(done: Backtest, language: str) -> list[str]:
    """What came of a backtest, for people."""
    then, now = len(done.both) + len(done.only_then), len(done.both) + len(done.only_now)
    span = f"{jst_minute(done.from_us)} - {jst_minute(done.to_us)}"
    lines = [
        text(language, "backtest.of", rule=rule_name(done.rule, language), realm=done.realm, span=span),
        text(language, "backtest.then", n=then, an_hour=done.an_hour(then), versions=_listed(done.versions_then)),
        text(language, "backtest.now", n=now, an_hour=done.an_hour(now)),
        text(language, "backtest.differs", both=len(done.both), then=len(done.only_then), now=len(done.only_now)),
    ]
    for key, alerts in (("backtest.only_then", done.only_then), ("backtest.only_now", done.only_now)):
        lines += [
            text(
                language,
                key,
                at=jst_minute(alert.opened_at_us),
                severity=severity_word(alert.severity, language),
                subject=subject_name(alert, language),
                area=alert.area or "-",
            )
            for alert in alerts
        ]
    fast = round(done.hours * 3_600 / done.seconds)
    return [*lines, text(language, "backtest.took", rows=done.observations, seconds=round(done.seconds, 1), fast=fast)]


def _listed(versions: Sequence[int]) -> str:
    return ", ".join(str(version) for version in versions)


def _alert_json(alert: Alert) -> dict[str, Any]:
    return {
        "opened_at": _iso(alert.opened_at_us),
        "subject": alert.subject,
        "subject_label": alert.subject_label,
        "area": alert.area,
        "severity": alert.severity.word,
    }


def _iso(us: int) -> str:
    return datetime_of(us).isoformat()


def _moment(option: str, written: str) -> int:
    """Microseconds of an ISO 8601 time; one without a zone is Japan's. Raises BadSettings."""
    try:
        moment = datetime.fromisoformat(written)
    except ValueError as exc:
        raise BadSettings(f"{option} {written!r}: write 2026-11-22T18:00 (Japan's time) or 2026-11-22T09:00Z") from exc
    return us_of(moment if moment.tzinfo is not None else moment.replace(tzinfo=JST))
