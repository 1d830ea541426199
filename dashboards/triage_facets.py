"""The filters and groupings of the list of alerts: what can be chosen, and how many alerts each choice would show."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dash import html
from dash.development.base_component import Component

from alerts.explain import rule_name
from command.domain.alert import Severity
from command.i18n import text
from command.operations.console import Console
from command.operations.triage_view import AGES, MINE, NOBODY, Arranged, Facet, Grouping, State, TriageView
from dashboards.marks import marks
from dashboards.panel import View
from dashboards.words import shape

SEVERITIES: Final = tuple(sorted(Severity, reverse=True))
_MOST_PLACES: Final = 40
"""More values than this of one facet are not listed: the fewest alerts are the last."""


def severity_chips(found: Arranged, view: TriageView, language: str) -> list[Component]:
    """One a severity, always in sight."""
    counts, chosen = found.counts[Facet.SEVERITY], view.chosen.get(Facet.SEVERITY, frozenset())
    return [
        html.Button(
            [shape(s), text(language, f"severity.{s.word}"), html.Span(counts.get(s.word, 0), className="count")],
            type="button",
            className=f"chip sev-{s.word}",
            title=text(language, "triage.filter"),
            **marks(data_chip=s.word, aria_pressed=str(s.word in chosen).lower()),
        )
        for s in SEVERITIES
    ]


def facet_panel(console: Console, found: Arranged, view: TriageView, language: str) -> list[Component]:
    """The other facets, each with its values as buttons. A chosen value stays in sight where no alert has it."""
    owners = sorted(_values(found, view, Facet.OWNER) - {MINE, NOBODY})
    parts: list[tuple[Facet, list[tuple[str, str]]]] = [
        (Facet.STATE, [(each.value, text(language, f"triage.state.{each.value}")) for each in State]),
        (Facet.AGE, [(name, text(language, f"triage.age.{name}")) for name, _ in AGES]),
        (
            Facet.OWNER,
            [
                (MINE, text(language, "triage.owner.mine")),
                (NOBODY, text(language, "triage.owner.nobody")),
                *((each, each.partition(":")[2]) for each in owners),
            ],
        ),
        (Facet.RULE, [(each, rule_name(each, language)) for each in _busiest(found, view, Facet.RULE)]),
        (Facet.PLACE, [(each, console.place_name(each, language)) for each in _busiest(found, view, Facet.PLACE)]),
    ]
    made: list[Component] = [_facet(found, view, facet, values, language) for facet, values in parts if values]
    return made


def _facet(
    found: Arranged, view: TriageView, facet: Facet, values: Iterable[tuple[str, str]], language: str
) -> Component:
    title = text(language, f"triage.facet.{facet.value}")
    chosen = view.chosen.get(facet, frozenset())
    buttons = [
        html.Button(
            [name, html.Span(found.counts[facet].get(value, 0), className="count")],
            key=value,
            type="button",
            className="value",
            **marks(data_facet=facet.value, data_value=value, aria_pressed=str(value in chosen).lower()),
        )
        for value, name in values
    ]
    return html.Div(
        [html.Span(title, className="label"), html.Div(buttons, role="group", **marks(aria_label=title))],
        key=facet.value,
        className="facet",
    )


def _values(found: Arranged, view: TriageView, facet: Facet) -> frozenset[str]:
    return frozenset(found.counts[facet]) | view.chosen.get(facet, frozenset())


def _busiest(found: Arranged, view: TriageView, facet: Facet) -> list[str]:
    counts, chosen = found.counts[facet], view.chosen.get(facet, frozenset())
    ordered = sorted(_values(found, view, facet), key=lambda value: (value not in chosen, -counts.get(value, 0), value))
    return ordered[:_MOST_PLACES]


def filtered_note(found: Arranged, view: TriageView, language: str) -> Component | None:
    """Says that something is hidden, and offers to show it: a filter that was forgotten hides alerts."""
    if not any(view.chosen.values()):
        return None
    note: Component = html.Div(
        [
            html.Span(text(language, "triage.filtered", n=found.passed, total=found.total)),
            html.Button(text(language, "triage.unfilter"), id="triage-unfilter", type="button"),
        ],
        className="filtered",
        role="status",
    )
    return note


def grouping_switch(view: View) -> Component:
    """What stands together; the page's script presses the one that is chosen."""
    buttons = [
        html.Button(
            view.t(f"triage.group.{each.value}"),
            type="button",
            **marks(data_grouping=each.value, aria_pressed=str(each is Grouping.SEVERITY).lower()),
        )
        for each in Grouping
    ]
    switch: Component = html.Div(
        buttons, className="switch", role="group", **marks(aria_label=view.t("triage.grouping"))
    )
    return switch
