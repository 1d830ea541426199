"""A console's web side with synthetic tracks: the REST resources and the binary WebSocket that the map bundle needs.

It is served by uvicorn for the map's own tests (and by hand: `python tests/dashboards/map/synthetic_console.py`), so
the bundle is tried in a real browser against a real socket, without a store.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import random
import struct
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from starlette.websockets import WebSocketDisconnect

from command.api.texts import SHOWN
from command.domain.geo import Position, destination
from command.domain.observation import SubjectKind
from command.domain.track import TrackStatus
from command.i18n import texts
from command.operations.console_keys import KEYS
from command.operations.picture import AGGREGATE_DTYPE, RECORD_DTYPE, UNKNOWN_U2, FrameKind, RecordFlag
from command.operations.track_groups import TrackGroup
from maps.coastline import distance_to_coast_m, is_on_land

REPOSITORY: Final = Path(__file__).parents[3]
ASSETS: Final = REPOSITORY / "dashboards" / "assets"
TILES: Final = REPOSITORY / "maps" / "data"

START_MS: Final = 1_795_304_472_000.0
"""2026-11-22 08:41:12 JST: the realm's clock starts here and runs at 1x."""

SEAS: Final = [
    (127.8, 33.3, 131.4, 35.4, 320),
    (139.6, 34.8, 140.1, 35.65, 150),
    (132.0, 33.8, 135.3, 34.7, 150),
    (123.0, 26.0, 129.0, 32.0, 120),
    (138.5, 33.0, 142.0, 36.0, 100),
    (139.0, 38.0, 142.0, 43.0, 80),
    (131.0, 35.5, 138.0, 38.5, 90),
]
"""West, south, east, north, how many vessels."""
NAMES: Final = ("KAIYO", "HAKUREI", "OCEAN", "SUN", "PACIFIC", "DAISHIN", "KOREX", "ASIAN", "GOLDEN", "EVER", "HOKUTO")
SECOND: Final = ("MARU", "STAR", "TRADER", "GLORY", "PEARL", "WAVE", "NO.8", "EXPRESS", "HOPE", "MARU NO.3")


@dataclass
class Mover:
    """One synthetic track on a straight course from where it was at the start."""

    track_id: str
    label: str
    start: Position
    kind: SubjectKind
    status: TrackStatus
    speed_mps: float
    course_deg: float | None
    flags: int = 0
    silent_s: float = 4.0

    def at(self, elapsed_s: float) -> Position:
        if self.course_deg is None:
            return self.start
        return destination(self.start, course_deg=self.course_deg, distance_m=self.speed_mps * elapsed_s)


def fleet(seed: int = 7) -> list[Mover]:
    """About a thousand vessels at sea near Japan, and one of everything else near Tsushima."""
    random_number = random.Random(seed)
    movers: list[Mover] = []
    for west, south, east, north, wanted in SEAS:
        lon = np.array([random_number.uniform(west, east) for _ in range(wanted * 3)])
        lat = np.array([random_number.uniform(south, north) for _ in range(wanted * 3)])
        at_sea = np.flatnonzero(~is_on_land(lon, lat) & (distance_to_coast_m(lon, lat) > 400))[:wanted]
        for i in at_sea:
            draw = random_number.random()
            status = TrackStatus.LIVE if draw < 0.86 else TrackStatus.STALE if draw < 0.95 else TrackStatus.LOST
            moves = random_number.random() < 0.8
            movers.append(
                Mover(
                    track_id=str(uuid.UUID(int=random_number.getrandbits(128))),
                    label=f"{random_number.choice(NAMES)} {random_number.choice(SECOND)}",
                    start=Position(lon=float(lon[i]), lat=float(lat[i])),
                    kind=SubjectKind.VESSEL,
                    status=status,
                    speed_mps=random_number.uniform(2, 10) if moves else 0.0,
                    course_deg=random_number.choice((45, 60, 225, 240)) + random_number.uniform(-15, 15)
                    if moves
                    else None,
                    silent_s=random_number.uniform(1, 12)
                    if status is TrackStatus.LIVE
                    else random_number.uniform(600, 9_000),
                )
            )
    movers += _specials()
    return movers


