"""Alerts over REST: the list a duty officer triages, one alert with its evidence, and the acts on one or on many.

An act on many answers with what it did and what it did not, and why. Every act on many takes an Idempotency-Key: sent
twice, it is done once and answered twice the same.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from shapely.geometry import mapping

from command.api.incidents import Adds
from command.domain.alert import Alert
from command.domain.alert_acts import COMMENT_LIMIT, MOST_AT_ONCE, REASON_LIMIT
from command.domain.clock import from_us
from command.domain.notice import AccountLine
from command.operations.access import needs
from command.operations.console import ALERT_LIMIT, Console
from command.operations.deliveries import Delivery
from command.operations.evidence import Evidence
from command.operations.people import LOGIN_LIMIT, Permission, current_language, current_person

_LISTED: Final = 500


class Acknowledgement(BaseModel):
    """What an officer says when acknowledging; an empty comment is a comment."""

    model_config = ConfigDict(extra="forbid")

    comment: str = Field(default="", max_length=COMMENT_LIMIT)


class Many(BaseModel):
    """The alerts that an act is about."""

    model_config = ConfigDict(extra="forbid")

    alerts: list[uuid.UUID] = Field(min_length=1, max_length=MOST_AT_ONCE)


class AcknowledgementOfMany(Many):
    """The same words for each."""

    comment: str = Field(default="", max_length=COMMENT_LIMIT)


class Assignment(Many):
    """to: a login. take_over: also what somebody else has in hand."""

    to: str = Field(min_length=1, max_length=LOGIN_LIMIT)
    take_over: bool = False


class WithReason(Many):
    """An act that says why."""

    reason: str = Field(max_length=REASON_LIMIT)


class RefusedAlert(BaseModel):
    """An alert that the act was not done to, and why."""

    alert_id: uuid.UUID
    what: str
    why: str


class OutcomeOfMany(BaseModel):
    """Each alert that was sent is in one of the two."""

    done: list[uuid.UUID]
    refused: list[RefusedAlert]


class Assignee(BaseModel):
    """Somebody who may have an alert in hand."""

    login: str
    name: str


class ProofShown(BaseModel):
    """One observation. words: what it proves, in the reader's language."""

    observation_id: str
    observed_at: datetime
    lon: float | None
    lat: float | None
    source: str
    words: str


class AreaConcerned(BaseModel):
    """The area as it was when the episode began. geometry: GeoJSON."""

    slug: str
    version: int
    name: str
    geometry: dict[str, Any]


class EvidenceShown(BaseModel):
    """missing: how many observations are cited and were not kept."""

    alert_id: uuid.UUID
    severity: str
    title: str
    subject: str
    because: str
    lon: float | None
    lat: float | None
    area: AreaConcerned | None
    observations: list[ProofShown]
    missing: int


class DeliveryShown(BaseModel):
    """A message on its way out by a channel. state: as on the page of deliveries."""

    delivery_id: uuid.UUID
    channel: str
    routing_key: str
    state: str
    attempts: int
    confirmed_at: datetime | None
    last_error: str | None


class AccountShown(BaseModel):
    """What became of one revision on one route. fate: delivered (in a message of its own), grouped (into one that tells
    of several, or of a later revision), or waiting, inhibited, silenced, held; of these four, pending says whether it
    may still go out. cause: the inhibition or quiet hours, or who silenced; about: the alert that inhibits, or the
    silence.
    """

    revision: int
    route: str
    fate: str
    pending: bool
    cause: str | None
    about: uuid.UUID | None
    until: datetime | None
    decided_at: datetime
    deliveries: list[DeliveryShown]


