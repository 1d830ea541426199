"""Observations: one source's timestamped reports, columnar from the gateway to COPY."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt


class IdentityScheme(IntEnum):
    """What the number in `subject_key` is."""

    NONE = 0
    MMSI = 1
    MAVLINK = 2
    CONTACT = 3
    """Seen by a sensor and not identified; the key is the sensor's own number for it (ids.stable_key)."""
    LABEL = 4
    """Named by a declared column of a file (ids.stable_key of the label)."""


SCHEME_PREFIX: Final[Mapping[IdentityScheme, str]] = {
    IdentityScheme.NONE: "none",
    IdentityScheme.MMSI: "mmsi",
    IdentityScheme.MAVLINK: "mavlink",
    IdentityScheme.CONTACT: "contact",
    IdentityScheme.LABEL: "label",
}


def subject_of(scheme: int, key: int) -> str:
    """The subject's name in text: `mmsi:431002123`, `mavlink:5d1f...` (hex), used in alerts and as a track's key."""
    kind = IdentityScheme(scheme)
    return f"mmsi:{key:09d}" if kind is IdentityScheme.MMSI else f"{SCHEME_PREFIX[kind]}:{int(key):x}"


class SubjectKind(IntEnum):
    """What sort of thing is reported; UNKNOWN is a value, not a gap."""

    UNKNOWN = 0
    VESSEL = 1
    AIRCRAFT = 2
    AIR_DRONE = 3
    UNDERWATER_DRONE = 4
    AID_TO_NAVIGATION = 5
    BASE_STATION = 6
    DISTRESS_BEACON = 7
    SURFACE_DRONE = 8
    GROUND_STATION = 9


class ObservationKind(IntEnum):
    POSITION = 1
    STATIC = 2
    """Identity and particulars only; lon and lat are NaN."""
    TELEMETRY = 3
    """State of an asset (battery, link, mode); lon and lat may be NaN."""


class ObservationFlag(IntFlag):
    NONE = 0
    NO_FIX = 1
    """The sensor said that it has no position. lon and lat are NaN, never 0."""
    IMPOSSIBLE_JUMP = 2
    """Faster than its kind can move since the last believed position; stored, not fused."""
    OWN_SHIP = 4
    """AIS VDO: our own vessel, never alarmed on."""
    DISTRESS = 8
    """AIS-SART, MOB, EPIRB (970/972/974), navigational status 14, or a distress text."""
    DISTRESS_TEST = 16
    """A beacon under test (AIS-SART TEST)."""
    CLOCK_OFF = 32
    """The source's clock was too far from the realm's; quarantined: stored, not fused."""
    ASSET = 64
    """Reported by our own vehicle about itself."""
    TIME_RECEIVED = 128
    """The message has no time of its own; observed_at is the time of reception."""


OBSERVATION_DTYPE: Final = np.dtype(
    [
        ("observation_id", "V16"),
        ("observed_at_us", "<i8"),
        ("received_at_us", "<i8"),
        ("subject_scheme", "u1"),
        ("subject_kind", "u1"),
        ("kind", "u1"),
        ("flags", "<u4"),
        ("subject_key", "<i8"),
        ("lon", "<f8"),
        ("lat", "<f8"),
        ("position_error_m", "<f4"),
        ("altitude_amsl_m", "<f4"),
        ("height_m", "<f4"),
        ("depth_m", "<f4"),
        ("speed_mps", "<f4"),
        ("course_deg", "<f4"),
        ("heading_deg", "<f4"),
        ("battery_percent", "<f4"),
        ("link_percent", "<f4"),
    ]
)
"""One row an observation. Every float is NaN where the source gave nothing. `height_m` is above the take-off
point; `depth_m` is positive down; `course_deg` and `heading_deg` are clockwise from true north, 0 <= x < 360."""

FLOAT_FIELDS: Final = tuple(name for name in OBSERVATION_DTYPE.names or () if OBSERVATION_DTYPE[name].kind == "f")

