"""Ports that are still free when they are bound."""

from __future__ import annotations

import socket
from contextlib import ExitStack, closing

import pytest

from command.services import free_ports


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_ports_are_free_different_and_never_those_of_outgoing_connections(kind: socket.SocketKind) -> None:
    ports = free_ports(20, kind=kind)
    assert len(set(ports)) == 20
    assert max(ports) < 32_768
    with ExitStack() as held:
        for port in ports:
            held.enter_context(closing(socket.socket(type=kind))).bind(("127.0.0.1", port))
        assert not set(free_ports(20, kind=kind)) & set(ports)
