"""A rule run again over stored history: nothing differs where nothing was changed, and the realm is left as it is."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from shapely import box
from sqlalchemy import Engine, text

from alerts.engine import BadRuleConfig
from command.app.rules import backtest_json, backtest_lines
from command.domain.area import AreaKind
from command.domain.clock import US_PER_S, DataClock
from command.domain.realm import Realm
from command.operations.backtest import Backtest, BacktestRefused, backtest, parse_changes
from command.operations.realms import open_realm
from command.operations.replay import replay
from command.operations.rules import UnknownRuleName
from command.services import Endpoints, delete_vhost
from command.store.areas import put_area
from command.store.engine import make_engine, realm_session
from command.store.realms import list_realms

FROM_US = 1_452_603_600 * US_PER_S
"""2016-01-12T13:00Z, two minutes before the recording begins."""
TO_US = FROM_US + 5_400 * US_PER_S
SOLENT = "stonesoup_SolentAIS_20160112_130211.csv"


@pytest.fixture
def played(
    endpoints: Endpoints, database_url: str, tmp_path: Path, shared_data: Path
) -> Iterator[tuple[Engine, Realm]]:
    """The Solent's traffic, replayed through gateway, broker and intake into a realm with two fences."""
    engine, realm = make_engine(database_url), Realm.parse(f"replay-{uuid.uuid4().hex[:10]}")
    open_realm(engine, endpoints, realm, clock=DataClock(latest_us=FROM_US))
    with realm_session(engine, realm) as session:
        for slug, shape in (("west", box(-1.35, 50.72, -1.25, 50.8)), ("east", box(-1.15, 50.72, -1.05, 50.8))):
            put_area(session, slug, AreaKind.GEOFENCE, slug, slug, shape, "test", FROM_US)
    replay(engine, endpoints, [shared_data / "ais" / SOLENT], speed="max", rejects_dir=tmp_path, realm=realm)
    yield engine, realm
    engine.dispose()
    delete_vhost(endpoints, realm.vhost)


def run(played: tuple[Engine, Realm], rule: str = "geofence_entry", **changes: Any) -> Backtest:
    engine, realm = played
    return backtest(engine, realm, rule, from_us=FROM_US, to_us=TO_US, changes=changes, now_us=TO_US)


def counts(done: Backtest) -> tuple[int, int, int]:
    return len(done.both), len(done.only_then), len(done.only_now)


def content(played: tuple[Engine, Realm]) -> dict[str, tuple[int, str]]:
    """Rows and a digest of every table of the realm."""
    engine, realm = played
    with realm_session(engine, realm) as session:
        tables = session.execute(
            text("SELECT tablename FROM pg_tables WHERE schemaname = :schema"), {"schema": realm.schema}
        ).scalars()
        digest = "SELECT count(*), coalesce(md5(string_agg(t::text, '|' ORDER BY t::text)), '') FROM \"{}\" t"
        return {table: tuple(session.execute(text(digest.format(table))).one()) for table in tables.all()}


def test_the_same_settings_say_what_really_happened_and_others_what_would_have(played: tuple[Engine, Realm]) -> None:
    engine, _ = played
    before = content(played)
    # when nothing is changed, then nothing differs, for rules that speak by report and by the clock
    same = {rule: run(played, rule) for rule in ("geofence_entry", "geofence_dwell", "ais_gap")}
    assert {rule: counts(done)[1:] for rule, done in same.items()} == dict.fromkeys(same, (0, 0))
    entries = len(same["geofence_entry"].both)
    assert entries > 20
    assert same["geofence_dwell"].both
    # when a fence is left out, its alerts are those that only really happened
    west = run(played, areas=["west"])
    assert {alert.area for alert in west.only_then} == {"east"}
    assert (len(west.both) + len(west.only_then), west.only_now) == (entries, [])
    # when a shorter stay is a dwell, there are more
    dwell = run(played, "geofence_dwell", after_s=300.0)
    assert dwell.only_now
    assert dwell.only_then == []
    # and it says so to people and programs
    told = backtest_json(dwell)
    assert told["now"]["alerts"] == told["then"]["alerts"] + len(told["only_now"])
    assert told["now"]["an_hour"] == pytest.approx(told["now"]["alerts"] / 1.5, abs=0.01)
    assert told["only_now"][0].keys() == {"opened_at", "subject", "subject_label", "area", "severity"}
    assert any(line.startswith("+ these settings only") for line in backtest_lines(dwell, "en"))
    # much faster than it happened
    assert told["times_real_time"] > 50
    # and the realm is as it was, and no other is left
    assert content(played) == before
    assert [realm.name for realm in list_realms(engine)] == [played[1].name]
    # what cannot be run is refused before anything is made
    for rule, changes, wrong, words in (
        ("source_silent", {}, BacktestRefused, "no history is kept"),
        ("conditions_none", {}, UnknownRuleName, "conditions_none"),
        ("geofence_dwell", {"after_s": -1}, BadRuleConfig, "after_s"),
    ):
        with pytest.raises(wrong, match=words):
            run(played, rule, **changes)
    with pytest.raises(BacktestRefused, match="ahead of the realm's time"):
        backtest(engine, played[1], "ais_gap", from_us=FROM_US, to_us=TO_US, changes={}, now_us=FROM_US)


def test_settings_are_written_as_name_and_value() -> None:
    written = ["after_s=600", "after_s_by_area.bay=60", "after_s_by_area.port=120", 'areas=["bay"]', "severity=high"]

    assert parse_changes(written) == {
        "after_s": 600,
        "after_s_by_area": {"bay": 60, "port": 120},
        "areas": ["bay"],
        "severity": "high",
    }
    for wrong in ("after_s", "=3", "a..b=1"):
        with pytest.raises(BacktestRefused, match="NAME=VALUE"):
            parse_changes([wrong])
    with pytest.raises(BacktestRefused, match="say one of the two"):
        parse_changes(["areas=1", "areas.bay=2"])
