"""The everyday traffic around Tsushima: lanes, ferries, fishing grounds, anchorages. Every name and number is invented.

The lanes run as traffic does: both channels of the Korea Strait, Hakata to Busan, Hitakatsu and Iki, and along the
coast to the Kanmon strait. None comes within two kilometres of a watched area; a test holds that, and that all of it
is on the water.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Final

from command.domain.geo import Position
from command.operations.drills.ais import AT_ANCHOR, FISHING, MOORED, BaseStation, Buoy, Vessel
from command.operations.drills.motion import Circle, Line, Moored, Shuttle

WEST_CHANNEL: Final = Line.through((128.30, 33.95), (128.70, 34.38), (129.00, 34.66), (129.35, 34.95), (130.00, 35.30))
EAST_CHANNEL: Final = Line.through((128.95, 33.60), (129.45, 34.02), (129.85, 34.40), (130.45, 34.85), (130.90, 35.10))
HAKATA_BUSAN: Final = Line.through(
    (130.30, 33.655),
    (130.26, 33.70),
    (130.12, 33.80),
    (129.85, 34.10),
    (129.70, 34.60),
    (129.48, 34.87),
    (129.13, 35.03),
)
HAKATA_HITAKATSU: Final = Line.through(
    (130.30, 33.655), (130.26, 33.70), (130.10, 33.80), (129.75, 34.15), (129.58, 34.50), (129.53, 34.655)
)
HITAKATSU_BUSAN: Final = Line.through((129.53, 34.66), (129.53, 34.72), (129.47, 34.78), (129.13, 35.02))
HAKATA_IKI: Final = Line.through((130.30, 33.655), (130.26, 33.70), (130.05, 33.77), (129.82, 33.80))
KANMON: Final = Line.through((130.22, 33.74), (130.30, 33.92), (130.55, 34.02), (130.78, 34.04))

_CARGO, _TANKER, _PASSENGER, _FAST, _FISHING_BOAT, _PLEASURE = 70, 80, 60, 40, 30, 37
_FLAGS: Final = ((431, "JD"), (440, "DS"), (412, "BP"), (354, "HP"), (636, "A8"), (477, "VR"), (563, "9V"))
_WORDS: Final = (
    ("KAIYO", "TENJIN", "HOKUTO", "SEIUN", "MIYAKO", "ASAGI", "TOKIWA", "SHIRANUI", "KOTOBUKI", "AKEBONO", "GENKAI"),
    ("ORIENT", "PACIFIC", "HANBIT", "SUNNY", "GRAND", "GOLDEN", "CRYSTAL", "EASTERN", "BLUE", "MORNING", "NEW"),
    ("PIONEER", "HARMONY", "BREEZE", "HOPE", "STAR", "GLORY", "HARVEST", "LOTUS", "CEDAR", "VOYAGER", "SWAN"),
)
_PORTS: Final = ("BUSAN", "HAKATA", "ULSAN", "SHANGHAI", "VLADIVOSTOK", "KITAKYUSHU", "NIIGATA", "QINGDAO", "POHANG")
_HAKATA_BAY: Final = ((130.270, 33.640), (130.285, 33.642), (130.335, 33.638), (130.345, 33.628), (130.285, 33.630))
_BUSAN_ROADS: Final = ((129.130, 35.020), (129.150, 35.030), (129.170, 35.040), (129.140, 35.000), (129.165, 35.010))
_FISHING_GROUNDS: Final = (
    (129.62, 34.30),
    (129.55, 34.42),
    (129.92, 34.05),
    (128.95, 34.02),
    (128.82, 34.12),
    (129.30, 33.88),
    (129.48, 33.72),
    (130.20, 34.50),
    (130.35, 34.28),
    (128.60, 34.15),
    (129.80, 34.75),
    (129.20, 33.98),
)
_BUOYS: Final = (
    (130.270, 33.690, "HAKATA FAIRWAY A", 26),
    (130.252, 33.708, "HAKATA FAIRWAY B", 25),
    (129.545, 34.680, "HITAKATSU E", 20),
    (129.840, 33.815, "ASHIBE E", 20),
    (129.150, 35.015, "BUSAN ROADS S", 28),
    (130.100, 34.330, "OKINOSHIMA N BANK", 30),
    (128.980, 34.060, "TSUSHIMA SW BANK", 29),
    (129.700, 34.820, "TSUSHIMA NE BANK", 27),
)


@dataclass
class _Register:
    """Hands out invented identities, each once."""

    chance: random.Random

    def __post_init__(self) -> None:
        self._number = 900_100
        self._japanese = [f"{word} MARU NO {n}" for n, word in product((3, 5, 8, 11, 18), _WORDS[0])]
        self._foreign = [f"{first} {second}" for first, second in product(_WORDS[1], _WORDS[2])]
        self.chance.shuffle(self._japanese)
        self.chance.shuffle(self._foreign)

    def identity(self, flag: int | None = None) -> tuple[int, str, str]:
        """(mmsi, name, callsign). The serial numbers 9001xx are not those of any register that is known to us."""
        mid, prefix = self.chance.choice(_FLAGS) if flag is None else _FLAGS[flag]
        self._number += 1
        name = self._japanese.pop() if mid == 431 else self._foreign.pop()
        return mid * 1_000_000 + self._number, name, f"{prefix}{self._number % 10_000:04d}"


def everyday(seed: int) -> Iterator[Vessel | Buoy | BaseStation]:
    """About 155 stations that raise no alert, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - a drill that repeats itself, no secret
    register = _Register(chance)
    yield from _through_traffic(register)
    yield from _ferries(register)
    yield from _fishing_fleet(register)
    yield from _at_anchor(register)
    for number, (lon, lat, name, kind) in enumerate(_BUOYS):
        yield Buoy(mmsi=994_319_001 + number, name=name, place=Position(lon=lon, lat=lat), aid_type=kind)
    yield BaseStation(mmsi=4_319_001, place=Position(lon=129.36, lat=34.39))
    yield BaseStation(mmsi=4_319_002, place=Position(lon=130.33, lat=33.59))


