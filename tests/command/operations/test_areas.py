"""What people do to areas: each change is a version, audited, and none is lost to another's."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from shapely import box
from shapely.geometry import mapping
from shapely.geometry.base import BaseGeometry
from sqlalchemy import Engine, text

from command.domain.area import AreaKind
from command.domain.clock import ScenarioClock
from command.domain.people import Role, User
from command.domain.realm import Realm
from command.operations.areas import AreaBook, AreaChanged, AreaDraft, AreaRefused, UnknownArea
from command.operations.imports import ImportRefused, free_slug
from command.operations.people import Forbidden, Person
from command.store.audit import AuditEntry, list_audit
from command.store.engine import make_engine, realm_session
from command.store.migrations import ensure_realm, migrate
from maps.area_geometry import clean_geometry
from maps.exchange import Feature, Format, read_features

BAY = box(129.3, 34.2, 129.4, 34.3)


def person(login: str = "sato", *roles: Role) -> Person:
    user = User(
        user_id=uuid.uuid4(),
        login=login,
        display_name=login,
        roles=frozenset(roles or {Role.OFFICER}),
        must_change_password=False,
    )
    return Person(user=user, session_id=b"", expires_at_us=0, active_at_us=0)


def draft(geometry: BaseGeometry = BAY, *, name_ja: str = "厳原湾", name_en: str = "Izuhara Bay") -> AreaDraft:
    return AreaDraft(kind=AreaKind.GEOFENCE, name_ja=name_ja, name_en=name_en, geometry=geometry)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(database_url)
    migrate(made)
    yield made
    made.dispose()


@pytest.fixture
def book(engine: Engine) -> AreaBook:
    realm = Realm.parse("drill-areas")
    clock = ScenarioClock(scenario_start_us=0, host_start_us=0, speed=1.0)
    ensure_realm(engine, realm, clock=clock)
    return AreaBook(engine, realm, clock=clock)


def entries(engine: Engine, slug: str) -> list[AuditEntry]:
    with realm_session(engine, Realm.parse("drill-areas")) as session:
        return list_audit(session, limit=20, target=slug)


def test_an_area_is_made_changed_retired_and_brought_back_each_with_its_entry(book: AreaBook, engine: Engine) -> None:
    # when an officer draws an area, another changes it, retires it, and brings the first version back
    made = book.create(draft(), person=person())
    changed = book.change("izuhara-bay", draft(BAY.buffer(0.1)), based_on=1, person=person("mori"))
    retired = book.retire("izuhara-bay", based_on=2, person=person())
    restored = book.restore("izuhara-bay", 1, based_on=3, person=person("mori", Role.ADMIN))

    # then each is a version with who made it, and the audit log has each
    assert [(a.version, a.author, a.retired) for a in (made, changed, retired, restored)] == [
        (1, "sato", False),
        (2, "mori", False),
        (3, "sato", True),
        (4, "mori", False),
    ]
    assert restored.geometry.equals(BAY)
    assert [area.version for area in book.versions("izuhara-bay")] == [4, 3, 2, 1]
    assert [(e.actor, e.action, e.detail["version"]) for e in reversed(entries(engine, "izuhara-bay"))] == [
        ("sato", "area.created", 1),
        ("mori", "area.changed", 2),
        ("sato", "area.retired", 3),
        ("mori", "area.restored", 4),
    ]


def test_a_change_to_what_another_changed_meanwhile_is_refused_with_what_changed(
    book: AreaBook, engine: Engine
) -> None:
    book.create(draft(), person=person())
    book.change("izuhara-bay", draft(BAY.buffer(0.1), name_ja="厳原港"), based_on=1, person=person("mori"))

    with pytest.raises(AreaChanged) as refused:
        book.change("izuhara-bay", draft(name_en="Mine"), based_on=1, person=person())
    with pytest.raises(AreaChanged):
        book.retire("izuhara-bay", based_on=1, person=person())
    with pytest.raises(AreaChanged):
        book.restore("izuhara-bay", 1, based_on=1, person=person())

    assert refused.value.changed == ("name_ja", "geometry")
    assert "mori" in refused.value.explain("ja")
    assert "日本語名、形状" in refused.value.explain("ja")
    assert refused.value.current.version == 2
    assert len(book.versions("izuhara-bay")) == len(entries(engine, "izuhara-bay")) == 2


def test_who_may_not_edit_changes_nothing(book: AreaBook) -> None:
    book.create(draft(), person=person())
    outsider = person("x", *(set(Role) - {Role.OFFICER, Role.ADMIN}))
    for attempt in (
        lambda: book.create(draft(), person=outsider),
        lambda: book.change("izuhara-bay", draft(name_ja="別"), based_on=1, person=outsider),
        lambda: book.retire("izuhara-bay", based_on=1, person=outsider),
        lambda: book.restore("izuhara-bay", 1, based_on=1, person=outsider),
    ):
        with pytest.raises(Forbidden, match="may not edit areas"):
            attempt()
    assert [area.version for area in book.everything()] == [1]


def test_saving_what_holds_makes_neither_a_version_nor_an_entry(book: AreaBook, engine: Engine) -> None:
    book.create(draft(), person=person())
    assert book.change("izuhara-bay", draft(), based_on=1, person=person("mori")).version == 1
    assert len(entries(engine, "izuhara-bay")) == 1


def test_a_retired_area_is_restored_before_it_is_changed(book: AreaBook) -> None:
    book.create(draft(), person=person())
    book.retire("izuhara-bay", based_on=1, person=person())
    with pytest.raises(AreaRefused, match="Restore it"):
        book.change("izuhara-bay", draft(name_ja="別"), based_on=2, person=person())
    with pytest.raises(UnknownArea, match="no version 9"):
        book.restore("izuhara-bay", 9, based_on=2, person=person())
    with pytest.raises(UnknownArea, match="no area nowhere"):
        book.versions("nowhere")


def test_a_name_that_people_cannot_read_is_refused(book: AreaBook) -> None:
    for given, reason in (
        ("", "name_ja_missing"),
        (" \u3000", "name_ja_missing"),
        ("あ" * 101, "name"),
        ("a\x00b", "name"),
    ):
        with pytest.raises(AreaRefused) as refused:
            book.create(draft(name_ja=given), person=person())
        assert refused.value.reason == reason
    assert book.everything() == []


def test_the_slug_comes_from_the_english_name_and_is_free() -> None:
    assert free_slug("Izuhara  Bay (east)", taken=set(), otherwise="area") == "izuhara-bay-east"
    assert free_slug("Tōkyō", taken={"tokyo", "tokyo-2"}, otherwise="area") == "tokyo-3"
    assert free_slug("厳原湾", taken=set(), otherwise="area") == "area"
    assert free_slug("Import", taken=set(), otherwise="area") == "import-2"
    assert len(free_slug("x" * 300, taken={"x" * 50}, otherwise="area")) <= 60


def features(*rows: dict[str, str], shape: BaseGeometry = BAY) -> list[Feature]:
    return [Feature(number=i, properties=row, geometry=mapping(shape)) for i, row in enumerate(rows, start=1)]


def bring(book: AreaBook, given: list[Feature], *, dry_run: bool = False) -> list[tuple[str, str]]:
    taken = book.bring_in(given, default_kind=AreaKind.AREA_OF_INTEREST, by="sato", dry_run=dry_run)
    return [(each.slug, each.outcome.value) for each in taken]


def test_a_file_makes_changes_and_restores_areas_and_taken_again_changes_nothing(
    book: AreaBook, engine: Engine
) -> None:
    book.create(draft(), person=person())
    book.create(draft(name_ja="豊玉", name_en="Toyotama"), person=person())
    book.retire("toyotama", based_on=1, person=person())
    given = features(
        {"slug": "izuhara-bay", "name_ja": "厳原湾", "name_en": "Izuhara Bay", "kind": "重点監視区域"},
        {"slug": "toyotama", "name_ja": "豊玉", "kind": "geofence"},
        {"name": "比田勝"},
    )
    told = [("izuhara-bay", "changed"), ("toyotama", "restored"), ("area", "created")]

    assert bring(book, given, dry_run=True) == told
    assert {area.version for area in book.everything()} == {1, 2}
    assert bring(book, given) == told
    assert {(a.slug, a.kind.value, a.retired, a.version) for a in book.everything()} == {
        ("izuhara-bay", "area_of_interest", False, 2),
        ("toyotama", "geofence", False, 3),
        ("area", "area_of_interest", False, 1),
    }
    assert entries(engine, "area")[0].action == "area.imported"
    assert {outcome for _, outcome in bring(book, given)} == {"unchanged"}


def test_one_wrong_feature_leaves_every_area_as_it_was_and_each_error_is_told(book: AreaBook) -> None:
    bow_tie = {"type": "Polygon", "coordinates": [[[129, 34], [130, 35], [130, 34], [129, 35]]]}
    off = {"type": "Polygon", "coordinates": [[[129, 34], [130, 34], [130, 99], [129, 98]]]}
    given = [
        *features({"name_ja": "良い", "slug": "good"}),
        Feature(number=2, properties={"name_ja": "交差"}, geometry=bow_tie),
        Feature(number=3, properties={"name_ja": "圏外"}, geometry=off),
        Feature(number=4, properties={"name_ja": "点"}, geometry={"type": "Point", "coordinates": [1, 2]}),
        Feature(number=5, properties={"name_ja": "無"}, geometry=None),
        Feature(number=6, properties={}, geometry=mapping(BAY)),
        Feature(number=7, properties={"name_ja": "種", "kind": "circle"}, geometry=mapping(BAY)),
        Feature(number=8, properties={"name_ja": "識", "slug": "../x"}, geometry=mapping(BAY)),
        Feature(number=9, properties={"name_ja": "良い", "slug": "good"}, geometry=mapping(BAY)),
    ]
    with pytest.raises(ImportRefused) as refused:
        bring(book, given)

    assert [(number, row, what.reason) for number, row, what in refused.value.problems] == [
        (2, None, "crosses"),
        (3, 3, "latitude_off"),
        (3, 4, "latitude_off"),
        (4, None, "not_a_polygon"),
        (5, None, "no_shape"),
        (6, None, "name_ja_missing"),
        (7, None, "kind"),
        (8, None, "slug"),
        (9, None, "twice"),
    ]
    assert "8件" in refused.value.explain("ja")
    assert book.everything() == []


def test_a_wrong_line_of_a_table_of_vertices_is_told_by_its_number(book: AreaBook) -> None:
    table = b"name_ja,position\na,34 129\na,95 129\na,34 130\nb,34 129\nb,34 130\n"
    with pytest.raises(ImportRefused) as refused:
        bring(book, read_features(table, Format.CSV))
    assert [(number, row, what.reason) for number, row, what in refused.value.problems] == [
        (3, None, "latitude_off"),
        (5, None, "too_few"),
    ]


def test_what_is_watched_goes_through_every_format_unchanged(book: AreaBook) -> None:
    book.create(draft(), person=person())
    ring = clean_geometry(BAY.difference(BAY.buffer(-0.02))).geometry
    book.create(draft(ring, name_ja="輪", name_en="Ring"), person=person())
    for form in Format:
        taken = bring(book, read_features(book.as_file(form), form))
        assert taken == [("izuhara-bay", "unchanged"), ("ring", "unchanged")], form


def test_more_areas_than_can_be_watched_are_refused(book: AreaBook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("command.operations.areas.MAX_AREAS", 2)
    book.create(draft(), person=person())
    with pytest.raises(AreaRefused, match="At most 2"):
        bring(book, features({"name_ja": "一"}, {"name_ja": "二"}))
    book.create(draft(name_en="Second"), person=person())
    with pytest.raises(AreaRefused, match="At most 2"):
        book.create(draft(name_en="Third"), person=person())


def test_two_officers_who_draw_at_once_get_an_area_each(book: AreaBook, engine: Engine) -> None:
    first = book.create(draft(), person=person())
    second = book.create(draft(), person=person("mori"))
    assert (first.slug, second.slug) == ("izuhara-bay", "izuhara-bay-2")
    with realm_session(engine, Realm.parse("drill-areas")) as session:
        assert session.execute(text("SELECT count(*) FROM area_version")).scalar_one() == 2
