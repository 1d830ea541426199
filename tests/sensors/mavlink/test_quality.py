"""Loss is counted per sender; a radio's numbers become a margin."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command.domain.clock import US_PER_S
from sensors.mavlink.quality import SequenceMeter, radio_percent


@given(st.integers(0, 255), st.lists(st.booleans(), min_size=2, max_size=600))
def test_what_is_received_and_lost_adds_up_to_what_was_sent(first: int, arrived: list[bool]) -> None:
    arrived[0] = arrived[-1] = True
    gaps = "".join("x" if ok else "." for ok in arrived).split("x")
    if max(map(len, gaps)) >= 127:
        return  # an 8-bit number cannot tell
    meter = SequenceMeter()
    for i, ok in enumerate(arrived):
        if ok:
            meter.see((first + i) & 0xFF, received_at_us=i * 10_000)
    assert meter.received + meter.lost == len(arrived)


def test_a_late_message_is_not_two_hundred_lost_ones() -> None:
    meter = SequenceMeter()
    for sequence in (10, 12, 11, 13):
        meter.see(sequence, received_at_us=0)
    assert (meter.received, meter.lost) == (4, 1)


def test_a_long_silence_is_not_guessed_at() -> None:
    meter = SequenceMeter()
    meter.see(10, received_at_us=0)
    meter.see(90, received_at_us=40 * US_PER_S)
    assert meter.lost == 0


def test_only_the_last_ten_seconds_make_the_percentage() -> None:
    meter = SequenceMeter()
    assert math.isnan(meter.percent)
    for i, sequence in enumerate((0, 2, 4, 6)):
        meter.see(sequence, received_at_us=i * US_PER_S)
    assert meter.percent == pytest.approx(100 * 4 / 7)
    for i in range(20):
        meter.see(7 + i, received_at_us=(20 + i) * US_PER_S // 2 + 10 * US_PER_S)
    assert meter.percent == 100.0


@pytest.mark.parametrize(
    ("rssi", "noise", "remote_rssi", "remote_noise", "expected"),
    [(200, 40, 200, 40, 100.0), (59, 40, 200, 40, 50.0), (200, 40, 30, 40, 0.0), (255, 40, 200, 40, math.nan)],
)
def test_the_weaker_direction_of_a_radio_counts(
    rssi: int, noise: int, remote_rssi: int, remote_noise: int, expected: float
) -> None:
    percent = radio_percent(rssi=rssi, noise=noise, remote_rssi=remote_rssi, remote_noise=remote_noise)
    assert percent == pytest.approx(expected, nan_ok=True)
