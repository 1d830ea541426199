"""The picture of a realm in memory, kept equal to the database: one transaction a flush, or none of it.

What the tracker and the rules remember is ahead of the database from the moment that they see new rows until the
commit. When a transaction fails they are put back to what is stored before anything else is done, so a flush is
never half applied, however often it is tried. Each transaction takes the realm's next flush number and compares it
with the last one seen: where another intake wrote in between (an orphan of a killed run, a second one started by
mistake), memory is behind the database, and it is put back just so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from alerts.engine import BadRuleConfig, Decision, RuleEngine, RuleHealth, check_rule_config
from alerts.exemptions import Exemption, ExemptionList
from alerts.rule import World
from command.domain.alert import Finding
from command.domain.clock import US_PER_S, Clock, DataClock, ScenarioClock
from command.domain.facility import Facility
from command.domain.health import SourceHealth
from command.domain.observation import ObservationBatch, ObservationFlag, concatenate
from command.domain.realm import Realm
from command.i18n import LANGUAGES
from command.i18n.names import Names
from command.store.alerts import record_findings
from command.store.areas import areas_revision, latest_areas
from command.store.assets import current_exemptions, list_assets
from command.store.engine import realm_session
from command.store.facilities import facilities_revision, latest_facilities
from command.store.health import list_source_health, save_source_health
from command.store.observations import save_observations
from command.store.realms import load_realm_clock, save_realm_clock
from command.store.rules import current_rules, load_rule_memory, rules_revision, save_rule_memory
from command.store.tracks import LatestTrack, append_track_states, load_latest, next_flush_seq, upsert_latest
from maps.areas import AreaIndex
from sensors.tracking.tracker import TrackChange, Tracker, TrackerOutput
from sensors.tracking.validation import select, validate

DATA_TICK_US: Final = 5 * US_PER_S
"""On a DataClock time passes only with the data: the rules are asked at least this often within a flush."""


class MemoryBehind(RuntimeError):
    """Another intake of this realm wrote since this one did; memory is restored and the flush tried again."""


@dataclass(frozen=True, kw_only=True)
class Flushed:
    """What one committed transaction did. rows: received; new: stored for the first time; counts: by reason."""

    rows: int = 0
    new: int = 0
    states: int = 0
    findings: int = 0
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """Rows that arrived together, and the realm's time when they began and ended to arrive."""

    batches: list[ObservationBatch]
    from_us: int
    to_us: int


@dataclass(kw_only=True)
class _Changes:
    """What one transaction is going to write."""

    states: list[npt.NDArray[np.void]] = field(default_factory=list)
    tracks: dict[bytes, TrackChange] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, output: TrackerOutput) -> None:
        if len(output.states):
            self.states.append(output.states)
        self.tracks.update({change.track.track_id.bytes: change for change in output.changed})
        self.counts.update(output.counts)


