"""What a rule with other settings would have said: stored history, run again in a realm of its own.

The same tracker, the same rule and the same store as intake's, fed with the observations of the realm in the order in
which they were recorded, on the data's own clock. Areas and the allow-list are as they were at each moment. The realm
that the history is from is only read.
"""

from __future__ import annotations

import time
import tomllib
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from alerts.engine import check_rule_config
from alerts.registry import UnknownRule, rule_class
from command.domain.alert import Alert
from command.domain.clock import US_PER_S, DataClock
from command.domain.observation import ObservationBatch
from command.domain.realm import Realm
from command.operations.intake.picture import PictureKeeper
from command.operations.rules import RuleVersion, UnknownRuleName
from command.store.alerts import MAX_ALERTS, alerts_opened_between
from command.store.areas import every_area_version, put_area, retire_area
from command.store.assets import current_exemptions, list_assets, put_asset, put_exemption
from command.store.engine import realm_session
from command.store.migrations import drop_realm, ensure_realm, migrate
from command.store.observations import stored_batches
from command.store.rules import put_rule, rule_versions
from sensors.tracking.identity import IdentityTracker

LONGEST_S: Final = 31 * 86_400
WARM_UP_S: Final = 6 * 3_600
"""How much earlier it begins, so that at the beginning the rule knows who is where already."""
_ROWS_AT_ONCE: Final = 5_000
_NOT_KEPT: Final = frozenset({"source_silent"})
"""Rules about what is not kept: the health of sources is the latest only."""


class BacktestRefused(ValueError):
    """A backtest that cannot be run; the text says what to write instead."""


@dataclass(frozen=True, kw_only=True)
class Backtest:
    """What came of it. then: what really happened; now: with these settings. Each alert is in one of the three lists.

    observations: rows that were run again, those of the warm-up too. seconds: wall time.
    """

    rule: str
    realm: str
    from_us: int
    to_us: int
    versions_then: tuple[int, ...]
    changed: Mapping[str, Any]
    both: Sequence[Alert]
    only_then: Sequence[Alert]
    only_now: Sequence[Alert]
    observations: int
    seconds: float

    @property
    def hours(self) -> float:
        return (self.to_us - self.from_us) / US_PER_S / 3_600.0

    def an_hour(self, alerts: int) -> float:
        return round(alerts / self.hours, 2)


def parse_changes(written: Sequence[str]) -> dict[str, Any]:
    """`after_s=3600`, `areas=["bay"]`, `after_s_by_area.bay=600` as nested settings. Raises BacktestRefused."""
    changes: dict[str, Any] = {}
    for each in written:
        name, equals, value = each.partition("=")
        keys = name.strip().split(".")
        if not equals or not all(keys):
            raise BacktestRefused(f"--set {each!r}: write NAME=VALUE, for example after_s=3600")
        try:
            said = tomllib.loads(f"v = {value}")["v"]
        except tomllib.TOMLDecodeError:
            said = value.strip()
        at: dict[str, Any] = changes
        for key in keys[:-1]:
            at = at.setdefault(key, {})
            if not isinstance(at, dict):
                raise BacktestRefused(f"--set {each!r}: {key} is set as a whole beside it; say one of the two")
        at[keys[-1]] = said
    return changes


def backtest(
    engine: Engine,
    source: Realm,
    rule: str,
    *,
    from_us: int,
    to_us: int,
    changes: Mapping[str, Any],
    warm_up_s: float = WARM_UP_S,
    now_us: int,
    progress: Callable[[float], None] = lambda _: None,
) -> Backtest:
    """Run a rule again over what `source` observed from from_us on and before to_us, with some settings changed.

    changes: by name, in the rule's settings as they hold now; {} runs it as it is. now_us: the realm's time. progress
    is told how much of the time is done, 0 to 1. Compared are alerts whose episodes began in that time. Raises
    BacktestRefused, UnknownRuleName, alerts.engine.BadRuleConfig before anything is done, StoreUnavailable.
    """
    _check_span(from_us, to_us, now_us=now_us, warm_up_s=warm_up_s)
    began_s = time.perf_counter()
    begin_us = from_us - round(warm_up_s * US_PER_S)
    with realm_session(engine, source) as session:
        versions = _versions(session, rule)
        config = _merged(versions[0].config, changes) | {"enabled": True}
        check_rule_config(rule, config)
        then = alerts_opened_between(session, rule, from_us=from_us, to_us=to_us)
        history = _History(session, begin_us=begin_us, to_us=to_us)
    realm = Realm.parse(f"replay-backtest-{uuid.uuid4().hex[:12]}")
    clock = DataClock(latest_us=begin_us)
    migrate(engine)
    ensure_realm(engine, realm, clock=clock)
    try:
        with realm_session(engine, realm) as session:
            put_rule(session, rule, config, "backtest", begin_us)
        keeper = PictureKeeper(engine, realm, clock=clock, tracker=IdentityTracker(source.name))
        observations = _run(engine, source, realm, keeper, history, progress=progress)
        clock.advance(to_us)
        keeper.tick()
        with realm_session(engine, realm) as session:
            now = alerts_opened_between(session, rule, from_us=from_us, to_us=to_us)
    finally:
        drop_realm(engine, realm)
    if max(len(then), len(now)) >= MAX_ALERTS:
        raise BacktestRefused(f"more than {MAX_ALERTS} alerts in this time; choose a shorter one")
    before, after = {_episode(alert): alert for alert in then}, {_episode(alert): alert for alert in now}
    return Backtest(
        rule=rule,
        realm=source.name,
        from_us=from_us,
        to_us=to_us,
        versions_then=_in_force(versions, from_us, to_us),
        changed=changes,
        both=[alert for key, alert in after.items() if key in before],
        only_then=[alert for key, alert in before.items() if key not in after],
        only_now=[alert for key, alert in after.items() if key not in before],
        observations=observations,
        seconds=time.perf_counter() - began_s,
    )


