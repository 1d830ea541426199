"""The groups of tracks that a reader shows or hides, on the map and in the list alike."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntFlag, StrEnum
from typing import Final

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


@dataclass(frozen=True, kw_only=True, slots=True)
class GroupCounts:
    """How many tracks there are of each group; how many of the hidden groups are not shown, and how many are shown all
    the same because they are in danger."""

    of: Mapping[TrackGroup, int]
    hidden: int
    kept: int


def hidden_rows(records: npt.NDArray[np.void], groups: Collection[TrackGroup]) -> npt.NDArray[np.bool_]:
    """(n,) which of RECORD_DTYPE rows a reader does not see who hides these groups.

    What is in distress or has an open alert is never hidden.
    """
    return _in_any(records, groups) & ~_in_danger(records)


def count_groups(records: npt.NDArray[np.void], groups: Collection[TrackGroup]) -> GroupCounts:
    """The counts of RECORD_DTYPE rows for a reader who hides these groups."""
    chosen, danger = _in_any(records, groups), _in_danger(records)
    return GroupCounts(
        of={group: int(np.count_nonzero(_in_group(records, group))) for group in TrackGroup},
        hidden=int(np.count_nonzero(chosen & ~danger)),
        kept=int(np.count_nonzero(chosen & danger)),
    )


def _in_any(records: npt.NDArray[np.void], groups: Collection[TrackGroup]) -> npt.NDArray[np.bool_]:
    found = np.zeros(len(records), dtype=bool)
    for group in groups:
        found |= _in_group(records, group)
    return found


def _in_group(records: npt.NDArray[np.void], group: TrackGroup) -> npt.NDArray[np.bool_]:
    found: npt.NDArray[np.bool_]
    if group is TrackGroup.SILENT:
        found = records["status"] >= TrackStatus.STALE
        return found
    ours: npt.NDArray[np.bool_] = (records["flags"] & (RecordFlag.ASSET | RecordFlag.OWN_SHIP)) != 0
    if group is TrackGroup.OURS:
        return ours
    found = ~ours & np.isin(records["kind"], _KINDS[group])
    return found


def _in_danger(records: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
    danger: npt.NDArray[np.bool_] = (records["flags"] & (RecordFlag.DISTRESS | RecordFlag.OPEN_ALERT)) != 0
    return danger
