"""The position reports of class A and class B straight from their bits: three of four messages off a busy coast.

ITU-R M.1371-5, annex 8, tables 45 (messages 1, 2 and 3) and 70 (message 18). Both have 168 bits, in 28 characters
without fill bits. pyais reads every field of a message; this reads the ones that a report is made of, which takes a
third of the time. The tests hold it against pyais.
"""

from __future__ import annotations

from binascii import a2b_base64
from typing import Final, NamedTuple

CHARACTERS: Final = 28
_TYPES: Final = dict(zip(b"123B", (1, 2, 3, 18), strict=True))
_TO_BASE64: Final = bytes.maketrans(
    bytes(range(48, 88)) + bytes(range(96, 120)), b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
)
"""Both write six bits a character; RFC 4648 has the other alphabet."""


class PositionReport(NamedTuple):
    """The fields that a report is made of, in the units of the standard (knots, degrees), as pyais names them."""

    msg_type: int
    mmsi: int
    status: int
    speed: float
    accuracy: int
    lon: float
    lat: float
    course: float
    heading: int


def read_position_report(payload: bytes) -> PositionReport | None:
    """The report in an armoured payload of CHARACTERS characters of the armour's alphabet; None for another type."""
    message_type = _TYPES.get(payload[0])
    if message_type is None:
        return None
    bits = int.from_bytes(a2b_base64(payload.translate(_TO_BASE64)), "big")
    mmsi = bits >> 130 & 0x3FFFFFFF
    status = bits >> 126 & 0xF
    if message_type == 18:
        status, bits = 0, bits >> 4  # from the speed to the heading it is laid out like class A, four bits earlier
    return PositionReport(
        message_type,
        mmsi,
        status,
        (bits >> 108 & 0x3FF) / 10.0,
        bits >> 107 & 1,
        _degrees((bits >> 79 & 0xFFFFFFF ^ 0x8000000) - 0x8000000),
        _degrees((bits >> 52 & 0x7FFFFFF ^ 0x4000000) - 0x4000000),
        (bits >> 40 & 0xFFF) / 10.0,
        bits >> 31 & 0x1FF,
    )


def _degrees(ten_thousandths_of_minutes: int) -> float:
    """To the microdegree, in integers."""
    return ((10 * ten_thousandths_of_minutes + 3) // 6) / 1e6
