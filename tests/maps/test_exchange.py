"""Files of other systems: what is written comes back, and what is hostile or broken is refused with a reason."""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from pathlib import Path

import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely import MultiPolygon, Polygon, box
from shapely.geometry import mapping, shape

from maps.area_table import read_table, rings_of_geojson
from maps.exchange import MAX_BYTES, BadFile, Feature, Format, read_features, write_features

names = st.text(
    alphabet=st.characters(blacklist_categories=("Cs", "Cc", "Cn", "Co", "Zl", "Zp")), min_size=1, max_size=30
).map(str.strip)
corners = st.tuples(st.floats(-170, 160), st.floats(-80, 70), st.floats(0.01, 9), st.floats(0.01, 9))


@st.composite
def shapes(draw: st.DrawFn) -> Polygon | MultiPolygon:
    west, south, width, height = draw(corners)
    whole = box(west, south, west + width, south + height)
    if draw(st.booleans()):
        hole = box(west + width / 4, south + height / 4, west + width / 2, south + height / 2)
        whole = Polygon(whole.exterior, [hole.exterior])
    return (
        MultiPolygon([whole, box(west + width + 0.5, south, west + width + 1, south + 1)])
        if draw(st.booleans())
        else whole
    )


@pytest.mark.parametrize("form", list(Format))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(given_shapes=st.lists(shapes(), min_size=1, max_size=4), name=names)
def test_what_is_written_comes_back_the_same(
    form: Format, given_shapes: list[Polygon | MultiPolygon], name: str
) -> None:
    written = [
        Feature(
            number=i, properties={"slug": f"a-{i}", "name_ja": name or "区域", "kind": "geofence"}, geometry=mapping(s)
        )
        for i, s in enumerate(given_shapes, start=1)
    ]

    read = read_features(write_features(written, form, layer="areas"), form)

    assert len(read) == len(written)
    for before, after in zip(written, read, strict=True):
        assert {k: after.properties[k] for k in before.properties} == before.properties
        geometry = read_table(rings_of_geojson(after.geometry or {})).geometry
        assert geometry is not None
        expected = shape(before.geometry)
        assert geometry.geometry.symmetric_difference(expected).area == pytest.approx(0, abs=1e-9)


def test_points_and_what_has_no_place_are_written_too() -> None:
    things = [
        Feature(number=1, properties={"name_ja": "厳原港"}, geometry={"type": "Point", "coordinates": (129.29, 34.2)}),
        Feature(number=2, properties={"name_ja": "不明"}, geometry=None),
    ]
    for form in Format:
        first, second = read_features(write_features(things, form, layer="alerts"), form)
        assert shape(first.geometry).equals(shapely.Point(129.29, 34.2))
        assert (second.properties["name_ja"], second.geometry) == ("不明", None)


def test_a_spreadsheet_takes_no_name_for_a_formula_and_the_name_comes_back() -> None:
    evil = Feature(number=1, properties={"name_ja": '=cmd|"/c calc"!A1'}, geometry=mapping(box(0, 0, 1, 1)))
    written = write_features([evil], Format.CSV, layer="areas")
    assert "'=cmd" in written.decode("utf-8-sig")
    assert read_features(written, Format.CSV)[0].properties["name_ja"] == '=cmd|"/c calc"!A1'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp932"])
def test_a_table_of_vertices_is_a_polygon_for_each_name(encoding: str) -> None:
    table = (
        "name_ja,position\r\n"
        "厳原湾,34 12.0N 129 18.0E\r\n厳原湾,34 12.0N 129 24.0E\r\n厳原湾,34 18.0N 129 24.0E\r\n"
        "豊玉,34.4 129.4\r\n豊玉,34.4 129.5\r\n豊玉,34.5 129.5\r\n"
    )
    first, second = read_features(table.encode(encoding), Format.CSV)
    assert (first.properties["name_ja"], first.number, second.number) == ("厳原湾", 2, 5)
    geometry = read_table(rings_of_geojson(first.geometry or {})).geometry
    assert geometry is not None
    assert geometry.geometry.bounds == pytest.approx((129.3, 34.2, 129.4, 34.3))


def test_another_coordinate_system_is_brought_to_longitude_and_latitude(tmp_path: Path) -> None:
    import geopandas

    frame = geopandas.GeoDataFrame({"name_ja": ["厳原"]}, geometry=[box(129.3, 34.2, 129.4, 34.3)], crs="EPSG:4326")
    frame.to_crs("EPSG:6669").to_file(tmp_path / "plane.gpkg", driver="GPKG")
    (feature,) = read_features((tmp_path / "plane.gpkg").read_bytes(), Format.GPKG)
    assert shape(feature.geometry).bounds == pytest.approx((129.3, 34.2, 129.4, 34.3), abs=1e-6)


