"""docs/rule-settings.md is what the rules say of their settings; the test writes it (WRITE_RULE_SETTINGS=1)."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from alerts.explain import rule_name
from alerts.registry import RULE_KINDS, RULES, rule_class
from alerts.setting_words import setting_help, setting_name, setting_value

HEADER = """# Every setting of every rule

Written by `tests/alerts/test_rule_settings.py`, which fails where this page is not what the program says of itself
(`WRITE_RULE_SETTINGS=1` writes it anew). In the settings file a number is in the unit that its name ends with: `_s`
seconds, `_m` metres, `_mps` metres a second, `_deg` degrees, `_percent`. On the page `/rules` people choose theirs.

"""


def tables() -> str:
    """A table a rule, and one for each part that settings are made of."""
    written: list[str] = []
    parts: dict[str, Mapping[str, Any]] = {}
    for rule in (*RULES, *(f"{kind}_NAME" for kind in RULE_KINDS)):
        known = rule.removesuffix("_NAME") + ("_name" if rule.endswith("_NAME") else "")
        schema = rule_class(known).Config.model_json_schema()
        written += [f"## `{rule}`: {rule_name(rule.removesuffix('_NAME'), 'en')}", "", *lines(known, schema), ""]
        parts |= schema.get("$defs", {})
    for name, schema in sorted(parts.items()):
        if "properties" in schema:
            fact = schema["properties"].get("fact", {}).get("const")
            title = f"Condition `{fact}`" if fact else f"Part `{name}`"
            written += [f"## {title}", "", *lines("conditions_name" if fact else "", schema), ""]
    return HEADER + "\n".join(written).rstrip() + "\n"


def lines(rule: str, schema: Mapping[str, Any]) -> Iterator[str]:
    yield "| Setting | 日本語 | English | May be | Default |"
    yield "|---|---|---|---|---|"
    for name, said in schema["properties"].items():
        if name == "fact":
            continue
        japanese, english = (setting_name(rule, (name,), language, {}) for language in ("ja", "en"))
        more = setting_help(rule, name, "en")
        default = "must be said" if name in schema.get("required", ()) else "`" + default_of(name, said) + "`"
        yield f"| `{name}` | {japanese} | {english}{'. ' + more if more else ''} | {allowed(name, said)} | {default} |"


def default_of(name: str, said: Mapping[str, Any]) -> str:
    return setting_value((name,), said["default"], "en", {}) if "default" in said else "none"


def allowed(name: str, said: Mapping[str, Any]) -> str:
    """The limits of a setting, in words."""
    options = said.get("anyOf", [said])
    kinds = [bounds(name, each) for each in options if each.get("type") != "null"]
    return ", ".join(kinds) + (", or none" if len(kinds) < len(options) else "")


def bounds(name: str, said: Mapping[str, Any]) -> str:
    if "enum" in said:
        return ", ".join(f"`{each}`" for each in said["enum"])
    if said.get("type") in ("number", "integer"):
        signs = (("exclusiveMinimum", "above"), ("minimum", "from"), ("exclusiveMaximum", "below"), ("maximum", "to"))
        limits = [f"{word} {setting_value((name,), said[sign], 'en', {})}" for sign, word in signs if sign in said]
        return " ".join(limits) or "a number"
    if said.get("type") == "array":
        items = said["items"]
        return f"list of {bounds(name, items)}" if "enum" in items else "list"
    if "$ref" in said:
        return f"part `{said['$ref'].rsplit('/', 1)[1]}`"
    return {"boolean": "true, false", "object": "table"}.get(str(said.get("type")), "text")


def test_the_page_of_settings_is_what_the_rules_say_of_themselves(repository: Path) -> None:
    page, path = tables(), repository / "docs" / "rule-settings.md"
    if os.environ.get("WRITE_RULE_SETTINGS"):
        path.write_text(page, "utf-8")
    assert path.read_text("utf-8") == page
