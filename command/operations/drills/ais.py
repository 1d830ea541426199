"""What a drill's vessels say on AIS: real sentences, encoded by pyais, at the intervals of the standard.

Intervals: ITU-R M.1371-5, annex 1, tables 1 and 2. Beacons: IEC 61097-14.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import xor
from typing import Any, Final

from pyais.encode import encode_dict

from command.domain.clock import US_PER_S, from_us
from command.domain.geo import Position
from command.operations.drills.motion import Motion, Plan, offset

UNDER_WAY: Final = 0
AT_ANCHOR: Final = 1
MOORED: Final = 5
FISHING: Final = 7
SART_ACTIVE: Final = 14

_STATIC_EVERY_S: Final = 360.0
_FIX_NOISE_M: Final = 2.5
_NO_HEADING: Final = 511


@dataclass(frozen=True, kw_only=True)
class Vessel:
    """One AIS station. `class_b` sends types 18 and 24, others 1 and 5."""

    mmsi: int
    name: str
    plan: Plan
    callsign: str
    ship_type: int
    length_m: int
    beam_m: int
    destination: str = ""
    imo: int = 0
    draught_m: float = 0.0
    nav_status: int = UNDER_WAY
    """What it reports while it moves."""
    rest_status: int = MOORED
    """What it reports while it does not."""
    class_b: bool = False
    silent: tuple[tuple[float, float], ...] = ()
    """(from, until) seconds since the start in which it sends nothing."""

    def interval_s(self, motion: Motion) -> float:
        """The nominal interval of position reports."""
        if self.class_b:
            return 30.0 if motion.speed_kn > 2.0 else 180.0
        if self._status(motion) in (AT_ANCHOR, MOORED) and motion.speed_kn <= 3.0:
            return 180.0
        return 10.0 if motion.speed_kn <= 14.0 else 6.0 if motion.speed_kn <= 23.0 else 2.0

    def messages(self, start_us: int, from_s: float, seed: int) -> Iterator[tuple[float, bytes]]:
        """(t_s, sentences) of position and static reports, in order of time, for ever."""
        chance = random.Random(f"{seed}/{self.mmsi}/{from_s}")  # noqa: S311 - a drill that repeats itself, no secret
        motion = self.plan.at(from_s)
        place_s = from_s + chance.uniform(0.0, min(self.interval_s(motion), 20.0))
        static_s = from_s + chance.uniform(1.0, 60.0)
        while True:
            if static_s < place_s:
                if not self._is_silent(static_s):
                    yield from ((static_s, report) for report in self._static(chance))
                static_s += _STATIC_EVERY_S
                continue
            motion = self.plan.at(place_s)
            if not self._is_silent(place_s):
                yield place_s, self._position(motion, start_us, place_s, chance)
            place_s += self.interval_s(motion) * chance.uniform(0.95, 1.05)

    def _is_silent(self, t_s: float) -> bool:
        return any(since <= t_s < until for since, until in self.silent)

    def _position(self, motion: Motion, start_us: int, t_s: float, chance: random.Random) -> bytes:
        fields: dict[str, Any] = {
            "mmsi": self.mmsi,
            **_fix(motion, start_us, t_s, chance),
            "heading": _NO_HEADING if self.class_b else round(motion.course_deg) % 360,
        }
        if self.class_b:
            return sentences({"type": 18, **fields}, chance)
        return sentences({"type": 1, "status": self._status(motion), "turn": 0, "maneuver": 0, **fields}, chance)

    def _status(self, motion: Motion) -> int:
        return self.nav_status if motion.speed_kn > 0.0 else self.rest_status

    def _static(self, chance: random.Random) -> Iterator[bytes]:
        bow = self.length_m * 3 // 4
        hull = {
            "to_bow": bow,
            "to_stern": self.length_m - bow,
            "to_port": self.beam_m // 2,
            "to_starboard": self.beam_m - self.beam_m // 2,
        }
        who = {"mmsi": self.mmsi, "callsign": self.callsign, "ship_type": self.ship_type, **hull}
        if self.class_b:
            yield sentences({"type": 24, "partno": 0, "mmsi": self.mmsi, "shipname": self.name}, chance)
            yield sentences({"type": 24, "partno": 1, **who}, chance)
        else:
            voyage = {"imo": self.imo, "draught": self.draught_m, "destination": self.destination, "epfd": 1}
            yield sentences({"type": 5, "shipname": self.name, **who, **voyage}, chance)


@dataclass(frozen=True, kw_only=True)
class Buoy:
    """An aid to navigation: type 21 every three minutes."""

    mmsi: int
    name: str
    place: Position
    aid_type: int

    def messages(self, start_us: int, from_s: float, seed: int) -> Iterator[tuple[float, bytes]]:
        chance = random.Random(f"{seed}/{self.mmsi}/{from_s}")  # noqa: S311 - a drill that repeats itself, no secret
        t_s = from_s + chance.uniform(0.0, 60.0)
        while True:
            fix = _fix(Motion(self.place.lon, self.place.lat, 0.0, 0.0), start_us, t_s, chance)
            place = {key: fix[key] for key in ("lon", "lat", "second", "accuracy")}
            report = {"type": 21, "mmsi": self.mmsi, "aid_type": self.aid_type, "name": self.name, "epfd": 7, **place}
            yield t_s, sentences(report, chance)
            t_s += 180.0


@dataclass(frozen=True, kw_only=True)
class BaseStation:
    """A shore station: type 4 every ten seconds."""

    mmsi: int
    place: Position

    def messages(self, start_us: int, from_s: float, seed: int) -> Iterator[tuple[float, bytes]]:
        chance = random.Random(f"{seed}/{self.mmsi}/{from_s}")  # noqa: S311 - a drill that repeats itself, no secret
        t_s = from_s + chance.uniform(0.0, 10.0)
        while True:
            now = from_us(start_us + int(t_s * US_PER_S))
            time = {name: getattr(now, name) for name in ("year", "month", "day", "hour", "minute", "second")}
            place = {"lon": self.place.lon, "lat": self.place.lat, "accuracy": True, "epfd": 7}
            yield t_s, sentences({"type": 4, "mmsi": self.mmsi, **time, **place}, chance)
            t_s += 10.0


@dataclass(frozen=True, kw_only=True)
class Beacon:
    """An AIS-SART: a burst of eight messages in 14 s every minute, two of them in every fourth the text of type 14."""

    mmsi: int
    plan: Plan
    from_s: float

    def messages(self, start_us: int, from_s: float, seed: int) -> Iterator[tuple[float, bytes]]:
        chance = random.Random(f"{seed}/{self.mmsi}/{from_s}")  # noqa: S311 - a drill that repeats itself, no secret
        minute = max(0, int((from_s - self.from_s) // 60.0) + 1) if from_s > self.from_s else 0
        while True:
            for number in range(8):
                t_s = self.from_s + minute * 60.0 + number * 2.0
                if minute % 4 == 0 and number in (4, 5):
                    yield t_s, sentences({"type": 14, "mmsi": self.mmsi, "text": "SART ACTIVE"}, chance)
                    continue
                fix = _fix(self.plan.at(t_s), start_us, t_s, chance)
                report = {"type": 1, "mmsi": self.mmsi, "status": SART_ACTIVE, "turn": -128, "maneuver": 0}
                yield t_s, sentences({**report, **fix, "heading": _NO_HEADING}, chance)
            minute += 1


def _fix(motion: Motion, start_us: int, t_s: float, chance: random.Random) -> dict[str, Any]:
    """What a receiver says of a place: noisy by a few metres, with the UTC second."""
    noise = {"east_m": chance.gauss(0.0, _FIX_NOISE_M), "north_m": chance.gauss(0.0, _FIX_NOISE_M)}
    place = offset(Position(lon=motion.lon, lat=motion.lat), **noise)
    speed_kn = max(0.0, motion.speed_kn + chance.gauss(0.0, 0.05)) if motion.speed_kn else 0.0
    return {
        "lon": place.lon,
        "lat": place.lat,
        "speed": round(speed_kn, 1),
        "course": round(motion.course_deg, 1) % 360.0,
        "second": int(start_us / US_PER_S + t_s) % 60,
        "accuracy": True,
        "radio": chance.randrange(1 << 17),
    }


def sentences(fields: dict[str, Any], chance: random.Random) -> bytes:
    """One message as the bytes of a datagram: its AIVDM sentences, each with CR LF."""
    lines = encode_dict(
        fields,
        talker_id="AI",
        sentence_type="VDM",
        radio_channel=chance.choice("AB"),
        seq_id=chance.randrange(10),
    )
    return "".join(f"{line}\r\n" for line in lines).encode("ascii")


def passed_on(datagram: bytes, *, station: str, at_us: int) -> bytes:
    """A datagram of sentences as a shore station passes it on: each behind a tag block that names the station and when
    it heard the transmission, in milliseconds (NMEA 0183 version 4.11, section 7; IEC 61162-450, section 7.2.3.4).
    """
    fields = f"s:{station},c:{at_us // 1_000}".encode("ascii")
    tag = b"\\%b*%02X\\" % (fields, reduce(xor, fields))
    return b"".join(tag + line for line in datagram.splitlines(keepends=True))
