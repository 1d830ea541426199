"""What people do to facilities: each change is a version, and what the project ships stays as it is."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from sqlalchemy import Engine

from command.domain.facility import FacilityKind, FacilityOrigin
from command.domain.people import Role, User
from command.domain.realm import Realm
from command.operations.facilities import FacilityBook, FacilityChanged, FacilityRefused, UnknownFacility
from command.operations.imports import ImportRefused
from command.operations.people import Forbidden, Person
from command.store.audit import list_audit
from command.store.engine import make_engine, shared_session
from command.store.facilities import save_shipped
from command.store.migrations import ensure_realm, migrate
from maps.exchange import Feature, Format, read_features
from maps.reference import reference_facilities


def person(*roles: Role) -> Person:
    user = User(
        user_id=uuid.uuid4(),
        login="sato",
        display_name="sato",
        roles=frozenset(roles or {Role.OFFICER}),
        must_change_password=False,
    )
    return Person(user=user, session_id=b"", expires_at_us=0, active_at_us=0)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(database_url)
    migrate(made)
    with shared_session(made) as session:
        save_shipped(session, reference_facilities()[:3], 1)
    yield made
    made.dispose()


@pytest.fixture
def told() -> list[str]:
    """What the book told its console."""
    return []


@pytest.fixture
def book(engine: Engine, told: list[str]) -> FacilityBook:
    realm = Realm.parse("drill-facilities")
    ensure_realm(engine, realm, clock=None)
    return FacilityBook(engine, realm, changed=lambda: told.append("changed"))


def point(lon: Any = 129.3, lat: Any = 34.2, **said: str) -> Feature:
    return Feature(number=1, properties={"name": "倉庫", **said}, geometry={"type": "Point", "coordinates": [lon, lat]})


def bring(book: FacilityBook, features: Sequence[Feature], *, dry_run: bool = False) -> list[tuple[str, str]]:
    taken = book.bring_in(features, default_kind=FacilityKind.OTHER, by="sato", dry_run=dry_run)
    return [(each.slug, each.outcome.value) for each in taken]


def own(book: FacilityBook) -> list[Any]:
    return [each for each in book.everything() if each.origin is FacilityOrigin.IMPORTED]


def test_a_table_of_places_is_tried_taken_and_taken_again(book: FacilityBook, engine: Engine, told: list[str]) -> None:
    # given a table as an office keeps it: kinds in words, positions in degrees and minutes
    table = (
        "name_ja,name_en,kind,municipality,position,source_note\n"
        "第一保税倉庫,First Warehouse,保税地域,対馬市,34 12.0N 129 18.0E,台帳 2026\n"
        "比田勝監視所,,lookout,対馬市,北緯34度39分0秒 東経129度28分0秒,\n"
    ).encode()
    features = read_features(table, Format.CSV, a_point_a_line=True)
    # when it is tried, then nothing is there
    assert bring(book, features, dry_run=True) == [("first-warehouse", "created"), ("facility", "created")]
    assert (own(book), told) == ([], [])
    # when it is taken
    bring(book, features)
    # then it is there, with its origin, its version and who answers for it, and audited
    lookout, warehouse = own(book)
    assert warehouse.facility.kind is FacilityKind.BONDED_AREA
    assert (warehouse.facility.municipality, warehouse.facility.source_note) == ("対馬市", "台帳 2026")
    assert (warehouse.facility.position.lon, warehouse.facility.position.lat) == (129.3, 34.2)
    assert (lookout.facility.name_en, lookout.version, lookout.author) == ("比田勝監視所", 1, "sato")
    with shared_session(engine) as session:
        assert {e.action for e in list_audit(session, limit=9, target="first-warehouse")} == {"facility.imported"}
    # and taken again it changes nothing, and what changed in the file alone is changed
    assert {outcome for _, outcome in bring(book, features)} == {"unchanged"}
    assert told == ["changed"]
    moved = read_features(table.replace(b"18.0E", b"18.5E"), Format.CSV, a_point_a_line=True)
    assert bring(book, moved) == [("first-warehouse", "changed"), ("facility", "unchanged")]


def test_everything_that_is_wrong_is_told_at_once_and_nothing_is_taken(book: FacilityBook) -> None:
    shipped = book.everything()[0].facility
    polygon = {"type": "Polygon", "coordinates": [[[129, 34], [130, 34], [130, 35]]]}
    given = [
        point(facility_id="good"),
        Feature(number=2, properties={"name": "面"}, geometry=polygon),
        Feature(number=3, properties={"name": "無"}, geometry=None),
        point(lon=229.0),
        point(lat=float("nan")),
        point(lon="129"),
        point(lon=10**400),
        point(kind="宇宙港"),
        point(facility_id="../x"),
        point(facility_id="import"),
        point(facility_id="good"),
        point(facility_id=shipped.facility_id),
        point(municipality="あ" * 61),
        point(name="\u202e裏"),
        Feature(number=15, properties={"name": "x"}, geometry={"type": "Point", "coordinates": "95, 129"}),
    ]
    numbered = [Feature(number=i, properties=f.properties, geometry=f.geometry) for i, f in enumerate(given, start=1)]
    with pytest.raises(ImportRefused) as refused:
        bring(book, numbered)
    assert [(number, what.reason) for number, _, what in refused.value.problems] == [  # type: ignore[attr-defined] # all have one
        (2, "not_point"),
        (3, "no_point"),
        (4, "off_the_globe"),
        (5, "off_the_globe"),
        (6, "no_point"),
        (7, "off_the_globe"),
        (8, "kind"),
        (9, "slug"),
        (10, "slug"),
        (11, "twice"),
        (12, "shipped"),
        (13, "words"),
        (14, "name"),
        (15, "latitude_off"),
    ]
    for _, _, what in refused.value.problems:
        assert what.explain("ja") != what.explain("en")
    assert own(book) == []


def test_all_facilities_go_through_every_format_unchanged(book: FacilityBook) -> None:
    bring(book, [point(129.123456789, 34.987654321, name="=cmd", source_note="+1")])
    for form in Format:
        taken = bring(book, read_features(book.as_file(form), form, a_point_a_line=True))
        assert len(taken) == 4, form
        assert {outcome for _, outcome in taken} == {"unchanged"}, form


def test_a_retired_one_comes_back_as_it_was_and_what_is_shipped_is_not_touched(book: FacilityBook) -> None:
    bring(book, [point(facility_id="depot")])
    bring(book, [point(facility_id="depot", name="新しい倉庫")])
    # when somebody who saw an older version retires it, they are told who changed it
    with pytest.raises(FacilityChanged, match="sato changed"):
        book.retire("depot", based_on=1, person=person())
    assert book.retire("depot", based_on=2, person=person()).retired
    assert "depot" not in {f.properties["facility_id"] for f in read_features(book.as_file(Format.CSV), Format.CSV)}
    # when its first version is brought back, it is the fourth
    back = book.restore("depot", 1, based_on=3, person=person())
    assert (back.version, back.facility.name_ja, back.retired) == (4, "倉庫", False)
    assert [version.retired for version in book.versions("depot")] == [False, True, False, False]
    # and from a file a retired one is restored
    book.retire("depot", based_on=4, person=person())
    assert bring(book, [point(facility_id="depot")]) == [("depot", "restored")]
    # and none of it by who may not, of what is not there, or of what the project ships
    shipped = reference_facilities()[0].facility_id
    with pytest.raises(FacilityRefused, match="ships"):
        book.retire(shipped, based_on=1, person=person())
    with pytest.raises(FacilityRefused, match="ships"):
        book.restore(shipped, 1, based_on=1, person=person())
    with pytest.raises(UnknownFacility):
        book.retire("nothing", based_on=1, person=person())
    with pytest.raises(UnknownFacility):
        book.restore("depot", 99, based_on=6, person=person())
    with pytest.raises(Forbidden):
        book.retire("depot", based_on=6, person=person(Role.ANALYST))


def test_more_facilities_than_there_can_be_are_refused(book: FacilityBook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("command.operations.facilities.MAX_FACILITIES", 4)
    with pytest.raises(FacilityRefused, match="can be 4"):
        bring(book, [point(name="a"), point(name="b")])
