"""A browser for the tests of pages, and the mark of tests that take minutes."""

import fnmatch
import os
import shutil
from pathlib import Path

import pytest

LONG = Path(__file__).with_name("long.txt")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def long_ones():
    """The patterns of ``long.txt``."""
    return [line for line in LONG.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Mark what ``long.txt`` names."""
    patterns = long_ones()
    for item in items:
        name = item.nodeid.removeprefix("tests/")
        if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="module")
def browser():
    """A Chromium; tests that need one are skipped where there is none, unless everything is required."""
    if CHROMIUM is None:
        assert not os.environ.get("LOSSMARK_REQUIRE"), "where everything is required, a Chromium is too"
        pytest.skip("no Chromium is installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield found
        found.close()


@pytest.fixture
def opened(browser):
    """Opens a page and holds it to silence: no request, no word on the console."""
    contexts, complaints = [], []

    def opens(path, fragment="", **options):
        context = browser.new_context(**options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: request.url.startswith(("file:", "data:")) or complaints.append(request.url))
        tab.on("dialog", lambda dialog: (complaints.append("a dialog"), dialog.dismiss()))
        tab.goto(path.as_uri() + fragment)
        if options.get("java_script_enabled", True) and path.name == "index.html":
            tab.wait_for_function("document.documentElement.dataset.ready")
        return tab

    yield opens
    for context in contexts:
        context.close()
    assert not complaints
