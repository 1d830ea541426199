"""Silences over REST: those in force and those of the last day, beginning some, and ending one before its time."""

from __future__ import annotations

import asyncio
import uuid
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from command.api.incidents import Adds
from command.domain.alert_acts import REASON_LIMIT
from command.domain.clock import from_us
from command.domain.silence import LONGEST_S, MOST_AT_ONCE, SHORTEST_S, Matcher, Silence
from command.operations.access import needs
from command.operations.console import Console
from command.operations.people import Permission, current_language

Name = Annotated[str, Field(min_length=1, max_length=256)]


class MatcherSent(BaseModel):
    """Which alerts: of this rule AND this subject AND this area (its slug), where given. Give one at least."""

    model_config = ConfigDict(extra="forbid")

    rule: Name | None = None
    subject: Name | None = None
    area: Name | None = None

    @model_validator(mode="after")
    def _not_everything(self) -> MatcherSent:
        if self.rule is None and self.subject is None and self.area is None:
            raise ValueError("name a rule, a subject or an area; everything cannot be silenced")
        return self

    def read(self) -> Matcher:
        return Matcher(rule=self.rule, subject=self.subject, area=self.area)


class Silencing(BaseModel):
    """One silence for each matcher, all for the same reason and as long."""

    model_config = ConfigDict(extra="forbid")

    matchers: list[MatcherSent] = Field(min_length=1, max_length=MOST_AT_ONCE)
    reason: str = Field(max_length=REASON_LIMIT)
    minutes: int = Field(ge=SHORTEST_S // 60, le=LONGEST_S // 60)


class SilenceShown(BaseModel):
    """matched: alerts that it was about so far, counted also where a critical one was not made quiet. quiet: open
    alerts that make no sound now because of it.
    """

    silence_id: uuid.UUID
    rule: str | None
    subject: str | None
    area: str | None
    what: str
    reason: str
    author: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    ended_by: str | None
    in_force: bool
    matched: int
    quiet: int


def silences_router(console: Console) -> APIRouter:
    """GET and POST /api/silences, POST /api/silences/{id}/end."""
    router = APIRouter(prefix="/api/silences", tags=["alerts"])
    desk = console.alert_desk

    def shown(silence: Silence, matched: int) -> SilenceShown:
        return _shown(console, silence, matched=matched, language=current_language())

    async def listed() -> list[SilenceShown]:
        return [shown(silence, matched) for silence, matched in await asyncio.to_thread(desk.silences)]

    @router.get("")
    @needs(Permission.WATCH)
    async def silences() -> list[SilenceShown]:
        """In force, or over since less than a day; the newest first."""
        return await listed()

    @router.post("", status_code=201)
    @needs(Permission.SILENCE_ALERTS)
    async def begin(sent: Silencing, doing: Adds) -> list[SilenceShown]:
        """A critical alert, and one that an officer escalated, is never made quiet. Nothing is held back from teams."""
        matchers = [each.read() for each in sent.matchers]
        begun = await asyncio.to_thread(desk.silence, doing, matchers, reason=sent.reason, lasts_s=sent.minutes * 60)
        return [each for each in await listed() if each.silence_id in begun]

    @router.post("/{silence_id}/end")
    @needs(Permission.SILENCE_ALERTS)
    async def end(silence_id: uuid.UUID, doing: Adds) -> SilenceShown:
        """What it kept quiet is heard from now on."""
        await asyncio.to_thread(desk.end, doing, silence_id)
        return next(each for each in await listed() if each.silence_id == silence_id)

    return router


def _shown(console: Console, silence: Silence, *, matched: int, language: str) -> SilenceShown:
    matcher = silence.matcher
    return SilenceShown(
        silence_id=silence.silence_id,
        rule=matcher.rule,
        subject=matcher.subject,
        area=matcher.area,
        what=console.matcher_words(matcher, language),
        reason=silence.reason,
        author=silence.author,
        created_at=from_us(silence.created_at_us),
        expires_at=from_us(silence.expires_at_us),
        ended_at=None if silence.ended_at_us is None else from_us(silence.ended_at_us),
        ended_by=silence.ended_by,
        in_force=silence.in_force(console.clock.now_us()),
        matched=matched,
        quiet=len(console.quieted(silence)),
    )
