"""Lines break as Japanese sets them: nothing begins or ends a line that may not."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command.documents.lines import break_lines


def cells(text: str) -> float:
    """Two for a full-width character, none for a mark on the one before, one for any other."""
    return sum(
        0.0 if unicodedata.combining(char) else 2.0 if unicodedata.east_asian_width(char) in "WF" else 1.0
        for char in text
    )


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("厳原沖の不審船を確認。", 20, ["厳原沖の不審船を確", "認。"]),
        ("厳原港(対馬)へ入港", 7, ["厳原港", "(対馬)", "へ入港"]),
        ("彼は「はい」と答えた", 6, ["彼は", "「は", "い」と", "答えた"]),
        ("ジャッキー・チェン", 8, ["ジャッ", "キー・", "チェン"]),
        ("待って……もう一度", 7, ["待っ", "て……も", "う一度"]),
        ("時々刻々", 2, ["時", "々", "刻", "々"]),
        ("AISを受信しないvessel MOONGLOW", 16, ["AISを受信しない", "vessel MOONGLOW"]),
        ("2026-11-22 08:41:12 JST", 12, ["2026-11-22", "08:41:12 JST"]),
        ("速力12.5ノット", 8, ["速力12.5", "ノット"]),
        ("¥1,000を差押え", 6, ["¥1,000", "を差押", "え"]),
        ("0123456789abcdef", 6, ["012345", "6789ab", "cdef"]),
        ("一行目\n\n三行目  ", 20, ["一行目", "", "三行目"]),
        ("", 10, [""]),
        ("ｶﾞｷﾞ", 3, ["ｶﾞ", "ｷﾞ"]),
        ("が\u3099ぎ", 2, ["が\u3099", "ぎ"]),
    ],
)
def test_a_text_is_broken_where_it_may_be(text: str, width: float, lines: list[str]) -> None:
    assert break_lines(text, width, cells) == lines


@given(st.text(alphabet="あいうアッー、。「」()AB 12.5-\n々……☆", max_size=120), st.integers(min_value=1, max_value=30))
def test_no_character_is_lost_and_no_line_is_too_wide(text: str, width: int) -> None:
    lines = break_lines(text, float(width), cells)
    assert "".join(lines).replace(" ", "") == text.replace("\n", "").replace(" ", "")
    assert all(cells(line) <= max(width, 2) for line in lines)
