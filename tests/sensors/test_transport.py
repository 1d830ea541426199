"""Lines to the outside, over real sockets, a pseudo-terminal and files."""

from __future__ import annotations

import os
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from command.domain.clock import SystemClock
from command.services import free_ports
from sensors.endpoint import BadEndpoint, Endpoint, LinkConfig, parse_endpoint
from sensors.source import SourceContext, Tally
from sensors.transport import Packet, Pauses, Transport, open_transport


class Line:
    """A transport read in a thread of its own, as a source does; it takes no packet before `gate` is set."""

    def __init__(self, tally: Tally, endpoint: str, *, gate: threading.Event | None = None, **config: Any) -> None:
        self.gate = gate
        self.stop = threading.Event()
        self.packets: queue.Queue[Packet] = queue.Queue()
        self.idle = 0
        ctx = SourceContext(clock=SystemClock(), stop=self.stop, emit=lambda _: None, tally=tally)
        self.transport: Transport = open_transport(
            LinkConfig.model_validate({"kind": "ais", "name": "line", "endpoint": endpoint, **config}), ctx
        )
        self.thread = threading.Thread(target=self._read)

    def _read(self) -> None:
        for packet in self.transport.packets():
            if packet.data:
                if self.gate is not None:
                    self.gate.wait(60.0)
                self.packets.put(packet)
            else:
                self.idle += 1

    def received(self, count: int, *, within_s: float = 20.0) -> bytes:
        """At least `count` bytes, joined."""
        data = b""
        while len(data) < count:
            data += self.packets.get(timeout=within_s).data
        return data


@contextmanager
def opened(tally: Tally, endpoint: str, **config: Any) -> Iterator[Line]:
    line = Line(tally, endpoint, **config)
    line.thread.start()
    try:
        yield line
    finally:
        line.stop.set()
        line.thread.join(20.0)
        assert not line.thread.is_alive(), "a line must end soon after stop"


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


def send_until(
    sock: socket.socket, data: bytes, address: tuple[str, int], seen: Callable[[], object]
) -> Callable[[], object]:
    def attempt() -> object:
        sock.sendto(data, address)
        return seen()

    return attempt


def test_datagrams_come_with_their_origin_and_can_be_answered(
    tally: Tally, port: int, eventually: Callable[..., None]
) -> None:
    with opened(tally, f"udp://127.0.0.1:{port}") as line, closing(socket.socket(type=socket.SOCK_DGRAM)) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(20.0)
        eventually(lambda: line.idle)
        peer.sendto(b"hello", ("127.0.0.1", port))
        packet = line.packets.get(timeout=20.0)
        assert packet.data == b"hello"
        assert packet.origin == f"127.0.0.1:{peer.getsockname()[1]}"
        assert line.transport.send(b"and you", packet.origin)
        assert peer.recv(100) == b"and you"
        assert not line.transport.send(b"x", "nobody")
    assert not line.transport.send(b"late", packet.origin)


def test_a_stranger_is_turned_away_and_counted(
    tally: Tally, sink: Any, port: int, eventually: Callable[..., None], adds_up: Callable[[Tally], bool]
) -> None:
    # given a line that believes one other network only
    with (
        opened(tally, f"udp://127.0.0.1:{port}", allow=["192.0.2.0/24"]) as line,
        closing(socket.socket(type=socket.SOCK_DGRAM)) as stranger,
    ):
        eventually(lambda: line.idle)
        stranger.sendto(b"trust me", ("127.0.0.1", port))
        eventually(lambda: tally.health().rejected == {"sender_not_allowed": 1})
        assert line.packets.empty()
    assert sink.kept == [("sender_not_allowed", b"trust me")]
    assert adds_up(tally)


