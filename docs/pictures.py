"""Makes the pictures of the README and the documentation: ``python docs/pictures.py``.

Builds the sample report and has a Chromium without a window photograph it, through playwright.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import sample_report  # noqa: E402

PICTURES = HERE / "screenshots"
SIZE = {"width": 1200, "height": 900}


def main() -> int:
    """Write every picture; returns the exit code."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        print("no Chromium is installed", file=sys.stderr)
        return 3
    with tempfile.TemporaryDirectory() as place, sync_playwright() as playwright:
        site = sample_report.build(Path(place)).parent
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for name, page, scheme, show in SHOTS:
            tab = browser.new_page(viewport=SIZE, color_scheme=scheme)
            tab.goto((site / page).as_uri())
            show(tab)
            tab.screenshot(path=PICTURES / f"{name}.png")
            print(PICTURES / f"{name}.png")
        browser.close()
    return 0


def _top(tab: Page) -> None:
    """As the page opens."""


def _failing(tab: Page) -> None:
    """The value that the README speaks of, opened."""
    cell = tab.locator("details.failing", has_text="bpr/steps").filter(has_text="value").first
    cell.locator("summary").click()
    cell.evaluate("item => item.scrollIntoView({block: 'start'})")


def _distances(tab: Page) -> None:
    """The distances from the exact value."""
    tab.locator("svg").last.evaluate("item => item.scrollIntoView({block: 'center'})")


SHOTS = (
    ("overview", "index.html", "light", _top),
    ("dark", "loss-bpr.html", "dark", _distances),
    ("failing", "index.html", "light", _failing),
)
"""The name of each picture, the page of the report, its colours, and what to do before it is taken."""

if __name__ == "__main__":
    sys.exit(main())
