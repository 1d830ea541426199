"""Health: one strip that says at a glance whether the watch can be trusted, and a table of every count behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from dash import Dash, Input, Output, html, no_update
from dash.development.base_component import Component

from command.domain.clock import US_PER_S
from command.i18n import text
from command.operations.access import needs
from command.operations.console import Console
from command.operations.console_health import LAG_WATCH_S, OFFSET_WATCH_S, ConsoleHealth, Level
from command.operations.people import Permission, current_language
from dashboards.dialog import dialog
from dashboards.marks import key_hint, marks
from dashboards.panel import PanelConfig, Place, View
from dashboards.words import age, jst_clock


class HealthConfig(PanelConfig):
    """Nothing to set."""


class Health:
    """Every level is a shape, a word and a colour."""

    Config: ClassVar[type[PanelConfig]] = HealthConfig
    place: ClassVar[Place] = Place.BOTTOM

    def __init__(self, config: HealthConfig) -> None:
        self._config = config

    def layout(self, view: View) -> Component:
        return html.Footer(
            className="health",
            **marks(aria_label=view.t("health.title")),
            children=[
                html.Span(view.t("health.title"), className="label"),
                html.Div(strip(view.console.health, view.language), id="health-strip", className="strip"),
                html.Button([view.t("tracks.title"), key_hint("list")], type="button", **marks(data_side="list")),
                html.Button(
                    [view.t("facilities.title"), key_hint("facilities")], type="button", **marks(data_side="facilities")
                ),
                html.Button([view.t("console.detail"), key_hint("health")], id="health-open", type="button"),
                dialog(
                    view,
                    "health-modal",
                    title=view.t("health.title"),
                    children=html.Div(id="health-detail"),
                    size="80rem",
                ),
            ],
        )

    def connect(self, app: Dash, console: Console) -> None:
        @app.callback(
            Output("health-strip", "children"),
            Output("health-detail", "children"),
            Input("beat", "data"),
            Input("health-modal", "opened"),
            prevent_initial_call=True,  # the page comes with the strip
        )
        @needs(Permission.WATCH)
        async def show(_: int | None, opened: bool | None) -> tuple[Any, Any]:
            language, health = current_language(), console.health
            now_us = console.clock.now_us()
            return strip(health, language), detail(health, language, now_us=now_us) if opened else no_update


def strip(health: ConsoleHealth, language: str) -> list[Component]:
    """The strip's items, in the order that an officer asks for them."""
    sources, processes = health.sources, health.processes
    rejected, shed = sum(s.rejected for s in sources), sum(s.shed for s in sources)
    offset = health.worst_offset_s
    queues = health.queues
    items = [
        _item(
            language,
            "health.sources",
            max((s.level for s in sources), default=Level.UNKNOWN),
            text(language, "health.running_of", n=health.receiving, all=len(sources)),
        ),
        _item(language, "health.rejected", Level.GOOD, f"{rejected:,}"),
        _item(language, "health.lag", _within(health.worst_lag_s, LAG_WATCH_S), _seconds(language, health.worst_lag_s)),
        _item(
            language,
            "health.queues",
            Level.UNKNOWN if queues is None else max((q.level for q in queues), default=Level.GOOD),
            text(language, "health.unknown")
            if queues is None
            else text(language, "health.waiting_messages", n=sum(q.depth for q in queues)),
        ),
        _item(
            language,
            "health.processes",
            max((p.level for p in processes), default=Level.UNKNOWN),
            text(
                language,
                "health.alive_of",
                n=sum(p.level is not Level.BAD for p in processes),
                all=len(processes),
            ),
        ),
        _item(
            language,
            "health.database",
            Level.GOOD if health.store.connected else Level.BAD,
            text(language, "health.ok" if health.store.connected else "health.away"),
        ),
        _item(
            language,
            "health.clock",
            _within(offset, OFFSET_WATCH_S),
            _seconds(language, offset, signed=True),
        ),
    ]
    if health.on_duty is not None:
        items.insert(0, _item(language, "watch.watch", health.watch, text(language, "watch.people", n=health.on_duty)))
    failing = max((c.level for c in health.channels), default=Level.GOOD)
    if failing is not Level.GOOD:
        of = [line.told for line in health.channels if line.level is failing]
        count = sum(told.dead for told in of) if failing is Level.BAD else len(of)
        said = text(language, "health.channels_dead" if failing is Level.BAD else "health.channels_failing", n=count)
        items.append(_item(language, "health.channels", failing, said))
    if shed:
        items.insert(2, _item(language, "health.shed", Level.WATCH, f"{shed:,}"))
    return items


def detail(health: ConsoleHealth, language: str, *, now_us: int) -> list[Component]:
    """Tables of sources, queues, processes and the database, with every count by its reason."""
    store = health.store
    since = text(language, "health.since", time=jst_clock(store.since_us))
    state = text(language, "health.ok" if store.connected else "health.away")
    return [
        html.H3(text(language, "health.sources")),
        _sources(health, language, now_us=now_us),
        html.H3(text(language, "health.queues")),
        _queues(health, language),
        html.H3(html.A(text(language, "deliveries.title"), href="/deliveries")),
        _channels(health, language),
        html.H3(text(language, "health.processes")),
        _processes(health, language),
        html.H3(text(language, "health.database")),
        html.P(
            [
                _level(Level.GOOD if store.connected else Level.BAD, language),
                f" {state} ({since})",
                *([html.Br(), html.Span(store.detail)] if store.detail else []),
            ]
        ),
    ]


