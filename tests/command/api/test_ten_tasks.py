"""What an officer does most, and how many keys each takes: none over four, besides the words that they write."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from playwright.sync_api import Page, expect

from command.domain.alert import Severity

MOST: Final = 4
HEADER: Final = """# Ten tasks

Written by `tests/command/api/test_ten_tasks.py`, which does each of these on the real console and fails where this page
is not how (`WRITE_TASKS=1` writes it anew). Counted are keys, from the list of alerts; what the officer writes comes on
top. Each can be done with the mouse too. The keys are those of a new account; everybody may change them behind `?`.

| Task | Keys | How many |
|---|---|---|
"""


class Hand:
    """The officer's, and what it did for each task."""

    def __init__(self, page: Page) -> None:
        self.done: list[tuple[str, list[str]]] = []
        self._page = page

    def begins(self, task: str) -> None:
        self.done.append((task, []))

    def press(self, *keys: str) -> None:
        for key in keys:
            self.done[-1][1].append(f"`{key.upper() if len(key) == 1 else key}`")
            self._page.keyboard.press(key)

    def write(self, words: str) -> None:
        self.done[-1][1].append("*words*")
        self._page.keyboard.insert_text(words)

    def table(self) -> str:
        return "".join(f"| {task} | {' '.join(keys)} | {count(keys)} |\n" for task, keys in self.done)


def count(keys: list[str]) -> int:
    return sum(key != "*words*" for key in keys)


def alerts(page: Page, hand: Hand) -> None:
    hand.begins("Acknowledge the worst alert")
    hand.press("j", "a")
    expect(page.locator("#ack-comment")).to_be_focused()
    hand.press("Enter")
    expect(page.locator("#alert-list .alert.sev-critical")).to_contain_text("admin")

    hand.begins("Take the next alert in hand")
    hand.press("j", "u")
    expect(page.locator("#assign-to")).to_be_focused()
    hand.press("Enter")
    expect(page.locator("#alert-list .alert.sev-high .flag.mine")).to_have_count(1)

    hand.begins("Raise it to the next severity, with the reason")
    hand.press("e")
    expect(page.locator("#escalate-reason")).to_be_focused()
    hand.write("灯火なしで接近")
    hand.press("Enter")
    expect(page.locator("#alert-list .flag.raised")).to_have_count(1)


def incidents(page: Page, hand: Hand) -> None:
    hand.begins("Open an incident from it")
    hand.press("i")
    expect(page.locator("#incident-title")).not_to_have_value("")
    hand.press("Enter")
    expect(page.locator("#incident-state")).to_have_text("認知")

    hand.begins("Give a task in the incident")
    hand.press("o")
    expect(page.locator("#incident-task-title")).to_be_focused()
    hand.write("現場確認")
    hand.press("Tab")
    hand.write("厳原監視艇")
    hand.press("Enter")
    expect(page.locator(".task")).to_contain_text("厳原監視艇")


def silence(page: Page, hand: Hand) -> None:
    hand.begins("Silence what is known and rings again and again")
    page.locator("#alert-list .alert.sev-medium").click()
    hand.press("q")
    expect(page.locator("#silence-reason")).to_be_focused()
    hand.write("訓練の標的船")
    hand.press("Enter")
    expect(page.locator("#alert-list .flag.quiet")).to_have_count(1)


def the_map(page: Page, hand: Hand, eventually: Callable[..., None]) -> None:
    hand.begins("Find a vessel by its name, and see what is known of it")
    hand.press("/")
    expect(page.locator("#mz-search")).to_be_focused()
    hand.write("kaiyo maru 2")
    expect(page.locator(".mz-hit[aria-selected=true]")).to_contain_text("KAIYO MARU 2")
    hand.press("Enter")
    expect(page.locator("#detail")).to_contain_text("431000002")

    hand.begins("See where it was an hour ago")
    hand.press(",")
    expect(page.locator(".mz-past button").first).to_be_focused()
    hand.press("Enter")
    page.wait_for_selector('#map[data-mode="as_of"]')
    expect(page.locator(".mz-past strong")).to_contain_text("1時間前")
    page.keyboard.press("Escape")
    page.wait_for_selector('#map[data-mode="live"]')

    hand.begins("Measure range and bearing from it to another vessel")
    eventually(lambda: page.evaluate("window.mizugiwaMap.features().filter((f) => f.label).length") == 3)
    hand.press("r", "n", "Enter")
    expect(page.locator(".mz-measure tbody tr:not(.mz-next)")).to_have_count(1)
    expect(page.locator(".mz-measure")).to_contain_text("KAIYO MARU")
    page.keyboard.press("Escape")


def health(page: Page, hand: Hand) -> None:
    hand.begins("See which source or process is down")
    hand.press("h")
    expect(page.locator("#health-detail")).to_contain_text("web")


def test_ten_tasks_take_four_keys_or_fewer(
    page: Page, web: Any, enter: Callable[[], None], repository: Path, eventually: Callable[..., None]
) -> None:
    # given a watch with alerts, two vessels near each other, and an officer at the list
    vessels = [web.vessel(431000000 + i, 129.30 + i / 50, 34.2, name=f"KAIYO MARU {i}") for i in range(3)]
    web.put_tracks(vessels)
    for vessel, severity in zip(vessels, (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM), strict=True):
        web.raise_alert(vessel, severity=severity)
    enter()
    expect(page.locator("[data-alert]")).to_have_count(3)
    page.wait_for_function("() => window.mizugiwaMap?.status()?.connected")
    hand = Hand(page)

    alerts(page, hand)
    incidents(page, hand)
    page.keyboard.press("w")
    silence(page, hand)
    the_map(page, hand, eventually)
    health(page, hand)

    # then none took more, and the page tells how
    assert len(hand.done) == 10
    assert {task: count(keys) for task, keys in hand.done if count(keys) > MOST} == {}
    told, path = HEADER + hand.table(), repository / "docs" / "tasks.md"
    if os.environ.get("WRITE_TASKS"):
        path.write_text(told, "utf-8")
    assert path.read_text("utf-8") == told
