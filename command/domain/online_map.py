"""A raster map of another server, drawn over the offline one where the settings name it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, kw_only=True, slots=True)
class OnlineMap:
    """url: of a tile of the web Mercator pyramid, with {z}, {x} and {y}. attribution: as its owner wants it shown."""

    url: str
    attribution: str
    max_zoom: int = 18
    tile_pixels: int = 256

    @property
    def origin(self) -> str:
        """`https://tiles.example`: the one other server that browsers may then ask."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"
