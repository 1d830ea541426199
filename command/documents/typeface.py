"""The typeface of printed documents, and what becomes of characters that it has not."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Set
from pathlib import Path
from typing import Final

FONTS: Final = Path(__file__).parent / "fonts"
REGULAR: Final = FONTS / "NotoSansJP-Regular.ttf"
BOLD: Final = FONTS / "NotoSansJP-Bold.ttf"
"""Noto Sans JP (SIL Open Font License 1.1), as the console has it: it may be embedded and passed on."""

GETA: Final = "〓"
"""Printers put it where a character is missing, so that nobody takes the place for empty."""

_UNSEEN: Final = {"Cc", "Cf", "Cs", "Co", "Cn"}
_SELECTORS: Final = frozenset(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
"""They choose a variant of the character before them, which is printed in its usual form."""
_COMPOSED: Final = re.compile("[^\u0300-\u036f\u3099\u309a][\u0300-\u036f\u3099\u309a]+")
"""A letter with marks of its own. Only these are put together: NFC of a whole text would also turn 神 (U+FA19), as some
write their name, into 神."""


class TypefaceMissing(RuntimeError):
    """The typeface's files are not where the set-up puts them; its text says what to do."""

    def __init__(self) -> None:
        super().__init__("the typeface of printed documents is missing; run: sh deploy/bundle.sh")


class Printable:
    """Makes texts printable and counts what it had to replace. known: the code points that the typeface has."""

    def __init__(self, known: Set[int]) -> None:
        self._known = known
        self.missing: Counter[str] = Counter()

    def __call__(self, text: str) -> str:
        """The text with GETA for each character that is not there; what nobody sees falls away."""
        kept: list[str] = []
        for char in _COMPOSED.sub(_compose, text.replace("\r\n", "\n").replace("\t", " ")):
            if char == "\n" or ord(char) in self._known:
                kept.append(char)
            elif char not in _SELECTORS and unicodedata.category(char) not in _UNSEEN:
                self.missing[char] += 1
                kept.append(GETA)
        return "".join(kept)


def _compose(found: re.Match[str]) -> str:
    return unicodedata.normalize("NFC", found[0])


def named(char: str) -> str:
    """`U+1F600 GRINNING FACE`."""
    return f"U+{ord(char):04X} {unicodedata.name(char, '')}".rstrip()
