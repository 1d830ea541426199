"""What an officer is told of one of our own drones, in a real browser."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
from playwright.sync_api import Page, expect

from command.domain.geo import Position
from command.domain.health import SourceHealth
from command.domain.observation import SubjectKind
from command.domain.track import TRACK_STATE_DTYPE, Track, TrackStatus
from command.store.assets import put_asset
from command.store.engine import realm_session
from command.store.health import save_source_health
from command.store.tracks import append_track_states


def drone(web: Any) -> Track:
    """A registered drone that flew for ten minutes: 90 % of its battery left at first, 41 % now."""
    now_us = web.clock.now_us()
    track = Track(
        track_id=uuid.uuid4(),
        subject="mavlink:patrol-1:1",
        kind=SubjectKind.AIR_DRONE,
        status=TrackStatus.LIVE,
        source="drone-1",
        observed_at_us=now_us,
        recorded_at_us=now_us,
        position=Position(lon=129.3, lat=34.2),
        speed_mps=8.0,
        battery_percent=41.0,
        link_percent=77.0,
        attributes={"mode": "AUTO"},
    )
    web.put_tracks([track])
    rows = np.zeros(60, dtype=TRACK_STATE_DTYPE)
    for name in TRACK_STATE_DTYPE.names or ():
        if TRACK_STATE_DTYPE[name] == np.dtype("<f4"):
            rows[name] = np.nan
    ago = np.arange(60)[::-1]
    rows["track_id"] = track.track_id.bytes
    rows["observation_id"] = [i.to_bytes(16, "big") for i in range(1, 61)]
    rows["observed_at_us"] = rows["recorded_at_us"] = now_us - ago * 10_000_000
    rows["lon"], rows["lat"], rows["speed_mps"] = 129.3, 34.2, 8.0
    rows["battery_percent"] = np.linspace(90.0, 41.0, 60)
    with realm_session(web.engine, web.realm) as session:
        append_track_states(session, rows)
        put_asset(session, track.subject, SubjectKind.AIR_DRONE, "巡回1号", "Patrol 1")
        health = SourceHealth(
            source="drone-1",
            kind="mavlink",
            gateway="gateway",
            started_at_us=now_us - 600_000_000,
            reported_at_us=now_us + 600_000_000,  # as a gateway that goes on reporting
            state="running",
            messages_in=600,
            decoded=600,
            last_seen_us=now_us,
        )
        save_source_health(session, [health])
    return track


def test_an_asset_says_who_it_is_how_it_does_and_what_it_is_part_of(
    page: Page, web: Any, enter: Callable[[], None], eventually: Callable[..., None]
) -> None:
    # given a drone of ours with an alert, in an incident
    track = drone(web)
    alert = web.raise_alert(track, rule="drone_low_battery")
    with web.signed_in() as client:
        sent = {"type": "equipment", "title": "巡回1号の電池低下", "severity": "high", "alerts": [str(alert.alert_id)]}
        number = client.post("/api/incidents", json=sent).json()["number"]
    eventually(lambda: track.subject in web.console.assets)
    enter()
    # when the officer looks at it
    page.keyboard.press("j")
    drawer = page.locator("#detail")
    # then it is told as ours, with both names, its battery, link and mode, and how its source does
    for words in ("配備機材 ドローン", "巡回1号", "Patrol 1", "41%", "77%", "AUTO", "情報源 drone-1: 受信中"):
        expect(drawer).to_contain_text(words)
    expect(drawer.locator(".of-source .lamp-good")).to_be_visible()
    # and how battery and speed went, in words for who does not see the chart; the link was never told over time
    chart = drawer.get_by_role("img", name="電池残量の推移。最低41.0%、最高90.0%、現在41.0%、60点。")
    expect(chart).to_be_visible()
    expect(drawer.get_by_role("img", name="速力の推移")).to_be_visible()
    expect(drawer.get_by_role("img", name="回線品質の推移")).to_have_count(0)
    # and what rule it hit, and the incident that it is part of, one key away
    expect(drawer.locator(".track-alerts")).to_contain_text("高")
    drawer.locator("[data-goto]").press("Enter")
    expect(page.locator("#incident-head")).to_contain_text(number)


def test_a_vessel_of_others_is_told_as_before(page: Page, web: Any, enter: Callable[[], None]) -> None:
    vessel = web.vessel(431000001, 129.3, 34.2, name="KAIYO MARU")
    web.put_tracks([vessel])
    web.raise_alert(vessel)
    enter()
    page.keyboard.press("j")
    expect(page.locator("#detail")).to_contain_text("KAIYO MARU")
    expect(page.locator("#detail")).not_to_contain_text("配備機材")
    expect(page.locator("#detail .of-source")).to_have_count(0)
