"""JSON and text that PostgreSQL can keep: it takes neither NUL nor lone surrogates, and JSON no NaN."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_ESCAPED_NUL: Final = "\\u0000"


def clean_text(value: str) -> str:
    """`value` with U+FFFD in place of each NUL and lone surrogate, so that one hostile name cannot refuse a batch."""
    return _UNSTORABLE.sub("\ufffd", value)


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {clean_text(str(k)): _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(v) for v in value]
    return value


def json_text(value: Any) -> str:
    """`value` as JSON text for a jsonb column. NaN and infinities become null; see clean_text for strings.

    Raises TypeError for what is not JSON (an object of ours, bytes).
    """
    try:
        dumped = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        dumped.encode()
    except ValueError:
        return json.dumps(_clean(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if _ESCAPED_NUL in dumped:
        return json.dumps(_clean(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return dumped
