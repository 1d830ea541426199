"""Files that other systems read and write: GeoPackage, GeoJSON, KML and CSV, in WGS 84, strangers' files with limits.

A file from outside is read from bytes under a name of our own making, by the format that was chosen, never by what a
library would guess: a file that points to other files or hosts is not followed.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyogrio
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError
from shapely.geometry import mapping, shape

from command.i18n import text

MAX_BYTES: Final = 10 * 1024 * 1024
MAX_FEATURES: Final = 1_000
MAX_FILE_VERTICES: Final = 200_000
MAX_LAYERS: Final = 50
MAX_VALUE: Final = 2_000
MAX_DEPTH: Final = 40
_SQLITE: Final = b"SQLite format 3\x00"
_GPKG_IDS: Final = (b"GPKG", b"GP10", b"GP11")
"""application_id of the file's header (OGC 12-128r18, requirement 2; the other two are of versions 1.0 and 1.1)."""
_XML_STARTS: Final = ("<?xml", "<kml")
_XML_REFUSED: Final = ("<!doctype", "<!entity")
_XML_PLAIN: Final = re.compile(r"<!\[cdata\[.*?\]\]>|<!--.*?-->|<\?.*?\?>", re.DOTALL)
_XML_TAG: Final = re.compile(r"<(?P<close>/?)[a-z_][^<>]*?(?P<empty>/?)>")
_FORMULA: Final = ("=", "+", "-", "@")
_WGS84: Final = CRS.from_epsg(4326)


class Format(StrEnum):
    """A file's format; the value is the end of its name."""

    GPKG = "gpkg"
    GEOJSON = "geojson"
    KML = "kml"
    CSV = "csv"

    @classmethod
    def of_name(cls, name: str) -> Format:
        """The format by the end of a file's name. Raises BadFile."""
        suffix = Path(name).suffix.lower().removeprefix(".")
        try:
            return cls("geojson" if suffix == "json" else suffix)
        except ValueError as exc:
            raise BadFile("format", found=suffix[:20] or "–", known=", ".join(cls)) from exc


MEDIA_TYPES: Final[Mapping[Format, str]] = {
    Format.GPKG: "application/geopackage+sqlite3",
    Format.GEOJSON: "application/geo+json",
    Format.KML: "application/vnd.google-earth.kml+xml",
    Format.CSV: "text/csv; charset=utf-8",
}
_DRIVERS: Final = {Format.GPKG: "GPKG", Format.KML: "LIBKML"}


class BadFile(ValueError):
    """A file that is not read at all. `explain(language)` is the sentence for people."""

    def __init__(self, reason: str, **params: Any) -> None:
        self.reason = reason
        self.params = params
        super().__init__(self.explain("en"))

    def explain(self, language: str) -> str:
        return text(language, f"exchange.{self.reason}", **self.params)


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One thing of a file. number: which one, from 1; of a CSV file the line where it begins."""

    number: int
    properties: Mapping[str, str]
    """By lower-case name; what is not there is left out."""
    geometry: Mapping[str, Any] | None
    """A GeoJSON geometry, unchecked; a point of a CSV file without `wkt` is a text as people write it."""
    lines: Sequence[int] = ()
    """The file's line of each point, where each has one."""


