"""Every page under axe-core: WCAG 2.2 A and AA and its best practices, in both languages and all palettes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from command.domain.alert import Severity
from command.i18n import LANGUAGES
from command.store.engine import realm_session, shared_session
from command.store.facilities import save_shipped
from command.store.rules import put_rule
from maps.reference import reference_facilities

AXE = Path("dashboards", "map", "node_modules", "axe-core", "axe.min.js")

WATCH = {"name": "w", "area": "bay", "who_ja": "艇", "who_en": "boat", "subjects": ["mmsi:431000001"], "after_s": 60}
OWN_RULE = {
    "name_ja": "夜間の着岸疑い",
    "name_en": "Night landing",
    "when": [
        {"conditions": [{"fact": "coast"}, {"fact": "sun"}]},
        {"needs": "any", "conditions": [{"fact": "identity"}]},
    ],
}
RUN_AXE = """
async () => {
  const found = [];
  for (const palette of ["day", "dusk", "night"]) {
    document.documentElement.dataset.palette = palette;
    // of all rules, contrast alone depends on the palette
    const all = palette === "day";
    const { passes, violations } = await axe.run(document, {
      runOnly: all
        ? ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
        : { type: "rule", values: ["color-contrast"] },
    });
    if (passes.length < (all ? 10 : 1)) throw new Error(`only ${passes.length} rules applied`);
    for (const { id, nodes } of violations)
      for (const node of nodes) found.push(`${palette}: ${id}: ${node.html.slice(0, 200)}: ${node.failureSummary}`);
  }
  return found;
}
"""


class Examined:
    """What axe found on each page as it stood when it was looked at."""

    def __init__(self, page: Page, axe: str) -> None:
        self.findings: list[str] = []
        self._page = page
        self._axe = axe

    def look(self, what: str) -> None:
        if not self._page.evaluate("'axe' in window"):
            self._page.evaluate(self._axe)
        self.findings += [f"{what}: {found}" for found in self._page.evaluate(RUN_AXE)]


@pytest.fixture
def page(desks: Any, web: Any) -> Iterator[Page]:
    """A page that axe may be put into, and on which nothing is half-way between two colours."""
    with desks.sit("examiner", web.url, bypass_csp=True, reduced_motion="reduce") as page:
        yield page


@pytest.fixture
def examined(page: Page, repository: Path) -> Examined:
    return Examined(page, (repository / AXE).read_text("utf-8"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_page_of_the_people_has_a_finding(
    page: Page, web: Any, sign_in: Callable[..., None], examined: Examined, language: str
) -> None:
    page.context.add_cookies([{"name": "language", "value": language, "url": web.url}])
    page.goto(f"{web.url}/login")
    assert page.locator("html").get_attribute("lang") == language
    examined.look("/login")
    page.fill("#login", "admin")
    page.fill("#password", "not the password")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    examined.look("/login, refused")
    sign_in(page, web.url, login="admin", password=web.first_password)
    with realm_session(web.engine, web.realm) as session:
        put_rule(session, "geofence_absence", {"watches": [WATCH]}, "settings", 1)
        put_rule(session, "geofence_dwell", {}, "settings", 1)
        put_rule(session, "geofence_dwell", {"after_s": 3_600}, "mori", 2, by_person=True, reason="演習")
        put_rule(session, "conditions_night", OWN_RULE, "mori", 2, by_person=True, reason="演習")
    rules = ("/rules", "/rules/geofence_dwell", "/rules/geofence_absence", "/rules/conditions_night")
    for path in ("/account", "/account/second", "/people", *rules, "/deliveries", "/watch", "/handover", "/password"):
        page.goto(f"{web.url}{path}")
        assert page.locator("main").is_visible(), path
        examined.look(path)
    page.goto(f"{web.url}/people")
    page.locator("main a[href^='/people/']").first.click()
    page.wait_for_url("**/people/*")
    examined.look("/people/ID")
    assert not examined.findings, "\n".join(examined.findings)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_panel_of_the_console_has_a_finding(
    page: Page, web: Any, sign_in: Callable[..., None], examined: Examined, language: str
) -> None:
    # given facilities, and alerts of every severity
    with shared_session(web.engine) as session:
        save_shipped(session, reference_facilities()[:5], 1)
    at_the_alerts(page, web, sign_in, language)
    # when an officer goes through the panels, each is looked at
    page.keyboard.press("j")
    expect(page.locator("#detail")).to_contain_text("431000003")
    examined.look("an alert")
    page.keyboard.press("i")
    expect(page.locator("#incident-type")).to_be_focused()
    examined.look("the form of an incident")
    page.keyboard.press("Enter")
    expect(page.locator("#incident-head")).to_contain_text("-0001")
    page.keyboard.press("o")
    expect(page.locator("#incident-task-title")).to_be_focused()
    page.keyboard.type("臨検の準備")
    page.keyboard.press("Tab")
    page.keyboard.type("対馬班")
    page.keyboard.press("Enter")
    expect(page.locator(".task")).to_contain_text("臨検の準備")
    examined.look("an incident")
    page.keyboard.press("g")
    expect(page.locator("#area-new")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#area-name-ja")).to_be_focused()
    examined.look("an area")
    page.keyboard.press("Escape")
    page.keyboard.press("w")
    page.keyboard.press("b")
    page.wait_for_selector("[data-facility]")
    examined.look("the facilities")
    page.locator("[data-facility]").first.press("Enter")
    expect(page.locator("#facility h2")).to_be_visible()
    examined.look("a facility")
    page.keyboard.press("t")
    page.wait_for_selector("#track-grid .ag-row")
    examined.look("the tracks as a table")
    page.keyboard.press("h")
    expect(page.locator("[role=dialog]:has(#health-detail)")).to_be_in_viewport(ratio=1)
    examined.look("sources and processes")
    page.keyboard.press("Escape")
    expect(page.locator("#health-detail")).to_be_hidden()
    page.keyboard.press("?")
    expect(page.locator("[role=dialog]:has(.keys)")).to_be_in_viewport(ratio=1)
    examined.look("the keys")
    # then axe has nothing to say
    assert not examined.findings, "\n".join(examined.findings)


@pytest.mark.parametrize("language", LANGUAGES)
def test_triage_of_many_alerts_has_no_finding(
    page: Page, web: Any, sign_in: Callable[..., None], examined: Examined, language: str
) -> None:
    # given alerts of every severity
    at_the_alerts(page, web, sign_in, language)
    # when an officer folds a group, silences the rest, filters, and looks at the evidence
    page.keyboard.press("j")
    expect(page.locator("#detail")).to_contain_text("431000003")
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#alert-list .folded.current")).to_be_visible()
    page.keyboard.press("Control+a")
    page.keyboard.press("q")
    expect(page.locator("#silence-reason")).to_be_focused()
    page.keyboard.type("演習")
    examined.look("the form of a silence")
    page.keyboard.press("Enter")
    expect(page.locator("#alert-list .flag.quiet")).to_have_count(3)
    page.click("#triage-filters summary")
    page.click("[data-facet=state][data-value=silenced]")
    expect(page.locator(".filtered")).to_be_visible()
    examined.look("the filters")
    page.keyboard.press("Escape")
    page.click("#triage-unfilter")
    page.click("#silences-open")
    expect(page.locator("#silences tbody tr")).to_have_count(3)
    examined.look("the silences")
    page.keyboard.press("Escape")
    expect(page.locator("#silences")).to_be_hidden()
    page.focus("#alert-list")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-alert]")).to_have_count(4)
    page.keyboard.press("x")
    expect(page.locator(".mz-evidence")).to_be_visible()
    examined.look("the evidence")
    page.keyboard.press("Escape")
    page.click("#alert-acts [data-act=respond]")
    page.select_option("#respond-kind", "accept")
    page.click("#respond-form-send")
    page.click("#detail .answers summary")
    page.click("#alert-acts [data-act=respond]")
    expect(page.locator("#respond-team")).to_be_focused()
    examined.look("the answers of the teams, and the form of another")
    page.keyboard.press("Escape")
    # then axe has nothing to say
    assert not examined.findings, "\n".join(examined.findings)


def at_the_alerts(page: Page, web: Any, sign_in: Callable[..., None], language: str) -> None:
    """An officer at the list, with an alert of each severity, the map beside it."""
    vessels = [web.vessel(431000000 + i, 129.0 + i / 10, 34.2, name=f"KAIYO MARU {i}") for i in range(4)]
    web.put_tracks(vessels)
    for vessel, severity in zip(vessels, Severity, strict=True):
        web.raise_alert(vessel, severity=severity)
    page.context.add_cookies([{"name": "language", "value": language, "url": web.url}])
    sign_in(page, web.url, login="admin", password=web.first_password)
    expect(page.locator("[data-alert]")).to_have_count(4)
    page.wait_for_function("() => window.mizugiwaMap?.status()?.connected")


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_tool_of_the_map_has_a_finding(
    page: Page, web: Any, sign_in: Callable[..., None], examined: Examined, language: str
) -> None:
    at_the_alerts(page, web, sign_in, language)
    # when an officer opens the map's tools one after the other, each is looked at
    page.keyboard.press("/")
    page.keyboard.insert_text("kaiyo")
    expect(page.locator(".mz-hit")).to_have_count(4)
    examined.look("what a search found")
    page.keyboard.press("Escape")  # the list
    page.keyboard.press("Escape")  # the words, and the box
    expect(page.locator("#mz-search")).not_to_be_focused()
    for key, panel in (("r", ".mz-measure"), ("[", ".mz-box"), (";", ".mz-notes"), (",", ".mz-past")):
        page.keyboard.press(key)
        expect(page.locator(panel)).to_be_visible()
        examined.look(panel)
        page.keyboard.press("Escape")
        expect(page.locator(panel)).to_be_hidden()
    for key, what in (("y", "the legend"), ("v", "the saved views")):
        page.keyboard.press(key)
        expect(page.locator(".mz-layers[open]")).to_be_visible()
        examined.look(what)
        page.keyboard.press(key)
    # then axe has nothing to say
    assert not examined.findings, "\n".join(examined.findings)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_tour_has_no_finding(
    page: Page, web: Any, sign_in: Callable[..., None], examined: Examined, language: str
) -> None:
    page.context.add_cookies([{"name": "language", "value": language, "url": web.url}])
    sign_in(page, web.url, login="admin", password=web.first_password)
    expect(page.locator("#tour-offer")).to_be_visible()
    examined.look("the offer of the tour")
    page.locator("#tour-take").press("Enter")
    expect(page.locator("#tour-card")).to_be_visible()
    examined.look("the tour")
    assert not examined.findings, "\n".join(examined.findings)
