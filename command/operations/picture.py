"""The picture that the screens of one realm look at: the latest tracks in columns, and each screen's place in it."""

from __future__ import annotations

import math
import threading
import uuid
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from command.domain.clock import US_PER_S
from command.domain.observation import ObservationFlag
from command.domain.track import Track, TrackStatus
from command.i18n.folding import holds_all
from command.i18n.names import Named, Names
from command.operations.track_groups import GroupCounts, RecordFlag, TrackGroup, count_groups, hidden_rows

RECORD_DTYPE: Final = np.dtype(
    [
        ("handle", "<u4"),
        ("lon_e7", "<i4"),
        ("lat_e7", "<i4"),
        ("observed_at_s", "<u4"),
        ("course_cdeg", "<u2"),
        ("heading_cdeg", "<u2"),
        ("speed_dmps", "<u2"),
        ("kind", "u1"),
        ("status", "u1"),
        ("flags", "u1"),
        ("error_m", "<u2"),
        ("pad", "V1"),
    ]
)
"""28 bytes a track: degrees times 1e7, whole seconds since 1970, hundredths of a degree, tenths of a metre a second.
error_m: the position's standard deviation on each axis."""

AGGREGATE_DTYPE: Final = np.dtype(
    [
        ("lon_e7", "<i4"),
        ("lat_e7", "<i4"),
        ("count", "<u4"),
        ("worst_status", "u1"),
        ("flags", "u1"),
        ("pad", "V2"),
    ]
)
"""16 bytes a cell of the low zooms: the mean position of its tracks, how many, the worst status, all their flags."""

UNKNOWN_U2: Final = 65_535
VIEW_LIMIT: Final = 10_000
"""The most tracks one screen is sent; those that matter most and are newest go first."""
AGGREGATE_BELOW_ZOOM: Final = 6.0
LOST_SHOWN_S: Final = 6 * 3_600
"""A lost track leaves the map this long after it was last heard; it stays in the track list and the store."""


class FrameKind(IntEnum):
    """What a binary frame of /ws/tracks carries."""

    SNAPSHOT = 1
    DELTA = 2
    AGGREGATE = 3
    REMOVE = 4
    TICK = 5
    AS_OF = 6


@dataclass(frozen=True, kw_only=True, slots=True)
class Box:
    """A view in degrees, west and east within -180..180; west > east crosses the antimeridian."""

    west: float
    south: float
    east: float
    north: float

    @classmethod
    def around(cls, bbox: Sequence[float]) -> Box:
        """The box of [west, south, east, north] as a map gives it: longitudes may run past 180.

        Raises ValueError for anything that is not four finite numbers, south first.
        """
        if len(bbox) != 4 or not all(isinstance(x, (int, float)) and math.isfinite(x) for x in bbox):
            raise ValueError("bbox: four finite numbers [west, south, east, north] in degrees")
        west, south, east, north = (float(x) for x in bbox)
        if south > north or not -90.0 <= south <= 90.0 or not -90.0 <= north <= 90.0 or west > east:
            raise ValueError(f"bbox {list(bbox)!r}: west <= east and -90 <= south <= north <= 90")
        if east - west >= 360.0:
            return cls(west=-180.0, south=south, east=180.0, north=north)
        return cls(west=_wrap(west), south=south, east=_wrap(east), north=north)


def _wrap(lon: float) -> float:
    return lon if -180.0 <= lon <= 180.0 else (lon + 180.0) % 360.0 - 180.0


