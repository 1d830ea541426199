"""How a Track lies in rows: staged for COPY, upserted, and read back."""

from __future__ import annotations

from typing import Final, NamedTuple

from psycopg import sql
from psycopg.types.json import Jsonb
from sqlalchemy import RowMapping

from command.domain.clock import from_us
from command.domain.observation import SubjectKind
from command.domain.track import Track, TrackStatus
from command.store.jsonb import clean_text, json_text
from command.store.tables import TRACK
from command.store.types import WGS84_SRID, lon_lat, position_of

FLOATS: Final = (
    "speed_mps",
    "course_deg",
    "heading_deg",
    "altitude_amsl_m",
    "height_m",
    "depth_m",
    "position_error_m",
    "battery_percent",
    "link_percent",
)


class LatestTrack(NamedTuple):
    """A track and the tracker's state of it: bytes that the store keeps and does not read."""

    track: Track
    filter_state: bytes


_STAGED: Final = (
    ("track_id", "uuid"),
    ("subject", "text"),
    ("kind", "int2"),
    ("status", "int2"),
    ("source", "text"),
    ("observed_at", "timestamptz"),
    ("recorded_at", "timestamptz"),
    ("flags", "int8"),
    *((name, "float8") for name in FLOATS),
    ("attributes", "jsonb"),
    ("filter_state", "bytea"),
)
COPIED: Final = (*_STAGED, ("lon", "float8"), ("lat", "float8"))
_NAMES: Final = sql.SQL(", ").join(sql.Identifier(name) for name, _ in _STAGED)
PREPARE_LATEST: Final = (
    sql.SQL(
        "CREATE TEMP TABLE IF NOT EXISTS staging_track ({}) ON COMMIT DELETE ROWS; DELETE FROM pg_temp.staging_track"
    )
    .format(sql.SQL(", ").join(sql.SQL(f"{{}} {kind}").format(sql.Identifier(name)) for name, kind in COPIED))
    .as_bytes(None)
)
COPY_LATEST: Final = "COPY pg_temp.staging_track FROM STDIN (FORMAT BINARY)"
UPSERT_LATEST: Final = (
    sql.SQL(
        """
        INSERT INTO track AS known ({names}, position, changed_seq)
        SELECT {names}, ST_SetSRID(ST_MakePoint(lon, lat), {srid}), %s FROM pg_temp.staging_track
        ON CONFLICT (track_id) DO UPDATE SET
            ({names}, position, changed_seq) = ({excluded}, excluded.position, excluded.changed_seq)
        WHERE known.observed_at <= excluded.observed_at
        """
    )
    .format(
        names=_NAMES,
        srid=sql.Literal(WGS84_SRID),
        excluded=sql.SQL(", ").join(sql.Identifier("excluded", name) for name, _ in _STAGED),
    )
    .as_bytes(None)
)


def staged(entry: LatestTrack) -> tuple[object, ...]:
    track = entry.track
    position = track.position
    return (
        track.track_id,
        clean_text(track.subject),
        int(track.kind),
        int(track.status),
        clean_text(track.source),
        from_us(track.observed_at_us),
        from_us(track.recorded_at_us),
        int(track.flags),
        *[getattr(track, name) for name in FLOATS],
        Jsonb(dict(track.attributes), dumps=json_text),
        entry.filter_state,
        None if position is None else position.lon,
        None if position is None else position.lat,
    )


READ: Final = (
    *(column for column in TRACK.c if column.name not in ("position", "filter_state", "changed_seq")),
    *lon_lat(TRACK.c.position),
)


def track_of(columns: RowMapping) -> Track:
    """The Track of a row with the columns READ."""
    return Track(
        track_id=columns["track_id"],
        subject=columns["subject"],
        kind=SubjectKind(columns["kind"]),
        status=TrackStatus(columns["status"]),
        source=columns["source"],
        observed_at_us=columns["observed_at"],
        recorded_at_us=columns["recorded_at"],
        position=position_of(columns["lon"], columns["lat"]),
        flags=columns["flags"],
        attributes=columns["attributes"],
        **{name: columns[name] for name in FLOATS},
    )
