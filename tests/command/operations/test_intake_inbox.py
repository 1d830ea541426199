"""What intake reads from the bus, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from command.domain.health import SourceHealth
from command.operations.intake.inbox import BadHealth, health_from_json

HEALTH = SourceHealth(
    source="tsushima-ais",
    kind="ais",
    gateway="local",
    started_at_us=1,
    reported_at_us=2,
    state="running",
    messages_in=10,
    decoded=7,
    rejected={"checksum": 2},
    duplicates=1,
    observations=7,
    last_seen_us=2,
    lag_s=0.5,
)


def test_health_is_read_as_the_gateway_wrote_it() -> None:
    quiet = replace(HEALTH, source="quiet", last_seen_us=None, lag_s=None, rejected={})

    body = json.dumps([asdict(HEALTH), asdict(quiet)]).encode()

    assert health_from_json(body) == (HEALTH, quiet)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"messages_in": "ten"}, "messages_in is 'ten'; expected int"),
        ({"decoded": True}, "decoded is 'True'; expected int"),
        ({"rejected": {"checksum": "two"}}, "rejected has a count that is not a whole number"),
        ({"last_observed_us": 253_402_344_000_000_000}, "last_observed_us is 253402344000000000; no time and no count"),
        ({"messages_in": -1}, "messages_in is -1; no time and no count"),
        ({"lag_s": [1]}, "lag_s is '[1]'; expected float | None"),
    ],
)
def test_health_of_another_shape_is_refused_by_the_field(change: dict[str, Any], message: str) -> None:
    body = json.dumps([asdict(HEALTH) | change]).encode()

    with pytest.raises(BadHealth) as refused:
        health_from_json(body)

    assert str(refused.value).startswith(message)


def test_health_without_a_source_is_refused() -> None:
    entry = asdict(HEALTH)
    del entry["source"]

    with pytest.raises(BadHealth, match="source is missing"):
        health_from_json(json.dumps([entry]).encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(asdict(HEALTH))), inner),
    max_leaves=10,
)


@given(st.one_of(st.binary(max_size=200), json_values.map(lambda value: json.dumps(value).encode())))
def test_whatever_the_bytes_are_they_are_health_or_refused(body: bytes) -> None:
    try:
        read = health_from_json(body)
    except BadHealth:
        return
    assert all(isinstance(entry, SourceHealth) for entry in read)


@given(st.dictionaries(st.sampled_from(sorted(asdict(HEALTH))), json_values, min_size=1, max_size=3))
def test_a_source_with_any_field_changed_is_health_or_refused(change: dict[str, Any]) -> None:
    try:
        health_from_json(json.dumps([asdict(HEALTH) | change]).encode())
    except BadHealth:
        return
