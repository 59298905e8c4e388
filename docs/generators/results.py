"""The results pages: every measured figure, from the files that are kept under ``reports/results``."""

from lossmark.reports.results_pages import pages as kept


def pages() -> dict[str, str]:
    """One page per subject, by its place below the documentation's folder."""
    return {f"results/{name}.md": text for name, text in kept()}