def test_what_the_kernel_drops_is_counted(tally: Tally, port: int, eventually: Callable[..., None]) -> None:
    # given a line with the smallest buffer whose reader hangs on the first packet
    gate = threading.Event()
    with (
        opened(tally, f"udp://127.0.0.1:{port}", receive_buffer_bytes=4_096, gate=gate) as line,
        closing(socket.socket(type=socket.SOCK_DGRAM)) as peer,
    ):
        eventually(lambda: line.idle)
        for _ in range(500):
            peer.sendto(b"x" * 500, ("127.0.0.1", port))
        # when it goes on and has read what the kernel kept
        gate.set()
        idle = line.idle
        eventually(lambda: line.idle > idle)
        # then the next datagram tells how many were lost, and with those that came they are all
        peer.sendto(b"y", ("127.0.0.1", port))
        came: list[bytes] = []
        while b"y" not in came:
            came.append(line.packets.get(timeout=20.0).data)
        assert len(came) - 1 + tally.health().shed["kernel_buffer"] == 500


def test_a_client_comes_back_when_the_server_does(tally: Tally, port: int, eventually: Callable[..., None]) -> None:
    with opened(tally, f"tcp://127.0.0.1:{port}") as line:
        eventually(lambda: tally.health().state == "retrying")
        assert f"tcp://127.0.0.1:{port}" in tally.health().detail
        for message in (b"first", b"again"):
            with closing(socket.create_server(("127.0.0.1", port))) as server:
                server.settimeout(20.0)
                peer, _ = server.accept()
                with closing(peer):
                    peer.sendall(message)
                    assert line.received(len(message)) == message
                    origin = f"127.0.0.1:{port}"
                    eventually(lambda origin=origin: line.transport.send(b"ack", origin))
                    assert peer.recv(3) == b"ack"
            eventually(lambda: tally.health().state == "retrying")
    assert line.idle, "idle packets go on while nobody is there"


def test_a_server_takes_a_bounded_number_of_allowed_clients(
    tally: Tally, port: int, eventually: Callable[..., None]
) -> None:
    with opened(tally, f"tcp-listen://127.0.0.1:{port}?clients=2") as line:
        eventually(lambda: line.idle)
        with (
            closing(socket.create_connection(("127.0.0.1", port))) as first,
            closing(socket.create_connection(("127.0.0.1", port))) as second,
        ):
            first.sendall(b"one")
            second.sendall(b"two")
            origins = {line.packets.get(timeout=20.0).origin for _ in range(2)}
            assert len(origins) == 2
            with closing(socket.create_connection(("127.0.0.1", port))) as third:
                third.settimeout(20.0)
                assert third.recv(1) == b"", "the third is hung up on"
            eventually(lambda: tally.health().rejected == {"too_many_clients": 1})
        # when one leaves; then there is room
        eventually(lambda: not line.transport.send(b"?", next(iter(origins))))
        with closing(socket.create_connection(("127.0.0.1", port))) as fourth:
            fourth.sendall(b"four")
            assert line.received(4) == b"four"


def test_a_server_hangs_up_on_strangers(tally: Tally, port: int, eventually: Callable[..., None]) -> None:
    with opened(tally, f"tcp-listen://127.0.0.1:{port}", allow=["192.0.2.0/24"]) as line:
        eventually(lambda: line.idle)
        with closing(socket.create_connection(("127.0.0.1", port))) as stranger:
            stranger.settimeout(20.0)
            assert stranger.recv(1) == b""
        eventually(lambda: tally.health().rejected == {"sender_not_allowed": 1})


def test_a_port_that_is_taken_is_tried_again(tally: Tally, port: int, eventually: Callable[..., None]) -> None:
    with closing(socket.socket(type=socket.SOCK_DGRAM)) as other:
        other.bind(("127.0.0.1", port))
        with opened(tally, f"udp://127.0.0.1:{port}") as line:
            eventually(lambda: "in use" in tally.health().detail)
            other.close()
            with closing(socket.socket(type=socket.SOCK_DGRAM)) as peer:
                eventually(send_until(peer, b"x", ("127.0.0.1", port), lambda: not line.packets.empty()))


