"""Forms of rules' settings, made from the schema of a rule's Config, and read back. They need no script."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from alerts.setting_words import (
    Names,
    choice_word,
    in_unit,
    setting_help,
    setting_name,
    setting_value,
    units_of,
)
from command.i18n import text

Path = tuple[str | int, ...]
Form = Mapping[str, Sequence[str]]
MAX_ROWS: Final = 200
_SPARE_ROWS: Final = 2
"""Empty rows of a table whose keys are free."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What of a JSON schema a form asks for. `optional`: it may be nothing at all."""

    schema: Mapping[str, Any]
    optional: bool

    @property
    def kind(self) -> str:
        """object, table, rows, choices, words, yes_no, choice, number or word."""
        schema, said = self.schema, self.schema.get("type")
        if "properties" in schema or said == "object":
            return "object" if "properties" in schema else "table"
        if said == "array":
            items = schema["items"]
            return "rows" if "$ref" in items or "oneOf" in items else "choices" if "enum" in items else "words"
        if "enum" in schema:
            return "choice"
        return {"boolean": "yes_no", "number": "number", "integer": "number"}.get(str(said), "word")


class Schema:
    """A JSON schema of pydantic's, its references resolved."""

    def __init__(self, whole: Mapping[str, Any]) -> None:
        self.root = whole
        self._defs = whole.get("$defs", {})

    def shape(self, schema: Mapping[str, Any]) -> Shape:
        given, optional = dict(schema), False
        if "anyOf" in given:
            kept = [each for each in given["anyOf"] if each.get("type") != "null"]
            optional = len(kept) < len(given["anyOf"])
            given = {**given, **kept[0]}
        if "$ref" in given:
            given = {**self._defs[given["$ref"].rsplit("/", 1)[1]], **{k: given[k] for k in ("default",) if k in given}}
        if "const" in given:
            given["enum"] = [given["const"]]
        return Shape(schema=given, optional=optional)

    def variants(self, items: Mapping[str, Any]) -> Mapping[str, Mapping[str, Any]]:
        """The kinds of row that there are, by the word in a row's `fact`; none where all rows are of one kind."""
        mapping = items.get("discriminator", {}).get("mapping", {})
        return {word: {"$ref": reference} for word, reference in mapping.items()}

    def row(self, items: Mapping[str, Any], fact: str) -> Mapping[str, Any]:
        """The schema of a row; of one of several kinds, the one that `fact` names, else the first."""
        variants = self.variants(items)
        return variants.get(fact, next(iter(variants.values()))) if variants else items

    def empty(self, schema: Mapping[str, Any]) -> Any:
        """What a new row holds before anybody has written into it."""
        shape = self.shape(schema)
        if "default" in shape.schema:
            return shape.schema["default"]
        if shape.kind == "object":
            return {name: self.empty(each) for name, each in shape.schema["properties"].items()}
        return {"table": {}, "rows": [], "choices": [], "words": [], "yes_no": False}.get(shape.kind, "")


def read_settings(form: Form, whole: Mapping[str, Any]) -> dict[str, Any]:
    """What a form says, as a configuration that is still to be checked; what is no number stays as it was written."""
    reader = _Read(form, Schema(whole))
    return {name: reader.value(each, (name,)) for name, each in whole["properties"].items()}


