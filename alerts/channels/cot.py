"""The channel type `cot`: each alert as a marker on the maps of teams and partners, in Cursor on Target.

Sources: see command.domain.cot. The marker's uid is the alert's, so each revision moves and rewords the same marker;
once the alert is over it goes stale within minutes. Its type is a spot on the map (`b-m-p-s-m`), which our own source
`cot` takes for no contact and no distress: what we send and hear again raises nothing.
"""

from __future__ import annotations

import fcntl
import socket
import ssl
import struct
import termios
from collections.abc import Mapping
from pathlib import Path
from time import monotonic, sleep, time_ns
from typing import Any, ClassVar, Final, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from lxml import etree
from pydantic import Field, field_validator, model_validator

from alerts.channel import ChannelConfig, ChannelTools, NeverAgain, NotNow, Parcel, plan_alert
from alerts.outside import ended_after, trusting, why
from alerts.pipeline import Notice, PlannedDelivery
from alerts.words import headline, xml_text
from command.domain.alert import Severity
from command.domain.clock import US_PER_S, from_us
from command.domain.cot import MESH_HEADER, NOT_KNOWN
from command.i18n import text

SPOT: Final = "b-m-p-s-m"
OVER_AFTER_S: Final = 300
"""A marker of an alert that is over stays this long, so that people see that it is."""
MAX_CALLSIGN: Final = 80
MAX_REMARKS: Final = 900
"""So that a datagram fits one packet of most networks."""
_COLOURS: Final = {
    Severity.CRITICAL.word: 0xFFFF0000,
    Severity.HIGH.word: 0xFFFF7700,
    Severity.MEDIUM.word: 0xFFFFFF00,
    Severity.LOW.word: 0xFF00AAFF,
}
_OVER: Final = 0xFFAAAAAA
_LINGER_S: Final = 1.0
_MAX_ANSWER_READS: Final = 64


class Where(NamedTuple):
    """A parsed URL of this channel."""

    scheme: Literal["udp", "tcp", "tls"]
    host: str
    port: int


def where_of(url: str) -> Where:
    """Raises ValueError that says what to write."""
    parts = urlsplit(url)
    schemes: dict[str, Literal["udp", "tcp", "tls"]] = {"udp": "udp", "tcp": "tcp", "tls": "tls"}
    if parts.scheme not in schemes or not parts.hostname or not parts.port or parts.path or parts.query:
        raise ValueError("write udp://host:port (a multicast group too), tcp://host:port or tls://host:port")
    return Where(schemes[parts.scheme], parts.hostname, parts.port)


class CotConfig(ChannelConfig):
    """A network of TAK devices, or a TAK server."""

    type: str = "cot"
    url: str = Field(max_length=300)
    protocol: Literal["xml", "protobuf"] = "xml"
    """TAK protocol version 0 or 1. On tcp and tls it would have to be agreed on first, so there it is xml."""
    hops: int = Field(default=1, ge=1, le=64)
    """How many routers a datagram to a multicast group passes (its TTL)."""
    certificate: Path | None = None
    key: Path | None = None
    language: Literal["ja", "en"] = "ja"
    stale_hours: float = Field(default=24.0, ge=0.1, le=24.0 * 30)

    @field_validator("url")
    @classmethod
    def _readable(cls, url: str) -> str:
        where_of(url)
        return url

    @field_validator("certificate", "key")
    @classmethod
    def _a_file(cls, path: Path | None) -> Path | None:
        if path is not None and not path.is_file():
            raise ValueError(f"{path} is not a file")
        return path

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.protocol == "protobuf" and where_of(self.url).scheme != "udp":
            raise ValueError("protocol protobuf is for udp://; write xml, which every TAK server takes")
        if (self.certificate is None) != (self.key is None):
            raise ValueError("set both certificate and key, or neither")
        if self.certificate is not None and where_of(self.url).scheme != "tls":
            raise ValueError("certificate and key are for tls://host:port")
        return self

    @property
    def destinations(self) -> frozenset[str]:
        where = where_of(self.url)
        return frozenset({f"{where.host}:{where.port}"})


