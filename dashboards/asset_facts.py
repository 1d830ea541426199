"""What the drawer tells of an asset of our own beyond what it tells of any track."""

from __future__ import annotations

from typing import Any

from dash import html
from dash.development.base_component import Component

from command.domain.clock import US_PER_S
from command.domain.track import Track
from command.i18n import text
from command.operations.console import Console
from command.operations.console_health import SourceLine
from dashboards.marks import marks
from dashboards.words import age


def asset_facts(console: Console, track: Track) -> list[tuple[str, Any]]:
    """Its names as it is registered, in both languages: on the radio either may be heard."""
    asset = console.assets.get(track.subject)
    if asset is None:
        return []
    return [
        ("drawer.name_ja", asset.name_ja),
        ("drawer.name_en", asset.name_en if asset.name_en != asset.name_ja else ""),
    ]


def freshness_of_source(console: Console, track: Track, language: str) -> list[Component]:
    """How the source that its last position is from does, and since when it has been silent: a lost asset and a lost
    line look alike on the map."""
    line = source_line(console, track)
    if line is None:
        return []
    seen = line.health.last_seen_us
    words = text(language, "drawer.source_is", source=track.source, state=text(language, f"health.state_{line.state}"))
    heard: list[Any] = [text(language, "drawer.source_never")]
    if seen is not None:
        ago = age(language, (console.clock.now_us() - seen) / US_PER_S)
        heard = [text(language, "drawer.source_heard"), " ", html.Span(ago, **marks(data_age_of=str(seen // 1_000)))]
    return [
        html.P(
            [
                html.Span(className=f"lamp lamp-{line.level.word}", **marks(aria_hidden="true")),
                html.Span(words),
                html.Span(heard, className="dim"),
            ],
            className="of-source",
        )
    ]


def source_line(console: Console, track: Track) -> SourceLine | None:
    """How the source of its last position does; None where nobody reported of that one."""
    return next((line for line in console.health.sources if line.health.source == track.source), None)
