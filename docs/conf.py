"""Sphinx's settings. The pages are built by ``docs/build.py``, which adds the generated ones."""

from lossmark import __version__
from lossmark.rooms import room


def _purpose() -> str:
    """The README's first paragraph, which is the first of the site too."""
    readme = room("specs").parent / "README.md"
    return readme.read_text(encoding="utf-8").split("\n\n")[1]


project = "lossmark"
author = "The lossmark authors"
copyright = "The lossmark authors"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
exclude_patterns = ["**/_*.md"]
myst_enable_extensions = ["colon_fence", "deflist", "substitution"]
myst_heading_anchors = 3
myst_substitutions = {"purpose": _purpose()}
autodoc_member_order = "bysource"
autodoc_typehints = "description"

html_theme = "furo"
html_title = "lossmark"
html_copy_source = False
html_show_sphinx = False
