"""AIS payloads (ITU-R M.1371-5) to reports: pyais and position_report take the bits apart, this says what they mean.

A value that the standard calls "not available" becomes NaN or None, never 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from pyais.bit_vector import bit_vector
from pyais.messages import MSG_CLASS

from command.domain.geo import MPS_PER_KNOT
from command.domain.observation import ObservationFlag, ObservationKind, SubjectKind
from sensors.ais.position_report import CHARACTERS, read_position_report

NAN: Final = math.nan
HIGH_ACCURACY_M: Final = 10.0
"""Position accuracy 1 means better than 10 m (M.1371-5, messages 1 to 3)."""
LONG_RANGE_M: Final = 185.2
"""Message 27 gives tenths of a minute: 0.1 nautical mile of latitude."""
STATUS_SART_ACTIVE: Final = 14
STATUS_UNDEFINED: Final = 15
"""A locating beacon under test reports status 15 (IEC 61097-14); at any other it is meant."""
BEACON_PREFIXES: Final = (970, 972, 974)
"""AIS-SART, man overboard, EPIRB-AIS (ITU-R M.585-9, annex 2)."""

_ARMOUR: Final = bytes(range(48, 88)) + bytes(range(96, 120))
_DISTRESS_TEXT: Final = re.compile(r"\bMAYDAY\b|\b(?:SART|MOB|EPIRB) ?ACTIVE\b")
_TEST_TEXT: Final = re.compile(r"\b(?:SART|MOB|EPIRB) ?TEST\b")

MIN_BITS: Final[Mapping[int, int]] = {
    **dict.fromkeys((1, 2, 3), 143),
    4: 134,
    5: 232,
    9: 134,
    12: 78,
    14: 46,
    18: 139,
    19: 139,
    20: 70,
    21: 219,
    24: 48,
    27: 94,
}
"""Bits up to the end of the last field without which a message of this type says nothing."""
MAX_MMSI: Final = 999_999_999
MAX_CHARACTERS: Final = 200
"""A message takes at most five slots of 256 bits, less 88 of framing: 1,192 bits in 199 characters of six."""


class BadPayload(ValueError):
    """A payload that is no AIS message. `reason` is the word that it is counted by."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Report(NamedTuple):
    """What one message reports, in our units; NaN where it says that it does not know."""

    message_type: int
    mmsi: int
    kind: ObservationKind
    subject_kind: SubjectKind
    flags: int
    lon: float = NAN
    lat: float = NAN
    position_error_m: float = NAN
    altitude_amsl_m: float = NAN
    speed_mps: float = NAN
    course_deg: float = NAN
    heading_deg: float = NAN
    nav_status: int | None = None
    facts: Mapping[str, Any] = {}


class Ignored(NamedTuple):
    """A message of a type that is not our subject; nothing behind its identity is looked at."""

    message_type: int


def read_payload(payload: bytes, fill_bits: int) -> Report | Ignored:
    """The report in an armoured payload. Raises BadPayload."""
    if not payload:
        raise BadPayload("no_payload")
    if len(payload) > MAX_CHARACTERS:
        raise BadPayload("payload_too_long")
    if payload.translate(None, _ARMOUR):
        raise BadPayload("bad_payload")
    if len(payload) == CHARACTERS and not fill_bits and (report := read_position_report(payload)) is not None:
        if not 0 < report.mmsi <= MAX_MMSI:
            raise BadPayload("bad_mmsi")
        return _READERS[report.msg_type](report, 168)
    bits = bit_vector(payload, fill_bits)
    size = len(bits)
    if size < 38:
        raise BadPayload("payload_too_short")
    message_type = bits.get_num(0, 6)
    if not message_type:
        raise BadPayload("unknown_type")
    mmsi = bits.get_num(8, 30)
    if not 0 < mmsi <= MAX_MMSI:
        raise BadPayload("bad_mmsi")
    read = _READERS.get(message_type)
    if read is None:
        return Ignored(message_type)
    if size < MIN_BITS.get(message_type, 0):
        raise BadPayload("payload_too_short")
    try:
        message = MSG_CLASS[message_type].from_vector(bits)
    except Exception as exc:  # whatever a hostile payload makes the library raise, it is one bad payload
        raise BadPayload("undecodable") from exc
    return read(message, size)


