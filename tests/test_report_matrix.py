"""The matrix: nothing planned is missing, what is wrong is seen without colours, by keyboard, on a phone."""

import re
from collections import Counter
from html import unescape

import pytest
from lossmark.reports.cells import MARKS
from lossmark.reports.matrix import panels

from lossmark.results.cell import VERDICTS
from tests.sites import FAILING, LOSSES, cell, page, timed

TILE = re.compile(
    r'<td[^>]*><a href="([^"]*)" class="tile ([^"]*)" aria-label="([^"]*)"><span aria-hidden="true">(.*?)</'
)
GUESTS = [f"a library with a rather long name, number {number}" for number in range(12)]


def many():
    """Cells of the five losses by four forms and twelve guests in both dtypes, of which one fails."""
    forms = [("torch", "eager", "torch"), ("torch", "compile", "torch"), ("torch-fused", "eager", "torch"),
             ("numpy", "eager", "numpy"), *((guest, "eager", "torch") for guest in GUESTS)]  # fmt: skip
    found = [
        cell(number, impl=impl, mode=mode, framework=framework, case=f"{LOSSES[number % 5]}/case-{number}")
        for number in range(1, 31)
        for impl, mode, framework in forms
        if mode == "eager" or number % 2
    ]
    return [*found, FAILING]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("matrix")
    others = [
        cell(90, "not-run", detail="the bound exceeds a quarter"),
        cell(92, device="cuda", budget_used=float("inf")),
    ]
    return page(folder, [*many(), *others], timed(folder / "bench.parquet"))


def tiles(tab):
    """The kind, mark and name of each tile that is to be seen."""
    script = "x => x.map(y => [y.className, y.textContent, y.getAttribute('aria-label')])"
    return list(map(tuple, tab.locator(".matrix a.tile:visible").evaluate_all(script)))


def test_every_cell_is_in_one_tile_and_nothing_else_is(tmp_path):
    cells = many()
    text = page(tmp_path, cells).read_text(encoding="utf-8")
    names, counts = [], Counter()
    for _, _, label, _ in TILE.findall(text):
        name, told = unescape(label).rsplit(": ", 1)
        names.append(name)
        counts[name] += sum(map(int, re.findall(r"(\d+) (?:pass|fail)", told)))
    assert counts == Counter(f"{x.loss}, {x.impl}, {x.mode}, {x.dtype}" for x in cells)
    assert len(names) == len(set(names))
    assert ">none<" not in text
    found = {panel["dtype"]: columns(panel) for panel in panels(cells, ())}
    ours = [("numpy", "eager"), ("torch", "eager"), ("torch", "compile"), ("torch-fused", "eager")]
    shown = {dtype: [column for column in columns if column in ours] for dtype, columns in found.items()}
    assert shown == {"float64": ours, "float32": [ours[0], ours[1], ours[3]]}, "no column of what was never planned"


def columns(panel):
    return [(column["impl"], column["mode"]) for column in panel["columns"]]


@pytest.mark.parametrize("verdict", VERDICTS)
def test_what_is_wrong_is_marked_by_more_than_colour(verdict, tmp_path):
    ((link, kind, label, mark),) = TILE.findall(page(tmp_path, [cell(1, verdict)]).read_text(encoding="utf-8"))
    assert mark == ("" if verdict == "pass" else MARKS[verdict])
    assert kind.split()[0] == verdict
    assert f": 1 {verdict}" in label
    assert link.startswith("#cell-") == (verdict in ("fail", "error"))
    among = page(tmp_path, [cell(1), cell(11, verdict), cell(21)]).read_text(encoding="utf-8")
    ((_, kind, label, mark),) = TILE.findall(among)
    unjudged = verdict in ("not-run", "unsupported")
    assert mark == ("" if unjudged or verdict == "pass" else MARKS[verdict])
    assert ("partly" in kind) == unjudged
    assert f"1 {verdict}" in label or "3 pass" in label


SHARES = [(0.0, 1), (0.2, 1), (0.21, 2), (0.8, 4), (0.99, 5), (1.0, 5), (None, None)]


