"""A MAVLink link: UDP, TCP, a serial radio, or a .tlog file. Two-way links hear that a ground station is there.

The link says HEARTBEAT once a second (https://mavlink.io/en/services/heartbeat.html) and asks each vehicle for its
AUTOPILOT_VERSION (MAV_CMD_REQUEST_MESSAGE), so that it is known by its hardware and not only by its system id.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import ClassVar, Final

from pydantic import Field, field_validator
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from command.domain.clock import US_PER_S
from command.domain.observation import ObservationBatch
from sensors.endpoint import LinkConfig, parse_endpoint
from sensors.mavlink.decoder import MavlinkDecoder
from sensors.mavlink.tlog import is_tlog, read_tlog
from sensors.mavlink.vehicle import DepthReference, DepthSource, Vehicle
from sensors.source import SourceConfig, SourceContext
from sensors.transport import Pauses, Transport, open_transport

HEARTBEAT_EVERY_S: Final = 1.0
PEER_GONE_AFTER_US: Final = 30 * US_PER_S
MAX_VERSION_REQUESTS: Final = 10


class MavlinkConfig(LinkConfig):
    """One link. `name` is part of every vehicle's identity on it: keep it when the port or the address changes."""

    listen_only: bool = False
    """Send nothing: no HEARTBEAT, no question. For a link that another ground station leads."""
    system_id: int = Field(default=255, ge=1, le=255)
    component_id: int = Field(default=mavlink.MAV_COMP_ID_MISSIONPLANNER, ge=1, le=255)
    depth_from: DepthSource = "relative_alt"
    """An underwater vehicle's depth: relative_alt, pressure2 or pressure3 (sensors.mavlink.vehicle.DepthReference)."""
    surface_pressure_hpa: float = Field(default=1_013.25, ge=800.0, le=1_100.0)
    water_density_kgm3: float = Field(default=1_025.0, ge=990.0, le=1_050.0)

    @field_validator("endpoint")
    @classmethod
    def _log_is_whole(cls, value: str) -> str:
        endpoint = parse_endpoint(value)
        if endpoint.follow and is_tlog(Path(endpoint.path)):
            raise ValueError(f"endpoint {value!r}: a .tlog is read to its end; leave follow out")
        return value


class MavlinkSource:
    """Source `mavlink`."""

    Config: ClassVar[type[SourceConfig]] = MavlinkConfig

    def __init__(self, config: MavlinkConfig) -> None:
        self._config = config
        endpoint = parse_endpoint(config.endpoint)
        self._log = Path(endpoint.path) if endpoint.scheme == "file" and is_tlog(Path(endpoint.path)) else None
        self.can_wait = endpoint.scheme == "file" and not endpoint.follow

    def run(self, ctx: SourceContext) -> None:
        config = self._config
        depth = DepthReference(
            source=config.depth_from,
            surface_pressure_hpa=config.surface_pressure_hpa,
            water_density_kgm3=config.water_density_kgm3,
        )
        decoder = MavlinkDecoder(tally=ctx.tally, depth=depth, whole=self._log is not None)
        if self._log is not None:
            self._read_log(self._log, decoder, ctx)
        else:
            self._serve(decoder, ctx)

    def _read_log(self, path: Path, decoder: MavlinkDecoder, ctx: SourceContext) -> None:
        pauses = Pauses()
        last_us = ctx.clock.now_us()
        while not ctx.stop.is_set():
            try:
                for record in read_tlog(path):
                    if ctx.stop.is_set():
                        return
                    last_us = record.recorded_at_us or last_us
                    _emit(ctx, decoder.feed(record.data, received_at_us=last_us, origin=str(path)))
                break
            except OSError as exc:
                ctx.tally.enter("retrying", str(exc))
                ctx.stop.wait(pauses.next_s())
        _emit(ctx, decoder.flush(received_at_us=last_us, end=True))
        if not ctx.stop.is_set():
            ctx.tally.enter("finished")

    def _serve(self, decoder: MavlinkDecoder, ctx: SourceContext) -> None:
        transport = open_transport(self._config, ctx)
        station = GroundStation(self._config, transport, decoder)
        for packet in transport.packets():
            if packet.data:
                _emit(ctx, decoder.feed(packet.data, received_at_us=packet.received_at_us, origin=packet.origin))
                continue
            _emit(ctx, decoder.flush(received_at_us=packet.received_at_us))
            if not self._config.listen_only:
                station.speak(now_us=packet.received_at_us)
        _emit(ctx, decoder.flush(received_at_us=ctx.clock.now_us(), end=True))
        if not ctx.stop.is_set():
            ctx.tally.enter("finished")


class GroundStation:
    """Our own voice on the link: HEARTBEAT to every peer that was heard lately, and who-are-you to new vehicles."""

    def __init__(self, config: MavlinkConfig, transport: Transport, decoder: MavlinkDecoder) -> None:
        self._transport = transport
        self._decoder = decoder
        self._encoder = mavlink.MAVLink(None, srcSystem=config.system_id, srcComponent=config.component_id)
        self._next_s = 0.0

    def speak(self, *, now_us: int) -> None:
        """Say what is due. The beat follows the host's clock: an autopilot's failsafe does, at any speed of a drill."""
        if time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + HEARTBEAT_EVERY_S
        heard = [v for v in self._decoder.vehicles if now_us - v.last_us < PEER_GONE_AFTER_US]
        for origin in sorted({vehicle.origin for vehicle in heard}):
            self._send(
                origin,
                mavlink.MAVLink_heartbeat_message(
                    mavlink.MAV_TYPE_GCS,
                    mavlink.MAV_AUTOPILOT_INVALID,
                    0,
                    0,
                    mavlink.MAV_STATE_ACTIVE,
                    3,
                ),
            )
        for vehicle in heard:
            if not vehicle.uid and vehicle.versions_asked < MAX_VERSION_REQUESTS:
                self._ask_version(vehicle)

    def _ask_version(self, vehicle: Vehicle) -> None:
        vehicle.versions_asked += 1
        wanted = float(mavlink.MAVLINK_MSG_ID_AUTOPILOT_VERSION)
        self._send(
            vehicle.origin,
            mavlink.MAVLink_command_long_message(
                vehicle.system, vehicle.component, mavlink.MAV_CMD_REQUEST_MESSAGE, 0, wanted, 0, 0, 0, 0, 0, 0
            ),
        )

    def _send(self, origin: str, message: mavlink.MAVLink_message) -> None:
        self._transport.send(message.pack(self._encoder), origin)
        self._encoder.seq = (self._encoder.seq + 1) % 256


def _emit(ctx: SourceContext, batch: ObservationBatch | None) -> None:
    if batch is not None:
        ctx.emit(batch)
