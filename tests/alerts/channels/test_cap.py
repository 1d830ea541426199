"""The channel type cap: valid against the schema of OASIS, chained over revisions, in a folder and by POST."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import shapely
from lxml import etree
from pydantic import ValidationError

from alerts.channel import ChannelTools, NeverAgain, NotNow, Parcel
from alerts.channels.cap import MAX_VERTICES, CapChannel, CapConfig, cap_message, identifier
from alerts.registry import CHANNELS
from command.domain.alert import Severity
from command.domain.realm import Realm

CAP = {"cap": "urn:oasis:names:tc:emergency:cap:1.2"}
ATOM = {"a": "http://www.w3.org/2005/Atom"}
AT_US = 1_795_304_465_000_000
BAY = shapely.box(129.2, 34.1, 129.3, 34.3)


@pytest.fixture(scope="module")
def schema(repository: Path) -> etree.XMLSchema:
    """As OASIS publishes it."""
    return etree.XMLSchema(etree.parse(repository / "tests" / "data" / "cap" / "CAP-v1.2.xsd"))


@pytest.fixture
def config(tmp_path: Path) -> CapConfig:
    return CapConfig(
        name="agencies", sender="watch@customs.example", folder=tmp_path, feed_url="https://x.example/cap/"
    )


def found(message: Any, path: str) -> list[str]:
    return [each.text or "" for each in message.iterfind(path, CAP)]


def test_it_is_registered_and_the_schema_takes_published_messages_and_refuses_bad_ones(
    schema: etree.XMLSchema, shared_data: Path
) -> None:
    assert CHANNELS["cap"] == f"{CapChannel.__module__}:{CapChannel.__name__}"
    folder = shared_data / "disaster" / "cap"
    taken = {
        path.name: schema.validate(tree)
        for path in sorted(folder.glob("*.cap"))
        if (tree := etree.parse(path)).getroot().tag.startswith("{" + CAP["cap"])
    }
    assert any(taken.values())


def test_the_revisions_of_an_alert_are_a_chain_that_ends_with_its_cancel(
    schema: etree.XMLSchema, config: CapConfig, parcel: Callable[..., Parcel]
) -> None:
    # given an alert that is opened, escalated, acknowledged and cleared
    said: list[Mapping[str, Any]] = [
        parcel("agencies", revision=1, severity=Severity.MEDIUM).body,
        parcel("agencies", revision=2, recorded_at_us=AT_US + 60_000_000).body,
        parcel(
            "agencies",
            revision=3,
            recorded_at_us=AT_US + 90_000_000,
            acknowledged_at_us=AT_US + 90_000_000,
            acknowledged_by="sato",
        ).body,
        parcel(
            "agencies",
            revision=4,
            recorded_at_us=AT_US + 120_000_000,
            cleared_at_us=AT_US + 120_000_000,
            acknowledged_at_us=AT_US + 90_000_000,
            acknowledged_by="sato",
        ).body,
    ]
    # when
    chain = [etree.fromstring(cap_message(body, config, earlier=said[:i], shape=BAY)) for i, body in enumerate(said)]
    # then
    for message in chain:
        assert schema.validate(message), schema.error_log
    assert [found(message, "cap:msgType") for message in chain] == [["Alert"], ["Update"], ["Update"], ["Cancel"]]
    assert [found(message, "cap:references") for message in chain[:2]] == [
        [],
        [f"watch@customs.example,{identifier(said[0])},2026-11-22T08:41:05+09:00"],
    ]
    for before, message in pairwise(chain):
        told = ",".join(found(before, f"cap:{name}")[0] for name in ("sender", "identifier", "sent"))
        assert told == found(message, "cap:references")[0].split()[-1]
    assert found(chain[1], "cap:info/cap:severity") == ["Extreme", "Extreme"]
    assert found(chain[2], "cap:info/cap:certainty") == ["Observed", "Observed"]
    assert found(chain[3], "cap:info/cap:responseType") == ["AllClear", "AllClear"]


def test_both_languages_say_what_and_where_with_a_circle_and_the_outline_of_the_area(
    schema: etree.XMLSchema, config: CapConfig, parcel: Callable[..., Parcel]
) -> None:
    message = etree.fromstring(cap_message(parcel("agencies").body, config, earlier=(), shape=BAY))
    assert schema.validate(message), schema.error_log
    assert found(message, "cap:status") == ["Actual"]
    assert found(message, "cap:info/cap:language") == ["ja-JP", "en-US"]
    japanese = message.find("cap:info", CAP)
    assert found(japanese, "cap:event") == ["監視区域への進入"]
    assert found(japanese, "cap:headline") == ["【緊急】監視区域への進入 発生:第八海進丸 厳原湾"]
    assert found(japanese, "cap:area/cap:circle") == ["34.20140,129.28950 1"]
    (polygon,) = found(japanese, "cap:area/cap:polygon")
    points = polygon.split()
    assert points[0] == points[-1]
    assert set(points) == {"34.10000,129.30000", "34.30000,129.30000", "34.30000,129.20000", "34.10000,129.20000"}


@pytest.mark.parametrize("realm", ["drill-night", "replay-2026"])
def test_what_an_exercise_says_is_an_exercise(
    schema: etree.XMLSchema, config: CapConfig, parcel: Callable[..., Parcel], realm: str
) -> None:
    message = etree.fromstring(
        cap_message(parcel("agencies", realm=realm, position=None, area=None).body, config, earlier=(), shape=None)
    )
    assert schema.validate(message), schema.error_log
    assert found(message, "cap:status") == ["Exercise"]
    assert "訓練" in found(message, "cap:note")[0]
    assert all("訓練" in said or "EXERCISE" in said for said in found(message, "cap:info/cap:headline"))
    assert found(message, "cap:info/cap:area") == []


def test_long_outlines_and_hostile_names_make_valid_messages_too(
    schema: etree.XMLSchema, config: CapConfig, parcel: Callable[..., Parcel]
) -> None:
    coast = shapely.MultiPolygon([shapely.Point(129.2, 34.2).buffer(0.2, quad_segs=500), BAY])
    body = dict(parcel("agencies", because_params={}, subject_label="<b>&\x00\ufffe\x1b").body)
    message = etree.fromstring(cap_message(body, config, earlier=(), shape=coast))
    assert schema.validate(message), schema.error_log
    outlines = found(message.find("cap:info", CAP), "cap:area/cap:polygon")
    assert len(outlines) == 2
    assert all(4 <= len(outline.split()) <= MAX_VERTICES for outline in outlines)


def test_a_message_is_put_into_the_folder_with_a_feed_that_leads_to_it_and_posted(
    config: CapConfig, receiver: Any, certificate: tuple[Path, Path], parcel: Callable[..., Parcel]
) -> None:
    first, second = parcel("agencies"), parcel("agencies", revision=2, recorded_at_us=AT_US + 60_000_000)
    tools = ChannelTools(
        realm=Realm.parse("live"),
        earlier=lambda sent: [first.body] if sent.revision == 2 else [],
        shape_of=lambda slug: BAY if slug == "izuhara" else None,
    )
    both = config.model_copy(update={"url": receiver.url, "ca_certificate": certificate[0]})
    channel = CapChannel(both, secret="of the aggregator", tools=tools)  # noqa: S106 - of a server of this test
    for each in (first, second, second):
        channel.send(each)
    # then
    folder = config.folder
    assert folder is not None
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        ["feed.atom", f"{identifier(first.body)}.xml", f"{identifier(second.body)}.xml"]
    )
    feed = etree.parse(folder / "feed.atom")
    links = [link.get("href") for link in feed.iterfind("a:entry/a:link", ATOM)]
    assert links == [f"https://x.example/cap/{identifier(each.body)}.xml" for each in (second, first)]
    assert feed.findtext("a:updated", namespaces=ATOM) == "2026-11-22T08:42:05+09:00"
    assert len(receiver.heard) == 3
    assert receiver.heard[1].body == receiver.heard[2].body == (folder / f"{identifier(second.body)}.xml").read_bytes()
    assert receiver.heard[0].headers["content-type"] == "application/cap+xml"
    assert receiver.heard[0].headers["authorization"] == "Bearer of the aggregator"


def test_a_folder_that_cannot_be_written_is_tried_again_and_a_body_of_nothing_is_not(
    config: CapConfig, tools: ChannelTools, parcel: Callable[..., Parcel]
) -> None:
    assert config.folder is not None
    (config.folder / f"{identifier(parcel('agencies').body)}.tmp").mkdir()
    channel = CapChannel(config, secret=None, tools=tools)
    with pytest.raises(NotNow, match="let this account write"):
        channel.send(parcel("agencies"))
    empty = Parcel(delivery_id=parcel("x").delivery_id, alert_id=parcel("x").alert_id, revision=1, body={})
    with pytest.raises(NeverAgain, match="no message"):
        channel.send(empty)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"folder": None, "feed_url": None}, "set url"),
        ({"feed_url": None}, "set both folder and feed_url"),
        ({"folder": "/nowhere"}, "is not a folder"),
        ({"sender": "a b,c"}, "no spaces"),
        ({"url": "http://agency.example/"}, "https"),
        ({"expires_hours": timedelta(days=60).total_seconds()}, "expires_hours"),
    ],
)
def test_settings_of_no_use_are_refused(config: CapConfig, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        CapConfig.model_validate(config.model_dump() | changes)