class PictureKeeper:
    """Keeps one realm's picture. One thread calls it. Each method raises StoreUnavailable where the database is away,
    MemoryBehind where another intake wrote in between; nothing was kept then, so the call may be repeated."""

    def __init__(self, engine: Engine, realm: Realm, *, clock: Clock, tracker: Tracker) -> None:
        self._engine, self._realm, self._clock, self._tracker = engine, realm, clock, tracker
        self._rules = RuleEngine({})
        self._rule_configs: dict[str, Mapping[str, Any]] = {}
        self._rule_decisions: dict[str, Decision] = {}
        self._rules_revision = -1
        self._areas = AreaIndex()
        self._areas_revision = -1
        self._facilities: tuple[Facility, ...] = ()
        self._facilities_revision = -1
        self._exemptions = ExemptionList()
        self._names = Names()
        self._health: dict[tuple[str, str], SourceHealth] = {}
        self._flush_seq = 0
        self._restored = False
        self._ticked_us = 0
        self.bad_rules: dict[str, str] = {}
        """Stored rules whose newest configuration cannot be used, and why; the last usable one stays in force."""

    @property
    def clock(self) -> Clock:
        """The realm's clock as it was last read."""
        return self._clock

    @property
    def tracks(self) -> int:
        """How many tracks there are."""
        return len(self._tracker.tracks)

    def rule_health(self) -> tuple[RuleHealth, ...]:
        return self._rules.health()

    def restore(self) -> None:
        """Put tracks, rules and reference data to what is stored."""
        self._restored = False
        with realm_session(self._engine, self._realm) as session:
            flush_seq = next_flush_seq(session)
            self._tracker.restore(load_latest(session))
            self._rule_configs, self._rules_revision = self._usable_configs(session), rules_revision(session)
            self._rules = RuleEngine(
                self._rule_configs, memory=load_rule_memory(session), decisions=self._rule_decisions
            )
            self._health = {(h.gateway, h.source): h for h in list_source_health(session)}
            self._areas_revision = -1
            self._refresh(session)
        self._flush_seq = flush_seq
        self._ticked_us = 0
        self._restored = True

    def take(self, batches: Sequence[ObservationBatch], health: Sequence[SourceHealth] = ()) -> Flushed:
        """Store what is new of these batches, follow it, judge it; committed when this returns."""
        counts: Counter[str] = Counter()
        sound: list[ObservationBatch] = []
        for batch in batches:
            checked, found = validate(batch)
            counts.update(found)
            sound.append(checked)
        rows = sum(len(batch) for batch in batches)
        arrival_us = self._time_after(sound)
        with self._transaction() as session:
            if health:
                save_source_health(session, health)
                self._health.update({(h.gateway, h.source): h for h in health})
            fresh = _save(session, sound, recorded_at_us=arrival_us)
            changes = _Changes(counts=counts)
            for part in self._parts(fresh):
                self._follow(changes, part)
            self._write(session, changes)
        new = sum(len(batch) for batch in fresh)
        counts["known"] += sum(len(batch) for batch in sound) - new
        return Flushed(
            rows=rows,
            new=new,
            states=sum(len(states) for states in changes.states),
            findings=len(changes.findings),
            counts=+changes.counts,
        )

    def tick(self) -> Flushed:
        """Let time pass: tracks age, rules that watch for what does not happen speak, settings are read again."""
        with self._transaction() as session:
            self._refresh(session)
            changes = _Changes()
            self._let_pass(changes, self._clock.now_us())
            self._write(session, changes)
        return Flushed(findings=len(changes.findings), counts=changes.counts)

    @contextmanager
    def _transaction(self) -> Iterator[Session]:
        """One transaction with memory equal to the database at its start, and put back by the next one if it fails."""
        if not self._restored:
            self.restore()
        data_clock_us = self._clock.latest_us if isinstance(self._clock, DataClock) else None
        try:
            with realm_session(self._engine, self._realm) as session:
                flush_seq = next_flush_seq(session)
                if flush_seq != self._flush_seq + 1:
                    raise MemoryBehind(
                        f"flush {flush_seq} of {self._realm.name} follows {self._flush_seq} of this intake"
                    )
                self._flush_seq = flush_seq
                yield session
        except BaseException:
            self._restored = False
            if isinstance(self._clock, DataClock) and data_clock_us is not None:
                self._clock.latest_us = data_clock_us
            raise

    def _time_after(self, batches: Sequence[ObservationBatch]) -> int:
        """The realm's time once these rows have arrived."""
        now_us = self._clock.now_us()
        if isinstance(self._clock, DataClock):
            return max([now_us, *(int(_trusted_times(b, now_us).max()) for b in batches if len(b))])
        return now_us

    def _parts(self, batches: Sequence[ObservationBatch]) -> Iterator[_Part]:
        """All at once; on a DataClock in parts of DATA_TICK_US at most, because there only the rows move time on."""
        if not isinstance(self._clock, DataClock):
            now_us = self._clock.now_us()
            yield _Part(batches=[batch for batch in batches if len(batch)], from_us=now_us, to_us=now_us)
            return
        for batch in batches:
            if not len(batch):
                continue
            reached = np.maximum.accumulate(_trusted_times(batch, self._clock.latest_us))
            starts = [0]
            while (after := int(np.searchsorted(reached, reached[starts[-1]] + DATA_TICK_US))) < len(reached):
                starts.append(after)
            for start, end in zip(starts, [*starts[1:], len(reached)], strict=True):
                mask = np.zeros(len(batch), dtype=np.bool_)
                mask[start:end] = True
                yield _Part(batches=[select(batch, mask)], from_us=int(reached[start]), to_us=int(reached[end - 1]))

    def _follow(self, changes: _Changes, part: _Part) -> None:
        if isinstance(self._clock, DataClock):
            if part.from_us - self._ticked_us >= DATA_TICK_US:
                self._let_pass(changes, part.from_us)
            self._clock.advance(part.to_us)
        if part.batches:
            output = self._tracker.update(part.batches, recorded_at_us=part.to_us)
            changes.add(output)
            changes.findings += self._rules.evaluate(output.states, self._world(part.to_us))

    def _let_pass(self, changes: _Changes, now_us: int) -> None:
        self._ticked_us = now_us
        changes.add(self._tracker.tick(now_us))
        changes.findings += self._rules.tick(self._world(now_us))

    def _world(self, now_us: int) -> World:
        return World(
            realm=self._realm.name,
            now_us=now_us,
            tracks=self._tracker.tracks,
            areas=self._areas,
            exemptions=self._exemptions,
            health=tuple(self._health.values()),
            facilities=self._facilities,
            names=self._names,
        )

    def _write(self, session: Session, changes: _Changes) -> None:
        if changes.states:
            append_track_states(session, np.concatenate(changes.states))
        if changes.tracks:
            latest = [LatestTrack(change.track, change.filter_state) for change in changes.tracks.values()]
            upsert_latest(session, latest, flush_seq=self._flush_seq)
        if remembered := self._rules.take_changes():
            save_rule_memory(session, remembered)
        if changes.findings:
            labels = {finding.subject: self._label(finding) for finding in changes.findings}
            record_findings(session, self._realm, changes.findings, labels=labels, now_us=self._clock.now_us())
        if isinstance(self._clock, DataClock):
            save_realm_clock(session, self._realm, self._clock)

    def _label(self, finding: Finding) -> str:
        track = None if finding.track_id is None else self._tracker.tracks.get(finding.track_id.bytes)
        named = self._names.of(finding.subject) if track is None else self._names.of_track(track)
        return named[LANGUAGES[0]]

    def _refresh(self, session: Session) -> None:
        """Read again what people change: a drill's clock, areas, facilities, rules, own assets and the allow-list."""
        stored_clock = load_realm_clock(session, self._realm)
        if isinstance(stored_clock, ScenarioClock):
            self._clock = stored_clock
        if (revision := areas_revision(session)) != self._areas_revision:
            latest = latest_areas(session)
            watched, retired = [a for a in latest if not a.retired], [a for a in latest if a.retired]
            self._areas, self._areas_revision = AreaIndex(watched, retired=retired), revision
        if (revision := facilities_revision(session)) != self._facilities_revision:
            every = latest_facilities(session)
            self._facilities = tuple(each.facility for each in every if not each.retired)
            self._facilities_revision = revision
        if (revision := rules_revision(session)) != self._rules_revision:
            self._rule_configs, self._rules_revision = self._usable_configs(session), revision
            self._rules = self._rules.reconfigured(self._rule_configs, decisions=self._rule_decisions)
        assets = list_assets(session)
        self._names = Names({asset.subject: {"ja": asset.name_ja, "en": asset.name_en} for asset in assets})
        self._exemptions = ExemptionList(
            assets=(asset.subject for asset in assets),
            exemptions=(
                Exemption(subject=e.subject, rule=e.rule, expires_at_us=e.expires_at_us)
                for e in current_exemptions(session, self._clock.now_us())
            ),
        )

    def _usable_configs(self, session: Session) -> dict[str, Mapping[str, Any]]:
        """The stored configurations by rule; of one that cannot be used, the one in force before, if any."""
        configs: dict[str, Mapping[str, Any]] = {}
        bad: dict[str, str] = {}
        for stored in current_rules(session):
            try:
                check_rule_config(stored.rule, stored.config)
            except BadRuleConfig as exc:
                bad[stored.rule] = str(exc)
                if stored.rule in self._rule_configs:
                    configs[stored.rule] = self._rule_configs[stored.rule]
            else:
                configs[stored.rule] = stored.config
                self._rule_decisions[stored.rule] = Decision(
                    version=stored.version, by=stored.author if stored.by_person else None, why=stored.reason
                )
        self.bad_rules = bad
        return configs


def _trusted_times(batch: ObservationBatch, floor_us: int) -> npt.NDArray[np.int64]:
    """(n,) the times of the rows, not under `floor_us`, which stands for a clock that is off."""
    off = (batch.rows["flags"] & int(ObservationFlag.CLOCK_OFF)) != 0
    times: npt.NDArray[np.int64] = np.where(off, floor_us, np.maximum(batch.rows["observed_at_us"], floor_us))
    return times


def _save(session: Session, batches: Sequence[ObservationBatch], *, recorded_at_us: int) -> list[ObservationBatch]:
    """Store the batches, one COPY a source; the rows of each that were not stored before."""
    by_source: dict[str, list[int]] = {}
    for i, batch in enumerate(batches):
        by_source.setdefault(batch.source, []).append(i)
    fresh = list(batches)
    for source, places in by_source.items():
        joined = concatenate([batches[i] for i in places], source=source)
        new = save_observations(session, joined, recorded_at_us=recorded_at_us)
        ends = np.cumsum([len(batches[i]) for i in places])
        for i, mask in zip(places, np.split(new, ends[:-1]), strict=True):
            fresh[i] = select(batches[i], mask)
    return fresh
