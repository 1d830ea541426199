"""The drill `tsushima-night`: one night in the Korea Strait, with an event of each severity in its first two minutes.

Every vessel, name and number is invented. The drones are real recordings of simulated autopilots (recordings/). The
alerts that must come of it are in tsushima_night.expected.json.

Thresholds are wider than in the live rules on purpose: at ten times the speed a process that is away for some seconds
costs minutes of the scenario, and that must look like an outage, not like an event.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib import resources
from typing import Any, Final

from shapely.geometry import Polygon

from command.domain.alert import Severity
from command.domain.area import AreaKind
from command.domain.clock import US_PER_S, to_us
from command.domain.geo import Position
from command.domain.ids import stable_key
from command.domain.observation import IdentityScheme, subject_of
from command.operations.drills.ais import AT_ANCHOR, FISHING, Beacon, Vessel, passed_on
from command.operations.drills.motion import Circle, Script, Shuttle
from command.operations.drills.scenario import ExpectedAlert, PlannedArea, PlannedAsset, Scenario, Speaker
from command.operations.drills.telemetry import Camera, Flight, Play, Silence
from command.operations.drills.traffic import WEST_CHANNEL, everyday

NAME: Final = "tsushima-night"
SEED: Final = 20_261_114
SHORE_STATION: Final = "tsushima"
START: Final = datetime(2026, 11, 14, 13, 0, tzinfo=UTC)
"""22:00 in Japan."""
DURATION_S: Final = 7_200.0
LINES: Final = ("ais", "air", "underwater")
"""The lines that need a port each."""

IZUHARA: Final = "izuhara-oki"
NORTH: Final = "kamitsushima-kita"
WEST: Final = "tsushima-nishi"

AREAS: Final = (
    PlannedArea(
        slug=IZUHARA,
        kind=AreaKind.GEOFENCE,
        name_ja="厳原沖監視区域",
        name_en="Off Izuhara",
        geometry=Polygon([(129.315, 34.165), (129.352, 34.170), (129.358, 34.222), (129.325, 34.222)]),
    ),
    PlannedArea(
        slug=NORTH,
        kind=AreaKind.GEOFENCE,
        name_ja="上対馬北方監視区域",
        name_en="North of Kamitsushima",
        geometry=Polygon([(129.22, 34.72), (129.33, 34.74), (129.33, 34.80), (129.22, 34.79)]),
    ),
    PlannedArea(
        slug=WEST,
        kind=AreaKind.GEOFENCE,
        name_ja="対馬西方監視区域",
        name_en="West of Tsushima",
        geometry=Polygon([(129.02, 34.20), (129.11, 34.20), (129.11, 34.33), (129.02, 34.33)]),
    ),
    PlannedArea(
        slug="tsushima-kaikyo",
        kind=AreaKind.AREA_OF_INTEREST,
        name_ja="対馬海峡重点監視区域",
        name_en="Korea Strait",
        geometry=Polygon([(128.6, 33.7), (130.4, 33.7), (130.6, 34.9), (129.2, 35.0), (128.6, 34.5)]),
    ),
)

INTRUDER: Final = Vessel(
    mmsi=431_909_001,
    name="DAIKICHI MARU NO 7",
    callsign="JD9001",
    ship_type=30,
    length_m=19,
    beam_m=5,
    nav_status=FISHING,
    rest_status=FISHING,
    plan=Script(
        points=(
            (0.0, 129.0189, 34.2600),
            (140.0, 129.0267, 34.2605),
            (600.0, 129.0330, 34.2640),
            (900.0, 129.0300, 34.2660),
            (1_200.0, 129.0050, 34.2680),
        )
    ),
)
"""Crosses the western fence at 20 s, fishes inside and leaves it at about 16 minutes."""

LOITERER: Final = Vessel(
    mmsi=354_909_002,
    name="EASTERN LANTERN",
    callsign="HP9002",
    ship_type=70,
    length_m=96,
    beam_m=15,
    destination="BUSAN",
    imo=9_909_002,
    draught_m=4.8,
    plan=Script(points=((0.0, 129.2182, 34.7600), (1_100.0, 129.2675, 34.7640))),
    rest_status=AT_ANCHOR,
)
"""Crosses the northern fence at 40 s, stops inside and stays."""

SILENT_FROM_S: Final = 300.0
SILENT_UNTIL_S: Final = 3_000.0
GOES_DARK: Final = Vessel(
    mmsi=636_909_003,
    name="CORAL MERIDIAN",
    callsign="A89003",
    ship_type=70,
    length_m=118,
    beam_m=18,
    destination="POHANG",
    imo=9_909_003,
    draught_m=6.2,
    plan=Shuttle(line=WEST_CHANNEL.shifted(right_m=1_000.0), speed_kn=11.5, start_m=70_000.0),
    silent=((SILENT_FROM_S, SILENT_UNTIL_S),),
)
"""Among others in the western channel; switches its AIS off for 45 minutes."""

BEACON: Final = Beacon(
    mmsi=970_909_004,
    plan=Circle(centre=Position(lon=129.80, lat=34.48), radius_m=900.0, speed_kn=0.6),
    from_s=45.0,
)

PATROL_BOAT: Final = Vessel(
    mmsi=431_909_005,
    name="KANSHI NO 5",
    callsign="JD9005",
    ship_type=55,
    length_m=24,
    beam_m=6,
    plan=Circle(centre=Position(lon=129.345, lat=34.205), radius_m=1_600.0, speed_kn=9.0),
)
"""Ours, and in and out of the fence off Izuhara all night: never alarmed on."""

DARK_CRAFT: Final = Script(
    points=(
        (15.0, 129.3600, 34.2030),
        (220.0, 129.3375, 34.1985),
        (500.0, 129.3350, 34.1970),
    )
)
"""No AIS: from the east at 20 knots over the fence off Izuhara, then slowly on. Only the drone's camera sees it."""

