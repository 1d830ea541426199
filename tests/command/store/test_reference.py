"""Health, assets, exemptions, orders and facilities: kept and read back equal."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator

import pytest
from alembic.command import upgrade as alembic_upgrade
from alembic.config import Config
from sqlalchemy import Engine, text

from command.domain.facility import Facility, FacilityKind, FacilityOrigin
from command.domain.geo import Position
from command.domain.health import SourceHealth
from command.domain.observation import SubjectKind
from command.domain.realm import Realm
from command.store.assets import Asset, current_exemptions, list_assets, put_asset, put_exemption
from command.store.commands import CommandRequest, list_command_requests, save_command_request
from command.store.engine import make_engine, realm_session, shared_session
from command.store.facilities import (
    facilities_revision,
    facility_versions,
    latest_facilities,
    list_facilities,
    put_facility,
    save_shipped,
)
from command.store.health import (
    Heartbeat,
    list_heartbeats,
    list_source_health,
    save_heartbeat,
    save_source_health,
)
from command.store.migrations import migrate

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


@pytest.fixture
def fresh(database_url: str) -> Iterator[Engine]:
    """A database of its own: facilities are shared by all realms."""
    made = make_engine(database_url)
    migrate(made)
    yield made
    made.dispose()


def test_the_facilities_are_those_of_the_last_list(fresh: Engine) -> None:
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
    with shared_session(fresh) as session:
        save_shipped(session, [izuhara, hakata], 1)
        assert list_facilities(session) == [hakata, izuhara]
        assert facilities_revision(session) == 2
        # when a release moves one and lacks the other
        moved = dataclasses.replace(izuhara, position=Position(lon=129.3, lat=34.2))
        save_shipped(session, [moved], 2)
        # then that is what there is, and what there was can still be told
        assert list_facilities(session) == [moved]
        assert [
            (v.version, v.facility, v.valid_from_us) for v in facility_versions(session, moved.facility_id, limit=9)
        ] == [
            (2, moved, 2),
            (1, izuhara, 1),
        ]
        assert [v.retired for v in facility_versions(session, hakata.facility_id, limit=9)] == [True, False]
        # and the same list again changes nothing
        before = facilities_revision(session)
        save_shipped(session, [moved], 3)
        assert facilities_revision(session) == before


def test_a_release_leaves_what_people_imported_alone(fresh: Engine) -> None:
    own = Facility(
        facility_id="bonded-1",
        kind=FacilityKind.BONDED_AREA,
        name_ja="第一保税倉庫",
        name_en="First bonded warehouse",
        prefecture="",
        municipality="",
        position=Position(lon=129.3, lat=34.2),
        stated_distance_km=None,
        source_note="",
    )
    with shared_session(fresh) as session:
        put_facility(session, own, FacilityOrigin.IMPORTED, "sato", 1)
        save_shipped(session, [], 2)
        assert list_facilities(session) == [own]
        # but an id that a release brings is the release's
        save_shipped(session, [dataclasses.replace(own, name_ja="税関")], 3)
        (now,) = latest_facilities(session)
        assert (now.version, now.origin, now.author) == (2, FacilityOrigin.SHIPPED, "mizugiwa")


def test_what_was_shipped_before_facilities_had_versions_is_still_there(database_url: str) -> None:
    # given a database of the version before
    made = make_engine(database_url)
    with shared_session(made) as session:
        session.execute(text("CREATE SCHEMA shared"))
        config = Config()
        config.set_main_option("script_location", "command.store:migrations")
        config.set_main_option("version_locations", "command.store:migrations/shared")
        config.set_main_option("path_separator", "newline")
        config.attributes.update(connection=session.connection(), schema="shared")
        alembic_upgrade(config, "shared_0002")
        session.execute(
            text(
                "INSERT INTO shared.facility VALUES ('open-port-izuhara', 'open_port', '厳原港', 'Izuhara', '長崎県', "
                "'対馬市', ST_SetSRID(ST_MakePoint(129.3, 34.2), 4326), 5, 'note')"
            )
        )
    # when it is migrated
    migrate(made)
    # then the facility is the first version of a shipped one
    with shared_session(made) as session:
        (kept,) = latest_facilities(session)
    assert (kept.facility.name_ja, kept.version, kept.origin) == ("厳原港", 1, FacilityOrigin.SHIPPED)
    assert kept.facility.position == Position(lon=129.3, lat=34.2)
    made.dispose()
