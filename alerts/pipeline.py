"""What becomes of an alert's revision on its way to people: one list of stages, from top to bottom.

A stage is a function of notices and of what it may look at. Nothing is remembered between two rounds but what the Book
keeps in the store, so a restart at any point changes nothing; the time is the realm's, and passes only with `now_us`.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, Final, Protocol

from alerts.message import AreaName, Grouped
from alerts.policy import DEFAULT_KEY, InhibitionConfig, Policy, Route, labels_of, parse_policy, pressing
from command.domain.alert import Alert, Severity
from command.domain.geo import Position
from command.domain.ids import delivery_id, group_delivery_id
from command.domain.notice import Cause, Entry, Fate, Group, Standing, Told
from command.domain.silence import Silence

NAMED_MEMBERS: Final = 100
"""A message of a group names this many; the rest is counted."""
TOLD_AT_ONCE: Final = 1_000
"""More alerts than these of one group are told by further messages, so that one group takes only so much memory."""


@dataclass(frozen=True, kw_only=True)
class PlannedDelivery:
    """One message that is to go out by one channel. `problem` says why it cannot (it is then kept, and shown)."""

    delivery_id: uuid.UUID
    alert_id: uuid.UUID
    revision: int
    severity: Severity
    channel: str
    routing_key: str
    body: Mapping[str, Any]
    problem: str | None = None


@dataclass(frozen=True, kw_only=True)
class Notice:
    """One alert as a channel tells it, and what the stages found out about it.

    grouped: the others that the same message tells. message_id: the delivery's identity, by channel; routing_key: its
    key at the broker. The rest is the stages' own: owner is the slug of the area that it lies in; revisions are those
    that this round brought; on_route is the route's name in the account; cause says what holds it back.
    """

    alert: Alert
    area_name: AreaName | None = None
    place: AreaName | None = None
    owner: str | None = None
    grouped: Grouped | None = None
    routing_key: str = ""
    message_id: Callable[[str], uuid.UUID] = field(default=lambda channel: uuid.UUID(int=0))
    deliveries: tuple[PlannedDelivery, ...] = ()
    revisions: tuple[int, ...] = ()
    at_once: bool = False
    released_on: str | None = None
    inhibited: Cause | None = None
    silenced: Cause | None = None
    route: Route | None = None
    on_route: str = ""
    cause: Cause | None = None
    group_id: uuid.UUID | None = None

    @property
    def labels(self) -> dict[str, str]:
        return labels_of(self.alert, self.owner)


class Channel(Protocol):
    """A way to people. One file a channel, one line in alerts/registry.py.

    One whose class says `digests = True` tells several alerts in one message (`Notice.grouped`); by every other each
    alert of a group comes by itself.
    """

    @property
    def name(self) -> str: ...

    def plan(self, notice: Notice) -> PlannedDelivery | None:
        """The delivery of a notice; None where it has nothing that this channel could carry."""


class Book(Protocol):
    """What the store keeps of notices: the account, the groups, what people were told. A round is a transaction."""

    def sources_are(self, changed: Collection[uuid.UUID], sources: Iterable[tuple[str, str, uuid.UUID]]) -> None:
        """From now on these are all the inhibitions (name, key) that the changed alerts are a source of."""

    def sources_of(self, wanted: Collection[tuple[str, str]]) -> Mapping[tuple[str, str], Sequence[uuid.UUID]]:
        """Two at most of the open alerts that are a source of each inhibition (name, key)."""

    def standing(self, alert_ids: Collection[uuid.UUID]) -> Mapping[tuple[uuid.UUID, str], Standing]:
        """By alert and route: where people were told that it is open, or something of it is pending."""

    def groups(self, group_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Group]: ...

    def enter(self, entries: Sequence[Entry], groups: Sequence[Group], now_us: int) -> None:
        """Keep these lines, and the groups. Earlier pending lines of the alert and route share the last one's fate."""

    def due(self, now_us: int, longest_wait_us: int) -> Sequence[Group]:
        """The groups that are to be told now; also those that wait longer than can be, as after a clock set back."""

    def waiting_in(self, group_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Sequence[Alert]]:
        """The newest waiting revision of each alert of these groups, worst first, TOLD_AT_ONCE a group at most."""

    def open_in(self, group_ids: Collection[uuid.UUID]) -> Mapping[uuid.UUID, Collection[uuid.UUID]]:
        """The alerts of these groups that people were told are open."""

    def settle(self, told: Sequence[Told], groups: Sequence[Group], now_us: int) -> None:
        """These went out: end their lines and those of their earlier revisions."""

    def repeats(self, now_us: int, longest_us: int) -> Sequence[tuple[Group, Sequence[Alert], int]]:
        """The groups that are to be told again, with what of them is open and acknowledged by nobody: the worst
        TOLD_AT_ONCE, and how many there are."""


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What the stages may look at. `area_names` by slug; owners: the slugs of the areas that alerts lie in."""

    area_names: Mapping[str, AreaName]
    channels: Sequence[Channel]
    policy: Policy
    book: Book
    now_us: int
    silences: Sequence[Silence] = ()
    released: Sequence[tuple[Alert, str]] = ()
    """Held back before, on the named route; what held them is over, or has to be looked at again."""
    acts: Collection[tuple[uuid.UUID, int]] = frozenset()
    """The revisions that people made: an acknowledgement, a team's answer."""
    place_of: Callable[[Position | None], AreaName | None] = lambda position: None
    owners: Callable[[Sequence[Alert]], Sequence[str | None]] = field(
        default=lambda alerts: [alert.area for alert in alerts]
    )


