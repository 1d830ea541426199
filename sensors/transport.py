"""Bytes from the outside world: UDP, TCP (client and server), TLS (client), serial lines and files, behind one iterator
of packets.

A peer that is away is retried for ever with growing pauses. Which URLs there are: sensors.endpoint.
"""

from __future__ import annotations

import ipaddress
import os
import random
import selectors
import socket
import ssl
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import serial

from sensors.endpoint import Endpoint, LinkConfig, Scheme, TlsLinkConfig, parse_endpoint
from sensors.source import Decoder, SourceContext
from sensors.tls import client_context, why_tls_failed

IDLE_EVERY_S: Final = 0.2
"""An empty packet is yielded at least this often, so that a source can flush, tick and see `stop`."""
CHUNK_BYTES: Final = 65_536
MAX_DATAGRAMS_A_TURN: Final = 256
COALESCE_S: Final = 0.005
"""After a turn with data the line rests this long, so that a busy line is read in handfuls and not one by one."""
HANDSHAKE_S: Final = 5.0
SO_RXQ_OVFL: Final = 40
"""Linux: every datagram then carries how many the kernel dropped before it (socket(7)); Python has no name for it."""
_U32: Final = struct.Struct("=I")


@dataclass(frozen=True, slots=True)
class Packet:
    """Some bytes, who sent them (`host:port`, a device, a path), the realm's time of reception; empty when idle."""

    data: bytes
    origin: str
    received_at_us: int


class Pauses:
    """Growing pauses between attempts: each twice the last up to the longest, with full jitter of a half."""

    def __init__(self, *, first_s: float = 0.5, longest_s: float = 30.0) -> None:
        self._first_s = self._next_s = first_s
        self._longest_s = longest_s
        self._random = random.SystemRandom()

    def reset(self) -> None:
        """The last attempt worked."""
        self._next_s = self._first_s

    def next_s(self) -> float:
        """How long to wait now, seconds."""
        pause_s = self._next_s * self._random.uniform(0.5, 1.0)
        self._next_s = min(self._longest_s, self._next_s * 2.0)
        return pause_s


class Transport(ABC):
    """One open line. `packets` is for the source's own thread; `send` may be called from any thread."""

    def __init__(self, endpoint: Endpoint, config: LinkConfig, ctx: SourceContext) -> None:
        self.endpoint = endpoint
        self._ctx = ctx
        self._receive_buffer_bytes = config.receive_buffer_bytes
        self._networks = tuple(ipaddress.ip_network(network) for network in config.allow)
        self._allowed: dict[str, bool] = {}

    @abstractmethod
    def packets(self) -> Iterator[Packet]:
        """Packets until `ctx.stop` is set or a file has ended; an empty one at least every IDLE_EVERY_S."""

    def send(self, data: bytes, origin: str) -> bool:
        """Send `data` to the peer called `origin`. False when it cannot be sent now (a peer away, a one-way line)."""
        del data, origin
        return False

    def _idle(self) -> Packet:
        return Packet(b"", "", self._ctx.clock.now_us())

    def _pause(self, pause_s: float) -> Iterator[Packet]:
        """Idle packets for `pause_s`, or until stop."""
        while pause_s > 0.0 and not self._ctx.stop.wait(min(pause_s, IDLE_EVERY_S)):
            pause_s -= IDLE_EVERY_S
            yield self._idle()

    def _retry(self, why: object, pauses: Pauses) -> Iterator[Packet]:
        self._ctx.tally.enter("retrying", f"{self._name}: {why}")
        yield from self._pause(pauses.next_s())

    @property
    def _name(self) -> str:
        end = self.endpoint
        return f"{end.scheme}://{end.path or f'{end.host}:{end.port}'}"

    def _is_allowed(self, host: str) -> bool:
        known = self._allowed.get(host)
        if known is None:
            address = ipaddress.ip_address(host.partition("%")[0])
            mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
            believed = mapped or address
            known = any(believed in network for network in self._networks if network.version == believed.version)
            if len(self._allowed) >= 4_096:
                self._allowed.clear()
            self._allowed[host] = known
        return known

    def _turn_away(self, reason: str, raw: bytes) -> None:
        now_us = self._ctx.clock.now_us()
        self._ctx.tally.take(received_at_us=now_us)
        self._ctx.tally.reject(reason, raw, received_at_us=now_us)