@pytest.mark.parametrize(("share", "step"), SHARES)
def test_the_colour_is_the_largest_share_of_the_bound(share, step, tmp_path):
    cells = [cell(1, budget_used=share), cell(11, budget_used=share and share / 2), cell(21, check="state")]
    ((_, kind, label, _),) = TILE.findall(page(tmp_path, cells).read_text(encoding="utf-8"))
    assert kind == ("pass" if step is None else f"pass step-{step}")
    assert label.endswith("3 pass" if share is None else f"; up to {100 * share:.0f} % of the bound")


def test_the_matrix_is_of_the_cells_that_the_filters_leave(site, opened):
    tab = opened(site)
    before = tiles(tab)
    tab.select_option("select[name=device]", "cuda")
    assert tiles(tab) == [
        ("tile pass step-5", "", "contrastive_pair, torch, eager, float32: 1 pass; beyond the bound")
    ]  # fmt: skip
    tab.select_option("select[name=device]", "cpu")
    after = tiles(tab)
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1, "drawn by the script as by the builder"
    tab.select_option("select[name=dtype]", "float64")
    assert tab.locator(".matrix table:visible").evaluate_all("x => x.map(y => y.dataset.dtype)") == ["float64"]
    assert "dtype=float64" in tab.url
    tab.click("button[type=reset]")
    tab.wait_for_function("!location.hash.includes('dtype')")
    assert tiles(tab) == before


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_mark_can_be_read(scheme, tmp_path, opened):
    from axe_playwright_python.sync_playwright import Axe

    cells = [cell(1, verdict, impl=f"guest {verdict}") for verdict in VERDICTS]
    steps = [cell(1, impl=f"guest at {share}", budget_used=share) for share, _ in SHARES]
    tab = opened(page(tmp_path, [*cells, *steps, cell(11, "not-run", impl="guest pass")]), color_scheme=scheme)
    assert tab.locator(".matrix a.tile").count() == len(VERDICTS) + len(SHARES)
    found = Axe().run(tab)
    assert found.violations_count == 0, found.generate_report()


def test_arrow_keys_go_through_the_matrix_to_what_is_wrong(site, opened):
    tab = opened(site)
    name = "document.activeElement.getAttribute('aria-label') ?? ''"
    for _ in range(40):
        tab.keyboard.press("Tab")
        if tab.evaluate(name).startswith("bpr, numpy, eager, float32"):
            break
    for _ in range(20):
        if tab.evaluate(name).startswith("bpr, torch, eager, float32: 1 fail"):
            break
        tab.keyboard.press("ArrowRight")
    assert tab.evaluate("document.activeElement.textContent") == "✗"
    tab.keyboard.press("ArrowDown")
    assert tab.evaluate(name).startswith("contrastive, torch, eager, float32")
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("Enter")
    tab.wait_for_function("document.querySelector('details.failing').open")


def test_a_tile_leads_to_its_box_and_from_there_to_its_cells(site, opened):
    tab = opened(site)
    tab.locator(".matrix a.tile[aria-label^='bpr, torch, compile, float64']").click()
    box = tab.locator("td:target")
    assert "3 pass" in box.text_content()
    box.locator("a").click()
    tab.wait_for_function("document.documentElement.dataset.ready")
    assert tab.locator("output[name=found]").text_content().startswith("3 of ")


def test_a_phone_shows_every_page_without_scrolling_sideways(site, opened):
    for path in sorted(site.parent.glob("*.html")):
        tab = opened(path, viewport={"width": 360, "height": 740})
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth"), path.name


def test_no_tile_lies_on_another_and_every_mark_is_large_enough(site, opened):
    for width in (360, 1280):
        tab = opened(site, viewport={"width": width, "height": 740})
        boxes = tab.locator(".matrix a.tile").evaluate_all(
            "x => x.map(y => { const r = y.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom] })"
        )
        assert all(right - left >= 12 and bottom - top >= 24 for left, top, right, bottom in boxes)
        rows = Counter((left, top) for left, top, _, _ in boxes)
        assert max(rows.values()) == 1
