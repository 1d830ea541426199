"""Ports of this machine that stay free until they are bound."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, closing, suppress
from typing import Final

_FROM_PORTS: Final = range(20_000, 32_768)
"""Below the ports from which Linux gives one to every outgoing connection (net.ipv4.ip_local_port_range): one of those
may be somebody's own end of a connection by the time it is bound, and a client that tries it again and again may even
connect to itself."""


def free_ports(count: int, *, kind: socket.SocketKind = socket.SOCK_STREAM) -> list[int]:
    """`count` ports of 127.0.0.1 that nobody has bound. Another program may bind one before we do."""
    with ExitStack() as held:
        found: list[int] = []
        for port in random.sample(_FROM_PORTS, len(_FROM_PORTS)):
            if len(found) == count:
                break
            sock = held.enter_context(closing(socket.socket(socket.AF_INET, kind)))
            with suppress(OSError):
                sock.bind(("127.0.0.1", port))
                found.append(port)
        return found
