"""AIS sentences to observations. The sentences were made by pyais' encoder or came from the air."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyais import encode_dict

from command.domain.clock import DataClock
from command.domain.observation import (
    IdentityScheme,
    ObservationBatch,
    ObservationFlag,
    ObservationKind,
    SubjectKind,
    empty_rows,
)
from sensors.ais import AisDecoder
from sensors.nmea import checksum
from sensors.source import Tally

START_US = 1_700_000_000_000_000
POSITION = b"!AIVDM,1,1,,B,13u=gHP3CWPlvs2Q8sHW:5fD0h6a,0*1B\n"
STATIC = (
    b"!AIVDM,2,1,8,A,53bvpB02;CK10@lf220<u84j0lThhE0u8622221@:`?<35sC0>l3lUSkp81R,0*3B\n",
    b"!AIVDM,2,2,8,A,C`888888882,2*0D\n",
)


def sentences(fields: dict[str, Any], *, formatter: str = "VDM", sequence: int = 0) -> bytes:
    made = encode_dict(fields, talker_id="AI", sentence_type=formatter, seq_id=sequence)
    return "".join(f"{sentence}\n" for sentence in made).encode()


def decode(tally: Tally, *data: bytes, every_us: int = 1_000_000) -> ObservationBatch:
    decoder = AisDecoder(tally=tally)
    at_us = START_US
    for piece in data:
        assert decoder.feed(piece, received_at_us=at_us, origin="here") is None
        at_us += every_us
    batch = decoder.flush(received_at_us=at_us, end=True)
    return batch if batch is not None else ObservationBatch(source="test", rows=empty_rows(0))


def class_a(mmsi: int = 431_000_123, **fields: Any) -> dict[str, Any]:
    known = {"lon": 129.3, "lat": 34.2, "speed": 12.3, "course": 90.0, "heading": 91, "status": 0, "accuracy": 1}
    return {"type": 1, "mmsi": mmsi, **known, **fields}


def test_a_class_a_position_comes_in_our_units(tally: Tally) -> None:
    batch = decode(tally, sentences(class_a()))
    row = batch.rows[0]
    assert (row["subject_scheme"], row["subject_key"]) == (IdentityScheme.MMSI, 431_000_123)
    assert (row["kind"], row["subject_kind"]) == (ObservationKind.POSITION, SubjectKind.VESSEL)
    assert row["lon"] == pytest.approx(129.3, abs=1e-6)
    assert row["lat"] == pytest.approx(34.2, abs=1e-6)
    assert row["speed_mps"] == pytest.approx(12.3 * 1852 / 3600, abs=1e-4)
    assert (row["course_deg"], row["heading_deg"], row["position_error_m"]) == (90.0, 91.0, 10.0)
    assert row["flags"] == ObservationFlag.TIME_RECEIVED
    assert row["observed_at_us"] == row["received_at_us"] == START_US
    assert batch.attributes == {0: {"nav_status": 0}}


def test_what_is_not_available_is_nan_and_never_zero(tally: Tally) -> None:
    row = decode(
        tally, sentences(class_a(lon=181.0, lat=91.0, speed=102.3, course=360.0, heading=511, accuracy=0))
    ).rows[0]
    assert row["flags"] & ObservationFlag.NO_FIX
    for name in ("lon", "lat", "speed_mps", "course_deg", "heading_deg", "position_error_m"):
        assert math.isnan(row[name]), name


def test_the_null_island_is_no_fix(tally: Tally) -> None:
    row = decode(tally, sentences(class_a(lon=0.0, lat=0.0))).rows[0]
    assert row["flags"] & ObservationFlag.NO_FIX
    assert math.isnan(row["lon"])


@pytest.mark.parametrize(
    ("fields", "subject_kind", "kind"),
    [
        (class_a(type=3), SubjectKind.VESSEL, ObservationKind.POSITION),
        (class_a(type=2, mmsi=983_123_456), SubjectKind.VESSEL, ObservationKind.POSITION),
        ({"type": 4, "mmsi": 4_310_001, "lon": 130.0, "lat": 33.0}, SubjectKind.BASE_STATION, ObservationKind.POSITION),
        (
            {"type": 9, "mmsi": 111_431_001, "lon": 130.0, "lat": 33.0, "speed": 140, "alt": 300, "course": 10.0},
            SubjectKind.AIRCRAFT,
            ObservationKind.POSITION,
        ),
        (
            {"type": 18, "mmsi": 431_000_124, "lon": 130.0, "lat": 33.0, "speed": 5.0, "course": 1.0, "heading": 511},
            SubjectKind.VESSEL,
            ObservationKind.POSITION,
        ),
        ({"type": 20, "mmsi": 4_310_001, "offset1": 1, "number1": 1}, SubjectKind.BASE_STATION, ObservationKind.STATIC),
        (
            {"type": 21, "mmsi": 994_310_001, "lon": 130.0, "lat": 33.0, "name": "KO-SAKI LT", "aid_type": 1},
            SubjectKind.AID_TO_NAVIGATION,
            ObservationKind.POSITION,
        ),
        ({"type": 24, "mmsi": 431_000_124, "partno": 0, "shipname": "UMI"}, SubjectKind.VESSEL, ObservationKind.STATIC),
        (
            {"type": 27, "mmsi": 431_000_125, "lon": 130.0, "lat": 33.0, "speed": 10, "course": 45, "status": 0},
            SubjectKind.VESSEL,
            ObservationKind.POSITION,
        ),
        ({"type": 12, "mmsi": 431_000_1, "dest_mmsi": 431_000_2, "text": "HI"}, SubjectKind.BASE_STATION, 2),
    ],
)
def test_each_type_says_what_it_is_about(
    tally: Tally, fields: dict[str, Any], subject_kind: SubjectKind, kind: ObservationKind
) -> None:
    batch = decode(tally, sentences(fields))
    assert tally.health().rejected == {}
    assert (batch.rows[0]["subject_kind"], batch.rows[0]["kind"]) == (subject_kind, kind)
    assert batch.rows[0]["subject_key"] == fields["mmsi"]


def test_a_ship_with_a_wrongly_entered_number_is_no_base_station(tally: Tally) -> None:
    rows = decode(tally, sentences(class_a(mmsi=1_234)), sentences({"type": 24, "mmsi": 1_234, "shipname": "A"})).rows
    assert set(rows["subject_kind"].tolist()) == {SubjectKind.VESSEL}


def test_a_rescue_aircraft_has_whole_knots_and_an_altitude(tally: Tally) -> None:
    known = {"type": 9, "mmsi": 111_431_001, "lon": 130.0, "lat": 33.0, "course": 10.0}
    rows = decode(
        tally, sentences({**known, "speed": 140, "alt": 300}), sentences({**known, "speed": 1023, "alt": 4095})
    ).rows
    assert rows["speed_mps"][0] == pytest.approx(140 * 1852 / 3600, abs=1e-3)
    assert rows["altitude_amsl_m"][0] == 300.0
    assert np.isnan(rows["speed_mps"][1])
    assert np.isnan(rows["altitude_amsl_m"][1])


def test_a_long_range_report_is_coarse_and_knows_what_it_lacks(tally: Tally) -> None:
    fields = {"type": 27, "mmsi": 431_000_125, "lon": 130.0, "lat": 33.0, "speed": 63, "course": 511, "status": 0}
    row = decode(tally, sentences(fields)).rows[0]
    assert row["position_error_m"] == pytest.approx(185.2)
    assert np.isnan(row["speed_mps"])
    assert np.isnan(row["course_deg"])
    lost = decode(tally, sentences({**fields, "lon": 181.0, "lat": 91.0})).rows[0]
    assert lost["flags"] & ObservationFlag.NO_FIX


def test_a_whole_static_report_is_put_together_from_its_parts(tally: Tally) -> None:
    batch = decode(tally, *STATIC)
    assert len(batch) == 1
    assert batch.rows[0]["kind"] == ObservationKind.STATIC
    facts = batch.attributes[0]
    assert facts["name_unconfirmed"]
    assert facts["length_m"] > 0
    assert tally.health().decoded == 2


def test_a_class_b_particulars_report_names_its_mother_ship_or_its_size(tally: Tally) -> None:
    craft = {"type": 24, "mmsi": 982_431_001, "partno": 1, "callsign": "TENDER", "mothership_mmsi": 431_000_777}
    boat = {
        "type": 24,
        "mmsi": 431_000_126,
        "partno": 1,
        "ship_type": 30,
        "callsign": "JD1",
        "to_bow": 8,
        "to_stern": 4,
    }
    batch = decode(tally, sentences(craft), sentences(boat))
    assert batch.attributes[0]["mother_ship"] == "mmsi:431000777"
    assert batch.attributes[1] == {"callsign_unconfirmed": "JD1", "ship_type": 30, "length_m": 12}


def test_an_extended_class_b_report_has_a_place_and_a_name(tally: Tally) -> None:
    fields = {"type": 19, "mmsi": 431_000_127, "lon": 130.0, "lat": 33.0, "shipname": "NAMI", "ship_type": 36}
    batch = decode(tally, sentences(fields, sequence=3))
    assert batch.rows[0]["kind"] == ObservationKind.POSITION
    assert batch.attributes[0] == {"name_unconfirmed": "NAMI", "ship_type": 36}


def test_a_name_is_believed_after_two_equal_reports(tally: Tally) -> None:
    def report(name: str, *, version: int) -> bytes:
        return sentences({"type": 24, "mmsi": 431_000_128, "partno": 0, "shipname": name, "repeat": version})

    batch = decode(
        tally, report("KAMOME", version=0), report("KAMOMQ", version=0), report("KAMOME", version=1),
        report("KAMOME", version=2), report("KAMOME", version=3),
    )  # fmt: skip
    assert [batch.attributes[i] for i in range(5)] == [
        {"name_unconfirmed": "KAMOME"},
        {"name_unconfirmed": "KAMOMQ"},
        {"name_unconfirmed": "KAMOME"},
        {"name": "KAMOME"},
        {"name": "KAMOME"},
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (class_a(mmsi=970_123_456, status=14), ObservationFlag.DISTRESS),
        (class_a(mmsi=972_123_456, status=14), ObservationFlag.DISTRESS),
        (class_a(mmsi=974_123_456, status=0), ObservationFlag.DISTRESS),
        (class_a(mmsi=974_123_456, status=15), ObservationFlag.DISTRESS_TEST),
        (class_a(mmsi=431_000_129, status=14), ObservationFlag.DISTRESS),
        (class_a(mmsi=431_000_129, status=15), ObservationFlag.NONE),
        ({"type": 14, "mmsi": 970_123_456, "text": "SART ACTIVE"}, ObservationFlag.DISTRESS),
        ({"type": 14, "mmsi": 970_123_456, "text": "SART TEST"}, ObservationFlag.DISTRESS_TEST),
        ({"type": 14, "mmsi": 972_123_456, "text": "MOB ACTIVE"}, ObservationFlag.DISTRESS),
        ({"type": 14, "mmsi": 431_000_129, "text": "MAYDAY MAYDAY"}, ObservationFlag.DISTRESS),
        ({"type": 14, "mmsi": 431_000_129, "text": "GALE WARNING"}, ObservationFlag.NONE),
    ],
)
def test_distress_and_its_test_are_told_apart(tally: Tally, fields: dict[str, Any], expected: ObservationFlag) -> None:
    row = decode(tally, sentences(fields)).rows[0]
    assert row["flags"] & (ObservationFlag.DISTRESS | ObservationFlag.DISTRESS_TEST) == expected
    if fields["mmsi"] // 1_000_000 in (970, 972, 974):
        assert row["subject_kind"] == SubjectKind.DISTRESS_BEACON


def test_own_ship_is_flagged_and_counted_apart(tally: Tally) -> None:
    decoder = AisDecoder(tally=tally)
    for formatter in ("VDM", "VDO"):
        decoder.feed(sentences(class_a(), formatter=formatter), received_at_us=START_US, origin="here")
    batch = decoder.flush(received_at_us=START_US)
    assert batch is not None
    assert [bool(f & ObservationFlag.OWN_SHIP) for f in batch.rows["flags"]] == [False, True]
    assert decoder.sentences == {"VDM": 1, "VDO": 1}


def test_the_same_transmission_from_two_stations_is_told_once(tally: Tally) -> None:
    sentence = POSITION.strip()
    other = sentence[1:].rpartition(b"*")[0].replace(b"AIVDM", b"BSVDM")
    decode(tally, POSITION, b"!%b*%02X\n" % (other, checksum(other)), POSITION)
    health = tally.health()
    assert (health.messages_in, health.decoded, health.duplicates) == (3, 1, 2)


def test_a_moored_vessel_that_says_the_same_after_three_minutes_is_news(tally: Tally) -> None:
    batch = decode(tally, *[POSITION] * 4, every_us=180_000_000)
    assert len(batch) == 4
    assert len(set(batch.rows["observation_id"].tolist())) == 4


def test_parts_of_two_messages_with_the_same_ending_do_not_swallow_each_other(tally: Tally) -> None:
    # given two different messages under one sequence number whose second parts are equal
    first = {"type": 5, "mmsi": 431_000_130, "shipname": "ONE", "imo": 9_074_729}
    second = {**first, "mmsi": 431_000_131, "shipname": "TWO"}
    data = sentences(first, sequence=1) + sentences(second, sequence=1)
    # when both come right after each other, and the whole once more; then two are decoded and two are echoes
    batch = decode(tally, data, data)
    assert sorted(batch.rows["subject_key"].tolist()) == [431_000_130, 431_000_131]
    health = tally.health()
    assert (health.decoded, health.duplicates, health.rejected) == (4, 4, {})


def test_a_part_that_stays_alone_is_rejected_as_incomplete(tally: Tally, sink: Any) -> None:
    decode(tally, STATIC[0])
    assert tally.health().rejected == {"incomplete": 1}
    assert sink.kept == [("incomplete", STATIC[0].strip())]


def test_parts_that_wait_are_bounded_in_age_and_number(tally: Tally) -> None:
    decoder = AisDecoder(tally=tally)
    decoder.feed(STATIC[0], received_at_us=START_US, origin="here")
    decoder.flush(received_at_us=START_US + 9_000_000)
    assert tally.health().messages_in == 0, "still waiting"
    decoder.flush(received_at_us=START_US + 11_000_000)
    assert tally.health().rejected == {"incomplete": 1}
    for n in range(2_000):
        decoder.feed(STATIC[0], received_at_us=START_US + 12_000_000, origin=f"peer {n}")
    assert tally.health().rejected == {"incomplete": 1 + 2_000 - 512}


def test_time_and_station_come_from_the_tag_block_of_the_first_line_of_a_group(tally: Tally) -> None:
    def tagged(fields: bytes, sentence: bytes) -> bytes:
        return b"\\%b*%02X\\%b" % (fields, checksum(fields), sentence)

    batch = decode(
        tally,
        tagged(b"g:1-2-77,s:JCG1,c:1699999999", STATIC[0]),
        tagged(b"g:2-2-77", STATIC[1]),
        tagged(b"c:1699999998", POSITION),
    )
    assert batch.rows["observed_at_us"].tolist() == [1_699_999_999_000_000, 1_699_999_998_000_000]
    assert not (batch.rows["flags"] & ObservationFlag.TIME_RECEIVED).any()
    assert batch.attributes[0]["station"] == "JCG1"
    assert tally.health().clock_offset_s == pytest.approx((START_US / 1e6 + 2) - 1_699_999_998, abs=3.0)


def test_types_of_no_interest_are_decoded_and_counted_as_ignored(tally: Tally) -> None:
    weather = b"!AIVDM,1,1,,A,802R5Ph0GhENJAb8wnREgq>lFR06EuOwgwl?wnSwe7wwwwwwsAwwnSomwvwt,0*75\n"
    batch = decode(tally, weather, b"$IIMTW,16.8,C*1C\n")
    assert len(batch) == 0
    health = tally.health()
    assert (health.messages_in, health.decoded) == (1, 1)
    assert health.ignored == {"type_8": 1, "MTW": 1}


def test_a_type_of_a_later_edition_is_kept_as_unknown(tally: Tally) -> None:
    payload = "t" + POSITION.decode().split(",")[5][1:]  # type 60
    decode(tally, single(f"AIVDM,1,1,,B,{payload},0"))
    assert tally.health().ignored == {"type_60": 1}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("AIVDM,1,1,,B,,0", "no_payload"),
        ("AIVDM,1,1,,B,13u=gHP3,0", "payload_too_short"),
        ("AIVDM,1,1,,B,13u,0", "payload_too_short"),
        ("AIVDM,1,1,,B," + "13u=gHP3" * 26 + ",0", "payload_too_long"),
        ("AIVDM,1,1,,B,13u=gHP3CWPlvs2Q8sHW:5fD0h6~,0", "bad_payload"),
        ("AIVDM,1,1,,B,03u=gHP3CWPlvs2Q8sHW:5fD0h6a,0", "unknown_type"),
        ("AIVDM,1,1,,B,10000003CWPlvs2Q8sHW:5fD0h6a,0", "bad_mmsi"),
        ("AIVDM,1,1,,B,13u=gHP3CWPlvs2Q8sHW:5fD0h6a,6", "bad_fields"),
        ("AIVDM,1,2,,B,13u=gHP3CWPlvs2Q8sHW:5fD0h6a,0", "bad_fields"),
        ("AIVDM,0,0,,B,13u=gHP3CWPlvs2Q8sHW:5fD0h6a,0", "bad_fields"),
        ("AIVDM,2,1,1,B,,0", "no_payload"),
        ("AIVDM,1,1,B,13u=gHP3CWPlvs2Q8sHW:5fD0h6a,0", "bad_fields"),
        ("AIVDM,1,1,,B,H3ugHP8UCBD5PRC41nnjl00h6210,0", "undecodable"),
    ],
)
def test_bad_input_is_counted_by_reason_and_kept(tally: Tally, sink: Any, body: str, reason: str) -> None:
    line = single(body).strip()
    decode(tally, line + b"\n", POSITION)
    health = tally.health()
    assert health.rejected == {reason: 1}
    assert health.decoded == 1
    assert sink.kept == [(reason, line)]


def test_a_sentence_cut_short_by_the_next_one_costs_only_itself(tally: Tally) -> None:
    decode(tally, POSITION[:20] + POSITION)
    health = tally.health()
    assert (health.decoded, health.rejected) == (1, {"truncated": 1})


def test_a_position_off_the_globe_is_rejected(tally: Tally) -> None:
    decode(tally, sentences(class_a(lon=200.0)))
    assert tally.health().rejected == {"position_out_of_range": 1}


ARMOUR = "0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVW`abcdefghijklmnopqrstuvw"


def single(body: str) -> bytes:
    return b"!%b*%02X\n" % (body.encode(), checksum(body.encode()))


GOOD = (
    POSITION,
    *STATIC,
    sentences(class_a()),
    b"$IIMTW,16.8,C*1C\n",
    sentences({"type": 14, "mmsi": 970_1, "text": "A"}),
)
PIECES = st.one_of(
    st.sampled_from(GOOD),
    st.binary(max_size=120),
    st.binary(max_size=80).map(lambda b: b + b"\n"),
    st.tuples(st.sampled_from(GOOD), st.integers(0, 80)).map(lambda cut: cut[0][: cut[1]]),
    st.tuples(st.sampled_from(GOOD), st.integers(0, 40), st.integers(0, 255)).map(
        lambda flip: flip[0][: flip[1]] + bytes([flip[2]]) + flip[0][flip[1] + 1 :]
    ),
    st.tuples(st.text(ARMOUR, max_size=80), st.integers(0, 5)).map(lambda p: single(f"AIVDM,1,1,,A,{p[0]},{p[1]}")),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(PIECES, st.sampled_from("ab"), st.integers(0, 20_000_000)), max_size=40))
def test_whatever_comes_in_every_message_ends_as_decoded_rejected_or_duplicate(
    pieces: list[tuple[bytes, str, int]],
) -> None:
    class Nowhere:
        def keep(self, **_: object) -> None:
            pass

    tally = Tally(source="t", kind="ais", gateway="g", clock=DataClock(latest_us=START_US), sink=Nowhere())
    decoder = AisDecoder(tally=tally)
    at_us, rows = START_US, 0
    for data, origin, pause_us in pieces:
        at_us += pause_us
        for batch in (decoder.feed(data, received_at_us=at_us, origin=origin), decoder.flush(received_at_us=at_us)):
            rows += len(batch) if batch is not None else 0
        health = tally.health()
        assert health.messages_in == health.decoded + sum(health.rejected.values()) + health.duplicates
    last = decoder.flush(received_at_us=at_us, end=True)
    rows += len(last) if last is not None else 0
    health = tally.health()
    assert health.messages_in == health.decoded + sum(health.rejected.values()) + health.duplicates
    assert rows <= health.decoded


def test_a_flood_of_malformed_input_is_counted_exactly_and_leaves_memory_flat(
    tally: Tally, sink: Any, adds_up: Callable[[Tally], bool]
) -> None:
    decoder = AisDecoder(tally=tally)
    flood = b"".join(
        (
            b"!AIVDM,1,1,,B,,0*25\n",
            b"\x00\xff garbage\n",
            STATIC[0],
            b"!AIVDM,1,1,,B,13u=gHP3CWPlvs2Q,0*00\n",
            b"x" * 3_000,
        )
    )
    sink_kept = sink.kept

    def pour(times: int) -> None:
        for n in range(times):
            decoder.feed(flood, received_at_us=START_US + n, origin=f"stranger {n % 3_000}")
            sink_kept.clear()

    pour(3_000)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        pour(3_000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 2_000_000
    decoder.flush(received_at_us=START_US, end=True)
    assert adds_up(tally)
    rejected = tally.health().rejected
    assert rejected["no_payload"] >= 3_000
    assert rejected["bad_checksum"] == 6_000
