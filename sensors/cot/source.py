"""The source `cot`: Cursor on Target over UDP (a multicast group too), TCP, TLS to a TAK server, or a file."""

from __future__ import annotations

from typing import ClassVar

from sensors.cot.decoder import CotDecoder
from sensors.endpoint import TlsLinkConfig, parse_endpoint
from sensors.source import SourceConfig, SourceContext
from sensors.transport import run_decoder


class CotConfig(TlsLinkConfig):
    """A network of TAK devices, or a server that passes on what they say."""

    kind: str = "cot"
    friends_are_ours: bool = False
    """What friends (`a-f`) report is of our own teams: shown as such and never alarmed on as a contact."""


class CotSource:
    """Reads CoT until told to stop, or until its file has ended."""

    Config: ClassVar[type[SourceConfig]] = CotConfig

    def __init__(self, config: CotConfig) -> None:
        self.config = config
        endpoint = parse_endpoint(config.endpoint)
        self.can_wait = endpoint.scheme == "file" and not endpoint.follow
        self._datagrams = endpoint.scheme == "udp"

    def run(self, ctx: SourceContext) -> None:
        decoder = CotDecoder(tally=ctx.tally, datagrams=self._datagrams, friends_are_ours=self.config.friends_are_ours)
        run_decoder(decoder, self.config, ctx)
