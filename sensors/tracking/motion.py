"""What each kind of subject can do: how it moves, how well it is measured, and how long its silence is normal.

One row a SubjectKind; the vectorised filter looks its columns up by the kind's number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from command.domain.observation import SubjectKind


@dataclass(frozen=True, kw_only=True, slots=True)
class Motion:
    """One kind's numbers.

    acceleration_m2ps3: power spectral density of the white-noise acceleration (Bar-Shalom, Li, Kirubarajan,
    Estimation with Applications to Tracking and Navigation, 2001, section 6.2.2). position_sigma_m: one standard
    deviation per axis where the report gives none. velocity_sigma_mps: of a reported course and speed.
    unknown_speed_sigma_mps: of the speed of a new track that did not report one. max_speed_mps and jump_slack_m:
    a report farther away than max_speed x time + slack + 3 sigma is an impossible jump. stale_after_s and
    lost_after_s: ages of the last believed position. static: it does not move; its place is its last report.
    """

    acceleration_m2ps3: float
    position_sigma_m: float
    velocity_sigma_mps: float
    unknown_speed_sigma_mps: float
    max_speed_mps: float
    jump_slack_m: float
    stale_after_s: float
    lost_after_s: float
    static: bool = False


_FIXED: Final = Motion(
    acceleration_m2ps3=0.0,
    position_sigma_m=10.0,
    velocity_sigma_mps=1.0,
    unknown_speed_sigma_mps=1.0,
    max_speed_mps=15.0,
    jump_slack_m=1_000.0,
    stale_after_s=600.0,  # an aid to navigation reports every 3 min (ITU-R M.1371-5, annex 1)
    lost_after_s=3_600.0,
    static=True,
)
_SMALL_VEHICLE: Final = Motion(
    acceleration_m2ps3=1.0,
    position_sigma_m=3.0,
    velocity_sigma_mps=0.5,
    unknown_speed_sigma_mps=10.0,
    max_speed_mps=60.0,
    jump_slack_m=200.0,
    stale_after_s=10.0,
    lost_after_s=60.0,
)
_VESSEL: Final = Motion(
    acceleration_m2ps3=0.02,
    position_sigma_m=10.0,
    velocity_sigma_mps=0.5,
    unknown_speed_sigma_mps=10.0,
    max_speed_mps=60.0,  # 117 kn: over the fastest planing craft
    jump_slack_m=500.0,  # reception times and relays are several seconds late
    stale_after_s=420.0,  # two missed reports of a vessel at anchor (3 min each, ITU-R M.1371-5, annex 1)
    lost_after_s=1_800.0,
)

MOTIONS: Final[Mapping[SubjectKind, Motion]] = {
    SubjectKind.UNKNOWN: Motion(
        acceleration_m2ps3=0.5,
        position_sigma_m=30.0,
        velocity_sigma_mps=1.0,
        unknown_speed_sigma_mps=20.0,
        max_speed_mps=350.0,
        jump_slack_m=500.0,
        stale_after_s=300.0,
        lost_after_s=1_800.0,
    ),
    SubjectKind.VESSEL: _VESSEL,
    SubjectKind.AIRCRAFT: Motion(
        acceleration_m2ps3=5.0,
        position_sigma_m=30.0,
        velocity_sigma_mps=2.0,
        unknown_speed_sigma_mps=100.0,
        max_speed_mps=400.0,
        jump_slack_m=1_000.0,
        stale_after_s=60.0,
        lost_after_s=300.0,
    ),
    SubjectKind.AIR_DRONE: _SMALL_VEHICLE,
    SubjectKind.UNDERWATER_DRONE: Motion(
        acceleration_m2ps3=0.1,
        position_sigma_m=5.0,
        velocity_sigma_mps=0.3,
        unknown_speed_sigma_mps=2.0,
        max_speed_mps=15.0,
        jump_slack_m=500.0,  # dead reckoning under water is corrected at once on surfacing
        stale_after_s=15.0,
        lost_after_s=120.0,
    ),
    SubjectKind.AID_TO_NAVIGATION: _FIXED,
    SubjectKind.BASE_STATION: _FIXED,
    SubjectKind.DISTRESS_BEACON: Motion(
        acceleration_m2ps3=0.02,
        position_sigma_m=30.0,
        velocity_sigma_mps=1.0,
        unknown_speed_sigma_mps=3.0,
        max_speed_mps=30.0,
        jump_slack_m=1_000.0,
        stale_after_s=240.0,  # a burst every minute (IEC 61097-14)
        lost_after_s=3_600.0,
    ),
    SubjectKind.SURFACE_DRONE: Motion(
        acceleration_m2ps3=0.2,
        position_sigma_m=3.0,
        velocity_sigma_mps=0.5,
        unknown_speed_sigma_mps=5.0,
        max_speed_mps=40.0,
        jump_slack_m=200.0,
        stale_after_s=15.0,
        lost_after_s=120.0,
    ),
    SubjectKind.GROUND_STATION: Motion(
        acceleration_m2ps3=0.5,
        position_sigma_m=5.0,
        velocity_sigma_mps=0.5,
        unknown_speed_sigma_mps=10.0,
        max_speed_mps=60.0,
        jump_slack_m=500.0,
        stale_after_s=60.0,
        lost_after_s=600.0,
    ),
}


def _columns() -> dict[str, npt.NDArray[np.float64]]:
    order = sorted(MOTIONS)
    return {
        f.name: np.array([getattr(MOTIONS[kind], f.name) for kind in order], dtype=np.float64) for f in fields(Motion)
    }


MOTION_COLUMNS: Final[Mapping[str, npt.NDArray[np.float64]]] = _columns()
"""Field name -> (len(SubjectKind),) float64, indexed by the kind's number."""