def test_a_serial_line_is_read_written_and_opened_again(
    tally: Tally, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    # given a device that is not plugged in yet
    device = tmp_path / "ttyAIS"
    with opened(tally, f"serial://{device}?baud=38400") as line:
        eventually(lambda: tally.health().state == "retrying")
        ours, theirs = os.openpty()
        try:
            device.symlink_to(os.ttyname(theirs))
            eventually(lambda: tally.health().state == "waiting")
            os.write(ours, b"!AIVDM\r\n")
            assert b"!AIVDM" in line.received(6)
            eventually(lambda: line.transport.send(b"query", str(device)))
            assert os.read(ours, 5) == b"query"
        finally:
            line.stop.set()
            line.thread.join(20.0)
            os.close(ours)
            os.close(theirs)


def test_a_file_is_read_to_its_end(tally: Tally, tmp_path: Path) -> None:
    path = tmp_path / "a file.log"
    path.write_bytes(b"x" * 200_000)
    with opened(tally, f"file://{str(path).replace(' ', '%20')}") as line:
        line.thread.join(20.0)
        assert not line.thread.is_alive()
        assert line.received(200_000) == b"x" * 200_000
        assert not line.transport.send(b"x", str(path))


def test_a_followed_file_gives_what_it_gains_through_truncation(
    tally: Tally, tmp_path: Path, eventually: Callable[..., None]
) -> None:
    path = tmp_path / "live.log"
    path.write_bytes(b"old")
    with opened(tally, f"file://{path}?follow=true") as line:
        eventually(lambda: line.idle)
        with path.open("ab") as file:
            file.write(b"new")
        assert line.received(3) == b"new"
        path.write_bytes(b"a")
        assert line.received(1) == b"a"


def test_pauses_grow_to_their_longest_and_never_vanish() -> None:
    pauses = Pauses(first_s=0.5, longest_s=30.0)
    waited = [pauses.next_s() for _ in range(12)]
    assert all(0.25 <= pause <= 30.0 for pause in waited)
    assert min(waited[-3:]) >= 15.0
    pauses.reset()
    assert pauses.next_s() <= 0.5


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("udp://0.0.0.0:10110", Endpoint(scheme="udp", host="0.0.0.0", port=10110)),  # noqa: S104 - parsed, not bound
        ("udp://[::1]:10110", Endpoint(scheme="udp", host="::1", port=10110)),
        ("tcp://ais.example:4001", Endpoint(scheme="tcp", host="ais.example", port=4001)),
        ("tcp-listen://127.0.0.1:5?clients=3", Endpoint(scheme="tcp-listen", host="127.0.0.1", port=5, clients=3)),
        ("serial:///dev/ttyUSB0?baud=4800", Endpoint(scheme="serial", path="/dev/ttyUSB0", baud=4800)),
        ("file:///a/b%20c", Endpoint(scheme="file", path="/a/b c")),
        ("file:///a?follow=true", Endpoint(scheme="file", path="/a", follow=True, from_start=False)),
        ("file:///a?follow=true&from=start", Endpoint(scheme="file", path="/a", follow=True)),
    ],
)
def test_endpoints_are_urls(text: str, endpoint: Endpoint) -> None:
    assert parse_endpoint(text) == endpoint


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("10110", "begin it with one of"),
        ("http://a:1", "begin it with one of udp://"),
        ("udp://127.0.0.1", "write a host and a port"),
        ("udp://127.0.0.1:99999", "write for example"),
        ("udp://127.0.0.1:1?baud=1", "baud is no option of udp://; it has none"),
        ("serial://ttyUSB0", "absolute path after three slashes"),
        ("serial:///dev/ttyUSB0?baud=fast", "from 300 to"),
        ("file:///a?follow=maybe", "must be false or true"),
        ("tcp-listen://127.0.0.1:1?clients=0", "from 1 to 256"),
    ],
)
def test_a_bad_endpoint_says_what_to_write(text: str, says: str) -> None:
    with pytest.raises(BadEndpoint, match=says):
        parse_endpoint(text)


def test_a_bad_network_says_what_to_write() -> None:
    with pytest.raises(ValidationError, match="write a network such as"):
        LinkConfig.model_validate(
            {"kind": "ais", "name": "a", "endpoint": "udp://127.0.0.1:1", "allow": ["10.0.0.300"]}
        )
