"""The source `ais` over its transports."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from command.domain.clock import SystemClock
from command.services import free_ports
from sensors.ais import AisSource
from sensors.registry import make_source, source_class
from sensors.source import SourceContext, Tally, UnknownSource

KYSTVERKET = "ais/kystverket_Ais1000Lines.nm4"


def run_whole(source: Any, tally: Tally) -> list[Any]:
    rows: list[Any] = []
    source.run(
        SourceContext(
            clock=SystemClock(), stop=threading.Event(), emit=lambda batch: rows.extend(batch.rows), tally=tally
        )
    )
    return rows


def test_a_file_is_read_to_its_end_and_the_source_says_so(shared_data: Path, tally: Tally) -> None:
    source = make_source({"kind": "ais", "name": "a", "endpoint": f"file://{shared_data / KYSTVERKET}"})
    assert isinstance(source, AisSource)
    assert source.can_wait
    assert len({int(row["subject_key"]) for row in run_whole(source, tally)}) == 833
    assert tally.state == "finished"


@pytest.mark.parametrize("cut", [1, 7, 1_000])
def test_over_tcp_the_stream_may_be_cut_anywhere(
    shared_data: Path, tally: Tally, cut: int, eventually: Callable[..., None]
) -> None:
    # given a station that sends a recording in pieces of `cut` bytes
    data = (shared_data / KYSTVERKET).read_bytes()[:8_000] + b"\n"
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        server.settimeout(20.0)
        source = make_source({"kind": "ais", "name": "a", "endpoint": f"tcp://127.0.0.1:{server.getsockname()[1]}"})
        stop = threading.Event()
        rows: list[Any] = []
        ctx = SourceContext(clock=SystemClock(), stop=stop, emit=lambda batch: rows.extend(batch.rows), tally=tally)
        thread = threading.Thread(target=source.run, args=(ctx,))
        thread.start()
        try:
            peer, _ = server.accept()
            with closing(peer):
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for start in range(0, len(data), cut):
                    peer.sendall(data[start : start + cut])
                # then every whole sentence is decoded, and the torn last one is rejected
                eventually(lambda: tally.health().messages_in == data.count(b"VDM,"))
        finally:
            stop.set()
            thread.join(20.0)
    assert sum(tally.health().rejected.values()) <= 1
    assert not source.can_wait
    assert rows


def test_a_datagram_without_a_line_end_is_whole(tally: Tally, eventually: Callable[..., None]) -> None:
    (port,) = free_ports(1, kind=socket.SOCK_DGRAM)
    source = make_source({"kind": "ais", "name": "a", "endpoint": f"udp://127.0.0.1:{port}"})
    stop = threading.Event()
    ctx = SourceContext(clock=SystemClock(), stop=stop, emit=lambda _: None, tally=tally)
    thread = threading.Thread(target=source.run, args=(ctx,))
    thread.start()
    sentence = b"!AIVDM,1,1,,B,13u=gHP3CWPlvs2Q8sHW:5fD0h6a,0*1B"
    try:
        with closing(socket.socket(type=socket.SOCK_DGRAM)) as peer:
            eventually(lambda: peer.sendto(sentence, ("127.0.0.1", port)) and tally.health().decoded)
    finally:
        stop.set()
        thread.join(20.0)
    assert tally.health().rejected == {}


def test_a_bad_setting_stops_the_start() -> None:
    with pytest.raises(ValidationError, match="begin it with one of"):
        make_source({"kind": "ais", "name": "a", "endpoint": "10110"})
    with pytest.raises(ValidationError, match="duplicate_window_s"):
        make_source({"kind": "ais", "name": "a", "endpoint": "udp://127.0.0.1:1", "duplicate_window_s": -1})
    with pytest.raises(UnknownSource, match="choose from ais, cot, csv, mavlink, replay"):
        source_class("radar")
