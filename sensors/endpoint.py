"""Endpoint URLs and the configuration of a source that has a line to the outside.

`udp://host:port` (bound; a multicast group is joined), `tcp://host:port` (client), `tls://host:port` (client over TLS,
for sources that can), `tcp-listen://host:port?clients=16` (server), `serial:///dev/ttyUSB0?baud=38400`, `file:///path`,
`file:///path?follow=true` (what a file gains), and with `&from=start` (what it has and what it gains).
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from pydantic import Field, field_validator, model_validator

from sensors.source import SourceConfig

LOOPBACK: Final = ("127.0.0.0/8", "::1/128")
MAX_CLIENTS: Final = 256

Scheme = Literal["udp", "tcp", "tls", "tcp-listen", "serial", "file"]


class BadEndpoint(ValueError):
    """An endpoint URL that names nothing to listen to or to connect to."""


class LinkConfig(SourceConfig):
    """What every source with a line to the outside is told: where its bytes come from and whom it believes."""

    endpoint: str
    """`udp://host:port`, `tcp://host:port`, `tcp-listen://host:port`, `serial:///dev/ttyX?baud=38400`, `file:///path`."""
    allow: tuple[str, ...] = LOOPBACK
    """Networks of the senders that are believed (udp and tcp-listen). Only this machine unless told otherwise."""
    receive_buffer_bytes: int = Field(default=4 * 1024 * 1024, ge=4_096, le=256 * 1024 * 1024)

    @field_validator("endpoint")
    @classmethod
    def _readable_endpoint(cls, value: str) -> str:
        if parse_endpoint(value).scheme == "tls" and not issubclass(cls, TlsLinkConfig):
            raise BadEndpoint(
                f"endpoint {value!r}: this kind of source has no tls://; put a relay between, over tcp://"
            )
        return value

    @field_validator("allow")
    @classmethod
    def _readable_networks(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for network in value:
            try:
                ipaddress.ip_network(network)
            except ValueError as exc:
                raise ValueError(f"allow: {exc}; write a network such as 192.168.10.0/24") from exc
        return value


class TlsLinkConfig(LinkConfig):
    """What a source is told that can be a client over TLS: whom it believes, and who it is itself. Files are PEM."""

    tls_ca: Path | None = None
    """The certificates of the authorities that the server's one must come from; those of this machine unless given."""
    tls_certificate: Path | None = None
    """Our own certificate with its chain, where the server asks for one."""
    tls_key: Path | None = None
    """The key of it."""
    tls_key_password_file: Path | None = None
    """A file whose first line is the password of the key."""
    tls_name: str | None = Field(default=None, min_length=1, max_length=253)
    """The name that the server's certificate must be for, where it is not the endpoint's host."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = [
            name for name in TlsLinkConfig.model_fields if name.startswith("tls_") and getattr(self, name) is not None
        ]
        if given and parse_endpoint(self.endpoint).scheme != "tls":
            raise ValueError(f"{', '.join(given)}: only for an endpoint tls://host:port, not {self.endpoint}")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key: give both, or neither")
        if self.tls_key_password_file is not None and self.tls_key is None:
            raise ValueError("tls_key_password_file: give the tls_key that it opens, too")
        return self


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    """A parsed endpoint. `path` is for serial and file, `host` and `port` for the others."""

    scheme: Scheme
    host: str = ""
    port: int = 0
    path: str = ""
    baud: int = 38_400
    clients: int = 16
    follow: bool = False
    from_start: bool = True


_OPTIONS: Final[dict[str, frozenset[str]]] = {
    "udp": frozenset(),
    "tcp": frozenset(),
    "tls": frozenset(),
    "tcp-listen": frozenset({"clients"}),
    "serial": frozenset({"baud"}),
    "file": frozenset({"follow", "from"}),
}


def parse_endpoint(text: str) -> Endpoint:
    """The endpoint of a URL. Raises BadEndpoint with what to write instead."""
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as exc:
        raise BadEndpoint(f"endpoint {text!r}: {exc}; write for example udp://127.0.0.1:10110") from exc
    options = dict(parse_qsl(url.query, keep_blank_values=True))
    known = _OPTIONS.get(url.scheme)
    if known is None:
        raise BadEndpoint(f"endpoint {text!r}: begin it with one of {', '.join(f'{s}://' for s in _OPTIONS)}")
    if unknown := options.keys() - known:
        raise BadEndpoint(
            f"endpoint {text!r}: {', '.join(sorted(unknown))} is no option of {url.scheme}://; "
            f"it has {', '.join(sorted(known)) or 'none'}"
        )
    if url.scheme in ("serial", "file"):
        if url.netloc or not url.path.strip("/"):
            raise BadEndpoint(
                f"endpoint {text!r}: write an absolute path after three slashes, as in {url.scheme}:///path"
            )
        follow = _choice(text, options, "follow", ("false", "true")) == "true"
        return Endpoint(
            scheme="serial" if url.scheme == "serial" else "file",
            path=unquote(url.path),
            baud=_number(text, options, "baud", default=38_400, low=300, high=4_000_000),
            follow=follow,
            from_start=_choice(text, options, "from", ("end", "start") if follow else ("start", "end")) == "start",
        )
    if not url.hostname or not port:
        raise BadEndpoint(f"endpoint {text!r}: write a host and a port, as in {url.scheme}://127.0.0.1:10110")
    schemes: dict[str, Scheme] = {"udp": "udp", "tcp": "tcp", "tls": "tls", "tcp-listen": "tcp-listen"}
    clients = _number(text, options, "clients", default=16, low=1, high=MAX_CLIENTS)
    return Endpoint(scheme=schemes[url.scheme], host=url.hostname, port=port, clients=clients)


def _number(text: str, options: dict[str, str], name: str, *, default: int, low: int, high: int) -> int:
    value = options.get(name, str(default))
    if not (value.isascii() and value.isdigit() and len(value) < 10 and low <= int(value) <= high):
        raise BadEndpoint(f"endpoint {text!r}: {name}={value} must be a whole number from {low} to {high}")
    return int(value)


def _choice(text: str, options: dict[str, str], name: str, choices: tuple[str, str]) -> str:
    """The option's value; the first of `choices` where it is not given."""
    value = options.get(name, choices[0])
    if value not in choices:
        raise BadEndpoint(f"endpoint {text!r}: {name}={value} must be {' or '.join(choices)}")
    return value
