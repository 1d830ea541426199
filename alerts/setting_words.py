"""The settings of rules in people's words: what each is called, what its value says, and what differs between two."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from alerts.registry import kind_of
from alerts.rule import RuleConfig
from command.domain.geo import METRES_PER_NAUTICAL_MILE, MPS_PER_KNOT
from command.i18n import text, texts

Names = Mapping[str, Mapping[str, str]]
"""What people call areas: slug -> language -> name."""
Path = tuple[str | int, ...]

UNITS: Final[Mapping[str, Mapping[str, float]]] = {
    "_s": {"s": 1.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0},
    "_m": {"m": 1.0, "nm": METRES_PER_NAUTICAL_MILE},
    "_mps": {"kn": MPS_PER_KNOT, "mps": 1.0},
    "_percent": {"percent": 1.0},
    "_deg": {"deg": 1.0},
}
"""By the ending of a setting's name: the units that people may write it in, and how many of ours each is."""
_CHOICES: Final = ("kind", "severity", "day", "sun", "condition", "facility.kind")
_UNDER: Final = {"fact": "condition", "facility_kind": "facility.kind"}
"""Settings whose words stand under another name."""


def units_of(path: Path) -> Mapping[str, float]:
    """The units that a number may be written in; none where it is only a number."""
    for part in reversed(path):
        name = str(part).removesuffix("_by_area").removesuffix("_by_source")
        for ending, units in UNITS.items():
            if name.endswith(ending):
                return units
    return {}


def in_unit(value: float, path: Path) -> tuple[float, str]:
    """The value in the largest unit in which it is short to write, and that unit; "" where there is none."""
    units = units_of(path)
    for unit in reversed(list(units)):
        written = round(value / units[unit], 9)
        if written >= 1.0 and written == round(written, 2):
            return written, unit
    unit = next(iter(units), "")
    return round(value / units.get(unit, 1.0), 9), unit


def setting_name(rule: str, path: Path, language: str, areas: Names) -> str:
    """What people call a setting, the names of the list or table that it stands in before it."""
    parts: list[str] = []
    known = texts(language)
    for i, part in enumerate(path):
        if isinstance(part, int):
            parts.append(str(part + 1))
        elif i and str(path[i - 1]).endswith("_by_area"):
            parts.append(areas.get(part, {}).get(language, part))
        else:
            key = next((k for k in _keys(rule, part) if k in known), None)
            parts.append(known[key] if key else part)
    return text(language, "setting.in").join(parts)


def setting_help(rule: str, name: str, language: str) -> str:
    """What more there is to know of a setting; "" where its name says it."""
    known = texts(language)
    return next((known[f"{key}.help"] for key in _keys(rule, name) if f"{key}.help" in known), "")


def setting_value(path: Path, value: Any, language: str, areas: Names) -> str:
    """What the value of a setting says."""
    name = next((str(part) for part in reversed(path) if isinstance(part, str)), "")
    if value is None:
        return text(language, "setting.every_area" if name == "areas" else "setting.none")
    if isinstance(value, bool):
        return text(language, "setting.yes" if value else "setting.no")
    if isinstance(value, int | float):
        written, unit = in_unit(float(value), path)
        number = f"{written:.10g}"
        return text(language, f"unit.{unit}.of", n=number) if unit else number
    if isinstance(value, str):
        return choice_word(path, value, language, areas)
    if isinstance(value, Mapping):
        parts = [
            f"{setting_name('', (k,), language, areas)} {setting_value((k,), v, language, areas)}"
            for k, v in value.items()
        ]
    else:
        parts = [setting_value(path, each, language, areas) for each in value]
    return text(language, "area.refused.list_separator").join(parts) or text(language, "setting.nothing")


def choice_word(path: Path, value: str, language: str, areas: Names) -> str:
    """What people call one of the words that a setting may be; an area by its name; else as it is."""
    known = texts(language)
    names = [str(part).removesuffix("s") for part in reversed(path) if isinstance(part, str)]
    for name in names:
        if name == "area" and value in areas:
            return areas[value][language]
        for what in (_UNDER.get(name, name), *(c for c in _CHOICES if name.endswith(c) or f"{c}_by" in name)):
            if (key := f"{what}.{value}") in known:
                return known[key]
    return value


def differences(rule: str, before: RuleConfig, after: RuleConfig, language: str, areas: Names) -> list[str]:
    """What differs between two configurations of a rule, a sentence each."""
    return [
        text(
            language,
            "setting.differs",
            name=setting_name(rule, path, language, areas),
            before=setting_value(path, old, language, areas),
            after=setting_value(path, new, language, areas),
        )
        for path, old, new in _differing((), before, after)
    ]


def _differing(path: Path, before: Any, after: Any) -> Iterator[tuple[Path, Any, Any]]:
    old, new = _parts(before), _parts(after)
    if old is None or new is None:
        if _plain(before) != _plain(after):
            yield path, _plain(before), _plain(after)
        return
    for key in dict.fromkeys((*old, *new)):
        yield from _differing((*path, key), old.get(key), new.get(key))


def _parts(value: Any) -> dict[str | int, Any] | None:
    """What a value is made of, where its parts are compared one by one."""
    if isinstance(value, BaseModel):
        return {name: getattr(value, name) for name in type(value).model_fields}
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and any(isinstance(each, BaseModel) for each in value):
        return {str(getattr(each, "name", i + 1)): each for i, each in enumerate(value)}
    return None


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, frozenset):
        return sorted(value)
    return list(value) if isinstance(value, tuple) else value


def _keys(rule: str, name: str) -> tuple[str, ...]:
    rule = kind_of(rule) or rule
    return (f"setting.{rule}.{name}", f"setting.{name}")
