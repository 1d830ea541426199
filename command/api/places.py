"""Facilities over REST, as GeoJSON (RFC 7946): what the project ships and what people imported, by origin."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, Request
from starlette.responses import JSONResponse, Response

from command.api.problems import problem
from command.api.versions import FILE_ANSWER, Restored, based_on, download
from command.domain.clock import from_us
from command.domain.facility import FacilityKind, FacilityVersion
from command.operations.access import needs
from command.operations.console import Console
from command.operations.facilities import FacilityChanged, FacilityDraft, FacilityRefused, UnknownFacility
from command.operations.imports import Imported
from command.operations.people import Permission, current_language, current_person
from maps.coordinates import dms
from maps.exchange import Format, read_features


def places_router(console: Console) -> APIRouter:
    """/api/facilities: all, one, its versions; import and export files."""
    router = APIRouter(prefix="/api/facilities")
    book = console.facility_book

    @router.get("")
    @needs(Permission.WATCH)
    async def facilities(retired: bool = False) -> dict[str, Any]:
        features = [feature(each) for each in console.facility_versions if retired or not each.retired]
        return {"type": "FeatureCollection", "revision": console.facilities_revision, "features": features}

    @router.get("/export", response_class=Response, responses=FILE_ANSWER)
    @needs(Permission.WATCH)
    async def save(format: Format) -> Response:  # noqa: A002 - the parameter's name in the address
        return download(await asyncio.to_thread(book.as_file, format), format, name="facilities")

    @router.post("/import")
    @needs(Permission.EDIT_FACILITIES)
    async def bring_in(
        request: Request,
        format: Format,  # noqa: A002 - the parameter's name in the address
        kind: FacilityKind = FacilityKind.OTHER,
        dry_run: bool = True,
    ) -> dict[str, Any]:
        person, data = current_person(), await request.body()
        taken = await asyncio.to_thread(
            lambda: book.bring_in(
                read_features(data, format, a_point_a_line=True),
                default_kind=kind,
                by=person.user.login,
                dry_run=dry_run,
                person=person,
            )
        )
        return {"dry_run": dry_run, "facilities": [_imported(each) for each in taken]}

    @router.get("/{facility_id}")
    @needs(Permission.WATCH)
    async def one(facility_id: str, response: Response) -> dict[str, Any]:
        return _versioned(await asyncio.to_thread(book.one, facility_id), response)

    @router.get("/{facility_id}/versions")
    @needs(Permission.WATCH)
    async def versions(facility_id: str) -> dict[str, Any]:
        found = await asyncio.to_thread(book.versions, facility_id)
        return {"type": "FeatureCollection", "features": [feature(each) for each in found]}

    @router.delete("/{facility_id}")
    @needs(Permission.EDIT_FACILITIES)
    async def retire(
        facility_id: str, response: Response, if_match: Annotated[str | None, Header()] = None
    ) -> dict[str, Any]:
        made = await asyncio.to_thread(book.retire, facility_id, based_on=based_on(if_match), person=current_person())
        return _versioned(made, response)

    @router.post("/{facility_id}/restore")
    @needs(Permission.EDIT_FACILITIES)
    async def restore(
        facility_id: str, body: Restored, response: Response, if_match: Annotated[str | None, Header()] = None
    ) -> dict[str, Any]:
        made = await asyncio.to_thread(
            book.restore, facility_id, body.version, based_on=based_on(if_match), person=current_person()
        )
        return _versioned(made, response)

    return router


def feature(each: FacilityVersion) -> dict[str, Any]:
    """One version of a facility as a GeoJSON Feature."""
    facility = each.facility
    return {
        "type": "Feature",
        "id": facility.facility_id,
        "geometry": {"type": "Point", "coordinates": [facility.position.lon, facility.position.lat]},
        "properties": {
            "facility_id": facility.facility_id,
            "kind": facility.kind.value,
            "name_ja": facility.name_ja,
            "name_en": facility.name_en,
            "prefecture": facility.prefecture,
            "municipality": facility.municipality,
            "source_note": facility.source_note,
            "origin": each.origin.value,
            "version": each.version,
            "author": each.author,
            "valid_from": from_us(each.valid_from_us).isoformat(),
            "retired": each.retired,
        },
    }


def add_facility_problems(web: FastAPI) -> None:
    """What is wrong with a change to a facility leaves as a problem document in the reader's language."""

    def refused(_: Request, exc: Exception) -> JSONResponse:
        if not isinstance(exc, FacilityRefused):
            raise exc
        words = exc.explain(current_language())
        if isinstance(exc, FacilityChanged):
            return problem(412, words, current=feature(exc.current))
        return problem(404 if isinstance(exc, UnknownFacility) else 422, words, reason=exc.reason)

    web.add_exception_handler(FacilityRefused, refused)


def _imported(taken: Imported[FacilityDraft]) -> dict[str, Any]:
    draft = taken.draft
    return {
        "feature": taken.number,
        "facility_id": taken.slug,
        "outcome": taken.outcome.value,
        "kind": draft.kind.value,
        "name_ja": draft.name_ja,
        "name_en": draft.name_en,
        "place": dms(draft.position),
    }


def _versioned(each: FacilityVersion, response: Response) -> dict[str, Any]:
    response.headers["ETag"] = f'"{each.version}"'
    return feature(each)