def _specials() -> list[Mover]:
    rows: list[tuple[str, float, float, SubjectKind, float, float | None, int]] = [
        ("みずぎわ1号", 129.62, 34.55, SubjectKind.AIR_DRONE, 14.0, 70.0, RecordFlag.ASSET),
        ("うみほたる", 129.50, 34.68, SubjectKind.UNDERWATER_DRONE, 1.0, 100.0, RecordFlag.ASSET),
        ("哨戒1号艇", 129.40, 34.75, SubjectKind.SURFACE_DRONE, 6.0, 20.0, RecordFlag.ASSET),
        ("比田勝管制局", 129.463, 34.657, SubjectKind.GROUND_STATION, 0.0, None, RecordFlag.ASSET),
        ("未識別 K-031", 129.78, 34.63, SubjectKind.UNKNOWN, 11.0, 205.0, RecordFlag.OPEN_ALERT),
        (
            "AIS-SART 970110220",
            129.15,
            34.05,
            SubjectKind.DISTRESS_BEACON,
            0.4,
            90.0,
            RecordFlag.DISTRESS | RecordFlag.OPEN_ALERT,
        ),
        ("JA72CG", 130.0, 34.4, SubjectKind.AIRCRAFT, 62.0, 320.0, 0),
        ("対馬沖灯浮標", 129.55, 34.2, SubjectKind.AID_TO_NAVIGATION, 0.0, None, 0),
        ("AIS厳原局", 129.29, 34.2, SubjectKind.BASE_STATION, 0.0, None, 0),
        ("HAKUREI STAR", 129.02, 34.45, SubjectKind.VESSEL, 7.2, 48.0, RecordFlag.OPEN_ALERT),
    ]
    return [
        Mover(
            track_id=str(uuid.UUID(int=i + 1)), label=label, start=Position(lon=lon, lat=lat), kind=kind,
            status=TrackStatus.LIVE, speed_mps=speed, course_deg=course, flags=flags,
        )
        for i, (label, lon, lat, kind, speed, course, flags) in enumerate(rows)
    ]  # fmt: skip


def _u16(value: float | None, unit: float) -> int:
    return UNKNOWN_U2 if value is None else round(value / unit)


