"""What the consoles of one realm read and do: one thread a process follows the store, every screen reads its memory."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from time import monotonic
from typing import Final

import numpy as np
import numpy.typing as npt
import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from alerts.explain import rule_name, subject_name
from command.domain.alert import Alert
from command.domain.area import Area
from command.domain.clock import US_PER_S, Clock, DataClock, SystemClock
from command.domain.escalation import EscalationRules, next_call_at_us
from command.domain.facility import Facility, FacilityVersion
from command.domain.geo import Position
from command.domain.health import SourceHealth
from command.domain.incident import OPEN_STATES, Incident
from command.domain.note import Note
from command.domain.notice import AccountLine
from command.domain.realm import Realm
from command.domain.silence import Matcher, Silence
from command.domain.track import Track
from command.i18n import text
from command.i18n.names import Names
from command.operations.alert_desk import AlertDesk
from command.operations.areas import AreaBook
from command.operations.console_health import ConsoleHealth, StoreState, judge
from command.operations.console_keys import PersonKeys
from command.operations.deliveries import DeliveryDesk, Republish, no_broker
from command.operations.evidence import Evidence, evidence_of
from command.operations.exports import Format, export_tracks
from command.operations.facilities import FacilityBook
from command.operations.handover import HandoverDesk
from command.operations.incidents import IncidentDesk, IncidentFilter
from command.operations.notes import NoteBook
from command.operations.people import Person
from command.operations.picture import Box, Picture
from command.operations.presence import Presence
from command.operations.responses import ResponseDesk
from command.operations.roster import RosterBook, WatchNow, read_watch
from command.operations.rules import RuleBook
from command.operations.territory import Territory, as_seen_from
from command.operations.triage import Explained, Gazetteer, UnknownAlert, acknowledge, explain
from command.operations.triage_view import ELSEWHERE, Arranged, TriageView, arrange
from command.store.alerts import alerts_by_id, count_open_alerts, get_alert, list_alerts
from command.store.areas import areas_revision, latest_areas
from command.store.assets import Asset, list_assets
from command.store.deliveries import Delivery, deliveries_called
from command.store.engine import StoreNotMigrated, StoreUnavailable, realm_session
from command.store.facilities import facilities_revision, latest_facilities
from command.store.health import Heartbeat, list_heartbeats, list_source_health, save_heartbeat
from command.store.incidents import list_incidents
from command.store.notes import notes_revision, shown_notes
from command.store.notices import account_of
from command.store.notify import listen, notify
from command.store.realms import UnknownRealm, load_realm_clock
from command.store.silences import silences_in_force
from command.store.tracks import track_history, tracks_as_of, tracks_changed_since

_log = structlog.get_logger(__name__)

ALERT_LIMIT: Final = 3_000
"""The worst of the open alerts are in every screen's reach; the rest is counted."""
INCIDENT_LIMIT: Final = 300
_TRACK_PAGE: Final = 5_000
_CATCH_UP_EVERY_S: Final = 0.2
_ALERTS_EVERY_S: Final = 5.0
_REST_EVERY_S: Final = 2.0
_HUNG_S: Final = 10.0
_TERRITORIES: Final = 200
_RETRY_S: Final = (0.5, 1.0, 2.0, 5.0)

QueueDepths = Callable[[], Mapping[str, int] | None]


