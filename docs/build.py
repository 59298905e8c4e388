"""Builds the documentation: ``python docs/build.py [FOLDER] [--report]``.

Pages written by hand are copied to ``FOLDER/source`` and the generated ones are written beside them, so that the
folder ``docs`` holds only what people have written. Warnings are errors, and every link inside the site must resolve.
``--report`` also makes a sample report, which takes a small run of conformance.
"""

import argparse
import shutil
import sys
from pathlib import Path

from sphinx.cmd.build import main as sphinx

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import generate  # noqa: E402
import links  # noqa: E402

COPIED = {"CONTRIBUTING.md": "project/contributing.md", "CHANGELOG.md": "project/changelog.md"}
"""Pages that stand at the top of the repository, because people look for them there."""


def build(folder: Path, report: bool) -> int:
    """Build the site into ``folder/html``; returns the exit code, 0 if there was nothing to complain of."""
    source, site = folder / "source", folder / "html"
    shutil.rmtree(source, ignore_errors=True)
    shutil.copytree(HERE, source, ignore=shutil.ignore_patterns("_build", "__pycache__", "*.py", "conventions"))
    shutil.copy2(HERE / "conf.py", source)
    shutil.copytree(HERE / "protocol", source / "protocol", dirs_exist_ok=True)  # programs that a page shows
    for name, copy in COPIED.items():
        text = (HERE.parent / name).read_text(encoding="utf-8")
        (source / copy).write_text(text.replace("](docs/", "](../"), encoding="utf-8")
    generate.write(source)
    code = sphinx(["-q", "-W", "--keep-going", "-b", "html", "-d", str(folder / "doctrees"), str(source), str(site)])
    if code:
        return code
    if report:
        import sample_report

        sample_report.build(site / "report")
    broken = list(links.broken(site, missing=() if report else ("report/index.html",)))
    for line in broken:
        print(line, file=sys.stderr)
    print(f"{site / 'index.html'}: {len(list(site.rglob('*.html')))} pages, {len(broken)} broken links")
    return 1 if broken else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Build the documentation.")
    parser.add_argument("folder", nargs="?", type=Path, default=HERE / "_build")
    parser.add_argument("--report", action="store_true", help="also make the sample report")
    options = parser.parse_args()
    sys.exit(build(options.folder.resolve(), options.report))
