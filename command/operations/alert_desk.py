"""What officers do to many alerts at once, and silences: each act says how many it did, which it did not, and why."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from alerts.explain import rule_name, subject_name
from command.domain.alert import Alert, AlertEventKind
from command.domain.alert_acts import (
    COMMENT_LIMIT,
    MOST_AT_ONCE,
    REASON_LIMIT,
    ActRefused,
    acknowledged,
    assigned,
    escalated,
    unassigned,
    withdrawn,
)
from command.domain.clock import US_PER_S, Clock, SystemClock
from command.domain.people import User
from command.domain.realm import Realm
from command.domain.silence import LONGEST_S, SHORTEST_S, Matcher, Silence
from command.domain.silence import MOST_AT_ONCE as MOST_SILENCES
from command.i18n import text
from command.i18n.times import jst
from command.operations.incidents import Doing
from command.operations.people import GRANTS, Permission
from command.operations.territory import Territory, Where, as_seen_from, must_at
from command.store.alerts import Acted, act_on_alerts
from command.store.areas import areas_called
from command.store.audit import append_audit
from command.store.engine import realm_session
from command.store.idempotency import KeyReused, claim_key, keep_outcome
from command.store.jsonb import clean_text
from command.store.people import find_user_by_login, list_users
from command.store.silences import SilenceOver, UnknownSilence, begin_silences, end_silence, list_silences

__all__ = ["AlertDesk", "AlertProblem", "BadAct", "Outcome", "Refusal", "SilenceGone"]

SHOWN_FOR_US: Final = 24 * 3_600 * US_PER_S
"""A silence that is over is listed this long."""
_LISTED: Final = 100


class AlertProblem(Exception):
    """An act that cannot be done at all, in the reader's language; `key` names the text."""

    def __init__(self, words: str, *, key: str) -> None:
        super().__init__(words)
        self.key = key


class BadAct(AlertProblem):
    """What was sent cannot be used."""