def open_transport(config: LinkConfig, ctx: SourceContext) -> Transport:
    """The transport of a source's endpoint. Nothing is opened before `packets` is iterated."""
    endpoint = parse_endpoint(config.endpoint)
    return _TRANSPORTS[endpoint.scheme](endpoint, config, ctx)


def run_decoder(decoder: Decoder, config: LinkConfig, ctx: SourceContext, *, datagram_end: bytes = b"") -> None:
    """What most sources do: everything that comes over the line of `config` through `decoder`, until stop or the end.

    datagram_end: what ends each datagram if its sender did not.
    """
    for packet in open_transport(config, ctx).packets():
        if packet.data:
            data = packet.data + datagram_end
            batch = decoder.feed(data, received_at_us=packet.received_at_us, origin=packet.origin)
        else:
            batch = decoder.flush(received_at_us=packet.received_at_us)
        if batch is not None:
            ctx.emit(batch)
    last = decoder.flush(received_at_us=ctx.clock.now_us(), end=True)
    if last is not None:
        ctx.emit(last)
    if not ctx.stop.is_set() and ctx.tally.state != "failed":
        ctx.tally.enter("finished")


def _address(host: str, port: int, kind: socket.SocketKind) -> tuple[socket.AddressFamily, tuple[str, int]]:
    family, _, _, _, address = socket.getaddrinfo(host, port, type=kind)[0]
    return family, (str(address[0]), int(address[1]))


def _origin(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"


class UdpTransport(Transport):
    """Datagrams to a bound port. What the kernel dropped because we were late is counted as shed: `kernel_buffer`."""

    _socket: socket.socket | None = None

    def packets(self) -> Iterator[Packet]:
        pauses = Pauses()
        while not self._ctx.stop.is_set():
            try:
                with closing(self._bind()) as sock:
                    self._socket = sock
                    pauses.reset()
                    self._ctx.tally.enter("waiting")
                    yield from self._receive(sock)
            except OSError as exc:
                yield from self._retry(exc, pauses)
            finally:
                self._socket = None

    def send(self, data: bytes, origin: str) -> bool:
        sock = self._socket
        host, _, port = origin.rpartition(":")
        if sock is None or not port.isdigit():
            return False
        try:
            sock.sendto(data, (host, int(port)))
        except OSError:
            return False
        return True

    def _bind(self) -> socket.socket:
        family, address = _address(self.endpoint.host, self.endpoint.port, socket.SOCK_DGRAM)
        with ExitStack() as undo:
            sock = undo.enter_context(closing(socket.socket(family, socket.SOCK_DGRAM)))
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer_bytes)
            sock.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
            group = ipaddress.ip_address(address[0].partition("%")[0])
            if group.is_multicast:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
            if isinstance(group, ipaddress.IPv4Address) and group.is_multicast:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group.packed + bytes(4))
            elif group.is_multicast:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group.packed + bytes(4))
            undo.pop_all()
        return sock

    def _receive(self, sock: socket.socket) -> Iterator[Packet]:
        dropped_before = 0
        space = socket.CMSG_SPACE(_U32.size)
        with selectors.DefaultSelector() as selector:
            selector.register(sock, selectors.EVENT_READ)
            while not self._ctx.stop.is_set():
                busy = selector.select(IDLE_EVERY_S)
                for _ in range(MAX_DATAGRAMS_A_TURN):
                    try:
                        data, ancillary, _, address = sock.recvmsg(CHUNK_BYTES, space)
                    except (BlockingIOError, InterruptedError):
                        if busy:
                            time.sleep(COALESCE_S)
                        break
                    for level, kind, value in ancillary:
                        if level == socket.SOL_SOCKET and kind == SO_RXQ_OVFL and len(value) == _U32.size:
                            dropped = _U32.unpack(value)[0]
                            if gained := (dropped - dropped_before) & 0xFFFFFFFF:
                                self._ctx.tally.drop("kernel_buffer", gained)
                            dropped_before = dropped
                    if not self._is_allowed(address[0]):
                        self._turn_away("sender_not_allowed", data)
                    elif data:
                        yield Packet(data, _origin(address), self._ctx.clock.now_us())
                yield self._idle()


