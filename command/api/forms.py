"""What comes in with a form, and from where: bounded, and named where it cannot be used."""

from __future__ import annotations

import uuid
from urllib.parse import parse_qs

from fastapi import HTTPException, Request

from command.api.pages import FIELD_LIMIT
from command.operations.people import Origin, UnknownSession

_FIELDS_LIMIT = 100
_LARGE_FORM = 20_000
"""Of a rule, which may name every area there is."""


async def fields(request: Request, *names: str) -> tuple[str, ...]:
    """The named fields of a form. Raises HTTPException 422 where one is missing or too long."""
    form = await _form(request)
    values = tuple((form.get(name) or [""])[0] for name in names)
    for name, value in zip(names, values, strict=True):
        if not value or len(value) > FIELD_LIMIT:
            raise HTTPException(422, f"the form's field {name!r} has {len(value)} characters; send 1 to {FIELD_LIMIT}")
    return values


async def given(request: Request, *names: str, limit: int = FIELD_LIMIT) -> dict[str, str]:
    """The named fields of a form, empty where they are missing. Raises HTTPException 422 where one is too long."""
    form = await _form(request)
    values = {name: (form.get(name) or [""])[0] for name in names}
    for name, value in values.items():
        if len(value) > limit:
            raise HTTPException(422, f"the form's field {name!r} has {len(value)} characters; send {limit} at most")
    return values


async def choices(request: Request, name: str) -> list[str]:
    """Every value of a field that may come several times or not at all."""
    return (await _form(request)).get(name, [])


async def every_field(request: Request) -> dict[str, list[str]]:
    """All fields of a large form, each with all its values. Raises HTTPException 422 where there are too many."""
    return await _form(request, most=_LARGE_FORM)


async def _form(request: Request, *, most: int = _FIELDS_LIMIT) -> dict[str, list[str]]:
    body = (await request.body()).decode("utf-8", "replace")
    try:
        return parse_qs(body, keep_blank_values=True, max_num_fields=most)
    except ValueError as exc:
        raise HTTPException(422, f"the form has more than {most} fields") from exc


def session_id_of(text: str) -> bytes:
    """32 bytes from their hexadecimal form. Raises UnknownSession."""
    try:
        return bytes.fromhex(text)
    except ValueError as exc:
        raise UnknownSession("people.no_such_session") from exc


def uuid_of(text: str) -> uuid.UUID:
    """Raises HTTPException 422."""
    try:
        return uuid.UUID(text)
    except ValueError as exc:
        raise HTTPException(422, "the form's id is no UUID; reload the page and send it again") from exc


def origin_of(request: Request) -> Origin:
    """Where a sign-in comes from."""
    address = request.client.host if request.client is not None else ""
    return Origin(address=address, browser=request.headers.get("user-agent", ""))
