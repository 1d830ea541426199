"""The alert policy: which route an alert takes, how alerts are grouped, what inhibits what, and quiet hours.

A TOML file (docs/alerts.md). Its meaning is that of Prometheus Alertmanager's configuration, with two differences: the
pressing (critical, or escalated by an officer) never wait, and a severity can be compared (`severity >= high`).
"""

from __future__ import annotations

import re
import tomllib
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from importlib import resources
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from command.domain.alert import Alert, Severity
from command.domain.clock import US_PER_S, from_us, to_us
from command.domain.ids import notice_group_id

MAX_POLICY_BYTES: Final = 256 * 1024
ROOT: Final = "default"
EACH_ALONE: Final = "..."
"""In group_by: every alert is a group of its own."""
LABELS: Final = ("rule", "severity", "area", "owner", "subject", "kind")
KEY_BLANKS: Final = ("severity", "area", "rule", "owner")
DEFAULT_KEY: Final = "alert.{severity}.{area}.{rule}"
_NAME: Final = r"^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$"
_MATCHER: Final = re.compile(r'\s*([a-z_]+)\s*(=~|!~|!=|>=|=)\s*(?:"([^"]*)"|(\S.*?))?\s*')
_DURATION: Final = re.compile(r"(?:(\d{1,4})d)?(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,6})s)?")
_LONGEST_S: Final = 7 * 86_400
_TIMES: Final = re.compile(r"([01]\d|2[0-4]):([0-5]\d)-([01]\d|2[0-4]):([0-5]\d)")
_WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LOOK_AHEAD_DAYS: Final = 400
_MAX_ROUTES: Final = 500
_MAX_DEPTH: Final = 8


class BadPolicy(ValueError):
    """A policy that cannot be used; the text is one line that says where and what to write instead."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _duration_s(written: object) -> float:
    """`1h30m` in seconds."""
    found = _DURATION.fullmatch(written) if isinstance(written, str) and written else None
    if found is None:
        raise ValueError('write a duration as "10s", "5m", "2h", "1d" or "1h30m"')
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    total = days * 86_400 + hours * 3_600 + minutes * 60 + seconds
    if total > _LONGEST_S:
        raise ValueError("seven days at most")
    return float(total)


Duration = Annotated[float, BeforeValidator(_duration_s)]


@dataclass(frozen=True, slots=True)
class LabelMatcher:
    """One condition on one label, as Alertmanager writes it; a label that an alert lacks is the empty text."""

    text: str
    label: str
    operator: str
    value: str
    pattern: re.Pattern[str] | None = None

    @classmethod
    def parse(cls, written: object) -> LabelMatcher:
        """Raises ValueError that says what to write."""
        found = _MATCHER.fullmatch(written) if isinstance(written, str) and len(written) <= 300 else None
        if found is None:
            raise ValueError('write a matcher as "rule = distress", "area =~ tsushima-.*" or "severity >= high"')
        label, operator, quoted, bare = found.groups()
        value = quoted if quoted is not None else bare or ""
        if label not in LABELS:
            raise ValueError(f"no label {label!r}; choose from {', '.join(LABELS)}")
        if label == "severity" and operator in ("=", "!=", ">="):
            Severity.from_word(value)
        elif operator == ">=":
            raise ValueError(f"only a severity can be compared; write {label} = {value}")
        pattern = None
        if operator in ("=~", "!~"):
            try:
                pattern = re.compile(value)
            except re.error as exc:
                raise ValueError(f"{value!r} is no regular expression: {exc}") from exc
        return cls(text=str(written).strip(), label=label, operator=operator, value=value, pattern=pattern)

    def hits(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.label, "")
        if self.operator == ">=":
            return Severity.from_word(value) >= Severity.from_word(self.value)
        if self.pattern is not None:
            return (self.pattern.fullmatch(value) is not None) == (self.operator == "=~")
        return (value == self.value) == (self.operator == "=")


ChannelName = Annotated[str, Field(pattern=_NAME)]


def _matchers(written: object) -> tuple[LabelMatcher, ...]:
    if not isinstance(written, list):
        raise ValueError('write a list of matchers, as in ["rule = distress", "severity >= high"]')
    return tuple(LabelMatcher.parse(each) for each in written)


Matchers = Annotated[tuple[LabelMatcher, ...], BeforeValidator(_matchers)]


def labels_of(alert: Alert, owner: str | None) -> dict[str, str]:
    """What matchers and group_by see of an alert. owner: the slug of the area that it lies in, or None."""
    return {
        "rule": alert.rule,
        "severity": alert.severity.word,
        "area": alert.area or "",
        "owner": owner or "",
        "subject": alert.subject,
        "kind": alert.subject.partition(":")[0],
    }


class RouteConfig(_Part):
    """One route as it is written. What is not written is as at the route above it."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    name: str = Field(default=ROOT, pattern=_NAME)
    match: Matchers = ()
    go_on: bool = Field(default=False, alias="continue")
    channels: Annotated[tuple[ChannelName, ...], Field(min_length=1)] | None = None
    routing_key: str | None = None
    group_by: tuple[str, ...] | None = None
    group_wait: Duration | None = None
    group_interval: Duration | None = None
    repeat_interval: Duration | None = None
    quiet: tuple[str, ...] | None = None
    active: tuple[str, ...] | None = None
    hold_silenced: bool | None = None
    routes: tuple[RouteConfig, ...] = ()

    @field_validator("routing_key")
    @classmethod
    def _bindable(cls, key: str | None) -> str | None:
        if key is not None:
            words = key.split(".")
            blanks = {f"{{{blank}}}" for blank in KEY_BLANKS}
            known = all(word in blanks or re.fullmatch(r"[a-z0-9_-]{1,64}", word) for word in words)
            if len(words) != 4 or words[:2] != ["alert", "{severity}"] or not known:
                raise ValueError(
                    f"write alert.{{severity}}.AREA.RULE, each a word or one of {', '.join(sorted(blanks))}: "
                    "the teams' queues are bound to such keys"
                )
        return key

    @field_validator("group_by")
    @classmethod
    def _labels(cls, labels: tuple[str, ...] | None) -> tuple[str, ...] | None:
        if labels is not None and labels != (EACH_ALONE,):
            unknown = sorted(set(labels) - set(LABELS))
            if unknown:
                raise ValueError(
                    f'no label {unknown[0]!r}; choose from {", ".join(LABELS)}, or ["..."] for each alert by itself'
                )
        return labels

    @field_validator("repeat_interval")
    @classmethod
    def _not_too_often(cls, seconds: float | None) -> float | None:
        if seconds is not None and seconds < 60:
            raise ValueError("one minute at least: an alert that comes all the time is read by nobody")
        return seconds