def _through_traffic(register: _Register) -> Iterator[Vessel]:
    chance = register.chance
    lanes = (
        (WEST_CHANNEL.shifted(right_m=1_000.0), 18),
        (_reversed(WEST_CHANNEL.shifted(right_m=-5_000.0)), 18),
        (EAST_CHANNEL.shifted(right_m=1_500.0), 16),
        (_reversed(EAST_CHANNEL.shifted(right_m=-4_500.0)), 16),
        (KANMON.shifted(right_m=600.0), 6),
        (_reversed(KANMON.shifted(right_m=-600.0)), 6),
    )
    for lane, count in lanes:
        for place in range(count):
            mmsi, name, callsign = register.identity()
            tanker = chance.random() < 0.3
            length_m = chance.randrange(75, 300)
            start_m = lane.length_m * (place + chance.uniform(0.1, 0.9)) / count
            yield Vessel(
                mmsi=mmsi,
                name=name,
                callsign=callsign,
                ship_type=_TANKER if tanker else _CARGO,
                length_m=length_m,
                beam_m=max(10, length_m // 7),
                destination=chance.choice(_PORTS),
                imo=9_000_000 + mmsi % 1_000_000,
                draught_m=round(length_m / 25.0, 1),
                plan=Shuttle(
                    line=lane.shifted(right_m=chance.uniform(-500.0, 500.0)),
                    speed_kn=round(chance.uniform(9.0, 17.5), 1),
                    start_m=start_m,
                ),
            )


def _ferries(register: _Register) -> Iterator[Vessel]:
    routes = (
        (HAKATA_BUSAN, 21.0, _PASSENGER, 160, "BUSAN"),
        (HAKATA_BUSAN, 36.0, _FAST, 32, "BUSAN"),
        (HAKATA_HITAKATSU, 15.0, _PASSENGER, 75, "HITAKATSU"),
        (HITAKATSU_BUSAN, 34.0, _FAST, 32, "HITAKATSU"),
        (HITAKATSU_BUSAN, 22.0, _PASSENGER, 48, "BUSAN"),
        (HAKATA_IKI, 18.0, _PASSENGER, 92, "ASHIBE"),
        (HAKATA_IKI, 38.0, _FAST, 27, "HAKATA"),
    )
    for number, (line, speed_kn, ship_type, length_m, destination) in enumerate(routes):
        mmsi, name, callsign = register.identity(number % 2)
        yield Vessel(
            mmsi=mmsi,
            name=name,
            callsign=callsign,
            ship_type=ship_type,
            length_m=length_m,
            beam_m=max(8, length_m // 6),
            destination=destination,
            draught_m=4.0,
            plan=Shuttle(line=line, speed_kn=speed_kn, start_m=line.length_m * register.chance.uniform(0.1, 0.6)),
        )


def _fishing_fleet(register: _Register) -> Iterator[Vessel]:
    chance = register.chance
    for number in range(48):
        lon, lat = _FISHING_GROUNDS[number % len(_FISHING_GROUNDS)]
        mmsi, name, callsign = register.identity(0 if number % 4 else 1)
        class_b = number % 3 != 0
        yield Vessel(
            mmsi=mmsi,
            name=name,
            callsign=callsign,
            ship_type=_PLEASURE if class_b and number % 5 == 0 else _FISHING_BOAT,
            length_m=chance.randrange(9, 30),
            beam_m=chance.randrange(3, 7),
            class_b=class_b,
            nav_status=FISHING,
            plan=Circle(
                centre=Position(lon=lon + chance.uniform(-0.03, 0.03), lat=lat + chance.uniform(-0.02, 0.02)),
                radius_m=chance.uniform(300.0, 1_500.0),
                speed_kn=round(chance.uniform(2.5, 6.0), 1),
                phase_deg=chance.uniform(0.0, 360.0),
                clockwise=chance.random() < 0.5,
            ),
        )


def _at_anchor(register: _Register) -> Iterator[Vessel]:
    chance = register.chance
    for number, (lon, lat) in enumerate(_HAKATA_BAY + _BUSAN_ROADS):
        mmsi, name, callsign = register.identity()
        length_m = chance.randrange(80, 220)
        place = Position(lon=lon, lat=lat)
        at_anchor = number % 3 != 0
        yield Vessel(
            mmsi=mmsi,
            name=name,
            callsign=callsign,
            ship_type=_CARGO,
            length_m=length_m,
            beam_m=length_m // 7,
            destination=chance.choice(_PORTS),
            imo=9_000_000 + mmsi % 1_000_000,
            draught_m=round(length_m / 25.0, 1),
            nav_status=AT_ANCHOR if at_anchor else MOORED,
            plan=Circle(centre=place, radius_m=80.0, speed_kn=0.1) if at_anchor else Moored(place=place),
        )


def _reversed(line: Line) -> Line:
    return Line(line.lon[::-1], line.lat[::-1])
