"""Tallies, decoders and frames made by pymavlink's own encoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from command.domain.clock import US_PER_S, DataClock
from sensors.mavlink.decoder import MavlinkDecoder
from sensors.source import Tally

START_US = 1_790_000_000 * US_PER_S


@dataclass
class KeptRejects:
    """A reject sink that a test can read."""

    kept: list[tuple[str, bytes]] = field(default_factory=list)

    def keep(self, *, source: str, reason: str, raw: bytes, received_at_us: int) -> None:
        del source, received_at_us
        self.kept.append((reason, raw))


class Peer:
    """A vehicle's or a ground station's voice, by pymavlink's encoder."""

    def __init__(self, system: int, component: int = 1) -> None:
        self._encoder = mavlink.MAVLink(None, srcSystem=system, srcComponent=component)

    def say(self, message: Any, *, version: int = 2) -> bytes:
        frame = bytes(message.pack(self._encoder, force_mavlink1=version == 1))
        self._encoder.seq = (self._encoder.seq + 1) % 256
        return frame

    def skip(self, count: int) -> None:
        """Lose `count` messages on the way."""
        self._encoder.seq = (self._encoder.seq + count) % 256

    def heartbeat(self, *, kind: int = mavlink.MAV_TYPE_QUADROTOR, autopilot: int = 3, mode: int = 4) -> bytes:
        return self.say(mavlink.MAVLink_heartbeat_message(kind, autopilot, 217, mode, 4, 3))

    def position(self, *, lon: float = 129.3, lat: float = 34.2, height_m: float = 60.0, version: int = 2) -> bytes:
        return self.say(
            mavlink.MAVLink_global_position_int_message(
                1_000, round(lat * 1e7), round(lon * 1e7), 65_000, round(height_m * 1000), 300, 400, 0, 9_000
            ),
            version=version,
        )

    def version(self, uid2: bytes) -> bytes:
        return self.say(
            mavlink.MAVLink_autopilot_version_message(
                0, 0x04070000, 0, 0, 0, bytes(8), bytes(8), bytes(8), 0, 0, 0, uid2.ljust(18, b"\0")
            )
        )

    def text(self, text: bytes, *, number: int = 0, chunk: int = 0) -> bytes:
        return self.say(mavlink.MAVLink_statustext_message(4, text, number, chunk))

    def target(self, *, lon: float, lat: float, active: int = 1) -> bytes:
        return self.say(
            mavlink.MAVLink_camera_tracking_geo_status_message(
                active, round(lat * 1e7), round(lon * 1e7), 0.0, 12.0, 5.0, 3.0, 4.0, 0.0, 0.5, 800.0, 1.0, 0.1
            )
        )


@pytest.fixture
def rejects() -> KeptRejects:
    return KeptRejects()


@pytest.fixture
def tally(rejects: KeptRejects) -> Tally:
    clock = DataClock(latest_us=START_US)
    return Tally(source="patrol-link", kind="mavlink", gateway="g1", clock=clock, sink=rejects)


@pytest.fixture
def decoder(tally: Tally) -> MavlinkDecoder:
    return MavlinkDecoder(tally=tally)


@pytest.fixture
def peer() -> Callable[..., Peer]:
    return Peer