Stage = Callable[[Sequence[Notice], Surroundings], Sequence[Notice]]


def enrich(notices: Sequence[Notice], around: Surroundings) -> Sequence[Notice]:
    """What people call the area, where it is in words, and whose area it lies in."""
    owners = around.owners([notice.alert for notice in notices])
    return [
        replace(
            notice,
            area_name=around.area_names.get(notice.alert.area) if notice.alert.area else None,
            place=around.place_of(notice.alert.position),
            owner=owner,
        )
        for notice, owner in zip(notices, owners, strict=True)
    ]


def inhibit(notices: Sequence[Notice], around: Surroundings) -> Sequence[Notice]:
    """Find what another open alert makes needless to tell. What is inhibited itself inhibits nothing."""
    matching = [(notice, _matching(notice, around.policy.inhibitions)) for notice in notices]
    changed = {notice.alert.alert_id for notice in notices}
    around.book.sources_are(changed, ())
    wanted = {(inhibition.name, key) for _, (_, targets) in matching for inhibition, key in targets}
    sources: dict[tuple[str, str], list[uuid.UUID]] = defaultdict(list)
    for pair, alert_ids in around.book.sources_of(wanted).items():
        sources[pair].extend(alert_ids)
    added: list[tuple[str, str, uuid.UUID]] = []
    passed: list[Notice] = []
    for notice, (as_source, as_target) in matching:
        alert_id = notice.alert.alert_id
        cause = None
        for inhibition, key in as_target:
            others = [each for each in sources[inhibition.name, key] if each != alert_id]
            if others:
                cause = Cause(fate=Fate.INHIBITED, name=inhibition.name, key=key, about=others[0])
                break
        if cause is None:
            for inhibition, key in as_source:
                sources[inhibition.name, key].append(alert_id)
                added.append((inhibition.name, key, alert_id))
        passed.append(replace(notice, inhibited=cause))
    around.book.sources_are((), added)
    return passed


_Pairs = list[tuple[InhibitionConfig, str]]


def _matching(notice: Notice, inhibitions: Sequence[InhibitionConfig]) -> tuple[_Pairs, _Pairs]:
    """Of which inhibitions an alert is a source and a target, with the key. A source is no target of the same one."""
    as_source: _Pairs = []
    as_target: _Pairs = []
    labels = notice.labels
    for inhibition in inhibitions:
        if all(matcher.hits(labels) for matcher in inhibition.source):
            if notice.alert.cleared_at_us is None:
                as_source.append((inhibition, inhibition.key(labels)))
        elif not notice.at_once and all(matcher.hits(labels) for matcher in inhibition.target):
            as_target.append((inhibition, inhibition.key(labels)))
    return as_source, as_target