def alerts_router(console: Console) -> APIRouter:
    """GET /api/alerts, one with its evidence, POST /api/alerts/{id}/acknowledge, and POST /api/alerts/<act> on many."""
    router = APIRouter(prefix="/api/alerts", tags=["alerts"])

    @router.get("")
    @needs(Permission.WATCH)
    async def open_alerts(
        waiting: bool = False, limit: Annotated[int, Query(ge=1, le=ALERT_LIMIT)] = _LISTED
    ) -> dict[str, Any]:
        """The worst first. waiting: only what nobody has acknowledged. total: how many are open, listed or not."""
        language = current_language()
        alerts = console.open_alerts()
        wanted = [a for a in alerts if not waiting or a.acknowledged_at_us is None]
        return {
            "revision": console.alerts_revision,
            "total": len(alerts) + console.alerts_beyond,
            "alerts": [alert_json(console, a, language) for a in wanted[:limit]],
        }

    @router.get("/assignees")
    @needs(Permission.ASSIGN_ALERTS, lies_nowhere=True)
    async def assignees() -> list[Assignee]:
        """Whoever an alert can be assigned to, by login."""
        people = await asyncio.to_thread(console.alert_desk.assignees)
        return [Assignee(login=user.login, name=user.display_name) for user in people]

    @router.get("/{alert_id}")
    @needs(Permission.WATCH)
    async def one_alert(alert_id: uuid.UUID) -> dict[str, Any]:
        return alert_json(console, await asyncio.to_thread(console.alert, alert_id), current_language())

    @router.get("/{alert_id}/evidence")
    @needs(Permission.WATCH)
    async def evidence(alert_id: uuid.UUID) -> EvidenceShown:
        """The observations that it rests on, what each proves, and the area concerned as it was when it began."""
        language = current_language()
        alert, found = await asyncio.to_thread(console.evidence, alert_id, language)
        return _evidence(console, alert, found, language)

    @router.get("/{alert_id}/deliveries")
    @needs(Permission.WATCH)
    async def account(alert_id: uuid.UUID) -> list[AccountShown]:
        """What became of each of its revisions on each route to people, and by which messages they were told."""
        lines, told = await asyncio.to_thread(console.account_of, alert_id)
        return [_account_line(line, told) for line in lines]

    @router.post("/{alert_id}/acknowledge")
    @needs(Permission.ACKNOWLEDGE)
    async def acknowledge(alert_id: uuid.UUID, said: Acknowledgement) -> dict[str, Any]:
        language = current_language()
        alert = await asyncio.to_thread(
            console.acknowledge, alert_id, person=current_person(), comment=said.comment, language=language
        )
        return alert_json(console, alert, language)

    _add_acts_on_many(router, console)
    return router


def _add_acts_on_many(router: APIRouter, console: Console) -> None:
    desk = console.alert_desk

    @router.post("/acknowledge")
    @needs(Permission.ACKNOWLEDGE)
    async def acknowledge_many(sent: AcknowledgementOfMany, doing: Adds) -> OutcomeOfMany:
        outcome = await asyncio.to_thread(desk.acknowledge, doing, sent.alerts, comment=sent.comment)
        return OutcomeOfMany.model_validate(outcome.to_json())

    @router.post("/assign")
    @needs(Permission.ASSIGN_ALERTS)
    async def assign(sent: Assignment, doing: Adds) -> OutcomeOfMany:
        outcome = await asyncio.to_thread(desk.assign, doing, sent.alerts, to=sent.to, take_over=sent.take_over)
        return OutcomeOfMany.model_validate(outcome.to_json())

    @router.post("/unassign")
    @needs(Permission.ASSIGN_ALERTS)
    async def unassign(sent: Many, doing: Adds) -> OutcomeOfMany:
        outcome = await asyncio.to_thread(desk.unassign, doing, sent.alerts)
        return OutcomeOfMany.model_validate(outcome.to_json())

    @router.post("/escalate")
    @needs(Permission.ESCALATE_ALERTS)
    async def escalate(sent: WithReason, doing: Adds) -> OutcomeOfMany:
        """One severity higher, waiting at every desk again, and sent to the teams again with the reason."""
        outcome = await asyncio.to_thread(desk.escalate, doing, sent.alerts, reason=sent.reason)
        return OutcomeOfMany.model_validate(outcome.to_json())

    @router.post("/withdraw")
    @needs(Permission.ESCALATE_ALERTS)
    async def withdraw(sent: WithReason, doing: Adds) -> OutcomeOfMany:
        """Take an escalation back."""
        outcome = await asyncio.to_thread(desk.withdraw, doing, sent.alerts, reason=sent.reason)
        return OutcomeOfMany.model_validate(outcome.to_json())


