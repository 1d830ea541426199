"""The picture in columns: what each screen is sent, and that a slow one loses nothing and queues nothing."""

from __future__ import annotations

import uuid
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from command.domain.clock import US_PER_S
from command.domain.geo import Position
from command.domain.observation import ObservationFlag, SubjectKind
from command.domain.track import Track, TrackStatus
from command.i18n.names import Names
from command.operations import picture as pictures
from command.operations.picture import (
    AGGREGATE_DTYPE,
    LOST_SHOWN_S,
    RECORD_DTYPE,
    UNKNOWN_U2,
    Box,
    FrameKind,
    Picture,
    RecordFlag,
    Watcher,
)
from command.operations.track_groups import TrackGroup

NOW_US = 1_790_000_000 * US_PER_S
TSUSHIMA = Box.around([129.0, 34.0, 130.0, 35.0])


def track(number: int, lon: float | None = 129.3, lat: float = 34.2, **more: Any) -> Track:
    facts: dict[str, Any] = {
        "track_id": uuid.UUID(int=number),
        "subject": f"mmsi:{number:09d}",
        "kind": SubjectKind.VESSEL,
        "status": TrackStatus.LIVE,
        "source": "ais",
        "observed_at_us": NOW_US,
        "recorded_at_us": NOW_US,
        "position": None if lon is None else Position(lon=lon, lat=lat),
    }
    return Track(**(facts | more))


def test_records_are_as_long_as_the_protocol_says() -> None:
    assert RECORD_DTYPE.itemsize == 28
    assert AGGREGATE_DTYPE.itemsize == 16


def test_a_record_says_what_is_unknown_instead_of_zero() -> None:
    picture = Picture()
    picture.update([track(1)], seq=1)
    (record,) = picture.records_of([track(1)])
    assert (record["course_cdeg"], record["heading_cdeg"], record["speed_dmps"]) == (UNKNOWN_U2,) * 3
    (fast,) = picture.records_of([track(1, course_deg=359.999, heading_deg=0.0, speed_mps=9_999.0)])
    assert (fast["course_cdeg"], fast["heading_cdeg"], fast["speed_dmps"]) == (0, 0, UNKNOWN_U2 - 1)
    errors = picture.records_of([track(1, position_error_m=m) for m in (None, 12.4, 1e9)])["error_m"]
    assert errors.tolist() == [UNKNOWN_U2, 12, UNKNOWN_U2 - 1]


def test_flags_say_asset_distress_own_ship_and_open_alert() -> None:
    picture = Picture()
    flags = ObservationFlag.ASSET | ObservationFlag.DISTRESS | ObservationFlag.OWN_SHIP
    picture.update([track(1, flags=int(flags))], seq=1)
    picture.mark_alerted([uuid.UUID(int=1)])
    (record,) = picture.records_of([track(1, flags=int(flags))])
    assert record["flags"] == sum(RecordFlag)


def test_a_screen_gets_a_snapshot_then_only_what_changed() -> None:
    # given a screen that shows two tracks
    picture = Picture()
    picture.update([track(1), track(2), track(3, lon=140.0)], seq=5)
    watcher = Watcher(picture, language="ja")
    watcher.look(TSUSHIMA, zoom=9.0)
    (snapshot,) = watcher.advance(now_us=NOW_US)
    assert snapshot.kind is FrameKind.SNAPSHOT
    assert [name[2] for name in snapshot.names] == ["MMSI 000000001", "MMSI 000000002"]
    # when nothing changes, nothing is sent
    assert watcher.advance(now_us=NOW_US) == []
    # when one moves and gets a name, that one is sent, with its name
    picture.update([track(2, lon=129.4, attributes={"name": "KAIYO MARU"})], seq=6)
    (delta,) = watcher.advance(now_us=NOW_US)
    assert delta.kind is FrameKind.DELTA
    assert delta.records["lon_e7"].tolist() == [1_294_000_000]
    assert [name[2] for name in delta.names] == ["KAIYO MARU"]
    # when it leaves the view, it is taken away
    picture.update([track(2, lon=140.0)], seq=7)
    (gone,) = watcher.advance(now_us=NOW_US)
    assert gone.kind is FrameKind.REMOVE
    assert gone.records.tolist() == [1]


def test_many_changes_before_a_slow_screen_looks_again_are_one_record() -> None:
    picture = Picture()
    picture.update([track(1)], seq=1)
    watcher = Watcher(picture, language="ja")
    watcher.look(TSUSHIMA, zoom=9.0)
    watcher.advance(now_us=NOW_US)
    for step in range(500):
        picture.update([track(1, lon=129.3 + step * 1e-4)], seq=2 + step)
    (delta,) = watcher.advance(now_us=NOW_US)
    assert len(delta.records) == 1
    assert delta.records["lon_e7"][0] == round((129.3 + 499e-4) * 1e7)