def silence(notices: Sequence[Notice], around: Surroundings) -> Sequence[Notice]:
    """Find which silence matches. Whether it holds anything back is for the route to say (docs/adr/0007)."""
    by_matcher: dict[tuple[str | None, str | None, str | None], Silence] = {}
    for each in around.silences:  # of several that match, the one that ends last
        matcher = (each.matcher.rule, each.matcher.subject, each.matcher.area)
        if matcher not in by_matcher or each.expires_at_us > by_matcher[matcher].expires_at_us:
            by_matcher[matcher] = each
    return [replace(notice, silenced=_silenced(notice.alert, by_matcher, around.now_us)) for notice in notices]


def _silenced(
    alert: Alert, by_matcher: Mapping[tuple[str | None, str | None, str | None], Silence], now_us: int
) -> Cause | None:
    found = [
        each
        for rule in (alert.rule, None)
        for subject in (alert.subject, None)
        for area in {alert.area, None}
        if (each := by_matcher.get((rule, subject, area))) is not None and each.quiets(alert, now_us)
    ]
    if not found:
        return None
    last = max(found, key=lambda each: each.expires_at_us)
    return Cause(fate=Fate.SILENCED, name=last.author, about=last.silence_id, until_us=last.expires_at_us)


def route(notices: Sequence[Notice], around: Surroundings) -> Sequence[Notice]:
    """Give each notice its routes: those that match, and those that it has been on since it opened.

    So whoever was told that an alert is open is told of its end, whatever became of its severity meanwhile.
    """
    standing = around.book.standing({notice.alert.alert_id for notice in notices})
    before: dict[uuid.UUID, list[str]] = defaultdict(list)
    for alert_id, name in standing:
        before[alert_id].append(name)
    quiet = _QuietHours(around.now_us)
    passed: list[Notice] = []
    for notice in notices:
        if notice.released_on is not None:
            names = [notice.released_on]
        else:
            fits = [each.name for each in around.policy.routes_of(notice.labels)]
            names = list(dict.fromkeys((*fits, *before[notice.alert.alert_id])))
        for name in names:
            way = around.policy.route_named(name)
            stands = standing.get((notice.alert.alert_id, name), Standing(told=False, waiting=False))
            passed.append(replace(notice, route=way, on_route=name, cause=_held_back(notice, way, stands, quiet=quiet)))
    return passed


class _QuietHours:
    """Which routes are held now, each looked at once a round."""

    def __init__(self, now_us: int) -> None:
        self._now_us = now_us
        self._known: dict[str, Cause | None] = {}

    def of(self, way: Route) -> Cause | None:
        if way.name not in self._known:
            held = way.held_until(self._now_us)
            self._known[way.name] = None if held is None else Cause(fate=Fate.HELD, name=held[0], until_us=held[1])
        return self._known[way.name]


def _held_back(notice: Notice, way: Route, stands: Standing, *, quiet: _QuietHours) -> Cause | None:
    """What holds a notice back on a route. Never a pressing one, and never the end of what was told."""
    if notice.at_once or (notice.alert.cleared_at_us is not None and (stands.told or stands.waiting)):
        return None
    if notice.inhibited is not None:
        return notice.inhibited
    if notice.silenced is not None and way.hold_silenced:
        return notice.silenced
    return quiet.of(way)


def group(notices: Sequence[Notice], around: Surroundings) -> Sequence[Notice]:
    """Enter each notice into the account and into its group, and set when the group is told."""
    passed = [_with_group(notice) for notice in notices]
    groups = dict(around.book.groups({_group_of(notice) for notice in passed}))
    entries: list[Entry] = []
    for notice in passed:
        if notice.route is None:
            continue
        group_id, alert = _group_of(notice), notice.alert
        now = groups.get(group_id) or Group(
            group_id=group_id, route=notice.on_route, labels=notice.route.group_labels(alert, notice.labels)
        )
        if notice.cause is None and not notice.at_once:
            acted = any((alert.alert_id, revision) in around.acts for revision in notice.revisions)
            now = _joined(now, notice.route, alert.severity, around.now_us, acted=acted)
        groups[group_id] = now
        entries.extend(
            Entry(
                alert_id=alert.alert_id,
                revision=revision,
                route=notice.on_route,
                group_id=group_id,
                severity=alert.severity,
                cause=notice.cause,
                over=notice.cause is not None and alert.cleared_at_us is not None,
            )
            for revision in notice.revisions
        )
    around.book.enter(entries, list(groups.values()), around.now_us)
    return passed


