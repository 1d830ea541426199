"""A handover sheet in a reader's language: its facts and its parts, for the page, the PDF and the API alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from alerts.explain import rule_name
from command.domain.alert import Severity
from command.domain.clock import US_PER_S
from command.domain.handover import Part, SheetVersion
from command.i18n import text
from command.i18n.times import jst_minute
from command.operations.handover_content import Content


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """One part of a sheet. note: what there is to know beside the rows, such as counts. shares: of the width, a column
    each, all together 1."""

    key: str
    title: str
    note: str
    columns: Sequence[str]
    shares: Sequence[float]
    rows: Sequence[Sequence[str]]


def sections(content: Content, language: str) -> list[Section]:
    """Every part, in the order in which officers ask for it; one with nothing in it says so."""
    return [
        _part(key, shares, rows(content, language), note(content, language), language)
        for key, shares, rows, note in _PARTS
    ]


def _part(key: str, shares: Mapping[str, float], rows: Sequence[Sequence[str]], note: str, language: str) -> Section:
    return Section(
        key=key,
        title=text(language, f"handover.part.{key}"),
        note=note if rows or note else text(language, "handover.nothing"),
        columns=[text(language, f"handover.column.{column}") for column in shares],
        shares=list(shares.values()),
        rows=rows,
    )


def state_words(sheet: SheetVersion, language: str) -> str:
    """Where the signing of a version stands."""
    if sheet.complete:
        return text(language, "handover.state_taken" if sheet.taken else "handover.state_signed")
    return text(language, "handover.state_waiting")


def signature_rows(sheet: SheetVersion, language: str) -> list[tuple[str, str]]:
    """(part, who and when) of both sides."""
    rows = []
    for part in Part:
        signature = sheet.signature(part)
        if signature is not None:
            who = f"{signature.name} ({signature.login})"
            words = text(language, "handover.signed_by", who=who, time=jst_minute(signature.signed_at_us))
        elif part is Part.OUTGOING and sheet.outgoing is None:
            words = text(language, "handover.no_outgoing")
        elif part is Part.OUTGOING and sheet.taken:
            words = text(language, "handover.taken_because", reason=sheet.content["taken_because"])
        else:
            words = text(language, "handover.not_signed")
        rows.append((text(language, f"handover.{part.value}"), words))
    return rows


def _time(us: int | None) -> str:
    return "-" if us is None else jst_minute(us).removesuffix(" JST")


def _age(us: int) -> str:
    """Hours and minutes: `3:05`."""
    minutes = max(0, us // (60 * US_PER_S))
    return f"{minutes // 60}:{minutes % 60:02d}"


def _on_duty(content: Content, language: str) -> list[tuple[str, ...]]:
    return [
        (
            each["name"],
            text(language, f"watch.role.{each['role']}"),
            each["team"] or "-",
            f"{_time(each['from_us'])} – {_time(each['until_us'])}",
        )
        for each in content["on_duty"]
    ]


def _alerts(content: Content, language: str) -> list[tuple[str, ...]]:
    return [
        (
            text(language, f"severity.{each['severity']}"),
            rule_name(each["rule"], language),
            each["subject"][language] + ("" if each["area"] is None else f" / {each['area'][language]}"),
            f"{_time(each['opened_us'])} ({_age(content['at_us'] - each['opened_us'])})",
            _alert_state(each, language),
        )
        for each in content["alerts"]["listed"]
    ]


def _alert_state(alert: Mapping[str, Any], language: str) -> str:
    words = []
    if alert["acknowledged_by"] is not None:
        words.append(text(language, "handover.acknowledged_by", who=alert["acknowledged_by"]))
    else:
        words.append(text(language, "handover.not_acknowledged"))
    if alert["assigned_to"] is not None:
        words.append(text(language, "handover.assigned_to", who=alert["assigned_to"]))
    if alert["called"] is not None and alert["acknowledged_by"] is None:
        everybody = alert["called"]["everybody"]
        who = text(language, "watch.everybody") if everybody else alert["called"]["name"]
        words.append(text(language, "handover.called", who=who))
    if alert["cleared_us"] is not None:
        words.append(text(language, "handover.cleared"))
    return " / ".join(words)


def _alert_counts(content: Content, language: str) -> str:
    alerts = content["alerts"]
    if not alerts["total"]:
        return ""
    counts = " / ".join(
        text(
            language,
            "handover.severity_count",
            severity=text(language, f"severity.{severity.word}"),
            **alerts["by_severity"][severity.word],
        )
        for severity in sorted(Severity, reverse=True)
        if alerts["by_severity"][severity.word]["open"]
    )
    return text(language, "handover.alert_count", n=alerts["total"], counts=counts) + _left_out(alerts, language)


def _left_out(part: Mapping[str, Any], language: str) -> str:
    left = part["total"] - len(part["listed"])
    return " " + text(language, "handover.left_out", n=left) if left > 0 else ""


def _incidents(content: Content, language: str) -> list[tuple[str, ...]]:
    return [
        (
            each["number"],
            each["title"],
            text(language, f"severity.{each['severity']}"),
            text(language, f"incident.state.{each['state']}"),
            each["owner"] or "-",
            _time(each["changed_us"]) + (text(language, "handover.since_began") if each["changed"] else ""),
        )
        for each in content["incidents"]["listed"]
    ]


def _incident_counts(content: Content, language: str) -> str:
    part = content["incidents"]
    if not part["total"]:
        return ""
    return text(language, "handover.incident_count", n=part["total"], open=part["open"]) + _left_out(part, language)


def _tasks(content: Content, language: str) -> list[tuple[str, ...]]:
    return [
        (
            each["number"],
            each["title"],
            each["assignee"],
            text(language, f"incident.task.{each['state']}"),
            _time(each["given_us"]),
        )
        for each in content["tasks"]
    ]


def _changes(content: Content, language: str) -> list[tuple[str, ...]]:
    return [
        (
            _time(each["at_us"]),
            text(language, f"handover.change.{each['kind']}"),
            _changed(each["kind"], each["what"], language),
            each["by"],
        )
        for each in content["changes"]
    ]


def _changed(kind: str, what: Any, language: str) -> str:
    if kind == "rule":
        return rule_name(what, language)
    if kind.startswith("silence"):
        return _silenced(what, language)
    return str(what[language] if isinstance(what, Mapping) else what)


def _silenced(silence: Mapping[str, Any], language: str) -> str:
    rule = None if silence["rule"] is None else rule_name(silence["rule"], language)
    area = None if silence["area"] is None else silence["area"][language]
    return " / ".join(filter(None, (rule, silence["subject"], area)))


def _silences(content: Content, language: str) -> list[tuple[str, ...]]:
    return [
        (_silenced(each, language), each["reason"], each["author"], _time(each["expires_us"]))
        for each in content["silences"]
    ]


def _sources(content: Content, language: str) -> list[tuple[str, ...]]:
    return [
        (
            each["source"],
            each["gateway"],
            text(language, f"health.state_{each['state']}"),
            _time(each["since_us"]),
            each["detail"],
        )
        for each in content["sources"]
    ]


def _drones(content: Content, language: str) -> list[tuple[str, ...]]:
    return [
        (
            each["name"][language],
            text(language, f"kind.{each['kind']}"),
            text(language, "handover.never_seen" if each["status"] is None else f"status.{each['status']}"),
            "-" if each["battery_percent"] is None else f"{each['battery_percent']} %",
            _time(each["seen_us"]),
        )
        for each in content["drones"]
    ]


def _count(key: str) -> Callable[[Content, str], str]:
    def note(content: Content, language: str) -> str:
        n = len(content[key])
        return text(language, "handover.count", n=n) if n else ""

    return note


_PARTS: Final[
    Sequence[
        tuple[
            str,
            Mapping[str, float],
            Callable[[Content, str], Sequence[Sequence[str]]],
            Callable[[Content, str], str],
        ]
    ]
] = (
    ("alerts", {"severity": 0.09, "rule": 0.2, "subject": 0.31, "opened": 0.17, "state": 0.23}, _alerts, _alert_counts),
    (
        "incidents",
        {"number": 0.12, "title": 0.3, "severity": 0.09, "state": 0.12, "owner": 0.13, "changed": 0.24},
        _incidents,
        _incident_counts,
    ),
    (
        "tasks",
        {"number": 0.12, "task": 0.36, "assignee": 0.18, "state": 0.14, "given": 0.2},
        _tasks,
        _count("tasks"),
    ),
    ("silences", {"what": 0.35, "reason": 0.33, "by": 0.14, "until": 0.18}, _silences, _count("silences")),
    (
        "sources",
        {"source": 0.22, "gateway": 0.16, "state": 0.16, "heard": 0.18, "detail": 0.28},
        _sources,
        _count("sources"),
    ),
    ("drones", {"name": 0.32, "kind": 0.2, "state": 0.16, "battery": 0.12, "seen": 0.2}, _drones, _count("drones")),
    ("changes", {"at": 0.18, "change": 0.2, "what": 0.42, "by": 0.2}, _changes, _count("changes")),
    ("on_duty", {"person": 0.3, "role": 0.16, "team": 0.16, "hours": 0.38}, _on_duty, _count("on_duty")),
)
"""Key, columns with their shares, and what makes rows and note."""
