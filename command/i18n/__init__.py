"""Every text for people, in Japanese and English, and the renderer, whoever shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, Final

LANGUAGES: Final = ("ja", "en")


@cache
def texts(language: str) -> Mapping[str, str]:
    """All texts of a language by key. Raises ValueError for a language that there is not."""
    if language not in LANGUAGES:
        raise ValueError(f"language {language!r}; choose from {', '.join(LANGUAGES)}")
    loaded: dict[str, str] = json.loads(resources.files(__package__).joinpath(f"{language}.json").read_text("utf-8"))
    return loaded


def text(language: str, key: str, **params: Any) -> str:
    """The text `key` in `language` with its {params} filled in. Raises KeyError for a key that is not there."""
    return texts(language)[key].format(**params)
