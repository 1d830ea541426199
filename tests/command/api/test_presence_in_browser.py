"""Two officers at their screens: each sees within a second what the other has open, and that they went."""

from __future__ import annotations

import re
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from command.domain.people import Role
from command.operations.console import Console
from command.operations.people import Person

WITHIN_MS = 20_000
"""So that a loaded machine does not fail; on it the way from one screen to the other took 0.3 s."""


@pytest.fixture
def other(other: Page, web: Any, sign_in: Callable[..., None]) -> Page:
    """Another officer's page."""
    first = web.accounts.create("mori", "森 陸", frozenset({Role.OFFICER}), by="test")
    sign_in(other, web.url, login="mori", password=first)
    return other


def test_two_officers_see_what_the_other_has_open_and_that_they_went(
    web: Any, page: Page, other: Page, enter: Callable[[], None]
) -> None:
    # given two officers on watch, and an alert
    track = web.vessel(431000001, 129.3, 34.2, name="KAIYO MARU")
    web.put_tracks([track])
    alert = web.raise_alert(track)
    enter()
    expect(page.locator("#watch-count")).to_have_text("在席 2名", timeout=WITHIN_MS)
    row = f"#alert-{alert.alert_id}"
    # when the other opens it
    other.click(row)
    # then its row has their name, and so has the drawer of whoever opens it too
    expect(page.locator(row)).to_have_attribute("data-present", "森 陸", timeout=WITHIN_MS)
    expect(page.locator("#present-here")).to_be_hidden()
    page.click(row)
    expect(page.locator("#present-here")).to_have_text("森 陸も開いています")
    # and the list in the banner says it by keyboard
    page.focus("#watch-count")
    page.keyboard.press("Enter")
    expect(page.locator("#watch-list li")).to_have_count(2)
    expect(page.locator("#watch-list")).to_contain_text("警報: ")
    # when the other edits the acknowledgement, that is said, and when they leave, they are gone at once
    other.keyboard.press("a")
    expect(page.locator("#watch-list")).to_contain_text(re.compile("警報: .*を編集中"), timeout=WITHIN_MS)
    other.close()
    expect(page.locator("#watch-count")).to_have_text("在席 1名", timeout=WITHIN_MS)
    expect(page.locator(row)).not_to_have_attribute("data-present", re.compile("."))
    expect(page.locator("#present-here")).to_be_hidden()


def test_another_process_tells_its_screens_too(
    web: Any, page: Page, enter: Callable[[], None], database_url: str
) -> None:
    # given a second web process of the realm, with somebody at it
    second = Console(web.engine, database_url=database_url, realm=web.realm, clock=web.clock)
    second.start()
    web.accounts.create("mori", "森 陸", frozenset({Role.OFFICER}), by="test")
    assert second.wait_caught_up(20.0)
    enter()
    # when they come and go there
    user = next(each for each in web.accounts.everyone() if each.login == "mori")
    screen = second.presence.enter(
        Person(user=user, session_id=b"", expires_at_us=0, active_at_us=0), now_s=monotonic()
    )
    expect(page.locator("#watch-count")).to_have_text("在席 2名", timeout=WITHIN_MS)
    assert screen is not None
    second.presence.leave(screen)
    expect(page.locator("#watch-count")).to_have_text("在席 1名", timeout=WITHIN_MS)
    second.stop()
