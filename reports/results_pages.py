"""The results pages of the documentation: ``python -m lossmark.reports.results_pages OUTDIR``.

Each page holds the kept files of ``reports/results`` that belong together. See :mod:`lossmark.reports.measured`.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from .measured import record
from .measured.sections import HEADS, missing, section

PAGES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "conformance": ("Conformance", ("conformance",)),
    "sharpness": ("Sharpness", ("sharpness", "museum", "right", "soak")),
    "speed": ("Speed and memory", ("speed", "memory", "peers", "sizes")),
    "gate": ("Gate and comparisons", ("gate", "compare")),
    "hunt": ("Hunting on many machines", ("hunt",)),
}
"""By page: its title and subjects."""
NO_GPU = "Nothing measured on a GPU has been kept yet.\n"
REPEATED = (
    "Each part says when, on which machine and by which commands it was measured; "
    "`make results` measures everything anew.\n"
)


def write(folder: Path, kept: Path = record.FOLDER) -> list[Path]:
    """Write every page into ``folder`` from the kept files in ``kept``; returns the pages.

    Raises :class:`lossmark.errors.LossmarkError` for a kept file that lacks something.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in pages(kept):
        path = folder / f"{name}.md"
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def pages(kept: Path = record.FOLDER) -> Iterator[tuple[str, str]]:
    """The name and the Markdown (MyST) of each page."""
    for name, (title, subjects) in PAGES.items():
        parts = [_part(kept / f"{subject}.json", subject) for subject in subjects]
        yield name, "\n".join([f"# {title}\n", REPEATED, *parts])
    yield "gpu", "\n".join(["# GPU\n", *_of_gpus(kept / record.GPU)])


def _part(path: Path, subject: str) -> str:
    return section(record.read(path)) if path.is_file() else missing(subject)


def _of_gpus(folder: Path) -> Iterator[str]:
    """The newest first; each under its date, because they are of different days and machines."""
    found = [record.read(path) for path in sorted(folder.glob("*.json"), reverse=True)]
    if not found:
        yield NO_GPU
    for kept in found:
        title = HEADS[kept.subject][0]
        yield section(kept).replace(f"## {title}\n", f"## {title}, {kept.date[:10]}\n", 1)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m lossmark.reports.results_pages OUTDIR")
    print("\n".join(map(str, write(Path(sys.argv[1])))))
