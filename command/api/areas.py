"""Areas over REST, as GeoJSON (RFC 7946). A change names the version that it is based on (If-Match, RFC 9110)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, FastAPI, Header, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field
from shapely.geometry import mapping
from starlette.responses import JSONResponse, Response

from command.api.problems import problem
from command.api.versions import FILE_ANSWER, Restored, Version, based_on, download
from command.domain.area import Area, AreaKind
from command.domain.clock import from_us
from command.domain.geo import METRES_PER_NAUTICAL_MILE, Position
from command.i18n import text
from command.operations.access import needs
from command.operations.areas import (
    AreaChanged,
    AreaDraft,
    AreaRefused,
    BadAreaGeometry,
    UnknownArea,
)
from command.operations.console import Console
from command.operations.imports import Imported, ImportRefused
from command.operations.people import Permission, current_language, current_person
from maps.area_geometry import area_m2
from maps.area_table import Ring, Table, read_table, rings_of, rings_of_geojson
from maps.coordinates import MAX_TEXT, dms
from maps.exchange import BadFile, Format, read_features

CHECK_ROWS: Final = 2_000

Written = Annotated[str, Field(max_length=4 * MAX_TEXT)] | Annotated[list[float], Field(min_length=2, max_length=2)]


class RingBody(BaseModel):
    """One ring of the coordinate table: texts as people write them, or [longitude, latitude]."""

    model_config = ConfigDict(extra="forbid")

    rows: list[Written] = Field(max_length=CHECK_ROWS)
    hole: bool = False


class TableBody(BaseModel):
    """A coordinate table to be read."""

    model_config = ConfigDict(extra="forbid")

    rings: list[RingBody] = Field(max_length=200)


class AreaProperties(BaseModel):
    """What people say of an area; an empty name_en takes the Japanese name."""

    kind: AreaKind
    name_ja: str = Field(max_length=400)
    name_en: str = Field(default="", max_length=400)


class AreaFeature(BaseModel):
    """A GeoJSON Feature with a Polygon or a MultiPolygon."""

    type: Literal["Feature"]
    geometry: dict[str, Any]
    properties: AreaProperties


class BadTable(ValueError):
    """A shape with rows that cannot be read; `errors` has each."""

    def __init__(self, table: Table, language: str) -> None:
        self.errors = row_errors(table, language)
        more = len(self.errors) - 3
        first = " ".join(text(language, "area.row.at", row=e["row"], what=e["message"]) for e in self.errors[:3])
        super().__init__(first + (" " + text(language, "area.row.more", n=more) if more > 0 else ""))


def areas_router(console: Console) -> APIRouter:
    """/api/areas: all, one, its versions; check a table; import and export files."""
    router = APIRouter(prefix="/api/areas")
    book = console.area_book

    @router.get("")
    @needs(Permission.WATCH)
    async def areas(retired: bool = False) -> dict[str, Any]:
        listed = await asyncio.to_thread(book.everything) if retired else console.areas
        return {
            "type": "FeatureCollection",
            "revision": console.areas_revision,
            "features": [feature(area) for area in listed],
        }

    @router.post("", status_code=201)
    @needs(Permission.EDIT_AREAS)
    async def create(body: AreaFeature, response: Response) -> dict[str, Any]:
        person, language = current_person(), current_language()
        made = await asyncio.to_thread(lambda: book.create(_draft(body, language), person=person))
        response.headers["Location"] = f"/api/areas/{made.slug}"
        return _versioned(made, response)

    @router.post("/check")
    @needs(Permission.EDIT_AREAS, lies_nowhere=True)
    async def check(body: TableBody) -> dict[str, Any]:
        if sum(len(ring.rows) for ring in body.rings) > CHECK_ROWS:
            raise HTTPException(422, f"a table of more than {CHECK_ROWS} rows; import it as a file")
        rings = [Ring(rows=ring.rows, hole=ring.hole) for ring in body.rings]
        return table_json(await asyncio.to_thread(read_table, rings), current_language())

    @router.get("/export", response_class=Response, responses=FILE_ANSWER)
    @needs(Permission.WATCH)
    async def save(format: Format) -> Response:  # noqa: A002 - the parameter's name in the address
        return download(await asyncio.to_thread(book.as_file, format), format, name=f"areas-{console.realm.name}")

    @router.post("/import")
    @needs(Permission.EDIT_AREAS)
    async def bring_in(
        request: Request,
        format: Format,  # noqa: A002 - the parameter's name in the address
        kind: AreaKind = AreaKind.AREA_OF_INTEREST,
        dry_run: bool = True,
    ) -> dict[str, Any]:
        person, data = current_person(), await request.body()
        taken = await asyncio.to_thread(
            lambda: book.bring_in(
                read_features(data, format), default_kind=kind, by=person.user.login, dry_run=dry_run, person=person
            )
        )
        return {"dry_run": dry_run, "areas": [_imported(each) for each in taken]}

    @router.get("/{slug}")
    @needs(Permission.WATCH)
    async def one(slug: str, response: Response, version: Version | None = None) -> dict[str, Any]:
        asked = await asyncio.to_thread(book.one, slug, version=version)
        rings = rings_of(asked.geometry)
        table = table_json(await asyncio.to_thread(read_table, rings), current_language())
        listed = [{"hole": ring.hole, "rows": rows} for ring, rows in zip(rings, table["rings"], strict=True)]
        return _versioned(asked, response) | {"table": listed}

    @router.get("/{slug}/versions")
    @needs(Permission.WATCH)
    async def versions(slug: str) -> dict[str, Any]:
        found = await asyncio.to_thread(book.versions, slug)
        # Without their shapes, which may be large and many: each version gives its own.
        listed = [feature(area) | {"geometry": None} for area in found]
        return {"type": "FeatureCollection", "features": listed}

    @router.put("/{slug}")
    @needs(Permission.EDIT_AREAS)
    async def change(
        slug: str, body: AreaFeature, response: Response, if_match: Annotated[str | None, Header()] = None
    ) -> dict[str, Any]:
        person, language, seen = current_person(), current_language(), based_on(if_match)
        made = await asyncio.to_thread(lambda: book.change(slug, _draft(body, language), based_on=seen, person=person))
        return _versioned(made, response)

    @router.delete("/{slug}")
    @needs(Permission.EDIT_AREAS)
    async def retire(slug: str, response: Response, if_match: Annotated[str | None, Header()] = None) -> dict[str, Any]:
        made = await asyncio.to_thread(book.retire, slug, based_on=based_on(if_match), person=current_person())
        return _versioned(made, response)

    @router.post("/{slug}/restore")
    @needs(Permission.EDIT_AREAS)
    async def restore(
        slug: str, body: Restored, response: Response, if_match: Annotated[str | None, Header()] = None
    ) -> dict[str, Any]:
        made = await asyncio.to_thread(
            book.restore, slug, body.version, based_on=based_on(if_match), person=current_person()
        )
        return _versioned(made, response)

    return router


def feature(area: Area) -> dict[str, Any]:
    """One version of an area as a GeoJSON Feature; its size is measured on the ellipsoid."""
    size_m2 = area_m2(area.geometry)
    return {
        "type": "Feature",
        "id": str(area.area_id),
        "geometry": mapping(area.geometry),
        "properties": {
            "slug": area.slug,
            "version": area.version,
            "kind": area.kind.value,
            "name_ja": area.name_ja,
            "name_en": area.name_en,
            "retired": area.retired,
            "author": area.author,
            "valid_from": from_us(area.valid_from_us).isoformat(),
            "area_km2": size_m2 / 1e6,
            "area_nm2": size_m2 / METRES_PER_NAUTICAL_MILE**2,
        },
    }


def table_json(table: Table, language: str) -> dict[str, Any]:
    """A table as it was read: each row's place or problem, then the shape and its size, or what is wrong with it."""
    clean = table.geometry
    size_m2 = None if clean is None else area_m2(clean.geometry)
    return {
        "rings": [
            [
                {
                    "point": row.point,
                    "text": None if row.point is None else dms(_position(row.point)),
                    "problem": None if row.problem is None else row.problem.explain(language),
                }
                for row in ring
            ]
            for ring in table.rings
        ],
        "problem": None if table.problem is None else table.problem.explain(language),
        "geometry": None if clean is None else mapping(clean.geometry),
        "area_km2": None if size_m2 is None else size_m2 / 1e6,
        "area_nm2": None if size_m2 is None else size_m2 / METRES_PER_NAUTICAL_MILE**2,
    }


