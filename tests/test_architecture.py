"""What holds the house together: our packages win, every plug is registered, documented and tested, texts are whole."""

from __future__ import annotations

import importlib.util
import re
import string
from pathlib import Path

import pytest

from alerts.registry import CHANNELS, RULE_KINDS, RULES, SENDING, channel_class, rule_class
from alerts.setting_words import setting_name
from command.i18n import LANGUAGES, texts
from command.settings import AssetSettings, OnlineMapSettings, PeopleSettings, Settings, TeamSettings, WebSettings
from dashboards.registry import PANELS
from sensors.registry import SOURCES, source_class

PARTS = (Settings, WebSettings, OnlineMapSettings, PeopleSettings, TeamSettings, AssetSettings)
OURS = ("command", "sensors", "vision", "maps", "alerts", "dashboards")


@pytest.mark.parametrize("name", OURS)
def test_our_package_wins_over_one_of_the_same_name(repository: Path, name: str) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.origin is not None
    assert Path(spec.origin) == repository / name / "__init__.py"


def test_the_floor_stays_empty(repository: Path) -> None:
    assert (repository / "command" / "__init__.py").read_text() == ""


@pytest.mark.parametrize("kind", sorted(SOURCES))
def test_every_source_loads_is_documented_and_tested(repository: Path, kind: str) -> None:
    assert source_class(kind).Config.model_fields["kind"]
    assert f"`{kind}`" in (repository / "docs" / "sources.md").read_text("utf-8")
    assert mentioned_in_tests(repository, "sensors", SOURCES[kind].split(":")[1])


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_rule_loads_is_documented_named_and_tested(repository: Path, name: str) -> None:
    assert rule_class(name).name == name
    assert f"`{name}`" in (repository / "docs" / "rules.md").read_text("utf-8")
    for language in LANGUAGES:
        assert texts(language)[f"rule.{name}"]
    assert mentioned_in_tests(repository, "alerts", RULES[name].split(":")[1])


@pytest.mark.parametrize("kind", sorted(RULE_KINDS))
def test_every_kind_of_rule_that_people_make_is_documented_named_and_tested(repository: Path, kind: str) -> None:
    assert rule_class(f"{kind}_x").name == f"{kind}_x"
    assert f"`{kind}_" in (repository / "docs" / "rules.md").read_text("utf-8")
    for language in LANGUAGES:
        assert texts(language)[f"rule.{kind}"]
    assert mentioned_in_tests(repository, "alerts", RULE_KINDS[kind].split(":")[1])


def test_every_setting_of_every_rule_has_a_name() -> None:
    for rule in (*RULES, *(f"{kind}_x" for kind in RULE_KINDS)):
        schema = rule_class(rule).Config.model_json_schema()
        parts = [schema, *schema.get("$defs", {}).values()]
        names = {name for part in parts for name in part.get("properties", {})}
        for name in names:
            for language in LANGUAGES:
                assert setting_name(rule, (name,), language, {}) != name, (rule, name)


@pytest.mark.parametrize("name", sorted(CHANNELS))
def test_every_channel_is_documented_and_tested(repository: Path, name: str) -> None:
    assert f"`{name}`" in (repository / "docs" / "alerts.md").read_text("utf-8")
    assert mentioned_in_tests(repository, "alerts", CHANNELS[name].split(":")[1])


@pytest.mark.parametrize("name", SENDING)
def test_every_setting_of_a_channel_is_documented(repository: Path, name: str) -> None:
    manual = (repository / "docs" / "settings.md").read_text("utf-8")
    fields = channel_class(name).Config.model_fields
    assert fields["type"].default == name
    assert {field for field in fields if f"`{field}`" not in manual} == set()


@pytest.mark.parametrize("name", sorted(PANELS))
def test_every_panel_is_one_file(repository: Path, name: str) -> None:
    assert (repository / "dashboards" / "panels" / f"{name}.py").exists()


def mentioned_in_tests(repository: Path, folder: str, class_name: str) -> bool:
    return any(class_name in path.read_text("utf-8") for path in (repository / "tests" / folder).rglob("test_*.py"))


def test_both_languages_have_the_same_texts_with_the_same_blanks() -> None:
    def blanks(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    japanese, english = texts("ja"), texts("en")
    assert set(japanese) == set(english)
    assert {key for key in japanese if blanks(japanese[key]) != blanks(english[key])} == set()
    assert {key for key, value in japanese.items() if not value.strip()} == set()


def test_every_text_that_the_code_names_is_there(repository: Path) -> None:
    known = set(texts("ja"))
    named = re.compile(r"""\btext\(\s*[\w.\[\]"']+\s*,\s*["']([a-z][a-z0-9_.]+)["']""")
    missing = {
        (path.name, key)
        for package in OURS
        for path in (repository / package).rglob("*.py")
        for key in named.findall(path.read_text("utf-8"))
        if key not in known
    }
    assert missing == set()


def test_every_setting_is_documented(repository: Path) -> None:
    manual = (repository / "docs" / "settings.md").read_text("utf-8")
    names = {name for part in PARTS for name in part.model_fields}
    assert {name for name in names if f"`{name}`" not in manual} == set()


def test_nothing_committed_names_a_machine_or_a_registry_host(repository: Path) -> None:
    import subprocess

    found = subprocess.run(
        [
            "git",
            "grep",
            "-nIE",
            r"registry\.npmjs\.org|files\.pythonhosted|/home/[a-z]+/|/root/\.",
            "--",
            ".",
            ":!tests",
        ],
        cwd=repository,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.stdout == ""
