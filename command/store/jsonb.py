"""JSON and text that PostgreSQL can keep: it takes neither NUL nor lone surrogates, and JSON no NaN."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_ESCAPED_NUL: Final = "\\u0000"


def clean_text(value: str) -> str:
    """`value` with U+FFFD in place of each NUL and lone surrogate, so that one hostile name cannot refuse a batch."""
    return _UNSTORABLE.sub("\ufffd", value)


def _scalar(value: object) -> Any:
    """What json cannot write: a NumPy scalar is its Python value, anything else is refused."""
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value).__name__} {value!r} is not JSON; give text, numbers, lists and mappings")


def _clean(value: Any) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {clean_text(str(k)): _clean(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(v) for v in value]
    return value


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_scalar)


def json_text(value: Any) -> str:
    """`value` as JSON text for a jsonb column. NaN and infinities become null; see clean_text for strings.

    NumPy scalars are written as their values. Raises TypeError for what is not JSON (an object of ours, bytes).
    """
    try:
        dumped = _ENCODER.encode(value)
        dumped.encode()
    except ValueError:
        return _ENCODER.encode(_clean(value))
    return _ENCODER.encode(_clean(value)) if _ESCAPED_NUL in dumped else dumped