def read_features(data: bytes, form: Format, *, a_point_a_line: bool = False) -> list[Feature]:
    """Everything in a file. a_point_a_line: what a CSV file without `wkt` has are points, not corners of polygons.

    Raises BadFile for a file that is too large, too much or not what it says it is.
    """
    if len(data) > MAX_BYTES:
        raise BadFile("too_large", mib=MAX_BYTES // 1024**2)
    readers: dict[Format, Callable[[bytes], Iterator[Feature]]] = {
        Format.GEOJSON: _from_geojson,
        Format.CSV: partial(_from_csv, a_point_a_line=a_point_a_line),
        Format.GPKG: _from_gpkg,
        Format.KML: _from_kml,
    }
    features: list[Feature] = []
    vertices = 0
    for feature in readers[form](data):
        features.append(feature)
        vertices += _count_points(feature.geometry)
        if len(features) > MAX_FEATURES:
            raise BadFile("too_many", most=MAX_FEATURES)
        if vertices > MAX_FILE_VERTICES:
            raise BadFile("too_detailed", most=MAX_FILE_VERTICES)
    if not features:
        raise BadFile("nothing")
    return features


def write_features(features: Sequence[Feature], form: Format, *, layer: str) -> bytes:
    """The same as a file. All features have the same properties; a geometry of None is left empty."""
    if form is Format.GEOJSON:
        return _geojson(features)
    if form is Format.CSV:
        return _csv(features)
    names = list(features[0].properties) if features else []
    columns = [np.array([feature.properties[name] for feature in features], dtype=object) for name in names]
    shapes = [None if feature.geometry is None else shape(feature.geometry) for feature in features]
    if form is Format.KML and "name_ja" in names:
        # What a KML viewer shows beside the shape.
        names, columns = [*names, "Name"], [*columns, columns[names.index("name_ja")]]
    with tempfile.TemporaryDirectory(prefix="mizugiwa-") as folder:
        path = Path(folder) / f"{layer}.{form.value}"
        pyogrio.raw.write(
            path,
            np.array([None if each is None else shapely.to_wkb(each) for each in shapes], dtype=object),
            columns,
            names,
            layer=layer,
            driver=_DRIVERS[form],
            geometry_type="Unknown",
            crs="EPSG:4326",
            encoding="UTF-8",
        )
        return path.read_bytes()


# GeoJSON


def _from_geojson(data: bytes) -> Iterator[Feature]:
    try:
        value = json.loads(_utf8(data))
    except (ValueError, RecursionError) as exc:
        raise BadFile("not_geojson", detail=str(exc)[:100]) from exc
    kind = value.get("type") if isinstance(value, dict) else None
    listed = value.get("features") if kind == "FeatureCollection" else [value] if kind == "Feature" else None
    if not isinstance(listed, list):
        raise BadFile("not_geojson", detail="FeatureCollection?")
    for number, each in enumerate(listed, start=1):
        sound = isinstance(each, dict) and each.get("type") == "Feature"
        geometry = each.get("geometry") if sound else None
        said = each.get("properties") if sound else None
        yield Feature(
            number=number,
            properties=_texts(said if isinstance(said, dict) else {}),
            geometry=geometry if isinstance(geometry, dict) and _depth(geometry.get("coordinates")) else None,
        )


def _geojson(features: Sequence[Feature]) -> bytes:
    listed = [{"type": "Feature", "geometry": f.geometry, "properties": dict(f.properties)} for f in features]
    return json.dumps({"type": "FeatureCollection", "features": listed}, ensure_ascii=False, indent=1).encode()


def _depth(value: Any) -> bool:
    """Whether lists lie in each other no deeper than any geometry's do."""
    depth = 0
    level = [value]
    while any(isinstance(item, list) for item in level):
        depth += 1
        if depth > MAX_DEPTH:
            return False
        level = [inner for item in level if isinstance(item, list) for inner in item]
    return True


# CSV: a column `wkt`, or a line a point or a vertex with `position` or `lat` and `lon`


def _from_csv(data: bytes, *, a_point_a_line: bool) -> Iterator[Feature]:
    reader = csv.DictReader(io.StringIO(spreadsheet_text(data), newline=""))
    try:
        columns = [str(name or "").strip().lower() for name in reader.fieldnames or ()]
        reader.fieldnames = columns
        if "wkt" in columns:
            for line in reader:
                said = _texts(line)
                written = said.pop("wkt", "")
                yield Feature(number=reader.line_num, properties=said, geometry=_from_wkt(written))
        elif "position" in columns or {"lat", "lon"} <= set(columns):
            yield from _from_points(reader) if a_point_a_line else _from_vertices(reader)
        else:
            raise BadFile("csv_columns")
    except csv.Error as exc:
        raise BadFile("not_csv", line=reader.line_num, detail=str(exc)[:100]) from exc


def _from_points(reader: csv.DictReader[str]) -> Iterator[Feature]:
    for line in reader:
        said = _texts(line)
        written = _position(said)
        geometry = {"type": "Point", "coordinates": written} if written else None
        yield Feature(number=reader.line_num, properties=said, geometry=geometry)


def _position(said: dict[str, str]) -> str:
    """Takes the position out of a line: a text as people write it, empty where there is none."""
    lat, lon = said.pop("lat", ""), said.pop("lon", "")
    return said.pop("position", "") or (f"{lat}, {lon}" if lat or lon else "")


def _from_vertices(reader: csv.DictReader[str]) -> Iterator[Feature]:
    """Lines that follow each other with the same slug, or else the same names, are one polygon."""
    key: tuple[str, ...] | None = None
    properties: dict[str, str] = {}
    points: list[str] = []
    lines: list[int] = []
    for line in reader:
        said = _texts(line)
        written = _position(said)
        this = (said.get("slug", ""), said.get("name_ja", ""), said.get("name_en", ""))
        if this != key:
            if points:
                yield _polygon(properties, points, lines)
            key, properties, points, lines = this, said, [], []
        points.append(written)
        lines.append(reader.line_num)
    if points:
        yield _polygon(properties, points, lines)


def _polygon(properties: dict[str, str], points: list[str], lines: list[int]) -> Feature:
    geometry = {"type": "Polygon", "coordinates": [points]}
    return Feature(number=lines[0], properties=properties, geometry=geometry, lines=lines)


def _from_wkt(written: str) -> Mapping[str, Any] | None:
    try:
        read = shapely.from_wkt(written)
    except (shapely.errors.ShapelyError, ValueError):
        return None
    return None if read is None else mapping(read)


def _csv(features: Sequence[Feature]) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([*(features[0].properties if features else ()), "wkt"])
    for feature in features:
        wkt = "" if feature.geometry is None else shapely.to_wkt(shape(feature.geometry), rounding_precision=-1)
        writer.writerow([*(_harmless(value) for value in feature.properties.values()), wkt])
    # The mark at the beginning is how a spreadsheet knows that the Japanese is UTF-8.
    return out.getvalue().encode("utf-8-sig")


def _harmless(value: str) -> str:
    """A text that a spreadsheet would take for a formula is quoted as spreadsheets do; _texts takes it off again."""
    return f"'{value}" if value.startswith(_FORMULA) else value


def spreadsheet_text(data: bytes) -> str:
    """UTF-8, or what Japanese spreadsheets save by themselves."""
    for encoding in ("utf-8-sig", "cp932"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise BadFile("encoding")


# GeoPackage and KML


def _from_gpkg(data: bytes) -> Iterator[Feature]:
    if not data.startswith(_SQLITE) or data[68:72] not in _GPKG_IDS:
        raise BadFile("not_gpkg")
    return _from_layers(data, Format.GPKG)


def _from_kml(data: bytes) -> Iterator[Feature]:
    written = _utf8(data).lstrip("\ufeff \t\r\n").lower()
    if not written.startswith(_XML_STARTS) or "<kml" not in written:
        raise BadFile("not_kml")
    if any(word in written for word in _XML_REFUSED):
        raise BadFile("entities")
    if _nested(written) > MAX_DEPTH:
        raise BadFile("not_kml")
    return _from_layers(data, Format.KML)


def _nested(xml: str) -> int:
    """How deep elements lie in each other: a reader that recurses must not be led into the depth."""
    depth = deepest = 0
    for tag in _XML_TAG.finditer(_XML_PLAIN.sub("", xml)):
        if tag["close"]:
            depth -= 1
        elif not tag["empty"]:
            depth += 1
            deepest = max(deepest, depth)
    return deepest


def _from_layers(data: bytes, form: Format) -> Iterator[Feature]:
    number = 0
    with tempfile.TemporaryDirectory(prefix="mizugiwa-") as folder:
        path = Path(folder) / f"upload.{form.value}"
        path.write_bytes(data)
        try:
            layers = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
            if len(layers) > MAX_LAYERS:
                raise BadFile("too_many", most=MAX_LAYERS)
            for layer in layers:
                if pyogrio.read_info(path, layer=layer)["driver"] != _DRIVERS[form]:
                    raise BadFile(f"not_{form.value}")
                meta, _, shapes, values = pyogrio.raw.read(path, layer=layer, max_features=MAX_FEATURES + 1)
                to_wgs84 = _to_wgs84(meta["crs"])
                for i, wkb in enumerate(shapes):
                    number += 1
                    said = {str(name): column[i] for name, column in zip(meta["fields"], values, strict=True)}
                    yield Feature(number=number, properties=_texts(said), geometry=_from_wkb(wkb, to_wgs84))
        except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyogrio.errors.FeatureError) as exc:
            raise BadFile(f"not_{form.value}") from exc


def _to_wgs84(crs: str | None) -> Transformer | None:
    """From a file's system to longitude and latitude; None where it is that already."""
    if crs is None:
        raise BadFile("no_crs")
    try:
        found = CRS.from_user_input(crs)
    except CRSError as exc:
        raise BadFile("no_crs") from exc
    return None if found.equals(_WGS84, ignore_axis_order=True) else Transformer.from_crs(found, _WGS84, always_xy=True)


def _from_wkb(wkb: bytes | None, to_wgs84: Transformer | None) -> Mapping[str, Any] | None:
    if wkb is None:
        return None
    try:
        read = shapely.force_2d(shapely.from_wkb(wkb))
    except (shapely.errors.ShapelyError, ValueError):
        return None
    if to_wgs84 is not None:
        read = shapely.transform(read, to_wgs84.transform, interleaved=False)
    found: Mapping[str, Any] = mapping(read)
    return found


# what all have in common


def _utf8(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise BadFile("encoding") from exc


def _texts(said: Mapping[Any, Any]) -> dict[str, str]:
    """Values as texts without the space around them, cut at MAX_VALUE."""
    kept: dict[str, str] = {}
    for name, value in said.items():
        if name is None or value is None or isinstance(value, (dict, list)):
            continue
        if isinstance(value, float) and math.isnan(value):
            continue
        written = str(value)[:MAX_VALUE].strip()
        if written.startswith("'") and written[1:2] in _FORMULA:
            written = written[1:]
        if written:
            kept[str(name).strip().lower()] = written
    return kept


def _count_points(geometry: Mapping[str, Any] | None) -> int:
    """How many lists or texts stand at the bottom of a geometry's coordinates, roughly its points."""
    count = 0
    level = [geometry.get("coordinates")] if geometry is not None else []
    while level:
        inner = [item for items in level if isinstance(items, (list, tuple)) for item in items]
        count = max(count, sum(isinstance(item, (list, tuple, str)) for item in inner))
        level = [item for item in inner if isinstance(item, (list, tuple))]
    return count