class SilenceGone(AlertProblem):
    """There is no such silence, or it is over."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """An alert that an act was not done to, and why, in the reader's language."""

    alert_id: uuid.UUID
    what: str
    why: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of an act on many alerts."""

    done: tuple[uuid.UUID, ...]
    refused: tuple[Refusal, ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "done": [str(each) for each in self.done],
            "refused": [{"alert_id": str(r.alert_id), "what": r.what, "why": r.why} for r in self.refused],
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Outcome:
        return cls(
            done=tuple(uuid.UUID(each) for each in kept["done"]),
            refused=tuple(
                Refusal(alert_id=uuid.UUID(r["alert_id"]), what=r["what"], why=r["why"]) for r in kept["refused"]
            ),
        )


class AlertDesk:
    """The acts of one realm. Each is one transaction, takes the realm's time, and is done once a key.

    changed: called after each with the alerts as they are after it, so that the list shows it at once.
    Every act may raise Forbidden, BadAct and StoreUnavailable, and OutsideAreas where nothing of it lies in the
    person's areas.
    """

    def __init__(
        self, engine: Engine, realm: Realm, *, clock: Clock, changed: Callable[[Sequence[Alert]], None]
    ) -> None:
        self._engine = engine
        self._realm = realm
        self._clock = clock
        self._changed = changed
        self._host = SystemClock()

    def assignees(self) -> list[User]:
        """Whoever may have an alert in hand: they may acknowledge."""
        with realm_session(self._engine, self._realm) as session:
            return [user for user in list_users(session) if _may_have(user)]

    def acknowledge(self, doing: Doing, alert_ids: Sequence[uuid.UUID], *, comment: str) -> Outcome:
        """The officer has seen them."""
        kept = self._said(doing, comment, limit=COMMENT_LIMIT)
        act = partial(acknowledged, by=doing.person.user.login, comment=kept)
        return self._act(
            doing, alert_ids, act, kind=AlertEventKind.ACKNOWLEDGED, needs=Permission.ACKNOWLEDGE, comment=kept
        )

    def assign(self, doing: Doing, alert_ids: Sequence[uuid.UUID], *, to: str, take_over: bool) -> Outcome:
        """`to` (a login) has them in hand from now on. take_over: also those that somebody else has."""
        doing.person.must_somewhere(Permission.ASSIGN_ALERTS)
        with realm_session(self._engine, self._realm) as session:
            user = find_user_by_login(session, to)
        if user is None or not _may_have(user):
            raise self._bad(doing, "cannot_have", who=to)
        act = partial(assigned, to=user.login, by=doing.person.user.login, take_over=take_over)
        # who works on it at the desk is nothing that the teams act on: it is kept, and not sent to them
        return self._act(
            doing,
            alert_ids,
            act,
            kind=AlertEventKind.ASSIGNED,
            needs=Permission.ASSIGN_ALERTS,
            delivered=False,
            to=user.login,
        )

    def unassign(self, doing: Doing, alert_ids: Sequence[uuid.UUID]) -> Outcome:
        """Nobody has them in hand any more."""
        return self._act(
            doing,
            alert_ids,
            unassigned,
            kind=AlertEventKind.UNASSIGNED,
            needs=Permission.ASSIGN_ALERTS,
            delivered=False,
        )

    def escalate(self, doing: Doing, alert_ids: Sequence[uuid.UUID], *, reason: str) -> Outcome:
        """One severity higher, waiting at every desk and sent to the teams again."""
        kept = self._reason(doing, reason)
        act = partial(escalated, by=doing.person.user.login, reason=kept)
        return self._act(
            doing, alert_ids, act, kind=AlertEventKind.ESCALATED, needs=Permission.ESCALATE_ALERTS, reason=kept
        )

    def withdraw(self, doing: Doing, alert_ids: Sequence[uuid.UUID], *, reason: str) -> Outcome:
        """Take an escalation back: the severity is the rule's again."""
        kept = self._reason(doing, reason)
        return self._act(
            doing,
            alert_ids,
            withdrawn,
            kind=AlertEventKind.WITHDRAWN,
            needs=Permission.ESCALATE_ALERTS,
            reason=kept,
        )

    # ---- silences -----------------------------------------------------------------------------------------

    def silences(self) -> list[tuple[Silence, int]]:
        """Those in force and those that were in the last day, the newest first, with how many alerts each was about.
        Raises StoreUnavailable.
        """
        with realm_session(self._engine, self._realm) as session:
            return list_silences(session, since_us=self._clock.now_us() - SHOWN_FOR_US, limit=_LISTED)

    def silence(self, doing: Doing, matchers: Sequence[Matcher], *, reason: str, lasts_s: int) -> list[uuid.UUID]:
        """Begin a silence for each matcher; their ids. A critical alert is never quiet, whatever matches it.

        Raises OutsideAreas where a matcher reaches beyond the person's areas.
        """
        doing.person.must_somewhere(Permission.SILENCE_ALERTS)
        kept = self._reason(doing, reason)
        wanted = list(dict.fromkeys(matchers))
        if not 0 < len(wanted) <= MOST_SILENCES:
            raise self._bad(doing, "silences_at_once", limit=MOST_SILENCES, given=len(wanted))
        if not SHORTEST_S <= lasts_s <= LONGEST_S:
            raise self._bad(doing, "silence_lasts", least=SHORTEST_S // 60, most=LONGEST_S // 3_600)
        now_us = self._clock.now_us()
        begun = [
            Silence(
                silence_id=uuid.uuid4(),
                matcher=matcher,
                reason=kept,
                author=doing.person.user.login,
                created_at_us=now_us,
                expires_at_us=now_us + lasts_s * US_PER_S,
            )
            for matcher in wanted
        ]

        def begin(session: Session) -> Mapping[str, Any]:
            must_at(session, doing.person, Permission.SILENCE_ALERTS, *(_where(session, each) for each in wanted))
            begin_silences(session, begun)
            for each in begun:
                detail = {**_matcher_json(each.matcher), "reason": kept, "minutes": lasts_s // 60}
                self._audit(session, doing, "silence.begun", str(each.silence_id), now_us=now_us, **detail)
            return {"silences": [str(each.silence_id) for each in begun]}

        kept_outcome = self._once(doing, begin)
        self._changed(())
        return [uuid.UUID(each) for each in kept_outcome["silences"]]

    def end(self, doing: Doing, silence_id: uuid.UUID) -> Silence:
        """End a silence before its time: what it kept quiet is heard from now on. Raises SilenceGone."""
        now_us = self._clock.now_us()
        try:
            with realm_session(self._engine, self._realm) as session:
                ended = end_silence(session, silence_id, by=doing.person.user.login, now_us=now_us)
                must_at(session, doing.person, Permission.SILENCE_ALERTS, _where(session, ended.matcher))
                self._audit(session, doing, "silence.ended", str(silence_id), now_us=now_us)
        except (UnknownSilence, SilenceOver) as exc:
            raise SilenceGone(text(doing.language, "triage.error.silence_gone"), key="silence_gone") from exc
        self._changed(())
        return ended

    # ---- how ----------------------------------------------------------------------------------------------

    def _act(
        self,
        doing: Doing,
        alert_ids: Sequence[uuid.UUID],
        act: Callable[..., Alert],
        *,
        kind: AlertEventKind,
        needs: Permission,
        delivered: bool = True,
        **detail: str,
    ) -> Outcome:
        doing.person.must_somewhere(needs)
        wanted = list(dict.fromkeys(alert_ids))
        if not 0 < len(wanted) <= MOST_AT_ONCE:
            raise self._bad(doing, "at_once", limit=MOST_AT_ONCE, given=len(wanted))
        now_us, by = self._clock.now_us(), doing.person.user.login
        changed: list[Alert] = []

        def run(session: Session) -> Mapping[str, Any]:
            person = doing.person
            territory = Territory(areas_called(session, person.areas or ()))

            def where_they_may(alert: Alert) -> Alert:
                if not as_seen_from(person, territory, alert).may(needs):
                    raise ActRefused("outside")
                return act(alert, now_us=now_us)

            acted = act_on_alerts(session, wanted, where_they_may, kind=kind, by=by, delivered=delivered)
            if not acted.done and acted.refused and all(exc.key == "outside" for _, exc in acted.refused):
                must_at(session, person, needs, *(alert for alert, _ in acted.refused))
            for alert in acted.done:
                self._audit(session, doing, f"alert.{kind.value}", str(alert.alert_id), now_us=now_us, **detail)
            changed.extend(acted.done)
            return _outcome(acted, wanted, doing.language).to_json()

        outcome = Outcome.from_json(self._once(doing, run))
        self._changed(changed)
        return outcome

    def _once(self, doing: Doing, act: Callable[[Session], Mapping[str, Any]]) -> Mapping[str, Any]:
        """Do it in a transaction; where the request came before under its key, what came of it then."""
        actor = doing.person.user.login
        try:
            with realm_session(self._engine, self._realm) as session:
                if doing.key is None:
                    return act(session)
                before = claim_key(
                    session,
                    actor=actor,
                    key=doing.key,
                    request_sha256=doing.request_sha256,
                    now_us=self._host.now_us(),
                )
                if before is not None:
                    return before
                outcome = act(session)
                keep_outcome(session, actor=actor, key=doing.key, outcome=outcome)
                return outcome
        except KeyReused as exc:
            raise BadAct(text(doing.language, "incident.error.key_reused"), key="key_reused") from exc

    def _audit(self, session: Session, doing: Doing, action: str, target: str, *, now_us: int, **detail: Any) -> None:
        append_audit(
            session,
            actor=doing.person.user.login,
            action=action,
            target=target,
            detail={"realm": self._realm.name, **detail},
            now_us=now_us,
        )

    def _reason(self, doing: Doing, reason: str) -> str:
        kept = self._said(doing, reason, limit=REASON_LIMIT)
        if not kept:
            raise self._bad(doing, "reason_needed")
        return kept

    def _said(self, doing: Doing, words: str, *, limit: int) -> str:
        kept = " ".join(clean_text(words).split())
        if len(kept) > limit:
            raise self._bad(doing, "too_long", limit=limit, given=len(kept))
        return kept

    def _bad(self, doing: Doing, key: str, **params: Any) -> BadAct:
        return BadAct(text(doing.language, f"triage.error.{key}", **params), key=key)


def refusal_words(refused: ActRefused, language: str) -> str:
    """Why an act was not done, in the reader's language."""
    params = dict(refused.params)
    if "at_us" in params:
        params["time"] = jst(params.pop("at_us"))
    return text(language, f"triage.refused.{refused.key}", **params)


def _outcome(acted: Acted, wanted: Sequence[uuid.UUID], language: str) -> Outcome:
    refused = {
        alert.alert_id: Refusal(
            alert_id=alert.alert_id,
            what=f"{rule_name(alert.rule, language)} {subject_name(alert, language)}",
            why=refusal_words(exc, language),
        )
        for alert, exc in acted.refused
    }
    for alert_id in acted.unknown:
        refused[alert_id] = Refusal(alert_id=alert_id, what=str(alert_id), why=text(language, "triage.refused.unknown"))
    done = {alert.alert_id for alert in acted.done}
    return Outcome(
        done=tuple(each for each in wanted if each in done),
        refused=tuple(refused[each] for each in wanted if each in refused),
    )


def _where(session: Session, matcher: Matcher) -> Where:
    """A silence lies in the area that it names; without one it is of the whole coast."""
    if matcher.area is None:
        return Where()
    shapes = [area.geometry for area in areas_called(session, (matcher.area,))]
    return Where(areas=frozenset({matcher.area}), shape=shapes[0] if shapes else None)


def _matcher_json(matcher: Matcher) -> dict[str, str]:
    named = {"rule": matcher.rule, "subject": matcher.subject, "area": matcher.area}
    return {name: value for name, value in named.items() if value is not None}


def _may_have(user: User) -> bool:
    return not user.disabled and bool(user.roles & GRANTS[Permission.ACKNOWLEDGE])
