"""A tracker for subjects that say who they are: one track an identity, a Kalman filter over all of them at once.

What a row does depends on what it is:

- a position moves the track, unless it is older than the last believed one (`late`) or farther away than its kind
  can have come (IMPOSSIBLE_JUMP: the state that it makes carries the flag and the old place). Three impossible
  reports in a row that agree with each other are believed instead: the track is seeded anew at the third, so that
  one wrong report neither moves a track nor, believed first, pins it for ever;
- a position without a fix, telemetry and static rows bring last-seen, attributes, battery and link up to date and
  leave the place alone;
- a row whose clock is off is quarantined, a row without an identity cannot be keyed: neither touches a track;
- our own ship (AIS VDO) has a track of its own, apart from what others report under the same number.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import isnan
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from command.domain import ids
from command.domain.clock import US_PER_S
from command.domain.geo import Position, distances_m
from command.domain.observation import (
    OBSERVATION_DTYPE,
    IdentityScheme,
    ObservationBatch,
    ObservationFlag,
    ObservationKind,
    SubjectKind,
    subject_of,
)
from command.domain.track import TRACK_STATE_DTYPE, Track, TrackStatus
from sensors.tracking import kalman
from sensors.tracking.motion import MOTION_COLUMNS
from sensors.tracking.slots import MEASURED, NEVER_US, SLOT_DTYPE, empty_slots, pack, slot_of_track, unpack
from sensors.tracking.tracker import TrackChange, TrackerOutput

REPORTS_TO_RESEED: Final = 3
"""So many impossible reports in a row that agree with each other are the truth."""
MAX_TRACKS: Final = 300_000
"""Some 2 kB of memory each. A receiver hears thousands of vessels; more identities than this are a flood of invented
ones, whose rows are stored and counted (`too_many_tracks`) but open no track."""
SIGMAS: Final = 3.0
SLOWEST_COURSE_MPS: Final = 0.1
"""Under this speed a course means nothing and is not told."""

_STICKY: Final = int(ObservationFlag.OWN_SHIP | ObservationFlag.ASSET)
_UNTIL_NEXT_POSITION: Final = int(ObservationFlag.DISTRESS | ObservationFlag.DISTRESS_TEST)
_OWN_SHIP: Final = int(ObservationFlag.OWN_SHIP)
_POSITION_AGE_KEY: Final = "position_observed_at_us"

Rows = npt.NDArray[np.void]
Indices = npt.NDArray[np.intp]


class IdentityTracker:
    """The Tracker of identified subjects. Implements sensors.tracking.tracker.Tracker."""

    def __init__(self, realm: str, *, max_tracks: int = MAX_TRACKS) -> None:
        self._realm, self._max_tracks = realm, max_tracks
        self._clear()

    def _clear(self) -> None:
        self._slots: Rows = empty_slots(256)
        self._count = 0
        self._index: dict[tuple[int, int, bool], int] = {}
        self._track_ids: list[uuid.UUID] = []
        self._id_bytes: list[bytes] = []
        self._subjects: list[str] = []
        self._sources: list[str] = []
        self._attributes: list[dict[str, Any]] = []
        self._tracks: dict[bytes, Track] = {}

    @property
    def tracks(self) -> Mapping[bytes, Track]:
        return MappingProxyType(self._tracks)

    def restore(self, latest: Iterable[tuple[Track, bytes]]) -> None:
        self._clear()
        for track, filter_state in latest:
            slot = unpack(filter_state)
            if slot is None:
                slot = slot_of_track(track)
            own_ship = bool(int(slot["flags"]) & _OWN_SHIP)
            at = self._add(
                (int(slot["subject_scheme"]), int(slot["subject_key"]), own_ship), track.track_id, track.subject
            )
            self._slots[at] = slot
            self._sources[at] = track.source
            self._attributes[at] = {k: v for k, v in track.attributes.items() if k != _POSITION_AGE_KEY}
        self._publish(np.arange(self._count))

    def update(self, batches: Sequence[ObservationBatch], *, recorded_at_us: int) -> TrackerOutput:
        counts: Counter[str] = Counter()
        rows = np.concatenate([b.rows for b in batches]) if batches else np.empty(0, dtype=OBSERVATION_DTYPE)
        quarantined = (rows["flags"] & int(ObservationFlag.CLOCK_OFF)) != 0
        unidentified = ~quarantined & (rows["subject_scheme"] == int(IdentityScheme.NONE))
        kept = np.flatnonzero(~(quarantined | unidentified))
        counts.update(_counted(quarantined=quarantined, unidentified=unidentified))
        if not len(kept):
            return TrackerOutput(counts=counts)

        slots = self._slots_of(rows[kept])
        if refused := int(np.count_nonzero(slots < 0)):
            counts["too_many_tracks"] = refused
            kept, slots = kept[slots >= 0], slots[slots >= 0]
        taken = rows[kept]
        after = np.empty(len(taken), dtype=SLOT_DTYPE)
        made = np.zeros(len(taken), dtype=np.bool_)
        believed = np.zeros(len(taken), dtype=np.bool_)
        for chosen in _rounds(slots):
            made[chosen], believed[chosen], after[chosen] = self._advance(
                slots[chosen], taken[chosen], recorded_at_us, counts
            )
        self._merge_facts(batches, kept, slots, believed)
        states = _states(after[made], taken[made])
        joined = b"".join([self._id_bytes[i] for i in slots[made].tolist()])
        states["track_id"] = np.frombuffer(joined, dtype="V16")
        return TrackerOutput(
            states=states[np.argsort(states["observed_at_us"], kind="stable")],
            changed=self._publish(np.unique(slots[made])),
            counts=counts,
        )

    def tick(self, now_us: int) -> TrackerOutput:
        slots = self._slots[: self._count]
        motion = {name: MOTION_COLUMNS[name][slots["subject_kind"]] for name in ("stale_after_s", "lost_after_s")}
        placed = slots["position_at_us"] != NEVER_US
        age_s = (now_us - np.where(placed, slots["position_at_us"], slots["seen_at_us"])) / US_PER_S
        fresh = np.where(placed, int(TrackStatus.LIVE), int(TrackStatus.TENTATIVE))
        status = np.where(
            age_s > motion["lost_after_s"],
            int(TrackStatus.LOST),
            np.where(age_s > motion["stale_after_s"], int(TrackStatus.STALE), fresh),
        )
        different = np.flatnonzero(status != slots["status"])
        slots["status"][different] = status[different]
        return TrackerOutput(changed=self._publish(different))

    def _slots_of(self, rows: Rows) -> Indices:
        """(n,) each row's slot; a new identity gets one, or -1 where there are too many tracks."""
        own = ((rows["flags"] & _OWN_SHIP) != 0).tolist()
        keys = zip(rows["subject_scheme"].tolist(), rows["subject_key"].tolist(), own, strict=True)
        found = np.empty(len(rows), dtype=np.intp)
        for i, key in enumerate(keys):
            at = self._index.get(key)
            if at is None:
                at = self._open(key) if self._count < self._max_tracks else -1
            found[i] = at
        return found

    def _open(self, key: tuple[int, int, bool]) -> int:
        scheme, number, own_ship = key
        subject = subject_of(scheme, number)
        name = f"own-ship:{subject}" if own_ship else subject
        at = self._add(key, ids.track_id(self._realm, name), subject)
        self._slots[at]["subject_scheme"] = scheme
        self._slots[at]["subject_key"] = number
        return at

    def _add(self, key: tuple[int, int, bool], track_id: uuid.UUID, subject: str) -> int:
        at = self._count
        if at == len(self._slots):
            self._slots = np.concatenate([self._slots, empty_slots(len(self._slots))])
        self._index[key] = at
        self._count += 1
        self._track_ids.append(track_id)
        self._id_bytes.append(track_id.bytes)
        self._subjects.append(subject)
        self._sources.append("")
        self._attributes.append({})
        return at

    def _advance(
        self, at: Indices, rows: Rows, recorded_at_us: int, counts: Counter[str]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], Rows]:
        """One row a track. (made a state, was believed, the slots afterwards)."""
        slots = self._slots[at]
        observed = rows["observed_at_us"]
        positional = (
            (rows["kind"] == int(ObservationKind.POSITION))
            & ((rows["flags"] & int(ObservationFlag.NO_FIX)) == 0)
            & np.isfinite(rows["lon"])
            & np.isfinite(rows["lat"])
        )
        late = observed < np.where(positional, slots["position_at_us"], slots["other_at_us"])
        kinds = np.where(rows["subject_kind"] != int(SubjectKind.UNKNOWN), rows["subject_kind"], slots["subject_kind"])
        slots["subject_kind"] = np.where(late, slots["subject_kind"], kinds)

        placing = np.flatnonzero(positional & ~late)
        jumped = np.zeros(len(rows), dtype=np.bool_)
        if len(placing):
            slots[placing], jumped[placing] = _place(slots[placing], rows[placing], counts)
        believed = ~late & ~jumped

        other = believed & ~positional
        slots["other_at_us"] = np.where(other, observed, slots["other_at_us"])
        slots["seen_at_us"] = np.where(late, slots["seen_at_us"], np.maximum(slots["seen_at_us"], observed))
        slots["recorded_at_us"] = np.where(late, slots["recorded_at_us"], recorded_at_us)
        kept_flags = slots["flags"] & np.where(positional, _STICKY, _STICKY | _UNTIL_NEXT_POSITION).astype(np.uint32)
        flags = rows["flags"] | kept_flags | np.where(jumped, int(ObservationFlag.IMPOSSIBLE_JUMP), 0).astype(np.uint32)
        slots["flags"] = np.where(late, slots["flags"], flags)
        unplaced = other & (slots["position_at_us"] == NEVER_US)
        slots["status"] = np.where(
            believed & positional,
            int(TrackStatus.LIVE),
            np.where(unplaced, int(TrackStatus.TENTATIVE), slots["status"]),
        )
        for name in MEASURED:
            slots[name] = np.where(believed & np.isfinite(rows[name]), rows[name], slots[name])
        self._slots[at] = slots
        counts.update(_counted(late=late, impossible_jump=jumped))
        return ~late, believed, slots

    def _merge_facts(
        self, batches: Sequence[ObservationBatch], kept: Indices, slots: Indices, believed: npt.NDArray[np.bool_]
    ) -> None:
        """Sources and attributes of believed rows, in order of arrival."""
        offset = 0
        for batch in batches:
            first, last = np.searchsorted(kept, (offset, offset + len(batch)))
            for slot in np.unique(slots[first:last][believed[first:last]]).tolist():
                self._sources[slot] = batch.source
            for row in sorted(batch.attributes):
                i = int(np.searchsorted(kept, offset + row))
                if i < len(kept) and kept[i] == offset + row and believed[i]:
                    slot = int(slots[i])
                    self._attributes[slot] = {**self._attributes[slot], **batch.attributes[row]}
            offset += len(batch)

    def _publish(self, at: Indices) -> list[TrackChange]:
        """Make the Track values of these slots anew."""
        if not len(at):
            return []
        slots = self._slots[at]
        told = _told(slots)
        columns = [told[name].tolist() for name in _TOLD]
        packed = pack(slots)
        changes: list[TrackChange] = []
        for i, filter_state, *values in zip(at.tolist(), packed, *columns, strict=True):
            kind, status, seen_us, recorded_us, position_us, flags, lon, lat, *rest = values
            speed, course, error, altitude, height, depth, heading, battery, link = (
                None if isnan(value) else value for value in rest
            )
            placed = position_us != NEVER_US
            attributes = self._attributes[i]
            if placed and position_us != seen_us:
                attributes = {**attributes, _POSITION_AGE_KEY: position_us}
            track = Track(
                track_id=self._track_ids[i],
                subject=self._subjects[i],
                kind=_KINDS[kind],
                status=_STATUSES[status],
                source=self._sources[i],
                observed_at_us=seen_us,
                recorded_at_us=recorded_us,
                position=Position(lon=lon, lat=lat) if placed else None,
                flags=flags,
                speed_mps=speed,
                course_deg=course,
                heading_deg=heading,
                altitude_amsl_m=altitude,
                height_m=height,
                depth_m=depth,
                position_error_m=error,
                battery_percent=battery,
                link_percent=link,
                attributes=attributes,
            )
            self._tracks[self._id_bytes[i]] = track
            changes.append(TrackChange(track=track, filter_state=filter_state))
        return changes


