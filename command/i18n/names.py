"""What people call a subject: our own asset by its name, a vessel by what it sends, anything else by what it is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from command.domain.track import Track
from command.i18n import LANGUAGES, text

Named = Mapping[str, str]
"""A name by language."""

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_SCHEMES: Final = frozenset({"mmsi", "mavlink", "contact", "source"})
"""Schemes of subjects whose key says nothing without a word before it (texts `subject.*`)."""


class Names:
    """Names of subjects. assets: of our own, by subject; they go before what is sent over the air."""

    def __init__(self, assets: Mapping[str, Named] = _NOTHING) -> None:
        self._assets = {subject: dict(names) for subject, names in assets.items()}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Names) and self._assets == other._assets

    __hash__ = None  # type: ignore[assignment]  # compared by what it holds, and never a key

    def ours(self, subject: str) -> bool:
        """Whether the subject is a registered asset."""
        return subject in self._assets

    def of(self, subject: str, attributes: Mapping[str, Any] = _NOTHING) -> Named:
        """The name in each language; attributes: what the subject says of itself, `name` and `label` among it."""
        if (own := self._assets.get(subject)) is not None:
            return own
        scheme, _, key = subject.partition(":")
        if name := attributes.get("name"):
            return dict.fromkeys(LANGUAGES, str(name))
        label = key if scheme == "mmsi" else str(attributes.get("label") or key or subject)
        if scheme not in _SCHEMES:
            return dict.fromkeys(LANGUAGES, label)
        return {language: text(language, f"subject.{scheme}", id=label) for language in LANGUAGES}

    def of_track(self, track: Track) -> Named:
        return self.of(track.subject, track.attributes)
