"""Rules over REST. A change names the version that it is based on (If-Match, RFC 9110) and says why."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from alerts.registry import rule_class
from alerts.setting_words import differences
from command.api.problems import problem
from command.api.versions import Version, based_on
from command.domain.clock import from_us
from command.operations.access import needs
from command.operations.console import Console
from command.operations.people import Permission, current_language, current_person
from command.operations.rules import (
    REASON_LIMIT,
    BadSetting,
    KnownRule,
    RuleChanged,
    RuleRefused,
    RuleVersion,
    UnknownRuleName,
    sparse,
)

IfMatch = Annotated[str | None, Header()]


class _Decided(BaseModel):
    """Why it is done, in people's words; kept with the version and the audit log."""

    model_config = ConfigDict(extra="forbid")

    reason: str = Field(max_length=4 * REASON_LIMIT)


class RuleChange(_Decided):
    """config: settings by name, as `schema` of GET /api/rules/{name} describes them; what is left out is a default."""

    config: dict[str, Any]


class NewRule(RuleChange):
    """name: `conditions_` and small letters, digits and single underscores."""

    name: str = Field(max_length=64)


class RuleUndo(_Decided):
    """Which older version is to hold again."""

    version: Version


class RuleFollows(_Decided):
    """Take what the settings file says."""


def rules_router(console: Console) -> APIRouter:
    """/api/rules: all, one, its versions; change, undo, follow the settings file."""
    router = APIRouter(prefix="/api/rules")
    book = console.rule_book

    async def made(act: Callable[[], KnownRule], response: Response) -> dict[str, Any]:
        known = await asyncio.to_thread(act)
        return _whole(known, response)

    @router.get("")
    @needs(Permission.WATCH)
    async def rules() -> dict[str, Any]:
        known = await asyncio.to_thread(book.everything)
        return {"rules": [_summary(each) for each in known]}

    @router.post("", status_code=201)
    @needs(Permission.EDIT_RULES)
    async def create(body: NewRule, response: Response) -> dict[str, Any]:
        person = current_person()
        answer = await made(lambda: book.create(body.name, body.config, reason=body.reason, person=person), response)
        response.headers["Location"] = f"/api/rules/{body.name}"
        return answer

    @router.get("/{name}")
    @needs(Permission.WATCH)
    async def one(name: str, response: Response, version: Version | None = None) -> dict[str, Any]:
        return await made(lambda: book.one(name, version=version), response)

    @router.get("/{name}/versions")
    @needs(Permission.WATCH)
    async def versions(name: str) -> dict[str, Any]:
        language = current_language()
        found = await asyncio.to_thread(book.versions, name)
        changes = await asyncio.to_thread(book.changes, found, language)
        return {
            "versions": [
                _decision(version) | {"config": dict(version.config), "changes": changed}
                for version, changed in zip(found, changes, strict=True)
            ]
        }

    @router.put("/{name}")
    @needs(Permission.EDIT_RULES)
    async def change(name: str, body: RuleChange, response: Response, if_match: IfMatch = None) -> dict[str, Any]:
        person, seen = current_person(), based_on(if_match)
        return await made(
            lambda: book.change(name, body.config, reason=body.reason, based_on=seen, person=person), response
        )

    @router.post("/{name}/undo")
    @needs(Permission.EDIT_RULES)
    async def undo(name: str, body: RuleUndo, response: Response, if_match: IfMatch = None) -> dict[str, Any]:
        person, seen = current_person(), based_on(if_match)
        return await made(
            lambda: book.undo(name, body.version, reason=body.reason, based_on=seen, person=person), response
        )

    @router.post("/{name}/follow-settings")
    @needs(Permission.EDIT_RULES)
    async def follow(name: str, body: RuleFollows, response: Response, if_match: IfMatch = None) -> dict[str, Any]:
        person, seen = current_person(), based_on(if_match)
        return await made(
            lambda: book.follow_settings(name, reason=body.reason, based_on=seen, person=person), response
        )

    return router


def add_rule_problems(web: FastAPI) -> None:
    """What is wrong with a change to a rule leaves as a problem document in the reader's language."""

    def refused(_: Request, exc: Exception) -> JSONResponse:
        language = current_language()
        if isinstance(exc, RuleChanged):
            answer = problem(412, exc.explain(language), code=exc.reason, current=_decision(exc.current))
            answer.headers["ETag"] = f'"{exc.current.version}"'
            return answer
        if isinstance(exc, BadSetting):
            errors = [
                {"at": ".".join(str(part) for part in at), "setting": name, "message": what}
                for at, name, what in exc.told(language)
            ]
            return problem(422, exc.explain(language), code=exc.reason, errors=errors)
        if isinstance(exc, RuleRefused):
            status = 404 if isinstance(exc, UnknownRuleName) else 422
            return problem(status, exc.explain(language), code=exc.reason)
        raise exc

    web.add_exception_handler(RuleRefused, refused)


def _decision(version: RuleVersion) -> dict[str, Any]:
    return {
        "name": version.rule,
        "version": version.version,
        "author": version.author,
        "by_person": version.by_person,
        "reason": version.reason,
        "restores": version.restores,
        "valid_from": from_us(version.valid_from_us).isoformat(),
    }


def _summary(known: KnownRule) -> dict[str, Any]:
    config = known.config
    return _decision(known.version) | {
        "title": known.title(current_language()),
        "usable": config is not None,
        "enabled": config is not None and config.enabled,
        "severity": None if config is None else config.severity,
        "settings_file_differs": known.of_settings is not None,
    }


def _whole(known: KnownRule, response: Response) -> dict[str, Any]:
    response.headers["ETag"] = f'"{known.version.version}"'
    config, language = known.config, current_language()
    other = known.of_settings
    return _summary(known) | {
        "config": dict(known.version.config),
        "effective": None if config is None else config.model_dump(mode="json"),
        "settings_file": None if other is None else sparse(other),
        "settings_file_changes": []
        if other is None or config is None
        else differences(known.name, config, other, language, {}),
        "schema": None if config is None else rule_class(known.name).Config.model_json_schema(),
    }