class Screen:
    """One map that is connected: what it looks at, and what it was sent."""

    def __init__(self, movers: list[Mover], began: float) -> None:
        self.movers, self.began = movers, began
        self.box: list[float] | None = None
        self.zoom = 0.0
        self.as_of_ms: float | None = None
        self.named: set[int] = set()

    def hear(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "view":
                self.box, self.zoom = message["bbox"], message["zoom"]
            case "as_of":
                self.as_of_ms = message["at_ms"]
            case "live":
                self.as_of_ms = None

    def frames(self) -> list[bytes | str]:
        elapsed = time.monotonic() - self.began
        now_ms = START_MS + elapsed * 1_000
        if self.box is None:
            return [self._frame(FrameKind.TICK, now_ms, b"", 0)]
        shown = elapsed if self.as_of_ms is None else (self.as_of_ms - START_MS) / 1_000
        west, south, east, north = self.box
        rows = [
            (handle, mover, place)
            for handle, mover in enumerate(self.movers, start=1)
            for place in [mover.at(shown)]
            if west <= place.lon <= east and south <= place.lat <= north
        ]
        if self.zoom < 6 and self.as_of_ms is None:
            cells = self._cells(rows)
            of = dict.fromkeys(TrackGroup, 0) | {"vessels": len(rows)}
            counts = json.dumps({"type": "counts", "of": of, "hidden": 0, "kept": 0})
            return [counts, self._frame(FrameKind.AGGREGATE, now_ms, cells.tobytes(), len(cells))]
        records = np.zeros(len(rows), dtype=RECORD_DTYPE)
        for i, (handle, mover, place) in enumerate(rows):
            records[i] = (
                handle, round(place.lon * 1e7), round(place.lat * 1e7), int(START_MS / 1_000 + shown - mover.silent_s),
                _u16(mover.course_deg, 0.01), _u16(mover.course_deg, 0.01), _u16(mover.speed_mps, 0.1),
                mover.kind, mover.status, mover.flags, 250 if mover.kind is SubjectKind.UNKNOWN else UNKNOWN_U2, b"",
            )  # fmt: skip
        names = [[h, m.track_id, m.label] for h, m, _ in rows if h not in self.named]
        self.named.update(h for h, _, _ in rows)
        kind = FrameKind.SNAPSHOT if self.as_of_ms is None else FrameKind.AS_OF
        frame = self._frame(kind, now_ms, records.tobytes(), len(records))
        return [json.dumps({"type": "names", "tracks": names}), frame]

    @staticmethod
    def _cells(rows: list[tuple[int, Mover, Position]]) -> np.ndarray[Any, Any]:
        cells: dict[tuple[int, int], list[tuple[Mover, Position]]] = {}
        for _, mover, place in rows:
            cells.setdefault((math.floor(place.lon / 1.5), math.floor(place.lat / 1.25)), []).append((mover, place))
        records = np.zeros(len(cells), dtype=AGGREGATE_DTYPE)
        for i, members in enumerate(cells.values()):
            lon = sum(p.lon for _, p in members) / len(members)
            lat = sum(p.lat for _, p in members) / len(members)
            flags = int(np.bitwise_or.reduce([m.flags for m, _ in members]))
            worst = max(m.status for m, _ in members)
            records[i] = (round(lon * 1e7), round(lat * 1e7), len(members), worst, flags, b"")
        return records

    @staticmethod
    def _frame(kind: int, now_ms: float, body: bytes, count: int) -> bytes:
        return struct.pack("<BBHIdQ", 1, kind, 0, count, now_ms, 1) + body


ONLINE: Final = (
    ' data-online-url="{server}online/{z}/{x}/{y}.png" data-online-attribution="&lt;b&gt;地理院タイル&lt;/b&gt;"'
    ' data-online-max-zoom="18" data-online-tile-pixels="256"'
)
GREY_TILE: Final = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGM4AQAAygDJmcpdfgAAAABJRU5ErkJggg=="
)
PAGE: Final = """<!doctype html><html lang="{language}"><head><meta charset="utf-8"><title>map</title>
<link rel="stylesheet" href="/assets/map/mizugiwa-map.css">
<style>html,body{{margin:0;height:100%}}#map{{height:100%}}</style></head>
<body><div id="map" data-reads-incidents="true" data-writes-notes="true"{online}></div>
<script>window.mizugiwaTexts={texts};window.chosen=[];
const acts={acts};window.mizugiwaKeys={{act:(e)=>acts[e.key.toLowerCase()]??null,hint:()=>""}};
window.dash_clientside={{set_props:(id,p)=>{{window.chosen.push([id,p.data])}}}};</script>
<script src="/assets/map/mizugiwa-map.js"></script></body></html>"""