def kind_of_mmsi(mmsi: int) -> SubjectKind:
    """What sort of thing an MMSI is given to (ITU-R M.585-9)."""
    if mmsi < 10_000_000:
        return SubjectKind.BASE_STATION
    if mmsi // 1_000_000 in BEACON_PREFIXES:
        return SubjectKind.DISTRESS_BEACON
    if mmsi // 1_000_000 == 111:
        return SubjectKind.AIRCRAFT
    if mmsi // 10_000_000 == 99:
        return SubjectKind.AID_TO_NAVIGATION
    return SubjectKind.VESSEL


def _kind_of_craft(mmsi: int) -> SubjectKind:
    """As kind_of_mmsi, for messages that only craft send: a wrongly entered number makes no base station of a ship."""
    kind = kind_of_mmsi(mmsi)
    return SubjectKind.VESSEL if kind is SubjectKind.BASE_STATION else kind


def _scaled(value: float, *, below: float, factor: float = 1.0) -> float:
    return value * factor if 0.0 <= value < below else NAN


def _place(message: Any) -> tuple[float, float, int]:
    """(lon, lat, flags). 181/91 and the null island mean no fix; anything else off the globe is no position at all."""
    lon, lat = message.lon, message.lat
    if (lon == 181.0 or lat == 91.0) or (lon == 0.0 and lat == 0.0):
        return NAN, NAN, ObservationFlag.NO_FIX
    if not (-180.0 <= lon <= 180.0 and -90.0 <= lat <= 90.0):
        raise BadPayload("position_out_of_range")
    return lon, lat, 0


def _beacon_flags(mmsi: int, status: int | None) -> int:
    if status == STATUS_SART_ACTIVE:
        return ObservationFlag.DISTRESS
    if mmsi // 1_000_000 in BEACON_PREFIXES:
        return ObservationFlag.DISTRESS_TEST if status == STATUS_UNDEFINED else ObservationFlag.DISTRESS
    return 0


