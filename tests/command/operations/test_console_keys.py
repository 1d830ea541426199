"""The table of keys: what a person may set, and that no script of the page has a key beside it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from command.i18n import texts
from command.operations.console_keys import FIXED, KEYS, BadKeys, KeySettings, KeyTaken, check_keys


def test_every_key_has_one_act_and_words_for_it_in_both_languages() -> None:
    assert len(set(KEYS.values())) == len(KEYS)
    for language in ("ja", "en"):
        words = texts(language)
        assert {f"console.key_{act}" for act in (*KEYS, *(name for _, name in FIXED))} <= set(words)
    check_keys(KeySettings(), "ja")


def test_no_script_of_the_page_minds_a_letter_that_is_not_in_the_table(repository: Path) -> None:
    scripts = [*(repository / "dashboards/assets").glob("*.js"), *(repository / "dashboards/map/src").rglob("*.ts")]
    # a comparison of a pressed key with one character, and a case of a switch over one
    letter = re.compile(r"""(?:\bkey\b\S*|\bname) === "([^"])"|case "([^"])":""")
    found = {
        (path.name, match[1] or match[2]) for path in scripts for match in letter.finditer(path.read_text("utf-8"))
    }
    # Ctrl+A of the list, Ctrl+S of the area that is edited, and the space bar, which are no character keys of the page
    assert found == {("triage.js", "a"), ("triage.js", " "), ("editor.ts", "s")}


@pytest.mark.parametrize(
    ("keys", "problem", "words"),
    [
        ({"acknowledge": "k"}, KeyTaken, "「K」は「前の警報・事案」に使われています"),
        ({"next": "F2", "previous": "F2"}, KeyTaken, "「F2」"),
        ({"acknowledge": " "}, BadKeys, "使えません"),
        ({"acknowledge": "F5"}, BadKeys, "使えません"),
        ({"acknowledge": "あ"}, BadKeys, "使えません"),
        ({"acknowledge": "ab"}, BadKeys, "使えません"),
        ({"fly": "x"}, BadKeys, "「fly」"),
    ],
)
def test_keys_that_cannot_be_say_why(keys: dict[str, str | None], problem: type[BadKeys], words: str) -> None:
    with pytest.raises(problem, match=words):
        check_keys(KeySettings(keys=keys), "ja")


def test_two_acts_may_change_their_keys_with_each_other_and_a_key_that_was_let_go_is_free() -> None:
    check_keys(KeySettings(keys={"next": "k", "previous": "j"}), "ja")
    check_keys(KeySettings(keys={"next": None, "acknowledge": "j"}), "ja")