def synthetic_console(
    movers: list[Mover],
    *,
    also_send: Sequence[bytes | str] = (),
    close_code: int | None = None,
    tiles: Path = TILES,
    online: bool = False,
) -> FastAPI:
    """The web application. Every screen sees the same movers, from the moment this was called.

    `also_send` goes to each screen first, whatever it is; with a `close_code` no socket stays open.
    """
    app = FastAPI()
    began = time.monotonic()
    app.mount("/assets", StaticFiles(directory=ASSETS))
    app.mount("/tiles", StaticFiles(directory=tiles))

    @app.get("/", response_class=HTMLResponse)
    def page(request: Request, language: str = "ja") -> str:
        shown = {k: v for k, v in texts(language).items() if k.startswith(SHOWN)}
        attributes = ONLINE.replace("{server}", str(request.base_url)) if online else ""
        acts = {key: act for act, key in KEYS.items()}
        words = json.dumps(shown, ensure_ascii=False)
        return PAGE.format(language=language, online=attributes, texts=words, acts=json.dumps(acts))

    @app.get("/online/{z}/{x}/{y}.png")
    def tile(z: int, x: int, y: int) -> Response:
        return Response(GREY_TILE, media_type="image/png")

    @app.get("/favicon.ico")
    def icon() -> dict[str, str]:
        return {}

    @app.get("/api/areas")
    def areas() -> dict[str, Any]:
        north = [(129.3, 34.75), (129.75, 34.9), (130.0, 34.65), (129.6, 34.5)]
        east = [(129.4, 34.3), (129.9, 34.35), (130.0, 33.95), (129.5, 33.9)]
        uraga = [(139.70, 35.30), (139.80, 35.33), (139.80, 35.20), (139.71, 35.20)]
        return _collection(
            [
                _polygon("geofence", "対馬北方監視区域", "North Tsushima fence", north),
                _polygon("area_of_interest", "対馬東水道 重点監視区域", "Tsushima east channel", east),
                _polygon("geofence", "浦賀水道 監視区域", "Uraga fence", uraga),
            ]
        )

    @app.get("/api/realm")
    def realm() -> dict[str, Any]:
        lon, lat = [m.start.lon for m in movers], [m.start.lat for m in movers]
        return {"tracks_box": [min(lon), min(lat), max(lon), max(lat)] if movers else None}

    @app.get("/api/facilities")
    def facilities() -> dict[str, Any]:
        rows = [
            ("customs_headquarters", "横浜税関", "Yokohama Customs", 139.642, 35.4495),
            ("customs_headquarters", "東京税関", "Tokyo Customs", 139.775, 35.62),
            ("customs_headquarters", "門司税関", "Moji Customs", 130.962, 33.946),
            ("customs_branch", "厳原税関支署", "Izuhara branch", 129.292, 34.197),
            ("open_port", "比田勝港", "Hitakatsu", 129.466, 34.655),
            ("open_port", "博多港", "Hakata", 130.4, 33.607),
            ("customs_airport", "東京国際空港", "Haneda", 139.781, 35.549),
        ]
        return _collection(
            [
                {
                    "type": "Feature",
                    "properties": {"kind": kind, "name_ja": ja, "name_en": en},
                    "geometry": {"type": "Point", "coordinates": [lon, lat]},
                }
                for kind, ja, en, lon, lat in rows
            ]
        )

    @app.get("/api/alerts")
    def alerts() -> dict[str, Any]:
        rows = [
            ("critical", "AIS-SART 970110220", 6, False), ("high", "未識別 K-031", 5, False),
            ("medium", "HAKUREI STAR", 10, False), ("low", "JA72CG", 7, True),
        ]  # fmt: skip
        by_id = {m.track_id: m for m in movers}
        drawn = [
            {
                "alert_id": str(uuid.UUID(int=1_000 + n)),
                "track_id": mover.track_id,
                "severity": severity,
                "position": {"lon": mover.start.lon, "lat": mover.start.lat},
                "subject_label": label,
                "rule": "geofence_entry",
                "acknowledged_at": "2026-11-22T08:40:00+00:00" if acknowledged else None,
                "cleared_at": None,
            }
            for severity, label, n, acknowledged in rows
            if (mover := by_id.get(str(uuid.UUID(int=n)))) is not None
        ]
        return {"alerts": drawn}

    @app.get("/api/notes")
    def notes() -> dict[str, Any]:
        at = "2026-11-21T23:30:00+00:00"
        rows = [
            (1, "定置網あり。夜間は灯火なし", 129.65, 34.30, None),
            (2, "海保 巡視船と共同対応中", 129.2, 34.6, "2026-11-22T05:00:00+00:00"),
            (3, "期限切れ", 129.3, 34.5, "2026-11-21T23:40:00+00:00"),
        ]
        return _collection(
            [
                {
                    "type": "Feature",
                    "geometry": {"type": "Point", "coordinates": [lon, lat]},
                    "properties": {
                        "note_id": str(uuid.UUID(int=3_000 + n)), "version": n, "text": words, "created_by": "sato",
                        "created_at": at, "changed_by": "suzuki", "changed_at": at, "expires_at": expires,
                        "removed": False,
                    },
                }
                for n, words, lon, lat, expires in rows
            ]
        )  # fmt: skip

    @app.get("/api/incidents.geojson")
    def incidents() -> dict[str, Any]:
        rows = [
            (1, "2026-0001", "対馬北方 不審船", "critical", "responding", 129.78, 34.63, [5], 2),
            (2, "2026-0002", "瀬取りの疑い", "high", "open", 129.02, 34.45, [10], 0),
            (3, "2026-0003", "漂流物", "medium", "monitoring", 129.35, 34.02, [], 0),
            (4, "2026-0004", "油の流出", "low", "transferred", 129.9, 34.15, [], 0),
        ]
        return {
            "next": None,
            **_collection(
                [
                    {
                        "type": "Feature",
                        "geometry": {"type": "Point", "coordinates": [lon, lat]},
                        "properties": {
                            "incident_id": str(uuid.UUID(int=2_000 + n)),
                            "number": number,
                            "title": title,
                            "severity": severity,
                            "state": state,
                            "open_tasks": tasks,
                            "position": {"lon": lon, "lat": lat},
                            "alerts": [str(uuid.UUID(int=1_000 + n)) for n in tracks],
                            "tracks": [str(uuid.UUID(int=n)) for n in tracks],
                        },
                    }
                    for n, number, title, severity, state, lon, lat, tracks, tasks in rows
                ]
            ),
        }

    @app.get("/api/tracks/{track_id}/history")
    def history(track_id: str) -> dict[str, Any]:
        mover = next(m for m in movers if m.track_id == track_id)
        ages = [s for s in range(7_200, 0, -60) if not 3_000 < s < 4_800]
        points = [(s, mover.at(-float(s))) for s in ages]
        return {
            "observed_at_ms": [START_MS - s * 1_000 for s, _ in points],
            "lon": [p.lon for _, p in points],
            "lat": [p.lat for _, p in points],
            "cut": False,
        }

    @app.websocket("/ws/tracks")
    async def tracks(socket: WebSocket) -> None:
        await socket.accept()
        if close_code is not None:
            await socket.close(close_code)
            return
        screen = Screen(movers, began)
        heard = asyncio.create_task(_hear(socket, screen))
        try:
            for what in ("alerts", "areas", "facilities", "incidents", "notes"):
                await socket.send_text(json.dumps({"type": what, "revision": 1}))
            for first in also_send:
                await (socket.send_text(first) if isinstance(first, str) else socket.send_bytes(first))
            while not heard.done():
                for frame in screen.frames():
                    await (socket.send_text(frame) if isinstance(frame, str) else socket.send_bytes(frame))
                await asyncio.sleep(0.5)
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            heard.cancel()

    return app


async def _hear(socket: WebSocket, screen: Screen) -> None:
    while True:
        try:
            screen.hear(await socket.receive_json())
        except (WebSocketDisconnect, RuntimeError):
            return


def _collection(features: list[dict[str, Any]]) -> dict[str, Any]:
    return {"type": "FeatureCollection", "features": features}


def _polygon(kind: str, name_ja: str, name_en: str, ring: list[tuple[float, float]]) -> dict[str, Any]:
    properties = {"slug": name_en.lower().replace(" ", "-"), "kind": kind, "name_ja": name_ja, "name_en": name_en}
    return {
        "type": "Feature",
        "properties": properties,
        "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
    }


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(synthetic_console(fleet()), host="127.0.0.1", port=8_999, log_level="warning")
