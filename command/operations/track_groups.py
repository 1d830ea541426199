"""The groups of tracks that a reader shows or hides, on the map and in the list alike."""

from __future__ import annotations

from collections.abc import Collection
from enum import IntFlag, StrEnum
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from command.domain.observation import SubjectKind
from command.domain.track import TrackStatus


class RecordFlag(IntFlag):
    """What a screen must show whatever the zoom."""

    ASSET = 1
    DISTRESS = 2
    OPEN_ALERT = 4
    OWN_SHIP = 8


class TrackGroup(StrEnum):
    """A track is in one group by what it is, and in SILENT besides where it is not heard; a distress beacon in none."""

    VESSELS = "vessels"
    UNKNOWN = "unknown"
    AIRCRAFT = "aircraft"
    OURS = "ours"
    FIXED = "fixed"
    SILENT = "silent"


_KINDS: Final[dict[TrackGroup, tuple[SubjectKind, ...]]] = {
    TrackGroup.VESSELS: (SubjectKind.VESSEL,),
    TrackGroup.UNKNOWN: (SubjectKind.UNKNOWN,),
    TrackGroup.AIRCRAFT: (
        SubjectKind.AIRCRAFT,
        SubjectKind.AIR_DRONE,
        SubjectKind.UNDERWATER_DRONE,
        SubjectKind.SURFACE_DRONE,
    ),
    TrackGroup.FIXED: (SubjectKind.AID_TO_NAVIGATION, SubjectKind.BASE_STATION, SubjectKind.GROUND_STATION),
}


def hidden_rows(records: npt.NDArray[np.void], groups: Collection[TrackGroup]) -> npt.NDArray[np.bool_]:
    """(n,) which of RECORD_DTYPE rows a reader does not see who hides these groups.

    What is in distress or has an open alert is never hidden.
    """
    if not groups:
        return np.zeros(len(records), dtype=bool)
    flags: npt.NDArray[Any] = records["flags"]
    ours = (flags & (RecordFlag.ASSET | RecordFlag.OWN_SHIP)) != 0
    kinds = [kind for group, of in _KINDS.items() if group in groups for kind in of]
    hidden: npt.NDArray[np.bool_] = ~ours & np.isin(records["kind"], kinds)
    if TrackGroup.OURS in groups:
        hidden |= ours
    if TrackGroup.SILENT in groups:
        hidden |= records["status"] >= TrackStatus.STALE
    hidden &= (flags & (RecordFlag.DISTRESS | RecordFlag.OPEN_ALERT)) == 0
    return hidden
