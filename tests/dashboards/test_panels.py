"""Panels: each is registered, loads, and is told apart by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

import dashboards.panels
from command.i18n.times import jst
from command.operations.console_health import Level
from dashboards.panel import Place
from dashboards.panels.health import _said, _within
from dashboards.registry import PANELS, UnknownPanel, make_panels
from dashboards.words import age, degrees, knots, number


def test_every_file_of_panels_has_its_line_in_the_registry() -> None:
    files = {p.stem for p in Path(dashboards.panels.__path__[0]).glob("*.py")} - {"__init__"}
    assert {line.split(":")[0].rsplit(".", 1)[1] for line in PANELS.values()} == files


def test_panels_stand_somewhere_and_can_be_switched_off() -> None:
    assert all(panel.place in Place for panel in make_panels({}))
    assert len(make_panels({"health": {"enabled": False}})) == len(PANELS) - 1


def test_an_unknown_panel_or_setting_is_refused_by_name() -> None:
    with pytest.raises(UnknownPanel, match="weather; choose from areas, banner"):
        make_panels({"weather": {}})
    with pytest.raises(ValidationError, match="colour"):
        make_panels({"triage": {"colour": "red"}})


def test_times_and_measures_are_written_as_officers_write_them() -> None:
    assert jst(1_795_304_472_000_000) == "2026-11-22 08:41:12 JST (23:41Z)"
    assert [age("ja", s) for s in (3, 125, 7_500, 400_000, -2)] == [
        "3秒前",
        "2分前",
        "2時間5分前",
        "4日前",
        "まもなく",
    ]
    assert (knots(5.144444), knots(None), knots(float("nan"))) == ("10.0", None, None)
    assert (degrees(359.7), degrees(47.2), degrees(None)) == ("000°", "047°", None)
    assert (number(87.4, "%"), number(12.44, "m", digits=1), number(None, "m")) == ("87%", "12.4 m", None)


def test_a_process_says_single_values_of_itself_and_leaves_its_tables_to_the_tables() -> None:
    detail = {"broker": {"connected": True, "trouble": None}, "queues": {"a": {"ready": 1}}, "sent": 3, "teams": ["x"]}
    assert _said(detail) == "broker connected True, sent 3"


@pytest.mark.parametrize(
    ("seconds", "level"),
    [(None, Level.UNKNOWN), (0.4, Level.GOOD), (-11.0, Level.WATCH), (11.0, Level.WATCH)],
)
def test_a_lag_that_nobody_measured_is_unknown_and_not_good(seconds: float | None, level: Level) -> None:
    assert _within(seconds, 10.0) is level