class _Read:
    def __init__(self, form: Form, schema: Schema) -> None:
        self._form, self._schema = form, schema

    def value(self, schema: Mapping[str, Any], path: Path) -> Any:
        shape, key = self._schema.shape(schema), _key(path)
        if shape.optional and (
            f"off.{key}" in self._form or (shape.kind == "object" and f"on.{key}" not in self._form)
        ):
            return None
        if shape.kind == "object":
            return {name: self.value(each, (*path, name)) for name, each in shape.schema["properties"].items()}
        if shape.kind == "table":
            return self._table(shape, path)
        if shape.kind == "rows":
            rows = [int(i) for i in self._form.get(f"i.{key}", ())[:MAX_ROWS] if i.isdecimal()]
            facts = [self._form.get(f"s.{key}.{i}.fact", ("",))[0] for i in rows]
            kinds = [self._schema.row(shape.schema["items"], fact) for fact in facts]
            return [self.value(kind, (*path, i)) for kind, i in zip(kinds, rows, strict=True)]
        written = self._form.get(f"s.{key}", ())
        if shape.kind in ("choices", "words"):
            # what can be ticked comes one by one; other words are written one a line
            return [word for each in written for line in each.splitlines() if (word := line.strip())]
        return bool(written) if shape.kind == "yes_no" else self._scalar(shape, written, path)

    def _scalar(self, shape: Shape, written: Sequence[str], path: Path) -> Any:
        first = unicodedata.normalize("NFKC", written[0]).strip() if written else ""
        if not first and shape.optional:
            return None
        return self._number(first, path, whole=shape.schema["type"] == "integer") if shape.kind == "number" else first

    def _table(self, shape: Shape, path: Path) -> dict[str, Any]:
        key = _key(path)
        table: dict[str, Any] = {}
        for i, name in enumerate(self._form.get(f"k.{key}", ())[:MAX_ROWS]):
            written = self._form.get(f"s.{key}.{i}", ("",))[0].strip()
            if name.strip() and written:
                numeric = self._schema.shape(shape.schema["additionalProperties"]).kind == "number"
                table[name.strip()] = self._number(written, (*path, i), whole=False) if numeric else written
        return table

    def _number(self, written: str, path: Path, *, whole: bool) -> float | int | str:
        unit = self._form.get(f"u.{_key(path)}", ("",))[0]
        factor = units_of(path).get(unit, 1.0)
        try:
            if whole and factor == 1.0:
                return int(written)
            return round(float(written) * factor, 9)
        except (ValueError, OverflowError):
            return written


