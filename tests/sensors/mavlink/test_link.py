"""A two-way link over real sockets: bytes in, our voice out."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
from pydantic import ValidationError
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from command.domain.clock import SystemClock
from command.domain.ids import stable_key
from command.domain.observation import ObservationBatch
from command.services import free_ports
from sensors.mavlink.link import MavlinkConfig, MavlinkSource
from sensors.registry import make_source
from sensors.source import SourceContext, Tally

UID = b"4d1219c7c4c5404aaa"


@contextmanager
def _running(tally: Tally, **config: Any) -> Iterator[tuple[int, list[ObservationBatch]]]:
    (port,) = free_ports(1, kind=socket.SOCK_DGRAM)
    batches: list[ObservationBatch] = []
    stop = threading.Event()
    source = make_source({"kind": "mavlink", "name": "patrol-link", "endpoint": f"udp://127.0.0.1:{port}", **config})
    ctx = SourceContext(clock=SystemClock(), stop=stop, emit=batches.append, tally=tally)
    thread = threading.Thread(target=source.run, args=(ctx,))
    thread.start()
    try:
        yield port, batches
    finally:
        stop.set()
        thread.join(timeout=20)
        assert not thread.is_alive()


@contextmanager
def _vehicle_socket(port: int) -> Iterator[socket.socket]:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.connect(("127.0.0.1", port))
        sock.settimeout(0.1)
        yield sock


def _listen(sock: socket.socket) -> list[Any]:
    try:
        return mavlink.MAVLink(None).parse_buffer(sock.recv(4_096)) or []
    except (TimeoutError, ConnectionRefusedError):
        return []


def _beat(sock: socket.socket, frame: bytes) -> None:
    try:
        sock.send(frame)
    except ConnectionRefusedError:
        return  # the source has not bound its port yet


def test_a_vehicle_hears_our_heartbeat_and_is_asked_who_it_is(
    tally: Tally, peer: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    drone = peer(11)
    heard: list[Any] = []
    with _running(tally) as (port, batches), _vehicle_socket(port) as sock:

        def asked() -> bool:
            _beat(sock, drone.heartbeat())
            heard.extend(_listen(sock))
            return any(m.get_type() == "COMMAND_LONG" for m in heard)

        eventually(asked)
        sock.send(drone.version(UID))
        sock.send(drone.position())
        eventually(lambda: batches)
    beat = next(m for m in heard if m.get_type() == "HEARTBEAT")
    question = next(m for m in heard if m.get_type() == "COMMAND_LONG")
    assert (beat.type, beat.get_srcSystem(), beat.get_srcComponent()) == (mavlink.MAV_TYPE_GCS, 255, 190)
    assert (question.target_system, question.command, question.param1) == (11, 512, 148)
    keys = {int(key) for batch in batches for key in batch.rows["subject_key"]}
    assert keys == {stable_key(f"patrol-link|uid:{UID.hex()}")}


def test_a_link_told_to_listen_only_says_nothing(
    tally: Tally, peer: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    drone = peer(11)
    with _running(tally, listen_only=True) as (port, batches), _vehicle_socket(port) as sock:

        def known() -> bool:
            _beat(sock, drone.version(UID))
            _beat(sock, drone.heartbeat())
            return bool(batches)

        eventually(known)
        assert all(_listen(sock) == [] for _ in range(12))


def test_a_sender_that_is_not_on_the_list_is_counted_and_not_believed(
    tally: Tally, peer: Callable[..., Any], eventually: Callable[..., None]
) -> None:
    drone = peer(11)
    with _running(tally, allow=["10.1.2.0/24"]) as (port, batches), _vehicle_socket(port) as sock:

        def refused() -> bool:
            _beat(sock, drone.heartbeat())
            return tally.rejected["sender_not_allowed"] > 0

        eventually(refused)
        assert batches == []


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        ({"endpoint": "carrier-pigeon://x"}, "begin it with one of"),
        ({"depth_from": "guess"}, "relative_alt"),
        ({"endpoint": "file:///var/flight.tlog?follow=true"}, "leave follow out"),
        ({"system_id": 0}, "greater than or equal to 1"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_to_write(wrong: dict[str, Any], word: str) -> None:
    settings = {"kind": "mavlink", "name": "patrol-link", "endpoint": "udp://127.0.0.1:14550", **wrong}
    with pytest.raises(ValidationError, match=word):
        MavlinkSource.Config.model_validate(settings)


def test_a_log_that_is_not_there_is_tried_again_until_stopped(
    tally: Tally, tmp_path: Any, eventually: Callable[..., None]
) -> None:
    config = MavlinkConfig(kind="mavlink", name="patrol-link", endpoint=f"file://{tmp_path}/gone.tlog")
    stop = threading.Event()
    ctx = SourceContext(clock=SystemClock(), stop=stop, emit=lambda _: None, tally=tally)
    thread = threading.Thread(target=MavlinkSource(config).run, args=(ctx,))
    thread.start()
    eventually(lambda: tally.state == "retrying")
    stop.set()
    thread.join(timeout=20)
    assert not thread.is_alive()
