"""Real AIS recordings: the counts that were measured, and every value against pyais as an independent reader."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyais
import pytest
from pyais.exceptions import MissingPayloadException
from pyais.stream import FileReaderStream

from command.domain.geo import MPS_PER_KNOT
from command.domain.observation import ObservationFlag, ObservationKind
from sensors.ais import AisDecoder
from sensors.recordings import read_nmea
from sensors.replay import ReplayConfig, take_all
from sensors.source import Tally

HAKEFJORD = "ais/opencpn_Hakefjord.log"
KYSTVERKET = "ais/kystverket_Ais1000Lines.nm4"
SAMPLE = "ais/pyais_nmea_data_sample.txt"
OUR_TYPES = {1, 2, 3, 4, 5, 9, 12, 14, 18, 19, 20, 21, 24, 27}


def play(path: Path, sink: Any) -> Any:
    health, batch = take_all(ReplayConfig(name="recorded", files=(path,)), sink=sink)
    assert health.messages_in == health.decoded + sum(health.rejected.values()) + health.duplicates
    assert health.observations == len(batch)
    assert health.state == "finished"
    return health, batch


def test_hakefjord_has_the_counts_that_were_measured(shared_data: Path, sink: Any) -> None:
    health, batch = play(shared_data / HAKEFJORD, sink)
    assert health.messages_in == 15_912
    assert health.rejected == {}
    # 1,989 of the 10,676 VDM lines differ. We decode 69 more: 54 data link reports (type 20) that a base station says
    # again, bit for bit, every minute, and 15 names (type 24) said again every twelve minutes. Later than the window
    # of two minutes they are news: the sender is still there. Of 1,304 distinct VDO two names are such, too.
    assert health.decoded == (1_989 + 69) + (1_304 + 2)
    assert health.duplicates == 15_912 - 3_364
    # 41 MMSI are heard. One of them sends nothing but weather (type 8), which is not our subject and only counted.
    assert len(set(batch.rows["subject_key"].tolist())) == 40
    assert health.ignored["type_8"] == 560


def test_hakefjord_keeps_own_ship_apart(shared_data: Path, tally: Tally) -> None:
    decoder = AisDecoder(tally=tally)
    own: set[int] = set()
    others: set[int] = set()
    for record in read_nmea(shared_data / HAKEFJORD):
        batch = decoder.feed(record.data, received_at_us=record.recorded_at_us or 0, origin="bus")
        for row in batch.rows if batch is not None else ():
            (own if row["flags"] & ObservationFlag.OWN_SHIP else others).add(int(row["subject_key"]))
    assert decoder.sentences == {"VDM": 10_676, "VDO": 5_236}
    assert len(own) == 1
    assert not own & others


def test_hakefjord_played_in_a_loop_four_times_makes_no_observation_twice(shared_data: Path, sink: Any) -> None:
    # given a recording of 22 minutes that its maker put into the file four times
    _, batch = play(shared_data / HAKEFJORD, sink)
    assert len(set(batch.rows["observation_id"].tolist())) == len(batch)
    assert batch.rows["observed_at_us"].max() - batch.rows["observed_at_us"].min() < 23 * 60 * 1_000_000


def test_kystverket_has_833_vessels_each_with_its_stations_time(shared_data: Path, sink: Any) -> None:
    health, batch = play(shared_data / KYSTVERKET, sink)
    assert (health.messages_in, health.decoded, health.rejected, health.duplicates) == (1_000, 1_000, {}, 0)
    assert len(set(batch.rows["subject_key"].tolist())) == 833
    assert not (batch.rows["flags"] & ObservationFlag.TIME_RECEIVED).any()


def test_of_the_pyais_sample_100_of_878_messages_do_not_decode(shared_data: Path, sink: Any) -> None:
    health, _ = play(shared_data / SAMPLE, sink)
    # 898 sentences: 878 messages and the 20 first parts of messages whose second part was never recorded, which pyais
    # leaves out in silence. Two sentences are in the file twice.
    assert health.messages_in == 878 + 20
    assert health.rejected == {"no_payload": 100, "incomplete": 20}
    assert health.duplicates == 2
    assert sink.reasons == health.rejected


@pytest.mark.parametrize("name", ["ais/signalk_nais400-merrimac.log", "ais/signalk_nais300-merrimac.log"])
def test_other_receivers_logs_are_read_without_a_reject(shared_data: Path, sink: Any, name: str) -> None:
    health, _ = play(shared_data / name, sink)
    assert health.rejected == {}
    assert health.messages_in == {"4": 703, "3": 549}[name[16]]


def test_the_same_file_twice_gives_the_same_observations(shared_data: Path, sink: Any) -> None:
    first, second = (play(shared_data / SAMPLE, sink)[1] for _ in range(2))
    assert first.rows.tobytes() == second.rows.tobytes()
    assert first.attributes == second.attributes


@pytest.mark.parametrize("name", [HAKEFJORD, KYSTVERKET, SAMPLE])
def test_every_value_is_the_one_that_pyais_reads(shared_data: Path, sink: Any, name: str) -> None:
    # given what pyais reads from the same file, by sender and kind, repetitions left out
    expected: dict[tuple[int, int], list[Any]] = defaultdict(list)
    for message in oracle(shared_data / name):
        key = (message.mmsi, int(is_position(message)))
        if message not in expected[key]:
            expected[key].append(message)
    # when we read it; then each of our rows is one of its messages, and none of its messages is missing
    _, batch = play(shared_data / name, sink)
    left = {key: list(messages) for key, messages in expected.items()}
    for index, row in enumerate(batch.rows):
        key = (int(row["subject_key"]), int(row["kind"] == ObservationKind.POSITION))
        facts = batch.attributes.get(index, {})
        unread = next((i for i, m in enumerate(left[key]) if equal(row, facts, m)), None)
        if unread is not None:
            del left[key][unread]
        else:
            assert any(equal(row, facts, message) for message in expected[key]), (name, key, row)
    assert not [message for messages in left.values() for message in messages]


def oracle(path: Path) -> Iterator[Any]:
    with FileReaderStream(str(path)) as stream:
        for sentence in stream:
            try:
                message = sentence.decode()
            except MissingPayloadException:
                continue
            if message.msg_type in OUR_TYPES:
                yield message


def is_position(message: pyais.ANY_MESSAGE) -> bool:
    return hasattr(message, "lon")


def equal(row: Any, facts: Any, message: Any) -> bool:
    if not is_position(message):
        name = getattr(message, "shipname", "") or ""
        callsign = getattr(message, "callsign", "") or ""
        return bool(
            facts.get("name", facts.get("name_unconfirmed", "")) == name
            and facts.get("callsign", facts.get("callsign_unconfirmed", "")) == callsign
            and facts.get("destination", "") == (getattr(message, "destination", "") or "")
            and facts.get("draught_m", 0.0) == (getattr(message, "draught", 0.0) or 0.0)
        )
    lon = message.lon if message.lon != 181.0 else math.nan
    lat = message.lat if message.lat != 91.0 else math.nan
    speed = getattr(message, "speed", 102.3)
    course = getattr(message, "course", 360.0)
    heading = getattr(message, "heading", 511)
    return (
        same(row["lon"], lon)
        and same(row["lat"], lat)
        and same(row["speed_mps"], math.nan if speed == 102.3 else speed * MPS_PER_KNOT, within=1e-4)
        and same(row["course_deg"], math.nan if course >= 360.0 else course, within=1e-4)
        and same(row["heading_deg"], math.nan if heading >= 360 else heading)
    )


def same(ours: float, theirs: float, *, within: float = 1e-9) -> bool:
    return (math.isnan(ours) and math.isnan(theirs)) or abs(ours - theirs) <= within
