"""Positions as officers write and paste them, read without guessing, and as the program writes them.

`34°12′05″N 129°17′22″E`, `34 12.1N 129 17.4E`, `N34-12-05 E129-17-22`, `北緯34度12分5秒 東経129度17分22秒`,
`34.2014, 129.2895`, `52S EC 31234 84512` (MGRS). Without letters the latitude comes first, as on a chart; with letters
the order is free.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

from command.domain.geo import Position
from command.i18n import text
from maps.mgrs import looks_like_mgrs, read_mgrs

MAX_TEXT: Final = 120

_SIGNS: Final = str.maketrans(
    {
        "北": "N", "南": "S", "東": "E", "西": "W", "緯": " ", "経": " ",
        "度": "°", "º": "°", "˚": "°", "゜": "°", "゚": "°",
        "分": "′", "'": "′", "’": "′", "‘": "′", "ʹ": "′", "`": "′", "´": "′",
        "秒": "″", '"': "″", "”": "″", "“": "″", "ʺ": "″", "〃": "″",
        "、": ",", "−": "-", "–": "-", "—": "-", "‐": "-", "・": " ", ";": ",", "\t": " ",
    }
)  # fmt: skip
_LETTER: Final = re.compile(r"[NSEW]")
_NUMBER: Final = re.compile(r"(?<![0-9.])[0-9]+(?:\.[0-9]*)?")
_ANGLE: Final = re.compile(
    r"(?P<sign>[+-]?) ?(?P<d>[0-9]{1,3}(?:\.[0-9]{0,12})?)"
    r"(?:(?:[°: -]|° )(?P<m>[0-9]{1,2}(?:\.[0-9]{0,12})?)"
    r"(?:(?:[′: -]|′ )(?P<s>[0-9]{1,2}(?:\.[0-9]{0,12})?))?)? ?(?P<end>[°′″]?)"
)


class BadPosition(ValueError):
    """A text that is no position on the map. `explain(language)` is the sentence for people."""

    def __init__(self, reason: str, **params: Any) -> None:
        self.reason = reason
        self.params = params
        super().__init__(self.explain("en"))

    def explain(self, language: str) -> str:
        return text(language, f"area.row.{self.reason}", **self.params)


def read_position(written: str, *, max_latitude_deg: float = 90.0) -> Position:
    """The position that a person wrote. Raises BadPosition, which says what to write instead."""
    if len(written) > MAX_TEXT:
        raise BadPosition("not_understood")
    plain = " ".join(_plain(written).split())
    if not plain:
        raise BadPosition("empty")
    if looks_like_mgrs(plain):
        place = read_mgrs(plain)
        if place is None:
            raise BadPosition("no_square")
        if abs(place.lat) > max_latitude_deg:
            raise BadPosition("latitude_off", latitude=_short(place.lat), most=_short(max_latitude_deg))
        return place
    (lat_text, lat_letter), (lon_text, lon_letter) = _halves(plain)
    lat, lon = _degrees(lat_text, lat_letter), _degrees(lon_text, lon_letter)
    if abs(lat) > max_latitude_deg:
        if not lat_letter and abs(lat) <= 180.0 and abs(lon) <= max_latitude_deg:
            raise BadPosition("swapped", latitude=_short(lat))
        raise BadPosition("latitude_off", latitude=_short(lat), most=_short(max_latitude_deg))
    if abs(lon) > 180.0:
        raise BadPosition("longitude_off", longitude=_short(lon))
    return Position(lon=lon, lat=lat)


def dms(position: Position) -> str:
    """`34°12′05.3″N 129°17′22.1″E`: degrees, minutes, seconds to a tenth (about 3 m)."""
    return f"{_dms(position.lat, 'NS', 2)} {_dms(position.lon, 'EW', 3)}"


def _dms(degrees: float, letters: str, width: int) -> str:
    tenths = round(abs(degrees) * 36_000)
    whole, rest = divmod(tenths, 36_000)
    minutes, seconds = divmod(rest, 600)
    return f"{whole:0{width}d}°{minutes:02d}′{seconds / 10:04.1f}″{letters[degrees < 0]}"


def _plain(written: str) -> str:
    """Half-width, one sign for each of degrees, minutes and seconds. The signs go first: NFKC takes ″ apart."""
    signs = unicodedata.normalize("NFKC", written.translate(_SIGNS).replace("″", "\x02")).replace("\x02", "″")
    return signs.upper().translate(_SIGNS).replace("′′", "″")


def _halves(plain: str) -> tuple[tuple[str, str], tuple[str, str]]:
    """Latitude and longitude, each with its letter or none."""
    letters = list(_LETTER.finditer(plain))
    if not letters:
        first, second = _split_plain(plain)
        return (first, ""), (second, "")
    if len(letters) != 2:
        raise BadPosition("not_understood")
    one, two = letters
    if one.start() == 0:
        parts = (plain[1 : two.start()], plain[two.end() :])
    elif two.end() == len(plain):
        parts = (plain[: one.start()], plain[one.end() : two.start()])
    else:
        raise BadPosition("not_understood")
    halves = {found.group(): part for found, part in zip(letters, parts, strict=True)}
    north, east = next((x for x in "NS" if x in halves), ""), next((x for x in "EW" if x in halves), "")
    if not north or not east:
        raise BadPosition("one_of_each")
    return (halves[north], north), (halves[east], east)


def _split_plain(plain: str) -> tuple[str, str]:
    if "," in plain:
        parts = plain.split(",")
        if len(parts) != 2:
            raise BadPosition("not_understood")
        return parts[0], parts[1]
    numbers = list(_NUMBER.finditer(plain))
    if not numbers or len(numbers) % 2 or len(numbers) > 6:
        raise BadPosition("not_understood")
    start = numbers[len(numbers) // 2].start()
    if plain[start - 1] in "+-" and plain[start - 2] in " °′″":
        start -= 1
    return plain[:start], plain[start:]


def _degrees(part: str, letter: str) -> float:
    found = _ANGLE.fullmatch(part.strip(" ,"))
    if found is None or (letter and found["sign"]):
        raise BadPosition("not_understood")
    degrees, minutes, seconds = found["d"], found["m"], found["s"]
    if found["end"] not in ("", "″" if seconds else "′" if minutes else "°"):
        raise BadPosition("not_understood")
    if (minutes and "." in degrees) or (seconds and "." in minutes):
        raise BadPosition("fraction")
    m, s = float(minutes or 0.0), float(seconds or 0.0)
    if m >= 60.0 or s >= 60.0:
        raise BadPosition("sixty")
    size = float(degrees) + m / 60.0 + s / 3600.0
    return -size if letter in ("S", "W") or found["sign"] == "-" else size


def _short(degrees: float) -> str:
    return f"{degrees:.6f}".rstrip("0").rstrip(".")