def test_kml_as_a_viewer_saves_it_is_read() -> None:
    kml = """<?xml version="1.0" encoding="UTF-8"?>
    <kml xmlns="http://www.opengis.net/kml/2.2"><Document><Folder><name>f</name><Placemark><name>厳原湾</name>
    <Polygon><outerBoundaryIs><LinearRing><coordinates>129.3,34.2,0 129.4,34.2,0 129.4,34.3,0 129.3,34.2,0
    </coordinates></LinearRing></outerBoundaryIs></Polygon></Placemark></Folder></Document></kml>"""
    (feature,) = read_features(kml.encode(), Format.KML)
    assert feature.properties["name"] == "厳原湾"
    assert shape(feature.geometry).geom_type == "Polygon"


BOMB = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;&b;">]><kml><name>&c;</name></kml>'
VRT = "<OGRVRTDataSource><OGRVRTLayer><SrcDataSource>/etc/passwd</SrcDataSource></OGRVRTLayer></OGRVRTDataSource>"


def zipped(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("doc.kml", content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("form", "data", "reason"),
    [
        (Format.KML, BOMB.encode(), "entities"),
        (Format.KML, BOMB.encode("utf-16"), "encoding"),
        (Format.KML, zipped(b"0" * 1_000_000), "encoding"),
        (Format.KML, b"<kml>" + b"<Folder>" * 50_000, "not_kml"),
        (Format.KML, b"<kml>" + b"<Folder><![CDATA[</Folder>]]>" * 5_000, "not_kml"),
        (Format.KML, VRT.encode(), "not_kml"),
        (Format.GPKG, VRT.encode(), "not_gpkg"),
        (Format.GPKG, b"SQLite format 3\x00" + bytes(5_000), "not_gpkg"),
        (Format.GPKG, zipped(b"x"), "not_gpkg"),
        (Format.GEOJSON, b"[" * 100_000, "not_geojson"),
        (Format.GEOJSON, b'{"type": "Topology"}', "not_geojson"),
        (Format.GEOJSON, b'{"type": "FeatureCollection", "features": []}', "nothing"),
        (Format.GEOJSON, b" " * (MAX_BYTES + 1), "too_large"),
        (Format.CSV, b"name,shape\n1,2\n", "csv_columns"),
        (Format.CSV, b"name,wkt\na," + b"x" * 200_000 + b"\n", "not_csv"),
        (Format.CSV, b"name,wkt\n" + b"a,POINT (1 2)\n" * 1_001, "too_many"),
        (Format.CSV, b"\xff\xfe\xfa", "encoding"),
    ],
)
def test_a_hostile_or_broken_file_is_refused_with_what_to_do(form: Format, data: bytes, reason: str) -> None:
    with pytest.raises(BadFile) as refused:
        read_features(data, form)
    assert refused.value.reason == reason
    assert refused.value.explain("ja")


def test_too_many_points_in_all_are_refused() -> None:
    ring = [[i / 1_000, 10.0] for i in range(5_000)]
    features = [{"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [ring]}}] * 41
    with pytest.raises(BadFile, match="more than 200000 points"):
        read_features(json.dumps({"type": "FeatureCollection", "features": features}).encode(), Format.GEOJSON)


def test_a_database_that_is_no_geopackage_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "x.db") as database:
        database.execute("CREATE TABLE secrets (a)")
        database.execute("INSERT INTO secrets VALUES (1)")
    database.close()
    with pytest.raises(BadFile, match="not a GeoPackage"):
        read_features((tmp_path / "x.db").read_bytes(), Format.GPKG)


@settings(deadline=None)
@given(data=st.binary(max_size=300) | st.text(max_size=300).map(str.encode), form=st.sampled_from(Format))
def test_any_bytes_are_read_or_refused_in_words(data: bytes, form: Format) -> None:
    try:
        told: object = read_features(data, form)
    except BadFile as exc:
        told = exc.explain("ja")
    assert told


@pytest.mark.parametrize(("name", "form"), [("a.GPKG", Format.GPKG), ("b.json", Format.GEOJSON), ("c.kml", Format.KML)])
def test_the_format_comes_from_the_name(name: str, form: Format) -> None:
    assert Format.of_name(name) is form
    with pytest.raises(BadFile, match="Choose from gpkg, geojson, kml, csv"):
        Format.of_name(f"{name}.shp")
