"""Notifications: once a commit, to the realm's listeners only, and a lost line is told."""

from __future__ import annotations

import uuid
from contextlib import closing

import psycopg
import pytest
from shapely import box
from sqlalchemy import Engine

from command.domain.alert import Finding, FindingKind, Severity
from command.domain.area import AreaKind
from command.domain.observation import SubjectKind
from command.domain.realm import Realm
from command.domain.track import Track, TrackStatus
from command.store.alerts import acknowledge_alert, record_findings
from command.store.areas import put_area
from command.store.engine import StoreUnavailable, realm_session
from command.store.migrations import drop_realm, ensure_realm
from command.store.notify import channel_of, listen, notify
from command.store.tracks import LatestTrack, next_flush_seq, upsert_latest

NOW_US = 1_764_000_000_000_000


def test_each_change_is_told_when_it_commits(store_url: str, engine: Engine, realm: Realm) -> None:
    track = Track(
        track_id=uuid.UUID(int=1),
        subject="mmsi:431002123",
        kind=SubjectKind.VESSEL,
        status=TrackStatus.LIVE,
        source="x",
        observed_at_us=NOW_US,
        recorded_at_us=NOW_US,
        position=None,
    )
    finding = Finding(
        kind=FindingKind.OPENED,
        rule="distress",
        severity=Severity.CRITICAL,
        subject="mmsi:970000001",
        area=None,
        episode_start_us=NOW_US,
        observed_at_us=NOW_US,
        position=None,
        because="because.distress",
    )

    def fail() -> None:
        with realm_session(engine, realm) as session:
            notify(session, {"never": 1})
            raise RuntimeError("rolled back")

    with closing(listen(store_url, realm, timeout_s=20.0)) as heard:
        assert next(heard) is None

        with pytest.raises(RuntimeError, match="rolled back"):
            fail()
        with realm_session(engine, realm) as session:
            seq = next_flush_seq(session)
            upsert_latest(session, [LatestTrack(track, b"")], flush_seq=seq)
            (alert,) = record_findings(session, realm, [finding], labels={}, now_us=NOW_US)
            record_findings(session, realm, [finding], labels={}, now_us=NOW_US)
        with realm_session(engine, realm) as session:
            put_area(session, "a", AreaKind.GEOFENCE, "あ", "A", box(0, 0, 1, 1), "sato", NOW_US)
            acknowledge_alert(session, alert.alert_id, by="sato", comment="", now_us=NOW_US)

        assert [next(heard) for _ in range(4)] == [{"tracks": seq}, {"alerts": 1}, {"areas": 1}, {"alerts": 1}]


def test_a_listener_hears_its_own_realm_and_wakes_when_nothing_comes(
    store_url: str, engine: Engine, realm: Realm
) -> None:
    other = Realm.parse("drill-" + "x" * 40)
    ensure_realm(engine, other, clock=None)
    assert len(channel_of(other)) <= 63
    with closing(listen(store_url, other, timeout_s=0.05)) as heard:
        assert next(heard) is None
        with realm_session(engine, realm) as session:
            notify(session, {"tracks": 1})
        assert next(heard) is None
        with realm_session(engine, other) as session:
            notify(session, {"tracks": 2})
        assert next(message for message in heard if message is not None) == {"tracks": 2}
    drop_realm(engine, other)


def test_a_line_that_is_lost_is_store_unavailable(store_url: str, realm: Realm) -> None:
    with closing(listen(store_url, realm, timeout_s=20.0)) as heard:
        assert next(heard) is None
        with psycopg.connect(store_url, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND query LIKE 'LISTEN%%' AND query LIKE %s",
                (f"%{channel_of(realm)}%",),
            )
        with pytest.raises(StoreUnavailable, match="does not answer"):
            next(heard)


def test_a_notification_that_is_too_large_is_refused(engine: Engine, realm: Realm) -> None:
    with pytest.raises(ValueError, match="7999"), realm_session(engine, realm) as session:
        notify(session, {"text": "水" * 3_000})
