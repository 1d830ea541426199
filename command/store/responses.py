"""Answers of teams to alerts: rows that are added once each and never changed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from command.domain.response import Response, ResponseChannel, ResponseKind
from command.store.jsonb import clean_text
from command.store.tables import RESPONSE
from command.store.types import lon_lat, point, position_of

MAX_RESPONSES: Final = 1_000
"""No list has more than this; where a team stands is told from all."""
_READ: Final = (*(column for column in RESPONSE.c if column.name != "position"), *lon_lat(RESPONSE.c.position))


class ResponseIdReused(ValueError):
    """The id came before with another answer."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptResponse:
    """An answer as it is kept. sender: the broker's user or the login that it came from; both times the realm's."""

    response: Response
    channel: ResponseChannel
    sender: str
    recorded_at_us: int


def keep_response(session: Session, response: Response, *, channel: ResponseChannel, sender: str, now_us: int) -> bool:
    """Add the answer; False where it came before. Raises ResponseIdReused where its id came with another answer."""
    position = None if response.position is None else point(response.position)
    added = session.execute(
        insert(RESPONSE)
        .values(
            response_id=response.response_id,
            alert_id=response.alert_id,
            team=response.team,
            kind=response.kind.value,
            revision_seen=response.revision_seen,
            responder=response.responder,
            channel=channel.value,
            sender=sender,
            answered_at=response.answered_at_us,
            recorded_at=now_us,
            comment=response.comment,
            position=position,
        )
        .on_conflict_do_nothing()
        .returning(RESPONSE.c.response_id)
    ).first()
    if added is not None:
        return True
    before = _kept(session.execute(select(*_READ).where(RESPONSE.c.response_id == response.response_id)).one()).response
    if _said(before) != _said(response):
        raise ResponseIdReused(f"the id {response.response_id} came before with another answer; give each its own")
    return False


def responses_of(session: Session, alert_id: uuid.UUID, team: str) -> list[Response]:
    """All that a team has answered to an alert, in no order."""
    query = select(*_READ).where(RESPONSE.c.alert_id == alert_id, RESPONSE.c.team == team)
    return [_kept(row).response for row in session.execute(query)]


def list_responses(session: Session, alert_id: uuid.UUID, *, limit: int = MAX_RESPONSES) -> Sequence[KeptResponse]:
    """What was answered to an alert, the newest first."""
    query = select(*_READ).where(RESPONSE.c.alert_id == alert_id)
    newest = query.order_by(RESPONSE.c.answered_at.desc(), RESPONSE.c.recorded_at.desc(), RESPONSE.c.response_id)
    return [_kept(row) for row in session.execute(newest.limit(min(limit, MAX_RESPONSES)))]


def _said(response: Response) -> tuple[object, ...]:
    """What makes an answer another one. Its time does not: whoever sends one again by hand does so later."""
    return (
        response.alert_id,
        response.team,
        response.kind,
        clean_text(response.responder),
        clean_text(response.comment),
    )


def _kept(row: Row[Any]) -> KeptResponse:
    return KeptResponse(
        response=Response(
            response_id=row.response_id,
            alert_id=row.alert_id,
            team=row.team,
            kind=ResponseKind(row.kind),
            revision_seen=row.revision_seen,
            responder=row.responder,
            answered_at_us=row.answered_at,
            comment=row.comment,
            position=position_of(row.lon, row.lat),
        ),
        channel=ResponseChannel(row.channel),
        sender=row.sender,
        recorded_at_us=row.recorded_at,
    )
