"""Drills: a scenario's real protocol bytes, sent over loopback into the real sources by the realm's clock."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from importlib import import_module
from typing import Final, Protocol, Self

from command.domain.clock import US_PER_S, ScenarioClock
from command.operations.drills import SCENARIOS
from command.operations.drills.scenario import Scenario
from command.services import free_ports

LINES: Final = ("ais", "air", "underwater")
"""The lines of every scenario; each has a port of its own."""
_HOST: Final = "127.0.0.1"
_GIVE_UP_AFTER_S: Final = 5.0
"""A datagram that is later than this, by the host's clock, is not sent any more: the feeder itself was held up."""
_LONGEST_WAIT_S: Final = 0.5


class UnknownScenario(ValueError):
    """A drill that no registry line names."""


class BadPorts(ValueError):
    """Ports that a drill cannot use; the text says which it needs."""


class Sender(Protocol):
    """Where a drill's datagrams go. It never raises for a receiver that is away."""

    def send(self, speaker: str, data: bytes) -> bool:
        """Send one datagram in a speaker's voice; False when nobody listened."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class DrillReport:
    """What became of the datagrams of a run. `unheard`: nobody listened; `skipped`: too late to be sent."""

    sent: int = 0
    unheard: int = 0
    skipped: int = 0


def free_drill_ports() -> dict[str, int]:
    """A free loopback UDP port for each line."""
    return dict(zip(LINES, free_ports(len(LINES), kind=socket.SOCK_DGRAM), strict=True))


def load_scenario(name: str, *, ports: Mapping[str, int] | None = None) -> Scenario:
    """The scenario called `name` on `ports` (line -> UDP port on loopback; free ones where None).

    Every process of a drill must be given the same ports. Raises UnknownScenario, BadPorts.
    """
    if name not in SCENARIOS:
        raise UnknownScenario(f"drill {name!r} is not known; choose from {', '.join(sorted(SCENARIOS))}")
    chosen = dict(ports) if ports is not None else free_drill_ports()
    usable = all(isinstance(port, int) and 1 <= port <= 65_535 for port in chosen.values())
    if chosen.keys() != set(LINES) or not usable or len(set(chosen.values())) != len(LINES):
        raise BadPorts(f"ports {chosen}: give each of {', '.join(LINES)} a port of its own from 1 to 65535")
    module, function = SCENARIOS[name].split(":")
    scenario: Scenario = getattr(import_module(module), function)(chosen)
    return scenario


class UdpSender:
    """Sends to the scenario's ports from one socket a speaker, as so many radios would. Use it as a context manager."""

    def __init__(self, scenario: Scenario) -> None:
        self._ports = {speaker.name: scenario.ports[speaker.line] for speaker in scenario.speakers}
        self._sockets: dict[str, socket.socket] = {}

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            for speaker, port in self._ports.items():
                sock = undo.enter_context(closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)))
                sock.connect((_HOST, port))
                sock.setblocking(False)
                self._sockets[speaker] = sock
            undo.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        for sock in self._sockets.values():
            sock.close()
        self._sockets.clear()

    def send(self, speaker: str, data: bytes) -> bool:
        """False when nobody is bound to the port, or the kernel has no room: a datagram is lost then, as on the air."""
        try:
            self._sockets[speaker].send(data)
        except OSError:
            return False
        return True


def run_drill(scenario: Scenario, clock: ScenarioClock, sender: Sender, stop: threading.Event) -> DrillReport:
    """Feed `scenario` by the realm's clock, at any speed, until `stop` is set.

    It begins where the clock stands: a feeder that died is started again and goes on with the scenario.
    """
    sent = unheard = skipped = 0
    latest_us = int(_GIVE_UP_AFTER_S * clock.speed * US_PER_S)
    for transmission in scenario.transmissions(_begin_us(scenario, clock)):
        while not stop.is_set() and (wait_s := _until_s(clock, transmission.at_us)) > 0.0:
            stop.wait(min(wait_s, _LONGEST_WAIT_S))
        if stop.is_set():
            break
        if clock.now_us() - transmission.at_us > latest_us:
            skipped += 1
        elif sender.send(transmission.speaker, transmission.data):
            sent += 1
        else:
            unheard += 1
    return DrillReport(sent=sent, unheard=unheard, skipped=skipped)


def _begin_us(scenario: Scenario, clock: ScenarioClock) -> int:
    """Now, or the very start when that was only just: a drill that starts in time is the same every time."""
    now_us = clock.now_us()
    just_begun = now_us - scenario.start_us <= _GIVE_UP_AFTER_S * clock.speed * US_PER_S
    return scenario.start_us if just_begun else now_us


def _until_s(clock: ScenarioClock, at_us: int) -> float:
    return (clock.host_us_of(at_us) - time.time_ns() // 1_000) / US_PER_S