def _with_group(notice: Notice) -> Notice:
    if notice.route is None:
        return notice
    labels = notice.route.group_labels(notice.alert, notice.labels)
    return replace(notice, group_id=notice.route.group_id(notice.alert.realm, notice.on_route, labels))


def _group_of(notice: Notice) -> uuid.UUID:
    assert notice.group_id is not None  # noqa: S101  # given by _with_group
    return notice.group_id


def _joined(now: Group, way: Route, severity: Severity, now_us: int, *, acted: bool) -> Group:
    """The group after a notice joined it: a new one waits for `group_wait`, a told one for the end of its interval. One
    that becomes worse is told at once, and so is what a person did: somebody waits for the answer."""
    worse = now.worst is not None and severity > now.worst
    worst = severity if now.worst is None else max(now.worst, severity)
    if worse or acted:
        return replace(now, due_us=now_us, worst=worst)
    if now.due_us is not None:
        return replace(now, worst=worst)
    due_us = now_us + way.group_wait_us
    if now.sent_us is not None and now.sent_us <= now_us < now.sent_us + way.group_interval_us:
        due_us = max(due_us, now.sent_us + way.group_interval_us)
    return replace(now, due_us=due_us, worst=worst)


def deliver(notices: Sequence[Notice], around: Surroundings) -> Sequence[Notice]:
    """Tell what is pressing, each by itself, then the groups that are due, each in as few messages as keys allow."""
    urgent = [notice for notice in notices if notice.at_once]
    told = _told_alone(urgent, around)
    groups = around.book.due(around.now_us, around.policy.longest_wait_us)
    waiting = around.book.waiting_in({each.group_id for each in groups})
    open_before = around.book.open_in({each.group_id for each in groups})
    messages: list[Notice] = list(told)
    settled: list[Told] = []
    after: list[Group] = []
    for each in groups:
        members = waiting.get(each.group_id, ())
        way = around.policy.route_named(each.route)
        opened = {alert.alert_id for alert in members if alert.cleared_at_us is None}
        over = {alert.alert_id for alert in members if alert.cleared_at_us is not None}
        still_open = (set(open_before.get(each.group_id, ())) - over) | opened
        if members:
            made, ended = _tell(each, way, members, around, repeat=False, open_alerts=len(still_open))
            messages += made
            settled += ended
        after.append(
            replace(
                each,
                due_us=around.now_us if len(members) == TOLD_AT_ONCE else None,
                sent_us=around.now_us if members else each.sent_us,
                messages=each.messages + bool(members),
                worst=each.worst if still_open else None,
                repeat_us=_next_repeat(each, way, opened, around.now_us),
            )
        )
    around.book.settle(settled, after, around.now_us)
    return messages


def _next_repeat(now: Group, way: Route, opened: Collection[uuid.UUID], now_us: int) -> int | None:
    return now_us + way.repeat_interval_us if now.repeat_us is None and opened else now.repeat_us


def _told_alone(notices: Sequence[Notice], around: Surroundings) -> list[Notice]:
    """A message for each of these, and for each only, ended in the account."""
    groups = dict(around.book.groups({_group_of(notice) for notice in notices}))
    messages: list[Notice] = []
    settled: list[Told] = []
    for notice in notices:
        if notice.route is None:
            continue
        message = _message(notice, notice.route, around)
        messages.append(message)
        settled.append(_ended(notice.alert, notice.on_route, _group_of(notice), alone=True, messages=[message]))
        if notice.alert.cleared_at_us is None:
            now = groups[_group_of(notice)]
            opened = (notice.alert.alert_id,)
            groups[now.group_id] = replace(now, repeat_us=_next_repeat(now, notice.route, opened, around.now_us))
    around.book.settle(settled, list(groups.values()), around.now_us)
    return messages


