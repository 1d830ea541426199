"""What an officer types finds what a ship sends, however either was written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command.i18n.folding import folded, holds_all


@pytest.mark.parametrize(
    ("typed", "within"),
    [
        ("かいよう", "第三カイヨウ丸"),
        ("ｶﾞｲﾖｳ", "ガイヨウ"),
        ("kaiyo maru", "KAIYO MARU NO.3"),
        ("maru kaiyo", "KAIYO  MARU"),
        ("ＫＡＩＹＯ　ＭＡＲＵ", "kaiyo maru"),
        ("４３１００２", "mmsi:431002123"),
        ("ヴェガ", "ゔぇが"),
        ("", "anything"),
        ("  ", ""),
    ],
)
def test_width_case_kana_and_the_order_of_words_do_not_matter(typed: str, within: str) -> None:
    assert holds_all(typed, within)


@pytest.mark.parametrize(("typed", "within"), [("かいよう", "かいよ"), ("kaiyo hakurei", "KAIYO MARU"), ("カ", "ガ")])
def test_what_is_another_word_is_not_found(typed: str, within: str) -> None:
    assert not holds_all(typed, within)


@given(st.text(max_size=40))
def test_folding_again_changes_nothing_and_every_text_finds_itself(words: str) -> None:
    assert folded(folded(words)) == folded(words)
    assert holds_all(words, words)