class SettingsForm:
    """The fields of a rule's settings.

    values: settings as JSON, or as `read_settings` gave them. areas: the names of those that may be chosen. wrong: what
    is wrong with a setting, by its path. given: the form that was sent, for the units that were chosen in it.
    """

    def __init__(
        self,
        rule: str,
        whole: Mapping[str, Any],
        *,
        language: str,
        areas: Names,
        wrong: Mapping[Path, str] | None = None,
        given: Form | None = None,
    ) -> None:
        self._rule, self._schema, self._language, self._areas = rule, Schema(whole), language, areas
        self._wrong, self._given = wrong or {}, given or {}

    def html(self, values: Mapping[str, Any]) -> str:
        fields = self._schema.root["properties"].items()
        return f'<div class="settings">{"".join(self._field(s, (n,), values.get(n)) for n, s in fields)}</div>'

    def _t(self, key: str, **params: object) -> str:
        return escape(text(self._language, key, **params))

    def _field(self, schema: Mapping[str, Any], path: Path, value: Any) -> str:
        shape = self._schema.shape(schema)
        if "const" in shape.schema:
            return f'<input type="hidden" name="s.{_key(path)}" value="{escape(str(shape.schema["const"]))}">'
        kind, name = shape.kind, escape(setting_name(self._rule, path[-1:], self._language, self._areas))
        notes = self._notes(shape, path)
        if kind in ("number", "choice", "word"):
            control = self._control(shape, path, value)
            return f'<div class="setting"><label for="{_id(path)}">{name}</label>{control}{notes}</div>'
        if kind == "yes_no":
            tick = f'<input type="checkbox" id="{_id(path)}" name="s.{_key(path)}" value="yes"{_checked(value)}>'
            return f'<div class="setting"><label class="box">{tick}<span>{name}</span></label>{notes}</div>'
        inside = {
            "object": self._object,
            "table": self._table,
            "rows": self._rows,
            "choices": self._choices,
            "words": self._words,
        }[kind](shape, path, value)
        return f'<fieldset class="whole"><legend>{name}</legend>{notes}{inside}</fieldset>'

    def _notes(self, shape: Shape, path: Path) -> str:
        said = []
        if help_text := setting_help(self._rule, str(path[-1]), self._language):
            said.append(f'<p class="help">{escape(help_text)}</p>')
        if shape.kind == "number" and (default := shape.schema.get("default")) is not None:
            shown = setting_value(path, default, self._language, self._areas)
            said.append(f'<p class="help">{self._t("rules.default", value=shown)}</p>')
        if (wrong := self._wrong.get(path)) is not None:
            said.append(f'<p class="error" id="{_id(path)}-wrong">{escape(wrong)}</p>')
        return "".join(said)

    def _attributes(self, path: Path) -> str:
        described = f' aria-invalid="true" aria-describedby="{_id(path)}-wrong"' if path in self._wrong else ""
        return f' id="{_id(path)}" name="s.{_key(path)}"{described}'

    def _control(self, shape: Shape, path: Path, value: Any, *, label: str = "") -> str:
        named = f' aria-label="{escape(label)}"' if label else ""
        if shape.kind == "number":
            return self._number(path, value, named)
        if shape.kind == "choice" or path[-1] == "area":
            words = list(self._areas) if path[-1] == "area" else [str(each) for each in shape.schema["enum"]]
            if value and str(value) not in words:
                words.append(str(value))
            return self._select(path, words, value, named, optional=shape.optional or path[-1] == "area")
        limit = shape.schema.get("maxLength", 200)
        shown = escape("" if value is None else str(value))
        return f'<input type="text"{self._attributes(path)}{named} value="{shown}" maxlength="{limit}">'

    def _number(self, path: Path, value: Any, named: str) -> str:
        units = units_of(path)
        unit = (self._given.get(f"u.{_key(path)}") or [next(iter(units), "")])[0]
        shown = "" if value is None else str(value)
        if isinstance(value, int | float):
            number, unit = in_unit(float(value), path)
            shown = f"{number:.10g}"
        attributes = f'{self._attributes(path)}{named} value="{escape(shown)}"'
        box = f'<input type="text" inputmode="decimal"{attributes} maxlength="30">'
        if not units:
            return box
        if len(units) == 1:
            only = next(iter(units))
            return f'<div class="measured">{box}<span>{self._t(f"unit.{only}")}</span></div>'
        options = "".join(
            f'<option value="{each}"{" selected" if each == unit else ""}>{self._t(f"unit.{each}")}</option>'
            for each in units
        )
        label = self._t("rules.unit_of", name=setting_name(self._rule, path, self._language, self._areas))
        return f'<div class="measured">{box}<select name="u.{_key(path)}" aria-label="{label}">{options}</select></div>'

    def _select(self, path: Path, words: Sequence[str], value: Any, named: str, *, optional: bool) -> str:
        none = f'<option value="">{self._t("rules.choose_none")}</option>' if optional else ""
        options = "".join(
            f'<option value="{escape(word)}"{" selected" if word == value else ""}>'
            f"{escape(choice_word(path, word, self._language, self._areas))}</option>"
            for word in words
        )
        return f"<select{self._attributes(path)}{named}>{none}{options}</select>"

    def _object(self, shape: Shape, path: Path, value: Any) -> str:
        fields = shape.schema["properties"].items()
        held = value if isinstance(value, Mapping) else {name: self._schema.empty(each) for name, each in fields}
        inside = "".join(self._field(each, (*path, name), held.get(name)) for name, each in fields)
        if not shape.optional:
            return f'<div class="settings">{inside}</div>'
        tick = f'<input type="checkbox" name="on.{_key(path)}" value="yes"{_checked(value is not None)}>'
        limited = f'<label class="box">{tick}<span>{self._t("rules.limit_it")}</span></label>'
        return limited + f'<div class="settings">{inside}</div>'

    def _table(self, shape: Shape, path: Path, value: Any) -> str:
        held: dict[str, Any] = dict(value or {})
        of_areas = str(path[-1]).endswith("_by_area")
        keys = [*self._areas, *(k for k in held if k not in self._areas)] if of_areas else list(held)
        each = self._schema.shape(shape.schema["additionalProperties"])
        each = Shape(schema=each.schema, optional=True)
        rows = ""
        for i, key in enumerate([*keys, *([] if of_areas else [""] * _SPARE_ROWS)]):
            title = setting_name(self._rule, (*path, key), self._language, self._areas)
            control = self._control(each, (*path, i), held.get(key), label=title or self._t("rules.value"))
            if of_areas:
                name = escape(self._areas.get(key, {}).get(self._language, key))
                head = f'<span>{name}</span><input type="hidden" name="k.{_key(path)}" value="{escape(key)}">'
            else:
                head = (
                    f'<input type="text" name="k.{_key(path)}" value="{escape(key)}" maxlength="100" '
                    f'aria-label="{self._t("rules.key")}">'
                )
            wrong = self._wrong.get((*path, key))
            told = f'<p class="error">{escape(wrong)}</p>' if wrong else ""
            rows += f'<div class="pair">{head}{control}{told}</div>'
        if not rows:
            return f'<p class="help">{self._t("scope.no_areas")}</p>'
        return f"<details{' open' if held else ''}><summary>{self._t('rules.each')}</summary>{rows}</details>"

    def _rows(self, shape: Shape, path: Path, value: Any) -> str:
        key = _key(path)
        rows = ""
        for i, row in enumerate(value or ()):
            fact = str(row.get("fact", "")) if isinstance(row, Mapping) else ""
            of_row = self._schema.shape(self._schema.row(shape.schema["items"], fact))
            title = f"{i + 1}. {choice_word(('fact',), fact, self._language, self._areas)}" if fact else str(i + 1)
            drop = (
                f'<button class="quiet" type="submit" name="do" value="drop.{key}.{i}">{self._t("rules.drop_row")}'
                f'<span class="unseen"> {i + 1}</span></button>'
            )
            inside = f'<input type="hidden" name="i.{key}" value="{i}">{self._object(of_row, (*path, i), row)}{drop}'
            rows += f'<fieldset class="item"><legend>{escape(title)}</legend>{inside}</fieldset>'
        add = f'<button class="quiet" type="submit" name="do" value="add.{key}">{self._t("rules.add_row")}</button>'
        if variants := self._schema.variants(shape.schema["items"]):
            options = "".join(
                f'<option value="{word}">{escape(choice_word(("fact",), word, self._language, self._areas))}</option>'
                for word in variants
            )
            label = self._t("rules.add_kind")
            add = f'<div class="measured"><select name="t.{key}" aria-label="{label}">{options}</select>{add}</div>'
        return rows + add

    def _choices(self, shape: Shape, path: Path, value: Any) -> str:
        return '<div class="row">' + self._boxes(path, shape.schema["items"]["enum"], value or ()) + "</div>"

    def _words(self, shape: Shape, path: Path, value: Any) -> str:
        if path[-1] != "areas":
            shown = escape("\n".join(value or ()))
            label = escape(setting_name(self._rule, path[-1:], self._language, self._areas))
            return f'<textarea{self._attributes(path)} rows="3" aria-label="{label}">{shown}</textarea>'
        held = list(value or ())
        boxes = self._boxes(path, [*self._areas, *(slug for slug in held if slug not in self._areas)], held)
        ways = ""
        if shape.optional:
            tick = f'<input type="checkbox" name="off.{_key(path)}" value="yes"{_checked(value is None)}>'
            ways = f'<label class="box">{tick}<span>{self._t("setting.every_area")}</span></label>'
        listed = f'<div class="areas">{boxes}</div>' if boxes else f'<p class="help">{self._t("scope.no_areas")}</p>'
        return ways + listed

    def _boxes(self, path: Path, words: Sequence[str], held: Sequence[str]) -> str:
        named = {word: escape(choice_word(path, word, self._language, self._areas)) for word in words}
        return "".join(
            f'<label class="box"><input type="checkbox" name="s.{_key(path)}" value="{escape(word)}"'
            f"{_checked(word in held)}><span>{name}</span></label>"
            for word, name in named.items()
        )


