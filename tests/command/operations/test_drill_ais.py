"""A drill's AIS, read by the real decoder's own reader of tag blocks."""

from __future__ import annotations

from command.operations.drills.ais import passed_on
from sensors.nmea import read_tag, split_tag

AT_US = 1_794_661_203_004_000


def test_every_sentence_of_a_group_says_which_station_heard_it_and_when() -> None:
    sent = b"!AIVDM,2,1,3,A,55NOvQP1u>QIL@O??SL985`u>0EQ18E=>222221J1h,0*1E\r\n!AIVDM,2,2,3,A,88888888880,2*27\r\n"

    lines = passed_on(sent, station="tsushima", at_us=AT_US).splitlines()

    tags = [read_tag(split_tag(line)[0]) for line in lines]
    assert [(tag.time_us, tag.station) for tag in tags if tag] == [(AT_US, "tsushima")] * 2
    assert [split_tag(line)[1] for line in lines] == sent.splitlines()
