"""What may follow what, and that the order in which answers arrive is nothing to the state of a team."""

from __future__ import annotations

import random
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command.domain.response import Response, ResponseKind, TeamState, may_follow, standing

ACKNOWLEDGE, ACCEPT, DECLINE, ON_SCENE, CLOSED = ResponseKind
ALERT_ID = uuid.UUID(int=7)


def said(*kinds: ResponseKind, times: list[int] | None = None) -> list[Response]:
    """One answer after the other."""
    return [
        Response(
            response_id=uuid.UUID(int=i + 1),
            alert_id=ALERT_ID,
            team="tsushima",
            kind=kind,
            revision_seen=1,
            responder="森",
            answered_at_us=i if times is None else times[i],
            comment=f"{kind} {i}",
        )
        for i, kind in enumerate(kinds)
    ]


@pytest.mark.parametrize(
    ("story", "ends", "idle"),
    [
        # the usual night
        ((ACKNOWLEDGE, ACCEPT, ON_SCENE, CLOSED), TeamState.CLOSED, 0),
        # "seen" after "on our way" takes nothing back
        ((ACCEPT, ACKNOWLEDGE), TeamState.ACCEPTED, 1),
        # a later time of arrival is news
        ((ACCEPT, ACCEPT), TeamState.ACCEPTED, 0),
        # engine trouble on the way, and weather at the scene
        ((ACCEPT, DECLINE), TeamState.DECLINED, 0),
        ((ON_SCENE, DECLINE), TeamState.DECLINED, 0),
        # a boat came free after all
        ((DECLINE, ACCEPT, ON_SCENE), TeamState.ON_SCENE, 0),
        # a patrol that is there already says so at once
        ((ON_SCENE,), TeamState.ON_SCENE, 0),
        # called off before it arrived
        ((ACCEPT, CLOSED), TeamState.CLOSED, 0),
        # who never took it has nothing to close
        ((CLOSED,), None, 1),
        ((ACKNOWLEDGE, CLOSED), TeamState.ACKNOWLEDGED, 1),
        ((DECLINE, CLOSED), TeamState.DECLINED, 1),
        # "on our way" from the scene is a slip of the finger; a second end is the first one
        ((ON_SCENE, ACCEPT), TeamState.ON_SCENE, 1),
        ((ACCEPT, CLOSED, CLOSED), TeamState.CLOSED, 1),
        # out again
        ((ACCEPT, CLOSED, ACCEPT), TeamState.ACCEPTED, 0),
        ((), None, 0),
    ],
)
def test_a_team_stands_where_its_answers_lead(
    story: tuple[ResponseKind, ...], ends: TeamState | None, idle: int
) -> None:
    found = standing(said(*story))
    assert (None if found.response is None else found.response.state) == ends
    assert len(found.idle) == idle


def test_what_waited_in_an_outbox_takes_its_place_among_what_came_before_it() -> None:
    accept, on_scene, closed = said(ACCEPT, ON_SCENE, CLOSED)
    # when the end arrives first, it waits for its beginning
    assert standing([closed]).response is None
    assert standing([closed]).idle == {closed.response_id: None}
    late = standing([closed, on_scene, accept]).response
    assert late is not None
    assert (late.state, late.comment) == (TeamState.CLOSED, closed.comment)


@given(
    story=st.lists(st.tuples(st.sampled_from(ResponseKind), st.integers(0, 4)), max_size=8),
    seed=st.randoms(use_true_random=False),
)
def test_order_and_repetition_change_nothing_and_every_step_was_allowed(
    story: list[tuple[ResponseKind, int]], seed: random.Random
) -> None:
    responses = said(*(kind for kind, _ in story), times=[at for _, at in story])
    straight = standing(responses)
    # when each comes three times, in any order
    mixed = responses * 3
    seed.shuffle(mixed)
    assert standing(mixed) == straight
    # then what counts are steps that may follow each other
    state: TeamState | None = None
    for each in sorted(responses, key=lambda r: (r.answered_at_us, list(ResponseKind).index(r.kind), r.response_id)):
        if each.response_id in straight.idle:
            assert not may_follow(each.kind, state)
            assert straight.idle[each.response_id] == state
        else:
            assert may_follow(each.kind, state)
            found = standing(r for r in responses if r.response_id == each.response_id)
            state = found.response.state if found.response else TeamState.CLOSED
    assert (None if straight.response is None else straight.response.state) == state
