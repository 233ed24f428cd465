"""The report in a real Chromium: nothing loads, nothing runs, all can be read and reached by keyboard."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from console.report import ReportInput, render
from polygraph.text import printable
from tests.console.hostile import HOSTILE, poisoned
from tests.console.sample import Sample, looped
from tests.console.test_report import big

CHROMIUM = Path(os.environ.get("POLYGRAPH_CHROMIUM", "/usr/bin/chromium"))
_ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# Every element that directly holds text: its colour against what is painted behind it (WCAG 2.2, 1.4.3).
_CONTRASTS = """() => {
  const rgb = (value) => (value.match(/[\\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (element) => {
    const node = element.closest && element.closest('g.node');
    if (node) {
      const fill = rgb(getComputedStyle(node.querySelector('rect')).fill);
      if (fill.length && !(fill.length === 4 && fill[3] === 0)) return fill;
    }
    for (let at = element; at; at = at.parentElement) {
      const colour = rgb(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll('body *')) {
    if (element.closest('script, style, title, .branch, .hide, .skip')) continue;
    const own = Array.from(element.childNodes).some((n) => n.nodeType === 3 && n.data.trim());
    if (!own) continue;
    const style = getComputedStyle(element);
    const front = rgb(element instanceof SVGElement ? style.fill : style.color);
    const [a, b] = [light(front), light(behind(element))].sort((x, y) => y - x);
    const name = element.tagName + '.' + element.getAttribute('class');
    found.push([(a + 0.05) / (b + 0.05), name, element.textContent.slice(0, 40)]);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def browser(report_used: Callable[[str, str], None]) -> Iterator[Browser]:
    if not CHROMIUM.exists():
        pytest.fail(
            f"{CHROMIUM} is missing: install Debian's chromium, or name another in POLYGRAPH_CHROMIUM"
        )
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=_ARGS)
        report_used("chromium", found.version)
        yield found
        found.close()


class Opened:
    """A page with all that it did wrong."""

    def __init__(
        self, browser: Browser, tmp_path: Path, given: Sample, width: int = 1400, scheme: str = "light"
    ) -> None:
        path = tmp_path / "report.html"
        path.write_text(render(ReportInput(*given)), "utf-8")
        self.page: Page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
        self.trouble: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.trouble.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.trouble.append(f"error: {error}"))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("dialog", self._dialog)
        self.page.goto(path.as_uri())
        self.url = path.as_uri()

    def _dialog(self, dialog: object) -> None:
        self.trouble.append(f"dialog: {dialog}")
        dialog.dismiss()  # type: ignore[attr-defined]

    def count(self, selector: str) -> int:
        return self.page.locator(selector).count()

    def close(self) -> None:
        self.page.close()
        assert self.trouble == []
        assert [url.split("#")[0] for url in self.requests] == [self.url]


def test_the_page_opens_without_an_error_and_asks_the_network_for_nothing(
    browser: Browser, tmp_path: Path
) -> None:
    made = looped()
    opened = Opened(browser, tmp_path, made)
    assert opened.count(".card") == len(made.verdicts)
    assert opened.count(".tree li") == 7
    assert opened.count(".finding") == len(made.findings) == 2
    assert opened.count("#tl a.mark") == 7  # four of five intents and three claims have a verdict
    opened.close()


@pytest.mark.parametrize("group", range(3))
def test_crafted_strings_are_shown_as_text_and_never_run(
    browser: Browser, tmp_path: Path, group: int
) -> None:
    for text in HOSTILE[group::3]:
        made = poisoned(looped(), text)
        opened = Opened(browser, tmp_path, made)
        shown = opened.page.evaluate("document.body.textContent")
        assert printable(text)[:60] in shown
        assert opened.count("script") == 1 and opened.count("style") == 1
        assert opened.count("iframe, img, link, base, object, embed, form, input") == 0
        assert opened.count(".card") == len(made.verdicts) and opened.count(".tree li") == 7
        assert opened.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        # move over and through everything, so that a handler that slipped in would run
        opened.page.locator(".card").first.hover()
        for _ in range(12):
            opened.page.keyboard.press("Tab")
        opened.close()


def test_all_crafted_strings_in_one_page(browser: Browser, tmp_path: Path) -> None:
    opened = Opened(browser, tmp_path, poisoned(looped(), " ".join(HOSTILE)))
    assert opened.count("script") == 1
    opened.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1400, 420])
def test_all_text_has_enough_contrast(browser: Browser, tmp_path: Path, scheme: str, width: int) -> None:
    opened = Opened(browser, tmp_path, looped(), width, scheme)
    opened.page.evaluate("document.querySelectorAll('details').forEach((d) => { d.open = true })")
    found = opened.page.evaluate(_CONTRASTS)
    assert len(found) > 150
    assert [item for item in found if item[0] < 4.5] == []
    background = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(20, 20, 21)") == (scheme == "dark")
    opened.close()


@pytest.mark.parametrize("width", [1400, 720, 420, 320])
def test_nothing_makes_the_page_wider_than_the_window(browser: Browser, tmp_path: Path, width: int) -> None:
    opened = Opened(browser, tmp_path, looped(), width)
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    opened.close()


def test_the_refuted_are_first_visible_and_in_the_accent(browser: Browser, tmp_path: Path) -> None:
    opened = Opened(browser, tmp_path, looped())
    cards = opened.page.locator(".card")
    tops = [cards.nth(n).bounding_box()["y"] for n in range(cards.count())]  # type: ignore[index]
    assert tops == sorted(tops)
    classes = [cards.nth(n).get_attribute("class") for n in range(cards.count())]
    assert classes[:4] == ["card refuted"] * 4 and "card refuted" not in classes[4:]
    colour = "(e) => getComputedStyle(e).color"
    for n in range(4):
        assert cards.nth(n).is_visible()
        assert cards.nth(n).locator(".saw").evaluate(colour) == "rgb(179, 33, 27)"
    assert cards.nth(5).locator(".saw").evaluate(colour) != "rgb(179, 33, 27)"
    edge = opened.page.locator(".edge.refuted").first
    assert edge.evaluate("(e) => getComputedStyle(e).stroke") == "rgb(179, 33, 27)"
    opened.close()


def test_the_keyboard_reaches_cards_and_nodes_and_follows_their_lines(
    browser: Browser, tmp_path: Path
) -> None:
    opened = Opened(browser, tmp_path, looped())
    reached: list[str] = []
    for _ in range(200):
        opened.page.keyboard.press("Tab")
        if opened.page.evaluate(
            "document.activeElement.dataset.seen || document.activeElement === document.body"
        ):
            break
        opened.page.evaluate("document.activeElement.dataset.seen = 'yes'")
        reached.append(
            opened.page.evaluate("document.activeElement.getAttribute('class') || document.activeElement.id")
        )
    assert sum(name.startswith("card") for name in reached) == 7
    assert sum(name.startswith("node") for name in reached) == opened.count(".node")
    node = opened.page.locator(".node.claim.refuted").first
    node.focus()
    assert opened.count(".graph.focus .edge.on") == 2
    outline = node.locator("rect").evaluate("(e) => getComputedStyle(e).strokeWidth")
    assert outline == "2px"
    opened.page.keyboard.press("Enter")
    assert node.get_attribute("aria-pressed") == "true"
    assert "pytest exited with 1" in opened.page.locator("#picked").inner_text()
    opened.page.locator("#picked a").click()
    assert opened.page.evaluate("location.hash") == "#v0"
    node.focus()
    opened.page.keyboard.press("Escape")
    assert node.get_attribute("aria-pressed") == "false"
    opened.close()


def test_the_timeline_zooms_and_comes_back(browser: Browser, tmp_path: Path) -> None:
    opened = Opened(browser, tmp_path, looped())
    width = "document.getElementById('tl').getBoundingClientRect().width"
    before = opened.page.evaluate(width)
    for _ in range(3):
        opened.page.get_by_role("button", name="Zoom in").click()
    assert opened.page.evaluate(width) == pytest.approx(8 * before, rel=0.01)
    opened.page.get_by_role("button", name="Fit").click()
    assert opened.page.evaluate(width) == pytest.approx(before, rel=0.01)
    opened.close()


def test_without_scripts_everything_is_still_there(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text(render(ReportInput(*looped())), "utf-8")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    assert page.locator(".card").count() == 7 and page.locator(".zoom").is_hidden()
    assert (
        page.get_by_role("heading", level=1).inner_text()
        == "4 of 7 statements contradict what the kernel saw."
    )
    context.close()


def test_the_page_prints_with_every_verdict(browser: Browser, tmp_path: Path) -> None:
    opened = Opened(browser, tmp_path, looped())
    opened.page.emulate_media(media="print")
    assert opened.page.locator(".nav").is_hidden()
    assert all(opened.page.locator(".card").nth(n).is_visible() for n in range(7))
    assert opened.page.pdf().startswith(b"%PDF")
    opened.close()


def test_a_page_of_fifty_thousand_events_opens(browser: Browser, tmp_path: Path) -> None:
    opened = Opened(browser, tmp_path, big(50_000).done(60_000))
    assert opened.count(".card.refuted") > 0
    opened.page.locator("#coverage").scroll_into_view_if_needed()
    opened.close()


def test_a_step_of_a_finding_leads_to_its_process(browser: Browser, tmp_path: Path) -> None:
    opened = Opened(browser, tmp_path, looped())
    opened.page.locator("nav a", has_text="Findings").click()
    link = opened.page.locator(".finding .way a", has_text="pytest")
    target = link.get_attribute("href")
    link.click()
    assert target is not None and opened.page.url.endswith(target)
    assert "pytest" in opened.page.locator(target).inner_text()
    opened.close()
