"""Grid references of the Military Grid Reference System, read (NGA.STND.0037, The Universal Grids, 2014, part 3).

`52S EC 31234 84512` is the metre with this south-west corner, `52SEC3184` the kilometre. Beyond 80°S and 84°N, where
the system goes by another projection, nothing is read.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from pyproj import Transformer

from command.domain.geo import Position

_BANDS: Final = "CDEFGHJKLMNPQRSTUVWX"
_ROWS: Final = "ABCDEFGHJKLMNPQRSTUV"
_COLUMNS: Final = ("ABCDEFGH", "JKLMNPQR", "STUVWXYZ")
"""By zone, in threes: the letters of eight columns of 100 km."""
_EVEN_ZONES_BEGIN_AT: Final = _ROWS.index("F")
_ROWS_REPEAT_M: Final = 2_000_000
_SQUARE_M: Final = 100_000
_WEST_MOST_M: Final = 100_000
_REFERENCE: Final = re.compile(rf"([1-9]|[0-5][0-9]|60)([{_BANDS}])([A-HJ-NP-Z])([{_ROWS}])((?:[0-9]{{2}}){{1,5}})")
_BAND_DEG: Final = 8.0
_SLACK_DEG: Final = 1.0
"""A square of 100 km reaches as far beyond the band or zone that it is named by."""
_HALF_ZONE_DEG: Final = 3.0
_WIDE_ZONES_DEG: Final = 6.0
"""Of the wide zones at Norway and Svalbard, the most that a place may be from its zone's meridian."""


def looks_like_mgrs(written: str) -> bool:
    """Whether this is meant as a grid reference: half-width capitals, blanks anywhere."""
    return _REFERENCE.fullmatch("".join(written.split())) is not None


def read_mgrs(written: str) -> Position | None:
    """The middle of the square that a reference names; None where there is no such square."""
    found = _REFERENCE.fullmatch("".join(written.split()))
    if found is None:
        return None
    zone, band, column, row, digits = int(found[1]), found[2], found[3], found[4], found[5]
    columns = _COLUMNS[(zone - 1) % 3]
    if not 1 <= zone <= 60 or column not in columns:
        return None
    half = len(digits) // 2
    unit_m = 10 ** (5 - half)
    easting_m = _WEST_MOST_M + columns.index(column) * _SQUARE_M + (int(digits[:half]) + 0.5) * unit_m
    rows = (_ROWS.index(row) - (0 if zone % 2 else _EVEN_ZONES_BEGIN_AT)) % len(_ROWS)
    northing_m = rows * _SQUARE_M + (int(digits[half:]) + 0.5) * unit_m
    south_deg = -80.0 + _BAND_DEG * _BANDS.index(band)
    north_deg = 84.0 if band == "X" else south_deg + _BAND_DEG
    to_degrees = _utm(zone, band < "N")
    meridian_deg = 6.0 * zone - 183.0
    for _ in range(5):  # the letters of the rows repeat every 2,000 km, five times to the pole
        lon, lat = to_degrees.transform(easting_m, northing_m)
        wide = _WIDE_ZONES_DEG if band in "VX" else _HALF_ZONE_DEG
        if south_deg - _SLACK_DEG <= lat <= north_deg + _SLACK_DEG and abs(lon - meridian_deg) <= wide + _SLACK_DEG:
            return Position(lon=lon, lat=lat)
        northing_m += _ROWS_REPEAT_M
    return None


@cache
def _utm(zone: int, south: bool) -> Transformer:
    return Transformer.from_crs((32_700 if south else 32_600) + zone, 4_326, always_xy=True)