def _moving(
    message: Any,
    *,
    subject_kind: SubjectKind | None = None,
    status: int | None = None,
    speed_factor: float = MPS_PER_KNOT,
    speed_below: float = 102.25,
    heading: float = NAN,
    altitude_amsl_m: float = NAN,
    error_m: float | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Report:
    lon, lat, flags = _place(message)
    mmsi = message.mmsi
    return Report(
        message.msg_type,
        mmsi,
        ObservationKind.POSITION,
        subject_kind or _kind_of_craft(mmsi),
        flags | _beacon_flags(mmsi, status),
        lon,
        lat,
        error_m if error_m is not None else HIGH_ACCURACY_M if message.accuracy else NAN,
        altitude_amsl_m,
        _scaled(message.speed, below=speed_below, factor=speed_factor),
        _scaled(message.course, below=360.0),
        _scaled(heading, below=360.0),
        status,
        facts or {},
    )


def _class_a(message: Any, _: int) -> Report:
    return _moving(message, status=int(message.status), heading=message.heading)


def _base_station(message: Any, _: int) -> Report:
    lon, lat, flags = _place(message)
    return Report(
        message.msg_type,
        message.mmsi,
        ObservationKind.POSITION,
        SubjectKind.BASE_STATION,
        flags,
        lon,
        lat,
        HIGH_ACCURACY_M if message.accuracy else NAN,
    )


def _static_a(message: Any, size: int) -> Report:
    facts = _names(message.shipname, message.callsign)
    if 1_000_000 <= message.imo <= 9_999_999:
        facts["imo"] = message.imo
    if size >= 240 and message.ship_type:
        facts["ship_type"] = int(message.ship_type)
    if size >= 270:
        facts |= _dimensions(message)
    if size >= 302 and message.draught:
        facts["draught_m"] = message.draught
    if size >= 422 and message.destination:
        facts["destination"] = message.destination
    return _static(message, facts)


def _sar_aircraft(message: Any, _: int) -> Report:
    """Speed is in whole knots, 1023 not available; altitude in metres, 4095 not available."""
    return _moving(
        message,
        subject_kind=SubjectKind.AIRCRAFT,
        speed_below=1_023.0,
        altitude_amsl_m=_scaled(message.alt, below=4_095.0),
    )


def _safety_text(message: Any, _: int) -> Report:
    text = message.text or ""
    beacon = message.mmsi // 1_000_000 in BEACON_PREFIXES
    said = text.upper()
    if _TEST_TEXT.search(said):
        flags = int(ObservationFlag.DISTRESS_TEST)
    elif beacon or _DISTRESS_TEXT.search(said):
        flags = int(ObservationFlag.DISTRESS)
    else:
        flags = 0
    return _static(message, {"text": text} if text else {}, flags=flags)


def _class_b(message: Any, _: int) -> Report:
    return _moving(message, heading=message.heading)


def _class_b_extended(message: Any, size: int) -> Report:
    facts = _names(message.shipname, None) if size >= 263 else {}
    if size >= 271 and message.ship_type:
        facts["ship_type"] = int(message.ship_type)
    if size >= 301:
        facts |= _dimensions(message)
    return _moving(message, heading=message.heading, facts=facts)


def _link_management(message: Any, _: int) -> Report:
    return _static(message, {})


def _aid_to_navigation(message: Any, size: int) -> Report:
    lon, lat, flags = _place(message)
    facts = _names(message.full_name, None)
    facts["aid_type"] = int(message.aid_type)
    if size >= 249:
        facts |= _dimensions(message)
    if size >= 260 and message.second <= 59 and message.off_position:
        facts["off_position"] = True  # valid with a UTC second of 0 to 59 only (M.1371-5, message 21)
    if size >= 270 and message.virtual_aid:
        facts["virtual"] = True
    return Report(
        message.msg_type,
        message.mmsi,
        ObservationKind.POSITION,
        SubjectKind.AID_TO_NAVIGATION,
        flags,
        lon,
        lat,
        HIGH_ACCURACY_M if message.accuracy else NAN,
        facts=facts,
    )


def _static_b(message: Any, size: int) -> Report:
    """Part A carries the name, part B the particulars; a craft of a mother ship (98...) names that, not its size."""
    if message.partno == 0:
        if size < 160:
            raise BadPayload("payload_too_short")
        return _static(message, _names(message.shipname, None))
    if size < 132:
        raise BadPayload("payload_too_short")
    facts = _names(None, message.callsign)
    if message.ship_type:
        facts["ship_type"] = int(message.ship_type)
    if size >= 162:
        if hasattr(message, "mothership_mmsi"):
            facts["mother_ship"] = f"mmsi:{message.mothership_mmsi:09d}"
        else:
            facts |= _dimensions(message)
    return _static(message, facts)


def _long_range(message: Any, _: int) -> Report:
    """Speed in whole knots, 63 not available; course in whole degrees, 511 not available."""
    return _moving(message, status=int(message.status), speed_below=63.0, error_m=LONG_RANGE_M)


def _static(message: Any, facts: dict[str, Any], *, flags: int = 0) -> Report:
    mmsi = message.mmsi
    if message.msg_type == 20:
        kind = SubjectKind.BASE_STATION
    else:
        kind = _kind_of_craft(mmsi) if message.msg_type in (5, 24) else kind_of_mmsi(mmsi)
    return Report(message.msg_type, mmsi, ObservationKind.STATIC, kind, flags, facts=facts)


def _names(name: str | None, callsign: str | None) -> dict[str, Any]:
    return {key: text for key, text in (("name", name), ("callsign", callsign)) if text}


def _dimensions(message: Any) -> dict[str, Any]:
    length, beam = message.to_bow + message.to_stern, message.to_port + message.to_starboard
    return {key: metres for key, metres in (("length_m", length), ("beam_m", beam)) if metres}


_READERS: Final[Mapping[int, Callable[[Any, int], Report]]] = {
    1: _class_a,
    2: _class_a,
    3: _class_a,
    4: _base_station,
    5: _static_a,
    9: _sar_aircraft,
    12: _safety_text,
    14: _safety_text,
    18: _class_b,
    19: _class_b_extended,
    20: _link_management,
    21: _aid_to_navigation,
    24: _static_b,
    27: _long_range,
}
