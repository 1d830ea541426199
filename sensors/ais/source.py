"""The source `ais`: NMEA 0183 with AIS over UDP, TCP, a serial line or a file."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from sensors.ais.decoder import DUPLICATE_WINDOW_S, AisDecoder
from sensors.endpoint import LinkConfig, parse_endpoint
from sensors.source import SourceConfig, SourceContext
from sensors.transport import run_decoder


class AisConfig(LinkConfig):
    """An AIS receiver or network feed."""

    kind: str = "ais"
    duplicate_window_s: float = Field(default=DUPLICATE_WINDOW_S, ge=0.0, le=3_600.0)
    """The same transmission within this long is an echo of another station or of the network."""


class AisSource:
    """Reads AIS until told to stop, or until its file has ended."""

    Config: ClassVar[type[SourceConfig]] = AisConfig

    def __init__(self, config: AisConfig) -> None:
        self.config = config
        endpoint = parse_endpoint(config.endpoint)
        self.can_wait = endpoint.scheme == "file" and not endpoint.follow
        self._datagram_end = b"\n" if endpoint.scheme == "udp" else b""

    def run(self, ctx: SourceContext) -> None:
        """A datagram always ends its last line (IEC 61162-450); a stream is cut anywhere."""
        decoder = AisDecoder(tally=ctx.tally, duplicate_window_s=self.config.duplicate_window_s)
        run_decoder(decoder, self.config, ctx, datagram_end=self._datagram_end)
