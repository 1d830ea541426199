"""Who is on watch: screens of one process and of several, those that fall silent, and how much there is room for."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from command.domain.people import Role, User
from command.operations.people import Person
from command.operations.presence import SCREENS, TOLD_BYTES, Looking, Presence, ThingKind, looking_at

ALERT = str(uuid.UUID(int=7))
OPEN = Looking(kind=ThingKind.ALERT, key=ALERT)
INCIDENT = Looking(kind=ThingKind.INCIDENT, key=ALERT, editing=True)


def person(login: str, name: str = "") -> Person:
    user = User(
        user_id=uuid.uuid5(uuid.NAMESPACE_OID, login),
        login=login,
        display_name=name or login,
        roles=frozenset({Role.OFFICER}),
        must_change_password=False,
    )
    return Person(user=user, session_id=b"", expires_at_us=0, active_at_us=0)


def shown(presence: Presence, now_s: float) -> dict[str, list[str]]:
    presence.revision(now_s=now_s)
    people, _ = presence.everybody(now_s=now_s)
    return {each.login: [at.kind.value for at in each.at] for each in people}


def over_the_wire(told: dict[str, Any] | None) -> dict[str, Any]:
    """As NOTIFY carries it."""
    assert told is not None
    body = json.dumps(told, ensure_ascii=False)
    assert len(body.encode()) < 7_999
    back: dict[str, Any] = json.loads(body)
    return back


def test_a_person_at_two_screens_is_one_with_what_both_have_open() -> None:
    presence = Presence()
    one, two = (presence.enter(person("sato"), now_s=0.0) for _ in range(2))
    assert one is not None
    assert two is not None
    before = presence.revision(now_s=0.0)
    presence.look(one, OPEN, now_s=1.0)
    presence.look(two, INCIDENT, now_s=1.0)
    assert presence.revision(now_s=1.0) > before
    assert shown(presence, 1.0) == {"sato": ["alert", "incident"]}
    # who may not know of incidents is told of the rest
    told = json.loads(presence.message(incidents=False, now_s=1.0))
    assert told["people"][0]["at"] == [{"kind": "alert", "key": ALERT, "editing": False}]
    # saying the same again changes nothing
    same = presence.revision(now_s=2.0)
    presence.look(one, OPEN, now_s=2.0)
    assert presence.revision(now_s=2.0) == same
    presence.leave(one)
    presence.leave(two)
    assert shown(presence, 2.0) == {}


def test_a_screen_that_is_not_heard_of_is_gone_after_25_seconds_and_comes_back() -> None:
    presence = Presence()
    screen = presence.enter(person("sato"), now_s=0.0)
    assert screen is not None
    presence.look(screen, OPEN, now_s=10.0)
    assert shown(presence, 34.9) == {"sato": ["alert"]}
    before = presence.revision(now_s=34.9)
    assert shown(presence, 35.6) == {}
    assert presence.revision(now_s=35.6) > before
    presence.look(screen, OPEN, now_s=60.0)
    assert shown(presence, 60.0) == {"sato": ["alert"]}


def test_processes_tell_each_other_and_forget_one_that_died() -> None:
    here, there = Presence(), Presence()
    screen = here.enter(person("sato"), now_s=0.0)
    assert screen is not None
    there.enter(person("mori"), now_s=0.0)
    there.heard(over_the_wire(here.to_tell(now_s=0.1)), now_s=0.1)
    here.heard(over_the_wire(there.to_tell(now_s=0.1)), now_s=0.1)
    assert shown(here, 0.2) == shown(there, 0.2) == {"mori": [], "sato": []}
    # what nobody needs to hear is not told, until it is time to be heard of again
    assert here.to_tell(now_s=0.3) is None
    here.look(screen, OPEN, now_s=0.4)
    there.heard(over_the_wire(here.to_tell(now_s=0.4)), now_s=0.4)
    assert shown(there, 0.5)["sato"] == ["alert"]
    assert here.to_tell(now_s=5.3) is None
    there.heard(over_the_wire(here.to_tell(now_s=5.5)), now_s=5.5)
    # what it told itself is no other's
    here.heard(over_the_wire(here.to_tell(now_s=11.0)), now_s=11.0)
    # when one is not heard of any more
    assert shown(there, 20.4)["sato"] == ["alert"]
    there.enter(person("kato"), now_s=20.5)
    assert shown(there, 21.2) == {"kato": [], "mori": []}


def test_there_is_room_for_so_many_and_the_rest_is_counted() -> None:
    here, there = Presence(), Presence()
    entered = [here.enter(person(f"officer-{n}", "当" * 100), now_s=0.0) for n in range(SCREENS + 3)]
    assert entered[-3:] == [None, None, None]
    told = over_the_wire(here.to_tell(now_s=0.0))
    assert len(json.dumps(told["presence"]["people"], ensure_ascii=False).encode()) < TOLD_BYTES + 100
    there.heard(told, now_s=0.0)
    people, more = there.everybody(now_s=0.0)
    assert len(people) + more == SCREENS
    assert more > 0


@pytest.mark.parametrize(
    "said",
    [{}, {"kind": "ship", "key": ALERT}, {"kind": "alert", "key": "7"}, {"kind": "area", "key": "../x"}, []],
    ids=["nothing", "another kind", "no id", "no slug", "a list"],
)
def test_what_cannot_be_open_is_refused(said: Any) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        looking_at(said)
