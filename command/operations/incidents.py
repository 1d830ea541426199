"""Incidents: what people do to them, who may, and what somebody is told whose screen was older than the incident.

Every act is one transaction: the request's key, the log, the row and the audit log stand or fall together.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta, timezone
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from command.domain import incident_acts as acts
from command.domain.alert import Alert, Severity
from command.domain.clock import Clock, SystemClock, from_us
from command.domain.geo import Position
from command.domain.incident import (
    Attachment,
    Change,
    Cited,
    Incident,
    IncidentEvent,
    IncidentState,
    IncidentType,
    TaskState,
)
from command.domain.incident_acts import IncidentRefused
from command.domain.realm import Realm
from command.i18n import text
from command.operations.incident_files import MAX_TOTAL_BYTES, checked_file
from command.operations.people import Forbidden, Permission, Person
from command.operations.territory import Where, must_at, where_is
from command.store.alerts import lock_alerts
from command.store.areas import current_areas
from command.store.attachments import content_of, keep_content
from command.store.audit import append_audit, append_view
from command.store.engine import realm_session
from command.store.idempotency import KeyReused, claim_key, keep_outcome
from command.store.incidents import (
    Act,
    IncidentFilter,
    UnknownIncident,
    append_acts,
    events_since,
    get_incident,
    incident_at,
    incident_log,
    list_incidents,
    lock_incidents,
    next_number,
    open_incidents_of,
)
from command.store.people import find_user_by_login
from command.store.tracks import known_tracks

__all__ = [
    "BadIncident",
    "Doing",
    "Done",
    "IncidentChanged",
    "IncidentConflict",
    "IncidentDesk",
    "IncidentFilter",
    "IncidentNotFound",
    "IncidentProblem",
    "suggested_type",
    "told",
]

_JST: Final = timezone(timedelta(hours=9), "JST")
_SUGGESTED: Final[Mapping[str, IncidentType]] = {
    "distress": IncidentType.RESCUE,
    "ais_gap": IncidentType.DARK_CONTACT,
    "drone_link_lost": IncidentType.EQUIPMENT,
    "drone_low_battery": IncidentType.EQUIPMENT,
    "source_silent": IncidentType.EQUIPMENT,
}
_NOT_FOUND: Final = frozenset({"unknown", "unknown_file", "no_task"})
_CONFLICTS: Final = frozenset(
    {"already", "closed", "merge_itself", "merged", "open_tasks", "split_of_another", "step", "task_step"}
)


class IncidentProblem(Exception):
    """What was asked for was not done; the text says why in the reader's language. `key` is a text's name."""

    def __init__(self, words: str, *, key: str) -> None:
        super().__init__(words)
        self.key = key


class IncidentNotFound(IncidentProblem):
    """There is no such incident, task or file in this realm."""


class IncidentConflict(IncidentProblem):
    """The incident as it stands does not allow it."""


class BadIncident(IncidentProblem):
    """What was sent cannot be kept."""


class IncidentChanged(IncidentProblem):
    """Others changed the incident after the revision that the caller had; `events` is what they did."""

    def __init__(self, words: str, *, incident: Incident, events: Sequence[IncidentEvent]) -> None:
        super().__init__(words, key="incident.error.changed")
        self.incident, self.events = incident, events


@dataclass(frozen=True, kw_only=True, slots=True)
class Doing:
    """Who acts, in which language they read, and what they had seen.

    revision: of the incident that their screen showed; None where the act does not mind. key, request_sha256: the
    request's own name and hash, where its sender wants it done once only.
    """

    person: Person
    language: str
    revision: int | None = None
    key: str | None = None
    request_sha256: bytes = b""


@dataclass(frozen=True, kw_only=True, slots=True)
class Done:
    """The incident after the act; of one that came before, as it was then."""

    incident: Incident
    came_before: bool = False


def suggested_type(alert: Alert) -> IncidentType:
    """What an incident about this alert most likely is; the officer decides."""
    if alert.because.endswith(".dark"):
        return IncidentType.DARK_CONTACT
    return _SUGGESTED.get(alert.rule, IncidentType.SMUGGLING)


def told(language: str, refused: IncidentRefused) -> str:
    """Why an act was refused, in words; params that name a text become that text."""
    params = {
        name: text(language, value[1:]) if isinstance(value, str) and value.startswith("@") else value
        for name, value in refused.params.items()
    }
    return text(language, refused.key, **params)


class IncidentDesk:
    """All that is done to the incidents of one realm. Every method may raise StoreUnavailable, and those that act
    Forbidden and the problems of this module.

    clock: the realm's. changed: called after each act of this process, before it is answered.
    """

    def __init__(
        self,
        engine: Engine,
        realm: Realm,
        *,
        clock: Clock,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._engine = engine
        self._realm = realm
        self._clock = clock
        self._host = SystemClock()
        self._changed = changed

    # ---- reading ------------------------------------------------------------------------------------------

    def get(self, incident_id: uuid.UUID, *, language: str) -> Incident:
        """One incident, open or not."""
        with self._in_words(language), realm_session(self._engine, self._realm) as session:
            return get_incident(session, incident_id)

    def find(
        self, wanted: IncidentFilter, *, limit: int, after: tuple[int, uuid.UUID] | None = None
    ) -> Sequence[Incident]:
        """Newest opened first. after: opened_at_us and id of the last one that was read."""
        with realm_session(self._engine, self._realm) as session:
            after_us, after_id = after or (None, None)
            return list_incidents(session, limit=limit, wanted=wanted, after_us=after_us, after_id=after_id)

    def log(
        self, incident_id: uuid.UUID, *, limit: int, language: str, before_event: int | None = None
    ) -> Sequence[tuple[str, IncidentEvent]]:
        """(number, entry) of the incident and of those that were merged into it, newest first."""
        with self._in_words(language), realm_session(self._engine, self._realm) as session:
            get_incident(session, incident_id)
            return incident_log(session, incident_id, limit=limit, before_event=before_event)

    def file(
        self, incident_id: uuid.UUID, attachment_id: uuid.UUID, *, person: Person, language: str
    ) -> tuple[Attachment, bytes]:
        """An attachment and its bytes, checked against their hash; who opened it is in the audit log. Raises Forbidden
        besides.
        """
        person.must_somewhere(Permission.READ_INCIDENT_FILES)
        with self._in_words(language), realm_session(self._engine, self._realm) as session:
            incident = get_incident(session, incident_id)
            must_at(session, person, Permission.READ_INCIDENT_FILES, incident)
            attachment = next((a for a in incident.attachments if a.attachment_id == attachment_id), None)
            if attachment is None:
                raise IncidentRefused("incident.error.unknown_file")
            content = content_of(session, attachment.sha256)
            append_view(
                session,
                actor=person.user.login,
                action="incident.file_opened",
                target=str(incident_id),
                detail={
                    "realm": self._realm.name,
                    "number": incident.number,
                    "file": attachment.name,
                    "sha256": attachment.sha256,
                },
                now_us=self._host.now_us(),
            )
            return attachment, content

    def note_printed(self, incident: Incident, *, by: Person, language: str, sha256: str) -> None:
        """Somebody took the incident out as a document: which state of it, in which language, and the file's hash."""
        with realm_session(self._engine, self._realm) as session:
            append_audit(
                session,
                actor=by.user.login,
                action="incident.printed",
                target=str(incident.incident_id),
                detail={
                    "realm": self._realm.name,
                    "number": incident.number,
                    "revision": incident.revision,
                    "entries": incident.entries,
                    "language": language,
                    "sha256": sha256,
                },
                now_us=self._clock.now_us(),
            )

    # ---- acting -------------------------------------------------------------------------------------------

    def open(
        self,
        doing: Doing,
        *,
        type: IncidentType,  # noqa: A002 - the field's name
        title: str,
        severity: Severity,
        owner: str | None,
        place: str = "",
        position: Position | None = None,
        cited: Cited | None = None,
    ) -> Done:
        """A new incident, from alerts or from nothing. An alert brings its track, its area and its place along.

        An alert that an open incident handles already is refused with that one's number, so that two officers who
        press the key at once open one incident.
        """
        doing.person.must_somewhere(Permission.MANAGE_INCIDENTS)

        def act(session: Session) -> Sequence[Act]:
            whole, alerts = self._cited(session, cited or Cited())
            for incident in open_incidents_of(session, whole.alerts):
                alert = next(a for a in alerts if a.alert_id in incident.cited.alerts)
                raise IncidentRefused("incident.error.already", what=alert.subject_label, number=incident.number)
            where = position or next((alert.position for alert in alerts if alert.position), None)
            lies = Where(areas=frozenset(whole.areas), position=where, called=_called_in(owner, where, whole))
            must_at(session, doing.person, Permission.MANAGE_INCIDENTS, lies, *alerts)
            change = acts.open_incident(
                number=self._number(session),
                realm=self._realm.name,
                type=type,
                title=title,
                severity=severity,
                owner=None if owner is None else _person(session, owner),
                place=place,
                position=where,
                cited=whole,
            )
            return [Act(incident_id=uuid.uuid4(), before=None, change=change)]

        return self._run(doing, act)

    def edit(self, doing: Doing, incident_id: uuid.UUID, **fields: Any) -> Done:
        """New values of type, title, severity, owner, place and position."""

        def act(session: Session, incident: Incident) -> Change | None:
            if fields.get("owner") is not None:
                fields["owner"] = _person(session, fields["owner"])
            return acts.edit(incident, **fields)

        return self._act(doing, incident_id, act, needs=Permission.MANAGE_INCIDENTS)

    def move(self, doing: Doing, incident_id: uuid.UUID, to: IncidentState, *, reason: str) -> Done:
        """One step of its state."""
        return self._act(
            doing, incident_id, lambda _, i: acts.move(i, to, reason=reason), needs=Permission.MANAGE_INCIDENTS
        )

    def comment(self, doing: Doing, incident_id: uuid.UUID, words: str) -> Done:
        """A line in the log."""
        return self._act(doing, incident_id, lambda _, i: acts.comment(i, words), needs=Permission.COMMENT_ON_INCIDENTS)

    def give_task(self, doing: Doing, incident_id: uuid.UUID, *, title: str, assignee: str) -> Done:
        """An order to a person or a team."""
        return self._act(
            doing,
            incident_id,
            lambda _, i: acts.give_task(i, task_id=uuid.uuid4(), title=title, assignee=assignee),
            needs=Permission.MANAGE_INCIDENTS,
        )

    def move_task(
        self, doing: Doing, incident_id: uuid.UUID, task_id: uuid.UUID, to: TaskState, *, reason: str
    ) -> Done:
        """A step of an order: by an officer, or by whom it was given to, who cannot cancel it."""
        person = doing.person

        def act(_: Session, incident: Incident) -> Change | None:
            task = incident.task(task_id)
            if task is not None and not person.may(Permission.MANAGE_INCIDENTS):
                if task.assignee.casefold() != person.user.login.casefold():
                    raise Forbidden(text(doing.language, "incident.error.own_task", assignee=task.assignee))
                if to is TaskState.CANCELLED:
                    person.must_somewhere(Permission.MANAGE_INCIDENTS)
            return acts.move_task(incident, task_id, to, reason=reason)

        def lies(incident: Incident) -> Where:
            where, task = where_is(incident), incident.task(task_id)
            return where if task is None else replace(where, called=where.called | {task.assignee})

        return self._act(doing, incident_id, act, needs=Permission.MOVE_OWN_TASKS, lies=lies)

    def join(self, doing: Doing, incident_id: uuid.UUID, login: str) -> Done:
        """Somebody takes part."""
        return self._act(
            doing, incident_id, lambda s, i: acts.join(i, _person(s, login)), needs=Permission.MANAGE_INCIDENTS
        )

    def leave(self, doing: Doing, incident_id: uuid.UUID, login: str) -> Done:
        """Somebody takes part no longer."""
        return self._act(doing, incident_id, lambda _, i: acts.leave(i, login), needs=Permission.MANAGE_INCIDENTS)

    def link(self, doing: Doing, incident_id: uuid.UUID, cited: Cited) -> Done:
        """Alerts, tracks and areas that belong to it. It handles the alerts then, so these have to be in reach too."""

        def act(session: Session, incident: Incident) -> Change | None:
            whole, alerts = self._cited(session, cited)
            must_at(session, doing.person, Permission.LINK_TO_INCIDENTS, incident, *alerts)
            return acts.link(incident, whole)

        return self._act(doing, incident_id, act, needs=Permission.LINK_TO_INCIDENTS)

    def unlink(self, doing: Doing, incident_id: uuid.UUID, cited: Cited, *, reason: str) -> Done:
        """What does not belong to it after all."""
        return self._act(
            doing,
            incident_id,
            lambda _, i: acts.unlink(i, cited, reason=reason),
            needs=Permission.LINK_TO_INCIDENTS,
        )

    def attach(self, doing: Doing, incident_id: uuid.UUID, *, name: str, content: bytes) -> Done:
        """A file of an allowed type, whatever its name says."""

        def act(session: Session, incident: Incident) -> Change | None:
            kept, media_type = checked_file(name, content)
            if sum(a.size_bytes for a in incident.attachments) + len(content) > MAX_TOTAL_BYTES:
                raise IncidentRefused("incident.error.file_total", limit=MAX_TOTAL_BYTES // 1_000_000)
            attachment = Attachment(
                attachment_id=uuid.uuid4(),
                name=kept,
                media_type=media_type,
                size_bytes=len(content),
                sha256=keep_content(session, content, now_us=self._host.now_us()),
                added_by=doing.person.user.login,
                added_at_us=self._clock.now_us(),
            )
            return acts.attach(incident, attachment)

        return self._act(doing, incident_id, act, needs=Permission.COMMENT_ON_INCIDENTS)

    def merge(self, doing: Doing, incident_id: uuid.UUID, *, into: uuid.UUID, reason: str) -> Done:
        """`incident_id` goes on as part of `into`, which is what comes back. doing.revision is the first one's."""
        doing.person.must_somewhere(Permission.MANAGE_INCIDENTS)

        def act(session: Session) -> Sequence[Act]:
            source, target = lock_incidents(session, incident_id, into)
            must_at(session, doing.person, Permission.MANAGE_INCIDENTS, source, target)
            _refuse_old(session, doing, source)
            gone, taken = acts.merge(source, target, reason=reason)
            return [
                Act(incident_id=source.incident_id, before=source, change=gone),
                Act(incident_id=target.incident_id, before=target, change=taken),
            ]

        return self._run(doing, act)

    def split(
        self,
        doing: Doing,
        incident_id: uuid.UUID,
        *,
        type: IncidentType,  # noqa: A002 - the field's name
        title: str,
        severity: Severity,
        cited: Cited,
        task_ids: tuple[uuid.UUID, ...],
        reason: str,
    ) -> Done:
        """A part of it becomes an incident of its own, which is what comes back; owner and place stay the same."""
        doing.person.must_somewhere(Permission.MANAGE_INCIDENTS)

        def act(session: Session) -> Sequence[Act]:
            (whole,) = lock_incidents(session, incident_id)
            must_at(session, doing.person, Permission.MANAGE_INCIDENTS, whole)
            _refuse_old(session, doing, whole)
            new_id, number = uuid.uuid4(), self._number(session)
            change, taken, tasks = acts.split(
                whole, into=new_id, into_number=number, cited=cited, task_ids=task_ids, reason=reason
            )
            opening = acts.open_incident(
                number=number,
                realm=self._realm.name,
                type=type,
                title=title,
                severity=severity,
                owner=whole.owner,
                place=whole.place,
                position=whole.position,
                cited=taken,
                tasks=tasks,
                split_from=whole,
            )
            return [
                Act(incident_id=whole.incident_id, before=whole, change=change),
                Act(incident_id=new_id, before=None, change=opening),
            ]

        return self._run(doing, act)

    # ---- how ----------------------------------------------------------------------------------------------

    def _act(
        self,
        doing: Doing,
        incident_id: uuid.UUID,
        verb: Callable[[Session, Incident], Change | None],
        *,
        needs: Permission,
        lies: Callable[[Incident], Where] | None = None,
    ) -> Done:
        """An act on one incident that is there. lies: where, unless it is where the incident is."""
        doing.person.must_somewhere(needs)

        def act(session: Session) -> Sequence[Act] | Incident:
            (before,) = lock_incidents(session, incident_id)
            must_at(session, doing.person, needs, where_is(before) if lies is None else lies(before))
            _refuse_old(session, doing, before)
            change = verb(session, before)
            return before if change is None else [Act(incident_id=incident_id, before=before, change=change)]

        return self._run(doing, act)

    def _run(self, doing: Doing, act: Callable[[Session], Sequence[Act] | Incident]) -> Done:
        """The transaction. The last of the acts is the incident that the caller is shown."""
        actor, now_us, host_us = doing.person.user.login, self._clock.now_us(), self._host.now_us()
        with self._in_words(doing.language), realm_session(self._engine, self._realm) as session:
            if doing.key is not None:
                before = claim_key(
                    session, actor=actor, key=doing.key, request_sha256=doing.request_sha256, now_us=host_us
                )
                if before is not None:
                    was = incident_at(session, uuid.UUID(before["incident_id"]), int(before["entry"]))
                    return Done(incident=was, came_before=True)
            entered = act(session)
            if isinstance(entered, Incident):
                shown = entered
            else:
                changed = append_acts(session, entered, actor=actor, observed_at_us=now_us, recorded_at_us=host_us)
                for what, incident in zip(entered, changed, strict=True):
                    append_audit(
                        session,
                        actor=actor,
                        action=f"incident.{what.change.kind.value}",
                        target=str(incident.incident_id),
                        detail={
                            "realm": self._realm.name,
                            "number": incident.number,
                            "entry": incident.entries,
                            "revision": incident.revision,
                            "reason": what.change.detail.get("reason", ""),
                        },
                        now_us=now_us,
                    )
                shown = changed[-1]
            if doing.key is not None:
                outcome = {"incident_id": str(shown.incident_id), "entry": shown.entries}
                keep_outcome(session, actor=actor, key=doing.key, outcome=outcome)
        self._changed()
        return Done(incident=shown)

    @contextmanager
    def _in_words(self, language: str) -> Iterator[None]:
        """Refusals become problems in the reader's language."""
        try:
            yield
        except _OldRevision as exc:
            what = "、" if language == "ja" else ", "
            done = dict.fromkeys(text(language, f"incident.event.{event.kind.value}") for event in exc.events)
            words = text(language, "incident.error.changed", number=exc.incident.number, what=what.join(done))
            raise IncidentChanged(words, incident=exc.incident, events=exc.events) from exc
        except UnknownIncident as exc:
            words = text(language, "incident.error.unknown", id=str(exc))
            raise IncidentNotFound(words, key="incident.error.unknown") from exc
        except KeyReused as exc:
            raise BadIncident(text(language, "incident.error.key_reused"), key="incident.error.key_reused") from exc
        except IncidentRefused as exc:
            word = exc.key.rpartition(".")[2]
            kind: type[IncidentProblem] = BadIncident
            if word in _NOT_FOUND:
                kind = IncidentNotFound
            elif word in _CONFLICTS:
                kind = IncidentConflict
            raise kind(told(language, exc), key=exc.key) from exc

    def _number(self, session: Session) -> str:
        return next_number(session, from_us(self._clock.now_us()).astimezone(_JST).year)

    def _cited(self, session: Session, cited: Cited) -> tuple[Cited, Sequence[Alert]]:
        """What is cited, each once and with what its alerts bring along; the alerts stay locked."""
        alerts = {alert.alert_id: alert for alert in lock_alerts(session, cited.alerts)}
        for alert_id in cited.alerts:
            if alert_id not in alerts:
                raise IncidentRefused("incident.error.unknown_alert", id=str(alert_id))
        found = known_tracks(session, cited.tracks)
        for track_id in cited.tracks:
            if track_id not in found:
                raise IncidentRefused("incident.error.unknown_track", id=str(track_id))
        if cited.areas:
            slugs = {area.slug for area in current_areas(session)}
            for area in cited.areas:
                if area not in slugs:
                    raise IncidentRefused("incident.error.unknown_area", id=area)
        in_order = [alerts[alert_id] for alert_id in dict.fromkeys(cited.alerts)]
        brought = Cited(
            tracks=tuple(a.track_id for a in in_order if a.track_id is not None),
            areas=tuple(a.area for a in in_order if a.area is not None),
        )
        return cited + brought, in_order


class _OldRevision(Exception):
    def __init__(self, incident: Incident, events: Sequence[IncidentEvent]) -> None:
        super().__init__(incident.number)
        self.incident, self.events = incident, events


def _called_in(owner: str | None, position: Position | None, cited: Cited) -> frozenset[str]:
    """An incident that has no place yet is its owner's."""
    return frozenset() if owner is None or position is not None or cited.areas else frozenset({owner})


def _refuse_old(session: Session, doing: Doing, incident: Incident) -> None:
    if doing.revision is not None and doing.revision != incident.revision:
        raise _OldRevision(incident, events_since(session, incident.incident_id, doing.revision))


def _person(session: Session, login: str) -> str:
    """The account's login as it is written. Raises IncidentRefused where there is none that is in use."""
    user = find_user_by_login(session, login.strip())
    if user is None or user.disabled:
        raise IncidentRefused("incident.error.unknown_person", login=login)
    return user.login
