"""Position reports read straight from their bits, held against pyais."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyais.bit_vector import bit_vector
from pyais.messages import MSG_CLASS

from sensors.ais.position_report import CHARACTERS, read_position_report

ARMOUR = bytes(range(48, 88)) + bytes(range(96, 120))


@given(
    first=st.sampled_from(b"123B"),
    rest=st.lists(st.sampled_from(ARMOUR), min_size=CHARACTERS - 1, max_size=CHARACTERS - 1),
)
def test_every_field_of_any_payload_is_what_pyais_reads(first: int, rest: list[int]) -> None:
    payload = bytes([first, *rest])
    ours = read_position_report(payload)
    assert ours is not None
    theirs = MSG_CLASS[ours.msg_type].from_vector(bit_vector(payload, 0))
    for name in ours._fields:
        if name == "status" and ours.msg_type == 18:
            continue  # class B has none
        assert getattr(ours, name) == getattr(theirs, name), name


@pytest.mark.parametrize("first", [character for character in ARMOUR if character not in b"123B"])
def test_a_payload_of_another_type_is_left_to_others(first: int) -> None:
    assert read_position_report(bytes([first]) + b"0" * (CHARACTERS - 1)) is None