def repeat(notices: Sequence[Notice], around: Surroundings) -> Sequence[Notice]:
    """Tell again what has been open and acknowledged by nobody for the route's repeat_interval."""
    quiet = _QuietHours(around.now_us)
    messages: list[Notice] = list(notices)
    after: list[Group] = []
    longest_us = max(each.repeat_interval_us for each in around.policy.by_name.values())
    for each, alerts, count in around.book.repeats(around.now_us, longest_us):
        way = around.policy.route_named(each.route)
        members = [
            notice.alert
            for notice in what_holds(alerts, around)
            if _held_back(notice, way, Standing(told=True, waiting=False), quiet=quiet) is None
        ]
        if members:
            made, _ = _tell(each, way, members, around, repeat=True, open_alerts=count)
            messages += made
        after.append(
            replace(
                each,
                messages=each.messages + bool(members),
                repeat_us=around.now_us + way.repeat_interval_us if alerts else None,
            )
        )
    around.book.settle((), after, around.now_us)
    return messages


def what_holds(alerts: Sequence[Alert], around: Surroundings) -> Sequence[Notice]:
    """The alerts with what inhibits and silences them now, whatever their routes make of it."""
    notices = [replace(_arrived((alert,)), revisions=()) for alert in alerts]
    matching = [(notice, _matching(notice, around.policy.inhibitions)[1]) for notice in enrich(notices, around)]
    wanted = {(inhibition.name, key) for _, targets in matching for inhibition, key in targets}
    sources = around.book.sources_of(wanted)
    found: list[Notice] = []
    for notice, targets in matching:
        causes = (
            Cause(fate=Fate.INHIBITED, name=inhibition.name, key=key, about=other)
            for inhibition, key in targets
            for other in sources.get((inhibition.name, key), ())
            if other != notice.alert.alert_id
        )
        found.append(replace(notice, inhibited=next(causes, None)))
    return silence(found, around)


def _tell(
    told: Group, way: Route, members: Sequence[Alert], around: Surroundings, *, repeat: bool, open_alerts: int
) -> tuple[list[Notice], list[Told]]:
    """The messages that tell these members, and what ends with them. Members of one key go together; a critical one is
    always alone, and what a channel without digests tells is one message a member."""
    parts: dict[tuple[str, uuid.UUID | None], list[Notice]] = defaultdict(list)
    for notice in enrich([Notice(alert=alert, at_once=pressing(alert) is not None) for alert in members], around):
        parts[way.key_of(notice.labels), notice.alert.alert_id if notice.at_once else None].append(notice)
    made: list[Notice] = []
    ended: list[Told] = []
    for number, (key, part) in enumerate(((key, part) for (key, _), part in parts.items())):
        worst = max(part, key=lambda notice: (notice.alert.cleared_at_us is None, notice.alert.severity))
        named = [worst, *(notice for notice in part if notice is not worst)][:NAMED_MEMBERS]
        grouped = Grouped(
            group_id=told.group_id,
            labels=told.labels,
            message=told.messages + 1 + number,
            repeat=repeat,
            members=[notice.alert for notice in named],
            more=len(part) - len(named),
            open_alerts=open_alerts,
            cleared=sum(notice.alert.cleared_at_us is not None for notice in part),
        )
        alone = len(part) == 1
        if alone and not repeat:
            messages = [_message(worst, way, around)]
        else:
            lead = replace(worst, grouped=grouped)
            messages = [_message(lead, way, around, digests=True, told=told, part=key)]
            messages += [_message(notice, way, around, digests=False, told=told, part=key) for notice in part]
        made += [message for message in messages if message.deliveries]
        for notice in part:
            own = [m for m in messages if m.grouped is not None or m.alert.alert_id == notice.alert.alert_id]
            ended.append(_ended(notice.alert, told.route, told.group_id, alone=alone, messages=own))
    return made, ended


