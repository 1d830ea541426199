"""Text as people look for it: width, case and kana do not matter (ｶｲﾖｳ, カイヨウ and かいよう are one)."""

from __future__ import annotations

import unicodedata
from functools import lru_cache
from typing import Final

_KATAKANA: Final = range(0x30A1, 0x30F7)
_TO_HIRAGANA: Final = {code: code - 0x60 for code in _KATAKANA}
"""The two kana stand in the same order in Unicode, 0x60 apart."""
_REMEMBERED: Final = 65_536


@lru_cache(maxsize=_REMEMBERED)
def folded(words: str) -> str:
    """`words` for comparing: NFKC (Unicode standard annex 15) and case folded, katakana as hiragana, single spaces."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", words).casefold())
    return " ".join(plain.translate(_TO_HIRAGANA).split())


def holds_all(words: str, within: str) -> bool:
    """Whether every word of `words` stands somewhere in `within`; no word is in everything."""
    text = folded(within)
    return all(word in text for word in folded(words).split())