WORLD: Final = Box(west=-180.0, south=-90.0, east=180.0, north=90.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """One thing to send: records are RECORD_DTYPE, AGGREGATE_DTYPE or, to remove, uint32 handles."""

    kind: FrameKind
    records: npt.NDArray[np.generic]
    names: list[tuple[int, str, str]] = field(default_factory=list)
    """(handle, track id, label) of what the screen does not know by name yet."""
    counts: GroupCounts | None = None
    """Of cells: the tracks in the view by group, which a screen that has single tracks counts by itself."""


class Picture:
    """The latest of every track of a realm. One thread writes, any thread looks; both hold `lock` for a moment."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.revision = 0
        self.seq = 0
        self.newest_us: int | None = None
        self._count = 0
        self._records = np.zeros(1_024, dtype=RECORD_DTYPE)
        self._placed = np.zeros(1_024, dtype=bool)
        self._changed = np.zeros(1_024, dtype=np.int64)
        self._named = np.zeros(1_024, dtype=np.int64)
        self._tracks: list[Track | None] = []
        self._ids: list[uuid.UUID] = []
        self._labels: list[Named] = []
        self._names = Names()
        self._handles: dict[uuid.UUID, int] = {}
        self._alerted: set[uuid.UUID] = set()

    def __len__(self) -> int:
        return self._count

    def update(self, tracks: Sequence[Track], *, seq: int) -> None:
        """Take the latest of these tracks; `seq` is the store's flush number that they bring the picture to."""
        with self.lock:
            self.seq = max(self.seq, seq)
            if not tracks:
                return
            self.revision += 1
            for track in tracks:
                handle = self._handle(track)
                named = self._names.of_track(track)
                if self._labels[handle] != named:
                    self._labels[handle], self._named[handle] = named, self.revision
                self._tracks[handle] = track
                self._placed[handle] = track.position is not None
                self._records[handle] = self._record(handle, track)
                self._changed[handle] = self.revision
            newest = max(t.observed_at_us for t in tracks)
            self.newest_us = newest if self.newest_us is None else max(self.newest_us, newest)

    def rename(self, names: Names) -> None:
        """From now on subjects are called so, and what is registered as ours is drawn as ours."""
        with self.lock:
            if names == self._names:
                return
            self._names = names
            self.update([track for track in self._tracks if track is not None], seq=self.seq)

    def label(self, track: Track, language: str) -> str:
        """What people call a track."""
        return self._names.of_track(track)[language]

    def is_ours(self, track: Track) -> bool:
        """Whether it is an asset of our own, registered or as its source says."""
        return bool(track.flags & ObservationFlag.ASSET) or self._names.ours(track.subject)

    def mark_alerted(self, track_ids: Iterable[uuid.UUID]) -> None:
        """These tracks, and no others, have an open alert."""
        with self.lock:
            alerted = set(track_ids)
            touched = [self._handles[t] for t in alerted ^ self._alerted if t in self._handles]
            self._alerted = alerted
            if not touched:
                return
            self.revision += 1
            for handle in touched:
                track = self._tracks[handle]
                if track is not None:
                    self._records[handle] = self._record(handle, track)
                    self._changed[handle] = self.revision

    def track(self, track_id: uuid.UUID) -> Track | None:
        """The latest of one track; None where the picture has none of that id."""
        with self.lock:
            handle = self._handles.get(track_id)
            return None if handle is None else self._tracks[handle]

    def find(self, words: str, *, limit: int, hide: Collection[TrackGroup] = ()) -> list[Track]:
        """Tracks with every word in their name, subject, call sign or source, newest first; see i18n.folding.
        hide: groups that are left out."""
        with self.lock:
            hidden = hidden_rows(self._records[: self._count], hide).tolist()
            found = [
                track
                for track, named, out in zip(self._tracks, self._labels, hidden, strict=True)
                if track is not None and not out and holds_all(words, _search_text(track, named))
            ]
        found.sort(key=lambda t: t.observed_at_us, reverse=True)
        return found[:limit]

    def within(
        self, box: Box, *, now_us: int, limit: int, hide: Collection[TrackGroup] = ()
    ) -> tuple[list[Track], int]:
        """The tracks of the box that a screen shows which hides these groups, what matters most and is newest first,
        `limit` at most; and how many there are."""
        with self.lock:
            shown = self.in_view(box, now_us=now_us) & ~hidden_rows(self._records[: self._count], hide)
            handles = np.flatnonzero(shown)
            rows = self._records[handles]
            order = np.lexsort((rows["observed_at_s"], rows["flags"] != 0))[::-1][:limit]
            tracks = [self._tracks[handle] for handle in handles[order]]
        return [track for track in tracks if track is not None], len(handles)

    def records_of(self, tracks: Sequence[Track]) -> npt.NDArray[np.void]:
        """Records of tracks as they were at another time, under the handles of the live picture."""
        with self.lock:
            placed = [t for t in tracks if t.position is not None]
            records = np.zeros(len(placed), dtype=RECORD_DTYPE)
            for i, track in enumerate(placed):
                records[i] = self._record(self._handle(track), track)
            return records

    def in_view(self, box: Box, *, now_us: int, limit: int | None = None) -> npt.NDArray[np.bool_]:
        """(count,) which handles stand in the box and are still shown at `now_us`, the `limit` that matter most."""
        records = self._records[: self._count]
        lon, lat = records["lon_e7"], records["lat_e7"]
        west, east = int(box.west * 1e7), int(box.east * 1e7)
        across = (lon >= west) & (lon <= east) if box.west <= box.east else (lon >= west) | (lon <= east)
        gone_before_s = max(0, now_us // US_PER_S - LOST_SHOWN_S)
        shown = (records["status"] != TrackStatus.LOST) | (records["observed_at_s"] >= gone_before_s)
        mask: npt.NDArray[np.bool_] = (
            self._placed[: self._count] & across & (lat >= int(box.south * 1e7)) & (lat <= int(box.north * 1e7)) & shown
        )
        if limit is not None and int(np.count_nonzero(mask)) > limit:
            handles = np.flatnonzero(mask)
            rows = records[handles]
            order = np.lexsort((rows["observed_at_s"], rows["flags"] != 0))[::-1]
            mask = np.zeros(self._count, dtype=bool)
            mask[handles[order[:limit]]] = True
        return mask

    def extent(self, *, now_us: int) -> tuple[float, float, float, float] | None:
        """(west, south, east, north) in degrees around all that is shown; None where nothing is."""
        with self.lock:
            rows = self._records[: self._count][self.in_view(WORLD, now_us=now_us)]
        if not len(rows):
            return None
        lon, lat = rows["lon_e7"] / 1e7, rows["lat_e7"] / 1e7
        return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())

    def counts(self, box: Box, *, now_us: int, hide: Collection[TrackGroup]) -> GroupCounts:
        """How many tracks of the box are of each group, for a screen that hides some."""
        with self.lock:
            return count_groups(self._records[: self._count][self.in_view(box, now_us=now_us)], hide)

    def aggregate(
        self, box: Box, *, zoom: float, now_us: int, hide: Collection[TrackGroup] = ()
    ) -> npt.NDArray[np.void]:
        """AGGREGATE_DTYPE of the box without the groups to hide, in square cells of 1/8 of a 512-pixel tile."""
        hidden = hidden_rows(self._records[: self._count], hide)
        handles = np.flatnonzero(self.in_view(box, now_us=now_us) & ~hidden)
        rows = self._records[handles]
        cell_e7 = 360.0 / 2.0 ** max(0.0, math.floor(zoom)) / 8.0 * 1e7
        columns = np.floor(rows["lon_e7"] / cell_e7).astype(np.int64)
        lines = np.floor(rows["lat_e7"] / cell_e7).astype(np.int64)
        cells = lines * 1_000_000 + columns
        order = np.argsort(cells, kind="stable")
        _, starts, counts = np.unique(cells[order], return_index=True, return_counts=True)
        result = np.zeros(len(starts), dtype=AGGREGATE_DTYPE)
        if len(starts):
            rows = rows[order]
            result["lon_e7"] = np.add.reduceat(rows["lon_e7"].astype(np.int64), starts) // counts
            result["lat_e7"] = np.add.reduceat(rows["lat_e7"].astype(np.int64), starts) // counts
            result["count"] = counts
            result["worst_status"] = np.maximum.reduceat(rows["status"], starts)
            result["flags"] = np.bitwise_or.reduceat(rows["flags"], starts)
        return result

    def _handle(self, track: Track) -> int:
        handle = self._handles.get(track.track_id)
        if handle is not None:
            return handle
        handle = self._count
        if handle == len(self._records):
            for name in ("_records", "_placed", "_changed", "_named"):
                column = getattr(self, name)
                setattr(self, name, np.concatenate([column, np.zeros_like(column)]))
        self._count += 1
        self._handles[track.track_id] = handle
        self._ids.append(track.track_id)
        self._labels.append(self._names.of_track(track))
        self._tracks.append(None)
        self._named[handle] = self.revision
        return handle

    def _record(self, handle: int, track: Track) -> tuple[object, ...]:
        position = track.position
        flags = (
            (RecordFlag.ASSET if self.is_ours(track) else 0)
            | (RecordFlag.DISTRESS if track.flags & ObservationFlag.DISTRESS else 0)
            | (RecordFlag.OPEN_ALERT if track.track_id in self._alerted else 0)
            | (RecordFlag.OWN_SHIP if track.flags & ObservationFlag.OWN_SHIP else 0)
        )
        return (
            handle,
            0 if position is None else round(position.lon * 1e7),
            0 if position is None else round(position.lat * 1e7),
            min(max(track.observed_at_us // US_PER_S, 0), 0xFFFF_FFFF),
            _cdeg(track.course_deg),
            _cdeg(track.heading_deg),
            UNKNOWN_U2 if track.speed_mps is None else min(round(track.speed_mps * 10.0), UNKNOWN_U2 - 1),
            int(track.kind),
            int(track.status),
            int(flags),
            UNKNOWN_U2 if track.position_error_m is None else min(round(track.position_error_m), UNKNOWN_U2 - 1),
            b"",
        )


def _cdeg(degrees: float | None) -> int:
    return UNKNOWN_U2 if degrees is None else round(degrees * 100.0) % 36_000


def _search_text(track: Track, named: Named) -> str:
    facts = track.attributes
    said = (str(facts.get(name) or "") for name in ("name", "label", "callsign", "imo"))
    return " ".join((*named.values(), track.subject, *said, track.source))


class Watcher:
    """One screen's place in the picture.

    It keeps a flag a handle and never a queue: what a slow screen missed is coalesced into its next frame.
    """

    def __init__(self, picture: Picture, *, language: str) -> None:
        self._picture, self._language = picture, language
        self._box, self._zoom = WORLD, 0.0
        self._hide: Collection[TrackGroup] = ()
        self._fresh = True
        self._at_revision = -1
        self._known = np.zeros(0, dtype=bool)
        self._names_known = np.zeros(0, dtype=np.int64)

    @property
    def box(self) -> Box:
        return self._box

    def look(self, box: Box, *, zoom: float, hide: Collection[TrackGroup] = ()) -> None:
        """The screen shows another part of the sea: its next frame replaces all that it has.

        hide: groups that cells do not count. Single tracks are sent all the same: the screen counts what it hides.
        """
        self._box, self._zoom, self._hide, self._fresh = box, zoom, hide, True

    def start_over(self) -> None:
        """The screen's records are of another time: its next frame replaces them."""
        self._fresh = True

    def advance(self, *, now_us: int) -> list[Frame]:
        """What brings the screen to `now_us`: at most a delta and a removal, [] where nothing changed."""
        with self._picture.lock:
            self._grow()
            fresh, self._fresh = self._fresh, False
            since, self._at_revision = self._at_revision, self._picture.revision
            if self._zoom < AGGREGATE_BELOW_ZOOM:
                self._known[:] = False
                if not fresh and since == self._at_revision:
                    return []
                cells = self._picture.aggregate(self._box, zoom=self._zoom, now_us=now_us, hide=self._hide)
                counts = self._picture.counts(self._box, now_us=now_us, hide=self._hide)
                return [Frame(kind=FrameKind.AGGREGATE, records=cells, counts=counts)]
            return self._records_since(since, fresh=fresh, now_us=now_us)

    def as_of(self, tracks: Sequence[Track]) -> Frame:
        """The picture as it was: `tracks` are the states of another time."""
        with self._picture.lock:
            records = self._picture.records_of(tracks)
            self._grow()
            self._fresh = True
            return Frame(kind=FrameKind.AS_OF, records=records, names=self._names_of(records["handle"]))

    def _records_since(self, since: int, *, fresh: bool, now_us: int) -> list[Frame]:
        picture = self._picture
        count = len(picture)
        visible = picture.in_view(self._box, now_us=now_us, limit=VIEW_LIMIT)
        known = self._known[:count]
        wanted = visible if fresh else visible & (~known | (picture._changed[:count] > since))
        gone = np.flatnonzero(known & ~visible).astype("<u4")
        self._known[:count] = visible
        records = picture._records[np.flatnonzero(wanted)]
        frames: list[Frame] = []
        if fresh or len(records):
            kind = FrameKind.SNAPSHOT if fresh else FrameKind.DELTA
            frames.append(Frame(kind=kind, records=records, names=self._names_of(records["handle"])))
        if len(gone) and not fresh:
            frames.append(Frame(kind=FrameKind.REMOVE, records=gone))
        return frames

    def _names_of(self, handles: npt.NDArray[np.uint32]) -> list[tuple[int, str, str]]:
        picture = self._picture
        stale = handles[picture._named[handles] >= self._names_known[handles]]
        self._names_known[stale] = picture.revision + 1
        return [(int(h), str(picture._ids[h]), picture._labels[h][self._language]) for h in stale]

    def _grow(self) -> None:
        short = len(self._picture) - len(self._known)
        if short > 0:
            self._known = np.concatenate([self._known, np.zeros(short, dtype=bool)])
            self._names_known = np.concatenate([self._names_known, np.zeros(short, dtype=np.int64)])
