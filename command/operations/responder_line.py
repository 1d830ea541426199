"""One alert as one line for a person: severity by shape and word, time, place, reason, rule."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from alerts.explain import format_moment, rule_name, severity_word
from command.domain.alert import AlertEventKind, Severity
from command.domain.clock import to_us
from command.domain.realm import Realm, RealmKind
from command.i18n import text


def clean(line: str) -> str:
    """`line` without what could command a terminal or turn the text round: names come from the air."""
    return "".join(c if c.isprintable() else " " if c.isspace() else "?" for c in line)


def position_text(lon: float, lat: float) -> str:
    """Degrees and minutes to a hundredth (18.5 m of latitude) as at sea: `34-41.23N 129-26.51E`."""
    return f"{_degrees_minutes(lat, 2, 'NS')} {_degrees_minutes(lon, 3, 'EW')}"


def _degrees_minutes(degrees: float, width: int, signs: str) -> str:
    hundredths = round(abs(degrees) * 6_000)  # of a minute, before splitting, so that no 60.00 can come out
    whole, rest = divmod(hundredths, 6_000)
    return f"{whole:0{width}d}-{rest // 100:02d}.{rest % 100:02d}{signs[degrees < 0]}"


def called_words(body: Mapping[str, Any], language: str) -> str:
    """Whom a message says that the operations centre called last; nothing where it says nobody."""
    called = body.get("called")
    if called is None:
        return ""
    name = called["name"] or text(language, "watch.everybody")
    return name if called["team"] is None else text(language, "watch.of_team", name=name, team=called["team"])


def alert_line(body: Mapping[str, Any], language: str) -> str:
    """The line for a body that met the schema."""
    where = _where(body, language)
    if body["area"] is not None:
        where = text(language, "respond.place_in_area", area=body["area"]["name"][language], position=where)
    event = ""
    if body["event"] != AlertEventKind.OPENED:
        by = (body["acknowledged"] or {"by": ""})["by"]
        who = called_words(body, language)
        event = text(language, f"respond.event.{body['event']}", revision=body["revision"], by=by, who=who)
    kind = Realm.parse(body["realm"]).kind
    return clean(
        text(
            language,
            "respond.line",
            banner="" if kind is RealmKind.LIVE else text(language, f"respond.banner.{kind.value}"),
            mark=text(language, f"respond.mark.{body['severity']}"),
            severity=severity_word(Severity.from_word(body["severity"]), language),
            event=event,
            time=format_moment(to_us(datetime.fromisoformat(body["observed_at"])), language),
            place=where,
            label=body["subject_label"][language],
            because=body["because"][language],
            rule=rule_name(body["rule"], language),
        )
    )


def _where(body: Mapping[str, Any], language: str) -> str:
    place = body["position"]
    return text(language, "respond.no_position") if place is None else position_text(place["lon"], place["lat"])


def is_repeat(body: Mapping[str, Any]) -> bool:
    """Whether the message tells again what is still open and acknowledged by nobody."""
    return bool(body.get("grouped", {}).get("repeat", False))


def revisions_told(body: Mapping[str, Any]) -> list[tuple[str, int]]:
    """The alert_id and revision of everything that the message tells of."""
    told = [body, *body.get("grouped", {}).get("members", ())]
    return list(dict.fromkeys((each["alert_id"], each["revision"]) for each in told))


def member_lines(body: Mapping[str, Any], language: str) -> list[str]:
    """Beneath the line of a message that tells of several alerts, or tells again: how many, and a line for each."""
    grouped = body.get("grouped")
    if grouped is None:
        return []
    members = grouped["members"]
    lines = [
        text(
            language,
            "respond.group.repeat" if grouped["repeat"] else "respond.group",
            count=len(members) + grouped["more"],
            open=grouped["open"],
            cleared=grouped["cleared"],
        )
    ]
    if len(members) > 1:
        lines += [_member_line(member, language) for member in members]
    if grouped["more"]:
        lines.append(text(language, "respond.group.more", more=grouped["more"]))
    return [clean(line) for line in lines]


def _member_line(member: Mapping[str, Any], language: str) -> str:
    event = ""
    if member["event"] != AlertEventKind.OPENED:
        short = member["event"] in ("acknowledged", "called")  # who did, and who is called, their own messages say
        key = f"respond.{'group' if short else 'event'}.{member['event']}"
        event = text(language, key, revision=member["revision"])
    return text(
        language,
        "respond.group.member",
        mark=text(language, f"respond.mark.{member['severity']}"),
        severity=severity_word(Severity.from_word(member["severity"]), language),
        event=event,
        time=format_moment(to_us(datetime.fromisoformat(member["observed_at"])), language),
        place=_where(member, language),
        label=member["subject_label"][language],
        because=member["because"][language],
        rule=rule_name(member["rule"], language),
    )