def _sources(health: ConsoleHealth, language: str, *, now_us: int) -> Component:
    if not health.sources:
        return html.P(text(language, "health.no_sources"), className="empty")
    rows = []
    for line in health.sources:
        source = line.health
        seen = "–" if source.last_seen_us is None else age(language, (now_us - source.last_seen_us) / US_PER_S)
        rows.append(
            (
                html.Strong(source.source),
                f"{source.kind} / {source.gateway}",
                [_level(line.level, language), " ", text(language, f"health.state_{line.state}")],
                f"{source.messages_in:,}",
                f"{source.decoded:,}",
                _reasons(source.rejected),
                f"{source.duplicates:,}",
                _reasons(source.shed),
                _seconds(language, source.lag_s),
                _seconds(language, source.clock_offset_s, signed=True),
                seen,
                source.detail,
            )
        )
    heads = (
        "name",
        "kind",
        "state",
        "in",
        "decoded",
        "rejected",
        "duplicates",
        "shed",
        "lag",
        "clock",
        "last_seen",
        "detail",
    )
    return _table(language, heads, rows)


def _queues(health: ConsoleHealth, language: str) -> Component:
    if health.queues is None:
        return html.P(text(language, "health.no_queues"), className="empty")
    rows = [(q.name, _level(q.level, language), f"{q.depth:,}") for q in health.queues]
    return _table(language, ("name", "state", "depth"), rows)


def _channels(health: ConsoleHealth, language: str) -> Component:
    if not health.channels:
        return html.P(text(language, "deliveries.no_channels"), className="empty")
    rows = [
        (
            html.Strong(line.told.name),
            _level(line.level, language),
            f"{line.told.waiting:,}",
            f"{line.told.failing:,}",
            f"{line.told.dead:,}",
            "–" if line.told.last_sent_us is None else jst_clock(line.told.last_sent_us),
            line.told.trouble or "",
        )
        for line in health.channels
    ]
    heads = ("channel", "state", "waiting", "failing", "dead_count", "last_sent", "trouble")
    return _table(language, heads, rows, texts="deliveries")


def _processes(health: ConsoleHealth, language: str) -> Component:
    if not health.processes:
        return html.P(text(language, "health.no_processes"), className="empty")
    rows = [
        (
            html.Strong(p.heartbeat.process),
            str(p.heartbeat.pid),
            _level(p.level, language),
            age(language, p.age_s),
            _said(p.heartbeat.detail),
        )
        for p in health.processes
    ]
    return _table(language, ("name", "pid", "state", "reported", "detail"), rows)


def _table(language: str, heads: tuple[str, ...], rows: list[Any], *, texts: str = "health") -> Component:
    head = html.Thead(html.Tr([html.Th(text(language, f"{texts}.{name}"), scope="col") for name in heads]))
    body = html.Tbody([html.Tr([html.Td(cell) for cell in row]) for row in rows])
    return html.Div(html.Table([head, body]), className="table")


def _item(language: str, key: str, level: Level, value: str) -> Component:
    return html.Span(
        [
            html.Span(
                className=f"lamp lamp-{level.word}", role="img", **marks(aria_label=_level_word(level, language))
            ),
            html.Span(text(language, key), className="label"),
            html.Span(value, className="value"),
        ],
        className=f"item level-{level.word}",
    )


def _within(value: float | None, limit: float) -> Level:
    """What nobody measured is not good: it is unknown."""
    if value is None:
        return Level.UNKNOWN
    return Level.WATCH if abs(value) > limit else Level.GOOD


def _level(level: Level, language: str) -> Component:
    word = _level_word(level, language)
    return html.Span([html.Span(className=f"lamp lamp-{level.word}"), word], className=f"item level-{level.word}")


def _level_word(level: Level, language: str) -> str:
    return text(language, f"health.level_{level.word}")


def _reasons(counts: Mapping[str, int]) -> str:
    total = sum(counts.values())
    if not total:
        return "0"
    worst = sorted(counts.items(), key=lambda item: -item[1])[:4]
    return f"{total:,} ({', '.join(f'{reason} {n:,}' for reason, n in worst)})"


def _said(detail: Mapping[str, Any], of: str = "") -> str:
    """What a process says of itself in single values; its queues have a table of their own."""
    words = []
    for name, value in sorted(detail.items()):
        if isinstance(value, Mapping) and not of:
            words.append(_said(value, f"{name} "))
        elif isinstance(value, (str, int, float)) and value != "":
            words.append(f"{of}{name} {value}")
    return ", ".join(filter(None, words))


def _seconds(language: str, value: float | None, *, signed: bool = False) -> str:
    if value is None:
        return "–"
    return text(language, "health.seconds", n=f"{value:+.1f}" if signed else f"{value:.1f}")