def row_errors(table: Table, language: str) -> list[dict[str, Any]]:
    """Each row that cannot be read, rings and rows counted from 1 as people count."""
    return [
        {"ring": ring + 1, "row": row + 1, "message": problem.explain(language)}
        for ring, row, problem in table.bad_rows
    ]


def add_area_problems(web: FastAPI) -> None:
    """What is wrong with a change to an area, and with a file of any kind, leaves as a problem document in the reader's
    language."""

    def refused(_: Request, exc: Exception) -> JSONResponse:
        language = current_language()
        if isinstance(exc, AreaChanged):
            return problem(412, exc.explain(language), changed=exc.changed, current=feature(exc.current))
        if isinstance(exc, BadTable):
            return problem(422, str(exc), errors=exc.errors)
        if isinstance(exc, ImportRefused):
            errors = [{"feature": n, "row": row, "message": what.explain(language)} for n, row, what in exc.problems]
            return problem(422, exc.explain(language), errors=errors)
        if isinstance(exc, AreaRefused | BadAreaGeometry | BadFile):
            return problem(404 if isinstance(exc, UnknownArea) else 422, exc.explain(language), reason=exc.reason)
        raise exc

    for kind in (AreaRefused, BadAreaGeometry, BadTable, BadFile, ImportRefused):
        web.add_exception_handler(kind, refused)


def _imported(taken: Imported[AreaDraft]) -> dict[str, Any]:
    size_m2 = area_m2(taken.draft.geometry)
    return {
        "feature": taken.number,
        "slug": taken.slug,
        "outcome": taken.outcome.value,
        "kind": taken.draft.kind.value,
        "name_ja": taken.draft.name_ja,
        "name_en": taken.draft.name_en,
        "area_km2": size_m2 / 1e6,
        "area_nm2": size_m2 / METRES_PER_NAUTICAL_MILE**2,
    }


def _draft(body: AreaFeature, language: str) -> AreaDraft:
    table = read_table(rings_of_geojson(body.geometry))
    if table.bad_rows:
        raise BadTable(table, language)
    if table.geometry is None:
        raise table.problem or BadAreaGeometry("empty")
    said = body.properties
    return AreaDraft(kind=said.kind, name_ja=said.name_ja, name_en=said.name_en, geometry=table.geometry.geometry)


def _versioned(area: Area, response: Response) -> dict[str, Any]:
    response.headers["ETag"] = f'"{area.version}"'
    return feature(area)


def _position(point: Sequence[float]) -> Position:
    return Position(lon=(point[0] + 180.0) % 360.0 - 180.0, lat=point[1])
