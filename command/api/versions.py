"""What routes of versioned things share: the version that a change is based on (If-Match, RFC 9110), and files."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

from fastapi import HTTPException
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from maps.exchange import MEDIA_TYPES, Format

_VERSION: Final = re.compile(r'"([1-9][0-9]{0,8})"')

Version = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Restored(BaseModel):
    """Which version is to hold again."""

    model_config = ConfigDict(extra="forbid")

    version: Version


def based_on(if_match: str | None) -> int:
    """The version that the caller saw. Raises HTTPException where they do not say one."""
    if if_match is None:
        raise HTTPException(428, 'say which version you saw: the header If-Match, for example If-Match: "3"')
    found = _VERSION.fullmatch(if_match.strip())
    if found is None:
        raise HTTPException(422, f'If-Match {if_match[:40]!r}; write one version in quotes, for example "3"')
    return int(found.group(1))


FILE_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The file.", "content": {media_type: {} for media_type in MEDIA_TYPES.values()}}
}
"""How a route whose answer is `download` describes it."""


def download(data: bytes, form: Format, *, name: str) -> Response:
    """A file to save, called `name` with the format's ending."""
    disposition = {"Content-Disposition": f'attachment; filename="{name}.{form.value}"'}
    return Response(data, media_type=MEDIA_TYPES[form], headers=disposition)
