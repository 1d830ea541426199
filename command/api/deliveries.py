"""Deliveries over REST and as a page: what has not gone out and why, having it sent again, and giving it up."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, FastAPI, HTTPException, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, RedirectResponse, Response

from command.api.account import reader_of
from command.api.delivery_pages import deliveries_page
from command.api.forms import fields, uuid_of
from command.api.problems import problem
from command.domain.clock import from_us
from command.domain.realm import Realm
from command.i18n import text
from command.operations.access import needs
from command.operations.deliveries import (
    MOST_SHOWN,
    REASON_LIMIT,
    UNSETTLED,
    BrokerUnavailable,
    ChannelTold,
    Delivery,
    DeliveryDesk,
    DeliveryProblem,
    DeliverySettled,
    DeliveryState,
    UnknownDelivery,
)
from command.operations.people import Permission, current_language, current_person

ChannelName = Annotated[str, Query(min_length=1, max_length=40, pattern=r"^[a-z0-9-]+$")]


class ChannelShown(BaseModel):
    """waiting: not tried yet; failing: tried again; dead: a person has to look. trouble: why the last try failed."""

    name: str
    waiting: int
    failing: int
    dead: int
    last_sent_at: datetime | None
    trouble: str | None
    failing_since: datetime | None


class DeliveryShown(BaseModel):
    """One revision of an alert on its way out by one channel. Times are the realm's."""

    delivery_id: uuid.UUID
    alert_id: uuid.UUID
    revision: int
    channel: str
    state: DeliveryState
    attempts: int
    created_at: datetime
    attempted_at: datetime | None
    next_attempt_at: datetime | None
    resent_at: datetime | None
    confirmed_at: datetime | None
    last_error: str | None


class DeliveriesShown(BaseModel):
    """dead_letters: messages at the broker that clients refused; null where it does not say."""

    channels: list[ChannelShown]
    dead_letters: int | None
    deliveries: list[DeliveryShown]


class ChannelSent(BaseModel):
    model_config = ConfigDict(extra="forbid")

    channel: str = Field(min_length=1, max_length=40, pattern=r"^[a-z0-9-]+$")


