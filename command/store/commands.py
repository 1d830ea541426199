"""Orders to our vehicles: rows that a gateway carries out and answers."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from command.store.tables import COMMAND_REQUEST

MAX_REQUESTS: Final = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandRequest:
    """One order. asset: the vehicle's subject. holder: the gateway that carries it out, None until one took it."""

    request_id: uuid.UUID
    asset: str
    verb: str
    arguments: Mapping[str, Any]
    requested_by: str
    state: str
    created_at_us: int
    expires_at_us: int
    holder: str | None = None
    answered_at_us: int | None = None
    answer: Mapping[str, Any] | None = None


def save_command_request(session: Session, request: CommandRequest) -> None:
    """Add the order, or change the one of this id: its state, holder and answer; what was ordered stays."""
    changing = {
        "state": request.state,
        "holder": request.holder,
        "answered_at": request.answered_at_us,
        "answer": None if request.answer is None else dict(request.answer),
    }
    session.execute(
        insert(COMMAND_REQUEST)
        .values(
            request_id=request.request_id,
            asset=request.asset,
            verb=request.verb,
            arguments=dict(request.arguments),
            requested_by=request.requested_by,
            created_at=request.created_at_us,
            expires_at=request.expires_at_us,
            **changing,
        )
        .on_conflict_do_update(index_elements=[COMMAND_REQUEST.c.request_id], set_=changing)
    )


def list_command_requests(session: Session, *, limit: int, asset: str | None = None) -> list[CommandRequest]:
    """The newest orders first; of one asset where it is given."""
    query = select(COMMAND_REQUEST).order_by(COMMAND_REQUEST.c.created_at.desc(), COMMAND_REQUEST.c.request_id)
    if asset is not None:
        query = query.where(COMMAND_REQUEST.c.asset == asset)
    return [
        CommandRequest(
            request_id=row.request_id,
            asset=row.asset,
            verb=row.verb,
            arguments=row.arguments,
            requested_by=row.requested_by,
            state=row.state,
            created_at_us=row.created_at,
            expires_at_us=row.expires_at,
            holder=row.holder,
            answered_at_us=row.answered_at,
            answer=row.answer,
        )
        for row in session.execute(query.limit(min(limit, MAX_REQUESTS)))
    ]