class _StreamPeers(Transport):
    """What TCP client and server share: sockets by origin, and sends that never wait longer than a second."""

    def __init__(self, endpoint: Endpoint, config: LinkConfig, ctx: SourceContext) -> None:
        super().__init__(endpoint, config, ctx)
        self._peers: dict[str, socket.socket] = {}
        self._send_lock = threading.Lock()

    def send(self, data: bytes, origin: str) -> bool:
        with self._send_lock:
            peer = self._peers.get(origin)
            if peer is None:
                return False
            try:
                peer.sendall(data)
            except OSError:
                return False  # the reader sees the broken connection and opens it anew
            return True

    def _admit(self, peer: socket.socket, origin: str) -> None:
        peer.settimeout(1.0)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer_bytes)
        for option, seconds in ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 3)):
            peer.setsockopt(socket.IPPROTO_TCP, option, seconds)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        with self._send_lock:
            self._peers[origin] = peer

    def _dismiss(self, origin: str) -> None:
        with self._send_lock:
            peer = self._peers.pop(origin, None)
        if peer is not None:
            peer.close()

    def _dismiss_all(self) -> None:
        for origin in list(self._peers):
            self._dismiss(origin)


class TcpClient(_StreamPeers):
    """A connection that we open, and open again for ever."""

    def packets(self) -> Iterator[Packet]:
        pauses = Pauses()
        origin = f"{self.endpoint.host}:{self.endpoint.port}"
        while not self._ctx.stop.is_set():
            try:
                peer = self._connect()
                self._admit(peer, origin)
                self._ctx.tally.enter("waiting")
                with selectors.DefaultSelector() as selector:
                    selector.register(peer, selectors.EVENT_READ)
                    while not self._ctx.stop.is_set():
                        if selector.select(IDLE_EVERY_S):
                            for data in self._received(peer):
                                pauses.reset()
                                yield Packet(data, origin, self._ctx.clock.now_us())
                            time.sleep(COALESCE_S)
                        yield self._idle()
            except OSError as exc:
                self._dismiss_all()
                yield from self._retry(exc, pauses)
            finally:
                self._dismiss_all()

    def _connect(self) -> socket.socket:
        return socket.create_connection((self.endpoint.host, self.endpoint.port), timeout=1.0)

    def _received(self, peer: socket.socket) -> Iterator[bytes]:
        """What a readable connection has now. Raises OSError where it ended."""
        data = peer.recv(CHUNK_BYTES)
        if not data:
            raise ConnectionError("the peer closed the connection")
        yield data


class TlsClient(TcpClient):
    """The same over TLS 1.2 or later, with the server's name checked. One-way: two threads may not use one TLS
    connection at once, so nothing is sent."""

    def __init__(self, endpoint: Endpoint, config: LinkConfig, ctx: SourceContext) -> None:
        super().__init__(endpoint, config, ctx)
        if not isinstance(config, TlsLinkConfig):
            raise TypeError(f"{type(config).__name__} has no settings of TLS; make it a TlsLinkConfig")
        self._tls = config

    def send(self, data: bytes, origin: str) -> bool:
        del data, origin
        return False

    def _connect(self) -> socket.socket:
        # The files are read anew each time, so that a certificate that was renewed counts at the next attempt.
        context = client_context(self._tls)
        plain = super()._connect()
        try:
            plain.settimeout(HANDSHAKE_S)
            return context.wrap_socket(plain, server_hostname=self._tls.tls_name or self.endpoint.host)
        except (OSError, ValueError) as exc:
            plain.close()
            raise ConnectionError(why_tls_failed(exc, self._tls)) from exc

    def _admit(self, peer: socket.socket, origin: str) -> None:
        super()._admit(peer, origin)
        peer.settimeout(0.0)

    def _received(self, peer: socket.socket) -> Iterator[bytes]:
        """What is readable may be no data, such as a key that changes; and one read may leave more, deciphered."""
        try:
            yield from super()._received(peer)
            while isinstance(peer, ssl.SSLSocket) and peer.pending():
                yield from super()._received(peer)
        except ssl.SSLWantReadError:
            return
        except ssl.SSLError as exc:
            raise ConnectionError(why_tls_failed(exc, self._tls)) from exc


