"""Answers that come by the broker: identity first, then one transaction, then a reply, and then the acknowledgement.

Killed in between, the message comes again and is known by its id. A store that is away is waited for with the message
in hand: given back, it would count as poison after a few tries.
"""

from __future__ import annotations

import os
import threading
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic, time_ns
from typing import Any, Final

import structlog
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from alerts.message import REPLY, RESPONSE, InvalidMessage, decode, encode, read_response, reply_body
from command.bus import (
    RESPONSES,
    TEAM_USER_PREFIX,
    Consumer,
    Message,
    ReplyPublisher,
    Team,
    response_topology,
    team_user,
)
from command.domain.clock import US_PER_S, Clock
from command.domain.realm import Realm
from command.domain.response import Response, ResponseChannel
from command.operations.responses import Result, Verdict, take_response
from command.store.audit import append_audit
from command.store.engine import StoreNotMigrated, StoreUnavailable, realm_session
from command.store.health import save_heartbeat

PROCESS: Final = "dispatch-responses"
_LOOK_S: Final = 0.5
_RETRY_S: Final = 1.0
_TELL_EVERY_S: Final = 4.0
_TROUBLE_STAYS_US: Final = 3_600 * US_PER_S
"""So long an operator is told of an answer that came under a false name."""
_PREFETCH: Final = 20

_log = structlog.get_logger(__name__)


def run(
    *, engine: Engine, amqp_url: str, realm: Realm, teams: Sequence[Team], clock: Clock, ending: threading.Event
) -> None:
    """Take the teams' answers until `ending` is set. A database or broker that is away is waited for, for ever."""
    topology = response_topology(teams)
    with (
        Consumer(
            amqp_url, realm.vhost, [RESPONSES], prefetch=_PREFETCH, name="mizugiwa responses", topology=topology
        ) as consumer,
        ReplyPublisher(amqp_url, realm.vhost) as replies,
    ):
        intake = ResponseIntake(engine, realm=realm, teams=teams, clock=clock, replies=replies)
        while not ending.is_set():
            message = consumer.get(_LOOK_S)
            if message is not None:
                _until_done(intake, message, ending)
            intake.tell(consumer.trouble)
        replies.drain(2.0)


def _until_done(intake: ResponseIntake, message: Message, ending: threading.Event) -> None:
    while not ending.is_set():
        try:
            intake.take(message)
        except (StoreUnavailable, StoreNotMigrated) as exc:
            _log.warning("responses_wait_for_the_store", trouble=str(exc))
            ending.wait(_RETRY_S)
        except Exception:  # noqa: BLE001 - a defect with one answer must not stop the others; it becomes a dead letter
            _log.exception("response_not_taken", message_id=message.message_id)
            message.nack()
            return
        else:
            return


class ResponseIntake:
    """Takes one message after the other, in one thread."""

    def __init__(
        self, engine: Engine, *, realm: Realm, teams: Sequence[Team], clock: Clock, replies: ReplyPublisher
    ) -> None:
        self._engine, self._realm, self._clock, self._replies = engine, realm, clock, replies
        self._teams = frozenset(team.name for team in teams)
        self._counts: Counter[str] = Counter()
        self._trouble: tuple[int, str] | None = None
        self._told_at_s = -_TELL_EVERY_S

    def take(self, message: Message) -> None:
        """Take a message and answer it. Raises StoreUnavailable, StoreNotMigrated: then nothing was done."""
        try:
            response = read_response(body := decode(message.body, kind=RESPONSE))
        except InvalidMessage as exc:
            self._refuse(message, "unreadable", str(exc), reply=Verdict(result=Result.REFUSED, code="unreadable"))
            return
        if message.user_id != team_user(response.team):
            why = f"user {message.user_id!r} answered for team {response.team!r}"
            verdict = Verdict(result=Result.REFUSED, code="not_yours", params={"team": response.team})
            self._refuse(message, "impostor", why, reply=verdict, response=response)
            return
        if body["realm"] != self._realm.name:
            verdict = Verdict(result=Result.REFUSED, code="other_realm", params={"realm": body["realm"]})
        else:
            with realm_session(self._engine, self._realm) as session:
                verdict = self._taken(session, response)
        self._counts[verdict.result.value] += 1
        self._reply(message, response.team, verdict, response)
        message.ack()

    def _taken(self, session: Session, response: Response) -> Verdict:
        return take_response(
            session,
            self._realm,
            replace(response, answered_at_us=self._clock.at_host_us(response.answered_at_us)),
            channel=ResponseChannel.AMQP,
            sender=team_user(response.team),
            teams=self._teams,
            now_us=self._clock.now_us(),
        )

    def _refuse(
        self, message: Message, reason: str, why: str, *, reply: Verdict, response: Response | None = None
    ) -> None:
        """Not to be believed: kept as a dead letter, counted, in the audit log, and told to whoever really sent it."""
        now_us = self._clock.now_us()
        with realm_session(self._engine, self._realm) as session:
            append_audit(
                session,
                actor=message.user_id or "unknown",
                action=f"response.{reason}",
                target=message.routing_key,
                detail={"realm": self._realm.name, "why": why[:500]},
                now_us=now_us,
            )
        self._counts[reason] += 1
        _log.warning("response_refused", reason=reason, why=why, user=message.user_id)
        self._trouble = now_us, f"{reason}: {why[:200]}"
        sender = (message.user_id or "").removeprefix(TEAM_USER_PREFIX)
        if message.user_id is not None and message.user_id.startswith(TEAM_USER_PREFIX) and sender in self._teams:
            self._reply(message, sender, reply, response)
        message.reject()

    def _reply(self, message: Message, team: str, verdict: Verdict, response: Response | None) -> None:
        """To the queue of the team that it came from, never to an address that the message names: dispatch may write
        where a team may not.
        """
        if team not in self._teams:
            return
        body = reply_body(
            self._realm,
            team=team,
            response_id=_uuid(message.message_id) if response is None else response.response_id,
            alert_id=None if response is None else response.alert_id,
            result=verdict.result.value,
            code=verdict.code,
            why=verdict.in_all_languages(),
            state=verdict.state,
            revision=None if verdict.alert is None else verdict.alert.revision,
        )
        if not self._replies.publish(encode(body, kind=REPLY), team=team, message_id=str(uuid.uuid4())):
            _log.warning("reply_not_sent", team=team)  # the team sends its answer again and is told then

    def tell(self, broker_trouble: str | None) -> None:
        """Write this thread's row for the health panel, now and then."""
        if monotonic() - self._told_at_s < _TELL_EVERY_S:
            return
        self._told_at_s = monotonic()
        if self._trouble is not None and self._clock.now_us() - self._trouble[0] > _TROUBLE_STAYS_US:
            self._trouble = None
        detail: dict[str, Any] = {**self._counts}
        trouble = broker_trouble or (None if self._trouble is None else self._trouble[1])
        if trouble is not None:
            detail["trouble"] = trouble
        try:
            with realm_session(self._engine, self._realm) as session:
                save_heartbeat(session, PROCESS, now_us=time_ns() // 1_000, pid=os.getpid(), detail=detail)
        except (StoreUnavailable, StoreNotMigrated) as exc:
            _log.warning("the heartbeat was not stored", process=PROCESS, reason=str(exc))


def _uuid(word: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(word or "")
    except ValueError:
        return None
