"""Rules and areas: versions, revisions and what rules remember."""

from __future__ import annotations

from math import cos, sin
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from shapely import MultiPolygon, Point, Polygon, box
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from command.domain.area import Area, AreaKind
from command.domain.realm import Realm
from command.store.areas import BadArea, areas_revision, current_areas, put_area
from command.store.engine import realm_session
from command.store.rules import (
    RuleVersion,
    current_rules,
    load_rule_memory,
    put_rule,
    rules_revision,
    save_rule_memory,
)

NOW_US = 1_764_000_000_000_000
IZUHARA = box(129.2, 34.1, 129.4, 34.3)


def put(engine: Engine, realm: Realm, geometry: BaseGeometry, *, slug: str = "izuhara", now_us: int = NOW_US) -> Area:
    with realm_session(engine, realm) as session:
        return put_area(session, slug, AreaKind.GEOFENCE, "厳原", "Izuhara", geometry, "sato", now_us)


def test_an_area_comes_back_equal_and_a_change_is_a_new_version(engine: Engine, realm: Realm) -> None:
    first = put(engine, realm, IZUHARA)
    islands = MultiPolygon([IZUHARA, box(129.6, 34.1, 129.7, 34.2)])
    second = put(engine, realm, islands, now_us=NOW_US + 1)
    other = put(engine, realm, IZUHARA, slug="a-first")

    assert (first.version, second.version, other.version) == (1, 2, 1)
    assert first.area_id == second.area_id != other.area_id
    with realm_session(engine, realm) as session:
        assert current_areas(session) == [other, second]
        assert session.execute(text("SELECT count(*) FROM area_version")).scalar_one() == 3


def test_the_revision_rises_with_each_change_only(engine: Engine, realm: Realm) -> None:
    def revision() -> int:
        with realm_session(engine, realm) as session:
            return areas_revision(session)

    assert revision() == 0
    put(engine, realm, IZUHARA)
    after_first = revision()
    same = put(engine, realm, IZUHARA, now_us=NOW_US + 9)
    assert (same.version, same.valid_from_us, revision()) == (1, NOW_US, after_first)
    put(engine, realm, IZUHARA.buffer(0.01))
    assert revision() > after_first > 0


@pytest.mark.parametrize(
    ("geometry", "says"),
    [
        (Point(129.3, 34.2), "a Point has no inside; draw a polygon"),
        (Polygon(), "has no inside"),
        (Polygon([(0, 0), (1, 1), (1, 0), (0, 1)]), "without crossing its own edge"),
        (box(34.1, 129.2, 34.3, 129.4), "degrees on the globe, longitude first"),
        (box(0, 0, 181, 1), "degrees on the globe"),
        (Polygon([(cos(i / 16_000), sin(i / 16_000)) for i in range(100_500)]), "simplify it to 100000"),
    ],
)
def test_what_cannot_be_watched_is_refused_with_what_to_draw(
    engine: Engine, realm: Realm, geometry: BaseGeometry, says: str
) -> None:
    with pytest.raises(BadArea, match=says):
        put(engine, realm, geometry)


@pytest.mark.parametrize("slug", ["", "Izuhara", "厳原", "a--b", "a.b", "-a", "a" * 61, "a\n"])
def test_a_name_that_cannot_stand_in_a_routing_key_is_refused(engine: Engine, realm: Realm, slug: str) -> None:
    with pytest.raises(BadArea, match="small letters, digits and single hyphens"):
        put(engine, realm, IZUHARA, slug=slug)


@pytest.mark.parametrize("change", ["UPDATE {} SET author = 'x'", "DELETE FROM {}", "TRUNCATE {}"])
@pytest.mark.parametrize("table", ["area_version", "rule_version"])
def test_which_version_held_when_cannot_be_changed(engine: Engine, realm: Realm, table: str, change: str) -> None:
    put(engine, realm, IZUHARA)
    with realm_session(engine, realm) as session:
        put_rule(session, "ais_gap", {}, "sato", NOW_US)

    with pytest.raises(DBAPIError, match=f"{table} is append-only"), realm_session(engine, realm) as session:
        session.execute(text(change.format(table)))


def test_a_rule_keeps_its_versions_and_the_newest_holds(engine: Engine, realm: Realm) -> None:
    with realm_session(engine, realm) as session:
        assert (current_rules(session), rules_revision(session)) == ([], 0)
        first = put_rule(session, "ais_gap", {"severity": "high", "gap_min": 30}, "sato", NOW_US)
        again = put_rule(session, "ais_gap", {"gap_min": 30, "severity": "high"}, "mori", NOW_US + 1)
        put_rule(session, "distress", {}, "sato", NOW_US)
        revision = rules_revision(session)
        second = put_rule(session, "ais_gap", {"severity": "low"}, "mori", NOW_US + 2)

        assert first == again
        assert second == RuleVersion(
            rule="ais_gap", version=2, config={"severity": "low"}, author="mori", valid_from_us=NOW_US + 2
        )
        assert [version.rule for version in current_rules(session)] == ["ais_gap", "distress"]
        assert current_rules(session)[0] == second
        assert rules_revision(session) > revision


keys = st.sampled_from(["mmsi:1", "mmsi:2", "あ", ""])
changes = st.dictionaries(
    st.sampled_from(["ais_gap", "distress"]),
    st.dictionaries(
        keys, st.none() | st.dictionaries(st.sampled_from("ab"), st.integers() | st.text("xあ", max_size=3))
    ),
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(story=st.lists(changes, max_size=4))
def test_rules_remember_what_they_were_told_last(
    engine: Engine, realm: Realm, story: list[dict[str, dict[str, dict[str, Any] | None]]]
) -> None:
    with realm_session(engine, realm) as session:
        session.execute(text("TRUNCATE rule_memory"))
    expected: dict[str, dict[str, dict[str, Any]]] = {}
    for change in story:
        for rule, entries in change.items():
            for key, entry in entries.items():
                if entry is None:
                    expected.get(rule, {}).pop(key, None)
                else:
                    expected.setdefault(rule, {})[key] = entry
        with realm_session(engine, realm) as session:
            save_rule_memory(session, change)

    with realm_session(engine, realm) as session:
        assert load_rule_memory(session) == {rule: entries for rule, entries in expected.items() if entries}
