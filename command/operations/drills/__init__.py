"""Drill scenarios by name: one line each, a string, loaded when it is opened."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SCENARIOS: Final[Mapping[str, str]] = {
    "tsushima-night": "command.operations.drills.tsushima_night:build",
}