def _ended(alert: Alert, route_name: str, group_id: uuid.UUID, *, alone: bool, messages: Sequence[Notice]) -> Told:
    return Told(
        alert_id=alert.alert_id,
        revision=alert.revision,
        route=route_name,
        group_id=group_id,
        severity=alert.severity,
        cleared=alert.cleared_at_us is not None,
        alone=alone,
        deliveries=[planned.delivery_id for message in messages for planned in message.deliveries],
    )


def _message(
    notice: Notice,
    way: Route,
    around: Surroundings,
    *,
    digests: bool | None = None,
    told: Group | None = None,
    part: str = "",
) -> Notice:
    """The notice with its delivery by each of the route's channels; digests: only by those that can, or cannot, tell of
    several. The same message by the same channel has the same identity, whichever route it came by."""
    alert, key = notice.alert, way.key_of(notice.labels)

    def message_id(channel: str) -> uuid.UUID:
        if told is not None:
            single = "" if notice.grouped is not None and not notice.at_once else str(alert.alert_id)
            return group_delivery_id(told.group_id, around.now_us, channel, f"{told.messages}|{part}|{single}")
        usual = way.routing_key == DEFAULT_KEY
        own = delivery_id(alert.alert_id, alert.revision, channel)
        return own if usual else group_delivery_id(own, alert.revision, channel, key)

    ready = replace(notice, routing_key=key, message_id=message_id)
    return replace(
        ready,
        deliveries=tuple(
            planned
            for channel in _channels(way, around.channels)
            if digests in (None, getattr(channel, "digests", False)) and (planned := channel.plan(ready)) is not None
        ),
    )


def _channels(way: Route, channels: Sequence[Channel]) -> Sequence[Channel]:
    """The route's channels; every one where it names none, or none that there is, so that nothing is lost."""
    return [channel for channel in channels if channel.name in way.channels] or channels


STAGES: Final[tuple[Stage, ...]] = (enrich, inhibit, silence, route, group, deliver, repeat)
"""A route says how its notices are grouped, so it comes first, as in Alertmanager."""


def plan_deliveries(alerts: Sequence[Alert], around: Surroundings) -> list[PlannedDelivery]:
    """What is to be delivered now, most urgent first: of these revisions, of what waited, and of what is repeated."""
    revisions: dict[uuid.UUID, list[Alert]] = defaultdict(list)
    for alert in alerts:
        revisions[alert.alert_id].append(alert)
    notices = [_arrived(each) for each in revisions.values()]
    notices += [
        replace(_arrived((alert,)), released_on=name)
        for alert, name in around.released
        if alert.alert_id not in revisions
    ]
    passed = reduce(lambda flow, stage: stage(flow, around), STAGES, worst_first(notices))
    planned = {planned.delivery_id: planned for notice in worst_first(passed) for planned in notice.deliveries}
    return list(planned.values())


def worst_first(notices: Sequence[Notice]) -> Sequence[Notice]:
    """Critical before high before medium before low; within one severity as they came."""
    return sorted(notices, key=lambda notice: -notice.alert.severity)


def plan_plainly(alerts: Sequence[Alert], around: Surroundings) -> list[PlannedDelivery]:
    """The way out when the stages fail: every revision at once and by itself, by every channel, in no account."""
    plain = parse_policy("[route]").root
    notices = [Notice(alert=alert) for alert in alerts]
    return [planned for notice in worst_first(notices) for planned in _message(notice, plain, around).deliveries]


def find_sources(alerts: Sequence[Alert], around: Surroundings) -> None:
    """Enter what these alerts inhibit: all that are open, after the policy has changed."""
    inhibit(enrich(worst_first([_arrived((alert,)) for alert in alerts]), around), around)


def _arrived(revisions: Sequence[Alert]) -> Notice:
    """The newest revision of one alert. One that was pressing at any of them is told at once."""
    return Notice(
        alert=max(revisions, key=lambda alert: alert.revision),
        revisions=tuple(sorted(alert.revision for alert in revisions)),
        at_once=any(pressing(alert) is not None for alert in revisions),
    )