def _account_line(line: AccountLine, told: Mapping[uuid.UUID, Delivery]) -> AccountShown:
    return AccountShown(
        revision=line.revision,
        route=line.route,
        fate=line.fate.value,
        pending=line.pending,
        cause=line.cause,
        about=line.about,
        until=None if line.until_us is None else from_us(line.until_us),
        decided_at=from_us(line.decided_at_us),
        deliveries=[
            DeliveryShown(
                delivery_id=each.delivery_id,
                channel=each.channel,
                routing_key=each.routing_key,
                state=each.state.value,
                attempts=each.attempts,
                confirmed_at=None if each.confirmed_at_us is None else from_us(each.confirmed_at_us),
                last_error=each.last_error,
            )
            for each in (told[delivery_id] for delivery_id in line.deliveries if delivery_id in told)
        ],
    )


def _evidence(console: Console, alert: Alert, found: Evidence, language: str) -> EvidenceShown:
    told, area, position = console.explained(alert, language), found.area, alert.position
    return EvidenceShown(
        alert_id=alert.alert_id,
        severity=alert.severity.word,
        title=told.title,
        subject=told.subject,
        because=told.because,
        lon=None if position is None else position.lon,
        lat=None if position is None else position.lat,
        area=None
        if area is None
        else AreaConcerned(
            slug=area.slug,
            version=area.version,
            name=area.name_ja if language == "ja" else area.name_en,
            geometry=dict(mapping(area.geometry)),
        ),
        observations=[
            ProofShown(
                observation_id=proof.observation_id.hex(),
                observed_at=from_us(proof.observed_at_us),
                lon=None if proof.position is None else proof.position.lon,
                lat=None if proof.position is None else proof.position.lat,
                source=proof.source,
                words=proof.words,
            )
            for proof in found.proofs
        ],
        missing=found.missing,
    )


def alert_json(console: Console, alert: Alert, language: str) -> dict[str, Any]:
    """An alert with its texts in the reader's language; times are ISO 8601 UTC."""
    told = console.explained(alert, language)
    position = alert.position
    silence, call = console.silence_of(alert), alert.call
    incident = console.incident_of(alert.alert_id) if current_person().may(Permission.READ_INCIDENTS) else None
    return {
        "alert_id": str(alert.alert_id),
        "revision": alert.revision,
        "realm": alert.realm,
        "rule": alert.rule,
        "severity": alert.severity.word,
        "subject": alert.subject,
        "subject_label": told.subject,
        "area": alert.area,
        "track_id": None if alert.track_id is None else str(alert.track_id),
        "position": None if position is None else {"lon": position.lon, "lat": position.lat},
        "because": {"key": alert.because, "params": dict(alert.because_params), "text": told.because},
        "title": told.title,
        "place": told.place,
        "evidence": [observation.hex() for observation in alert.evidence],
        "opened_at": _iso(alert.opened_at_us),
        "observed_at": _iso(alert.observed_at_us),
        "recorded_at": _iso(alert.recorded_at_us),
        "cleared_at": _iso(alert.cleared_at_us),
        "acknowledged_at": _iso(alert.acknowledged_at_us),
        "acknowledged_by": alert.acknowledged_by,
        "comment": alert.comment,
        "assigned": None
        if alert.assigned_to is None
        else {"to": alert.assigned_to, "by": alert.assigned_by, "at": _iso(alert.assigned_at_us)},
        "escalated": None
        if alert.rule_severity is None
        else {
            "by": alert.escalated_by,
            "at": _iso(alert.escalated_at_us),
            "reason": alert.escalation_reason,
            "from": alert.rule_severity.word,
        },
        "called": None
        if call is None
        else {
            "login": None if call.everybody else call.login,
            "name": None if call.everybody else call.name,
            "team": None if call.everybody else call.team,
            "step": call.step,
            "since": _iso(call.at_us),
        },
        "next_call_at": _iso(console.next_call_at_us(alert)),
        "silenced": None
        if silence is None
        else {"silence_id": str(silence.silence_id), "until": _iso(silence.expires_at_us)},
        "responses": [
            {
                "team": each.team,
                "state": each.state.value,
                "response_id": str(each.response_id),
                "responder": each.responder,
                "answered_at": _iso(each.answered_at_us),
                "comment": each.comment,
                "position": None if each.position is None else {"lon": each.position.lon, "lat": each.position.lat},
            }
            for each in alert.responses
        ],
        "incident": None if incident is None else {"incident_id": str(incident.incident_id), "number": incident.number},
    }


def _iso(us: int | None) -> str | None:
    return None if us is None else from_us(us).isoformat()
