"""The peer of `console`: the same fleet on the same map library the usual way, as JSON into a GeoJSON source.

    python peer_map.py PORT VESSELS NEAR MAPLIBRE_DIST

Each second every vessel's position is sent whole over a WebSocket, as Traccar's web does, made into GeoJSON by the page
and set into a MapLibre source with a circle layer. No store, no names, no styles of state.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress

import uvicorn
from fastapi import FastAPI, WebSocket
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from fleet import FIRST_MMSI, Fleet
from starlette.websockets import WebSocketDisconnect

PAGE = """<!DOCTYPE html><html><head><link rel="stylesheet" href="/maplibre/maplibre-gl.css">
<style>html,body,#map{margin:0;height:100%}</style></head><body><div id="map"></div><script type="module">
import * as maplibregl from "/maplibre/maplibre-gl.mjs";
maplibregl.setWorkerUrl("/maplibre/maplibre-gl-worker.mjs");
const at = new URLSearchParams(location.search);
const center = [at.get("lon"), at.get("lat")].map(Number);
const sea = { id: "sea", type: "background", paint: { "background-color": "#0d1b2a" } };
const style = { version: 8, sources: {}, layers: [sea] };
const map = new maplibregl.Map({ container: "map", style, center, zoom: Number(at.get("zoom")) });
map.on("load", () => {
  map.addSource("tracks", { type: "geojson", data: { type: "FeatureCollection", features: [] } });
  const paint = { "circle-radius": 4, "circle-color": "#5cc8ff" };
  map.addLayer({ id: "tracks", type: "circle", source: "tracks", paint });
  const socket = new WebSocket(`ws://${location.host}/ws`);
  socket.onmessage = ({ data }) => {
    const features = JSON.parse(data).positions.map((p) => ({ type: "Feature",
      geometry: { type: "Point", coordinates: [p.longitude, p.latitude] }, properties: p }));
    map.getSource("tracks").setData({ type: "FeatureCollection", features });
    window.updates = (window.updates ?? 0) + 1;
  };
});
</script></body></html>"""


def make_peer(fleet: Fleet, dist: str) -> FastAPI:
    """The page is asked for as /?lon=..&lat=..&zoom=..; whatever it shows, it is sent the whole fleet."""
    web = FastAPI()
    web.mount("/maplibre", StaticFiles(directory=dist))

    @web.get("/")
    def page() -> HTMLResponse:
        return HTMLResponse(PAGE)

    @web.websocket("/ws")
    async def positions(socket: WebSocket) -> None:
        await socket.accept()
        number = 0
        with suppress(WebSocketDisconnect, RuntimeError):
            while True:
                await socket.send_text(json.dumps({"positions": _positions(fleet, number)}))
                number += 1
                await asyncio.sleep(1.0)

    return web


def _positions(fleet: Fleet, number: int) -> list[dict[str, object]]:
    return [
        {
            "deviceId": FIRST_MMSI + vessel,
            "longitude": round(lon, 6),
            "latitude": round(lat, 6),
            "course": round(course, 1),
            "fixTime": number,
        }
        for vessel, (lon, lat, course) in enumerate(fleet.places(number).tolist())
    ]


if __name__ == "__main__":
    port, vessels, near, dist = sys.argv[1:]
    uvicorn.run(make_peer(Fleet(count=int(vessels), near=int(near)), dist), port=int(port), log_level="warning")