class TcpServer(_StreamPeers):
    """A port where a bounded number of allowed peers connect."""

    def packets(self) -> Iterator[Packet]:
        pauses = Pauses()
        while not self._ctx.stop.is_set():
            try:
                family, address = _address(self.endpoint.host, self.endpoint.port, socket.SOCK_STREAM)
                with socket.create_server(address, family=family) as server, selectors.DefaultSelector() as selector:
                    server.setblocking(False)
                    selector.register(server, selectors.EVENT_READ, None)
                    pauses.reset()
                    self._ctx.tally.enter("waiting")
                    yield from self._serve(server, selector)
            except OSError as exc:
                yield from self._retry(exc, pauses)
            finally:
                self._dismiss_all()

    def _serve(self, server: socket.socket, selector: selectors.BaseSelector) -> Iterator[Packet]:
        while not self._ctx.stop.is_set():
            ready = selector.select(IDLE_EVERY_S)
            for key, _ in ready:
                if key.data is None:
                    self._accept(server, selector)
                    continue
                origin = str(key.data)
                try:
                    data = self._peers[origin].recv(CHUNK_BYTES)
                except TimeoutError:
                    continue
                except OSError:
                    data = b""
                if data:
                    yield Packet(data, origin, self._ctx.clock.now_us())
                else:
                    selector.unregister(key.fileobj)
                    self._dismiss(origin)
            yield self._idle()
            if ready:
                time.sleep(COALESCE_S)

    def _accept(self, server: socket.socket, selector: selectors.BaseSelector) -> None:
        try:
            peer, address = server.accept()
        except OSError:
            return  # it hung up before we answered
        origin = _origin(address)
        if not self._is_allowed(address[0]):
            peer.close()
            self._turn_away("sender_not_allowed", origin.encode())
        elif len(self._peers) >= self.endpoint.clients:
            peer.close()
            self._turn_away("too_many_clients", origin.encode())
        else:
            self._admit(peer, origin)
            selector.register(peer, selectors.EVENT_READ, origin)


class SerialLine(Transport):
    """A serial port, opened exclusively and opened again when the adapter was pulled out."""

    _port: serial.Serial | None = None

    def packets(self) -> Iterator[Packet]:
        pauses = Pauses()
        while not self._ctx.stop.is_set():
            try:
                with serial.Serial(
                    self.endpoint.path, self.endpoint.baud, timeout=IDLE_EVERY_S, write_timeout=1.0, exclusive=True
                ) as port:
                    self._port = port
                    pauses.reset()
                    self._ctx.tally.enter("waiting")
                    while not self._ctx.stop.is_set():
                        if data := port.read(min(max(port.in_waiting, 1), CHUNK_BYTES)):
                            yield Packet(data, self.endpoint.path, self._ctx.clock.now_us())
                        yield self._idle()
            except OSError as exc:  # SerialException is one
                yield from self._retry(exc, pauses)
            finally:
                self._port = None

    def send(self, data: bytes, origin: str) -> bool:
        del origin
        port = self._port
        if port is None:
            return False
        try:
            return port.write(data) == len(data)
        except OSError:
            return False


class FileReader(Transport):
    """A file, whole; or, with `follow`, what it gains from now on, through truncation and rotation."""

    def packets(self) -> Iterator[Packet]:
        pauses = Pauses()
        path = Path(self.endpoint.path)
        first = True
        while not self._ctx.stop.is_set():
            try:
                with path.open("rb") as file:
                    if first and not self.endpoint.from_start:
                        file.seek(0, 2)
                    first = False
                    pauses.reset()
                    while not self._ctx.stop.is_set():
                        if data := file.read(CHUNK_BYTES):
                            yield Packet(data, self.endpoint.path, self._ctx.clock.now_us())
                        elif not self.endpoint.follow:
                            return
                        elif path.stat().st_ino != os.fstat(file.fileno()).st_ino or path.stat().st_size < file.tell():
                            break
                        else:
                            self._ctx.stop.wait(IDLE_EVERY_S)
                        yield self._idle()
            except OSError as exc:
                yield from self._retry(exc, pauses)


_TRANSPORTS: Final[dict[Scheme, type[Transport]]] = {
    "udp": UdpTransport,
    "tcp": TcpClient,
    "tls": TlsClient,
    "tcp-listen": TcpServer,
    "serial": SerialLine,
    "file": FileReader,
}
