"""What teams answer to an alert over REST: who answered what and when, and an answer given for a team."""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from command.api.incidents import Adds
from command.domain.clock import EARLIEST_US, LATEST_US, from_us, to_us
from command.domain.geo import Position
from command.domain.response import COMMENT_LIMIT, RESPONDER_LIMIT, ResponseChannel, ResponseKind, TeamState
from command.operations.access import needs
from command.operations.console import Console
from command.operations.people import Permission
from command.operations.responses import KeptResponse, Result

MostRecent = Annotated[
    AwareDatetime | None, Field(ge=from_us(EARLIEST_US), le=from_us(LATEST_US), description="Now unless given.")
]


class PositionSent(BaseModel):
    """WGS 84 degrees."""

    model_config = ConfigDict(extra="forbid")

    lon: float = Field(ge=-180, le=180, allow_inf_nan=False)
    lat: float = Field(ge=-90, le=90, allow_inf_nan=False)


class ResponseSent(BaseModel):
    """kind decline and closed need a comment. responder: who answers for the team; whoever sends it unless given.

    response_id: the same is taken once; an Idempotency-Key does as well. revision: of the alert, as it was seen.
    """

    model_config = ConfigDict(extra="forbid")

    team: str = Field(min_length=1, max_length=40)
    kind: ResponseKind
    revision: int = Field(ge=1, le=2**31 - 1)
    responder: str | None = Field(default=None, min_length=1, max_length=RESPONDER_LIMIT)
    comment: str = Field(default="", max_length=COMMENT_LIMIT)
    position: PositionSent | None = None
    answered_at: MostRecent = None
    response_id: uuid.UUID | None = None


class ResponseTaken(BaseModel):
    """result: accepted, or no_effect with why. state: where the team stands now. revision: the alert's."""

    result: Result
    code: str | None
    why: str | None
    state: TeamState | None
    revision: int | None


class ResponseShown(BaseModel):
    """One answer. channel: amqp, api or console. sender: the broker's user or the login that it came from."""

    response_id: uuid.UUID
    team: str
    kind: ResponseKind
    responder: str
    revision: int
    comment: str
    position: PositionSent | None
    answered_at: datetime
    recorded_at: datetime
    channel: ResponseChannel
    sender: str


def responses_router(console: Console) -> APIRouter:
    """GET /api/teams, and GET and POST /api/alerts/{id}/responses."""
    router = APIRouter(prefix="/api", tags=["alerts"])
    desk = console.response_desk

    @router.get("/teams")
    @needs(Permission.WATCH)
    async def teams() -> list[str]:
        """The teams that alerts go to."""
        return list(desk.teams)

    @router.get("/alerts/{alert_id}/responses")
    @needs(Permission.WATCH)
    async def responses(alert_id: uuid.UUID) -> list[ResponseShown]:
        """All that teams answered, the newest first."""
        await asyncio.to_thread(console.alert, alert_id)
        return [_shown(kept) for kept in await asyncio.to_thread(desk.listed, alert_id)]

    @router.post("/alerts/{alert_id}/responses")
    @needs(Permission.RESPOND)
    async def respond(alert_id: uuid.UUID, sent: ResponseSent, doing: Adds) -> ResponseTaken:
        """The same effect as a message from the team itself; who sent it is kept beside it."""
        position = sent.position
        # a browser's session is the console, a token is a program
        channel = ResponseChannel.CONSOLE if doing.person.scopes is None else ResponseChannel.API
        verdict = await asyncio.to_thread(
            desk.respond,
            doing,
            alert_id,
            channel=channel,
            team=sent.team,
            kind=sent.kind,
            responder=doing.person.user.display_name if sent.responder is None else sent.responder,
            revision_seen=sent.revision,
            comment=sent.comment,
            answered_at_us=None if sent.answered_at is None else to_us(sent.answered_at),
            position=None if position is None else Position(lon=position.lon, lat=position.lat),
            response_id=sent.response_id,
        )
        return ResponseTaken(
            result=verdict.result,
            code=verdict.code,
            why=verdict.why(doing.language),
            state=verdict.state,
            revision=None if verdict.alert is None else verdict.alert.revision,
        )

    return router


def _shown(kept: KeptResponse) -> ResponseShown:
    said = kept.response
    return ResponseShown(
        response_id=said.response_id,
        team=said.team,
        kind=said.kind,
        responder=said.responder,
        revision=said.revision_seen,
        comment=said.comment,
        position=None if said.position is None else PositionSent(lon=said.position.lon, lat=said.position.lat),
        answered_at=from_us(said.answered_at_us),
        recorded_at=from_us(kept.recorded_at_us),
        channel=kept.channel,
        sender=kept.sender,
    )
