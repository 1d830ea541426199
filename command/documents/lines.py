"""Where lines of Japanese and Latin text break: kinsoku shori (JIS X 4051, section 6.1; W3C JLREQ, section 3.1.7)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Final

Measure = Callable[[str], float]
"""The width of a text, in the unit that the caller counts in."""

_NOT_FIRST: Final = frozenset(
    "、。，．・：；？！‼⁇⁈⁉”’）〕］｝〉》」』】〙〗｠»‐–—゠〜～…‥々〻ゝゞヽヾーぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶ"
    "ㇰㇱㇲㇳㇴㇵㇶㇷㇸㇹㇺㇻㇼㇽㇾㇿ゛゜%％‰℃°′″,.:;?!)]}｡､｣･ﾞﾟｰｧｨｩｪｫｬｭｮｯ"
)
"""What never begins a line: closing brackets, hyphens, dividing marks, stops, iteration marks, small kana, units."""
_NOT_LAST: Final = frozenset("“‘（〔［｛〈《「『【〘〖｟«([{｢¥$£€#№＃￥＄〒")
"""What never ends a line: opening brackets and what is written before a number."""
_NOT_APART: Final = frozenset("——……‥‥――")
"""Of these, two of the same stay together."""
_JOINED: Final = re.compile(r"[\u0300-\u036f\u3099\u309a\ufe00-\ufe0f\u200d\U000e0100-\U000e01ef\U0001f3fb-\U0001f3ff]")
_AFTER: Final = frozenset("-/_,.;:)]}%→")
"""A Latin word may be parted after these, where a letter follows."""


def break_lines(text: str, width: float, measure: Measure) -> list[str]:
    """The text as lines no wider than `width`, at least one. A newline in it ends a line.

    What may not begin a line takes the character before it along (追い出し); a word that is wider than a line is parted
    anywhere. Space at a break falls away.
    """
    return [line for part in text.split("\n") for line in _broken(part.rstrip(), width, measure)]


def _broken(text: str, width: float, measure: Measure) -> list[str]:
    lines: list[str] = []
    start = 0
    while True:
        end = _fitting(text, start, width, measure)
        if end == len(text):
            return [*lines, text[start:]]
        at = next((i for i in range(end, start, -1) if may_break(text, i)), None)
        if at is None:
            at = next((i for i in range(end, len(text)) if not _JOINED.match(text, i)), len(text))
        lines.append(text[start:at].rstrip())
        start = at
        while start < len(text) and text[start] == " ":
            start += 1


def _fitting(text: str, start: int, width: float, measure: Measure) -> int:
    """How far the line from `start` may reach: at least one character, however narrow the line."""
    low, high = start + 1, len(text)
    if measure(text[start:].rstrip()) <= width:
        return high
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if measure(text[start:middle].rstrip()) <= width else (low, middle - 1)
    return min(low, len(text))


def may_break(text: str, at: int) -> bool:
    """Whether a line may end before the character `at`, 0 < at < len(text)."""
    before, after = text[at - 1], text[at]
    if after == " " or _JOINED.match(after):
        return False
    if after in _NOT_FIRST or (before in _NOT_APART and before == after):
        return False
    last = text[:at].rstrip(" ")[-1:]
    if last in _NOT_LAST:
        return False
    if before == " ":
        return True
    if before in _AFTER and after.isalnum() and not (before in "-/.,:" and after.isdigit()):
        return True
    return _is_wide(before) or _is_wide(after)


def _is_wide(char: str) -> bool:
    """Whether it is a kana, an ideograph or another full-width character, or a half-width kana."""
    return unicodedata.east_asian_width(char) in "WFH" and char != "₩"