_KINDS: Final = tuple(SubjectKind)
_STATUSES: Final = tuple(TrackStatus)
_TOLD: Final = (
    "subject_kind",
    "status",
    "seen_at_us",
    "recorded_at_us",
    "position_at_us",
    "flags",
    "lon",
    "lat",
    "speed_mps",
    "course_deg",
    "position_error_m",
    *MEASURED,
)


def _rounds(slots: Indices) -> list[Indices]:
    """Row numbers in rounds: in each round every slot at most once, in the order of arrival over the rounds."""
    order = np.argsort(slots, kind="stable")
    ordered = slots[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    lengths = np.diff(np.r_[starts, len(ordered)])
    rank = np.empty(len(slots), dtype=np.intp)
    rank[order] = np.arange(len(ordered)) - np.repeat(starts, lengths)
    by_rank = np.argsort(rank, kind="stable")
    return np.split(by_rank, np.cumsum(np.bincount(rank))[:-1])


def _counted(**masks: npt.NDArray[np.bool_]) -> dict[str, int]:
    return {name: count for name, mask in masks.items() if (count := int(np.count_nonzero(mask)))}


def _reach_m(motion: Mapping[str, kalman.Floats], seconds: kalman.Floats, var_m2: kalman.Floats) -> kalman.Floats:
    """How far a subject can have come, metres."""
    reach: kalman.Floats = motion["max_speed_mps"] * seconds + motion["jump_slack_m"] + SIGMAS * np.sqrt(var_m2)
    return reach


def _place(slots: Rows, rows: Rows, counts: Counter[str]) -> tuple[Rows, npt.NDArray[np.bool_]]:
    """Take measured positions that are not late. (the slots, which were impossible jumps)."""
    motion = {name: column[slots["subject_kind"]] for name, column in MOTION_COLUMNS.items()}
    observed, lon, lat = rows["observed_at_us"], rows["lon"].copy(), rows["lat"].copy()
    error_m = rows["position_error_m"].astype(np.float64)
    var_m2 = np.where(error_m > 0.0, error_m, motion["position_sigma_m"]) ** 2
    placed = slots["position_at_us"] != NEVER_US
    dt_s = np.where(placed, observed - np.where(placed, slots["position_at_us"], observed), 0) / US_PER_S

    from_believed_m = distances_m(slots["lon"].copy(), slots["lat"].copy(), lon, lat)
    impossible = placed & (from_believed_m > _reach_m(motion, dt_s, slots["position_var"] + var_m2))
    doubted = impossible & (slots["candidates"] > 0)
    doubt_s = np.where(doubted, np.abs(observed - np.where(doubted, slots["candidate_at_us"], observed)), 0) / US_PER_S
    from_candidate_m = distances_m(slots["candidate_lon"].copy(), slots["candidate_lat"].copy(), lon, lat)
    agrees = doubted & (from_candidate_m <= _reach_m(motion, doubt_s, 2.0 * var_m2))
    candidates = np.where(impossible, np.where(agrees, slots["candidates"] + 1, 1), 0)
    reseeded = candidates >= REPORTS_TO_RESEED
    jumped = impossible & ~reseeded
    counts.update(_counted(reseeded=reseeded))
    seeded = ~placed | reseeded | (motion["static"] > 0.0) | (dt_s > motion["lost_after_s"])

    measured, east_mps, north_mps = _velocities(rows)
    measured &= motion["static"] == 0.0
    velocity_var = motion["velocity_sigma_mps"] ** 2
    estimates = kalman.Estimates(**{name: slots[name].copy() for name in _ESTIMATED})
    estimates = kalman.predict(estimates, dt_s=dt_s, acceleration_m2ps3=motion["acceleration_m2ps3"])
    estimates = kalman.correct_position(estimates, lon=lon, lat=lat, var_m2=var_m2)
    estimates = kalman.correct_velocity(
        estimates, east_mps=east_mps, north_mps=north_mps, var_m2ps2=velocity_var, measured=measured
    )
    unknown_var = np.where(motion["static"] > 0.0, 0.0, motion["unknown_speed_sigma_mps"] ** 2)
    seeds = kalman.Estimates(
        lon=kalman.wrap_longitude(lon),
        lat=lat,
        east_mps=np.where(measured, east_mps, 0.0),
        north_mps=np.where(measured, north_mps, 0.0),
        position_var=var_m2,
        cross_var=np.zeros(len(rows)),
        velocity_var=np.where(measured, velocity_var, unknown_var),
    )
    for name in _ESTIMATED:
        believed = np.where(seeded, getattr(seeds, name), getattr(estimates, name))
        slots[name] = np.where(jumped, slots[name], believed)
    slots["position_at_us"] = np.where(jumped, slots["position_at_us"], observed)
    slots["candidates"] = np.where(jumped, candidates, 0)
    slots["candidate_at_us"] = np.where(jumped, observed, NEVER_US)
    slots["candidate_lon"] = np.where(jumped, lon, np.nan)
    slots["candidate_lat"] = np.where(jumped, lat, np.nan)
    return slots, jumped


def _velocities(rows: Rows) -> tuple[npt.NDArray[np.bool_], kalman.Floats, kalman.Floats]:
    """(measured, east, north): reported course and speed; one without a course tells a velocity only when at rest."""
    speed, course = rows["speed_mps"].astype(np.float64), rows["course_deg"].astype(np.float64)
    at_rest = speed < SLOWEST_COURSE_MPS
    measured = np.isfinite(speed) & (np.isfinite(course) | at_rest)
    theta = np.radians(np.where(np.isfinite(course), course, 0.0))
    length = np.where(measured, speed, 0.0)
    return measured, length * np.sin(theta), length * np.cos(theta)


_ESTIMATED: Final = ("lon", "lat", "east_mps", "north_mps", "position_var", "cross_var", "velocity_var")


def _told(slots: Rows) -> dict[str, npt.NDArray[Any]]:
    """What slots say to the outside: their own columns and those derived from the estimate; NaN where unknown."""
    placed = slots["position_at_us"] != NEVER_US
    east, north = slots["east_mps"].copy(), slots["north_mps"].copy()
    speed = np.sqrt(east * east + north * north)
    doubt = MOTION_COLUMNS["unknown_speed_sigma_mps"][slots["subject_kind"]] / 2.0
    known = placed & (slots["velocity_var"] < doubt * doubt)
    course = np.mod(np.degrees(np.arctan2(east, north)), 360.0).astype(np.float32)
    told = {name: slots[name] for name in SLOT_DTYPE.names or ()}
    told["speed_mps"] = np.where(known, speed, np.nan)
    told["course_deg"] = np.where(known & (speed >= SLOWEST_COURSE_MPS), np.where(course < 360.0, course, 0.0), np.nan)
    told["position_error_m"] = np.where(placed, np.sqrt(slots["position_var"]), np.nan)
    return told


def _states(slots: Rows, rows: Rows) -> Rows:
    """(n,) TRACK_STATE_DTYPE of the estimates after these rows; track_id is left to the caller."""
    states = np.zeros(len(rows), dtype=TRACK_STATE_DTYPE)
    told = _told(slots)
    for name in TRACK_STATE_DTYPE.names or ():
        if name in told:
            states[name] = told[name]
    states["observation_id"] = rows["observation_id"]
    states["observed_at_us"] = rows["observed_at_us"]
    return states
