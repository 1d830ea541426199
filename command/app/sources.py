"""The sources that a realm's gateway runs."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from command.app.drilling import scenario_of
from command.app.program import Program
from command.bus import BatchPublisher
from command.domain.realm import RealmKind
from command.operations import gateway
from command.settings import BadSettings, one_line
from sensors.registry import make_source
from sensors.rejects import RejectStore


def make_feeds(sources: Sequence[Mapping[str, Any]]) -> list[gateway.Feed]:
    """The configured sources. Raises BadSettings in one line."""
    feeds = []
    for config in sources:
        name = str(config.get("name", "?"))
        try:
            feeds.append(gateway.Feed(name=name, kind=str(config.get("kind", "?")), source=make_source(config)))
        except ValidationError as exc:
            raise BadSettings(f"sources.{name}: {one_line(exc)}") from exc
        except ValueError as exc:
            raise BadSettings(f"sources.{name}: {exc}") from exc
    return feeds


def run_gateway(program: Program, stop: threading.Event) -> None:
    """The verb `gateway`: the settings' sources in the live realm, the scenario's in a drill."""
    settings, realm = program.settings, program.realm
    if realm.kind is RealmKind.REPLAY:
        raise BadSettings(f"{realm.name}: a replay brings its own gateway; run `mizugiwa replay FILE`")
    feeds = make_feeds(
        settings.sources if realm.kind is RealmKind.LIVE else scenario_of(settings, realm).sources,
    )
    with (
        RejectStore(settings.data_dir / "rejected" / realm.name) as sink,
        BatchPublisher(program.endpoints.amqp_url, realm.vhost, name="mizugiwa gateway") as publisher,
    ):
        gateway.run(
            feeds,
            publisher,
            program.clock(stop),
            stop,
            gateway=settings.gateway,
            sink=sink,
            beat=program.beat(f"gateway-{settings.gateway}"),
        )
