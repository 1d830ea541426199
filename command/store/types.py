"""How our values lie in columns: microseconds as timestamptz, 16-byte ids as uuid, positions as PostGIS points."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from geoalchemy2 import Geometry, WKTElement
from sqlalchemy import ColumnElement, DateTime, Dialect, Text, Uuid, func
from sqlalchemy.types import TypeDecorator

from command.domain.clock import from_us, to_us
from command.domain.geo import Position
from command.store.jsonb import clean_text

WGS84_SRID = 4326


class Microseconds(TypeDecorator[int]):
    """int microseconds since 1970 UTC <-> timestamptz."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_us(value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_us(value)


class Id16(TypeDecorator[bytes]):
    """16 bytes (an observation_id) <-> uuid."""

    impl = Uuid
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> uuid.UUID | None:
        return None if value is None else uuid.UUID(bytes=value)

    def process_result_value(self, value: uuid.UUID | None, dialect: Dialect) -> bytes | None:
        return None if value is None else value.bytes


class SafeText(TypeDecorator[str]):
    """text; what PostgreSQL cannot hold (NUL, lone surrogates) becomes U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else clean_text(value)


def point_column_type() -> Geometry:
    """A point on WGS 84. Its index, where there is one, is made by the migration."""
    return Geometry("POINT", srid=WGS84_SRID, spatial_index=False)


def point(position: Position | None) -> WKTElement | None:
    """A position as a bound value. repr keeps every bit of a float; a NumPy scalar becomes one first."""
    if position is None:
        return None
    return WKTElement(f"POINT({float(position.lon)!r} {float(position.lat)!r})", srid=WGS84_SRID)


def lon_lat(column: ColumnElement[Any]) -> tuple[ColumnElement[float | None], ColumnElement[float | None]]:
    """The two coordinates of a point column, labelled `lon` and `lat`."""
    return func.ST_X(column).label("lon"), func.ST_Y(column).label("lat")


def position_of(lon: float | None, lat: float | None) -> Position | None:
    return None if lon is None or lat is None else Position(lon=lon, lat=lat)
