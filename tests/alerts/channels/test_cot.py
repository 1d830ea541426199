"""The channel type cot: read back by our own source and by takproto, over UDP, TCP and TLS."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import takproto
from lxml import etree
from pydantic import ValidationError

from alerts.channel import ChannelTools, NeverAgain, NotNow, Parcel
from alerts.channels.cot import SPOT, CotChannel, CotConfig, cot_event, mesh_datagram
from alerts.pipeline import Notice
from alerts.registry import CHANNELS
from command.domain.clock import SystemClock
from sensors.cot import CotDecoder
from sensors.cot.event import read_protobuf, read_xml
from sensors.cot.framing import frame_datagram
from sensors.source import Tally

SENT_US = 1_795_304_470_123_000


class Nothing:
    """Keeps no rejected bytes."""

    def keep(self, **_: Any) -> None: ...


@pytest.fixture
def config() -> CotConfig:
    return CotConfig(name="teams", url="udp://239.2.3.1:6969")


def test_our_own_source_and_takproto_read_the_same_event_from_xml_and_from_protobuf(
    config: CotConfig, parcel: Callable[..., Parcel]
) -> None:
    assert CHANNELS["cot"] == f"{CotChannel.__module__}:{CotChannel.__name__}"
    body = parcel("teams").body
    event = cot_event(body, config, sent_at_us=SENT_US)
    datagram = mesh_datagram(event)
    # when
    (framed,) = frame_datagram(datagram)
    read, of_protobuf = read_xml(event), read_protobuf(framed.data)
    # then
    assert framed.is_protobuf
    assert read.uid == of_protobuf.uid == f"mizugiwa.{body['alert_id']}"
    assert read.cot_type == of_protobuf.cot_type == SPOT
    assert (read.lon, read.lat) == (of_protobuf.lon, of_protobuf.lat) == (129.2895, 34.2014)
    assert read.time_us == of_protobuf.time_us == SENT_US
    assert read.callsign == of_protobuf.callsign == "【緊急】監視区域への進入 発生:第八海進丸 厳原湾"
    assert read.remarks == of_protobuf.remarks
    assert read.remarks.startswith("第八海進丸 が監視区域「厳原湾」に進入")
    parsed = takproto.parse_proto(bytearray(datagram)).cotEvent
    assert (parsed.uid, parsed.type, parsed.lat) == (read.uid, SPOT, 34.2014)
    assert parsed.staleTime - parsed.sendTime == 24 * 3_600 * 1_000


def test_what_we_send_and_hear_again_is_no_observation(config: CotConfig, parcel: Callable[..., Parcel]) -> None:
    tally = Tally(source="tak", kind="cot", gateway="local", clock=SystemClock(), sink=Nothing())
    decoder = CotDecoder(tally=tally, datagrams=True)
    event = cot_event(parcel("teams").body, config, sent_at_us=SENT_US)
    for data in (event, mesh_datagram(event)):
        decoder.feed(data, received_at_us=SENT_US, origin="")
    assert decoder.flush(received_at_us=SENT_US, end=True) is None
    assert tally.ignored == {"b-m-p": 2}


def test_a_marker_of_an_alert_that_is_over_goes_stale_soon_and_an_exercise_says_so(
    config: CotConfig, parcel: Callable[..., Parcel]
) -> None:
    over = parcel("teams", realm="drill-night", cleared_at_us=SENT_US, because_params={}, subject_label="\x1b<A>").body
    event = etree.fromstring(cot_event(over, config, sent_at_us=SENT_US))
    assert (event.get("time"), event.get("stale")) == ("2026-11-21T23:41:10.123Z", "2026-11-21T23:46:10.123Z")
    assert event.get("opex") == "e-drill-night"
    assert event.find("detail/contact").get("callsign").startswith("【訓練】")
    assert "訓練" in event.findtext("detail/remarks")


def test_an_alert_without_a_position_is_not_for_a_map(
    config: CotConfig, tools: ChannelTools, alert: Callable[..., Any], parcel: Callable[..., Parcel]
) -> None:
    channel = CotChannel(config, secret=None, tools=tools)
    assert channel.plan(Notice(alert=alert(position=None))) is None
    planned = channel.plan(Notice(alert=alert(area=None)))
    assert planned is not None
    assert (planned.channel, planned.problem) == ("teams", None)
    with pytest.raises(NeverAgain, match="no event"):
        channel.send(parcel("teams", position=None))


@pytest.mark.parametrize("protocol", ["xml", "protobuf"])
def test_a_datagram_arrives(tools: ChannelTools, parcel: Callable[..., Parcel], protocol: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.bind(("127.0.0.1", 0))
        heard.settimeout(20)
        config = CotConfig.model_validate(
            {"name": "teams", "url": f"udp://127.0.0.1:{heard.getsockname()[1]}", "protocol": protocol}
        )
        CotChannel(config, secret=None, tools=tools).send(parcel("teams"))
        (framed,) = frame_datagram(heard.recv(65_536))
    event = read_protobuf(framed.data) if framed.is_protobuf else read_xml(framed.data)
    assert event.uid == f"mizugiwa.{parcel('teams').alert_id}"


@contextmanager
def tak_server(context: ssl.SSLContext | None) -> Iterator[tuple[int, list[bytes]]]:
    """Greets with an event of its own, reads until the client says that nothing more comes, and then hangs up."""
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            plain, _ = server.accept()
            line = plain if context is None else context.wrap_socket(plain, server_side=True)
            with plain, line:
                line.sendall(b"<event/>" * 1_000)
                while data := line.recv(65_536):
                    heard.append(data)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], heard
        thread.join()


@pytest.mark.parametrize("scheme", ["tcp", "tls"])
def test_a_tak_server_has_the_event_whole_although_it_sends_at_the_same_time(
    tools: ChannelTools,
    server_tls: ssl.SSLContext,
    certificate: tuple[Path, Path],
    parcel: Callable[..., Parcel],
    scheme: str,
) -> None:
    with tak_server(server_tls if scheme == "tls" else None) as (port, heard):
        trust = {"ca_certificate": certificate[0]} if scheme == "tls" else {}
        config = CotConfig.model_validate({"name": "teams", "url": f"{scheme}://127.0.0.1:{port}", **trust})
        CotChannel(config, secret=None, tools=tools).send(parcel("teams"))
    (framed,) = frame_datagram(b"".join(heard))
    assert read_xml(framed.data).uid == f"mizugiwa.{parcel('teams').alert_id}"


def test_a_server_that_is_down_is_tried_again(tools: ChannelTools, parcel: Callable[..., Parcel]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    channel = CotChannel(CotConfig(name="teams", url=f"tcp://127.0.0.1:{port}"), secret=None, tools=tools)
    with pytest.raises(NotNow, match="connection refused"):
        channel.send(parcel("teams"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"url": "http://tak.example:8087"}, "udp://host:port"),
        ({"url": "tcp://tak.example"}, "udp://host:port"),
        ({"url": "tcp://tak.example:8087", "protocol": "protobuf"}, "write xml"),
        ({"url": "udp://239.2.3.1:6969", "certificate": __file__}, "both certificate and key"),
        ({"url": "udp://239.2.3.1:6969", "certificate": __file__, "key": __file__}, "for tls"),
    ],
)
def test_settings_of_no_use_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        CotConfig.model_validate({"name": "teams", **changes})