def test_the_low_zooms_get_cells_that_add_up() -> None:
    picture = Picture()
    picture.update(
        [track(i, lon=129.0 + i * 0.01) for i in range(1, 50)]
        + [track(99, lon=129.02, status=TrackStatus.LOST, flags=int(ObservationFlag.DISTRESS))],
        seq=1,
    )
    watcher = Watcher(picture, language="ja")
    watcher.look(Box.around([120, 20, 150, 50]), zoom=4.4)
    (frame,) = watcher.advance(now_us=NOW_US)
    assert frame.kind is FrameKind.AGGREGATE
    assert frame.records["count"].sum() == 50
    worst = frame.records[frame.records["worst_status"] == TrackStatus.LOST]
    assert worst["flags"].tolist() == [RecordFlag.DISTRESS]


def test_hidden_groups_are_neither_counted_nor_listed_but_danger_is() -> None:
    # given a live vessel, a lost one, one of our drones, a dark contact with an open alert and a distress beacon
    picture = Picture()
    dark = track(4, kind=SubjectKind.UNKNOWN)
    sart = track(5, kind=SubjectKind.DISTRESS_BEACON, status=TrackStatus.LOST, flags=int(ObservationFlag.DISTRESS))
    drone = track(3, kind=SubjectKind.AIR_DRONE, flags=int(ObservationFlag.ASSET))
    picture.update([track(1), track(2, status=TrackStatus.LOST), drone, dark, sart], seq=1)
    picture.mark_alerted([dark.track_id])

    def seen(*hide: TrackGroup) -> set[int]:
        listed = {t.track_id.int for t in picture.find("", limit=9, hide=hide)}
        cells = picture.aggregate(TSUSHIMA, zoom=3.0, now_us=NOW_US, hide=hide)
        assert cells["count"].sum() == len(listed)
        return listed

    # then each group hides its own, and nothing hides who is in danger
    assert seen() == {1, 2, 3, 4, 5}
    assert seen(TrackGroup.VESSELS) == {3, 4, 5}
    assert seen(TrackGroup.SILENT) == {1, 3, 4, 5}
    assert seen(TrackGroup.AIRCRAFT) == {1, 2, 3, 4, 5}
    assert seen(TrackGroup.OURS) == {1, 2, 4, 5}
    assert seen(*TrackGroup) == {4, 5}


def test_a_track_without_a_position_is_listed_but_not_drawn() -> None:
    picture = Picture()
    picture.update([track(1, lon=None)], seq=1)
    assert not picture.in_view(pictures.WORLD, now_us=NOW_US).any()
    assert [t.subject for t in picture.find("", limit=5)] == ["mmsi:000000001"]


def test_a_track_lost_long_ago_leaves_the_map_but_not_the_list() -> None:
    picture = Picture()
    long_ago_us = NOW_US - (LOST_SHOWN_S + 10) * US_PER_S
    picture.update([track(1, status=TrackStatus.LOST, observed_at_us=long_ago_us)], seq=1)
    assert not picture.in_view(TSUSHIMA, now_us=NOW_US).any()
    assert picture.find("0001", limit=5)


def test_the_limit_of_a_view_keeps_what_matters_and_what_is_newest() -> None:
    picture = Picture()
    old_us = NOW_US - 60 * US_PER_S
    picture.update(
        [track(i) for i in range(1, 10)]
        + [track(10, observed_at_us=old_us, flags=int(ObservationFlag.DISTRESS)), track(11, observed_at_us=old_us)],
        seq=1,
    )
    kept = np.flatnonzero(picture.in_view(TSUSHIMA, now_us=NOW_US, limit=10)).tolist()
    assert 9 in kept
    assert 10 not in kept


def test_the_past_is_shown_under_the_same_handles_and_the_present_comes_back_whole() -> None:
    picture = Picture()
    picture.update([track(1)], seq=1)
    watcher = Watcher(picture, language="ja")
    watcher.look(TSUSHIMA, zoom=9.0)
    watcher.advance(now_us=NOW_US)
    then = watcher.as_of([track(1, lon=129.1), track(7, lon=129.2)])
    assert then.kind is FrameKind.AS_OF
    assert then.records["handle"].tolist() == [0, 1]
    assert [name[0] for name in then.names] == [1]
    watcher.start_over()
    (now,) = watcher.advance(now_us=NOW_US)
    assert now.kind is FrameKind.SNAPSHOT
    assert now.records["handle"].tolist() == [0]