_MAGIC: Final = b"MZOB"
_WIRE_VERSION: Final = 1
_WIRE_HEAD: Final = struct.Struct("<4sHHI")
MAX_BATCH_BYTES: Final = 8 * 1024 * 1024


class BadBatch(ValueError):
    """Bytes that are not an ObservationBatch of this version."""


def empty_rows(count: int) -> npt.NDArray[np.void]:
    """`count` rows of OBSERVATION_DTYPE with every float NaN and everything else zero."""
    rows = np.zeros(count, dtype=OBSERVATION_DTYPE)
    for name in FLOAT_FIELDS:
        rows[name] = np.nan
    return rows


@dataclass(frozen=True, kw_only=True)
class ObservationBatch:
    """What a source emits and the gateway publishes.

    rows: (n,) OBSERVATION_DTYPE. attributes: row index -> JSON-able facts that have no column: `name`,
    `callsign`, `imo`, `ship_type`, `destination`, `length_m`, `beam_m`, `draught_m`, `nav_status`, `text`,
    `station` (the AIS station that heard it), `label`, `mode`, `armed`, `vehicle`, `reported_by`.
    """

    source: str
    rows: npt.NDArray[np.void]
    attributes: Mapping[int, Mapping[str, Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def to_bytes(self) -> bytes:
        """The wire form: head (magic, version, reserved, header length), JSON header, then the rows as they are."""
        header = json.dumps(
            {
                "source": self.source,
                "count": len(self.rows),
                "row_bytes": OBSERVATION_DTYPE.itemsize,
                "attributes": {str(i): dict(a) for i, a in self.attributes.items()},
            },
            ensure_ascii=False,
            separators=(",", ":"),
        ).encode()
        return _WIRE_HEAD.pack(_MAGIC, _WIRE_VERSION, 0, len(header)) + header + self.rows.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """The batch in `data`. Raises BadBatch for anything else; never trusts a length without checking it."""
        if len(data) < _WIRE_HEAD.size or len(data) > MAX_BATCH_BYTES:
            raise BadBatch(f"{len(data)} bytes: a batch has {_WIRE_HEAD.size} to {MAX_BATCH_BYTES}")
        magic, version, _, header_length = _WIRE_HEAD.unpack_from(data)
        if magic != _MAGIC or version != _WIRE_VERSION:
            raise BadBatch(f"starts with {magic!r} version {version}; expected {_MAGIC!r} version {_WIRE_VERSION}")
        body_at = _WIRE_HEAD.size + header_length
        try:
            header = json.loads(data[_WIRE_HEAD.size : body_at])
            source, count, attributes = str(header["source"]), int(header["count"]), header["attributes"]
            facts = {int(i): dict(a) for i, a in attributes.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise BadBatch(f"header is not readable: {exc}") from exc
        body = data[body_at:]
        if count < 0 or len(body) != count * OBSERVATION_DTYPE.itemsize:
            raise BadBatch(f"{len(body)} bytes of rows; {count} rows take {count * OBSERVATION_DTYPE.itemsize}")
        if any(not 0 <= i < count for i in facts):
            raise BadBatch(f"attributes of a row outside 0..{count - 1}")
        return cls(source=source, rows=np.frombuffer(body, dtype=OBSERVATION_DTYPE), attributes=facts)


def concatenate(batches: Sequence[ObservationBatch], *, source: str) -> ObservationBatch:
    """The rows of several batches of one source as one batch, in order."""
    attributes: dict[int, Mapping[str, Any]] = {}
    offset = 0
    for batch in batches:
        attributes.update({offset + i: facts for i, facts in batch.attributes.items()})
        offset += len(batch)
    rows = np.concatenate([b.rows for b in batches]) if batches else empty_rows(0)
    return ObservationBatch(source=source, rows=rows, attributes=attributes)