PATROL: Final = Flight(
    recording="tsushima_patrol_copter.tlog",
    system=11,
    once=(Play(300.0, 837.1),),
    again=(Play(832.2, 837.1),),
)
"""Flies on from its fifth minute, is low on battery after 410 s, lands after 530 s and waits on deck."""

LOST_FROM_S: Final = 59.0
LOST_UNTIL_S: Final = 959.0
SURVEY: Final = Flight(
    recording="tsushima_survey_copter.tlog",
    system=12,
    once=(
        Play(100.0, 159.03),
        Silence(LOST_UNTIL_S - LOST_FROM_S),
        Play(199.0, 524.1),
        Silence(40.0),
    ),
    again=(Play(0.0, 159.03), Silence(40.0), Play(199.0, 524.1), Silence(40.0)),
)
"""Loses its link where the recording has its pause, here for 15 minutes; afterwards it flies again and again."""

ROV: Final = Flight(
    recording="izuhara_hull_rov.tlog",
    system=21,
    once=(),
    again=(Play(0.0, 445.6), Silence(60.0)),
)

CAMERA: Final = Camera(system=11, target=DARK_CRAFT, from_s=15.0, until_s=490.0)

RULES: Final[Mapping[str, Mapping[str, Any]]] = {
    "geofence_entry": {"severity": "medium", "dark_severity": "high", "severity_by_area": {WEST: "low"}},
    "geofence_exit": {"severity": "low", "areas": [WEST]},
    "geofence_dwell": {"severity": "medium", "areas": [NORTH], "after_s": 1_200.0},
    "geofence_absence": {"severity": "medium"},
    "ais_gap": {"severity": "medium", "least_gap_s": 450.0, "steady_samples": 3},
    "distress": {"severity": "critical"},
    "drone_low_battery": {"severity": "medium", "warning_percent": 25.0, "critical_percent": 10.0},
    "drone_link_lost": {"severity": "high", "lost_after_s": 300.0, "unreported_s": 900.0},
    "source_silent": {"severity": "medium", "silent_after_s": 900.0},
}


def drone_subject(source: str, flight: Flight) -> str:
    """The subject under which sensors.mavlink knows the vehicle of a flight on the link `source`."""
    return subject_of(IdentityScheme.MAVLINK, stable_key(_vehicle_key(source, flight)))


def dark_subject(source: str) -> str:
    """The subject of what the patrol drone's camera tracks: the first target of its first device."""
    label = f"{CAMERA.system}-100-0-1"
    return subject_of(IdentityScheme.CONTACT, stable_key(f"{_vehicle_key(source, PATROL)}|{label}"))


def _vehicle_key(source: str, flight: Flight) -> str:
    return f"{source}|uid:{flight.hardware_uid}"


def build(ports: Mapping[str, int]) -> Scenario:
    """The scenario on these ports, one for each of LINES."""
    sources = {line: f"drill-{line}" for line in LINES}
    endpoints = {line: f"udp://127.0.0.1:{ports[line]}" for line in LINES}
    kinds = {"ais": "ais", "air": "mavlink", "underwater": "mavlink"}
    start_us = to_us(START)
    stations = (*everyday(SEED), INTRUDER, LOITERER, GOES_DARK, BEACON, PATROL_BOAT)

    def ais(from_s: float) -> Iterator[tuple[float, bytes]]:
        sent = heapq.merge(*(station.messages(start_us, from_s, SEED) for station in stations))
        for t_s, data in sent:
            yield t_s, passed_on(data, station=SHORE_STATION, at_us=start_us + round(t_s * US_PER_S))

    def patrol(from_s: float) -> Iterator[tuple[float, bytes]]:
        return heapq.merge(PATROL.messages(from_s), CAMERA.messages(from_s))

    return Scenario(
        name=NAME,
        start_us=start_us,
        duration_s=DURATION_S,
        ports=dict(ports),
        areas=AREAS,
        assets=(
            PlannedAsset(
                subject=drone_subject(sources["air"], PATROL),
                kind="air_drone",
                name_ja="哨戒ドローン1号",
                name_en="Patrol drone 1",
            ),
            PlannedAsset(
                subject=drone_subject(sources["air"], SURVEY),
                kind="air_drone",
                name_ja="測量ドローン2号",
                name_en="Survey drone 2",
            ),
            PlannedAsset(
                subject=drone_subject(sources["underwater"], ROV),
                kind="underwater_drone",
                name_ja="水中ドローン1号",
                name_en="Underwater drone 1",
            ),
            PlannedAsset(
                subject=subject_of(IdentityScheme.MMSI, PATROL_BOAT.mmsi),
                kind="vessel",
                name_ja="監視艇5号",
                name_en="Patrol boat 5",
            ),
        ),
        sources=tuple({"kind": kinds[line], "name": sources[line], "endpoint": endpoints[line]} for line in LINES),
        rules=RULES,
        expected=_expected(),
        speakers=(
            Speaker(name="ais", line="ais", messages=ais),
            Speaker(name="patrol-drone", line="air", messages=patrol),
            Speaker(name="survey-drone", line="air", messages=SURVEY.messages),
            Speaker(name="rov", line="underwater", messages=ROV.messages),
        ),
    )


def _expected() -> tuple[ExpectedAlert, ...]:
    listed = json.loads(resources.files(__package__).joinpath("tsushima_night.expected.json").read_text("utf-8"))
    return tuple(ExpectedAlert(**{**entry, "severity": Severity.from_word(entry["severity"])}) for entry in listed)