@pytest.mark.parametrize(
    "bbox",
    [
        [1, 2, 3],
        ["a", 0, 1, 1],
        [float("nan"), 0, 1, 1],
        [0, 5, 1, 1],
        [0, -91, 1, 1],
        [5, 0, 1, 1],
        [0, 0, 1, float("inf")],
    ],
)
def test_a_box_that_is_none_is_refused(bbox: list[Any]) -> None:
    with pytest.raises(ValueError, match="bbox"):
        Box.around(bbox)


def test_a_view_across_the_antimeridian_sees_both_sides() -> None:
    picture = Picture()
    picture.update([track(1, lon=179.5), track(2, lon=-179.5), track(3, lon=0.0)], seq=1)
    box = Box.around([179.0, 30.0, 181.0, 40.0])
    assert picture.in_view(box, now_us=NOW_US).tolist() == [True, True, False]


_moves = st.lists(
    st.tuples(st.integers(1, 8), st.floats(128.0, 131.0), st.floats(33.5, 35.5), st.booleans()), max_size=40
)


@settings(deadline=None)
@given(moves=_moves, view=st.tuples(st.floats(128.0, 129.5), st.floats(129.6, 131.0)))
def test_frames_put_together_are_the_view(
    moves: list[tuple[int, float, float, bool]], view: tuple[float, float]
) -> None:
    """Whatever moves between looks, a screen that applies its frames shows exactly what is in its box."""
    picture, screen = Picture(), {}
    watcher = Watcher(picture, language="ja")
    box = Box.around([view[0], 33.0, view[1], 36.0])
    watcher.look(box, zoom=8.0)
    for seq, (number, lon, lat, looks) in enumerate(moves):
        picture.update([track(number, lon=lon, lat=lat)], seq=seq)
        if not looks:
            continue
        for frame in watcher.advance(now_us=NOW_US):
            if frame.kind is FrameKind.REMOVE:
                for handle in frame.records.tolist():
                    del screen[handle]
                continue
            if frame.kind is FrameKind.SNAPSHOT:
                screen.clear()
            screen.update({int(r["handle"]): (int(r["lon_e7"]), int(r["lat_e7"])) for r in frame.records})
        shown = picture._records[np.flatnonzero(picture.in_view(box, now_us=NOW_US))]
        assert screen == {int(r["handle"]): (int(r["lon_e7"]), int(r["lat_e7"])) for r in shown}


def test_our_own_assets_are_named_in_the_screens_language_and_marked_ours_when_they_are_registered() -> None:
    # given a screen that has seen a vessel under its MMSI
    picture = Picture()
    picture.update([track(1)], seq=1)
    watcher = Watcher(picture, language="en")
    watcher.look(TSUSHIMA, zoom=9.0)
    watcher.advance(now_us=NOW_US)
    assert not int(picture.records_of([track(1)])["flags"][0]) & RecordFlag.ASSET
    # when somebody registers it as ours
    picture.rename(Names({track(1).subject: {"ja": "監視艇5号", "en": "Patrol boat 5"}}))
    # then the screen hears its name, and may be searched for by either
    (after,) = watcher.advance(now_us=NOW_US)
    assert [name for _, _, name in after.names] == ["Patrol boat 5"]
    assert int(picture.records_of([track(1)])["flags"][0]) & RecordFlag.ASSET
    assert after.kind is FrameKind.DELTA
    assert picture.find("監視艇", limit=5) == picture.find("patrol", limit=5) == [track(1)]


def test_the_extent_is_around_what_is_shown_and_nothing_where_nothing_is() -> None:
    picture = Picture()
    assert picture.extent(now_us=NOW_US) is None
    picture.update([track(1, 11.5, 57.5), track(2, 12.0, 58.0), track(3, None)], seq=1)
    assert picture.extent(now_us=NOW_US) == (11.5, 57.5, 12.0, 58.0)


@pytest.mark.parametrize("typed", ["かいよう", "ｶｲﾖｳ jd2", "８５５"])
def test_a_track_is_found_by_name_call_sign_and_number_however_they_are_typed(typed: str) -> None:
    picture = Picture()
    kaiyo = track(9_855, attributes={"name": "第三カイヨウ丸", "callsign": "JD2100"})
    picture.update([kaiyo, track(2)], seq=1)
    assert picture.find(typed, limit=5) == [kaiyo]
