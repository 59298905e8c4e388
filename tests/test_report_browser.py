"""The site in a real browser: it opens from the disk, asks nothing of the network, and everybody can read it."""

import csv
import io
import json
import time
from functools import partial

import pytest
from lossmark.reports.build import build

from tests.sites import FAILING, HOSTILE, KEY, cell, page, timed, written


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site with passing cells, a failing one, and some that were not judged."""
    folder = tmp_path_factory.mktemp("site")
    cells = [cell(number) for number in range(1, 60)]
    cells += [
        FAILING,
        cell(90, "not-run", detail="the bound exceeds a quarter"),
        cell(91, impl="jax"),
        cell(92, device="cuda", budget_used=float("inf")),
    ]
    return page(folder, cells, timed(folder / "bench.parquet"))


def test_cells_are_filtered_sorted_and_found_again_by_their_link(site, opened):
    tab = opened(site)
    found = tab.locator("output[name=found]")
    assert found.text_content() == "63 of 63 cells"
    tab.select_option("select[name=impl]", "jax")
    assert found.text_content() == "1 of 63 cells"
    assert tab.locator(".matrix tbody tr:visible").count() == 1
    (tile,) = tab.locator(".matrix a.tile:visible").all()
    assert tile.get_attribute("aria-label").endswith(": 1 pass; up to 20 % of the bound")
    assert "impl=jax" in tab.url
    tab.click("button[type=reset]")
    tab.fill("input[name=q]", "case-1")
    assert found.text_content() == "11 of 63 cells"
    tab.click("#grid button[data-sort=error_ulp]")
    tab.click("#grid button[data-sort=error_ulp]")
    ulps = [float(text) for text in tab.locator("#grid tbody td:nth-child(7)").all_text_contents()]
    assert ulps == sorted(ulps, reverse=True)
    assert tab.locator("#grid th[aria-sort=descending]").count() == 1
    tab.locator("#grid tbody button").first.click()
    chosen = tab.locator("#one h3").text_content()
    again = opened(site, "#" + tab.url.partition("#")[2])
    assert again.locator("#one h3").text_content() == chosen
    assert again.locator("output[name=found]").text_content() == "11 of 63 cells"


def test_what_is_shown_can_be_taken_away(site, opened):
    tab = opened(site)
    tab.select_option("select[name=impl]", "jax")
    for kind, read in (("csv", lambda text: list(csv.DictReader(io.StringIO(text)))), ("json", json.loads)):
        with tab.expect_download() as download:
            tab.click(f"button[data-save={kind}]")
        (row,) = read(download.value.path().read_text(encoding="utf-8"))
        assert row["impl"] == "jax"


def test_a_keyboard_leads_from_the_banner_to_the_command_that_repeats(site, opened):
    tab = opened(site, permissions=["clipboard-read", "clipboard-write"])
    focused = partial(tab.evaluate, "document.activeElement.textContent.trim()")
    for _ in range(20):
        tab.keyboard.press("Tab")
        if focused() == "Show it":
            break
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    assert "bpr/worked" in focused()
    tab.keyboard.press("Enter")
    assert tab.locator("details.failing").get_attribute("open") is not None
    tab.keyboard.press("Tab")
    assert focused() == "Copy"
    tab.keyboard.press("Enter")
    tab.wait_for_function("document.activeElement.textContent === 'Copied'")
    command = "pytest conformance --impl 'my losses.py' --case bpr/worked --device cpu --dtype float32 --mode eager"
    assert tab.locator("details.failing .repeat code").text_content() == command
    assert "one half" in tab.locator("details.failing").text_content()


def test_a_link_opens_the_failing_cell(site, opened):
    key = "|".join(str(getattr(FAILING, name)) for name in KEY)
    tab = opened(site, "#cell=" + key.replace("|", "%7C").replace("/", "%2F"))
    assert tab.locator("details.failing").get_attribute("open") is not None


def test_without_javascript_everything_that_matters_is_there(site, opened):
    tab = opened(site, java_script_enabled=False)
    assert "1 cell does not conform" in tab.locator(".banner").text_content()
    tab.locator("details.failing summary").click()
    assert tab.locator("details.failing .repeat").is_visible()
    assert "the bound exceeds a quarter" in tab.content()
    assert not tab.locator("#cells").is_visible()
    assert tab.locator("noscript").count() == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_kind_of_page_is_accessible(scheme, site, opened):
    from axe_playwright_python.sync_playwright import Axe

    kinds = [
        "index.html",
        "loss-bpr.html",
        "loss-contrastive.html",
        "speed.html",
        "crosswalk.html",
        next(site.parent.glob("impl-*")).name,
    ]
    for name in kinds:
        tab = opened(site.parent / name, color_scheme=scheme)
        tab.evaluate("for (const item of document.querySelectorAll('details')) item.open = true")
        found = Axe().run(tab)
        assert found.violations_count == 0, found.generate_report()
    shades = [opened(site, color_scheme=each).evaluate("getComputedStyle(document.body).backgroundColor")
              for each in ("light", "dark")]  # fmt: skip
    assert shades[0] != shades[1]


def test_nothing_moves_while_a_page_loads(site, opened):
    shifts = """() => new Promise((done) => {
      let sum = 0;
      new PerformanceObserver((list) => list.getEntries().forEach((entry) => (sum += entry.value)))
        .observe({ type: "layout-shift", buffered: true });
      setTimeout(() => done(sum), 300);
    })"""
    for name in ("index.html", "loss-bpr.html", "speed.html"):
        assert opened(site.parent / name).evaluate(shifts) < 0.01, name


def test_fifty_thousand_cells_open_at_once(tmp_path, opened):
    cells = [cell(number, impl=f"impl-{number % 8}", detail=f"reason {number % 40}") for number in range(50_000)]
    source = written(tmp_path / "results.jsonl", cells)
    start = time.process_time()  # beside other tests a clock on the wall would measure them too
    path = build([source], tmp_path / "site")
    assert time.process_time() - start < 20
    assert sum(file.stat().st_size for file in path.parent.iterdir()) < 5 << 20
    milliseconds = []
    for _ in range(3):
        tab = opened(path)
        milliseconds.append(tab.evaluate("performance.now()"))
    assert min(milliseconds) < 1500, milliseconds
    assert tab.locator("output[name=found]").text_content() == "50,000 of 50,000 cells"
    assert tab.locator("#grid tbody tr").count() < 60
    tab.evaluate("document.getElementById('viewport').scrollTop = 1e9")
    tab.wait_for_selector("text=case-49999")


def test_hostile_text_is_text_in_every_page(tmp_path, opened):
    cells = [
        cell(number, verdict, impl=f"{HOSTILE}{number}", detail=f"{HOSTILE} {'a' * length}", case=f"bpr/{HOSTILE}",
             loss="bpr")
        for number, (verdict, length) in enumerate([("pass", 0), ("fail", 0), ("error", 1_000_000), ("not-run", 0)])
    ]  # fmt: skip
    path = page(tmp_path, cells)
    for file in sorted(path.parent.glob("*.html")):
        tab = opened(file)
        own = {"index.html": tab.locator("#packed").count(), "crosswalk.html": 1}.get(file.name, 0)
        assert tab.locator("script").count() == 2 + own
        assert "49" not in tab.title()
    assert "<script>alert" in opened(path).locator("details.failing").first.text_content()