class _History:
    """What people had set in the realm, and when: applied to the other realm as its clock comes by."""

    def __init__(self, session: Session, *, begin_us: int, to_us: int) -> None:
        self.begin_us, self.to_us = begin_us, to_us
        self._assets = list_assets(session)
        self._areas = every_area_version(session, before_us=to_us)
        self._exemptions = [each for each in current_exemptions(session, begin_us) if each.created_at_us < to_us]

    def spans(self) -> list[tuple[int, int]]:
        """The time in parts within which nothing was set, an hour long at most."""
        set_at = {each.valid_from_us for each in self._areas} | {each.created_at_us for each in self._exemptions}
        hours = range(self.begin_us, self.to_us, 3_600 * US_PER_S)
        cuts = sorted({*hours, *(at for at in set_at if self.begin_us < at < self.to_us), self.to_us})
        return list(pairwise(cuts))

    def apply(self, session: Session, *, after_us: int | None, upto_us: int) -> None:
        """Set what was set after one moment, up to another; after_us None: all that was."""
        if after_us is None:
            for asset in self._assets:
                put_asset(session, asset.subject, asset.kind, asset.name_ja, asset.name_en)
        for area in self._areas:
            if _between(area.valid_from_us, after_us, upto_us):
                if area.retired:
                    retire_area(session, area.slug, area.author, area.valid_from_us)
                else:
                    put_area(
                        session,
                        area.slug,
                        area.kind,
                        area.name_ja,
                        area.name_en,
                        area.geometry,
                        area.author,
                        area.valid_from_us,
                    )
        for each in self._exemptions:
            if _between(each.created_at_us, after_us, upto_us):
                put_exemption(
                    session, each.subject, each.rule, each.reason, each.author, each.expires_at_us, each.created_at_us
                )


def _run(
    engine: Engine,
    source: Realm,
    realm: Realm,
    keeper: PictureKeeper,
    history: _History,
    *,
    progress: Callable[[float], None],
) -> int:
    """Feed the history to the keeper; how many rows it was."""
    rows, done_us = 0, None
    for from_us, to_us in history.spans():
        with realm_session(engine, realm) as session:
            history.apply(session, after_us=done_us, upto_us=from_us)
        done_us = from_us
        keeper.tick()
        waiting: list[ObservationBatch] = []
        with realm_session(engine, source) as session:
            for stored in stored_batches(session, from_us=from_us, to_us=to_us):
                waiting.append(stored.batch)
                if sum(len(batch) for batch in waiting) >= _ROWS_AT_ONCE:
                    rows += keeper.take(waiting).rows
                    waiting = []
        if waiting:
            rows += keeper.take(waiting).rows
        progress((to_us - history.begin_us) / (history.to_us - history.begin_us))
    return rows


def _check_span(from_us: int, to_us: int, *, now_us: int, warm_up_s: float) -> None:
    if not from_us < to_us:
        raise BacktestRefused("--to is not after --from; say when it begins and when it ends")
    if (to_us - from_us) / US_PER_S > LONGEST_S:
        raise BacktestRefused(f"more than {LONGEST_S // 86_400} days; choose a shorter time")
    if to_us > now_us:
        raise BacktestRefused("--to lies ahead of the realm's time; only what has happened can be run again")
    if not 0 <= warm_up_s <= 7 * 86_400:
        raise BacktestRefused("--warm-up-hours: write 0 to 168")


def _versions(session: Session, rule: str) -> list[RuleVersion]:
    """All versions of the rule, newest first."""
    try:
        rule_class(rule)
    except UnknownRule as exc:
        raise BacktestRefused(str(exc)) from exc
    if rule in _NOT_KEPT:
        raise BacktestRefused(f"{rule} judges the health of sources, of which no history is kept; choose another rule")
    versions = rule_versions(session, rule, limit=10_000)
    if not versions:
        raise UnknownRuleName("unknown", rule=rule)
    return versions


def _in_force(versions: Sequence[RuleVersion], from_us: int, to_us: int) -> tuple[int, ...]:
    """The versions, oldest first, that held at any moment of the time."""
    oldest_first = list(reversed(versions))
    ends = [each.valid_from_us for each in oldest_first[1:]]
    return tuple(
        each.version
        for each, end_us in zip(oldest_first, [*ends, to_us], strict=True)
        if each.valid_from_us < to_us and end_us > from_us
    ) or (oldest_first[0].version,)


def _merged(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(config)
    for name, value in changes.items():
        known = merged.get(name)
        merged[name] = _merged(known, value) if isinstance(known, dict) and isinstance(value, dict) else value
    return merged


def _between(at_us: int, after_us: int | None, upto_us: int) -> bool:
    return (after_us is None or at_us > after_us) and at_us <= upto_us


def _episode(alert: Alert) -> tuple[str, str | None, int]:
    return alert.subject, alert.area, alert.opened_at_us
