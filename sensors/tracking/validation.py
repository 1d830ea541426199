"""The last look at rows before they are stored: what no sensor can have meant is taken out, marked and counted.

A decoder knows its own format's limits; this knows only what holds for every source, and trusts no gateway.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from command.domain.clock import EARLIEST_US, LATEST_US, US_PER_S
from command.domain.observation import (
    FLOAT_FIELDS,
    IdentityScheme,
    ObservationBatch,
    ObservationFlag,
    ObservationKind,
    SubjectKind,
)

MAX_AHEAD_S: Final = 60.0
"""A source's clock may run so far ahead of the reception of its message."""
MAX_BEHIND_S: Final = 1_200.0
"""And so far behind it: a store-and-forward receiver is late by minutes, a wrong clock by an hour or more."""

_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "position_error_m": (0.0, 1e6),
    "altitude_amsl_m": (-1_000.0, 100_000.0),
    "height_m": (-12_000.0, 100_000.0),
    "depth_m": (-100.0, 12_000.0),
    "speed_mps": (0.0, 12_000.0),
    "course_deg": (0.0, 359.999_99),
    "heading_deg": (0.0, 359.999_99),
    "battery_percent": (0.0, 100.0),
    "link_percent": (0.0, 100.0),
}


def validate(batch: ObservationBatch) -> tuple[ObservationBatch, Counter[str]]:
    """The batch with impossible values as NaN and flags set, and counts by reason.

    Rows are dropped only where their time is no time (`time_out_of_range`) or their kind or identity scheme is none
    that this version knows (`unknown_kind`, `unknown_scheme`). A position off the globe becomes NO_FIX
    (`position_out_of_range`), another value outside its range NaN (`<field>_out_of_range`), an unknown kind of subject
    SubjectKind.UNKNOWN (`unknown_subject_kind`); a clock too far from the time of reception is flagged CLOCK_OFF
    (`clock_off`).
    """
    counts: Counter[str] = Counter()
    rows = batch.rows
    earliest = np.minimum(rows["observed_at_us"], rows["received_at_us"])
    latest = np.maximum(rows["observed_at_us"], rows["received_at_us"])
    timeless = (earliest < EARLIEST_US) | (latest > LATEST_US)
    strange = ~np.isin(rows["kind"], [int(k) for k in ObservationKind])
    nameless = rows["subject_scheme"] > max(IdentityScheme)
    dropped = timeless | strange | nameless
    if dropped.any():
        _count(counts, time_out_of_range=timeless, unknown_kind=strange & ~timeless)
        _count(counts, unknown_scheme=nameless & ~timeless & ~strange)
        batch = select(batch, ~dropped)
    rows = batch.rows.copy()
    _mend(rows, counts)
    ahead_s = (rows["observed_at_us"] - rows["received_at_us"]) / US_PER_S
    off = (ahead_s > MAX_AHEAD_S) | (ahead_s < -MAX_BEHIND_S)
    rows["flags"] |= np.where(off, int(ObservationFlag.CLOCK_OFF), 0).astype(np.uint32)
    _count(counts, clock_off=off)
    return ObservationBatch(source=batch.source, rows=rows, attributes=batch.attributes), counts


def _mend(rows: npt.NDArray[np.void], counts: Counter[str]) -> None:
    unheard_of = rows["subject_kind"] > max(SubjectKind)
    rows["subject_kind"][unheard_of] = int(SubjectKind.UNKNOWN)
    _count(counts, unknown_subject_kind=unheard_of)

    lon, lat = rows["lon"], rows["lat"]
    off_globe = ~(np.isnan(lon) | (np.abs(lon) <= 180.0)) | ~(np.isnan(lat) | (np.abs(lat) <= 90.0))
    _count(counts, position_out_of_range=off_globe)
    nowhere = off_globe | np.isnan(lon) | np.isnan(lat)
    lon[nowhere] = lat[nowhere] = np.nan
    unfixed = nowhere & (rows["kind"] == int(ObservationKind.POSITION))
    rows["flags"] |= np.where(unfixed, int(ObservationFlag.NO_FIX), 0).astype(np.uint32)

    for name in FLOAT_FIELDS:
        if name in _RANGES:
            low, high = _RANGES[name]
            values = rows[name]
            exact = values.astype(np.float64)  # 360.0 is not under 359.99999 as a float32
            wrong = ~np.isnan(exact) & ~((exact >= low) & (exact <= high))
            values[wrong] = np.nan
            _count(counts, **{f"{name}_out_of_range": wrong})


def select(batch: ObservationBatch, mask: npt.NDArray[np.bool_]) -> ObservationBatch:
    """The rows of `batch` where `mask` (n,) is True, with their attributes."""
    if mask.all():
        return batch
    attributes: dict[int, Mapping[str, Any]] = {}
    if batch.attributes:
        places = np.cumsum(mask) - 1
        attributes = {int(places[row]): facts for row, facts in batch.attributes.items() if mask[row]}
    return ObservationBatch(source=batch.source, rows=batch.rows[mask], attributes=attributes)


def _count(counts: Counter[str], **masks: npt.NDArray[np.bool_]) -> None:
    for name, mask in masks.items():
        if number := int(np.count_nonzero(mask)):
            counts[name] += number