class Console:
    """The console of one realm. Start it once a process; everything but history and acknowledging is read from memory,
    so a database that is away leaves the last picture standing, with its age.

    teams: the names of those that answer alerts and that may be called. queue_depths: messages by queue, None where the
    broker does not answer; must not block. republish: see DeliveryDesk. escalation: when whom is called about an alert
    that nobody acknowledges, as dispatch has it.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        database_url: str,
        realm: Realm,
        clock: Clock,
        teams: Sequence[str] = (),
        queue_depths: QueueDepths = lambda: None,
        republish: Republish = no_broker,
        escalation: EscalationRules | None = None,
        process: str = "web",
    ) -> None:
        self.realm = realm
        self.clock = clock
        self.picture = Picture()
        self.presence = Presence()
        self.facilities: tuple[Facility, ...] = ()
        self.facility_versions: tuple[FacilityVersion, ...] = ()
        self.facilities_revision = 0
        self.facility_book = FacilityBook(engine, realm, changed=self._facilities_changed)
        self.areas: tuple[Area, ...] = ()
        self.areas_revision = 0
        self.assets: Mapping[str, Asset] = {}
        """Our own, by subject."""
        self.area_book = AreaBook(engine, realm, clock=clock)
        self.rule_book = RuleBook(engine, realm, clock=clock)
        self.notes: tuple[Note, ...] = ()
        self.notes_revision = 0
        self.note_book = NoteBook(engine, realm, clock=clock)
        self.alerts: tuple[Alert, ...] = ()
        self.alerts_revision = 0
        self.incidents: tuple[Incident, ...] = ()
        self.incidents_revision = 0
        self.alerts_beyond = 0
        """Open alerts that are not among `alerts`."""
        self.silences: tuple[Silence, ...] = ()
        self.watch = WatchNow()
        self.roster = RosterBook(engine, realm, clock=clock, teams=teams)
        self.handover = HandoverDesk(engine, realm, clock=clock)
        self.escalation = escalation or EscalationRules()
        self.keys = PersonKeys(engine)
        self.alert_desk = AlertDesk(engine, realm, clock=clock, changed=self._alerts_changed)
        self.response_desk = ResponseDesk(engine, realm, clock=clock, teams=teams, changed=self._alerts_changed)
        self.desk = IncidentDesk(engine, realm, clock=clock, changed=self._incidents_changed)
        self.delivery_desk = DeliveryDesk(engine, realm, clock=clock, queue_depths=queue_depths, republish=republish)
        self._engine, self._database_url = engine, database_url
        self._queue_depths = queue_depths
        self._process = process
        self._host = SystemClock()
        self._gazetteer = Gazetteer(())
        self._named_areas: tuple[Area, ...] = ()
        self._territories: dict[frozenset[str], tuple[int, Territory]] = {}
        self._sources: tuple[SourceHealth, ...] = ()
        self._heartbeats: tuple[Heartbeat, ...] = ()
        self._health = self._judged(StoreState(connected=False, since_us=self._host.now_us()))
        self._read_at_s = monotonic()
        self._stop = threading.Event()
        self._caught_up = threading.Event()
        self._reading_lock = threading.Lock()
        self._places: dict[tuple[str | None, Position | None], str] = {}
        self._handled: Mapping[uuid.UUID, Incident] = {}
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Follow the store until `stop`."""
        self._thread = threading.Thread(target=self._run, name="console-feed", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Returns when the thread has let go of its connections."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def wait_caught_up(self, timeout_s: float) -> bool:
        """Whether the first whole reading of the store came within `timeout_s`."""
        return self._caught_up.wait(timeout_s)

    @property
    def health(self) -> ConsoleHealth:
        """As judged with the last reading; a store that hangs counts as away."""
        silent_s = monotonic() - self._read_at_s
        if not self._health.store.connected or silent_s < _HUNG_S:
            return self._health
        since_us = self._host.now_us() - int(silent_s * US_PER_S)
        hung = StoreState(connected=False, since_us=since_us, detail=f"no answer for {silent_s:.0f} s")
        return replace(self._health, store=hung)

    def open_alerts(self) -> list[Alert]:
        """What needs a person: neither cleared nor acknowledged counts first, then what is still going on.

        Severity descending, unacknowledged before acknowledged, newest first.
        """
        return [a for a in self.alerts if a.cleared_at_us is None or a.acknowledged_at_us is None]

    def explained(self, alert: Alert, language: str) -> Explained:
        """An alert in the reader's language."""
        names = {a.slug: a.name_ja if language == "ja" else a.name_en for a in self._named_areas}
        return explain(alert, language, gazetteer=self._gazetteer, area_names=names)

    def silence_of(self, alert: Alert) -> Silence | None:
        """What keeps the alert quiet now; of several, the one that ends last."""
        now_us = self.clock.now_us()
        return next((each for each in reversed(self.silences) if each.quiets(alert, now_us)), None)

    def quieted(self, silence: Silence) -> list[Alert]:
        """The open alerts that a silence keeps quiet now."""
        now_us = self.clock.now_us()
        return [alert for alert in self.open_alerts() if silence.quiets(alert, now_us)]

    def next_call_at_us(self, alert: Alert) -> int | None:
        """When the next one of the roster is called about it; None where nobody is."""
        began_us = self.watch.began_us
        if began_us is None or self.silence_of(alert) is not None:
            return None
        return next_call_at_us(alert, self.escalation, began_us=began_us)

    def matcher_words(self, matcher: Matcher, language: str) -> str:
        """What a silence is of, as people say it."""
        subject = None
        if matcher.subject is not None:
            of_it = next((alert for alert in self.alerts if alert.subject == matcher.subject), None)
            subject = matcher.subject if of_it is None else subject_name(of_it, language)
        area = None if matcher.area is None else self.area_name(matcher.area, language)
        rule = None if matcher.rule is None else rule_name(matcher.rule, language)
        return " / ".join(filter(None, (rule, subject, area)))

    def arranged(self, view: TriageView, *, login: str) -> Arranged:
        """The open alerts as one officer chose to see them."""
        return arrange(
            self.open_alerts(),
            view,
            login=login,
            now_us=self.clock.now_us(),
            place_of=self.place_key,
            silenced=lambda alert: bool(self.silences) and self.silence_of(alert) is not None,
        )

    def place_key(self, alert: Alert) -> str:
        """Where an alert is, as a value to filter and group by: its area, else the facility that it is nearest to."""
        asked = (alert.area, alert.position)
        known = self._places.get(asked)
        if known is None:
            found = self._gazetteer.nearest(alert.position)
            known = f"area:{alert.area}" if alert.area else f"near:{found[0].facility_id}" if found else ELSEWHERE
            if len(self._places) > 2 * ALERT_LIMIT:
                self._places = {}
            self._places[asked] = known
        return known

    def place_name(self, key: str, language: str) -> str:
        """What people call a place_key."""
        kind, _, name = key.partition(":")
        if kind == "area":
            return self.area_name(name, language)
        for facility in self.facilities:
            if facility.facility_id == name:
                called = facility.name_ja if language == "ja" else facility.name_en
                return text(language, "place.near", name=called)
        return text(language, "place.none")

    def area_name(self, slug: str, language: str) -> str:
        """What people call an area, retired or not; its slug where nobody knows it."""
        names = (a.name_ja if language == "ja" else a.name_en for a in self._named_areas if a.slug == slug)
        return next(names, slug)

    def place(self, thing: Track | Incident, language: str) -> str:
        """Where a track or an incident is, by the nearest facility."""
        return self._gazetteer.place(thing.position, language)

    def alert(self, alert_id: uuid.UUID) -> Alert:
        """One alert, listed or not. Raises UnknownAlert, StoreUnavailable."""
        for alert in self.alerts:
            if alert.alert_id == alert_id:
                return alert
        with realm_session(self._engine, self.realm) as session:
            found = get_alert(session, alert_id)
        if found is None:
            raise UnknownAlert(f"there is no alert {alert_id} in {self.realm.name}; reload the list")
        return found

    def evidence(self, alert_id: uuid.UUID, language: str) -> tuple[Alert, Evidence]:
        """An alert and what it rests on. Raises UnknownAlert, StoreUnavailable."""
        alert = self.alert(alert_id)
        return alert, evidence_of(self._engine, self.realm, alert, language)

    def account_of(self, alert_id: uuid.UUID) -> tuple[Sequence[AccountLine], Mapping[uuid.UUID, Delivery]]:
        """What became of each revision of an alert on each route, and the deliveries that told of it, by their ids.
        Raises UnknownAlert, StoreUnavailable."""
        self.alert(alert_id)
        with realm_session(self._engine, self.realm) as session:
            lines = account_of(session, alert_id)
            told = deliveries_called(session, [each for line in lines for each in line.deliveries])
        return lines, {each.delivery_id: each for each in told}

    def incident_of(self, alert_id: uuid.UUID) -> Incident | None:
        """The open incident that handles an alert."""
        return self._handled.get(alert_id)

    def hand_of(self, person: Person, thing: Alert | Incident) -> Person:
        """The person with what they may do to this thing, for what a screen offers; what is done asks again."""
        if person.areas is None:
            return person
        revision, asked = self.areas_revision, person.areas
        known = self._territories.get(asked)
        if known is None or known[0] != revision:
            if len(self._territories) >= _TERRITORIES:
                self._territories.clear()
            known = revision, Territory([area for area in self._named_areas if area.slug in asked])
            self._territories[asked] = known
        return as_seen_from(person, known[1], thing)

    def alerts_named(self, alert_ids: Sequence[uuid.UUID]) -> list[Alert]:
        """Those of the alerts that there are, listed or not, in that order. Raises StoreUnavailable."""
        known = {alert.alert_id: alert for alert in self.alerts}
        missing = [alert_id for alert_id in alert_ids if alert_id not in known]
        if missing:
            with realm_session(self._engine, self.realm) as session:
                known |= {alert.alert_id: alert for alert in alerts_by_id(session, missing)}
        return [known[alert_id] for alert_id in alert_ids if alert_id in known]

    def alerts_of(self, track_id: uuid.UUID) -> list[Alert]:
        return [a for a in self.alerts if a.track_id == track_id]

    def acknowledge(self, alert_id: uuid.UUID, *, person: Person, comment: str, language: str) -> Alert:
        """See triage.acknowledge; the list shows it at once."""
        alert = acknowledge(
            self._engine,
            self.realm,
            alert_id,
            person=person,
            comment=comment,
            language=language,
            now_us=self.clock.now_us(),
        )
        self._alerts_changed([alert])
        return alert

    def history(self, track_id: uuid.UUID, *, from_us: int, to_us: int, limit: int) -> npt.NDArray[np.void]:
        """(n,) TRACK_STATE_DTYPE, oldest first. Raises StoreUnavailable."""
        with realm_session(self._engine, self.realm) as session:
            return track_history(session, track_id, from_us=from_us, to_us=to_us, limit=limit)

    def tracks_as_file(self, track_ids: Sequence[uuid.UUID], form: Format, *, by: str) -> bytes:
        """The latest of those of the tracks that there are, as a file. Raises StoreUnavailable."""
        tracks = [track for track_id in track_ids if (track := self.picture.track(track_id)) is not None]
        return export_tracks(self._engine, self.realm, tracks, form, by=by, now_us=self._host.now_us())

    def as_of(self, at_us: int, box: Box) -> list[Track]:
        """What was true at `at_us` in the box. Raises StoreUnavailable."""
        with realm_session(self._engine, self.realm) as session:
            return tracks_as_of(session, at_us, (box.west, box.south, box.east, box.north))

    def _run(self) -> None:
        failures = 0
        while not self._stop.is_set():
            try:
                with closing(listen(self._database_url, self.realm, timeout_s=_CATCH_UP_EVERY_S)) as heard:
                    self._follow(heard)
            except (StoreUnavailable, StoreNotMigrated, UnknownRealm) as exc:
                failures = self._store_lost(exc, failures)
            except Exception as exc:  # noqa: BLE001 - a row that cannot be read must not end the watch of every screen
                _log.exception("reading_failed", realm=self.realm.name)
                failures = self._store_lost(exc, failures)
            else:
                failures = 0

    def _store_lost(self, exc: Exception, failures: int) -> int:
        retry_s = _RETRY_S[min(failures, len(_RETRY_S) - 1)]
        self._store_is(connected=False, detail=str(exc))
        _log.warning("store_away", realm=self.realm.name, reason=str(exc), retry_s=retry_s)
        self._stop.wait(retry_s)
        return failures + 1

    def _follow(self, heard: Iterator[Mapping[str, object] | None]) -> None:
        tracks_at = alerts_at = rest_at = -1e9
        alerts_told = incidents_told = False
        for payload in heard:
            if self._stop.is_set():
                return
            alerts_told = alerts_told or bool(payload and payload.keys() & {"alerts", "areas", "notes"})
            incidents_told = incidents_told or bool(payload and "incidents" in payload)
            if payload and payload.keys() & {"facilities", "roster"}:
                rest_at = -1e9
            now_s = monotonic()
            if payload and "presence" in payload:
                self.presence.heard(payload, now_s=now_s)
            if now_s - tracks_at < _CATCH_UP_EVERY_S:
                continue
            rest_due = now_s - rest_at >= _REST_EVERY_S
            alerts_due = alerts_told or now_s - alerts_at >= _ALERTS_EVERY_S
            if alerts_due or incidents_told:
                self._read_incidents(told=incidents_told)
                incidents_told = False
            if rest_due:
                self._read_rest()
                rest_at = now_s
            if alerts_due:
                self._read_alerts()
                alerts_at, alerts_told = now_s, False
            self._tell_presence(now_s)
            self._read_tracks()
            tracks_at = now_s
            self._read_at_s = monotonic()
            self._caught_up.set()

    def _tell_presence(self, now_s: float) -> None:
        told = self.presence.to_tell(now_s=now_s)
        if told is not None:
            with realm_session(self._engine, self.realm) as session:
                notify(session, told)

    def _read_tracks(self) -> None:
        while not self._stop.is_set():
            with realm_session(self._engine, self.realm) as session:
                tracks, seq = tracks_changed_since(session, self.picture.seq, limit=_TRACK_PAGE)
            self.picture.update(tracks, seq=seq)
            if len(tracks) < _TRACK_PAGE:
                return

    def _read_alerts(self) -> None:
        with realm_session(self._engine, self.realm) as session:
            alerts = tuple(list_alerts(session, limit=ALERT_LIMIT))
            total = len(alerts) if len(alerts) < ALERT_LIMIT else count_open_alerts(session)
            silences = tuple(silences_in_force(session, self.clock.now_us()))
            revision = areas_revision(session)
            areas = latest_areas(session) if revision != self.areas_revision else None
            noted = notes_revision(session)
            if noted != self.notes_revision:
                self.notes = tuple(shown_notes(session, self.clock.now_us()))
                self.notes_revision = noted
        if areas is not None:
            self._named_areas = tuple(areas)
            self.areas, self.areas_revision = tuple(area for area in areas if not area.retired), revision
            self.alerts_revision += 1
        if (silences, total - len(alerts)) != (self.silences, self.alerts_beyond):
            self.silences, self.alerts_beyond = silences, total - len(alerts)
            self.alerts_revision += 1
        self._take_alerts(alerts)

    def _read_incidents(self, *, told: bool) -> None:
        with self._reading_lock:  # an older reading never takes the place of a newer one
            with realm_session(self._engine, self.realm) as session:
                incidents = tuple(
                    list_incidents(session, limit=INCIDENT_LIMIT, wanted=IncidentFilter(states=OPEN_STATES))
                )
            if told or incidents != self.incidents:  # what was told of may be a closed one, which is not listed here
                self.incidents = incidents
                self.incidents_revision += 1
            handled = {alert_id: incident for incident in incidents for alert_id in incident.cited.alerts}
            if handled.keys() != self._handled.keys():
                self.alerts_revision += 1  # the alerts' list names the incident that handles one
            self._handled = handled

    def _incidents_changed(self) -> None:
        """Somebody at this process did something: their next look shows it. The watch would read it soon as well."""
        with suppress(StoreUnavailable):
            self._read_incidents(told=True)

    def _alerts_changed(self, alerts: Sequence[Alert]) -> None:
        """Somebody at this process did something to these, or to the silences: their next look shows it."""
        after = {alert.alert_id: alert for alert in alerts}
        self._take_alerts(tuple(after.get(alert.alert_id, alert) for alert in self.alerts))
        if not alerts:
            with suppress(StoreUnavailable):
                self._read_alerts()

    def _take_alerts(self, alerts: tuple[Alert, ...]) -> None:
        if alerts == self.alerts:
            return
        self.alerts = alerts
        self.alerts_revision += 1
        self.picture.mark_alerted(a.track_id for a in alerts if a.track_id is not None and a.cleared_at_us is None)

    def _read_rest(self) -> None:
        with realm_session(self._engine, self.realm) as session:
            if isinstance(self.clock, DataClock):
                self.clock.advance(load_realm_clock(session, self.realm).now_us())
            self._read_facilities(session)
            self._read_watch(session)
            self.assets = {asset.subject: asset for asset in list_assets(session)}
            named = {subject: {"ja": asset.name_ja, "en": asset.name_en} for subject, asset in self.assets.items()}
            self.picture.rename(Names(named))
            self._sources = tuple(list_source_health(session))
            save_heartbeat(
                session,
                self._process,
                now_us=self._host.now_us(),
                pid=os.getpid(),
                detail={"tracks": len(self.picture), "alerts": len(self.alerts)},
            )
            self._heartbeats = tuple(list_heartbeats(session))
        self._store_is(connected=True)

    def _read_watch(self, session: Session) -> None:
        with self._reading_lock:  # an older reading never takes the place of a newer one
            watch = read_watch(session, self.clock.now_us())
            if watch.began_us != self.watch.began_us:
                self.alerts_revision += 1  # the alerts' drawer says when the next one is called
            self.watch = watch

    def watch_changed(self) -> None:
        """Somebody at this process changed the roster or took the watch: their next look shows it."""
        with suppress(StoreUnavailable), realm_session(self._engine, self.realm) as session:
            self._read_watch(session)

    def _read_facilities(self, session: Session) -> None:
        """Where any changed, here or in another realm. Places in words follow them."""
        revision = facilities_revision(session)
        if revision <= self.facilities_revision:
            return
        self.facility_versions = tuple(latest_facilities(session))
        self.facilities = tuple(each.facility for each in self.facility_versions if not each.retired)
        self._gazetteer = Gazetteer(self.facilities)
        self._places = {}
        self.facilities_revision = revision
        self.alerts_revision += 1

    def _facilities_changed(self) -> None:
        """Somebody at this process changed some: their next look shows it."""
        with suppress(StoreUnavailable), realm_session(self._engine, self.realm) as session:
            self._read_facilities(session)

    def _store_is(self, *, connected: bool, detail: str = "") -> None:
        before = self._health.store
        since_us = before.since_us if before.connected == connected else self._host.now_us()
        self._health = self._judged(StoreState(connected=connected, since_us=since_us, detail=detail))

    def _judged(self, store: StoreState) -> ConsoleHealth:
        return judge(
            store=store,
            sources=self._sources,
            heartbeats=self._heartbeats,
            queues=self._queue_depths(),
            realm_kind=self.realm.kind,
            realm_now_us=self.clock.now_us(),
            host_now_us=self._host.now_us(),
            realm_speed=getattr(self.clock, "speed", 1.0),
            on_duty=None if self.watch.began_us is None else len(self.watch.on_duty(self.clock.now_us())),
        )