class GivenUp(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: str = Field(min_length=1, max_length=REASON_LIMIT)


class Resent(BaseModel):
    """How many deliveries are sent again."""

    deliveries: int


class Republished(BaseModel):
    """went: back in the queues of their teams. stay: their queue is full or gone, or nobody knows which it was."""

    went: int
    stay: int


def deliveries_router(desk: DeliveryDesk) -> APIRouter:
    """GET /api/deliveries; POST .../resend, .../{id}/resend, .../{id}/give-up, .../dead-letters/republish."""
    router = APIRouter(prefix="/api/deliveries", tags=["deliveries"])

    @router.get("")
    @needs(Permission.WATCH)
    async def listed(
        state: Annotated[list[DeliveryState] | None, Query(max_length=len(DeliveryState))] = None,
        channel: ChannelName | None = None,
        limit: Annotated[int, Query(ge=1, le=MOST_SHOWN)] = 100,
    ) -> DeliveriesShown:
        """Dead, failing and waiting ones unless states are named; the newest first."""
        found = await asyncio.to_thread(desk.overview, states=state or UNSETTLED, channel=channel, limit=limit)
        return DeliveriesShown(
            channels=[_channel(each) for each in found.channels],
            dead_letters=found.dead_letters,
            deliveries=[_delivery(each) for each in found.deliveries],
        )

    @router.post("/resend")
    @needs(Permission.RESEND_DELIVERIES, lies_nowhere=True)
    async def resend_channel(sent: ChannelSent) -> Resent:
        """All of a channel that failed or are dead."""
        person = current_person()
        return Resent(deliveries=await asyncio.to_thread(desk.resend_channel, sent.channel, person=person))

    @router.post("/dead-letters/republish")
    @needs(Permission.RESEND_DELIVERIES, lies_nowhere=True)
    async def republish() -> Republished:
        """What clients refused goes back to the queues of their teams."""
        went, stay = await asyncio.to_thread(desk.republish_dead_letters, person=current_person())
        return Republished(went=went, stay=stay)

    @router.post("/{delivery_id}/resend")
    @needs(Permission.RESEND_DELIVERIES, lies_nowhere=True)
    async def resend(delivery_id: uuid.UUID) -> DeliveryShown:
        return _delivery(await asyncio.to_thread(desk.resend, delivery_id, person=current_person()))

    @router.post("/{delivery_id}/give-up")
    @needs(Permission.RESEND_DELIVERIES, lies_nowhere=True)
    async def give_up(delivery_id: uuid.UUID, sent: GivenUp) -> DeliveryShown:
        return _delivery(await asyncio.to_thread(desk.give_up, delivery_id, sent.reason, person=current_person()))

    return router


def delivery_pages_router(desk: DeliveryDesk, *, realm: Realm) -> APIRouter:
    """GET /deliveries and its form."""
    router = APIRouter(prefix="/deliveries", include_in_schema=False)

    async def shown(request: Request, *, channel: str | None, error: str | None = None) -> Response:
        reader = reader_of(request, realm)
        found = await asyncio.to_thread(desk.overview, channel=channel)
        done = request.query_params.get("done", "")
        note = text(reader.language, f"deliveries.done_{done}") if done in _DONE else None
        return deliveries_page(reader, found, channel=channel, error=error, note=note)

    @router.get("")
    @needs(Permission.WATCH)
    async def show(request: Request, channel: ChannelName | None = None) -> Response:
        return await shown(request, channel=channel)

    @router.post("")
    @needs(Permission.RESEND_DELIVERIES, lies_nowhere=True)
    async def act(request: Request) -> Response:
        what, of = await fields(request, "what", "of")
        person = current_person()
        acts: dict[str, Callable[[], object]] = {
            "resend": lambda: desk.resend(uuid_of(of), person=person),
            "resend_channel": lambda: desk.resend_channel(of, person=person),
            "republish": lambda: desk.republish_dead_letters(person=person),
        }
        if what == "give_up":
            (reason,) = await fields(request, "reason")
            acts["give_up"] = lambda: desk.give_up(uuid_of(of), reason, person=person)
        if what not in acts:
            raise HTTPException(422, f"the form's field 'what' is {what[:40]!r}; reload the page and send it again")
        try:
            await asyncio.to_thread(acts[what])
        except DeliveryProblem as exc:
            return await shown(request, channel=None, error=exc.explain(current_language()))
        except BrokerUnavailable as exc:
            return await shown(request, channel=None, error=str(exc))
        return RedirectResponse(f"/deliveries?done={what}", status_code=303)

    return router


_DONE = frozenset({"resend", "resend_channel", "give_up", "republish"})
"""What the page may say was done just now, by the end of its text's key."""


def add_delivery_problems(web: FastAPI) -> None:
    """What cannot be done leaves as a problem document in the reader's language."""

    def refused(_: Request, exc: Exception) -> JSONResponse:
        if not isinstance(exc, DeliveryProblem):
            raise exc
        status = 404 if isinstance(exc, UnknownDelivery) else 409 if isinstance(exc, DeliverySettled) else 422
        return problem(status, exc.explain(current_language()), code=exc.reason)

    def broker_away(_: Request, exc: Exception) -> JSONResponse:
        return problem(503, str(exc))

    web.add_exception_handler(DeliveryProblem, refused)
    web.add_exception_handler(BrokerUnavailable, broker_away)


def _at(us: int | None) -> datetime | None:
    return None if us is None else from_us(us)


def _channel(told: ChannelTold) -> ChannelShown:
    return ChannelShown(
        name=told.name,
        waiting=told.waiting,
        failing=told.failing,
        dead=told.dead,
        last_sent_at=_at(told.last_sent_us),
        trouble=told.trouble,
        failing_since=_at(told.failing_since_us),
    )


def _delivery(delivery: Delivery) -> DeliveryShown:
    return DeliveryShown(
        delivery_id=delivery.delivery_id,
        alert_id=delivery.alert_id,
        revision=delivery.revision,
        channel=delivery.channel,
        state=delivery.state,
        attempts=delivery.attempts,
        created_at=from_us(delivery.created_at_us),
        attempted_at=_at(delivery.attempted_at_us),
        next_attempt_at=_at(delivery.next_attempt_at_us),
        resent_at=_at(delivery.resent_at_us),
        confirmed_at=_at(delivery.confirmed_at_us),
        last_error=delivery.last_error,
    )
