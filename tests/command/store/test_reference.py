"""Health, assets, exemptions, orders and facilities: kept and read back equal."""

from __future__ import annotations

import dataclasses
import uuid

import pytest
from sqlalchemy import Engine

from command.domain.facility import Facility, FacilityKind
from command.domain.geo import Position
from command.domain.health import SourceHealth
from command.domain.observation import SubjectKind
from command.domain.realm import Realm
from command.store.assets import Asset, current_exemptions, list_assets, put_asset, put_exemption
from command.store.commands import CommandRequest, list_command_requests, save_command_request
from command.store.engine import realm_session, shared_session
from command.store.facilities import list_facilities, save_facilities
from command.store.health import (
    Heartbeat,
    list_heartbeats,
    list_source_health,
    save_heartbeat,
    save_source_health,
)

NOW_US = 1_764_000_000_000_000


def test_the_latest_report_of_each_source_stands(engine: Engine, realm: Realm) -> None:
    first = SourceHealth(
        source="ais-izuhara",
        kind="ais",
        gateway="gateway",
        started_at_us=NOW_US,
        reported_at_us=NOW_US + 1,
        state="running",
        messages_in=10,
        decoded=7,
        rejected={"checksum": 2},
        duplicates=1,
        observations=6,
        shed={"pressure": 1},
        ignored={"depth": 4},
        last_seen_us=NOW_US,
        last_observed_us=NOW_US - 1,
        lag_s=0.1,
        clock_offset_s=-0.5,
        detail="受信中",
    )
    silent = SourceHealth(
        source="ais-hitakatsu", kind="ais", gateway="g", started_at_us=1, reported_at_us=2, state="waiting"
    )
    newer = dataclasses.replace(first, reported_at_us=NOW_US + 5, decoded=8, duplicates=0)
    with realm_session(engine, realm) as session:
        save_source_health(session, [first, silent])
        save_source_health(session, [newer])
        save_source_health(session, [first])
        assert list_source_health(session) == [silent, newer]


def test_the_latest_heartbeat_of_each_process_stands(engine: Engine, realm: Realm) -> None:
    with realm_session(engine, realm) as session:
        save_heartbeat(session, "intake", now_us=NOW_US, pid=7, detail={"lag_s": float("nan")})
        save_heartbeat(session, "gateway", now_us=NOW_US, pid=8, detail={})
        save_heartbeat(session, "intake", now_us=NOW_US + 1, pid=9, detail={"rows": 1})
        assert list_heartbeats(session) == [
            Heartbeat(process="gateway", pid=8, reported_at_us=NOW_US),
            Heartbeat(process="intake", pid=9, reported_at_us=NOW_US + 1, detail={"rows": 1}),
        ]


def test_an_asset_has_one_entry(engine: Engine, realm: Realm) -> None:
    with realm_session(engine, realm) as session:
        put_asset(session, "mavlink:b", SubjectKind.AIR_DRONE, "哨戒", "Patrol")
        put_asset(session, "mavlink:b", SubjectKind.AIR_DRONE, "哨戒一号", "Patrol 1")
        assert list_assets(session) == [
            Asset(subject="mavlink:b", kind=SubjectKind.AIR_DRONE, name_ja="哨戒一号", name_en="Patrol 1")
        ]


def test_an_exemption_ends_by_itself_and_never_begins_when_it_is_over(engine: Engine, realm: Realm) -> None:
    with realm_session(engine, realm) as session:
        short = put_exemption(session, "mmsi:1", "ais_gap", "修理中", "sato", NOW_US + 10, NOW_US)
        long = put_exemption(session, "mmsi:2", None, "訓練", "sato", NOW_US + 20, NOW_US)

        assert current_exemptions(session, NOW_US + 9) == [short, long]
        assert current_exemptions(session, NOW_US + 10) == [long]
        assert current_exemptions(session, NOW_US + 20) == []
        with pytest.raises(ValueError, match="give a later expiry"):
            put_exemption(session, "mmsi:1", None, "x", "sato", NOW_US, NOW_US)


def test_an_order_keeps_what_was_ordered_and_takes_its_answer(engine: Engine, realm: Realm) -> None:
    order = CommandRequest(
        request_id=uuid.uuid4(),
        asset="mavlink:b",
        verb="return",
        arguments={"altitude_m": 60},
        requested_by="mori",
        state="requested",
        created_at_us=NOW_US,
        expires_at_us=NOW_US + 30,
    )
    later = dataclasses.replace(order, request_id=uuid.uuid4(), asset="mavlink:c", created_at_us=NOW_US + 1)
    answered = dataclasses.replace(
        order, state="done", holder="gateway", answered_at_us=NOW_US + 9, answer={"result": "accepted"}
    )
    with realm_session(engine, realm) as session:
        for each in (order, later, dataclasses.replace(answered, verb="never changed")):
            save_command_request(session, each)
        assert list_command_requests(session, limit=9) == [later, answered]
        assert list_command_requests(session, limit=9, asset="mavlink:b") == [answered]
        assert list_command_requests(session, limit=1) == [later]


def test_the_facilities_are_those_of_the_last_list(engine: Engine) -> None:
    izuhara = Facility(
        facility_id="customs-branch-izuhara",
        kind=FacilityKind.CUSTOMS_BRANCH,
        name_ja="厳原税関支署",
        name_en="Izuhara Branch Customs",
        prefecture="長崎県",
        municipality="対馬市",
        position=Position(lon=129.29123456789012, lat=34.19999999999999),
        stated_distance_km=5.0,
        source_note="門司税関",
    )
    hakata = dataclasses.replace(izuhara, facility_id="customs-branch-hakata", name_ja="博多税関支署")
    with shared_session(engine) as session:
        save_facilities(session, [izuhara, hakata])
        assert list_facilities(session) == [hakata, izuhara]
        moved = dataclasses.replace(izuhara, position=Position(lon=129.3, lat=34.2))
        save_facilities(session, [moved])
        assert list_facilities(session) == [moved]
        save_facilities(session, [])
        assert list_facilities(session) == []
