"""Where people may act: everything that an area limits, tried by a person of one area inside it and outside."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import httpx
import pytest
from starlette.routing import Mount

from command.api.live import HEARD
from command.domain.people import Role, User
from command.i18n import text
from command.operations.access import limited_to_areas
from command.operations.people import Forbidden, Permission, Person
from command.store.engine import realm_session
from command.store.rules import keep_rules_of_settings, put_rule

INSIDE: Final = (129.3, 34.3)
OUTSIDE: Final = (129.7, 33.8)
PNG: Final = b"\x89PNG\r\n\x1a\n" + bytes(64)


def square(lon: float, lat: float, half_deg: float = 0.01) -> dict[str, Any]:
    west, east, south, north = lon - half_deg, lon + half_deg, lat - half_deg, lat + half_deg
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def feature(geometry: dict[str, Any], name: str) -> dict[str, Any]:
    properties = {"kind": "geofence", "name_ja": name, "name_en": name}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


class World:
    """Makes what can be acted on, at one place, by somebody who has the whole coast."""

    def __init__(self, web: Any, chief: httpx.Client, at: tuple[float, float]) -> None:
        self.web, self.chief, self.at = web, chief, at

    def alert(self) -> str:
        track = self.web.vessel(431_000_000 + uuid.uuid4().int % 900_000, *self.at)
        self.web.put_tracks([track])
        return str(self.web.raise_alert(track).alert_id)

    def incident(self, **fields: Any) -> str:
        lon, lat = self.at
        sent = {"type": "smuggling", "title": "x", "severity": "low", "owner": None}
        answer = self.chief.post("/api/incidents", json={**sent, "position": {"lon": lon, "lat": lat}, **fields})
        return f"/api/incidents/{answer.json()['incident_id']}"

    def area(self) -> str:
        answer = self.chief.post("/api/areas", json=feature(square(*self.at), f"a {uuid.uuid4().hex[:8]}"))
        return f"/api/areas/{answer.json()['properties']['slug']}"

    def note(self) -> str:
        lon, lat = self.at
        answer = self.chief.post("/api/notes", json={"text": "x", "position": {"lon": lon, "lat": lat}})
        return f"/api/notes/{answer.json()['id']}"

    def with_task(self) -> str:
        at = self.incident()
        tasks = self.chief.post(f"{at}/tasks", json={"title": "x", "assignee": "somebody"}).json()["tasks"]
        return f"{at}/tasks/{tasks[0]['task_id']}"

    def with_participant(self) -> str:
        at = self.incident()
        assert self.chief.post(f"{at}/participants", json={"login": "admin"}).status_code == 200
        return f"{at}/participants/admin"

    def with_file(self) -> str:
        at = self.incident()
        answer = self.chief.post(f"{at}/attachments?name=x.png", content=PNG)
        return f"{at}/attachments/{answer.json()['attachments'][0]['attachment_id']}"

    def with_alert(self) -> tuple[str, str]:
        alert = self.alert()
        return self.incident(alerts=[alert]), alert


Try = Callable[[httpx.Client, World], httpx.Response]
SEEN: Final = {"If-Match": "*"}


def _split(who: httpx.Client, world: World) -> httpx.Response:
    at, alert = world.with_alert()
    sent = {"type": "smuggling", "title": "y", "severity": "low", "alerts": [alert], "reason": "x"}
    return who.post(f"{at}/split", json=sent, headers=SEEN)


def _unlink(who: httpx.Client, world: World) -> httpx.Response:
    at, alert = world.with_alert()
    return who.post(f"{at}/unlink", json={"alerts": [alert], "reason": "x"}, headers=SEEN)


def _open(who: httpx.Client, world: World) -> httpx.Response:
    sent = {"type": "smuggling", "title": "x", "severity": "low", "alerts": [world.alert()]}
    return who.post("/api/incidents", json=sent)


def _merge(who: httpx.Client, world: World) -> httpx.Response:
    into = world.incident().rpartition("/")[2]
    return who.post(f"{world.incident()}/merge", json={"into": into, "reason": "x"}, headers=SEEN)


def _import(who: httpx.Client, world: World) -> httpx.Response:
    file = {"type": "FeatureCollection", "features": [feature(square(*world.at), "in a file")]}
    return who.post("/api/areas/import?format=geojson&dry_run=false", json=file)


def _unassign(who: httpx.Client, world: World) -> httpx.Response:
    alerts = {"alerts": [world.alert()]}
    world.chief.post("/api/alerts/assign", json={**alerts, "to": "admin"})
    return who.post("/api/alerts/unassign", json=alerts)


def _withdraw(who: httpx.Client, world: World) -> httpx.Response:
    raised = {"alerts": [world.alert()], "reason": "x"}
    world.chief.post("/api/alerts/escalate", json=raised)
    return who.post("/api/alerts/withdraw", json=raised)


def _silence(who: httpx.Client, world: World) -> httpx.Response:
    matcher = {"area": world.area().rpartition("/")[2]}
    return who.post("/api/silences", json={"matchers": [matcher], "reason": "x", "minutes": 30})


def _end_silence(who: httpx.Client, world: World) -> httpx.Response:
    (begun,) = _silence(world.chief, world).json()
    return who.post(f"/api/silences/{begun['silence_id']}/end", json={})


TRIES: Final[dict[str, Try]] = {
    "POST /api/alerts/{alert_id}/responses": lambda who, w: who.post(
        f"/api/alerts/{w.alert()}/responses", json={"team": "duty", "kind": "accept", "revision": 1}
    ),
    "POST /api/alerts/{alert_id}/acknowledge": lambda who, w: who.post(f"/api/alerts/{w.alert()}/acknowledge", json={}),
    "POST /api/alerts/acknowledge": lambda who, w: who.post("/api/alerts/acknowledge", json={"alerts": [w.alert()]}),
    "POST /api/alerts/assign": lambda who, w: who.post(
        "/api/alerts/assign", json={"alerts": [w.alert()], "to": "admin"}
    ),
    "POST /api/alerts/unassign": _unassign,
    "POST /api/alerts/escalate": lambda who, w: who.post(
        "/api/alerts/escalate", json={"alerts": [w.alert()], "reason": "x"}
    ),
    "POST /api/alerts/withdraw": _withdraw,
    "POST /api/silences": _silence,
    "POST /api/silences/{silence_id}/end": _end_silence,
    "POST /api/areas": lambda who, w: who.post("/api/areas", json=feature(square(*w.at), "drawn")),
    "POST /api/areas/import": _import,
    "PUT /api/areas/{slug}": lambda who, w: who.put(
        w.area(), json=feature(square(*w.at, 0.02), "wider"), headers={"If-Match": '"1"'}
    ),
    "DELETE /api/areas/{slug}": lambda who, w: who.delete(w.area(), headers={"If-Match": '"1"'}),
    "POST /api/areas/{slug}/restore": lambda who, w: who.post(
        f"{w.area()}/restore", json={"version": 1}, headers={"If-Match": '"1"'}
    ),
    "POST /api/notes": lambda who, w: who.post(
        "/api/notes", json={"text": "x", "position": {"lon": w.at[0], "lat": w.at[1]}}
    ),
    "PUT /api/notes/{note_id}": lambda who, w: who.put(
        w.note(), json={"text": "y", "position": {"lon": w.at[0], "lat": w.at[1]}}, headers={"If-Match": '"1"'}
    ),
    "DELETE /api/notes/{note_id}": lambda who, w: who.delete(w.note(), headers={"If-Match": '"1"'}),
    "POST /api/notes/{note_id}/restore": lambda who, w: who.post(f"{w.note()}/restore", headers={"If-Match": '"1"'}),
    "POST /api/incidents": _open,
    "PATCH /api/incidents/{incident_id}": lambda who, w: who.patch(w.incident(), json={"place": "x"}, headers=SEEN),
    "POST /api/incidents/{incident_id}/state": lambda who, w: who.post(
        f"{w.incident()}/state", json={"state": "responding"}, headers=SEEN
    ),
    "POST /api/incidents/{incident_id}/comments": lambda who, w: who.post(
        f"{w.incident()}/comments", json={"text": "x"}
    ),
    "POST /api/incidents/{incident_id}/tasks": lambda who, w: who.post(
        f"{w.incident()}/tasks", json={"title": "x", "assignee": "y"}
    ),
    "POST /api/incidents/{incident_id}/tasks/{task_id}/state": lambda who, w: who.post(
        f"{w.with_task()}/state", json={"state": "received"}, headers=SEEN
    ),
    "POST /api/incidents/{incident_id}/participants": lambda who, w: who.post(
        f"{w.incident()}/participants", json={"login": "admin"}
    ),
    "DELETE /api/incidents/{incident_id}/participants/{login}": lambda who, w: who.delete(
        w.with_participant(), headers=SEEN
    ),
    "POST /api/incidents/{incident_id}/link": lambda who, w: who.post(
        f"{w.incident()}/link", json={"alerts": [w.alert()]}
    ),
    "POST /api/incidents/{incident_id}/unlink": _unlink,
    "POST /api/incidents/{incident_id}/merge": _merge,
    "POST /api/incidents/{incident_id}/split": _split,
    "POST /api/incidents/{incident_id}/attachments": lambda who, w: who.post(
        f"{w.incident()}/attachments?name=x.png", content=PNG
    ),
    "GET /api/incidents/{incident_id}/attachments/{attachment_id}": lambda who, w: who.get(w.with_file()),
}
"""How each route that an area limits is asked for something that lies at a place."""
OWN_RULE: Final = {"name_ja": "x", "name_en": "x", "when": [{"conditions": [{"fact": "identity"}]}]}
WHOLE_COAST: Final[dict[str, Callable[[httpx.Client], httpx.Response]]] = {
    "POST /api/facilities/import": lambda who: who.post(
        "/api/facilities/import?format=csv&dry_run=false",
        content="id,kind,name_ja,name_en,lat,lon\ndepot,other,倉庫,Depot,34.3,129.3\n".encode(),
    ),
    "DELETE /api/facilities/{facility_id}": lambda who: who.delete(
        "/api/facilities/depot", headers={"If-Match": '"1"'}
    ),
    "POST /api/facilities/{facility_id}/restore": lambda who: who.post(
        "/api/facilities/depot/restore", json={"version": 1}, headers={"If-Match": '"2"'}
    ),
    "PUT /api/rules/{name}": lambda who: who.put(
        "/api/rules/distress", json={"config": {"refresh_s": 60}, "reason": "x"}, headers={"If-Match": '"1"'}
    ),
    "POST /api/rules/{name}/undo": lambda who: who.post(
        "/api/rules/distress/undo", json={"version": 1, "reason": "x"}, headers={"If-Match": '"2"'}
    ),
    "POST /api/rules/{name}/follow-settings": lambda who: who.post(
        "/api/rules/distress/follow-settings", json={"reason": "x"}, headers={"If-Match": '"3"'}
    ),
    "POST /api/rules": lambda who: who.post(
        "/api/rules", json={"name": "conditions_x", "config": OWN_RULE, "reason": "x"}
    ),
    "POST /rules": lambda who: who.post(
        "/rules",
        data={"name": "y", "name_ja": "y", "name_en": "y", "reason": "x", "csrf": who.cookies["_csrf_token"]},
        follow_redirects=True,
    ),
    "POST /rules/{name}": lambda who: who.post(
        "/rules/distress", data={"do": "add.nothing", "version": "3", "csrf": who.cookies["_csrf_token"]}
    ),
    "POST /rules/{name}/undo": lambda who: who.post(
        "/rules/distress/undo",
        data={"version": "2", "seen": "4", "reason": "x", "csrf": who.cookies["_csrf_token"]},
        follow_redirects=True,
    ),
    "POST /rules/{name}/follow-settings": lambda who: who.post(
        "/rules/distress/follow-settings",
        data={"seen": "5", "reason": "x", "csrf": who.cookies["_csrf_token"]},
        follow_redirects=True,
    ),
}
"""What is shared by all realms, or watches the whole coast, so that an area gives no right to it."""


@contextmanager
def limited(web: Any, *areas: str) -> Iterator[httpx.Client]:
    """Somebody with every role that acts, in these areas only."""
    with web.signed_in() as client:
        login = client.get("/api/session").json()["login"]
        web.accounts.set_roles(login, frozenset({Role.OFFICER, Role.ANALYST, Role.RESPONDER}), by="test")
        web.accounts.set_areas(login, frozenset(areas), known=areas, by="test")
        web.gate.forget_all()
        yield client


@pytest.fixture
def chief(web: Any) -> Iterator[httpx.Client]:
    """An officer of the whole coast, an area that the others are limited to, and a rule of the settings file."""
    with realm_session(web.engine, web.realm) as session:
        put_rule(session, "distress", {}, "settings", 1)
        keep_rules_of_settings(session, {"distress": {}})
    with web.signed_in() as client:
        made = client.post("/api/areas", json=feature(square(*INSIDE, 0.1), "Tsushima North"))
        assert made.json()["properties"]["slug"] == "tsushima-north"
        yield client


def test_everything_that_an_area_limits_is_done_inside_it_and_refused_outside(web: Any, chief: httpx.Client) -> None:
    # given all that declares a permission which an area limits: there is a way to try each
    routes = [route for route in web.routes() if not isinstance(route, Mount)]
    endpoints = {
        f"{method} {route.path}": route.endpoint
        for route in routes
        for method in getattr(route, "methods", None) or ("WS",)
    }
    limits = {name for name, endpoint in endpoints.items() if limited_to_areas(endpoint)}
    assert limits == TRIES.keys() | WHOLE_COAST.keys(), (
        "say in TRIES how it is asked for something that lies at a place"
    )
    # and no message and no callback is among them yet
    layout = next(r for r in routes if getattr(r, "path", "") == "/_dash-layout").endpoint.__self__
    assert not any(limited_to_areas(hear) for hear in HEARD.values())
    assert not any(limited_to_areas(spec.get("callback")) for spec in layout.callback_map.values())
    with limited(web, "tsushima-north") as officer:
        for name, attempt in TRIES.items():
            # when somebody tries it on what lies outside, they are told which areas are theirs
            refused = attempt(officer, World(web, chief, OUTSIDE))
            assert (refused.status_code, refused.json().get("code")) == (403, "outside_areas"), (name, refused.text)
            assert refused.json()["your_areas"] == ["tsushima-north"]
            # and inside they do it
            done = attempt(officer, World(web, chief, INSIDE))
            assert done.status_code in (200, 201), (name, done.text)
        for name, ask in WHOLE_COAST.items():
            # what belongs to all realms, or to the whole coast, is for those of the whole coast
            assert "区域を限られていない" in ask(officer).json()["detail"], name
            done = ask(chief)
            assert done.status_code in (200, 201), (name, done.text)


def test_a_refusal_and_the_screen_say_what_is_not_theirs(
    web: Any, chief: httpx.Client, eventually: Callable[..., None]
) -> None:
    assert chief.post("/api/areas", json=feature(square(*OUTSIDE, 0.1), "Iki")).status_code == 201
    inside, outside = World(web, chief, INSIDE).alert(), World(web, chief, OUTSIDE).alert()
    away = World(web, chief, OUTSIDE).incident()
    with limited(web, "tsushima-north") as officer:
        assert officer.get("/api/session").json()["areas"] == ["tsushima-north"]
        # when they act outside, they are told both areas in their language
        officer.cookies.set("language", "en")
        told = officer.post(f"/api/alerts/{outside}/acknowledge", json={}).json()
        assert told["lies_in"] == ["iki", "north"]
        assert "areas only (Tsushima North). This lies in: Iki, north" in told["detail"]
        # and their list marks what is not theirs, and nothing else
        listed = next(
            each for each in officer.get("/_dash-dependencies").json() if "alert-list.children" in each["output"]
        )
        asked = {
            "output": listed["output"],
            "outputs": [
                dict(zip(("id", "property"), part.split("."), strict=True))
                for part in listed["output"].strip(".").split("...")
            ],
            "inputs": [{**each, "value": []} for each in listed["inputs"]],
            "state": [],
            "changedPropIds": [],
        }

        def marked() -> dict[str, bool]:
            rows = officer.post("/_dash-update-component", json=asked).json()["response"]["alert-list"]["children"]
            alerts = [row for row in rows if row["props"].get("role") == "option"]
            return {row["props"]["data-alert"]: text("en", "scope.mark") in str(row) for row in alerts}

        eventually(lambda: marked() == {inside: False, outside: True})
        # and in an incident that is not theirs they are offered nothing that would be refused
        drawer = {
            "output": "incident.children",
            "outputs": {"id": "incident", "property": "children"},
            "inputs": [
                {"id": "incident-selected", "property": "data", "value": away.rpartition("/")[2]},
                {"id": "incidents-revision", "property": "data", "value": 1},
            ],
            "state": [],
            "changedPropIds": [],
        }
        seen, all_of_it = (who.post("/_dash-update-component", json=drawer).text for who in (officer, chief))
        assert text("en", "scope.mark_help") in seen
        assert ("incident-edit" in seen, "incident-edit" in all_of_it) == (False, True)
    # and whose areas are all in other realms is told that
    with limited(web, "somewhere-else") as stranger:
        refused = stranger.post(f"/api/alerts/{inside}/acknowledge", json={})
    assert refused.status_code == 403
    assert "somewhere-else" in refused.json()["detail"]
    assert "この運用にはありません" in refused.json()["detail"]


def test_who_was_called_in_acts_wherever_it_is_and_what_has_no_place_is_for_the_whole_coast(
    web: Any, chief: httpx.Client
) -> None:
    world = World(web, chief, OUTSIDE)
    with limited(web, "tsushima-north") as officer:
        login = officer.get("/api/session").json()["login"]
        # given an incident far away: the officer may not write in it until they take part
        away = world.incident()
        assert officer.post(f"{away}/comments", json={"text": "x"}).status_code == 403
        assert chief.post(f"{away}/participants", json={"login": login}).status_code == 200
        assert officer.post(f"{away}/comments", json={"text": "x"}).status_code == 200
        # and an order there is theirs to report on
        ordered = world.incident()
        (task,) = chief.post(f"{ordered}/tasks", json={"title": "x", "assignee": login}).json()["tasks"]
        done = officer.post(f"{ordered}/tasks/{task['task_id']}/state", json={"state": "received"}, headers=SEEN)
        assert done.status_code == 200, done.text
        assert officer.post(f"{ordered}/comments", json={"text": "x"}).status_code == 403
        # what has no place at all is nobody's of an area, but what they open themselves and own
        nowhere = world.incident(position=None)
        assert officer.post(f"{nowhere}/comments", json={"text": "x"}).status_code == 403
        sent = {"type": "smuggling", "title": "x", "severity": "low"}
        assert officer.post("/api/incidents", json={**sent, "owner": "admin"}).status_code == 403
        mine = officer.post("/api/incidents", json=sent)
        assert mine.status_code == 201
        # and it stays theirs when it moves
        at = f"/api/incidents/{mine.json()['incident_id']}"
        moved = officer.patch(at, json={"position": {"lon": OUTSIDE[0], "lat": OUTSIDE[1]}}, headers=SEEN)
        assert moved.status_code == 200
        assert officer.post(f"{at}/comments", json={"text": "x"}).status_code == 200


def test_nobody_widens_the_area_that_they_are_limited_to(web: Any, chief: httpx.Client) -> None:
    with limited(web, "tsushima-north") as officer:
        at, seen = "/api/areas/tsushima-north", {"If-Match": '"1"'}
        wider = officer.put(at, json=feature(square(*INSIDE, 0.2), "Tsushima North"), headers=seen)
        assert wider.json()["code"] == "outside_areas"
        smaller = officer.put(at, json=feature(square(*INSIDE, 0.05), "Tsushima North"), headers=seen)
        assert smaller.status_code == 200
        # what was made smaller does not come back by restoring what was larger
        back = officer.post(f"{at}/restore", json={"version": 1}, headers={"If-Match": '"2"'})
        assert back.json()["code"] == "outside_areas"
        # one that is watched no longer is still theirs
        assert officer.delete(at, headers={"If-Match": '"2"'}).status_code == 200
        alert = World(web, chief, INSIDE).alert()
        assert officer.post(f"/api/alerts/{alert}/acknowledge", json={}).status_code == 200


def test_a_token_has_the_areas_of_its_owner_or_fewer(web: Any, chief: httpx.Client) -> None:
    assert chief.post("/api/areas", json=feature(square(*OUTSIDE, 0.1), "Iki")).status_code == 201
    inside, outside = World(web, chief, INSIDE), World(web, chief, OUTSIDE)

    def token(owner: httpx.Client, *areas: str) -> str:
        form = {"name": "x", "days": "3", "password": web.password, "scope": "acknowledge", "area": list(areas)}
        form["csrf"] = owner.cookies["_csrf_token"]
        page = owner.post("/account/tokens", data=form, headers={"X-CSRFToken": ""})
        return page.text.partition("<code>mizugiwa_")[2].partition("</code>")[0]

    def acknowledged(secret: str, world: World) -> int:
        bearer = {"Authorization": f"Bearer mizugiwa_{secret}"}
        return httpx.post(f"{web.url}/api/alerts/{world.alert()}/acknowledge", json={}, headers=bearer).status_code

    # given tokens of an officer of the whole coast, one for all of it and one for an area
    with web.signed_in() as officer:
        login = officer.get("/api/session").json()["login"]
        wide, narrow = token(officer), token(officer, "iki")
        assert (acknowledged(wide, inside), acknowledged(wide, outside)) == (200, 200)
        assert (acknowledged(narrow, inside), acknowledged(narrow, outside)) == (403, 200)
        # when the officer is limited to another area, neither reaches further than both
        web.accounts.set_areas(login, frozenset({"tsushima-north"}), known={"tsushima-north"}, by="test")
        web.gate.forget_all()
        assert (acknowledged(wide, inside), acknowledged(wide, outside)) == (200, 403)
        assert (acknowledged(narrow, inside), acknowledged(narrow, outside)) == (403, 403)
        # and a new one cannot be made for more than they have
        assert token(officer, "iki") == ""


def test_what_asks_without_saying_where_is_refused_to_who_has_areas() -> None:
    # given a person of an area, and one of the whole coast
    user = User(
        user_id=uuid.uuid4(), login="mori", display_name="森", roles=frozenset(Role), must_change_password=False
    )
    anywhere = Person(user=user, session_id=b"", expires_at_us=0, active_at_us=0)
    here = replace(anywhere, user=replace(user, areas=frozenset({"north"})))
    # then sight and what lies nowhere is for both, and every other permission, a new one too, wants to know where
    for permission in Permission:
        anywhere.must(permission)
        if permission in (
            Permission.WATCH,
            Permission.READ_INCIDENTS,
            Permission.EDIT_ROSTER,
            Permission.HAND_OVER,
            Permission.MANAGE_PEOPLE,
        ):
            here.must(permission)
        else:
            with pytest.raises(Forbidden, match="区域を限られていない"):
                here.must(permission)


def test_an_administrator_limits_a_person_on_their_page(web: Any, chief: httpx.Client) -> None:
    with web.signed_in() as officer, web.signed_in(Role.ADMIN) as admin:
        login = officer.get("/api/session").json()["login"]
        user = next(each for each in web.accounts.everyone() if each.login == login)
        at, csrf = f"/people/{user.user_id}", {"csrf": admin.cookies["_csrf_token"]}
        admin.headers["X-CSRFToken"] = ""
        assert "Tsushima North" in admin.get(at).text
        # when the administrator ticks an area, it counts and both can read it
        done = admin.post(f"{at}/areas", data={**csrf, "reach": "areas", "area": ["tsushima-north"]})
        assert done.headers["location"] == f"{at}?done=areas"
        assert web.accounts.one(user.user_id).areas == {"tsushima-north"}
        assert text("ja", "scope.yours_help") in officer.get("/account").text
        assert "Tsushima North" in admin.get("/people").text
        # when they tick none, or one that there is not, nothing changes
        for areas in ([], ["atlantis"]):
            assert admin.post(f"{at}/areas", data={**csrf, "reach": "areas", "area": areas}).status_code == 400
        assert web.accounts.one(user.user_id).areas == {"tsushima-north"}
        # and the whole coast is theirs again
        admin.post(f"{at}/areas", data={**csrf, "reach": "coast"})
        assert web.accounts.one(user.user_id).areas is None
