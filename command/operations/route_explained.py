"""Which route an alert takes, and why: every matcher that was tried, what holds it back, when and to whom it goes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from alerts.pipeline import TOLD_AT_ONCE, Surroundings, what_holds
from alerts.policy import Policy, Route, labels_of, pressing
from command.bus import Team
from command.domain.alert import EVERYBODY, Alert
from command.domain.clock import US_PER_S
from command.domain.notice import Cause
from command.domain.realm import Realm
from command.i18n.times import jst
from command.operations.planning import Places
from command.store.engine import realm_session
from command.store.notices import NoticeBook
from command.store.silences import silences_in_force


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """What a realm's store says about an alert. owner: the slug of the area that it lies in. asked: whether it could be
    asked; else nothing is known of silences and of what inhibits."""

    owner: str | None
    inhibited: Cause | None = None
    silenced: Cause | None = None
    asked: bool = True


def ask_store(engine: Engine, realm: Realm, alert: Alert, *, policy: Policy, now_us: int) -> Known:
    """What holds the alert back now. Raises StoreUnavailable, StoreNotMigrated."""
    with realm_session(engine, realm) as session:
        places = Places()
        places.look(session)
        around = Surroundings(
            area_names=places.area_names,
            channels=(),
            policy=policy,
            book=NoticeBook(session, realm, told_at_once=TOLD_AT_ONCE),
            now_us=now_us,
            silences=silences_in_force(session, now_us),
            owners=places.owners,
        )
        (notice,) = what_holds([alert], around)
    return Known(owner=notice.owner, inhibited=notice.inhibited, silenced=notice.silenced)


def explained(
    alert: Alert, known: Known, *, policy: Policy, teams: Sequence[Team], channels: Collection[str], now_us: int
) -> Iterator[str]:
    """The explanation, line by line."""
    labels = labels_of(alert, known.owner)
    yield f"alert     {alert.alert_id} revision {alert.revision}"
    yield f"labels    {_written(labels)}"
    why = pressing(alert)
    yield f"pressing  {f'yes, {why}: told at once in a message of its own' if why else 'no'}"
    if not known.asked:
        yield "store     away: not known whether it is silenced or inhibited, nor which area it lies in"
    yield "routes"
    taken: list[Route] = []
    for tried in policy.trial(labels):
        indent = "  " * (tried.route.depth + 1)
        tests = ", ".join(f"{text} ({'hit' if hit else 'MISS'})" for text, hit in tried.matchers) or "takes everything"
        end = " -> taken" if tried.taken else ""
        yield f"{indent}{tried.route.name}: {tests}{end}"
        if tried.taken:
            taken.append(tried.route)
    for route in taken:
        yield from _route_lines(route, alert, labels, known, teams=teams, channels=channels, now_us=now_us)


def _route_lines(
    route: Route,
    alert: Alert,
    labels: Mapping[str, str],
    known: Known,
    *,
    teams: Sequence[Team],
    channels: Collection[str],
    now_us: int,
) -> Iterator[str]:
    key = route.key_of(labels)
    group_labels = route.group_labels(alert, labels)
    yield f"on route {route.name}"
    yield f"  group     {_written(group_labels)} ({route.group_id(alert.realm, route.name, group_labels)})"
    yield (
        f"  waits     group_wait {_seconds(route.group_wait_us)}, group_interval {_seconds(route.group_interval_us)}, "
        f"repeat_interval {_seconds(route.repeat_interval_us)}"
    )
    yield f"  held      {_held(route, alert, known, now_us)}"
    used = [name for name in channels if name in route.channels] or list(channels)
    yield f"  channels  {', '.join(used)}"
    called = () if alert.call is None else alert.call.teams
    reached = [team.name for team in teams if _bound(team, key) or team.name in called or EVERYBODY in called]
    yield f"  key       {key}"
    yield f"  teams     {', '.join(reached) or 'none is bound to this key: it would lie in alerts.unroutable'}"


def _held(route: Route, alert: Alert, known: Known, now_us: int) -> str:
    if pressing(alert) is not None:
        return "no: pressing"
    if known.inhibited is not None:
        return f"inhibited by {known.inhibited.name}: alert {known.inhibited.about} is open"
    silenced = known.silenced
    told = "" if silenced is None else f"silenced by {silenced.name} until {_moment(silenced.until_us)}"
    if silenced is not None and route.hold_silenced:
        return told
    hours = route.held_until(now_us)
    if hours is not None:
        return f"quiet hours {hours[0]} until {_moment(hours[1])}"
    return f"no ({told}, which this route does not mind)" if told else "no"


def _bound(team: Team, key: str) -> bool:
    _, severity, area, rule = key.split(".")
    return any(
        severity in binding.severities
        and not {area, "*"}.isdisjoint(binding.areas)
        and not {rule, "*"}.isdisjoint(binding.rules)
        for binding in team.bindings
    )


def _written(labels: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value or '(none)'}" for name, value in labels.items())


def _seconds(us: int) -> str:
    return f"{us / US_PER_S:g} s"


def _moment(us: int | None) -> str:
    return "it is ended" if us is None else jst(us)
