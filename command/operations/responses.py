"""Answers from the field: what a team says to an alert, by whichever way it comes, has one effect and is done once.

`take_response` is that one way. What comes by the broker, by the REST API or from the console differs only in who may.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from command.domain.alert import Alert, AlertEventKind
from command.domain.alert_acts import responded
from command.domain.clock import Clock, SystemClock
from command.domain.geo import Position
from command.domain.ids import response_id as response_id_of
from command.domain.realm import Realm
from command.domain.response import (
    COMMENT_LIMIT,
    NEEDS_COMMENT,
    RESPONDER_LIMIT,
    Response,
    ResponseChannel,
    ResponseKind,
    TeamResponse,
    TeamState,
    standing,
)
from command.i18n import LANGUAGES, text
from command.operations.alert_desk import AlertProblem, BadAct
from command.operations.incidents import Doing
from command.operations.people import Permission
from command.operations.territory import must_at
from command.operations.triage import UnknownAlert
from command.store.alerts import act_on_alerts, lock_alerts
from command.store.audit import append_audit
from command.store.engine import realm_session
from command.store.jsonb import clean_text
from command.store.responses import KeptResponse, ResponseIdReused, keep_response, list_responses, responses_of

__all__ = ["KeptResponse", "ResponseConflict", "ResponseDesk", "Result", "Verdict", "take_response"]

MOST_A_TEAM: Final = 500
"""So many answers of one team to one alert are kept; a program that sends more is broken."""


class Result(StrEnum):
    """What became of an answer."""

    ACCEPTED = "accepted"
    NO_EFFECT = "no_effect"
    """Kept; it changes nothing where the team stands."""
    REFUSED = "refused"
    """Not kept; sending the same again is of no use."""


class ResponseConflict(AlertProblem):
    """The answer does not fit what is known."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What became of an answer, and where its team stands now. code: the name of a text response.why.*, with params.

    came_before: nothing was done, because the same answer had been taken.
    """

    result: Result
    code: str | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    state: TeamState | None = None
    alert: Alert | None = None
    came_before: bool = False

    def why(self, language: str) -> str | None:
        """The reason for people; None where it was accepted."""
        if self.code is None:
            return None
        params = dict(self.params)
        if "state" in params:
            params["state"] = text(language, f"response.state.{params['state']}")
        return text(language, f"response.why.{self.code}", **params)

    def in_all_languages(self) -> dict[str, str] | None:
        return None if self.code is None else {language: self.why(language) or "" for language in LANGUAGES}


def take_response(
    session: Session,
    realm: Realm,
    response: Response,
    *,
    channel: ResponseChannel,
    sender: str,
    teams: Collection[str],
    now_us: int,
    may: Callable[[Alert], None] = lambda _alert: None,
) -> Verdict:
    """Take one answer in the caller's transaction: its row, where the team stands, the alert's revision and the audit.

    sender: the broker's user or the login; that they may speak for the team, the caller has seen to. teams: those that
    there are. now_us: the realm's time. may: called with the alert before anything is written; what it raises ends it.
    """
    said = replace(
        response,
        responder=" ".join(clean_text(response.responder).split())[:RESPONDER_LIMIT],
        comment=" ".join(clean_text(response.comment).split())[:COMMENT_LIMIT],
        # a clock that is ahead must not put this answer after all that the team says from now on
        answered_at_us=min(response.answered_at_us, now_us),
    )
    refused = partial(Verdict, result=Result.REFUSED)
    unfit = _unfit(said, teams)
    if unfit is not None:
        return unfit
    locked = lock_alerts(session, [said.alert_id])
    if not locked:
        return refused(code="unknown_alert")
    (alert,) = locked
    may(alert)
    before = responses_of(session, said.alert_id, said.team)
    beyond = None if said.response_id in {each.response_id for each in before} else _beyond(said, alert, len(before))
    if beyond is not None:
        return beyond
    try:
        fresh = keep_response(session, said, channel=channel, sender=sender, now_us=now_us)
    except ResponseIdReused:
        return refused(code="id_reused", alert=alert)
    stands = standing([*before, said] if fresh else before)
    if fresh:
        alert = _told(session, alert, stands.response, sender=sender, now_us=now_us)
        _audit(session, realm, said, channel=channel, sender=sender, now_us=now_us)
    state = None if stands.response is None else stands.response.state
    verdict = Verdict(result=Result.ACCEPTED, state=state, alert=alert, came_before=not fresh)
    if said.response_id not in stands.idle:
        return verdict
    stood = stands.idle[said.response_id]
    code, params = ("nothing_taken", {}) if stood is None else ("stands_already", {"state": stood.value})
    return replace(verdict, result=Result.NO_EFFECT, code=code, params=params)


def _unfit(said: Response, teams: Collection[str]) -> Verdict | None:
    """What is wrong with an answer by itself."""
    refused = partial(Verdict, result=Result.REFUSED)
    if said.team not in teams:
        return refused(code="unknown_team", params={"team": said.team})
    if not said.responder:
        return refused(code="responder_needed")
    if said.kind in NEEDS_COMMENT and not said.comment:
        return refused(code=f"comment_needed_{said.kind.value}")
    return None


def _beyond(said: Response, alert: Alert, given: int) -> Verdict | None:
    """What is wrong with an answer to this alert, to which its team has answered so often."""
    refused = partial(Verdict, result=Result.REFUSED, alert=alert)
    if said.revision_seen > alert.revision:
        return refused(code="revision_ahead", params={"revision": alert.revision})
    return refused(code="too_many", params={"limit": MOST_A_TEAM}) if given >= MOST_A_TEAM else None


def _told(session: Session, alert: Alert, stands: TeamResponse | None, *, sender: str, now_us: int) -> Alert:
    """The alert with where the team stands, as a revision that goes out to everybody; unchanged where it stood so."""
    if stands is None:
        return alert

    def respond(before: Alert) -> Alert:
        return responded(before, response=stands, now_us=now_us)

    acted = act_on_alerts(session, [alert.alert_id], respond, kind=AlertEventKind.RESPONDED, by=sender)
    return acted.done[0] if acted.done else alert


def _audit(
    session: Session, realm: Realm, said: Response, *, channel: ResponseChannel, sender: str, now_us: int
) -> None:
    append_audit(
        session,
        actor=sender,
        action=f"response.{said.kind.value}",
        target=str(said.alert_id),
        detail={
            "realm": realm.name,
            "team": said.team,
            "responder": said.responder,
            "channel": channel.value,
            "comment": said.comment,
            "response_id": str(said.response_id),
        },
        now_us=now_us,
    )


class ResponseDesk:
    """Answers that people give by the API or record at the console, in one realm.

    changed: called with the alert after each. teams: the names of those that there are.
    """

    def __init__(
        self,
        engine: Engine,
        realm: Realm,
        *,
        clock: Clock,
        teams: Sequence[str],
        changed: Callable[[Sequence[Alert]], None],
    ) -> None:
        self._engine, self._realm, self._clock = engine, realm, clock
        self._changed = changed
        self._host = SystemClock()
        self.teams = tuple(teams)

    def respond(
        self,
        doing: Doing,
        alert_id: uuid.UUID,
        *,
        channel: ResponseChannel,
        team: str,
        kind: ResponseKind,
        responder: str,
        revision_seen: int,
        comment: str = "",
        answered_at_us: int | None = None,
        position: Position | None = None,
        response_id: uuid.UUID | None = None,
    ) -> Verdict:
        """Take an answer of a team from a person. answered_at_us: by the host's clock, now unless given.

        The same response_id, or else the same Idempotency-Key of the same person, is taken once. Raises Forbidden,
        OutsideAreas, UnknownAlert, BadAct, ResponseConflict and StoreUnavailable.
        """
        person = doing.person
        person.must_somewhere(Permission.RESPOND)
        login = person.user.login
        if response_id is None:
            response_id = uuid.uuid4() if doing.key is None else response_id_of(login, doing.key)
        host_us = self._host.now_us() if answered_at_us is None else answered_at_us
        with realm_session(self._engine, self._realm) as session:

            def may(alert: Alert) -> None:
                must_at(session, person, Permission.RESPOND, alert)

            verdict = take_response(
                session,
                self._realm,
                Response(
                    response_id=response_id,
                    alert_id=alert_id,
                    team=team,
                    kind=kind,
                    revision_seen=revision_seen,
                    responder=responder,
                    answered_at_us=self._clock.at_host_us(host_us),
                    comment=comment,
                    position=position,
                ),
                channel=channel,
                sender=login,
                teams=self.teams,
                now_us=self._clock.now_us(),
                may=may,
            )
        if verdict.result is Result.REFUSED:
            raise _problem(verdict, doing.language, alert_id)
        if verdict.alert is not None and not verdict.came_before:
            self._changed([verdict.alert])
        return verdict

    def listed(self, alert_id: uuid.UUID) -> Sequence[KeptResponse]:
        """What was answered to an alert, the newest first; empty for one that there is not. Raises StoreUnavailable."""
        with realm_session(self._engine, self._realm) as session:
            return list_responses(session, alert_id)


_CONFLICTS: Final = frozenset({"id_reused", "revision_ahead", "too_many"})


def _problem(verdict: Verdict, language: str, alert_id: uuid.UUID) -> Exception:
    words, code = verdict.why(language) or "", verdict.code or ""
    if code == "unknown_alert":
        return UnknownAlert(f"{words} ({alert_id})")
    return (ResponseConflict if code in _CONFLICTS else BadAct)(words, key=code)
