"""A drill's scenario, ports and feeder."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any, Final

from command.app.program import Program
from command.domain.clock import ScenarioClock
from command.domain.realm import Realm, RealmKind
from command.operations.drill import UdpSender, load_scenario, run_drill
from command.operations.drills.scenario import Scenario
from command.settings import BadSettings, Settings

HEARTBEAT_EVERY_S: Final = 2.0


def ports_file(settings: Settings, realm: Realm) -> Path:
    """Where `up` writes which loopback ports a drill's lines use, for the gateway and the drill alike."""
    return settings.data_dir / "run" / f"{realm.name}.ports"


def scenario_of(settings: Settings, realm: Realm) -> Scenario:
    """The scenario of a drill's realm, on the ports that `up` chose. Raises BadSettings where it did not."""
    try:
        ports = json.loads(ports_file(settings, realm).read_text())
    except (OSError, ValueError) as exc:
        raise BadSettings(f"{realm.name} is not set up; run `mizugiwa up --drill {drill_name(realm)}`") from exc
    return load_scenario(drill_name(realm), ports=ports)


def drill_name(realm: Realm) -> str:
    """`tsushima-night` of `drill-tsushima-night`. Raises BadSettings for a realm that is no drill."""
    if realm.kind is not RealmKind.DRILL:
        raise BadSettings(f"realm {realm.name} is no drill; write drill-NAME")
    return realm.name.split("-", 1)[1]


def run_feeder(program: Program, stop: threading.Event) -> None:
    """The verb `drill`: the scenario's datagrams at the realm's own pace."""
    scenario = scenario_of(program.settings, program.realm)
    clock = program.clock(stop)
    if isinstance(clock, ScenarioClock):
        with UdpSender(scenario) as sender:
            run_drill(scenario, clock, _BeatingSender(sender, program.beat("drill")), stop)


class _BeatingSender:
    """Counts what the drill sends and says so in a heartbeat."""

    def __init__(self, sender: UdpSender, beat: Callable[[Mapping[str, Any]], None]) -> None:
        self._sender, self._beat = sender, beat
        self._counts = {"sent": 0, "unheard": 0}
        self._beaten_at_s = -HEARTBEAT_EVERY_S

    def send(self, speaker: str, data: bytes) -> bool:
        heard = self._sender.send(speaker, data)
        self._counts["sent" if heard else "unheard"] += 1
        if monotonic() - self._beaten_at_s >= HEARTBEAT_EVERY_S:
            self._beaten_at_s = monotonic()
            self._beat(self._counts)
        return heard