class InhibitionConfig(_Part):
    """While an alert that `source` matches is open, those that `target` matches and that agree in `equal` wait."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)

    name: str = Field(pattern=_NAME)
    source: Matchers
    target: Matchers
    equal: tuple[Literal["rule", "severity", "area", "owner", "subject", "kind"], ...] = ()

    @model_validator(mode="after")
    def _not_everything(self) -> Self:
        if not self.source or not self.target:
            raise ValueError("it would inhibit everything; write at least one matcher in source and one in target")
        return self

    def key(self, labels: Mapping[str, str]) -> str:
        """What a source and its targets have in common."""
        return "\x1f".join(labels.get(label, "") for label in self.equal)


class HoursConfig(_Part):
    """When it is quiet (or active), in local time. Everything that is written has to hold; a list is an `or`.

    Times may go past midnight: then the day is that on which they begin.
    """

    name: str = Field(pattern=_NAME)
    times: tuple[str, ...] = ()
    weekdays: tuple[str, ...] = ()
    days_of_month: tuple[int, ...] = ()
    """1 to 31; negative ones count from the month's end, -1 is its last day."""
    months: tuple[Annotated[int, Field(ge=1, le=12)], ...] = ()
    years: tuple[Annotated[int, Field(ge=2000, le=2100)], ...] = ()
    time_zone: str = "Asia/Tokyo"

    @field_validator("times")
    @classmethod
    def _ranges(cls, times: tuple[str, ...]) -> tuple[str, ...]:
        for each in times:
            start, _, end = each.partition("-")
            if not _TIMES.fullmatch(each) or start == end or start > "23:59" or end > "24:00":
                raise ValueError(f'{each!r}: write times as "22:00-06:00", from 00:00 to 24:00')
        return times

    @field_validator("weekdays")
    @classmethod
    def _days(cls, days: tuple[str, ...]) -> tuple[str, ...]:
        for each in days:
            _weekdays(each)
        return days

    @field_validator("days_of_month")
    @classmethod
    def _of_a_month(cls, days: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 1 <= abs(day) <= 31 for day in days):
            raise ValueError("write days from 1 to 31, or from -1 (the last) to -31")
        return days

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
            raise ValueError("write a time zone's name, as Asia/Tokyo") from exc
        return name

    @model_validator(mode="after")
    def _sometimes(self) -> Self:
        if not (self.times or self.weekdays or self.days_of_month or self.months or self.years):
            raise ValueError("they would be always; write times, weekdays, days_of_month, months or years")
        return self

    def holds(self, now_us: int) -> bool:
        """Whether it is so at this moment."""
        return self._at(from_us(now_us).astimezone(ZoneInfo(self.time_zone)))

    def end_us(self, now_us: int) -> int:
        """When what holds now holds no more; after 400 days at the latest, when it is looked at again."""
        zone = ZoneInfo(self.time_zone)
        today = from_us(now_us).astimezone(zone).date()
        marks = sorted({time(0), *(mark for each in self.times for mark in _ends(each))})
        for day in range(_LOOK_AHEAD_DAYS):
            for mark in marks:
                moment = datetime.combine(today + timedelta(days=day), mark, zone)
                if to_us(moment.astimezone(UTC)) > now_us and not self._at(moment):
                    return to_us(moment.astimezone(UTC))
        return now_us + _LOOK_AHEAD_DAYS * 86_400 * US_PER_S

    def _at(self, local: datetime) -> bool:
        if not self.times:
            return self._on(local)
        minute = local.hour * 60 + local.minute
        for each in self.times:
            start, end = (_minutes(mark) for mark in each.split("-"))
            if start < end:
                if start <= minute < end and self._on(local):
                    return True
            elif (minute >= start and self._on(local)) or (minute < end and self._on(local - timedelta(days=1))):
                return True
        return False

    def _on(self, local: datetime) -> bool:
        last = (local.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
        return (
            (not self.weekdays or any(local.weekday() in _weekdays(each) for each in self.weekdays))
            and (not self.days_of_month or not {local.day, local.day - last.day - 1}.isdisjoint(self.days_of_month))
            and (not self.months or local.month in self.months)
            and (not self.years or local.year in self.years)
        )


def _minutes(mark: str) -> int:
    hours, minutes = mark.split(":")
    return int(hours) * 60 + int(minutes)


def _ends(times: str) -> Iterator[time]:
    for mark in times.split("-"):
        minutes = _minutes(mark) % 1_440
        yield time(minutes // 60, minutes % 60)


def _weekdays(written: str) -> set[int]:
    """`mon`, or `mon-fri`, also over the week's end."""
    first, _, last = written.partition("-")
    if first not in _WEEKDAYS or (last or first) not in _WEEKDAYS:
        raise ValueError(f'{written!r}: write weekdays as "mon", "sat" or "mon-fri"')
    start, end = _WEEKDAYS.index(first), _WEEKDAYS.index(last or first)
    return {(start + step) % 7 for step in range((end - start) % 7 + 1)}


class PolicyConfig(_Part):
    """The file."""

    route: RouteConfig
    inhibitions: tuple[InhibitionConfig, ...] = ()
    hours: tuple[HoursConfig, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Route:
    """A route with everything that it takes over from those above it. depth: 0 is the root. channels: by name; none
    written means every channel that there is."""

    name: str
    depth: int
    match: tuple[LabelMatcher, ...]
    go_on: bool
    channels: tuple[str, ...]
    routing_key: str
    group_by: tuple[str, ...]
    group_wait_us: int
    group_interval_us: int
    repeat_interval_us: int
    quiet: tuple[HoursConfig, ...]
    active: tuple[HoursConfig, ...]
    hold_silenced: bool
    routes: tuple[Route, ...]

    def group_labels(self, alert: Alert, labels: Mapping[str, str]) -> dict[str, str]:
        """What tells the alert's group from the route's others."""
        if self.group_by == (EACH_ALONE,):
            return {"alert": str(alert.alert_id)}
        return {label: labels[label] for label in self.group_by}

    def group_id(self, realm: str, on_route: str, group_labels: Mapping[str, str]) -> uuid.UUID:
        """on_route: the name of the route that a notice was put on, which may be in the policy no more."""
        return notice_group_id(realm, on_route, group_labels)

    def key_of(self, labels: Mapping[str, str]) -> str:
        """The AMQP routing key of an alert on this route; `none` where it has no area."""
        return self.routing_key.format(**{blank: labels[blank] or "none" for blank in KEY_BLANKS})

    def held_until(self, now_us: int) -> tuple[str, int] | None:
        """The quiet hours that hold the route's notices back now, and their end; None where none does."""
        ends = [(hours.end_us(now_us), hours.name) for hours in self.quiet if hours.holds(now_us)]
        if self.active and not any(hours.holds(now_us) for hours in self.active):
            ends.append(min((_next_us(hours, now_us), hours.name) for hours in self.active))
        if not ends:
            return None
        end_us, name = max(ends)
        return name, end_us


def _next_us(hours: HoursConfig, now_us: int) -> int:
    """When hours that do not hold now hold next, to the minute's mark at which they begin."""
    zone = ZoneInfo(hours.time_zone)
    today = from_us(now_us).astimezone(zone).date()
    marks = sorted({time(0), *(mark for each in hours.times for mark in _ends(each))})
    for day in range(_LOOK_AHEAD_DAYS):
        for mark in marks:
            moment = datetime.combine(today + timedelta(days=day), mark, zone)
            us = to_us(moment.astimezone(UTC))
            if us > now_us and hours.holds(us):
                return us
    return now_us + _LOOK_AHEAD_DAYS * 86_400 * US_PER_S


@dataclass(frozen=True, kw_only=True, slots=True)
class Tried:
    """One route that was looked at for an alert: each matcher and whether it hit."""

    route: Route
    matchers: Sequence[tuple[str, bool]]
    taken: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Policy:
    """A policy that was checked. text: as it was written."""

    text: str
    root: Route
    inhibitions: tuple[InhibitionConfig, ...]
    by_name: Mapping[str, Route]

    def routes_of(self, labels: Mapping[str, str]) -> list[Route]:
        """The routes that an alert takes: depth first, the first that fits, and more where one says `continue`."""
        return [tried.route for tried in self.trial(labels) if tried.taken]

    def trial(self, labels: Mapping[str, str]) -> list[Tried]:
        """Every route that was looked at, in order, and which were taken."""
        tried: list[Tried] = []
        _walk(self.root, labels, tried)
        return tried

    def route_named(self, name: str) -> Route:
        """The route; the root where it is in the policy no more, so that what waits on it goes out all the same."""
        return self.by_name.get(name, self.root)

    def unknown_channels(self, known: Collection[str]) -> dict[str, list[str]]:
        """By route, the channels that it names and that are not set up."""
        found = {each.name: [name for name in each.channels if name not in known] for each in self.by_name.values()}
        return {route: names for route, names in found.items() if names}

    @property
    def longest_wait_us(self) -> int:
        """The longest that anything waits for its group."""
        return max(max(each.group_wait_us, each.group_interval_us) for each in self.by_name.values())


def _walk(route: Route, labels: Mapping[str, str], tried: list[Tried]) -> bool:
    matchers = [(matcher.text, matcher.hits(labels)) for matcher in route.match]
    fits = all(hit for _, hit in matchers)
    place = len(tried)
    tried.append(Tried(route=route, matchers=matchers, taken=False))
    if not fits:
        return False
    deeper = False
    for child in route.routes:
        if _walk(child, labels, tried):
            deeper = True
            if not child.go_on:
                break
    if not deeper:
        tried[place] = Tried(route=route, matchers=matchers, taken=True)
    return True


def parse_policy(written: str) -> Policy:
    """The policy of a TOML text. Raises BadPolicy."""
    if len(written.encode("utf-8", "replace")) > MAX_POLICY_BYTES:
        raise BadPolicy(f"the policy is longer than {MAX_POLICY_BYTES // 1024} KiB; name areas by patterns")
    try:
        content = tomllib.loads(written)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise BadPolicy(f"not TOML: {exc}") from exc
    try:
        config = PolicyConfig.model_validate(content)
    except ValidationError as exc:
        raise BadPolicy(_one_line(exc)) from exc
    hours = {each.name: each for each in config.hours}
    _no_twins("hours", [each.name for each in config.hours])
    _no_twins("inhibitions", [each.name for each in config.inhibitions])
    if config.route.match:
        raise BadPolicy("route.match: the first route takes what no other does; put matchers into [[route.routes]]")
    by_name: dict[str, Route] = {}
    root = _resolved(config.route, None, hours=hours, by_name=by_name, where="route", depth=0)
    return Policy(text=written, root=root, inhibitions=config.inhibitions, by_name=by_name)


@cache
def default_policy() -> Policy:
    """The policy that comes with the program."""
    return parse_policy(resources.files("alerts").joinpath("default_policy.toml").read_text("utf-8"))


def _no_twins(what: str, names: Sequence[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise BadPolicy(f"{what}: two are called {twice[0]}; give each its own name")


def _resolved(
    config: RouteConfig,
    above: Route | None,
    *,
    hours: Mapping[str, HoursConfig],
    by_name: dict[str, Route],
    where: str,
    depth: int,
) -> Route:
    if above is not None and config.name == ROOT:
        raise BadPolicy(f"{where}.name: is missing; write a name of its own, people see it in the account of an alert")
    if config.name in by_name:
        raise BadPolicy(f"{where}.name: two routes are called {config.name}; give each its own name")
    if depth > _MAX_DEPTH or len(by_name) >= _MAX_ROUTES:
        raise BadPolicy(f"{where}: {_MAX_ROUTES} routes and {_MAX_DEPTH} below each other at most")
    if above is not None and not config.match:
        raise BadPolicy(f"{where}.match: is missing; write at least one matcher, the route above has the rest")

    def named(names: tuple[str, ...] | None, key: str, inherited: tuple[HoursConfig, ...]) -> tuple[HoursConfig, ...]:
        if names is None:
            return inherited
        if unknown := [name for name in names if name not in hours]:
            known = ", ".join(hours) or "none are written"
            raise BadPolicy(f"{where}.{key}: no [[hours]] called {unknown[0]}; choose from: {known}")
        return tuple(hours[name] for name in names)

    def seconds(given: float | None, inherited_us: int) -> int:
        return inherited_us if given is None else int(given * US_PER_S)

    route = Route(
        name=config.name,
        depth=depth,
        match=config.match,
        go_on=config.go_on,
        channels=config.channels or (above.channels if above else ()),
        routing_key=config.routing_key or (above.routing_key if above else DEFAULT_KEY),
        group_by=config.group_by if config.group_by is not None else (above.group_by if above else ("rule", "area")),
        group_wait_us=seconds(config.group_wait, above.group_wait_us if above else 0),
        group_interval_us=seconds(config.group_interval, above.group_interval_us if above else 30 * US_PER_S),
        repeat_interval_us=seconds(config.repeat_interval, above.repeat_interval_us if above else 7_200 * US_PER_S),
        quiet=named(config.quiet, "quiet", above.quiet if above else ()),
        active=named(config.active, "active", above.active if above else ()),
        hold_silenced=config.hold_silenced if config.hold_silenced is not None else bool(above and above.hold_silenced),
        routes=(),
    )
    by_name[route.name] = route
    below = tuple(
        _resolved(child, route, hours=hours, by_name=by_name, where=f"{where}.routes.{number}", depth=depth + 1)
        for number, child in enumerate(config.routes)
    )
    by_name[route.name] = whole = Route(**{**vars(route), "routes": below})
    return whole


_ADVICE: Final = {
    "extra_forbidden": "no such setting here; docs/alerts.md lists those there are",
    "missing": "is missing; docs/alerts.md says what to write",
    "tuple_type": 'write a list, as in ["a", "b"]',
    "model_type": "write a table, as in [route] or [[inhibitions]]",
    "string_pattern_mismatch": "write small letters, digits and hyphens, at most 64",
}


def _one_line(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "policy"
    what = _ADVICE.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    found = first.get("input")
    return f"{where}: {what}" + (f" (found {found!r})" if isinstance(found, (str, int, float)) else "")


class Pressing(StrEnum):
    """Why an alert is told at once and by itself, whatever the policy says."""

    CRITICAL = "critical"
    ESCALATED = "escalated"
    CALLED = "called"
    """Somebody of the roster was called about it: they, and their team, hear each revision to its end."""


def pressing(alert: Alert) -> Pressing | None:
    """Critical, escalated by an officer and not over, or called about; None for every other."""
    if alert.severity is Severity.CRITICAL:
        return Pressing.CRITICAL
    if alert.escalated_at_us is not None:
        return Pressing.ESCALATED
    return None if alert.call is None else Pressing.CALLED