class CotChannel:
    """Sends one event a revision, over a connection of its own."""

    Config: ClassVar[type[ChannelConfig]] = CotConfig

    def __init__(self, config: CotConfig, *, secret: str | None, tools: ChannelTools) -> None:
        self.name = config.name
        self._config, self._where = config, where_of(config.url)

    def plan(self, notice: Notice) -> PlannedDelivery | None:
        """None for an alert without a position: there is nowhere to put a marker."""
        return None if notice.alert.position is None else plan_alert(notice, channel=self.name)

    def send(self, parcel: Parcel) -> None:
        try:
            event = cot_event(parcel.body, self._config, sent_at_us=time_ns() // 1_000)
            data = mesh_datagram(event) if self._config.protocol == "protobuf" else event
        except (LookupError, ValueError, TypeError) as exc:
            raise NeverAgain(f"no event can be made of it: {type(exc).__name__}: {exc}") from exc
        try:
            if self._where.scheme == "udp":
                self._datagram(data)
            else:
                self._stream(data)
        except OSError as exc:
            raise NotNow(f"{self._where.host}: {why(exc)}") from exc

    def _datagram(self, data: bytes) -> None:
        family, kind, protocol, _, address = socket.getaddrinfo(
            self._where.host, self._where.port, type=socket.SOCK_DGRAM
        )[0]
        with socket.socket(family, kind, protocol) as sock:
            sock.settimeout(self._config.timeout_s)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, self._config.hops)
            else:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, self._config.hops)
            sock.sendto(data, address)

    def _stream(self, data: bytes) -> None:
        """Returns when the other side's kernel has acknowledged every byte: CoT itself acknowledges nothing."""
        timeout_s = self._config.timeout_s
        context = self._tls() if self._where.scheme == "tls" else None
        plain = socket.create_connection((self._where.host, self._where.port), timeout=timeout_s)
        with plain, ended_after(plain, timeout_s):
            line = plain if context is None else context.wrap_socket(plain, server_hostname=self._where.host)
            with line:
                line.sendall(data)
                _wait_acknowledged(line, until_s=monotonic() + timeout_s)
                _part(line)

    def _tls(self) -> ssl.SSLContext:
        config = self._config
        context = trusting(config.ca_certificate)
        if config.certificate is not None and config.key is not None:
            try:
                context.load_cert_chain(config.certificate, config.key)
            except OSError as exc:
                raise NotNow(f"certificate {config.certificate} with key {config.key} cannot be used ({exc})") from exc
        return context


def _wait_acknowledged(line: socket.socket, *, until_s: float) -> None:
    """Raises TimeoutError. What is sent and not acknowledged Linux tells by SIOCOUTQ (tcp(7)), which is TIOCOUTQ."""
    while struct.unpack("i", fcntl.ioctl(line.fileno(), termios.TIOCOUTQ, bytes(4)))[0]:
        if monotonic() > until_s:
            raise TimeoutError
        sleep(0.005)


def _part(line: socket.socket) -> None:
    """Say that nothing more comes, and read what the server sends to everybody: closing over it would reset the line,
    and a server may drop what it has not read by then.
    """
    line.settimeout(_LINGER_S)
    try:
        line.shutdown(socket.SHUT_WR)
        for _ in range(_MAX_ANSWER_READS):
            if not line.recv(65_536):
                return
    except OSError:
        return  # it has what we sent


def uid_of(body: Mapping[str, Any]) -> str:
    """One alert is one marker."""
    return f"mizugiwa.{body['alert_id']}"


def cot_event(body: Mapping[str, Any], config: CotConfig, *, sent_at_us: int) -> bytes:
    """The event of an alert's body, as XML. Its times are the host's: devices hold them against their own clocks, and
    a drill's scenario has another.
    """
    over = body["cleared_at"] is not None
    exercise = body["status"] != "actual"
    lasts_s = OVER_AFTER_S if over else int(config.stale_hours * 3_600)
    now, stale = _moment(sent_at_us), _moment(sent_at_us + lasts_s * US_PER_S)
    event = etree.Element(
        "event",
        version="2.0",
        uid=uid_of(body),
        type=SPOT,
        how="m-f",
        time=now,
        start=now,
        stale=stale,
        opex=f"{'e' if exercise else 'o'}-{body['realm']}",
    )
    unknown = f"{NOT_KNOWN:.1f}"
    position = body["position"]
    etree.SubElement(
        event, "point", lat=str(position["lat"]), lon=str(position["lon"]), hae=unknown, ce=unknown, le=unknown
    )
    detail = etree.SubElement(event, "detail")
    etree.SubElement(detail, "contact", callsign=xml_text(headline(body, config.language, limit=MAX_CALLSIGN)))
    because = " ".join(body["because"][config.language].split())
    said = f"{text(config.language, 'message.exercise')} {because}" if exercise else because
    etree.SubElement(detail, "remarks").text = xml_text(said[:MAX_REMARKS])
    colour = str(_signed(_OVER if over else _COLOURS[body["severity"]]))
    etree.SubElement(detail, "color", argb=colour)
    etree.SubElement(detail, "usericon", iconsetpath=f"COT_MAPPING_SPOTMAP/{SPOT}/{colour}")
    etree.SubElement(
        detail, "mizugiwa", alert_id=body["alert_id"], revision=str(body["revision"]), severity=body["severity"]
    )
    made: bytes = etree.tostring(event, encoding="UTF-8", xml_declaration=True)
    return made


def mesh_datagram(event: bytes) -> bytes:
    """The event in TAK protocol version 1, for everybody on a network."""
    from takproto.functions import xml2message  # noqa: PLC0415 - protobuf loads with the first channel that speaks it

    message: bytes = xml2message(event).SerializeToString()
    return MESH_HEADER + message


def _moment(us: int) -> str:
    return from_us(us).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


def _signed(argb: int) -> int:
    """As Android writes a colour: 32 bits with a sign."""
    return argb - (1 << 32) if argb >= 1 << 31 else argb