def with_row(values: dict[str, Any], whole: Mapping[str, Any], act: str, form: Form) -> dict[str, Any]:
    """The settings with a row more or less, as a button of `SettingsForm` asked for it: `add.PATH` or `drop.PATH.ROW`.
    What is no such act changes nothing. form: what was sent, for the kind of row that was chosen in it.
    """
    what, *parts = act.split(".")
    schema = Schema(whole)
    shape, held = Shape(schema=schema.root, optional=False), values
    at = int(parts.pop()) if what == "drop" and parts and parts[-1].isdecimal() else None
    rows: Any = held
    for part in parts:
        if isinstance(rows, list):
            if not part.isdecimal() or int(part) >= len(rows):
                return values
            rows = rows[int(part)]
            shape = schema.shape(schema.row(shape.schema["items"], str(rows.get("fact", ""))))
        elif part in shape.schema.get("properties", {}):
            rows, shape = rows[part], schema.shape(shape.schema["properties"][part])
        else:
            return values
    if not isinstance(rows, list):
        return values
    if what == "add" and len(rows) < MAX_ROWS:
        fact = (form.get(f"t.{_key(tuple(parts))}") or [""])[0]
        rows.append(schema.empty(schema.row(shape.schema["items"], fact)))
    elif at is not None and at < len(rows):
        del rows[at]
    return values


def _key(path: Path) -> str:
    return ".".join(str(part) for part in path)


def _id(path: Path) -> str:
    return "s-" + "-".join(str(part) for part in path)


def _checked(held: object) -> str:
    return " checked" if held else ""
