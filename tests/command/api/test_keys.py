"""Keys over REST and on the page: each person has theirs, at every desk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect


def test_a_persons_keys_are_kept_and_are_nobody_elses(web: Any) -> None:
    with web.signed_in() as mine, web.signed_in() as other:
        sent = {"letters_off": False, "keys": {"acknowledge": "5", "sound": None, "next": "j"}}
        saved = mine.put("/api/keys", json=sent).json()
        assert saved["keys"] == {"acknowledge": "5", "sound": None}
        assert mine.get("/api/keys").json() == saved
        assert '"acknowledge": "5"' in mine.get("/keys.js").text
        assert other.get("/api/keys").json()["in_force"]["acknowledge"] == "a"
        refused = mine.put("/api/keys", json={"keys": {"acknowledge": "j"}})
        assert (refused.status_code, refused.json()["code"]) == (409, "taken")
        assert mine.put("/api/keys", json={"keys": {"fly": "5"}}).status_code == 422
        assert mine.put("/api/keys", json={"keys": {"acknowledge": "toolong"}}).status_code == 422
        assert mine.get("/api/keys").json() == saved


def test_a_page_still_has_its_keys_while_the_database_is_away(web: Any, eventually: Callable[..., None]) -> None:
    with web.signed_in() as client:
        client.put("/api/keys", json={"letters_off": True, "keys": {}})
        web.lose_database()
        try:
            answer = client.get("/keys.js")
        finally:
            web.restore_database()
    assert answer.status_code == 200
    assert '"acknowledge": "a"' in answer.text


def test_a_key_is_changed_switched_off_and_refused_where_it_is_taken(
    page: Page, web: Any, enter: Callable[[], None]
) -> None:
    vessel = web.vessel(431000001, 129.3, 34.2, name="KAIYO MARU")
    web.put_tracks([vessel])
    web.raise_alert(vessel)
    enter()
    expect(page.locator("[data-alert]")).to_have_count(1)
    # when acknowledging is given a key that another act has
    page.keyboard.press("?")
    page.click("#key-change-acknowledge")
    page.keyboard.press("k")
    # then it is told which, and nothing has changed
    expect(page.locator("#keys-wrong")).to_contain_text("「K」は「前の警報・事案」に使われています")
    # when it is given a free one, a tool of the map another, and a third act none
    page.click("#key-change-acknowledge")
    page.keyboard.press("5")
    expect(page.locator("#keys tr", has_text="選択した警報を確認").locator("kbd")).to_have_text("5")
    page.click("#key-change-measure")
    page.keyboard.press("F2")
    expect(page.locator("#keys tr", has_text="距離・方位").locator("kbd")).to_have_text("F2")
    page.click("#key-none-health")
    expect(page.locator("#keys tr", has_text="稼働状況")).to_contain_text("なし")
    page.keyboard.press("Escape")
    expect(page.locator(".mantine-Modal-content")).to_have_count(0)
    # then the page minds these, also after a reload
    page.reload()
    expect(page.locator("[data-alert]")).to_have_count(1)
    page.keyboard.press("j")
    page.keyboard.press("a")
    page.keyboard.press("h")
    page.keyboard.press("5")
    expect(page.locator("#ack-comment")).to_be_focused()
    expect(page.locator(".mantine-Modal-content")).to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator("kbd[data-key=health]")).to_be_hidden()
    page.keyboard.press("F2")
    expect(page.locator(".mz-measure")).to_be_visible()
    expect(page.locator(".mz-measure-tool")).to_have_attribute("title", "距離・方位を測る (F2)")
    page.keyboard.press("Escape")
    # when all single characters are switched off, then none does anything, and F2 does
    page.click("#help-open")
    page.click("#keys-letters")
    expect(page.locator("#keys-letters")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Escape")
    expect(page.locator(".mantine-Modal-content")).to_have_count(0)
    page.keyboard.press("5")
    page.keyboard.press("?")
    page.keyboard.press("F2")
    expect(page.locator(".mz-measure")).to_be_visible()
    expect(page.locator("#ack-form")).to_be_hidden()
    expect(page.locator(".mantine-Modal-content")).to_have_count(0)
