"""Cursor on Target: recorded events of TAK devices, and the same in the protobuf of an independent library."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import takproto
from hypothesis import given, settings
from hypothesis import strategies as st

from command.domain.clock import DataClock
from command.domain.ids import stable_key
from command.domain.observation import IdentityScheme, ObservationBatch, ObservationFlag, SubjectKind
from sensors.cot import CotDecoder
from sensors.cot.framing import MAX_EVENT_BYTES, EventStream
from sensors.cot.source import CotConfig, CotSource
from sensors.recordings import BadRecording, open_recording
from sensors.source import SourceContext, Tally

NOW_US = 1_777_266_000_000_000
EVENT = (
    b'<event version="2.0" uid="%b" type="%b" time="2026-04-27T05:00:%02dZ" start="2026-04-27T05:00:00Z" '
    b'stale="2026-04-27T05:05:00Z" how="m-g"><point lat="34.2" lon="129.3" hae="9999999" ce="%b" le="9999999"/>'
    b"<detail>%b</detail></event>"
)
"""As pytak and ATAK write them; the attributes are those of the recorded position report."""


def event(
    uid: bytes = b"ANDROID-1", *, kind: bytes = b"a-f-G-U-C", second: int = 0, ce: bytes = b"5", detail: bytes = b""
) -> bytes:
    return EVENT % (uid, kind, second, ce, detail)


def decode(data: bytes, tally: Tally, **how: Any) -> ObservationBatch:
    decoder = CotDecoder(tally=tally, **how)
    decoder.feed(data, received_at_us=NOW_US, origin="test")
    batch = decoder.flush(received_at_us=NOW_US, end=True)
    return batch or ObservationBatch(source="test", rows=np.empty(0))


def recorded(shared_data: Path, name: str) -> bytes:
    return (shared_data / "cot" / name).read_bytes()


def test_a_recorded_position_report_is_read_with_its_units(shared_data: Path, tally: Tally) -> None:
    batch = decode(recorded(shared_data, "takrs_01_pli.xml"), tally)
    (row,) = batch.rows
    assert (row["lat"], row["lon"], row["position_error_m"]) == (34.2257, -118.5739, 9.0)
    assert row["speed_mps"] == pytest.approx(0.512345)
    assert (row["course_deg"], row["battery_percent"]) == (180.0, 78.0)
    assert row["observed_at_us"] == NOW_US
    assert (row["subject_scheme"], row["subject_key"]) == (IdentityScheme.LABEL, stable_key("ANDROID-deadbeef0001"))
    assert row["subject_kind"] == SubjectKind.UNKNOWN, "a person has no kind of their own"
    assert math.isnan(row["altitude_amsl_m"]), "the height above the ellipsoid is not one above the sea"
    assert batch.attributes[0] == {
        "cot_type": "a-f-G-U-C",
        "affiliation": "friend",
        "cot_uid": "ANDROID-deadbeef0001",
        "label": "VIPER01",
        "altitude_hae_m": 245.0,
    }


def test_the_same_report_as_protobuf_gives_the_same_row(shared_data: Path, tally: Tally) -> None:
    xml = recorded(shared_data, "takrs_01_pli.xml")
    as_xml, as_protobuf = (
        decode(xml, tally),
        decode(bytes(takproto.xml2proto(xml)), tally, datagrams=True),
    )
    for name in set(as_xml.rows.dtype.names or ()) - {"observation_id"}:
        assert as_xml.rows[name][0] == pytest.approx(as_protobuf.rows[name][0], nan_ok=True), name
    assert as_xml.attributes == as_protobuf.attributes
    assert (tally.decoded, dict(tally.rejected)) == (2, {})


def test_chat_drawings_and_routes_are_counted_by_their_type(
    shared_data: Path, tally: Tally, adds_up: Callable[[Tally], bool]
) -> None:
    for name in ("takrs_02_chat.xml", "takrs_03_geofence.xml", "takrs_04_route.xml", "takrs_05_drawing.xml"):
        assert len(decode(recorded(shared_data, name), tally)) == 0
    assert dict(tally.ignored) == {"b-t-f": 1, "u-d-r": 1, "b-m-r": 1, "u-d-f": 1}
    assert tally.decoded == 4
    assert adds_up(tally)


def test_every_type_of_the_published_catalogue_is_taken(shared_data: Path, tally: Tally) -> None:
    types = [
        line.split('cot="')[1].split('"')[0].replace(".", "u").encode()
        for line in recorded(shared_data, "nodecot_cot-types.xml").decode("latin-1").splitlines()
        if '<cot cot="a-.-' in line and "*" not in line
    ]
    assert len(types) == 937
    batch = decode(b"".join(event(b"U-%d" % i, kind=kind) for i, kind in enumerate(types)), tally)
    assert dict(tally.rejected) == {}
    assert len(batch) == len(types)
    kinds = dict(zip(types, batch.rows["subject_kind"].tolist(), strict=True))
    assert kinds[b"a-u-A-M-H-Q"] == SubjectKind.AIR_DRONE
    assert kinds[b"a-u-A-C-F"] == SubjectKind.AIRCRAFT
    assert kinds[b"a-u-S-X-M"] == SubjectKind.VESSEL
    assert kinds[b"a-u-U-S-U"] == SubjectKind.UNDERWATER_DRONE
    assert kinds[b"a-u-G-U-C"] == SubjectKind.UNKNOWN


def test_who_is_no_friend_is_a_contact_of_this_source(tally: Tally) -> None:
    batch = decode(event(b"T-7", kind=b"a-u-S") + event(b"T-8", kind=b"a-h-S") + event(b"P-1", kind=b"a-f-S"), tally)
    assert batch.rows["subject_scheme"].tolist() == [
        IdentityScheme.CONTACT,
        IdentityScheme.CONTACT,
        IdentityScheme.LABEL,
    ]
    assert batch.rows["subject_key"][0] == stable_key("test|T-7")


def test_a_vessel_that_a_gateway_passes_on_is_the_vessel(tally: Tally) -> None:
    (row,) = decode(event(b"MMSI-431002123", kind=b"a-n-S-X-M"), tally).rows
    assert (row["subject_scheme"], row["subject_key"]) == (IdentityScheme.MMSI, 431_002_123)


@pytest.mark.parametrize(("ours", "flags"), [(False, 0), (True, int(ObservationFlag.ASSET))])
def test_friends_are_our_own_only_where_that_is_set(tally: Tally, ours: bool, flags: int) -> None:
    batch = decode(event() + event(b"T-7", kind=b"a-u-S"), tally, friends_are_ours=ours)
    assert batch.rows["flags"].tolist() == [flags, 0]


def test_nowhere_is_no_place_and_an_unknown_error_is_none(tally: Tally) -> None:
    nowhere = event(ce=b"9999999.0").replace(b'lat="34.2" lon="129.3"', b'lat="0.0" lon="0.0"')
    (row,) = decode(nowhere, tally).rows
    assert math.isnan(row["lon"])
    assert math.isnan(row["lat"])
    assert math.isnan(row["position_error_m"])
    assert row["flags"] == ObservationFlag.NO_FIX


def test_an_emergency_marks_its_device_until_it_is_cancelled(tally: Tally) -> None:
    link = b'<link uid="ANDROID-1" type="a-f-G-U-C" relation="p-p"/>'
    call, end = link + b'<emergency type="911 Alert">K</emergency>', link + b'<emergency cancel="true">K</emergency>'
    batch = decode(
        event(second=0, detail=b'<contact callsign="KAWA 1"/>')
        + event(b"ANDROID-1-9-1-1", kind=b"b-a-o-tbl", second=1, detail=call)
        + event(second=2)
        + event(b"ANDROID-2", second=3)
        + event(b"ANDROID-1-9-1-1", kind=b"b-a-o-can", second=4, detail=end)
        + event(second=5),
        tally,
    )
    distress = int(ObservationFlag.DISTRESS)
    assert batch.rows["flags"].tolist() == [0, distress, distress, 0, 0, 0]
    keys = batch.rows["subject_key"].tolist()
    assert set(keys[:3] + keys[4:]) == {stable_key("ANDROID-1")}, "it is about the device, not a thing of its own"
    assert batch.attributes[1]["emergency"] == "911 Alert"
    assert "label" not in batch.attributes[1], "the alert's call sign is not the person's"
    assert batch.attributes[4]["emergency"] == ""


def test_the_same_event_twice_is_told_once(tally: Tally, adds_up: Callable[[Tally], bool]) -> None:
    batch = decode(event() + event() + event(second=1), tally)
    assert (len(batch), tally.duplicates) == (2, 1)
    assert adds_up(tally)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"hello", "not_cot"),
        (b'<?xml version="1.0"?><!DOCTYPE event [<!ENTITY a "b">]>' + event(), "not_cot"),
        (event().replace(b"<detail>", b"<detail><remarks>&a;</remarks>"), "bad_xml"),
        (event().replace(b"</detail>", b""), "bad_xml"),
        (event()[:-9], "truncated"),
        (event()[:100] + event(), "truncated"),
        (event(b""), "no_uid"),
        (event(b"U" * 201), "no_uid"),
        (event(kind=b"a f"), "bad_type"),
        (event().replace(b"2026-04-27T05:00:00Z", b"yesterday", 1), "bad_time"),
        (event().replace(b"2026-04-27", b"1066-10-14", 1), "bad_time"),
        (event().replace(b'lat="34.2" ', b""), "no_point"),
        (event().replace(b'lat="34.2"', b'lat="95"'), "position_out_of_range"),
        (event().replace(b'lat="34.2"', b'lat="nan"'), "bad_number"),
        (event().replace(b'ce="5"', b'ce="wide"'), "bad_number"),
        (event(detail=b"x" * MAX_EVENT_BYTES), "event_too_long"),
    ],
)
def test_what_is_no_event_is_counted_by_reason(
    data: bytes, reason: str, tally: Tally, sink: Any, adds_up: Callable[[Tally], bool]
) -> None:
    decode(data, tally)
    assert sink.reasons[reason] >= 1
    assert set(tally.rejected) == {reason}
    assert adds_up(tally)


@pytest.mark.parametrize("data", [b"\xbf\x01\xbf\xff\xff", b"\xbf\x01\xbf"])
def test_a_datagram_that_is_no_message_is_counted(data: bytes, tally: Tally) -> None:
    decode(data, tally, datagrams=True)
    assert tally.rejected.keys() <= {"bad_protobuf", "no_event"}
    assert tally.rejected.total() == 1


def test_entities_of_a_datagram_are_never_read(tally: Tally, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("geheim")
    attack = b'<!DOCTYPE event [<!ENTITY x SYSTEM "file://%b">]>' % str(secret).encode() + event().replace(
        b"<detail>", b"<detail><remarks>&x;</remarks>"
    )
    assert len(decode(attack, tally, datagrams=True)) == 0
    assert dict(tally.rejected) == {"not_cot": 1, "bad_xml": 1}


@given(
    cuts=st.lists(st.integers(0, 1_200), max_size=12), noise=st.sampled_from([b"", b"\r\n", b'<?xml version="1.0"?>\n'])
)
@settings(deadline=None)
def test_a_stream_may_be_cut_anywhere(cuts: list[int], noise: bytes) -> None:
    whole = noise.join([event(second=i) for i in range(4)]) + noise
    places = [0, *sorted(min(cut, len(whole)) for cut in cuts), len(whole)]
    stream = EventStream()
    pieces = [whole[a:b] for a, b in pairwise(places)]
    framed = [f for piece in pieces for f in stream.push(piece, "a")] + list(stream.end())
    assert [f.data for f in framed] == [event(second=i) for i in range(4)]
    assert all(f.problem is None for f in framed)


@given(data=st.binary(max_size=400), at=st.integers(0, 400))
@settings(deadline=None)
def test_rubbish_never_stops_a_stream(data: bytes, at: int) -> None:
    tally = Tally(source="t", kind="cot", gateway="g", clock=DataClock(latest_us=NOW_US), sink=_Nothing())
    decoder = CotDecoder(tally=tally)
    decoder.feed(event()[:at] + data, received_at_us=NOW_US, origin="a")
    decoder.feed(b"\n" + event(second=7), received_at_us=NOW_US, origin="a")
    batch = decoder.flush(received_at_us=NOW_US, end=True)
    assert batch is not None
    assert batch.rows["observed_at_us"][-1] == NOW_US + 7_000_000
    health = tally.health()
    assert tally.messages_in == health.decoded + sum(health.rejected.values()) + health.duplicates


class _Nothing:
    def keep(self, *, source: str, reason: str, raw: bytes, received_at_us: int) -> None:
        assert len(raw) <= MAX_EVENT_BYTES, (source, reason, received_at_us)


def test_datagrams_of_both_forms_are_heard_at_one_port(tally: Tally, free_udp_port: int) -> None:
    # given a source that listens where TAK devices talk to each other
    emitted: list[ObservationBatch] = []
    heard, stop = threading.Event(), threading.Event()

    def emit(batch: ObservationBatch) -> None:
        emitted.append(batch)
        if sum(map(len, emitted)) >= 2:
            heard.set()

    config = CotConfig(kind="cot", name="teams", endpoint=f"udp://127.0.0.1:{free_udp_port}")
    context = SourceContext(clock=DataClock(latest_us=NOW_US), stop=stop, emit=emit, tally=tally)
    thread = threading.Thread(target=CotSource(config).run, args=(context,))
    thread.start()
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.connect(("127.0.0.1", free_udp_port))
            # when the port is open, one of each is sent until both were heard
            for _ in range(200):
                for data in (event(b"A"), bytes(takproto.xml2proto(event(b"B").replace(b"00Z", b"00.000Z")))):
                    try:
                        sender.send(data)
                    except ConnectionRefusedError:
                        continue
                if heard.wait(0.1):
                    break
    finally:
        stop.set()
        thread.join(10)
    # then
    assert {f["cot_uid"] for batch in emitted for f in batch.attributes.values()} == {"A", "B"}


def test_a_recorded_network_is_replayed_with_its_own_times(tmp_path: Path, tally: Tally) -> None:
    log = tmp_path / "teams.cot"
    log.write_bytes(b"\n".join(event(second=i) for i in (1, 3, 2)) + b"\nrubbish")
    recording = open_recording(log)
    records = list(recording.read())
    assert [r.recorded_at_us for r in records] == [NOW_US + s * 1_000_000 for s in (1, 3, 3, 3)]
    decoder = recording.make_decoder(tally)
    for record in records:
        decoder.feed(record.data, received_at_us=record.recorded_at_us or 0, origin=str(log))
    decoder.flush(received_at_us=NOW_US, end=True)
    assert (tally.decoded, dict(tally.rejected)) == (3, {"not_cot": 1})
    (tmp_path / "other.cot").write_bytes(b"nothing")
    with pytest.raises(BadRecording, match="no CoT event"):
        open_recording(tmp_path / "other.cot")
