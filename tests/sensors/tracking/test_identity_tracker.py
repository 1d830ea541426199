"""What the identity-keyed tracker makes of rows of every sort."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from command.domain import ids
from command.domain.clock import US_PER_S
from command.domain.geo import Position, destination, distance_m
from command.domain.observation import (
    IdentityScheme,
    ObservationBatch,
    ObservationFlag,
    ObservationKind,
    SubjectKind,
    empty_rows,
)
from command.domain.track import Track, TrackStatus
from sensors.tracking.identity import IdentityTracker
from sensors.tracking.tracker import TrackerOutput

T0_S = 1_795_000_000
IZUHARA = Position(lon=129.3, lat=34.2)
MMSI = 431_002_123


def batch(*rows: dict[str, Any], source: str = "tsushima-ais", facts: dict[int, dict[str, Any]] | None = None) -> Any:
    """An ObservationBatch of these rows; `at_s` counts from T0_S, `position` is a Position."""
    made = empty_rows(len(rows))
    for i, given in enumerate(rows):
        row = {
            "subject_scheme": IdentityScheme.MMSI,
            "subject_key": MMSI,
            "subject_kind": SubjectKind.VESSEL,
            "kind": ObservationKind.POSITION,
            **given,
        }
        observed_at_us = int((T0_S + row.pop("at_s")) * US_PER_S)
        position = row.pop("position", None)
        if position is not None:
            row["lon"], row["lat"] = position.lon, position.lat
        made[i]["observed_at_us"] = made[i]["received_at_us"] = observed_at_us
        made[i]["observation_id"] = np.void(ids.observation_id(source, observed_at_us, repr(given).encode()))
        for name, value in row.items():
            made[i][name] = value
    return ObservationBatch(source=source, rows=made, attributes=facts or {})


def along(distance: float, *, course_deg: float = 45.0) -> Position:
    return destination(IZUHARA, course_deg=course_deg, distance_m=distance)


def update(tracker: IdentityTracker, *batches: ObservationBatch) -> TrackerOutput:
    return tracker.update(batches, recorded_at_us=T0_S * US_PER_S)


def only(tracker: IdentityTracker) -> Track:
    (track,) = tracker.tracks.values()
    return track


def place(track: Track) -> Position:
    assert track.position is not None
    return track.position


def test_the_first_report_is_the_track() -> None:
    tracker = IdentityTracker("live")

    output = update(tracker, batch({"at_s": 0, "position": IZUHARA}))

    track = only(tracker)
    assert track.track_id == ids.track_id("live", f"mmsi:{MMSI}")
    assert (track.subject, track.status, track.position) == (f"mmsi:{MMSI}", TrackStatus.LIVE, IZUHARA)
    assert track.speed_mps is None, "one position says nothing of a speed"
    assert [change.track for change in output.changed] == [track]
    assert bytes(output.states["track_id"][0]) == track.track_id.bytes


def test_reported_course_and_speed_are_believed_at_once() -> None:
    tracker = IdentityTracker("live")

    update(tracker, batch({"at_s": 0, "position": IZUHARA, "speed_mps": 8.0, "course_deg": 300.0}))

    assert only(tracker).speed_mps == pytest.approx(8.0)
    assert only(tracker).course_deg == pytest.approx(300.0)


def test_speed_is_learnt_from_positions_where_none_is_reported() -> None:
    tracker = IdentityTracker("live")

    update(tracker, batch(*({"at_s": 10 * i, "position": along(80.0 * i)} for i in range(30))))

    assert only(tracker).speed_mps == pytest.approx(8.0, rel=0.02)
    assert only(tracker).course_deg == pytest.approx(45.0, abs=1.0)
    assert distance_m(place(only(tracker)), along(80.0 * 29)) < 3.0


def test_a_vessel_at_rest_has_no_course() -> None:
    tracker = IdentityTracker("live")

    update(tracker, batch({"at_s": 0, "position": IZUHARA, "speed_mps": 0.0}))

    assert (only(tracker).speed_mps, only(tracker).course_deg) == (0.0, None)


def test_a_row_older_than_the_last_position_does_not_move_the_track_back() -> None:
    tracker = IdentityTracker("live")
    update(tracker, batch({"at_s": 100, "position": along(800)}))
    before = only(tracker)

    output = update(tracker, batch({"at_s": 40, "position": IZUHARA}))

    assert (len(output.states), output.changed, output.counts) == (0, [], {"late": 1})
    assert only(tracker) == before


def test_one_impossible_jump_is_flagged_and_leaves_the_track_where_it_was() -> None:
    tracker = IdentityTracker("live")
    update(tracker, batch({"at_s": 0, "position": IZUHARA}))

    output = update(tracker, batch({"at_s": 10, "position": along(50_000)}))

    assert output.counts == {"impossible_jump": 1}
    assert int(output.states["flags"][0]) & ObservationFlag.IMPOSSIBLE_JUMP
    assert (output.states["lon"][0], output.states["lat"][0]) == (IZUHARA.lon, IZUHARA.lat)
    assert place(only(tracker)) == IZUHARA
    assert only(tracker).attributes["position_observed_at_us"] == T0_S * US_PER_S, "its place is older than its report"


def test_three_jumps_that_agree_are_the_truth() -> None:
    tracker = IdentityTracker("live")
    update(tracker, batch({"at_s": 0, "position": IZUHARA}))

    output = update(tracker, batch(*({"at_s": 10 + 10 * i, "position": along(50_000 + 80 * i)} for i in range(3))))

    assert output.counts == {"impossible_jump": 2, "reseeded": 1}
    assert place(only(tracker)) == along(50_160)
    assert not only(tracker).flags & ObservationFlag.IMPOSSIBLE_JUMP


def test_jumps_that_disagree_or_are_interrupted_never_move_the_track() -> None:
    tracker = IdentityTracker("live")
    update(tracker, batch({"at_s": 0, "position": IZUHARA}))
    far, farther = along(50_000), along(90_000, course_deg=200.0)

    disagreeing = batch(*({"at_s": 1 + i, "position": (far, farther)[i % 2]} for i in range(6)))
    interrupted = batch(
        *({"at_s": 10 + i, "position": p} for i, p in enumerate((far, far, IZUHARA, far, far, IZUHARA)))
    )
    output = update(tracker, disagreeing, interrupted)

    assert output.counts == {"impossible_jump": 10}
    assert distance_m(place(only(tracker)), IZUHARA) < 1.0


def test_two_vessels_under_one_number_do_not_make_one_that_leaps() -> None:
    tracker = IdentityTracker("live")
    here = [{"at_s": 20 * i, "position": along(100.0 * i)} for i in range(20)]
    there = [{"at_s": 20 * i + 10, "position": along(80_000 + 100.0 * i)} for i in range(20)]

    update(tracker, batch(*sorted(here + there, key=lambda row: float(str(row["at_s"])))))

    assert distance_m(place(only(tracker)), along(1_900)) < 20.0


def test_a_subject_that_was_away_for_long_may_come_back_elsewhere() -> None:
    tracker = IdentityTracker("live")
    update(tracker, batch({"at_s": 0, "position": IZUHARA, "speed_mps": 8.0, "course_deg": 45.0}))

    output = update(tracker, batch({"at_s": 6 * 3600, "position": along(200_000)}))

    assert not output.counts
    assert place(only(tracker)) == along(200_000)


def test_a_position_without_a_fix_is_never_zero_zero() -> None:
    tracker = IdentityTracker("live")

    output = update(tracker, batch({"at_s": 0, "flags": ObservationFlag.NO_FIX}))

    assert np.isnan(output.states["lon"][0])
    assert (only(tracker).position, only(tracker).status) == (None, TrackStatus.TENTATIVE)


def test_a_quarantined_row_touches_nothing() -> None:
    tracker = IdentityTracker("live")

    output = update(tracker, batch({"at_s": 0, "position": IZUHARA, "flags": ObservationFlag.CLOCK_OFF}))

    assert (len(output.states), dict(tracker.tracks), output.counts) == (0, {}, {"quarantined": 1})


def test_a_row_without_an_identity_is_counted_and_makes_no_track() -> None:
    tracker = IdentityTracker("live")

    output = update(tracker, batch({"at_s": 0, "position": IZUHARA, "subject_scheme": IdentityScheme.NONE}))

    assert (dict(tracker.tracks), output.counts) == ({}, {"unidentified": 1})


def test_telemetry_brings_battery_and_link_and_leaves_the_place() -> None:
    tracker = IdentityTracker("live")
    drone = {"subject_scheme": IdentityScheme.MAVLINK, "subject_key": 0x5D1F, "subject_kind": SubjectKind.AIR_DRONE}
    update(tracker, batch({"at_s": 0, "position": IZUHARA, "flags": ObservationFlag.ASSET, **drone}))

    output = update(
        tracker,
        batch(
            {"at_s": 1, "kind": ObservationKind.TELEMETRY, "battery_percent": 41.0, "position": along(500), **drone},
            {"at_s": 2, "kind": ObservationKind.TELEMETRY, "link_percent": 80.0, **drone},
            facts={0: {"mode": "AUTO"}, 1: {"armed": True}},
        ),
    )

    track = only(tracker)
    assert (track.subject, track.position, track.observed_at_us) == ("mavlink:5d1f", IZUHARA, (T0_S + 2) * US_PER_S)
    assert (track.battery_percent, track.link_percent) == (41.0, 80.0)
    assert (track.attributes["mode"], track.attributes["armed"]) == ("AUTO", True)
    assert track.flags & ObservationFlag.ASSET, "whose vehicle it is does not depend on the last message"
    assert output.states["battery_percent"].tolist() == [41.0, 41.0]


def test_a_static_report_names_the_track_and_keeps_a_distress_until_the_next_position() -> None:
    tracker = IdentityTracker("live")
    update(tracker, batch({"at_s": 0, "position": IZUHARA, "flags": ObservationFlag.DISTRESS}))

    update(tracker, batch({"at_s": 1, "kind": ObservationKind.STATIC}, facts={0: {"name": "KAIYO MARU"}}))

    assert only(tracker).attributes["name"] == "KAIYO MARU"
    assert only(tracker).flags & ObservationFlag.DISTRESS
    update(tracker, batch({"at_s": 2, "position": IZUHARA}))
    assert not only(tracker).flags & ObservationFlag.DISTRESS


def test_our_own_ship_is_apart_from_what_others_report_under_its_number() -> None:
    tracker = IdentityTracker("live")

    update(
        tracker,
        batch(
            {"at_s": 0, "position": IZUHARA, "flags": ObservationFlag.OWN_SHIP},
            {"at_s": 0, "position": along(30_000)},
        ),
    )

    own, other = sorted(tracker.tracks.values(), key=lambda t: -t.flags)
    assert own.track_id != other.track_id
    assert (place(own), place(other)) == (IZUHARA, along(30_000))


def test_an_aid_to_navigation_stands_still_where_it_was_last_reported() -> None:
    tracker = IdentityTracker("live")
    buoy = {"subject_kind": SubjectKind.AID_TO_NAVIGATION, "speed_mps": 0.4, "course_deg": 10.0}

    update(tracker, batch(*({"at_s": 180 * i, "position": along(20.0 * i), **buoy} for i in range(5))))

    assert (place(only(tracker)), only(tracker).speed_mps) == (along(80.0), 0.0)


def test_a_track_goes_stale_then_lost_by_its_kind_and_comes_back() -> None:
    tracker = IdentityTracker("live")
    update(tracker, batch({"at_s": 0, "position": IZUHARA}))

    def status_at(at_s: float) -> TrackStatus:
        tracker.tick(int((T0_S + at_s) * US_PER_S))
        return only(tracker).status

    seen = [status_at(s) for s in (60, 420, 421, 1_800, 1_801)]

    assert seen == [TrackStatus.LIVE, TrackStatus.LIVE, TrackStatus.STALE, TrackStatus.STALE, TrackStatus.LOST]
    assert tracker.tick((T0_S + 1_900) * US_PER_S).changed == [], "a status is told once"
    update(tracker, batch({"at_s": 1_900, "position": IZUHARA}))
    assert only(tracker).status is TrackStatus.LIVE


def test_static_reports_do_not_make_an_old_position_look_fresh() -> None:
    tracker = IdentityTracker("live")
    update(tracker, batch({"at_s": 0, "position": IZUHARA}))
    tracker.tick((T0_S + 500) * US_PER_S)

    update(tracker, batch({"at_s": 501, "kind": ObservationKind.STATIC}))
    tracker.tick((T0_S + 502) * US_PER_S)

    assert only(tracker).status is TrackStatus.STALE


def test_a_track_crosses_the_antimeridian() -> None:
    tracker = IdentityTracker("live")
    start = Position(lon=179.99, lat=10.0)
    legs = [destination(start, course_deg=90.0, distance_m=100.0 * i) for i in range(40)]

    output = update(tracker, batch(*({"at_s": 10 * i, "position": p} for i, p in enumerate(legs))))

    assert not output.counts
    assert distance_m(place(only(tracker)), legs[-1]) < 3.0
    assert place(only(tracker)).lon < -179.9


@pytest.mark.parametrize("lat", [90.0, -90.0, 89.9999])
def test_the_poles_are_places_too(lat: float) -> None:
    tracker = IdentityTracker("live")

    update(tracker, batch(*({"at_s": i, "position": Position(lon=90.0 * (i % 4) - 180, lat=lat)} for i in range(8))))

    assert all(math.isfinite(x) for x in (place(only(tracker)).lon, place(only(tracker)).lat))


def test_a_filter_state_of_another_version_is_replaced_by_what_the_track_says() -> None:
    first = IdentityTracker("live")
    update(first, batch({"at_s": 0, "position": IZUHARA}, facts={0: {"name": "KAIYO MARU"}}))
    second = IdentityTracker("live")

    second.restore([(only(first), b"another version's bytes")])

    assert (only(second).position, only(second).attributes["name"]) == (IZUHARA, "KAIYO MARU")
    output = update(second, batch({"at_s": 10, "position": along(80)}))
    assert not output.counts
    assert list(second.tracks) == list(first.tracks)
    assert distance_m(place(only(second)), along(80)) < 60.0


def test_a_flood_of_invented_identities_is_counted_and_known_tracks_go_on() -> None:
    tracker = IdentityTracker("live", max_tracks=3)
    update(tracker, batch({"at_s": 0, "position": IZUHARA}))

    flood = batch(*({"at_s": i, "position": IZUHARA, "subject_key": 100 + i} for i in range(10)))
    output = update(tracker, flood, batch({"at_s": 10, "position": along(80)}))

    assert output.counts == {"too_many_tracks": 8}
    assert (len(tracker.tracks), len(output.states)) == (3, 3)
